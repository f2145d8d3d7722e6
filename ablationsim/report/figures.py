"""The pictures of a report, as matplotlib figures that need no display."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from ablationsim.device.antenna import METAL
from ablationsim.report.data import AntennaDrawing, ReportData
from ablationsim.report.painting import (
    DAMAGE,
    ELECTRODE,
    HALO,
    INK,
    SHAFT,
    STROKES,
    calm,
    draw_applicator,
    draw_contour,
    paint,
    plain,
)
from ablationsim.report.section import Plane, Section, contracted, plane_through, section
from ablationsim.report.vessels import KINDS, TUMOUR, draw_vessels

Floats = NDArray[np.float64]

ZERO_CELSIUS = 273.15
TISSUE = "#e9c9bf"
METAL_GREY = "#8d98a3"
DIELECTRICS = ("#fbf3d0", "#b9dca6", "#8fc4e8", "#d9b8e6", "#f4b183")


ROUND_ANTENNA = 15.0
"""Tissue below the antenna that the picture of its field shows, in mm; above it half as much again."""
DENSITIES = (1e-3, 10.0)
"""Ends of the scale of the absorbed power density, in W/cm³ for one watt at the port."""
HOTTEST = 110.0
"""Upper end of the temperature scale of the cross-section in °C, just above boiling."""
HOTTEST_SHOWN = 130.0
"""Highest upper end of the temperature axis of the histories in °C."""


def png(figure: Figure, dpi: int = 150) -> bytes:
    """Return a figure as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def cross_section(data: ReportData) -> Figure:
    """Draw temperature and damage in the plane through the first applicator's shaft.

    When axisymmetric, the left half of the first panel is the temperature at power-off and the right half the highest
    temperature of the run; in space each has a panel of its own.
    """
    plane = _plane(data)
    cut = section(data.mesh, plane)
    power_off = cut.sample(data.temperature_power_off) - ZERO_CELSIUS
    highest = cut.sample(data.temperature_max) - ZERO_CELSIUS
    level = cut.sample(data.level)
    if data.mesh.axisymmetric:
        panels = [
            ("Temperature at power-off  |  highest temperature", [(cut.mirrored(), power_off), (cut, highest)]),
            ("Damage", [(cut.mirrored(), level), (cut, level)]),
        ]
    else:
        panels = [
            ("Temperature at power-off", [(cut, power_off)]),
            ("Highest temperature", [(cut, highest)]),
            ("Damage", [(cut, level)]),
        ]
    (left, right), (bottom, top) = _window(cut, highest, level, data.mesh.axisymmetric)
    aspect = (top - bottom) / (right - left)
    width = 9.6 if len(panels) == 2 else 11.5
    entries = _entries(data)
    # Beside the panels there are their titles and scales, and a line of the legend for every six entries.
    room = (1.45 if len(panels) == 2 else 1.95) + 0.25 * -(-len(entries) // 6)
    height = min(max(width / len(panels) * aspect * 0.80 + room, 4.0), 9.0)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    # Single spots at the electrode dry out and get very hot; the scale is for the tissue that matters.
    heat = Normalize(float(np.floor(min(power_off.min(), highest.min()) / 5) * 5), HOTTEST)
    harm = Normalize(-data.level_span, data.level_span)
    shrunk = contracted(cut, plane, data.zone["contracted"]["strain"], data.displacement)
    shrunk_halves = [shrunk.mirrored(), shrunk] if data.mesh.axisymmetric else [shrunk]
    for ax, (title, halves) in zip(axes, panels, strict=True):
        damage = title == "Damage"
        for (half, values), outline in zip(halves, shrunk_halves, strict=True):
            image = paint(ax, half, values, DAMAGE if damage else "inferno", harm if damage else heat)
            isotherms = highest if damage else values
            for key in ("50", "60"):
                draw_contour(ax, half, isotherms, float(key), STROKES[key])
            draw_contour(ax, half, level, 0.0, STROKES["zone"])
            if damage:
                draw_contour(ax, outline, level, 0.0, STROKES["contracted"])
        for applicator in data.applicators:
            draw_applicator(ax, applicator, plane, top)
        if data.surroundings is not None:
            draw_vessels(ax, data.surroundings, plane)
        _draw_probes(ax, data, plane)
        if len(halves) == 2 and not damage:
            ax.axvline(0, color="white", linewidth=0.8, alpha=0.8)
        ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xlabel="across the shaft / mm")
        ax.set_title(title, fontsize=10, color=INK)
        bar = figure.colorbar(
            image, ax=ax, location="bottom", shrink=0.8, aspect=30, extend="both" if damage else "max"
        )
        bar.set_label(plain(data.level_label) + " (zone where above 0)" if damage else "temperature / °C", fontsize=9)
        calm(ax)
        bar.ax.tick_params(labelsize=8)
    axes[0].set_ylabel("along the shaft, from the tip / mm")
    _dark_legend(figure, entries)
    return figure


