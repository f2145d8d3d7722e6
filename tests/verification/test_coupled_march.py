"""Electric field, heat and damage together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from verification.cases_coupled import ablation, energy_gap, kohlrausch, kohlrausch_temperature, order_in_time
from verification.cases_march import BODY
from verification.cases_vapour import (
    BOILING,
    CARRIED,
    FREEZING,
    boiling_front,
    carried_front,
    condensation_and_mesh,
    front_and_reach,
)

from ablationsim.march import March

KINDS = [pytest.param(True, id="axisymmetric"), pytest.param(False, id="3-D")]


@pytest.mark.parametrize("axisymmetric", KINDS)
@pytest.mark.parametrize("coupled", [pytest.param(False, id="heat"), pytest.param(True, id="Joule heat")])
def test_march_converges_with_order_two_in_time(axisymmetric: bool, coupled: bool) -> None:
    convergence = order_in_time(axisymmetric, coupled)
    assert min(convergence.orders) > 1.9
    assert convergence.errors[-1] < 1e-3  # K, of 40


@pytest.mark.parametrize("axisymmetric", KINDS)
def test_kohlrausch_relation(axisymmetric: bool) -> None:
    profile = kohlrausch(axisymmetric)
    hottest = kohlrausch_temperature(35.0**2 / 8.0) - BODY
    assert profile.computed.max() == pytest.approx(hottest, rel=0.002)
    # At every node: the temperature is a function of the potential alone.
    assert profile.relative_error < (0.005 if axisymmetric else 0.015)


def test_line_sink_of_the_textbooks() -> None:
    assert FREEZING.front_factor == pytest.approx(0.828804, abs=1e-6)
    assert 1e3 * FREEZING.front(np.array([1.0, 10.0])) == pytest.approx([1.8606, 5.8838], abs=1e-4)


def test_similarity_solution_meets_its_conditions() -> None:
    t, step = 150.0, 1e-8
    s = float(BOILING.front(np.array(t)))
    inner, outer = BOILING.temperature(np.array([s - step, s + step]), t)
    assert inner == pytest.approx(BOILING.change, abs=1e-2)
    assert outer == pytest.approx(BOILING.change, abs=1e-2)
    inner_slope = float(np.diff(BOILING.temperature(np.array([s - 2 * step, s - step]), t))[0]) / step
    outer_slope = float(np.diff(BOILING.temperature(np.array([s + step, s + 2 * step]), t))[0]) / step
    arriving = -BOILING.k1 * inner_slope + BOILING.k2 * outer_slope
    assert arriving == pytest.approx(BOILING.latent * s / (2.0 * t), rel=1e-3)


def test_boiling_front_of_a_line_source() -> None:
    front, temperature = boiling_front()
    assert np.abs(front.computed / front.exact - 1.0).max() < 0.005
    assert temperature.relative_error < 0.005


def test_similarity_solution_of_carried_heat_meets_its_conditions() -> None:
    t, step = 150.0, 1e-7
    s = float(CARRIED.radius(CARRIED.change, np.array(t)))
    before, after = CARRIED.temperature(np.array([s, s + step]), t)
    assert before == pytest.approx(CARRIED.change, abs=1e-9)
    # All power passes through the front by conduction: nothing is left there as latent heat.
    assert 2.0 * np.pi * s * CARRIED.k * (before - after) / step == pytest.approx(CARRIED.rate, rel=1e-3)


def test_front_of_vapour_that_carries_all_heat() -> None:
    convergence = front_and_reach()
    # To the front of a vanishing reach, faster than the reach itself.
    assert min(convergence.orders) > 1.2
    assert convergence.errors[-1] < 0.025
    shortest, gap = carried_front(0.2e-3)
    assert gap < 1e-5
    inside = shortest.exact == shortest.exact.max()
    # Within half a kelvin of boiling, below and above which the latent heat is rounded, wherever the front has passed.
    assert inside.sum() > 60
    assert abs(shortest.computed - shortest.exact)[inside][:-5].max() < 0.5
    assert shortest.relative_error < 0.08  # of 100 degC: next to the front, which is 2 % short


@pytest.mark.parametrize("axisymmetric", KINDS)
def test_vapour_condenses_round_a_ball(axisymmetric: bool) -> None:
    convergence = condensation_and_mesh(axisymmetric)
    assert min(convergence.orders) > 0.85
    assert convergence.errors[-1] < (0.025 if axisymmetric else 0.05)


@pytest.mark.parametrize("axisymmetric", KINDS)
def test_energy_balance_closes(axisymmetric: bool) -> None:
    march = ablation(axisymmetric, tolerance=0.1)
    march.run(lambda m: False, lambda t: math.inf)
    assert energy_gap(march) < 1e-6
    # Every way out was in use, and water boiled.
    assert min(march.state.energy.coolant, march.state.energy.perfusion, march.state.energy.outside) > 0.0
    assert march.state.damage.max_temperature.max() > 373.15


@pytest.mark.parametrize("axisymmetric", KINDS)
def test_perfusion_stays_off_where_tissue_was_destroyed(axisymmetric: bool) -> None:
    march = ablation(axisymmetric, on=120.0)
    at_power_off: list[float] = []

    def observe(march: March) -> bool:
        if march.power_off is None:
            at_power_off[:] = march.state.operator.perfusion
        return False

    march.run(observe, lambda t: math.inf)
    state, bioheat = march.state, march.problem.bioheat
    destroyed = state.damage.omega >= 1.0
    full = bioheat.operator(state.temperature).perfusion
    assert destroyed.sum() > 30
    assert state.temperature[destroyed].max() < 325.0  # cold enough to be alive, were it not for the damage
    assert not state.operator.perfusion[destroyed].any()
    untouched = state.damage.omega < 1e-6
    assert state.operator.perfusion[untouched] == pytest.approx(full[untouched], rel=1e-5)
    assert (state.operator.perfusion <= np.array(at_power_off) + 1e-15).all()
