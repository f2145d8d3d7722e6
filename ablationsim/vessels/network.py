"""A skeleton of voxels as a network of strands between junctions and tips, and its tidying.

Thinning leaves more branches than a vessel has: spurs toward every bump of the wall, clusters of junctions where a
vessel divides once, small rings. What sticks out of the vessel by less than its own width is none of its branches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ablationsim.vessels.vessel import Floats, Ints

# Voxels that touch at a corner are 1.73 voxels apart; the next ones are 2.
_TOUCHING = 1.8
# A spur sticks out of the vessel by less than this part of the radius where it begins.
_SPUR = 1.0
# A ring shorter than this many radii surrounds no hole that could be seen.
_RING = 6.0


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


def traced(voxels: Ints, places: Floats, radii: Floats) -> list[Strand]:
    """Return the strands of a skeleton; voxels without neighbours are none.

    Parameters
    ----------
    voxels : (n, 3) int64
        Indices.
    places : (n, 3) float64
        Where they are, in metres.
    radii : (n,) float64
        Of the body there [m].
    """
    count = len(voxels)
    pairs = cKDTree(voxels).query_pairs(_TOUCHING, output_type="ndarray")
    crossing = np.bincount(pairs.ravel(), minlength=count) > 2
    clusters = _parts(pairs[crossing[pairs].all(axis=1)], count)
    neighbours: list[list[int]] = [[] for _ in range(count)]
    doors: list[list[int]] = [[] for _ in range(count)]
    for first, second in pairs.tolist():
        for one, other in ((first, second), (second, first)):
            if not crossing[one]:
                (doors if crossing[other] else neighbours)[one].append(other)
    strands = []
    for path in _paths(np.flatnonzero(~crossing).tolist(), neighbours):
        if path[0] in neighbours[path[-1]] and len(path) > 2:
            half = len(path) // 2
            strands += [_strand(path[: half + 1], places, radii), _strand([*path[half:], path[0]], places, radii)]
            continue
        if len(path) == 1:
            before, after = [*doors[path[0]], None, None][:2]
        else:
            before, after = ([*doors[end], None][0] for end in (path[0], path[-1]))
        strand = _strand(path, places, radii)
        for door, at_start in ((before, True), (after, False)):
            if door is not None:
                members = np.flatnonzero(clusters == clusters[door])
                node = int(members[0])
                strand = _reaching(strand, places[members].mean(axis=0), radii[members].max(), node, at_start)
        if len(strand.points) == 1:
            continue
        strands.append(strand)
    return strands


def _parts(pairs: Ints, count: int) -> Ints:
    links = coo_array((np.ones(len(pairs), dtype=np.int8), tuple(pairs.T)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _paths(members: list[int], neighbours: list[list[int]]) -> Iterator[list[int]]:
    """Chains of voxels with at most two neighbours each; first those with ends, then closed ones."""
    seen: set[int] = set()
    for closed in (False, True):
        for first in members:
            if first in seen or (not closed and len(neighbours[first]) > 1):
                continue
            path = [first]
            seen.add(first)
            while onward := [other for other in neighbours[path[-1]] if other not in seen]:
                path.append(onward[0])
                seen.add(onward[0])
            yield path


def _strand(path: list[int], places: Floats, radii: Floats) -> Strand:
    return Strand(places[path], radii[path], path[0], path[-1])


def _reaching(strand: Strand, place: Floats, radius: float, node: int, at_start: bool) -> Strand:
    """Strand with a junction joined on at one of its ends."""
    if not at_start:
        return _reaching(strand.reversed(), place, radius, node, True).reversed()
    points = np.vstack([place, strand.points])
    return Strand(points, np.concatenate([[radius], strand.radii]), int(node), strand.end)


def tidied(strands: list[Strand], voxel: float) -> list[Strand]:
    """Return the network without spurs, with junctions that lie within each other's radius as one, and without rings.

    Parameters
    ----------
    strands : list of Strand
    voxel : float
        Edge length of the voxels [m].
    """
    while True:
        before = len(strands)
        strands = _merged(_dissolved(_without_spurs(_without_rings(strands), voxel)))
        if len(strands) == before:
            return _without_rings(strands)


def degrees(strands: list[Strand]) -> Counter[int]:
    """How many strands end at each junction or tip."""
    return Counter(node for strand in strands for node in (strand.start, strand.end))


def _without_rings(strands: list[Strand]) -> list[Strand]:
    """Strands that return to where they began go when they are short, and are cut in two when they are long."""
    kept, free = [], 1 + max((max(strand.start, strand.end) for strand in strands), default=0)
    for strand in strands:
        if strand.start != strand.end:
            kept.append(strand)
        elif strand.length > _RING * strand.radii.max() and len(strand.points) > 3:
            half = len(strand.points) // 2
            kept.append(Strand(strand.points[: half + 1], strand.radii[: half + 1], strand.start, free))
            kept.append(Strand(strand.points[half:], strand.radii[half:], free, strand.end))
            free += 1
    return kept


def _without_spurs(strands: list[Strand], voxel: float) -> list[Strand]:
    count = degrees(strands)
    spurs: dict[int, list[tuple[float, int]]] = {}
    for number, strand in enumerate(strands):
        for here in (strand, strand.reversed()):
            if count[here.start] > 2 and count[here.end] == 1:
                out = here.length + here.radii[-1] - here.radii[0]
                if out < _SPUR * here.radii[0] + voxel:
                    spurs.setdefault(here.start, []).append((here.length, number))
    gone: set[int] = set()
    for node, found in spurs.items():
        # A body that is nothing but spurs keeps its two longest, which make one branch.
        kept = 2 if len(found) == count[node] else 0
        gone.update(number for _, number in sorted(found)[: len(found) - kept])
    return [strand for number, strand in enumerate(strands) if number not in gone]


def _dissolved(strands: list[Strand]) -> list[Strand]:
    """Join strands where only two meet."""
    count = degrees(strands)
    waiting = {node for node, times in count.items() if times == 2}
    while waiting:
        node = waiting.pop()
        meeting = [strand for strand in strands if node in (strand.start, strand.end)]
        if len(meeting) != 2:
            continue
        first = meeting[0] if meeting[0].end == node else meeting[0].reversed()
        second = meeting[1] if meeting[1].start == node else meeting[1].reversed()
        joined = Strand(
            np.vstack([first.points, second.points[1:]]),
            np.concatenate([first.radii, second.radii[1:]]),
            first.start,
            second.end,
        )
        strands = [strand for strand in strands if strand not in meeting] + [joined]
    return strands


def _merged(strands: list[Strand]) -> list[Strand]:
    """Join junctions of which one lies within the radius of the other."""
    while True:
        count = degrees(strands)
        near = [
            strand
            for strand in strands
            if count[strand.start] > 2
            and count[strand.end] > 2
            and strand.length < max(strand.radii[0], strand.radii[-1])
        ]
        if not near:
            return strands
        shortest = min(near, key=lambda strand: strand.length)
        wide = shortest if shortest.radii[0] >= shortest.radii[-1] else shortest.reversed()
        rest = []
        for strand in strands:
            if strand is not shortest:
                if strand.start == wide.end:
                    strand = _reaching(strand, wide.points[0], wide.radii[0], wide.start, True)
                if strand.end == wide.end:
                    strand = _reaching(strand, wide.points[0], wide.radii[0], wide.start, False)
                rest.append(strand)
        strands = _without_rings(rest)


def renumbered(strands: list[Strand]) -> list[Strand]:
    """Return the same network with junctions and tips numbered from 0."""
    nodes = sorted(degrees(strands))
    number = {node: position for position, node in enumerate(nodes)}
    return [replace(strand, start=number[strand.start], end=number[strand.end]) for strand in strands]
