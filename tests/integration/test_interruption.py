"""A run that was stopped, killed or damaged goes on to the same numbers, or says why it cannot."""

import dataclasses
import itertools
import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib

import pytest

import ablationsim
from ablationsim.errors import CheckpointError, Interrupted, Stopped
from ablationsim.results import checkpoint_files, recorder, stopping


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
    return sorted(path for path in (folder / "checkpoint").glob("*.ckpt") if "." not in path.stem)


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
    pulse = next((a, b) for a, b in itertools.pairwise(changes) if a == again)
    pause = next((a, b) for a, b in itertools.pairwise(changes) if b == again)
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
    rest = '[tissue]\nset = "liver_human"\n[mesh]\nresolution = 4.0\n[time]\ncheckpoint_interval = "1 ms"\n'
    case.write_text("\n".join([needle, *steps, rest]))
    ablationsim.simulate(ablationsim.Case.load(case), case.parent / "run")
    return case, case.parent / "run"


def begin(case, folder, *words):
    """A run in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ablationsim.cli", "run", str(case), "-o", str(folder), "--no-report", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Whoever runs the tests in the background may have made Ctrl-C be ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def end(process, number, folder, written, wait=0.0):
    """Send a signal to a run some time after it has written as many checkpoints; returns what it said."""
    try:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            log = folder / "log.txt"
            if log.exists() and log.read_text().count(": checkpoint") >= written:
                break
            time.sleep(0.02)
        time.sleep(wait)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert not (folder / "zone.json").exists(), "the run was over before the signal came"
    assert "Traceback" not in errors
    return errors


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 85), (signal.SIGUSR1, 85), (signal.SIGKILL, -9)]
)
def test_signals_in_mid_run(number, code, slow, tmp_path, cli, assert_same_run):
    (case, whole), folder = slow, tmp_path / "run"
    process = begin(case, folder)
    errors = end(process, number, folder, written=3)
    assert process.returncode == code
    if number == signal.SIGKILL:
        words = ["run", case, "--output", folder, "--resume"]
    else:
        assert f"stopped by {number.name}" in errors
        words = shlex.split(errors.split("Continue with: ablationsim ")[1])
    done = cli(*words, "--no-report")
    assert done.returncode == 0, done.stderr
    assert_same_run(whole, folder)


def test_kills_at_any_moment_lose_little(slow, tmp_path, cli, assert_same_run):
    (case, whole), folder, chance = slow, tmp_path / "run", random.Random(4)
    for written in range(20, 120, 25):
        # Nearly all of the time goes into checkpoints.
        process = begin(case, folder, "--resume")
        end(process, signal.SIGKILL, folder, written, wait=chance.uniform(0.0, 0.05))
        assert process.returncode == -9
    done = cli("run", case, "-o", folder, "--resume", "--no-report")
    assert done.returncode == 0, done.stderr
    resumed = [line for line in (folder / "log.txt").read_text().splitlines() if "resumed at" in line]
    assert len(resumed) == 4
    assert_same_run(whole, folder)


@pytest.fixture
def _signals_as_before():
    """Puts back what signals do; a run that was stopped leaves a process that is to end."""
    before = {number: signal.getsignal(number) for number in stopping.BATCH}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals_as_before")
def test_a_stop_by_the_batch_system_may_be_said_again(pulsed, pulsed_run, tmp_path, assert_same_run):
    def progress(t, text):
        if t > 5.0:
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM):
                signal.raise_signal(number)

    with pytest.raises(Stopped, match=r"stopped by SIGTERM at .* s of simulated time\. Its state is kept"):
        ablationsim.simulate(pulsed, tmp_path, progress=progress)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGUSR1)
    ablationsim.simulate(pulsed, tmp_path, resume=True)
    assert_same_run(pulsed_run.folder, tmp_path)


@pytest.mark.usefixtures("_signals_as_before")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 85), (signal.SIGUSR1, 85)])
def test_a_signal_before_the_march_is_understood(number, code, slow, tmp_path, quick_cli, monkeypatch):
    # Gmsh gives the signals back their default, which would end the process without a word.
    def stopped(*arguments):
        os.kill(os.getpid(), number)

    monkeypatch.setattr(sys.modules["ablationsim.simulate"], "assemble", stopped)
    done = quick_cli("run", slow[0], "-o", tmp_path / "run")
    assert done.returncode == code
    assert "Stopped" in done.stderr
    assert "--resume" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("part", ["", ".0000"])
def test_a_damaged_newest_checkpoint_is_passed_over(part, pulsed, pulsed_run, interrupted, assert_same_run):
    newest = checkpoints(interrupted)[-1]
    damage(newest.with_name(f"{newest.stem}{part}.ckpt"))
    result = ablationsim.simulate(pulsed, interrupted, resume=True)
    assert any("damaged" in warning for warning in result.warnings)
    assert "damaged" in (interrupted / "log.txt").read_text()
    assert_same_run(pulsed_run.folder, interrupted)


def test_two_damaged_checkpoints_are_an_error_and_stay(pulsed, interrupted):
    for path in checkpoints(interrupted):
        damage(path)
    before = contents(interrupted)
    with pytest.raises(CheckpointError, match=r"(\d\.ckpt is damaged.*){2}--overwrite"):
        ablationsim.simulate(pulsed, interrupted, resume=True)
    assert contents(interrupted) == before


def test_a_run_of_another_case_is_not_resumed(pulsed, interrupted):
    other = dataclasses.replace(pulsed, zone=pulsed.zone.model_copy(update={"cooling": 3.0}))
    before = contents(interrupted)
    with pytest.raises(CheckpointError, match="another case"):
        ablationsim.simulate(other, interrupted, resume=True)
    assert contents(interrupted) == before


def test_a_run_goes_on_with_another_checkpoint_interval(pulsed, pulsed_run, interrupted, assert_same_run):
    hourly = dataclasses.replace(pulsed, time=pulsed.time.model_copy(update={"checkpoint_interval": 3600.0}))
    newest = checkpoints(interrupted)[-1]
    ablationsim.simulate(hourly, interrupted, resume=True)
    assert checkpoints(interrupted)[-1] == newest
    assert_same_run(pulsed_run.folder, interrupted)


def test_a_run_that_another_version_began_says_so(pulsed, pulsed_run, tmp_path, monkeypatch, assert_same_run):
    with monkeypatch.context() as older:
        older.setattr(checkpoint_files, "_PROGRAM", "0.0.9")
        with pytest.raises(Interrupted):
            ablationsim.simulate(pulsed, tmp_path, progress=stop_after(7.0))
    result = ablationsim.simulate(pulsed, tmp_path, resume=True)
    assert any("version 0.0.9 of ablationsim ran this case until" in warning for warning in result.warnings)
    assert_same_run(pulsed_run.folder, tmp_path)


def test_a_checkpoint_of_another_case_is_not_used(pulsed, interrupted, tmp_path):
    other = dataclasses.replace(pulsed, zone=pulsed.zone.model_copy(update={"cooling": 3.0}))
    with pytest.raises(Interrupted):
        ablationsim.simulate(other, tmp_path / "other", progress=stop_after(7.0))
    shutil.rmtree(interrupted / "checkpoint")
    shutil.copytree(tmp_path / "other" / "checkpoint", interrupted / "checkpoint")
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


def test_checkpoints_come_by_the_clock_and_not_by_simulated_time(small, tmp_path, monkeypatch):
    case = ablationsim.Case.from_dict({**tomllib.loads(small), "time": {"checkpoint_interval": "4 s"}})
    seconds = itertools.count()
    # A clock that goes on by a second whenever somebody looks at it: after every step and every checkpoint.
    monkeypatch.setattr(recorder, "monotonic", lambda: float(next(seconds)))
    times = []
    ablationsim.simulate(case, tmp_path, progress=lambda t, text: times.append(t))
    written = re.findall(r"t = (\S+) s: checkpoint", (tmp_path / "log.txt").read_text())
    assert len(times) >= 8
    assert list(map(float, written)) == pytest.approx(times[3::4], abs=1e-3)


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
