"""Between an antenna's mesh and the tissue's: points found, rings sampled, power spread without loss."""

from __future__ import annotations

import numpy as np
import pytest
from verification.cases_meshes import Array, box, cylinder, half_disk, octant, spherical

from ablationsim.fem.location import Locator
from ablationsim.fem.space import P1Space
from ablationsim.fem.tissue_share import TissueShare
from ablationsim.geometry.placement import Placement
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.deposition import Deposition, moved, ring_matrix

SIZE = 40e-3  # m
REACH = 2e-3  # m
HALF_PLANE = cylinder(24, SIZE, SIZE)
CUBE = box(12, SIZE)
UP = Placement.along((0.0, 0.0, 10e-3), (0.0, 0.0, 1.0))
DOWN = Placement.along((0.0, 0.0, 30e-3), (0.0, 0.0, -1.0))
TILTED = Placement.along((18e-3, 17e-3, 12e-3), (0.3, -0.2, 1.0), roll=0.7)
PLACES = [
    pytest.param(HALF_PLANE, UP, id="axisymmetric"),
    pytest.param(HALF_PLANE, DOWN, id="axisymmetric, pointing down"),
    pytest.param(CUBE, TILTED, id="tilted in space"),
]


def rings(seed: int, count: int) -> Array:
    """Points (r, z) in the device frame, all of whose rings lie in the tissue in every placement."""
    return np.random.default_rng(seed).uniform((0.0, 0.0), (9e-3, 10e-3), (count, 2))


def solid(mesh: Mesh) -> Array:
    """World coordinates (n, 3) of the nodes."""
    return mesh.points if mesh.dimension == 3 else np.insert(mesh.points, 1, 0.0, axis=1)


# -- finding points ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mesh", [HALF_PLANE, CUBE], ids=["2-D", "3-D"])
def test_points_are_found_where_they_are(mesh: Mesh) -> None:
    points = np.random.default_rng(1).uniform(0.0, SIZE, (2000, mesh.dimension))
    found = Locator(mesh).find(points, 0.0)
    assert (found.cells >= 0).all()
    assert found.weights.min() >= 0.0
    back = np.einsum("pc,pcd->pd", found.weights, mesh.points[mesh.cells[found.cells]])
    assert back == pytest.approx(points, abs=1e-12)


@pytest.mark.parametrize("mesh", [HALF_PLANE, CUBE], ids=["2-D", "3-D"])
def test_points_beyond_the_outside_are_not_found(mesh: Mesh) -> None:
    points = np.full((3, mesh.dimension), 0.5 * SIZE)
    points[0, -1], points[1, -1], points[2, 0] = -1e-4, SIZE + 1e-4, SIZE + 1e-4
    found = Locator(mesh).find(points, SIZE)
    assert found.cells.tolist() == [-1, -1, -1]
    assert not found.weights.any()


@pytest.mark.parametrize("axisymmetric", [True, False])
def test_points_in_a_cut_out_take_the_nearest_tissue(axisymmetric: bool) -> None:
    radii = np.linspace(4e-3, 12e-3, 7)
    mesh = half_disk(radii, 16, spherical) if axisymmetric else octant(radii, 8, spherical)
    direction = np.array([0.6, 0.8]) if axisymmetric else np.array([0.48, 0.6, 0.64])
    points = np.outer([1e-3, 3.5e-3, 3.999e-3, 8e-3, 11.8e-3, 12.1e-3], direction)
    found = Locator(mesh).find(points, 1e-3)
    assert (found.cells >= 0).tolist() == [False, True, True, True, True, False]
    kept = found.cells >= 0
    assert found.weights[kept].sum(axis=1) == pytest.approx(1.0, abs=1e-15)
    back = np.einsum("pc,pcd->pd", found.weights[kept], mesh.points[mesh.cells[found.cells[kept]]])
    assert np.linalg.norm(back - points[kept], axis=1)[0] == pytest.approx(0.5e-3, abs=0.15e-3)
    assert np.linalg.norm(back, axis=1)[0] == pytest.approx(4e-3, abs=0.15e-3)


