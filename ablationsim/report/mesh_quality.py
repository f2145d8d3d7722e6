"""A mesh in pictures and numbers: the parts of the patient in it, a section, and how good its elements are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ablationsim.anatomy import VESSELS, Anatomy, Distance
from ablationsim.case import Case
from ablationsim.fem.tissue_share import TissueShare
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.patient import LIVER_SURFACE, OUTSIDE, TUMOUR_SURFACE
from ablationsim.mesh.quality import CLASSES, MeshQuality, Volumes
from ablationsim.report.painting import INK
from ablationsim.report.section import Plane
from ablationsim.vessels.contour import to_world

Floats = NDArray[np.float64]

WHOLE_LIVER = "whole liver"

_COLOURS = {"tissue": "#f0d9cd", "outside": "#e3e6e8", "tumour": "#e9a23b"}
_LUMEN = "#b9cde4"
_PART = "#8c2f39"
_SAMPLING = 0.7  # mm, of the outlines of parts


def distances_of(case: Case) -> dict[str, tuple[Distance, Anatomy, NDArray[np.bool_]]]:
    """Return the parts of the patient that a case knows of: distance, image and voxels, by name.

    Raises
    ------
    GeometryError
        When the image cannot be used.
    """
    if case.patient is not None:
        anatomy = case.patient.anatomy()
        found = {WHOLE_LIVER: (anatomy.distance(whole_liver=True), anatomy, anatomy.whole_liver)}
        names = [structure.name for structure in anatomy.of_role("tumour", *VESSELS)]
        return found | {name: (anatomy.distance(name), anatomy, anatomy.mask(name)) for name in names}
    tumour = case.tumour
    if tumour is None or tumour.labels is None or tumour.label is None:
        return {}
    anatomy = Anatomy.read(tumour.labels, {"tumour": tumour.label})
    return {"tumour": (anatomy.distance("tumour"), anatomy, anatomy.mask("tumour"))}


def volumes_of(case: Case, geometry: Geometry, mesh: Mesh) -> dict[str, Volumes]:
    """Return the volume of each part of the patient in the mesh, and in the voxels that lie in it.

    In the mesh it is what the solvers take for it: the region of a part that the mesh is fitted to; of others the share
    of each element that their surface leaves inside.

    Raises
    ------
    GeometryError
        When the image cannot be used.
    """
    if mesh.axisymmetric:
        return {}
    volumes, found = mesh.cell_volumes(), {}
    for name, (distance, anatomy, mask) in distances_of(case).items():
        if name == WHOLE_LIVER and LIVER_SURFACE in mesh.facets:
            inside = np.ones(len(volumes))
            inside[mesh.regions.get(OUTSIDE, [])] = 0.0
        elif TUMOUR_SURFACE in mesh.facets and case.patient is not None and name == case.patient.tumour:
            inside = np.zeros(len(volumes))
            inside[mesh.regions["tumour"]] = 1.0
        else:
            inside = 1.0 - TissueShare.outside(mesh, [distance]).share
        affine = anatomy.image.affine
        centres = to_world(affine, np.argwhere(mask).astype(np.float64))
        count = int(_in_block(geometry, centres).sum())
        found[name] = Volumes(float(inside @ volumes), count * float(abs(np.linalg.det(affine[:3, :3]))))
    return found


def quality_figure(case: Case, geometry: Geometry, mesh: Mesh, quality: MeshQuality) -> Figure:
    """Draw a section along the first shaft, the quality of the elements, and the lengths of their edges."""
    figure = Figure(figsize=(10.5, 6.2), layout="constrained")
    section, shapes, edges = figure.subplot_mosaic([["a", "b"], ["a", "c"]], width_ratios=[0.8, 1.0]).values()
    figure.legend(handles=_draw_section(section, case, geometry, mesh), loc="outside lower left", ncols=6, fontsize=9)
    shapes.hist(mesh.quality(), bins=40, range=(0.0, 1.0), color=INK)
    low, middle = quality.radius_ratio.low, quality.radius_ratio.median
    shapes.axvline(low, color=_PART, linewidth=1.2)
    shapes.set(xlim=(0.0, 1.0), xlabel="radius ratio of an element, 1 for a regular one", ylabel="elements")
    shapes.set_title(f"worst {quality.radius_ratio.least:.2f}, 5 % below {low:.2f}, median {middle:.2f}", fontsize=10)
    edges.hist(1e3 * quality.edges, bins=list(1e3 * CLASSES), color=INK)
    edges.set_xscale("log")
    ticks = [x for x in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if CLASSES[0] <= 1e-3 * x <= CLASSES[-1]]
    edges.set_xticks(ticks, [f"{x:g}" for x in ticks])
    edges.minorticks_off()
    edges.set(xlabel="length of an edge [mm]", ylabel="edges")
    edges.set_title(f"{quality.nodes} nodes, {quality.elements} elements", fontsize=10)
    for ax in (shapes, edges):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _in_block(geometry: Geometry, points: Floats) -> NDArray[np.bool_]:
    """Which points are in the block and in no shaft."""
    inside: NDArray[np.bool_] = geometry.domain.depth(points) > 0.0
    for applicator in geometry.applicators:
        local = applicator.to_device(points)
        for offset in applicator.shafts:
            lateral = np.hypot(*(local[:, :2] - offset).T)
            inside &= (lateral > applicator.radius) | (local[:, 2] < 0.0)
    return inside


def _draw_section(ax: Axes, case: Case, geometry: Geometry, mesh: Mesh) -> list[Artist]:
    """Draw the elements in the plane of the first shaft; returns what the legend has."""
    polygons: dict[str, list[Floats]]
    if mesh.axisymmetric:
        polygons = {name: list(1e3 * mesh.points[mesh.cells[cells]]) for name, cells in mesh.regions.items()}
        ax.set(xlabel="r [mm]", ylabel="z [mm]")
    else:
        first = geometry.applicators[0].placement
        plane = Plane(first.tip, first.rotation[:, 0], first.axis)
        polygons = {name: _cut(mesh.points, mesh.cells[cells], plane) for name, cells in mesh.regions.items()}
        ax.set(xlabel="across the shaft [mm]", ylabel="along the shaft, from the tip [mm]")
    for name, shapes in polygons.items():
        colour = _COLOURS.get(name, _LUMEN)
        ax.add_collection(PolyCollection(shapes, facecolors=colour, edgecolors=INK, linewidths=0.15, zorder=1))
    corners = np.concatenate([shape for shapes in polygons.values() for shape in shapes])
    (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
    ax.set(xlim=(left, right), ylim=(bottom, top))
    ax.set_aspect("equal")
    if not mesh.axisymmetric:
        _outline(ax, {name: distance for name, (distance, _, _) in distances_of(case).items()}, plane, corners)
    handles: list[Artist] = [
        Patch(facecolor=_COLOURS.get(name, _LUMEN), edgecolor=INK, label=name) for name in mesh.regions
    ]
    return handles + ax.get_legend_handles_labels()[0]


def _outline(ax: Axes, parts: Mapping[str, Callable[[Floats], Floats]], plane: Plane, corners: Floats) -> None:
    """Draw where the surfaces of parts of the patient cross the plane, whatever the mesh makes of them."""
    across, along = (np.arange(low, high, _SAMPLING) for low, high in zip(corners.min(0), corners.max(0), strict=True))
    places = np.stack(np.meshgrid(across, along), axis=-1)
    points = plane.origin + 1e-3 * (places[..., :1] * plane.right + places[..., 1:] * plane.up)
    for distance in parts.values():
        level = distance(points.reshape(-1, 3)).reshape(places.shape[:2])
        if level.min() < 0.0 < level.max():
            ax.contour(across, along, level, [0.0], colors=_PART, linewidths=1.3, zorder=2)
    if parts:
        ax.plot([], [], color=_PART, linewidth=1.3, label="surfaces in the image")


def _cut(points: Floats, cells: NDArray[np.int32], plane: Plane) -> list[Floats]:
    """The polygons, in mm, in which a plane cuts tetrahedra."""
    height = (points - plane.origin) @ plane.normal
    levels = height[cells]
    crossed = cells[(levels.min(axis=1) < 0.0) & (levels.max(axis=1) >= 0.0)]
    flat = plane.project(points)
    polygons = []
    for cell in crossed:
        below = [n for n in cell if height[n] < 0.0]
        above = [n for n in cell if height[n] >= 0.0]
        # In this order the points of a quadrangle go round.
        pairs = [(a, b) for i, a in enumerate(below) for b in (above if i % 2 == 0 else above[::-1])]
        shares = [height[a] / (height[a] - height[b]) for a, b in pairs]
        polygons.append(np.array([flat[a] + s * (flat[b] - flat[a]) for (a, b), s in zip(pairs, shares, strict=True)]))
    return polygons
