"""Every damage model against its closed form."""

from __future__ import annotations

import numpy as np
import pytest
from verification.cases_damage import (
    ZERO,
    arrhenius_constant,
    arrhenius_ramp,
    cem43_constant,
    cem43_ramp,
    grown,
    three_state,
)

from ablationsim.physics.damage import ARRHENIUS_SETS, DamageModel


@pytest.mark.parametrize("name", ARRHENIUS_SETS)
@pytest.mark.parametrize(("celsius", "seconds"), [(37.0, 1000.0), (50.0, 300.0), (65.0, 20.0), (99.0, 1.0)])
def test_arrhenius_at_constant_temperature(name: str, celsius: float, seconds: float) -> None:
    assert arrhenius_constant(name, celsius, seconds).relative_error < 1e-11


@pytest.mark.parametrize(("celsius", "seconds"), [(50.0, 1050.0), (55.0, 217.0), (60.0, 47.0)])
def test_whitening_takes_the_tabulated_times(celsius: float, seconds: float) -> None:
    # Times to Omega = 1 worked out by hand to three digits.
    assert arrhenius_constant("whitening", celsius, seconds).computed == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("name", ARRHENIUS_SETS)
def test_arrhenius_over_a_ramp_is_second_order_and_near_in_one_kelvin_intervals(name: str) -> None:
    convergence = arrhenius_ramp(name)
    assert convergence.orders[-1] > 1.9
    assert convergence.errors[-1] < 3e-4  # intervals of 1 K


@pytest.mark.parametrize(
    ("celsius", "seconds"), [(37.0, 600.0), (42.999, 60.0), (43.0, 60.0), (48.6, 300.0), (60.0, 5.0)]
)
def test_cem43_at_constant_temperature(celsius: float, seconds: float) -> None:
    assert cem43_constant(celsius, seconds).relative_error < 1e-11


@pytest.mark.parametrize(("celsius", "seconds"), [(48.6, 300.0), (47.6, 600.0)])
def test_240_minutes_are_reached_where_the_table_says(celsius: float, seconds: float) -> None:
    assert cem43_constant(celsius, seconds).computed == pytest.approx(240.0, rel=0.03)  # degrees given to 0.1 K


@pytest.mark.parametrize(
    ("start", "end"), [(37.0, 50.0), (50.0, 37.0), (38.0, 42.0), (44.0, 55.0), (43.0, 60.0), (30.0, 43.0)]
)
@pytest.mark.parametrize("intervals", [1, 7])
def test_cem43_over_a_ramp_is_exact_also_across_43_degrees(start: float, end: float, intervals: int) -> None:
    assert cem43_ramp(start, end, 120.0, intervals).relative_error < 1e-11


@pytest.mark.parametrize(
    ("celsius", "seconds", "dead"),
    [(65.0, 300.0, 0.0142), (65.0, 600.0, 0.4181), (65.0, 900.0, 0.9200), (80.0, 300.0, 0.2517), (80.0, 600.0, 0.9716)],
)
def test_three_state_at_constant_temperature(celsius: float, seconds: float, dead: float) -> None:
    alive_check, dead_check = three_state(celsius, celsius, seconds, 10)
    assert dead_check.computed == pytest.approx(dead, abs=6e-5)  # the table has four digits
    assert dead_check.relative_error < 1e-5
    assert alive_check.relative_error < 1e-5
    if (celsius, seconds) == (65.0, 900.0):
        assert alive_check.computed == pytest.approx(0.0400, abs=6e-5)


@pytest.mark.parametrize("intervals", [1, 5, 60])
def test_three_state_over_a_ramp_whatever_the_step(intervals: int) -> None:
    for check in three_state(37.0, 90.0, 600.0, intervals):
        assert check.relative_error < 1e-4


def test_isotherm_is_the_highest_temperature_of_the_course() -> None:
    model = DamageModel("isotherm", isotherm=60.0 + ZERO)
    damage = grown(model, 37.0, 62.5, 10.0, 4)
    assert damage.max_temperature[0] == 62.5 + ZERO
    model.advance(damage, np.array([335.0]), np.array([300.0]), 50.0)
    assert damage.max_temperature[0] == 62.5 + ZERO
    assert model.level(damage) == pytest.approx([2.5])
