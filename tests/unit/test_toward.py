"""How far a zone reaches along a ray, and where walls come nearest to a needle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from ablationsim.errors import GeometryError
from ablationsim.mesh.mesh import Mesh
from ablationsim.vessels.vessel import Branch, Fluid, Vessel, Wall
from ablationsim.zone.toward import approaches, closest_approach, radius_toward

BLOOD = Fluid("blood", 1060.0, 3617.0, 0.52, 3.5e-3, 0.7)


def block(spacing: float = 0.004, size: float = 0.02) -> Mesh:
    """A cube of tissue about the origin, its nodes a little out of line."""
    x = np.arange(-size, size + spacing / 2, spacing)
    points = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1).reshape(-1, 3)
    inner = (np.abs(points) < size - spacing / 2).all(axis=1)
    points = points + np.random.default_rng(3).uniform(-0.2, 0.2, points.shape) * spacing * inner[:, None]
    cells = Delaunay(points).simplices
    edges = points[cells[:, 1:]] - points[cells[:, :1]]
    volume = np.linalg.det(edges)
    cells[volume < 0] = cells[volume < 0][:, [1, 0, 2, 3]]
    return Mesh(points, cells[np.abs(volume) > 1e-15], {}, {}, False)


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return block()


def tube(start, end, radius: float, sides: int = 24, rings: int = 9) -> Wall:
    """A straight tube without ends."""
    start, end = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    axis = (end - start) / np.linalg.norm(end - start)
    first = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    angle = 2 * np.pi * np.arange(sides) / sides
    circle = radius * (np.outer(np.cos(angle), first) + np.outer(np.sin(angle), second))
    points = np.concatenate([start + s * (end - start) + circle for s in np.linspace(0, 1, rings)])
    k, j = np.meshgrid(np.arange(rings - 1), np.arange(sides), indexing="ij")
    a, b = k * sides + j, k * sides + (j + 1) % sides
    c, d = a + sides, b + sides
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])
    return Wall(points, triangles, np.zeros(len(triangles), dtype=bool))


def branch(name: str, start, end, radius: float) -> Branch:
    points = np.linspace(start, end, 3)
    return Branch(name, points, np.full(3, radius), {}, 1e-6, "fixed", 500.0)


# -- along a ray -------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    direction=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda d: np.linalg.norm(d) > 0.1),
    slope=st.floats(50.0, 300.0),
)
def test_a_plane_edge_is_met_where_it_is(mesh, direction, slope):
    """The level is linear, so that any mesh holds it exactly: 1 - slope * x is zero at x = 1 / slope."""
    unit = np.array(direction) / np.linalg.norm(direction)
    origin = np.array([-0.003, 0.001, 0.002])
    found = radius_toward(mesh, 1.0 - slope * mesh.points[:, 0], origin, direction)
    at_edge = (1 / slope - origin[0]) / unit[0] if unit[0] > 0 else np.inf
    with np.errstate(divide="ignore"):
        end_of_block = np.min(np.where(unit != 0, (0.02 * np.sign(unit) - origin) / unit, np.inf))
    assert found == pytest.approx(min(at_edge, end_of_block), rel=1e-6)


def test_a_sphere_is_met_as_well_as_its_elements_allow(mesh):
    level = 0.012 - np.linalg.norm(mesh.points, axis=1)
    for direction in ([1, 0, 0], [0, -1, 0], [1, 1, 1], [0.3, -0.2, 0.9]):
        # A chord of 4 mm lies at most h² / (8 R) inside a circle of 12 mm; of a diagonal, three times that.
        assert radius_toward(mesh, level, [0, 0, 0], direction) == pytest.approx(0.012, abs=3 * 0.004**2 / 8 / 0.012)


def test_a_ray_along_edges_of_the_mesh_is_not_lost():
    x = np.linspace(-0.01, 0.01, 5)
    points = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1).reshape(-1, 3)
    corner = np.array([i * 25 + j * 5 + k for i in range(4) for j in range(4) for k in range(4)])
    steps = np.array([[0, 25, 30, 31], [0, 30, 5, 31], [0, 5, 6, 31], [0, 6, 1, 31], [0, 1, 26, 31], [0, 26, 25, 31]])
    regular = Mesh(points, (corner[:, None, None] + steps).reshape(-1, 4), {}, {}, False)
    level = 0.0075 - points[:, 0]
    assert radius_toward(regular, level, [0, 0, 0], [1, 0, 0]) == pytest.approx(0.0075, rel=1e-9)
    assert radius_toward(regular, level, [0, 0, 0.005], [2, 0, 0]) == pytest.approx(0.0075, rel=1e-9)
    assert radius_toward(regular, level, [0, 0, 0], [1, 1, 1]) == pytest.approx(0.0075 * np.sqrt(3), rel=1e-9)


def test_viable_tissue_before_the_zone_is_a_part_of_the_way(mesh):
    """A shell between x = 4 and 9 mm: linear in x on both sides, with the top at 6.5 mm on no node plane."""
    x = mesh.points[:, 0]
    level = np.minimum(x - 0.004, 0.5)
    assert radius_toward(mesh, level, [0, 0, 0], [1, 0, 0]) == pytest.approx(0.020, rel=1e-9)
    assert radius_toward(mesh, level, [0, 0, 0], [-1, 0, 0]) == 0.0


def test_a_hole_in_the_mesh_does_not_end_the_zone(mesh):
    middle = mesh.points[mesh.cells].mean(axis=1)
    hollow = Mesh(mesh.points, mesh.cells[np.hypot(middle[:, 0], middle[:, 1]) > 0.004], {}, {}, False)
    level = 0.015 - np.abs(hollow.points[:, 0])
    assert radius_toward(hollow, level, [0, 0, 0], [1, 0, 0]) == pytest.approx(0.015, abs=2e-4)
    assert radius_toward(hollow, level, [-0.012, 0, 0], [1, 0, 0]) == pytest.approx(0.027, abs=2e-4)
    # Where the zone ends in the hole, it ends at its rim.
    ends = 0.001 - hollow.points[:, 0]
    rim = radius_toward(hollow, ends, [-0.012, 0, 0], [1, 0, 0])
    assert 0.004 < rim < 0.009


def test_no_zone_on_the_way_is_a_radius_of_zero(mesh):
    nothing = np.full(len(mesh.points), -1.0)
    assert radius_toward(mesh, nothing, [0, 0, 0], [0, 0, 1]) == 0.0
    assert radius_toward(mesh, -nothing, [0.05, 0, 0], [1, 0, 0]) == 0.0
    assert radius_toward(mesh, -nothing, [-0.05, 0, 0], [1, 0, 0]) == pytest.approx(0.07)


def test_rays_that_make_no_sense_are_refused(mesh):
    flat = Mesh(np.array([[0.0, 0], [1, 0], [0, 1]]), np.array([[0, 1, 2]]), {}, {}, True)
    with pytest.raises(GeometryError, match="tetrahedra"):
        radius_toward(flat, np.ones(3), [0, 0, 0], [1, 0, 0])
    with pytest.raises(GeometryError, match="needs a length"):
        radius_toward(mesh, mesh.points[:, 0], [0, 0, 0], [0, 0, 0])


# -- walls and needles -------------------------------------------------------------------------------------------------

AXIS = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.03]])


def test_a_tube_along_the_needle_is_nearest_beside_its_middle():
    foot, point, distance = closest_approach(AXIS, tube([0.012, 0, -0.05], [0.012, 0, 0.05], 0.002))
    assert distance == pytest.approx(0.010, rel=1e-12)
    assert foot == pytest.approx([0, 0, 0.015])
    assert point == pytest.approx([0.010, 0, 0.015])


def test_a_tube_that_ends_beside_the_needle_is_nearest_where_it_ends():
    foot, point, distance = closest_approach(AXIS, tube([0.012, 0, -0.05], [0.012, 0, 0.01], 0.002))
    assert (distance, foot[2], point[2]) == pytest.approx((0.010, 0.010, 0.010))


def test_a_tube_across_the_needle():
    foot, point, distance = closest_approach(AXIS, tube([0.008, -0.04, 0.02], [0.008, 0.04, 0.02], 0.003))
    assert distance == pytest.approx(0.005, abs=0.003 * (1 - np.cos(np.pi / 24)))
    assert foot[2] == pytest.approx(0.02, abs=1e-9)
    assert np.linalg.norm(point - foot) == pytest.approx(distance)


def test_a_tube_beyond_the_tip_is_nearest_to_the_tip():
    foot, point, distance = closest_approach(AXIS, tube([0, -0.04, -0.01], [0, 0.04, -0.01], 0.002))
    assert distance == pytest.approx(0.008, abs=0.002 * (1 - np.cos(np.pi / 24)))
    assert foot == pytest.approx([0, 0, 0])
    assert point[2] == pytest.approx(-distance)


def test_a_needle_through_a_wall_touches_it():
    foot, point, distance = closest_approach(AXIS, tube([0.0004, -0.04, 0.02], [0.0004, 0.04, 0.02], 0.002))
    assert distance == pytest.approx(0.0, abs=1e-12)
    assert foot == pytest.approx(point)
    assert abs(abs(foot[2] - 0.02) - 0.00196) < 3e-5
    nothing = Wall(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=bool))
    with pytest.raises(GeometryError, match="without triangles"):
        closest_approach(AXIS, nothing)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_distance_is_that_of_many_points_on_any_triangles(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (12, 3))
    wall = Wall(points, np.arange(12).reshape(4, 3), np.zeros(4, dtype=bool))
    line = rng.uniform(-1, 1, (2, 3))
    foot, point, distance = closest_approach(line, wall)
    share = np.linspace(0, 1, 41)
    u, v = (x.ravel() for x in np.meshgrid(share, share))
    weights = np.column_stack([1 - u, u * (1 - v), u * v])
    cloud = np.einsum("pc,kcd->kpd", weights, points.reshape(4, 3, 3)).reshape(-1, 3)
    along = line[0] + share[:, None] * (line[1] - line[0])
    nearest = np.linalg.norm(cloud[:, None] - along[None], axis=2).min()
    assert distance <= nearest + 1e-12
    assert distance > nearest - 0.12  # half the spacing of the points
    assert np.linalg.norm(point - foot) == pytest.approx(distance, abs=1e-12)


def test_each_branch_of_a_tree_has_its_own_nearest_place():
    """A trunk along y at 12 mm, and a thin branch that leaves it toward the needle, up to 4 mm from it."""
    trunk, twig = tube([0.012, -0.04, 0.01], [0.012, 0.04, 0.01], 0.004), tube(
        [0.012, 0.01, 0.01], [0.004, 0.01, 0.01], 0.001
    )  # fmt: skip
    wall = Wall(
        np.vstack([trunk.points, twig.points]),
        np.vstack([trunk.triangles, twig.triangles + len(trunk.points)]),
        np.concatenate([trunk.capped, twig.capped]),
    )
    branches = (
        branch("trunk", [0.012, -0.04, 0.01], [0.012, 0.04, 0.01], 0.004),
        branch("twig", [0.012, 0.01, 0.01], [0.004, 0.01, 0.01], 0.001),
        branch("far", [0.2, 0.2, 0.2], [0.2, 0.2, 0.3], 0.001),
    )
    vessel = Vessel("portal", "portal_vein", wall, branches, BLOOD, 310.15)
    found = approaches(vessel, [AXIS, AXIS + np.array([0.5, 0, 0])], 0.03)
    assert [approach.branch for approach in found] == [0, 1]
    assert found[0].distance == pytest.approx(0.008, abs=0.004 * (1 - np.cos(np.pi / 24)))
    assert found[0].point == pytest.approx([found[0].distance, found[0].point[1], found[0].foot[2]])
    # The end of the twig is a ring of radius 1 mm about (4, 10, 10) mm.
    assert found[1].distance == pytest.approx(np.hypot(0.004, 0.009), rel=1e-3)
    assert [approach.branch for approach in approaches(vessel, [AXIS], 0.009)] == [0]
    assert approaches(vessel, [AXIS], 0.001) == []
