"""What is known of the way of a needle to its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clearance:
    """Distance of a needle from an obstacle.

    Attributes
    ----------
    name : str
        The nearest structure.
    distance : float
        Between the surfaces; negative when they overlap [m].
    at_least : bool
        Whether it is larger than that.
    limit : float
        What is wanted [m].
    height : float
        How far from the tip along the shaft [m].
    """

    name: str
    distance: float
    at_least: bool
    limit: float
    height: float


@dataclass(frozen=True, eq=False)
class Access:
    """The way of one needle to its place; lengths in metres, angles in radians.

    Attributes
    ----------
    name : str
        Of the applicator.
    problems : tuple of str
        Limits that are not kept, one sentence each; none when the needle can be placed.
    notes : tuple of str
        What could not be checked.
    depth, liver_depth, parenchyma, capsule, capsule_angle, axial_angle : float
        As in `ablationsim.geometry.access.Measures`.
    surface : {"entry", "skin", "liver"}
        What `depth` is measured to.
    entry : (3,) float64
        Where the needle enters there, world coordinates [m].
    clearances : tuple of Clearance
    """

    name: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    depth: float
    liver_depth: float
    parenchyma: float
    capsule: float
    capsule_angle: float
    axial_angle: float
    surface: str
    entry: Floats
    clearances: tuple[Clearance, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data; lengths in mm, angles in degrees."""
        return {
            "name": self.name,
            "feasible": not self.problems,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "depth_mm": 1e3 * self.depth,
            "depth_from": self.surface,
            "entry_mm": [1e3 * float(x) for x in self.entry],
            "liver_depth_mm": 1e3 * self.liver_depth,
            "parenchyma_mm": 1e3 * self.parenchyma,
            "capsule_mm": 1e3 * self.capsule,
            "capsule_angle_deg": float(np.rad2deg(self.capsule_angle)),
            "axial_angle_deg": float(np.rad2deg(self.axial_angle)),
            "clearances": [
                {
                    "name": each.name,
                    "distance_mm": 1e3 * each.distance,
                    "at_least": each.at_least,
                    "limit_mm": 1e3 * each.limit,
                    "from_tip_mm": 1e3 * each.height,
                }
                for each in self.clearances
            ],
        }
