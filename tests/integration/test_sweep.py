"""Studies on this machine: runs finish, fail, are killed and stopped, and submitting again does what is left."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ablationsim.study.sweep.planning import plan
from ablationsim.study.sweep.study import Study

POWERS = ["20 W", "30 W", "40 W", "50 W"]


@pytest.fixture(scope="module")
def study(tmp_path_factory, small, cli):
    """A study of four runs, the last of which could not be made, and what its submission printed."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "case.toml").write_text(small)
    write(folder, POWERS)
    # In the way of the last run.
    (place(folder, 3) / "mesh.vtu").mkdir(parents=True)
    done = cli("submit", folder / "study.toml", "-o", folder / "out", "--jobs", "2")
    return folder, done


def write(folder, powers, more=""):
    text = f'[[vary]]\nkey = "protocol[1].power"\nvalues = {json.dumps(powers)}\n'
    (folder / "study.toml").write_text(f'[study]\nname = "powers"\ncase = "case.toml"\n{more}\n{text}')


def place(folder, index):
    """Folder of a run."""
    loaded = Study.load(folder / "study.toml")
    return folder / "out" / "runs" / plan(loaded, folder / "out").manifest.runs[index].name


def rows(folder):
    with (folder / "out" / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def zones(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("zone.json")}


def test_runs_finish_and_one_fails_with_its_message(study, quick_cli):
    folder, done = study
    assert done.returncode == 1
    assert "4 runs: 3 finished, 1 failed" in done.stdout
    assert "Traceback" not in done.stderr
    found = rows(folder)
    assert [row["protocol[1].power [W]"] for row in found] == ["20.0", "30.0", "40.0", "50.0"]
    assert [row["state"] for row in found] == ["finished"] * 3 + ["failed"]
    volumes = [float(row["volume_ml"]) for row in found[:3]]
    assert volumes == sorted(volumes)
    assert volumes[0] < volumes[2]
    assert "mesh.vtu" in found[3]["message"]
    assert float(found[0]["wall_s"]) > 0.0
    told = quick_cli("status", folder / "out")
    assert told.returncode == 0
    assert "3 finished, 1 failed" in told.stdout
    assert "mesh.vtu" in told.stdout
    assert quick_cli("status", place(folder, 0)).stdout.startswith("finished")


def test_submitting_again_runs_nothing_until_a_retry_is_asked_for(study, quick_cli, cli):
    folder, _ = study
    before = zones(folder)
    again = quick_cli("submit", folder / "study.toml", "-o", folder / "out")
    assert again.returncode == 1
    assert "not tried again without --retry" in again.stdout
    assert zones(folder) == before
    (place(folder, 3) / "mesh.vtu").rmdir()
    retried = cli("submit", folder / "study.toml", "-o", folder / "out", "--retry")
    assert retried.returncode == 0, retried.stdout + retried.stderr
    assert "4 runs: 4 finished" in retried.stdout
    assert before.items() < zones(folder).items()
    assert json.loads((place(folder, 3) / "ended.json").read_text())["starts"] == 2


def test_a_change_of_the_study_keeps_the_runs_whose_case_did_not_change(study, cli, quick_cli):
    folder, _ = study
    before, numbers = zones(folder), {row["protocol[1].power [W]"]: row["run"] for row in rows(folder)}
    write(folder, ["60 W", "30 W", "20 W"], 'keep = "zone"')
    try:
        checked = quick_cli("submit", folder / "study.toml", "-o", folder / "out", "--check")
        assert "3 runs: 2 as before, 1 new; 2 of an earlier submission are no longer in it" in checked.stdout
        done = cli("submit", folder / "study.toml", "-o", folder / "out")
        assert done.returncode == 0, done.stdout + done.stderr
        found = rows(folder)
        assert [row["protocol[1].power [W]"] for row in found] == ["60.0", "30.0", "20.0"]
        assert [row["run"] for row in found[1:]] == [numbers["30.0"], numbers["20.0"]]
        assert found[0]["run"] not in numbers.values()
        assert len(zones(folder)) == len(before) + 1
        assert before.items() < zones(folder).items()
        # Of the new run only what its numbers are in is kept.
        kept = {path.name for path in place(folder, 0).iterdir()}
        assert kept == {"zone.json", "resolved.json", "history.csv", "log.txt", "ended.json", "output.txt"}
    finally:
        write(folder, POWERS)


def test_what_nobody_foresaw_is_recorded(tmp_path, small, monkeypatch):
    from ablationsim.study.sweep import worker
    from ablationsim.study.sweep.standing import State, standing

    (tmp_path / "case.toml").write_text(small)
    write(tmp_path, ["20 W"])
    plan(Study.load(tmp_path / "study.toml"), tmp_path / "out").manifest.write(tmp_path / "out")

    def broken(*arguments, **options):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(worker, "simulate", broken)
    with pytest.raises(ZeroDivisionError):
        worker.work(tmp_path / "out", 1)
    found = standing(place(tmp_path, 0))
    assert found.state is State.FAILED
    assert found.message.startswith("ZeroDivisionError: by nothing")
    assert "in broken" in (place(tmp_path, 0) / "traceback.txt").read_text()
    monkeypatch.undo()
    assert worker.work(tmp_path / "out", 1).startswith("run 1 has finished")
    assert worker.work(tmp_path / "out", 1) == "run 1 has been finished before"


def test_a_process_that_cannot_begin_is_recorded(tmp_path, small, monkeypatch):
    from ablationsim.study.sweep import local
    from ablationsim.study.sweep.standing import State

    (tmp_path / "case.toml").write_text(small)
    write(tmp_path, ["20 W"])
    manifest = plan(Study.load(tmp_path / "study.toml"), tmp_path / "out").manifest
    manifest.write(tmp_path / "out")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no libraries here >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    told = []
    local.run_here(tmp_path / "out", manifest.runs, 1, 1, lambda run, one, over: told.append((one, over)))
    (one, over) = told[-1]
    assert over
    assert one.state is State.FAILED
    assert one.message == "its process ended with exit code 3 before it had begun: no libraries here"


SLOW = """
[[applicator]]
name = "A0"
profile = "rfa_cooltip_17g_2cm_like"
repeat = 150
[[applicator.protocol]]
mode = "power"
power = "30 W"
duration = "0.1 s"
[[applicator.protocol]]
mode = "power"
power = "60 W"
duration = "0.1 s"
[tissue]
set = "liver_human"
[mesh]
resolution = 4.0
[time]
checkpoint_interval = "0.2 s"
"""


def test_killed_and_stopped_runs_go_on_where_they_were(tmp_path, cli, quick_cli, assert_same_run):
    (tmp_path / "case.toml").write_text(SLOW)
    text = '[[vary]]\nkey = "applicator.A0.protocol[1].power"\nvalues = ["30 W", "40 W"]\n'
    (tmp_path / "study.toml").write_text(f'[study]\ncase = "case.toml"\n{text}')
    words = ["submit", str(tmp_path / "study.toml"), "-o", str(tmp_path / "out"), "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ablationsim.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 120
        places = [place(tmp_path, index) for index in range(2)]
        while not all(list(each.glob("checkpoint/*.ckpt")) for each in places) and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        os.kill(json.loads((places[0] / "running.json").read_text())["pid"], signal.SIGKILL)
        while not (places[0] / "ended.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "1 running, 1 cut off" in quick_cli("status", tmp_path / "out").stdout
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, printed + errors
    assert "the same command goes on" in errors
    told = quick_cli("status", tmp_path / "out").stdout
    assert "1 interrupted, 1 cut off" in told
    assert "killed by SIGKILL" in told
    done = cli(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    for each in places:
        assert "resumed at" in (each / "log.txt").read_text()
        assert json.loads((each / "ended.json").read_text())["starts"] == 2
    whole = cli("run", tmp_path / "case.toml", "-o", tmp_path / "whole", "--no-report")
    assert whole.returncode == 0, whole.stderr
    assert_same_run(tmp_path / "whole", places[0])


def test_a_checkpoint_that_cannot_be_used_is_no_end(tmp_path, small, cli):
    (tmp_path / "case.toml").write_text(small)
    write(tmp_path, ["20 W"])
    words = ["submit", tmp_path / "study.toml", "-o", tmp_path / "out"]
    assert cli(*words).returncode == 0
    run = place(tmp_path, 0)
    before = json.loads((run / "zone.json").read_text())
    (run / "zone.json").unlink()
    for path in run.glob("checkpoint/*.ckpt"):
        path.write_bytes(b"damaged")
    assert cli(*words).returncode == 0
    assert json.loads((run / "zone.json").read_text())["volume_ml"] == pytest.approx(before["volume_ml"], rel=1e-9)
    assert "It begins again." in (run / "output.txt").read_text()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "give a study file"),
        (("none.toml",), "there is no such file"),
        (("none.toml", "--ranks", "2"), "need --slurm"),
    ],
)
def test_submissions_that_cannot_be(quick_cli, words, problem):
    done = quick_cli("submit", *words)
    assert done.returncode == 2
    assert problem in " ".join(done.stderr.split())


def test_the_schema_of_study_files(quick_cli):
    schema = json.loads(quick_cli("submit", "--schema").stdout)
    assert set(schema["properties"]) == {"study", "vary", "sample"}


def test_the_example_study_is_sound(quick_cli, tmp_path):
    from pathlib import Path

    example = Path(__file__).parents[2] / "hpc" / "examples" / "power_study.toml"
    done = quick_cli("submit", example, "-o", tmp_path, "--check")
    assert done.returncode == 0, done.stderr
    assert "12 runs; no problems" in done.stdout
