"""The ways of needles: distances, depths and angles that are known exactly, frames, and what is said of them."""

from dataclasses import replace

import numpy as np
import pytest
from anatomies import LABELS, Small

from ablationsim.anatomy import Anatomy
from ablationsim.anatomy.structure import Structure
from ablationsim.case import Case
from ablationsim.case.access import AccessSection
from ablationsim.device import Device
from ablationsim.errors import CaseError, GeometryError
from ablationsim.geometry.access import assess, feasible, measure
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.placement import Placement
from ablationsim.geometry.separation import separations
from ablationsim.geometry.voxel_distance import voxel_distance
from ablationsim.geometry.ways import Reach, Ways
from ablationsim.units import SI
from ablationsim.vessels.image import LabelImage

NEEDLE = Device.load("rfa_cooltip_17g_2cm_like")
CLUSTER = Device.load("rfa_cooltip_cluster_like")
UMBRELLA = Device.load("rfa_leveen_35_like")
RADIUS = 0.5 * NEEDLE.applicator.diameter
DRAWN = Small(spacing=(1.3, 1.3, 1.3), rib=True, colon=True)
TARGET = 1e-3 * np.array(DRAWN.tumour)
RIGHT, FRONT = np.eye(3)[:2]
# Half a voxel of the drawn anatomy: as near as its staircase is to what was drawn.
HALF = 0.65e-3


def limited(**changed):
    """Limits with some changed, in SI units."""
    return AccessSection.model_validate(changed, context=SI)


ANYTHING = limited(vessel=0.0, organ=0.0, bone=0.0, parenchyma=0.0, capsule_angle=0.0, capsule=-0.1)


@pytest.fixture(scope="module")
def anatomy(tmp_path_factory):
    return DRAWN.read(tmp_path_factory.mktemp("anatomy"))


@pytest.fixture(scope="module")
def with_body(anatomy):
    """The same anatomy in a body: an ellipsoid 10 mm round the liver, in which the image's other labels lie."""
    at = DRAWN.places()
    inside = (((at - DRAWN.centre) / (np.array(DRAWN.liver) + 10.0)) ** 2).sum(axis=-1) <= 1
    values = np.where((anatomy.image.values == 0) & inside, 7, anatomy.image.values).astype(np.uint16)
    values[values == LABELS["rib_right_8"]] = 0
    kept = tuple(s for s in anatomy.structures if s.role != "bone")
    return Anatomy(replace(anatomy.image, values=values), (*kept, Structure("body", "body", 7)))


def directions(count, seed=3):
    found = np.random.default_rng(seed).normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1)[:, None]


def liver_ray(tip, along):
    """Where a way leaves the ellipsoid of the liver: its length [m], and its angle to the surface there [rad]."""
    half, start = 1e-3 * np.array(DRAWN.liver), tip - 1e-3 * np.array(DRAWN.centre)
    a, b, c = ((along / half) ** 2).sum(), (start * along / half**2).sum(), ((start / half) ** 2).sum() - 1
    length = (-b + np.sqrt(b * b - a * c)) / a
    normal = (start + length * along) / half**2
    return length, np.arcsin(abs(normal @ along) / np.linalg.norm(normal))


def test_depth_and_angle_at_an_ellipsoid(anatomy):
    ways = directions(40)
    found = measure(anatomy, np.tile(TARGET, (40, 1)), 3.0 * ways, NEEDLE)
    length, angle = np.array([liver_ray(TARGET, along) for along in ways]).T
    assert np.abs(found.liver_depth - length).max() < 1.5e-3
    assert np.abs(found.liver_depth - length).mean() < 0.3e-3
    assert np.abs(found.capsule_angle - angle).max() < np.deg2rad(12)
    assert found.depth == pytest.approx(found.liver_depth)
    assert found.axial_angle == pytest.approx(np.arcsin(np.abs(ways[:, 2])))
    # From its centre every way leaves the tumour after its radius.
    assert found.liver_depth - found.parenchyma == pytest.approx(1e-3 * DRAWN.radius, abs=HALF)


@pytest.mark.parametrize("beside", [5.0, 8.0, 11.0])
def test_needle_along_a_vein(anatomy, beside):
    right, front = DRAWN.vein_axis
    tip = 1e-3 * np.array([right, front - beside, 55.0])
    found = measure(anatomy, tip, (0, 0, 1), NEEDLE, known=0.02)
    assert found.clearances["hepatic_vein"][0] == pytest.approx(1e-3 * (beside - DRAWN.vein) - RADIUS, abs=HALF)


