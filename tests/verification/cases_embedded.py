"""A tube beside a needle in whole runs: its wall embedded in a mesh that does not know of it, against a fitted one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from ablationsim import simulate
from ablationsim.case import Case
from ablationsim.geometry.geometry import Geometry
from ablationsim.zone.toward import heated_axis, radius_toward

Heating = Literal["microwave", "radiofrequency"]
Walls = Literal["embedded", "fitted", "none"]

HEATING = {
    "microwave": ("mwa_slot_reference", "30 W", "5 min"),
    "radiofrequency": ("rfa_cooltip_17g_3cm_like", "40 W", "4 min"),
}
"""Device, power and duration."""

TUBE_DIAMETER = 5.0  # mm
HEIGHTS = np.linspace(-10e-3, 10e-3, 9)
"""From the middle of what heats: where the zone's radius toward the tube is taken [m]."""


@dataclass(frozen=True)
class Run:
    """What one run gave.

    Attributes
    ----------
    nodes : int
        Of the mesh.
    volume_ml : float
        Of the zone.
    radius_mm : tuple of float
        How far the zone reaches toward the tube from the axis of the needle, at `HEIGHTS`.
    energy_j : float
        Heat that the tube's water carried off.
    account : float
        Share of the energy put in that is unaccounted for.
    """

    nodes: int
    volume_ml: float
    radius_mm: tuple[float, ...]
    energy_j: float
    account: float


def tube_beside_needle(heating: Heating, distance: float, walls: Walls, resolution: float) -> Case:
    """A tube of 5 mm along the needle, its axis `distance` millimetres from that of the needle, in liver at 37 °C."""
    device, power, duration = HEATING[heating]
    x = f"{distance} mm"
    tube = {
        "name": "tube",
        "kind": "tube",
        "points": [[x, "0 mm", "-100 mm"], [x, "0 mm", "150 mm"]],
        "diameter": f"{TUBE_DIAMETER} mm",
        "flow": "100 mL/min",
    }
    return Case.from_dict(
        {
            "device": {"profile": device},
            "protocol": [{"mode": "power", "power": power, "duration": duration}],
            "tissue": {"set": "liver_porcine_ex_vivo", "temperature": "37 degC"},
            "mesh": {"resolution": resolution, **({} if walls == "none" else {"vessels": walls})},
            **({"domain": {"dimension": "3d"}} if walls == "none" else {"vessel": [tube]}),
        }
    )


@cache
def beside_needle(heating: Heating, distance: float, walls: Walls, resolution: float) -> Run:
    """Run the case of `tube_beside_needle`."""
    case = tube_beside_needle(heating, distance, walls, resolution)
    result = simulate(case)
    (applicator,) = Geometry.from_case(case).applicators
    middle = heated_axis(applicator).mean(axis=0)
    toward = [
        1e3 * radius_toward(result.mesh, result.fields["level"], middle + height * applicator.axis, (1.0, 0.0, 0.0))
        for height in HEIGHTS
    ]
    return Run(
        nodes=len(result.mesh.points),
        volume_ml=result.zone.volume_ml,
        radius_mm=tuple(toward),
        energy_j=0.0 if walls == "none" else float(result.document["vessels"]["energy_j"]),
        account=float(result.document["energy_balance"]["relative_error"]),
    )
