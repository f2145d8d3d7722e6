"""What is uncertain: distributions, placement, margins, estimators against known values, the files of a study."""

import csv
import json
import math
import tomllib

import jsonschema
import numpy as np
import pytest

from ablationsim.case import Case
from ablationsim.errors import CaseError, SolverError
from ablationsim.geometry.placement import Placement
from ablationsim.provenance import Sourced
from ablationsim.report.uncertainty import write_report
from ablationsim.study.sweep.sampling import Limits
from ablationsim.study.sweep.table import SIZES
from ablationsim.study.uncertainty import answers as answering
from ablationsim.study.uncertainty.answers import Answer
from ablationsim.study.uncertainty.arm import Arm
from ablationsim.study.uncertainty.assessment import KEPT, assess, count
from ablationsim.study.uncertainty.design import design
from ablationsim.study.uncertainty.file import AboutSection
from ablationsim.study.uncertainty.files import write_files
from ablationsim.study.uncertainty.indices import effects, indices
from ablationsim.study.uncertainty.inputs import Input, default_limits, inputs_of
from ablationsim.study.uncertainty.outline_map import chance
from ablationsim.study.uncertainty.placing import Plan
from ablationsim.study.uncertainty.quantities import QUANTITIES, Aim
from ablationsim.study.uncertainty.repeatability import compare
from ablationsim.study.uncertainty.spread import spread
from ablationsim.study.uncertainty.study import UncertaintyStudy
from ablationsim.study.uncertainty.surface import Outline
from ablationsim.study.uncertainty.surrogate import Surrogate
from ablationsim.study.uncertainty.tables import remarks, tables
from ablationsim.study.workers import workers
from ablationsim.units import ZERO_CELSIUS

MICROWAVE = """
title = "Microwave"
[device]
profile = "mwa_emprint_13g_like"
[[protocol]]
mode = "power"
power = "60 W"
duration = "60 s"
[tissue]
set = "liver_porcine_ex_vivo"
"""
TUBE = """
[[vessel]]
name = "tube"
kind = "tube"
points = [["12 mm", "0 mm", "-60 mm"], ["12 mm", "0 mm", "90 mm"]]
diameter = "4 mm"
flow = "100 mL/min"
"""
PLACES = ("depth", "offset", "angle")


def arm_of(text, *, vary=("tissue", "model", "device", "placement", "experiment"), tables=(), target=False, tmp="."):
    return Arm.of("", "", tomllib.loads(text), tmp, vary=vary, tables=tables, target=target)