def heat_sink(data: ReportData) -> Figure:
    """Draw the zone, and that without vessels where it is known, in two planes through the first applicator's shaft.

    The first one holds the place where the wall of a vessel is nearest to what heats, unless the applicators or tines
    that the plane goes through decide otherwise; the second is at right angles to it.
    """
    surroundings = data.surroundings
    assert surroundings is not None
    first = _plane(data)
    planes = [first, Plane(first.origin, first.normal, first.up)]
    cuts = [section(data.mesh, plane) for plane in planes]
    hottest = [cut.sample(data.temperature_max) - ZERO_CELSIUS for cut in cuts]
    levels = [cut.sample(data.level) for cut in cuts]
    without = surroundings.without
    others = [] if without is None else [section(without.mesh, plane) for plane in planes]
    windows = [_window(cut, highest, level, False) for cut, highest, level in zip(cuts, hottest, levels, strict=True)]
    if without is not None:
        below = [_window(other, z := other.sample(without.level), z, False) for other in others]
        windows = [_both(one, another) for one, another in zip(windows, below, strict=True)]
    bottom, top = _both(windows[0][1:], windows[1][1:])[0]
    widths = [right - left for (left, right), _ in windows]
    height = min(max(8.6 * (top - bottom) / sum(widths) + 1.1, 4.2), 9.0)
    figure = Figure(figsize=(10.4, height), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True, width_ratios=widths)
    heat = Normalize(float(np.floor(min(values.min() for values in hottest) / 5) * 5), HOTTEST)
    for k, ax in enumerate(axes):
        image = paint(ax, cuts[k], hottest[k], "inferno", heat)
        if without is not None:
            draw_contour(ax, others[k], others[k].sample(without.level), 0.0, STROKES["without"])
        draw_contour(ax, cuts[k], levels[k], 0.0, STROKES["zone"])
        for applicator in data.applicators:
            draw_applicator(ax, applicator, planes[k], top)
        draw_vessels(ax, surroundings, planes[k])
        ax.set(xlim=windows[k][0], ylim=(bottom, top), aspect="equal", xlabel="across the shaft / mm")
        calm(ax)
    nearest = surroundings.nearest is not None and abs((surroundings.nearest - first.origin) @ first.normal) < 1e-6
    axes[0].set_title("Through the nearest vessel" if nearest else "Through the shaft", fontsize=10, color=INK)
    axes[1].set_title("At right angles to it", fontsize=10, color=INK)
    axes[0].set_ylabel("along the shaft, from the tip / mm")
    bar = figure.colorbar(image, ax=list(axes), location="right", shrink=0.8, aspect=28, extend="max")
    bar.set_label("highest temperature / °C", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    entries: list[Any] = [_line("zone", "zone edge with vessels")]
    if without is not None:
        entries.append(_line("without", "zone edge without vessels"))
    _dark_legend(figure, entries + _electrode_entry(data) + _vessel_entries(data))
    return figure


def _plane(data: ReportData) -> Plane:
    return plane_through(data.applicators, None if data.surroundings is None else data.surroundings.nearest)


def _both(one: Any, another: Any) -> tuple[tuple[float, float], ...]:
    """Limits that hold both of two pictures."""
    return tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(one, another, strict=True))


