"""What the predictions are meant to reach, stated before they are looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ablationsim.study.validation.comparison import Row
from ablationsim.study.validation.statistics import of_kind, statistics


@dataclass(frozen=True)
class Target:
    """A bound on the median absolute error, over settings in excised tissue that nothing was fitted to.

    Attributes
    ----------
    name : str
    modality : str
        ``rfa``, ``mwa``, or empty for both.
    kind : str
        A key of `ablationsim.study.validation.statistics.KINDS`.
    bound : float
    unit : str
        That of the kind, or "SD": standard deviations of the measurement.
    """

    name: str
    modality: str
    kind: str
    bound: float
    unit: str


TARGETS = (
    Target("RFA: length and diameter", "rfa", "axes", 2.0, "mm"),
    Target("RFA: volume", "rfa", "volume", 15.0, "%"),
    Target("MWA: length and diameter", "mwa", "axes", 3.5, "mm"),
    Target("MWA: volume", "mwa", "volume", 20.0, "%"),
    Target("MWA: diameter / length", "mwa", "aspect", 0.10, ""),
    Target("both: highest temperatures", "", "temperature", 2.0, "SD"),
)


@dataclass(frozen=True)
class Outcome:
    """How far a target is reached.

    Attributes
    ----------
    target : Target
    count : int
        Number of comparisons.
    settings : int
        Number of settings that they come from.
    error : float or None
        Median absolute error in the unit of the target; None where there is nothing to judge by.
    """

    target: Target
    count: int
    settings: int
    error: float | None

    @property
    def verdict(self) -> str:
        """In words."""
        if self.error is None:
            return "nothing to judge by"
        return "reached" if self.error <= self.target.bound else "not reached"


def counts(row: Row) -> bool:
    """Whether a row is judged: excised tissue without blood, and no part of a fit."""
    return not row.calibrated and not row.subject.perfused


def outcomes(rows: Iterable[Row]) -> list[Outcome]:
    """Judge every target, in the frames that are stated of the experiments."""
    judged = [row for row in rows if counts(row)]
    found = []
    for target in TARGETS:
        own = of_kind(judged, target.kind)
        own = [row for row in own if target.modality in ("", row.subject.modality)]
        if target.unit == "SD":
            own = [row for row in own if row.sd]
        score = statistics(own)
        error = None
        if score is not None:
            error = score.median_deviations if target.unit == "SD" else score.median_absolute
        count = 0 if score is None else score.count
        settings = {(row.subject.paper, row.subject.device, row.setting) for row in own}
        found.append(Outcome(target, count, len(settings), error))
    return found
