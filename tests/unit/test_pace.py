"""Step lengths and the location of crossings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablationsim.pace import FIRST_STEP, Pace, crossing, rounded, time_until


def smooth(scale: float) -> Callable[[float], float]:
    """Error of a third-order estimate on a smooth solution."""
    return lambda step: (step / scale) ** 3


def run(pace: Pace, error_of: Callable[[float], float], steps: int) -> tuple[list[float], int]:
    """Accepted steps, and how many were refused."""
    accepted: list[float] = []
    refused = 0
    while len(accepted) < steps:
        step, error = pace.step, error_of(pace.step)
        if error > 1.0:
            pace.refuse(pace.shorter(step, error))
            refused += 1
        else:
            pace.accept(step, error)
            accepted.append(step)
    return accepted, refused


def test_steps_of_a_smooth_solution_grow_to_a_little_less_than_the_tolerance_allows() -> None:
    accepted, refused = run(Pace(), smooth(2.0), 20)
    assert accepted[0] == FIRST_STEP
    assert all(later <= 3.0 * earlier * (1.0 + 1e-12) for earlier, later in pairwise(accepted))
    assert accepted[-1] == pytest.approx(0.9 * 2.0, rel=1e-6)
    assert refused == 0


def test_a_solution_that_quickens_costs_few_refused_steps() -> None:
    time = 0.0

    def error_of(step: float) -> float:
        # The step that the tolerance allows falls by a third a second, and the error is only of first order in it.
        return step / (3.0 * math.exp(-time / 2.5))

    pace, accepted, refused = Pace(step=1.0), 0, 0
    while time < 8.0:
        step, error = pace.step, error_of(pace.step)
        if error > 1.0:
            pace.refuse(pace.shorter(step, error))
            refused += 1
        else:
            pace.accept(step, error)
            time += step
            accepted += 1
    assert refused <= 0.25 * accepted


def test_errors_that_fall_while_steps_grow_let_them_grow_faster() -> None:
    falling, level = Pace(), Pace()
    for pace, second in ((falling, 0.1), (level, 0.2)):
        pace.accept(1.0, 0.2)
        pace.step = 1.5
        pace.accept(1.5, second)
    assert falling.step / 1.5 > level.step / 1.5 * (0.2 / 0.1) ** (1.0 / 3.0)


def test_the_first_step_after_a_change_is_that_of_the_last_change_of_the_same_kind() -> None:
    pace = Pace()
    pace.begin("on")
    assert pace.step == FIRST_STEP
    pace.accept(pace.step, 0.1)
    assert pace.step > FIRST_STEP
    pace.begin("off")
    assert pace.step == FIRST_STEP
    pace.accept(pace.step, 1e-3)
    pace.begin("on")
    assert pace.step == pytest.approx(2.0 * FIRST_STEP)
    pace.begin("off")
    assert pace.step == pytest.approx(3.0 * FIRST_STEP)


def test_a_first_step_that_was_too_long_is_shorter_next_time() -> None:
    pace = Pace(first={"on": 1.0})
    pace.begin("on")
    pace.refuse(pace.shorter(pace.step, 3.0))
    pace.accept(pace.step, 0.8)
    pace.begin("on")
    assert pace.step < 0.3


def test_the_step_after_one_that_was_done_again_is_not_longer() -> None:
    pace = Pace(step=1.0)
    pace.refuse(pace.shorter(1.0, 1.5))
    pace.accept(0.6, 1e-3)
    assert pace.step == pytest.approx(0.6)
    pace.accept(0.6, 1e-3)
    assert pace.step > 1.0


def test_a_step_that_an_output_cuts_short_shortens_nothing_that_follows() -> None:
    pace = Pace(first={"on": 1.0})
    pace.begin("on")
    pace.accept(0.01, 1e-4)
    assert pace.step == 1.0
    pace.accept(0.02, 1e-4)
    assert pace.step == 1.0
    pace.begin("on")
    assert pace.step == 1.0


def test_a_pace_survives_json() -> None:
    pace = Pace()
    pace.begin("on")
    pace.accept(0.05, 0.3)
    assert Pace(**json.loads(json.dumps(asdict(pace)))) == pace


def test_time_until_a_level() -> None:
    assert time_until(10.0, [(0.0, 0.0)]) == math.inf
    assert time_until(10.0, [(0.0, 1.0), (1.0, 1.0)]) == math.inf
    assert time_until(10.0, [(0.0, 2.0), (1.0, 1.0)]) == math.inf
    assert time_until(10.0, [(0.0, 0.0), (2.0, 4.0)]) == pytest.approx(3.0)
    # Along a parabola, and not later than the line where the rise slows down.
    assert time_until(16.0, [(1.0, 1.0), (1.5, 2.25), (3.0, 9.0)]) == pytest.approx(1.0)
    assert time_until(10.0, [(0.0, 0.0), (1.0, 4.0), (2.0, 6.0)]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda x: x, id="line"),
        pytest.param(lambda x: x**6, id="late"),
        pytest.param(lambda x: 1.0 - (1.0 - x) ** 6, id="early"),
        pytest.param(lambda x: 0.5 + math.atan(40.0 * (x - 0.7)) / 3.1, id="step"),
        pytest.param(lambda x: x + 0.2 * math.sin(25.0 * x), id="waves"),
    ],
)
def test_a_crossing_is_found_in_few_evaluations(shape: Callable[[float], float]) -> None:
    seen = []

    def past(x: float) -> float:
        seen.append(x)
        return 30.0 * (shape(x) - shape(0.0)) - 18.0

    place = crossing(past, past(0.0), past(1.0), 0.05, 1e-6)
    assert place is not None
    assert 0.0 <= past(place) <= 0.05
    assert len(seen) <= 14


@given(jump=st.floats(0.01, 0.99))
def test_a_jump_is_enclosed(jump: float) -> None:
    place = crossing(lambda x: 5.0 if x > jump else -5.0, -5.0, 5.0, 0.05, 1e-6)
    assert place is not None
    assert jump < place < jump + 1e-5


def test_no_place_inside_is_past() -> None:
    assert crossing(lambda x: -1.0, -1.0, 5.0, 0.05, 1e-3) is None


@given(st.floats(1e-7, 1e3))
def test_rounded_steps_are_a_little_shorter_and_do_not_show_the_last_digits(step: float) -> None:
    short = rounded(step)
    assert step * (1.0 - 2.0**-9) <= short <= step
    assert rounded(short) == short
    # What lies between two neighbouring values is rounded to the lower one, whatever its last digits.
    middle = short * (1.0 + 2.0**-12)
    assert rounded(middle * (1.0 + 1e-12)) == rounded(middle * (1.0 - 1e-12)) == short


def test_steps_without_a_limit_stay_so() -> None:
    assert rounded(math.inf) == math.inf