def antennas(data: ReportData) -> Figure:
    """Draw the inside of each kind of antenna, and the power that unheated tissue absorbs round it."""
    spans = [_window_inside(antenna) for antenna in data.antennas]
    figure = Figure(figsize=(9.6, 6.9 * len(spans)), layout="constrained")
    blocks = figure.subfigures(len(spans), 1, squeeze=False)[:, 0]
    for block, antenna, (low, high) in zip(blocks, data.antennas, spans, strict=True):
        inside, outside = block.subplots(2, 1, height_ratios=[1, 2.1])
        _draw_inside(inside, antenna, low, high)
        _draw_heating(block, outside, antenna)
        for ax in (inside, outside):
            ax.set_xlabel("along the shaft, from the tip / mm", fontsize=9)
            calm(ax)
        if len(spans) > 1:
            block.suptitle(plain(antenna.title), fontsize=10, color=INK)
    return figure


def _window_inside(antenna: AntennaDrawing) -> tuple[float, float]:
    """Heights in mm between which the inside of an antenna is drawn."""
    low, high = 1e3 * antenna.inside[0], 1e3 * antenna.inside[1]
    margin = 0.12 * (high - low)
    return low - margin, high + 2 * margin


def _draw_inside(ax: Axes, antenna: AntennaDrawing, low: float, high: float) -> None:
    """Both halves of the section through the shaft, tip to the left, with radii enlarged where that helps."""
    dielectrics = (name for name in antenna.materials if name != METAL)
    colours = {METAL: METAL_GREY} | {name: DIELECTRICS[k % len(DIELECTRICS)] for k, name in enumerate(dielectrics)}
    for part in antenna.parts:
        r, z = 1e3 * part.polygon.T
        for side in (1, -1):
            shape = np.column_stack([z, side * r])
            # An edge of its own colour hides the seam between the halves.
            colour = colours[part.material]
            ax.add_patch(Polygon(shape, facecolor=colour, edgecolor=colour, linewidth=0.3))
    ax.axhline(0, color=INK, linewidth=0.6, linestyle=(0, (8, 3, 2, 3)))
    reach = 1.5e3 * antenna.radius
    stretch = max(1, round(0.17 * (high - low) / (2 * reach)))
    ax.set(xlim=(low, high), ylim=(-reach, reach), facecolor=TISSUE, aspect=stretch)
    ax.set_ylabel("across / mm", fontsize=9)
    enlarged = f"; radii are drawn {stretch} times as large" if stretch > 1 else ""
    ax.set_title(f"Inside of the antenna{enlarged}", fontsize=10, color=INK)
    entries = [Patch(facecolor=TISSUE, edgecolor=INK, linewidth=0.4, label="tissue")]
    entries += [
        Patch(facecolor=colours[name], edgecolor=INK, linewidth=0.4, label=plain(label))
        for name, label in antenna.materials.items()
    ]
    # Far enough below the axis for its label, whatever the height of the panel.
    ax.legend(
        handles=entries,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        borderaxespad=4.4,
        ncols=len(entries),
        fontsize=8,
        frameon=False,
    )


def _draw_heating(figure: Any, ax: Axes, antenna: AntennaDrawing) -> None:
    """Absorbed power density of both halves, on a logarithmic scale."""
    r, z = 1e3 * antenna.points.T
    scale = LogNorm(*DENSITIES, clip=True)
    density = np.clip(1e-6 * antenna.density, 0.1 * DENSITIES[0], None)
    decades = 10.0 ** np.arange(-2, 1)
    for side in (1, -1):
        mesh = Triangulation(z, side * r, antenna.cells)
        image = ax.tripcolor(mesh, density, shading="gouraud", cmap="inferno", norm=scale, rasterized=True)
        ax.tricontour(mesh, density, levels=decades, colors="white", linewidths=0.8, linestyles="dotted")
    for part in antenna.parts[:1]:
        for side in (1, -1):
            ax.add_patch(Polygon(1e3 * part.polygon[:, ::-1] * [1, side], facecolor=SHAFT, edgecolor=SHAFT, zorder=3))
    low, high = (1e3 * end for end in antenna.radiating)
    ax.plot([low, high], [0, 0], color=ELECTRODE, linewidth=2.0, zorder=4, solid_capstyle="butt")
    low, high = 1e3 * antenna.inside[0] - ROUND_ANTENNA, 1e3 * antenna.inside[1] + 1.5 * ROUND_ANTENNA
    reach = 0.235 * (high - low)  # fills the width of the picture
    ax.set(xlim=(low, high), ylim=(-reach, reach), aspect="equal")
    ax.set_ylabel("across / mm", fontsize=9)
    ax.set_title("Power absorbed in unheated tissue, for 1 W at the port", fontsize=10, color=INK)
    bar = figure.colorbar(image, ax=ax, location="right", shrink=0.9, aspect=22, extend="both")
    bar.set_label("W/cm³ (dotted: 0.01, 0.1, 1)", fontsize=9)
    bar.ax.tick_params(labelsize=8)


