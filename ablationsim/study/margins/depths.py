"""Depth in a zone on a grid round a tumour, so that it can be asked for millions of places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.surface_distance import SurfaceDistance
from ablationsim.zone.target import Target

_ACROSS = 36  # points of the grid along its longest extent
_NOWHERE = 1.0  # m: depth below zero of every place where there is no zone


@dataclass(frozen=True, eq=False)
class Around:
    """A grid of points at equal distances round a tumour.

    Attributes
    ----------
    low : (3,) float64
        Its first point [m].
    spacing : float
        [m]
    shape : tuple of int
    """

    low: Floats
    spacing: float
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, target: Target, reach: float) -> Around:
        """Return a grid that goes on round a tumour as far as `reach` [m]."""
        low, high = target.surface.points.min(axis=0) - reach, target.surface.points.max(axis=0) + reach
        spacing = float((high - low).max()) / _ACROSS
        i, j, k = (int(n) for n in np.ceil((high - low) / spacing) + 1)
        return cls(low, spacing, (i, j, k))

    def depth(self, zone: Surface) -> NDArray[np.float32]:
        """Return the depth in a closed zone at every point [m], of the shape of the grid; negative outside."""
        if not len(zone.facets):
            return np.full(self.shape, -_NOWHERE, dtype=np.float32)
        places = np.stack(np.meshgrid(*(np.arange(n) for n in self.shape), indexing="ij"), axis=-1).reshape(-1, 3)
        return SurfaceDistance(zone)(self.low + self.spacing * places).reshape(self.shape).astype(np.float32)

    def at(self, depth: NDArray[np.float32], points: Floats) -> Floats:
        """Return the depth at points (p, 3), between those of the grid; at its border for points outside it."""
        found: Floats = ndimage.map_coordinates(
            depth, ((points - self.low) / self.spacing).T, order=1, mode="nearest", output=np.float64
        )
        return found
