"""Runs of the full model that confirm what the search proposes, and teach it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.case import Case
from ablationsim.errors import AblationSimError, Interrupted, SolverError
from ablationsim.fem.probing import Probes
from ablationsim.results import Result
from ablationsim.simulate import simulate
from ablationsim.study.planning.drive import drive_of

Floats = NDArray[np.float64]

Progress = Callable[[str, float, float], None]
"""Called with the name of a run, its simulated time, and that at which it ends at the latest [s]."""


@dataclass(frozen=True, eq=False)
class Task:
    """A case to run into a folder, and the points (p, 3) [m] at which its drive is wanted; can be sent to a process."""

    name: str
    case: Case
    folder: Path
    points: Floats
    resume: bool
    overwrite: bool
    told: Progress


@dataclass(frozen=True, eq=False)
class Answer:
    """What a finished run says.

    Attributes
    ----------
    document : dict
        The content of its zone.json.
    drive : (p,) float64
        At the points of the task.
    wall : float
        How long it took [s].
    """

    document: dict[str, Any]
    drive: Floats
    wall: float


def confirm(task: Task) -> Answer:
    """Run a plan by the full model, or take it from its folder if it was run before.

    Raises
    ------
    SolverError
        If the run fails; the message names the plan.
    Interrupted
        If the user stopped it.
    """
    started = time.perf_counter()
    end = task.case.end + task.case.zone.cooling
    try:
        result = simulate(
            task.case,
            task.folder,
            resume=task.resume,
            overwrite=task.overwrite,
            progress=lambda now, state: task.told(task.name, now, end),
        )
    except Interrupted as error:
        # What it says goes for one run alone.
        raise type(error)(
            "Stopped. What was written stays; the same command with --resume goes on from there."
        ) from None
    except AblationSimError as error:
        # An error crosses to another process by its message alone.
        raise SolverError(f"{task.name}: {error}") from None
    return Answer(result.document, drive_at(result, task.points), time.perf_counter() - started)


def drive_at(result: Result, points: Floats) -> Floats:
    """Return the drive of a finished run at points (p, 3) [m]; that of the nearest tissue where there is none."""
    if not len(points):
        return np.empty(0)
    return Probes.at(result.mesh, points, reach=np.inf)(drive_of(result.fields["level"], result.mesh))
