"""Where applicators lie: two points, poses, lines of 3D Slicer, and what a case says of them."""

import json

import numpy as np
import pytest

from ablationsim.case import Case
from ablationsim.case.aim import aim
from ablationsim.case.case import decisive
from ablationsim.case.markups import line_text, read_markups
from ablationsim.case.placing import of_pose
from ablationsim.case.rotation import swing
from ablationsim.device import Device
from ablationsim.errors import CaseError
from ablationsim.geometry.placement import Placement

NEEDLE = "rfa_cooltip_17g_3cm_like"
DIRECTIONS = np.vstack(
    [np.random.default_rng(7).normal(size=(20, 3)), [(0, 0, 1), (0, 0, -1), (1e-9, 0, -1), (1, 0, 0), (0, -1, 0)]]
)


def content(*places, **more):
    """A case with an applicator for each of some places."""
    return {
        "applicator": [{"name": f"n{i}", "profile": NEEDLE, **place} for i, place in enumerate(places)],
        "tissue": {"set": "liver_human"},
        **more,
    }


def placed(place, folder="."):
    return Case.from_dict(content(place), folder).applicators[0]


def problems(place, folder="."):
    with pytest.raises(CaseError) as error:
        Case.from_dict(content(place), folder)
    return error.value.problems


def mm(*values):
    return [f"{value} mm" for value in values]


