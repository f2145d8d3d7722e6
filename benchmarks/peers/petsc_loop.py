"""The benchmark's problem distributed over ranks: compiled assembly into PETSc's own arrays.

``mpirun -n 2 python benchmarks/peers/petsc_loop.py --n 46``. Each rank owns rows and keeps every element that touches
them, so that it assembles its rows without sending anything: one sweep over the elements adds both matrices up per
edge of the mesh, one sweep over the rows writes them into the arrays that PETSc's matrices lie on. Then conjugate
gradients, for the potential with a multigrid hierarchy that is kept, from extrapolated guesses.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt
import pymetis
from mpi4py import MPI
from petsc4py import PETSc

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from loop import Stopwatch, finish, options, peak_memory
from petsc_solver import Extrapolation, krylov
from problem import (
    BODY,
    HEAT_CAPACITY,
    PERFUSION,
    STEP,
    VOLTAGE,
    Floats,
    Ints,
    Problem,
    electric_conductivity,
    heat_conductivity,
    make,
)

PRECONDITIONERS: dict[str, dict[str, Any]] = {
    # Without the threshold, connections that are zero but for rounding count as connections.
    "gamg": {"pc_type": "gamg", "pc_gamg_threshold": 0.02, "pc_gamg_square_graph": 2},
    "hypre": {
        "pc_type": "hypre",
        "pc_hypre_type": "boomeramg",
        "pc_hypre_boomeramg_coarsen_type": "HMIS",
        "pc_hypre_boomeramg_interp_type": "ext+i",
        "pc_hypre_boomeramg_P_max": 4,
        "pc_hypre_boomeramg_agg_nl": 1,
        "pc_hypre_boomeramg_strong_threshold": 0.5,
    },
    "jacobi": {"pc_type": "jacobi"},
}
REBUILD = 1.4
"""The hierarchy is built anew at this many times the iterations that it needed when it was new."""

compiled = nb.njit(cache=True, fastmath={"contract", "nsz"})


@compiled
def adjacency(cells: Ints, n: int, rows: int) -> tuple[Any, Any]:
    """Neighbours of each of the first `rows` of `n` nodes, ascending: starts (rows + 1,) and nodes."""
    starts = np.zeros(n + 1, np.int32)
    for e in range(len(cells)):
        for a in range(4):
            starts[cells[e, a] + 1] += 1
    for i in range(n):
        starts[i + 1] += starts[i]
    around, place = np.empty(starts[n], np.int32), starts[:-1].copy()
    for e in range(len(cells)):
        for a in range(4):
            around[place[cells[e, a]]] = e
            place[cells[e, a]] += 1
    pointers, seen = np.zeros(rows + 1, np.int32), np.full(n, -1, np.int32)
    for sweep in range(2):
        if sweep:
            columns = np.empty(pointers[rows], np.int32)
            seen[:] = -1
        for i in range(rows):
            count = 0
            for e in around[starts[i] : starts[i + 1]]:
                for b in range(4):
                    j = cells[e, b]
                    if j != i and seen[j] != i:
                        seen[j] = i
                        if sweep:
                            columns[pointers[i] + count] = j
                        count += 1
            if sweep:
                columns[pointers[i] : pointers[i + 1]].sort()
            else:
                pointers[i + 1] = pointers[i] + count
    return pointers, columns


@compiled
def geometry(points: Floats, cells: Ints) -> tuple[Any, Any]:
    """Volumes (m,), and volume times product of gradients for the six edges of each element (m, 6)."""
    volumes, stiffness = np.empty(len(cells)), np.empty((len(cells), 6))
    gradient = np.empty((4, 3))
    for e in range(len(cells)):
        p0, p1, p2, p3 = points[cells[e, 0]], points[cells[e, 1]], points[cells[e, 2]], points[cells[e, 3]]
        gradient[1] = np.cross(p2 - p0, p3 - p0)
        gradient[2] = np.cross(p3 - p0, p1 - p0)
        gradient[3] = np.cross(p1 - p0, p2 - p0)
        six = ((p1 - p0) * gradient[1]).sum()
        gradient[0] = -(gradient[1] + gradient[2] + gradient[3])
        volumes[e] = abs(six) / 6.0
        q = 0
        for a in range(4):
            for b in range(a + 1, 4):
                stiffness[e, q] = (gradient[a] * gradient[b]).sum() / (6.0 * abs(six))
                q += 1
    return volumes, stiffness


@compiled
def split_rows(pointers: Ints, columns: Ints, rows: int) -> tuple[Any, ...]:
    """Pattern of the rows of this rank in PETSc's two blocks, and the edge that each of their values comes from.

    Edges are counted by row: those from row ``i`` to higher nodes, owned or not, have the numbers
    ``edges[i]:edges[i + 1]``. The values of a row of the first block are lower ones, diagonal, upper ones.
    """
    edges, inner, outer = np.zeros(rows + 1, np.int32), np.zeros(rows + 1, np.int32), np.zeros(rows + 1, np.int32)
    for i in range(rows):
        for j in columns[pointers[i] : pointers[i + 1]]:
            edges[i + 1] += j > i
            inner[i + 1] += j < rows
            outer[i + 1] += j >= rows
        inner[i + 1] += inner[i] + 1
        edges[i + 1] += edges[i]
        outer[i + 1] += outer[i]
    column, edge = np.empty(inner[rows], np.int32), np.empty(inner[rows], np.int32)
    ghost = np.empty(outer[rows], np.int32)
    lower = inner[:-1].copy()
    for i in range(rows):
        # All lower nodes of row i have been here before and left their entries.
        place, number, away = lower[i], edges[i], outer[i]
        column[place], edge[place] = i, -1
        for j in columns[pointers[i] : pointers[i + 1]]:
            if j < i:
                continue
            if j < rows:
                place += 1
                column[place], edge[place] = j, number
                column[lower[j]], edge[lower[j]] = i, number
                lower[j] += 1
            else:
                ghost[away] = j
                away += 1
            number += 1
    return edges, inner, column, edge, outer, ghost


@compiled
def edge_map(cells: Ints, edges: Ints, pointers: Ints, columns: Ints, rows: int) -> Any:
    """Number of each edge of each element (m, 6); edges between nodes of other ranks get the number after the last."""
    numbers = np.empty((len(cells), 6), np.int32)
    for e in range(len(cells)):
        q = 0
        for a in range(4):
            for b in range(a + 1, 4):
                i, j = min(cells[e, a], cells[e, b]), max(cells[e, a], cells[e, b])
                numbers[e, q] = edges[rows]
                if i < rows:
                    # Of the neighbours of i, the higher ones come last.
                    first = pointers[i + 1] - (edges[i + 1] - edges[i])
                    numbers[e, q] = edges[i] + np.searchsorted(columns[first : pointers[i + 1]], j)
                q += 1
    return numbers


@compiled
def add_elements(laws: Floats, cells: Ints, numbers: Ints, stiffness: Floats, sigma: Floats, values: Floats) -> None:
    """Both stiffnesses summed per edge in ``values[:, 0]`` and ``[:, 1]``, from nodal conductivities (n, 2)."""
    values[:] = 0.0
    for e in range(len(cells)):
        i, j = np.uint32(cells[e, 0]), np.uint32(cells[e, 1])
        k, m = np.uint32(cells[e, 2]), np.uint32(cells[e, 3])
        s = 0.25 * (laws[i, 0] + laws[j, 0] + laws[k, 0] + laws[m, 0])
        c = 0.25 * (laws[i, 1] + laws[j, 1] + laws[k, 1] + laws[m, 1])
        sigma[e] = s
        for q in range(6):
            number = np.uint32(numbers[e, q])
            values[number, 0] += s * stiffness[e, q]
            values[number, 1] += c * stiffness[e, q]


@compiled
def fill_rows(
    values: Floats,
    edges: Ints,
    inner: Ints,
    column: Ints,
    edge: Ints,
    outer: Ints,
    ghost: Ints,
    fixed: npt.NDArray[np.bool_],
    electrode: Floats,
    diagonal: Floats,
    first: tuple[Floats, Floats],
    second: tuple[Floats, Floats],
    right: Floats,
) -> None:
    """Values of both matrices in their two blocks, and the lifted right-hand side of the potential.

    Rows and columns of fixed nodes are those of the identity.
    """
    (first_in, first_out), (second_in, second_out) = first, second
    for i in range(len(right)):
        lifted, own_v, own_t, middle = 0.0, 0.0, diagonal[i], 0
        for place in range(inner[i], inner[i + 1]):
            j = np.uint32(column[place])
            if j == i:
                middle = place
                continue
            number = np.uint32(edge[place])
            v, t = values[number, 0], values[number, 1]
            own_v -= v
            own_t -= t
            if fixed[j]:
                lifted -= v * electrode[j]
                v = 0.0
            first_in[place], second_in[place] = 0.0 if fixed[i] else v, t
        away = np.uint32(edges[i + 1] - (outer[i + 1] - outer[i]))
        for place in range(outer[i], outer[i + 1]):
            j = np.uint32(ghost[place])
            v, t = values[away, 0], values[away, 1]
            away += np.uint32(1)
            own_v -= v
            own_t -= t
            if fixed[j]:
                lifted -= v * electrode[j]
                v = 0.0
            first_out[place], second_out[place] = 0.0 if fixed[i] else v, t
        first_in[middle], second_in[middle] = 1.0 if fixed[i] else own_v, own_t
        right[i] = 0.0 if fixed[i] else lifted


@compiled
def add_heat(potential: Floats, cells: Ints, stiffness: Floats, sigma: Floats, load: Floats) -> None:
    """Electric power of each element [W], a quarter to each of its nodes."""
    load[:] = 0.0
    for e in range(len(cells)):
        i, j = np.uint32(cells[e, 0]), np.uint32(cells[e, 1])
        k, m = np.uint32(cells[e, 2]), np.uint32(cells[e, 3])
        v0, v1, v2, v3 = potential[i], potential[j], potential[k], potential[m]
        power = stiffness[e, 0] * (v0 - v1) ** 2 + stiffness[e, 1] * (v0 - v2) ** 2 + stiffness[e, 2] * (v0 - v3) ** 2
        power += stiffness[e, 3] * (v1 - v2) ** 2 + stiffness[e, 4] * (v1 - v3) ** 2 + stiffness[e, 5] * (v2 - v3) ** 2
        quarter = -0.25 * sigma[e] * power
        load[i] += quarter
        load[j] += quarter
        load[k] += quarter
        load[m] += quarter


@dataclass(frozen=True)
class Part:
    """What a rank keeps of the problem; its nodes are the owned ones, then those of other ranks that it sees.

    Attributes
    ----------
    nodes : array, shape (owned,)
        Owned nodes in the numbering of the problem.
    ghosts : int32 array
        Other nodes in PETSc's numbering, ascending.
    cells : int32 array, shape (m, 4)
        Elements with an owned node.
    points, fixed, electrode : arrays over all nodes of this rank
    """

    nodes: npt.NDArray[np.int64]
    ghosts: Ints
    cells: Ints
    points: Floats
    fixed: npt.NDArray[np.bool_]
    electrode: Floats


def divide(problem: Problem, comm: MPI.Comm) -> Part:
    """The part of this rank: rows by METIS, on the first rank, and the elements around them."""
    n = len(problem.points)
    owner = np.zeros(n, dtype=np.int32)
    if comm.size > 1:
        if comm.rank == 0:
            pointers, columns = adjacency(problem.cells, n, n)
            owner[:] = pymetis.part_graph(comm.size, pymetis.CSRAdjacency(pointers, columns))[1]
        comm.Bcast(owner)
    order = np.argsort(owner, kind="stable")
    number = np.empty(n, dtype=np.int32)
    number[order] = np.arange(n, dtype=np.int32)
    start, end = np.searchsorted(owner[order], [comm.rank, comm.rank + 1])
    cells = number[problem.cells[(owner[problem.cells] == comm.rank).any(axis=1)]]
    ghosts = np.unique(cells[(cells < start) | (cells >= end)])
    local = np.where(
        (cells >= start) & (cells < end), cells - start, end - start + np.searchsorted(ghosts, cells)
    ).astype(np.int32)
    nodes = order[np.concatenate([np.arange(start, end), ghosts])]
    electrode = np.zeros(n)
    electrode[problem.electrode] = VOLTAGE
    fixed = np.zeros(n, dtype=np.bool_)
    fixed[problem.electrode] = fixed[problem.outer] = True
    return Part(nodes[: end - start], ghosts, local, problem.points[nodes], fixed[nodes], electrode[nodes])


class Matrix:
    """A PETSc matrix on arrays of this process, which `values` gives as those of its two blocks."""

    def __init__(self, pattern: tuple[Any, ...], ghosts: Ints, rows: int, comm: MPI.Comm) -> None:
        _, inner, column, _, outer, ghost = pattern
        self.values = (np.zeros(len(column)), np.zeros(len(ghost)))
        csr = (inner, column, self.values[0])
        # PETSc writes its own numbers of the ghosts over those that it is given.
        self._kept = outer, ghosts[ghost - rows], self.values[1]
        blocks = (csr, self._kept) if comm.size > 1 else csr
        self.mat = PETSc.Mat().createAIJWithArrays(((rows, None), (rows, None)), blocks, comm=comm)

    def changed(self) -> None:
        """Say that the values are others."""
        self.mat.stateIncrease()
        self.mat.assemble()


def main() -> None:
    """Run the loop, and print and save what it gave on the first rank."""
    given = options(__doc__, pc={"choices": PRECONDITIONERS, "default": "gamg"})
    comm = MPI.COMM_WORLD
    watch = Stopwatch()
    problem = make(given.n)
    n_nodes, n_cells = len(problem.points), len(problem.cells)
    part = divide(problem, comm)
    del problem
    rows, n = len(part.nodes), len(part.points)
    cells, fixed, electrode = part.cells, part.fixed, part.electrode
    volumes, stiffness = geometry(part.points, cells)
    pointers, columns = adjacency(cells, n, rows)
    pattern = split_rows(pointers, columns, rows)
    edges, inner, column, edge, outer, ghost = pattern
    numbers = edge_map(cells, edges, pointers, columns, rows)
    node_volumes = np.bincount(cells.ravel(), np.repeat(volumes / 4.0, 4), n)[:rows]
    storage = node_volumes * (HEAT_CAPACITY / STEP)
    diagonal = node_volumes * (HEAT_CAPACITY / STEP + PERFUSION)
    del pointers, columns, volumes

    matrix_v, matrix_t = (Matrix(pattern, part.ghosts, rows, comm) for _ in range(2))
    rise, theta = (PETSc.Vec().createGhost(part.ghosts, (rows, None), comm=comm) for _ in range(2))
    right_v, right_t = matrix_v.mat.createVecRight(), matrix_v.mat.createVecRight()
    solver_v, solver_t = (
        krylov(matrix_v.mat, "v_", PRECONDITIONERS[given.pc]),
        krylov(matrix_t.mat, "t_", PRECONDITIONERS["jacobi"]),
    )
    values, laws, sigma, load = np.zeros((edges[-1] + 1, 2)), np.empty((n, 2)), np.empty(len(cells)), np.empty(n)
    guess_v, guess_t = Extrapolation(), Extrapolation()
    guess_v.add(rise.array)
    guess_t.add(theta.array)
    iterations_v: list[int] = []
    iterations_t: list[int] = []
    fresh = 0
    watch.ready()

    for _ in range(given.steps):
        with watch.step():
            with watch.part("properties"), theta.localForm() as local:
                temperature = local.array + BODY
                laws[:, 0] = electric_conductivity(temperature)
                laws[:, 1] = heat_conductivity(temperature)
            with watch.part("assembly"):
                add_elements(laws, cells, numbers, stiffness, sigma, values)
                fill_rows(
                    values,
                    edges,
                    inner,
                    column,
                    edge,
                    outer,
                    ghost,
                    fixed,
                    electrode,
                    diagonal,
                    matrix_v.values,
                    matrix_t.values,
                    right_v.array,
                )
                matrix_v.changed()
                matrix_t.changed()
            with watch.part("preconditioner"):
                stale = bool(fresh) and iterations_v[-1] > REBUILD * fresh + 1
                solver_v.getPC().setReusePreconditioner(bool(fresh) and not stale)
                solver_v.setUp()
                if stale:
                    fresh = 0
            with watch.part("solve_v"):
                rise.array = guess_v.guess()
                solver_v.solve(right_v, rise)
                rise.ghostUpdate()
                guess_v.add(rise.array)
                iterations_v.append(solver_v.getIterationNumber())
                fresh = fresh or iterations_v[-1]
            with watch.part("joule"), rise.localForm() as local:
                add_heat(local.array + electrode, cells, stiffness, sigma, load)
            with watch.part("solve_t"):
                right_t.array = storage * theta.array + load[:rows]
                theta.array = guess_t.guess()
                solver_t.solve(right_t, theta)
                theta.ghostUpdate()
                guess_t.add(theta.array)
                iterations_t.append(solver_t.getIterationNumber())

    power = comm.allreduce(float(load[:rows].sum()))
    pieces: Any = comm.gather((part.nodes, theta.array))
    memory = comm.reduce(peak_memory())
    if comm.rank == 0:
        result = np.empty(n_nodes)
        for nodes, values in pieces:
            result[nodes] = values + BODY
        petsc_version = ".".join(str(part) for part in PETSc.Sys.getVersion())
        finish(
            result,
            given.save,
            engine="petsc",
            preconditioner=given.pc,
            unknowns=n_nodes,
            elements=n_cells,
            ranks=comm.size,
            **watch.summary(),
            iterations_v=float(np.mean(iterations_v)),
            iterations_t=float(np.mean(iterations_t)),
            peak_memory_mb=memory,
            # The power is V^2 over the resistance.
            current_per_volt=power / VOLTAGE**2,
            versions={"petsc": petsc_version, "numpy": np.__version__, "numba": nb.__version__},
        )


if __name__ == "__main__":
    main()
