"""Walls in a mesh, what vessels leave of its elements, and the heat that their blood takes up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from verification.cases_meshes import box
from verification.cases_vessels import BLOOD, block, straight_vessel
from verification.matrices import stiffness

from ablationsim.fem.location import Locator
from ablationsim.fem.space import P1Space
from ablationsim.fem.tissue_share import LEAST, TissueShare
from ablationsim.fem.wall import WallPoints, exchange_matrix
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.walls import wall_of_facets
from ablationsim.physics.blood import BloodNetwork
from ablationsim.physics.lumens import Lumens
from ablationsim.physics.vessel_exchange import VesselExchange
from ablationsim.vessels.attach import attach
from ablationsim.vessels.cache import cached
from ablationsim.vessels.distance import WallDistance, split_triangles
from ablationsim.vessels.vessel import Branch, Centreline, Shape, Vessel
from ablationsim.zone.extract import zone_volume

SIZE = 20e-3  # m, of the cube
CAPACITY = BLOOD.volumetric_heat_capacity


@pytest.fixture(scope="module")
def cube() -> Mesh:
    return box(8, SIZE)


def tube(**options) -> Vessel:
    """Across the cube, 6 mm thick, through its middle."""
    middle = SIZE / 2
    values = {"coefficient": 1500.0, **options}
    return straight_vessel(3e-3, np.array([middle, middle, -5e-3]), np.array([middle, middle, 25e-3]), **values)


def exchange_on(mesh: Mesh, *vessels: Vessel, conductivity: float = 0.5) -> tuple[P1Space, VesselExchange]:
    lumens = Lumens(mesh, vessels)
    space = P1Space(mesh, lumens.tissue)
    return space, VesselExchange(space, vessels, 300.0, lumens.blood_temperature, conductivity)


# -- distance and shape ------------------------------------------------------------------------------------------------


def test_distance_to_a_tube_is_signed() -> None:
    distance = WallDistance(tube().wall)
    points = np.array([[10e-3, 10e-3, 5e-3], [15e-3, 10e-3, 5e-3], [10e-3, 14e-3, 12e-3], [10e-3, 10e-3, 27e-3]])
    # The prism has the circle's area, so that its sides are within 0.1 % of the radius.
    assert distance(points) == pytest.approx([-3e-3, 2e-3, 1e-3, 2e-3], abs=5e-6)


def test_sign_next_to_an_edge_where_two_faces_are_equally_near() -> None:
    distance = WallDistance(tube(sides=4).wall)
    corner = 3e-3 * np.sqrt(np.pi / 2.0)
    beyond = np.array([[10e-3 + corner + 1e-4, 10e-3, 5e-3], [10e-3 + corner - 1e-4, 10e-3, 5e-3]])
    rotated = WallDistance(tube(sides=4).wall)(beyond)
    assert np.sign(rotated).tolist() == np.sign(distance(beyond)).tolist()
    found = distance(np.array([[10e-3, 10e-3, 24.9e-3], [10e-3, 10e-3, 25.1e-3]]))
    assert found == pytest.approx([-1e-4, 1e-4], abs=1e-9)


def test_split_triangles_keep_area_and_orientation() -> None:
    corners = np.array([[[0.0, 0.0, 0.0], [8.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    pieces, parent = split_triangles(corners, 0.5)
    normals = np.cross(pieces[:, 1] - pieces[:, 0], pieces[:, 2] - pieces[:, 0])
    assert 0.5 * normals[:, 2].sum() == pytest.approx(4.0)
    assert (normals[:, 2] > 0.0).all()
    assert (parent == 0).all()
    assert np.linalg.norm(np.roll(pieces, 1, axis=1) - pieces, axis=2).max() <= 0.5


def test_points_of_a_fork_belong_to_the_branch_whose_tube_they_are_on() -> None:
    trunk = Branch("trunk", np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 30e-3]]), np.full(2, 4e-3), {}, 1e-6, "fixed", 1e3)
    twig = Branch(
        "twig", np.array([[0.0, 0.0, 15e-3], [20e-3, 0.0, 15e-3]]), np.full(2, 1e-3), {0: 1e-7}, 1e-7, "fixed", 1e3
    )
    points = np.array([[4e-3, 0.0, 5e-3], [0.0, 4e-3, 15e-3], [8e-3, 1e-3, 15e-3], [19e-3, 0.0, 16e-3]])
    branch, station = attach(points, [trunk, twig])
    assert branch.tolist() == [0, 0, 1, 1]
    assert station == pytest.approx([5e-3, 15e-3, 8e-3, 19e-3], abs=0.3e-3)


# -- what vessels leave of the elements --------------------------------------------------------------------------------


def test_a_plane_cuts_elements_exactly(cube: Mesh) -> None:
    share = TissueShare.outside(cube, [lambda x: x[:, 0] - 7.3e-3])
    volumes = np.abs(cube.cell_volumes())
    assert share.share @ volumes == pytest.approx((SIZE - 7.3e-3) * SIZE**2, rel=1e-9)
    assert share.load.sum(axis=1) == pytest.approx(share.share)
    # The first moment is exact but for pieces that are cut themselves.
    x = np.einsum("ea,ea,e->", share.load, cube.points[cube.cells][:, :, 0], volumes)
    assert x == pytest.approx(0.5 * (SIZE**2 - 7.3e-3**2) * SIZE**2, rel=2e-3)


def lumen_volume(mesh: Mesh, radius: float) -> float:
    """Volume of a tube through the middle of the cube, relative to the exact one."""
    middle = SIZE / 2
    ends = np.array([[middle, middle, -5e-3], [middle, middle, 25e-3]])
    vessel = straight_vessel(radius, *ends, coefficient=1.0)
    share = TissueShare.outside(mesh, [WallDistance(vessel.wall)])
    return (SIZE**3 - share.share @ np.abs(mesh.cell_volumes())) / (np.pi * radius**2 * SIZE)


def test_volume_of_a_lumen_converges_with_order_two(cube: Mesh) -> None:
    coarse, fine = (1.0 - lumen_volume(mesh, 3e-3) for mesh in (cube, box(16, SIZE)))
    assert 0.0 < coarse < 0.04
    assert fine < coarse / 3.5


def test_a_vessel_thinner_than_the_elements_is_not_lost(cube: Mesh) -> None:
    assert 0.5 < lumen_volume(cube, 1e-3) < 1.2


def test_a_space_integrates_over_the_tissue_alone(cube: Mesh) -> None:
    share = TissueShare.outside(cube, [lambda x: x[:, 0] - 7.3e-3])
    space, whole = P1Space(cube, share), P1Space(cube)
    assert space.volume.sum() == pytest.approx((SIZE - 7.3e-3) * SIZE**2, rel=1e-3)
    assert space.lumped_mass.min() > 0.0
    assert space.averaging.sum(axis=1) == pytest.approx(1.0)
    inside = share.share == 0.0
    assert space.edge_stiffness[inside] == pytest.approx(LEAST * whole.edge_stiffness[inside])


def test_regions_that_are_lumens_are_no_tissue(cube: Mesh) -> None:
    share = TissueShare.of_region(cube, np.arange(5))
    assert share.share[:7].tolist() == [0.0] * 5 + [1.0] * 2


# -- walls in a mesh -------------------------------------------------------------------------------------------------


def test_embedded_points_cover_the_wall_inside_the_mesh(cube: Mesh) -> None:
    middle = SIZE / 2
    vessel = straight_vessel(3e-3, np.array([middle, middle, 4e-3]), np.array([middle, middle, 16e-3]), coefficient=1.0)
    triangles = vessel.wall.points[vessel.wall.triangles[~vessel.wall.capped]]
    space = P1Space(cube, Lumens(cube, [vessel]).tissue)
    points = WallPoints.embedded(space, Locator(cube), triangles)
    assert points.area.sum() == pytest.approx(2.0 * np.pi * 3e-3 * 12e-3, rel=1e-3)
    beside = WallPoints.embedded(space, Locator(cube), triangles + np.array([SIZE, 0.0, 0.0]))
    assert len(beside.area) == 0
    # A linear function is itself at the depth behind the points; the way out of the tissue leads to the axis.
    outward = np.array([middle, middle, 0.0]) - points.position * [1.0, 1.0, 0.0]
    outward /= np.linalg.norm(outward, axis=1)[:, None]
    slope = np.array([1.0, -2.0, 3.0])
    # The normals are those of the 96 sides.
    assert points.slope @ (cube.points @ slope) == pytest.approx(outward @ slope, abs=0.15)
    behind = points.position - points.depth[:, None] * outward
    assert points.shape @ (cube.points @ slope) == pytest.approx(behind @ slope, abs=0.15 * points.depth.max())


def test_exchange_at_a_depth_leaves_the_matrix_positive_definite() -> None:
    mesh = block(8, 5e-3, 5e-3)
    vessel = straight_vessel(2e-3, np.array([0.0, 0.0, -5e-3]), np.array([0.0, 0.0, 10e-3]), coefficient=1e6)
    space, exchange = exchange_on(mesh, vessel)
    matrix = stiffness(space, 0.5, exchange.addition)
    assert np.linalg.eigvalsh(matrix.toarray()).min() > 0.0


def test_fitted_points_integrate_products_of_linear_functions(cube: Mesh) -> None:
    points = WallPoints.fitted(cube, "bottom")
    assert points.area.sum() == pytest.approx(SIZE**2)
    matrix = exchange_matrix(points, np.full(len(points.area), 2.0), 0.5)
    x = cube.points[:, 0]
    assert x @ (matrix @ x) == pytest.approx(2.0 * SIZE**4 / 3.0)
    assert matrix.sum() == pytest.approx(2.0 * SIZE**2)


def test_facets_of_a_mesh_are_a_wall_with_normals_toward_the_tissue(cube: Mesh) -> None:
    centres = cube.points[cube.cells].mean(axis=1)
    lumen = np.flatnonzero(centres[:, 2] < SIZE / 2)
    rest = np.flatnonzero(centres[:, 2] >= SIZE / 2)
    upper = Mesh(cube.points, cube.cells[rest], {}, {}, False)
    faces = {tuple(sorted(face)) for face in Mesh(cube.points, cube.cells[lumen], {}, {}, False).boundary().tolist()}
    between = np.array([face for face in upper.boundary().tolist() if tuple(sorted(face)) in faces])
    mesh = Mesh(cube.points, cube.cells, {"tissue": rest, "lumen:v": lumen}, {"wall": between}, False)
    wall = wall_of_facets(mesh, "wall")
    corners = wall.points[wall.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normal[:, 2] > 0.0).all()
    assert len(corners) == len(between)


# -- blood along branches --------------------------------------------------------------------------------------------


def test_blood_mixes_where_branches_meet() -> None:
    # 1 and 2 flow into 3, which takes half its flow from 1, a quarter from 2, and the rest fresh.
    upstream = sparse.csr_matrix(([0.5, 0.25], ([2, 2], [0, 1])), shape=(3, 3))
    capacity = np.array([2.0, 1.0, 4.0])
    network = BloodNetwork(upstream, np.full(3, 310.0), capacity, np.array([2.0, 3.0, 0.0]))
    wall = np.array([330.0, 350.0, 300.0])
    gained, leaving = network.gained(wall)
    first, second = 330.0 - 20.0 * np.exp(-1.0), 350.0 - 40.0 * np.exp(-3.0)
    assert leaving == pytest.approx([first, second, 0.5 * first + 0.25 * second + 0.25 * 310.0])
    assert gained == pytest.approx([2.0 * (first - 310.0), second - 310.0, 0.0])
    # What the wall loses to the mean temperature on the way is what the blood gains.
    assert np.array([2.0, 3.0, 0.0]) * (wall - network.mean(wall)) == pytest.approx(gained)


def test_blood_that_is_fixed_keeps_the_temperature_of_the_inlet() -> None:
    network = BloodNetwork(sparse.csr_matrix((1, 1)), np.array([310.0]), np.array([np.inf]), np.array([2.0]))
    gained, leaving = network.gained(np.array([330.0]))
    assert network.mean(np.array([330.0])) == pytest.approx([310.0])
    assert gained == pytest.approx([40.0])
    assert leaving == pytest.approx([310.0])


@pytest.mark.parametrize("model", ["fixed", "transport"])
def test_what_the_tissue_loses_the_blood_gains(cube: Mesh, model) -> None:
    space, exchange = exchange_on(cube, tube(model=model, flow=1e-7))
    temperature = 330.0 + 1e3 * cube.points[:, 2]
    blood = exchange.blood(temperature)
    found = exchange.exchange(temperature, blood)
    assert found.gained == pytest.approx(found.lost, rel=1e-9)
    theta = temperature - 300.0
    matrix = stiffness(space, 0.0, exchange.addition)
    assert (matrix @ theta).sum() - exchange.source(blood).sum() == pytest.approx(found.lost.sum(), rel=0.02)
    if model == "transport":
        assert CAPACITY * 1e-7 * (found.outlet[0] - 310.0) == pytest.approx(found.gained[0], rel=1e-9)


def test_fixed_blood_takes_up_what_the_coefficient_says(cube: Mesh) -> None:
    # Tissue whose temperature does not fall toward the wall conducts without limit.
    _, exchange = exchange_on(cube, tube(), conductivity=1e9)
    temperature = 330.0 + 1e3 * cube.points[:, 2]
    lost = exchange.exchange(temperature, exchange.blood(temperature)).lost[0]
    assert lost == pytest.approx(1500.0 * exchange.area[0] * (340.0 - 310.0), rel=0.01)


def test_still_branches_exchange_nothing(cube: Mesh) -> None:
    vessel = tube()
    branch = vessel.branches[0]
    half = [replace(branch, name=str(i), points=branch.points + np.array([0.0, 0.0, 15e-3 * i])) for i in (0, 1)]
    half = [replace(b, points=np.array([b.points[0], b.points[0] + np.array([0.0, 0.0, 15e-3])])) for b in half]
    vessel = replace(vessel, branches=(half[0], replace(half[1], model="still", flow=0.0)))
    _, exchange = exchange_on(cube, vessel)
    assert exchange.area == pytest.approx([2.0 * np.pi * 3e-3 * 10e-3, 0.0], rel=0.05)


def test_the_inside_of_a_vessel_has_the_temperature_of_its_blood() -> None:
    mesh = block(20, 10e-3, 10e-3)
    vessel = straight_vessel(
        4e-3, np.array([0.0, 0.0, -5e-3]), np.array([0.0, 0.0, 15e-3]), coefficient=1500.0, inlet=311.0
    )
    lumens = Lumens(mesh, [vessel])
    inner = np.hypot(mesh.points[:, 0], mesh.points[:, 1]) < 2e-3
    assert lumens.blood_temperature[inner] == pytest.approx(311.0)
    assert np.isnan(lumens.blood_temperature[~inner]).any()
    conductivity = lumens.blood_conductivity
    assert conductivity[lumens.tissue.share == 1.0] == pytest.approx(0.0)
    cut = (lumens.tissue.share > 0.3) & (lumens.tissue.share < 0.7)
    share = lumens.tissue.share[cut]
    # Tissue of 0.2 S/m and blood of 0.7 S/m side by side.
    assert share * (0.2 + conductivity[cut]) == pytest.approx(share * 0.2 + (1.0 - share) * 0.7)


def test_a_zone_round_a_vessel_ends_at_its_wall() -> None:
    mesh = block(20, 10e-3, 10e-3)
    vessel = straight_vessel(3e-3, np.array([0.0, 0.0, -5e-3]), np.array([0.0, 0.0, 15e-3]), coefficient=1500.0)
    lumens = Lumens(mesh, [vessel])
    radius = np.hypot(mesh.points[:, 0], mesh.points[:, 1])
    volumes = np.abs(mesh.cell_volumes())
    # All tissue coagulated, and the more the farther from the wall.
    level = lumens.limited(5.0 + 2e3 * radius)
    lumen = volumes.sum() - zone_volume(mesh, level, volumes)
    assert lumen == pytest.approx(np.pi * 3e-3**2 * 10e-3, rel=0.05)
    # A zone that ends before the wall ends where it did.
    apart = 1e3 * (radius - 5e-3)
    assert zone_volume(mesh, lumens.limited(apart), volumes) == pytest.approx(zone_volume(mesh, apart, volumes))


def test_shapes_are_kept_by_the_content_of_their_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ABLATIONSIM_CACHE", str(tmp_path / "kept"))
    source = tmp_path / "vessel.stl"
    source.write_bytes(b"one")
    vessel = tube()
    line = Centreline((vessel.branches[0].points,), (vessel.branches[0].radii,), np.array([[0, 1]]))
    made = []

    def make() -> Shape:
        made.append(1)
        return Shape(vessel.wall, line, ("mended",))

    first, again = (cached(source, ("mm",), make) for _ in range(2))
    assert len(made) == 1
    assert again.notes == ("mended",)
    assert np.array_equal(again.wall.triangles, first.wall.triangles)
    assert np.array_equal(again.wall.capped, first.wall.capped)
    assert np.array_equal(again.centreline.points[0], line.points[0])
    assert np.array_equal(again.centreline.ends, line.ends)
    cached(source, ("cm",), make)
    source.write_bytes(b"two")
    cached(source, ("mm",), make)
    assert len(made) == 3
    for kept in (tmp_path / "kept" / "vessels").iterdir():
        kept.write_bytes(b"damaged")
    assert np.array_equal(cached(source, ("mm",), make).wall.points, vessel.wall.points)
    assert len(made) == 4