def histories(data: ReportData) -> Figure:
    """Draw what the generators and antennas do, temperatures and zone volume against time."""
    history = data.history
    minutes = history["time_s"] / 60
    probes = {f"probe {key[6:-2]}": key for key in history if key.startswith("probe_") and key.endswith("_c")}
    tips = {f"tip {name}".strip(): key for name, key in _of_each(history, "tip_temperature_c").items()}
    temperatures = dict(_reaching(history, tips | {"hottest tissue": "max_temperature_c"} | probes))
    vessels = {key[len("vessel_") : -2]: key for key in history if key.startswith("vessel_") and key.endswith("_w")}
    rows: list[tuple[str, dict[str, str]]] = [
        *(_of_antennas(history) if data.antennas else _of_electrodes(history)),
        ("temperature / °C", temperatures),
        ("zone / mL", {"": "zone_volume_ml"}),
        *([("to vessels / W", vessels)] if vessels else []),
    ]
    shares = [1.7 if label.startswith("temperature") else 1.0 for label, _ in rows]
    figure = Figure(figsize=(9.6, 10.0 * sum(shares) / 6.7), layout="constrained")
    axes = figure.subplots(len(rows), 1, sharex=True, height_ratios=shares)
    off = _off_phases(minutes, history["power_w"])
    for ax, (label, curves) in zip(axes, rows, strict=True):
        for start, end in off:
            ax.axvspan(start, end, color="#dfe5ea", linewidth=0)
        for k, (name, key) in enumerate(curves.items()):
            ax.plot(minutes, history[key], color=f"C{k}" if name else "#1f5f8b", linewidth=1.1, label=plain(name))
        ax.set_ylabel(label, fontsize=9)
        ax.margins(x=0)
        if label.startswith("temperature"):
            for celsius in (50, 60, 100):
                ax.axhline(celsius, color="#9aa7b2", linewidth=0.7, linestyle=":")
            # Single spots that dry out get very hot; the scale is for the tissue that matters.
            ax.set_ylim(top=min(ax.get_ylim()[1], HOTTEST_SHOWN))
        else:
            ax.set_ylim(bottom=0)
        if len(curves) > 1:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=8, frameon=False)
        calm(ax)
        ax.grid(axis="y", color="#e6eaee", linewidth=0.6)
        ax.set_axisbelow(True)
    figure.align_ylabels(axes)
    axes[-1].set_xlabel("time / min" + ("   (grey: no power)" if off else ""))
    return figure


def _of_electrodes(history: Mapping[str, Floats]) -> list[tuple[str, dict[str, str]]]:
    return [
        ("power / W", _of_each(history, "power_w")),
        ("voltage / V", _of_each(history, "voltage_v")),
        ("current / A", _of_each(history, "current_a")),
        ("impedance / Ω", _of_each(history, "impedance_ohm")),
    ]


def _of_antennas(history: Mapping[str, Floats]) -> list[tuple[str, dict[str, str]]]:
    return [
        ("setting / W", _of_each(history, "power_w")),
        ("in tissue / W", {"": "absorbed_w"}),
        ("not absorbed / W", {"reflected": "reflected_w", "radiated": "radiated_w"}),
    ]


