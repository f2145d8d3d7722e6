"""What is to be ablated: the surface of a tumour cut into small pieces, and points that fill it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.errors import GeometryError
from ablationsim.vessels.distance import split_triangles
from ablationsim.vessels.vessel import Wall
from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.voxels import Grid, inside

PIECE = 1e-3
"""Longest side of the pieces of a tumour's surface [m]; longer on one of more than `_PIECES` of them."""

_PIECES = 20_000
_FILLED = 48  # points of the grid along the longest extent of a tumour: 58 000 in one that is round


@dataclass(frozen=True, eq=False)
class Target:
    """A tumour.

    Attributes
    ----------
    surface : Surface
        Closed triangles, normals outward, world coordinates [m].
    corners : (n, 3, 3) float64
        Its surface in small pieces: corners of each [m].
    """

    surface: Surface
    corners: Floats

    @classmethod
    def of(cls, surface: Surface | Wall) -> Target:
        """Make a target of the closed surface of a tumour.

        Raises
        ------
        GeometryError
            When the surface has no triangle or encloses nothing.
        """
        if isinstance(surface, Wall):
            surface = Surface(surface.points, surface.triangles, axisymmetric=False)
        if not len(surface.facets) or not surface.volume() > 0.0:
            raise GeometryError("The surface of a tumour must be closed, with normals that point out of it.")
        # Halving triangles at their longest side leaves pieces whose area is a third of its square, about.
        longest = max(PIECE, np.sqrt(3.0 * surface.area() / _PIECES))
        corners, _ = split_triangles(surface.points[surface.facets], longest)
        return cls(surface, corners)

    @classmethod
    def sphere(cls, centre: ArrayLike, radius: float) -> Target:
        """Return a ball: centre (3,) and radius in metres.

        Raises
        ------
        GeometryError
            When the radius is not above zero.
        """
        if not radius > 0.0:
            raise GeometryError(f"The radius of a tumour must be above zero, got {radius:g} m.")
        corners, _ = split_triangles(_icosahedron(), 0.08)
        corners /= np.linalg.norm(corners, axis=2, keepdims=True)
        _, first, numbers = np.unique(
            np.round(corners.reshape(-1, 3), 9), axis=0, return_index=True, return_inverse=True
        )
        points = np.asarray(centre, dtype=np.float64) + radius * corners.reshape(-1, 3)[first]
        return cls.of(Surface(points, numbers.reshape(-1, 3).astype(np.int64), axisymmetric=False))

    @cached_property
    def points(self) -> Floats:
        """Middle of each piece of the surface, shape (n, 3), in metres."""
        return np.asarray(self.corners.mean(axis=1))

    @cached_property
    def areas(self) -> Floats:
        """Area of each piece, shape (n,), in m2."""
        a, b = self.corners[:, 1] - self.corners[:, 0], self.corners[:, 2] - self.corners[:, 0]
        return np.asarray(0.5 * np.linalg.norm(np.cross(a, b), axis=1))

    @cached_property
    def reach(self) -> float:
        """Largest distance of a place on the surface from the middle of the piece that it lies on [m]."""
        return float(np.linalg.norm(self.corners - self.points[:, None], axis=2).max())

    @cached_property
    def volume(self) -> float:
        """Volume of the tumour [m3]."""
        return self.surface.volume()

    @cached_property
    def centre(self) -> Floats:
        """Centroid of the tumour, shape (3,), in metres."""
        corners = self.surface.points[self.surface.facets] - self.surface.points.mean(axis=0)
        volumes = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0
        middle = (volumes[:, None] * corners.sum(axis=1) / 4.0).sum(axis=0) / volumes.sum()
        return np.asarray(self.surface.points.mean(axis=0) + middle)

    @cached_property
    def grid(self) -> tuple[Grid, NDArray[np.bool_]]:
        """A grid of points round the tumour, and which of them lie in it."""
        grid = Grid.around((self.surface,), _FILLED)
        return grid, inside(self.surface, grid)

    @cached_property
    def filling(self) -> Floats:
        """Points at equal distances that fill the tumour, shape (m, 3), in metres: each stands for as much volume."""
        grid, mine = self.grid
        return grid.points(mine)

    def within(self, zone: Surface) -> NDArray[np.bool_]:
        """Return which of the points that fill the tumour lie in a closed surface, shape (m,)."""
        grid, mine = self.grid
        return inside(zone, grid)[mine]

    def share(self, chosen: NDArray[np.bool_]) -> float:
        """Share of the surface that the chosen pieces (n,) have, 0 to 1."""
        return float(self.areas[chosen].sum() / self.areas.sum())


def _icosahedron() -> Floats:
    """Corners of the faces of an icosahedron in the unit sphere, normals outward, shape (20, 3, 3)."""
    golden = (1.0 + np.sqrt(5.0)) / 2.0
    points = [p for a in (-1.0, 1.0) for b in (-golden, golden) for p in ((0.0, a, b), (a, b, 0.0), (b, 0.0, a))]
    found = []
    for face in combinations(np.array(points), 3):
        a, b, c = face
        if max(np.linalg.norm(a - b), np.linalg.norm(b - c), np.linalg.norm(c - a)) < 2.1:
            found.append([a, b, c] if np.cross(b - a, c - a) @ a > 0.0 else [a, c, b])
    return np.array(found) / np.hypot(1.0, golden)
