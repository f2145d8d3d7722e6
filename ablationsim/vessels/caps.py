"""Ends at which a vessel was cut off: open ones are closed, and flat ones of closed surfaces are found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ablationsim.vessels.triangles import area_vectors, sides_of
from ablationsim.vessels.vessel import Floats, Ints

Bools = NDArray[np.bool_]

#: The wall leaves a cut end, but lies in the plane of a hole in its side: mean |cosine| between the normals of both. A
#: cut at 45 degrees has 0.45.
END_COSINE = 0.6
#: A cut end is flat: distance of its rim from a plane, over the radius of the rim.
FLATNESS = 0.3
#: Triangles of a flat end have one normal, to 2 degrees, and the wall leaves it at more than 60 degrees: cosines.
FLAT_COSINE, WALL_COSINE = 0.9994, 0.5
#: A flat end is round, 4 pi area / perimeter^2 (a square has 0.79), and the vessel behind it as thick as the end.
ROUNDNESS, THICKNESS = 0.6, (0.6, 1.5)


def close_ends(points: Floats, triangles: Ints) -> tuple[Floats, Ints, Bools, int]:
    """Close the open ends of a surface whose triangles all face one way; holes in its side stay as they are.

    Returns
    -------
    points : (n', 3) float64
    triangles : (m', 3) int64
        Those given come first.
    capped : (m',) bool
        Which ones were added.
    int
        How many ends were closed.
    """
    sides = sides_of(triangles)
    normals = _unit(area_vectors(points, triangles))
    wall_normals = dict(zip(map(tuple, sides.open_edges.tolist()), normals[sides.open_triangles], strict=True))
    new_points, new_triangles = [points], [triangles]
    count = len(points)
    ends = 0
    for rim in _rims(sides.open_edges):
        corners = points[rim]
        # The cap runs along the rim against the wall.
        normal = _unit(-_area_vector(corners)[None])[0]
        centre = corners.mean(axis=0)
        offsets = (corners - centre) @ normal
        radius = np.linalg.norm(corners - centre, axis=1).mean()
        steps = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
        beside = np.array([wall_normals[edge] for edge in zip(rim, np.roll(rim, -1).tolist(), strict=True)])
        if np.abs(offsets).max() > FLATNESS * radius or (np.abs(beside @ normal) @ steps) > END_COSINE * steps.sum():
            continue
        following = np.roll(rim, -1)
        fan = np.column_stack([following, rim, np.full(len(rim), count)])
        if ((area_vectors(np.vstack([points, centre]), np.where(fan == count, len(points), fan)) @ normal) > 0).all():
            new_points.append(centre[None])
            new_triangles.append(fan)
            count += 1
        else:
            new_triangles.append(_cut_up(corners, rim)[:, ::-1])
        ends += 1
    closed = np.vstack(new_triangles)
    return np.vstack(new_points), closed, np.arange(len(closed)) >= len(triangles), ends


def flat_ends(points: Floats, triangles: Ints) -> Bools:
    """Which triangles (m,) of a closed surface are flat ends that a vessel was cut off at.

    A flat end is a round plane patch that the wall leaves at about a right angle on all sides, and the vessel goes on
    behind it as thick as it is. An end that is none of these is left as a wall.
    """
    sides, vectors = sides_of(triangles), area_vectors(points, triangles)
    areas, normals = np.linalg.norm(vectors, axis=1), _unit(vectors)
    first, second = sides.neighbours.T
    cosine = np.einsum("ij,ij->i", normals[first], normals[second])
    flat = cosine > FLAT_COSINE
    links = coo_array((np.ones(flat.sum()), (first[flat], second[flat])), shape=2 * (len(triangles),))
    count, patch = connected_components(links, directed=False)
    length = np.linalg.norm(points[sides.edges[:, 0]] - points[sides.edges[:, 1]], axis=1)
    border = patch[first] != patch[second]
    area, perimeter, edges = np.bincount(patch, areas, count), np.zeros(count), np.zeros(count)
    leaves = np.ones(count, dtype=bool)
    centroids = points[triangles].mean(axis=1)
    for one, other in ((first[border], second[border]), (second[border], first[border])):
        perimeter += np.bincount(patch[one], length[border], count)
        edges += np.bincount(patch[one], minlength=count)
        outward = np.einsum("ij,ij->i", centroids[other] - centroids[one], normals[one]) < 0
        leaves[patch[one[~(outward & (np.abs(cosine[border]) < WALL_COSINE))]]] = False
    with np.errstate(divide="ignore", invalid="ignore"):
        round_ = 4.0 * np.pi * area / perimeter**2 > ROUNDNESS
    found = np.zeros(len(triangles), dtype=bool)
    # A triangle has three edges, a square four: too few for the end of a tube.
    for candidate in np.flatnonzero(leaves & round_ & (edges >= 6)):
        members = patch == candidate
        normal = _unit(vectors[members].sum(axis=0)[None])[0]
        centre = areas[members] @ centroids[members] / area[candidate]
        # Somewhere between points, so that the plane goes through none of them.
        depth = 0.9137 * np.sqrt(area[candidate] / np.pi)
        behind = _section(points, triangles, vectors, centre - depth * normal, normal)
        if THICKNESS[0] < behind / area[candidate] < THICKNESS[1]:
            found |= members
    return found


def _section(points: Floats, triangles: Ints, vectors: Floats, origin: Floats, normal: Floats) -> float:
    """Area of the section of a closed surface by a plane [m2], the part round `origin`."""
    height = (points - origin) @ normal
    above = height[triangles] > 0
    crossed = np.flatnonzero(above.any(axis=1) & ~above.all(axis=1))
    corners, heights = points[triangles[crossed]], height[triangles[crossed]]
    following = np.roll(np.arange(3), -1)
    cut = above[crossed] != above[crossed][:, following]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = heights / (heights - heights[:, following])
    places = corners + np.where(cut, share, 0.0)[..., None] * (corners[:, following] - corners)
    ends = places[cut].reshape(-1, 2, 3) - origin
    # Of several loops in the plane, the one nearest to the origin.
    keys = np.sort(np.sort(np.stack([triangles[crossed], triangles[crossed][:, following]], axis=-1), axis=-1)[cut], 1)
    _, node = np.unique(keys, axis=0, return_inverse=True)
    node = node.reshape(-1, 2)
    links = coo_array((np.ones(len(node)), (node[:, 0], node[:, 1])), shape=2 * (int(node.max(initial=0)) + 1,))
    _, loop = connected_components(links, directed=False)
    loop = loop[node[:, 0]]
    if not len(loop):
        return 0.0
    mine = loop == loop[int(np.argmin(np.linalg.norm(ends.mean(axis=1), axis=1)))]
    swept = np.cross(ends[mine, 0], ends[mine, 1]) @ normal
    # Each piece of the loop runs so that the inside is on its left.
    along = np.cross(normal, vectors[crossed[mine]])
    return abs(float(0.5 * (swept * np.sign(np.einsum("ij,ij->i", ends[mine, 1] - ends[mine, 0], along))).sum()))


def _rims(edges: Ints) -> list[Ints]:
    """Closed loops of open edges; those that meet others at a point are left out."""
    leaving = np.bincount(edges[:, 0], minlength=int(edges.max(initial=0)) + 1)
    following = {int(a): int(b) for a, b in edges if leaving[a] == 1}
    found, seen = [], set()
    for start in following:
        rim, point = [], start
        while point in following and point not in seen:
            seen.add(point)
            rim.append(point)
            point = following[point]
        if len(rim) > 2 and point == start:
            found.append(np.array(rim, dtype=np.int64))
    return found


def _area_vector(loop: Floats) -> Floats:
    inner = loop - loop.mean(axis=0)
    return np.asarray(0.5 * np.cross(inner, np.roll(inner, -1, axis=0)).sum(axis=0))


def _cut_up(corners: Floats, rim: Ints) -> Ints:
    """Triangles over a flat loop that is not star-shaped, in its direction."""
    from vtkmodules.vtkCommonCore import vtkIdList
    from vtkmodules.vtkCommonDataModel import vtkPolygon

    polygon, ids = vtkPolygon(), vtkIdList()
    for i, corner in enumerate(corners):
        polygon.GetPoints().InsertNextPoint(corner)
        polygon.GetPointIds().InsertNextId(i)
    polygon.EarCutTriangulation(ids)
    numbers = np.array([ids.GetId(i) for i in range(ids.GetNumberOfIds())], dtype=np.int64)
    return rim[numbers.reshape(-1, 3)]


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0))
