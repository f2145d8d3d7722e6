"""Compiled walks along straight ways through a distance on a grid.

A distance changes at most as fast as one moves. So from a place that is far from what is looked for, the next one is as
far on, and few places are looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def value(distance: Any, inverse: Any, low: Any, high: Any, x: float, y: float, z: float) -> float:
    """Distance at a point [m]: trilinear in the grid; outside it the distance to the box round the body."""
    i = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2] * z + inverse[0, 3]
    j = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2] * z + inverse[1, 3]
    k = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2] * z + inverse[2, 3]
    ni, nj, nk = distance.shape
    if i < 0.0 or j < 0.0 or k < 0.0 or i > ni - 1.0 or j > nj - 1.0 or k > nk - 1.0:
        dx = max(low[0] - x, x - high[0], 0.0)
        dy = max(low[1] - y, y - high[1], 0.0)
        dz = max(low[2] - z, z - high[2], 0.0)
        return np.sqrt(dx * dx + dy * dy + dz * dz)
    a, b, c = min(int(i), ni - 2), min(int(j), nj - 2), min(int(k), nk - 2)
    u, v, w = i - a, j - b, k - c
    total = 0.0
    for p in range(2):
        for q in range(2):
            weight = (u if p else 1.0 - u) * (v if q else 1.0 - v)
            total += weight * ((1.0 - w) * distance[a + p, b + q, c] + w * distance[a + p, b + q, c + 1])
    return total


@njit(cache=True)
def values(distance: Any, inverse: Any, low: Any, high: Any, points: Any, found: Any) -> None:
    """Distances at points (p, 3), into `found` (p,)."""
    for n in range(points.shape[0]):
        found[n] = value(distance, inverse, low, high, points[n, 0], points[n, 1], points[n, 2])


@njit(cache=True)
def nearest(
    distance: Any,
    inverse: Any,
    low: Any,
    high: Any,
    origins: Any,
    directions: Any,
    lengths: Any,
    sign: float,
    cap: float,
    step: float,
    best: Any,
    place: Any,
) -> None:
    """Least distance times sign on each way, into `best` (n,), and how far along it is, into `place` (n,).

    It is found where it is smaller than `cap`; elsewhere it is at least that.
    """
    for n in range(origins.shape[0]):
        x, y, z = origins[n]
        dx, dy, dz = directions[n]
        along, best[n], place[n] = 0.0, np.inf, 0.0
        while True:
            found = sign * value(distance, inverse, low, high, x + along * dx, y + along * dy, z + along * dz)
            if found < best[n]:
                best[n], place[n] = found, along
            if along >= lengths[n]:
                break
            # Nothing smaller than the best, or the cap, can be nearer than this.
            along = min(along + max(step, found - min(best[n], cap)), lengths[n])


@njit(cache=True)
def leaves(
    distance: Any,
    inverse: Any,
    low: Any,
    high: Any,
    origins: Any,
    directions: Any,
    lengths: Any,
    step: float,
    result: Any,
) -> None:
    """How far along each way it first leaves the body, into `result` (n,); 0 if it begins outside, else its length."""
    for n in range(origins.shape[0]):
        x, y, z = origins[n]
        dx, dy, dz = directions[n]
        along, before, depth = 0.0, 0.0, 0.0
        result[n] = lengths[n]
        while True:
            found = value(distance, inverse, low, high, x + along * dx, y + along * dy, z + along * dz)
            if found >= 0.0:
                # Between the last place inside and this one the distance is as good as linear.
                result[n] = before + (depth / (depth - found) if depth < 0.0 else 0.0) * (along - before)
                break
            if along >= lengths[n]:
                break
            before, depth = along, found
            along = min(along + max(step, -found), lengths[n])


@njit(cache=True)
def last_inside(
    distance: Any,
    inverse: Any,
    low: Any,
    high: Any,
    origins: Any,
    directions: Any,
    lengths: Any,
    step: float,
    result: Any,
) -> None:
    """How far along each way it was last inside the body, into `result` (n,); -1 where it never is."""
    for n in range(origins.shape[0]):
        x, y, z = origins[n]
        dx, dy, dz = directions[n]
        along = lengths[n]
        before, distant = along, 0.0
        result[n] = -1.0
        while True:
            found = value(distance, inverse, low, high, x + along * dx, y + along * dy, z + along * dz)
            if found < 0.0:
                share = found / (found - distant) if distant > 0.0 else 0.0
                result[n] = along + share * (before - along)
                break
            if along <= 0.0:
                break
            before, distant = along, found
            along = max(along - max(step, found), 0.0)


@njit(cache=True)
def nearest_points(
    distance: Any,
    inverse: Any,
    low: Any,
    high: Any,
    origins: Any,
    rotations: Any,
    points: Any,
    sign: float,
    best: Any,
    which: Any,
) -> None:
    """Least distance times sign of points (t, 3) that are turned and moved to each place, into `best` (n,), and of
    which of them it is, into `which` (n,)."""
    for n in range(origins.shape[0]):
        best[n], which[n] = np.inf, 0
        turn = rotations[n]
        for t in range(points.shape[0]):
            a, b, c = points[t]
            x = origins[n, 0] + turn[0, 0] * a + turn[0, 1] * b + turn[0, 2] * c
            y = origins[n, 1] + turn[1, 0] * a + turn[1, 1] * b + turn[1, 2] * c
            z = origins[n, 2] + turn[2, 0] * a + turn[2, 1] * b + turn[2, 2] * c
            found = sign * value(distance, inverse, low, high, x, y, z)
            if found < best[n]:
                best[n], which[n] = found, t
