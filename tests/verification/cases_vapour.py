"""A line source that boils tissue: similarity solutions and march, with vapour that stays and with vapour that moves.

Of vapour that moves also where it condenses, round a ball that boils.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import exp1
from skfem import MeshTri
from verification.cases_march import BODY, Material, PrescribedHeat, build_march, march_fixed, march_until
from verification.cases_meshes import Array, Convergence, Profile, graded, half_disk, mesh_from, octant, spherical

from ablationsim.fem.space import P1Space
from ablationsim.march import March
from ablationsim.physics.bioheat import Bioheat
from ablationsim.physics.vapour import Vapour
from ablationsim.tissue import TissueTables
from ablationsim.tissue.laws import latent_capacity


@dataclass(frozen=True)
class Stefan:
    """Line source (or sink, with a negative rate) in a medium that changes phase at one temperature.

    A source of ``rate`` [W/m] on the axis is switched on at t = 0 in a medium at ``start``. Within the radius s(t) it
    has changed phase and has the conductivity ``k1`` and the volumetric capacity ``c1``, outside ``k2`` and ``c2``;
    at s the temperature is ``change`` and the latent heat ``latent`` [J/m3] is taken up. With a_i = k_i / c_i and
    E1(x) = int_x^inf exp(-u) / u du, the function E1(r^2 / (4 a t)) solves the heat equation in cylindrical symmetry,
    and

        T1 = T_v + rate / (4 pi k1) [E1(r^2 / (4 a1 t)) - E1(s^2 / (4 a1 t))]    (heat flow at r -> 0: rate)
        T2 = T_0 + (T_v - T_0) E1(r^2 / (4 a2 t)) / E1(s^2 / (4 a2 t))           (T_0 at infinity)

    meet T_v on s for all times only if s = 2 lambda sqrt(a2 t). The derivative of E1(r^2 / (4 a t)) is
    -2 exp(-r^2 / (4 a t)) / r, so that the balance at the front, -k1 dT1/dr + k2 dT2/dr = latent ds/dt, times s and
    with s ds/dt = 2 lambda^2 a2, is

        rate / (2 pi) exp(-lambda^2 a2 / a1) - 2 k2 (T_v - T_0) exp(-lambda^2) / E1(lambda^2) = 2 latent lambda^2 a2.

    The left side falls and the right side rises with lambda: there is one root. With negative rate, T_v - T_0 and
    latent it is the freezing sink of Carslaw, Jaeger and Ozisik.
    """

    rate: float
    start: float
    change: float
    latent: float
    k1: float
    c1: float
    k2: float
    c2: float

    @property
    def front_factor(self) -> float:
        """lambda."""
        a1, a2 = self.k1 / self.c1, self.k2 / self.c2
        sign = np.sign(self.rate)

        def balance(x: float) -> float:
            arriving = self.rate / (2.0 * np.pi) * np.exp(-(x**2) * a2 / a1)
            leaving = 2.0 * self.k2 * (self.change - self.start) * np.exp(-(x**2)) / exp1(x**2)
            return sign * (arriving - leaving - 2.0 * self.latent * x**2 * a2)

        return brentq(balance, 1e-6, 5.0, xtol=1e-14)

    def front(self, t: Array) -> Array:
        """Radius of the front [m]."""
        return 2.0 * self.front_factor * np.sqrt(self.k2 / self.c2 * t)

    def temperature(self, r: Array, t: float) -> Array:
        """Temperature at radius r [K]."""
        s = float(self.front(np.array(t)))
        u1, u2 = r**2 * self.c1 / (4.0 * self.k1 * t), r**2 * self.c2 / (4.0 * self.k2 * t)
        inside = self.change + self.rate / (4.0 * np.pi * self.k1) * (
            exp1(u1) - exp1(s**2 * self.c1 / (4.0 * self.k1 * t))
        )
        outside = self.start + (self.change - self.start) * exp1(u2) / exp1(self.front_factor**2)
        return np.where(r < s, inside, outside)


# The sink of physics textbooks, with a known root; and a needle that boils liver: 7 times drier, twice as conductive.
FREEZING = Stefan(-1e4, 310.0, 273.0, -338e6, 2.22, 1.762e6, 2.22, 1.762e6)
BOILING = Stefan(600.0, BODY, 373.15, 1.77e9, 0.8, 0.6e6, 0.52, 4.2e6)
BAND = 0.5  # K: width over which the latent heat is spread in the march


class _BoilingTissue(Material):
    """The medium of `BOILING`: capacities and conductivities jump, the latent heat is spread over `BAND`."""

    def tables(self) -> TissueTables:
        case, tables = BOILING, super().tables()
        (lower, upper), t = self.vaporisation_band, tables.temperature
        enthalpy = case.c2 * (np.minimum(t, lower) - BODY) + case.c1 * np.maximum(t - upper, 0.0)
        enthalpy += (case.latent + 0.5 * BAND * (case.c1 + case.c2)) * np.clip((t - lower) / BAND, 0.0, 1.0)
        return replace(tables, enthalpy=enthalpy)


TISSUE = _BoilingTissue(
    conductivity=lambda t: np.where(t < BOILING.change, BOILING.k2, BOILING.k1),
    vaporisation_band=(BOILING.change - 0.5 * BAND, BOILING.change + 0.5 * BAND),
    stop=2273.15,
)


@cache
def boiling_front() -> tuple[Profile, Profile]:
    """Radius of the front [mm] against time, and temperature against radius at the end, of a slice 1 mm thick."""
    height, times = 1e-3, np.linspace(20.0, 200.0, 10)
    r = np.concatenate([np.linspace(0.0, 8e-3, 401), graded(8e-3, 50e-3, 0.02e-3, 1.05)[1:]])
    plane = MeshTri.init_tensor(r, np.array([0.0, height]))
    mesh = mesh_from(plane.p.T, plane.t.T, {}, axisymmetric=True)
    load = np.where(mesh.points[:, 0] == 0.0, 0.5 * BOILING.rate * height, 0.0)
    march = build_march(P1Space(mesh), TISSUE, PrescribedHeat(lambda t: load))
    number = np.searchsorted(r, mesh.points[:, 0])
    fronts = []
    for time in times:
        march_until(march, float(time))
        temperature = 0.5 * np.bincount(number, march.state.temperature)  # mean of the two nodes at each radius
        # Outwards the temperature falls; the front is where it passes the boiling point.
        fronts.append(np.interp(BOILING.change, temperature[::-1], r[::-1]))
    shown = (r > 0.5e-3) & (r < 15e-3)
    return (
        Profile("Radius of the boiling front", times, 1e3 * np.array(fronts), 1e3 * BOILING.front(times)),
        Profile(
            "Temperature after 200 s",
            1e3 * r[shown],
            temperature[shown] - 273.15,
            BOILING.temperature(r[shown], float(times[-1])) - 273.15,
        ),
    )


@dataclass(frozen=True)
class CarriedBoiling:
    """Line source in a medium whose vapour carries all latent heat to the front, where it condenses.

    As in `Stefan`, but no heat is taken up at the front: what boils inside it condenses there. Inside the front the
    medium is at the boiling point ``change``, and nothing is conducted; all of ``rate`` [W/m] passes to the medium
    outside,

        rate = 4 pi k (T_v - T_0) exp(-lambda^2) / E1(lambda^2),    s = 2 lambda sqrt(a t),

    as long as there is water where the heat is released.
    """

    rate: float
    start: float
    change: float
    k: float
    c: float

    @property
    def front_factor(self) -> float:
        """lambda."""
        wanted = self.rate / (4.0 * np.pi * self.k * (self.change - self.start))
        return brentq(lambda x: np.exp(-(x**2)) / exp1(x**2) - wanted, 1e-3, 5.0, xtol=1e-14)

    def radius(self, temperature: float, t: Array) -> Array:
        """Where the medium outside the front has a temperature [m]."""
        share = (temperature - self.start) / (self.change - self.start) * exp1(self.front_factor**2)
        return 2.0 * brentq(lambda x: exp1(x**2) - share, 1e-3, 10.0, xtol=1e-14) * np.sqrt(self.k / self.c * t)

    def temperature(self, r: Array, t: float) -> Array:
        """Temperature at radius r [K]."""
        share = exp1(r**2 * self.c / (4.0 * self.k * t)) / exp1(self.front_factor**2)
        return self.start + (self.change - self.start) * np.minimum(share, 1.0)


CARRIED = CarriedBoiling(600.0, BODY, 373.15, 0.52, 4.2e6)
ROUNDING = 0.2  # K: of the ends of the band in which the vapour arises that moves
CORE = 1e-3  # m: radius in which the power is released


@dataclass(frozen=True)
class MovingVapour(Material):
    """A medium of constant properties whose water boils over `BAND` and moves, by default without end."""

    energy: float = 2e10
    carried: float = 1.0
    reach: float = 0.4e-3
    time: float = 0.05
    rewetting: float = 1e9

    def value(self, name: str) -> float:
        """What vapour asks of a tissue."""
        return {
            "vapour_carried": self.carried,
            "vapour_reach": self.reach,
            "vapour_time": self.time,
            "rewetting_time": self.rewetting,
            "latent_heat": 2.26e6,
        }[name]

    @property
    def vaporisation_energy(self) -> float:
        """[J/m3]"""
        return self.energy

    def tables(self) -> TissueTables:
        """Those of the material, with the latent heat beside."""
        tables = super().tables()
        lower, upper = self.vaporisation_band
        latent = latent_capacity(self.energy, (lower, upper), ROUNDING).integral(tables.temperature, start=BODY)
        return replace(tables, enthalpy=tables.enthalpy + latent, latent=latent)


def moving_vapour(**changes: float) -> MovingVapour:
    """The medium of `CARRIED`."""
    band = (CARRIED.change, CARRIED.change + 2.0)
    return MovingVapour(
        capacity=lambda t: np.full_like(t, CARRIED.c),
        conductivity=lambda t: np.full_like(t, CARRIED.k),
        vaporisation_band=band,
        **changes,
    )


def slice_march(material: MovingVapour, step: float, tolerance: float = 0.02) -> tuple[March, Array]:
    """The line source in a slice 1 mm thick, with elements of the given size [m] near the axis; and the radii."""
    height = 1e-3
    r = np.concatenate([np.arange(0.0, 14e-3, step), graded(14e-3, 60e-3, step, 1.05)])
    plane = MeshTri.init_tensor(r, np.array([0.0, height]))
    space = P1Space(mesh_from(plane.p.T, plane.t.T, {}, axisymmetric=True))
    inside = space.lumped_mass * (space.mesh.points[:, 0] < CORE * (1.0 + 1e-9))
    load = CARRIED.rate * height * inside / inside.sum()
    return build_march(space, material, PrescribedHeat(lambda t: load), vapour=True, tolerance=tolerance), r


@cache
def carried_front(reach: float) -> tuple[Profile, float]:
    """Temperature against radius after 30 s with a reach of the vapour [m], and what the energy balance misses.

    The elements are a quarter as large as the reach; steps are 0.1 s, since each lets go of its vapour at its end.
    """
    time = 30.0
    march, r = slice_march(moving_vapour(reach=reach), 0.25 * reach)
    temperature = march_fixed(march, 0.1, round(time / 0.1))
    mean = 0.5 * np.bincount(np.searchsorted(r, march.problem.bioheat.space.mesh.points[:, 0]), temperature)
    shown = r < 12e-3
    gap = abs(march.stored / march.state.energy.generator - 1.0)
    exact = CARRIED.temperature(r[shown], time)
    return Profile(f"reach {1e3 * reach:g} mm", 1e3 * r[shown], mean[shown] - 273.15, exact - 273.15), gap


@cache
def front_and_reach() -> Convergence:
    """Error of the radius of 95 degC, relative to its value, as the reach of the vapour becomes short."""
    reaches, exact = (0.8e-3, 0.4e-3, 0.2e-3), 1e3 * CARRIED.radius(368.15, 30.0)
    errors = []
    for reach in reaches:
        profile, _ = carried_front(reach)
        errors.append(float(abs(np.interp(95.0, profile.computed[::-1], profile.x[::-1]) / exact - 1.0)))
    return Convergence("Radius of 95 °C", tuple(1e3 * reach for reach in reaches), tuple(errors))


BALL = 5e-3  # m: radius of the ball that boils
ENTERS = 2e-3  # m: reach of the vapour outside


def beyond(r: Array) -> Array:
    """Share of the vapour of a ball that condenses beyond a radius r >= BALL [m].

    Outside the ball -l^2 (c'' + 2 c' / r) + c = 0 with the reach l has the bounded solution c = exp(-r / l) / r; what
    condenses beyond r is the integral of c r^2, proportional to (1 + r / l) exp(-r / l). It does not matter where in
    the ball the vapour arises.
    """

    def content(x: Array) -> Array:
        return (1.0 + x / ENTERS) * np.exp(-x / ENTERS)

    return content(r) / content(np.array(BALL))


@cache
def condensation(axisymmetric: bool, n: int) -> Profile:
    """Share of a ball's vapour that condenses beyond a radius [mm]; n elements through its radius."""
    size = BALL / n
    levels = np.concatenate([np.linspace(0.0, 4.0 * BALL, 4 * n + 1), graded(4.0 * BALL, 50e-3, size, 1.15)[1:]])
    mesh = half_disk(levels, 24, spherical) if axisymmetric else octant(levels, 8, spherical)
    space, material = P1Space(mesh), moving_vapour(reach=ENTERS)
    r = np.linalg.norm(mesh.points, axis=1)
    # The outermost nodes of the ball boil, those a layer further out do not: order one is all there can be.
    boils = r < BALL + 0.25 * size
    temperature = np.where(boils, material.vaporisation_band[1], BODY)
    bioheat = Bioheat(space, material, [], reference=BODY)
    _, _, leaving = Vapour(bioheat, material).leave(temperature, np.zeros(space.n_nodes), 1.0)
    at = BALL + size * np.arange(1, n * 2, max(1, n // 4))
    found = np.array(
        [np.sum(leaving[r > x + 0.25 * size]) + 0.5 * np.sum(leaving[abs(r - x) < 0.25 * size]) for x in at]
    )
    return Profile("Condensed beyond", 1e3 * at, found / np.sum(leaving), beyond(at))


def condensation_and_mesh(axisymmetric: bool) -> Convergence:
    """Largest error of that share, against the element size [mm]."""
    counts = (5, 10, 20, 40) if axisymmetric else (5, 10, 20)
    errors = [float(np.max(np.abs(p.computed - p.exact))) for p in (condensation(axisymmetric, n) for n in counts)]
    name = "Condensation round a ball, " + ("axisymmetric" if axisymmetric else "3-D")
    return Convergence(name, tuple(1e3 * BALL / n for n in counts), tuple(errors))
