"""Compiled loops over nodes and elements: table look-up, means, Joule heat and point location."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ablationsim.fem.products import BLOCK, THREADED_FROM, blocks_of

Array = NDArray[np.float64]


@njit(cache=True)
def _look_up(first, last, x, start, step, table, value, slope):
    top = len(table) - 2
    for i in range(first, last):
        position = (x[i] - start) / step
        k = min(max(int(position), 0), top)
        difference = table[k + 1] - table[k]
        value[i] = table[k] + (position - k) * difference
        slope[i] = difference / step


@njit(cache=True, parallel=True)
def _threaded_look_up(x, start, step, table, value, slope):
    n = len(x)
    for block in prange(blocks_of(n)):
        _look_up(block * BLOCK, min(n, (block + 1) * BLOCK), x, start, step, table, value, slope)


def look_up(x, start, step, table, value, slope):
    """Linear interpolation in a uniform table: values and slopes at ``x``; constant slope beyond the last entry."""
    if len(x) < THREADED_FROM:
        _look_up(0, len(x), x, start, step, table, value, slope)
    else:
        _threaded_look_up(x, start, step, table, value, slope)


@njit(cache=True)
def _heat_content(first, last, x, lost, start, step, table, latent, value, slope):
    top = len(table) - 2
    for i in range(first, last):
        position = (x[i] - start) / step
        k = min(max(int(position), 0), top)
        lower = table[k] - lost[i] * latent[k]
        difference = table[k + 1] - lost[i] * latent[k + 1] - lower
        value[i] = lower + (position - k) * difference
        slope[i] = difference / step


@njit(cache=True, parallel=True)
def _threaded_heat_content(x, lost, start, step, table, latent, value, slope):
    n = len(x)
    for block in prange(blocks_of(n)):
        first, last = block * BLOCK, min(n, (block + 1) * BLOCK)
        _heat_content(first, last, x, lost, start, step, table, latent, value, slope)


def heat_content(x, lost, start, step, table, latent, value, slope):
    """Values and slopes at ``x`` of ``table - lost * latent``, two uniform tables; constant slope beyond their ends."""
    if len(x) < THREADED_FROM:
        _heat_content(0, len(x), x, lost, start, step, table, latent, value, slope)
    else:
        _threaded_heat_content(x, lost, start, step, table, latent, value, slope)


@njit(cache=True)
def refine_heat_content(content, lost, start, step, table, latent, x):
    """Where ``table - lost * latent`` has the values ``content``, at the nodes that have lost anything, exactly.

    The others keep what they have in ``x``, which is a lower bound for all.
    """
    for i in range(len(x)):
        if lost[i] == 0.0:
            continue
        low = min(max(int((x[i] - start) / step) - 1, 0), len(table) - 2)
        high = len(table) - 1
        while high - low > 1:
            k = (low + high) // 2
            if table[k] - lost[i] * latent[k] <= content[i]:
                low = k
            else:
                high = k
        value = table[low] - lost[i] * latent[low]
        difference = table[low + 1] - lost[i] * latent[low + 1] - value
        x[i] = start + step * (low + (content[i] - value) / difference)


@njit(cache=True)
def _nodal_look_up(first, last, x, start, step, table, factor, out):
    top = len(table) - 2
    for i in range(first, last):
        position = min(max((x[i] - start) / step, 0.0), top + 1.0)
        k = min(int(position), top)
        out[i] = factor[i] * (table[k] + (position - k) * (table[k + 1] - table[k]))


@njit(cache=True)
def _element_means(first, last, nodal, cells, averaging, out):
    corners, one, two, three = np.uint64(cells.shape[1]), np.uint64(1), np.uint64(2), np.uint64(3)
    own = np.uint64(len(averaging) > 1)  # else all elements share one row
    node, weight = cells.ravel(), averaging.ravel()
    if cells.shape[1] == 4:
        for e in range(np.uint64(first), np.uint64(last)):
            k = e * corners
            w = k * own
            total = weight[w] * nodal[node[k]] + weight[w + one] * nodal[node[k + one]]
            total += weight[w + two] * nodal[node[k + two]] + weight[w + three] * nodal[node[k + three]]
            out[e] = total
    else:
        for e in range(np.uint64(first), np.uint64(last)):
            k = e * corners
            w = k * own
            total = weight[w] * nodal[node[k]] + weight[w + one] * nodal[node[k + one]]
            out[e] = total + weight[w + two] * nodal[node[k + two]]


@njit(cache=True, parallel=True)
def _threaded_element_look_up(x, start, step, table, factor, cells, averaging, nodal, out):
    n, m = len(x), len(out)
    for block in prange(blocks_of(n)):
        first, last = block * BLOCK, min(n, (block + 1) * BLOCK)
        _nodal_look_up(first, last, x, start, step, table, factor, nodal)
    for block in prange(blocks_of(m)):
        _element_means(block * BLOCK, min(m, (block + 1) * BLOCK), nodal, cells, averaging, out)


def element_look_up(x, start, step, table, factor, cells, averaging, out):
    """Weighted mean over each element of ``factor * table(x)`` at its nodes (the table is held constant beyond its
    ends)."""
    nodal = np.empty(len(x), np.float32)
    if len(x) < THREADED_FROM:
        _nodal_look_up(0, len(x), x, start, step, table, factor, nodal)
        _element_means(0, len(out), nodal, cells, averaging, out)
    else:
        _threaded_element_look_up(x, start, step, table, factor, cells, averaging, nodal, out)


@njit(cache=True)
def _nodal_sums(portion, heat, cells, averaging, portions, parts):
    part = parts[portions.start[portion] : portions.start[portion + 1]]
    part[:] = 0.0
    shift, corners = np.uint64(portions.lowest[portion]), np.uint64(cells.shape[1])
    own = np.uint64(len(averaging) > 1)
    node, weight = cells.ravel(), averaging.ravel()
    for e in range(np.uint64(portions.first[portion]), np.uint64(portions.first[portion + 1])):
        k, w = e * corners, e * corners * own
        for a in range(corners):
            part[node[k + a] - shift] += heat[e] * weight[w + a]


@njit(cache=True)
def _put_together(first, last, portions, parts, nodal):
    nodal[first:last] = 0.0
    for portion in range(len(portions.lowest)):
        shift = portions.start[portion] - portions.lowest[portion]
        low = max(first, portions.lowest[portion])
        high = min(last, portions.start[portion + 1] - shift)
        for i in range(low, high):
            nodal[i] += parts[i + shift]


@njit(cache=True, parallel=True)
def _threaded_nodal_sums(heat, cells, averaging, portions, parts, nodal):
    n = len(nodal)
    for portion in prange(len(portions.lowest)):
        _nodal_sums(portion, heat, cells, averaging, portions, parts)
    for block in prange(blocks_of(n)):
        _put_together(block * BLOCK, min(n, (block + 1) * BLOCK), portions, parts, nodal)


def nodal_sums(heat, cells, averaging, portions, nodal):
    """What each node receives of the elements' heat ``(m,)``, by their weights ``(m, d + 1)``."""
    parts = np.empty(portions.start[-1])
    if len(portions.lowest) == 1:
        _nodal_sums(0, heat, cells, averaging, portions, parts)
        _put_together(0, len(nodal), portions, parts, nodal)
    else:
        _threaded_nodal_sums(heat, cells, averaging, portions, parts, nodal)


