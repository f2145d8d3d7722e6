"""Size and shape of an ablation zone.

Lengths are taken on the closed outer surface of the zone, which encloses needles (`Surface.enclosing`); `volume_ml` is
the coagulated tissue alone. With several applicators, "along" and "across" refer to the shaft of the first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.errors import GeometryError
from ablationsim.mesh.mesh import Mesh
from ablationsim.zone.extract import Surface, zone_surface, zone_volume
from ablationsim.zone.marching import contour

Floats = NDArray[np.float64]

MILLIMETRES = 1e3
MILLILITRES = 1e6
SECTIONS = 12
"""Number of planes through the shaft, at equal angles, over which the roundness of a zone in space is averaged."""


@dataclass(frozen=True)
class ZoneMetrics:
    """Size and shape of a zone; shape is None where there is no zone.

    Attributes
    ----------
    volume_ml : float
        Volume of coagulated tissue, in mL. Applicators inside the zone do not count.
    enclosed_volume_ml : float
        Volume inside the closed outer surface, in mL: with applicators and any viable cavity.
    surface_area_mm2 : float
        Area of the closed outer surface, in mm2.
    axial_length_mm : float or None
        Extent along the shaft of the first applicator, in mm.
    transverse_diameter_mm : float or None
        Largest diameter across that shaft, in mm: largest caliper of the zone seen along the shaft.
    transverse_minor_mm : float or None
        Caliper at right angles to the largest one, across the shaft, in mm. The same in an axisymmetric zone.
    aspect_ratio : float or None
        transverse_diameter_mm / axial_length_mm; above 1 when oblate.
    long_axis_mm, short_axis_mm : float or None
        Largest and smallest of axial length, transverse diameter and transverse minor, in mm.
    sphericity_axes : float or None
        short_axis_mm / long_axis_mm.
    sphericity_isoperimetric : float or None
        pi^(1/3) (6 V)^(2/3) / S with enclosed volume V and surface S; 1 for one sphere, less for several pieces.
        None also when the zone is cut off by the edge of the domain.
    roundness : float or None
        4 pi A / P^2 of the section through the shaft (area A, perimeter P), mean over `SECTIONS` planes in space.
        None also when the zone is cut off by the edge of the domain.
    beyond_tip_mm : float or None
        How far the zone reaches beyond the tip, along the shaft, in mm; negative where it ends short of the tip.
    pieces : int
        Number of separate pieces. All count in every number above.
    reaches_boundary : bool
        Whether the zone touches the edge of the domain, so that every size is too small.
    """

    volume_ml: float
    enclosed_volume_ml: float = 0.0
    surface_area_mm2: float = 0.0
    axial_length_mm: float | None = None
    transverse_diameter_mm: float | None = None
    transverse_minor_mm: float | None = None
    aspect_ratio: float | None = None
    long_axis_mm: float | None = None
    short_axis_mm: float | None = None
    sphericity_axes: float | None = None
    sphericity_isoperimetric: float | None = None
    roundness: float | None = None
    beyond_tip_mm: float | None = None
    pieces: int = 0
    reaches_boundary: bool = False

    def to_dict(self) -> dict[str, float | int | bool | None]:
        """Return the metrics under the keys that zone.json uses."""
        return asdict(self)


def measure(
    mesh: Mesh, level: Floats, tip: ArrayLike = (0.0, 0.0, 0.0), axis: ArrayLike = (0.0, 0.0, 1.0)
) -> ZoneMetrics:
    """Measure the zone {level > 0}; every rank gets the same of all of a distributed mesh.

    Parameters
    ----------
    mesh : Mesh
        The tissue, in metres.
    level : (n,) float64
        Nodal values of the level.
    tip, axis : (3,) float
        Tip of the first applicator, in metres, and direction of its shaft from the tip to the handle, both in the
        coordinates of the mesh. On an axisymmetric mesh the shaft is the z axis.

    Raises
    ------
    GeometryError
        When `axis` has no length, or leaves the z axis of an axisymmetric mesh.
    SolverError
        When the level is not finite everywhere.
    """
    tip_point, direction = np.asarray(tip, dtype=np.float64), _unit(axis)
    volume = zone_volume(mesh, level)
    outer = zone_surface(mesh, level).enclosing()
    rim = mesh.facets.get("outer")
    reaches = rim is not None and mesh.distribution.comm.any(bool((np.asarray(level)[rim] > 0).any()))
    if not len(outer.facets):  # nothing, or all there is
        return ZoneMetrics(volume * MILLILITRES, pieces=int(volume > 0), reaches_boundary=reaches)
    used = outer.points[np.unique(outer.facets)]
    if mesh.axisymmetric:
        if np.hypot(*direction[:2]) > 1e-6 or np.hypot(*tip_point[:2]) > 1e-9:
            raise GeometryError(
                f"An axisymmetric zone is measured along the z axis; the shaft given has its tip at "
                f"{tip_point.tolist()} m and the direction {direction.tolist()}."
            )
        along = (used[:, 1] - tip_point[2]) * direction[2]
        major = minor = 2 * float(used[:, 0].max())
        roundness = _circularity(*_half_section(outer))
    else:
        along = (used - tip_point) @ direction
        across = _across(direction)
        major, minor = _calipers((used - tip_point) @ across.T)
        roundness = _mean_roundness(outer, tip_point, direction, across)
    axial = float(np.ptp(along))
    enclosed, area = outer.volume(), outer.area()
    long_axis, short_axis = max(axial, major), min(axial, minor)
    return ZoneMetrics(
        volume_ml=volume * MILLILITRES,
        enclosed_volume_ml=enclosed * MILLILITRES,
        surface_area_mm2=area * MILLIMETRES**2,
        axial_length_mm=axial * MILLIMETRES,
        transverse_diameter_mm=major * MILLIMETRES,
        transverse_minor_mm=minor * MILLIMETRES,
        aspect_ratio=_ratio(major, axial),
        long_axis_mm=long_axis * MILLIMETRES,
        short_axis_mm=short_axis * MILLIMETRES,
        sphericity_axes=_ratio(short_axis, long_axis),
        sphericity_isoperimetric=None if reaches else _ratio(np.pi ** (1 / 3) * (6 * enclosed) ** (2 / 3), area),
        roundness=None if reaches else roundness,
        beyond_tip_mm=float(-along.min()) * MILLIMETRES,
        pieces=int(outer.pieces().max()) + 1,
        reaches_boundary=reaches,
    )


def _unit(axis: ArrayLike) -> Floats:
    direction = np.asarray(axis, dtype=np.float64)
    length = np.linalg.norm(direction)
    if direction.shape != (3,) or not length > 0:
        raise GeometryError(f"The direction of a shaft needs three components and a length, got {direction.tolist()}.")
    return direction / length


def _across(direction: Floats) -> Floats:
    """Return two unit vectors, as rows, at right angles to `direction` and to each other."""
    helper = np.eye(3)[np.argmin(np.abs(direction))]
    first = np.cross(direction, helper)
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(direction, first)])


def _calipers(plane: Floats) -> tuple[float, float]:
    """Return the largest diameter of points in a plane, and their extent at right angles to it."""
    from scipy.spatial import ConvexHull, QhullError
    from scipy.spatial.distance import pdist, squareform

    try:
        hull = plane[ConvexHull(plane).vertices]
    except QhullError:  # all on one line
        hull = plane[[plane[:, k].argmin() for k in range(2)] + [plane[:, k].argmax() for k in range(2)]]
    distance = squareform(pdist(hull))
    i, j = np.unravel_index(distance.argmax(), distance.shape)
    major = float(distance[i, j])
    if major == 0:
        return 0.0, 0.0
    x, y = (hull[j] - hull[i]) / major
    return major, float(np.ptp(hull @ np.array([-y, x])))


def _half_section(outer: Surface) -> tuple[float, float]:
    """Return area and perimeter of the section of an axisymmetric zone through its axis, both halves."""
    r, z = outer.points[outer.facets].transpose(2, 0, 1)
    return float(np.sum((z[:, 1] - z[:, 0]) * (r[:, 0] + r[:, 1]))), 2 * float(outer.lengths().sum())


def _mean_roundness(outer: Surface, tip: Floats, direction: Floats, across: Floats) -> float | None:
    """Return the mean circularity of the sections by planes through the shaft that meet the zone."""
    found = []
    for angle in np.pi * np.arange(SECTIONS) / SECTIONS:
        radial = np.cos(angle) * across[0] + np.sin(angle) * across[1]
        cut = contour(outer.facets, (outer.points - tip) @ np.cross(direction, radial))
        if not len(cut.facets):
            continue
        plane = cut.interpolate(outer.points - tip) @ np.array([radial, direction]).T
        start, end = plane[cut.facets[:, 0]], plane[cut.facets[:, 1]]
        area = abs(float(np.sum(start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]))) / 2
        circularity = _circularity(area, float(np.linalg.norm(end - start, axis=1).sum()))
        if circularity is not None:
            found.append(circularity)
    return float(np.mean(found)) if found else None


def _circularity(area: float, perimeter: float) -> float | None:
    return _ratio(4 * np.pi * area, perimeter**2)


def _ratio(numerator: float, denominator: float) -> float | None:
    return float(numerator / denominator) if denominator > 0 else None
