"""Nodes moved so that the worst of the elements round them becomes better, on the surfaces that they lie on."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse

from ablationsim.mesh.mesh import Floats, Mesh
from ablationsim.mesh.ordering import adjacency
from ablationsim.mesh.sharing import Numbers
from ablationsim.mesh.snapping import freedom_of, projected
from ablationsim.mesh.splitting import Level

#: Nodes of elements with a quality below this are moved.
POOR = 0.4
#: How often each of them may move.
SWEEPS = 8

# Ways that a node tries: parts of the way to the middle of its neighbours, and steps along each axis, forth and back,
# of these parts of the mean distance to them.
_TO_MIDDLE = (1.0, 0.5, 0.2)
_STEPS = (0.2, 0.05)
# Of the mean ratio, for a move to be worth it.
_LEAST_GAIN = 1e-3


def smoothed(mesh: Mesh, level: Level, on_surface: NDArray[np.bool_]) -> Mesh:
    """Move the nodes of poor elements.

    Parameters
    ----------
    mesh : Mesh
        Tetrahedra; boundary and named facets keep their shape.
    level : callable
        Signed distance of points to a surface [m].
    on_surface : (n,) bool
        Nodes that stay on that surface.

    Returns
    -------
    Mesh
        The same with other points; no element is worse than the worst round one of its nodes was.
    """
    others = {name: facets for name, facets in mesh.facets.items() if not on_surface[facets].all()}
    freedom = freedom_of(Mesh(mesh.points, mesh.cells, mesh.regions, others, axisymmetric=False))
    points, cells = mesh.points.copy(), mesh.cells.astype(np.int64)
    neighbours = adjacency(mesh.cells, len(points))
    neighbours.setdiag(False)
    neighbours.eliminate_zeros()
    owner = np.argsort(cells.ravel(), kind="stable") // cells.shape[1]
    begin = np.concatenate([[0], np.cumsum(np.bincount(cells.ravel(), minlength=len(points)))])
    for _ in range(SWEEPS):
        poor = Mesh(points, mesh.cells, {}, {}, axisymmetric=False).quality() < POOR
        nodes = np.unique(cells[poor])
        nodes = nodes[np.abs(freedom[nodes]).sum(axis=(1, 2)) > 0.0]
        tried, able = _ways(points, nodes, neighbours, freedom, level, on_surface)
        if not _improve(points, cells, begin, owner, nodes, tried, able):
            break
    return Mesh(points, mesh.cells, mesh.regions, mesh.facets, axisymmetric=False)


def _ways(
    points: Floats,
    nodes: NDArray[np.int64],
    neighbours: sparse.csr_matrix,
    freedom: Floats,
    level: Level,
    on_surface: NDArray[np.bool_],
) -> tuple[Floats, NDArray[np.bool_]]:
    """Places (k, w, 3) that each node might move to, and which of them (k, w) are where it may be."""
    some = neighbours[nodes]
    count = np.diff(some.indptr)
    way = some @ points / count[:, None] - points[nodes]
    row = np.repeat(np.arange(len(nodes)), count)
    length = np.linalg.norm(points[some.indices] - points[nodes][row], axis=1)
    mean = np.bincount(row, length, len(nodes)) / count
    steps = [part * way for part in _TO_MIDDLE]
    steps += [sign * part * mean[:, None] * axis for part in _STEPS for axis in np.eye(3) for sign in (1.0, -1.0)]
    ways = np.stack(steps, axis=1)
    tried = points[nodes][:, None] + np.einsum("nij,nwj->nwi", freedom[nodes], ways)
    able = np.ones(tried.shape[:2], dtype=bool)
    bound = np.flatnonzero(on_surface[nodes])
    goal, arrived = projected(
        tried[bound].reshape(-1, 3), np.repeat(freedom[nodes[bound]], ways.shape[1], axis=0), level
    )
    tried[bound], able[bound] = goal.reshape(-1, ways.shape[1], 3), arrived.reshape(-1, ways.shape[1])
    return tried, able


@njit(cache=True)
def _improve(
    points: Floats,
    cells: Numbers,
    begin: Numbers,
    owner: Numbers,
    nodes: Numbers,
    tried: Floats,
    able: NDArray[np.bool_],
) -> int:
    """Move each node to the best of its places, if that is better than where it is; return how many moved."""
    moved = 0
    for k in range(len(nodes)):
        node = nodes[k]
        best = _worst(points, cells, owner, begin[node], begin[node + 1], -1.0)
        x, y, z = points[node, 0], points[node, 1], points[node, 2]
        for w in range(tried.shape[1]):
            if able[k, w]:
                before = points[node, 0], points[node, 1], points[node, 2]
                points[node, 0], points[node, 1], points[node, 2] = tried[k, w, 0], tried[k, w, 1], tried[k, w, 2]
                value = _worst(points, cells, owner, begin[node], begin[node + 1], best + _LEAST_GAIN)
                if value > best + _LEAST_GAIN:
                    best = value
                else:
                    points[node, 0], points[node, 1], points[node, 2] = before
        if x != points[node, 0] or y != points[node, 1] or z != points[node, 2]:
            moved += 1
    return moved


@njit(cache=True)
def _worst(points: Floats, cells: Numbers, owner: Numbers, first: int, last: int, enough: float) -> float:
    """The smallest mean ratio of the tetrahedra of a node, or any that is not above what is `enough` to stop.

    The mean ratio is 1 for a regular tetrahedron and negative for one inside out (Liu and Joe 1994).
    """
    worst = 1.0
    for place in range(first, last):
        a, b, c, d = cells[owner[place]]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        wx, wy, wz = points[d, 0] - points[a, 0], points[d, 1] - points[a, 1], points[d, 2] - points[a, 2]
        six = (uy * vz - uz * vy) * wx + (uz * vx - ux * vz) * wy + (ux * vy - uy * vx) * wz
        squares = ux * ux + uy * uy + uz * uz + vx * vx + vy * vy + vz * vz + wx * wx + wy * wy + wz * wz
        squares += (vx - ux) ** 2 + (vy - uy) ** 2 + (vz - uz) ** 2
        squares += (wx - vx) ** 2 + (wy - vy) ** 2 + (wz - vz) ** 2
        squares += (ux - wx) ** 2 + (uy - wy) ** 2 + (uz - wz) ** 2
        value = np.sign(six) * 12.0 * np.cbrt(0.25 * six * six) / squares
        if value < worst:
            worst = value
            if worst <= enough:
                return worst
    return worst
