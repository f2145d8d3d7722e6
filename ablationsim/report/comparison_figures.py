"""The pictures of a comparison of devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ablationsim.report.painting import INK, SHAFT, calm, plain
from ablationsim.study.compare.comparison import Comparison, Entry
from ablationsim.study.compare.figures import FRAMES

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#5d6b78")
"""One for each device, told apart by the colour-blind as well (Okabe and Ito 2008); repeated after eight."""

DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 1.5, 1, 1.5)))


@dataclass(frozen=True)
class _Dot:
    """What a column of a picture shows of a setting: name, marker, and value in a frame; None where there is none."""

    name: str
    marker: str
    value: Callable[[Entry, str], float | None]
    framed: bool = True


def _of_size(name: str) -> Callable[[Entry, str], float | None]:
    return lambda entry, frame: None if entry.figures is None else getattr(entry.figures.sizes[frame], name)


_COLUMNS: tuple[tuple[str, tuple[_Dot, ...]], ...] = (
    ("volume / mL", (_Dot("", "o", _of_size("volume_ml")),)),
    (
        "length, diameter / mm",
        (_Dot("along the shaft", "^", _of_size("length_mm")), _Dot("across it", "o", _of_size("diameter_mm"))),
    ),
    (
        "volume over energy / mL/kJ",
        (
            _Dot("at the generator", "o", _of_size("ml_per_kj")),
            _Dot("absorbed", "D", _of_size("ml_per_absorbed_kj")),
        ),
    ),
    ("along / across", (_Dot("", "o", _of_size("ratio")),)),
    (
        "sphericity",
        (
            _Dot("short / long axis", "o", _of_size("sphericity_axes")),
            _Dot("isoperimetric", "D", _of_size("sphericity_isoperimetric")),
        ),
    ),
)

_SINKS: tuple[tuple[str, tuple[_Dot, ...]], ...] = (
    (
        "volume lost to the vessel / %",
        (_Dot("", "o", lambda entry, frame: None if entry.sink is None else entry.sink.lost_percent(frame)),),
    ),
    (
        "radius left toward it / %",
        (_Dot("", "o", lambda entry, _: None if entry.sink is None else entry.sink.radius_percent, framed=False),),
    ),
)


def overview(comparison: Comparison) -> Figure:
    """Draw size, energy, shape and heat sink of all settings, a line a setting."""
    entries, frame = comparison.entries, comparison.study.about.frame
    other = next(name for name in FRAMES if name != frame)
    columns = [*_COLUMNS, *(_SINKS if comparison.study.heat_sink is not None else ())]
    places = _places(entries)
    lines = 1 + max(len(_tissue(comparison, entry)) for entry in entries)
    height = (0.17 + 0.1 * lines) * (places[-1] + 2) + 1.1
    figure = Figure(figsize=(11.0, 2 * height + 0.5), layout="constrained")
    axes = figure.subplots(2, -(-len(columns) // 2), sharey=True, squeeze=False)
    for ax, (label, dots) in zip(axes.flat, columns, strict=False):
        for entry, place in zip(entries, places, strict=True):
            colour = colour_of(comparison, entry.setting.device)
            for dot in dots:
                value, faint = dot.value(entry, frame), dot.value(entry, other) if dot.framed else None
                if value is not None and faint is not None:
                    ax.plot([value, faint], [place, place], color=colour, linewidth=0.8, alpha=0.5, zorder=1)
                if faint is not None:
                    ax.plot(faint, place, dot.marker, color=colour, markerfacecolor="white", markersize=5, zorder=2)
                if value is not None:
                    ax.plot(value, place, dot.marker, color=colour, markersize=6, zorder=3)
        ax.set_xlabel(label, fontsize=9)
        ax.grid(axis="y", color="#e6eaee", linewidth=0.6)
        ax.set_axisbelow(True)
        _limit(ax, label)
        if len(dots) > 1:
            _key(ax, dots)
        calm(ax)
    for ax in list(axes.flat)[len(columns) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_yticks(places, [plain(_name(comparison, entry)) for entry in entries], fontsize=8)
    axes[0, 0].set_ylim(places[-1] + 0.8, -0.8)
    handles = [
        Line2D([], [], linestyle="", marker="o", color=INK, label=frame),
        Line2D([], [], linestyle="", marker="o", color=INK, markerfacecolor="white", label=other),
        *_device_lines(comparison),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), fontsize=8, frameon=False)
    return figure


def growth(comparison: Comparison) -> Figure:
    """Draw the short axis against the time under power, and the axes that are asked for."""
    frame = comparison.study.about.frame
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    ax = figure.subplots()
    styles: dict[str, list[str]] = {}
    for entry in comparison.longest:
        grown, setting = entry.growth, entry.setting
        assert grown is not None
        own = styles.setdefault(setting.device, [])
        line = " · ".join([setting.series, *_tissue(comparison, entry)])
        own.append(line)
        axis = grown.short_axis_mm * (grown.shrinkage if frame == "contracted" else 1.0)
        ax.plot(
            grown.time_s / 60,
            axis,
            color=colour_of(comparison, setting.device),
            linestyle=DASHES[(len(own) - 1) % len(DASHES)],
            linewidth=1.5,
            label=plain(f"{setting.device}, {line}"),
        )
    for entry in comparison.entries:
        if entry.figures is not None and (end := entry.figures.sizes[frame].short_axis_mm) is not None:
            colour = colour_of(comparison, entry.setting.device)
            ax.plot(entry.figures.power_off_s / 60, end, "o", color=colour, markersize=4.5)
    for target in comparison.study.about.short_axis:
        ax.axhline(1e3 * target, color=INK, linewidth=0.8, linestyle=":")
    ax.set(xlabel="time under power / min", ylabel=f"short axis, {frame} / mm", xlim=(0, None), ylim=(0, None))
    ax.grid(color="#e6eaee", linewidth=0.6)
    calm(ax)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def shapes(comparison: Comparison) -> Figure | None:
    """Draw the outlines of all axisymmetric zones, a panel for each device and tissue; None without any."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in comparison.entries:
        if entry.outlines is not None:
            groups.setdefault((entry.setting.device, entry.setting.tissue_name), []).append(entry)
    if not groups:
        return None
    frame = comparison.study.about.frame
    every = [entry.outlines[frame] for group in groups.values() for entry in group if entry.outlines is not None]
    reach = 1.08 * max(float(lines[..., 0].max()) for lines in every)
    low, high = (f(float(g(lines[..., 1])) for lines in every) for f, g in ((min, np.min), (max, np.max)))
    margin = 0.06 * (high - low)
    # Below the zones there is room for a legend.
    low -= 0.06 * (high - low) * -(-max(len(group) for group in groups.values()) // 2)
    columns = min(len(groups), 4)
    rows = -(-len(groups) // columns)
    width = 11.0 / columns
    panel = min((width - 0.5) * (high - low + 2 * margin) / (2 * reach), 6.0)
    figure = Figure(figsize=(11.0, rows * (panel + 0.9)), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, ((device, _), group) in zip(axes.flat, groups.items(), strict=False):
        for k, entry in enumerate(group):
            assert entry.outlines is not None
            half = entry.outlines[frame]
            both = np.concatenate([half, half * [-1.0, 1.0]])
            shade = 0.35 + 0.65 * (k + 1) / len(group)
            colour = _tinted(colour_of(comparison, device), shade)
            ax.add_collection(LineCollection(list(both), colors=[colour], linewidths=1.5))
            ax.plot([], [], color=colour, label=plain(entry.setting.label))
        ax.plot([0, 0], [0, high + 2 * margin], color=SHAFT, linewidth=2.5, zorder=0)
        ax.set(xlim=(-reach, reach), ylim=(low - margin, high + margin), aspect="equal")
        ax.set_title(plain(" · ".join([device, *_tissue(comparison, group[0])])), fontsize=9, color=INK)
        ax.set_xlabel("across the shaft / mm", fontsize=9)
        ax.legend(loc="lower center", fontsize=8, frameon=False, ncols=2)
        calm(ax)
    for ax in list(axes.flat)[len(groups) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("along the shaft, from the tip / mm", fontsize=9)
    return figure


def colour_of(comparison: Comparison, device: str) -> str:
    """Colour of a device in all pictures."""
    names = list(dict.fromkeys(entry.setting.device for entry in comparison.entries))
    return COLOURS[names.index(device) % len(COLOURS)]


def _places(entries: Sequence[Entry]) -> list[float]:
    """Heights of the settings, with a gap between devices."""
    found, place = [], -1.0
    for k, entry in enumerate(entries):
        place += 1.0 if k == 0 or entry.setting.device == entries[k - 1].setting.device else 1.6
        found.append(place)
    return found


def _name(comparison: Comparison, entry: Entry) -> str:
    return "\n".join([entry.setting.label, *_tissue(comparison, entry)])


def _tissue(comparison: Comparison, entry: Entry) -> list[str]:
    """The tissue, where there are several."""
    several = len({other.setting.tissue_name for other in comparison.entries}) > 1
    return [entry.setting.tissue_name] if several else []


def _device_lines(comparison: Comparison) -> Iterable[Line2D]:
    for name in dict.fromkeys(entry.setting.device for entry in comparison.entries):
        colour = colour_of(comparison, name)
        yield Line2D([], [], linestyle="", marker="s", color=colour, label=plain(name))


def _limit(ax: Axes, label: str) -> None:
    """Sizes and shares begin at 0; a picture of shapes has the sphere in it."""
    low, high = ax.get_xlim()
    if label == "along / across":
        low, high = min(low, 0.85), max(high, 1.15)
        ax.axvline(1.0, color=INK, linewidth=0.8, linestyle=":")
        for word, side in (("oblate  ", "right"), ("  prolate", "left")):
            ax.annotate(
                word, (1.0, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 5), textcoords="offset points",
                ha=side, fontsize=8, color=INK,
            )  # fmt: skip
    elif label == "sphericity":
        low, high = min(0.4, low), 1.05
    else:
        low, high = 0.0, 1.06 * high
    ax.set_xlim(low, high)


def _key(ax: Axes, dots: Sequence[_Dot]) -> None:
    handles = [Line2D([], [], linestyle="", marker=dot.marker, color=INK, markersize=5, label=dot.name) for dot in dots]
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8, frameon=False)


def _tinted(colour: str, share: float) -> tuple[float, ...]:
    """A colour mixed with white."""
    from matplotlib.colors import to_rgb

    return tuple(1.0 - share * (1.0 - part) for part in to_rgb(colour))
