"""A block of tissue round a cylindrical electrode, of which every rank makes its own part and nothing else.

The block is a grid of cubes, each cut into six tetrahedra along its diagonal, with the nodes moved a little so that no
two elements are alike and no couplings vanish. Ranks have boxes of it, as nearly cubes as their number allows. Numbers
run along x fastest, then y, then z, which keeps neighbours close together.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from ablationsim.mesh.distribution import WHOLE, Distribution, Share
from ablationsim.mesh.mesh import Mesh
from ablationsim.parallel import Communicator, Ranks

SIDE = 0.06
"""Side of the block [m]."""
ELECTRODE_RADIUS, ELECTRODE_LENGTH = 3e-3, 20e-3
"""Of the electrode, which stands upright in the middle [m]."""
COARSEST = 20
"""Fewest cubes along each side."""

_MOVED = 0.1  # share of the grid's spacing by which nodes inside are moved along each axis at most

Ints = NDArray[np.int64]


def cube_cut() -> Ints:
    """Corners ``(6, 4, 3)`` of the tetrahedra of a cube: the ways along its edges, positively oriented."""
    steps = np.eye(3, dtype=np.int64)
    found = []
    for way in permutations(range(3)):
        corners = np.cumsum([np.zeros(3, dtype=np.int64), *steps[list(way)]], axis=0)
        if np.linalg.det(corners[1:].astype(float)) < 0.0:
            corners = corners[[0, 2, 1, 3]]
        found.append(corners)
    return np.array(found)


def boxes(ranks: int) -> tuple[int, int, int]:
    """Into how many parts to divide the three sides for a number of ranks, with the least surface between parts."""
    shapes = [
        (a, b, ranks // (a * b))
        for a in range(1, ranks + 1)
        if ranks % a == 0
        for b in range(a, ranks // a + 1)
        if ranks // a % b == 0 and ranks // (a * b) >= b
    ]
    return min(shapes, key=sum)


@dataclass(frozen=True)
class Block:
    """The grid and how it is divided.

    Attributes
    ----------
    n : int
        Cubes along each side; from `COARSEST` on the electrode has elements of its own.
    ranks : int
        Number of parts.
    """

    n: int
    ranks: int

    def __post_init__(self) -> None:
        if self.n < COARSEST:
            raise ValueError(
                f"a block of {self.n} cubes a side is too coarse for its electrode; take {COARSEST} or more"
            )

    @property
    def nodes(self) -> int:
        """Of the whole block."""
        return (self.n + 1) ** 3

    @property
    def cells(self) -> int:
        """Of the whole block."""
        return 6 * self.n**3

    def bounds(self) -> list[Ints]:
        """Where the parts of each axis begin, and where the last one ends, in nodes."""
        return [np.arange(parts + 1) * (self.n + 1) // parts for parts in boxes(self.ranks)]

    def mesh(self, comm: Communicator) -> Mesh:
        """The part of this rank; the whole block for a process that is alone."""
        bounds = self.bounds()
        place = np.unravel_index(comm.rank, boxes(self.ranks))
        first = np.array([bound[p] for bound, p in zip(bounds, place, strict=True)])
        last = np.array([bound[p + 1] for bound, p in zip(bounds, place, strict=True)])
        # Cubes with a corner of its own, and the nodes of those.
        low, high = np.maximum(first - 1, 0), np.minimum(last, self.n)
        cubes = _grid(low, high)
        shape = high - low + 1
        strides = np.array([1, shape[0], shape[0] * shape[1]])
        cut = cube_cut()
        cells = ((cubes - low) @ strides).astype(np.int32)[:, None, None] + (cut @ strides).astype(np.int32)
        cells = cells.reshape(-1, 4)
        numbers = ((cubes @ self._strides(self.n))[:, None] * 6 + np.arange(6)).ravel()
        grid = _grid(low, high + 1)
        mine = ((grid >= first) & (grid < last)).all(axis=1)
        if not mine.all():
            kept = mine[cells].any(axis=1)
            cells, numbers = cells[kept], numbers[kept]
        used = np.zeros(len(grid), dtype=bool)
        used[cells] = True
        order = np.concatenate([np.flatnonzero(mine), np.flatnonzero(used & ~mine)])
        owns = mine[cells.min(axis=1)]  # the lowest local number of a cell is that of its cube's first corner
        local = np.empty(len(grid), dtype=np.int32)
        local[order] = np.arange(len(order), dtype=np.int32)
        grid, cells = grid[order], local[cells]
        nodes = grid @ self._strides(self.n + 1)
        distribution: Distribution = WHOLE
        own = int(mine.sum())
        if isinstance(comm, Ranks):
            owner = self._owner(bounds, grid[own:])
            distribution = Share(comm, own, nodes, owner, numbers, owns, self.nodes, self.cells)
        facets = {"outer": self._outer(grid, cells), "electrode": _faces(cells, self._in_electrode(grid))}
        return Mesh(self._points(grid, nodes), cells, {}, facets, False, distribution)

    @staticmethod
    def _strides(count: int) -> Ints:
        return np.array([1, count, count * count])

    def _owner(self, bounds: list[Ints], grid: Ints) -> Ints:
        """Rank that each node of the grid belongs to."""
        places = [np.searchsorted(bound, grid[:, axis], side="right") - 1 for axis, bound in enumerate(bounds)]
        return np.ravel_multi_index(places, boxes(self.ranks)).astype(np.int64)

    def _points(self, grid: Ints, nodes: Ints) -> NDArray[np.float64]:
        """Coordinates ``(n, 3)`` [m] about the middle."""
        # Multiples of irrational numbers are as good as random, and the same on every rank.
        moved = (nodes[:, None] * np.sqrt([2.0, 3.0, 5.0])) % 1.0 - 0.5
        moved[(grid == 0) | (grid == self.n)] = 0.0
        moved[self._in_electrode(grid)] = 0.0
        return (grid + 2.0 * _MOVED * moved) * (SIDE / self.n) - SIDE / 2.0

    def _in_electrode(self, grid: Ints) -> NDArray[np.bool_]:
        x, y, z = (grid * (SIDE / self.n) - SIDE / 2.0).T
        inside: NDArray[np.bool_] = np.hypot(x, y) <= ELECTRODE_RADIUS + 1e-9
        return inside & (np.abs(z) <= 0.5 * ELECTRODE_LENGTH + 1e-9)

    def _outer(self, grid: Ints, cells: NDArray[np.int32]) -> NDArray[np.int32]:
        sides = [_faces(cells, grid[:, axis] == end) for axis in range(3) for end in (0, self.n)]
        return np.concatenate(sides)


def _grid(low: Ints, high: Ints) -> Ints:
    """Whole coordinates ``(n, 3)`` from ``low`` up to, and without, ``high``; x runs fastest."""
    z, y, x = np.meshgrid(*(np.arange(a, b) for a, b in zip(low[::-1], high[::-1], strict=True)), indexing="ij")
    return np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1)


def _faces(cells: NDArray[np.int32], marked: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Faces ``(k, 3)`` of the cells with all corners marked."""
    near = cells[marked[cells].sum(axis=1) >= 3]
    faces = np.concatenate([np.delete(near, corner, axis=1) for corner in range(4)])
    return faces[marked[faces].all(axis=1)]
