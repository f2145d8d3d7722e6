"""Vessels: blood along a tube, and a tube whose wall runs through a mesh that does not know of it."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg
from skfem import MeshTet
from verification.cases_meshes import Array, Convergence, mesh_from
from verification.matrices import stiffness

from ablationsim.fem.space import P1Space
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.lumens import Lumens
from ablationsim.physics.vessel_exchange import VesselExchange
from ablationsim.vessels.vessel import BloodModel, Branch, Fluid, Vessel, Wall

BLOOD = Fluid("blood", 1060.0, 3617.0, 0.52, 3.5e-3, 0.7)
REFERENCE = 300.0  # K, of the equations


def straight_vessel(
    radius: float,
    start: Array,
    end: Array,
    *,
    coefficient: float,
    flow: float = 1e-6,
    model: BloodModel = "fixed",
    inlet: float = 310.0,
    sides: int = 96,
) -> Vessel:
    """A tube of one branch, as a prism with the circle's area."""
    corner = radius * np.sqrt(2.0 * np.pi / (sides * np.sin(2.0 * np.pi / sides)))
    axis = (end - start) / np.linalg.norm(end - start)
    first = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    first /= np.linalg.norm(first)
    angle = 2.0 * np.pi * np.arange(sides) / sides
    ring = corner * (np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * np.cross(axis, first))
    points = np.vstack([start + ring, end + ring, start, end])
    i, j = np.arange(sides), (np.arange(sides) + 1) % sides
    low, high = np.full(sides, 2 * sides), np.full(sides, 2 * sides + 1)
    triangles = np.vstack(
        [
            np.column_stack([i, j, j + sides]),
            np.column_stack([i, j + sides, i + sides]),
            np.column_stack([j, i, low]),
            np.column_stack([i + sides, j + sides, high]),
        ]
    )
    wall = Wall(points, triangles, np.repeat([False, False, True, True], sides))
    branch = Branch("1", np.array([start, end]), np.full(2, radius), {}, flow, model, coefficient)
    return Vessel("vessel", "tube", wall, (branch,), BLOOD, inlet)


def block(n: int, across: float, height: float) -> Mesh:
    """A plate of size ``2 across`` in x and y round the z axis, n cells a side, and ``height`` thick."""
    x, z = np.linspace(-across, across, n + 1), np.linspace(0.0, height, max(2, n // 4) + 1)
    grid = MeshTet.init_tensor(x, x, z)
    return mesh_from(grid.p.T, grid.t.T, {"outer": lambda c: np.ones(len(c), dtype=bool)}, axisymmetric=False)


class HeatedSlab:
    """Steady heat in a plate round a vessel that crosses it: sources q, wall coefficient h, no flux at a radius.

    ``T = -q r^2 / (4 k) + C ln r + D`` with ``k T'(a) = h (T(a) - T_b)`` and ``T'(18 mm) = 0``.
    """

    radius, across, height = 2.5e-3, 20e-3, 10e-3
    coefficient, blood, heat, conductivity = 1500.0, 310.0, 2e5, 0.5

    def __init__(self) -> None:
        a, q, k = self.radius, self.heat, self.conductivity
        self._log = q * 18e-3**2 / (2.0 * k)
        self.wall = self.blood + k * (-q * a / (2.0 * k) + self._log / a) / self.coefficient
        self._constant = self.wall + q * a**2 / (4.0 * k) - self._log * np.log(a)
        self.carried = 2.0 * np.pi * a * self.height * self.coefficient * (self.wall - self.blood)

    def temperature(self, r: Array) -> Array:
        r = np.maximum(r, self.radius)
        return -self.heat * r**2 / (4.0 * self.conductivity) + self._log * np.log(r) + self._constant


@cache
def embedded_in_heated_slab() -> tuple[Convergence, Convergence]:
    """L2 error of the temperature in the tissue [K], and relative error of the heat that the blood carries off."""
    exact = HeatedSlab()
    sizes, errors, carried = [], [], []
    for n in (20, 40, 60):
        mesh = block(n, exact.across, exact.height)
        vessel = straight_vessel(
            exact.radius,
            np.array([0.0, 0.0, -5e-3]),
            np.array([0.0, 0.0, exact.height + 5e-3]),
            coefficient=exact.coefficient,
            inlet=exact.blood,
        )
        lumens = Lumens(mesh, [vessel])
        space = P1Space(mesh, lumens.tissue)
        exchange = VesselExchange(space, [vessel], REFERENCE, lumens.blood_temperature, exact.conductivity)
        blood = exchange.blood(np.full(space.n_nodes, REFERENCE))
        matrix = stiffness(space, exact.conductivity, exchange.addition)
        r = np.hypot(mesh.points[:, 0], mesh.points[:, 1])
        fixed = (np.abs(mesh.points[:, :2]) > exact.across * (1.0 - 1e-9)).any(axis=1)
        theta = np.where(fixed, exact.temperature(r) - REFERENCE, 0.0)
        right = exact.heat * space.lumped_mass + exchange.source(blood) - matrix @ theta
        inner = matrix[~fixed][:, ~fixed]
        jacobi = sparse.diags_array(1.0 / inner.diagonal())
        theta[~fixed], failed = cg(inner, right[~fixed], rtol=1e-9, M=jacobi)
        assert not failed
        temperature = REFERENCE + theta
        tissue = (r > exact.radius) & ~fixed
        weight = space.lumped_mass[tissue]
        difference = (temperature - exact.temperature(r))[tissue]
        sizes.append(2.0 * exact.across / n)
        errors.append(float(np.sqrt(np.dot(weight, difference**2) / weight.sum())))
        lost = float(exchange.exchange(temperature, blood).lost[0])
        carried.append(abs(lost - exact.carried) / exact.carried)
    return (
        Convergence("temperature round an embedded vessel", tuple(sizes), tuple(errors)),
        Convergence("heat carried off by an embedded vessel", tuple(sizes), tuple(carried)),
    )


@cache
def blood_along_a_vessel(flow: float) -> tuple[Array, Array]:
    """Temperature of the blood that leaves pieces of a 2 mm vessel in tissue at 330 K, and the exponential [K].

    The wall is 330 K all along 60 mm; the blood comes with 310 K.
    """
    mesh = block(16, 8e-3, 60e-3)
    wall, inlet, coefficient, radius = 330.0, 310.0, 1600.0, 1e-3
    found, exact = [], []
    for length in (10e-3, 20e-3, 40e-3, 59e-3):
        vessel = straight_vessel(
            radius,
            np.array([0.0, 0.0, 0.5e-3]),
            np.array([0.0, 0.0, 0.5e-3 + length]),
            coefficient=coefficient,
            flow=flow,
            model="transport",
            inlet=inlet,
        )
        lumens = Lumens(mesh, [vessel])
        space = P1Space(mesh, lumens.tissue)
        # Only tissue that conducts without limit is as warm at a wall that takes heat as it is elsewhere.
        exchange = VesselExchange(space, [vessel], REFERENCE, lumens.blood_temperature, conductivity=1e9)
        temperature = np.full(space.n_nodes, wall)
        found.append(exchange.exchange(temperature, exchange.blood(temperature)).outlet[0])
        equilibration = BLOOD.volumetric_heat_capacity * flow / (2.0 * np.pi * radius * coefficient)
        exact.append(wall + (inlet - wall) * np.exp(-length / equilibration))
    return np.array(found), np.array(exact)
