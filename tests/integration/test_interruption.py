"""A run that was stopped, killed or damaged goes on to the same numbers, or says why it cannot."""

import dataclasses
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from itertools import pairwise

import pytest

import ablationsim
from ablationsim.errors import CheckpointError, Interrupted


def stop_after(moment, of_run=1):
    """A progress callback that sends Ctrl-C at the first step after a simulated time, in the first or a later run."""
    last, run = -1.0, 1

    def progress(t, text):
        nonlocal last, run
        run, last = run + (t < last), t
        if t > moment and run == of_run:
            signal.raise_signal(signal.SIGINT)

    return progress


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "log.txt"}


def checkpoints(folder):
    """The two checkpoints, the older first."""
    return sorted((folder / "checkpoint").glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns)


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.fixture
def interrupted(pulsed, tmp_path):
    """A folder in which the pulsed case was stopped after 7 s."""
    with pytest.raises(Interrupted):
        ablationsim.simulate(pulsed, tmp_path / "run", progress=stop_after(7.0))
    return tmp_path / "run"


def test_a_run_stopped_in_pulse_pause_and_cooling_ends_in_the_same_numbers(
    pulsed, pulsed_run, tmp_path, assert_same_run
):
    changes = [when for when, _ in pulsed_run.events]
    again = next(when for when, text in pulsed_run.events if text.startswith("on again"))
    pulse = next((a, b) for a, b in pairwise(changes) if a == again)
    pause = next((a, b) for a, b in pairwise(changes) if b == again)
    finished = changes[-1]
    stopped = []
    for moment in (pulse[0], pause[1] + 0.6 * (pulse[1] - pulse[0]), finished + 0.1):
        with pytest.raises(Interrupted) as caught:
            ablationsim.simulate(pulsed, tmp_path, resume=True, progress=stop_after(moment))
        assert "ablationsim run" in str(caught.value)
        assert "--resume" in str(caught.value)
        stopped.append(float(str(caught.value).split(" at ")[1].split(" s ")[0]))
    assert pulse[0] <= stopped[0] < pulse[1], "not inside the pulse"
    resumed = ablationsim.simulate(pulsed, tmp_path, resume=True)
    assert_same_run(pulsed_run.folder, tmp_path)
    assert resumed.events == pulsed_run.events


def test_a_refined_run_stopped_in_its_second_half_ends_in_the_same_numbers(small, tmp_path, assert_same_run):
    case = ablationsim.Case.from_dict(tomllib.loads(small))
    whole = ablationsim.simulate(case, tmp_path / "whole", refine=True)
    with pytest.raises(Interrupted, match="--resume --refine"):
        ablationsim.simulate(case, tmp_path / "parts", refine=True, progress=stop_after(2.0, of_run=2))
    resumed = ablationsim.simulate(case, tmp_path / "parts", refine=True, resume=True)
    assert 0 < resumed.document["discretisation_error"]["volume_relative"] < 1
    assert resumed.document["discretisation_error"] == whole.document["discretisation_error"]
    for part in ("", "refined"):
        assert_same_run(tmp_path / "whole" / part, tmp_path / "parts" / part)


