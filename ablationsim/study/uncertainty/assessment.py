"""The story of a study of what is uncertain: draw, run, conclude."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import AblationSimError, SolverError
from ablationsim.study.uncertainty.answers import Answer, Job, answers
from ablationsim.study.uncertainty.arm import Arm
from ablationsim.study.uncertainty.design import design, even
from ablationsim.study.uncertainty.findings import ArmFindings, findings
from ablationsim.study.uncertainty.quantities import Aim
from ablationsim.study.uncertainty.repeatability import Comparison, compare
from ablationsim.study.uncertainty.study import UncertaintyStudy

Floats = NDArray[np.float64]
Told = Callable[[int, int], None]

KEPT = "answers"
"""Folder of the answers of runs, in that of the study."""


@dataclass(frozen=True, eq=False)
class Assessment:
    """What a study found.

    Attributes
    ----------
    study : UncertaintyStudy
    arms : tuple of ArmFindings
    comparisons : dict of str to tuple of Comparison
        Of the spreads of devices, by frame; empty without groups.
    """

    study: UncertaintyStudy
    arms: tuple[ArmFindings, ...]
    comparisons: dict[str, tuple[Comparison, ...]]

    @property
    def source(self) -> str:
        """What the numbers come from: runs, or a surrogate."""
        return "runs" if self.study.surrogate is None else "surrogate"


def count(study: UncertaintyStudy) -> int:
    """How many runs a study has, the nominal ones included; equal cases are run once."""
    return sum(len(_points(study, arm, _union(study))) + 1 for arm in study.arms)


def assess(
    study: UncertaintyStudy, folder: Path, at_once: int = 1, told: Told = lambda done, total: None
) -> Assessment:
    """Make the runs of a study that are not kept in its folder, and conclude from all.

    Parameters
    ----------
    study : UncertaintyStudy
    folder : Path
        Of the study.
    at_once : int
        Runs at a time; the results do not depend on it.
    told : callable
        Called with how many runs are done, and how many there are to make.

    Raises
    ------
    SolverError
        If the nominal run fails, indices cannot be computed because other runs failed, or no surrogate is good enough.
    OutputError
        If the folder cannot be written.
    Interrupted
        If the user stopped it; what is done is kept.
    """
    union = _union(study)
    drawn = [_drawn(study, arm, union) for arm in study.arms]
    jobs = [
        [_job(arm, row, folder / KEPT) for row in [(), *values.tolist()]]
        for arm, (_, values) in zip(study.arms, drawn, strict=True)
    ]
    good = [job for row in jobs for job in row if isinstance(job, Job)]
    made = dict(zip((job.kept for job in good), answers(good, at_once, told), strict=True))
    arms = []
    for arm, (shares, values), row in zip(study.arms, drawn, jobs, strict=True):
        first, *rest = (made[job.kept] if isinstance(job, Job) else job for job in row)
        if isinstance(first, str):
            where = f" of arm '{arm.name}'" if arm.name else ""
            raise SolverError(f"the run{where} with the nominal values failed: {first}")
        aim = _aim(study, first)
        arms.append(findings(arm, aim, study.about, study.surrogate, shares, values, rest, first))
    return Assessment(study, tuple(arms), _compared(study, arms) if study.grouped else {})


def _union(study: UncertaintyStudy) -> list[str]:
    """Names of the inputs of all arms: what is called the same has the same draws in each."""
    return list(dict.fromkeys(one.name for arm in study.arms for one in arm.inputs))


def _points(study: UncertaintyStudy, arm: Arm, union: Sequence[str]) -> Floats:
    """Shares of the distributions that are run, of the inputs of one arm."""
    names = [one.name for one in arm.inputs]
    if study.about.method == "propagate" or study.surrogate is not None:
        if study.surrogate is not None:
            points = even(study.surrogate.runs, len(union), study.about.seed, "latin_hypercube")
        else:
            points = design(study.about, union)
        return points[:, [union.index(name) for name in names]]
    return design(study.about, names)


def _drawn(study: UncertaintyStudy, arm: Arm, union: Sequence[str]) -> tuple[Floats, Floats]:
    """Shares, and the values (SI) that they stand for."""
    shares = _points(study, arm, union)
    return shares, np.column_stack([one.at(shares[:, k]) for k, one in enumerate(arm.inputs)])


def _job(arm: Arm, row: Sequence[float], folder: Path) -> Job | str:
    """The run of a draw, or why there is none; an empty row is the nominal one."""
    if not row:
        return Job.of(arm.case, folder)
    try:
        return Job.of(arm.draw({one.name: x for one, x in zip(arm.inputs, row, strict=True)}), folder)
    except AblationSimError as error:
        return str(error)


def _aim(study: UncertaintyStudy, nominal: Answer) -> Aim | None:
    if study.target is None:
        return None
    if study.target.depth is not None:
        return Aim(study.target.radius, study.target.depth)
    along = nominal.outline.points[:, -1]
    if not len(along):
        raise SolverError(
            "there is no zone with the nominal values, in whose middle the target could be; give its depth in [target]"
        )
    return Aim(study.target.radius, 0.5e-3 * float(along.min() + along.max()))


def _compared(study: UncertaintyStudy, arms: Sequence[ArmFindings]) -> dict[str, tuple[Comparison, ...]]:
    about, found = study.about, {}
    for frame in arms[0].said:
        groups: dict[str, list[Floats]] = {}
        for one in arms:
            columns = [one.said[frame][quantity.key].values for quantity in one.quantities]
            longest = max(len(column) for column in columns)
            # A quantity whose surrogate is refused has no values.
            full = [column if len(column) else np.full(longest, np.nan) for column in columns]
            groups.setdefault(one.arm.group, []).append(np.column_stack(full))
        found[frame] = tuple(compare(groups, arms[0].quantities, about.confidence, about.seed))
    return found
