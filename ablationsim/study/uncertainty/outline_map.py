"""How probable it is that a place is ablated, round the needle as it came to lie: from the outlines of many runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.study.uncertainty.surface import Outline

Floats = NDArray[np.float64]

SPACING = 0.25
"""Of the places at which the probability is known [mm]."""
BANDS = (0.05, 0.5, 0.95)
"""Probabilities whose contours are drawn: between the outer two the outline lies in nine of ten samples."""

_ROUND = 3.0  # mm of tissue that a map shows beyond the largest zone


@dataclass(frozen=True, eq=False)
class Chance:
    """Share of the samples in whose zone each place is.

    Attributes
    ----------
    r, z : (m,), (n,) array
        From the axis, and along the shaft from the tip [mm].
    share : (n, m) array
    samples : int
    """

    r: Floats
    z: Floats
    share: Floats
    samples: int


def chance(outlines: Sequence[Outline]) -> Chance | None:
    """The map of some zones; None where one is not axisymmetric, or there is no zone at all."""
    if not outlines or not all(outline.axisymmetric for outline in outlines):
        return None
    points = [outline.points for outline in outlines if len(outline.facets)]
    if not points:
        return None
    low, high = np.concatenate(points).min(axis=0), np.concatenate(points).max(axis=0)
    r = np.arange(0.5 * SPACING, high[0] + _ROUND, SPACING)
    # Half a step aside of round numbers, where ends of segments are.
    z = np.arange(np.floor(low[1] - _ROUND) + 0.5 * SPACING, high[1] + _ROUND, SPACING)
    grid = np.meshgrid(r, z)
    inside = np.zeros(grid[0].size)
    for outline in outlines:
        if len(outline.facets):
            inside += outline.holds(grid[0].ravel(), grid[1].ravel())
    return Chance(r, z, (inside / len(outlines)).reshape(grid[0].shape), len(outlines))
