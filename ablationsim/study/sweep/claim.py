"""`Claim`: one process has a run, shows that it is alive and how far it is, and says how it ended."""

from __future__ import annotations

import os
import platform
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ablationsim.errors import OutputError
from ablationsim.results.files import make_folder, unwritable, write_whole
from ablationsim.study.sweep.record import (
    ENDED,
    RUNNING,
    STALE,
    Ended,
    Outcome,
    Running,
    born,
    read_ended,
    read_running,
    text_of,
    this_job,
    this_machine,
)

_SIGN, _PROGRESS = 20.0, 5.0
"""Time between signs of life, and between reports of the simulated time, at the least [s]."""


class Claim:
    """A run that this process has; get it by `take`.

    Parameters
    ----------
    folder : Path
        Of the run.
    running : Running
        As it was written.
    """

    def __init__(self, folder: Path, running: Running) -> None:
        self.folder, self.running = folder, running
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    @classmethod
    def take(cls, folder: Path) -> Claim | None:
        """Take a run, from a process that is gone if need be; None if another one has it.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        make_folder(folder)
        now = time.time()
        new = Running(
            start=uuid.uuid4().hex,
            host=platform.node(),
            machine=this_machine(),
            pid=os.getpid(),
            born=born(os.getpid()) or 0,
            job=this_job(),
            started=now,
            updated=now,
        )
        if before := read_ended(folder):
            new = replace(new, starts=before.starts + 1, spent_s=before.wall_s)
        try:
            if (folder / RUNNING).exists():
                earlier = read_running(folder)
                if not _free(folder, earlier) or not _cleared(folder, earlier, new.start):
                    return None
                if earlier is not None:
                    new = replace(new, starts=earlier.starts + 1, spent_s=earlier.wall_s)
            with (folder / RUNNING).open("x", encoding="utf-8") as file:
                file.write(text_of(new))
            (folder / ENDED).unlink(missing_ok=True)
        except FileExistsError:
            return None
        except OSError as error:
            raise unwritable(folder / RUNNING, error) from error
        return cls(folder, new)

    def progress(self, time_s: float, end_s: float) -> None:
        """Say how far the simulation is; written every few seconds."""
        self.running = replace(self.running, time_s=time_s, end_s=end_s)
        if time.time() - self.running.updated > _PROGRESS:
            self._sign()

    def end(self, outcome: Outcome, message: str = "", exit_code: int = 0) -> None:
        """Say how it ended, and let go of the run.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        self._over.set()
        self._thread.join()
        ended = ending(replace(self.running, updated=time.time()), outcome, message, exit_code)
        write_whole(self.folder / ENDED, text_of(ended))
        (self.folder / RUNNING).unlink(missing_ok=True)

    def _live(self) -> None:
        while not self._over.wait(_SIGN):
            self._sign()

    def _sign(self) -> None:
        with self._lock:
            self.running = replace(self.running, updated=time.time())
            # A disk that is full now may not be so at the next checkpoint.
            with suppress(OutputError):
                write_whole(self.folder / RUNNING, text_of(self.running))


def ending(running: Running, outcome: Outcome, message: str, exit_code: int) -> Ended:
    """How a start ended, now."""
    return Ended(
        start=running.start,
        outcome=outcome,
        message=message,
        exit_code=exit_code,
        host=running.host,
        job=running.job,
        ended=time.time(),
        starts=running.starts,
        wall_s=running.wall_s,
    )


def _free(folder: Path, earlier: Running | None) -> bool:
    """Whether nobody has the run any more."""
    if earlier is None:
        # Being written, or written to half its end by a process that was killed.
        return time.time() - (folder / RUNNING).stat().st_mtime > STALE
    return read_ended(folder) is not None or not earlier.alive()


def _cleared(folder: Path, earlier: Running | None, start: str) -> bool:
    """Move away what a process left that is gone; False if another process was faster."""
    aside = folder / f"{RUNNING}.{start}"
    try:
        os.rename(folder / RUNNING, aside)
    except FileNotFoundError:
        return False
    content = aside.read_text(encoding="utf-8")
    if earlier is not None and earlier.start not in content:
        # What was moved is of the other one that took the run in the meantime.
        os.rename(aside, folder / RUNNING)
        return False
    aside.unlink()
    return True
