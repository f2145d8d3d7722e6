"""Marching simplices: where a piecewise linear level passes through zero, cell by cell.

The answer is exact for the linear interpolant. In every cell the corners are put in order of falling level, so that
a triangle has two ways of being cut and a tetrahedron three; a number counts the positive corners. A new point is
written (i, j): the zero of the level on the edge from positive corner i to non-positive corner j; (i, i) is corner i.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Simplices = tuple[tuple[tuple[int, int], ...], ...]

# (vertices of a cell, positive corners) -> facets of the zero set; for a positively oriented cell a segment has the
# positive part on its left and the normal of a triangle points out of it
ZERO: dict[tuple[int, int], Simplices] = {
    (3, 1): (((0, 1), (0, 2)),),
    (3, 2): (((1, 2), (0, 2)),),
    (4, 1): (((0, 1), (0, 2), (0, 3)),),
    (4, 2): (((0, 2), (0, 3), (1, 3)), ((0, 2), (1, 3), (1, 2))),
    (4, 3): (((0, 3), (1, 3), (2, 3)),),
}


@dataclass(frozen=True, eq=False)
class Contour:
    """The zero set of a linear level: each point sits on the edge (start, end) of the mesh, `weight` of the way to end.

    Attributes
    ----------
    start, end : (n,) int
        Nodes at the ends of the edge; equal where the point is a node.
    weight : (n,) float64
        Position along the edge, 0 at `start`.
    facets : (k, d) int
        Point numbers of each facet: segments of triangles, triangles of tetrahedra.
    """

    start: Ints
    end: Ints
    weight: Floats
    facets: Ints

    def interpolate(self, nodal: Floats) -> Floats:
        """Return a nodal quantity, shape (nodes, ...), at the points of the contour."""
        weight = self.weight.reshape((-1,) + (1,) * (nodal.ndim - 1))
        return (1 - weight) * nodal[self.start] + weight * nodal[self.end]


def contour(cells: Ints, level: Floats) -> Contour:
    """Return the zero set of the linear level as facets that share their points.

    A level of exactly zero at a node makes that node a point of the contour, and facets that this shrinks to nothing
    are left out, so a surface stays closed wherever the mesh goes on.

    Parameters
    ----------
    cells : (m, v) int
        Triangles (v = 3, in a plane or in space) or tetrahedra (v = 4), positively oriented.
    level : (n,) float64
        Nodal values of the level.
    """
    size = cells.shape[1]
    ends = [np.empty((0, size - 1, 2), dtype=np.int64)]
    for count, _, ordered in _cut_cells(cells, level):
        for facet in ZERO[size, count]:
            ends.append(ordered[:, np.array(facet)].astype(np.int64))
    edges = np.concatenate(ends)
    at_node = level[edges[..., 1]] == 0
    edges[at_node, 0] = edges[at_node, 1]
    low, high = edges.min(axis=2), edges.max(axis=2)
    key, facets = np.unique((low * len(level) + high).ravel(), return_inverse=True)
    facets = facets.reshape(low.shape)
    for i in range(size - 1):
        facets = facets[facets[:, i] != facets[:, i - 1]]
    used, facets = np.unique(facets.ravel(), return_inverse=True)
    start, end = np.divmod(key[used], len(level))
    weight = np.zeros(len(used))
    between = start != end
    weight[between] = _zero(level[start[between]], level[end[between]])
    return Contour(start, end, weight, facets.reshape(-1, size - 1))


def _cut_cells(cells: Ints, level: Floats) -> Iterator[tuple[int, Ints, Ints]]:
    """Yield, for each number of positive corners, the cut cells with corners by falling level, orientation kept."""
    positive = level[cells] > 0
    count = positive.sum(axis=1)
    for number in range(1, cells.shape[1]):
        index = np.flatnonzero(count == number)
        if not len(index):
            continue
        order = np.argsort(-level[cells[index]], axis=1, kind="stable")
        # An odd permutation turns the cell inside out. Swapping two corners of the same sign puts that right.
        odd = sum(
            (order[:, i] > order[:, j]).astype(np.int64)
            for i in range(order.shape[1])
            for j in range(i + 1, order.shape[1])
        )
        first, second = (0, 1) if number > 1 else (order.shape[1] - 2, order.shape[1] - 1)
        flip = np.flatnonzero(np.asarray(odd) % 2)
        order[flip, first], order[flip, second] = order[flip, second], order[flip, first]
        yield number, index, np.take_along_axis(cells[index], order, axis=1)


def _zero(start: Floats, end: Floats) -> Floats:
    """Return where between two values of opposite sign the straight line passes through zero, 0 at the start."""
    return start / (start - end)