def test_needle_through_a_vein(anatomy):
    found = assess(anatomy, TARGET, (-1, 0, 0), NEEDLE)
    vein = next(each for each in found.clearances if each.name == "hepatic_vein")
    middle = 1e-3 * (DRAWN.radius + DRAWN.gap + DRAWN.vein)
    # As deep as the axis of the vein is, and the needle is thick.
    assert vein.distance == pytest.approx(-1e-3 * DRAWN.vein - RADIUS, abs=2 * HALF)
    assert vein.height == pytest.approx(middle, abs=HALF)
    (problem,) = found.problems
    assert problem.startswith("it passes through 'hepatic_vein', 18 mm above its tip; 2 mm are wanted.")


def test_rib_in_the_way_and_beside_it(anatomy):
    # The rib runs to the front, 8 mm beside the liver, with its axis at the height of the liver's centre.
    rib = 1e-3 * np.array([DRAWN.centre[0] + DRAWN.liver[0] + 8, 0, DRAWN.centre[2]])
    heights = np.array([0.0, 7e-3, 12e-3])
    tips = np.column_stack([np.full(3, TARGET[0]), np.full(3, TARGET[1]), rib[2] + heights])
    found = measure(anatomy, tips, np.tile((1.0, 0, 0), (3, 1)), NEEDLE, known=0.02)
    assert found.clearances["bone"][1:] == pytest.approx(heights[1:] - 4e-3 - RADIUS, abs=HALF)
    # In its middle a body of voxels is as deep as its roughest side is near.
    assert found.clearances["bone"][0] == pytest.approx(-4e-3 - RADIUS, abs=2 * HALF)
    assert found.violations["bone"].tolist() == [True, False, False]
    assert found.nearest["bone"][0] == pytest.approx(rib[0] - TARGET[0], abs=1e-3)


def test_obstacles_count_up_to_the_stated_entry(anatomy):
    tip = np.array([TARGET[0], TARGET[1], 1e-3 * DRAWN.centre[2]])
    before = assess(anatomy, tip, (1, 0, 0), NEEDLE, entry=tip + 0.035 * RIGHT)
    behind = assess(anatomy, tip, (1, 0, 0), NEEDLE, entry=tip + 0.06 * RIGHT)
    assert before.problems == ()
    assert before.depth == pytest.approx(0.035)
    assert before.surface == "entry"
    assert behind.problems[0].startswith("it passes through 'rib_right_8'")


def test_nearest_is_what_many_samples_find(anatomy):
    ways = Ways.of(TARGET + 5e-3 * directions(60, 5), directions(60, 6))
    lengths = np.full(60, 0.09)
    stations = np.arange(0.0, 0.09, 0.1e-3)
    for name in ("hepatic_vein", "portal_vein"):
        distance = anatomy.distance(name)
        sampled = np.array(
            [
                distance(start + stations[:, None] * along)
                for start, along in zip(ways.origins, ways.directions, strict=True)
            ]
        ).min(axis=1)
        # Near, and also far outside the grid that distances are kept on.
        for exact in (8e-3, 30e-3):
            found, _ = Reach(distance, exact).nearest(ways, lengths)
            assert np.abs(found - np.minimum(sampled, exact)).max() < 0.1e-3


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 0.7), (0.8, 0.8, 5.0), (2.4, 2.4, 2.4)])
def test_distance_by_voxels_of_a_ball(spacing):
    # Small voxels are joined, thick slices cut.
    drawn = Small(spacing=spacing, axes="PSL", turn=10.0, liver=(20.0, 20.0, 20.0), tumour=(42.0, -19.0, 61.0))
    image = LabelImage(drawn.masks()["tumour"].astype(np.uint16), np.diag([1e-3, 1e-3, 1e-3, 1]) @ drawn.affine)
    found = voxel_distance(Anatomy(image, (Structure("stomach", "organ", 1),)), ("stomach",))
    reach, centre = Reach(found, 0.02), 1e-3 * np.array(drawn.tumour)
    for away in (-6e-3, 0.0, 2e-3, 8e-3, 20e-3):
        errors = reach(centre + (10e-3 + away) * directions(200, 4)) - away
        assert np.abs(errors).max() < 1.2e-3 * max(1.5, 0.6 * max(spacing))
    # Far outside the grid less than the distance is given, but no more than what is wanted to be known.
    assert 0.02 < reach(centre[None] + 0.2 * RIGHT)[0] <= 0.19


