"""Runs every setting of the publications with the profiles as they are, and compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.errors import AblationSimError, CaseError
from ablationsim.results.files import make_folder
from ablationsim.study.prediction import Task, case_of
from ablationsim.study.validation.answers import Answer, Job, Told, answers
from ablationsim.study.validation.comparison import Row, Subject, rows
from ablationsim.study.validation.paper import Paper

KEPT = "answers"
"""Folder of what is kept of runs."""

Change = Callable[[Case], Case]


@dataclass(frozen=True)
class Validation:
    """Measurements beside predictions.

    Attributes
    ----------
    papers : tuple of Paper
    rows : tuple of Row
        In the order of the publications.
    failures : dict of str to str
        What went wrong, by the name of the setting.
    resolution : float
        Size of the elements relative to the default.
    """

    papers: tuple[Paper, ...]
    rows: tuple[Row, ...]
    failures: dict[str, str]
    resolution: float

    def of(self, paper: str) -> list[Row]:
        """The rows of a publication."""
        return [row for row in self.rows if row.subject.paper == paper]


def validate(
    papers: Sequence[Paper],
    folder: str | Path,
    *,
    jobs: int = 1,
    resolution: float = 1.0,
    fresh: bool = False,
    change: Change = lambda case: case,
    told: Told = lambda done, total: None,
) -> Validation:
    """Predict every setting of publications, and hold each measurement beside its prediction.

    Parameters
    ----------
    papers : sequence of Paper
        From `ablationsim.study.validation.paper.papers`, for example.
    folder : path
        Where answers are kept: a setting is run again only when its case or the program has changed.
    jobs : int
        Runs at a time.
    resolution : float
        Size of the elements relative to the default.
    fresh : bool
        Forget what is kept.
    change : callable
        Takes every case before it runs and gives another: what if a tissue or a device were different?
    told : callable
        Called with the number of runs that are done and that of all.

    Raises
    ------
    CaseError
        If cases cannot be made of device, tissue and settings, with every problem.
    OutputError
        If answers cannot be kept.
    Interrupted
        If the user stopped it; what is done is kept.
    """
    kept = Path(folder) / KEPT
    make_folder(kept)
    if fresh:
        for path in kept.glob("*.json"):
            path.unlink()
    planned = _planned(papers, kept, resolution, change)
    answered = dict(zip(planned, answers(list(planned.values()), jobs, told), strict=True))
    result: list[Row] = []
    failures: dict[str, str] = {}
    for paper in papers:
        for profile, data in paper.data.items():
            keys = {setting.line: (paper.name, profile, setting.line) for setting in data.settings}
            found: dict[int, Answer] = {}
            for line, key in keys.items():
                answer = answered[key]
                if isinstance(answer, Answer):
                    found[line] = answer
                else:
                    failures[planned[key].name] = answer
            if not found:
                continue
            cases = [planned[key].case for key in keys.values()]
            result += rows(_subject(paper, cases), data, found, paper.about.read)
    return Validation(tuple(papers), tuple(result), failures, resolution)


def _planned(papers: Sequence[Paper], kept: Path, resolution: float, change: Change) -> dict[tuple[str, str, int], Job]:
    planned: dict[tuple[str, str, int], Job] = {}
    problems: list[str] = []
    for paper in papers:
        for profile, data in paper.data.items():
            device = Device.load(profile)
            for setting in data.settings:
                name = f"{paper.name}, {device.name}, {setting.name}"
                try:
                    case = change(case_of(Task(profile, device, setting, resolution)))
                except CaseError as error:
                    problems += [f"{name} (line {setting.line}): {problem}" for problem in error.problems]
                except AblationSimError as error:
                    problems.append(f"{name} (line {setting.line}): {error}")
                else:
                    key = (paper.name, profile, setting.line)
                    planned[key] = Job.of(name, case, kept, setting.mask, setting.conditions.frame)
    if problems:
        raise CaseError(problems, "the settings to validate against")
    return planned


def _subject(paper: Paper, cases: Sequence[Case]) -> Subject:
    """What is said of a device; from the cases that were run, whose profile may have changed since."""
    device, tissues = cases[0].applicators[0].device, [case.tissue for case in cases]
    numbers = [*device.parameters.values(), *(number for tissue in tissues for number in tissue.sources.values())]
    return Subject(
        paper=paper.name,
        device=device.name,
        title=device.title,
        modality=device.modality,
        fitted=any(number.status == "calibrated" for number in numbers),
        perfused=any(tissue.perfusion > 0.0 for tissue in tissues),
    )
