"""The runs of a study: each is made once, and its answer is kept, so that an interrupted study goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablationsim.case import Case
from ablationsim.errors import AblationSimError, Interrupted
from ablationsim.results.files import make_folder, write_whole
from ablationsim.results.run_folder import case_hash
from ablationsim.simulate import simulate
from ablationsim.study.sweep.table import SIZES
from ablationsim.study.uncertainty.surface import Outline
from ablationsim.study.validation.answers import program
from ablationsim.study.workers import workers

FRAMES = ("undeformed", "contracted")

_LENGTH = 24  # hexadecimal digits of a name


@dataclass(frozen=True)
class Job:
    """A case to run, and where its answer is kept."""

    case: Case
    kept: Path

    @classmethod
    def of(cls, case: Case, folder: Path) -> Job:
        """Its answer is kept under a sum over the case and the program."""
        name = hashlib.sha256(f"{case_hash(case)} {program()}".encode()).hexdigest()[:_LENGTH]
        return cls(case, folder / f"{name}.json")


@dataclass(frozen=True, eq=False)
class Answer:
    """What is kept of a run.

    Attributes
    ----------
    sizes : dict of str to dict
        Figures of the zone by their names in zone.json, undeformed and contracted; None where there is no zone.
    outline : Outline
    """

    sizes: Mapping[str, Mapping[str, float | None]]
    outline: Outline

    @classmethod
    def read(cls, path: Path) -> Answer | None:
        """What is kept of a run; None if nothing whole is."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls({frame: data["sizes"][frame] for frame in FRAMES}, Outline.read(data["outline"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


Told = Callable[[int, int], None]
"""Called with how many runs are done, and how many there are to make."""


def answers(jobs: Sequence[Job], at_once: int, told: Told = lambda done, total: None) -> list[Answer | str]:
    """Make the runs that are not kept yet; for each job its answer, or what went wrong.

    Parameters
    ----------
    jobs : sequence of Job
        Of the same case one run is made.
    at_once : int
        Runs at a time.
    told : callable

    Raises
    ------
    OutputError
        If an answer cannot be written.
    Interrupted
        If the user stopped it; what is done is kept.
    """
    for folder in {job.kept.parent for job in jobs}:
        make_folder(folder)
    kept = {job.kept: Answer.read(job.kept) for job in jobs}
    missing = list({job.kept: job for job in jobs if kept[job.kept] is None}.values())
    found: dict[Path, Answer | str] = {path: answer for path, answer in kept.items() if answer is not None}
    told(0, len(missing))
    if missing:
        done = 0

        def another(text: str) -> None:
            nonlocal done
            done += 1
            told(done, len(missing))

        with workers(min(at_once, len(missing))) as apply:
            texts = apply(_made, missing, another)
        for job, text in zip(missing, texts, strict=True):
            found[job.kept] = text or Answer.read(job.kept) or f"its answer {job.kept} was removed meanwhile"
    return [found[job.kept] for job in jobs]


def _made(job: Job) -> str:
    """Run a case and keep the answer; what went wrong, or nothing."""
    try:
        result = simulate(job.case)
    except Interrupted:
        raise
    except AblationSimError as error:
        return str(error)
    document: Mapping[str, Any] = result.document
    sizes = {
        "undeformed": {key: document[key] for key in SIZES},
        "contracted": {key: document["contracted"].get(key) for key in SIZES},
    }
    write_whole(job.kept, json.dumps({"sizes": sizes, "outline": Outline.of(result).to_dict()}))
    return ""
