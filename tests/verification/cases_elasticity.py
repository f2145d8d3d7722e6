"""Tissue that contracts where it was heated, against elasticity on paper."""

from __future__ import annotations

import numpy as np
from scipy.integrate import quad
from skfem import MeshTet
from verification.cases_meshes import Array, Convergence, Profile, Quadrature, box, cylinder, half_disk, spherical

from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.elasticity import POISSON_RATIO, displacement, equilibrium

EDGE = 0.05  # m: radius of the domain
RADIUS, RIM = 0.02, 0.004  # m: of a contracted sphere, and half the width over which its strain falls to zero
STRAIN = 0.15
SIZE = 0.04  # m: of a cube or cylinder
WIDTHS = np.array([0.0045, 0.005, 0.0042])  # m: of a bump in the potential of a displacement, along each coordinate
HEIGHT = 2e-6  # m2


def falling(radius: Array) -> Array:
    """Strain of a sphere: constant inside, and to zero along a straight line across its rim."""
    return STRAIN * np.clip(0.5 + (RADIUS - radius) / (2.0 * RIM), 0.0, 1.0)


def outward(radius: float, poisson: float) -> float:
    """Displacement in an infinite medium [m] by a strain that depends on the radius alone.

    By Goodier's potential it is -(1 + nu) / (1 - nu) / r^2 times the integral of the strain over s^2 ds from 0 to r.
    """
    kinks = [k for k in (RADIUS - RIM, RADIUS + RIM) if k < radius]
    integral, _ = quad(lambda s: float(falling(np.array(s))) * s**2, 0.0, radius, points=kinks or None)
    return -(1.0 + poisson) / (1.0 - poisson) * integral / radius**2


def ball(n: int, radius: float) -> Mesh:
    """A ball round the origin, made of a cube with 2 n cells a side. Facets "outer"."""
    grid = np.linspace(-1.0, 1.0, 2 * n + 1)
    cube = MeshTet.init_tensor(grid, grid, grid)
    far = np.maximum(np.linalg.norm(cube.p, axis=0), 1e-300)
    points = (radius * cube.p * np.abs(cube.p).max(axis=0) / far).T
    cells = cube.t.T.copy()
    corners = points[cells]
    turned = np.linalg.det(corners[:, 1:] - corners[:, :1]) < 0.0
    cells[turned, :2] = cells[turned, 1::-1]
    bare = Mesh(points, cells, {}, {}, axisymmetric=False)
    return Mesh(points, cells, {}, {"outer": bare.boundary()}, axisymmetric=False)


def sphere_mesh(axisymmetric: bool, n: int) -> Mesh:
    """A ball of the radius `EDGE`, n cells from the middle to the edge."""
    if axisymmetric:
        return half_disk(np.linspace(0.0, EDGE, n + 1), 3 * n, spherical)
    return ball(n, EDGE)


def sphere(axisymmetric: bool, poisson: float = POISSON_RATIO) -> Convergence:
    """Largest error of the displacement over its largest value: the domain ends 2.5 radii from the middle."""
    counts = (20, 40, 80) if axisymmetric else (4, 6, 8)
    errors = []
    for n in counts:
        mesh = sphere_mesh(axisymmetric, n)
        radius = np.linalg.norm(mesh.points, axis=1)
        found = displacement(mesh, falling(radius), np.zeros_like(mesh.points), poisson)
        levels, places = np.unique(np.round(radius, 9), return_inverse=True)
        along = np.array([outward(level, poisson) if level > 0.0 else 0.0 for level in levels])[places]
        exact = along[:, None] * mesh.points / np.maximum(radius, 1e-12)[:, None]
        errors.append(float(np.linalg.norm(found - exact, axis=1).max() / np.abs(along).max()))
    kind = "axisymmetric" if axisymmetric else "3-D"
    return Convergence(
        f"Sphere that contracts, {kind}, ν = {poisson:g}", tuple(EDGE / n for n in counts), tuple(errors)
    )


def profile() -> Profile:
    """Displacement toward the middle of a sphere along its radius [mm], axisymmetric; radii in mm."""
    mesh = sphere_mesh(True, 40)
    radius = np.linalg.norm(mesh.points, axis=1)
    found = displacement(mesh, falling(radius), np.zeros_like(mesh.points))
    line = np.flatnonzero(np.abs(mesh.points[:, 1]) < 1e-9)
    line = line[np.argsort(radius[line])][1:]
    exact = np.array([outward(r, POISSON_RATIO) for r in radius[line]])
    return Profile("Sphere that contracts", 1e3 * radius[line], -1e3 * found[line, 0], -1e3 * exact)