def test_a_cut_out_does_not_hide_what_is_behind_it() -> None:
    mesh = half_disk(np.linspace(4e-3, 12e-3, 9), 32, spherical)
    # To and fro between the poles: the straight way leads through the cut-out.
    heights = np.where(np.arange(40) % 2, 5e-3, -5e-3)
    points = np.column_stack([np.full(40, 1e-3), heights])
    found = Locator(mesh).find(points, 0.0)
    back = np.einsum("pc,pcd->pd", found.weights, mesh.points[mesh.cells[found.cells]])
    assert back == pytest.approx(points, abs=1e-12)


def test_size_is_the_side_of_a_regular_element() -> None:
    corners = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    cells = np.array([[0, 2, 1, 3]])
    facets = {"outer": np.array([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])}
    mesh = Mesh(corners, cells, {}, facets, axisymmetric=False)
    assert Locator(mesh).size == pytest.approx([np.sqrt(8.0)])


# -- rings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mesh", "placement"), PLACES)
def test_weights_of_a_ring_inside_add_up_to_one(mesh: Mesh, placement: Placement) -> None:
    matrix = ring_matrix(Locator(mesh), placement, rings(2, 300), REACH)
    assert matrix.data.min() >= 0.0
    assert np.asarray(matrix.sum(axis=1)) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize(("mesh", "placement"), PLACES)
def test_linear_field_is_sampled_exactly(mesh: Mesh, placement: Placement) -> None:
    points = rings(3, 300)
    slope = np.array([0.0, 0.0, 300.0]) if mesh.axisymmetric else np.array([100.0, -200.0, 300.0])
    nodal = 290.0 + solid(mesh) @ slope
    matrix = ring_matrix(Locator(mesh), placement, points, REACH)
    # The mean over a ring is the value at its centre.
    centres = placement.to_world(np.column_stack([np.zeros(300), np.zeros(300), points[:, 1]]))
    assert matrix @ nodal == pytest.approx(290.0 + centres @ slope, rel=1e-13)
    if mesh.axisymmetric:
        assert matrix @ mesh.points[:, 0] == pytest.approx(points[:, 0], abs=1e-14)


def test_mean_over_a_ring_converges_with_the_mesh() -> None:
    points = rings(4, 200)
    errors = []
    for n in (6, 12, 24):
        mesh = box(n, SIZE)
        radius = np.hypot(*TILTED.to_device(mesh.points)[:, :2].T)
        matrix = ring_matrix(Locator(mesh), TILTED, points, REACH)
        errors.append(np.abs(matrix @ radius**2 - points[:, 0] ** 2).max())
    assert np.log2(errors[0] / errors[1]) > 1.7
    assert np.log2(errors[1] / errors[2]) > 1.7


def test_share_of_a_ring_in_the_tissue() -> None:
    # A shaft on an edge of the cube, a face behind it: a quarter and a half of each ring are inside.
    points = np.array([[15e-3, 10e-3]])
    for tip, share in (((0.0, 0.0, 0.0), 0.25), ((0.0, 20e-3, 0.0), 0.5), ((20e-3, 20e-3, 0.0), 1.0)):
        matrix = ring_matrix(Locator(CUBE), Placement.along(tip), points, 0.0)
        assert matrix.sum() == pytest.approx(share, abs=0.03)
    assert ring_matrix(Locator(CUBE), Placement.along((0.0, 0.0, 31e-3)), points, 0.0).nnz == 0


# -- power ------------------------------------------------------------------------------------------------------------


def antenna_triangles(spacing: float) -> tuple[Array, Array, Array]:
    """Centroids, three points each, and areas of triangles that fill 0 < r < 9 mm, 0 < z < 10 mm."""
    mesh = cylinder(round(10e-3 / spacing), 9e-3, 10e-3)
    corners = mesh.points[mesh.cells]
    middles = 0.5 * (corners + np.roll(corners, -1, axis=1))
    return corners.mean(axis=1), middles, np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1])) / 2.0


