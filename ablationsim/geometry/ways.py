"""Straight ways through a patient, thousands at a time: how near they come to structures, and where they leave them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.anatomy.distance import Distance
from ablationsim.errors import GeometryError
from ablationsim.geometry import tracing
from ablationsim.geometry.voxel_distance import VoxelDistance
from ablationsim.vessels.contour import to_world

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STEP = 0.5e-3
"""Least step along a way [m]."""


@dataclass(frozen=True, eq=False)
class Ways:
    """Straight ways, each from an origin.

    Attributes
    ----------
    origins, directions : (n, 3) float64
        World coordinates [m], and unit vectors.
    """

    origins: Floats
    directions: Floats

    @classmethod
    def of(cls, tips: ArrayLike, directions: ArrayLike) -> Ways:
        """Take ways from tips [m] along directions of any length, both (n, 3).

        Raises
        ------
        GeometryError
            When a number is not finite, or a direction has no length.
        """
        origins, along = (np.atleast_2d(np.asarray(each, dtype=np.float64)) for each in (tips, directions))
        if origins.shape != along.shape or origins.shape[1:] != (3,):
            raise GeometryError(
                f"Every place needs a tip and a direction of three coordinates each; the tips have the shape "
                f"{origins.shape} and the directions {along.shape}."
            )
        size = np.linalg.norm(along, axis=1)
        if not (np.isfinite(origins).all() and np.isfinite(size).all() and (size > 0).all()):
            raise GeometryError("Tips and directions must be finite numbers, and every direction must have a length.")
        return cls(origins, along / size[:, None])

    @property
    def arrays(self) -> tuple[Floats, Floats]:
        """Origins and directions as compiled code takes them."""
        return np.ascontiguousarray(self.origins), np.ascontiguousarray(self.directions)

    def at(self, along: Floats, which: NDArray[np.intp] | slice = slice(None)) -> Floats:
        """Places so far along some of the ways, shape (m, 3) [m]."""
        return self.origins[which] + along[:, None] * self.directions[which]


def _moved(origins: Floats, rotations: Floats, points: Floats) -> Floats:
    """One point of a device at each of its places, shape (n, 3) [m]."""
    moved: Floats = np.einsum("nij,nj->ni", rotations, points) + origins
    return moved


class Reach:
    """Signed distance to a part of a patient, negative inside, looked up fast along many ways.

    Parameters
    ----------
    distance : Distance or VoxelDistance
    exact : float
        Distances up to this one are exact; of larger ones it is only known that they are larger [m].

    Attributes
    ----------
    spacing : float
        Of the grid that the distance is kept on, where it is largest [m].
    """

    def __init__(self, distance: Distance | VoxelDistance, exact: float) -> None:
        self._exact, self._further = exact, None
        if isinstance(distance, Distance):
            self._further = distance
            points, body = distance.surface().points, distance.body
            values, affine, low, high = body.distance, body.affine, points.min(axis=0), points.max(axis=0)
        else:
            values, affine, low, high = distance.distance, distance.affine, distance.low, distance.high
        self._grid = (np.ascontiguousarray(values), np.ascontiguousarray(np.linalg.inv(affine)), low, high)
        self.spacing = float(np.linalg.norm(affine[:3, :3], axis=0).max())

    def __call__(self, points: Floats) -> Floats:
        """Distance of points (p, 3), shape (p,) [m]; outside the grid at most the distance, but not below `exact`."""
        found = np.empty(len(points))
        tracing.values(*self._grid, np.ascontiguousarray(points), found)
        vague = self._outside(points) & (found < self._exact)
        if self._further is not None and vague.any():
            found[vague] = self._further(points[vague])
        return found

    def nearest(self, ways: Ways, lengths: Floats, inner: bool = False) -> tuple[Floats, Floats]:
        """Return the least distance on each way, and how far along it that is.

        Parameters
        ----------
        ways : Ways
        lengths : (n,) float64
            How far each way goes [m].
        inner : bool
            Measure the depth inside instead, which is positive there.

        Returns
        -------
        (n,) float64, (n,) float64
            Both in metres; the first one is too large by at most half of `STEP`, and hardly ever by a tenth of it.
            Distances above `exact` are given as that.
        """
        best, place = np.empty(len(lengths)), np.empty(len(lengths))
        sign, cap = (-1.0, np.inf) if inner else (1.0, self._exact)
        tracing.nearest(*self._grid, *ways.arrays, lengths, sign, cap, STEP, best, place)
        if not inner and self._further is not None:
            vague = np.flatnonzero((best < self._exact) & self._outside(ways.at(place)))
            best[vague], place[vague] = self._nearest_exactly(ways, lengths, vague)
        return np.minimum(best, cap), place

    def nearest_points(
        self, origins: Floats, rotations: Floats, points: Floats, inner: bool = False
    ) -> tuple[Floats, NDArray[np.intp]]:
        """Return the least distance of points of a device at each of its places, and of which point it is.

        Parameters
        ----------
        origins, rotations : (n, 3) and (n, 3, 3) float64
            Places: where the device's origin is [m], and its axes as columns.
        points : (t, 3) float64
            In the frame of the device [m].
        inner : bool
            Measure the depth inside instead, which is positive there.
        """
        best, which = np.empty(len(origins)), np.empty(len(origins), dtype=np.intp)
        sign = -1.0 if inner else 1.0
        grid = (*self._grid, np.ascontiguousarray(origins), np.ascontiguousarray(rotations))
        tracing.nearest_points(*grid, np.ascontiguousarray(points), sign, best, which)
        if inner:
            return best, which
        if self._further is None:
            return np.minimum(best, self._exact), which
        vague = np.flatnonzero((best < self._exact) & self._outside(_moved(origins, rotations, points[which])))
        for n in vague:
            found = self(points @ rotations[n].T + origins[n])
            best[n], which[n] = found.min(), found.argmin()
        return np.minimum(best, self._exact), which

    def leaves(self, ways: Ways, lengths: Floats) -> Floats:
        """Return how far along each way it first leaves the part, shape (n,) [m].

        Zero where it begins outside; `lengths` (n,) where it never leaves.
        """
        result = np.empty(len(lengths))
        tracing.leaves(*self._grid, *ways.arrays, lengths, STEP, result)
        return result

    def last_inside(self, ways: Ways, lengths: Floats) -> Floats:
        """Return how far along each way it was last inside the part, shape (n,) [m]; negative where it never is."""
        result = np.empty(len(lengths))
        tracing.last_inside(*self._grid, *ways.arrays, lengths, STEP, result)
        return result

    def slope(self, points: Floats, directions: Floats, width: float = 5e-3) -> Floats:
        """Return the angle between directions and the surface that points lie on, shape (p,) [rad].

        Parameters
        ----------
        points, directions : (p, 3) float64
            World coordinates [m], and unit vectors.
        width : float
            Half the length over which the surface's normal is taken, more than the staircase of voxels is long [m].
        """
        steps = width * np.vstack([np.eye(3), -np.eye(3)])
        found = self((points[None] + steps[:, None]).reshape(-1, 3)).reshape(6, -1)
        normal = (found[:3] - found[3:]).T
        size = np.linalg.norm(normal, axis=1)
        across = np.abs((normal * directions).sum(axis=1)) / np.where(size > 0.0, size, 1.0)
        return np.arcsin(np.clip(across, 0.0, 1.0))

    def _outside(self, points: Floats) -> Bools:
        """Which points lie outside the grid, shape (p,)."""
        indices = to_world(self._grid[1], points)
        return np.asarray(((indices < 0.0) | (indices > np.array(self._grid[0].shape) - 1.0)).any(axis=1))

    def _nearest_exactly(self, ways: Ways, lengths: Floats, which: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """As `nearest`, for a few ways whose nearest place lies outside the grid."""
        along, best, place = np.zeros(len(which)), np.full(len(which), np.inf), np.zeros(len(which))
        active = np.arange(len(which))
        while len(active):
            here, ends = along[active], lengths[which[active]]
            found = self(ways.at(here, which[active]))
            better = found < best[active]
            best[active[better]], place[active[better]] = found[better], here[better]
            along[active] = np.minimum(here + np.maximum(STEP, found - np.minimum(best[active], self._exact)), ends)
            active = active[here < ends]
        return best, place
