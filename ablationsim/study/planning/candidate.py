"""A plan as the search sees it: where needles are, at which power, for how long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Candidate:
    """Needles that work at the same time with the same setting.

    Attributes
    ----------
    tips, axes : (n, 3) float64
        Tips [m], and unit vectors toward the handles.
    power, time : float
        Of each generator [W, s].
    setting : int
        Number of the setting in the tables.
    """

    tips: Floats
    axes: Floats
    power: float
    time: float
    setting: int
