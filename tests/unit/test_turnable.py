"""What can be turned on a page is where it is in the patient, small, and asks for nothing."""

import base64
import dataclasses
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from drawn import AXIS, SMALL, ZONE, drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from ablationsim.mesh.mesh import Mesh
from ablationsim.report.colours import ROLES, margin_bands, margin_colours
from ablationsim.report.data import ApplicatorDrawing
from ablationsim.report.html import turnable
from ablationsim.report.space import MOST_TRIANGLES, Solid, Space, needle_solids, space_of, turned
from ablationsim.report.turnable import legend, pack, turnable_page

GREEN, RED = (26, 150, 65), (215, 25, 28)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("patient"), shift=(-8.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def space(data):
    return space_of(data)


def named(space: Space, name: str) -> Solid:
    return next(solid for solid in space.solids if solid.name == name)


def volume(solid: Solid) -> float:
    corners = solid.points[solid.triangles] - solid.points.mean(axis=0)
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0)


def test_everything_is_where_it_is_in_the_patient(space):
    names = {solid.name for solid in space.solids}
    assert names >= {"needle", "needle, heated part", "tumour, by margin", "zone", "zone, contracted", "liver"}
    assert {"hepatic vein", "portal vein"} <= names
    zone = named(space, "zone")
    middle = 0.5 * (zone.points.min(axis=0) + zone.points.max(axis=0))
    assert middle == pytest.approx(np.array(SMALL.tumour) - [8.0, 0.0, 0.0], abs=0.3)
    # A ball of tetrahedra of 3 mm has a little less volume than a round one.
    assert volume(zone) == pytest.approx(4 / 3 * np.pi * ZONE**3, rel=0.03)
    liver = named(space, "liver")
    assert np.ptp(liver.points, axis=0) / 2 == pytest.approx(SMALL.liver, abs=1.5)
    assert volume(named(space, "zone, contracted")) < 0.9 * volume(zone)
    assert not named(space, "zone, contracted").shown
    assert space.views["along the needle"] == pytest.approx(AXIS)
    assert all(len(solid.triangles) <= max(MOST_TRIANGLES.values()) for solid in space.solids)


def test_the_tumour_is_red_where_the_zone_does_not_reach(space):
    tumour = named(space, "tumour, by margin")
    red = np.all(tumour.colours == RED, axis=1)
    green = np.all(tumour.colours == GREEN, axis=1)
    # The zone lies 8 mm toward the patient's left: there it covers, and on the right the tumour sticks out by 3 mm.
    assert tumour.points[red, 0].min() > SMALL.tumour[0]
    assert tumour.points[green, 0].max() < SMALL.tumour[0]
    right = tumour.points[:, 0] > SMALL.tumour[0] + 0.9 * SMALL.radius
    assert red[right].all()


def test_colours_of_margins():
    required = 5e-3
    colours = margin_colours(np.array([-np.inf, -1e-4, 5e-4, 4.9e-3, 5.0e-3, 1.0]), required)
    assert [tuple(colours[k]) for k in (0, 1, 4, 5)] == [RED, RED, GREEN, GREEN]
    assert len({tuple(colour) for colour in colours}) == 4
    bands = margin_bands(required)
    assert [end for end, _ in bands] == pytest.approx([0.0, 1e-3, 2e-3, 3e-3, 4e-3, 5e-3, np.inf])
    words = [band["text"] for band in legend(required)]
    assert words[0] == "5 mm or more"
    assert words[-2:] == ["0 to 1 mm", "not covered"]


def test_a_shaft_has_its_radius_all_along_its_axis():
    foot, axis = np.array([3.0, -7.0, 11.0]), AXIS
    points, triangles = turned(np.array([[1.0, 0.0], [1.0, 40.0]]), foot, axis)
    along = (points - foot) @ axis
    away = np.linalg.norm(points - foot - np.outer(along, axis), axis=1)
    assert set(np.round(along, 9)) == {0.0, 40.0}
    assert sorted(set(np.round(away, 9))) == [0.0, 1.0]
    solid = Solid("shaft", points, triangles, "#fff")
    assert volume(solid) == pytest.approx(np.pi * 40.0, rel=0.02)  # normals point out


