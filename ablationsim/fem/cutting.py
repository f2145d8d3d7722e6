"""The part of a mesh, or of a single tetrahedron, where a linear function is positive."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def volume_above_zero(points, cells, level, volumes, axisymmetric):
    """Integral over {level > 0} of one, or of 2 pi r when axisymmetric, exact for a level linear in each cell.

    A corner alone on its side of the zero cuts off a simplex, whose share of the cell is the product of the shares of
    its edges. Two corners of a tetrahedron on one side cut off a wedge of three tetrahedra.
    """
    corners = cells.shape[1]
    total = 0.0
    for e in range(cells.shape[0]):
        inside = 0
        for a in range(corners):
            if level[cells[e, a]] > 0.0:
                inside += 1
        if inside == 0:
            continue
        if inside == corners:
            total += volumes[e]
        elif inside == 1:
            total += _cut_off(points, cells[e], level, volumes[e], axisymmetric, True)
        elif inside == corners - 1:
            total += volumes[e] - _cut_off(points, cells[e], level, volumes[e], axisymmetric, False)
        else:
            total += volumes[e] * _wedge(cells[e], level)
    return total


@njit(cache=True)
def positive_shares(levels, shares):
    """Share of each tetrahedron where the linear function with the values ``levels`` (m, 4) at its corners is positive,
    into ``shares`` (m,)."""
    cell = np.arange(4)
    flat = np.zeros((4, 3))
    for e in range(levels.shape[0]):
        level = levels[e]
        inside = 0
        for a in range(4):
            if level[a] > 0.0:
                inside += 1
        if inside == 0:
            shares[e] = 0.0
        elif inside == 4:
            shares[e] = 1.0
        elif inside == 1:
            shares[e] = _cut_off(flat, cell, level, 1.0, False, True)
        elif inside == 3:
            shares[e] = 1.0 - _cut_off(flat, cell, level, 1.0, False, False)
        else:
            shares[e] = _wedge(cell, level)


@njit(cache=True)
def _cut_off(points, cell, level, volume, axisymmetric, positive):
    """Volume of the simplex at the one corner whose level is positive (or is not)."""
    corners = len(cell)
    lone = 0
    for a in range(corners):
        if (level[cell[a]] > 0.0) == positive:
            lone = a
    here = level[cell[lone]]
    share = 1.0
    radius = points[cell[lone], 0]
    lone_radius = radius
    mean_radius = 0.0
    for a in range(corners):
        mean_radius += points[cell[a], 0] / corners
        if a != lone:
            edge = here / (here - level[cell[a]])
            share *= edge
            radius += edge * (points[cell[a], 0] - lone_radius) / corners
    return volume * share * (radius / mean_radius if axisymmetric else 1.0)


@njit(cache=True)
def _wedge(cell, level):
    """Share of a tetrahedron that lies on the positive side when two of its corners do."""
    a, b, c, d = -1, -1, -1, -1
    for corner in range(4):
        node = cell[corner]
        if level[node] > 0.0:
            a, b = (node, b) if a < 0 else (a, node)
        else:
            c, d = (node, d) if c < 0 else (c, node)
    p = level[a] / (level[a] - level[c])
    q = level[a] / (level[a] - level[d])
    r = level[b] / (level[b] - level[c])
    s = level[b] / (level[b] - level[d])
    return p * q * (1.0 - s) + p * s * (1.0 - r) + r * s
