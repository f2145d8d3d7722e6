"""Runs of a study on this machine, some at a time, each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ablationsim.results.files import make_folder, unwritable, write_whole
from ablationsim.study.sweep.claim import ending
from ablationsim.study.sweep.manifest import RUNS, Run
from ablationsim.study.sweep.record import ENDED, Ended, read_running, text_of
from ablationsim.study.sweep.standing import Standing, State, standing

OUTPUT = "output.txt"
"""What the process of a run printed."""

Told = Callable[[Run, Standing, bool], None]
"""Called every second for each run under way, and once, with True, when its process has ended."""

_TAIL = 2000  # characters of the output that a message holds


def run_here(folder: Path, runs: Iterable[Run], jobs: int, threads: int, told: Told) -> None:
    """Run, or continue, runs of a study; when it is interrupted, they stop with their state kept.

    Parameters
    ----------
    folder : Path
        Of the study.
    runs : iterable of Run
        Taken as processes become free.
    jobs : int
        Runs at a time.
    threads : int
        Of each run.
    told : callable

    Raises
    ------
    OutputError
        If the folder of a run cannot be written.
    """
    waiting = iter(runs)
    active: dict[subprocess.Popen[bytes], Run] = {}
    asked = 0.0
    with _ending(active):
        while True:
            while len(active) < jobs and (run := next(waiting, None)) is not None:
                active[_started(folder, run, threads)] = run
            if not active:
                return
            time.sleep(0.1)
            now = time.monotonic()
            for process, run in list(active.items()):
                if process.poll() is not None:
                    del active[process]
                    told(run, _account(folder / RUNS / run.name, process.returncode), True)
                elif now - asked > 1.0:
                    told(run, standing(folder / RUNS / run.name), False)
            asked = now if now - asked > 1.0 else asked


def _started(folder: Path, run: Run, threads: int) -> subprocess.Popen[bytes]:
    place = folder / RUNS / run.name
    make_folder(place)
    command = [sys.executable, "-m", "ablationsim.cli", "work", str(folder), str(run.number), "--threads", str(threads)]
    try:
        with (place / OUTPUT).open("ab") as output:
            # In a session of its own: Ctrl-C comes here alone, and from here to the runs.
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
    except OSError as error:
        raise unwritable(place / OUTPUT, error) from error


@contextmanager
def _ending(active: dict[subprocess.Popen[bytes], Run]) -> Iterator[None]:
    """Stop what still runs when the block ends: with its state kept, or at once when asked again."""
    try:
        yield
    finally:
        try:
            for process in active:
                process.terminate()
            for process in active:
                process.wait()
        finally:
            for process in active:
                process.kill()
                process.wait()


def _account(place: Path, code: int) -> Standing:
    """How a run stands after its process has ended; what the process could not say of its end is written down."""
    running = read_running(place)
    if code < 0 and running is not None:
        name = signal.Signals(-code).name
        message = f"killed by {name}" + (", perhaps for its memory" if name == "SIGKILL" else "")
        write_whole(place / ENDED, text_of(ending(running, "cut off", message, 128 - code)))
    elif code != 0 and running is None and standing(place).state is State.WAITING:
        text = (place / OUTPUT).read_text(encoding="utf-8", errors="replace")[-_TAIL:].strip()
        message = f"its process ended with exit code {code} before it had begun: {text or 'it printed nothing'}"
        write_whole(place / ENDED, text_of(Ended("", "failed", message, code, "", "", time.time(), 1, 0.0)))
    return standing(place)
