"""Where an applicator lies: the rigid motion from its device frame to the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.case.rotation import about_z, swing
from ablationsim.errors import GeometryError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placement:
    """A rigid motion. In the device frame the tip is the origin and the shaft runs along +z, toward the handle.

    Attributes
    ----------
    tip : (3,) float64
        World position of the tip in metres.
    rotation : (3, 3) float64
        Its columns are the device's x, y and z axes in world coordinates.
    """

    tip: Floats
    rotation: Floats

    @classmethod
    def along(
        cls, tip: Sequence[float] = (0, 0, 0), direction: Sequence[float] = (0, 0, 1), roll: float = 0.0
    ) -> Placement:
        """Place the tip, point the shaft from the tip along `direction`, and turn it by `roll` radians about itself.

        Without roll the device's axes are turned from the world's by the smallest rotation that takes +z to
        `direction` (half a turn about x when it is -z).

        Raises
        ------
        GeometryError
            When the direction has no length or a number is not finite.
        """
        origin, along = np.asarray(tip, dtype=float), np.asarray(direction, dtype=float)
        if origin.shape != (3,) or along.shape != (3,):
            raise GeometryError("An applicator's tip and direction need three coordinates each.")
        length = float(np.linalg.norm(along))
        if not (np.isfinite(origin).all() and np.isfinite(length) and np.isfinite(roll)) or length == 0:
            raise GeometryError(
                f"An applicator cannot be placed at tip {tip} with direction {direction} and roll {roll}: "
                "the direction must have a length and every number must be finite."
            )
        return cls(origin, swing(along / length) @ about_z(roll))

    @property
    def axis(self) -> Floats:
        """Unit vector from the tip along the shaft toward the handle, in world coordinates, shape (3,)."""
        return self.rotation[:, 2]

    def to_world(self, points: ArrayLike) -> Floats:
        """Turn device-frame points, shape (..., 3), into world points in metres."""
        return np.asarray(points, dtype=float) @ self.rotation.T + self.tip

    def to_device(self, points: ArrayLike) -> Floats:
        """Turn world points, shape (..., 3), into device-frame points in metres."""
        return (np.asarray(points, dtype=float) - self.tip) @ self.rotation
