"""Heat alone: manufactured solutions, and sources in perfused tissue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erf, erfc, j0, j1
from verification.cases_march import (
    BODY,
    Material,
    PrescribedHeat,
    build_march,
    constant,
    march_fixed,
    march_until,
    start_from,
    steady_state,
)
from verification.cases_meshes import (
    Array,
    Convergence,
    Profile,
    Quadrature,
    box,
    cylinder,
    graded,
    half_disk,
    octant,
    spherical,
)

from ablationsim.fem.space import P1Space
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.bioheat import Bioheat, CooledSurface

SIZE = 0.02  # m
TAU = 100.0  # s
SMOOTH = Material(
    capacity=lambda t: 3.6e6 * (1.0 + 0.004 * (t - BODY)),
    conductivity=lambda t: 0.5 * (1.0 + 0.01 * (t - BODY)),
    perfusion=0.01,
)


class Manufactured:
    """``T = 37 degC + 30 K exp(-t / tau) (1 + half a product of cosines)``: no flux through any boundary."""

    def __init__(self, material: Material, axisymmetric: bool) -> None:
        self.material, self.axisymmetric = material, axisymmetric

    def shape(self, x: Array) -> Array:
        return 1.0 + 0.5 * np.prod(np.cos(np.pi * x / SIZE), axis=0)

    def temperature(self, x: Array, t: float) -> Array:
        return BODY + 30.0 * np.exp(-t / TAU) * self.shape(x)

    def source(self, x: Array, t: float) -> Array:
        """What the bioheat equation needs as its source [W/m3] to have this solution."""
        m, a, theta = self.material, np.pi / SIZE, self.temperature(x, t) - BODY
        scale = 30.0 * np.exp(-t / TAU)
        c, s = np.cos(a * x), np.sin(a * x)
        others = [np.prod(np.delete(c, i, axis=0), axis=0) for i in range(len(x))]
        gradient = -0.5 * a * scale * np.array([s[i] * others[i] for i in range(len(x))])
        laplacian = -0.5 * a**2 * len(x) * scale * np.prod(c, axis=0)
        if self.axisymmetric:
            laplacian += gradient[0] / x[0]
        k, k_slope = m.conductivity(BODY + theta), 0.5 * 0.01
        diffusion = k * laplacian + k_slope * np.sum(gradient**2, axis=0)
        return -m.capacity(BODY + theta) * theta / TAU - diffusion + m.blood * theta


@cache
def heat_in_space(axisymmetric: bool) -> Convergence:
    """L2 error at t = tau / 4 on a series of meshes, with steps so short that the error in time does not show."""
    numbers = (8, 16, 32) if axisymmetric else (6, 12, 24)
    exact = Manufactured(SMOOTH, axisymmetric)
    errors = []
    for n in numbers:
        mesh = cylinder(n, SIZE, SIZE) if axisymmetric else box(n, SIZE)
        points = Quadrature(mesh, order=4)
        heat = PrescribedHeat(lambda t, points=points: points.load(exact.source(points.x, t)))
        march = build_march(P1Space(mesh), SMOOTH, heat, tolerance=1e-4)
        start_from(march, exact.temperature(mesh.points.T, 0.0))
        computed = march_fixed(march, TAU / 32, 8)
        errors.append(points.distance(computed, exact.temperature(points.x, TAU / 4)))
    title = "Heat in space, " + ("axisymmetric" if axisymmetric else "3-D")
    return Convergence(title, tuple(1e3 * SIZE / n for n in numbers), tuple(errors))


@cache
def cooled_cylinder() -> Convergence:
    """A hot cylinder loses heat through its wall: theta = J0(b r / R) exp(-a b^2 t / R^2) with b J1(b) = Bi J0(b)."""
    radius, wall, time = 0.01, 200.0, 60.0
    material = Material()
    biot = wall * radius / 0.5
    b = brentq(lambda x: x * j1(x) - biot * j0(x), 1e-3, 2.4)
    decay = 0.5 / 3.6e6 * b**2 / radius**2

    def exact(x: Array, t: float) -> Array:
        return 290.0 + 60.0 * j0(b * x[0] / radius) * np.exp(-decay * t)

    numbers, errors = (8, 16, 32), []
    for n in numbers:
        mesh = cylinder(n, radius, radius)
        march = build_march(
            P1Space(mesh),
            material,
            PrescribedHeat(lambda t, cold=0.0 * mesh.points[:, 0]: cold),
            cooled=[CooledSurface(["side"], wall, 290.0)],
            tolerance=1e-4,
        )
        start_from(march, exact(mesh.points.T, 0.0))
        computed = march_fixed(march, time / 64, 64)
        points = Quadrature(mesh)
        errors.append(points.distance(computed, exact(points.x, time)))
    return Convergence("Wall coefficient: cooled cylinder", tuple(1e3 * radius / n for n in numbers), tuple(errors))


PERFUSED = Material(conductivity=constant(0.52), capacity=constant(3.8e6), perfusion=0.018)
LENGTH = float(np.sqrt(0.52 / PERFUSED.blood))  # m: range of a source in this tissue
RATE = PERFUSED.blood / 3.8e6  # 1/s
DIFFUSIVITY = 0.52 / 3.8e6
OUTSIDE = 0.04  # m: fifteen ranges, so that the edge of the mesh is at infinity


def point_source(power: float, r: Array, t: float) -> Array:
    """Temperature rise round a point source switched on at t = 0 (t = inf: steady) [K]."""
    if np.isinf(t):
        return power / (4.0 * np.pi * 0.52 * r) * np.exp(-r / LENGTH)
    spread, age = r / np.sqrt(4.0 * DIFFUSIVITY * t), np.sqrt(RATE * t)
    inward = np.exp(-r / LENGTH) * erfc(spread - age)
    return power / (8.0 * np.pi * 0.52 * r) * (inward + np.exp(r / LENGTH) * erfc(spread + age))


def heated_sphere(density: float, radius: float, r: Array, t: float) -> Array:
    """Temperature rise in and round a sphere heated with ``density`` W/m3 from t = 0 on [K].

    Steady: matched spherical Bessel functions. Transient: the heat of every past moment, spread by the kernel of a
    sphere and weakened by perfusion, integrated over time.
    """
    if np.isinf(t):
        big = radius / LENGTH
        inside = 1.0 - (1.0 + big) * np.exp(-big) * np.sinh(r / LENGTH) * LENGTH / r
        outside = (big * np.cosh(big) - np.sinh(big)) * np.exp(-r / LENGTH) * LENGTH / r
        return density / PERFUSED.blood * np.where(r < radius, inside, outside)

    def kernel(age: float, s: float) -> float:
        width = np.sqrt(4.0 * DIFFUSIVITY * age)
        inside = 0.5 * (erf((radius + s) / width) + erf((radius - s) / width))
        edges = np.exp(-(((s - radius) / width) ** 2)) - np.exp(-(((s + radius) / width) ** 2))
        return (inside - width / (2.0 * np.sqrt(np.pi) * s) * edges) * np.exp(-RATE * age)

    return density / 3.8e6 * np.array([quad(kernel, 0.0, t, args=(s,), limit=200)[0] for s in r])


def _ball(axisymmetric: bool, radii: Array) -> Mesh:
    """Layers of polyhedra of the volume of the spheres with these radii."""
    flat = half_disk(radii, 32, spherical) if axisymmetric else octant(radii, 8, spherical)
    lacking = _share(axisymmetric) * 4.0 / 3.0 * np.pi * radii[-1] ** 3 / flat.cell_volumes().sum()
    return replace(flat, points=flat.points * lacking ** (1.0 / 3.0))


def _share(axisymmetric: bool) -> float:
    """Part of the whole ball that the mesh holds."""
    return 1.0 if axisymmetric else 0.125


@cache
def point_source_profile(axisymmetric: bool, time: float) -> Profile:
    """Temperature rise along a radius from 2 to 15 mm."""
    power = 0.5
    mesh = _ball(axisymmetric, graded(0.0, OUTSIDE, 0.2e-3, 1.06))
    load = np.zeros(len(mesh.points))
    load[np.argmin(np.linalg.norm(mesh.points, axis=1))] = power * _share(axisymmetric)
    return _profile(
        "Point source", axisymmetric, mesh, load, time, lambda r: point_source(power, r, time), (2e-3, 15e-3)
    )


@cache
def heated_sphere_profile(axisymmetric: bool, time: float) -> Profile:
    """Temperature rise along a radius from 0.5 to 20 mm; the sphere has 5 mm."""
    density, radius = 2e6, 5e-3
    inner = np.linspace(0.0, radius, 17)
    mesh = _ball(axisymmetric, np.concatenate([inner, graded(radius, OUTSIDE, inner[1], 1.08)[1:]]))
    space = P1Space(mesh)
    heated = np.linalg.norm(mesh.points[mesh.cells].mean(axis=1), axis=1) < radius
    load = space.nodal_load(density * heated * space.volume)
    return _profile(
        "Heated sphere",
        axisymmetric,
        mesh,
        load,
        time,
        lambda r: heated_sphere(density, radius, r, time),
        (0.5e-3, 20e-3),
    )


def _profile(
    title: str,
    axisymmetric: bool,
    mesh: Mesh,
    load: Array,
    time: float,
    exact: Callable[[Array], Array],
    span: tuple[float, float],
) -> Profile:
    space = P1Space(mesh)
    if np.isinf(time):
        bioheat = Bioheat(space, PERFUSED, [], reference=BODY)
        temperature = steady_state(bioheat, load, np.full(space.n_nodes, BODY))
        when = "steady"
    else:
        march = build_march(space, PERFUSED, PrescribedHeat(lambda t: load), tolerance=0.05)
        temperature = march_until(march, time)
        when = f"after {time:g} s"
    # Nodes on the z axis, with the mean over the sphere of each: the exact solution knows no direction.
    radius = np.linalg.norm(mesh.points, axis=1)
    layers = np.unique(np.round(radius, 9))
    layers = layers[(layers >= span[0]) & (layers <= span[1])]
    computed = np.array([np.mean(temperature[np.abs(radius - r) < 1e-8]) for r in layers]) - BODY
    kind = "axisymmetric" if axisymmetric else "3-D"
    return Profile(f"{title}, {when}, {kind}", 1e3 * layers, computed, exact(layers))
