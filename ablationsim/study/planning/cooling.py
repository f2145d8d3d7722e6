"""What vessels leave of the heating round them, by linear steady conduction in perfused tissue.

Round a long vessel of radius a, a temperature rise that would be even without it is smaller by the share
``b K0((a + d) / l) / K0(a / l)`` at the distance d from its wall, with the length ``l = sqrt(k / w)`` over which
perfusion w [W/m3/K] screens, and ``b = 1 / (1 + k K1(a / l) / (h l K0(a / l)))`` for the coefficient h of the wall: the
solution of Pennes' equation outside a cylinder. Nothing in it is fitted; runs of the full model correct what it leaves
open.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ablationsim.tissue import Tissue
from ablationsim.vessels.vessel import Vessel

Floats = NDArray[np.float64]

_APART = 0.2e-3  # of the points that stand for a centreline [m]
_LEAST = 2e-3  # m: thinner branches warm up within the zone, so that little of it is lost to them


def remaining(points: Floats, vessels: Sequence[Vessel], tissue: Tissue) -> Floats:
    """Return the share of a heating that vessels leave at points, shape (p,); 0 in their lumens.

    Parameters
    ----------
    points : (p, 3) float64
        World coordinates [m].
    vessels : sequence of Vessel
    tissue : Tissue
        Round the vessels.
    """
    from scipy.spatial import cKDTree
    from scipy.special import k0e, k1e

    pieces = [
        (*_along(branch.points, branch.radii), branch.wall_coefficient)
        for vessel in vessels
        for branch in vessel.branches
        if branch.model in ("fixed", "transport") and branch.flow > 0.0 and branch.diameter >= _LEAST
    ]
    if not pieces:
        return np.ones(len(points))
    places = np.concatenate([where for where, _, _ in pieces])
    radii = np.concatenate([radius for _, radius, _ in pieces])
    coefficients = np.concatenate([np.full(len(where), h) for where, _, h in pieces])
    # The nearest wall belongs to one of the nearest centrelines.
    distance, near = cKDTree(places).query(points, k=min(16, len(places)))
    distance, near = distance.reshape(len(points), -1), near.reshape(len(points), -1)
    chosen = np.argmin(distance - radii[near], axis=1)
    rows = np.arange(len(points))
    distance, near = distance[rows, chosen], near[rows, chosen]
    radius = radii[near]
    tables = tissue.tables()
    conductivity = float(np.interp(tissue.initial_temperature, tables.temperature, tables.thermal_conductivity))
    blood = tissue.perfusion * tissue.value("blood_density") * tissue.value("blood_heat_capacity")
    # Without perfusion what conducts for some minutes screens.
    length = float(np.sqrt(conductivity / max(blood, conductivity / 15e-3**2)))
    a, d = radius / length, np.maximum(distance - radius, 0.0) / length
    wall = 1.0 / (1.0 + conductivity / (coefficients[near] * length) * k1e(a) / k0e(a))
    share = 1.0 - wall * np.exp(-d) * k0e(a + d) / k0e(a)
    return np.where(distance < radius, 0.0, share)


def _along(points: Floats, radii: Floats) -> tuple[Floats, Floats]:
    """A centreline with points close to each other, and its radii there."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    reached = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.linspace(0.0, reached[-1], max(2, int(np.ceil(reached[-1] / _APART)) + 1))
    found = np.column_stack([np.interp(places, reached, points[:, i]) for i in range(3)])
    return found, np.interp(places, reached, radii)
