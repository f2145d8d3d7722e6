"""How the pictures of a report are painted: colours, and what all of them have of sections and applicators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Polygon
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from ablationsim.report.data import ApplicatorDrawing
from ablationsim.report.section import Plane, Section
from ablationsim.zone.marching import Ints

Floats = NDArray[np.float64]

INK = "#22303c"
ZONE = "#00d5e0"
ELECTRODE = "#f2b134"
SHAFT = "#cfd6dc"
# Brown living liver to pale coagulated liver; lightness rises evenly.
DAMAGE = LinearSegmentedColormap.from_list("damage", ["#4a2321", "#8a4f45", "#c39a82", "#f6eddd"])
SLIVER = 0.05
"""Triangles thinner than this, in mm, are not painted; about half a pixel."""
HALO: list[AbstractPathEffect] = [withStroke(linewidth=3.0, foreground="black", alpha=0.55)]


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
    "without": Stroke("white", 1.6, (5, 2)),
}


def paint(ax: Axes, half: Section, values: Floats, colours: Any, scale: Normalize) -> Any:
    """Paint a nodal field of a section."""
    # The painter widens every triangle by half a pixel, which smears steep colours out of slivers; leave those to
    # their neighbours.
    corners = half.points[half.triangles]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    a, b = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    wide = np.abs(a[0] * b[1] - a[1] * b[0]) > SLIVER * sides.max(axis=1)
    mesh = _triangulation(half, half.triangles[wide])
    return ax.tripcolor(mesh, values, shading="gouraud", cmap=colours, norm=scale, rasterized=True)


def draw_contour(ax: Axes, half: Section, values: Floats, at: float, stroke: Stroke) -> None:
    """Draw where a nodal field of a section has the value `at`, if anywhere."""
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


def draw_applicator(ax: Axes, applicator: ApplicatorDrawing, plane: Plane, top: float) -> None:
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


def calm(ax: Axes) -> None:
    """Leave of the frame what the scales need."""
    ax.tick_params(labelsize=8, color="#7b8894")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#7b8894")


def plain(text: str) -> str:
    """Return text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")
