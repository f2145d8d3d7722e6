"""What makes one plan better than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LACKING = 10.0
"""Healthy liver that a millimetre of missing margin is worth where it is least [mL/mm]; three times that as the mean
over the tumour's surface."""
UNCOVERED = 50.0
"""The same for a millimetre by which the tumour itself is not covered [mL/mm]."""
MINUTE = {"healthy": 0.5, "margin": 0.5, "time": 10.0}
"""Healthy liver that a minute is worth, by objective [mL/min]."""
PUNCTURE = 5.0
"""Healthy liver that another needle is worth [mL]."""
ORGAN = 1000.0
"""Healthy liver that a millilitre of another organ in the zone is worth [mL/mL]."""
MOST = 10e-3
"""Margin that is sought when the objective is the margin [m]: beyond it nothing was found to be gained."""
RESERVE = 0.1e-3
"""What is aimed at beyond the margin [m], so that small errors of the reduced model do not miss it."""

Objective = Literal["healthy", "margin", "time"]


@dataclass(frozen=True)
class Goal:
    """A margin to be reached, and what is to be spared.

    All is weighed in millilitres of healthy liver. The weights are assumed: they rank plans, and what a plan does is in
    its own numbers.

    Attributes
    ----------
    margin : float
        That is wanted [m].
    objective : {"healthy", "margin", "time"}
    """

    margin: float
    objective: Objective = "healthy"

    @property
    def aim(self) -> float:
        """Margin that the search goes for [m]."""
        return (max(MOST, self.margin) if self.objective == "margin" else self.margin) + RESERVE

    def lacking(self, margins: Floats, attainable: Floats) -> Floats:
        """Return by how much margins (m, n) on n rays miss what is wanted and can be had there, shape (m, n) [m]."""
        return np.maximum(np.minimum(self.aim, attainable) - margins, 0.0)

    def cost(
        self,
        margins: Floats,
        attainable: Floats,
        healthy: Floats | float,
        time: Floats | float,
        needles: int = 1,
        organs: Floats | float = 0.0,
        dents: Floats | float = 0.0,
    ) -> Floats:
        """Return what plans cost, less being better, shape (m,) [mL].

        Parameters
        ----------
        margins : (m, n) float64
            On n rays of the tumour [m].
        attainable : (n,) float64
            How far a zone can reach on each [m].
        healthy, organs : (m,) float64 or float
            Healthy liver, and other organs, in the zone [m3].
        time : (m,) float64 or float
            With power on [s].
        needles : int
        dents : (m,) float64 or float
            How far from the tumour the zone ends at the shafts, negative in it [m].
        """
        lacking = 1e3 * self.lacking(margins, attainable)
        uncovered = np.maximum(-1e3 * np.minimum(margins.min(axis=1), dents), 0.0)
        weighed: Floats = (
            1e6 * healthy
            + 1e6 * ORGAN * organs
            + MINUTE[self.objective] * time / 60.0
            + PUNCTURE * (needles - 1)
            + LACKING * (lacking.max(axis=1) + 3.0 * lacking.mean(axis=1))
            + UNCOVERED * uncovered
        )
        return weighed


def pareto(numbers: Sequence[Sequence[float]]) -> list[bool]:
    """Return which rows no other row beats: as good in every column, and better in one; less is better."""
    table = np.asarray(numbers, dtype=np.float64).reshape(len(numbers), -1)
    return [not any((other <= row + 1e-12).all() and (other < row - 1e-12).any() for other in table) for row in table]
