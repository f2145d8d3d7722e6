"""First guesses for a sequence of similar systems: the best combination of what the last solutions changed by.

Of all sums of the last solution and multiples of the last few changes, the one nearest to the new solution in the
energy norm costs one pass over the matrix and a system of four unknowns (Fischer 1998). It contains extrapolation in
time, and does not mind steps of any length, or repeated ones. What is kept are not the changes themselves, which are
nearly parallel, but the last one and differences of rising order: single precision is enough to tell those apart.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from ablationsim.fem.kernels import Array
from ablationsim.fem.pattern import Pattern
from ablationsim.fem.products import BLOCK, THREADED_FROM, blocks_of
from ablationsim.fem.stiffness import Matrix
from ablationsim.mesh.distribution import Distribution

KEPT = 4
"""Number of changes that are kept. The kernel is written out for four."""

_CUTOFF = 1e-5  # of the largest singular value: what is alike to single precision counts once


class Guess:
    """Changes between the last solutions.

    Parameters
    ----------
    n : int
        Number of unknowns.
    distribution : Distribution
        Of the unknowns over ranks.
    """

    def __init__(self, n: int, distribution: Distribution) -> None:
        self._distribution = distribution
        self._changes = np.zeros((n, KEPT), np.float32)

    def remember(self, before: Array, after: Array) -> None:
        """Note two solutions in succession ``(n,)``."""
        differences(before, after, self._changes)

    def improve(self, pattern: Pattern, matrix: Matrix, b: Array, x: Array) -> None:
        """Move ``x`` along the changes to where ``matrix @ x`` is nearest to ``b``, in place; held nodes stay."""
        off, diagonal = matrix
        own = self._distribution.own
        sums = energies(pattern.indptr, pattern.indices, off, own(diagonal), own(b), x, self._changes)
        sums = self._distribution.comm.sum(sums)
        gram, right = sums[:, :KEPT], sums[:, KEPT]
        size = np.sqrt(np.maximum(np.diag(gram), 0.0))
        used = np.flatnonzero(size > 0.0)
        if len(used) == 0:
            return
        size = size[used]
        normed = gram[np.ix_(used, used)] / np.outer(size, size)
        weights = np.zeros(KEPT)
        weights[used] = np.linalg.pinv(normed, rcond=_CUTOFF, hermitian=True) @ (right[used] / size) / size
        combine(self._changes, weights, x)

    @property
    def changes(self) -> NDArray[np.float32]:
        """The latest change and its differences ``(n, KEPT)``, all that a guess depends on."""
        return self._changes

    @changes.setter
    def changes(self, changes: NDArray[np.float32]) -> None:
        self._changes = np.array(changes, np.float32)


@njit(cache=True, fastmath={"contract"})
def _energies(first, last, indptr, indices, off, diagonal, b, x, changes, sums):
    zero, one, four = np.float32(0.0), np.uint64(1), np.uint64(KEPT)
    flat = changes.ravel()
    # What is multiplied in the end, column by column: the changes, and their images beside b - A x.
    here = np.empty((KEPT, last - first), np.float32)
    images = np.empty((KEPT + 1, last - first), np.float32)
    row = np.uint64(0)
    for i in range(np.uint64(first), np.uint64(last)):
        total = 0.0
        p, q, r, s = zero, zero, zero, zero
        for k in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            j, value = np.uint64(indices[k]), off[k]
            total += value * x[j]
            j *= four
            p += value * flat[j]
            q += value * flat[j + one]
            r += value * flat[j + np.uint64(2)]
            s += value * flat[j + np.uint64(3)]
        d, free = diagonal[i], np.float32(diagonal[i] != 0.0)
        j = i * four
        here[0, row], here[1, row] = free * flat[j], free * flat[j + one]
        here[2, row], here[3, row] = free * flat[j + np.uint64(2)], free * flat[j + np.uint64(3)]
        images[0, row], images[1, row] = p + d * flat[j], q + d * flat[j + one]
        images[2, row], images[3, row] = r + d * flat[j + np.uint64(2)], s + d * flat[j + np.uint64(3)]
        images[4, row] = b[i] - total - d * x[i]
        row += one
    for a in range(KEPT):
        for c in range(KEPT + 1):
            sums[a, c] = _dot(here[a], images[c])


@njit(cache=True, fastmath={"contract", "reassoc", "nsz"})
def _dot(a, b):
    total = 0.0
    for i in range(len(a)):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@njit(cache=True, parallel=True)
def _threaded_energies(indptr, indices, off, diagonal, b, x, changes, parts):
    n = len(b)
    for block in prange(len(parts)):
        first, last = block * BLOCK, min(n, (block + 1) * BLOCK)
        _energies(first, last, indptr, indices, off, diagonal, b, x, changes, parts[block])


def energies(indptr, indices, off, diagonal, b, x, changes):
    """Products of the changes with their images, and in the last column with ``b - A x``; shape (KEPT, KEPT + 1).

    Over the rows that ``b`` has; ``x`` and the changes may have nodes more.
    """
    n = len(b)
    if n < THREADED_FROM:
        parts = np.empty((1, KEPT, KEPT + 1))
        _energies(0, n, indptr, indices, off, diagonal, b, x, changes, parts[0])
    else:
        parts = np.empty((blocks_of(n), KEPT, KEPT + 1))
        _threaded_energies(indptr, indices, off, diagonal, b, x, changes, parts)
    return parts.sum(axis=0)


@njit(cache=True)
def _combine(first, last, changes, weights, x):
    for i in range(first, last):
        total = 0.0
        for a in range(KEPT):
            total += weights[a] * changes[i, a]
        x[i] += total


@njit(cache=True, parallel=True)
def _threaded_combine(changes, weights, x):
    n = len(x)
    for block in prange(blocks_of(n)):
        _combine(block * BLOCK, min(n, (block + 1) * BLOCK), changes, weights, x)


def combine(changes, weights, x):
    """``x += changes @ weights``."""
    if len(x) < THREADED_FROM:
        _combine(0, len(x), changes, weights, x)
    else:
        _threaded_combine(changes, weights, x)


@njit(cache=True)
def _differences(first, last, before, after, changes):
    for i in range(first, last):
        new = after[i] - before[i]
        for a in range(KEPT):
            old = changes[i, a]
            changes[i, a] = new
            new -= old


@njit(cache=True, parallel=True)
def _threaded_differences(before, after, changes):
    n = len(after)
    for block in prange(blocks_of(n)):
        _differences(block * BLOCK, min(n, (block + 1) * BLOCK), before, after, changes)


def differences(before, after, changes):
    """Put the change in the first column, what it differs by from the one that was there in the second, and so on."""
    if len(after) < THREADED_FROM:
        _differences(0, len(after), before, after, changes)
    else:
        _threaded_differences(before, after, changes)