def whole_ball(axisymmetric: bool, poisson: float) -> tuple[float, float]:
    """Share of the free strain by which a ball contracts that is all of the domain: computed, exact for any radius."""
    mesh = sphere_mesh(axisymmetric, 20 if axisymmetric else 4)
    found = displacement(mesh, np.full(len(mesh.points), STRAIN), np.zeros_like(mesh.points), poisson)
    share = -np.sum(found * mesh.points) / np.sum(mesh.points**2) / STRAIN
    return float(share), (1.0 + poisson) / (3.0 * (1.0 - poisson))


def free(axisymmetric: bool) -> float:
    """A body that nothing holds but one node, or a line in space: largest error of its displacement over the largest.

    It contracts toward the node by the strain, and linear elements have that exactly.
    """
    mesh = cylinder(6, 0.5 * SIZE, SIZE) if axisymmetric else box(4, SIZE)
    walls, springs = np.zeros_like(mesh.points), np.zeros(len(mesh.points))
    held = np.flatnonzero(np.linalg.norm(mesh.points, axis=1) < 1e-9)
    springs[held] = SIZE
    if not axisymmetric:
        walls[np.linalg.norm(mesh.points[:, :2], axis=1) < 1e-9] = (0.0, 0.0, 1.0)
        walls[np.linalg.norm(mesh.points[:, 1:], axis=1) < 1e-9] = (1.0, 0.0, 0.0)
        walls[held] = 0.0
    strain = np.full(len(mesh.points), STRAIN)
    found = equilibrium(mesh.points, mesh.cells, (strain, walls, springs), axisymmetric=axisymmetric)
    return float(np.abs(found + STRAIN * mesh.points).max() / (STRAIN * SIZE))


class Bump:
    """A displacement that is the gradient of a potential, and the strain that causes it.

    ``u = grad(phi)`` is in equilibrium with the strain ``-(1 - nu) / (1 + nu) laplace(phi)`` (Goodier). The potential
    is a Gaussian with another width along each coordinate, so narrow that there is nothing left of it at the edge.
    """

    def __init__(self, axisymmetric: bool) -> None:
        self.axisymmetric = axisymmetric
        self.centre = np.array([0.0, 0.5 * SIZE]) if axisymmetric else np.full(3, 0.5 * SIZE)
        self.widths = WIDTHS[[0, 1]] if axisymmetric else WIDTHS

    def _scaled(self, x: Array) -> tuple[Array, Array]:
        shape = (-1,) + (1,) * (x.ndim - 1)
        z = (x - self.centre.reshape(shape)) / self.widths.reshape(shape)
        return z, HEIGHT * np.exp(-0.5 * (z**2).sum(axis=0))

    def displacement(self, x: Array) -> Array:
        """At coordinates ``(d, ...)`` [m]."""
        z, phi = self._scaled(x)
        return -z / self.widths.reshape((-1,) + (1,) * (x.ndim - 1)) * phi

    def strain(self, x: Array) -> Array:
        """At coordinates ``(d, ...)``."""
        z, phi = self._scaled(x)
        squares = (self.widths**2).reshape((-1,) + (1,) * (x.ndim - 1))
        laplace = ((z**2 - 1.0) / squares * phi).sum(axis=0)
        if self.axisymmetric:
            laplace = laplace - phi / squares[0]  # the second direction across the axis
        return -(1.0 - POISSON_RATIO) / (1.0 + POISSON_RATIO) * laplace


def manufactured(axisymmetric: bool) -> Convergence:
    """Error of the displacement in the root of the mean square, over its own."""
    bump, errors = Bump(axisymmetric), []
    counts = (16, 32, 64) if axisymmetric else (8, 12, 18)
    for n in counts:
        mesh = cylinder(n, 0.5 * SIZE, SIZE) if axisymmetric else box(n, SIZE)
        springs = np.zeros(len(mesh.points))
        springs[np.unique(mesh.facets["outer"])] = 1e-3 * SIZE
        fields = (bump.strain(mesh.points.T), np.zeros_like(mesh.points), springs)
        found = equilibrium(mesh.points, mesh.cells, fields, axisymmetric=axisymmetric)
        integral = Quadrature(mesh)
        exact = bump.displacement(integral.x)
        square = sum(integral.distance(found[:, i], exact[i]) ** 2 for i in range(mesh.dimension))
        size = sum(integral.distance(np.zeros(len(found)), exact[i]) ** 2 for i in range(mesh.dimension))
        errors.append(float(np.sqrt(square / size)))
    kind = "axisymmetric" if axisymmetric else "3-D"
    return Convergence(f"Manufactured displacement, {kind}", tuple(1e3 * SIZE / n for n in counts), tuple(errors))
