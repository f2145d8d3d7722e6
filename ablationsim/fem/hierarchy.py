"""Smoothed-aggregation multigrid as a preconditioner.

PyAMG builds the coarse levels; the cycle runs in compiled functions on all of them laid end to end, in single precision
(a preconditioner needs no more). One Jacobi sweep before and one after the coarse correction keep it symmetric with
only two products a level; the coarse levels are gone through twice, which costs little and keeps the number of
iterations nearly the same on all meshes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyamg
from numba import njit
from numpy.typing import NDArray
from scipy import sparse

from ablationsim.fem.pattern import Indices, index_array
from ablationsim.fem.products import add_scaled, residual, scaled, sweep, transfer

_COARSEST = 100  # unknowns that are solved by a dense inverse

Singles = NDArray[np.float32]


class Hierarchy(NamedTuple):
    """Coarse levels, from fine to coarse, laid end to end; without any, it stands for the diagonal alone.

    Attributes
    ----------
    node_start : (levels + 1,) array
        Where each level begins in vectors.
    pointer, columns, off, diagonal, weight : arrays
        Matrices off and on their diagonals, and the weights of Jacobi sweeps.
    up_pointer, up_index, up_value : arrays
        Interpolation to the next finer level; the finest first, with a row for each node of the mesh.
    down_pointer, down_index, down_value : arrays
        Their transposes.
    inverse : (c, c) array
        Of the coarsest matrix.
    """

    node_start: NDArray[np.int64]
    pointer: Indices
    columns: Indices
    off: Singles
    diagonal: Singles
    weight: Singles
    up_pointer: Indices
    up_index: Indices
    up_value: Singles
    down_pointer: Indices
    down_index: Indices
    down_value: Singles
    inverse: Singles

    @classmethod
    def none(cls) -> Hierarchy:
        """No coarse levels."""
        none, one, singles = index_array([]), index_array([0]), np.zeros(0, np.float32)
        return cls(
            np.zeros(1, np.int64), one, none, singles, singles, singles, one, none, singles, one, none, singles,
            np.zeros((0, 0), np.float32),
        )  # fmt: skip


def build(matrix: sparse.csr_array) -> tuple[Hierarchy, float]:
    """Coarse levels for a symmetric positive definite matrix, and the weight of Jacobi sweeps with its diagonal.

    Rows without neighbours belong to nodes that are held, and have no part in coarse levels. The interpolation is
    smoothed with row-wise (Gershgorin) weights and the spectra are bounded by a power iteration from a fixed start, so
    that the same matrix always gives the same hierarchy: a resumed run needs that.
    """
    solver = pyamg.smoothed_aggregation_solver(
        sparse.csr_matrix(matrix),
        smooth=("jacobi", {"omega": 4.0 / 3.0, "weighting": "local"}),
        max_coarse=_COARSEST,
        keep=False,
    )
    weight = _jacobi_weight(matrix)
    if len(solver.levels) == 1:
        return Hierarchy.none(), weight
    coarse = [level.A.tocsr() for level in solver.levels[1:]]
    up = [level.P.tocsr() for level in solver.levels[:-1]]
    down = [p.T.tocsr() for p in up]
    diagonals = [a.diagonal() for a in coarse]
    beside = [sparse.csr_matrix(a - sparse.diags(d)) for a, d in zip(coarse, diagonals, strict=True)]
    for a in beside:
        a.eliminate_zeros()
    sizes = np.array([len(d) for d in diagonals], dtype=np.int64)
    hierarchy = Hierarchy(
        np.concatenate([[0], np.cumsum(sizes)]),
        *_end_to_end(beside),
        np.concatenate(diagonals).astype(np.float32),
        np.concatenate([_jacobi_weight(a) / d for a, d in zip(coarse, diagonals, strict=True)]).astype(np.float32),
        *_end_to_end(up),
        *_end_to_end(down),
        np.linalg.pinv(coarse[-1].toarray(), hermitian=True).astype(np.float32),
    )
    return hierarchy, weight


def _end_to_end(matrices: list[sparse.csr_matrix]) -> tuple[Indices, Indices, Singles]:
    """Rows of several matrices one after another, each with its own column numbers."""
    counts = np.concatenate([np.diff(a.indptr) for a in matrices])
    return (
        index_array(np.concatenate([[0], np.cumsum(counts)])),
        index_array(np.concatenate([a.indices for a in matrices])),
        np.concatenate([a.data for a in matrices]).astype(np.float32),
    )


def _jacobi_weight(matrix: sparse.sparray | sparse.spmatrix) -> float:
    """Weight of a Jacobi sweep that damps the upper half of the spectrum of ``D^-1 A`` by a factor of three."""
    inverse = 1.0 / matrix.diagonal()
    x = np.random.default_rng(0).standard_normal(matrix.shape[0])
    largest = 1.0
    for _ in range(12):
        x = inverse * (matrix @ (x / np.linalg.norm(x)))
        largest = float(np.linalg.norm(x))
    # The power iteration comes from below.
    return 4.0 / (3.0 * 1.1 * largest)


class Scratch(NamedTuple):
    """Vectors of a cycle: one of the finest level, and those of all coarse levels."""

    fine: Singles
    b: Singles
    x: Singles
    r: Singles
    kept: Singles


@njit(cache=True)
def scratch_for(n, h):
    """Vectors for cycles on ``n`` nodes."""
    total = h.node_start[-1]
    return Scratch(
        np.empty(n, np.float32),
        np.empty(total, np.float32),
        np.empty(total, np.float32),
        np.empty(total, np.float32),
        np.empty(h.node_start[min(1, len(h.node_start) - 1)], np.float32),
    )


@njit(cache=True)
def _coarse_cycle(h, n, s):
    """One V-cycle on the coarse levels: ``s.x`` from ``s.b``, both of the finest of them."""
    one, zero = np.float32(1.0), np.float32(0.0)
    last = len(h.node_start) - 2
    for level in range(last):
        start, end, below = h.node_start[level], h.node_start[level + 1], h.node_start[level + 2]
        b, x, r = s.b[start:end], s.x[start:end], s.r[start:end]
        scaled(h.weight[start:end], b, x)
        residual(h.pointer[start : end + 1], h.columns, h.off, one, h.diagonal[start:end], b, x, r)
        transfer(h.down_pointer[end : below + 1], h.down_index, h.down_value, False, r, s.b[end:below])
    start, end = h.node_start[last], h.node_start[last + 1]
    for i in range(end - start):
        total = zero
        for j in range(end - start):
            total += h.inverse[i, j] * s.b[start + j]
        s.x[start + i] = total
    for level in range(last - 1, -1, -1):
        start, end, below = h.node_start[level], h.node_start[level + 1], h.node_start[level + 2]
        b, x, r = s.b[start:end], s.x[start:end], s.r[start:end]
        transfer(h.up_pointer[n + start : n + end + 1], h.up_index, h.up_value, True, s.x[end:below], x)
        sweep(h.pointer[start : end + 1], h.columns, h.off, h.diagonal[start:end], h.weight[start:end], b, x, r)
        x[:] = r


@njit(cache=True)
def cycle(indptr, indices, off, diagonal, weight, h, b, z, s):
    """One cycle on the finest level ``off + diag(diagonal)``: ``z`` approximates its solution for ``b``; returns
    ``b . z``."""
    one = np.float32(1.0)
    n, first = len(b), h.node_start[1]
    # z holds the residual until it is written at the end.
    scaled(weight, b, s.fine)
    residual(indptr, indices, off, one, diagonal, b, s.fine, z)
    transfer(h.down_pointer[: first + 1], h.down_index, h.down_value, False, z, s.b[:first])
    if len(h.node_start) > 2:
        kept = s.kept
        kept[:] = s.b[:first]
        _coarse_cycle(h, n, s)
        found = s.x[:first].copy()
        residual(h.pointer[: first + 1], h.columns, h.off, one, h.diagonal[:first], kept, found, s.b[:first])
        _coarse_cycle(h, n, s)
        add_scaled(one, found, s.x[:first])
    else:
        _coarse_cycle(h, n, s)
    transfer(h.up_pointer[: n + 1], h.up_index, h.up_value, True, s.x[:first], s.fine)
    return sweep(indptr, indices, off, diagonal, weight, b, s.fine, z)
