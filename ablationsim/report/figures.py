"""The pictures of a report, as matplotlib figures that need no display."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from ablationsim.device.antenna import METAL
from ablationsim.report.data import AntennaDrawing, ApplicatorDrawing, ReportData
from ablationsim.report.section import Plane, Section, plane_through, section
from ablationsim.zone.marching import Ints

Floats = NDArray[np.float64]

ZERO_CELSIUS = 273.15
INK = "#22303c"
ZONE = "#00d5e0"
ELECTRODE = "#f2b134"
SHAFT = "#cfd6dc"
TISSUE = "#e9c9bf"
METAL_GREY = "#8d98a3"
DIELECTRICS = ("#fbf3d0", "#b9dca6", "#8fc4e8", "#d9b8e6", "#f4b183")
# Brown living liver to pale coagulated liver; lightness rises evenly.
DAMAGE = LinearSegmentedColormap.from_list("damage", ["#4a2321", "#8a4f45", "#c39a82", "#f6eddd"])
SLIVER = 0.05
"""Triangles thinner than this, in mm, are not painted; about half a pixel."""
HALO: list[AbstractPathEffect] = [withStroke(linewidth=3.0, foreground="black", alpha=0.55)]


ROUND_ANTENNA = 15.0
"""Tissue below the antenna that the picture of its field shows, in mm; above it half as much again."""
DENSITIES = (1e-3, 10.0)
"""Ends of the scale of the absorbed power density, in W/cm³ for one watt at the port."""
HOTTEST = 110.0
"""Upper end of the temperature scale of the cross-section in °C, just above boiling."""
HOTTEST_SHOWN = 130.0
"""Highest upper end of the temperature axis of the histories in °C."""


@dataclass(frozen=True)
class Stroke:
    """How a contour is drawn: colour, width, and lengths of dashes and gaps."""

    colour: str
    width: float
    dashes: tuple[float, ...] = ()

    @property
    def pattern(self) -> tuple[float, Sequence[float]] | Literal["solid"]:
        """The line style in matplotlib's words."""
        return (0.0, self.dashes) if self.dashes else "solid"


STROKES = {
    "50": Stroke("white", 1.2, (4, 2)),
    "60": Stroke("white", 1.2, (1, 1.3)),
    "zone": Stroke(ZONE, 2.0),
    "contracted": Stroke(ZONE, 1.6, (5, 2)),
}


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
    plane = plane_through(data.applicators)
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
    height = min(max(width / len(panels) * aspect * 0.80 + (1.7 if len(panels) == 2 else 2.2), 4.0), 9.0)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    # Single spots at the electrode dry out and get very hot; the scale is for the tissue that matters.
    heat = Normalize(float(np.floor(min(power_off.min(), highest.min()) / 5) * 5), HOTTEST)
    harm = Normalize(-data.level_span, data.level_span)
    for ax, (title, halves) in zip(axes, panels, strict=True):
        damage = title == "Damage"
        for half, values in halves:
            image = _paint(ax, half, values, DAMAGE if damage else "inferno", harm if damage else heat)
            isotherms = highest if damage else values
            for key in ("50", "60"):
                _contour(ax, half, isotherms, float(key), STROKES[key])
            _contour(ax, half, level, 0.0, STROKES["zone"])
            if damage:
                shrunk = Section(half.points * (1 - data.zone["contracted"]["strain"]), half.triangles, half.cut)
                _contour(ax, shrunk, level, 0.0, STROKES["contracted"])
        for applicator in data.applicators:
            _draw(ax, applicator, plane, top)
        _draw_probes(ax, data, plane)
        if len(halves) == 2 and not damage:
            ax.axvline(0, color="white", linewidth=0.8, alpha=0.8)
        ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xlabel="across the shaft / mm")
        ax.set_title(title, fontsize=10, color=INK)
        bar = figure.colorbar(
            image, ax=ax, location="bottom", shrink=0.8, aspect=30, extend="both" if damage else "max"
        )
        bar.set_label(_plain(data.level_label) + " (zone where above 0)" if damage else "temperature / °C", fontsize=9)
        _calm(ax)
        bar.ax.tick_params(labelsize=8)
    axes[0].set_ylabel("along the shaft, from the tip / mm")
    _legend(figure, data)
    return figure


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
            _calm(ax)
        if len(spans) > 1:
            block.suptitle(_plain(antenna.title), fontsize=10, color=INK)
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
        Patch(facecolor=colours[name], edgecolor=INK, linewidth=0.4, label=_plain(label))
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
    rows: list[tuple[str, dict[str, str]]] = [
        *(_of_antennas(history) if data.antennas else _of_electrodes(history)),
        ("temperature / °C", temperatures),
        ("zone / mL", {"": "zone_volume_ml"}),
    ]
    shares = [1.7 if label.startswith("temperature") else 1.0 for label, _ in rows]
    figure = Figure(figsize=(9.6, 10.0 * sum(shares) / 6.7), layout="constrained")
    axes = figure.subplots(len(rows), 1, sharex=True, height_ratios=shares)
    off = _off_phases(minutes, history["power_w"])
    for ax, (label, curves) in zip(axes, rows, strict=True):
        for start, end in off:
            ax.axvspan(start, end, color="#dfe5ea", linewidth=0)
        for k, (name, key) in enumerate(curves.items()):
            ax.plot(minutes, history[key], color=f"C{k}" if name else "#1f5f8b", linewidth=1.1, label=_plain(name))
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
        _calm(ax)
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


