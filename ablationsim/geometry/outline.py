"""The lines that a device has in a patient: its shafts, and the points of its tines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.case.aim import aim
from ablationsim.device import Device
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.placement import Placement
from ablationsim.geometry.ways import Ways

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outline:
    """Where a device is, in its own frame; lengths are in metres.

    Attributes
    ----------
    shafts : (k, 3) float64
        Tips of its parallel shafts; one at the origin unless it is a cluster.
    radius : float
        Of a shaft.
    heated : float
        Height up to which it heats. Of an antenna that is as far above its feed as this is above the tip, within the
        section that radiates: a choke farther up does not.
    tines : (t, 3) float64
        Points of the deployed tines, root and insulated part included.
    bare : (t,) bool
        Which of these heat.
    wire : float
        Radius of a tine.
    """

    shafts: Floats
    radius: float
    heated: float
    tines: Floats
    bare: NDArray[np.bool_]
    wire: float

    @classmethod
    def of(cls, device: Device) -> Outline:
        """Take it from a device."""
        applicator = Applicator.build(0, device.applicator, Placement.along())
        heights = [section.z1 for section in applicator.sections if section.heated]
        tips = np.column_stack([applicator.shafts, np.zeros(len(applicator.shafts))])
        points = [tine.path for tine in applicator.tines]
        bare = []
        for tine in applicator.tines:
            length = np.linalg.norm(np.diff(tine.path, axis=0), axis=1)
            reached = np.concatenate([[0.0], np.cumsum(length)])
            bare.append((reached >= tine.insulated_length - 1e-9) & (tine.terminal is not None))
        return cls(
            tips,
            applicator.radius,
            max(heights, default=0.0) if device.antenna is None else min(max(heights), 2.0 * aim(device)),
            np.vstack(points) if points else np.empty((0, 3)),
            np.concatenate(bare) if bare else np.empty(0, dtype=bool),
            max((tine.radius for tine in applicator.tines), default=0.0),
        )

    def shafts_at(self, places: Ways, rotations: Floats) -> Ways:
        """Every shaft at every place, from its tip upward, in the order of the places: (n * k) ways.

        Parameters
        ----------
        places : Ways
            Of the device's origin.
        rotations : (n, 3, 3) float64
            Its axes as columns.
        """
        moved = np.einsum("nij,kj->nki", rotations, self.shafts) + places.origins[:, None]
        return Ways(moved.reshape(-1, 3), np.repeat(places.directions, len(self.shafts), axis=0))
