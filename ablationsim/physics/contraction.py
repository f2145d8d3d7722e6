"""Contraction of heated tissue: how much shorter free tissue becomes with its history of temperature.

Proteins that denature pull the tissue together, and what has contracted stays so. Held at one temperature, free tissue
tends to a strain that rises with the temperature; the way there is of first order with one time constant:

    d(strain)/dt = max(equilibrium(T) - strain, 0) / time constant

Rossmann et al. 2014 heated porcine liver for 15 min at each of five temperatures, found the same course in time at all
of them, and printed the strain along the axis that was reached. What that paper does not give is assumed here: that
nothing happens below 50 degC, where it says contraction begins; a straight line from there to 60 degC; the strain of
95 degC for all that is hotter; and the time constant. Their samples took up to 150 s to become warm, and 15 min leave
little to come, which speaks for at most 300 s; cubes of 10 mm in a microwave field had contracted within a minute
(Farina et al. 2014), which speaks for 30 s or less at 100 degC.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ablationsim.units import ZERO_CELSIUS

TEMPERATURES = np.array([50.0, 60.0, 65.0, 75.0, 85.0, 95.0]) + ZERO_CELSIUS
STRAINS = np.array([0.0, 0.123, 0.138, 0.166, 0.192, 0.217])
"""Strain along one direction after 15 min at each of the temperatures [K]; the first is assumed, all else measured."""

TIME_CONSTANT = 100.0
"""Assumed time constant of contraction [s]; 30 to 300 s would agree with what was published."""


@njit(cache=True)
def equilibrium_strain(temperature: Any) -> Any:
    """Strain that free tissue tends to at a temperature or array of temperatures [K]."""
    return np.interp(temperature, TEMPERATURES, STRAINS)


@njit(cache=True)
def contract(strain: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64], share: float) -> None:
    """Let tissue contract while its temperature runs from ``start`` to ``end`` [K], in place.

    Parameters
    ----------
    strain : (n,) array
        Relative shortening of free tissue.
    start, end : (n,) array
        Temperature at the ends of the interval [K].
    share : float
        Of the way to equilibrium that is gone in the interval: ``1 - exp(-duration / time constant)``.
    """
    for i in range(len(strain)):
        a, b = start[i], end[i]
        if max(a, b) <= TEMPERATURES[0]:
            continue
        # Mean over the interval by Simpson's rule.
        middle = equilibrium_strain(0.5 * (a + b))
        goal = (equilibrium_strain(a) + 4.0 * middle + equilibrium_strain(b)) / 6.0
        if goal > strain[i]:
            strain[i] += share * (goal - strain[i])
