"""Triangles of a surface that cross each other.

Two triangles cross where an edge of one goes through the inside of the other. Triangles that only touch, or lie in one
plane, as the flat sides of many surfaces do, do not.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ablationsim.vessels.vessel import Floats, Ints

#: An edge goes through a triangle when the point is inside both by this share of their size.
_INSIDE = 1e-6
#: Most cells of the grid that sorts the triangles.
_CELLS = 8e6


def crossing_triangles(points: Floats, triangles: Ints) -> Ints:
    """Numbers of the triangles (m, 3) that an edge of another one goes through."""
    low = points.min(axis=0)
    spans = np.maximum(points.max(axis=0) - low, 1e-12)
    boxes = np.ptp(points[triangles], axis=1).max(axis=1)
    side = max(float(boxes.mean()), float((np.prod(spans) / _CELLS) ** (1.0 / 3.0)), float(spans.max()) / 4096.0)
    shape = (spans / side).astype(np.int64) + 1
    return np.flatnonzero(_crossed(points, triangles, low, side, shape))


@njit(cache=True)
def _crossed(points, triangles, low, side, shape):  # type: ignore[no-untyped-def] # compiled from untyped Python
    count = len(triangles)
    # First and last cell of each triangle along each axis.
    first = np.empty((count, 3), dtype=np.int64)
    last = np.empty((count, 3), dtype=np.int64)
    for t in range(count):
        for k in range(3):
            a, b, c = points[triangles[t, 0], k], points[triangles[t, 1], k], points[triangles[t, 2], k]
            first[t, k] = int((min(a, b, c) - low[k]) / side)
            last[t, k] = min(int((max(a, b, c) - low[k]) / side), shape[k] - 1)
    starts = np.zeros(shape[0] * shape[1] * shape[2] + 1, dtype=np.int64)
    for t in range(count):
        for i in range(first[t, 0], last[t, 0] + 1):
            for j in range(first[t, 1], last[t, 1] + 1):
                for k in range(first[t, 2], last[t, 2] + 1):
                    starts[(i * shape[1] + j) * shape[2] + k + 1] += 1
    starts = np.cumsum(starts)
    fill = starts[:-1].copy()
    members = np.empty(starts[-1], dtype=np.int64)
    for t in range(count):
        for i in range(first[t, 0], last[t, 0] + 1):
            for j in range(first[t, 1], last[t, 1] + 1):
                for k in range(first[t, 2], last[t, 2] + 1):
                    cell = (i * shape[1] + j) * shape[2] + k
                    members[fill[cell]] = t
                    fill[cell] += 1
    crossed = np.zeros(count, dtype=np.bool_)
    for t in range(count):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        for i in range(first[t, 0], last[t, 0] + 1):
            for j in range(first[t, 1], last[t, 1] + 1):
                for k in range(first[t, 2], last[t, 2] + 1):
                    cell = (i * shape[1] + j) * shape[2] + k
                    for member in range(starts[cell], starts[cell + 1]):
                        s = members[member]
                        # Of the cells that both share, only the first.
                        if max(first[t, 0], first[s, 0]) != i or max(first[t, 1], first[s, 1]) != j:
                            continue
                        if crossed[t] or max(first[t, 2], first[s, 2]) != k:
                            continue
                        for e in range(3):
                            p, q = triangles[s, e], triangles[s, (e + 1) % 3]
                            if p in (a, b, c) or q in (a, b, c):
                                continue
                            if _pierces(points[p], points[q], points[a], points[b], points[c]):
                                crossed[t] = True
    return crossed


@njit(cache=True)
def _pierces(p, q, a, b, c):  # type: ignore[no-untyped-def] # compiled from untyped Python
    """Whether the line from p to q goes through the inside of the triangle a, b, c."""
    for k in range(3):
        if min(p[k], q[k]) > max(a[k], b[k], c[k]) or max(p[k], q[k]) < min(a[k], b[k], c[k]):
            return False
    dx, dy, dz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    slope = nx * dx + ny * dy + nz * dz
    size = np.sqrt((nx * nx + ny * ny + nz * nz) * (dx * dx + dy * dy + dz * dz))
    if abs(slope) <= _INSIDE * size:
        return False
    wx, wy, wz = p[0] - a[0], p[1] - a[1], p[2] - a[2]
    along = -(nx * wx + ny * wy + nz * wz) / slope
    if along < _INSIDE or along > 1.0 - _INSIDE:
        return False
    wx, wy, wz = wx + along * dx, wy + along * dy, wz + along * dz
    square = nx * nx + ny * ny + nz * nz
    second = (nx * (uy * wz - uz * wy) + ny * (uz * wx - ux * wz) + nz * (ux * wy - uy * wx)) / square
    first = (nx * (wy * vz - wz * vy) + ny * (wz * vx - wx * vz) + nz * (wx * vy - wy * vx)) / square
    return first > _INSIDE and second > _INSIDE and first + second < 1.0 - _INSIDE
