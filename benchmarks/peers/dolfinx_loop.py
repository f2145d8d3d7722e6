"""The benchmark's problem in plain dolfinx 0.5 with PETSc and hypre, as a user who knows them would write it.

``mpirun -n 2 python3 benchmarks/peers/dolfinx_loop.py --n 46``. Forms in UFL, coefficients set anew each step,
matrices assembled into the same memory, conjugate gradients with a multigrid hierarchy that is kept until it needs
clearly more iterations, and first guesses from the steps before.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import dolfinx
import numpy as np
import ufl
from dolfinx import fem
from dolfinx.fem import petsc
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
    Ints,
    electric_conductivity,
    heat_conductivity,
    make,
)

JIT = {"cffi_extra_compile_args": ["-O3", "-march=native"], "cffi_libraries": ["m"]}
HYPRE = {
    "pc_hypre_boomeramg_coarsen_type": "HMIS",
    "pc_hypre_boomeramg_interp_type": "ext+i",
    "pc_hypre_boomeramg_P_max": 4,
    "pc_hypre_boomeramg_agg_nl": 1,
    "pc_hypre_boomeramg_strong_threshold": 0.5,
}
PRECONDITIONERS: dict[str, dict[str, Any]] = {
    "hypre": {"pc_type": "hypre", "pc_hypre_type": "boomeramg", **HYPRE},
    "hypre_defaults": {"pc_type": "hypre", "pc_hypre_type": "boomeramg"},
    # Without the threshold, connections that are zero but for rounding count as connections.
    "gamg": {"pc_type": "gamg", "pc_gamg_threshold": 0.02, "pc_gamg_square_graph": 2},
    "jacobi": {"pc_type": "jacobi"},
}
REBUILD = 1.4
"""The hierarchy is built anew at this many times the iterations that it needed when it was new."""


def hypre_version() -> str:
    """Version in the name of the library that this process has loaded."""
    maps = Path("/proc/self/maps")
    found = re.search(r"libHYPRE\S*?(\d+\.\d+\.\d+)", maps.read_text(encoding="utf-8")) if maps.exists() else None
    return found[1] if found else "unknown"


def main() -> None:
    """Run the loop, and print and save what it gave on the first rank."""
    given = options(__doc__, pc={"choices": PRECONDITIONERS, "default": "hypre"})
    PETSc.Options().clear()
    comm = MPI.COMM_WORLD
    watch = Stopwatch()

    points, cells = np.empty((0, 3)), np.empty((0, 4), dtype=np.int64)
    fixed = [np.empty(0, dtype=np.int32)] * 2
    n_nodes = n_cells = 0
    if comm.rank == 0:
        problem = make(given.n)
        points, cells, fixed = problem.points, problem.cells.astype(np.int64), [problem.electrode, problem.outer]
        n_nodes, n_cells = len(points), len(cells)
    fixed = comm.bcast(fixed)
    element = ufl.VectorElement("CG", "tetrahedron", 1)
    mesh = dolfinx.mesh.create_mesh(comm, cells, points, ufl.Mesh(element), dolfinx.mesh.GhostMode.none)
    del points, cells

    space = fem.FunctionSpace(mesh, ("CG", 1))
    # Linear elements: the nodes of the geometry are those of the space, in another order.
    corners = space.dofmap.list.array
    node = np.empty(corners.max() + 1, dtype=np.int64)
    node[corners] = np.asarray(mesh.geometry.input_global_indices)[mesh.geometry.dofmap.array]
    owned = space.dofmap.index_map.size_local

    def at(nodes: Ints) -> Ints:
        """Degrees of freedom on this rank at some nodes of the problem."""
        return np.flatnonzero(np.isin(node, nodes)).astype(np.int32)

    # With the one quadrature point that suffices, nodal coefficients count by their mean over an element. Coefficients
    # constant in elements take as long to assemble, and their means come on top.
    dx = ufl.dx(degree=1)
    sigma, conductivity = fem.Function(space), fem.Function(space)
    potential, theta = fem.Function(space), fem.Function(space)
    u, v = ufl.TrialFunction(space), ufl.TestFunction(space)
    electric = fem.form(sigma * ufl.inner(ufl.grad(u), ufl.grad(v)) * dx, jit_params=JIT)
    conduction = fem.form(conductivity * ufl.inner(ufl.grad(u), ufl.grad(v)) * dx, jit_params=JIT)
    heat = fem.form(sigma * ufl.inner(ufl.grad(potential), ufl.grad(potential)) * v * dx, jit_params=JIT)
    volume = fem.form(fem.Constant(mesh, 1.0) * v * dx, jit_params=JIT)

    electrode = fem.Function(space)
    electrode.x.array[at(fixed[0])] = VOLTAGE
    bcs = [fem.dirichletbc(electrode, at(np.concatenate(fixed)))]
    # The unknown is the potential less its fixed values, so that the residual counts free nodes alone.
    zero = [fem.dirichletbc(fem.Function(space), at(np.concatenate(fixed)))]

    volumes = petsc.assemble_vector(volume)
    volumes.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
    storage = volumes * (HEAT_CAPACITY / STEP)
    diagonal = volumes * (HEAT_CAPACITY / STEP + PERFUSION)
    matrix_v, matrix_t = petsc.create_matrix(electric), petsc.create_matrix(conduction)
    right_v, right_t, load = (petsc.create_vector(heat) for _ in range(3))
    solver_v, solver_t = (
        krylov(matrix_v, "v_", PRECONDITIONERS[given.pc]),
        krylov(matrix_t, "t_", PRECONDITIONERS["jacobi"]),
    )
    rise = fem.Function(space)
    guess_v, guess_t = Extrapolation(), Extrapolation()
    guess_v.add(rise.x.array)
    guess_t.add(theta.x.array)
    iterations_v: list[int] = []
    iterations_t: list[int] = []
    fresh = 0
    watch.ready()

    for _ in range(given.steps):
        with watch.step():
            with watch.part("properties"):
                temperature = theta.x.array + BODY
                sigma.x.array[:] = electric_conductivity(temperature)
                conductivity.x.array[:] = heat_conductivity(temperature)
            with watch.part("assembly"):
                matrix_v.zeroEntries()
                petsc.assemble_matrix(matrix_v, electric, bcs=bcs)
                matrix_v.assemble()
                with right_v.localForm() as local:
                    local.set(0.0)
                petsc.apply_lifting(right_v, [electric], bcs=[bcs])
                right_v.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
                petsc.set_bc(right_v, zero)
                matrix_t.zeroEntries()
                petsc.assemble_matrix(matrix_t, conduction)
                matrix_t.assemble()
                matrix_t.setDiagonal(diagonal, addv=PETSc.InsertMode.ADD)
            with watch.part("preconditioner"):
                stale = bool(fresh) and iterations_v[-1] > REBUILD * fresh + 1
                solver_v.getPC().setReusePreconditioner(bool(fresh) and not stale)
                solver_v.setUp()
                if stale:
                    fresh = 0
            with watch.part("solve_v"):
                rise.x.array[:] = guess_v.guess()
                solver_v.solve(right_v, rise.vector)
                rise.x.scatter_forward()
                guess_v.add(rise.x.array)
                potential.x.array[:] = rise.x.array + electrode.x.array
                iterations_v.append(solver_v.getIterationNumber())
                fresh = fresh or iterations_v[-1]
            with watch.part("joule"):
                with load.localForm() as local:
                    local.set(0.0)
                petsc.assemble_vector(load, heat)
                load.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
            with watch.part("solve_t"):
                right_t.pointwiseMult(storage, theta.vector)
                right_t.axpy(1.0, load)
                theta.x.array[:] = guess_t.guess()
                solver_t.solve(right_t, theta.vector)
                theta.x.scatter_forward()
                guess_t.add(theta.x.array)
                iterations_t.append(solver_t.getIterationNumber())

    power = comm.allreduce(float(load.array.sum()))
    pieces: Any = comm.gather((node[:owned], theta.x.array[:owned]))
    memory = comm.reduce(peak_memory())
    if comm.rank == 0:
        result = np.empty(n_nodes)
        for nodes, values in pieces:
            result[nodes] = values + BODY
        petsc_version = ".".join(str(part) for part in PETSc.Sys.getVersion())
        finish(
            result,
            given.save,
            engine="dolfinx",
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
            versions={
                "dolfinx": dolfinx.__version__,
                "petsc": petsc_version,
                "hypre": hypre_version(),
                "numpy": np.__version__,
            },
        )


if __name__ == "__main__":
    main()