def _reaching(history: Mapping[str, Floats], curves: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """Add to the name of a temperature that leaves the picture how far it goes."""
    for name, key in curves.items():
        hottest = float(np.nanmax(history[key], initial=-np.inf))
        yield (f"{name} (up to {hottest:.0f} °C)" if hottest > HOTTEST_SHOWN else name), key


def _of_each(history: Mapping[str, Floats], column: str) -> dict[str, str]:
    """Return a column's name under the name of each applicator, or under none when there is only one applicator."""
    each = {key.removeprefix(f"{column}_"): key for key in history if key.startswith(f"{column}_")}
    return each or {"": column}


def _off_phases(minutes: Floats, power: Floats) -> list[tuple[float, float]]:
    """Return the spans of time in which less than 1 % of the highest power is delivered."""
    idle = np.nan_to_num(power) <= 0.01 * np.nanmax(power, initial=0.0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], idle, [False]]).astype(int)))
    return [
        (float(minutes[a]), float(minutes[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 1
    ]


def _window(cut: Section, highest: Floats, level: Floats, mirrored: bool) -> tuple[tuple[float, float], ...]:
    """Return the limits of the picture, in mm: zone and 50 °C isotherm with a margin, inside the mesh."""
    inside = (level > 0) | (highest > 50)
    shown = cut.points[inside] if inside.any() else np.array([[-10.0, -10.0], [10.0, 10.0]])
    low, high = shown.min(axis=0), shown.max(axis=0)
    if mirrored:
        low[0] = -high[0]
    margin = 0.18 * np.ptp([low, high], axis=0).max() + 1.0
    edge_low, edge_high = cut.points.min(axis=0), cut.points.max(axis=0)
    if mirrored:
        edge_low[0] = -edge_high[0]
    low, high = np.maximum(low - margin, edge_low), np.minimum(high + margin, edge_high)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def _draw_probes(ax: Axes, data: ReportData, plane: Plane) -> None:
    for name, position in data.probes.items():
        offset = np.asarray(position) - plane.origin
        if data.mesh.axisymmetric:
            along = float(offset @ plane.up)
            place = np.array([np.linalg.norm(offset - along * plane.up), along]) * 1e3
        elif abs(float(offset @ plane.normal)) < 1e-3:
            place = plane.project(np.asarray(position)[None])[0]
        else:
            continue
        x, y = float(place[0]), float(place[1])
        ax.plot(x, y, marker="x", color="white", markersize=5, markeredgewidth=1.3, path_effects=HALO, zorder=6)
        ax.annotate(
            plain(name),
            (x, y),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=7,
            color="white",
            path_effects=HALO,
            zorder=6,
            clip_on=True,
        )


def _entries(data: ReportData) -> list[Any]:
    """What the legend of the cross-section explains."""
    entries = [_line("zone", "zone edge"), _line("50", "50 °C"), _line("60", "60 °C")]
    strain = data.zone["contracted"]["strain"]
    if strain > 0:
        how = "about the tip" if data.displacement is None else "in the mean"
        entries.insert(1, _line("contracted", f"zone edge contracted by {100 * strain:.3g} % {how}"))
    return entries + _electrode_entry(data) + _vessel_entries(data)


def _line(key: str, label: str) -> Any:
    stroke = STROKES[key]
    return Line2D([], [], color=stroke.colour, linewidth=stroke.width, linestyle=stroke.pattern, label=label)


def _electrode_entry(data: ReportData) -> list[Any]:
    if not any(applicator.heated or applicator.tines for applicator in data.applicators):
        return []
    label = "radiating part" if data.antennas else "electrode"
    return [Polygon(np.zeros((3, 2)), facecolor=ELECTRODE, edgecolor=INK, linewidth=0.5, label=label)]


def _vessel_entries(data: ReportData) -> list[Any]:
    if data.surroundings is None:
        return []
    kinds = dict.fromkeys(vessel.kind for vessel in data.surroundings.vessels)
    found: list[Any] = [
        Patch(facecolor=KINDS[kind].colour, edgecolor="white", linewidth=0.8, label=KINDS[kind].name) for kind in kinds
    ]
    if data.surroundings.tumour is not None:
        found.append(Line2D([], [], color=TUMOUR, linewidth=1.6, label="tumour"))
    return found


def _dark_legend(figure: Figure, entries: list[Any]) -> None:
    # On a dark ground, as the lines in the picture are bright.
    figure.legend(
        handles=entries,
        loc="outside lower center",
        ncols=min(len(entries), 6),
        fontsize=8,
        facecolor="#453a4d",
        labelcolor="white",
        framealpha=1,
        edgecolor="none",
        handlelength=2.6,
    )
