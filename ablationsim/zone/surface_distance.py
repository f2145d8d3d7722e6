"""How deep points lie inside a closed surface, and where it is nearest to them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ablationsim.errors import GeometryError
from ablationsim.vessels.distance import nearest_place
from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.marching import Ints

_IN_LEAF = 4  # triangles, about


class SurfaceDistance:
    """Signed distance to a closed surface of triangles, positive inside; exact for its flat triangles.

    The nearest triangle is sought in a tree of boxes. The side on which a point lies is told by the normal of the face
    that its nearest place is in, or by the mean of those that meet at the edge or corner it is on, weighted with their
    angles there (Baerentzen and Aanaes 2005, IEEE Transactions on Visualization and Computer Graphics 11:243).

    Parameters
    ----------
    surface : Surface
        Closed triangles in space, normals outward, in metres.

    Raises
    ------
    GeometryError
        When it has no triangle, or is given in the half-plane of an axisymmetric mesh.
    """

    def __init__(self, surface: Surface) -> None:
        if surface.axisymmetric:
            raise GeometryError("A distance in space needs triangles: turn the outline of a zone with Surface.revolve.")
        corners = surface.points[surface.facets]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        size = np.linalg.norm(normals, axis=1)
        sound = size > 0.0
        if not sound.any():
            raise GeometryError("There is no distance to a surface without triangles.")
        corners, facets, normals = corners[sound], surface.facets[sound], normals[sound] / size[sound, None]
        order, self._low, self._high, self._begin = _tree(corners)
        self._corners = np.ascontiguousarray(corners[order])
        self._normals = _pseudonormals(facets[order], self._corners, normals[order], len(surface.points))

    def __call__(self, points: Floats) -> Floats:
        """Depth of each of the points ``(p, 3)`` inside the surface, shape (p,), in metres; negative outside."""
        points = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
        nearest, triangle, part = self._search(points)
        gap = nearest - points
        side = np.einsum("ij,ij->i", gap, self._normals[triangle, part])
        return np.where(side >= 0.0, 1.0, -1.0) * np.linalg.norm(gap, axis=1)

    def nearest(self, points: Floats) -> Floats:
        """Place of the surface that is nearest to each of the points ``(p, 3)``, shape (p, 3), in metres."""
        return self._search(np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3))[0]

    def _search(self, points: Floats) -> tuple[Floats, Ints, Ints]:
        """Nearest place to each point, its triangle, and the part of that: 0 face, 1-3 a corner, 4-6 an edge."""
        nearest = np.empty_like(points)
        triangle, part = np.empty(len(points), dtype=np.int64), np.empty(len(points), dtype=np.int64)
        _search(points, self._corners, self._low, self._high, self._begin, nearest, triangle, part)
        return nearest, triangle, part


def _tree(corners: Floats) -> tuple[Ints, Floats, Floats, Ints]:
    """Halve triangles at the middle of their longest extent, again and again.

    Returns their order (m,), the lower and upper corners of the box round each node (2^(levels + 1) - 1, 3), where the
    two below node i are 2 i + 1 and 2 i + 2, and the place in the order at which each leaf begins (2^levels + 1,).
    """
    count = len(corners)
    levels = max(0, math.ceil(math.log2(count / _IN_LEAF)))
    centres, order = corners.mean(axis=1), np.arange(count)
    for level in range(levels):
        begin = np.arange(2**level + 1) * count // 2**level
        number = np.repeat(np.arange(2**level), np.diff(begin))
        ordered = centres[order]
        extent = np.maximum.reduceat(ordered, begin[:-1]) - np.minimum.reduceat(ordered, begin[:-1])
        along = ordered[np.arange(count), extent.argmax(axis=1)[number]]
        order = order[np.lexsort((along, number))]
    begin = np.arange(2**levels + 1) * count // 2**levels
    low = [np.minimum.reduceat(corners.min(axis=1)[order], begin[:-1])]
    high = [np.maximum.reduceat(corners.max(axis=1)[order], begin[:-1])]
    while len(low[0]) > 1:
        low.insert(0, np.minimum(low[0][::2], low[0][1::2]))
        high.insert(0, np.maximum(high[0][::2], high[0][1::2]))
    return order, np.concatenate(low), np.concatenate(high), begin


def _pseudonormals(facets: Ints, corners: Floats, normals: Floats, points: int) -> Floats:
    """Normals that tell the side at the face, the corners and the edges of each triangle, shape (m, 7, 3).

    Edge i runs from corner i to the next. The lengths are of no importance.
    """
    found = np.empty((len(facets), 7, 3))
    found[:, 0] = normals
    summed = np.zeros((points, 3))
    for i in range(3):
        ahead, back = (corners[:, (i + k) % 3] - corners[:, i] for k in (1, 2))
        sine = np.linalg.norm(np.cross(ahead, back), axis=1)
        angle = np.arctan2(sine, np.einsum("ij,ij->i", ahead, back))
        np.add.at(summed, facets[:, i], angle[:, None] * normals)
    edges = np.concatenate([np.sort(facets[:, [i, (i + 1) % 3]], axis=1) for i in range(3)])
    _, number = np.unique(edges, axis=0, return_inverse=True)
    number = number.reshape(3, len(facets))
    at_edge = np.zeros((int(number.max()) + 1, 3))
    for i in range(3):
        np.add.at(at_edge, number[i], normals)
    for i in range(3):
        found[:, 1 + i] = summed[facets[:, i]]
        found[:, 4 + i] = at_edge[number[i]]
    return found


@njit(cache=True)
def _search(
    points: Floats,
    corners: Floats,
    low: Floats,
    high: Floats,
    begin: Ints,
    nearest: Floats,
    triangle: Ints,
    part: Ints,
) -> None:
    """Place of a surface that is nearest to each point, by the tree of `_tree`."""
    leaves = len(begin) - 1
    place, nodes, bounds = np.empty(3), np.empty(128, dtype=np.int64), np.empty(128)
    for i in range(points.shape[0]):
        point = points[i]
        best, count = np.inf, 1
        nodes[0], bounds[0] = 0, 0.0
        while count > 0:
            count -= 1
            if bounds[count] >= best:
                continue
            node = nodes[count]
            if node >= leaves - 1:
                leaf = node - (leaves - 1)
                for t in range(begin[leaf], begin[leaf + 1]):
                    where = nearest_place(point, corners[t], place)
                    square = 0.0
                    for k in range(3):
                        square += (point[k] - place[k]) ** 2
                    if square < best:
                        best = square
                        triangle[i], part[i] = t, where
                        nearest[i] = place
                continue
            first, second = 2 * node + 1, 2 * node + 2
            to_first, to_second = _to_box(point, low[first], high[first]), _to_box(point, low[second], high[second])
            if to_first < to_second:  # the nearer one is looked at next
                first, second, to_first, to_second = second, first, to_second, to_first
            nodes[count], bounds[count] = first, to_first
            nodes[count + 1], bounds[count + 1] = second, to_second
            count += 2


@njit(cache=True)
def _to_box(point: Floats, low: Floats, high: Floats) -> float:
    """Square of the distance of a point from a box."""
    square = 0.0
    for k in range(3):
        square += max(low[k] - point[k], 0.0, point[k] - high[k]) ** 2
    return square
