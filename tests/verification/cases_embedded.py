"""A tube beside a needle in whole runs: its wall embedded in a mesh that does not know of it, against a fitted one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from ablationsim import Result, simulate
from ablationsim.case import Case
from ablationsim.geometry.geometry import Geometry
from ablationsim.zone.toward import heated_axis, radius_toward

Heating = Literal["microwave", "radiofrequency"]
Walls = Literal["embedded", "fitted"]

HEATING = {
    "microwave": ("mwa_slot_reference", "30 W", "5 min"),
    "radiofrequency": ("rfa_cooltip_17g_3cm_like", "40 W", "4 min"),
}
"""Device, power and duration."""

DIAMETER = 5.0
"""Of the tube [mm]."""

HEIGHTS = np.linspace(-10e-3, 10e-3, 9)
"""Above the middle of what heats, where the zone's radius toward the tube is taken [m]."""


@dataclass(frozen=True)
class Run:
    """What one run gave.

    Attributes
    ----------
    heating, distance, walls, resolution
        Of the case; the distance is that between the axes of needle and tube [mm].
    nodes : int
        Of the mesh.
    volume_ml : float
        Of the zone.
    radius_mm : tuple of float
        How far the zone reaches toward the tube from the needle's axis, at `HEIGHTS`.
    energy_j : float
        Heat that the tube's water carried off.
    unaccounted : float
        Share of the energy put in that is missing in the balance.
    """

    heating: Heating
    distance: float
    walls: Walls
    resolution: float
    nodes: int
    volume_ml: float
    radius_mm: tuple[float, ...]
    energy_j: float
    unaccounted: float

    def farthest(self, other: Run) -> float:
        """Largest difference from another run in the zone's radius toward the tube, at any height [mm]."""
        return float(np.max(np.abs(np.subtract(self.radius_mm, other.radius_mm))))


def tube_beside_needle(
    heating: Heating, distance: float, walls: Walls, resolution: float, duration: str | None = None
) -> Case:
    """A tube along the needle with 100 mL of water a minute, in liver at 37 °C without perfusion."""
    device, power, usual = HEATING[heating]
    x = f"{distance} mm"
    return Case.from_dict(
        {
            "device": {"profile": device},
            "protocol": [{"mode": "power", "power": power, "duration": duration or usual}],
            "tissue": {"set": "liver_porcine_ex_vivo", "temperature": "37 degC"},
            "vessel": [
                {
                    "name": "tube",
                    "kind": "tube",
                    "points": [[x, "0 mm", "-100 mm"], [x, "0 mm", "150 mm"]],
                    "diameter": f"{DIAMETER} mm",
                    "flow": "100 mL/min",
                }
            ],
            "mesh": {"resolution": resolution, "vessels": walls},
        }
    )


@cache
def beside_needle(
    heating: Heating, distance: float, walls: Walls, resolution: float, duration: str | None = None
) -> Run:
    """Run the case of `tube_beside_needle`."""
    return measured(simulate(tube_beside_needle(heating, distance, walls, resolution, duration)), heating, distance)


def measured(result: Result, heating: Heating, distance: float) -> Run:
    """Sizes and heat of a run of `tube_beside_needle`."""
    case = result.case
    (applicator,) = Geometry.from_case(case).applicators
    middle = heated_axis(applicator).mean(axis=0)
    radii = (
        1e3 * radius_toward(result.mesh, result.fields["level"], middle + height * applicator.axis, (1.0, 0.0, 0.0))
        for height in HEIGHTS
    )
    return Run(
        heating=heating,
        distance=distance,
        walls=case.mesh.vessels,
        resolution=case.mesh.resolution,
        nodes=len(result.mesh.points),
        volume_ml=result.zone.volume_ml,
        radius_mm=tuple(radii),
        energy_j=float(result.document["vessels"]["energy_j"]),
        unaccounted=float(result.document["energy_balance"]["relative_error"]),
    )
