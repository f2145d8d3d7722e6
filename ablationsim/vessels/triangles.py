"""Edges of triangulated surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.vessels.vessel import Floats, Ints

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sides:
    """The edges of a surface, sorted by how many triangles meet there.

    Attributes
    ----------
    open_edges : (b, 2) int64
        Points of edges of one triangle, in its direction.
    open_triangles : (b,) int64
        That triangle.
    crowded_edges, twisted_edges : (c, 2) int64
        Edges of more than two triangles; edges of two that both run along it in the same direction.
    neighbours : (k, 2) int64
        Triangles that share an edge; at crowded edges each with the next one.
    edges : (k, 2) int64
        That edge, in the direction of the first of both.
    same_direction, crowded : (k,) bool
        Whether both run along the edge in the same direction, and whether the edge is crowded.
    """

    open_edges: Ints
    open_triangles: Ints
    crowded_edges: Ints
    twisted_edges: Ints
    neighbours: Ints
    edges: Ints
    same_direction: Bools
    crowded: Bools

    @property
    def closed(self) -> bool:
        """Whether every edge is between two triangles that face one way."""
        return not (len(self.open_edges) or len(self.crowded_edges) or len(self.twisted_edges))


def sides_of(triangles: Ints) -> Sides:
    """Find the edges of triangles (m, 3)."""
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    owner = np.tile(np.arange(len(triangles)), 3)
    low, high = np.sort(directed, axis=1).T
    key = low * (int(high.max(initial=0)) + 1) + high
    order = np.argsort(key, kind="stable")
    key, directed, owner = key[order], directed[order], owner[order]
    _, starts, counts = np.unique(key, return_index=True, return_counts=True)
    many = np.repeat(counts, counts)
    same_edge = np.flatnonzero(key[1:] == key[:-1])
    same_direction = directed[same_edge, 0] == directed[same_edge + 1, 0]
    crowded = many[same_edge] > 2
    return Sides(
        open_edges=directed[many == 1],
        open_triangles=owner[many == 1],
        crowded_edges=directed[starts[counts > 2]],
        twisted_edges=directed[same_edge[same_direction & ~crowded]],
        neighbours=np.column_stack([owner[same_edge], owner[same_edge + 1]]),
        edges=directed[same_edge],
        same_direction=same_direction,
        crowded=crowded,
    )


def area_vectors(points: Floats, triangles: Ints) -> Floats:
    """Normal of each triangle times its area, shape (m, 3) [m2]."""
    corners = points[triangles]
    return np.asarray(0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
