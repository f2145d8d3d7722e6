"""Picture of a predicted zone over a measured one, in sections along the needle and across it, and of the margins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ablationsim.geometry.geometry import Geometry
from ablationsim.report.data import ApplicatorDrawing
from ablationsim.report.figures import png
from ablationsim.report.overlap_margins import MEASURED, PREDICTED, TUMOUR, draw_margins
from ablationsim.report.painting import INK, calm, draw_applicator, plain
from ablationsim.report.section import Plane, plane_through
from ablationsim.results.files import write_whole
from ablationsim.study.overlap import NOTICE, Overlap
from ablationsim.zone.extract import Surface
from ablationsim.zone.marching import contour
from ablationsim.zone.voxels import Grid, inside

Floats = NDArray[np.float64]

AREAS = {"in both": "#c9c3cf", "predicted only": "#a9d3ee", "measured only": "#f3c3a4"}

_PIXELS = 500


def write_picture(folder: Path, found: Overlap) -> Path:
    """Write overlap.png into a folder.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    path = folder / "overlap.png"
    write_whole(path, png(picture(found)))
    return path


def picture(found: Overlap) -> Figure:
    """Draw the sections of both zones through the first applicator's shaft, and across it where both are wide.

    Where there is a tumour it is drawn too, and a third panel has how its margins are spread over its surface.
    """
    applicators = [ApplicatorDrawing.of(each) for each in Geometry.from_case(found.result.case).applicators]
    along = plane_through(applicators)
    middle = float((found.predicted.surface.points.mean(axis=0) - along.origin) @ along.up)
    across = Plane(along.origin + middle * along.up, along.right, np.cross(along.up, along.right))
    low, high = _window(found, along)
    widths = _widths(found, along, across)
    more = [] if found.margins is None else [0.8 * sum(widths) / 2]
    figure = Figure(figsize=(10.4 if found.margins is None else 14.2, 6.2), layout="constrained")
    axes = figure.subplots(1, 2 + len(more), width_ratios=[*widths, *more])
    _draw_section(axes[0], found, along)
    for applicator in applicators:
        draw_applicator(axes[0], applicator, along, high[1])
    axes[0].set(
        xlim=(low[0], high[0]),
        ylim=(low[1], high[1]),
        xlabel="across the shaft / mm",
        ylabel="along the shaft, from the tip / mm",
    )
    axes[0].set_title("Through the shaft", fontsize=10, color=INK)
    low, high = _window(found, across)
    _draw_section(axes[1], found, across)
    axes[1].set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="across the shaft / mm")
    axes[1].set_title(f"Across the shaft, {1e3 * middle:.1f} mm from the tip", fontsize=10, color=INK)
    for ax in axes[:2]:
        ax.set_aspect("equal")
        calm(ax)
    if found.margins is not None:
        draw_margins(axes[2], found.margins)
    entries: list[Any] = [
        Line2D([], [], color=PREDICTED, linewidth=1.8, label=f"predicted, {found.frame}"),
        Line2D([], [], color=MEASURED, linewidth=1.8, linestyle=(0, (4, 1.5)), label="measured"),
    ]
    entries += [Patch(facecolor=colour, label=label) for label, colour in AREAS.items()]
    if found.margins is not None:
        entries.insert(2, Line2D([], [], color=TUMOUR, linewidth=1.4, label="tumour, where it was before"))
    figure.legend(handles=entries, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    numbers = found.agreement
    figure.suptitle(
        f"{plain(found.result.case.title)}\nDice {numbers.dice:.3f}, mean surface distance "
        f"{numbers.mean_surface_distance_mm:.2f} mm, 95 % Hausdorff distance {numbers.hausdorff_95_mm:.2f} mm, "
        f"aligned: {found.alignment.method}\n{NOTICE}",
        fontsize=9,
        color=INK,
    )
    return figure


def _draw_section(ax: Axes, found: Overlap, plane: Plane) -> None:
    """Paint what lies in both zones and in either, and the outlines."""
    low, high = _window(found, plane)
    spacing = float((high - low).max()) / _PIXELS
    count = np.ceil((high - low) / spacing).astype(int)
    grid = Grid(1e-3 * np.array([*low, 0.0]), 1e-3 * spacing, (int(count[0]), int(count[1]), 1))
    both = [inside(_turned(surface, plane), grid)[:, :, 0] for surface in (found.predicted.surface, found.measured)]
    kinds = np.where(both[0] & both[1], 0.0, np.where(both[0], 1.0, np.where(both[1], 2.0, np.nan)))
    right, top = low + spacing * count
    colours = ListedColormap(list(AREAS.values()))
    extent = (low[0], right, low[1], top)
    ax.imshow(kinds.T, origin="lower", extent=extent, cmap=colours, vmin=-0.5, vmax=2.5, interpolation="nearest")
    drawn: list[tuple[Surface, str, Any]] = [
        (found.predicted.surface, PREDICTED, "solid"),
        (found.measured, MEASURED, (0, (4, 1.5))),
    ]
    if found.margins is not None:
        drawn.append((found.margins.predicted.target.surface, TUMOUR, "solid"))
    for surface, colour, style in drawn:
        cut = contour(surface.facets, (surface.points - plane.origin) @ plane.normal)
        lines = plane.project(cut.interpolate(surface.points))[cut.facets]
        for outline in _outlines(lines, cut.facets):
            ax.plot(*outline.T, color=colour, linewidth=1.8, linestyle=style, zorder=6)


def _outlines(lines: Floats, facets: NDArray[Any]) -> list[Floats]:
    """Closed polylines (k, 2) of pieces that join where their numbers agree."""
    following = {int(start): (i, int(end)) for i, (start, end) in enumerate(facets)}
    found = []
    while following:
        start, (i, place) = following.popitem()
        outline = [lines[i, 0], lines[i, 1]]
        while place != start and place in following:
            i, place = following.pop(place)
            outline.append(lines[i, 1])
        found.append(np.array(outline))
    return found


def _turned(surface: Surface, plane: Plane) -> Surface:
    """A surface in the coordinates right, up and out of a plane, in metres."""
    axes = np.column_stack([plane.right, plane.up, plane.normal])
    return Surface((surface.points - plane.origin) @ axes, surface.facets, surface.axisymmetric)


def _window(found: Overlap, plane: Plane) -> tuple[Floats, Floats]:
    """Lower and upper ends of the picture in mm: zones and tumour with some room."""
    shown = [found.predicted.surface, found.measured]
    if found.margins is not None:
        shown.append(found.margins.predicted.target.surface)
    places = np.vstack([plane.project(surface.points) for surface in shown])
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.1 * float((high - low).max())
    return low - margin, high + margin


def _widths(found: Overlap, *planes: Plane) -> list[float]:
    """Shares of the picture's width at which both panels have about one scale."""
    return [float(np.ptp([end[0] for end in _window(found, plane)])) for plane in planes]
