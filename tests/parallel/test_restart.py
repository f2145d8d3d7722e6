"""Runs on several ranks that were killed or stopped go on, on as many ranks as one likes, to the same zone."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import psutil
import pytest

CASE = """
[[applicator]]
name = "A0"
profile = "rfa_cooltip_17g_2cm_like"
repeat = 6
[[applicator.protocol]]
mode = "power"
power = "30 W"
duration = "0.1 s"
[[applicator.protocol]]
mode = "power"
power = "90 W"
duration = "0.5 s"
[tissue]
set = "liver_human"
[[probe]]
name = "p5"
position = ["5 mm", "0 mm", "10 mm"]
[zone]
criterion = "isotherm"
isotherm_temperature = "45 degC"
cooling = "2 s"
[mesh]
resolution = 4.0
[time]
checkpoint_interval = "1 ms"
"""

ENGINES = 5e-4
"""What the solvers of one process and of ranks agree to, on a mesh as coarse and a tip as hot as these."""

# Leaves the second rank little space for files, once MPI has made those that it needs.
CRAMPED = """
import resource
import sys

from mpi4py import MPI

from ablationsim.cli import main

if MPI.COMM_WORLD.rank == 1:
    limit = int(sys.argv.pop(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
else:
    sys.argv.pop(1)
main()
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    path = tmp_path_factory.mktemp("case") / "case.toml"
    path.write_text(CASE)
    return path


@pytest.fixture(scope="module")
def run(mpirun, case):
    """Runs the case on some ranks, or goes on with it, to the end."""

    def to_the_end(ranks, folder, code=0):
        words = ["-m", "ablationsim.cli", "run", case, "-o", folder, "--resume", "--no-report"]
        return mpirun(ranks, *words, code=code)

    return to_the_end


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """Folder of a run on two ranks that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(2, folder)
    return folder


@pytest.fixture(scope="module")
def begin(mpi_python, case):
    """Begins a run on two ranks and comes back when it has written some checkpoints."""

    def until(checkpoints, folder):
        process = subprocess.Popen(
            [
                *("mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", mpi_python, "-m", "ablationsim.cli"),
                *("run", case, "-o", folder, "--no-report"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "COLUMNS": "200"},
        )
        log, deadline = folder / "log.txt", time.monotonic() + 200.0
        while not log.exists() or log.read_text().count(": checkpoint") < checkpoints:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process

    return until


@pytest.fixture(scope="module")
def killed(begin, tmp_path_factory):
    """Folder of a run on two ranks of which one was killed; only copies may be changed."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    process = begin(10, folder)
    ranks_of(process)[1].kill()
    process.communicate(timeout=60)
    assert process.returncode not in (0, 85)
    assert not (folder / "zone.json").exists()
    return folder


def heads(folder):
    return sorted(path for path in (folder / "checkpoint").glob("*.ckpt") if "." not in path.stem)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "log.txt"}


def ranks_of(process):
    """Processes of the ranks that an mpirun has started."""
    found = [
        rank for rank in psutil.Process(process.pid).children(recursive=True) if "ablationsim.cli" in rank.cmdline()
    ]
    assert len(found) == 2
    return found


def assert_same_zone(first, second, tolerance=1e-8):
    one, other = (json.loads((folder / "zone.json").read_text()) for folder in (first, second))
    for key, value in one.items():
        if isinstance(value, float):
            assert other[key] == pytest.approx(value, rel=tolerance), key
    one, other = (np.genfromtxt(folder / "history.csv", delimiter=",", names=True) for folder in (first, second))
    for column in one.dtype.names:
        # A difference of energies and an early volume are sums of much that cancels.
        largest = np.nanmax(np.abs(one[column]))
        np.testing.assert_allclose(other[column], one[column], rtol=tolerance, atol=tolerance * largest, err_msg=column)


@pytest.mark.parametrize("ranks", [3, 1])
def test_a_killed_run_goes_on_on_any_number_of_ranks(ranks, killed, whole, run, tmp_path):
    shutil.copytree(killed, tmp_path / "run")
    run(ranks, tmp_path / "run")
    assert "resumed at" in (tmp_path / "run" / "log.txt").read_text()
    assert len(list((tmp_path / "run" / "checkpoint").glob("*.????.ckpt"))) == 2 * ranks
    assert_same_zone(whole, tmp_path / "run")


def test_one_process_goes_on_with_what_ranks_began_and_they_with_what_it_began(killed, whole, run, case, cli, tmp_path):
    shutil.copytree(killed, tmp_path / "run")
    done = cli("run", case, "-o", tmp_path / "run", "--resume", "--no-report")
    assert done.returncode == 0, done.stderr
    assert_same_zone(whole, tmp_path / "run", ENGINES)

    done = cli("run", case, "-o", tmp_path / "back", "--no-report")
    assert done.returncode == 0, done.stderr
    heads(tmp_path / "back")[-1].unlink()
    (tmp_path / "back" / "zone.json").unlink()
    run(2, tmp_path / "back")
    assert "resumed at" in (tmp_path / "back" / "log.txt").read_text()
    assert_same_zone(whole, tmp_path / "back", ENGINES)


def test_a_signal_to_all_ranks_stops_them_with_their_state(begin, run, whole, tmp_path):
    process = begin(8, tmp_path / "run")
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 85, errors
    assert errors.count("The run was stopped by SIGUSR1") == 1
    assert f"Continue with: mpirun -n 2 ablationsim run {tmp_path / 'run' / 'resolved.json'}" in errors
    run(2, tmp_path / "run")
    assert_same_zone(whole, tmp_path / "run")


def test_a_signal_to_one_rank_stops_all(begin, tmp_path):
    process = begin(5, tmp_path / "run")
    ranks_of(process)[1].send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 85, errors
    assert errors.count("The run was stopped by SIGTERM") == 1
    assert len(heads(tmp_path / "run")) == 2


def test_all_ranks_pass_over_a_checkpoint_of_which_one_piece_is_damaged(killed, whole, run, tmp_path):
    shutil.copytree(killed, tmp_path / "run")
    older, newest = heads(tmp_path / "run")
    piece = newest.with_name(f"{newest.stem}.0001.ckpt")
    piece.write_bytes(piece.read_bytes()[:-100])
    run(3, tmp_path / "run")
    log = (tmp_path / "run" / "log.txt").read_text()
    assert f"{newest} is damaged (the checksum of {piece.name} does not match)" in log
    assert log.count("resumed at") == 1
    assert_same_zone(whole, tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    shutil.copytree(killed, tmp_path / "run")
    for head in (older, newest):
        head.with_name(f"{head.stem}.0000.ckpt").unlink()
    done = run(2, tmp_path / "run", code=1)
    assert (
        len(re.findall(r"The run cannot be resumed: .* is damaged .*; .* is damaged .* --overwrite", done.stderr)) == 1
    )
    assert "Traceback" not in done.stderr


def test_one_rank_without_space_ends_all_and_what_was_there_stays(killed, mpirun, case, tmp_path):
    shutil.copytree(killed, tmp_path / "run")
    (tmp_path / "cramped.py").write_text(CRAMPED)
    before = contents(tmp_path / "run")
    newest = heads(tmp_path / "run")[-1]
    limit = newest.with_name(f"{newest.stem}.0001.ckpt").stat().st_size // 2
    words = [tmp_path / "cramped.py", limit, "run", case, "-o", tmp_path / "run", "--resume", "--no-report"]
    done = mpirun(2, *words, code=1)
    assert done.stderr.count("cannot be written: File too large") == 1
    assert "Traceback" not in done.stderr
    assert contents(tmp_path / "run") == before
