"""Which branch a point of the wall belongs to, and how far along it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from ablationsim.vessels.vessel import Branch, Floats, Ints

_SPACING = 0.5e-3  # m: of the points along the centrelines that are compared
_CANDIDATES = 12


def attach(points: Floats, branches: Sequence[Branch]) -> tuple[Ints, Floats]:
    """Find the branch whose tube each point is nearest to.

    Parameters
    ----------
    points : (p, 3) array
        On the wall [m].
    branches : sequence of Branch
        Of the tree.

    Returns
    -------
    (p,) int array, (p,) array
        Number of the branch, and the distance along its centreline from where its flow enters [m].
    """
    sampled = [_sampled(branch) for branch in branches]
    position = np.concatenate([position for position, _, _ in sampled])
    radius = np.concatenate([radius for _, radius, _ in sampled])
    station = np.concatenate([station for _, _, station in sampled])
    number = np.repeat(np.arange(len(branches)), [len(position) for position, _, _ in sampled])
    count = min(_CANDIDATES, len(position))
    distance, near = cKDTree(position).query(points, k=count)
    distance, near = distance.reshape(len(points), count), near.reshape(len(points), count)
    # At a junction the wall of a thin branch is nearer to its own tube than to that of the thick one.
    best = np.take_along_axis(near, np.argmin(np.abs(distance - radius[near]), axis=1)[:, None], axis=1)[:, 0]
    return number[best], station[best]


def _sampled(branch: Branch) -> tuple[Floats, Floats, Floats]:
    """Points at equal distances along a centreline, with radius and distance from its beginning."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(branch.points, axis=0), axis=1))])
    station = np.linspace(0.0, along[-1], max(2, int(np.ceil(along[-1] / _SPACING)) + 1))
    position = np.stack([np.interp(station, along, branch.points[:, axis]) for axis in range(3)], axis=1)
    return position, np.interp(station, along, branch.radii), station
