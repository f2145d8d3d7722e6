"""Electric conduction alone: exact potentials and resistances."""

from __future__ import annotations

from functools import cache

import numpy as np
from verification.cases_meshes import Array, Convergence, Quadrature, graded, half_disk, mesh_from, octant, spherical

from ablationsim.fem.space import P1Space
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.electric import Electric, OuterBoundary

SIGMA = 0.2  # S/m
RADIUS = 1.5e-3  # m: electrode


def resistance(mesh: Mesh, outer: OuterBoundary, sigma: float = SIGMA) -> float:
    """Resistance [ohm] between "inner" and what the outer boundary stands for, of the whole body of an octant."""
    space = P1Space(mesh)
    electric = Electric(space, [["inner"]], outer, np.zeros(mesh.dimension), rtol=1e-10)
    field = electric.solve(np.full(len(mesh.cells), sigma), np.full(len(electric.outer_nodes), sigma))
    return 1.0 / (field.conductance[0, 0] * (1.0 if mesh.axisymmetric else 8.0))


def concentric(axisymmetric: bool, outside: float, refinement: int = 1) -> Mesh:
    """Shell between the electrode and a sphere."""
    radii = graded(RADIUS, outside, 0.12e-3 / refinement, 1.0 + 0.12 / refinement)
    return half_disk(radii, 32 * refinement, spherical) if axisymmetric else octant(radii, 12 * refinement, spherical)


def can(axisymmetric: bool, half: float) -> Mesh:
    """Tissue between the spherical electrode and an upright can (a cube in 3-D), from its centre to its walls."""

    def place(levels: Array, directions: Array) -> Array:
        wall = half / np.abs(directions).max(axis=1)
        share = (levels - RADIUS) / (half - RADIUS)
        return (RADIUS + share * (wall - RADIUS))[:, None] * directions

    radii = graded(RADIUS, half, 0.1e-3, 1.1)
    return half_disk(radii, 48, place) if axisymmetric else octant(radii, 12, place)


# -- a manufactured solution: spheroidal electrode, conductivity that varies ------------------------------------------

FOCUS = 10e-3  # m: half the distance of the foci
MU_INNER, MU_OUTER = 0.25, 1.5  # the electrode is 20.6 mm long and 5.1 mm thick
GROWTH = 2.0
SCALE = 0.2  # S/m


def _harmonic(mu: Array) -> Array:
    """Potential of a charged prolate spheroid, up to factors: a harmonic function of one spheroidal coordinate."""
    return np.log(1.0 / np.tanh(0.5 * mu))


_INNER, _OUTER = float(_harmonic(np.array(MU_INNER))), float(_harmonic(np.array(MU_OUTER)))


def _share(mu: Array) -> Array:
    return (_harmonic(mu) - _OUTER) / (_INNER - _OUTER)


def spheroid_potential(mu: Array) -> Array:
    """Manufactured potential: one at the electrode, zero outside, not harmonic."""
    return np.expm1(GROWTH * _share(mu)) / np.expm1(GROWTH)


def spheroid_sigma(mu: Array) -> Array:
    """Conductivity for which sigma grad V = scale * grad(harmonic) and so has no divergence; varies by e^2 [S/m]."""
    slope = GROWTH * np.exp(GROWTH * _share(mu)) / np.expm1(GROWTH) / (_INNER - _OUTER)
    return SCALE / slope


SPHEROID_RESISTANCE = 1.0 / (4.0 * np.pi * FOCUS * SCALE)


def spheroidal(levels: Array, directions: Array) -> Array:
    """Positions at the coordinate mu = levels."""
    wide, long = FOCUS * np.sinh(levels), FOCUS * np.cosh(levels)
    return np.column_stack([wide[:, None] * directions[:, :-1], long * directions[:, -1]])


def coordinate_mu(x: Array) -> Array:
    """Spheroidal coordinate of positions (d, ...): from the sum of the distances to the foci."""
    rho = np.abs(x[0]) if len(x) == 2 else np.hypot(x[0], x[1])
    total = np.hypot(rho, x[-1] + FOCUS) + np.hypot(rho, x[-1] - FOCUS)
    return np.arccosh(np.maximum(total / (2.0 * FOCUS), 1.0))


@cache
def electric_in_space(axisymmetric: bool) -> tuple[Convergence, Convergence]:
    """Errors of the potential (L2, relative to one volt) and of the resistance (relative) on a series of meshes."""
    numbers = (8, 16, 32) if axisymmetric else (5, 10, 20)
    potentials, resistances = [], []
    for n in numbers:
        levels = np.linspace(MU_INNER, MU_OUTER, n + 1)
        mesh = half_disk(levels, 2 * n, spheroidal) if axisymmetric else octant(levels, n, spheroidal)
        space = P1Space(mesh)
        sigma = space.element_mean(spheroid_sigma(coordinate_mu(mesh.points.T)))
        electric = Electric(space, [["inner"]], "grounded", np.zeros(mesh.dimension), rtol=1e-10)
        field = electric.solve(sigma, np.full(len(electric.outer_nodes), SCALE))
        points = Quadrature(mesh)
        potentials.append(points.distance(electric.potential(np.ones(1)), spheroid_potential(coordinate_mu(points.x))))
        whole = field.conductance[0, 0] * (1.0 if axisymmetric else 8.0)
        resistances.append(abs(1.0 / whole / SPHEROID_RESISTANCE - 1.0))
    sizes = tuple(1.0 / n for n in numbers)
    kind = "axisymmetric" if axisymmetric else "3-D"
    return (
        Convergence(f"Potential in space, {kind}", sizes, tuple(potentials)),
        Convergence(f"Resistance in space, {kind}", sizes, tuple(resistances)),
    )


def two_blocks(sigma_low: float, sigma_high: float) -> tuple[float, float]:
    """Resistance of two blocks of different conductivity in series in a cylinder, computed and exact [ohm]."""
    from skfem import MeshTri

    radius, height = 5e-3, 10e-3
    plane = MeshTri.init_tensor(np.linspace(0.0, radius, 9), np.linspace(0.0, height, 17))
    mesh = mesh_from(
        plane.p.T,
        plane.t.T,
        {"inner": lambda c: c[:, 1] > height * (1.0 - 1e-9), "outer": lambda c: c[:, 1] < 1e-9},
        axisymmetric=True,
    )
    space = P1Space(mesh)
    sigma = np.where(mesh.points[mesh.cells].mean(axis=1)[:, 1] < 0.5 * height, sigma_low, sigma_high)
    electric = Electric(space, [["inner"]], "grounded", np.zeros(2), rtol=1e-12)
    field = electric.solve(sigma, np.full(len(electric.outer_nodes), sigma_low))
    exact = 0.5 * height * (1.0 / sigma_low + 1.0 / sigma_high) / (np.pi * radius**2)
    return 1.0 / field.conductance[0, 0], exact
