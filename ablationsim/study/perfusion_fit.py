"""The perfusion of a liver from one ablation that was measured: a fit of one number, with what it leaves open.

Perfusion is the least known number of a living liver and moves the zone most. A zone that is known, such as that of an
earlier ablation of the same patient, says what it was: the full model is run with other perfusions until its zone is
the measured one. All that makes the measured zone another one than the predicted one is then blamed on perfusion, also
what comes from elsewhere (efficiency of the device, edge of the segmentation, start temperature).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import CaseError
from ablationsim.study.perfusion_trial import Measured, Task, Trial, run_trial
from ablationsim.study.workers import Apply, workers
from ablationsim.units import show

SCHEMA, VERSION = "ablationsim/perfusion-fit", 1
NOTICE = "Research use only; not a medical device."
LEAST = 1e-4
"""Smallest perfusion that is tried [1/s]: less does not change a zone."""
RISE = 1.0
"""Rise of the misfit (squared standard deviations) that bounds the interval: 68 % for one unknown."""
UNEXPLAINED = 4.0
"""Misfit (squared standard deviations) of the best perfusion above which perfusion does not explain the zone."""

_START, _TRIALS = 4, 8
_TOLERANCE = 0.01  # of the logarithm: 1 % of the perfusion

Told = Callable[[str], None]


@dataclass(frozen=True)
class PerfusionFit:
    """A fitted perfusion.

    Attributes
    ----------
    perfusion : float
        Best within the range [1/s].
    low, high : float or None
        Ends of the interval in which the misfit rises by less than `RISE` [1/s]; None where it goes on beyond `range`.
    range : tuple of float
        Within which perfusion was sought: that of the tissue set [1/s].
    measured : str
        What it was fitted to, in words.
    trials : tuple of Trial
        In rising order of perfusion.
    verdict : {"fitted", "at the limit", "insensitive", "unexplained"}
    statements : tuple of str
        What a reader of the number must know.
    """

    perfusion: float
    low: float | None
    high: float | None
    range: tuple[float, float]
    measured: str
    trials: tuple[Trial, ...]
    verdict: str
    statements: tuple[str, ...]

    @property
    def best(self) -> Trial:
        """The trial with the fitted perfusion."""
        return min(self.trials, key=lambda trial: trial.misfit)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of fit.json but for what the command adds of files; perfusions in 1/s."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "notice": NOTICE,
            "status": "calibrated",
            "verdict": self.verdict,
            "perfusion": self.perfusion,
            "interval_68": [self.low, self.high],
            "range": list(self.range),
            "measured": self.measured,
            "trials": [asdict(trial) for trial in self.trials],
            "statements": list(self.statements),
        }


def fit_perfusion(
    case: Case,
    measured: Measured,
    *,
    folder: Path | None = None,
    jobs: int = 1,
    told: Told = lambda text: None,
) -> PerfusionFit:
    """Fit the perfusion of the tissue of a case to a measured zone of the ablation that it describes.

    Bounded minimisation of the misfit over the logarithm of the perfusion, within the range of the tissue set; the
    same input gives the same value. The perfusion of a tumour of its own is left as it is.

    Parameters
    ----------
    case : Case
        The ablation whose zone was measured, with the mesh to run it on.
    measured : Measured
    folder : Path, optional
        Where finished trials are kept, so that the same fit goes on after a stop.
    jobs : int
        Runs at a time.
    told : callable
        Gets a line about each trial.

    Raises
    ------
    CaseError
        When the tissue of the case has no range of perfusion.
    SolverError
        When a run fails.
    """
    low, high = _range(case)
    with workers(jobs) as apply:
        search = _Search(case, measured, folder, apply, told)
        search.at(np.geomspace(low, high, _START))
        _minimise(search)
        # The ends of the interval, where the misfit is then known and not only interpolated.
        search.at([end for end in _interval(search.trials, low, high) if end is not None])
    found = search.trials
    best = min(found, key=lambda trial: trial.misfit)
    first, last = _interval(found, low, high)
    verdict = _verdict(found, best, low, high)
    return PerfusionFit(
        perfusion=best.perfusion,
        low=first,
        high=last,
        range=(low, high),
        measured=measured.statement,
        trials=tuple(found),
        verdict=verdict,
        statements=_statements(case, verdict, best),
    )


def with_perfusion(case: Case, perfusion: float) -> Case:
    """The case with another perfusion of its tissue [1/s]."""
    return replace(case, tissue=case.tissue.with_overrides({"perfusion": perfusion}))


def _range(case: Case) -> tuple[float, float]:
    limits = case.tissue.sources["perfusion"].range
    if limits is None or limits[1] <= LEAST:
        raise CaseError(
            [
                f"the tissue set '{case.tissue.name}' has no perfusion that could be fitted; take the set of a living "
                "liver, such as liver_human"
            ]
        )
    return max(limits[0], LEAST), limits[1]


class _Search:
    """Trials that were made, and what makes more of them."""

    def __init__(self, case: Case, measured: Measured, folder: Path | None, apply: Apply, told: Told) -> None:
        self._case, self._measured, self._folder, self._apply, self._told = case, measured, folder, apply, told
        self._found: dict[float, Trial] = {}

    @property
    def trials(self) -> list[Trial]:
        """All trials, in rising order of perfusion."""
        return [self._found[perfusion] for perfusion in sorted(self._found)]

    def at(self, perfusions: Sequence[float] | np.ndarray) -> list[float]:
        """Misfits at some perfusions [1/s]; four digits tell one from another."""
        wanted = [float(f"{perfusion:.4g}") for perfusion in perfusions]
        new = [perfusion for perfusion in dict.fromkeys(wanted) if perfusion not in self._found]
        tasks = [Task(with_perfusion(self._case, value), value, self._measured, self._folder) for value in new]
        for trial in self._apply(run_trial, tasks, lambda trial: self._told(trial.line)):
            self._found[trial.perfusion] = trial
        return [self._found[perfusion].misfit for perfusion in wanted]


def _minimise(search: _Search) -> None:
    """Trials about the least misfit, between the neighbours of the best one so far."""
    from scipy.optimize import minimize_scalar

    trials = search.trials
    best = min(range(len(trials)), key=lambda number: trials[number].misfit)
    below, above = trials[max(best - 1, 0)], trials[min(best + 1, len(trials) - 1)]
    if best in (0, len(trials) - 1):
        # Where the misfit still falls toward the end of the range, nothing within it is better.
        inward = math.copysign(2.0 * _TOLERANCE, trials[-best - 1].perfusion - trials[best].perfusion)
        if search.at([trials[best].perfusion * math.exp(inward)])[0] > trials[best].misfit:
            return
    minimize_scalar(
        lambda x: search.at([math.exp(x)])[0],
        bounds=(math.log(below.perfusion), math.log(above.perfusion)),
        method="bounded",
        options={"xatol": _TOLERANCE, "maxiter": _TRIALS},
    )


def _interval(trials: Sequence[Trial], low: float, high: float) -> tuple[float | None, float | None]:
    """Perfusions at which the misfit, interpolated between trials, has risen by `RISE`; None beyond the range."""
    from scipy.interpolate import PchipInterpolator

    x = np.log([trial.perfusion for trial in trials])
    misfit = np.array([trial.misfit for trial in trials])
    fine = np.linspace(math.log(low), math.log(high), 2001)
    allowed = PchipInterpolator(x, misfit)(np.clip(fine, x[0], x[-1])) <= misfit.min() + RISE
    inside = fine[allowed]
    return (
        None if allowed[0] else float(math.exp(inside[0])),
        None if allowed[-1] else float(math.exp(inside[-1])),
    )


def _verdict(trials: Sequence[Trial], best: Trial, low: float, high: float) -> str:
    misfits = [trial.misfit for trial in trials]
    if max(misfits) - min(misfits) < RISE:
        return "insensitive"
    if best.misfit > UNEXPLAINED:
        return "unexplained"
    near = 2.0 * _TOLERANCE
    if math.log(best.perfusion / low) < near or math.log(high / best.perfusion) < near:
        return "at the limit"
    return "fitted"


def _statements(case: Case, verdict: str, best: Trial) -> tuple[str, ...]:
    low, high = (show(limit, "perfusion_rate") for limit in _range(case))
    within = f"the range of the tissue set '{case.tissue.name}', {low} to {high}"
    first = {
        "insensitive": f"The zone hardly depends on perfusion within {within}: every one of them fits, and the value "
        "says nothing.",
        "unexplained": f"No perfusion within {within} makes the zone that was measured: the best one is "
        f"{math.sqrt(best.misfit):.1f} standard deviations off. Something else differs (place of the needle, power, "
        "device, what was segmented); do not use the value.",
        "at the limit": f"The best perfusion lies at the end of {within}: the true one may lie beyond. Take a tissue "
        "set whose range goes on there, or look for another difference.",
        "fitted": f"The best perfusion within {within}.",
    }[verdict]
    return (
        first,
        "All of the difference between measurement and model is blamed on perfusion, also what comes from elsewhere "
        "(efficiency of the device, edge of the segmentation).",
        f"Elements {case.mesh.resolution:g} times the default size; predictions made with the value need the same.",
    )
