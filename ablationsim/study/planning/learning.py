"""What the stock does not know, learnt from runs of the full model: vessels, the perfusion of the tumour.

At every point of the site, the drive of a finished run is compared with what the stock says of the same plan. Their
ratio belongs to the place (vessels and tumour stay where they are) and is taken over to plans that are like that one,
the more the more alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ablationsim.study.planning.candidate import Candidate

Floats = NDArray[np.float64]

ALIKE = (5e-3, 0.25, 0.2, 0.3)
"""Differences at which a run says half as much as one of the same plan: place of the tip [m], direction [rad], and
logarithms of power and time. Assumed: they decide how fast a search settles, not what is said about a plan."""

_FLOOR, _CLEAR = 0.1, 0.5  # of drive: where hardly anything is heated a ratio says nothing, and where it says all
_LIMITS = (0.3, 2.5)
_NONE = 0.05  # weight of no correction at all
_SAME = 0.01  # square of a difference too small for another run


@dataclass
class Learning:
    """Ratios of drive at all points of a site (p,), and how much higher zones end at shafts, of each finished run."""

    plans: list[Candidate] = field(default_factory=list)
    ratios: list[Floats] = field(default_factory=list)
    rises: list[float] = field(default_factory=list)

    def add(self, plan: Candidate, full: Floats, expected: Floats, rise: float = 0.0) -> None:
        """Learn from a run.

        Parameters
        ----------
        plan : Candidate
            What was run.
        full, expected : (p,) float64
            Drive of the run, and of the stock, at the points of the site.
        rise : float
            How much higher above the tip the zone of the run ends at its shafts than that of the stock [m].
        """
        full, expected = np.maximum(full, 0.0), np.maximum(expected, 0.0)
        # Nothing is left of it where zones end.
        floor = _FLOOR * np.clip(1.0 - expected / _CLEAR, 0.0, 1.0)
        ratio = (full + floor) / (expected + floor)
        self.plans.append(plan)
        self.ratios.append(np.clip(ratio, *_LIMITS))
        self.rises.append(rise)

    def factor(self, plan: Candidate) -> Floats | float:
        """Return what the drive of a plan is to be multiplied with, shape (p,); 1 before anything was learnt."""
        if not self.plans:
            return 1.0
        weights, total = self._weights(plan)
        found = np.full(len(self.ratios[0]), _NONE / total)
        for weight, ratio in zip(weights, self.ratios, strict=True):
            found += weight / total * ratio
        return found

    def rise(self, plan: Candidate) -> float:
        """Return how much higher above the tip the zone of a plan ends at its shafts than that of the stock [m]."""
        if not self.plans:
            return 0.0
        weights, total = self._weights(plan)
        return float(weights @ self.rises) / total

    def _weights(self, plan: Candidate) -> tuple[Floats, float]:
        """What each run counts for a plan, and all of them together with the stock as it is."""
        weights = np.array([1.0 / (1e-3 + _difference(plan, known)) for known in self.plans])
        return weights, float(weights.sum()) + _NONE


def _difference(plan: Candidate, known: Candidate) -> float:
    """Square of how different two plans are, in units of `ALIKE`; infinite for another number of needles."""
    if len(plan.tips) != len(known.tips):
        return np.inf
    tip = float(np.linalg.norm(plan.tips - known.tips, axis=1).max())
    cosine = float(np.clip((plan.axes * known.axes).sum(axis=1).min(), -1.0, 1.0))
    apart = (tip, np.arccos(cosine), np.log(plan.power / known.power), np.log(plan.time / known.time))
    return float(sum((x / scale) ** 2 for x, scale in zip(apart, ALIKE, strict=True)))


def known(plans: Sequence[Candidate], plan: Candidate) -> bool:
    """Whether a plan is as good as one of some others."""
    return any(_difference(plan, other) < _SAME for other in plans)
