"""Compiled kernels: sparse products, Jacobi conjugate gradients, table look-up, Joule heat and point location.

Row pointers and column indices are unsigned: with signed ones every access would be checked for wrap-around, which
doubles the time of a sparse product.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def index_array(values: ArrayLike) -> NDArray[np.uint32]:
    """Indices in the type that the kernels expect."""
    return np.ascontiguousarray(values, dtype=np.uint32)


THREADED_FROM = 20_000
"""Rows from which a sparse product is worth sharing among threads."""


@njit(cache=True)
def csr_product(indptr, indices, data, x, y):
    """``y = A x``."""
    if len(y) >= THREADED_FROM:
        _threaded_product(indptr, indices, data, x, y)
    else:
        for i in range(len(y)):
            total = 0.0
            for j in range(indptr[i], indptr[i + 1]):
                total += data[j] * x[indices[j]]
            y[i] = total


@njit(cache=True, parallel=True)
def _threaded_product(indptr, indices, data, x, y):
    for i in prange(len(y)):
        total = 0.0
        for j in range(indptr[i], indptr[i + 1]):
            total += data[j] * x[indices[j]]
        y[i] = total


@njit(cache=True)
def shifted_jacobi_cg(indptr, indices, data, scale, shift, diagonal, b, x, rtol, max_iterations):
    """Solve ``(scale A + diag(shift)) x = b`` by Jacobi-preconditioned conjugate gradients in the precision of ``b``.

    Writes into ``x``, from zero. The residual is measured in the norm of the inverse diagonal, in which the small
    elements at an electrode count as much as the large ones far away. Returns the number of iterations, or -1 if the
    relative residual did not fall below ``rtol``.
    """
    n = len(b)
    r = np.empty_like(b)
    p = np.empty_like(b)
    q = np.empty_like(b)
    inverse = np.empty_like(b)
    rz = 0.0
    for i in range(n):
        inverse[i] = 1.0 / (scale * data[diagonal[i]] + shift[i])
        x[i] = 0.0
        r[i] = b[i]
        p[i] = inverse[i] * r[i]
        rz += r[i] * p[i]
    limit = rtol * rtol * rz
    for iteration in range(max_iterations):
        if rz <= limit:
            return iteration
        csr_product(indptr, indices, data, p, q)
        pq = 0.0
        for i in range(n):
            q[i] = scale * q[i] + shift[i] * p[i]
            pq += p[i] * q[i]
        alpha = rz / pq
        rz_new = 0.0
        for i in range(n):
            x[i] += alpha * p[i]
            r[i] -= alpha * q[i]
            rz_new += r[i] * r[i] * inverse[i]
        beta = rz_new / rz
        rz = rz_new
        for i in range(n):
            p[i] = inverse[i] * r[i] + beta * p[i]
    return -1


@njit(cache=True)
def solve_enthalpy(
    indptr, indices, conduction, diagonal, mass, losses, known, weight, start, step, enthalpy, middle, half_band, theta,
    reference, tolerance, max_iterations,
):  # fmt: skip
    """Newton's method for ``mass * enthalpy(reference + theta) = known - weight * (conduction + diag(losses)) theta``,
    in place.

    ``enthalpy`` is a uniform table from ``start`` with spacing ``step``; its steep band is centred at ``middle``. The
    residual is computed in double precision, each correction in single precision and to a tenth only.
    ``tolerance`` [K2 m3] limits the integral of the square of the last correction. Returns the number of iterations,
    -1 if they did not suffice, and -2 if a linear solve failed or the temperature became undefined.
    """
    n = len(theta)
    residual = np.empty(n)
    rounded = conduction.astype(np.float32)
    right = np.empty(n, np.float32)
    shift = np.empty(n, np.float32)
    change = np.empty(n, np.float32)
    last = len(enthalpy) - 2
    for iteration in range(max_iterations):
        csr_product(indptr, indices, conduction, theta, residual)
        for i in range(n):
            position = (reference + theta[i] - start) / step
            k = min(max(int(position), 0), last)
            difference = enthalpy[k + 1] - enthalpy[k]
            energy = mass[i] * (enthalpy[k] + (position - k) * difference)
            right[i] = known[i] - energy - weight * (residual[i] + losses[i] * theta[i])
            shift[i] = mass[i] * difference / step + weight * losses[i]
        if shifted_jacobi_cg(indptr, indices, rounded, weight, shift, diagonal, right, change, 1e-1, 2000) < 0:
            return -2
        # Full steps that have not converged by now go round in a circle between kinks of the enthalpy.
        damping = 1.0 if iteration < 10 else 0.5
        size = 0.0
        for i in range(n):
            correction = np.float64(change[i])
            # A node that jumps across the steep band would jump back and forth for ever: stop it inside the band.
            before = reference + theta[i] - middle
            after = before + correction
            if before * after < 0.0 and abs(before) > half_band and abs(after) > half_band:
                correction = -before
            theta[i] += damping * correction
            size += mass[i] * correction * correction
        if not np.isfinite(size):
            return -2
        if size <= tolerance:
            return iteration + 1
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
    """Weighted mean over each element of ``factor * table(x)`` at its nodes (the table is held constant beyond its
    ends)."""
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
def joule_heat(u, v, conductivity, share, cells, stiffness, averaging, nodal_heat):
    """Nodal load of the heat ``sigma grad u . grad v``; returns its integral over the mesh.

    With ``u = v`` the potential [V], the load is in watts and its sum is the power dissipated in the mesh, or the
    ``share`` of it that stays in each element.
    ``stiffness`` holds the element matrices; since their rows sum to zero, differences along the edges say it all.
    """
    corners = cells.shape[1]
    nodal_heat[:] = 0.0
    power = 0.0
    for e in range(cells.shape[0]):
        heat = 0.0
        for a in range(corners - 1):
            i = cells[e, a]
            for b in range(a + 1, corners):
                j = cells[e, b]
                heat -= stiffness[e, a, b] * (u[i] - u[j]) * (v[i] - v[j])
        heat *= conductivity[e]
        power += heat
        heat *= share[e]
        for a in range(corners):
            nodal_heat[cells[e, a]] += heat * averaging[e, a]
    return power


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
