"""How far the zone reaches toward a vessel, and where a vessel comes nearest to what heats.

Both are exact for what they are given: a level that is linear in each tetrahedron, and a wall of flat triangles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.errors import GeometryError
from ablationsim.geometry.applicator import Applicator
from ablationsim.mesh.mesh import Mesh
from ablationsim.vessels.attach import attach
from ablationsim.vessels.vessel import Vessel, Wall

Floats = NDArray[np.float64]

TIE = 1e-6
"""Places on an axis whose distances to a wall differ by less count as equally near [m]: of a tube along the needle,
the place next to the middle of the axis is taken."""

_SLACK = 1e-9  # of a barycentric coordinate: neither an edge nor a face in the way of a ray is missed


@dataclass(frozen=True, eq=False)
class Approach:
    """Where a branch of a vessel comes nearest to an axis.

    Attributes
    ----------
    branch : int
        Number of the branch in its vessel.
    foot, point : (3,) float64
        Nearest places on the axis and on the wall of the branch, world coordinates [m].
    distance : float
        Between them [m].
    """

    branch: int
    foot: Floats
    point: Floats
    distance: float


def radius_toward(mesh: Mesh, level: Floats, origin: ArrayLike, direction: ArrayLike) -> float:
    """Return how far the zone {level > 0} reaches from a point along a ray, in metres.

    That is the distance to where the ray first leaves the zone after it has entered it: viable tissue between the
    needle and the zone, and needles that are cut out of the mesh, count as a part of the way.

    Parameters
    ----------
    mesh : Mesh
        Tetrahedra, in metres.
    level : (n,) float64
        Nodal values of the level.
    origin, direction : (3,) float
        Start of the ray in metres, such as a point on the axis of a needle, and its direction, of any length but zero.

    Returns
    -------
    float
        0 where the ray meets no zone; the distance to the end of the mesh where it does not leave the zone before.

    Raises
    ------
    GeometryError
        When the mesh is axisymmetric, or the direction has no length.
    """
    start, along = np.asarray(origin, dtype=np.float64), np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(along))
    if mesh.dimension != 3:
        raise GeometryError("How far a zone reaches toward a vessel can be told in a mesh of tetrahedra only.")
    if not length > 0.0:
        raise GeometryError(f"The direction of a ray needs a length, got {along.tolist()}.")
    inside, last = False, 0.0
    for low, high, before, after in _pieces(mesh, np.asarray(level, dtype=np.float64), start, along / length):
        inside = inside or before > 0.0
        if inside and before <= 0.0:  # it ended in what is cut out
            return last
        if inside and after <= 0.0:
            return float(low + (high - low) * before / (before - after))
        inside, last = inside or after > 0.0, float(high)
    return last if inside else 0.0


def _pieces(mesh: Mesh, level: Floats, start: Floats, along: Floats) -> Floats:
    """Pieces of a ray in each tetrahedron, in order: distance and level at both ends, shape (k, 4)."""
    offset = mesh.points - start
    helper = np.eye(3)[np.argmin(np.abs(along))]
    across = np.cross(along, helper)
    seen = offset @ np.column_stack([across, np.cross(along, across), along])
    corners = seen[mesh.cells]
    low, high = corners.min(axis=1), corners.max(axis=1)
    slack = _SLACK * float(np.ptp(seen))
    cells = mesh.cells[(low[:, :2] <= slack).all(axis=1) & (high >= -slack).all(axis=1)]
    # Barycentric coordinates along the ray: constant + slope * distance.
    inverse = np.linalg.inv(np.swapaxes(offset[cells[:, 1:]] - offset[cells[:, :1]], 1, 2))
    constant = -np.einsum("kij,kj->ki", inverse, offset[cells[:, 0]])
    slope = inverse @ along
    constant = np.column_stack([1.0 - constant.sum(axis=1), constant])
    slope = np.column_stack([-slope.sum(axis=1), slope])
    with np.errstate(divide="ignore", invalid="ignore"):
        zero = -(constant + _SLACK) / slope
    entry = np.maximum(np.where(slope > 0.0, zero, -np.inf).max(axis=1), 0.0)
    leave = np.where(slope < 0.0, zero, np.inf).min(axis=1)
    missed = ((slope == 0.0) & (constant < -_SLACK)).any(axis=1)
    met = np.flatnonzero((leave > entry) & np.isfinite(leave) & ~missed)
    met = met[np.argsort(entry[met] + leave[met], kind="stable")]
    values, entry, leave = level[cells[met]], entry[met], leave[met]
    at_start = ((constant[met] + slope[met] * entry[:, None]) * values).sum(axis=1)
    at_end = ((constant[met] + slope[met] * leave[:, None]) * values).sum(axis=1)
    return np.column_stack([entry, leave, at_start, at_end])


def heated_axis(applicator: Applicator) -> Floats:
    """Return the part of an applicator's axis along which it heats, from its lower to its upper end, shape (2, 3).

    Tines and the needles of a cluster count with the heights between which they heat. World coordinates, in metres.
    """
    heights = np.concatenate([(line - applicator.tip) @ applicator.axis for line, _ in applicator.heated_lines()])
    return applicator.tip + np.outer([heights.min(), heights.max()], applicator.axis)


def closest_approach(line: Floats, wall: Wall) -> tuple[Floats, Floats, float]:
    """Return where a straight line and a wall are nearest to each other.

    Parameters
    ----------
    line : (2, 3) float64
        Its ends, in metres.
    wall : Wall
        With at least one triangle.

    Returns
    -------
    foot, point : (3,) float64
        Nearest places on the line and on the wall, in metres; the same place where the line goes through the wall.
    distance : float
        Between them, in metres.

    Raises
    ------
    GeometryError
        When the wall has no triangle.
    """
    if not len(wall.triangles):
        raise GeometryError("A wall without triangles is nowhere near a needle.")
    corners = _nearest_triangles(line, wall.points[wall.triangles])
    along = line[1] - line[0]
    places, points = [], []
    for i in range(3):
        along_line, on_edge = _of_edges(line, corners[:, i], corners[:, (i + 1) % 3])
        places.append(along_line)
        points.append(on_edge)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    squares = np.maximum((normals**2).sum(axis=1), np.finfo(float).tiny)
    heights = np.einsum("ij,kij->ki", normals, line[:, None] - corners[:, 0])
    # Over a face, a line is nearest with an end (or all along, when parallel to it), unless it goes through.
    for s in (0.0, 0.5, 1.0):
        height = heights[0] + s * (heights[1] - heights[0])
        point = line[0] + s * along - (height / squares)[:, None] * normals
        over = _over(corners, normals, squares, point)
        places.append(np.full(np.count_nonzero(over), s))
        points.append(point[over])
    through = heights[0] * heights[1] < 0.0
    entry = heights[0][through] / (heights[0] - heights[1])[through]
    point = line[0] + entry[:, None] * along
    pierced = _over(corners[through], normals[through], squares[through], point)
    places.append(entry[pierced])
    points.append(point[pierced])

    place, reached = np.concatenate(places), np.concatenate(points)
    feet = line[0] + place[:, None] * along
    distance = np.linalg.norm(reached - feet, axis=1)
    near = np.flatnonzero(distance <= distance.min() + TIE)
    best = near[np.argmin(np.abs(place[near] - 0.5))]
    return feet[best], reached[best], float(distance[best])


def approaches(vessel: Vessel, axes: Sequence[Floats], reach: float) -> list[Approach]:
    """Return where the branches of a vessel come nearest to any of some axes, the nearest branch first.

    Parameters
    ----------
    vessel : Vessel
    axes : sequence of (2, 3) float64
        Ends of each, in metres.
    reach : float
        Distance up to which a branch counts [m].
    """
    wall = vessel.wall
    distance = np.min([_to_segment(wall.points, *axis)[1] for axis in axes], axis=0)
    corners = wall.points[wall.triangles]
    # A triangle can reach nearer than its corners, by no more than its longest side.
    near = np.flatnonzero(distance[wall.triangles].min(axis=1) <= reach + _longest_sides(corners))
    owners = attach(corners[near].mean(axis=1), vessel.branches)[0] if len(near) else near
    found = []
    for number in np.unique(owners):
        chosen = near[owners == number]
        piece = Wall(wall.points, wall.triangles[chosen], wall.capped[chosen])
        foot, point, least = min((closest_approach(axis, piece) for axis in axes), key=lambda place: place[2])
        if least <= reach:
            found.append(Approach(int(number), foot, point, least))
    return sorted(found, key=lambda approach: approach.distance)


def _nearest_triangles(line: Floats, corners: Floats) -> Floats:
    """Those triangles (k, 3, 3) that can hold the point of a wall which is nearest to a line."""
    distance = _to_segment(corners.reshape(-1, 3), *line)[1].reshape(-1, 3)
    return corners[distance.max(axis=1) - _longest_sides(corners) <= distance.min() + TIE]


def _longest_sides(corners: Floats) -> Floats:
    longest: Floats = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    return longest


def _to_segment(points: Floats, start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Place along a segment, 0 to 1, that is nearest to each point, and its distance."""
    along = end - start
    square = max(float(along @ along), np.finfo(float).tiny)
    place = np.clip((points - start) @ along / square, 0.0, 1.0)
    return place, np.linalg.norm(points - start - place[:, None] * along, axis=1)


