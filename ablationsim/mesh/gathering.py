"""A distributed mesh put together on the first rank, for what one process solves for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.mesh.mesh import Floats, Ints, Mesh
from ablationsim.parallel import on_first

Solve = Callable[[Floats, Ints, tuple[Floats, ...]], Floats]


def solved_on_first(mesh: Mesh, nodal: tuple[Floats, ...], solve: Solve) -> Floats:
    """Solve for nodal values on the first rank, and give every rank those of its nodes; all ranks call this.

    Parameters
    ----------
    mesh : Mesh
        The part of this rank, or the whole.
    nodal : tuple of (n, ...) float64
        Fields at the nodes that the solution depends on.
    solve : callable
        ``solve(points, cells, nodal)``: gets the whole mesh with nodes and cells in the order of their numbers, which
        does not depend on the number of ranks, and the fields; returns ``(N, ...)`` values at the nodes.

    Raises
    ------
    Exception
        On all ranks, whatever ``solve`` raises.
    """
    distribution = mesh.distribution
    if not distribution.parted:
        return solve(mesh.points, mesh.cells, nodal)
    comm = distribution.comm
    numbers = distribution.node_numbers(len(mesh.points))
    own_cells = distribution.own_cells
    piece: tuple[NDArray[Any], ...] = (
        distribution.own(numbers),
        own_cells(distribution.cell_numbers(len(mesh.cells))),
        numbers[own_cells(mesh.cells)],
        *(distribution.own(values) for values in (mesh.points, *nodal)),
    )
    everywhere = [numbers]
    pieces = [piece]
    if comm.rank:
        comm.send((numbers, piece), 0)
    else:
        for rank in range(1, comm.size):
            theirs = comm.receive(rank)
            everywhere.append(theirs[0])
            pieces.append(theirs[1])
    result: Floats | None = None

    def work() -> None:
        nonlocal result
        nodes, cell_numbers, cells, points, *fields = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        order = np.argsort(nodes)
        corners = cells[np.argsort(cell_numbers)].astype(np.int32)
        result = solve(points[order], corners, tuple(values[order] for values in fields))

    on_first(comm, work)
    if comm.rank:
        return np.asarray(comm.receive(0))
    assert result is not None
    for rank in range(1, comm.size):
        comm.send(result[everywhere[rank]], rank)
    return result[numbers]
