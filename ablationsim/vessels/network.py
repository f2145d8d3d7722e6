"""A skeleton of voxels as a network of strands between junctions and tips.

A skeleton has more lines than a vessel has branches: toward every bump of the wall, and across flat vessels. Strands
are picked by their length, in the way of TEASAR (Sato et al. 2000): the longest first, then from the farthest voxel
that lies outside what the strands so far stand for, which are spheres somewhat wider than the vessel. What is found is
a tree; a ring is opened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from ablationsim.vessels.vessel import Floats, Ints

# Voxels that touch at a corner are 1.73 voxels apart; the next ones are 2.
_TOUCHING = 1.8
# A branch reaches farther from the middle of a vessel than this many of its radii, and voxels.
_RADII, _VOXELS = 1.5, 1.5


@dataclass(frozen=True, eq=False)
class Strand:
    """A branch of a network.

    Attributes
    ----------
    points : (k, 3) float64
        From one end to the other, in metres; at least two.
    radii : (k,) float64
        Of the largest sphere round each point [m].
    start, end : int
        Numbers of the junctions or tips at the first and last point.
    """

    points: Floats
    radii: Floats
    start: int
    end: int

    @property
    def length(self) -> float:
        """In metres."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())

    def reversed(self) -> Strand:
        """Return the same strand from its end to its start."""
        return Strand(self.points[::-1], self.radii[::-1], self.end, self.start)


def strands_of(voxels: Ints, places: Floats, radii: Floats, voxel: float) -> list[Strand]:
    """Return the strands of a skeleton; a voxel without neighbours is none.

    Junctions of which one lies within the radius of the other are one.

    Parameters
    ----------
    voxels : (n, 3) int64
        Indices.
    places : (n, 3) float64
        Where they are, in metres.
    radii : (n,) float64
        Of the body there [m].
    voxel : float
        Edge length of the voxels [m].
    """
    before, kept = _kept(voxels, places, radii, voxel)
    linked = np.flatnonzero(kept & (before >= 0))
    count = np.bincount(np.concatenate([linked, before[linked]]), minlength=len(voxels))
    strands = []
    for node in np.flatnonzero(kept & (count != 2) & (before >= 0)).tolist():
        path = [node, int(before[node])]
        while count[path[-1]] == 2 and before[path[-1]] >= 0:
            path.append(int(before[path[-1]]))
        strands.append(Strand(places[path], radii[path], path[0], path[-1]))
    return _merged(strands)


def _kept(voxels: Ints, places: Floats, radii: Floats, voxel: float) -> tuple[Ints, NDArray[np.bool_]]:
    """For each voxel the one before it on the way to the root of its part, or -1; and whether a strand has it."""
    count = len(voxels)
    pairs = cKDTree(voxels).query_pairs(_TOUCHING, output_type="ndarray")
    lengths = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    graph = csr_array((lengths, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    parts, part = connected_components(graph, directed=False)
    # The voxel farthest from any other is at one end of the longest strand.
    _, anywhere = np.unique(part, return_index=True)
    distance = dijkstra(graph, directed=False, indices=anywhere, min_only=True)
    order = np.lexsort((distance, part))
    roots = order[np.searchsorted(part[order], np.arange(parts), side="right") - 1]
    distance, before, _ = dijkstra(graph, directed=False, indices=roots, min_only=True, return_predecessors=True)
    before = np.where(before >= 0, before, -1).astype(np.int64)
    tree = cKDTree(places)
    kept, covered = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    kept[roots] = True
    for farthest in np.argsort(-distance, kind="stable").tolist():
        if covered[farthest] or before[farthest] < 0:
            continue
        path = [farthest]
        while not kept[before[path[-1]]]:
            path.append(int(before[path[-1]]))
        kept[path] = True
        spheres = tree.query_ball_point(places[path], _RADII * radii[path] + _VOXELS * voxel)
        covered[np.concatenate([np.array(inside, dtype=np.int64) for inside in spheres])] = True
    return before, kept


def degrees(strands: list[Strand]) -> Counter[int]:
    """How many strands end at each junction or tip."""
    return Counter(node for strand in strands for node in (strand.start, strand.end))


def _merged(strands: list[Strand]) -> list[Strand]:
    """Join junctions of which one lies within the radius of the other."""
    while True:
        count = degrees(strands)
        near = [
            strand
            for strand in strands
            if min(count[strand.start], count[strand.end]) > 1
            and strand.length < max(strand.radii[0], strand.radii[-1])
        ]
        if not near:
            return strands
        shortest = min(near, key=lambda strand: strand.length)
        wide = shortest if shortest.radii[0] >= shortest.radii[-1] else shortest.reversed()
        strands = [_moved(strand, wide) for strand in strands if strand is not shortest]


def _moved(strand: Strand, link: Strand) -> Strand:
    """Strand that ends where `link` starts, if it ended where that ends."""
    if strand.start == link.end:
        points = np.vstack([link.points[0], strand.points])
        return Strand(points, np.concatenate([link.radii[:1], strand.radii]), link.start, strand.end)
    if strand.end == link.end:
        return _moved(strand.reversed(), link).reversed()
    return strand


def renumbered(strands: list[Strand]) -> list[Strand]:
    """Return the same network with junctions and tips numbered from 0."""
    number = {node: position for position, node in enumerate(sorted(degrees(strands)))}
    return [replace(strand, start=number[strand.start], end=number[strand.end]) for strand in strands]
