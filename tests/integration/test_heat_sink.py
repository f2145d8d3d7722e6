"""Cases with their vessels and without: runs, comparison, report, and the command line."""

import csv
import json

import pytest

from ablationsim.case import Case
from ablationsim.errors import CaseError, OutputError, SolverError
from ablationsim.report.build import report_data
from ablationsim.report.scene import render, scene_of
from ablationsim.results import Result
from ablationsim.study.heat_sink import WITHOUT, heat_sink

TUBE = """
title = "Glass tube beside a needle"
[device]
profile = "rfa_cooltip_17g_2cm_like"
[[protocol]]
mode = "power"
power = "60 W"
duration = "15 s"
[tissue]
set = "liver_porcine_ex_vivo"
[[vessel]]
name = "glass"
kind = "tube"
points = [["7 mm", "0 mm", "-60 mm"], ["7 mm", "0 mm", "60 mm"]]
diameter = "4 mm"
flow = "100 mL/min"
[zone]
criterion = "isotherm"
isotherm_temperature = "45 degC"
cooling = "2 s"
[mesh]
resolution = 4.0
"""


@pytest.fixture(scope="module")
def compared(cli, tmp_path_factory):
    """The folder of two cases that were compared, two runs at a time, and what the command printed."""
    folder = tmp_path_factory.mktemp("heat_sink")
    (folder / "near.toml").write_text(TUBE)
    (folder / "far.toml").write_text(TUBE.replace('"7 mm"', '"40 mm"'))
    done = cli("heat-sink", folder / "near.toml", folder / "far.toml", "-o", folder / "out", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_zone_is_smaller_and_flatter_toward_the_tube(compared):
    folder, _ = compared
    run = folder / "out" / "near"
    document = json.loads((run / "zone.json").read_text())
    other = json.loads((run / WITHOUT / "zone.json").read_text())
    found = document["heat_sink"]
    assert found["without_vessels"]["volume_ml"] == other["volume_ml"]
    assert found["lost_ml"] == pytest.approx(other["volume_ml"] - document["volume_ml"])
    assert found["lost_percent"] > 1.0
    (branch,) = found["branches"]
    assert (branch["tree"], branch["name"]) == ("glass", "1")
    # 7 mm between the axes less the radius of a polygon that stands for a circle of 2 mm.
    assert branch["distance_mm"] == pytest.approx(5.0, abs=0.02)
    assert branch["radius_mm"] <= branch["distance_mm"]
    assert branch["remaining_percent"] == pytest.approx(100 * branch["radius_mm"] / branch["radius_without_mm"])
    assert branch["remaining_percent"] < 95
    assert "vessels" in document
    assert "vessels" not in other


def test_both_runs_have_the_same_mesh(compared):
    run = compared[0] / "out" / "near"
    assert (run / "mesh.vtu").read_bytes() == (run / WITHOUT / "mesh.vtu").read_bytes()


def test_a_tube_far_away_takes_nothing(compared):
    found = json.loads((compared[0] / "out" / "far" / "zone.json").read_text())["heat_sink"]
    assert found["branches"] == []
    assert found["lost_percent"] == pytest.approx(0.0, abs=0.5)


def test_the_table_has_a_row_for_each_case_and_branch(compared):
    folder, printed = compared
    with (folder / "out" / "heat_sink.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["branch"]) for row in rows] == [("near", ""), ("near", "1"), ("far", "")]
    assert float(rows[1]["distance_mm"]) == pytest.approx(5.0, abs=0.02)
    assert float(rows[0]["volume_ml"]) < float(rows[0]["volume_ml_without"])
    text = " ".join(printed.split())
    assert f"= {float(rows[0]['lost_percent']):.1f} %" in text
    assert f"{float(rows[1]['remaining_percent']):.0f} %" in text
    assert "research use only; not a medical device" in text


def test_the_report_compares_both_zones(compared):
    run = compared[0] / "out" / "near"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Toward branch" in page
    assert (run / "heat_sink.png").read_bytes().startswith(b"\x89PNG")
    data = report_data(Result.load(run))
    assert data.surroundings.without is not None
    assert data.surroundings.nearest[0] == pytest.approx(5e-3, abs=2e-5)
    assert [vessel.name for vessel in data.surroundings.vessels] == ["glass"]
    assert any(parameter.name == "water: viscosity" for parameter in data.parameters)


def test_the_picture_in_space_is_rendered_or_left_out(compared):
    run = compared[0] / "out" / "near"
    picture = render(scene_of(report_data(Result.load(run))))
    page = (run / "report.html").read_text(encoding="utf-8")
    assert (picture is None) == ("could not render without a display" in page)
    assert picture is None or picture.startswith(b"\x89PNG")


def test_finished_runs_are_not_run_again(compared, quick_cli):
    folder, _ = compared
    words = ("heat-sink", folder / "near.toml", folder / "far.toml", "-o", folder / "out")
    done = quick_cli(*words)
    assert done.returncode == 1
    assert "already holds a run" in done.stderr
    before = (folder / "out" / "near" / "history.csv").stat().st_mtime_ns
    written = json.loads((folder / "out" / "near" / "zone.json").read_text())
    done = quick_cli(*words, "--resume")
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "near" / "history.csv").stat().st_mtime_ns == before
    assert json.loads((folder / "out" / "near" / "zone.json").read_text()) == written


def test_a_case_without_vessels_has_no_heat_sink(tmp_path, small, quick_cli):
    path = tmp_path / "small.toml"
    path.write_text(small)
    done = quick_cli("heat-sink", path, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "small has no [[vessel]]" in done.stderr
    assert not (tmp_path / "out").exists()
    with pytest.raises(CaseError, match="no heat sink to look at"):
        heat_sink({"small": Case.load(path)}, tmp_path / "out")


def test_two_cases_of_one_name_are_refused(tmp_path, quick_cli):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "case.toml").write_text(TUBE)
    done = quick_cli("heat-sink", tmp_path / "a" / "case.toml", tmp_path / "b" / "case.toml", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "several files are called case" in done.stderr


def test_nothing_runs_when_one_folder_cannot_be_used(tmp_path):
    case = Case.load(_written(tmp_path, TUBE))
    (tmp_path / "out" / "second").mkdir(parents=True)
    (tmp_path / "out" / "second" / "mesh.vtu").write_text("mine")
    with pytest.raises(OutputError, match="holds no run but has files"):
        heat_sink({"first": case, "second": case}, tmp_path / "out")
    assert not (tmp_path / "out" / "first").exists()


def test_a_run_that_fails_is_named(tmp_path):
    """A needle that runs into the tube."""
    case = Case.load(_written(tmp_path, TUBE.replace('"7 mm"', '"1 mm"')))
    with pytest.raises(SolverError, match=r"pierced with vessels: .*applicator"):
        heat_sink({"pierced": case}, tmp_path / "out")


def _written(folder, text):
    path = folder / "case.toml"
    path.write_text(text)
    return path
