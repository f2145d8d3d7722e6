"""What can be turned on a page: the surfaces of a run and of its patient, small enough to travel in the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.report.colours import LIVER, ROLES, margin_colours
from ablationsim.report.data import ApplicatorDrawing, ReportData
from ablationsim.report.painting import ELECTRODE, SHAFT, ZONE
from ablationsim.report.scene import TINE
from ablationsim.report.vessels import KINDS, TUMOUR
from ablationsim.vessels.contour import polydata
from ablationsim.vessels.tube import tube
from ablationsim.zone import Surface, zone_surface
from ablationsim.zone.contraction import moved
from ablationsim.zone.surface_distance import SurfaceDistance

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_TRIANGLES = {"liver": 24_000, "vessel": 40_000, "tumour": 16_000, "zone": 20_000, "other": 10_000}
"""Triangles to which a surface is thinned out; what is lost is less than a pixel of a page."""
CONTRACTED = "#0b8fd6"
LEAST_SHAFT = 0.09
"""Length of the shaft that is drawn where it is not known how far it reaches, in metres."""
ABOVE_METAL = 0.06
"""How far the surface of what heats stands out of the shaft in the picture, so that it is seen, in mm."""
PATIENT_VIEWS = {
    "front": (0.0, 1.0, 0.0),
    "back": (0.0, -1.0, 0.0),
    "right side": (1.0, 0.0, 0.0),
    "left side": (-1.0, 0.0, 0.0),
    "above": (0.0, 0.0, 1.0),
    "feet": (0.0, 0.0, -1.0),
}
"""Sides from which a patient is looked at, as directions to the eye, RAS."""
PATIENT_AXES = (("R", "L"), ("A", "P"), ("S", "I"))
PLAIN_AXES = (("x", ""), ("y", ""), ("z", ""))


@dataclass(frozen=True, eq=False)
class Solid:
    """A closed surface with a name.

    Attributes
    ----------
    name : str
    points : (n, 3) float64
        In mm.
    triangles : (m, 3) int64
    colour : str
    opacity : float
    shown : bool
        Whether it is there before anybody asks for it.
    colours : (n, 3) uint8 or None
        Of the points, in place of `colour`.
    """

    name: str
    points: Floats
    triangles: Ints
    colour: str
    opacity: float = 1.0
    shown: bool = True
    colours: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Space:
    """Solids, and how they are looked at first.

    Attributes
    ----------
    solids : sequence of Solid
        Translucent ones from the innermost to the outermost.
    centre : (3,) float64
        About which the view turns, in mm.
    height : float
        Of the first view, in mm.
    up, eye : (3,) float64
        What is up, and the direction from the centre to the eye.
    views : mapping of str to (3,) float64
        Directions to the eye that a reader can choose.
    axes : three pairs of str
        Names of the two ends of each axis of the world.
    required : float or None
        Margin wanted [m], where a solid is coloured by the margin.
    """

    solids: Sequence[Solid]
    centre: Floats
    height: float
    up: Floats
    eye: Floats
    views: dict[str, Floats]
    axes: Sequence[tuple[str, str]] = PLAIN_AXES
    required: float | None = None


def space_of(data: ReportData) -> Space:
    """Return what of a run can be turned; the zone of an axisymmetric one is swept about its axis."""
    zone = turned_about_axis(zone_surface(data.mesh, data.level).enclosing())
    needles = [solid for applicator in data.applicators for solid in needle_solids(applicator)]
    inner, outer = _tumours(data), _liver(data)
    solids = [*needles, *_vessels(data), *inner]
    if len(zone.facets):
        if data.displacement is not None:
            shrunk = turned_about_axis(zone_surface(moved(data.mesh, data.displacement), data.level).enclosing())
            solids.append(
                _thinned("zone, contracted", shrunk.points, shrunk.facets, CONTRACTED, "zone", 0.45, shown=False)
            )
        solids.append(_thinned("zone", zone.points, zone.facets, ZONE, "zone", 0.22))
    solids += [*outer, *_others(data)]
    focus = [1e3 * zone.points, *(solid.points for solid in inner)]
    focus += [1e3 * (a.tip + np.outer([low, high], a.axis)) for a in data.applicators for low, high in a.heated]
    seen = np.vstack(focus)
    low, high = seen.min(axis=0), seen.max(axis=0)
    first = data.applicators[0] if data.applicators else None
    views: dict[str, Floats] = {}
    if data.patient is not None:
        up, eye, axes = np.array([0.0, 0.0, 1.0]), np.array([0.45, 1.0, 0.35]), PATIENT_AXES
        views |= {name: np.array(direction) for name, direction in PATIENT_VIEWS.items()}
    else:
        up, eye, axes = np.array([0.0, 0.0, 1.0]), np.array([0.6, 1.0, 0.4]), PLAIN_AXES
        views |= dict(zip("xyz", np.eye(3), strict=True))
    if first is not None:
        views["along the needle"] = first.axis
    return Space(
        solids=[solid for solid in solids if len(solid.triangles)],
        centre=0.5 * (low + high),
        height=1.5 * max(float((high - low).max()), 40.0),
        up=up,
        eye=eye / np.linalg.norm(eye),
        views=views,
        axes=axes,
        required=None if data.margins is None else data.margins.undeformed.required,
    )


def needle_solids(applicator: ApplicatorDrawing) -> list[Solid]:
    """Return shafts and what heats of an applicator."""
    height = 1e3 * max(float(applicator.outline[-1, 1]), LEAST_SHAFT)
    profile = 1e3 * applicator.outline
    if profile[-1, 1] < height:
        profile = np.vstack([profile, [profile[-1, 0], height]])
    shafts, hot = [], []
    for offset in applicator.shafts:
        foot = 1e3 * (applicator.tip + offset)
        shafts.append(turned(profile, foot, applicator.axis))
        for low, high in applicator.heated:
            between = (profile[:, 1] > 1e3 * low) & (profile[:, 1] < 1e3 * high)
            heights = np.concatenate([[1e3 * low], profile[between, 1], [1e3 * high]])
            radii = np.interp(heights, profile[:, 1], profile[:, 0]) + ABOVE_METAL
            hot.append(turned(np.column_stack([radii, heights]), foot, applicator.axis))
    for tine in applicator.tines:
        wall = tube(tine, 2e-3 * TINE, sides=12).wall
        hot.append((1e3 * wall.points, wall.triangles))
    solids = [Solid(applicator.name, *joined(shafts), SHAFT)]
    return solids + ([Solid(f"{applicator.name}, heated part", *joined(hot), ELECTRODE)] if hot else [])


def turned(profile: Floats, foot: Floats, axis: Floats, sectors: int = 24) -> tuple[Floats, Ints]:
    """Return the surface that a profile (radius, height) sweeps about an axis, closed at both ends."""
    ends = np.vstack([[0.0, profile[0, 1]], profile, [0.0, profile[-1, 1]]])
    steps = np.arange(len(ends) - 1)
    swept = Surface(ends, np.column_stack([steps, steps + 1]), axisymmetric=True).revolve(sectors)
    across = np.eye(3)[np.argmin(np.abs(axis))]
    right = np.cross(axis, across) / np.linalg.norm(np.cross(axis, across))
    return foot + swept.points @ np.array([right, np.cross(axis, right), axis]), swept.facets.astype(np.int64)


def joined(surfaces: Iterable[tuple[Floats, Ints]]) -> tuple[Floats, Ints]:
    """Return several surfaces as one."""
    points, triangles, count = [], [], 0
    for corners, faces in surfaces:
        points.append(corners)
        triangles.append(faces + count)
        count += len(corners)
    return np.vstack(points), np.vstack(triangles)


def turned_about_axis(surface: Surface) -> Surface:
    """Return the surface in space of one that may be given in a half-plane."""
    return surface.revolve() if surface.axisymmetric else surface


def _tumours(data: ReportData) -> list[Solid]:
    if data.margins is not None:
        surface, zone = data.margins.undeformed.target.surface, data.margins.zone
        depth = SurfaceDistance(zone)(surface.points) if len(zone.facets) else np.full(len(surface.points), -np.inf)
        colours = margin_colours(depth, data.margins.undeformed.required)
        triangles = surface.facets.astype(np.int64)
        return [Solid("tumour, by margin", 1e3 * surface.points, triangles, TUMOUR, colours=colours)]
    if data.surroundings is None or data.surroundings.tumour is None:
        return []
    wall = data.surroundings.tumour
    return [_thinned("tumour", wall.points, wall.triangles, TUMOUR, "tumour")]


def _vessels(data: ReportData) -> list[Solid]:
    """Those of the model; where it has none, those of the patient."""
    if data.surroundings is not None and data.surroundings.vessels:
        each = [(vessel.name, vessel.wall, KINDS[vessel.kind].colour) for vessel in data.surroundings.vessels]
    elif data.patient is not None:
        roles = ("hepatic_vein", "portal_vein", "hepatic_artery", "vena_cava")
        each = [(found.name, found.wall, ROLES[found.role]) for found in data.patient.of_role(*roles)]
    else:
        each = []
    return [_thinned(name, wall.points, wall.triangles, colour, "vessel") for name, wall, colour in each]


def _liver(data: ReportData) -> list[Solid]:
    if data.patient is None:
        return []
    return [
        _thinned(found.name, found.wall.points, found.wall.triangles, LIVER, "liver", 0.16)
        for found in data.patient.of_role("liver")
    ]


def _others(data: ReportData) -> list[Solid]:
    if data.patient is None:
        return []
    return [
        _thinned(
            found.name.replace("_", " "),
            found.wall.points,
            found.wall.triangles,
            ROLES[found.role],
            "other",
            0.12 if found.role == "body" else 0.5,
            found.role != "body",
        )
        for found in data.patient.of_role("bile_duct", "organ", "bone", "body")
    ]


def _thinned(
    name: str, points: Floats, triangles: NDArray[Any], colour: str, kind: str, opacity: float = 1.0, shown: bool = True
) -> Solid:
    """A surface in metres as a solid of at most so many triangles as its kind may have."""
    most = MOST_TRIANGLES[kind]
    points, triangles = 1e3 * points, triangles.astype(np.int64)
    if len(triangles) > most:
        points, triangles = _decimated(points, triangles, most)
    return Solid(name.replace("_", " "), points, triangles, colour, opacity, shown)


def _decimated(points: Floats, triangles: Ints, most: int) -> tuple[Floats, Ints]:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

    decimation = vtkQuadricDecimation()
    decimation.SetInputData(polydata(points, triangles))
    decimation.SetTargetReduction(1.0 - most / len(triangles))
    decimation.Update()
    found = decimation.GetOutput()
    fewer = vtk_to_numpy(found.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    return vtk_to_numpy(found.GetPoints().GetData()).astype(np.float64), fewer
