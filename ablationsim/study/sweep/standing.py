"""How far the runs of a study are, read from the files in their folders and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ablationsim.study.sweep.manifest import RUNS, Run
from ablationsim.study.sweep.record import ENDED, RUNNING, Ended, read_ended, read_running


class State(StrEnum):
    """What a run is doing."""

    FINISHED = "finished"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """Stopped by a signal, with its state kept."""
    CUT_OFF = "cut off"
    """Ended without a word: killed, out of memory, or with its node."""
    FAILED = "failed"
    WAITING = "waiting"


UNFINISHED = frozenset({State.WAITING, State.INTERRUPTED, State.CUT_OFF})
"""States in which submitting again runs or continues a run; failed ones are tried again when asked for."""


@dataclass(frozen=True)
class Standing:
    """How far a run is.

    Attributes
    ----------
    state : State
    message : str
        What went wrong, or "".
    time_s, end_s : float or None
        Simulated time of a run under way, and that at which it ends at the latest [s].
    wall_s : float or None
        Wall time of all its starts [s].
    host, job : str
        Where it is or was, and the job of Slurm; "" if not known.
    """

    state: State
    message: str = ""
    time_s: float | None = None
    end_s: float | None = None
    wall_s: float | None = None
    host: str = ""
    job: str = ""


def standing(folder: Path) -> Standing:
    """How far the run in a folder is."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError:
        return Standing(State.WAITING)
    ended = read_ended(folder) if ENDED in names else None
    if "zone.json" in names:
        return Standing(State.FINISHED) if ended is None else _of(State.FINISHED, ended)
    if ended is not None and ended.outcome != "finished":
        return _of(State(ended.outcome), ended)
    running = read_running(folder) if RUNNING in names else None
    if running is None:
        begun = "resolved.json" in names or RUNNING in names
        return Standing(State.INTERRUPTED if begun else State.WAITING)
    alive = running.alive()
    return Standing(
        State.RUNNING if alive else State.CUT_OFF,
        "" if alive else _CUT_OFF,
        running.time_s,
        running.end_s,
        running.wall_s,
        running.host,
        running.job,
    )


_CUT_OFF = "ended without a word: killed, perhaps for its memory, or its node failed; it goes on where it was"


def _of(state: State, ended: Ended) -> Standing:
    return Standing(state, ended.message, wall_s=ended.wall_s, host=ended.host, job=ended.job)


def standings(folder: Path, runs: Iterable[Run]) -> Iterator[tuple[Run, Standing]]:
    """How far each run of a study is; folders are looked at only where there are any.

    Parameters
    ----------
    folder : Path
        Of the study.
    runs : iterable of Run
    """
    place = folder / RUNS
    begun = {path.name for path in place.iterdir()} if place.is_dir() else set()
    for run in runs:
        yield run, standing(place / run.name) if run.name in begun else Standing(State.WAITING)