def matrix(placement):
    """A pose as trackers give it, with millimetres."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = placement.rotation, 1e3 * placement.tip
    return pose


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_smallest_rotation(direction):
    direction = direction / np.linalg.norm(direction)
    turned = swing(direction)
    assert np.abs(turned.T @ turned - np.eye(3)).max() < 1e-7
    assert np.linalg.det(turned) == pytest.approx(1.0)
    assert turned[:, 2] == pytest.approx(direction, abs=1e-8)
    # The trace tells the angle of a rotation: no larger than that between +z and the direction.
    angle = np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1))
    assert angle == pytest.approx(np.arccos(np.clip(direction[2], -1, 1)), abs=1e-4)


def test_many_rotations_are_those_of_each():
    many = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1)[:, None]
    assert np.array_equal(swing(many), [swing(one) for one in many])


@pytest.mark.parametrize(
    ("profile", "height"),
    [
        (NEEDLE, 15.0),  # the middle of 30 mm of metal
        ("rfa_bipolar_like", 15.0),
        ("mwa_emprint_13g_like", 13.5),  # its gap: cone, plug and lower arm are 3 + 1 + 9 mm, the gap 1 mm
        ("mwa_amica_14g_like", 10.5),
        ("mwa_he2010_cooled", 25.4),
        ("mwa_slot_reference", 6.5),
        ("mwa_monopole_ji_brace", 6.5),  # all of a monopole is open
        ("mwa_dual_slot", 0.5 * (9.0 - 5.608 + 9.6)),
    ],
)
def test_point_that_is_aimed(profile, height):
    assert aim(Device.load(profile)) == pytest.approx(1e-3 * height)


def test_tines_before_the_tip_are_aimed_too():
    umbrella = Device.load("rfa_leveen_35_like")
    heights = [z for tine in umbrella.applicator.tines for _, z in tine.path]
    assert aim(umbrella) == pytest.approx(0.5 * (min(heights) + max(heights)))
    assert aim(umbrella) < 0.0


def test_all_devices_can_be_aimed():
    for name in Device.names():
        device = Device.load(name)
        assert abs(aim(device)) < 0.2 * device.applicator.length


def test_target_and_entry():
    found = placed({"target": mm(10, 20, 30), "entry": mm(10, 80, 110)})
    along = np.array([0, 0.6, 0.8])
    assert found.direction == pytest.approx(along)
    assert found.tip == pytest.approx(np.array([10, 20, 30]) * 1e-3 - 15e-3 * along)
    assert found.entry == pytest.approx((0.01, 0.08, 0.11))


def test_advance_beyond_the_target():
    target = np.array([0.01, -0.02, 0.03])
    by_entry = placed({"target": mm(10, -20, 30), "entry": mm(10, -20, 80), "advance": "-4 mm"})
    by_direction = placed({"target": mm(10, -20, 30), "direction": [0, 0, 2.0], "advance": "-4 mm"})
    assert by_entry.tip == pytest.approx(target + 4e-3 * np.eye(3)[2])
    assert by_direction.tip == pytest.approx(by_entry.tip)
    assert by_direction.entry is None


def test_tip_and_entry():
    found = placed({"tip": mm(1, 2, 3), "entry": mm(1, 2, -77)})
    assert found.tip == pytest.approx((1e-3, 2e-3, 3e-3))
    assert found.direction == pytest.approx((0, 0, -1))


def test_mirrored_points_give_the_mirrored_needle():
    found = placed({"target": mm(10, 20, 30), "entry": mm(60, 50, 70)})
    mirrored = placed({"target": mm(-10, 20, 30), "entry": mm(-60, 50, 70)})
    assert mirrored.tip == pytest.approx(np.array(found.tip) * (-1, 1, 1))
    assert mirrored.direction == pytest.approx(np.array(found.direction) * (-1, 1, 1))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("roll", [0.0, 1.1, -3.0])
def test_pose_there_and_back(direction, roll):
    wanted = Placement.along((0.03, -0.11, 0.42), direction, roll)
    found = Placement.along(*of_pose(matrix(wanted).ravel()))
    assert found.tip == pytest.approx(wanted.tip)
    assert np.abs(found.rotation - wanted.rotation).max() < 1e-7


def test_pose_in_a_case():
    wanted = Placement.along((0.03, -0.011, 0.042), (1, -2, 0.5), 0.7)
    rows = matrix(wanted).round(6).tolist()
    for pose in (rows, [number for row in rows for number in row]):
        found = placed({"pose": pose})
        assert found.tip == pytest.approx(wanted.tip)
        assert Placement.along(found.tip, found.direction, found.roll).rotation == pytest.approx(
            wanted.rotation, abs=1e-5
        )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda pose: pose @ np.diag([1, 1, -1, 1]), "mirror image"),
        (lambda pose: np.diag([-1, 1, 1, 1]) @ pose, "mirror image"),
        (lambda pose: pose.T, "column by column"),
        (lambda pose: pose @ np.diag([1.1, 1.1, 1.1, 1]), "lengths [1.1, 1.1, 1.1]"),
        (lambda pose: pose * 1e-3, "last row is [0, 0, 0, 0.001]"),
    ],
)
def test_poses_that_are_none(wrong, message):
    pose = wrong(matrix(Placement.along((0.03, -0.011, 0.042), (1, -2, 0.5), 0.7)))
    (found,) = problems({"pose": pose.tolist()})
    assert found.startswith("applicator[1].pose: ")
    assert message in found


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"tip": mm(0, 0, 0), "target": mm(0, 0, 1)}, "tip and target exclude each other"),
        ({"target": mm(0, 0, 0)}, "target needs entry, or a direction"),
        ({"target": mm(0, 0, 0), "entry": mm(0, 0, 0)}, "entry and target are the same point"),
        ({"tip": mm(0, 0, 0), "entry": mm(0, 0, 9), "direction": [0, 0, 1]}, "direction and entry exclude each other"),
        ({"entry": mm(0, 0, 9)}, "entry belongs to tip or target, and there is neither tip nor target"),
        ({"tip": mm(0, 0, 0), "advance": "1 mm"}, "advance belongs to target or needle, and there is a tip"),
        ({"needle": "a.mrk.json", "direction": [0, 0, 1]}, "direction belongs to tip or target, and there is a needle"),
        (
            {"pose": np.eye(4).tolist(), "roll": "10 deg"},
            "roll belongs to tip or target or needle, and there is a pose",
        ),
        ({"tip": mm(0, 0, 0), "target_first": True}, "target_first belongs to needle"),
        ({"pose": [[1, 0, 0, 0], [0, 1, 0, 0]]}, "a matrix of 16 finite numbers"),
        ({"pose": [[1, 0, 0, float("nan")], *np.eye(4)[1:].tolist()]}, "finite"),
    ],
)
def test_places_that_contradict_themselves(place, message):
    (found,) = problems(place)
    assert message in found


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    with pytest.raises(CaseError) as error:
        Case.from_dict(content({"needle": "none.mrk.json"}, {"pose": np.diag([1.0, 1, -1, 1]).tolist()}), tmp_path)
    first, second = error.value.problems
    assert "none.mrk.json" in first
    assert first.startswith("applicator[1].")
    assert second.startswith("applicator[2].pose")


def test_entry_is_kept_and_decides_nothing():
    case = Case.from_dict(content({"target": mm(0, 0, 0), "entry": mm(0, 0, 80)}))
    again = Case.from_resolved(json.loads(json.dumps(case.resolved())))
    assert again == case
    assert again.applicators[0].entry == pytest.approx((0, 0, 0.08))
    other = Case.from_dict(content({"tip": mm(0, 0, -15), "direction": [0, 0, 1]}))
    assert decisive(other.resolved()) == decisive(case.resolved())


# Lines of 3D Slicer.


def slicer(folder, *lines, name="needle.mrk.json", **more):
    """A file as Slicer writes it; a line is its points, or its points with labels."""
    markups = []
    for line in lines:
        points = [
            {"label": point[3] if len(point) > 3 else f"L-{i}", "position": point[:3], "positionStatus": "defined"}
            for i, point in enumerate(line, start=1)
        ]
        markups.append({"type": "Line", "coordinateUnits": "mm", "controlPoints": points, "locked": False, **more})
    (folder / name).write_text(json.dumps({"@schema": "markups-schema-v1.0.3.json#", "markups": markups}))
    return name


def test_line_is_the_same_needle_in_lps_and_ras(tmp_path):
    by_points = placed({"target": mm(-10, 25, 30), "entry": mm(-60, 45, 70)})
    lps = slicer(tmp_path, [(60, -45, 70), (10, -25, 30)], name="lps.mrk.json", coordinateSystem="LPS")
    # Slicer's own default, where a file does not say.
    silent = slicer(tmp_path, [(60, -45, 70), (10, -25, 30)], name="silent.mrk.json")
    ras = slicer(tmp_path, [(-60, 45, 70), (-10, 25, 30)], name="ras.mrk.json", coordinateSystem="RAS")
    for name in (lps, silent, ras):
        found = placed({"needle": name}, tmp_path)
        assert found.tip == pytest.approx(by_points.tip)
        assert found.direction == pytest.approx(by_points.direction)
        assert found.entry == pytest.approx(by_points.entry)


def test_micrometres_and_points_that_were_not_placed(tmp_path):
    name = slicer(
        tmp_path, [(0, 0, 90e3), (0, 0, 20e3)], coordinateUnits=["um", "UCUM", "micrometer"], coordinateSystem="RAS"
    )
    data = json.loads((tmp_path / name).read_text())
    data["markups"][0]["controlPoints"].append({"label": "L-3", "positionStatus": "undefined"})
    (tmp_path / name).write_text(json.dumps(data))
    assert placed({"needle": name, "advance": "5 mm"}, tmp_path).tip == pytest.approx((0, 0, 0.015))


def test_single_point(tmp_path):
    (point,) = read_markups(tmp_path / slicer(tmp_path, [(10, -20, 30)]))
    assert point.points == pytest.approx(np.array([(-0.01, 0.02, 0.03)]))


def test_which_end_is_deep(tmp_path):
    plain = slicer(tmp_path, [(0, 0, 20), (0, 0, 90)], name="plain.mrk.json")
    labelled = slicer(tmp_path, [(0, 0, 20, "Target"), (0, 0, 90, "entry")], name="labelled.mrk.json")
    tip = slicer(tmp_path, [(0, 0, 90), (0, 0, 20, "tip")], name="tip.mrk.json")
    assert placed({"needle": plain}, tmp_path).direction == pytest.approx((0, 0, -1))
    assert placed({"needle": plain, "target_first": True}, tmp_path).tip == pytest.approx((0, 0, 5e-3))
    assert placed({"needle": labelled}, tmp_path).tip == pytest.approx((0, 0, 5e-3))
    assert placed({"needle": tip}, tmp_path).tip == pytest.approx((0, 0, 20e-3))
    (found,) = problems({"needle": labelled, "target_first": False}, tmp_path)
    assert "in the other order" in found


def test_line_written_and_read(tmp_path):
    entry, tip = (-0.061, 0.0452, 0.0713), (-0.0101, 0.025, 0.0304)
    (tmp_path / "n.mrk.json").write_text(line_text("first needle", entry, tip))
    (line,) = read_markups(tmp_path / "n.mrk.json")
    assert (line.kind, line.name, line.labels) == ("Line", "first needle", ("entry", "tip"))
    assert line.points == pytest.approx(np.array([entry, tip]))
    found = placed({"needle": "n.mrk.json"}, tmp_path)
    assert found.tip == pytest.approx(tip)
    assert found.entry == pytest.approx(entry)
    raw = json.loads((tmp_path / "n.mrk.json").read_text())["markups"][0]
    assert raw["coordinateSystem"] == "LPS"
    assert raw["controlPoints"][0]["position"] == pytest.approx([61.0, -45.2, 71.3])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda f: slicer(f, [(0, 0, 9), (0, 0, 50)], [(0, 0, 9), (5, 0, 50)]), "has 2 lines"),
        (lambda f: slicer(f), "has 0 lines (none)"),
        (lambda f: slicer(f, [(0, 0, 9)]), "the line in"),
        (lambda f: slicer(f, [(0, 0, 9), (0, 0, 50), (0, 0, 60)]), "has 3 points; a needle has two"),
        (lambda f: slicer(f, [(0, 0, 9), (0, 0, 9)]), "0 mm large"),
        (lambda f: slicer(f, [(0, 0, 9, "tip"), (0, 0, 50, "target")]), "labelled"),
        (lambda f: slicer(f, [(0, 0, 0.02), (0, 0, 0.09)]), "rather m"),
        (lambda f: slicer(f, [(0, 0, 9), (0, 0, 50)], coordinateSystem="XYZ"), "'XYZ' is not a choice"),
        (lambda f: slicer(f, [(0, 0, 9), (0, 0, 50)], coordinateUnits="inch"), "inch"),
        (lambda f: (f / "needle.mrk.json").write_text("{"), "no markups file of 3D Slicer"),
        (lambda f: (f / "needle.mrk.json").write_text('{"markups": [{"type": "Line", "controlPoints": 3}]}'), "array"),
        (lambda f: None, "cannot be read"),
    ],
)
def test_lines_that_are_no_needle(tmp_path, write, message):
    write(tmp_path)
    found = problems({"needle": "needle.mrk.json"}, tmp_path)
    assert any(message in text for text in found), found
    assert all("needle.mrk.json" in text for text in found)
