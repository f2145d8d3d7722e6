"""The benchmark's problem with the solvers of ablationsim, in one process.

``python benchmarks/own_loop.py --n 46 --threads 2``. What a step does are the package's own parts: laws and means over
elements, the map from coefficients to matrices, first guesses, conjugate gradients in mixed precision, Joule heat. Only
the backward-Euler step itself, which all engines of the benchmark share, is written here.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any

import numpy as np
from loop import Stopwatch, finish, options, peak_memory
from problem import (
    BODY,
    CLIP,
    HEAT_CAPACITY,
    PERFUSION,
    STEP,
    TOLERANCE,
    VOLTAGE,
    electric_conductivity,
    heat_conductivity,
    make,
)


def run(n: int, steps: int, threads: int) -> tuple[np.ndarray, dict[str, Any]]:
    """March; returns the temperature [degC] in the order of the problem, and the entries of the result."""
    import numba

    from ablationsim.fem.guess import Guess
    from ablationsim.fem.hierarchy import Hierarchy
    from ablationsim.fem.kernels import element_look_up, joule_heat
    from ablationsim.fem.krylov import solve
    from ablationsim.fem.multigrid import MultigridCG
    from ablationsim.fem.products import residual
    from ablationsim.fem.space import P1Space
    from ablationsim.mesh.distribution import WHOLE
    from ablationsim.mesh.mesh import Mesh
    from ablationsim.mesh.ordering import renumbered

    numba.set_num_threads(threads)
    watch = Stopwatch()
    problem = make(n)
    nodes = len(problem.points)
    # The number that a node had goes along as a facet, which the new numbers apply to as well.
    marks = {"electrode": problem.electrode, "outer": problem.outer, "all": np.arange(nodes, dtype=np.int32)}
    padded = {name: np.repeat(marked[:, None], 3, axis=1) for name, marked in marks.items()}
    mesh = renumbered(Mesh(problem.points, problem.cells, {}, padded, False))
    electrode, outer, order = (mesh.facets[name][:, 0].copy() for name in marks)
    space = P1Space(Mesh(mesh.points, mesh.cells, {}, {}, False))
    cells = len(mesh.cells)
    del problem, mesh, marks, padded
    scatter, pattern = space.scatter, space.scatter.pattern
    grid = np.linspace(*CLIP, 76)
    spacing = grid[1] - grid[0]
    sigma_table, k_table = electric_conductivity(grid), heat_conductivity(grid)
    one, coefficient, heat = np.ones(nodes), np.empty(cells, np.float32), np.empty(cells)
    theta, potential = np.zeros(nodes), np.zeros(nodes)
    held = np.zeros(nodes, dtype=bool)
    held[electrode] = held[outer] = True
    potential[electrode] = VOLTAGE
    lift, zero, scratch = potential.copy(), np.zeros(nodes), np.empty(nodes)
    shift = space.lumped_mass * (HEAT_CAPACITY / STEP + PERFUSION)
    electric = MultigridCG(pattern)
    none = Hierarchy.none()
    guesses = {"v": Guess(nodes, WHOLE), "t": Guess(nodes, WHOLE)}
    iterations: dict[str, list[int]] = {"v": [], "t": []}
    watch.ready()

    def means(table: np.ndarray) -> np.ndarray:
        element_look_up(BODY + theta, CLIP[0], spacing, table, one, space.cells, space.averaging, coefficient)
        return coefficient

    power = 0.0
    matrix = conduction = None
    for _ in range(steps):
        with watch.step():
            with watch.part("properties"):
                means(k_table)
            with watch.part("assembly"):
                conduction = scatter.matrix(coefficient, out=conduction)
                conduction.diagonal[:] += shift
            with watch.part("properties"):
                means(sigma_table)
            with watch.part("assembly"):
                matrix = scatter.matrix(coefficient, out=matrix)
                matrix.diagonal[held] = 0.0
            with watch.part("preconditioner"):
                if electric.worn:
                    electric.build(matrix)
            with watch.part("solve_v"):
                before = potential.copy()
                indices = pattern.indptr, pattern.indices
                size = np.sqrt(residual(*indices, matrix.off, 1.0, matrix.diagonal, zero, lift, scratch))
                guesses["v"].improve(pattern, matrix, zero, potential)
                iterations["v"].append(electric.solve(matrix, zero, potential, TOLERANCE * size))
                guesses["v"].remember(before, potential)
            with watch.part("joule"):
                power = joule_heat(potential, potential, coefficient, space.cells, space.edge_stiffness, heat)
                right = space.nodal_load(heat)
            with watch.part("solve_t"):
                right += space.lumped_mass * (HEAT_CAPACITY / STEP) * theta
                before = theta.copy()
                guesses["t"].improve(pattern, conduction, right, theta)
                target = TOLERANCE * float(np.linalg.norm(right))
                weight = (1.0 / conduction.diagonal).astype(np.float32)
                iterations["t"].append(solve(pattern, conduction, weight, none, right, theta, target, 500))
                guesses["t"].remember(before, theta)
    # Node i of the problem is node order[i] here.
    temperature = BODY + theta[order]
    return temperature, {
        "engine": "own",
        "unknowns": nodes,
        "elements": cells,
        "threads": threads,
        **watch.summary(),
        "iterations_v": float(np.mean(iterations["v"][1:])),
        "iterations_t": float(np.mean(iterations["t"][1:])),
        "non_zeros": int(len(pattern.indices) + nodes),
        "current_per_volt": power / VOLTAGE**2,
    }


def main() -> None:
    """Run the loop and print its line of results."""
    given = options(__doc__)
    os.environ["NUMBA_NUM_THREADS"] = str(given.threads)
    # A few steps on a small block compile all kernels, or load them from the disk, before anything is timed.
    for small in (4, 26):
        run(small, 3, given.threads)
    temperature, entries = run(given.n, given.steps, given.threads)
    packages = ("ablationsim", "numpy", "numba", "scikit-fem", "pyamg")
    finish(
        temperature,
        given.save,
        **entries,
        peak_memory_mb=peak_memory(),
        versions={name: version(name) for name in packages},
    )


if __name__ == "__main__":
    main()
