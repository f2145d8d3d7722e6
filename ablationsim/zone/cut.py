"""The cells that the surface of a zone passes through, gathered from all ranks."""

from __future__ import annotations

import numpy as np

from ablationsim.mesh.mesh import Mesh
from ablationsim.zone.marching import Floats, Ints


def cut_cells(mesh: Mesh, level: Floats) -> tuple[Floats, Ints, Floats]:
    """Return the cells in which a level is positive at some corners and not at others, with their nodes alone.

    They are few beside those of the mesh, and the same on every rank. Cells and nodes keep the order of the whole
    mesh, so that what is made of them does not depend on the number of ranks.

    Parameters
    ----------
    mesh : Mesh
        The part of this rank, or the whole.
    level : (n,) float64
        Nodal values.

    Returns
    -------
    points : (p, d) float64
        The nodes.
    cells : (k, d + 1) int
        Their numbers at the corners of each cell.
    level : (p,) float64
        At the nodes.
    """
    distribution = mesh.distribution
    positive = (level[mesh.cells] > 0).sum(axis=1)
    chosen = distribution.own_cells(np.arange(len(mesh.cells)))
    chosen = chosen[(positive[chosen] > 0) & (positive[chosen] < mesh.cells.shape[1])]
    corners = mesh.cells[chosen]
    used = np.unique(corners)
    node_numbers = distribution.node_numbers(len(mesh.points))
    cell_numbers = distribution.cell_numbers(len(mesh.cells))
    mine = (cell_numbers[chosen], node_numbers[corners], node_numbers[used], mesh.points[used], level[used])
    cells, corners, nodes, points, levels = (
        np.concatenate(parts) for parts in zip(*distribution.comm.gather(mine), strict=True)
    )
    nodes, first = np.unique(nodes, return_index=True)
    return points[first], np.searchsorted(nodes, corners[np.argsort(cells)]), levels[first]
