"""Products of sparse matrices with vectors and what iterations do beside them, shared among threads.

A matrix is ``scale * off + diag(diagonal)``: off-diagonal values in single precision on the rows of a pattern, and a
diagonal in the precision of the vectors. Where the diagonal is zero, the node is held: its row gives zero.

Vectors are worked through in blocks of a fixed length, and sums add up block by block, so that results do not depend on
the number of threads. Small vectors are left to one thread: starting several costs more than the work. The loop over a
row is written out in each kernel, since a function of its own would count references for every row.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

BLOCK = 512
"""Rows that one thread works through at a time."""

_FUSED = {"contract"}  # allows a multiplication and the addition after it to be rounded once

THREADED_FROM = 5_000
"""Rows from which the work is worth sharing among threads."""


_NOTHING = np.float32(1e-25)
"""Numbers that are set to zero in single precision: a little smaller still, and the processor takes ten times as long
for each operation. They come up far from where anything happens."""


@njit(cache=True)
def blocks_of(n):
    """Number of blocks of ``n`` rows."""
    return (n + BLOCK - 1) // BLOCK


@njit(cache=True, fastmath=_FUSED)
def _residual(first, last, indptr, indices, off, scale, diagonal, b, x, r):
    total = 0.0
    for i in range(np.uint64(first), np.uint64(last)):
        row = x.dtype.type(0)
        if diagonal[i] != 0.0:
            for k in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])):
                row += off[k] * x[indices[k]]
            row = b[i] - diagonal[i] * x[i] - scale * row
        r[i] = row
        total += np.float64(row) * np.float64(row)
    return total


@njit(cache=True, parallel=True)
def _threaded_residual(indptr, indices, off, scale, diagonal, b, x, r):
    parts = np.empty(blocks_of(len(r)))
    for block in prange(len(parts)):
        first, last = block * BLOCK, min(len(r), (block + 1) * BLOCK)
        parts[block] = _residual(first, last, indptr, indices, off, scale, diagonal, b, x, r)
    return parts


@njit(cache=True)
def residual(indptr, indices, off, scale, diagonal, b, x, r):
    """``r = b - A x``; returns its square."""
    if len(r) < THREADED_FROM:
        return _residual(0, len(r), indptr, indices, off, scale, diagonal, b, x, r)
    return _threaded_residual(indptr, indices, off, scale, diagonal, b, x, r).sum()


@njit(cache=True, fastmath=_FUSED)
def _product(first, last, indptr, indices, off, scale, diagonal, x, y):
    total = 0.0
    for i in range(np.uint64(first), np.uint64(last)):
        row = x.dtype.type(0)
        if diagonal[i] != 0.0:
            for k in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])):
                row += off[k] * x[indices[k]]
            row = diagonal[i] * x[i] + scale * row
        y[i] = row
        total += np.float64(row) * np.float64(x[i])
    return total


@njit(cache=True, parallel=True)
def _threaded_product(indptr, indices, off, scale, diagonal, x, y):
    parts = np.empty(blocks_of(len(y)))
    for block in prange(len(parts)):
        first, last = block * BLOCK, min(len(y), (block + 1) * BLOCK)
        parts[block] = _product(first, last, indptr, indices, off, scale, diagonal, x, y)
    return parts


@njit(cache=True)
def product(indptr, indices, off, scale, diagonal, x, y):
    """``y = A x``; returns ``x . y``."""
    if len(y) < THREADED_FROM:
        return _product(0, len(y), indptr, indices, off, scale, diagonal, x, y)
    return _threaded_product(indptr, indices, off, scale, diagonal, x, y).sum()


@njit(cache=True, fastmath=_FUSED)
def _sweep(first, last, indptr, indices, off, diagonal, weight, b, x, y):
    total = 0.0
    for i in range(np.uint64(first), np.uint64(last)):
        row = x.dtype.type(0)
        for k in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])):
            row += off[k] * x[indices[k]]
        row = x[i] + weight[i] * (b[i] - diagonal[i] * x[i] - row)
        y[i] = row
        total += np.float64(row) * np.float64(b[i])
    return total


@njit(cache=True, parallel=True)
def _threaded_sweep(indptr, indices, off, diagonal, weight, b, x, y):
    parts = np.empty(blocks_of(len(y)))
    for block in prange(len(parts)):
        first, last = block * BLOCK, min(len(y), (block + 1) * BLOCK)
        parts[block] = _sweep(first, last, indptr, indices, off, diagonal, weight, b, x, y)
    return parts


@njit(cache=True)
def sweep(indptr, indices, off, diagonal, weight, b, x, y):
    """Jacobi sweep ``y = x + weight (b - A x)``; returns ``b . y``."""
    if len(y) < THREADED_FROM:
        return _sweep(0, len(y), indptr, indices, off, diagonal, weight, b, x, y)
    return _threaded_sweep(indptr, indices, off, diagonal, weight, b, x, y).sum()


@njit(cache=True)
def _scaled(first, last, weight, b, x):
    total = 0.0
    for i in range(first, last):
        x[i] = weight[i] * b[i]
        total += np.float64(x[i]) * np.float64(b[i])
    return total


@njit(cache=True, parallel=True)
def _threaded_scaled(weight, b, x):
    parts = np.empty(blocks_of(len(x)))
    for block in prange(len(parts)):
        parts[block] = _scaled(block * BLOCK, min(len(x), (block + 1) * BLOCK), weight, b, x)
    return parts


@njit(cache=True)
def scaled(weight, b, x):
    """``x = weight b``; returns ``b . x``."""
    if len(x) < THREADED_FROM:
        return _scaled(0, len(x), weight, b, x)
    return _threaded_scaled(weight, b, x).sum()


@njit(cache=True, fastmath=_FUSED)
def _transfer(first, last, indptr, indices, values, add, x, y):
    for i in range(np.uint64(first), np.uint64(last)):
        row = x.dtype.type(0)
        for k in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])):
            row += values[k] * x[indices[k]]
        y[i] = y[i] + row if add else row


@njit(cache=True, parallel=True)
def _threaded_transfer(indptr, indices, values, add, x, y):
    for block in prange(blocks_of(len(y))):
        _transfer(block * BLOCK, min(len(y), (block + 1) * BLOCK), indptr, indices, values, add, x, y)


@njit(cache=True)
def transfer(indptr, indices, values, add, x, y):
    """``y = P x`` with a matrix between two levels, or ``y += P x`` if ``add``."""
    if max(len(x), len(y)) < THREADED_FROM:
        _transfer(0, len(y), indptr, indices, values, add, x, y)
    else:
        _threaded_transfer(indptr, indices, values, add, x, y)


@njit(cache=True)
def _advance(first, last, alpha, p, q, x, r):
    total = 0.0
    for i in range(np.uint64(first), np.uint64(last)):
        x[i] += alpha * p[i]
        new = r[i] - alpha * q[i]
        r[i] = new if abs(new) > _NOTHING else np.float32(0.0)
        total += np.float64(new) * np.float64(new)
    return total


@njit(cache=True, parallel=True)
def _threaded_advance(alpha, p, q, x, r):
    parts = np.empty(blocks_of(len(x)))
    for block in prange(len(parts)):
        parts[block] = _advance(block * BLOCK, min(len(x), (block + 1) * BLOCK), alpha, p, q, x, r)
    return parts


@njit(cache=True)
def advance(alpha, p, q, x, r):
    """``x += alpha p`` and ``r -= alpha q``; returns the square of ``r``."""
    if len(x) < THREADED_FROM:
        return _advance(0, len(x), alpha, p, q, x, r)
    return _threaded_advance(alpha, p, q, x, r).sum()


@njit(cache=True)
def _turn(first, last, beta, z, p):
    for i in range(np.uint64(first), np.uint64(last)):
        new = z[i] + beta * p[i]
        p[i] = new if abs(new) > _NOTHING else np.float32(0.0)


@njit(cache=True, parallel=True)
def _threaded_turn(beta, z, p):
    for block in prange(blocks_of(len(p))):
        _turn(block * BLOCK, min(len(p), (block + 1) * BLOCK), beta, z, p)


@njit(cache=True)
def turn(beta, z, p):
    """New direction of search ``p = z + beta p``."""
    if len(p) < THREADED_FROM:
        _turn(0, len(p), beta, z, p)
    else:
        _threaded_turn(beta, z, p)


@njit(cache=True)
def _add_scaled(first, last, factor, change, x):
    for i in range(first, last):
        x[i] += factor * change[i]


@njit(cache=True, parallel=True)
def _threaded_add_scaled(factor, change, x):
    for block in prange(blocks_of(len(x))):
        _add_scaled(block * BLOCK, min(len(x), (block + 1) * BLOCK), factor, change, x)


@njit(cache=True)
def add_scaled(factor, change, x):
    """``x += factor change``."""
    if len(x) < THREADED_FROM:
        _add_scaled(0, len(x), factor, change, x)
    else:
        _threaded_add_scaled(factor, change, x)
