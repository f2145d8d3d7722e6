"""The planes of the page of a run show its temperatures where they are, and a click goes where it points."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from drawn import SMALL, ZONE, block, drawn

from ablationsim.mesh.mesh import Mesh
from ablationsim.report.planes import VIEWS
from ablationsim.report.section import Plane
from ablationsim.report.space import space_of
from ablationsim.units import ZERO_CELSIUS
from ablationsim.viewer.drawing import place_in, plane_picture
from ablationsim.viewer.scene import PLAIN_VIEWS, Outlined, RunScene
from ablationsim.viewer.slices import COUNT, Sampler
from ablationsim.viewer.solids import Solids

CENTRE = 1e-3 * np.array(SMALL.tumour)
HALF = 20.0


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> RunScene:
    """Two frames: cold, and one that falls by 4 K a millimetre from 100 degC in the middle."""
    data = drawn(tmp_path_factory.mktemp("patient"))
    away = np.linalg.norm(data.mesh.points - CENTRE, axis=1)
    warm = ZERO_CELSIUS + 100.0 - 4e3 * away
    cold = np.full(len(away), ZERO_CELSIUS + 37.0)
    outlined = tuple(Outlined(each.name, each.wall, "#123456") for each in data.patient.structures)
    sampler = Sampler(data.mesh, np.array([cold, warm, warm]), HALF)
    return RunScene("A run", data, space_of(data), VIEWS, outlined, None, np.array([0.0, 60.0]), sampler, CENTRE)


def test_a_field_is_sampled_where_it_is():
    mesh = block(np.zeros(3), spacing=0.004)
    slope = np.array([300.0, -200.0, 500.0])  # K/m along right, front, head
    sampler = Sampler(mesh, ZERO_CELSIUS + 50.0 + (mesh.points @ slope)[None], HALF)
    across = np.linspace(-HALF, HALF, COUNT)
    for number, view in enumerate(VIEWS):
        plane = view.through(np.array([0.001, 0.002, -0.003]))
        (values,) = sampler.on(number, plane)
        x, y = np.meshgrid(across, across)
        places = plane.origin + 1e-3 * (x[..., None] * plane.right + y[..., None] * plane.up)
        assert values == pytest.approx(50.0 + places @ slope, abs=1e-3)


def test_there_are_no_temperatures_outside_the_tissue():
    sampler = Sampler(block(np.zeros(3), spacing=0.004), np.full((1, 2197), 310.15), 40.0)
    (values,) = sampler.on(0, VIEWS[0].through(np.zeros(3)))
    across = np.abs(np.linspace(-40.0, 40.0, COUNT))
    outside = np.maximum.outer(across, across) > 25.0
    assert np.isnan(values[outside]).all()
    assert values[np.maximum.outer(across, across) < 22.0] == pytest.approx(37.0, abs=1e-3)


def test_an_axisymmetric_run_is_sampled_about_its_axis():
    r, z = np.meshgrid(np.linspace(0.0, 0.03, 31), np.linspace(-0.03, 0.03, 61))
    points = np.column_stack([r.ravel(), z.ravel()])
    corner = (np.arange(60)[:, None] * 31 + np.arange(30)).ravel()
    cells = np.vstack([corner + np.array([[0], [1], [32]]), corner + np.array([[0], [32], [31]])])
    cells = np.vstack([np.column_stack(cells[:3]), np.column_stack(cells[3:])])
    mesh = Mesh(points, cells, {}, {}, axisymmetric=True)
    sampler = Sampler(mesh, (ZERO_CELSIUS + 1e3 * points[:, 0])[None], HALF)
    (values,) = sampler.on(0, Plane(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0])))
    across = np.linspace(-HALF, HALF, COUNT)
    assert values == pytest.approx(np.hypot(*np.meshgrid(across, across)), abs=1e-3)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_click_goes_where_it_points(scene, number):
    view = VIEWS[number]
    start = CENTRE + np.array([0.002, 0.003, 0.004])
    place = place_in(scene, number, start, 0.75, 0.4)  # right of the middle, and above it
    moved = place - CENTRE
    assert moved @ view.right == pytest.approx(1e-3 * 0.5 * HALF)
    assert moved @ view.up == pytest.approx(1e-3 * 0.2 * HALF)
    assert place[view.axis] == pytest.approx(start[view.axis])


def test_a_plane_is_a_picture_with_lines(scene):
    text = plane_picture(scene, 0, CENTRE, 1)
    root = ElementTree.fromstring(text)
    names = [element.tag.rsplit("}")[-1] for element in root.iter()]
    assert names.count("image") == 1
    assert names.count("text") == 4
    outlined = [element.get("d") for element in root.iter() if element.get("stroke") == "#123456"]
    widths = []
    for path in outlined:
        points = np.array([[float(part) for part in pair.split()] for pair in re.split("[MLZ]", path) if pair.strip()])
        widths.append(np.ptp(points[:, 0]))
    # The tumour has a diameter of 20 mm, and the tube of the vein one of 6 mm.
    assert any(width == pytest.approx(2 * SMALL.radius, abs=0.8) for width in widths)
    fewer = plane_picture(scene, 0, CENTRE, None, hidden=[each.name for each in scene.outlined])
    assert "#123456" not in fewer


def test_an_isotherm_lies_where_the_temperature_is(scene):
    surface = scene.isotherm(1, 60.0)
    away = np.linalg.norm(surface.points - 1e3 * CENTRE, axis=1)
    assert away == pytest.approx(10.0, abs=0.6)
    assert len(scene.isotherm(0, 60.0).facets) == 0


def test_planes_without_a_patient_are_seen_from_where_they_say():
    for view in PLAIN_VIEWS:
        normal = np.cross(view.right, view.up)
        sign, axis = view.seen[-2], "xyz".index(view.seen[-1])
        assert normal[axis] == (1.0 if sign == "+" else -1.0)
        assert view.axis == axis


def test_what_is_in_space_is_shown_and_hidden_by_name(scene):
    solids = Solids(scene.space)
    actors = solids.window.GetRenderers().GetFirstRenderer().GetActors()
    count = actors.GetNumberOfItems()
    assert count == len(scene.space.solids) + 1  # and the isotherm
    seen = sum(actor.GetVisibility() for actor in actors)
    assert seen == sum(solid.shown for solid in scene.space.solids)
    solids.show(["zone", "liver"])
    assert sum(actor.GetVisibility() for actor in actors) == 2
    solids.set_isotherm(scene.isotherm(1, 60.0))
    assert sum(actor.GetVisibility() for actor in actors) == 3
    isotherm = list(actors)[-1].GetBounds()
    assert isotherm[1] - isotherm[0] == pytest.approx(20.0, abs=1.0)
    solids.set_isotherm(scene.isotherm(0, 60.0))
    assert sum(actor.GetVisibility() for actor in actors) == 2
    zone = next(solid for solid in scene.space.solids if solid.name == "zone")
    assert np.ptp(zone.points, axis=0) == pytest.approx([2 * ZONE] * 3, abs=0.8)