def _paint(ax: Axes, half: Section, values: Floats, colours: Any, scale: Normalize) -> Any:
    # The painter widens every triangle by half a pixel, which smears steep colours out of slivers; leave those to
    # their neighbours.
    corners = half.points[half.triangles]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    a, b = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    wide = np.abs(a[0] * b[1] - a[1] * b[0]) > SLIVER * sides.max(axis=1)
    mesh = _triangulation(half, half.triangles[wide])
    return ax.tripcolor(mesh, values, shading="gouraud", cmap=colours, norm=scale, rasterized=True)


def _contour(ax: Axes, half: Section, values: Floats, at: float, stroke: Stroke) -> None:
    if values.min() < at < values.max():
        lines = ax.tricontour(
            _triangulation(half, half.triangles),
            values,
            levels=[at],
            colors=stroke.colour,
            linewidths=stroke.width,
            linestyles=[stroke.pattern],
        )
        lines.set_path_effects(HALO)


def _triangulation(half: Section, triangles: Ints) -> Triangulation:
    return Triangulation(half.points[:, 0], half.points[:, 1], triangles)


def _draw(ax: Axes, applicator: ApplicatorDrawing, plane: Plane, top: float) -> None:
    """Draw shafts and tines as seen from in front of the plane; the bare electrode bright, what is behind faint."""
    up = np.array([applicator.axis @ plane.right, applicator.axis @ plane.up])
    across = np.array([up[1], -up[0]]) / max(float(np.linalg.norm(up)), 1e-9)
    radius, height = 1e3 * applicator.outline.T
    # The handle is far away: the shaft runs out of the picture.
    height = np.append(height, max(height[-1], 2 * abs(top) + 100.0))
    radius = np.append(radius, radius[-1])
    for offset in applicator.shafts:
        foot = applicator.tip + offset
        ends = foot + np.outer([0.0, *(high for _, high in applicator.heated)], applicator.axis)
        away = 1e3 * float(np.abs((ends - plane.origin) @ plane.normal).max())
        alpha = 1.0 if away < 2 * radius.max() else 0.35
        start = plane.project(foot[None])[0]
        _tube(ax, start, up, across, radius, height, SHAFT, alpha)
        for low, high in applicator.heated:
            z = np.unique(
                np.concatenate([[1e3 * low, 1e3 * high], height[(height > 1e3 * low) & (height < 1e3 * high)]])
            )
            _tube(ax, start, up, across, np.interp(z, height, radius), z, ELECTRODE, alpha)
    for tine in applicator.tines:
        away = np.abs((tine - plane.origin) @ plane.normal).max() * 1e3
        x, y = plane.project(tine).T
        alpha = 1.0 if away < 2 else 0.35
        shown = ax.plot(x, y, color=ELECTRODE, linewidth=1.4, alpha=alpha, zorder=4)
        shown[0].set_path_effects([withStroke(linewidth=2.4, foreground=INK, alpha=alpha)])


def _tube(
    ax: Axes, start: Floats, up: Floats, across: Floats, radius: Floats, height: Floats, colour: str, alpha: float
) -> None:
    middle, half_width = start + height[:, None] * up, radius[:, None] * across
    rim = np.concatenate([middle + half_width, (middle - half_width)[::-1]])
    ax.add_patch(Polygon(rim, facecolor=colour, edgecolor=INK, linewidth=0.5, alpha=alpha, zorder=5))


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
            _plain(name),
            (x, y),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=7,
            color="white",
            path_effects=HALO,
            zorder=6,
            clip_on=True,
        )


def _legend(figure: Figure, data: ReportData) -> None:
    def line(key: str, label: str) -> Line2D:
        stroke = STROKES[key]
        return Line2D([], [], color=stroke.colour, linewidth=stroke.width, linestyle=stroke.pattern, label=label)

    entries: list[Any] = [line("zone", "zone edge"), line("50", "50 °C"), line("60", "60 °C")]
    strain = data.zone["contracted"]["strain"]
    if strain > 0:
        entries.insert(1, line("contracted", f"zone edge contracted by {100 * strain:.3g} % about the tip"))
    if any(applicator.heated or applicator.tines for applicator in data.applicators):
        label = "radiating part" if data.antennas else "electrode"
        entries.append(Polygon(np.zeros((3, 2)), facecolor=ELECTRODE, edgecolor=INK, linewidth=0.5, label=label))
    # On a dark ground, as the lines in the picture are bright.
    figure.legend(
        handles=entries,
        loc="outside lower center",
        ncols=len(entries),
        fontsize=8,
        facecolor="#453a4d",
        labelcolor="white",
        framealpha=1,
        edgecolor="none",
        handlelength=2.6,
    )


def _calm(ax: Axes) -> None:
    ax.tick_params(labelsize=8, color="#7b8894")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#7b8894")


def _plain(text: str) -> str:
    """Return text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")
