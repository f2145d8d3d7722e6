"""Multigrid against direct solves."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve
from verification.cases_meshes import box, cylinder

from ablationsim.errors import SolverError
from ablationsim.fem.kernels import Array
from ablationsim.fem.multigrid import MultigridCG, build_hierarchy
from ablationsim.fem.space import P1Space


@cache
def space_of(kind: str) -> P1Space:
    return P1Space(cylinder(40, 0.02, 0.04) if kind == "axisymmetric" else box(14, 0.02))


def system(space: P1Space, coefficient: Array) -> tuple[sparse.csr_matrix, Array]:
    """Stiffness matrix grounded by a term on the outer boundary, as in the far field; and a right-hand side."""
    values = space.matrix.values(coefficient)
    outer = np.unique(space.mesh.facets["outer"])
    ground = space.facet_load(["outer"], lambda w: 50.0 + 0.0 * w.x[0])
    values[space.matrix.diagonal[outer]] += ground[outer]
    return space.matrix.as_csr(values), np.random.default_rng(3).standard_normal(space.n_nodes)


def solver_for(space: P1Space, rtol: float = 1e-10) -> MultigridCG:
    return MultigridCG(space.matrix.indptr, space.matrix.indices, rtol)


def blob(space: P1Space, inside: float, radius: float = 0.4) -> Array:
    """One, and another value within a ball about the middle of the body: a jump as dried tissue makes."""
    centre = space.mesh.points[space.mesh.cells].mean(axis=1)
    extent = space.mesh.points.max(axis=0)
    return np.where(np.linalg.norm(centre / extent - 0.5, axis=1) < radius, inside, 1.0)


@pytest.mark.parametrize("kind", ["axisymmetric", "3-D"])
@pytest.mark.parametrize("inside", [1.0, 0.01, 100.0])
def test_solution_is_that_of_a_direct_solver_across_jumps(kind: str, inside: float) -> None:
    space = space_of(kind)
    matrix, rhs = system(space, blob(space, inside))
    solver, x = solver_for(space), np.zeros(space.n_nodes)
    iterations = solver.solve(matrix.data, rhs, x)
    direct = spsolve(matrix.tocsc(), rhs)
    assert np.linalg.norm(x - direct) < 1e-7 * np.linalg.norm(direct)
    assert iterations < 40
    assert solver.iterations_when_fresh == iterations


@pytest.mark.parametrize("kind", ["axisymmetric", "3-D"])
def test_aged_hierarchy_still_solves_the_current_matrix(kind: str) -> None:
    space = space_of(kind)
    solver = solver_for(space)
    matrix, rhs = system(space, blob(space, 1.0))
    solver.solve(matrix.data, rhs, np.zeros(space.n_nodes))
    for inside, radius in ((0.3, 0.2), (0.1, 0.3), (0.01, 0.4)):
        matrix, rhs = system(space, blob(space, inside, radius))
        x = np.zeros(space.n_nodes)
        solver.solve(matrix.data, rhs, x)
        direct = spsolve(matrix.tocsc(), rhs)
        assert np.linalg.norm(x - direct) < 1e-7 * np.linalg.norm(direct)
    assert solver.builds == 1


def test_wear_is_noticed_and_mended_by_a_build() -> None:
    space = space_of("axisymmetric")
    solver = solver_for(space)
    assert solver.worn
    matrix, rhs = system(space, blob(space, 1.0))
    solver.solve(matrix.data, rhs, np.zeros(space.n_nodes))
    assert not solver.worn
    jumped, _ = system(space, blob(space, 1e-4))
    solver.solve(jumped.data, rhs, np.zeros(space.n_nodes))
    assert solver.worn
    aged = solver.iterations
    solver.build(jumped.data)
    solver.solve(jumped.data, rhs, np.zeros(space.n_nodes))
    assert solver.iterations < aged
    assert not solver.worn


def test_good_guess_needs_no_iteration() -> None:
    space = space_of("axisymmetric")
    matrix, rhs = system(space, blob(space, 1.0))
    x = spsolve(matrix.tocsc(), rhs)
    solver = solver_for(space, rtol=1e-8)
    assert solver.solve(matrix.data, rhs, x) == 0


def test_iterations_hardly_grow_with_the_mesh() -> None:
    counts = []
    for n in (12, 48):
        space = P1Space(cylinder(n, 0.02, 0.04))
        matrix, rhs = system(space, blob(space, 1.0))
        counts.append(solver_for(space).solve(matrix.data, rhs, np.zeros(space.n_nodes)))
    assert counts[1] < 2 * counts[0] + 3


def test_same_matrix_same_hierarchy() -> None:
    space = space_of("3-D")
    matrix, _ = system(space, blob(space, 0.01))
    for first, second in zip(build_hierarchy(matrix), build_hierarchy(matrix), strict=True):
        assert np.array_equal(first, second)


def test_small_system_is_solved_on_one_level() -> None:
    space = P1Space(cylinder(4, 0.02, 0.04))
    matrix, rhs = system(space, np.ones(len(space.mesh.cells)))
    x = np.zeros(space.n_nodes)
    assert solver_for(space).solve(matrix.data, rhs, x) <= 6
    assert matrix @ x == pytest.approx(rhs, abs=1e-8)


def test_indefinite_matrix_is_an_error() -> None:
    space = space_of("axisymmetric")
    matrix, rhs = system(space, blob(space, 1.0))
    solver = solver_for(space)
    solver.build(matrix.data)
    wrong = matrix.data.copy()
    wrong[np.random.default_rng(0).integers(0, len(wrong), 500)] *= -3.0
    with pytest.raises(SolverError, match="did not converge in 200 iterations"):
        solver.solve(wrong, rhs, np.zeros(space.n_nodes))
