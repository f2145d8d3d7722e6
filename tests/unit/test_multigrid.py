"""Multigrid against direct solves."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve
from verification.cases_meshes import box, cylinder

from ablationsim.errors import SolverError
from ablationsim.fem.hierarchy import build, cycle, scratch_for
from ablationsim.fem.kernels import Array
from ablationsim.fem.multigrid import MultigridCG
from ablationsim.fem.space import P1Space
from ablationsim.fem.stiffness import Matrix, as_csr


@cache
def space_of(kind: str) -> P1Space:
    return P1Space(cylinder(40, 0.02, 0.04) if kind == "axisymmetric" else box(14, 0.02))


class System(NamedTuple):
    """Stiffness matrix grounded by a term on the outer boundary, as in the far field; and a right-hand side."""

    matrix: Matrix
    plain: sparse.csr_array
    rhs: Array

    def direct(self) -> Array:
        return np.asarray(spsolve(self.plain.tocsc(), self.rhs))


def system(space: P1Space, coefficient: Array) -> System:
    matrix = space.scatter.matrix(coefficient)
    outer = np.unique(space.mesh.facets["outer"])
    ground = space.facet_load(["outer"], lambda w: 50.0 + 0.0 * w.x[0])
    matrix.diagonal[outer] += ground[outer]
    rhs = np.random.default_rng(3).standard_normal(space.n_nodes)
    return System(matrix, as_csr(space.scatter.pattern, matrix), rhs)


def solve(solver: MultigridCG, given: System, x: Array, rtol: float = 1e-10) -> int:
    return solver.solve(given.matrix, given.rhs, x, rtol * float(np.linalg.norm(given.rhs)))


def blob(space: P1Space, inside: float, radius: float = 0.4) -> Array:
    """One, and another value within a ball about the middle of the body: a jump as dried tissue makes."""
    centre = space.mesh.points[space.mesh.cells].mean(axis=1)
    extent = space.mesh.points.max(axis=0)
    return np.where(np.linalg.norm(centre / extent - 0.5, axis=1) < radius, inside, 1.0)


@pytest.mark.parametrize("kind", ["axisymmetric", "3-D"])
@pytest.mark.parametrize("inside", [1.0, 0.01, 100.0])
def test_solution_is_that_of_a_direct_solver_across_jumps(kind: str, inside: float) -> None:
    space = space_of(kind)
    given = system(space, blob(space, inside))
    solver, x = MultigridCG(space.scatter.pattern), np.zeros(space.n_nodes)
    iterations = solve(solver, given, x)
    direct = given.direct()
    assert np.linalg.norm(x - direct) < 1e-7 * np.linalg.norm(direct)
    assert iterations < 60
    assert solver.iterations_when_fresh == iterations


@pytest.mark.parametrize("kind", ["axisymmetric", "3-D"])
def test_nodes_that_are_held_keep_their_value(kind: str) -> None:
    space = space_of(kind)
    given = system(space, blob(space, 0.01))
    held = np.linalg.norm(space.mesh.points - space.mesh.points.mean(axis=0), axis=1) < 3e-3
    assert held.any()
    inner = given.plain[~held][:, ~held]
    expected = np.where(held, 2.0, 0.0)
    expected[~held] = spsolve(inner.tocsc(), (given.rhs - given.plain @ expected)[~held])
    given.matrix.diagonal[held] = 0.0
    x = np.where(held, 2.0, 0.0)
    assert 0 < solve(MultigridCG(space.scatter.pattern), given, x) < 40
    assert np.all(x[held] == 2.0)
    assert np.linalg.norm(x - expected) < 1e-7 * np.linalg.norm(expected)


@pytest.mark.parametrize("kind", ["axisymmetric", "3-D"])
def test_aged_hierarchy_still_solves_the_current_matrix(kind: str) -> None:
    space = space_of(kind)
    solver = MultigridCG(space.scatter.pattern)
    solve(solver, system(space, blob(space, 1.0)), np.zeros(space.n_nodes))
    for inside, radius in ((0.3, 0.2), (0.1, 0.3), (0.01, 0.4)):
        given = system(space, blob(space, inside, radius))
        x = np.zeros(space.n_nodes)
        solve(solver, given, x)
        direct = given.direct()
        assert np.linalg.norm(x - direct) < 1e-7 * np.linalg.norm(direct)
    assert solver.builds == 1


def test_wear_is_noticed_and_mended_by_a_build() -> None:
    space = space_of("axisymmetric")
    solver = MultigridCG(space.scatter.pattern)
    assert solver.worn
    solve(solver, system(space, blob(space, 1.0)), np.zeros(space.n_nodes))
    assert not solver.worn
    jumped = system(space, blob(space, 1e-4))
    solve(solver, jumped, np.zeros(space.n_nodes))
    assert solver.worn
    aged = solver.iterations
    solver.build(jumped.matrix)
    solve(solver, jumped, np.zeros(space.n_nodes))
    assert solver.iterations < aged
    assert not solver.worn


def test_good_guess_needs_no_iteration() -> None:
    space = space_of("axisymmetric")
    given = system(space, blob(space, 1.0))
    assert solve(MultigridCG(space.scatter.pattern), given, given.direct(), rtol=1e-8) == 0


def test_iterations_hardly_grow_with_the_mesh() -> None:
    counts = []
    for n in (12, 48):
        space = P1Space(cylinder(n, 0.02, 0.04))
        given = system(space, blob(space, 1.0))
        counts.append(solve(MultigridCG(space.scatter.pattern), given, np.zeros(space.n_nodes)))
    assert counts[1] < 2 * counts[0] + 3


def test_same_matrix_same_hierarchy() -> None:
    space = space_of("3-D")
    given = system(space, blob(space, 0.01))
    (first, weight), (second, same) = build(given.plain), build(given.plain)
    assert weight == same
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)


def test_small_system_is_solved_on_one_level() -> None:
    space = P1Space(cylinder(4, 0.02, 0.04))
    given = system(space, np.ones(len(space.mesh.cells)))
    x = np.zeros(space.n_nodes)
    assert solve(MultigridCG(space.scatter.pattern), given, x) <= 40
    assert given.plain @ x == pytest.approx(given.rhs, abs=1e-8)


def test_cycle_is_symmetric_and_positive() -> None:
    space = space_of("3-D")
    given = system(space, blob(space, 0.01))
    pattern, n = space.scatter.pattern, space.n_nodes
    hierarchy, factor = build(given.plain)
    diagonal = given.matrix.diagonal.astype(np.float32)
    weight = np.float32(factor) / diagonal
    scratch = scratch_for(n, hierarchy)

    def apply(b: Array) -> Array:
        z = np.empty(n, np.float32)
        right = b.astype(np.float32)
        product = cycle(
            pattern.indptr, pattern.indices, given.matrix.off, diagonal, weight, hierarchy, right, z, scratch
        )
        assert product == pytest.approx(float(right.astype(float) @ z), rel=1e-4)
        assert product > 0.0
        return z.astype(float)

    a, b = (np.random.default_rng(seed).standard_normal(n) for seed in (1, 2))
    assert a @ apply(b) == pytest.approx(b @ apply(a), rel=1e-3)


def test_indefinite_matrix_is_an_error() -> None:
    space = space_of("axisymmetric")
    given = system(space, blob(space, 1.0))
    solver = MultigridCG(space.scatter.pattern)
    solver.build(given.matrix)
    wrong = given.matrix.off.copy()
    wrong[np.random.default_rng(0).integers(0, len(wrong), 500)] *= -3.0
    with pytest.raises(SolverError, match="did not converge"):
        solve(solver, given._replace(matrix=Matrix(wrong, given.matrix.diagonal)), np.zeros(space.n_nodes))
