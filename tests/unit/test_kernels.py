"""Compiled kernels against slow plain twins, on a mesh for one thread and on one for several."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from numba import get_num_threads, set_num_threads
from scipy import sparse
from verification.cases_meshes import box, cylinder
from verification.matrices import stiffness

from ablationsim.fem import kernels, newton, products
from ablationsim.fem.guess import KEPT, Guess, combine, differences, energies
from ablationsim.fem.hierarchy import Hierarchy
from ablationsim.fem.krylov import correction, solve
from ablationsim.fem.pattern import connect
from ablationsim.fem.portions import Portions
from ablationsim.fem.space import P1Space
from ablationsim.fem.stiffness import Matrix, times
from ablationsim.mesh.distribution import WHOLE
from ablationsim.mesh.ordering import renumbered

SINGLE = 4.0 * np.finfo(np.float32).eps
SPACES = {
    "triangles": P1Space(cylinder(6, 0.01, 0.02)),
    "tetrahedra": P1Space(box(4, 0.01)),
    "threaded triangles": P1Space(renumbered(cylinder(130, 0.01, 0.02))),
    "threaded tetrahedra": P1Space(renumbered(box(26, 0.01))),
}


@pytest.fixture(params=list(SPACES))
def space(request: pytest.FixtureRequest) -> P1Space:
    found = SPACES[request.param]
    assert (found.n_nodes >= products.THREADED_FROM) == request.param.startswith("threaded")
    return found


def random(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n)


def matrix_of(space: P1Space) -> tuple[Matrix, sparse.csr_array]:
    """A matrix with one node held, in both forms."""
    coefficient = np.random.default_rng(5).uniform(0.5, 2.0, len(space.mesh.cells))
    matrix = space.scatter.matrix(coefficient)
    matrix.diagonal[:] += 1e3 * space.lumped_mass
    plain = stiffness(space, coefficient) + sparse.diags_array(1e3 * space.lumped_mass)
    held = space.n_nodes // 2
    matrix.diagonal[held] = 0.0
    keep = np.ones(space.n_nodes)
    keep[held] = 0.0
    return matrix, sparse.csr_array(sparse.diags_array(keep) @ plain)


# -- pattern and assembly ---------------------------------------------------------------------------------------------


def test_pattern_lists_neighbours_and_edges(space: P1Space) -> None:
    mesh = space.mesh
    n, corners = space.n_nodes, mesh.cells.shape[1]
    pairs = list(combinations(range(corners), 2))
    rows = np.concatenate([mesh.cells[:, a] for a, b in pairs])
    columns = np.concatenate([mesh.cells[:, b] for a, b in pairs])
    plain = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n)).tocsr()
    plain = sparse.csr_array(plain + plain.T)
    plain.sort_indices()
    pattern, edges = connect(mesh.cells, n)
    assert np.array_equal(pattern.indptr, plain.indptr)
    assert np.array_equal(pattern.indices, plain.indices)
    row = np.repeat(np.arange(n), np.diff(plain.indptr))
    higher = np.flatnonzero(plain.indices > row)
    assert np.array_equal(pattern.upper + np.diff(pattern.first_edge), pattern.indptr[1:])
    assert np.array_equal(row[pattern.mirror], plain.indices[higher])
    assert np.array_equal(plain.indices[pattern.mirror], row[higher])
    low, high = row[higher], plain.indices[higher]
    for edge, (a, b) in enumerate(pairs):
        assert np.array_equal(low[edges[:, edge]], np.minimum(mesh.cells[:, a], mesh.cells[:, b]))
        assert np.array_equal(high[edges[:, edge]], np.maximum(mesh.cells[:, a], mesh.cells[:, b]))


def test_matrix_is_the_sum_over_elements(space: P1Space) -> None:
    mesh, n = space.mesh, space.n_nodes
    coefficient = np.random.default_rng(1).uniform(0.1, 10.0, len(mesh.cells))
    plain = sparse.csr_array((n, n))
    for edge, (a, b) in enumerate(combinations(range(mesh.cells.shape[1]), 2)):
        values = coefficient * space.edge_stiffness[:, edge].astype(float)
        places = (mesh.cells[:, a], mesh.cells[:, b])
        plain = plain + sparse.coo_array((values, places), shape=(n, n)).tocsr()
    plain = plain + plain.T
    matrix = stiffness(space, coefficient)
    beside = matrix - sparse.diags_array(matrix.diagonal())
    assert abs(beside - plain).max() < SINGLE * abs(plain).max()
    assert matrix.diagonal() == pytest.approx(-np.asarray(beside.sum(axis=1)).ravel(), rel=1e-14)


def test_portions_cover_all_elements_and_targets(space: P1Space) -> None:
    cells, n = space.mesh.cells, space.n_nodes
    portions = Portions.of(cells.view(np.uint32), n)
    assert (len(portions.lowest) > 1) == (n >= products.THREADED_FROM)
    assert portions.first[0] == 0
    assert portions.first[-1] == len(cells)
    for k, (first, last) in enumerate(zip(portions.first[:-1], portions.first[1:], strict=True)):
        assert cells[first:last].min() == portions.lowest[k]
        assert cells[first:last].max() == portions.lowest[k] + portions.start[k + 1] - portions.start[k] - 1


def test_portions_of_a_mesh_without_order_do_not_pile_up() -> None:
    shuffled = np.random.default_rng(0).permutation(60_000).reshape(-1, 4).astype(np.uint32)
    portions = Portions.of(shuffled, 60_000)
    assert portions.start[-1] <= 2 * 60_000


# -- products ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_products_are_those_of_scipy(space: P1Space, kind: type) -> None:
    pattern = space.scatter.pattern
    matrix, plain = matrix_of(space)
    n, scale = space.n_nodes, 1.0
    x, b, weight = (random(n, seed).astype(kind) for seed in range(3))
    diagonal, y = matrix.diagonal.astype(kind), np.full(n, np.nan, kind)
    expected = plain @ x.astype(float)
    rough = {"rel": 1e-5 if kind is np.float32 else 1e-12, "abs": SINGLE * abs(expected).max()}
    args = (pattern.indptr, pattern.indices, matrix.off)
    assert products.product(*args, kind(scale), diagonal, x, y) == pytest.approx(expected @ x, rel=1e-5)
    assert y == pytest.approx(expected, **rough)
    square = products.residual(*args, kind(scale), diagonal, b, x, y)
    missing = np.where(matrix.diagonal == 0.0, 0.0, b - expected)
    assert y == pytest.approx(missing, **rough)
    assert square == pytest.approx(missing @ missing, rel=1e-5)
    weight[matrix.diagonal == 0.0] = 0.0
    assert products.sweep(*args, diagonal, weight, b, x, y) == pytest.approx(b @ y, rel=1e-4)
    assert y == pytest.approx(x + weight * missing, rel=rough["rel"], abs=1e-6)


def test_scaled_product_scales_what_is_off_the_diagonal(space: P1Space) -> None:
    pattern = space.scatter.pattern
    matrix, plain = matrix_of(space)
    x, y = random(space.n_nodes), np.empty(space.n_nodes)
    products.product(pattern.indptr, pattern.indices, matrix.off, 3.0, matrix.diagonal, x, y)
    expected = 3.0 * (plain @ x) - 2.0 * matrix.diagonal * x
    expected[matrix.diagonal == 0.0] = 0.0
    assert y == pytest.approx(expected, abs=1e-12 * abs(expected).max())


def test_transfer_between_levels() -> None:
    for n, m in ((300, 40), (40_000, 5_000)):
        plain = sparse.random_array((n, m), density=4.0 / m, rng=np.random.default_rng(0), format="csr")
        x, y = random(m).astype(np.float32), np.full(n, np.nan, np.float32)
        args = (plain.indptr.astype(np.uint32), plain.indices.astype(np.uint32), plain.data.astype(np.float32))
        products.transfer(*args, False, x, y)
        assert y == pytest.approx(plain @ x, rel=1e-5, abs=1e-5)
        products.transfer(*args, True, x, y)
        assert y == pytest.approx(2.0 * (plain @ x), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("n", [100, 40_000])
def test_vector_operations(n: int) -> None:
    p, q, x, r = (random(n, seed).astype(np.float32) for seed in range(4))
    new_x, new_r = x.copy(), r.copy()
    square = products.advance(np.float32(0.3), p, q, new_x, new_r)
    assert new_x == pytest.approx(x + 0.3 * p, abs=1e-6)
    assert new_r == pytest.approx(r - 0.3 * q, abs=1e-6)
    assert square == pytest.approx((new_r.astype(float) ** 2).sum())
    direction = p.copy()
    products.turn(np.float32(0.5), q, direction)
    assert direction == pytest.approx(q + 0.5 * p, abs=1e-6)
    z = np.empty(n, np.float32)
    assert products.scaled(p, q, z) == pytest.approx((p * q * q.astype(float)).sum(), rel=1e-4, abs=1e-3)
    assert z == pytest.approx(p * q)
    total = random(n, 9)
    expected = total + 2.5 * q.astype(float)
    products.add_scaled(2.5, q, total)
    assert total == pytest.approx(expected)


@pytest.mark.parametrize("n", [100, 40_000])
def test_numbers_too_small_for_the_processor_become_zero(n: int) -> None:
    tiny = np.full(n, 1e-30, np.float32)
    p, r = tiny.copy(), tiny.copy()
    products.turn(np.float32(1.0), tiny, p)
    products.advance(np.float32(1.0), tiny, tiny, np.zeros(n, np.float32), r)
    assert not p.any()
    assert not r.any()


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    space = SPACES["threaded tetrahedra"]
    pattern, n = space.scatter.pattern, space.n_nodes
    x, coefficient, outcomes = random(n), np.random.default_rng(1).uniform(0.1, 1.0, len(space.mesh.cells)), []
    before = get_num_threads()
    try:
        for threads in (1, before):
            set_num_threads(threads)
            matrix = space.scatter.matrix(coefficient)
            heat = np.empty(len(coefficient))
            power = kernels.joule_heat(x, x, coefficient, space.cells, space.edge_stiffness, heat)
            y = np.empty(n)
            dot = products.product(pattern.indptr, pattern.indices, matrix.off, 1.0, matrix.diagonal, x, y)
            outcomes.append((matrix.off, matrix.diagonal, heat, power, space.nodal_load(heat), y, dot))
    finally:
        set_num_threads(before)
    for first, second in zip(*outcomes, strict=True):
        assert np.array_equal(first, second)


# -- loops over nodes and elements ------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [1, 5_000])
def test_look_up_is_linear_interpolation_and_extrapolates_the_end(repeats: int) -> None:
    table = np.array([0.0, 1.0, 4.0, 9.0])
    x = np.tile([10.0, 11.0, 12.5, 16.0, 18.0], repeats)
    value, slope = np.empty(len(x)), np.empty(len(x))
    kernels.look_up(x, 10.0, 2.0, table, value, slope)
    assert value == pytest.approx(np.tile([0.0, 0.5, 1.75, 9.0, 14.0], repeats))
    assert slope == pytest.approx(np.tile([0.5, 0.5, 1.5, 2.5, 2.5], repeats))


@pytest.mark.parametrize("n", [500, 40_000])
def test_heat_content_is_the_difference_of_two_tables(n: int) -> None:
    random_number = np.random.default_rng(0)
    table, latent = np.cumsum(random_number.uniform(2.0, 3.0, 40)), np.cumsum(random_number.uniform(0.0, 2.0, 40))
    x, lost = random_number.uniform(5.0, 24.5, n), random_number.uniform(0.0, 1.0, n)
    value, slope = np.empty(n), np.empty(n)
    kernels.heat_content(x, lost, 5.0, 0.5, table, latent, value, slope)
    grid = 5.0 + 0.5 * np.arange(40)
    assert value == pytest.approx(np.interp(x, grid, table) - lost * np.interp(x, grid, latent), rel=1e-12)
    place = np.clip(((x - 5.0) / 0.5).astype(int), 0, 38)
    assert slope == pytest.approx(2.0 * (np.diff(table)[place] - lost * np.diff(latent)[place]), rel=1e-9)
    # Beyond the ends with the last slopes.
    ends, some = np.array([4.0, 26.0]), np.array([0.25, 0.75])
    value, slope = np.empty(2), np.empty(2)
    kernels.heat_content(ends, some, 5.0, 0.5, table, latent, value, slope)
    rise = 2.0 * (np.diff(table)[[0, -1]] - some * np.diff(latent)[[0, -1]])
    assert slope == pytest.approx(rise)
    assert value == pytest.approx(table[[0, -1]] - some * latent[[0, -1]] + rise * [-1.0, 1.5])


@pytest.mark.parametrize("n", [500, 40_000])
def test_heat_content_and_its_exact_inverse(n: int) -> None:
    random_number = np.random.default_rng(0)
    grid = 5.0 + 0.5 * np.arange(400)
    latent = 300.0 * np.clip((grid - 100.0) / 4.0, 0.0, 1.0)
    table = 3.0 * grid + latent
    x, lost = random_number.uniform(5.0, 204.0, n), random_number.choice([0.0, 0.3, 1.0], n)
    content = np.interp(x, grid, table) - lost * np.interp(x, grid, latent)
    # From where nothing would have been lost, which is a lower bound.
    found = np.interp(content, table, grid)
    assert (found <= x + 1e-9).all()
    first = found.copy()
    kernels.refine_heat_content(content, lost, 5.0, 0.5, table, latent, found)
    assert np.array_equal(found[lost == 0.0], first[lost == 0.0])
    assert found == pytest.approx(x, abs=1e-9)
    assert abs(first - x).max() > 10.0


def test_element_look_up_holds_the_ends(space: P1Space) -> None:
    table = np.array([2.0, 4.0, 4.0])
    out = np.empty(len(space.mesh.cells))
    for x, expected in ((-5.0, 2.0), (0.5, 3.0), (7.0, 4.0)):
        nodal, factor = np.full(space.n_nodes, x), np.full(space.n_nodes, 0.5)
        kernels.element_look_up(nodal, 0.0, 1.0, table, factor, space.cells, space.averaging, out)
        assert out == pytest.approx(0.5 * expected)


def test_element_look_up_is_the_mean_of_the_nodes(space: P1Space) -> None:
    table, factor = np.array([1.0, 2.0, 5.0, 6.0]), np.random.default_rng(1).uniform(0.5, 2.0, space.n_nodes)
    x, out = np.random.default_rng(0).uniform(0.0, 3.0, space.n_nodes), np.empty(len(space.mesh.cells))
    kernels.element_look_up(x, 0.0, 1.0, table, factor, space.cells, space.averaging, out)
    nodal = factor * np.interp(x, np.arange(4.0), table)
    assert out == pytest.approx(space.element_mean(nodal), rel=1e-6)


def test_joule_heat_is_sigma_times_the_product_of_gradients(space: P1Space) -> None:
    points = space.mesh.points[space.mesh.cells]
    u, v = random(space.n_nodes, 1), random(space.n_nodes, 2)
    sigma = np.random.default_rng(3).uniform(0.1, 1.0, len(points))
    gradients = [
        np.linalg.solve(points[:, 1:] - points[:, :1], (f[:, 1:] - f[:, :1])[:, :, None])[:, :, 0]
        for f in (u[space.mesh.cells], v[space.mesh.cells])
    ]
    expected = sigma * (gradients[0] * gradients[1]).sum(axis=1) * space.volume
    heat = np.empty(len(points))
    power = kernels.joule_heat(u, v, sigma, space.cells, space.edge_stiffness, heat)
    assert heat == pytest.approx(expected, rel=1e-4, abs=1e-5 * abs(expected).max())
    assert power == pytest.approx(heat.sum())


def test_joule_heat_of_a_uniform_field(space: P1Space) -> None:
    potential = 100.0 * space.mesh.points[:, -1]
    sigma, heat = np.full(len(space.mesh.cells), 0.2), np.empty(len(space.mesh.cells))
    power = kernels.joule_heat(potential, potential, sigma, space.cells, space.edge_stiffness, heat)
    assert power == pytest.approx(0.2 * 100.0**2 * space.volume.sum())
    assert space.nodal_load(heat) == pytest.approx(0.2 * 100.0**2 * space.lumped_mass)


def test_nodal_load_shares_out_what_elements_release(space: P1Space) -> None:
    heat = np.random.default_rng(0).uniform(0.0, 1.0, len(space.mesh.cells))
    expected = np.zeros(space.n_nodes)
    np.add.at(expected, space.mesh.cells, heat[:, None] * space.averaging)
    assert space.nodal_load(heat) == pytest.approx(expected)


# -- solvers ----------------------------------------------------------------------------------------------------------


def test_correction_solves_to_a_goal_and_reports_failure(space: P1Space) -> None:
    pattern, n = space.scatter.pattern, space.n_nodes
    coefficient = np.ones(len(space.mesh.cells))
    matrix = space.scatter.matrix(coefficient)
    shift = 1e5 * space.lumped_mass
    diagonal = (2.0 * matrix.diagonal + shift).astype(np.float32)
    plain = 2.0 * stiffness(space, coefficient) + sparse.diags_array(shift)
    expected = random(n, 1)
    right = (plain @ expected).astype(np.float32)
    found = np.full(n, np.nan, np.float32)
    args = (pattern.indptr, pattern.indices, matrix.off, 2.0, diagonal, 1.0 / diagonal, Hierarchy.none())
    assert correction(*args, right.copy(), found, 1e-6, True, 1000) > 0
    assert np.linalg.norm(plain @ found.astype(float) - right) < 1e-5 * np.linalg.norm(right)
    assert correction(*args, right.copy(), found, 1e-6, True, 2) == -1
    wrong = right.copy()
    wrong[0] = np.nan
    assert correction(*args, wrong, found, 1e-6, True, 1000) == -1


def test_solve_goes_beyond_single_precision(space: P1Space) -> None:
    coefficient = np.ones(len(space.mesh.cells))
    matrix = space.scatter.matrix(coefficient)
    matrix.diagonal[:] += 1e5 * space.lumped_mass
    plain = stiffness(space, coefficient) + sparse.diags_array(1e5 * space.lumped_mass)
    expected = random(space.n_nodes, 1)
    right = plain @ expected
    weight = (1.0 / matrix.diagonal).astype(np.float32)
    x = np.zeros(space.n_nodes)
    target = 1e-11 * float(np.linalg.norm(right))
    assert solve(space.scatter.pattern, matrix, weight, Hierarchy.none(), right, x, target, 1000) > 0
    assert np.linalg.norm(right - plain @ x) <= target * (1.0 + 1e-3)
    assert np.linalg.norm(x - expected) < 1e-8 * np.linalg.norm(expected)


def test_product_of_a_matrix_of_a_space(space: P1Space) -> None:
    coefficient = np.ones(len(space.mesh.cells))
    x = random(space.n_nodes)
    expected = stiffness(space, coefficient) @ x
    found = times(space.scatter.pattern, space.scatter.matrix(coefficient), x)
    assert found == pytest.approx(expected, abs=1e-12 * abs(expected).max())


@pytest.mark.parametrize("dried", [False, True])
def test_newton_solves_the_equation_across_the_steep_band(space: P1Space, dried: bool) -> None:
    """Two nodes in three start below the band and end beyond it, or in it; some have lost water, some all of it."""
    grid = np.arange(0.0, 1000.0, 0.5)
    latent = 2e9 * np.clip((grid - 372.0) / 2.0, 0.0, 1.0)
    enthalpy = 4e6 * grid + latent
    table = newton.EnthalpyTable(0.0, 0.5, enthalpy, latent, 373.0, 1.0)
    lost = np.zeros(space.n_nodes)
    if dried:
        lost = np.random.default_rng(1).choice([0.0, 0.4, 1.0], space.n_nodes)
    matrix = space.scatter.matrix(np.full(len(space.mesh.cells), 0.5))
    mass, losses, weight = space.lumped_mass, 10.0 * space.lumped_mass, 0.5
    start = 310.0
    known = mass * (np.interp(start, grid, enthalpy) + np.random.default_rng(0).choice([0.0, 1e9, 2.4e9], len(mass)))
    theta = np.zeros(len(mass))
    steps = newton.solve_enthalpy(
        space.scatter.pattern, matrix, mass, losses, known, weight, table, lost, theta, start, 1e-16 * mass.sum(), 200,
        WHOLE,
    )  # fmt: skip
    assert steps > 0
    plain = stiffness(space, 0.5)
    content = np.interp(start + theta, grid, enthalpy) - lost * np.interp(start + theta, grid, latent)
    energy = mass * content + weight * (plain @ theta + losses * theta)
    assert energy == pytest.approx(known, rel=1e-6)
    assert theta.max() > 60.0


# -- first guesses ----------------------------------------------------------------------------------------------------


def test_energies_are_products_with_the_matrix(space: P1Space) -> None:
    matrix, plain = matrix_of(space)
    pattern, n = space.scatter.pattern, space.n_nodes
    changes = np.random.default_rng(3).standard_normal((n, KEPT)).astype(np.float32)
    b, x = random(n, 1), random(n, 2)
    sums = energies(pattern.indptr, pattern.indices, matrix.off, matrix.diagonal, b, x, changes)
    images = plain @ changes.astype(float)
    missing = np.where(matrix.diagonal == 0.0, 0.0, b - plain @ x)
    expected = changes.T.astype(float) @ np.column_stack([images, missing])
    assert sums == pytest.approx(expected, rel=1e-4, abs=1e-5 * abs(expected).max())


@pytest.mark.parametrize("n", [50, 40_000])
def test_differences_of_rising_order(n: int) -> None:
    solutions = [random(n, seed) for seed in range(6)]
    changes = np.zeros((n, KEPT), np.float32)
    for before, after in pairwise(solutions):
        differences(before, after, changes)
    plain = np.diff(np.array(solutions), axis=0)
    for order in range(KEPT):
        assert changes[:, order] == pytest.approx(np.diff(plain, n=order, axis=0)[-1], abs=1e-5)
    x = random(n, 8)
    expected = x + changes @ np.array([1.0, -2.0, 0.5, 3.0])
    combine(changes, np.array([1.0, -2.0, 0.5, 3.0]), x)
    assert x == pytest.approx(expected, abs=1e-5)


def test_guess_is_exact_for_a_cubic_in_time(space: P1Space) -> None:
    matrix, plain = matrix_of(space)
    held = matrix.diagonal == 0.0
    parts = [random(space.n_nodes, seed) for seed in range(4)]
    for part in parts:
        part[held] = 0.0

    def solution(t: float) -> np.ndarray:
        return parts[0] + t * parts[1] + t**2 * parts[2] + t**3 * parts[3]

    guess = Guess(space.n_nodes, WHOLE)
    times_ = [0.0, 0.1, 0.25, 0.3, 0.5, 0.6]
    for before, after in pairwise(times_):
        guess.remember(solution(before), solution(after))
    x = solution(times_[-1])
    wanted = solution(0.7)
    away = np.linalg.norm(x - wanted)
    guess.improve(space.scatter.pattern, matrix, plain @ wanted, x)
    assert np.linalg.norm(x - wanted) < 1e-3 * away


def test_guess_without_a_past_changes_nothing(space: P1Space) -> None:
    matrix, plain = matrix_of(space)
    x = random(space.n_nodes)
    kept = x.copy()
    Guess(space.n_nodes, WHOLE).improve(space.scatter.pattern, matrix, plain @ x + 1.0, x)
    assert np.array_equal(x, kept)
