"""Compiled: the drive of a stock at points in the patient, and where zones end on rays."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def places(points, tips, axes, spacing, base, guard, columns, rows):
    """Where points lie in the stock of each needle: number of the point below, and shares of the way to the next ones.

    Points beside the shaft, nearer to its axis than `guard`, are taken at that distance: a cooled shaft keeps a thin
    skin of tissue alive, which is no margin.
    """
    first = np.empty((len(tips), len(points)), dtype=np.int32)
    across = np.empty((len(tips), len(points)), dtype=np.float32)
    up = np.empty((len(tips), len(points)), dtype=np.float32)
    for n in range(len(tips)):
        for p in range(len(points)):
            x, y, z = points[p, 0] - tips[n, 0], points[p, 1] - tips[n, 1], points[p, 2] - tips[n, 2]
            height = x * axes[n, 0] + y * axes[n, 1] + z * axes[n, 2]
            radius = np.sqrt(max(x * x + y * y + z * z - height * height, 0.0))
            radius = min(max(radius, guard) / spacing, columns - 1.0)
            height = min(max((height - base) / spacing, 0.0), rows - 1.0)
            i, j = min(int(radius), columns - 2), min(int(height), rows - 2)
            first[n, p] = i * rows + j
            across[n, p], up[n, p] = radius - i, height - j
    return first, across, up


@njit(cache=True)
def _drive(table, rows, first, across, up):
    low = table[first] + up * (table[first + 1] - table[first])
    high = table[first + rows] + up * (table[first + rows + 1] - table[first + rows])
    return low + across * (high - low)


@njit(cache=True)
def drives(tables, settings, rows, first, across, up, factor):
    """Drive of all needles together at points, times a factor (p,), for each setting; shape (m, p)."""
    found = np.empty((len(settings), first.shape[1]), dtype=np.float32)
    for m in range(len(settings)):
        table = tables[settings[m]]
        for p in range(first.shape[1]):
            total = np.float32(0.0)
            for n in range(len(first)):
                total += _drive(table, rows, first[n, p], across[n, p], up[n, p])
            found[m, p] = total * factor[p]
    return found


@njit(cache=True)
def ends(tables, settings, rows, first, across, up, factor, rays, along):
    """Where zones first end on each ray on the way out, for each setting; shape (m, rays) [m].

    At least the inner end of a ray, at most the outer one.
    """
    count = len(along)
    found = np.empty((len(settings), rays))
    for m in range(len(settings)):
        table = tables[settings[m]]
        for ray in range(rays):
            found[m, ray] = along[count - 1]
            before = np.float32(1.0)
            for k in range(count):
                p = ray * count + k
                total = np.float32(0.0)
                for n in range(len(first)):
                    total += _drive(table, rows, first[n, p], across[n, p], up[n, p])
                total *= factor[p]
                if total < 1.0:
                    found[m, ray] = along[k]
                    if k > 0:
                        share = (before - 1.0) / (before - total)
                        found[m, ray] = along[k - 1] + share * (along[k] - along[k - 1])
                    break
                before = total
    return found
