"""Conjugate gradients in mixed precision: residuals in double, corrections in single precision.

A correction needs no more digits than it is to gain, and in single precision every pass over memory is half as long.
When it has gained what single precision can be trusted with, the residual is computed anew in double precision.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ablationsim.fem.hierarchy import Hierarchy, cycle, scratch_for
from ablationsim.fem.kernels import Array
from ablationsim.fem.pattern import Pattern
from ablationsim.fem.products import add_scaled, advance, product, residual, scaled, turn
from ablationsim.fem.stiffness import Matrix, Singles

_GAIN = 1e-5  # what single precision is trusted to gain before the residual is computed anew


@njit(cache=True)
def correction(indptr, indices, off, scale, diagonal, weight, h, r, e, goal, natural, limit):
    """Conjugate gradients in single precision for ``A e = r`` with ``A = scale off + diag(diagonal)``, from zero.

    The preconditioner is one cycle of the hierarchy, whose finest matrix is ``A`` with a scale of one, or ``weight``
    alone if the hierarchy has no levels. Stops when the residual, which ``r`` becomes, has fallen to ``goal`` times
    that of the start: in the norm of the preconditioner if ``natural``, else in the Euclidean norm, in which it must
    be one at the start. Returns the number of iterations, or -1 if ``limit`` of them did not suffice.
    """
    n = len(r)
    z, p, q = np.empty(n, np.float32), np.zeros(n, np.float32), np.empty(n, np.float32)
    scratch = scratch_for(n, h)
    e[:] = 0.0
    rz, first = 1.0, 0.0
    for iteration in range(limit):
        if len(h.node_start) > 1:
            rz_new = cycle(indptr, indices, off, diagonal, weight, h, r, z, scratch)
        else:
            rz_new = scaled(weight, r, z)
        if iteration == 0:
            first = rz_new
        if natural and rz_new <= goal * goal * first:
            return iteration
        turn(np.float32(rz_new / rz if iteration > 0 else 0.0), z, p)
        rz = rz_new
        curvature = product(indptr, indices, off, np.float32(scale), diagonal, p, q)
        # Also when one of them is not a number.
        if not (rz > 0.0 and curvature > 0.0):
            return -1
        square = advance(np.float32(rz / curvature), p, q, e, r)
        if not natural and square <= goal * goal:
            return iteration + 1
    return -1


def solve(
    pattern: Pattern, matrix: Matrix, weight: Singles, h: Hierarchy, b: Array, x: Array, target: float, limit: int
) -> int:
    """Improve ``x`` until the Euclidean norm of the residual is ``target`` at most.

    Parameters
    ----------
    pattern, matrix : Pattern, Matrix
        Left-hand side; nodes with a zero on the diagonal are held.
    weight : (n,) single precision
        Of Jacobi sweeps, a factor over the diagonal; zero for nodes that are held.
    h : Hierarchy
        Coarse levels, or none.
    b, x : (n,) arrays
        Right-hand side and first guess.
    target : float
        In the unit of ``b``.
    limit : int
        Most iterations.

    Returns
    -------
    int
        Number of iterations, or -1 if ``limit`` of them did not suffice.
    """
    indptr, indices, off = pattern.indptr, pattern.indices, matrix.off
    r, e, right = np.empty(len(x)), np.empty(len(x), np.float32), np.empty(len(x), np.float32)
    rounded = matrix.diagonal.astype(np.float32)
    done = 0
    while True:
        size = float(np.sqrt(residual(indptr, indices, off, 1.0, matrix.diagonal, b, x, r)))
        if size <= target:
            return done
        if not np.isfinite(size):
            return -1
        # Scaled to one, which keeps single precision away from under- and overflow.
        right[:] = 0.0
        add_scaled(1.0 / size, r, right)
        goal = max(0.9 * target / size, _GAIN)
        count = correction(indptr, indices, off, 1.0, rounded, weight, h, right, e, goal, False, limit - done)
        if count < 0:
            return -1
        add_scaled(size, e, x)
        done += count
