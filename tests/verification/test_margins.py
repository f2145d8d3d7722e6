"""Margins against bodies whose margins are known: balls, boxes, ellipsoids, and a zone out of a mesh.

The target is half a voxel of a clinical scan, 0.5 mm; what is found is within a tenth of that.
"""

import numpy as np
import pytest
from skfem import MeshTet

from ablationsim.mesh.mesh import Mesh
from ablationsim.zone.extract import Surface, zone_surface
from ablationsim.zone.margin import margins
from ablationsim.zone.surface_distance import SurfaceDistance
from ablationsim.zone.target import Target
from ablationsim.zone.voxels import Grid, inside

MM = 1e-3
CUBE = np.array([[i, j, k] for i in (-1.0, 1.0) for j in (-1.0, 1.0) for k in (-1.0, 1.0)])
FACES = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6],
                  [0, 6, 4], [1, 5, 7], [1, 7, 3]])  # fmt: skip


def turn():
    """A rotation about an axis that is nobody's."""
    rotation, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    return rotation * np.linalg.det(rotation)


def ellipsoid(axes, centre=(0.0, 0.0, 0.0)):
    unit = Target.sphere((0.0, 0.0, 0.0), 1.0).surface
    return Surface(np.asarray(centre) + unit.points * axes, unit.facets, axisymmetric=False)


def test_distance_to_a_cube_is_exact_over_faces_edges_and_corners():
    cube = Surface(CUBE, FACES, axisymmetric=False)
    assert cube.volume() == pytest.approx(8.0)
    points = np.random.default_rng(1).uniform(-2.0, 2.0, (4000, 3))
    beyond = np.abs(points) - 1.0
    depth = -np.where((beyond > 0).any(axis=1), np.linalg.norm(np.maximum(beyond, 0.0), axis=1), beyond.max(axis=1))
    found = SurfaceDistance(cube)
    np.testing.assert_allclose(found(points), depth, atol=1e-14)
    outside = depth < 0
    np.testing.assert_allclose(found.nearest(points)[outside], np.clip(points[outside], -1, 1), atol=1e-14)


def test_the_side_is_right_beside_sharp_edges_that_point_inward():
    # A cube from which the body between its centre and one face is taken: a pyramid stands into it.
    points = np.vstack([CUBE, [0.0, 0.0, 0.2]])
    dented = np.vstack([FACES[:10], [[1, 5, 8], [5, 7, 8], [7, 3, 8], [3, 1, 8]]])
    body = Surface(turn().dot(points.T).T, dented, axisymmetric=False)
    grid = Grid.around((body,), 41)
    everywhere = grid.points(np.ones(grid.shape, dtype=bool))
    np.testing.assert_array_equal(SurfaceDistance(body)(everywhere) > 0, inside(body, grid).ravel())


@pytest.mark.parametrize(
    ("zone", "shift"), [(18.0, 0.0), (18.0, 4.0), (18.0, 6.0), (15.0, 9.0), (8.0, 0.0), (10.0, 40.0)]
)
def test_balls_have_the_margins_of_their_radii_and_distance(zone, shift):
    radius, where = 12.0, np.array([40.0, -20.0, 60.0])
    away = turn()[:, 0] * shift
    found = margins(Target.sphere((where + away) * MM, zone * MM).surface, Target.sphere(where * MM, radius * MM))
    assert 1e3 * found.least == pytest.approx(zone - radius - shift, abs=0.03)
    if shift:
        weakest = where - radius * away / shift
        np.testing.assert_allclose(1e3 * found.weakest, weakest, atol=0.8)
    # What of the tumour's surface lies outside is a cap, and what of its volume lies inside the lens of two balls.
    uncovered = float(zone < radius)
    common = min(zone, radius) ** 3 / radius**3
    if shift > abs(zone - radius):
        cosine = np.clip((radius**2 + shift**2 - zone**2) / (2 * radius * shift), -1.0, 1.0)
        uncovered = (1.0 + cosine) / 2.0
        lens = (zone + radius - shift) ** 2 * (shift**2 + 2 * shift * (zone + radius) - 3 * (zone - radius) ** 2)
        common = max(lens, 0.0) / (16.0 * shift * radius**3) if shift < zone + radius else 0.0
    assert found.share_under(0.0) == pytest.approx(uncovered, abs=0.01)
    assert found.coverage == pytest.approx(common, abs=0.005)


def test_balls_have_the_spread_of_margins_that_their_distance_gives():
    radius, zone, shift = 12.0, 18.0, 4.0
    found = margins(Target.sphere((0, 0, shift * MM), zone * MM).surface, Target.sphere((0, 0, 0), radius * MM))
    for wanted in (3.0, 5.0, 8.0):
        # Places at least so deep lie in a ball that is smaller by it.
        cosine = (radius**2 + shift**2 - (zone - wanted) ** 2) / (2 * radius * shift)
        assert found.share_under(wanted * MM) == pytest.approx((1 + cosine) / 2, abs=0.01)
    # Mean over the ball of the distance from a point at `shift` is radius + shift^2 / (3 radius).
    mean = zone - radius - shift**2 / (3 * radius)
    assert found.to_dict()["mean_mm"] == pytest.approx(mean, abs=0.02)


@pytest.mark.parametrize(
    ("tumour", "zone", "least"),
    [
        ((8.0, 8.0, 8.0), (12.0, 12.0, 20.0), 4.0),  # at the waist
        ((8.0, 8.0, 12.0), (15.0, 15.0, 15.0), 3.0),  # at the poles
        ((14.0, 9.0, 9.0), (16.0, 16.0, 11.0), 2.0),  # between
        ((9.0, 9.0, 9.0), (20.0, 20.0, 6.0), -3.0),  # out on both sides
    ],
)
def test_ellipsoids_have_their_least_margin_on_an_axis(tumour, zone, least):
    around = turn()
    bodies = [ellipsoid(MM * np.array(axes)) for axes in (tumour, zone)]
    bodies = [Surface(body.points @ around.T + [0.05, 0.02, -0.01], body.facets, False) for body in bodies]
    found = margins(bodies[1], Target.of(bodies[0]))
    assert 1e3 * found.least == pytest.approx(least, abs=0.05)
    np.testing.assert_allclose(np.linalg.norm(found.toward - found.weakest), abs(found.least), atol=1e-9)


def test_margins_of_a_zone_in_a_mesh_converge_with_the_square_of_its_elements():
    radius, centre = 16.0 * MM, np.array([1.3, -0.7, 0.4]) * MM
    target = Target.sphere(np.zeros(3), 10.0 * MM)
    exact = radius - 10.0 * MM - np.linalg.norm(centre)
    errors = []
    for n in (13, 25):
        ticks = np.linspace(-20.0, 20.0, n) * MM
        made = MeshTet.init_tensor(ticks, ticks, ticks)
        cells = made.t.T.copy()
        turned = np.linalg.det(np.diff(made.p.T[cells], axis=1)) < 0
        cells[turned, :2] = cells[turned, 1::-1]
        mesh = Mesh(made.p.T, cells, {}, {"outer": made.facets[:, made.boundary_facets()].T}, False)
        level = radius - np.linalg.norm(mesh.points - centre, axis=1)
        errors.append(abs(margins(zone_surface(mesh, level).enclosing(), target).least - exact))
    assert errors[1] < 0.15 * MM
    assert errors[1] < errors[0] / 2.5
