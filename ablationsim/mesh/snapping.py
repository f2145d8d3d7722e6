"""Nodes moved on to the surface where a level is zero, as far as the elements round them bear it.

A node that is nearer to the surface than to the other end of an edge across it would, if the edge were split, leave a
sliver (Labelle and Shewchuk, Isosurface stuffing, 2007). It goes to the surface instead. Nodes on flat facets stay in
their plane, nodes on an edge between two planes stay on the edge, and others on the boundary stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ablationsim.mesh.mesh import Floats, Ints, Mesh
from ablationsim.mesh.splitting import Level

#: A node is moved where the surface is within this share of an edge from it.
REACH = 0.4
#: A node that cannot be moved counts as on the surface where that is within this share of each edge across it.
NEAR = 0.12
#: Moving nodes leaves no element with a quality below this, or below half of what it had.
WORST = 0.1

_STEP = 0.2e-3  # m: differences of the level over this length give its gradient
_NEWTON_STEPS = 4
_SAME_PLANE = 1e-6
_STEEP = 0.3  # sine of the flattest angle between a facet and the surface at which a node slides on the facet


def snapped(mesh: Mesh, level: Level, cells: Ints) -> tuple[Floats, Floats]:
    """Move nodes on to the surface.

    Parameters
    ----------
    mesh : Mesh
        Its boundary and its named facets keep their shape.
    level : callable
        Signed distance of points to the surface, in metres.
    cells : (k, 4) int32
        The elements of the mesh that are to be parted.

    Returns
    -------
    points : (n, 3) float64
        The nodes.
    values : (n,) float64
        The level there, zero for those on the surface and of no effect at nodes of no such element.
    """
    points = mesh.points
    values = _at(level, points, cells)
    share = _nearness(cells, values)
    freedom = freedom_of(mesh)
    close = np.flatnonzero(share < REACH)
    moved_to = points.copy()
    goal, arrived = projected(points[close], freedom[close], level)
    moved_to[close] = goal
    moved = np.zeros(len(points), dtype=bool)
    moved[close] = arrived
    touched = mesh.cells[moved[mesh.cells].any(axis=1)]
    floor = np.minimum(WORST, 0.5 * _signed_quality(points, touched))
    while True:
        placed = np.where(moved[:, None], moved_to, points)
        worse = (_signed_quality(placed, touched) < floor) & moved[touched].any(axis=1)
        if not worse.any():
            break
        # Of the moved nodes of such an element the farthest from the surface goes back.
        corners = touched[worse]
        farthest = np.where(moved[corners], share[corners], -1.0).argmax(axis=1)
        moved[corners[np.arange(len(corners)), farthest]] = False
    values = np.where(moved, 0.0, values)
    values[_nearness(cells, values) < NEAR] = 0.0
    return placed, values


def _signed_quality(points: Floats, cells: Ints) -> Floats:
    """Quality of each cell, negative where it is inside out."""
    mesh = Mesh(points, cells, {}, {}, axisymmetric=False)
    return np.asarray(mesh.quality() * np.sign(mesh.cell_volumes()))


def gradient(level: Level, points: Floats) -> Floats:
    """Unit gradient (p, 3) of a level at points (p, 3)."""
    ways = [level(points + step) - level(points - step) for step in _STEP * np.eye(3)]
    found = np.stack(ways, axis=1)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-300))


def _at(level: Level, points: Floats, cells: Ints) -> Floats:
    """The level at the nodes of some cells, infinity elsewhere."""
    values = np.full(len(points), np.inf)
    used = np.unique(cells)
    values[used] = level(points[used])
    return values


def _nearness(cells: Ints, values: Floats) -> Floats:
    """Share of the edges across the surface that lies between each node and the surface, the smallest of its edges."""
    share = np.full(len(values), np.inf)
    for a, b in combinations(range(4), 2):
        first, second = cells[:, a], cells[:, b]
        across = values[first] * values[second] < 0.0
        first, second = first[across], second[across]
        near, far = np.abs(values[first]), np.abs(values[second])
        np.minimum.at(share, first, near / (near + far))
        np.minimum.at(share, second, far / (near + far))
    return share


def freedom_of(mesh: Mesh) -> Floats:
    """Return a projection for each node, (n, 3, 3), on to the ways on which it leaves the facets as they are."""
    count = len(mesh.points)
    sets: Sequence[Ints] = [*mesh.facets.values(), mesh.boundary()]
    facets = np.concatenate(sets)
    # Facets of no name come last; those that have one are there twice, which makes no difference.
    name = np.repeat(np.arange(len(sets)), [len(some) for some in sets])
    corners = mesh.points[facets]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    node = facets.ravel()
    normal, name = np.repeat(normal, 3, axis=0), np.repeat(name, 3)
    first, second = np.zeros((count, 3)), np.zeros((count, 3))
    names = np.full((count, 2), len(sets))
    np.minimum.at(names[:, 0], node, name)
    named = name < len(sets) - 1
    names[:, 1] = -1
    np.maximum.at(names[:, 1], node[named], name[named])
    first[node] = normal
    other = 1.0 - np.abs(np.einsum("ij,ij->i", normal, first[node])) > _SAME_PLANE
    second[node[other]] = normal[other]
    ridge = np.cross(first, second)
    length = np.linalg.norm(ridge, axis=1)
    along = ridge / np.where(length > 0.0, length, 1.0)[:, None]
    third = np.zeros(count, dtype=bool)
    out = np.abs(np.einsum("ij,ij->i", normal, along[node])) > np.sqrt(_SAME_PLANE)
    third[node[out]] = True
    on_facet = np.zeros(count, dtype=bool)
    on_facet[node] = True
    projection = np.tile(np.eye(3), (count, 1, 1))
    projection[on_facet] -= np.einsum("ij,ik->ijk", first, first)[on_facet]
    edge = length > 0.0
    projection[edge] = np.einsum("ij,ik->ijk", along, along)[edge]
    # Where sets with two names meet, and at corners, nothing moves.
    borders = names[:, 0] < names[:, 1]
    projection[third | borders] = 0.0
    return projection


def projected(points: Floats, freedom: Floats, level: Level) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the points moved to the surface in the directions that they are free in, and whether they got there."""
    moved = points.copy()
    able = np.ones(len(points), dtype=bool)
    for _ in range(_NEWTON_STEPS):
        normal = gradient(level, moved)
        way = np.einsum("ijk,ik->ij", freedom, normal)
        slope = np.einsum("ij,ij->i", way, way)
        able &= slope > _STEEP**2
        moved -= np.where(able, level(moved) / np.where(able, slope, 1.0), 0.0)[:, None] * way
    far = np.linalg.norm(moved - points, axis=1) > 4.0 * np.abs(level(points))
    return moved, able & ~far & (np.abs(level(moved)) < 0.1e-3)
