"""The benchmark's problem in scikit-fem with SciPy and PyAMG, in the way of scikit-fem's examples.

``python benchmarks/peers/scikit_fem_loop.py --n 46``. Forms assembled anew each step, ``condense``, and ``solve`` with
conjugate gradients: for the potential preconditioned by smoothed aggregation that is built for every matrix, for the
temperature by the diagonal. Quadrature is the library's own choice unless ``--intorder`` is given.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyamg
import scipy
import scipy.sparse as sp
import skfem
from skfem.helpers import dot, grad
from skfem.utils import build_pc_diag, solver_iter_pcg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from loop import Stopwatch, finish, options, peak_memory
from problem import (
    BODY,
    HEAT_CAPACITY,
    PERFUSION,
    STEP,
    TOLERANCE,
    VOLTAGE,
    electric_conductivity,
    heat_conductivity,
    make,
)


@skfem.BilinearForm
def conduction(u: Any, v: Any, w: Any) -> Any:
    """Flux by a conductivity that the elements have."""
    return w["coefficient"] * dot(grad(u), grad(v))


@skfem.LinearForm
def volume(v: Any, _: Any) -> Any:
    """Integral of the test function."""
    return v


@skfem.LinearForm
def heating(v: Any, w: Any) -> Any:
    """Electric power density."""
    return w["sigma"] * dot(grad(w["potential"]), grad(w["potential"])) * v


def main() -> None:
    """Run the loop, and print and save what it gave."""
    given = options(__doc__, intorder={"type": int, "default": None})
    watch = Stopwatch()
    problem = make(given.n)
    mesh = skfem.MeshTet(np.ascontiguousarray(problem.points.T), np.ascontiguousarray(problem.cells.T))
    basis = skfem.Basis(mesh, skfem.ElementTetP1(), intorder=given.intorder)
    constants = basis.with_element(skfem.ElementTetP0())
    node_volumes = volume.assemble(basis)
    storage = node_volumes * (HEAT_CAPACITY / STEP)
    diagonal = sp.diags(node_volumes * (HEAT_CAPACITY / STEP + PERFUSION))
    potential, theta = np.zeros(len(problem.points)), np.zeros(len(problem.points))
    potential[problem.electrode] = VOLTAGE
    free = np.setdiff1d(np.arange(len(potential)), np.concatenate([problem.electrode, problem.outer]))
    iterations: list[int] = []

    def pcg(**settings: Any) -> Any:
        iterations.append(0)
        solver = solver_iter_pcg(rtol=TOLERANCE, **settings)

        def solve(matrix: Any, right: Any) -> Any:
            return solver(matrix, right, callback=count)

        return solve

    def count(_: Any) -> None:
        iterations[-1] += 1

    watch.ready()

    for _ in range(given.steps):
        with watch.step():
            with watch.part("properties"):
                temperature = theta + BODY
                sigma = electric_conductivity(temperature)[problem.cells].mean(axis=1)
                conductivity = heat_conductivity(temperature)[problem.cells].mean(axis=1)
            with watch.part("assembly"):
                electric = conduction.assemble(basis, coefficient=constants.interpolate(sigma))
                thermal = conduction.assemble(basis, coefficient=constants.interpolate(conductivity)) + diagonal
                condensed = skfem.condense(electric, x=potential, I=free)
            with watch.part("preconditioner"):
                hierarchy = pyamg.smoothed_aggregation_solver(condensed[0]).aspreconditioner()
            with watch.part("solve_v"):
                # From the last potential.
                potential = skfem.solve(*condensed, solver=pcg(M=hierarchy, x0=potential[free]))
            with watch.part("joule"):
                load = heating.assemble(
                    basis, sigma=constants.interpolate(sigma), potential=basis.interpolate(potential)
                )
            with watch.part("solve_t"):
                right = storage * theta + load
                theta = skfem.solve(thermal, right, solver=pcg(M=build_pc_diag(thermal), x0=theta))

    finish(
        theta + BODY,
        given.save,
        engine="scikit-fem",
        quadrature_points=basis.X.shape[1],
        unknowns=len(theta),
        elements=len(problem.cells),
        threads=given.threads,
        **watch.summary(),
        iterations_v=float(np.mean(iterations[::2])),
        iterations_t=float(np.mean(iterations[1::2])),
        peak_memory_mb=peak_memory(),
        # The power is V^2 over the resistance.
        current_per_volt=float(load.sum()) / VOLTAGE**2,
        versions={
            "scikit-fem": skfem.__version__,
            "scipy": scipy.__version__,
            "pyamg": pyamg.__version__,
            "numpy": np.__version__,
        },
    )


if __name__ == "__main__":
    main()
