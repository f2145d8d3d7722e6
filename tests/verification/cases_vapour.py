"""A line source that boils tissue: similarity solution and march."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import exp1
from skfem import MeshTri
from verification.cases_march import BODY, Material, PrescribedHeat, build_march, march_until
from verification.cases_meshes import Array, Profile, graded, mesh_from

from ablationsim.fem.space import P1Space
from ablationsim.tissue import TissueTables


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
