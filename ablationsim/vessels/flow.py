"""Which way blood flows through a tree, how much through each branch, and how each branch is modelled.

Centrelines come without a direction. Every connected part of a tree has one root: the end where blood enters (portal
vein, artery, tube) or leaves (hepatic veins). From the root the tree is followed along its thickest vessels first, so
that where vessels that touch in an image close a loop, the thinnest of the loop is the leak.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablationsim.vessels.nusselt import HEATED_LENGTH
from ablationsim.vessels.vessel import BloodModel, Branch, Centreline, Floats

PERFUSION_DIAMETER = 1.0e-3
"""Vessels of the liver thinner than this belong to the perfusion of the tissue [m]: over millimetres of way their blood
takes the temperature of the tissue, and images do not show most of them."""

TRANSPORT_DIAMETER = 3.0e-3
"""In vessels up to this diameter the blood's temperature is followed along its way [m]: in thicker ones it changes
little over the length of a zone."""

FIXED_LENGTHS = 3.0
"""Least equilibration length of blood that keeps its temperature, in heated lengths of 30 mm: over one of them it comes
nearer to the temperature of the wall by at most 28 % of the difference. A thick vessel in which blood flows so slowly
that it does not reach this is followed like a thin one."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A branch with its direction.

    Attributes
    ----------
    points, radii : (k, 3) and (k,) float64
        In the direction of the flow [m].
    start, end : int
        Number of the junction or tip where it begins and ends.
    number : int
        From 1, counted from the root outward; the first is the trunk.
    """

    points: Floats
    radii: Floats
    start: int
    end: int
    number: int

    @property
    def length(self) -> float:
        """Along the centreline [m]."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


def directed(
    centreline: Centreline, toward_root: bool = False, inlet: Sequence[float] | None = None
) -> tuple[Piece, ...]:
    """Give every branch its direction.

    Parameters
    ----------
    centreline : Centreline
    toward_root : bool
        Whether the blood flows to the root, as in hepatic veins, or away from it.
    inlet : sequence of float or None
        Point near the root [m]. Without it, and in parts of the tree that are not connected to that root, the thickest
        end is the root.

    Returns
    -------
    tuple of Piece
        With those first that the blood flows through first.
    """
    links = _links(centreline)
    rank: dict[int, int] = {}
    for root in _roots(centreline, links, inlet):
        _follow(root, centreline, links, rank)
    order = sorted(range(len(centreline.points)), key=lambda branch: _outward(centreline, branch, rank))
    pieces = []
    for number, branch in enumerate(order, start=1):
        first, last = (int(node) for node in centreline.ends[branch])
        forward = (rank[first] <= rank[last]) != toward_root or first == last
        step = 1 if forward else -1
        start, end = (first, last) if forward else (last, first)
        pieces.append(
            Piece(centreline.points[branch][::step], centreline.radii[branch][::step], start, end, number=number)
        )
    return tuple(reversed(pieces) if toward_root else pieces)


def murray_flows(pieces: Sequence[Piece], diameters: Mapping[int, float], constant: float) -> dict[int, float]:
    """Flow through each branch that goes with the cube of its diameter [m3/s].

    Parameters
    ----------
    pieces : sequence of Piece
    diameters : mapping of int to float
        Diameter of the lumen by the number of the piece [m].
    constant : float
        Flow over the cube of the diameter [1/s].
    """
    return {piece.number: constant * diameters[piece.number] ** 3 for piece in pieces}


def tube_flows(pieces: Sequence[Piece], diameters: Mapping[int, float], constant: float) -> dict[int, float]:
    """Flow through each piece of a tube [m3/s]: what enters leaves, shared at forks by the cubes of the diameters.

    Parameters
    ----------
    pieces : sequence of Piece
        Upstream ones first.
    diameters : mapping of int to float
        Diameter of the lumen by the number of the piece [m].
    constant : float
        Flow over the cube of the diameter where the tube begins [1/s].
    """
    cubes = {piece.number: diameters[piece.number] ** 3 for piece in pieces}
    leaving: dict[int, float] = {}
    for piece in pieces:
        leaving[piece.start] = leaving.get(piece.start, 0.0) + cubes[piece.number]
    arrived: dict[int, float] = {}
    flows = {}
    for piece in pieces:
        entered = arrived.get(piece.start, constant * leaving[piece.start])
        flows[piece.number] = entered * cubes[piece.number] / leaving[piece.start]
        if piece.end != piece.start:
            arrived[piece.end] = arrived.get(piece.end, 0.0) + flows[piece.number]
    return flows


def upstream_of(pieces: Sequence[Piece], flows: Mapping[int, float]) -> list[dict[int, float]]:
    """Which pieces bring how much blood to each piece [m3/s], by their place in the sequence.

    At a junction the blood of all that arrive is shared out in proportion to the flows of those that leave. No piece
    brings more than flows through it, and none gets more than flows through it: where the flows of a junction do not
    balance, the difference comes from, or goes to, vessels that are not in the tree.
    """
    arriving: dict[int, list[int]] = {}
    leaving: dict[int, float] = {}
    for place, piece in enumerate(pieces):
        # A loop of one piece would bring blood to itself.
        if piece.end != piece.start:
            arriving.setdefault(piece.end, []).append(place)
        leaving[piece.start] = leaving.get(piece.start, 0.0) + flows[piece.number]
    brought = []
    for piece in pieces:
        sources = arriving.get(piece.start, [])
        carried = sum(flows[pieces[place].number] for place in sources)
        largest = max(carried, leaving[piece.start])
        share = flows[piece.number] / largest if largest > 0.0 else 0.0
        shares = {place: share * flows[pieces[place].number] for place in sources}
        brought.append({place: flow for place, flow in shares.items() if flow > 0.0})
    return brought