def ball(radius, centre=0.0, count=120):
    """The outline of a sphere about a point of the axis [mm]."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, count)
    points = np.column_stack([radius * np.cos(angle), centre + radius * np.sin(angle)])
    points[[0, -1], 0] = 0.0
    return Outline(points, np.column_stack([np.arange(count - 1), np.arange(1, count)]), True)


# --- distributions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "range_source", "distribution"),
    [
        ("published", "", "normal"),
        ("published", "guntur2013", "normal"),
        ("published", "assumed; nobody knows", "uniform"),
        ("assumed", "guntur2013", "uniform"),
        ("calibrated", "", "uniform"),
    ],
)
def test_distribution_of_a_number(status, range_source, distribution):
    entry = {"value": "2", "status": status, "source": "guntur2013", "range": ["1", "5"]}
    limits = default_limits(
        Sourced.read({**entry, **({"range_source": range_source} if range_source else {})}, "ratio")
    )
    assert limits.distribution == distribution
    assert (limits.low, limits.high) == (1.0, 5.0)
    if distribution == "normal":
        assert (limits.mean, limits.sd) == (2.0, 1.0)


def test_numbers_without_a_range_are_certain():
    assert default_limits(Sourced.read({"value": "2", "status": "assumed", "source": "a guess"}, "ratio")) is None
    none = {"value": "2", "status": "assumed", "source": "a guess", "range": ["2", "2"]}
    assert default_limits(Sourced.read(none, "ratio")) is None


def test_values_stay_within_their_limits():
    one = Input("x", "tissue", Limits("ratio", "normal", 1.0, 5.0, 2.0, 1.0), 2.0, "")
    values = one.at(np.linspace(0.0, 1.0, 1001))
    assert values[0] == 1.0
    assert values[-1] == 5.0
    assert (np.diff(values) >= 0.0).all()
    # Median of a normal distribution that is cut off at minus one and plus three standard deviations.
    assert one.at(np.array([0.5]))[0] == pytest.approx(2.1988, abs=1e-3)


def test_inputs_that_a_run_does_not_look_at_are_left_out(small):
    microwave = [one.name for one in inputs_of(Case.from_dict(tomllib.loads(MICROWAVE)), True)]
    assert {"tissue.permittivity", "tissue.microwave_conductivity", "device.antenna.efficiency"} <= set(microwave)
    assert not {"tissue.electric_conductivity", "tissue.perfusion", "tissue.blood_temperature"} & set(microwave)
    radiofrequency = [one.name for one in inputs_of(Case.from_dict(tomllib.loads(small)), False)]
    assert "tissue.electric_conductivity" in radiofrequency
    assert not [name for name in radiofrequency if "microwave" in name or name.startswith("placement")]
    alive = MICROWAVE.replace("liver_porcine_ex_vivo", "liver_human")
    assert "tissue.perfusion" in [one.name for one in inputs_of(Case.from_dict(tomllib.loads(alive)), False)]


def test_kinds_tell_specimens_from_what_is_not_known():
    kinds = {one.name: one.kind for one in arm_of(MICROWAVE).inputs}
    assert kinds["tissue.thermal_conductivity"] == "tissue"
    assert kinds["tissue.thermal_conductivity_slope"] == "model"
    assert {one.kind for one in arm_of(MICROWAVE, vary=["tissue"]).inputs} == {"tissue"}


def test_a_draw_reaches_the_case():
    arm = arm_of(MICROWAVE)
    values = {
        "tissue.thermal_conductivity": 0.5,
        "tissue.permittivity": 40.0,
        "device.antenna.efficiency": 0.6,
        "experiment.start": 290.0,
        "experiment.edge": 55.0 + ZERO_CELSIUS,
    }
    case = arm.draw(values)
    device = case.applicators[0].device
    assert case.tissue.value("thermal_conductivity") == 0.5
    assert case.tissue.value("permittivity") == 40.0
    assert case.tissue.initial_temperature == 290.0
    assert device.antenna.efficiency == device.parameters["antenna.efficiency"].value == 0.6
    assert (case.zone.criterion, case.zone.isotherm_temperature) == ("isotherm", 55.0 + ZERO_CELSIUS)
    assert arm.draw({}) == arm.case
    assert not arm.problems()


# --- placement and margins -------------------------------------------------------------------------------------------


def test_placement_moves_the_needle_only_where_something_feels_it():
    free = arm_of(MICROWAVE, target=True)
    assert {f"placement.{key}" for key in PLACES} <= {one.name for one in free.inputs}
    assert free.draw({"placement.depth": 3e-3}) == free.case
    beside = arm_of(MICROWAVE + TUBE)
    # From the axis to the wall of the tube, and away from it.
    assert beside.plan.distance == pytest.approx(10e-3, abs=0.05e-3)
    assert beside.plan.away == pytest.approx([-1.0, 0.0, 0.0], abs=0.02)
    moved = beside.draw({"placement.depth": 3e-3, "placement.offset": 2e-3, "placement.angle": 0.1}).applicators[0]
    assert moved.tip == pytest.approx([-2e-3, 0.0, -3e-3], abs=1e-4)
    assert moved.direction == pytest.approx([-math.sin(0.1), 0.0, math.cos(0.1)], abs=2e-3)
    nearer = arm_of(MICROWAVE + TUBE, tables=()).plan
    assert nearer.fixed


def test_target_as_the_needle_sees_it():
    plan = Plan(Placement.along((0.0, 0.0, 0.0), (1.0, 0.0, 0.0)), 0.0, np.array([0.0, 1.0, 0.0]), False, None)
    still = dict.fromkeys(PLACES, 0.0)
    assert plan.target(0.02, still) == pytest.approx([0.0, 0.0, 0.02])
    assert plan.target(0.02, {**still, "depth": 3e-3}) == pytest.approx([0.0, 0.0, 0.023])
    assert np.hypot(*plan.target(0.02, {**still, "offset": 4e-3})[:2]) == pytest.approx(4e-3)
    turned = plan.target(0.02, {**still, "angle": 0.1})
    assert turned[2] == pytest.approx(0.02 * math.cos(0.1))
    assert np.hypot(*turned[:2]) == pytest.approx(0.02 * math.sin(0.1))


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({}, 5.0),
        ({"placement.depth": 3e-3}, 2.0),
        ({"placement.offset": 2e-3}, 3.0),
        ({"placement.offset": -9e-3}, -4.0),
    ],
)
@pytest.mark.parametrize("space", [False, True])
def test_margin_of_a_sphere_in_a_sphere(errors, expected, space):
    plan = Plan(Placement.along(), 0.0, np.array([1.0, 0.0, 0.0]), False, None)
    outline = ball(15.0, 12.0)
    if space:
        from ablationsim.zone.extract import Surface

        solid = Surface(outline.points, outline.facets, True).revolve(256)
        outline = Outline(solid.points, solid.facets, False)
    answer = Answer({}, Outline.read(outline.to_dict()))
    assert Aim(10e-3, 12e-3).margin(answer, plan, errors) == pytest.approx(expected, abs=0.04)


def test_no_zone_has_no_margin():
    answer = Answer({}, Outline(np.empty((0, 2)), np.empty((0, 2), dtype=int), True))
    plan = Plan(Placement.along(), 0.0, np.array([1.0, 0.0, 0.0]), False, None)
    assert math.isnan(Aim(10e-3, 12e-3).margin(answer, plan, {}))
    assert chance([answer.outline]) is None


def test_chance_of_being_ablated():
    found = chance([ball(radius, 1.0) for radius in (4.0, 6.0, 8.0, 10.0)])
    distance = np.hypot(*np.meshgrid(found.r, found.z - 1.0))
    for radius, share in ((3.9, 1.0), (5.9, 0.75), (7.9, 0.5), (9.9, 0.25), (10.5, 0.0)):
        ring = np.abs(distance - radius) < 0.05
        assert ring.any()
        assert (found.share[ring] == share).all()
    # The volume that the shares stand for is the mean volume.
    volume = (found.share * 2 * np.pi * found.r).sum() * np.diff(found.r)[0] * np.diff(found.z)[0]
    assert volume == pytest.approx(np.mean([4 / 3 * np.pi * r**3 for r in (4.0, 6.0, 8.0, 10.0)]), rel=5e-3)


# --- estimators ------------------------------------------------------------------------------------------------------

NAMES = ("x1", "x2", "x3")
TURN = Limits("ratio", "uniform", -math.pi, math.pi)


def ishigami(x, a=7.0, b=0.1):
    return np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])


def values_of(shares, limits=TURN):
    return np.column_stack([Input(name, "model", limits, 0.0, "").at(shares[:, k]) for k, name in enumerate(NAMES)])


def test_sobol_indices_of_ishigami():
    about = AboutSection(method="sobol", n=2048, seed=3)
    shares = design(about, NAMES)
    assert len(shares) == 2048 * (3 + 2)
    found = {one.name: one for one in indices(NAMES, ishigami(values_of(shares)), 0.95, 1)}
    # Ishigami & Homma 1990: shares of the variance in closed form.
    b, v = 0.1, 0.5 + 49 / 8 + 0.1 * math.pi**4 / 5 + 0.01 * math.pi**8 / 18
    first = {"x1": 0.5 * (1 + b * math.pi**4 / 5) ** 2 / v, "x2": 49 / 8 / v, "x3": 0.0}
    both = 8 * b**2 * math.pi**8 / 225 / v
    total = {"x1": first["x1"] + both, "x2": first["x2"], "x3": both}
    for name in NAMES:
        assert found[name].first == pytest.approx(first[name], abs=0.02)
        assert found[name].total == pytest.approx(total[name], abs=0.02)
        assert abs(found[name].first - first[name]) < 2.0 * max(found[name].first_interval, 0.01)


def test_indices_of_a_constant_are_none():
    shares = design(AboutSection(method="sobol", n=8), NAMES)
    assert indices(NAMES, np.full(len(shares), 3.0), 0.95, 1) is None


def test_screening_of_a_sum_and_of_a_product():
    about = AboutSection(method="screen", n=20, seed=2)
    shares = design(about, NAMES)
    assert len(shares) == 20 * (3 + 1)
    x = values_of(shares, Limits("ratio", "uniform", 0.0, 2.0))
    rows = effects(NAMES, shares, 3.0 * x[:, 0] - 5.0 * x[:, 1], 0.95, 1)
    # The change over the whole width of two, which is the same everywhere.
    assert [row.name for row in rows] == ["x2", "x1", "x3"]
    assert [row.mean for row in rows] == pytest.approx([-10.0, 6.0, 0.0], abs=1e-9)
    assert [row.strength for row in rows] == pytest.approx([10.0, 6.0, 0.0], abs=1e-9)
    assert [row.spread for row in rows] == pytest.approx([0.0] * 3, abs=1e-9)
    found = {row.name: row for row in effects(NAMES, shares, x[:, 0] * x[:, 1], 0.95, 1)}
    assert found["x1"].spread > 0.5
    assert found["x3"].strength == pytest.approx(0.0, abs=1e-12)


def test_spread_of_a_known_distribution():
    values = np.random.default_rng(4).normal(20.0, 2.0, 400)
    found = spread(values, 0.95, 1)
    assert found.sd.low < 2.0 < found.sd.high
    assert found.mean.low < 20.0 < found.mean.high
    # Standard error of a standard deviation: sd / sqrt(2 n).
    assert found.sd.high - found.sd.low == pytest.approx(2 * 1.96 * 2.0 / math.sqrt(800), rel=0.15)
    assert found.percentiles[2] == pytest.approx(20.0, abs=0.3)
    assert spread(np.array([1.0, np.nan]), 0.95, 1) is None


def test_spreads_of_two_devices():
    draws = np.random.default_rng(5).normal(size=(64, 2))
    one = (20.0 + draws[:, :1]) * [[1.0]]
    # The same specimens, twice the spread; and another quantity that only its own noise sets apart.
    other = (40.0 + 2.0 * draws[:, :1]) * [[1.0]]
    (found,) = compare({"A": [one, one + 5.0], "B": [other, other + 5.0]}, QUANTITIES[:1], 0.95, 1)
    assert found.sd_ratio.value == pytest.approx(0.5)
    # Paired: every resample of specimens has exactly half the spread.
    assert (found.sd_ratio.low, found.sd_ratio.high) == pytest.approx((0.5, 0.5))
    assert found.first.settings == 2
    assert "A spreads less (standard deviation" in found.statement(0.95)
    unlike = 20.0 + draws[:, 1:]
    (found,) = compare({"A": [one], "B": [unlike]}, QUANTITIES[:1], 0.95, 1)
    assert found.sd_ratio.low < 1.0 < found.sd_ratio.high
    assert "the spreads are not told apart (standard deviation" in found.statement(0.95)
    one[3] = np.nan
    (found,) = compare({"A": [one], "B": [other]}, QUANTITIES[:1], 0.95, 1)
    assert found.first.specimens == 63


def test_surrogate_states_its_error_and_is_refused():
    shares = design(AboutSection(method="propagate", n=64, seed=6), NAMES)
    smooth = 3.0 * shares[:, 0] + np.sin(3.0 * shares[:, 1])
    found = Surrogate.fit(shares, smooth, 0.9, 1)
    assert found.quality.good
    assert found.quality.q2 > 0.99
    fresh = np.random.default_rng(7).random((200, 3))
    error = found(fresh) - (3.0 * fresh[:, 0] + np.sin(3.0 * fresh[:, 1]))
    # What cross-validation says is about what it is.
    assert np.sqrt(np.mean(error**2)) < 3.0 * found.quality.rmse
    noise = np.random.default_rng(8).normal(size=64)
    assert not Surrogate.fit(shares, noise, 0.9, 1).quality.good


# --- studies ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def study_of(tmp_path):
    (tmp_path / "case.toml").write_text(MICROWAVE)

    def load(text):
        (tmp_path / "study.toml").write_text(text)
        return UncertaintyStudy.load(tmp_path / "study.toml")

    return load


@pytest.fixture
def balls(monkeypatch):
    """In place of runs: a sphere that conductivity enlarges; the cases that were run."""
    made = []

    def fake(job):
        made.append(job)
        tissue = job.case.tissue
        radius = 12.0 + 20.0 * (tissue.value("thermal_conductivity") - 0.52)
        radius += 1.5 * (job.case.applicators[0].device.name.startswith("mwa_amica"))
        if tissue.initial_temperature < 280.0:
            return "too cold to run"
        outline = ball(radius, 10.0)
        sizes = {**dict.fromkeys(SIZES, 2.0 * radius), "volume_ml": 4e-3 / 3 * math.pi * radius**3}
        sizes |= {key: 1.0 for key in SIZES if "sphericity" in key}
        job.kept.write_text(json.dumps({"sizes": dict.fromkeys(answering.FRAMES, sizes), "outline": outline.to_dict()}))
        return ""

    monkeypatch.setattr(answering, "_made", fake)
    return made


STUDY = """
[study]
case = "case.toml"
method = "propagate"
n = 16
vary = ["tissue", "placement"]
[target]
radius = "6 mm"
"""
PLAIN = STUDY.replace('[target]\nradius = "6 mm"\n', "").replace('["tissue", "placement"]', '["tissue"]')
ARMS = """
[[arm]]
name = "E, 60 W"
group = "E"
[[arm]]
name = "E, 80 W"
group = "E"
set = { "protocol[1].power" = "80 W" }
[[arm]]
name = "A, 60 W"
group = "A"
set = { "device.profile" = "mwa_amica_14g_like" }
"""


def test_a_study_is_run_once_and_goes_on(study_of, balls, tmp_path):
    study = study_of(STUDY)
    assert count(study) == 17
    told = []
    first = assess(study, tmp_path / "out", told=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 17)
    assert told[-1] == (17, 17)
    kept = sorted((tmp_path / "out" / KEPT).iterdir())
    assert len(kept) == len(balls) == 17
    # A lost and a damaged answer are made again, and nothing else is.
    kept[3].unlink()
    kept[5].write_text("{")
    again = assess(study, tmp_path / "out")
    assert len(balls) == 19
    one, other = first.arms[0], again.arms[0]
    assert np.array_equal(one.figures["undeformed"], other.figures["undeformed"])
    said = one.said["undeformed"]
    # Radius of 12 mm about 10 mm, target of 6 mm in the middle.
    assert said["margin_mm"].nominal == pytest.approx(6.0, abs=0.01)
    assert said["short_axis_mm"].spread.sd.value > 0.3
    assert said["margin_mm"].spread.mean.value < 6.0
    assert one.covering(0.0) == 1.0


def test_the_same_specimens_for_every_arm(study_of, balls, tmp_path):
    found = assess(study_of(STUDY + ARMS), tmp_path / "out")
    conductivity = [
        one.values[:, [i.name for i in one.arm.inputs].index("tissue.thermal_conductivity")] for one in found.arms
    ]
    assert np.array_equal(conductivity[0], conductivity[2])
    comparison = {one.quantity.key: one for one in found.comparisons["undeformed"]}["volume_ml"]
    assert (comparison.first.group, comparison.second.group) == ("E", "A")
    assert comparison.difference.high < 0.0
    assert found.arms[0].aim.depth == pytest.approx(10e-3, abs=1e-5)


@pytest.mark.parametrize("method", ["propagate", "screen", "sobol"])
def test_files_and_report(study_of, balls, tmp_path, method):
    text = STUDY.replace('"propagate"', f'"{method}"').replace("n = 16", "n = 4")
    found = assess(study_of(text + (ARMS if method == "propagate" else "")), tmp_path / "out")
    names = {path.name for path in write_files(tmp_path / "out", found)}
    expected = {"propagate": {"spread.csv", "comparison.csv"}, "screen": {"effects.csv"}, "sobol": {"indices.csv"}}
    assert names == {"inputs.csv", "samples.csv", "results.json"} | expected[method]
    with (tmp_path / "out" / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(one.values) for one in found.arms)
    k = [row["sample"] for row in rows].index("2")
    radius = 12.0 + 20.0 * (float(rows[k]["tissue.thermal_conductivity [W/m/K]"]) - 0.52)
    assert float(rows[k]["short_axis_mm"]) == pytest.approx(2 * radius, abs=1e-6)
    data = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (data["numbers_from"], data["method"]) == ("runs", method)
    page = write_report(tmp_path / "out", found).read_text(encoding="utf-8")
    assert page.count("Research use only. Not a medical device.") == 2
    assert page.count("data:image/png;base64,") == {"propagate": 3, "screen": 1, "sobol": 1}[method]
    assert "<script" not in page
    assert "tissue.thermal_conductivity" in page
    assert list(tables(found))
    assert any("6 mm" in text or "12 mm" in text for text in remarks(found)) == (method == "propagate")
    if method != "propagate":
        strongest = data["arms"][0]["quantities"]["undeformed"]["volume_ml"][
            {"screen": "effects", "sobol": "indices"}[method]
        ][0]
        assert strongest["name"] == "tissue.thermal_conductivity"


def test_surrogate_is_said_in_every_output(study_of, balls, tmp_path):
    text = PLAIN.replace("propagate", "sobol").replace("n = 16", "n = 256") + "[surrogate]\nruns = 30\n"
    study = study_of(text)
    assert count(study) == 31
    found = assess(study, tmp_path / "out")
    assert len(balls) == 31
    said = found.arms[0].said["undeformed"]
    assert said["volume_ml"].surrogate.good
    assert said["volume_ml"].indices[0].name == "tissue.thermal_conductivity"
    assert said["volume_ml"].indices[0].total > 0.98
    # A sphere is one everywhere: nothing to learn.
    assert said["sphericity_axes"].note == "the surrogate is refused"
    write_files(tmp_path / "out", found)
    with (tmp_path / "out" / "indices.csv").open() as file:
        assert {row["source"] for row in csv.DictReader(file)} == {"surrogate"}
    assert json.loads((tmp_path / "out" / "results.json").read_text())["numbers_from"] == "surrogate"
    assert "All numbers are from a <b>surrogate</b>" in write_report(tmp_path / "out", found).read_text()
    assert any("Volume [mL] is from a surrogate that learnt from 30 runs" in text for text in remarks(found))


def test_no_surrogate_is_good_enough(study_of, balls, tmp_path, monkeypatch):
    fake = answering._made
    noise = np.random.default_rng(1)

    def rough(job):
        told = fake(job)
        content = json.loads(job.kept.read_text())
        for sizes in content["sizes"].values():
            sizes |= {key: noise.normal(20.0, 5.0) for key in sizes}
        job.kept.write_text(json.dumps(content))
        return told

    monkeypatch.setattr(answering, "_made", rough)
    text = PLAIN + "[surrogate]\nruns = 12\n"
    with pytest.raises(SolverError, match=r"no surrogate predicts runs .*Volume Q2 = .*least_q2"):
        assess(study_of(text), tmp_path / "out")


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_answer_is_told_as_it_arrives(jobs):
    told = []
    with workers(jobs) as apply:
        found = apply(abs, [-3, 2, -1], told.append)
    assert found == [3, 2, 1]
    assert sorted(told) == [1, 2, 3]


COLD = """
[[input]]
name = "experiment.start"
low = "5 degC"
high = "15 degC"
"""


def test_runs_that_fail(study_of, balls, tmp_path):
    found = assess(study_of(STUDY + COLD), tmp_path / "out")
    (one,) = found.arms
    cold = int(np.count_nonzero(one.values[:, [i.name for i in one.arm.inputs].index("experiment.start")] < 280.0))
    assert 0 < cold == len(one.failed)
    assert one.said["undeformed"]["volume_ml"].spread.n == 16 - cold
    assert any(f"{cold} of 16 runs failed, the first with: too cold to run" in text for text in remarks(found))
    with pytest.raises(SolverError, match=r"runs failed, the first with: too cold to run A screening or Sobol"):
        assess(study_of((STUDY + COLD).replace("propagate", "screen")), tmp_path / "out")


def test_every_problem_of_a_study_at_once(study_of, tmp_path):
    text = """
