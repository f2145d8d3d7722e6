"""Finding the elements in which points lie, for millions of points.

Points come in an order in which neighbours are near each other, so that each is reached from the one before by a walk
through few elements: at every element on through the face that the point lies farthest beyond.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablationsim.fem.kernels import Array, walk_to_elements
from ablationsim.mesh.mesh import Mesh

Ints = NDArray[np.int64]

# In place of an element: the outside of the domain, and any other boundary (or a walk that did not arrive).
_OUTER, _CUT = -1, -2
_TOLERANCE = 1e-9  # of a barycentric coordinate
_LONGEST_WALK = 2000  # elements
_CANDIDATES = 40  # elements with the nearest centroids among which the nearest tissue is sought


@dataclass(frozen=True)
class Location:
    """Where points lie.

    Attributes
    ----------
    cells : (p,) int array
        Element that holds the point, or the nearest one; -1 where the point is outside the tissue, or in elements that
        this rank does not have.
    weights : (p, d + 1) array
        Barycentric coordinates in that element, none negative, of sum one; zero where there is none.
    size : (p,) array
        Length of the sides of a regular element as large as that element, which may be of another rank; infinite where
        the point is outside the tissue [m].
    """

    cells: Ints
    weights: Array
    size: Array


class Locator:
    """Finds the elements of a mesh in which points lie.

    Parameters
    ----------
    mesh : Mesh
        The tissue; its facets "outer" tell the outside of the domain from what is cut out of it.

    Attributes
    ----------
    size : (m,) array
        Length of the sides of a regular element as large as each element [m].
    low, high : (d,) arrays
        Corners of a box round the whole mesh [m].
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        corners = mesh.points[mesh.cells]
        edges = np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2)
        self._origin: Array = np.ascontiguousarray(corners[:, 0])
        self._inverse: Array = np.ascontiguousarray(np.linalg.inv(edges))
        self._neighbours = _neighbours(mesh)
        self._tree = cKDTree(corners.mean(axis=1))
        measure = np.abs(np.linalg.det(edges)) / math.factorial(mesh.dimension)
        regular = math.sqrt(3.0) / 4.0 if mesh.dimension == 2 else math.sqrt(2.0) / 12.0
        self.size: Array = (measure / regular) ** (1.0 / mesh.dimension)
        self._comm = mesh.distribution.comm
        self.low = self._comm.smallest(mesh.points.min(axis=0))
        self.high = self._comm.largest(mesh.points.max(axis=0))

    def find(self, points: Array, reach: float) -> Location:
        """Locate points ``(p, d)`` in the coordinates of the mesh [m].

        A point in what is cut out of the tissue takes the nearest tissue if that is within ``reach`` [m].
        """
        points = np.ascontiguousarray(points)
        cells = np.full(len(points), _CUT, dtype=np.int64)
        weights = np.zeros((len(points), self.mesh.dimension + 1))
        low, high = self.low, self.high
        slack = _TOLERANCE * float(np.max(high - low))
        cells[((points < low - slack) | (points > high + slack)).any(axis=1)] = _OUTER
        self._walk(points, np.flatnonzero(cells == _CUT), False, cells, weights)
        # Where the walk ended at a boundary, something that is cut out may have been in its way.
        again = np.flatnonzero((cells == _CUT) | ((cells == _OUTER) & (weights[:, 0] < 0.0)))
        self._walk(points, again, True, cells, weights)
        lost = self._lost(points, cells)
        found, of_found, distance = self._nearest(points[lost], reach)
        found[distance > self._comm.smallest(distance) * (1.0 + _TOLERANCE)] = -1
        cells[lost], weights[lost] = found, of_found
        self._agree(points, cells, weights)
        weights[cells < 0] = 0.0
        size = np.where(cells >= 0, self.size[cells], np.inf)
        return Location(np.maximum(cells, -1), weights, self._comm.smallest(size))

    def _lost(self, points: Array, cells: Ints) -> Ints:
        """Numbers of points in what is cut out of the tissue, the same on all ranks."""
        comm = self._comm
        if not self.mesh.distribution.parted:
            return np.flatnonzero(cells == _CUT)
        # Walks on a rank end where its elements end. For points that none has found, the rank nearby knows more.
        unknown = np.flatnonzero(comm.largest(cells.astype(np.float64)) < 0.0)
        distance, _ = self._tree.query(points[unknown])
        nearby = distance <= comm.smallest(distance)
        outside = comm.largest((nearby & (cells[unknown] == _OUTER)).astype(np.float64)) > 0.0
        return unknown[~outside]

    def _agree(self, points: Array, cells: Ints, weights: Array) -> None:
        """Settle on one element where ranks have found several that meet in a point."""
        distribution = self.mesh.distribution
        if not distribution.parted:
            return
        numbers = distribution.cell_numbers(len(self.mesh.cells))
        found = np.where(cells >= 0, numbers[cells], np.inf)
        agreed = self._comm.smallest(found)
        place = np.searchsorted(numbers, agreed)
        place[place == len(numbers)] = 0
        here = numbers[place] == agreed
        moved = here & (found != agreed)
        cells[:] = np.where(here, place, -1)
        inner = np.einsum("pij,pj->pi", self._inverse[cells[moved]], points[moved] - self._origin[cells[moved]])
        clipped = np.maximum(np.concatenate([1.0 - inner.sum(axis=1, keepdims=True), inner], axis=1), 0.0)
        weights[moved] = clipped / clipped.sum(axis=1, keepdims=True)

    def _walk(self, points: Array, which: Ints, from_nearest: bool, cells: Ints, weights: Array) -> None:
        """Walk to the points numbered ``which``, from the nearest centroid, or each from where the one before lay."""
        if len(which) == 0:
            return
        cells[which] = _CUT
        _, starts = self._tree.query(points[which] if from_nearest else points[which[:1]])
        walk_to_elements(
            points,
            which,
            np.asarray(starts, dtype=np.int64),
            self._origin,
            self._inverse,
            self._neighbours,
            _TOLERANCE,
            _LONGEST_WALK,
            cells,
            weights,
        )

    def _nearest(self, points: Array, reach: float) -> tuple[Ints, Array, Array]:
        """Element whose clipped barycentric coordinates bring each point nearest; -1 beyond ``reach``. And how near."""
        if len(points) == 0:
            return np.zeros(0, dtype=np.int64), np.zeros((0, self.mesh.dimension + 1)), np.zeros(0)
        _, near = self._tree.query(points, k=min(_CANDIDATES, len(self.mesh.cells)))
        near = near.reshape(len(points), -1)
        inner = np.einsum("pkij,pkj->pki", self._inverse[near], points[:, None] - self._origin[near])
        barycentric = np.concatenate([1.0 - inner.sum(axis=-1, keepdims=True), inner], axis=-1)
        clipped = np.maximum(barycentric, 0.0)
        clipped /= clipped.sum(axis=-1, keepdims=True)
        placed = np.einsum("pkc,pkcd->pkd", clipped, self.mesh.points[self.mesh.cells[near]])
        distance = np.linalg.norm(placed - points[:, None], axis=-1)
        rows, best = np.arange(len(points)), np.argmin(distance, axis=1)
        cells = np.where(distance[rows, best] <= reach, near[rows, best], -1)
        return cells, clipped[rows, best], distance[rows, best]


def _neighbours(mesh: Mesh) -> Ints:
    """Element across the face opposite to each node, ``(m, d + 1)``; negative numbers at a boundary."""
    count, corners = mesh.cells.shape
    opposite = [[j for j in range(corners) if j != i] for i in range(corners)]
    faces = np.sort(mesh.cells[:, opposite].reshape(count * corners, corners - 1), axis=1)
    ends = [nodes for name, nodes in mesh.facets.items() if name == "outer" or name.startswith("lumen_end:")]
    outer = np.sort(np.vstack(ends), axis=1)
    every = np.vstack([faces, outer])
    order = np.lexsort(every.T)
    same = (every[order[1:]] == every[order[:-1]]).all(axis=1)
    found = np.full(len(every), _CUT, dtype=np.int64)
    first, second = order[:-1][same], order[1:][same]
    # Faces are numbered element by element; the named facets of the outside come after them.
    found[first] = np.where(second < len(faces), second // corners, _OUTER)
    found[second] = np.where(first < len(faces), first // corners, _OUTER)
    return found[: len(faces)].reshape(count, corners)
