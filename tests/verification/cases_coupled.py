"""Electric field and heat together: order in time, Kohlrausch's relation, energy, perfusion that stays off."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from skfem import MeshTet, MeshTri
from verification.cases_march import (
    BODY,
    JouleAndSource,
    Material,
    PrescribedHeat,
    build_march,
    hold,
    march_fixed,
    march_until,
    start_from,
)
from verification.cases_meshes import Array, Convergence, Profile, graded, half_disk, mesh_from, octant, spherical

from ablationsim.fem.space import P1Space
from ablationsim.march import March
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.bioheat import Bioheat, CooledSurface
from ablationsim.physics.damage import DamageModel
from ablationsim.physics.electric import Electric, OuterBoundary
from ablationsim.tissue import Tissue

TAU = 20.0  # s
SMOOTH = Material(
    capacity=lambda t: 3.6e6 * (1.0 + 0.01 * (t - BODY)),
    conductivity=lambda t: 0.5 * (1.0 + 0.02 * (t - BODY)),
    sigma=lambda t: 0.2 * (1.0 + 0.03 * (t - BODY)),
    perfusion=0.01,
)


def shell(axisymmetric: bool, outside: float = 20e-3, first: float = 0.4e-3) -> Mesh:
    """A coarse spherical shell round an electrode of 1.5 mm."""
    radii = graded(1.5e-3, outside, first, 1.25)
    return half_disk(radii, 12, spherical) if axisymmetric else octant(radii, 4, spherical)


def electric_on(space: P1Space, outer: OuterBoundary, rtol: float = 1e-12) -> Electric:
    """Electric conduction from "inner" to the outside."""
    return Electric(space, [["inner"]], outer, np.zeros(space.mesh.dimension), rtol)


@cache
def order_in_time(axisymmetric: bool, coupled: bool) -> Convergence:
    """Largest nodal error after 20 s at a series of steps.

    The source is chosen on the mesh: it makes a given history of the nodal temperatures the exact solution of the
    discrete equations, so that the error is that of the time steps alone. All laws depend on the temperature; when
    `coupled`, Joule heat at 30 V acts too, and the source makes up for it.
    """
    space = P1Space(shell(axisymmetric))
    r = np.linalg.norm(space.mesh.points, axis=1)
    shape = np.exp(-(r - r.min()) / 6e-3) * (1.0 + 0.2 * space.mesh.points[:, -1] / r)
    cooled = [CooledSurface(["inner"], 500.0, 300.15)]
    bioheat = Bioheat(space, SMOOTH, cooled, reference=BODY)
    reference = electric_on(space, "grounded")
    voltage = 30.0

    def temperature(t: float) -> Array:
        return BODY + 20.0 * shape * (1.0 + np.sin(t / TAU))

    def source(t: float) -> Array:
        now = temperature(t)
        gain = space.lumped_mass * SMOOTH.capacity(now) * 20.0 * shape * np.cos(t / TAU) / TAU
        load = gain - bioheat.flux(bioheat.operator(now), now, np.zeros_like(now))
        if coupled:
            sigma = space.element_mean(SMOOTH.sigma(now))
            field = reference.solve(sigma, np.zeros(len(reference.outer_nodes)))
            load -= field.heat(np.array([voltage]))
        return load

    steps, errors = (10, 20, 40, 80), []
    for n in steps:
        if coupled:
            electric = JouleAndSource(electric_on(space, "grounded"), source, voltage)
            controller = hold(voltage, 1e9)
        else:
            electric, controller = PrescribedHeat(source), hold(1.0, 1e9)
        march = build_march(space, SMOOTH, electric, cooled=cooled, controllers=[controller], tolerance=1e-6)
        start_from(march, temperature(0.0))
        computed = march_fixed(march, TAU / n, n)
        errors.append(float(np.max(np.abs(computed - temperature(TAU)))))
    title = f"{'Joule heat' if coupled else 'Heat'} in time, {'axisymmetric' if axisymmetric else '3-D'}"
    return Convergence(title, tuple(TAU / n for n in steps), tuple(errors))


# -- Kohlrausch's relation --------------------------------------------------------------------------------------------

CONTACT = 1e6  # W/m2/K: half a micrometre of tissue, as good as a fixed temperature
KOHLRAUSCH = Material(
    conductivity=lambda t: 0.5 * (1.0 + 0.01 * (t - BODY)), sigma=lambda t: 0.2 * (1.0 + 0.02 * (t - BODY))
)


def waisted(axisymmetric: bool) -> Mesh:
    """A column with a waist nearer to one end, between electrodes "inner" (top) and "outer" (bottom)."""
    height, width = 12e-3, 5e-3
    if axisymmetric:
        plane = MeshTri.init_tensor(np.linspace(0.0, 1.0, 13), np.linspace(0.0, 1.0, 37))
    else:
        plane = MeshTet.init_tensor(*(np.linspace(0.0, 1.0, n) for n in (9, 9, 31)))
    z = plane.p[-1]
    girth = width * (1.0 - 0.5 * np.sin(np.pi * z**1.5) ** 2)
    points = np.vstack([plane.p[:-1] * girth, height * z]).T
    ends = {
        "inner": lambda c: c[:, -1] > height * (1.0 - 1e-9),
        "outer": lambda c: c[:, -1] < 1e-9 * height,
    }
    return mesh_from(points, plane.t.T, ends, axisymmetric)


def kohlrausch_temperature(product: float) -> float:
    """Temperature at which the integral of k / sigma from 37 degC on is ``product`` = V (V0 - V) / 2 [V2]."""

    def excess(t: float) -> float:
        def ratio(x: float) -> float:
            return float(KOHLRAUSCH.conductivity(np.array(x)) / KOHLRAUSCH.sigma(np.array(x)))

        return quad(ratio, BODY, t)[0] - product

    return brentq(excess, BODY - 1.0, BODY + 200.0)


@cache
def kohlrausch(axisymmetric: bool) -> Profile:
    """Steady rise of temperature against the potential at every node, both ends held at 37 degC.

    Wherever current and heat can only leave by two equipotential, isothermal ends, the temperature depends on the
    potential alone: the integral of k / sigma from T0 to T is V (V0 - V) / 2, and V0^2 / 8 for the hottest point.
    """
    voltage = 35.0
    mesh = waisted(axisymmetric)
    space = P1Space(mesh)
    electric = electric_on(space, "grounded", rtol=1e-10)
    march = build_march(
        space,
        KOHLRAUSCH,
        electric,
        cooled=[CooledSurface(["inner", "outer"], CONTACT, BODY)],
        controllers=[hold(voltage, 1e9)],
        tolerance=0.1,
        longest_step=200.0,
    )
    march_until(march, 2000.0)
    potential = voltage * electric.potential(np.ones(1))
    order = np.argsort(potential)
    product = 0.5 * potential * (voltage - potential)
    table = np.linspace(0.0, voltage**2 / 8.0, 60)
    rise = [kohlrausch_temperature(p) - BODY for p in table]
    kind = "axisymmetric" if axisymmetric else "3-D"
    return Profile(
        f"Kohlrausch, {kind}",
        potential[order],
        (march.state.temperature - BODY)[order],
        np.interp(product, table, rise)[order],
    )


# -- energy, perfusion ------------------------------------------------------------------------------------------------


def ablation(axisymmetric: bool, *, on: float = 60.0, tolerance: float = 0.5) -> March:
    """Human liver round a cooled sphere in an unbounded medium: 55 V for some seconds, then off for 120 s."""
    space = P1Space(shell(axisymmetric, 25e-3, 0.25e-3))
    tissue = Tissue.load("liver_human")
    return build_march(
        space,
        tissue,
        electric_on(space, "far_field", rtol=1e-6),
        cooled=[CooledSurface(["inner"], 3000.0, 288.15)],
        damage=DamageModel("arrhenius"),
        controllers=[hold(55.0, on)],
        cooling=120.0,
        tolerance=tolerance,
        initial=tissue.initial_temperature,
    )


def energy_gap(march: March) -> float:
    """Energy that is unaccounted for, relative to the energy put in."""
    energy = march.state.energy
    return abs(energy.generator - march.stored - energy.lost) / energy.generator
