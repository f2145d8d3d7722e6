"""`ablationsim validate` with real, small runs."""

import csv
import json
import signal
import subprocess
import sys
import time

import pytest
import pyvista as pv

DEVICE = "rfa_cooltip_17g_2cm_like"
TABLE = """\
power_w,time_s,long_mm,long_sd,short_mm,volume_ml,edge,mask
60,5,25,2,5,0.4,45 degC,
60,8,26,2,6,0.6,45 degC,zone.stl
"""
OPTIONS = ("--device", DEVICE, "--resolution", "4")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TABLE, encoding="utf-8")
    # Millimetres, and anywhere: only its own long axis counts.
    zone = pv.ParametricEllipsoid(6.0, 13.0, 6.0).triangulate().clean()
    zone.translate((100.0, 20.0, -30.0)).save(tmp_path / "zone.stl")
    return path


def answers(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "answers").glob("*.json")}


def rows(folder):
    with (folder / "zones.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_ones_own(quick_cli, table, tmp_path):
    out = tmp_path / "out"
    done = quick_cli("validate", "--data", table, *OPTIONS, "--output", out)
    assert done.returncode == 0, done.stderr
    assert "not a medical device" in done.stdout
    found = {(row["setting"], row["quantity"]): row for row in rows(out)}
    length = found["60 W, 8 s", "length"]
    assert float(length["predicted"]) == pytest.approx(float(length["contracted"]))
    assert float(length["undeformed"]) > float(length["contracted"]) > 10.0
    assert float(length["uniform_12_percent"]) == pytest.approx(0.88 * float(length["undeformed"]), rel=1e-3)
    assert float(length["predicted"]) - 26.0 == pytest.approx(float(length["difference"]), abs=0.05)
    longer, shorter = (float(found[f"60 W, {t} s", "volume"]["predicted"]) for t in (8, 5))
    assert longer > shorter > 0.0
    assert (out / "index.md").exists()
    # A zone that is some 20 mm long and thin, in an ellipsoid of 26 x 12 x 12 mm.
    dice = found["60 W, 8 s", "dice"]
    assert 0.3 < float(dice["predicted"]) < 0.9
    assert 0.5 < float(found["60 W, 8 s", "mean surface distance"]["predicted"]) < 5.0
    assert ("60 W, 5 s", "dice") not in found
    assert f"| 60 W, 8 s | {float(dice['predicted']):.2f} |" in (out / "mine.md").read_text(encoding="utf-8")

    # A damaged answer is made again, a whole one is not.
    before = answers(out)
    assert len(before) == 2
    damaged, other = before
    damaged.write_text("{", encoding="utf-8")
    quick_cli("validate", "--data", table, *OPTIONS, "--output", out)
    assert answers(out)[other] == before[other]
    assert json.loads(damaged.read_text(encoding="utf-8"))["document"]["schema"] == "ablationsim/zone"


def test_what_is_wrong_is_said_at_once(quick_cli, table, tmp_path):
    table.write_text(TABLE + "60,-1,25,2,5,0.4,45 degC,\n60,5,x,2,5,0.4,brown,none.stl\n", encoding="utf-8")
    done = quick_cli("validate", "--data", table, *OPTIONS, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("ablationsim: 4 problems in ")
    for text in (
        "line 5: mask none.stl: ",
        "line 4: time_s: -1 must be above 0",
        "line 5: long_mm: 'x'",
        "line 5: edge: 'brown'",
    ):
        assert text in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("he_2011",), "'he_2011' is neither a publication; did you mean 'he_2010'?"),
        (("he_2010", "--device", DEVICE), "--device and --start belong to --data"),
        (("he_2010", "--data", "x.csv"), "give either names of publications or --data"),
        (("--data", "x.csv", "--device", DEVICE), "there is no such file"),
        (("--data", "TABLE", "--device", "rfa_nothing"), "no device profile 'rfa_nothing'"),
        (("--data", "TABLE"), "no row names a device profile; give --device"),
        (("--data", "TABLE", "--device", DEVICE, "--tissue", "liver_humann"), "did you mean 'liver_human'"),
        (("--data", "TABLE", "--device", DEVICE, "--start", "90 degC"), "90 degC is outside"),
        (("--data", "TABLE", "--device", DEVICE, "--frame", "shrunk"), "frame: 'shrunk' is not a choice"),
    ],
)
def test_bad_options(quick_cli, table, words, text):
    done = quick_cli("validate", *(str(table) if word == "TABLE" else word for word in words))
    assert done.returncode == 2
    assert text in " ".join(done.stderr.replace("│", " ").split())


def test_a_power_that_the_generator_does_not_have(quick_cli, table, tmp_path):
    table.write_text(TABLE.replace("60,5", "6000,5"), encoding="utf-8")
    done = quick_cli("validate", "--data", table, *OPTIONS, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert f"mine, {DEVICE}, 6000 W, 5 s (line 2): " in done.stderr
    assert "above the limit of 200 W" in done.stderr


def test_publications_are_listed(quick_cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = quick_cli("validate", "--list")
    assert done.returncode == 0
    for name in ("he_2010", "ji_2011", "hendriks_2021"):
        assert name in done.stdout


def test_a_kill_loses_the_run_under_way_alone(table, tmp_path):
    """The second run is so long that it is under way when the first has ended."""
    table.write_text(TABLE.replace("60,8", "60,1500"), encoding="utf-8")
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "ablationsim.cli",
        "validate",
        "--data",
        str(table),
        *OPTIONS,
        "--output",
        str(out),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 120.0
        while len(answers(out)) < 1 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        assert len(answers(out)) == 1
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert f"Stopped. What has run is kept in {out}; the same command runs the rest." in err
    assert "Traceback" not in err
    assert len(answers(out)) == 1
