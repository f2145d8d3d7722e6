"""How tissue properties change with temperature.

Every law is piecewise linear in the temperature, which is all that the published data support; sums stay piecewise
linear and integrals are exact. Dielectric laws at microwave frequencies are in `ablationsim.tissue.dielectric`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.units import ZERO_CELSIUS

Array = NDArray[np.float64]

BODY = 37.0 + ZERO_CELSIUS
"""Temperature [K] at which the sets give their conductivities."""

BOILING = 100.0 + ZERO_CELSIUS
"""Temperature [K] above which the conductivities no longer rise (Hall et al. 2015 cap both laws here)."""


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """A property against temperature: straight lines between knots, constant outside them.

    Attributes
    ----------
    temperatures : (n,) float64
        Knots [K], strictly increasing.
    values : (n,) float64
        Property at the knots.
    """

    temperatures: Array
    values: Array

    @classmethod
    def through(cls, *knots: tuple[float, float]) -> PiecewiseLinear:
        """Build from (temperature, value) pairs."""
        temperatures, values = np.array(knots, dtype=float).T
        return cls(temperatures, values)

    def __call__(self, temperature: Array) -> Array:
        """Value at each temperature [K]."""
        return np.interp(temperature, self.temperatures, self.values)

    def __add__(self, other: PiecewiseLinear) -> PiecewiseLinear:
        knots = np.union1d(self.temperatures, other.temperatures)
        return PiecewiseLinear(knots, self(knots) + other(knots))

    def integral(self, temperature: Array, start: float) -> Array:
        """Exact integral over temperature from `start` [K] to each `temperature` [K]."""
        return self._primitive(temperature) - self._primitive(np.array([start]))

    def _primitive(self, temperature: Array) -> Array:
        """Integral from the first knot; the trapezoid rule is exact between neighbouring knots."""
        knots, values = self.temperatures, self.values
        at_knots = np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]) * np.diff(knots))])
        below = np.clip(np.searchsorted(knots, temperature, side="right") - 1, 0, None)
        return at_knots[below] + 0.5 * (values[below] + self(temperature)) * (temperature - knots[below])


def thermal_conductivity(at_body: float, slope: float) -> PiecewiseLinear:
    """Thermal conductivity [W/m/K]: constant below 37 °C, rising to 100 °C, constant above.

    Guntur et al. 2013 found the minimum of porcine liver at 35-40 °C and a rise on heating, by 45 % at 90 °C; the
    10 % by which they saw it fall from 20 to 35 °C is left out. The cap is that of Hall et al. 2015.

    Parameters
    ----------
    at_body : float
        Value at 37 °C [W/m/K].
    slope : float
        Rise [W/m/K2].
    """
    return PiecewiseLinear.through((BODY, at_body), (BOILING, at_body + slope * (BOILING - BODY)))


def electric_conductivity(at_body: float, slope: float, dried: float, drying_width: float) -> PiecewiseLinear:
    """Electric conductivity [S/m]: rising linearly to 100 °C, then collapsing as the tissue dries (Hall et al. 2015).

    Below 0 °C, where no ablation works, it stays constant; the straight line would pass zero there.

    Parameters
    ----------
    at_body : float
        Value at 37 °C [S/m].
    slope : float
        Rise relative to `at_body` [1/K].
    dried : float
        Value of dried tissue relative to `at_body`.
    drying_width : float
        Width of the collapse above 100 °C [K].
    """

    def rising(temperature: float) -> float:
        return at_body * (1.0 + slope * (temperature - BODY))

    return PiecewiseLinear.through(
        (ZERO_CELSIUS, rising(ZERO_CELSIUS)),
        (BOILING, rising(BOILING)),
        (BOILING + drying_width, dried * at_body),
    )


def sensible_capacity(
    wet: float, rise_factor: float, rise_start: float, rise_end: float, band: tuple[float, float], dried: float
) -> PiecewiseLinear:
    """Volumetric heat capacity without latent heat [J/m3/K].

    Constant, rising while proteins denature (Haemmerich et al. 2006), constant again, going over to that of dried
    tissue within the vaporisation band.

    Parameters
    ----------
    wet, dried : float
        Capacity of unheated and of dried tissue [J/m3/K].
    rise_factor : float
        Capacity above `rise_end` relative to `wet`.
    rise_start, rise_end : float
        Ends of the rise [K]; the rise is over before the band begins.
    band : tuple of float
        Temperatures [K] between which the water vaporises.
    """
    hot = rise_factor * wet
    return PiecewiseLinear.through((rise_start, wet), (rise_end, hot), (band[0], hot), (band[1], dried))


def latent_capacity(energy: float, band: tuple[float, float], rounding: float) -> PiecewiseLinear:
    """Latent heat of the tissue's water as a heat capacity [J/m3/K], spread evenly over the vaporisation band.

    The ends are ramps of twice `rounding`, centred on the ends of the band: the capacity is continuous and the total
    exact.

    Parameters
    ----------
    energy : float
        Latent heat of the water in a volume of tissue [J/m3]; may be 0.
    band : tuple of float
        Temperatures [K] between which the water vaporises; at least twice `rounding` apart.
    rounding : float
        Half width of the ramps [K].
    """
    lower, upper = band
    height = energy / (upper - lower)
    corners = [(lower - rounding, 0.0), (lower + rounding, height), (upper - rounding, height), (upper + rounding, 0.0)]
    # In the narrowest band the ramps meet and the two upper corners are one.
    return PiecewiseLinear.through(
        *(corner for i, corner in enumerate(corners) if i == 0 or corner[0] > corners[i - 1][0])
    )
