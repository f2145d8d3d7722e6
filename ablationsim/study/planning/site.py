"""The place of a plan: the tumour, what is round it, and the points at which zones are looked up.

Rays leave the tumour's surface at right angles, inward and outward. Where a zone that covers a place ends on its ray is
the margin there; of the least margin of all that is exact, because the shortest way between two surfaces is at right
angles to both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ablationsim.zone.target import Target

Floats = NDArray[np.float64]
Distance = Callable[[Floats], Floats]

RAYS = 160
"""Rays of a tumour, about."""
STEP, INWARD, BEYOND = 1e-3, 6e-3, 4e-3
"""Distance of the points on a ray, and how far it goes inward, and outward beyond the margin that is looked for [m]."""
COARSE = 3e-3
"""Distance of the points that stand for volumes [m]."""
AROUND = 30e-3
"""How far from the tumour's surface these go [m]."""


@dataclass(frozen=True, eq=False)
class Site:
    """A tumour and what is round it; world coordinates in metres.

    Attributes
    ----------
    target : Target
    tumour : callable
        Signed distance of points (p, 3) to its surface, negative inside [m].
    feet, normals : (n, 3) float64
        Where rays cross the tumour's surface, and unit vectors out of it.
    areas : (n,) float64
        Of the surface that each stands for [m2].
    along : (k,) float64
        Where points lie on a ray, from the inside out [m].
    attainable : (n,) float64
        How far zones can reach on a ray before it leaves the liver or enters a vessel [m].
    points : (n * k + v, 3) float64
        All points: those of the rays, ray by ray, then those that stand for volumes.
    inside, healthy, forbidden : (v,) float64
        How much of the cube that each of these stands for is tumour, liver outside it, and other organs, 0 to 1.
    """

    target: Target
    tumour: Distance
    feet: Floats
    normals: Floats
    areas: Floats
    along: Floats
    attainable: Floats
    points: Floats
    inside: Floats
    healthy: Floats
    forbidden: Floats

    @classmethod
    def of(
        cls,
        target: Target,
        tumour: Distance,
        liver: Distance | None = None,
        vessels: Sequence[Distance] = (),
        organs: Sequence[Distance] = (),
        margin: float = 10e-3,
    ) -> Site:
        """Lay rays and points about a tumour.

        Parameters
        ----------
        target : Target
            The tumour.
        tumour, liver : callable
            Signed distance of points (p, 3) to their surfaces, negative inside [m]; without a liver all is liver.
        vessels, organs : sequence of callable
            The same of what zones end at, and of what they must not reach.
        margin : float
            Largest margin that is looked for [m].
        """
        feet, normals, areas = _spread(target)
        along = np.asarray(
            STEP * np.arange(-round(INWARD / STEP), int(np.ceil((margin + BEYOND) / STEP)) + 1), dtype=np.float64
        )
        rays = feet[:, None] + along[None, :, None] * normals[:, None]
        open_ = np.ones(rays.shape[:2], dtype=bool)
        flat = rays.reshape(-1, 3)
        if liver is not None:
            open_ &= (liver(flat) < 0.0).reshape(open_.shape)
        for vessel in vessels:
            open_ &= (vessel(flat) > 0.0).reshape(open_.shape)
        open_[:, along <= 0.0] = True
        ends = np.where(open_.all(axis=1), len(along) - 1, np.argmin(open_, axis=1) - 1)
        filling = _round(target, tumour)
        inside = _share(tumour(filling))
        healthy = 1.0 - inside
        if liver is not None:
            healthy *= _share(liver(filling))
        for vessel in vessels:
            healthy *= 1.0 - _share(vessel(filling))
        forbidden = np.zeros(len(filling))
        for organ in organs:
            forbidden = np.maximum(forbidden, _share(organ(filling)))
        points = np.concatenate([flat, filling])
        return cls(target, tumour, feet, normals, areas, along, along[ends], points, inside, healthy, forbidden)

    @cached_property
    def size(self) -> float:
        """Radius of the ball about the tumour's centre that holds it [m]."""
        return float(np.linalg.norm(self.target.points - self.target.centre, axis=1).max())

    @property
    def rays(self) -> int:
        """Number of points on rays."""
        return len(self.feet) * len(self.along)

    def needed(self, margin: float) -> NDArray[np.intp]:
        """Numbers of the points that a zone must reach for a margin wherever there is tissue for it, one a ray."""
        far = np.minimum(margin, self.attainable)
        place = np.floor((far - self.along[0]) / STEP + 1e-6).astype(np.intp)
        return np.arange(len(self.feet)) * len(self.along) + place

    def margins(self, drive: Floats) -> Floats:
        """Return the margin on each ray, shape (n,), from a drive (p,) at the points of the site [m].

        It is where the zone first ends on the way out; at least the inner end of the ray, at most the outer one.
        """
        along = drive[: self.rays].reshape(len(self.feet), len(self.along))
        dead = along >= 1.0
        first = np.argmin(dead, axis=1)
        before = np.maximum(first - 1, 0)
        rows = np.arange(len(along))
        inner, outer = along[rows, before], along[rows, first]
        share = np.where(first > 0, (inner - 1.0) / np.where(first > 0, inner - outer, 1.0), 0.0)
        found: Floats = np.where(dead.all(axis=1), self.along[-1], self.along[before] + share * STEP)
        return found


def _share(distance: Floats) -> Floats:
    """Share of a cube that lies inside a surface, from the distance of its middle."""
    return np.clip(0.5 - distance / COARSE, 0.0, 1.0)


def _spread(target: Target) -> tuple[Floats, Floats, Floats]:
    """About `RAYS` places on a tumour's surface, normals and areas there; a mirrored tumour has mirrored ones."""
    corners = target.corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    offset = (target.points - target.centre) / np.sqrt(target.areas.sum() / RAYS)
    # Cells with the centre as a corner.
    cells = (np.floor(np.abs(offset)) + 1) * np.where(offset < 0.0, -1, 1)
    _, cell = np.unique(cells, axis=0, return_inverse=True)
    cell = cell.ravel()
    weights: Floats = np.bincount(cell, target.areas).astype(np.float64)
    means = np.column_stack([np.bincount(cell, target.areas * target.points[:, i]) / weights for i in range(3)])
    away = ((target.points - means[cell]) ** 2).sum(axis=1)
    order = np.lexsort((away, cell))
    nearest = order[np.searchsorted(cell[order], np.arange(len(weights)))]
    sums = np.column_stack([np.bincount(cell, normals[:, i]) for i in range(3)])
    # A cell that holds two sides of something thin has no mean direction.
    length = np.linalg.norm(sums, axis=1)
    sums[length < 1e-12] = normals[nearest[length < 1e-12]]
    return target.points[nearest], sums / np.linalg.norm(sums, axis=1)[:, None], weights


def _round(target: Target, tumour: Distance) -> Floats:
    """Points on a grid about the tumour's centre, up to `AROUND` from its surface."""
    points = target.points - target.centre
    counts = np.ceil((np.abs(points).max(axis=0) + AROUND) / COARSE).astype(int)
    axes = [COARSE * np.arange(-n, n + 1) for n in counts]
    grid: Floats = target.centre + np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return grid[tumour(grid) < AROUND]
