"""Distance to the wall of a vessel, and on which side of it points lie."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from ablationsim.vessels.vessel import Floats, Ints, Wall

_PIECE = 1.0e-3  # m: triangles are cut into pieces no longer than this before the nearest are sought
_CANDIDATES = 16  # pieces with the nearest centroids among which the nearest is


class WallDistance:
    """Signed distance to a closed wall: positive outside the vessel, negative in it.

    Near the wall it is exact. Far from it, by many lengths of a triangle, it may be a little too large.

    Parameters
    ----------
    wall : Wall
        Closed, with normals that point out of the vessel.
    """

    def __init__(self, wall: Wall) -> None:
        corners, _ = split_triangles(wall.points[wall.triangles], _PIECE)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        size = np.linalg.norm(normals, axis=1)
        sound = size > 0.0
        self._corners = np.ascontiguousarray(corners[sound])
        self._normals = np.ascontiguousarray(normals[sound] / size[sound, None])
        self._tree = cKDTree(self._corners.mean(axis=1))

    def __call__(self, points: Floats) -> Floats:
        """Distance of each of the points ``(p, 3)``, shape (p,), in metres."""
        points = np.ascontiguousarray(points)
        count = min(_CANDIDATES, len(self._corners))
        _, near = self._tree.query(points, k=count)
        result = np.empty(len(points))
        _signed_distance(points, near.reshape(len(points), count), self._corners, self._normals, result)
        return result


def split_triangles(corners: Floats, longest: float | Floats) -> tuple[Floats, Ints]:
    """Halve triangles at their longest side until none of their sides is longer than allowed.

    Parameters
    ----------
    corners : (m, 3, 3) array
        Corners of each triangle [m].
    longest : float or (m,) array
        Largest length of a side, of all triangles or of each [m].

    Returns
    -------
    (p, 3, 3) array, (p,) int array
        The pieces, oriented as what they are pieces of, and the triangle that each is a piece of.
    """
    limit = np.broadcast_to(np.asarray(longest, dtype=np.float64), len(corners))
    done_corners, done_parents = [corners[:0]], [np.zeros(0, dtype=np.int64)]
    parent = np.arange(len(corners))
    while len(corners):
        sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
        long = sides.max(axis=1) > limit[parent]
        done_corners.append(corners[~long])
        done_parents.append(parent[~long])
        corners, parent, sides = corners[long], parent[long], sides[long]
        # Turn each triangle so that its longest side comes first.
        turn = (np.argmax(sides, axis=1)[:, None] + np.arange(3)) % 3
        corners = np.take_along_axis(corners, turn[:, :, None], axis=1)
        middle = 0.5 * (corners[:, 0] + corners[:, 1])
        first, second = corners.copy(), corners.copy()
        first[:, 1], second[:, 0] = middle, middle
        corners, parent = np.concatenate([first, second]), np.concatenate([parent, parent])
    return np.concatenate(done_corners), np.concatenate(done_parents)


@njit(cache=True)
def _signed_distance(points, candidates, corners, normals, result):
    """Distance to the nearest of the candidate triangles of each point, with the sign of the side of that triangle.

    Where several are equally near, because the nearest point is on an edge, the one that faces the point most decides.
    """
    nearest = np.empty(3)
    for i in range(points.shape[0]):
        best, facing, sign = np.inf, -1.0, 1.0
        for c in range(candidates.shape[1]):
            t = candidates[i, c]
            nearest_place(points[i], corners[t], nearest)
            square, along = 0.0, 0.0
            for a in range(3):
                offset = points[i, a] - nearest[a]
                square += offset * offset
                along += offset * normals[t, a]
            distance = np.sqrt(square)
            if distance < best - 1e-9 or (distance < best + 1e-9 and abs(along) > facing):
                best = min(best, distance)
                facing = abs(along)
                sign = 1.0 if along >= 0.0 else -1.0
        result[i] = sign * best


@njit(cache=True)
def nearest_place(p: Floats, corners: Floats, place: Floats) -> int:
    """Place of a triangle that is nearest to ``p``, and what of the triangle it is on: 0 face, 1 to 3 a corner, 4 to 6
    an edge (Ericson, Real-Time Collision Detection, 2005)."""
    a, b, c = corners[0], corners[1], corners[2]
    d1 = d2 = d3 = d4 = d5 = d6 = 0.0
    for k in range(3):
        ab, ac = b[k] - a[k], c[k] - a[k]
        d1 += ab * (p[k] - a[k])
        d2 += ac * (p[k] - a[k])
        d3 += ab * (p[k] - b[k])
        d4 += ac * (p[k] - b[k])
        d5 += ab * (p[k] - c[k])
        d6 += ac * (p[k] - c[k])
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    v, w, where = 0.0, 0.0, 0
    if d1 <= 0.0 and d2 <= 0.0:
        where = 1
    elif d3 >= 0.0 and d4 <= d3:
        v, where = 1.0, 2
    elif d6 >= 0.0 and d5 <= d6:
        w, where = 1.0, 3
    elif vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        v, where = d1 / (d1 - d3), 4
    elif vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        w, where = d2 / (d2 - d6), 6
    elif va <= 0.0 and d4 - d3 >= 0.0 and d5 - d6 >= 0.0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        v, where = 1.0 - w, 5
    else:
        scale = 1.0 / (va + vb + vc)
        v, w = vb * scale, vc * scale
    for k in range(3):
        place[k] = a[k] + v * (b[k] - a[k]) + w * (c[k] - a[k])
    return where
