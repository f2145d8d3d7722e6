"""Heat transfer between a vessel's wall and what flows in it.

The mean Nusselt number of a round tube of uniform wall temperature, over its heated length L:

- laminar, up to a Reynolds number of 2300 (Hausen): ``Nu = 3.66 + 0.0668 Gz / (1 + 0.04 Gz^(2/3))`` with the Graetz
  number ``Gz = Re Pr D / L``. In vessels wider than 1 mm the thermal boundary layer is still thin where the heated
  length ends, and Nu is several times the 3.66 of a long tube;
- turbulent, from 4000 on (Gnielinski, with the friction factor of Konakov):
  ``Nu = f/8 (Re - 1000) Pr / (1 + 12.7 sqrt(f/8) (Pr^(2/3) - 1)) (1 + (D/L)^(2/3))``, ``f = (1.8 log10 Re - 1.5)^-2``;
- between, linear in the Reynolds number from one to the other (Gnielinski 2013, citation ``gnielinski2013``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ablationsim.vessels.vessel import Fluid

LAMINAR = 2300.0
"""Reynolds number up to which the flow in a tube is laminar."""

TURBULENT = 4000.0
"""Reynolds number from which on it is turbulent."""

HEATED_LENGTH = 30e-3
"""Length over which the tissue round a vessel is warm [m] (assumed: about the size of an ablation zone).

It is that of every branch: centrelines of segmentations are cut into short pieces by chance, and the blood's layer of
warmth does not begin anew at each."""


@dataclass(frozen=True)
class Convection:
    """Forced convection in a round tube.

    Attributes
    ----------
    speed : float
        Mean over the cross-section [m/s].
    reynolds, nusselt : float
        The Nusselt number is the mean over the heated length; zero where nothing flows.
    coefficient : float
        From the inner surface of the tube to the fluid [W/m2/K]; zero where nothing flows.
    """

    speed: float
    reynolds: float
    nusselt: float
    coefficient: float


def nusselt_number(reynolds: float, prandtl: float, diameter_over_length: float) -> float:
    """Mean Nusselt number of a round tube over its heated length.

    Parameters
    ----------
    reynolds, prandtl : float
        Not negative.
    diameter_over_length : float
        Diameter over heated length; taken as 1 where it is more, for no correlation holds beyond.
    """
    ratio = min(diameter_over_length, 1.0)
    if reynolds <= LAMINAR:
        return _laminar(reynolds, prandtl, ratio)
    if reynolds >= TURBULENT:
        return _turbulent(reynolds, prandtl, ratio)
    share = (reynolds - LAMINAR) / (TURBULENT - LAMINAR)
    return (1.0 - share) * _laminar(LAMINAR, prandtl, ratio) + share * _turbulent(TURBULENT, prandtl, ratio)


def convection(fluid: Fluid, flow: float, diameter: float, heated_length: float) -> Convection:
    """Forced convection of a flow [m3/s] in a tube of inner `diameter` over its `heated_length` [m]."""
    if flow == 0.0:
        return Convection(0.0, 0.0, 0.0, 0.0)
    speed = flow / (0.25 * math.pi * diameter**2)
    reynolds = fluid.density * speed * diameter / fluid.viscosity
    prandtl = fluid.viscosity * fluid.heat_capacity / fluid.thermal_conductivity
    number = nusselt_number(reynolds, prandtl, diameter / heated_length)
    return Convection(speed, reynolds, number, number * fluid.thermal_conductivity / diameter)


def wall_coefficient(
    fluid: Fluid,
    flow: float,
    diameter: float,
    heated_length: float,
    wall_thickness: float = 0.0,
    wall_conductivity: float = math.inf,
) -> float:
    """Heat transfer coefficient from the outer surface of a tube to what flows in it [W/m2/K].

    Parameters
    ----------
    fluid : Fluid
    flow : float
        [m3/s]; without flow there is no forced convection and the coefficient is zero.
    diameter : float
        Of the lumen [m].
    heated_length : float
        [m]
    wall_thickness, wall_conductivity : float
        Of the tube's own wall [m, W/m/K].
    """
    inner = convection(fluid, flow, diameter, heated_length).coefficient
    return through_wall(inner, diameter, wall_thickness, wall_conductivity)


def through_wall(inner: float, diameter: float, wall_thickness: float, wall_conductivity: float) -> float:
    """The coefficient at the outer surface of a tube that has the coefficient `inner` at its lumen [W/m2/K].

    `diameter` is that of the lumen. Both resistances are those of cylinders, on the area of the outer surface.
    """
    if inner == 0.0:
        return 0.0
    inside, outside = 0.5 * diameter, 0.5 * diameter + wall_thickness
    return 1.0 / (outside / (inside * inner) + outside * math.log(outside / inside) / wall_conductivity)


def _laminar(reynolds: float, prandtl: float, ratio: float) -> float:
    graetz = reynolds * prandtl * ratio
    return float(3.66 + 0.0668 * graetz / (1.0 + 0.04 * graetz ** (2.0 / 3.0)))


def _turbulent(reynolds: float, prandtl: float, ratio: float) -> float:
    friction = (1.8 * math.log10(reynolds) - 1.5) ** -2 / 8.0
    developed = friction * (reynolds - 1000.0) * prandtl
    developed /= 1.0 + 12.7 * math.sqrt(friction) * (prandtl ** (2.0 / 3.0) - 1.0)
    return float(developed * (1.0 + ratio ** (2.0 / 3.0)))
