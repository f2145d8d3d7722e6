"""Whole runs with a small vessel whose blood warms up: what it gains, the balance of energy, and going on after a
stop."""

import signal
import tomllib

import numpy as np
import pytest

import ablationsim
from ablationsim.errors import Interrupted

FORK = """branch,x,y,z,radius
stem,4,0,-30,1.2
stem,4,0,5,1.2
left,4,0,5,1
left,3,8,40,1
right,4,0,5,0.8
right,4,-8,40,0.8
"""

VESSEL = """
[[vessel]]
name = "fork"
kind = "portal_vein"
centreline = "{file}"
unit = "mm"
inlet = ["4 mm", "0 mm", "-30 mm"]
flow = "6 mL/min"
"""


@pytest.fixture(scope="module")
def forked(small, tmp_path_factory):
    """A case with a vessel of 2.4 mm that forks beside the electrode, in living tissue."""
    file = tmp_path_factory.mktemp("fork") / "fork.csv"
    file.write_text(FORK)
    document = tomllib.loads(small + VESSEL.format(file=file))
    document["protocol"] = [{"mode": "power", "power": "60 W", "duration": "10 s"}]
    document["tissue"] = {"set": "liver_human"}
    return ablationsim.Case.from_dict(document)


@pytest.fixture(scope="module")
def forked_run(forked, tmp_path_factory):
    """The case without interruption; its folder must not be changed."""
    return ablationsim.simulate(forked, tmp_path_factory.mktemp("forked") / "run")


def test_blood_of_a_small_vessel_gains_what_the_tissue_loses(forked_run):
    vessels = forked_run.document["vessels"]
    (tree,) = vessels["trees"]
    stem, *ends = tree["branches"]
    assert {branch["model"] for branch in tree["branches"]} == {"transport"}
    assert tree["energy_j"] > 5.0
    assert vessels["closure"] < 1e-3
    assert forked_run.document["energy_balance"]["relative_error"] < 1e-5
    # It comes with 37 °C, and is warmer behind each branch than before it.
    assert 37.5 < stem["outlet_temperature_c"] < min(branch["outlet_temperature_c"] for branch in ends)


def test_the_course_of_what_a_vessel_takes_adds_up_to_its_energy(forked_run):
    vessels, history = forked_run.document["vessels"], forked_run.history
    course = history["vessel_fork_w"]
    # Rows are instants, what is carried off is counted step by step.
    assert np.trapezoid(course, history["time_s"]) == pytest.approx(vessels["trees"][0]["energy_j"], rel=0.02)
    assert np.all(np.diff(course[history["time_s"] <= 10.0]) > 0.0)


def test_a_run_with_vessels_that_was_stopped_ends_in_the_same_numbers(forked, forked_run, tmp_path, assert_same_run):
    def stop(t, text):
        if t > 6.0:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="--resume"):
        ablationsim.simulate(forked, tmp_path, progress=stop)
    resumed = ablationsim.simulate(forked, tmp_path, resume=True)
    assert_same_run(forked_run.folder, tmp_path)
    assert resumed.document["vessels"] == forked_run.document["vessels"]


def test_check_says_the_same_again_and_looks_again_where_the_file_changed(small, tmp_path, quick_cli, monkeypatch):
    (tmp_path / "fork.csv").write_text(FORK)
    case = tmp_path / "case.toml"
    case.write_text(small + VESSEL.format(file="fork.csv"))
    first = quick_cli("check", case)
    assert first.returncode == 0
    assert "applicator" not in first.stdout.partition("\n")[2]
    monkeypatch.setattr("ablationsim.cli.remarks._found", lambda case: ["looked again"])
    assert quick_cli("check", case).stdout == first.stdout
    (tmp_path / "fork.csv").write_text(FORK.replace("4,0,5,", "0,0,5,"))
    assert quick_cli("check", case).stdout.endswith("looked again\n")