def test_heated_part_in_the_liver(anatomy):
    # Straight to the right the surface is where it is in the ellipsoid; the electrode is 20 mm long.
    length, _ = liver_ray(TARGET, np.array([1.0, 0, 0]))
    tips = TARGET + np.outer([length - 0.03, length - 0.015, length + 0.01], (1, 0, 0))
    found = measure(anatomy, tips, np.tile((1.0, 0, 0), (3, 1)), NEEDLE)
    assert found.violations["capsule"].tolist() == [False, True, True]
    # Against a curved surface the depth is less than what is left of the way.
    assert 0.006 < found.capsule[0] <= 0.0101 - RADIUS
    assert found.capsule[1] == pytest.approx(-0.005 - RADIUS, abs=1e-3)
    assert found.liver_depth[2] == 0.0
    outside = assess(anatomy, tips[2], (1, 0, 0), NEEDLE)
    assert outside.problems[0] == "its tip lies outside the liver."


def test_choke_does_not_count_as_heating(anatomy):
    # The section that radiates is 38 mm long, but the gap is 13.5 mm above the tip.
    antenna = Device.load("mwa_emprint_13g_like")
    length, _ = liver_ray(TARGET, FRONT)
    found = measure(anatomy, TARGET + (length - np.array([[0.025], [0.03]])) * FRONT, [FRONT, FRONT], antenna)
    assert found.capsule[0] < 0.0 < found.capsule[1]


def test_order_of_the_axes_and_a_turned_grid_change_nothing(anatomy, tmp_path):
    tips, ways = TARGET + 4e-3 * directions(30, 8), directions(30, 9)
    few = ANYTHING.model_copy(update={"ignore": ("portal_vein",)})
    wanted = measure(anatomy, tips, ways, NEEDLE, few)
    drawn = replace(DRAWN, axes="PIR", turn=20.0, colon=False)
    found = measure(drawn.read(tmp_path), tips, ways, NEEDLE, few)
    assert np.abs(found.liver_depth - wanted.liver_depth).max() < 2e-3
    assert np.abs(found.parenchyma - wanted.parenchyma).max() < 2.5e-3
    for name in ("hepatic_vein", "bone"):
        assert np.abs(found.clearances[name] - wanted.clearances[name]).max() < 1.5e-3


def test_mirrored_patient(anatomy):
    flip = np.diag([-1.0, 1, 1, 1])
    mirrored = Anatomy(replace(anatomy.image, affine=flip @ anatomy.image.affine), anatomy.structures)
    tips, ways = TARGET + 4e-3 * directions(40, 8), directions(40, 9)
    few = limited(ignore=("portal_vein",))
    one = measure(anatomy, tips, ways, NEEDLE, few)
    other = measure(mirrored, tips * (-1, 1, 1), ways * (-1, 1, 1), NEEDLE, few)
    for key in ("depth", "parenchyma", "capsule", "capsule_angle"):
        assert getattr(other, key) == pytest.approx(getattr(one, key), abs=2e-4)
    for key, values in one.clearances.items():
        assert other.clearances[key] == pytest.approx(values, abs=2e-4)


def test_one_needle_is_judged_as_many_are(anatomy):
    tips, ways = TARGET - [10e-3, 0, 0] + 4e-3 * directions(20, 1), directions(20, 2)
    for spec in (NEEDLE, CLUSTER, UMBRELLA):
        found, _ = feasible(anatomy, tips, ways, spec, roll=0.4)
        said = [not assess(anatomy, tip, way, spec, roll=0.4).problems for tip, way in zip(tips, ways, strict=True)]
        assert found.tolist() == said
    assert 0.1 < np.mean(feasible(anatomy, tips, ways, NEEDLE)[0]) < 0.9


def test_depth_from_the_skin(with_body):
    half = 1e-3 * (np.array(DRAWN.liver) + 10.0)
    tip = 1e-3 * np.array(DRAWN.centre)
    found = assess(with_body, tip, (0, 1, 0), NEEDLE)
    assert found.surface == "skin"
    assert found.depth == pytest.approx(half[1], abs=2 * HALF)
    assert found.entry == pytest.approx(tip + half[1] * FRONT, abs=2 * HALF)
    shallow = assess(with_body, tip, (0, 1, 0), NEEDLE, limited(depth=0.03, vessel=0.0))
    assert any(
        f"{1e3 * found.depth:.0f} mm from the skin, and access.depth allows 30 mm" in problem
        for problem in shallow.problems
    )
    # The liver's label is a hole in that of the body, and is no way out.
    assert found.depth > found.liver_depth + 8e-3
    assert found.notes == ("The image has no bones: the way was not checked against them.",)


