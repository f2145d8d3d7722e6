"""Damage models against closed forms and against integration by SciPy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.integrate import quad, solve_ivp
from verification.cases_meshes import Convergence

from ablationsim.physics.damage import ARRHENIUS_SETS, GAS_CONSTANT, Damage, DamageModel

ZERO = 273.15


@dataclass(frozen=True)
class Check:
    """One number beside its exact value."""

    title: str
    computed: float
    exact: float

    @property
    def relative_error(self) -> float:
        return abs(self.computed / self.exact - 1.0)


def grown(model: DamageModel, start: float, end: float, seconds: float, intervals: int = 1) -> Damage:
    """Damage after a linear course of temperature [degC] in equal intervals."""
    course = ZERO + np.linspace(start, end, intervals + 1)
    damage = Damage.none(course[:1])
    for a, b in pairwise(course):
        model.advance(damage, np.array([a]), np.array([b]), seconds / intervals)
    return damage


def arrhenius_constant(name: str, celsius: float, seconds: float) -> Check:
    """Omega = A t exp(-E / (R T))."""
    law = ARRHENIUS_SETS[name]
    exact = law.frequency_factor * seconds * np.exp(-law.activation_energy / (GAS_CONSTANT * (celsius + ZERO)))
    computed = grown(DamageModel("arrhenius", name), celsius, celsius, seconds, 7).omega[0]
    return Check(f"Arrhenius '{name}', {celsius:g} °C for {seconds:g} s", float(computed), float(exact))


@cache
def arrhenius_ramp(name: str) -> Convergence:
    """Relative error of Omega over 37 to 77 degC in 80 s against the length of the intervals [s]."""
    law = ARRHENIUS_SETS[name]

    def rate(t: float) -> float:
        return law.frequency_factor * np.exp(-law.activation_energy / (GAS_CONSTANT * (310.15 + 0.5 * t)))

    exact = quad(rate, 0.0, 80.0, epsabs=0.0, epsrel=1e-12)[0]
    counts = (5, 10, 20, 40)
    errors = [abs(grown(DamageModel("arrhenius", name), 37, 77, 80.0, n).omega[0] / exact - 1.0) for n in counts]
    return Convergence(f"Arrhenius '{name}' over a ramp", tuple(80.0 / n for n in counts), tuple(errors))


def cem43_constant(celsius: float, seconds: float) -> Check:
    """Minutes times R^(43 - T), R = 1/2 from 43 degC on and 1/4 below."""
    base = 0.5 if celsius >= 43.0 else 0.25
    computed = grown(DamageModel("cem43"), celsius, celsius, seconds, 3).cem43[0]
    return Check(f"CEM43, {celsius:g} °C for {seconds:g} s", float(computed), seconds / 60.0 * base ** (43.0 - celsius))


def cem43_ramp(start: float, end: float, seconds: float, intervals: int) -> Check:
    """Exact integral over a ramp that may cross 43 degC: exponentials on either side."""
    low, high = sorted((start, end))
    cold = (4.0 ** (min(high, 43.0) - 43.0) - 4.0 ** (min(low, 43.0) - 43.0)) / np.log(4.0)
    warm = (2.0 ** (max(high, 43.0) - 43.0) - 2.0 ** (max(low, 43.0) - 43.0)) / np.log(2.0)
    exact = seconds / 60.0 * (cold + warm) / (high - low)
    computed = grown(DamageModel("cem43"), start, end, seconds, intervals).cem43[0]
    return Check(f"CEM43, {start:g} to {end:g} °C in {seconds:g} s", float(computed), float(exact))


def three_state(start: float, end: float, seconds: float, intervals: int) -> tuple[Check, Check]:
    """Alive and dead fractions against an integration of the rate equations to 1e-12."""

    def rates(t: float, y: np.ndarray) -> list[float]:
        alive, dead = y
        forward = 3.33e-3 * np.exp((start + (end - start) * t / seconds) / 40.5)
        vulnerable = 1.0 - alive - dead
        return [-forward * alive * (1.0 - alive) + 7.77e-3 * vulnerable, forward * (1.0 - alive) * vulnerable]

    exact = solve_ivp(rates, (0.0, seconds), [0.99, 0.0], method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
    damage = grown(DamageModel("three_state"), start, end, seconds, intervals)
    course = f"{start:g} °C" if start == end else f"{start:g} to {end:g} °C"
    return (
        Check(f"Three-state, alive after {course} in {seconds:g} s", float(damage.alive[0]), float(exact[0])),
        Check(f"Three-state, dead after {course} in {seconds:g} s", float(damage.dead[0]), float(exact[1])),
    )