@njit(cache=True)
def _joule_heat(first, last, u, v, conductivity, cells, edge_stiffness, heat):
    total, one, two, three = 0.0, np.uint64(1), np.uint64(2), np.uint64(3)
    node, s = cells.ravel(), edge_stiffness.ravel()
    if cells.shape[1] == 4:
        for e in range(np.uint64(first), np.uint64(last)):
            n = e * np.uint64(4)
            i, j, k, m = node[n], node[n + one], node[n + two], node[n + three]
            a, b, c = u[i] - u[j], u[i] - u[k], u[i] - u[m]
            p, q, r = v[i] - v[j], v[i] - v[k], v[i] - v[m]
            n = e * np.uint64(6)
            value = s[n] * a * p + s[n + one] * b * q + s[n + two] * c * r
            n += three
            value += s[n] * (b - a) * (q - p) + s[n + one] * (c - a) * (r - p) + s[n + two] * (c - b) * (r - q)
            heat[e] = -conductivity[e] * value
            total += heat[e]
    else:
        for e in range(np.uint64(first), np.uint64(last)):
            n = e * three
            i, j, k = node[n], node[n + one], node[n + two]
            a, b = u[i] - u[j], u[i] - u[k]
            p, q = v[i] - v[j], v[i] - v[k]
            heat[e] = -conductivity[e] * (s[n] * a * p + s[n + one] * b * q + s[n + two] * (b - a) * (q - p))
            total += heat[e]
    return total


@njit(cache=True, parallel=True)
def _threaded_joule_heat(u, v, conductivity, cells, edge_stiffness, heat):
    m = len(heat)
    parts = np.empty(blocks_of(m))
    for block in prange(len(parts)):
        first, last = block * BLOCK, min(m, (block + 1) * BLOCK)
        parts[block] = _joule_heat(first, last, u, v, conductivity, cells, edge_stiffness, heat)
    return parts


def joule_heat(u, v, conductivity, cells, edge_stiffness, heat):
    """Heat ``sigma grad u . grad v`` of each element [W]; returns its sum.

    ``edge_stiffness`` holds the element matrices off their diagonals; since their rows sum to zero, differences along
    the edges say it all.
    """
    if len(u) < THREADED_FROM:
        return _joule_heat(0, len(heat), u, v, conductivity, cells, edge_stiffness, heat)
    return _threaded_joule_heat(u, v, conductivity, cells, edge_stiffness, heat).sum()


@njit(cache=True)
def walk_to_elements(points, which, starts, origin, inverse, neighbours, tolerance, longest, cells, weights):
    """Elements and barycentric weights of the points numbered ``which``, by walks that start from the given elements;
    with a single one, each begins where the one before ended.

    A walk goes on through the face that the point lies farthest beyond. Where that has a negative number in place of a
    neighbour, the number becomes the point's element and its first weight -1; a walk through more than ``longest``
    elements leaves the element as it was.
    """
    dimension = points.shape[1]
    coordinates = np.empty(dimension + 1)
    last = starts[0]
    for k in range(len(which)):
        i = which[k]
        cell = starts[k] if len(starts) > 1 else last
        for _ in range(longest):
            lowest, exit_face, total = -tolerance, -1, 0.0
            for a in range(dimension):
                value = 0.0
                for b in range(dimension):
                    value += inverse[cell, a, b] * (points[i, b] - origin[cell, b])
                coordinates[a + 1] = value
                total += value
            coordinates[0] = 1.0 - total
            for a in range(dimension + 1):
                if coordinates[a] < lowest:
                    lowest, exit_face = coordinates[a], a
            if exit_face < 0:
                clipped = 0.0
                for a in range(dimension + 1):
                    coordinates[a] = max(coordinates[a], 0.0)
                    clipped += coordinates[a]
                for a in range(dimension + 1):
                    weights[i, a] = coordinates[a] / clipped
                cells[i] = cell
                last = cell
                break
            following = neighbours[cell, exit_face]
            if following < 0:
                cells[i] = following
                weights[i, 0] = -1.0
                break
            cell = following
