"""Planning: the reduced model on zones that are known exactly, and the search with it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from anatomies import Small

from ablationsim.anatomy import Anatomy
from ablationsim.case import Case
from ablationsim.case.planning import PlanSection
from ablationsim.errors import CaseError, GeometryError
from ablationsim.geometry.ways import Reach
from ablationsim.mesh.mesh import Mesh
from ablationsim.study.planning.access import Ways
from ablationsim.study.planning.candidate import Candidate
from ablationsim.study.planning.cases import planned
from ablationsim.study.planning.cooling import remaining
from ablationsim.study.planning.drive import drive_of
from ablationsim.study.planning.goal import Goal, pareto
from ablationsim.study.planning.learning import Learning
from ablationsim.study.planning.library import Library, alone
from ablationsim.study.planning.poses import Pose, directions, neighbours, starts, together
from ablationsim.study.planning.protocol import ranges, with_setting
from ablationsim.study.planning.reduced import Reduced
from ablationsim.study.planning.search import Settings, search
from ablationsim.study.planning.site import Site
from ablationsim.study.planning.tables import Tables
from ablationsim.vessels.vessel import Branch, Fluid, Vessel, Wall
from ablationsim.zone.target import Target

PATIENT = Small(liver=(60.0, 50.0, 45.0), gap=8.0)
MIDDLE = 15e-3  # height of the middle of the zones above the tip
POWERS, TIMES = np.arange(40.0, 121.0, 2.5), np.arange(120.0, 601.0, 15.0)


def radius(power, time):
    """Of a zone that is a ball [m]: 12 mm at 50 W and 5 min, and its volume grows with the energy."""
    return 12e-3 * np.cbrt(power * time / 15e3)


def stock(powers=(40.0, 70.0, 120.0), times=(120.0, 200.0, 300.0, 450.0, 600.0)):
    """Balls whose drive falls by 0.1 a millimetre at their edge."""
    r, z = 1e-3 * np.arange(41), 1e-3 * np.arange(-30, 71)
    away = np.hypot(*np.meshgrid(r, z - MIDDLE, indexing="ij"))
    drive = [[np.maximum(1.0 + 100.0 * (radius(p, t) - away), 0.0) for t in times] for p in powers]
    return Library(np.array(powers), np.array(times), r, z, np.array(drive, dtype=np.float32))


def tables(powers=POWERS, times=TIMES):
    return Tables.of(stock(), powers, times, 1e-3)


def ball(centre, size, margin=10e-3, **around):
    centre = np.asarray(centre, dtype=float)
    return Site.of(
        Target.sphere(centre, size),
        lambda points: np.linalg.norm(points - centre, axis=1) - size,
        margin=margin,
        **around,
    )


def reduced(site, **settings):
    return Reduced(site, tables(**settings), np.ones(len(site.points), dtype=np.float32), guard=0.0)


@pytest.fixture(scope="module")
def anatomy(tmp_path_factory):
    return PATIENT.read(tmp_path_factory.mktemp("anatomy"))


@pytest.fixture
def case(tmp_path) -> Case:
    return patient_case(PATIENT.write(tmp_path))


def patient_case(labels, **more) -> Case:
    return Case.from_dict(
        {
            "title": "A plan",
            "patient": {"labels": str(labels), "structures": Small().structures},
            "tumour": {"set": "hcc"},
            "tissue": {"set": "liver_cirrhotic"},
            "applicator": [
                {
                    "name": "needle",
                    "profile": "mwa_emprint_13g_like",
                    "tip": ["50 mm", "-15 mm", "50 mm"],
                    "protocol": [{"mode": "power", "power": "100 W", "duration": "5 min"}],
                }
            ],
            **more,
        }
    )


def test_drive_is_nothing_in_unheated_tissue_one_at_the_edge_and_negative_beside_a_cold_shaft() -> None:
    points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    outer = np.array([[1, 2, 3]], dtype=np.int32)
    mesh = Mesh(
        points, np.array([[0, 1, 2, 3], [4, 1, 3, 2]], dtype=np.int32), {}, {"outer": outer}, axisymmetric=False
    )
    drive = drive_of(np.array([-12.0, -8.0, -8.0, -8.0, 4.0]), mesh)
    np.testing.assert_allclose(drive, [-0.5, 0.0, 0.0, 0.0, 1.5])


def test_tables_have_the_volume_and_the_middle_of_the_zones_between_those_of_the_stock() -> None:
    found = tables()
    wanted = radius(found.power, found.time)
    np.testing.assert_allclose(found.volume, 4.0 / 3.0 * np.pi * wanted**3, rtol=0.04)
    np.testing.assert_allclose(found.middle, MIDDLE, atol=0.4e-3)
    np.testing.assert_allclose(found.dent, MIDDLE + wanted, atol=0.4e-3)


def test_margins_of_a_ball_in_a_ball_are_the_difference_of_the_radii_less_their_distance() -> None:
    site = ball((10e-3, -20e-3, 30e-3), 10e-3)
    model = reduced(site)
    settings = np.arange(len(model.tables.power))
    size = radius(model.tables.power, model.tables.time)
    chosen = settings[(size > 14e-3) & (size < 18e-3)]
    axis = np.array([0.6, 0.0, 0.8])
    for aside in (0.0, 2e-3):
        tip = np.array([10e-3, -20e-3 + aside, 30e-3]) - MIDDLE * axis
        for setting in chosen[::20]:
            plan = model.candidate(Pose.parallel(tip[None], axis), int(setting))
            expected = model.expected(plan, Goal(5e-3))
            assert expected.mam_without_needles_mm == pytest.approx(1e3 * (size[setting] - 10e-3 - aside), abs=0.25)
            volume = 4.0 / 3.0 * np.pi * (size[setting] ** 3 - 10e-3**3)
            assert expected.healthy_ml == pytest.approx(1e6 * volume, rel=0.06)
            assert expected.coverage == pytest.approx(1.0, abs=1e-3)


def test_compiled_margins_are_those_of_the_drive_at_all_points() -> None:
    site = ball((0.0, 0.0, 0.0), 9e-3)
    model = reduced(site)
    pose = Pose(np.array([[0.0, 4e-3, -15e-3], [2e-3, -6e-3, -14e-3]]), np.array([[0.0, 0.0, 1.0], [0.0, 0.28, 0.96]]))
    goal, settings = Goal(5e-3), np.array([7, 150, 300])
    costs = model.costs(pose, settings, goal)
    for setting, cost in zip(settings, costs, strict=True):
        margins = site.margins(model.drive(pose, int(setting)).astype(float))
        healthy = max(2.0 * model.tables.volume[setting] - site.target.volume, 0.0)
        dents = model._dents(pose, np.array([setting]))
        again = goal.cost(margins[None], site.attainable, healthy, model.tables.time[setting], 2, dents=dents)
        assert cost == pytest.approx(again[0], abs=1e-3)


def test_margin_ends_at_vessels_and_at_the_capsule() -> None:
    site = ball(
        (0.0, 0.0, 0.0),
        10e-3,
        vessels=[lambda points: np.abs(points[:, 0] - 16e-3) - 2e-3],
        liver=lambda points: points[:, 2] - 13e-3,
    )
    right, up = np.argmax(site.feet[:, 0]), np.argmax(site.feet[:, 2])
    assert site.attainable[right] == pytest.approx(4e-3, abs=1.01e-3)
    assert site.attainable[up] == pytest.approx(3e-3, abs=1.01e-3)
    assert site.attainable[np.argmin(site.feet[:, 0])] == site.along[-1]
    goal = Goal(5e-3)
    # All that there is room for is there.
    assert goal.lacking(site.attainable[None], site.attainable).max() == 0.0


def test_vessels_cool_as_the_solution_outside_a_cylinder_says() -> None:
    tissue = Case.from_dict(
        {"device": {"profile": "mwa_emprint_13g_like"}, "tissue": {"set": "liver_cirrhotic"}}
    ).tissue
    size, coefficient = 3e-3, 1500.0
    branch = Branch(
        "b", np.array([[0.0, 0.0, -0.2], [0.0, 0.0, 0.2]]), np.full(2, size), {}, 1e-6, "fixed", coefficient
    )
    fluid = Fluid("blood", 1060.0, 3617.0, 0.5, 3e-3, 0.7)
    wall = Wall(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=bool))
    vessel = Vessel("v", "hepatic_vein", wall, (branch,), fluid, 310.15)
    r = size + np.linspace(1e-6, 20e-3, 4001)
    left = remaining(np.column_stack([r, 0 * r, 0 * r]), [vessel], tissue)
    step = r[1] - r[0]
    lost = 1.0 - left
    slope, bend = np.gradient(lost, step), np.gradient(np.gradient(lost, step), step)
    conductivity = float(np.interp(310.15, tissue.tables().temperature, tissue.tables().thermal_conductivity))
    screen = tissue.perfusion * tissue.value("blood_density") * tissue.value("blood_heat_capacity")
    inner = slice(20, -20)
    # Pennes: k (u'' + u' / r) = w u, and what is conducted to the wall passes through it.
    np.testing.assert_allclose(
        conductivity * (bend + slope / r)[inner], screen * lost[inner], rtol=2e-3, atol=2e-3 * screen
    )
    assert -conductivity * slope[1] == pytest.approx(coefficient * left[0], rel=1e-2)
    assert remaining(np.zeros((1, 3)), [vessel], tissue)[0] == 0.0
    still = replace(branch, flow=0.0)
    assert (remaining(np.array([[4e-3, 0, 0]]), [replace(vessel, branches=(still,))], tissue) == 1.0).all()


def test_what_a_run_teaches_gives_that_run_back_and_fades_away_from_it() -> None:
    here = Candidate(np.zeros((1, 3)), np.array([[0.0, 0.0, 1.0]]), 80.0, 300.0, 0)
    learning = Learning()
    assert learning.factor(here) == 1.0
    assert learning.rise(here) == 0.0
    full, expected = np.array([0.8, 1.2, 0.0]), np.array([1.0, 1.0, 0.0])
    learning.add(here, full, expected, rise=-2e-3)
    assert learning.rise(here) == pytest.approx(-2e-3, rel=1e-3)
    assert np.asarray(learning.factor(here)) * expected == pytest.approx([0.8, 1.2, 0.0], rel=1e-3)
    near, far = (replace(here, tips=np.array([[away, 0.0, 0.0]])) for away in (2e-3, 60e-3))
    strength = [abs(float(np.asarray(learning.factor(plan))[0]) - 1.0) for plan in (here, near, far)]
    assert strength[0] > strength[1] > strength[2]
    pair = Candidate(np.zeros((2, 3)), np.tile([0.0, 0.0, 1.0], (2, 1)), 80.0, 300.0, 0)
    np.testing.assert_allclose(learning.factor(pair), 1.0)


def test_missing_margin_and_uncovered_tumour_cost_more_than_healthy_liver() -> None:
    goal, room = Goal(5e-3), np.full(3, np.inf)
    margins = 1e-3 * np.array([[6.0, 6.0, 6.0], [6.0, 6.0, 4.0], [6.0, 6.0, -1.0]])
    costs = goal.cost(margins, room, 20e-6, 300.0)
    assert costs[0] == pytest.approx(20.0 + 2.5)
    assert costs[0] + 10.0 < costs[1] < costs[2] - 50.0
    assert goal.cost(margins[:1], room, 21e-6, 300.0)[0] == pytest.approx(costs[0] + 1.0)
    fast = replace(goal, objective="time").cost(
        margins[[0, 0]], room, np.array([20e-6, 30e-6]), np.array([300.0, 120.0])
    )
    assert fast[1] < fast[0]
    assert Goal(5e-3, "margin").aim > 10e-3


def test_pareto_keeps_what_nothing_beats() -> None:
    assert pareto([(-5, 20, 300), (-5, 25, 300), (-6, 30, 300), (-4, 20, 120)]) == [True, False, True, True]
    assert pareto([(1, 1), (1, 1)]) == [True, True]


def test_directions_are_even_and_the_same_in_a_mirror() -> None:
    found = directions()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)
    assert len(found) == 258
    for flip in ([-1, 1, 1], [1, -1, 1], [1, 1, -1]):
        assert {tuple(v) for v in np.round(found * flip, 9) + 0.0} == {tuple(v) for v in np.round(found, 9) + 0.0}
    nearest = np.sort(found @ found.T, axis=1)[:, -2]
    assert np.degrees(np.arccos(nearest)).max() < 16.5


def test_moves_of_a_mirrored_needle_are_mirrored() -> None:
    flip = np.array([-1.0, 1.0, 1.0])
    axis = np.array([0.48, 0.6, 0.64])
    pose, other = (Pose.parallel(np.array([[1e-3, 2e-3, 3e-3]]) * f, axis * f) for f in (np.ones(3), flip))
    found = {
        tuple(np.round(np.concatenate([p.tips[0] * flip, p.axis * flip]), 12))
        for p in neighbours(pose, 2e-3, 0.1, MIDDLE)
    }
    mirrored = {tuple(np.round(np.concatenate([p.tips[0], p.axis]), 12)) for p in neighbours(other, 2e-3, 0.1, MIDDLE)}
    assert found == mirrored


def test_needles_together_are_parallel_and_as_far_apart_as_said() -> None:
    for count in (2, 3, 4):
        for pose in together(Pose.parallel(np.zeros((1, 3)), np.array([0.0, 0.6, 0.8])), count):
            gaps = np.linalg.norm(pose.tips - np.roll(pose.tips, 1, axis=0), axis=1)
            assert np.ptp(gaps) < 1e-12
            assert any(abs(gaps[0] - spacing) < 1e-12 for spacing in (12e-3, 18e-3, 24e-3))
            np.testing.assert_allclose((pose.tips - pose.tips[0]) @ pose.axis, 0.0, atol=1e-12)


def found_in(anatomy, case):
    """The best plan of the reduced model in an anatomy, and the model."""
    section = anatomy.named("tumour")
    distance = anatomy.distance(section.name)
    site = Site.of(
        Target.of(distance.surface()),
        distance,
        Reach(anatomy.distance(whole_liver=True), 0.0),
        [Reach(anatomy.distance(name), 0.0) for name in ("hepatic_vein", "portal_vein")],
    )
    model = reduced(site)
    ways = Ways(case)
    poses = starts(site.target.centre, MIDDLE, 3)
    free = [pose for pose, ok in zip(poses, ways.allowed(poses), strict=True) if ok]
    plans = search(model, Settings(len(POWERS), len(TIMES)), Goal(5e-3), free, ways.allowed, kept=4)
    return plans, model, ways


@pytest.fixture(scope="module")
def found(anatomy, tmp_path_factory):
    """Plans for the small anatomy, the reduced model that they are from, and what allowed them."""
    return found_in(anatomy, patient_case(PATIENT.write(tmp_path_factory.mktemp("found"))))


def test_search_finds_the_smallest_ball_with_the_margin_and_a_way_that_is_free(found) -> None:
    plans, model, ways = found
    best = plans[0]
    expected = model.expected(best, Goal(5e-3))
    assert expected.mam_without_needles_mm >= 5.0 - 0.05
    assert expected.lacking_mm <= 0.05
    # A tumour of 10 mm, margin and reserve; steps of power and time.
    assert radius(best.power, best.time) == pytest.approx(15.1e-3, abs=0.5e-3)
    poses = [Pose(plan.tips, plan.axes) for plan in plans]
    assert ways.allowed(poses).all()
    sides = np.array([plan.axes[0] for plan in plans])
    apart = np.arccos(np.clip(sides @ sides.T, -1.0, 1.0))[~np.eye(len(sides), dtype=bool)]
    assert apart.min() > 0.29


def test_a_mirrored_patient_gets_the_mirrored_plan(found, tmp_path) -> None:
    import nibabel

    path = PATIENT.write(tmp_path, "other.nii.gz")
    image = nibabel.load(path)
    flipped = nibabel.Nifti1Image(np.asarray(image.dataobj), np.diag([-1.0, 1.0, 1.0, 1.0]) @ image.affine)
    nibabel.save(flipped, tmp_path / "mirrored.nii.gz")
    mirrored = Anatomy.read(tmp_path / "mirrored.nii.gz", Small().structures)
    plans, model, _ = found
    others, again, ways = found_in(mirrored, patient_case(tmp_path / "mirrored.nii.gz"))
    best = plans[0]
    flip = np.array([-1.0, 1.0, 1.0])
    turned = replace(best, tips=best.tips * flip, axes=best.axes * flip)
    assert ways.allowed([Pose(turned.tips, turned.axes)]).all()
    one, same, other = (m.expected(p, Goal(5e-3)).cost for m, p in ((model, best), (again, turned), (again, others[0])))
    assert same == pytest.approx(one, abs=0.4)
    assert other == pytest.approx(one, abs=0.4)


def test_replanning_finds_the_shift_and_the_power_that_made_the_target() -> None:
    axis = np.array([0.0, 0.6, 0.8])
    tip = np.array([20e-3, 10e-3, -5e-3])
    shift, power, time = 5e-3, 80.0, 300.0
    centre = tip + (MIDDLE + shift) * axis
    site = ball(centre, radius(power, time) - 5e-3)
    model = reduced(site, times=np.array([time]))
    placed = Pose.parallel(tip[None], axis)
    poses = [Pose(tip[None] + way * axis, placed.axes) for way in np.linspace(-20e-3, 20e-3, 21)]
    free = lambda poses: np.ones(len(poses), dtype=bool)  # noqa: E731
    best = search(model, Settings(len(POWERS), 1), Goal(5e-3), poses, free, along=True)[0]
    assert (best.tips[0] - tip) @ axis == pytest.approx(shift, abs=1e-3)
    assert best.power == pytest.approx(power, rel=0.05)
    np.testing.assert_allclose(np.cross(best.tips[0] - tip, axis), 0.0, atol=1e-12)


def test_needles_that_are_in_place_move_within_the_limit_and_keep_what_is_wrong_already(case) -> None:
    # Punctured from below, with the tip in the tumour: too little liver may be in the way, but that was so before.
    flat = replace(case, access=case.access.model_copy(update={"parenchyma": 0.09}))
    placed = Pose.parallel(np.array([[50e-3, -15e-3, 60e-3]]), np.array([0.0, 0.0, 1.0]))
    assert not Ways(flat).allowed([placed]).any()
    ways = Ways(flat, placed, 4e-3)
    moved = [Pose(placed.tips + by * placed.axes, placed.axes) for by in (-4e-3, 0.0, 5e-3)]
    assert ways.allowed(moved).tolist() == [True, True, False]


def test_no_way_at_all_says_which_limit_keeps_how_many(case) -> None:
    shut = replace(case, access=case.access.model_copy(update={"depth": 1e-3}))
    ways = Ways(shut)
    poses = starts(np.array([50e-3, -15e-3, 63e-3]), MIDDLE)
    assert not ways.allowed(poses).any()
    message = str(ways.refuse(poses))
    assert isinstance(ways.refuse(poses), GeometryError)
    assert f"{len(poses)} ways" in message
    assert f"too deep (access.depth): {len(poses)}" in message


def test_case_of_a_plan_has_its_needles_and_its_block_round_them(case) -> None:
    tips = np.array([[45e-3, -15e-3, 55e-3], [57e-3, -15e-3, 55e-3]])
    plan = Candidate(tips, np.tile([0.0, 0.0, 1.0], (2, 1)), 75.0, 240.0, 0)
    found = planned(case, plan, "plan_1")
    assert [a.name for a in found.applicators] == ["needle_1", "needle_2"]
    assert {(a.protocol[0].power, a.protocol[0].duration) for a in found.applicators} == {(75.0, 240.0)}
    assert found.mesh.resolution == case.plan.resolution
    single = planned(case, Candidate(tips[:1], plan.axes[:1], 75.0, 240.0, 0), "plan_2")
    assert single.applicators[0].name == "needle"
    moved = np.subtract(single.domain.centre, case.domain.centre)
    np.testing.assert_allclose(moved, tips[0] - case.applicators[0].tip, atol=1e-9)
    assert single.domain.radius == case.domain.radius
    assert json.dumps(found.resolved())


def test_ranges_come_from_the_case_or_from_protocol_and_generator(case) -> None:
    assert ranges(case) == ((50.0, 150.0), (120.0, 600.0))
    wanted = replace(case, plan=PlanSection.model_validate({"power": ["60 W", "80 W"], "duration": ["3 min", "4 min"]}))
    assert ranges(wanted) == ((60.0, 80.0), (180.0, 240.0))
    strong = replace(case, plan=PlanSection.model_validate({"power": ["60 W", "400 W"]}))
    with pytest.raises(CaseError, match="400 W is more than the 150 W"):
        ranges(strong)
    first = case.applicators[0]
    long = replace(case, applicators=(replace(first, protocol=first.protocol * 2),))
    with pytest.raises(CaseError, match="has 2 steps"):
        ranges(long)
    assert with_setting(first.protocol, 70.0, 60.0)[0].power == 70.0


def test_plan_section_says_what_is_wrong() -> None:
    data = {
        "device": {"profile": "mwa_emprint_13g_like"},
        "tissue": {"set": "liver_human"},
        "plan": {"margin": "50 mm", "objectiv": "time"},
    }
    problems = Case.problems(data)
    assert any("objectiv" in problem and "objective" in problem for problem in problems)
    problems = Case.problems({**data, "plan": {"margin": "50 mm", "power": ["90 W", "60 W"]}})
    assert any("lower limit comes first" in problem for problem in problems)
    assert any(
        "50 mm, more than the 20 mm" in problem for problem in Case.problems({**data, "plan": {"margin": "50 mm"}})
    )


def test_only_devices_that_are_symmetric_about_their_shaft_have_a_stock(case) -> None:
    upright = alone(case)
    assert upright.vessels == ()
    assert upright.patient is None
    assert upright.applicators[0].direction == (0.0, 0.0, 1.0)
    tined = Case.from_dict({"device": {"profile": "rfa_leveen_35_like"}, "tissue": {"set": "liver_human"}})
    with pytest.raises(CaseError, match="tines"):
        alone(tined)
