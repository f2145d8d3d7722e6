"""What is kept of a run, so that it is not run again until the case or the program changes."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import ablationsim
from ablationsim import cache as caching
from ablationsim.case import Case
from ablationsim.errors import AblationSimError, Interrupted
from ablationsim.results import Result
from ablationsim.results.files import make_folder, write_whole
from ablationsim.results.run_folder import case_hash
from ablationsim.simulate import simulate
from ablationsim.study.workers import workers
from ablationsim.units import ZERO_CELSIUS

_APART = {"cli", "report", "doctor", "study"}
"""Parts of the program that have no influence on what a run predicts."""
_LIBRARIES = ("gmsh", "numba", "numpy", "pyamg", "scikit-fem", "scipy")


@dataclass(frozen=True)
class Reading:
    """A temperature or a time that was measured at a probe, and its prediction.

    Attributes
    ----------
    quantity : {"temperature", "time"}
        Highest temperature [°C], or time until the probe reached a temperature [s].
    place : str
        The probe, and for a time the temperature, in words.
    measured : float
    sd : float or None
    predicted : float or None
        None where the temperature was not reached.
    """

    quantity: str
    place: str
    measured: float
    sd: float | None
    predicted: float | None


@dataclass(frozen=True)
class Answer:
    """What is kept of a run.

    Attributes
    ----------
    document : dict
        The content of zone.json.
    readings : tuple of Reading
    shape : dict
        What `ablationsim.study.masks.shape` says; empty without a measured zone in space.
    """

    document: Mapping[str, Any]
    readings: tuple[Reading, ...]
    shape: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job) -> Answer:
        """Run a case, and take what is kept of it.

        Raises
        ------
        AblationSimError
            If the run fails, or its zone cannot be compared.
        """
        result = simulate(job.case)
        found: Mapping[str, Any] = {}
        if job.mask is not None:
            from ablationsim.study.masks import shape

            found = shape(result, job.mask, "contracted" if job.frame == "contracted" else "undeformed")
        return cls(result.document, tuple(readings(result)), found)

    @classmethod
    def read(cls, path: Path) -> Answer | None:
        """Read what `write` wrote; None where there is nothing whole."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = tuple(Reading(**reading) for reading in content["readings"])
            return cls(content["document"], found, content["shape"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path) -> None:
        """Write to a file that is whole or absent.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        write_whole(path, json.dumps(asdict(self)))


def readings(result: Result) -> list[Reading]:
    """What was measured at the probes of a case, beside what its run predicts there."""
    found = []
    for probe in result.case.measured.probe if result.case.measured else ():
        time, course = result.history["time_s"], result.history[f"probe_{probe.name}_c"]
        if probe.max_temperature is not None:
            measured = probe.max_temperature - ZERO_CELSIUS
            found.append(Reading("temperature", f"probe {probe.name}", measured, probe.sd, float(course.max())))
        if probe.time_to is not None:
            target = probe.time_to.temperature - ZERO_CELSIUS
            place = f"{target:g} °C, probe {probe.name}"
            reached = _first(time, course, target)
            found.append(Reading("time", place, probe.time_to.value, probe.time_to.sd, reached))
    return found


def _first(time: np.ndarray, course: np.ndarray, target: float) -> float | None:
    """When a course first reaches a value, between two steps."""
    above = np.flatnonzero(course >= target)
    if not len(above):
        return None
    i = int(above[0])
    return float(time[0]) if i == 0 else float(np.interp(target, course[i - 1 : i + 1], time[i - 1 : i + 1]))


@cache
def program() -> str:
    """Hash of what a prediction depends on besides the case: the modules and tables of the engine, and libraries."""
    package = Path(ablationsim.__file__).parent
    files = [
        path
        for pattern in ("*.py", "*.toml")
        for path in package.rglob(pattern)
        if path.relative_to(package).parts[0] not in (*_APART, "_data", "__pycache__")
    ]
    text = json.dumps(caching.programs(_LIBRARIES, package / "fem"))
    digest = hashlib.sha256(text.encode())
    for path in sorted(files):
        digest.update(str(path.relative_to(package)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Job:
    """A case to run.

    Attributes
    ----------
    name : str
        In messages.
    case : Case
    kept : Path
        Where its answer is kept.
    mask : Path or None
        Measured zone in space to hold it against.
    frame : str
        In which.
    """

    name: str
    case: Case
    kept: Path
    mask: Path | None = None
    frame: str = ""

    @classmethod
    def of(cls, name: str, case: Case, folder: Path, mask: Path | None = None, frame: str = "") -> Job:
        """Its answer is kept under a hash of the case, of the measured zone and of the program."""
        digest = hashlib.sha256((case_hash(case) + program()).encode())
        if mask is not None:
            digest.update(frame.encode() + mask.read_bytes())
        return cls(name, case, folder / f"{digest.hexdigest()[:24]}.json", mask, frame)


Told = Callable[[int, int], None]
"""Called with the number of runs that are done, and that of all."""


def answers(jobs: Sequence[Job], at_once: int, told: Told = lambda done, total: None) -> list[Answer | str]:
    """Run what is not kept yet, and give the answer to every job; for one that failed, what went wrong.

    Parameters
    ----------
    jobs : sequence of Job
    at_once : int
        Runs at a time.
    told : callable

    Raises
    ------
    OutputError
        If answers cannot be kept.
    Interrupted
        If the user stopped it; what is done is kept.
    """
    for folder in {job.kept.parent for job in jobs}:
        make_folder(folder)
    # One run for cases that are the same.
    missing = list({job.kept: job for job in jobs if Answer.read(job.kept) is None}.values())
    failed: dict[Path, str] = {}
    told(0, len(missing))
    if missing:
        count = itertools.count(1)
        with workers(min(at_once, len(missing))) as apply:
            texts = apply(_run, missing, lambda _: told(next(count), len(missing)))
        failed = {job.kept: text for job, text in zip(missing, texts, strict=True) if text}
    return [failed.get(job.kept) or _kept(job) for job in jobs]


def _run(job: Job) -> str:
    """Run and keep; what went wrong, or nothing."""
    try:
        Answer.of(job).write(job.kept)
    except Interrupted:
        raise
    except AblationSimError as error:
        return str(error)
    return ""


def _kept(job: Job) -> Answer | str:
    return Answer.read(job.kept) or f"its answer in {job.kept} was removed while others ran"
