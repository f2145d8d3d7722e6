"""Pictures of a study of what is uncertain: spreads, chances of being ablated, effects, and devices side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from ablationsim.report.painting import INK, calm, plain
from ablationsim.study.uncertainty.assessment import Assessment
from ablationsim.study.uncertainty.findings import ArmFindings
from ablationsim.study.uncertainty.outline_map import BANDS
from ablationsim.study.uncertainty.quantities import Quantity

Floats = NDArray[np.float64]

COLOURS = ("#1f5f8b", "#d1662b", "#3f8f5b", "#8a5aa8", "#a0303a", "#6b7a86")
"""Of groups, in their order."""
PANELS = ("volume_ml", "long_axis_mm", "short_axis_mm", "sphericity_axes", "sphericity_isoperimetric", "margin_mm")
"""Quantities that pictures show; tables have all."""
BARS = 10
"""Inputs that a picture of their effects shows."""
MAPS = 12
"""Arms whose chances of being ablated are shown."""

_STYLES: tuple[Literal[":", "-", "--"], ...] = (":", "-", "--")
_SEED = 1  # of the places of points side by side


def groups_of(found: Assessment) -> list[str]:
    """Groups in the order of the study; without groups the arms stand for themselves."""
    return list(dict.fromkeys(one.arm.group or one.arm.name for one in found.arms))


def colour_of(found: Assessment, one: ArmFindings) -> str:
    """Colour of the group of an arm."""
    return COLOURS[groups_of(found).index(one.arm.group or one.arm.name) % len(COLOURS)]


def spreads(found: Assessment) -> Figure:
    """Every sample of every arm, with mean and standard deviation, in a panel for each quantity."""
    frame, quantities = found.study.about.frame, _shown(found.arms[0])
    figure, panels = _panels(len(quantities), 3.1 if len(found.arms) < 5 else 3.6)
    scatter = np.random.default_rng(_SEED)
    for ax, quantity in zip(panels, quantities, strict=True):
        for place, one in enumerate(found.arms):
            said = one.said[frame][quantity.key]
            values = said.values[np.isfinite(said.values)][:2000]
            colour = colour_of(found, one)
            aside = place + scatter.uniform(-0.22, 0.22, len(values))
            ax.plot(aside, values, ".", color=colour, alpha=0.45, markersize=4, markeredgewidth=0)
            if said.spread is not None:
                mean, sd = said.spread.mean.value, said.spread.sd.value
                ax.errorbar(place + 0.34, mean, sd, fmt="o", color=INK, markersize=4, capsize=3, linewidth=1.2)
            if np.isfinite(said.nominal):
                ax.plot([place - 0.3, place + 0.26], [said.nominal] * 2, color=colour, linewidth=1.4)
        ax.set_ylabel(_label(quantity), fontsize=9)
        ax.set_xlim(-0.6, len(found.arms) - 0.3)
        _settings(ax, found)
        calm(ax)
    handles = [
        *_handles(found),
        Line2D([], [], color=INK, linewidth=1.4, label="nominal values (line in the colour of the points)"),
        Line2D([], [], marker="o", color=INK, markersize=4, linestyle="", label="mean ± standard deviation"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def chances(found: Assessment) -> Figure | None:
    """Share of the samples in whose zone each place is, in the plane through the needle; None without any."""
    shown = [one for one in found.arms if one.chance is not None][:MAPS]
    if not shown:
        return None
    maps = [one.chance for one in shown if one.chance is not None]
    reach = max(float(one.r.max()) for one in maps)
    bottom, top = min(float(one.z.min()) for one in maps), max(float(one.z.max()) for one in maps)
    columns = min(len(shown), 4)
    rows = -(-len(shown) // columns)
    width = 10.4 if columns > 1 else 4.6
    # Two ends of the scale of a colour bar come to each row of panels.
    height = 0.85 * width / columns * (top - bottom) / (2 * reach) * rows + 1.2
    figure = Figure(figsize=(width, min(height, 14.0)), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax in panels[len(shown) :]:
        ax.set_visible(False)
    for ax, one, chance in zip(panels, shown, maps, strict=False):
        r = np.concatenate([-chance.r[::-1], chance.r])
        share = np.concatenate([chance.share[:, ::-1], chance.share], axis=1)
        image = ax.pcolormesh(r, chance.z, share, cmap="YlOrRd", vmin=0.0, vmax=1.0, shading="nearest", rasterized=True)
        lines = ax.contour(r, chance.z, share, levels=BANDS, colors=(INK, INK, "white"), linewidths=(0.8, 1.5, 0.8))
        lines.set_linestyle(list(_STYLES))
        needle = 0.5e3 * one.arm.case.applicators[0].device.applicator.diameter
        ax.add_patch(Rectangle((-needle, 0.0), 2 * needle, top + 10.0, color=INK, alpha=0.8, linewidth=0))
        ax.set(xlim=(-reach, reach), ylim=(bottom, top), aspect="equal", facecolor=image.cmap(0.0))
        if one.arm.name:
            ax.set_title(plain(_heading(one)), fontsize=8.5, color=INK)
        calm(ax)
    for ax in panels[-columns:]:
        ax.set_xlabel("across the shaft / mm", fontsize=9)
    for ax in panels[::columns]:
        ax.set_ylabel("from the tip / mm", fontsize=9)
    bar = figure.colorbar(image, ax=list(panels), location="right", shrink=0.7, aspect=30)
    bar.set_label("share of the samples that ablate the place", fontsize=9)
    handles = [
        Line2D([], [], color=INK, linestyle=style, linewidth=width, label=f"{100 * band:g} % of the samples{of}")
        for band, style, width, of in zip(BANDS, _STYLES, (0.8, 1.5, 0.8), ("", "", " (white)"), strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def effects(one: ArmFindings, frame: str) -> Figure:
    """What a screening found: size of the effects of the strongest inputs on each quantity, with their spread."""

    def draw(ax: Axes, quantity: Quantity) -> None:
        rows = [row for row in one.said[frame][quantity.key].effects or () if row.strength > 0.0][:BARS][::-1]
        names = [row.name for row in rows]
        ax.barh(names, [row.strength for row in rows], xerr=[row.interval for row in rows], **_BAR)
        ax.plot([row.spread for row in rows], names, "d", color=COLOURS[1], markersize=4)
        ax.set_xlabel(f"effect on {quantity.name.lower()}{_in(quantity)}", fontsize=8)

    handles = [
        Rectangle((0, 0), 1, 1, color=COLOURS[0], label="mean size of the elementary effects, μ*, with its interval"),
        Line2D([], [], marker="d", color=COLOURS[1], linestyle="", markersize=4, label="their standard deviation, σ"),
    ]
    return _bars(one, draw, handles)


def indices(one: ArmFindings, frame: str) -> Figure:
    """First and total Sobol indices of the strongest inputs on each quantity."""

    def draw(ax: Axes, quantity: Quantity) -> None:
        rows = list(one.said[frame][quantity.key].indices or ())[:BARS][::-1]
        names = [row.name for row in rows]
        ax.barh(names, [row.total for row in rows], xerr=[row.total_interval for row in rows], **_BAR)
        ax.barh(names, [row.first for row in rows], height=0.3, color=COLOURS[1])
        ax.set_xlim(left=min(0.0, *(row.first for row in rows)) if rows else 0.0)
        ax.set_xlabel(f"share of the variance of {quantity.name.lower()}", fontsize=8)

    handles = [
        Rectangle((0, 0), 1, 1, color=COLOURS[0], label="total index, with its interval"),
        Rectangle((0, 0), 1, 1, color=COLOURS[1], label="first index"),
    ]
    return _bars(one, draw, handles)


def ratios(found: Assessment) -> Figure | None:
    """How the spreads of two devices compare; None without a comparison."""
    comparisons = found.comparisons.get(found.study.about.frame, ())
    if not comparisons:
        return None
    pairs = list(dict.fromkeys((one.first.group, one.second.group) for one in comparisons))
    rows = max(sum((one.first.group, one.second.group) == pair for one in comparisons) for pair in pairs)
    figure = Figure(figsize=(9.6, (0.36 * rows + 0.9) * len(pairs) + 0.5), layout="constrained")
    panels = figure.subplots(len(pairs), 1, squeeze=False)[:, 0]
    for ax, pair in zip(panels, pairs, strict=True):
        mine = [one for one in comparisons if (one.first.group, one.second.group) == pair][::-1]
        ax.axvline(1.0, color="#7b8894", linewidth=0.8)
        for place, one in enumerate(mine):
            for ratio, shift, colour in ((one.sd_ratio, 0.13, COLOURS[0]), (one.variation_ratio, -0.13, COLOURS[1])):
                if ratio is one.variation_ratio and not one.quantity.relative:
                    continue
                ax.plot([ratio.low, ratio.high], [place + shift] * 2, color=colour, linewidth=2)
                ax.plot(ratio.value, place + shift, "o", color=colour, markersize=5)
        ax.set_yticks(range(len(mine)), [one.quantity.name for one in mine])
        ax.set_xscale("log")
        ends = [end for one in mine for end in (one.sd_ratio.low, one.sd_ratio.high) if np.isfinite(end) and end > 0.0]
        ax.set_xlim(min(0.45, *(0.9 * end for end in ends)), max(2.2, *(1.1 * end for end in ends)))
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        ax.set_xlabel(plain(f"spread of {pair[0]} over spread of {pair[1]}"), fontsize=9)
        calm(ax)
    handles = [
        Line2D([], [], marker="o", color=COLOURS[0], label="standard deviation"),
        Line2D([], [], marker="o", color=COLOURS[1], label="standard deviation over mean"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


_BAR: dict[str, Any] = {
    "color": COLOURS[0],
    "height": 0.62,
    "error_kw": {"ecolor": INK, "elinewidth": 0.9, "capsize": 2},
}


def _bars(one: ArmFindings, draw: Callable[[Axes, Quantity], None], handles: Sequence[Artist]) -> Figure:
    quantities = _shown(one)
    figure = Figure(figsize=(11.5, 3.1 * -(-len(quantities) // 2) + 0.4), layout="constrained")
    panels = figure.subplots(-(-len(quantities) // 2), 2, squeeze=False).ravel()
    for ax in panels[len(quantities) :]:
        ax.set_visible(False)
    for ax, quantity in zip(panels, quantities, strict=False):
        draw(ax, quantity)
        calm(ax)
        ax.tick_params(axis="y", labelsize=7.5)
    figure.legend(handles=list(handles), loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _shown(one: ArmFindings) -> list[Quantity]:
    return [quantity for quantity in one.quantities if quantity.key in PANELS]


def _panels(count: int, height: float) -> tuple[Figure, Iterable[Axes]]:
    rows = -(-count // 3)
    figure = Figure(figsize=(10.4, height * rows), layout="constrained")
    panels = figure.subplots(rows, 3, squeeze=False).ravel()
    for ax in panels[count:]:
        ax.set_visible(False)
    return figure, panels[:count]


def _settings(ax: Axes, found: Assessment) -> None:
    names = [one.arm.name for one in found.arms]
    ax.set_xticks(range(len(names)), [plain(_short(one)) for one in found.arms])
    if len(names) > 2:
        ax.tick_params(axis="x", labelrotation=60)
        for text in ax.get_xticklabels():
            text.set_horizontalalignment("right")
            text.set_rotation_mode("anchor")


def _short(one: ArmFindings) -> str:
    """Name of an arm without that of its group, which its colour says."""
    short = one.arm.name.removeprefix(one.arm.group).lstrip(" ,:") if one.arm.group else one.arm.name
    return short or one.arm.name


def _heading(one: ArmFindings) -> str:
    return one.arm.name if not one.arm.group else f"{one.arm.group}\n{_short(one)}"


def _handles(found: Assessment) -> list[Line2D]:
    groups = groups_of(found)
    if not any(groups):
        return []
    return [
        Line2D([], [], marker="o", linestyle="", color=COLOURS[k % len(COLOURS)], markersize=5, label=plain(group))
        for k, group in enumerate(groups)
        if any(one.arm.group for one in found.arms)
    ]


def _in(quantity: Quantity) -> str:
    return f" / {quantity.unit}" if quantity.unit else ""


def _label(quantity: Quantity) -> str:
    return f"{quantity.name.lower()}{_in(quantity)}"
