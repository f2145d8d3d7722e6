"""Stiffness matrices for element coefficients, on one fixed pattern.

A coefficient that is constant on each element enters the stiffness matrix linearly: the value of an edge of the mesh is
the sum, over the elements round it, of what each contributes times its coefficient. The matrices are symmetric and
their rows sum to zero, so that one value an edge says it all: it goes to two places, and the diagonal follows.

Values off the diagonal are rounded to single precision, both places alike, and the diagonal is their sum in double
precision. The matrix is then exactly conservative and symmetric, and that of a coefficient changed by some 1e-7 of
itself, while every product with it moves half as much memory. Nodes are assumed to be numbered for locality, see
`ablationsim.mesh.ordering`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy import sparse

from ablationsim.fem.kernels import Array
from ablationsim.fem.pattern import Pattern, connect, neighbour_counts
from ablationsim.fem.portions import Portions
from ablationsim.fem.products import BLOCK, THREADED_FROM, blocks_of, product

Singles = NDArray[np.float32]


class Matrix(NamedTuple):
    """Values of a symmetric matrix on a pattern.

    Attributes
    ----------
    off : (2 k,) single precision
        Off the diagonal, in the order of the pattern's indices.
    diagonal : (n,) array
        On it.
    """

    off: Singles
    diagonal: Array


class Addition(NamedTuple):
    """What is added to a stiffness matrix, on the same pattern.

    Attributes
    ----------
    off : (2 k,) single precision
        Off the diagonal.
    row_sums : (n,) array
        What its rows sum to.
    """

    off: Singles
    row_sums: Array

    def plus(self, other: Addition) -> Addition:
        """Both."""
        return Addition(self.off + other.off, self.row_sums + other.row_sums)


class Scatter:
    """Map from element coefficients to stiffness matrices.

    Parameters
    ----------
    cells : (m, d + 1) array
        Nodes of the elements.
    n : int
        Number of nodes.
    edge_stiffness : (m, d (d + 1) / 2) single precision
        Entry of each element's stiffness matrix for each of its edges, for a coefficient of one.
    in_order : bool
        Whether to add up in the order of the elements, so that an edge comes out the same in every part of a mesh.

    Attributes
    ----------
    pattern : Pattern
        Neighbours of nodes.
    """

    def __init__(self, cells: NDArray[np.integer], n: int, edge_stiffness: Singles, *, in_order: bool = False) -> None:
        self.pattern, self._edges = connect(cells, n)
        self._edge_stiffness = edge_stiffness
        self._portions = Portions.of(self._edges, len(self.pattern.mirror), single=in_order)
        self._parts = np.empty(self._portions.start[-1], np.float32)

    def matrix(
        self, coefficient: NDArray[np.floating], addition: Addition | None = None, out: Matrix | None = None
    ) -> Matrix:
        """Stiffness matrix for an element coefficient ``(m,)``, with what is added to it.

        The matrix ``out`` is written over, if given: a large one is slow to allocate.
        """
        pattern = self.pattern
        off, diagonal = out or Matrix(np.empty(len(pattern.indices), np.float32), np.empty(len(pattern.upper)))
        edge_sums(self._edges, self._edge_stiffness, coefficient, self._portions, self._parts)
        fill(pattern, self._portions, self._parts, off)
        if addition is not None:
            off += addition.off
        row_sums(pattern.indptr, off, diagonal)
        if addition is not None:
            diagonal += addition.row_sums
        return Matrix(off, diagonal)

    def addition(self, matrix: sparse.sparray | sparse.spmatrix) -> Addition:
        """A symmetric matrix ``(n, n)`` whose entries lie on the pattern, ready to be added."""
        pattern, n = self.pattern, len(self.pattern.upper)
        entries = sparse.csr_array(matrix)
        sums = np.asarray(entries.sum(axis=1)).ravel()
        entries = entries.tocoo()
        beside = entries.row != entries.col
        rows, columns = entries.row[beside].astype(np.int64), entries.col[beside]
        keys = np.repeat(np.arange(n, dtype=np.int64), neighbour_counts(pattern)) * n + pattern.indices
        off = np.zeros(len(keys))
        np.add.at(off, np.searchsorted(keys, rows * n + columns), entries.data[beside])
        return Addition(off.astype(np.float32), sums)


def times(pattern: Pattern, matrix: Matrix, x: Array) -> Array:
    """Matrix times vector ``(n,)``."""
    result = np.empty_like(x)
    product(pattern.indptr, pattern.indices, matrix.off, 1.0, matrix.diagonal, x, result)
    return result


def as_csr(pattern: Pattern, matrix: Matrix) -> sparse.csr_array:
    """The same as a SciPy array."""
    indptr, indices = pattern.indptr.astype(np.int32), pattern.indices.astype(np.int32)
    n = len(matrix.diagonal)
    off = sparse.csr_array((matrix.off.astype(np.float64), indices, indptr), shape=(n, n))
    return sparse.csr_array(off + sparse.diags_array(matrix.diagonal))


@njit(cache=True)
def _edge_sums(portion, edges, edge_stiffness, coefficient, portions, parts):
    part = parts[portions.start[portion] : portions.start[portion + 1]]
    part[:] = 0.0
    shift, count = np.uint64(portions.lowest[portion]), np.uint64(edges.shape[1])
    number, value = edges.ravel(), edge_stiffness.ravel()
    for e in range(np.uint64(portions.first[portion]), np.uint64(portions.first[portion + 1])):
        c = np.float32(coefficient[e])
        for k in range(e * count, (e + np.uint64(1)) * count):
            part[number[k] - shift] += c * value[k]


@njit(cache=True, parallel=True)
def _threaded_edge_sums(edges, edge_stiffness, coefficient, portions, parts):
    for portion in prange(len(portions.lowest)):
        _edge_sums(portion, edges, edge_stiffness, coefficient, portions, parts)


def edge_sums(edges, edge_stiffness, coefficient, portions, parts):
    """Sums of stiffness times coefficient for the edges of the mesh, each portion of the elements for itself."""
    if len(portions.lowest) == 1:
        _edge_sums(0, edges, edge_stiffness, coefficient, portions, parts)
    else:
        _threaded_edge_sums(edges, edge_stiffness, coefficient, portions, parts)


@njit(cache=True)
def _fill(first, last, pattern, portions, parts, off):
    begin, end = np.int64(pattern.first_edge[first]), np.int64(pattern.first_edge[last])
    total = np.zeros(end - begin, np.float32)
    for portion in range(len(portions.lowest)):
        shift = portions.start[portion] - portions.lowest[portion]
        low = max(begin, portions.lowest[portion])
        high = min(end, portions.start[portion + 1] - shift)
        if low < high:
            total[low - begin : high - begin] += parts[low + shift : high + shift]
    one, edge, local = np.uint64(1), np.uint64(begin), np.uint64(0)
    for i in range(np.uint64(first), np.uint64(last)):
        for k in range(np.uint64(pattern.upper[i]), np.uint64(pattern.indptr[i + one])):
            off[k] = total[local]
            off[pattern.mirror[edge]] = total[local]
            edge += one
            local += one


@njit(cache=True, parallel=True)
def _threaded_fill(pattern, portions, parts, off):
    n = len(pattern.upper)
    for block in prange(blocks_of(n)):
        _fill(block * BLOCK, min(n, (block + 1) * BLOCK), pattern, portions, parts, off)


def fill(pattern, portions, parts, off):
    """Write the sums of all portions into both places of every edge."""
    n = len(pattern.upper)
    if n < THREADED_FROM:
        _fill(0, n, pattern, portions, parts, off)
    else:
        _threaded_fill(pattern, portions, parts, off)


@njit(cache=True)
def _row_sums(first, last, indptr, off, diagonal):
    for i in range(first, last):
        a, b = 0.0, 0.0
        k, end, one, two = np.uint64(indptr[i]), np.uint64(indptr[i + 1]), np.uint64(1), np.uint64(2)
        while k + one < end:
            a += off[k]
            b += off[k + one]
            k += two
        if k < end:
            a += off[k]
        diagonal[i] = -(a + b)


@njit(cache=True, parallel=True)
def _threaded_row_sums(indptr, off, diagonal):
    n = len(diagonal)
    for block in prange(blocks_of(n)):
        _row_sums(block * BLOCK, min(n, (block + 1) * BLOCK), indptr, off, diagonal)


def row_sums(indptr, off, diagonal):
    """The diagonal that makes the rows of ``off`` sum to zero."""
    n = len(diagonal)
    if n < THREADED_FROM:
        _row_sums(0, n, indptr, off, diagonal)
    else:
        _threaded_row_sums(indptr, off, diagonal)
