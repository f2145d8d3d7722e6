"""Pictures of margins: how they are spread over the tumour's surface, and in which direction they lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ablationsim.report.colours import margin_bands
from ablationsim.report.painting import INK, calm
from ablationsim.zone.case_margins import CaseMargins
from ablationsim.zone.margin import Margins
from ablationsim.zone.margin_sides import BLOCK, PATIENT

Floats = NDArray[np.float64]

_BIN = 1.0  # mm
_COLUMNS, _ROWS = 180, 90  # of the map
_HALO: list[AbstractPathEffect] = [withStroke(linewidth=2.5, foreground="white")]


def margin_figure(found: CaseMargins, axes: Sequence[ArrayLike]) -> Figure:
    """Draw the spread of the margins of both zones, and a map of those of the undeformed one by direction.

    Parameters
    ----------
    found : CaseMargins
    axes : sequence of (3,) float
        From the tip of each needle to its handle.
    """
    figure = Figure(figsize=(10.4, 4.1), layout="constrained")
    grid = figure.add_gridspec(1, 2, width_ratios=(1.0, 1.25))
    _histogram(figure.add_subplot(grid[0]), found)
    chart = figure.add_subplot(grid[1], projection="mollweide")
    if found.undeformed.found:
        _map(figure, chart, found.undeformed, axes, found.patient)
    else:
        chart.set_axis_off()
        chart.set_title("No zone: no margin", fontsize=10, color=INK)
    return figure


def _histogram(ax: Axes, found: CaseMargins) -> None:
    margins, areas = found.undeformed, found.undeformed.target.areas
    required = 1e3 * margins.required
    every = [1e3 * each.values[np.isfinite(each.values)] for each in (margins, found.contracted)]
    low = np.floor(min([0.0, *(values.min() for values in every if len(values))]))
    high = np.ceil(max([required, *(values.max() for values in every if len(values))])) + 1.0
    edges = np.arange(low, high + _BIN / 2, _BIN)
    ends = np.array([end for end, _ in margin_bands(margins.required)]) * 1e3
    colours = [colour for _, colour in margin_bands(margins.required)]
    if margins.found:
        # A bin that a band ends in is cut there, so that no colour covers what is of another one.
        fine = np.unique(np.concatenate([edges, ends[(ends > low) & (ends < high)]]))
        heights = _shares(every[0], areas, edges)[np.searchsorted(edges, fine[:-1], side="right") - 1]
        painted = [colours[k] for k in np.searchsorted(ends, (fine[:-1] + fine[1:]) / 2)]
        ax.bar(fine[:-1], heights, np.diff(fine), align="edge", color=painted, edgecolor="white", linewidth=0.4)
    if found.contracted.found:
        ax.stairs(_shares(every[1], areas, edges), edges, color=INK, linewidth=1.3, linestyle=(0, (4, 1.5)))
    for place, text, aside in ((0.0, "not covered", -10), (required, f"{required:.3g} mm wanted", 3)):
        ax.axvline(place, color=INK, linewidth=0.9)
        ax.annotate(
            text,
            (place, 1.0),
            (aside, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            rotation=90,
            va="top",
            fontsize=7.5,
            color=INK,
            path_effects=_HALO,
        )
    ax.set(xlabel="margin / mm", ylabel="share of the tumour's surface / %", xlim=(low, high))
    least = " · ".join(
        f"{name} {1e3 * each.least:.1f} mm"
        for name, each in (("undeformed", margins), ("contracted (dashed)", found.contracted))
        if each.found
    )
    ax.set_title(f"Least margin: {least or 'none'}", fontsize=10, color=INK)
    calm(ax)


def _shares(values: Floats, areas: Floats, edges: Floats) -> Floats:
    """Percent of the surface in each bin."""
    if not len(values):
        return np.zeros(len(edges) - 1)
    found, _ = np.histogram(np.clip(values, edges[0], edges[-1] - 1e-9), bins=edges, weights=areas)
    return np.asarray(100.0 * found / areas.sum())


def _map(figure: Figure, ax: Axes, margins: Margins, axes: Sequence[ArrayLike], patient: bool) -> None:
    outward = _unit(margins.target.points - margins.target.centre)
    longitude = np.linspace(-np.pi, np.pi, _COLUMNS + 1)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, _ROWS + 1)
    columns, rows = np.meshgrid((longitude[1:] + longitude[:-1]) / 2, (latitude[1:] + latitude[:-1]) / 2)
    across = np.cos(rows)
    looks = np.stack([-np.sin(columns) * across, np.cos(columns) * across, np.sin(rows)], axis=-1)
    # Of the few pieces in a direction the worst: on a folded surface there are several behind each other.
    _, near = cKDTree(outward).query(looks.reshape(-1, 3), k=[1, 2, 3])
    values = 1e3 * margins.values[near].min(axis=1).reshape(columns.shape)
    bands = margin_bands(margins.required)
    ends = [1e3 * end for end, _ in bands[:-1]]
    limits = [min(ends[0] - 1.0, values.min() - 1.0), *ends, max(ends[-1] + 1.0, values.max() + 1.0)]
    scale = BoundaryNorm(limits, len(bands))
    drawn = ax.pcolormesh(
        longitude, latitude, values, cmap=ListedColormap([c for _, c in bands]), norm=scale, rasterized=True
    )
    bar = figure.colorbar(drawn, ax=ax, shrink=0.8, pad=0.02, ticks=ends, spacing="uniform")
    bar.set_label("margin / mm", fontsize=8)
    bar.ax.tick_params(labelsize=7.5)
    ax.grid(visible=False)
    ax.set_xticks([])
    ax.set_yticks([])
    for name, vector in (PATIENT if patient else BLOCK).items():
        x, y = _place(np.array(vector))
        # What lies behind is at both ends of the map.
        for side in (-1, 1) if abs(abs(x) - np.pi) < 1e-9 else (0,):
            at = 0.97 * np.pi * side if side else x
            align = "left" if side < 0 else "right" if side > 0 else "center"
            y_at = float(np.clip(y, -1.4, 1.4))
            ax.text(at, y_at, name, ha=align, va="center", fontsize=8, color=INK, path_effects=_HALO)
    for axis in axes:
        for sign, marker, name in ((1.0, "o", "handle"), (-1.0, "v", "tip")):
            x, y = _place(sign * np.asarray(axis, dtype=np.float64))
            ax.plot(x, y, marker, color=INK, markersize=6, markeredgecolor="white")
            # Not over the title, nor over the name of the direction at a pole.
            aside = (12, -10) if y > 1.0 else (12, 6) if y < -1.0 else (6, 4)
            ax.annotate(name, (x, y), aside, textcoords="offset points", fontsize=7.5, color=INK, path_effects=_HALO)
    x, y = _place(margins.weakest - margins.target.centre)
    ax.plot(x, y, "x", color="black", markersize=9, markeredgewidth=2.4, path_effects=_HALO, zorder=9)
    ax.set_title("Margin by direction from the tumour's centre; × least", fontsize=10, color=INK)


def _place(vector: Floats) -> tuple[float, float]:
    """Longitude and latitude of a direction: front in the middle, right on the left as one looks at a patient."""
    x, y, z = _unit(vector)
    return float(np.arctan2(-x, y)), float(np.arcsin(np.clip(z, -1.0, 1.0)))


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, np.finfo(float).tiny))
