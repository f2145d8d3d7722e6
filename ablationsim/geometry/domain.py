"""The block of tissue that is modelled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.errors import GeometryError
from ablationsim.geometry.placement import Placement

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Domain:
    """A cylinder (axis parallel to z) or a box parallel to the axes, of the world or of a frame of its own; metres.

    Attributes
    ----------
    shape : str
        "cylinder" or "box".
    centre : (3,) float64
        Its centre, world coordinates.
    half : (3,) float64
        Half of its extent along x, y and z of its frame; for a cylinder (radius, radius, height / 2).
    frame : Placement or None
        The frame that it is upright in, such as an applicator's; None for the world.
    """

    shape: str
    centre: Floats
    half: Floats
    frame: Placement | None = None

    @classmethod
    def cylinder(cls, centre: ArrayLike, radius: float, height: float, frame: Placement | None = None) -> Domain:
        """Return a cylinder about a world point, upright in the world or in another frame.

        Raises
        ------
        GeometryError
            When an extent is not positive.
        """
        return cls._checked("cylinder", centre, (radius, radius, height / 2), frame)

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
    def _checked(cls, shape: str, centre: ArrayLike, half: ArrayLike, frame: Placement | None = None) -> Domain:
        half = np.asarray(half, dtype=float)
        if half.shape != (3,) or not (np.isfinite(half).all() and (half > 0).all()):
            raise GeometryError(f"The extents of the {shape} must be positive, got half extents {half.tolist()} m.")
        return cls(shape, np.asarray(centre, dtype=float), half, frame)

    @property
    def volume(self) -> float:
        """Volume in m3, the applicators included."""
        return float(np.prod(self.half)) * (2 * np.pi if self.shape == "cylinder" else 8)

    @property
    def circumradius(self) -> float:
        """Largest distance of a point of the domain from its centre in metres."""
        across = self.half[0] if self.shape == "cylinder" else float(np.hypot(self.half[0], self.half[1]))
        return float(np.hypot(across, self.half[2]))

    @property
    def axis(self) -> Floats:
        """Unit vector along its height, world coordinates, shape (3,)."""
        return np.array([0.0, 0.0, 1.0]) if self.frame is None else self.frame.axis

    def to_world(self, offsets: ArrayLike) -> Floats:
        """Turn offsets (..., 3) from the centre along the axes of its frame into world points, in metres."""
        turned = np.asarray(offsets, dtype=float)
        return self.centre + (turned if self.frame is None else turned @ self.frame.rotation.T)

    def upright(self) -> Domain:
        """Return the same domain in the coordinates of its frame; its centre there is a whole number of nanometres.

        Rounding makes it the same wherever the frame lies in the world.
        """
        if self.frame is None:
            return self
        return replace(self, centre=np.round(self.frame.to_device(self.centre), 9) + 0.0, frame=None)

    def depth(self, points: ArrayLike) -> Floats:
        """Return how far inside the surface each point (..., 3) lies, in metres; negative outside."""
        offset = np.asarray(points, dtype=float) - self.centre
        if self.frame is not None:
            offset = offset @ self.frame.rotation
        if self.shape == "box":
            return (self.half - np.abs(offset)).min(axis=-1)
        lateral = self.half[0] - np.hypot(offset[..., 0], offset[..., 1])
        return np.minimum(lateral, self.half[2] - np.abs(offset[..., 2]))
