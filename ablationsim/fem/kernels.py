"""Compiled kernels of the time loop: sparse products, Jacobi conjugate gradients, table look-up and Joule heat.

Row pointers and column indices are unsigned: with signed ones every access would be checked for wrap-around, which doubles
the time of a sparse product.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def index_array(values: ArrayLike) -> NDArray[np.uint32]:
    """Indices in the type that the kernels expect."""
    return np.ascontiguousarray(values, dtype=np.uint32)


@njit(cache=True)
def csr_product(indptr, indices, data, x, y):
    """``y = A x``."""
    for i in range(len(y)):
        total = 0.0
        for j in range(indptr[i], indptr[i + 1]):
            total += data[j] * x[indices[j]]
        y[i] = total


@njit(cache=True)
def shifted_jacobi_cg(indptr, indices, data, scale, shift, diagonal, b, x, rtol, max_iterations):
    """Solve ``(scale A + diag(shift)) x = b`` by Jacobi-preconditioned conjugate gradients, improving ``x`` in place.

    Returns the number of iterations, or -1 if the relative residual did not fall below ``rtol``.
    """
    n = len(b)
    r = np.empty(n)
    p = np.empty(n)
    q = np.empty(n)
    inverse = 1.0 / (scale * data[diagonal] + shift)
    csr_product(indptr, indices, data, x, q)
    b_norm = 0.0
    rz = 0.0
    r_norm = 0.0
    for i in range(n):
        r[i] = b[i] - scale * q[i] - shift[i] * x[i]
        p[i] = inverse[i] * r[i]
        b_norm += b[i] * b[i]
        r_norm += r[i] * r[i]
        rz += r[i] * p[i]
    limit = rtol * rtol * b_norm
    for iteration in range(max_iterations):
        if r_norm <= limit:
            return iteration
        csr_product(indptr, indices, data, p, q)
        pq = 0.0
        for i in range(n):
            q[i] = scale * q[i] + shift[i] * p[i]
            pq += p[i] * q[i]
        alpha = rz / pq
        r_norm = 0.0
        rz_new = 0.0
        for i in range(n):
            x[i] += alpha * p[i]
            r[i] -= alpha * q[i]
            r_norm += r[i] * r[i]
            rz_new += r[i] * r[i] * inverse[i]
        beta = rz_new / rz
        rz = rz_new
        for i in range(n):
            p[i] = inverse[i] * r[i] + beta * p[i]
    return -1


@njit(cache=True)
def look_up(x, start, step, table, value, slope):
    """Linear interpolation in a uniform table: values and slopes at ``x``; constant slope beyond the last entry."""
    last = len(table) - 2
    for i in range(len(x)):
        position = (x[i] - start) / step
        k = min(max(int(position), 0), last)
        difference = table[k + 1] - table[k]
        value[i] = table[k] + (position - k) * difference
        slope[i] = difference / step


@njit(cache=True)
def element_look_up(x, start, step, table, factor, cells, averaging, out):
    """Weighted mean over each element of ``factor * table(x)`` at its nodes (the table is held constant beyond its ends)."""
    last = len(table) - 2
    nodal = np.empty(len(x))
    for i in range(len(x)):
        position = min(max((x[i] - start) / step, 0.0), last + 1.0)
        k = min(int(position), last)
        nodal[i] = factor[i] * (table[k] + (position - k) * (table[k + 1] - table[k]))
    for e in range(cells.shape[0]):
        total = 0.0
        for a in range(cells.shape[1]):
            total += averaging[e, a] * nodal[cells[e, a]]
        out[e] = total


@njit(cache=True)
def joule_heat(u, v, conductivity, cells, stiffness, averaging, nodal_heat):
    """Nodal load of the heat ``sigma grad u . grad v``; returns its integral over the mesh.

    With ``u = v`` the potential [V], the load is in watts and its sum is the power dissipated in the mesh.
    """
    corners = cells.shape[1]
    nodal_heat[:] = 0.0
    power = 0.0
    for e in range(cells.shape[0]):
        heat = 0.0
        for a in range(corners):
            row = 0.0
            for b in range(corners):
                row += stiffness[e, a, b] * v[cells[e, b]]
            heat += u[cells[e, a]] * row
        heat *= conductivity[e]
        power += heat
        for a in range(corners):
            nodal_heat[cells[e, a]] += heat * averaging[e, a]
    return power