def blood_model(kind: str, chosen: str, diameter: float, flow: float, equilibration_length: float) -> BloodModel:
    """How the blood of a branch is modelled.

    Parameters
    ----------
    kind : str
        Of the vessel; a tube is never part of the perfusion.
    chosen : {"auto", "fixed", "transport"}
        What the case says.
    diameter : float
        Of the lumen [m].
    flow : float
        [m3/s]
    equilibration_length : float
        See `Vessel.equilibration_length` [m].
    """
    if flow == 0.0:
        return "still"
    if kind != "tube" and diameter < PERFUSION_DIAMETER:
        return "perfusion"
    if chosen == "fixed":
        return "fixed"
    slow = equilibration_length < FIXED_LENGTHS * HEATED_LENGTH
    return "transport" if chosen == "transport" or slow or diameter <= TRANSPORT_DIAMETER else "fixed"


def mean_diameter(points: Floats, radii: Floats) -> float:
    """Diameter of the cylinder of the same length and volume [m]."""
    return Branch("", points, radii, {}, 0.0, "still", 0.0).diameter


def _links(centreline: Centreline) -> dict[int, list[int]]:
    """Branches at each junction or tip; one that ends where it begins is there twice."""
    links: dict[int, list[int]] = {}
    for branch, nodes in enumerate(centreline.ends):
        for node in nodes:
            links.setdefault(int(node), []).append(branch)
    return links


def _roots(centreline: Centreline, links: dict[int, list[int]], inlet: Sequence[float] | None) -> list[int]:
    """Root of each connected part; the one at the inlet first, or that with the thickest root."""
    parts = _parts(centreline, links)
    ends = [[node for node in part if len(links[node]) == 1] or part for part in parts]
    thickness = {node: max(_thickness_at(centreline, node, branch) for branch in links[node]) for node in links}
    roots = [max(nodes, key=lambda node: thickness[node]) for nodes in ends]
    if inlet is None:
        return sorted(roots, key=lambda node: -thickness[node])
    place = np.asarray(inlet, dtype=np.float64)
    far = {
        node: float(np.linalg.norm(_place(centreline, node, links[node][0]) - place))
        for nodes in ends
        for node in nodes
    }
    nearest = min(far, key=lambda node: far[node])
    others = [root for root, nodes in zip(roots, ends, strict=True) if nearest not in nodes]
    return [nearest, *sorted(others, key=lambda node: -thickness[node])]


def _parts(centreline: Centreline, links: dict[int, list[int]]) -> list[list[int]]:
    """Junctions and tips of each connected part."""
    parts, seen = [], set()
    for first in links:
        if first in seen:
            continue
        part, waiting = [], [first]
        seen.add(first)
        while waiting:
            node = waiting.pop()
            part.append(node)
            for branch in links[node]:
                for other in centreline.ends[branch]:
                    if int(other) not in seen:
                        seen.add(int(other))
                        waiting.append(int(other))
        parts.append(part)
    return parts


def _follow(root: int, centreline: Centreline, links: dict[int, list[int]], rank: dict[int, int]) -> None:
    """Number junctions and tips from the root on, along the thickest branches first.

    This is Prim's algorithm: the branches that it passes through are a spanning tree without the thinnest branch of
    any loop, and every junction has a higher number than the one it was reached from.
    """
    diameters = {}
    waiting = [(-np.inf, 0, root)]
    count = 0
    while waiting:
        _, _, node = heapq.heappop(waiting)
        if node in rank:
            continue
        rank[node] = len(rank)
        for branch in links[node]:
            if branch not in diameters:
                diameters[branch] = mean_diameter(centreline.points[branch], centreline.radii[branch])
            first, last = (int(end) for end in centreline.ends[branch])
            count += 1
            heapq.heappush(waiting, (-diameters[branch], count, last if first == node else first))


def _outward(centreline: Centreline, branch: int, rank: dict[int, int]) -> tuple[int, int, int]:
    """Sorts branches from the roots outward."""
    low, high = sorted(rank[int(node)] for node in centreline.ends[branch])
    return low, high, branch


def _place(centreline: Centreline, node: int, branch: int) -> Floats:
    return centreline.points[branch][0 if int(centreline.ends[branch, 0]) == node else -1]


def _thickness_at(centreline: Centreline, node: int, branch: int) -> float:
    """Mean radius of the half of a branch that is nearer to one of its ends; the last points alone are uncertain."""
    radii = centreline.radii[branch]
    half = max(len(radii) // 2, 1)
    near = radii[:half] if int(centreline.ends[branch, 0]) == node else radii[-half:]
    return float(near.mean())