def _of_edges(line: Floats, start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Place along a line and point on each edge (k, 3) that are nearest to each other (Ericson 2005)."""
    u, v, w = line[1] - line[0], end - start, line[0] - start
    tiny = np.finfo(float).tiny
    a, e = max(float(u @ u), tiny), np.maximum((v * v).sum(axis=1), tiny)
    b, c, f = v @ u, w @ u, (v * w).sum(axis=1)
    determinant = a * e - b * b
    parallel = determinant <= 1e-12 * a * e
    s = np.clip((b * f - c * e) / np.where(parallel, 1.0, determinant), 0.0, 1.0)
    # Beside a parallel edge every place is as near: the one next to the middle.
    ends = np.sort([-c / a, (b - c) / a], axis=0)
    s = np.where(parallel, np.clip(np.clip(0.5, *ends), 0.0, 1.0), s)
    t = (b * s + f) / e
    s = np.where(t < 0.0, np.clip(-c / a, 0.0, 1.0), np.where(t > 1.0, np.clip((b - c) / a, 0.0, 1.0), s))
    return s, start + np.clip(t, 0.0, 1.0)[:, None] * v


def _over(corners: Floats, normals: Floats, squares: Floats, points: Floats) -> NDArray[np.bool_]:
    """Whether points in the planes of triangles lie in the triangles; one point a triangle."""
    inside = np.ones(len(corners), dtype=bool)
    for i in range(3):
        edge = corners[:, (i + 1) % 3] - corners[:, i]
        side = (np.cross(edge, points - corners[:, i]) * normals).sum(axis=1)
        inside &= side >= -_SLACK * squares
    return inside
