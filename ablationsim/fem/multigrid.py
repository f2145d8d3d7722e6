"""Conjugate gradients preconditioned by one smoothed-aggregation multigrid cycle.

PyAMG builds the hierarchy; the cycle runs in one compiled function on all levels laid end to end, in single precision
(a preconditioner needs no more), with Chebyshev smoothing of degree two, so that it is symmetric.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyamg
from numba import njit, prange
from numpy.typing import NDArray
from scipy import sparse

from ablationsim.errors import SolverError
from ablationsim.fem.kernels import THREADED_FROM, Array, csr_product, index_array

_SMOOTHED_BAND = 0.25  # the smoother acts on the upper three quarters of the spectrum
_COARSEST = 100  # unknowns that are solved by a dense inverse


class Hierarchy(NamedTuple):
    """All levels of a multigrid hierarchy, concatenated; ``*_start`` says where each level begins."""

    node_start: NDArray[np.int64]
    matrix_pointer: NDArray[np.uint32]
    matrix_index: NDArray[np.uint32]
    matrix_value: NDArray[np.float32]
    inverse_diagonal: NDArray[np.float32]
    spectral_radius: NDArray[np.float32]
    prolongation_pointer: NDArray[np.uint32]
    prolongation_index: NDArray[np.uint32]
    prolongation_value: NDArray[np.float32]
    coarse_inverse: NDArray[np.float32]


def build_hierarchy(matrix: sparse.csr_matrix) -> Hierarchy:
    """Smoothed-aggregation hierarchy of a symmetric positive definite matrix.

    The prolongation is smoothed with row-wise (Gershgorin) weights and the spectra are bounded by a power iteration
    from a fixed start, so that the same matrix always gives the same hierarchy: a resumed run needs that.
    """
    solver = pyamg.smoothed_aggregation_solver(
        matrix, smooth=("jacobi", {"omega": 4.0 / 3.0, "weighting": "local"}), max_coarse=_COARSEST, keep=False
    )
    levels = [level.A.tocsr() for level in solver.levels]
    prolongations = [level.P.tocsr() for level in solver.levels[:-1]]
    sizes = np.array([a.shape[0] for a in levels], dtype=np.int64)
    matrices = _stack(levels)
    transfers = _stack(prolongations) if prolongations else (index_array([0]), index_array([]), np.zeros(0, np.float32))
    return Hierarchy(
        np.concatenate([[0], np.cumsum(sizes)]),
        *matrices,
        np.concatenate([1.0 / a.diagonal() for a in levels]).astype(np.float32),
        np.array([_spectral_radius(a) for a in levels], dtype=np.float32),
        *transfers,
        np.linalg.pinv(levels[-1].toarray(), hermitian=True).astype(np.float32),
    )


def _stack(matrices: list[sparse.csr_matrix]) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.float32]]:
    """Rows of several matrices one after another, each with its own column numbering."""
    counts = np.concatenate([np.diff(a.indptr) for a in matrices])
    return (
        index_array(np.concatenate([[0], np.cumsum(counts)])),
        index_array(np.concatenate([a.indices for a in matrices])),
        np.concatenate([a.data for a in matrices]).astype(np.float32),
    )


def _spectral_radius(matrix: sparse.csr_matrix) -> float:
    """Upper estimate of the largest eigenvalue of ``D^-1 A``."""
    inverse = 1.0 / matrix.diagonal()
    x = np.random.default_rng(0).standard_normal(matrix.shape[0])
    estimate = 1.0
    for _ in range(12):
        x = inverse * (matrix @ (x / np.linalg.norm(x)))
        estimate = float(np.linalg.norm(x))
    return 1.1 * estimate


@njit(cache=True)
def _subtract_product(pointer, index, value, x, b, r):
    """``r = b - A x``; the row pointers count from the start of ``index``."""
    if len(r) >= THREADED_FROM:
        _subtract_threaded_product(pointer, index, value, x, b, r)
    else:
        for i in range(len(r)):
            total = b[i]
            for j in range(pointer[i], pointer[i + 1]):
                total -= value[j] * x[index[j]]
            r[i] = total


@njit(cache=True, parallel=True)
def _subtract_threaded_product(pointer, index, value, x, b, r):
    for i in prange(len(r)):
        total = b[i]
        for j in range(pointer[i], pointer[i + 1]):
            total -= value[j] * x[index[j]]
        r[i] = total


@njit(cache=True)
def _chebyshev(pointer, index, value, inverse_diagonal, upper, x, r, d, q):
    """Two Chebyshev steps on ``A x = b``, given the residual in ``r``; ``d`` and ``q`` are scratch."""
    lower = np.float32(_SMOOTHED_BAND) * upper
    centre = np.float32(0.5) * (upper + lower)
    half = np.float32(0.5) * (upper - lower)
    rho = half / centre
    rho_next = np.float32(1.0) / (np.float32(2.0) * centre / half - rho)
    first = np.float32(1.0) / centre
    keep = np.float32(1.0) + rho_next * rho
    second = np.float32(2.0) * rho_next / half
    for i in range(len(r)):
        d[i] = first * inverse_diagonal[i] * r[i]
    _subtract_product(pointer, index, value, d, r, q)
    for i in range(len(r)):
        x[i] += keep * d[i] + second * inverse_diagonal[i] * q[i]


@njit(cache=True)
def _cycle(h, b, x, r, d, q):
    """One V-cycle: ``x`` approximates the solution for the right-hand side ``b`` (finest level first in all
    vectors)."""
    last = len(h.node_start) - 2
    index, value = h.matrix_index, h.matrix_value
    for level in range(last):
        start, end, coarse_end = h.node_start[level], h.node_start[level + 1], h.node_start[level + 2]
        pointer, inverse = h.matrix_pointer[start : end + 1], h.inverse_diagonal[start:end]
        bl, xl, rl, dl, ql = b[start:end], x[start:end], r[start:end], d[start:end], q[start:end]
        for i in range(end - start):
            xl[i] = np.float32(0.0)
            rl[i] = bl[i]
        _chebyshev(pointer, index, value, inverse, h.spectral_radius[level], xl, rl, dl, ql)
        _subtract_product(pointer, index, value, xl, bl, rl)
        restrict = h.prolongation_pointer[start : end + 1]
        coarse = b[end:coarse_end]
        coarse[:] = np.float32(0.0)
        for i in range(end - start):
            for j in range(restrict[i], restrict[i + 1]):
                coarse[h.prolongation_index[j]] += h.prolongation_value[j] * rl[i]
    start, end = h.node_start[last], h.node_start[last + 1]
    for i in range(end - start):
        total = np.float32(0.0)
        for j in range(end - start):
            total += h.coarse_inverse[i, j] * b[start + j]
        x[start + i] = total
    for level in range(last - 1, -1, -1):
        start, end, coarse_end = h.node_start[level], h.node_start[level + 1], h.node_start[level + 2]
        pointer, inverse = h.matrix_pointer[start : end + 1], h.inverse_diagonal[start:end]
        bl, xl, rl, dl, ql = b[start:end], x[start:end], r[start:end], d[start:end], q[start:end]
        prolong = h.prolongation_pointer[start : end + 1]
        coarse = x[end:coarse_end]
        for i in range(end - start):
            for j in range(prolong[i], prolong[i + 1]):
                xl[i] += h.prolongation_value[j] * coarse[h.prolongation_index[j]]
        _subtract_product(pointer, index, value, xl, bl, rl)
        _chebyshev(pointer, index, value, inverse, h.spectral_radius[level], xl, rl, dl, ql)


@njit(cache=True)
def _conjugate_gradients(indptr, indices, data, h, rhs, x, rtol, max_iterations):
    n = len(rhs)
    total = h.node_start[-1]
    b32 = np.zeros(total, np.float32)
    x32 = np.zeros(total, np.float32)
    r32 = np.zeros(total, np.float32)
    d32 = np.zeros(total, np.float32)
    q32 = np.zeros(total, np.float32)
    r = np.empty(n)
    p = np.zeros(n)
    q = np.empty(n)
    csr_product(indptr, indices, data, x, q)
    r_norm = 0.0
    b_norm = 0.0
    for i in range(n):
        r[i] = rhs[i] - q[i]
        r_norm += r[i] * r[i]
        b_norm += rhs[i] * rhs[i]
    limit = rtol * rtol * b_norm
    rz = 1.0
    for iteration in range(max_iterations):
        if r_norm <= limit:
            return iteration
        scale = np.sqrt(r_norm)  # keeps single precision away from under- and overflow
        for i in range(n):
            b32[i] = r[i] / scale
        _cycle(h, b32, x32, r32, d32, q32)
        rz_new = 0.0
        for i in range(n):
            rz_new += r[i] * x32[i] * scale
        beta = rz_new / rz if iteration > 0 else 0.0
        rz = rz_new
        for i in range(n):
            p[i] = x32[i] * scale + beta * p[i]
        csr_product(indptr, indices, data, p, q)
        pq = 0.0
        for i in range(n):
            pq += p[i] * q[i]
        alpha = rz / pq
        r_norm = 0.0
        for i in range(n):
            x[i] += alpha * p[i]
            r[i] -= alpha * q[i]
            r_norm += r[i] * r[i]
    return -1


class MultigridCG:
    """Solver for a sequence of similar symmetric positive definite systems on one pattern.

    The finest level of the hierarchy always holds the current matrix, so that the smoother knows of every jump that the
    coefficient has made since; the coarse levels are kept while they serve and are rebuilt when the iterations exceed
    one and a half times those right after the last build.
    """

    def __init__(self, indptr: NDArray[np.uint32], indices: NDArray[np.uint32], rtol: float) -> None:
        self.indptr, self.indices, self.rtol = indptr, indices, rtol
        self._diagonal = np.flatnonzero(np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)) == indices)
        self._hierarchy: Hierarchy | None = None
        self.iterations_when_fresh = 0
        self.iterations = 0
        self.builds = 0

    def build(self, values: Array) -> None:
        """Build the hierarchy from the matrix values ``(nnz,)``."""
        n = len(self.indptr) - 1
        matrix = sparse.csr_matrix((values, self.indices.astype(np.int32), self.indptr.astype(np.int32)), shape=(n, n))
        self._hierarchy = build_hierarchy(matrix)
        self.iterations_when_fresh = 0
        self.builds += 1

    @property
    def worn(self) -> bool:
        """Whether the hierarchy has aged so much that a new one pays."""
        return self._hierarchy is None or self.iterations > 1.5 * self.iterations_when_fresh + 3

    def solve(self, values: Array, rhs: Array, x: Array) -> int:
        """Improve ``x`` in place until the residual is ``rtol`` times the right-hand side; returns the iterations.

        Raises
        ------
        SolverError
            If 200 iterations do not suffice.
        """
        if self._hierarchy is None:
            self.build(values)
        assert self._hierarchy is not None
        self._hierarchy.matrix_value[: len(values)] = values
        self._hierarchy.inverse_diagonal[: len(self._diagonal)] = 1.0 / values[self._diagonal]
        self.iterations = _conjugate_gradients(
            self.indptr, self.indices, values, self._hierarchy, rhs, x, self.rtol, 200
        )
        if self.iterations < 0:
            raise SolverError(
                "The linear solver did not converge in 200 iterations. The mesh may hold badly shaped elements or the "
                "conductivity may span too many orders of magnitude; try a finer mesh resolution."
            )
        if self.iterations_when_fresh == 0:
            self.iterations_when_fresh = max(self.iterations, 4)
        return self.iterations
