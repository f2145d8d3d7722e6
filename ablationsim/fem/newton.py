"""Newton's method for a temperature whose enthalpy, less what is conducted away, is known.

Residuals are computed in double precision, each correction to a tenth only and, in one process, in single precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from ablationsim.fem.jacobi import System, jacobi_cg
from ablationsim.fem.kernels import Array
from ablationsim.fem.pattern import Pattern
from ablationsim.fem.products import BLOCK, THREADED_FROM, blocks_of, product
from ablationsim.fem.stiffness import Matrix
from ablationsim.mesh.distribution import Distribution

_GOAL = 0.1  # of the residual, that a correction leaves
_CG_LIMIT = 2000
_FULL_STEPS = 10  # full steps that have not converged by then go round in a circle between kinks of the enthalpy


class EnthalpyTable(NamedTuple):
    """Enthalpy on a uniform grid of temperatures.

    Attributes
    ----------
    start, step : float
        First temperature of the grid, and its spacing [K].
    enthalpy : array
        [J/m3].
    latent : array
        The part of it that is latent heat of water [J/m3], on the same grid.
    middle, half_band : float
        Where it is steep, because water boils off [K].
    """

    start: float
    step: float
    enthalpy: Array
    latent: Array
    middle: float
    half_band: float


def solve_enthalpy(
    pattern: Pattern,
    conduction: Matrix,
    mass: Array,
    losses: Array,
    known: Array,
    weight: float,
    table: EnthalpyTable,
    lost: Array,
    theta: Array,
    reference: float,
    tolerance: float,
    limit: int,
    distribution: Distribution,
) -> int:
    """Solve ``mass enthalpy(reference + theta) = known - weight (conduction + diag(losses)) theta`` in place.

    Parameters
    ----------
    pattern, conduction : Pattern, Matrix
        Of heat conduction [W/K].
    mass, losses, known : (n,) arrays
        Nodal volume [m3], losses per kelvin [W/K], and energy [J]; of no matter on ghosts.
    weight : float
        Time [s].
    table : EnthalpyTable
        Of the tissue.
    lost : (n,) array
        Share of the water that has left as vapour, and whose latent heat no longer counts.
    theta : (n,) array
        First guess, and the solution [K].
    reference : float
        Temperature that ``theta`` counts from [K].
    tolerance : float
        Integral of the square of the last correction at which the iteration ends [K2 m3].
    limit : int
        Most iterations.
    distribution : Distribution
        Of the nodes over ranks.

    Returns
    -------
    int
        Number of iterations, -1 if they did not suffice, and -2 if a linear solve failed or the temperature became
        undefined.
    """
    own = distribution.own
    here, mass, losses, known, lost = map(own, (theta, mass, losses, known, lost))
    conduction_diagonal = own(conduction.diagonal)
    solver = jacobi_cg(distribution)
    conducted = np.empty(len(here))
    diagonal, inverse, right, change = (np.empty(len(here), solver.precision) for _ in range(4))
    system = System(pattern, conduction.off, weight, diagonal, inverse)
    for iteration in range(limit):
        product(pattern.indptr, pattern.indices, conduction.off, 1.0, conduction_diagonal, theta, conducted)
        linearise(
            here,
            conducted,
            conduction_diagonal,
            mass,
            losses,
            known,
            weight,
            reference,
            table,
            lost,
            diagonal,
            inverse,
            right,
        )
        if not solver.correct(system, right, change, _GOAL, _CG_LIMIT):
            return -2
        damping = 1.0 if iteration < _FULL_STEPS else 0.5
        size = correct(here, change, mass, damping, reference - table.middle, table.half_band)
        size = distribution.comm.sum(float(size))
        distribution.update(theta)
        if not np.isfinite(size):
            return -2
        if size <= tolerance:
            return iteration + 1
    return -1


@njit(cache=True)
def _linearise(
    first, last, theta, conducted, conduction, mass, losses, known, weight, reference, table, lost, diagonal, inverse,
    right,
):  # fmt: skip
    top = len(table.enthalpy) - 2
    for i in range(first, last):
        position = (reference + theta[i] - table.start) / table.step
        k = min(max(int(position), 0), top)
        lower = table.enthalpy[k] - lost[i] * table.latent[k]
        difference = table.enthalpy[k + 1] - lost[i] * table.latent[k + 1] - lower
        energy = mass[i] * (lower + (position - k) * difference)
        right[i] = known[i] - energy - weight * (conducted[i] + losses[i] * theta[i])
        value = mass[i] * difference / table.step + weight * (losses[i] + conduction[i])
        diagonal[i] = value
        inverse[i] = 1.0 / value


@njit(cache=True, parallel=True)
def _threaded_linearise(
    theta, conducted, conduction, mass, losses, known, weight, reference, table, lost, diagonal, inverse, right
):  # fmt: skip
    n = len(theta)
    for block in prange(blocks_of(n)):
        _linearise(
            block * BLOCK, min(n, (block + 1) * BLOCK), theta, conducted, conduction, mass, losses, known, weight,
            reference, table, lost, diagonal, inverse, right,
        )  # fmt: skip


def linearise(
    theta, conducted, conduction, mass, losses, known, weight, reference, table, lost, diagonal, inverse, right
):  # fmt: skip
    """Right-hand side, diagonal and its inverse of the equation for Newton's correction."""
    arguments = (
        theta,
        conducted,
        conduction,
        mass,
        losses,
        known,
        weight,
        reference,
        table,
        lost,
        diagonal,
        inverse,
        right,
    )
    if len(theta) < THREADED_FROM:
        _linearise(0, len(theta), *arguments)
    else:
        _threaded_linearise(*arguments)


@njit(cache=True)
def _correct(first, last, theta, change, mass, damping, shift, half_band):
    total = 0.0
    for i in range(first, last):
        correction = np.float64(change[i])
        # A node that jumps across the steep band would jump back and forth for ever: stop it inside the band.
        before = theta[i] + shift
        after = before + correction
        if before * after < 0.0 and abs(before) > half_band and abs(after) > half_band:
            correction = -before
        theta[i] += damping * correction
        total += mass[i] * correction * correction
    return total


@njit(cache=True, parallel=True)
def _threaded_correct(theta, change, mass, damping, shift, half_band):
    n = len(theta)
    parts = np.empty(blocks_of(n))
    for block in prange(len(parts)):
        first, last = block * BLOCK, min(n, (block + 1) * BLOCK)
        parts[block] = _correct(first, last, theta, change, mass, damping, shift, half_band)
    return parts


def correct(theta, change, mass, damping, shift, half_band):
    """Apply a correction, but none across the steep band ``|theta + shift| < half_band``; returns the integral of its
    square."""
    if len(theta) < THREADED_FROM:
        return _correct(0, len(theta), theta, change, mass, damping, shift, half_band)
    return _threaded_correct(theta, change, mass, damping, shift, half_band).sum()
