"""Simplices split where a level is zero, so that none has it inside.

Edges whose ends lie on different sides are halved where the level vanishes, one after the other, the longest first.
Every simplex at an edge is halved with it, so that neighbours still share whole faces (longest-edge bisection, Rivara
1984); the order is the same for all of them, so that each can be split for itself. A tetrahedron becomes six at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ablationsim.mesh.mesh import Floats, Ints

Level = Callable[[Floats], Floats]
"""Signed distance or another continuous function of points (p, 3) in metres, negative inside."""

_PRECISION = 1e-7  # of the place of a new node on its edge, relative to the length of the edge


@dataclass(frozen=True, eq=False)
class Split:
    """Edges that are split.

    Attributes
    ----------
    points : (n + k, 3) float64
        The nodes, and one on each edge, in metres.
    ends : (k, 2) int64
        The lower and the higher node of each edge; the first edge is split first.
    keys : (k,) int64
        Each edge as one number, rising.
    order : (k,) int64
        Place of each key in `ends`.
    nodes : int
        How many nodes there were, n.
    """

    points: Floats
    ends: NDArray[np.int64]
    keys: NDArray[np.int64]
    order: NDArray[np.int64]
    nodes: int

    def rank(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the split of each edge, k where it is none."""
        low, high = np.minimum(first, second), np.maximum(first, second)
        sought = low * self.nodes + high
        place = np.minimum(np.searchsorted(self.keys, sought), len(self.keys) - 1)
        known = (high < self.nodes) & (self.keys[place] == sought)
        return np.where(known, self.order[place], len(self.keys))


def split_edges(points: Floats, cells: Ints, values: Floats, level: Level) -> Split | None:
    """Find the edges whose ends have values of different sign, and where on each the level is zero.

    Parameters
    ----------
    points : (n, 3) float64
    cells : (m, 4) int32
    values : (n,) float64
        Level at the nodes; those where it is exactly zero are on neither side.
    level : callable

    Returns
    -------
    Split or None
        None when there are none.
    """
    pairs = np.concatenate([cells[:, pair] for pair in combinations(range(cells.shape[1]), 2)]).astype(np.int64)
    pairs = pairs[values[pairs[:, 0]] * values[pairs[:, 1]] < 0.0]
    if not len(pairs):
        return None
    n = len(points)
    keys = np.unique(pairs.min(axis=1) * n + pairs.max(axis=1))
    ends = np.column_stack([keys // n, keys % n])
    length = np.linalg.norm(points[ends[:, 1]] - points[ends[:, 0]], axis=1)
    # Equal lengths are told apart by the number of the edge, the same for all who share it.
    first = np.lexsort([keys, -length])
    order = np.empty(len(keys), dtype=np.int64)
    order[first] = np.arange(len(keys))
    ends = ends[first]
    return Split(np.vstack([points, _roots(points[ends], values[ends], level)]), ends, keys, order, n)


def _roots(corners: Floats, values: Floats, level: Level) -> Floats:
    """The points (k, 3) on edges (k, 2, 3) where the level is zero, whose values (k, 2) at the ends differ in sign."""
    # Here and not above: scipy.optimize is slow to load.
    from scipy.optimize import elementwise

    def on_edge(share: Floats, *ends: Floats) -> Floats:
        start, way = np.stack(ends[:3], axis=-1), np.stack(ends[3:], axis=-1)
        flat = (start + share[..., None] * way).reshape(-1, 3)
        return level(flat).reshape(share.shape)

    way = corners[:, 1] - corners[:, 0]
    first, last = np.zeros(len(corners)), np.ones(len(corners))
    # A node may count as beside the surface while its level is zero: such an edge is split where it seems to be.
    guess = values[:, 0] / (values[:, 0] - values[:, 1])
    found = elementwise.find_root(
        on_edge, (first, last), args=(*corners[:, 0].T, *way.T), tolerances={"xatol": _PRECISION, "xrtol": 0.0}
    )
    share = np.where(found.success, found.x, guess)
    return np.asarray(corners[:, 0] + share[:, None] * way)


def split_simplices(simplices: Ints, split: Split) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split every simplex that has a split edge.

    Parameters
    ----------
    simplices : (m, c) int32
        Triangles or tetrahedra.
    split : Split

    Returns
    -------
    pieces : (p, c) int64
        Oriented as what they are pieces of.
    parents : (p,) int64
        The simplex that each is a piece of.
    """
    corners = simplices.shape[1]
    pairs = list(combinations(range(corners), 2))
    open_, parents = simplices.astype(np.int64), np.arange(len(simplices))
    done, done_parents = [], []
    none = len(split.keys)
    while len(open_):
        ranks = np.column_stack([split.rank(open_[:, a], open_[:, b]) for a, b in pairs])
        first = ranks.argmin(axis=1)
        number = ranks[np.arange(len(open_)), first]
        whole = number == none
        done.append(open_[whole])
        done_parents.append(parents[whole])
        rest, edge, middle = open_[~whole], np.array(pairs)[first[~whole]], split.nodes + number[~whole]
        left, right = rest.copy(), rest.copy()
        rows = np.arange(len(rest))
        left[rows, edge[:, 1]] = middle
        right[rows, edge[:, 0]] = middle
        open_, parents = np.concatenate([left, right]), np.tile(parents[~whole], 2)
    pieces, parents = np.concatenate(done), np.concatenate(done_parents)
    order = np.argsort(parents, kind="stable")
    return pieces[order], parents[order]
