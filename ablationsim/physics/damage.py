"""Tissue damage: Arrhenius integral, thermal dose CEM43, highest temperature, three-state cell death, contraction.

All of them only grow. Temperature is taken to run linearly in time between the states that the time integrator
produces; the Arrhenius rate and the dose rate then run nearly exponentially, and their integral over the interval is
the logarithmic mean of the end values, which is exact where the rate is exponential in time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit, prange

from ablationsim.fem.kernels import Array
from ablationsim.fem.products import BLOCK, THREADED_FROM, blocks_of
from ablationsim.physics.contraction import TIME_CONSTANT, contract

Criterion = Literal["arrhenius", "cem43", "isotherm", "three_state"]
GAS_CONSTANT = 8.314462618  # J/mol/K, CODATA
CEM43_THRESHOLD_MIN = 240.0  # thermal dose of a lesion [min]
THREE_STATE_THRESHOLD = 0.8  # dead fraction at which tissue counts as ablated
VIABILITY_WITHOUT_PERFUSION = 0.8  # three-state model: viability at which the blood stands still


@dataclass(frozen=True)
class ArrheniusSet:
    """Frequency factor [1/s], activation energy [J/mol], integral at the edge of the zone, and where they come from."""

    frequency_factor: float
    activation_energy: float
    threshold: float
    source: str
    verified: bool


ARRHENIUS_SETS = {
    "whitening": ArrheniusSet(5.51e41, 2.769e5, 1.0, "jacques1991", verified=False),
    "low_threshold": ArrheniusSet(7.39e39, 2.577e5, 3.912, "nahmed2026", verified=True),
    "skin": ArrheniusSet(3.1e98, 6.28e5, 1.0, "henriques1947", verified=False),
}


@njit(cache=True, parallel=True)
def _threaded_accumulate(omega, cem43, max_temperature, start, end, dt, frequency_factor, activation):
    n = len(start)
    for block in prange(blocks_of(n)):
        part = slice(block * BLOCK, min(n, (block + 1) * BLOCK))
        _accumulate(
            omega[part], cem43[part], max_temperature[part], start[part], end[part], dt, frequency_factor, activation
        )


@njit(cache=True)
def _accumulate(omega, cem43, max_temperature, start, end, dt, frequency_factor, activation):
    """Advance the Arrhenius integral, the dose [min] and the highest temperature over one interval, in place."""
    for i in range(len(start)):
        a, b = start[i], end[i]
        max_temperature[i] = max(max_temperature[i], a, b)
        # ln(rate) at the two ends; the logarithmic mean is (e^q - e^p) / (q - p).
        omega[i] += dt * frequency_factor * _logarithmic_mean(-activation / a, -activation / b)
        cem43[i] += dt / 60.0 * _dose_rate(a - 273.15, b - 273.15)


@njit(cache=True)
def _logarithmic_mean(p, q):
    """Mean of ``exp`` over the interval from p to q."""
    high = max(p, q)
    width = abs(q - p)
    if width < 1e-6:
        return np.exp(0.5 * (p + q))
    return np.exp(high) * -np.expm1(-width) / width


@njit(cache=True)
def _dose_rate(a, b):
    """Mean of ``R^(43 - T)`` while T runs linearly from a to b [degC]; R = 1/2 above 43 degC and 1/4 below."""
    low, high = min(a, b), max(a, b)
    if high - low < 1e-9:
        return 2.0 ** (high - 43.0) if high > 43.0 else 4.0 ** (high - 43.0)
    cold, warm = min(high, 43.0) - min(low, 43.0), max(high, 43.0) - max(low, 43.0)
    total = 0.0
    if cold > 0.0:
        log4 = 2.0 * np.log(2.0)
        total += cold * _logarithmic_mean(log4 * (min(low, 43.0) - 43.0), log4 * (min(high, 43.0) - 43.0))
    if warm > 0.0:
        log2 = np.log(2.0)
        total += warm * _logarithmic_mean(log2 * (max(low, 43.0) - 43.0), log2 * (max(high, 43.0) - 43.0))
    return total / (high - low)


@njit(cache=True)
def _three_state(alive, dead, start, end, dt):
    """Advance A' = -kf A (1 - A) + kb V, D' = kf (1 - A) V, V = 1 - A - D by Runge-Kutta steps of order four, in place.

    kf = 3.33e-3 exp(T / 40.5 degC) 1/s and kb = 7.77e-3 1/s (O'Neill et al. 2011).
    """
    back = 7.77e-3
    for i in range(len(start)):
        fastest = 3.33e-3 * np.exp((max(start[i], end[i]) - 273.15) / 40.5) + back
        steps = 1 + int(dt * fastest / 0.1)
        h = dt / steps
        a, d = alive[i], dead[i]
        for step in range(steps):
            ka, kd = 0.0, 0.0
            sum_a, sum_d = 0.0, 0.0
            for stage in range(4):
                shift = 0.0 if stage == 0 else (h if stage == 3 else 0.5 * h)
                time = (step * h + shift) / dt
                rate = 3.33e-3 * np.exp((start[i] + time * (end[i] - start[i]) - 273.15) / 40.5)
                aa, dd = a + shift * ka, d + shift * kd
                v = 1.0 - aa - dd
                ka = -rate * aa * (1.0 - aa) + back * v
                kd = rate * (1.0 - aa) * v
                weight = 1.0 if stage == 0 or stage == 3 else 2.0
                sum_a += weight * ka
                sum_d += weight * kd
            a += h / 6.0 * sum_a
            d += h / 6.0 * sum_d
        alive[i], dead[i] = a, d


@dataclass
class Damage:
    """Damage measures at the nodes, each ``(n,)``.

    Attributes
    ----------
    omega : Arrhenius integral of the chosen set [1].
    cem43 : thermal dose in equivalent minutes at 43 degC [min].
    max_temperature : highest temperature so far [K].
    alive, dead : fractions of the three-state model [1].
    contraction : relative shortening that free tissue would have [1]: see `ablationsim.physics.contraction`.
    """

    omega: Array
    cem43: Array
    max_temperature: Array
    alive: Array
    dead: Array
    contraction: Array

    @classmethod
    def none(cls, temperature: Array) -> Damage:
        """No damage at the given nodal temperature ``(n,)`` [K]; alive fraction 0.99 as O'Neill et al. start."""
        zero = np.zeros_like(temperature)
        alive = np.full_like(temperature, 0.99)
        return cls(zero.copy(), zero.copy(), temperature.copy(), alive, zero.copy(), zero.copy())

    def copy(self) -> Damage:
        """An independent copy."""
        return Damage(**{name: value.copy() for name, value in vars(self).items()})


class DamageModel:
    """The law by which damage grows, and the criterion that says which tissue is ablated.

    Parameters
    ----------
    criterion : {"arrhenius", "cem43", "isotherm", "three_state"}
        What decides about the zone and about perfusion.
    arrhenius_set : str
        Key of :data:`ARRHENIUS_SETS`.
    isotherm : float
        Temperature of the isotherm criterion [K].
    contraction_time : float
        Time constant of contraction [s].
    """

    def __init__(
        self,
        criterion: Criterion,
        arrhenius_set: str = "whitening",
        isotherm: float = 333.15,
        contraction_time: float = TIME_CONSTANT,
    ) -> None:
        self.criterion = criterion
        self.arrhenius = ARRHENIUS_SETS[arrhenius_set]
        self.isotherm = isotherm
        self.contraction_time = contraction_time

    def advance(self, damage: Damage, start: Array, end: Array, dt: float) -> None:
        """Let the damage grow over ``dt`` seconds in which the temperature runs from ``start`` to ``end`` [K]."""
        accumulate = _accumulate if len(start) < THREADED_FROM else _threaded_accumulate
        accumulate(
            damage.omega,
            damage.cem43,
            damage.max_temperature,
            start,
            end,
            dt,
            self.arrhenius.frequency_factor,
            self.arrhenius.activation_energy / GAS_CONSTANT,
        )
        if self.criterion == "three_state":
            _three_state(damage.alive, damage.dead, start, end, dt)
        contract(damage.contraction, start, end, -math.expm1(-dt / self.contraction_time))

    def level(self, damage: Damage) -> Array:
        """Nodal function ``(n,)`` that is positive inside the ablation zone and as linear as can be across its edge."""
        # The integral and the dose vary over decades across the edge; their logarithms are nearly linear there.
        tiny = 1e-300
        if self.criterion == "arrhenius":
            return np.log(np.maximum(damage.omega, tiny) / self.arrhenius.threshold)
        if self.criterion == "cem43":
            return np.log(np.maximum(damage.cem43, tiny) / CEM43_THRESHOLD_MIN)
        if self.criterion == "isotherm":
            return damage.max_temperature - self.isotherm
        return damage.dead - THREE_STATE_THRESHOLD

    def perfusion_factor(self, damage: Damage) -> Array:
        """Share ``(n,)`` of the perfusion that is left: one in intact tissue, zero for good in ablated tissue."""
        if self.criterion == "arrhenius":
            return np.clip(1.0 - damage.omega / self.arrhenius.threshold, 0.0, 1.0)
        if self.criterion == "cem43":
            return np.clip(1.0 - damage.cem43 / CEM43_THRESHOLD_MIN, 0.0, 1.0)
        if self.criterion == "isotherm":
            # Smoothed over about 1 K as in Nahmed et al. 2026, but with the highest temperature, so that it stays off.
            return 0.5 * (1.0 - np.tanh(damage.max_temperature - self.isotherm))
        viability = 1.0 - damage.dead
        return np.clip((viability - VIABILITY_WITHOUT_PERFUSION) / (1.0 - VIABILITY_WITHOUT_PERFUSION), 0.0, 1.0)
