"""The block of tissue that is modelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.errors import GeometryError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Domain:
    """An upright cylinder (axis parallel to z) or a box parallel to the axes, in world coordinates and metres.

    Attributes
    ----------
    shape : str
        "cylinder" or "box".
    centre : (3,) float64
        Its centre.
    half : (3,) float64
        Half of its extent along x, y and z; for a cylinder (radius, radius, height / 2).
    """

    shape: str
    centre: Floats
    half: Floats

    @classmethod
    def cylinder(cls, centre: ArrayLike, radius: float, height: float) -> Domain:
        """Return an upright cylinder.

        Raises
        ------
        GeometryError
            When an extent is not positive.
        """
        return cls._checked("cylinder", centre, (radius, radius, height / 2))

    @classmethod
    def box(cls, centre: ArrayLike, size: ArrayLike) -> Domain:
        """Return a box of extent `size` (x, y, z).

        Raises
        ------
        GeometryError
            When an extent is not positive.
        """
        return cls._checked("box", centre, np.asarray(size, dtype=float) / 2)

    @classmethod
    def _checked(cls, shape: str, centre: ArrayLike, half: ArrayLike) -> Domain:
        half = np.asarray(half, dtype=float)
        if half.shape != (3,) or not (np.isfinite(half).all() and (half > 0).all()):
            raise GeometryError(f"The extents of the {shape} must be positive, got half extents {half.tolist()} m.")
        return cls(shape, np.asarray(centre, dtype=float), half)

    @property
    def volume(self) -> float:
        """Volume in m3, the applicators included."""
        return float(np.prod(self.half)) * (2 * np.pi if self.shape == "cylinder" else 8)

    @property
    def circumradius(self) -> float:
        """Largest distance of a point of the domain from its centre in metres."""
        across = self.half[0] if self.shape == "cylinder" else float(np.hypot(self.half[0], self.half[1]))
        return float(np.hypot(across, self.half[2]))

    def depth(self, points: ArrayLike) -> Floats:
        """Return how far inside the surface each point (..., 3) lies, in metres; negative outside."""
        offset = np.asarray(points, dtype=float) - self.centre
        if self.shape == "box":
            return (self.half - np.abs(offset)).min(axis=-1)
        lateral = self.half[0] - np.hypot(offset[..., 0], offset[..., 1])
        return np.minimum(lateral, self.half[2] - np.abs(offset[..., 2]))