[study]
method = "sobol"
n = 12
vary = ["tissue", "devices"]
[target]
radius = "6"
[[input]]
name = "tissue.thermal_conductivty"
fixed = true
[[input]]
name = "tissue.density"
low = "1060 kg/m3"
high = "1050 W"
[[input]]
name = "device.antenna.efficiency"
distribution = "normal"
low = "10 %"
high = "60 %"
[[arm]]
name = "a"
case = "case.toml"
set = { "protocol[1].powr" = "3 W" }
[[arm]]
name = "b"
case = "missing.toml"
[colour]
"""
    with pytest.raises(CaseError) as caught:
        study_of(text)
    told = "\n".join(caught.value.problems)
    for expected in (
        "unknown key 'colour'",
        "study.vary[2]",
        "target.radius expects a length such as '3 cm', got '6' without a unit",
        "input[3]: a normal distribution needs mean and sd",
        "arm 'a': " + str(tmp_path / "case.toml") + ": set: unknown key 'powr' in protocol[1]; did you mean 'power'?",
        "arm 'b': " + str(tmp_path / "missing.toml"),
    ):
        assert expected in told
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('[[input]]\nname = "tissue.thermal_conductivty"\nfixed = true', "did you mean 'tissue.thermal_conductivity'?"),
        (
            '[[input]]\nname = "tissue.density"\nlow = "900 kg/m3"\nhigh = "1070 kg/m3"',
            "is outside the range 1050 kg/m3",
        ),
        ('[[input]]\nname = "tissue.density"\nlow = "1070 kg/m3"\nhigh = "1060 kg/m3"', "must be below high"),
        ('[[input]]\nname = "tissue.density"\nlow = "1 W"\nhigh = "1060 kg/m3"', "low expects a density"),
        ("sobol", "Sobol points fill the space evenly in powers of two, and n = 12 is none; use 8 or 16"),
        ("[surrogate]\nruns = 3", "surrogate.runs"),
        ('[[arm]]\nname = "a"\ngroup = "x"\n[[arm]]\nname = "b"', "some arms have a group and others none"),
        ('[[arm]]\nname = "a"\n[[arm]]\nname = "a"', "2 arms are called 'a'"),
    ],
)
def test_what_is_wrong_with_a_study(study_of, more, told):
    text = STUDY.replace("n = 16", "n = 12") if more == "sobol" else STUDY + more
    with pytest.raises(CaseError) as caught:
        study_of(text)
    assert told in str(caught.value)


def test_a_place_without_effect_is_refused(study_of):
    text = STUDY.replace('[target]\nradius = "6 mm"\n', "")
    with pytest.raises(CaseError, match=r"'placement.depth' cannot be varied"):
        study_of(text + '[[input]]\nname = "placement.depth"\nlow = "-3 mm"\nhigh = "3 mm"')


def test_an_input_may_be_fixed_or_added(study_of):
    more = """
[[input]]
name = "tissue.density"
fixed = true
[[input]]
name = "device.antenna.efficiency"
low = "60 %"
high = "80 %"
source = "assumed: a guess"
"""
    (arm,) = study_of(STUDY + more).arms
    named = {one.name: one for one in arm.inputs}
    assert "tissue.density" not in named
    assert named["device.antenna.efficiency"].text == "uniform, 60 % to 80 %"
    assert named["device.antenna.efficiency"].origin == "assumed: a guess"
    assert [name for name in named if name.startswith("device")] == ["device.antenna.efficiency"]


def test_schema_knows_a_study():
    jsonschema.validate(tomllib.loads(STUDY + ARMS), UncertaintyStudy.schema())
