"""Which nodes of a mesh are neighbours, and which edge between two of them each edge of an element is.

Compiled, in a time and memory that grow with the mesh only. Numbers are unsigned and of 32 bits: the loops that use
them are bound by memory, and with signed ones every access would be checked for wrap-around.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Indices = NDArray[np.uint32]


class Pattern(NamedTuple):
    """Pairs of neighbouring nodes, row by row.

    Attributes
    ----------
    indptr : (n + 1,) array
        Where the neighbours of each node begin in `indices`.
    indices : (2 k,) array
        Neighbours of each node in rising order, without the node itself.
    upper : (n,) array
        Where those with a higher number than the node begin in `indices`.
    first_edge : (n + 1,) array
        Number of the first edge from each node to a higher one; edges are numbered in the order of `indices`.
    mirror : (k,) array
        For each edge, where the pair stands in `indices` in the row of its higher node.
    """

    indptr: Indices
    indices: Indices
    upper: Indices
    first_edge: Indices
    mirror: Indices


def index_array(values: object) -> Indices:
    """Indices in the type that the kernels expect."""
    return np.ascontiguousarray(values, dtype=np.uint32)


def connect(cells: NDArray[np.integer], n: int) -> tuple[Pattern, Indices]:
    """Neighbours in a mesh, and the edges of its elements.

    Parameters
    ----------
    cells : (m, d + 1) array
        Nodes of the elements.
    n : int
        Number of nodes.

    Returns
    -------
    Pattern
        Pairs of neighbours.
    (m, d (d + 1) / 2) array
        Number of the edge between each pair of corners of an element, the pairs in lexical order.
    """
    cells = cells.astype(np.int32, copy=False)
    node_start, node_place = _elements_at_nodes(cells, n)
    counts = np.empty((n, 2), np.uint32)
    _count_neighbours(cells, node_start, node_place, counts)
    indptr, first_edge = _pointers(counts[:, 0]), _pointers(counts[:, 1])
    upper = index_array(indptr[1:] - counts[:, 1])
    indices = np.empty(indptr[-1], np.uint32)
    _fill_neighbours(cells, node_start, node_place, indptr, indices)
    mirror = np.empty(first_edge[-1], np.uint32)
    _find_mirrors(indptr, indices, upper, first_edge, mirror)
    corners = cells.shape[1]
    edges = np.empty((len(cells), corners * (corners - 1) // 2), np.uint32)
    _number_edges(cells, indptr, indices, upper, first_edge, edges)
    return Pattern(indptr, indices, upper, first_edge, mirror), edges


def neighbour_counts(pattern: Pattern) -> NDArray[np.int64]:
    """Number of neighbours of each node ``(n,)``."""
    indptr = pattern.indptr.astype(np.int64)
    return indptr[1:] - indptr[:-1]


def _pointers(counts: NDArray[np.integer]) -> Indices:
    return index_array(np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]))


@njit(cache=True)
def _elements_at_nodes(cells, n):
    m, corners = cells.shape
    start = np.zeros(n + 1, np.uint32)
    for e in range(m):
        for a in range(corners):
            start[cells[e, a] + 1] += np.uint32(1)
    for i in range(n):
        start[i + 1] += start[i]
    free = start[:-1].copy()
    place = np.empty(m * corners, np.uint32)
    for e in range(m):
        for a in range(corners):
            i = cells[e, a]
            place[free[i]] = e
            free[i] += np.uint32(1)
    return start, place


@njit(cache=True)
def _neighbours_of(i, cells, node_start, node_place, found):
    """Write the neighbours of a node into ``found``, in rising order, and return how many there are."""
    corners = cells.shape[1]
    count = 0
    for s in range(node_start[i], node_start[i + 1]):
        e = node_place[s]
        for a in range(corners):
            j = cells[e, a]
            if j == i:
                continue
            k = count
            while k > 0 and found[k - 1] > j:
                k -= 1
            if k > 0 and found[k - 1] == j:
                continue
            for later in range(count, k, -1):
                found[later] = found[later - 1]
            found[k] = j
            count += 1
    return count


@njit(cache=True, parallel=True)
def _count_neighbours(cells, node_start, node_place, counts):
    for i in prange(len(counts)):
        found = np.empty((node_start[i + 1] - node_start[i]) * (cells.shape[1] - 1), np.int32)
        count = _neighbours_of(i, cells, node_start, node_place, found)
        higher = 0
        for k in range(count):
            higher += found[k] > i
        counts[i, 0], counts[i, 1] = count, higher


@njit(cache=True, parallel=True)
def _fill_neighbours(cells, node_start, node_place, indptr, indices):
    for i in prange(len(indptr) - 1):
        found = np.empty((node_start[i + 1] - node_start[i]) * (cells.shape[1] - 1), np.int32)
        for k in range(_neighbours_of(i, cells, node_start, node_place, found)):
            indices[indptr[i] + np.uint32(k)] = found[k]


@njit(cache=True)
def _find(indices, low, high, wanted):
    """Position of a number in a rising part of an array that holds it."""
    while low < high:
        middle = (low + high) // 2
        if indices[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, parallel=True)
def _find_mirrors(indptr, indices, upper, first_edge, mirror):
    for i in prange(len(upper)):
        shift = np.int64(first_edge[i]) - np.int64(upper[i])
        for k in range(np.int64(upper[i]), np.int64(indptr[i + 1])):
            j = indices[k]
            mirror[k + shift] = _find(indices, np.int64(indptr[j]), np.int64(upper[j]), i)


@njit(cache=True, parallel=True)
def _number_edges(cells, indptr, indices, upper, first_edge, edges):
    corners = cells.shape[1]
    for e in prange(len(cells)):
        edge = 0
        for a in range(corners - 1):
            for b in range(a + 1, corners):
                i, j = min(cells[e, a], cells[e, b]), max(cells[e, a], cells[e, b])
                k = _find(indices, np.int64(upper[i]), np.int64(indptr[i + 1]), j)
                edges[e, edge] = k - np.int64(upper[i]) + np.int64(first_edge[i])
                edge += 1