def test_entry_that_is_not_on_the_skin(with_body):
    tip = 1e-3 * np.array(DRAWN.centre)
    above = assess(with_body, tip, (0, 1, 0), NEEDLE, entry=tip + 0.07 * FRONT)
    below = assess(with_body, tip, (0, 1, 0), NEEDLE, entry=tip + 0.03 * FRONT)
    skin = 1e3 * assess(with_body, tip, (0, 1, 0), NEEDLE).depth
    assert above.notes[-1] == f"The stated entry lies {70 - skin:.0f} mm above the skin."
    assert (
        below.notes[-1] == f"The stated entry lies {skin - 30:.0f} mm below the skin: the way above it was not checked."
    )


def test_image_that_ends_inside_the_patient(anatomy):
    # The front half of the liver is cut off.
    axis = int(np.argmax(np.abs(anatomy.image.affine[1, :3])))
    kept = [slice(None)] * 3
    kept[axis] = slice(0, anatomy.image.values.shape[axis] // 2 + 5)
    values = anatomy.image.values[tuple(kept)]
    left = tuple(structure for structure in anatomy.structures if (values == structure.label).any())
    cut = Anatomy(replace(anatomy.image, values=values), left)
    found = measure(cut, [TARGET, TARGET], [(0, 1, 0), (1, 0, 0)], NEEDLE, ANYTHING)
    assert found.violations["image"].tolist() == [True, False]
    assert "still inside the patient" in assess(cut, TARGET, (0, 1, 0), NEEDLE, ANYTHING).problems[0]


def test_limits_that_were_stated(anatomy):
    along, tilted = (-1.0, 0, 0), (1.0, 0, 1.0)
    assert not measure(anatomy, TARGET, along, NEEDLE, limited(ignore=("hepatic_vein",))).violations.get(
        "hepatic_vein", [False]
    )[0]
    own = measure(anatomy, TARGET, (0, 0, -1), NEEDLE, limited(clearance={"colon": 0.03}))
    assert own.violations["colon"][0]
    assert "organ" not in own.violations
    steep = limited(axial_angle=np.deg2rad(40))
    assert measure(anatomy, TARGET, tilted, NEEDLE, steep).violations["axial_angle"][0]
    assert not measure(anatomy, TARGET, (1.0, 0, 0.8), NEEDLE, steep).violations["axial_angle"][0]
    deep = limited(parenchyma=0.05)
    assert "mm of liver before the tumour" in assess(anatomy, TARGET, tilted, NEEDLE, deep).problems[-1]


def test_structures_that_are_not_there(anatomy):
    with pytest.raises(GeometryError) as error:
        measure(anatomy, TARGET, (1, 0, 0), NEEDLE, limited(ignore=("hepatic_vain",), clearance={"kidney": 0.01}))
    assert "no structure 'hepatic_vain'; did you mean 'hepatic_vein'?" in str(error.value)
    assert "access.clearance" in str(error.value)
    with pytest.raises(GeometryError, match="must have a length"):
        measure(anatomy, TARGET, (0, 0, 0), NEEDLE)


def test_mistakes_of_coordinates_are_guessed(anatomy):
    lps = assess(anatomy, TARGET * (-1, -1, 1), (1, 0, 0), NEEDLE)
    assert "taken as LPS" in lps.problems[0]
    wanted = Placement.along(TARGET, (1, 2, 0.5), 0.3)
    inverse = Placement(-wanted.rotation.T @ wanted.tip, wanted.rotation.T)
    turned = inverse.rotation
    roll = np.arctan2(*(Placement.along((0, 0, 0), turned[:, 2]).rotation.T @ turned)[[1, 0], 0])
    found = assess(anatomy, inverse.tip, turned[:, 2], NEEDLE, roll=float(roll))
    assert "its pose is inverted" in found.problems[0]


def test_needles_of_a_cluster_and_tines_count(anatomy):
    right, front = DRAWN.vein_axis
    # The axis of the cluster is 7 mm from that of the vein; one of its needles is nearer, by the corner of a triangle.
    tip = 1e-3 * np.array([right, front - 7.0, 55.0])
    reach = CLUSTER.applicator.cluster.spacing / np.sqrt(3.0)
    rolls = np.deg2rad([90.0, -90.0])
    near, far = (measure(anatomy, tip, (0, 0, 1), CLUSTER, roll=roll).clearances["hepatic_vein"][0] for roll in rolls)
    assert near == pytest.approx(4e-3 - reach - 0.5 * CLUSTER.applicator.diameter, abs=HALF)
    others = np.hypot(7e-3 - 0.5 * reach, 0.5 * CLUSTER.applicator.cluster.spacing)
    assert far == pytest.approx(others - 3e-3 - 0.5 * CLUSTER.applicator.diameter, abs=HALF)
    # An umbrella of 35 mm reaches a vein that its shaft is 13 mm from.
    clear = measure(anatomy, TARGET, (0, 1, 0), NEEDLE).violations["hepatic_vein"][0]
    caught = assess(anatomy, TARGET, (0, 1, 0), UMBRELLA)
    assert not clear
    assert any("'hepatic_vein', at its tines" in problem for problem in caught.problems)


def test_two_needles():
    def needle(tip, direction, name):
        return Applicator.build(0, NEEDLE.applicator, Placement.along(tip, direction), name), 0.08

    side, cross = (
        separations([needle((0, 0, 0), (0, 0, 1), "a"), needle((0.012, 0, 0), (0, 0, 1), "b")]),
        separations([needle((0, 0, 0), (0, 0, 1), "a"), needle((-0.03, 0.004, 0.04), (1, 0, 0), "c")]),
    )
    assert side[0].gap == pytest.approx(0.012 - 2 * RADIUS)
    assert side[0].angle == pytest.approx(0.0)
    assert side[0].tips == pytest.approx(0.012)
    assert cross[0].gap == pytest.approx(0.004 - 2 * RADIUS)
    assert cross[0].angle == pytest.approx(np.pi / 2)


# In a case.


def content(folder, **more):
    needles = [
        {
            "name": name,
            "profile": "rfa_cooltip_17g_2cm_like",
            "target": [f"{x} mm" for x in 1e3 * TARGET + shift * RIGHT],
            "entry": [f"{x} mm" for x in 1e3 * TARGET + shift * RIGHT + 60 * FRONT],
        }
        for name, shift in (("right", 4.0), ("left", 2.0))
    ]
    labels = {"labels": "labels.nii.gz", "structures": DRAWN.structures}
    return {"patient": labels, "applicator": needles, "tissue": {"set": "liver_human"}, **more}


def test_limits_of_a_case(anatomy, tmp_path):
    DRAWN.write(tmp_path)
    limits = {"vessel": "3 mm", "axial_angle": "30 deg", "capsule": "-2 mm", "clearance": {"colon": "1 cm"}}
    case = Case.from_dict(content(tmp_path, access=limits), tmp_path)
    assert case.access.vessel == pytest.approx(3e-3)
    assert case.access.axial_angle == pytest.approx(np.pi / 6)
    assert case.access.clearance == {"colon": pytest.approx(0.01)}
    assert Case.from_resolved(case.resolved()).access == case.access
    wrong = {"vessels": "3 mm", "organ": "-1 mm", "axial_angle": "95 deg"}
    with pytest.raises(CaseError) as error:
        Case.from_dict(content(tmp_path, access=wrong), tmp_path)
    assert "unknown key 'vessels' in access; did you mean 'vessel'?" in error.value.problems
    assert any("access.organ: must not be negative" in problem for problem in error.value.problems)
    assert any("access.axial_angle: 95 deg is outside 0 deg to 90 deg" in problem for problem in error.value.problems)


def test_check_says_how_needles_get_there(anatomy, tmp_path, quick_cli):
    import tomlkit

    DRAWN.write(tmp_path)
    (tmp_path / "case.toml").write_text(tomlkit.dumps(content(tmp_path)))
    done = quick_cli("check", tmp_path / "case.toml")
    assert done.returncode == 0
    said = done.stdout
    # The tip is half the electrode beyond the target, and the entry 60 mm before it.
    assert "Needle 'right': enters at (54.0, 45.0, 63.0) mm and is 70.0 mm deep from the stated entry" in said
    gap = 2.0 - 2e3 * RADIUS
    assert f"Warning: needle 'left': it comes within {gap:.1f} mm of needle 'right'" in said
    assert f"Needles 'right' and 'left': {gap:.1f} mm between them at the nearest" in said
    assert "no outline of the body" in said
