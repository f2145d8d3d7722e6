"""Files that a run of a study has beside those of every run: who runs it, and how that ended.

``running.json`` is there while a process has the run, and after a process that was killed; ``ended.json`` once a
process has ended by itself. Both name the start that they are about.
"""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar

RUNNING, ENDED = "running.json", "ended.json"

STALE = 300.0
"""Time after which a process on another machine that has not written is taken for dead [s]; it writes every 20 s,
later where a library keeps it busy."""

Record = TypeVar("Record", "Running", "Ended")
Outcome = Literal["finished", "failed", "interrupted", "cut off"]


@dataclass(frozen=True)
class Running:
    """A process that has a run.

    Attributes
    ----------
    start : str
        Unlike that of any other start.
    host, machine : str
        Name of the machine for people, and what tells machines, their boots and their containers apart.
    pid, born : int
        Of the process; `born` in clock ticks since the boot.
    job : str
        Of Slurm; "" without.
    started, updated : float
        Time of the start and of the last sign of life [s since 1970].
    time_s, end_s : float
        Simulated time, and that at which the run ends at the latest [s].
    starts : int
        How often the run was started, this time included.
    spent_s : float
        Wall time of earlier starts [s].
    """

    start: str
    host: str
    machine: str
    pid: int
    born: int
    job: str
    started: float
    updated: float
    time_s: float = 0.0
    end_s: float = 0.0
    starts: int = 1
    spent_s: float = 0.0

    @property
    def wall_s(self) -> float:
        """Wall time of all starts until the last sign of life [s]."""
        return self.spent_s + self.updated - self.started

    def alive(self) -> bool:
        """Whether the process still goes: known of one on this machine, and concluded from its last sign elsewhere."""
        if self.machine == this_machine():
            return born(self.pid) == self.born
        if self.job and self.job == this_job():
            # Slurm has started the job again elsewhere.
            return False
        return time.time() - self.updated < STALE


@dataclass(frozen=True)
class Ended:
    """How a process ended that had a run.

    Attributes
    ----------
    start : str
        As in `Running`; "" where the process never came to have the run.
    outcome : {"finished", "failed", "interrupted", "cut off"}
    message : str
        For people; empty for a finished run.
    exit_code : int
    host, job : str
    ended : float
        [s since 1970]
    starts : int
    wall_s : float
        Of all starts [s].
    """

    start: str
    outcome: Outcome
    message: str
    exit_code: int
    host: str
    job: str
    ended: float
    starts: int
    wall_s: float


def read_running(folder: Path) -> Running | None:
    """The process that has, or had, the run in a folder."""
    return _read(folder / RUNNING, Running)


def read_ended(folder: Path) -> Ended | None:
    """How the last process ended that had the run in a folder; None while another one has it."""
    ended, running = _read(folder / ENDED, Ended), read_running(folder)
    return None if running is not None and ended is not None and running.start != ended.start else ended


def text_of(record: Running | Ended) -> str:
    """Content of the file of a record."""
    return json.dumps(asdict(record), indent=1) + "\n"


def _read(path: Path, kind: type[Record]) -> Record | None:
    try:
        return kind(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        # Not there, or not written to its end: the other files say what there is to say.
        return None


def this_machine() -> str:
    """What tells this machine, since its last boot, and this container on it from all others."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"


def born(pid: int) -> int | None:
    """When a process of this machine began, in clock ticks since the boot; None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    # A zombie has ended, though whoever started it has not asked yet.
    return None if state in "ZX" else int(fields[18])


def this_job() -> str:
    """The job of Slurm that this process belongs to, element of the array included; "" without."""
    array, element = (os.environ.get(f"SLURM_ARRAY_{part}_ID", "") for part in ("JOB", "TASK"))
    return f"{array}_{element}" if array and element else os.environ.get("SLURM_JOB_ID", "")
