"""uncertainty from the command line, with whole runs: what is printed, written, kept and refused."""

import csv
import json
import tomllib

import pytest

from ablationsim.case import Case
from ablationsim.geometry.placement import Placement
from ablationsim.simulate import simulate
from ablationsim.study.uncertainty.arm import Arm
from ablationsim.study.uncertainty.surface import Outline

STUDY = """
[study]
case = "case.toml"
method = "propagate"
vary = ["placement"]
n = 2
[target]
radius = "1 mm"
depth = "10 mm"
[[input]]
name = "tissue.electric_conductivity"
low = "0.15 S/m"
high = "0.25 S/m"
"""
TUBE = """
[[vessel]]
name = "tube"
kind = "tube"
points = [["7 mm", "0 mm", "-50 mm"], ["7 mm", "0 mm", "80 mm"]]
diameter = "4 mm"
flow = "500 mL/min"
"""


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uncertainty")
    (folder / "case.toml").write_text(small)
    (folder / "study.toml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def done(cli, folder):
    done = cli("uncertainty", folder / "study.toml", "--output", folder / "out")
    assert done.returncode == 0, done.stderr
    return done


def test_what_is_printed_and_written(done, folder, small_run):
    assert "Study 'study': 3 runs" in done.stdout
    assert "research use only; not a medical device" in done.stdout
    names = {path.name for path in (folder / "out").iterdir()}
    assert {"answers", "inputs.csv", "samples.csv", "spread.csv", "results.json", "report.html"} <= names
    arm = json.loads((folder / "out" / "results.json").read_text())["arms"][0]
    for frame, sizes in (("undeformed", small_run.document), ("contracted", small_run.document["contracted"])):
        assert arm["quantities"][frame]["volume_ml"]["nominal"] == pytest.approx(sizes["volume_ml"], rel=1e-12)
    with (folder / "out" / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    # At a power that is set, the current of a zone so young hardly depends on the conductivity, but a little it does.
    assert len({row["volume_ml"] for row in rows}) == 2
    assert {row["placement.depth [mm]"] for row in rows} != {"0"}


def test_finished_runs_are_kept(done, quick_cli, folder):
    times = {path: path.stat().st_mtime_ns for path in (folder / "out" / "answers").iterdir()}
    assert len(times) == 3
    again = quick_cli("uncertainty", folder / "study.toml", "--output", folder / "out")
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in (folder / "out" / "answers").iterdir()} == times


def test_check_lists_what_is_uncertain(quick_cli, folder):
    found = quick_cli("uncertainty", folder / "study.toml", "--check")
    assert found.returncode == 0, found.stderr
    for text in ("tissue.electric_con", "placement.angle", "normal", "uniform"):
        assert text in found.stdout
    schema = quick_cli("uncertainty", "--schema")
    assert "arm" in json.loads(schema.stdout)["properties"]


def test_bad_input_is_one_message(quick_cli, folder):
    (folder / "bad.toml").write_text(STUDY.replace("propagate", "sobal").replace("0.25 S/m", "0.9 S/m"))
    found = quick_cli("uncertainty", folder / "bad.toml")
    assert found.returncode == 2
    assert "study.method: 'sobal' is not a choice" in found.stderr
    assert "Traceback" not in found.stderr
    (folder / "bad.toml").write_text(STUDY.replace("0.25 S/m", "0.9 S/m"))
    found = quick_cli("uncertainty", folder / "bad.toml")
    assert "0.9 S/m is outside the range 0.14 S/m to 0.28 S/m" in found.stderr


def test_outline_of_a_run(small_run):
    outline, zone = Outline.of(small_run), small_run.document
    low, high = outline.points.min(axis=0), outline.points.max(axis=0)
    assert high[1] - low[1] == pytest.approx(zone["axial_length_mm"], abs=1e-6)
    assert 2 * high[0] == pytest.approx(zone["transverse_diameter_mm"], abs=1e-6)
    assert -low[1] == pytest.approx(zone["beyond_tip_mm"], abs=1e-6)


def test_an_applicator_nearer_to_a_vessel(small):
    """The needle of the run is where placement says, and the zone is seen from it."""
    data = tomllib.loads(small + TUBE)
    data["zone"]["contraction"] = "0 %"
    arm = Arm.of("", "", data, ".", vary=["placement"], tables=(), target=False)
    assert arm.plan.distance == pytest.approx(5e-3, abs=0.05e-3)
    case = arm.draw({"placement.offset": 2e-3, "placement.depth": 1e-3})
    assert isinstance(case, Case)
    result = simulate(case)
    zone, outline = result.document, Outline.of(result)
    low, high = outline.points.min(axis=0), outline.points.max(axis=0)
    assert not outline.axisymmetric
    assert high[2] - low[2] == pytest.approx(zone["axial_length_mm"], abs=1e-3)
    assert -low[2] == pytest.approx(zone["beyond_tip_mm"], abs=1e-3)
    # What is ablated is inside, round a cooled needle that is not.
    place = Placement.along(case.applicators[0].tip, case.applicators[0].direction)
    depth = outline.depth(1e3 * place.to_device(result.mesh.points[result.fields["level"] > 0.0]))
    assert len(depth) > 100
    assert depth.min() > -1e-3
    assert outline.depth([0.0, 0.0, low[2] - 2.0])[0] == pytest.approx(-2.0, abs=0.3)