@pytest.mark.parametrize("spacing", [2.5e-3, 0.4e-3], ids=["coarser than the tissue", "finer than the tissue"])
@pytest.mark.parametrize(("mesh", "placement"), PLACES)
def test_power_is_conserved_and_stays_where_it_is(mesh: Mesh, placement: Placement, spacing: float) -> None:
    centroids, points, area = antenna_triangles(spacing)
    deposition = Deposition.place(P1Space(mesh), Locator(mesh), placement, centroids, points, REACH)
    power = (area[:, None] * points[..., 0] * np.exp(-points[..., 0] / 4e-3)) / 3.0
    load, blood = deposition.spread(power)
    assert blood == 0.0
    assert load.min() >= 0.0
    assert load.sum() == pytest.approx(power.sum(), rel=1e-13)
    # What is linear is spread without error: the centre of the power stays.
    height = placement.to_device(solid(mesh))[:, 2]
    assert load @ height == pytest.approx(np.sum(power * points[..., 1]), rel=1e-12)


@pytest.mark.parametrize("axisymmetric", [True, False], ids=["axisymmetric", "in space"])
def test_uniform_density_becomes_a_uniform_load(axisymmetric: bool) -> None:
    # The antenna's mesh reaches beyond the block on all sides.
    mesh = cylinder(8, 6e-3, 6e-3) if axisymmetric else box(8, 6e-3)
    placement = Placement.along((0.0, 0.0, -2e-3)) if axisymmetric else Placement.along((3e-3, 3e-3, -2e-3), (1, 2, 9))
    centroids, points, area = antenna_triangles(0.3e-3)
    power = 2.0 * np.pi * area[:, None] * points[..., 0] / 3.0  # one watt per cubic metre
    load = Deposition.place(P1Space(mesh), Locator(mesh), placement, centroids, points, 0.0).spread(power)[0]
    space = P1Space(mesh)
    assert load.sum() == pytest.approx(space.volume.sum(), rel=0.02)
    inner = np.setdiff1d(np.arange(space.n_nodes), mesh.facets["outer"])
    ratio = load[inner] / space.lumped_mass[inner]
    assert ratio.mean() == pytest.approx(1.0, abs=0.003)
    assert ratio == pytest.approx(1.0, abs=0.15)


def test_power_that_falls_into_a_vessel_goes_to_its_blood() -> None:
    mesh = box(8, 6e-3)
    share = TissueShare.outside(mesh, [lambda x: x[:, 0] - 2e-3])
    space, locator = P1Space(mesh, share), Locator(mesh)
    placement = Placement.along((3e-3, 3e-3, -2e-3), (1, 2, 9))
    centroids, points, area = antenna_triangles(0.3e-3)
    power = 2.0 * np.pi * area[:, None] * points[..., 0] / 3.0  # one watt per cubic metre
    load, blood = Deposition.place(space, locator, placement, centroids, points, 0.0).spread(power)
    whole, _ = Deposition.place(P1Space(mesh), locator, placement, centroids, points, 0.0).spread(power)
    assert load.sum() + blood == pytest.approx(whole.sum(), rel=1e-12)
    assert blood == pytest.approx(whole.sum() / 3.0, rel=0.03)


def test_what_is_beyond_the_block_is_dropped() -> None:
    points = np.array([[[5e-3, 5e-3], [5e-3, 35e-3], [45e-3, 5e-3]]])
    deposition = Deposition.place(P1Space(HALF_PLANE), Locator(HALF_PLANE), UP, points[:, 0], points, REACH)
    assert deposition.spread(np.array([[1.0, 2.0, 4.0]]))[0].sum() == pytest.approx(1.0, abs=1e-15)


def test_tissue_beyond_the_block_is_unheated() -> None:
    points = np.array([[[5e-3, 5e-3]], [[5e-3, 35e-3]]])
    deposition = Deposition.place(P1Space(HALF_PLANE), Locator(HALF_PLANE), UP, points[:, 0], points, REACH)
    assert deposition.sample(np.full(len(HALF_PLANE.points), 350.0), 300.0) == pytest.approx([350.0, 300.0])


@pytest.mark.parametrize(("mesh", "placement"), PLACES)
def test_withdrawn_along_the_shaft(mesh: Mesh, placement: Placement) -> None:
    height = placement.to_device(solid(mesh))[:, 2]
    points = rings(5, 50)
    matrix = ring_matrix(Locator(mesh), moved(placement, 3e-3), points, REACH)
    assert matrix @ height == pytest.approx(points[:, 1] + 3e-3, abs=1e-14)
