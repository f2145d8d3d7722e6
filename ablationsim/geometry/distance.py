"""Distances between polylines."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def polyline_distance(first: Floats, second: Floats) -> float:
    """Smallest distance between two polylines (k, 3): of all pairs of segments, exactly."""
    return min(_segment_distance(p, p_end, q, q_end) for p, p_end in pairwise(first) for q, q_end in pairwise(second))


def _segment_distance(p: Floats, p_end: Floats, q: Floats, q_end: Floats) -> float:
    """Distance of two segments: at a pair of inner points, or else at one of the four ends."""
    u, v, w = p_end - p, q_end - q, p - q
    normal = np.cross(u, v)
    square = float(normal @ normal)
    if square > 1e-12 * float(u @ u) * float(v @ v):
        s = float(np.cross(v, w) @ normal) / square
        t = float(np.cross(u, w) @ normal) / square
        if 0 <= s <= 1 and 0 <= t <= 1:
            return float(np.linalg.norm(w + s * u - t * v))
    return min(_to_segment(p, q, v), _to_segment(p_end, q, v), _to_segment(q, p, u), _to_segment(q_end, p, u))


def _to_segment(point: Floats, start: Floats, along: Floats) -> float:
    position = np.clip((point - start) @ along / (along @ along), 0, 1)
    return float(np.linalg.norm(point - start - position * along))
