"""How far needles are apart, and at which angle they lie to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.distance import polyline_distance
from ablationsim.geometry.geometry import centrelines


@dataclass(frozen=True)
class Separation:
    """Two needles beside each other.

    Attributes
    ----------
    first, second : str
        Their names.
    gap : float
        Least distance between their surfaces, tines included, as far as they are in the patient [m].
    angle : float
        Between their shafts, 0 when parallel [rad].
    tips : float
        Between their tips [m].
    """

    first: str
    second: str
    gap: float
    angle: float
    tips: float


def separations(needles: Sequence[tuple[Applicator, float]]) -> tuple[Separation, ...]:
    """Return every pair of needles.

    Parameters
    ----------
    needles : sequence of (Applicator, float)
        Each with the length that is in the patient [m].
    """
    found = []
    for (first, long), (second, other) in combinations(needles, 2):
        gap = min(
            polyline_distance(a, b) - ra - rb
            for a, ra in centrelines(first, long)
            for b, rb in centrelines(second, other)
        )
        along = float(np.clip(first.axis @ second.axis, -1.0, 1.0))
        tips = float(np.linalg.norm(first.tip - second.tip))
        found.append(Separation(first.name, second.name, gap, float(np.arccos(along)), tips))
    return tuple(found)
