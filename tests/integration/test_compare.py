"""The command compare: radiofrequency and microwaves in one comparison, made once, and what did not finish."""

import csv
import json
import shutil

import pytest

STUDY = """
[comparison]
times = ["12 s"]
short_axis = ["5 mm", "90 mm"]
[[device]]
name = "Needle"
profile = "rfa_cooltip_17g_2cm_like"
powers = ["60 W"]
[[device]]
name = "Antenna"
profile = "mwa_he2010_cooled"
powers = ["80 W"]
[[tissue]]
set = "liver_porcine_ex_vivo"
temperature = "30 degC"
[zone]
criterion = "isotherm"
isotherm_temperature = "42 degC"
cooling = "2 s"
contraction = "10 %"
[mesh]
resolution = 4
"""


VESSEL = """
[heat_sink]
distance = "5 mm"
resolution = 4
"""


@pytest.fixture(scope="module")
def compared(cli, tmp_path_factory):
    """The folder of a comparison, its table, and what the command printed."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "devices.toml").write_text(STUDY)
    done = cli("compare", folder / "devices.toml", "-o", folder / "out", "--jobs", "2")
    assert done.returncode == 0, done.stderr + done.stdout
    return folder, rows_of(folder), done.stdout


def rows_of(folder):
    with (folder / "out" / "comparison.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_setting_is_beside_the_others(compared):
    _, rows, printed = compared
    assert [(row["device"], row["setting"]) for row in rows] == [
        ("Needle", "60 W, 12 s"),
        ("Antenna", "80 W, 12 s"),
    ]
    assert "settings: 2; runs: 2; of them to be made: 2" in printed
    assert "not a medical device" in printed


def test_the_figures_are_those_of_the_runs(compared):
    folder, rows, _ = compared
    for row in rows:
        zone = json.loads((folder / "out" / row["folder"] / "zone.json").read_text())
        assert float(row["volume_ml"]) == pytest.approx(zone["volume_ml"], rel=1e-5)
        assert float(row["contracted_length_mm"]) == pytest.approx(zone["contracted"]["axial_length_mm"], rel=1e-5)
        assert float(row["energy_j"]) == pytest.approx(zone["energy_balance"]["in_j"], rel=1e-5)
        assert float(row["ml_per_kj"]) == pytest.approx(
            1e3 * zone["volume_ml"] / zone["energy_balance"]["in_j"], rel=1e-5
        )
    needle, antenna = rows
    assert needle["absorbed_j"] == needle["energy_j"]
    # What the cable loses never comes to the tissue.
    assert float(antenna["absorbed_j"]) < 0.97 * float(antenna["energy_j"])
    assert float(antenna["energy_j"]) == pytest.approx(80.0 * 12.0)


def test_the_vessel_takes_its_part(compared, cli, tmp_path):
    head, needle, antenna = STUDY.split("[[device]]")
    rest = antenna[antenna.index("[[tissue]]") :]
    (tmp_path / "devices.toml").write_text(f"{head}[[device]]{needle}{rest}{VESSEL}")
    done = cli("compare", tmp_path / "devices.toml", "-o", tmp_path / "out", "--jobs", "2")
    assert "settings: 1; runs: 3" in done.stdout, done.stderr
    (row,) = rows_of(tmp_path)
    assert row["volume_ml"] == compared[1][0]["volume_ml"]
    assert 0.0 < float(row["lost_to_vessel_percent"]) < 100.0
    # Contraction is uniform here.
    assert row["contracted_lost_to_vessel_percent"] == row["lost_to_vessel_percent"]
    assert float(row["vessel_radius_mm"]) <= 5.0
    # It enters as warm as the tissue is, and the tissue is hotter.
    assert float(row["vessel_heat_percent"]) > 0.0


def test_times_are_within_the_run(compared):
    needle, antenna = compared[1]
    assert 0.0 < float(needle["time_to_5_mm_s"]) < float(needle["contracted_time_to_5_mm_s"]) < 12.0
    assert antenna["time_to_90_mm_s"] == ""


def test_the_report_is_there(compared):
    out = compared[0] / "out"
    page = (out / "report.html").read_text()
    assert "Research use only. Not a medical device." in page
    assert "mwa_he2010_cooled" in page
    for name in ("comparison.png", "growth.png", "outlines.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_runs_are_made_once_and_troubles_are_said(compared, cli, tmp_path):
    folder, rows, _ = compared
    (tmp_path / "devices.toml").write_text(STUDY)
    shutil.copytree(folder / "out", tmp_path / "out")
    failed, gone = (tmp_path / "out" / row["folder"] for row in rows)
    shutil.rmtree(gone)
    (failed / "zone.json").unlink()
    ended = json.loads((failed / "ended.json").read_text())
    (failed / "ended.json").write_text(json.dumps(ended | {"outcome": "failed", "message": "it broke"}))
    again = cli("compare", tmp_path / "devices.toml", "-o", tmp_path / "out")
    assert again.returncode == 1
    assert "runs: 2; of them to be made: 1" in again.stdout
    assert "it broke" in again.stdout
    found = rows_of(tmp_path)
    assert found[0]["volume_ml"] == ""
    assert found[0]["message"] == "failed: it broke"
    # The run that was made anew has the same numbers, and the others are as they were.
    assert found[1:] == rows[1:]
    assert "failed: it broke" in (tmp_path / "out" / "report.html").read_text()


def test_what_is_wrong_with_a_file_is_said_without_a_traceback(cli, tmp_path):
    (tmp_path / "wrong.toml").write_text(STUDY.replace("80 W", "8000 W") + VESSEL.replace("heat_sink", "heat_snk"))
    done = cli("compare", tmp_path / "wrong.toml", "--check")
    assert done.returncode == 2
    assert "did you mean 'heat_sink'?" in done.stderr
    assert "protocol[1].power: 8000 W is above the limit" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
