"""Where an applicator came to lie, as opposed to where it was planned.

Depth moves it along its shaft, positive further in. Offset moves it across the shaft: where there is a vessel, away
from the place of its wall that is nearest to what heats, else along the x axis of the applicator. Angle tilts the shaft
about the tip, with the handle in the direction of the offset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.case import Case
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.placement import Placement
from ablationsim.vasculature.build import build_vessels
from ablationsim.zone.toward import closest_approach, heated_axis

Floats = NDArray[np.float64]

KEYS = ("depth", "offset", "angle")


@dataclass(frozen=True, eq=False)
class Plan:
    """The planned place of the only applicator of a case.

    Attributes
    ----------
    place : Placement
    roll : float
        [rad]
    away : (3,) float64
        Unit vector across the shaft, of the offset.
    fixed : bool
        Whether anything that a run knows of stays where it is when the applicator moves: vessels, a tumour.
    distance : float or None
        From the heated part of the axis to the nearest wall of a vessel [m].
    """

    place: Placement
    roll: float
    away: Floats
    fixed: bool
    distance: float | None

    @classmethod
    def of(cls, case: Case) -> Plan:
        """The plan of a case."""
        first = case.applicators[0]
        place = Placement.along(first.tip, first.direction, first.roll)
        fixed = bool(case.vessels or case.tumour)
        away, distance = place.rotation[:, 0], None
        if case.vessels:
            line = heated_axis(Geometry.from_case(case).applicators[0])
            near = min(
                (closest_approach(line, built.vessel.wall) for built in build_vessels(case)), key=lambda found: found[2]
            )
            distance = near[2]
            across = near[0] - near[1]
            across = across - (across @ place.axis) * place.axis
            length = float(np.linalg.norm(across))
            # A vessel straight ahead of the tip is in no direction across the shaft.
            away = across / length if length > 1e-6 else away
        return cls(place, first.roll, away, fixed, distance)

    def moved(self, depth: float = 0.0, offset: float = 0.0, angle: float = 0.0) -> Placement:
        """The place with errors [m, m, rad]."""
        axis = self.place.axis
        tip = self.place.tip - depth * axis + offset * self.away
        return Placement.along(tip.tolist(), (math.cos(angle) * axis + math.sin(angle) * self.away).tolist(), self.roll)

    def applied(self, data: Mapping[str, Any], errors: Mapping[str, float]) -> dict[str, Any]:
        """The content of a case file with the applicator where it came to lie; as it was where nothing feels that."""
        if not self.fixed or not any(errors.values()):
            return dict(data)
        place = self.moved(**errors)
        entry = dict(data["applicator"][0]) if "applicator" in data else {"name": "A0", **data["device"]}
        if "protocol" in data:
            entry["protocol"] = data["protocol"]
        entry |= {"tip": [f"{x!r} m" for x in place.tip.tolist()], "direction": place.axis.tolist()}
        rest = {key: value for key, value in data.items() if key not in ("device", "protocol", "applicator")}
        return {**rest, "applicator": [entry]}

    def target(self, depth: float, errors: Mapping[str, float]) -> Floats:
        """Centre of a target, planned at a depth on the shaft [m], as the applicator sees it where it came to lie."""
        return self.moved(**errors).to_device(self.place.to_world([0.0, 0.0, depth]))