def test_tines_and_shafts_of_a_cluster_are_drawn():
    tine = np.array([[0.0, 0.0, 0.01], [0.008, 0.0, 0.006], [0.014, 0.0, 0.0]])
    shafts = np.array([[0.0, 0.0, 0.0], [0.005, 0.0, 0.0]])
    outline = np.array([[0.0, 0.0], [0.0007, 0.002], [0.0007, 0.12]])
    needle = ApplicatorDrawing("A0", np.zeros(3), np.array([0.0, 0.0, 1.0]), outline, ((0.0, 0.02),), shafts, (tine,))
    metal, hot = needle_solids(needle)
    assert metal.points[:, 0].max() == pytest.approx(5.7, abs=0.01)
    assert metal.points[:, 2].max() == pytest.approx(120.0)
    assert hot.points[:, 0].max() == pytest.approx(14.0, abs=0.5)


def unpacked(about: dict, packed: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Read the solids as the script of the page does."""
    content = zlib.decompress(base64.b64decode(packed))
    found = []
    for part in about["parts"]:
        steps = np.frombuffer(content, "<u2", 3 * part["points"], part["corners_at"]).reshape(-1, 3)
        triangles = np.frombuffer(content, "<u4", 3 * part["triangles"], part["triangles_at"]).reshape(-1, 3)
        colours = None
        if part["colours_at"] is not None:
            colours = np.frombuffer(content, "u1", 3 * part["points"], part["colours_at"]).reshape(-1, 3)
        assert part["corners_at"] % 4 == part["triangles_at"] % 4 == 0
        found.append((np.array(part["low"]) + steps * np.array(part["step"]), triangles, colours))
    return found


def one(points: np.ndarray, colours: np.ndarray | None = None) -> Solid:
    return Solid("one", points, np.arange(len(points) // 3 * 3).reshape(-1, 3), "#abcdef", colours=colours)


@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(3, 20), min_size=1, max_size=4))
@settings(deadline=None, max_examples=25)
def test_what_the_page_holds_is_what_was_given(seed, sizes):
    random = np.random.default_rng(seed)
    solids = [
        one(
            random.normal(0.0, 50.0, (size, 3)),
            random.integers(0, 256, (size, 3)).astype(np.uint8) if k % 2 else None,
        )
        for k, size in enumerate(sizes)
    ]
    about, packed = pack(Space(solids, np.zeros(3), 50.0, np.eye(3)[2], np.eye(3)[1], {"front": np.eye(3)[1]}))
    for solid, (points, triangles, colours) in zip(solids, unpacked(about, packed), strict=True):
        assert np.abs(points - solid.points).max() < 0.01  # a hundredth of a millimetre
        np.testing.assert_array_equal(triangles, solid.triangles)
        assert (colours is None) == (solid.colours is None)
        if colours is not None:
            np.testing.assert_array_equal(colours, solid.colours)


class Tags(HTMLParser):
    """Tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_page_asks_for_nothing_and_cannot(space):
    page = turnable_page(space, "A run")
    tags = Tags(page).found
    assert not [value for _, attributes in tags for key, value in attributes.items() if key in ("src", "href")]
    policy = next(a["content"] for _, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "connect-src" not in policy
    assert re.findall(r"https?://[^\s\"']+", page) == ["http://www.w3.org/2000/svg"]  # the name of SVG, no address
    assert "Research use only. Not a medical device." in page
    assert len(page) < 3_000_000


def test_names_cannot_become_markup(space):
    evil = '</script><script>alert(1)</script>"><img src=x onerror=alert(1)>'
    solids = [dataclasses.replace(solid, name=evil) for solid in space.solids[:1]]
    page = turnable_page(dataclasses.replace(space, solids=solids), evil)
    tags = [tag for tag, _ in Tags(page).found]
    assert tags.count("script") == 3  # what is drawn, in two parts, and what draws it
    assert "img" not in tags


def test_a_plane_is_enough_for_a_run_with_an_axis_of_symmetry(data):
    flat = Mesh(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([[0, 1, 2]]), {}, {}, axisymmetric=True)
    assert turnable(dataclasses.replace(data, mesh=flat)) is None


def test_each_role_of_a_structure_has_its_colour():
    from ablationsim.anatomy import ROLES as EVERY

    assert set(ROLES) == set(EVERY)
    assert len(set(ROLES.values())) == len(ROLES)