def test_resuming_a_finished_run_changes_nothing(pulsed, pulsed_run):
    before = contents(pulsed_run.folder)
    again = ablationsim.simulate(pulsed, pulsed_run.folder, resume=True)
    assert again.document == pulsed_run.document
    assert contents(pulsed_run.folder) == before


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A case file with so many changes of power that its march takes some seconds, and the folder of its whole run."""
    case = tmp_path_factory.mktemp("slow") / "case.toml"
    steps = [f'[[applicator.protocol]]\nmode = "power"\npower = "{power} W"\nduration = "0.1 s"' for power in (30, 60)]
    needle = '[[applicator]]\nname = "A0"\nprofile = "rfa_cooltip_17g_2cm_like"\nrepeat = 40'
    rest = '[tissue]\nset = "liver_human"\n[mesh]\nresolution = 4.0\n[time]\ncheckpoint_interval = "0.5 s"\n'
    case.write_text("\n".join([needle, *steps, rest]))
    ablationsim.simulate(ablationsim.Case.load(case), case.parent / "run")
    return case, case.parent / "run"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_in_mid_run(number, slow, tmp_path, cli, assert_same_run):
    (case, whole), folder = slow, tmp_path / "run"
    command = [sys.executable, "-m", "ablationsim.cli", "run", str(case), "-o", str(folder), "--no-report"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Whoever runs the tests in the background may have made Ctrl-C be ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 120
        while len(checkpoints(folder)) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert not (folder / "zone.json").exists(), "the run was over before the signal came"
    assert "Traceback" not in errors
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        words = ["run", case, "--output", folder, "--resume"]
    else:
        assert process.returncode == 130
        words = shlex.split(errors.split("Continue with: ablationsim ")[1])
    done = cli(*words, "--no-report")
    assert done.returncode == 0, done.stderr
    assert_same_run(whole, folder)


def test_a_signal_before_the_march_is_understood(slow, tmp_path, quick_cli, monkeypatch):
    # Gmsh gives the signals back their default, which would end the process without a word.
    def stopped(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(sys.modules["ablationsim.simulate"], "assemble", stopped)
    done = quick_cli("run", slow[0], "-o", tmp_path / "run")
    assert done.returncode == 130
    assert "Stopped" in done.stderr
    assert "--resume" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_damaged_newest_checkpoint_is_passed_over(pulsed, pulsed_run, interrupted, assert_same_run):
    damage(checkpoints(interrupted)[-1])
    result = ablationsim.simulate(pulsed, interrupted, resume=True)
    assert any("damaged" in warning for warning in result.warnings)
    assert "damaged" in (interrupted / "log.txt").read_text()
    assert_same_run(pulsed_run.folder, interrupted)


def test_two_damaged_checkpoints_are_an_error_and_stay(pulsed, interrupted):
    for path in checkpoints(interrupted):
        damage(path)
    before = contents(interrupted)
    with pytest.raises(CheckpointError, match=r"a\.ckpt is damaged.*b\.ckpt is damaged.*--overwrite"):
        ablationsim.simulate(pulsed, interrupted, resume=True)
    assert contents(interrupted) == before


def test_a_run_of_another_case_is_not_resumed(pulsed, interrupted):
    other = dataclasses.replace(pulsed, zone=pulsed.zone.model_copy(update={"cooling": 3.0}))
    before = contents(interrupted)
    with pytest.raises(CheckpointError, match="another case"):
        ablationsim.simulate(other, interrupted, resume=True)
    assert contents(interrupted) == before


def test_a_checkpoint_of_another_case_is_not_used(pulsed, interrupted, tmp_path):
    other = dataclasses.replace(pulsed, zone=pulsed.zone.model_copy(update={"cooling": 3.0}))
    with pytest.raises(Interrupted):
        ablationsim.simulate(other, tmp_path / "other", progress=stop_after(7.0))
    for path in checkpoints(interrupted):
        path.write_bytes(checkpoints(tmp_path / "other")[-1].read_bytes())
    with pytest.raises(CheckpointError, match="does not belong to this case"):
        ablationsim.simulate(pulsed, interrupted, resume=True)


def test_a_damaged_mesh_cannot_be_resumed(pulsed, interrupted):
    (interrupted / "mesh.vtu").write_text("<VTKFile")
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        ablationsim.simulate(pulsed, interrupted, resume=True)


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(pulsed, pulsed_run, tmp_path, assert_same_run):
    early = dataclasses.replace(pulsed, time=pulsed.time.model_copy(update={"checkpoint_interval": 1e6}))

    class Killed(BaseException):
        pass

    def kill(t, text):
        raise Killed

    with pytest.raises(Killed):
        ablationsim.simulate(early, tmp_path, progress=kill)
    assert not list(tmp_path.rglob("*.ckpt"))
    ablationsim.simulate(early, tmp_path, resume=True)
    assert_same_run(pulsed_run.folder, tmp_path)


def test_a_full_disk_in_mid_run_loses_nothing(pulsed, pulsed_run, interrupted, cli, assert_same_run):
    before = contents(interrupted)
    limit = checkpoints(interrupted)[-1].stat().st_size // 2
    words = ["run", interrupted / "resolved.json", "--output", interrupted, "--resume", "--no-report"]
    full = cli(*words, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert full.returncode == 1
    assert "cannot be written: File too large" in full.stderr
    assert "Traceback" not in full.stderr
    assert contents(interrupted) == before
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    assert_same_run(pulsed_run.folder, interrupted)
