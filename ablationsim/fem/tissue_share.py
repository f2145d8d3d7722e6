"""Which part of each element is tissue, where a vessel runs through a mesh that does not know of it.

On an element that is partly tissue every integral is taken over that part alone (a finite-cell method: Parvizian,
Duester and Rank, 2007). The gradient of a linear function is constant on an element, so that its stiffness is exact for
the part, and nothing flows through the vessel from one side to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ablationsim.fem.cutting import positive_shares
from ablationsim.mesh.mesh import Mesh

Array = NDArray[np.float64]

LEAST = 1e-4
"""Share of tissue that an element inside a vessel keeps, so that every node has an equation."""

_EDGES = list(combinations(range(4), 2))
# Eight tetrahedra on the corners (0 to 3) and the middles of the edges (4 to 9, in the order of _EDGES) of one.
_PIECES = np.array(
    [[0, 4, 5, 6], [4, 1, 7, 8], [5, 7, 2, 9], [6, 8, 9, 3], [4, 5, 6, 8], [4, 5, 7, 8], [5, 6, 8, 9], [5, 7, 8, 9]]
)


@dataclass(frozen=True)
class TissueShare:
    """The tissue's part of each element.

    Attributes
    ----------
    share : (m,) array
        Of the element's volume.
    load : (m, 4) array
        Integral of each corner's shape function over the tissue, relative to the element's volume.
    beyond : (m,) array or None
        Of the element's volume, what lies beyond the organ that is modelled; the rest that is no tissue is the inside
        of vessels. None where nothing lies beyond.
    """

    share: Array
    load: Array
    beyond: Array | None = None

    @classmethod
    def outside(cls, mesh: Mesh, distances: Sequence[Callable[[Array], Array]]) -> TissueShare:
        """The part of each tetrahedron outside all vessels.

        Parameters
        ----------
        mesh : Mesh
            Tetrahedra.
        distances : sequence of callables
            Signed distance of points ``(p, 3)`` to the wall of each vessel, negative inside [m].
        """

        def level(points: Array) -> Array:
            return np.min([distance(points) for distance in distances], axis=0)

        nodal = level(mesh.points)
        cells = mesh.cells
        corners = mesh.points[cells]
        reach = np.linalg.norm(corners - corners.mean(axis=1, keepdims=True), axis=2).max(axis=1)
        found = nodal[cells]
        share = (found.mean(axis=1) > 0.0).astype(np.float64)
        load = np.repeat(0.25 * share[:, None], 4, axis=1)
        cut = np.flatnonzero((np.abs(found) <= 2.0 * reach[:, None]).any(axis=1))
        if len(cut):
            share[cut], load[cut] = _cut(mesh, cut, nodal, level)
        return cls(share, load)

    @classmethod
    def of_region(cls, mesh: Mesh, lumen: NDArray[np.integer]) -> TissueShare:
        """Every element whole, but the numbered ones, which are the inside of a vessel."""
        share = np.ones(len(mesh.cells))
        share[lumen] = 0.0
        return cls(share, np.repeat(0.25 * share[:, None], 4, axis=1))

    def both(self, other: TissueShare) -> TissueShare:
        """The tissue that both leave, where no element is cut by both."""
        return TissueShare(np.minimum(self.share, other.share), np.minimum(self.load, other.load))


def _cut(mesh: Mesh, cut: NDArray[np.intp], nodal: Array, level: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Share and load of the elements that a wall may cross, each in eight pieces with a level linear in each."""
    cells = mesh.cells[cut].astype(np.int64)
    pairs = np.sort(cells[:, _EDGES].reshape(-1, 2), axis=1)
    edges, number = np.unique(pairs, axis=0, return_inverse=True)
    middle = level(0.5 * (mesh.points[edges[:, 0]] + mesh.points[edges[:, 1]]))
    levels = np.concatenate([nodal[cells], middle[number.ravel()].reshape(-1, 6)], axis=1)
    pieces = np.ascontiguousarray(levels[:, _PIECES].reshape(-1, 4))
    found = np.empty(len(pieces))
    positive_shares(pieces, found)
    shares = found.reshape(-1, 8) / 8.0
    shape = np.vstack([np.eye(4), [0.5 * (np.eye(4)[a] + np.eye(4)[b]) for a, b in _EDGES]])
    return shares.sum(axis=1), shares @ shape[_PIECES].mean(axis=1)
