"""Protocol steps: strict input, defaults and the line that a person reads."""

import pytest
from pydantic import TypeAdapter, ValidationError

from ablationsim.device.protocol import DEFAULT_RISE, ImpedanceStep, Step, describe
from ablationsim.units import SI

STEP: TypeAdapter[Step] = TypeAdapter(Step)

STEPS: list[dict[str, str]] = [
    {"mode": "power", "power": "60 W", "duration": "5 min"},
    {"mode": "voltage", "voltage": "40 V", "duration": "30 s"},
    {"mode": "current", "current": "1200 mA", "duration": "15 min", "rise": "30 ohm"},
    {"mode": "off", "duration": "1 min"},
    {"mode": "temperature", "target": "105 degC", "duration": "10 min"},
    {"mode": "impedance", "power": "200 W", "duration": "12 min", "absolute": "120 ohm", "pause_power": "10 W"},
    {"mode": "ramp", "start_power": "50 W", "step_power": "10 W", "step_time": "1 min", "duration": "20 min"},
    {"mode": "pulsed", "power": "80 W", "on": "20 s", "off": "10 s", "duration": "5 min"},
    {"mode": "pullback", "distance": "2 cm", "power": "30 W", "duration": "1 min"},
]
RAMP = STEPS[6]


def step(**keys):
    return STEP.validate_python(keys)


def test_quantities_become_si_numbers():
    found = step(mode="impedance", power="0.2 kW", duration="12 min", rise="20 ohm")
    assert isinstance(found, ImpedanceStep)
    assert (found.power, found.duration, found.rise) == (200.0, 720.0, 20.0)
    assert (found.pause, found.pause_power, found.restart_power) == (15.0, 0.0, None)
    assert step(mode="temperature", target="105 degC", duration="1 s").target == pytest.approx(378.15)
    pulsed = step(mode="pulsed", power="80 W", on="500 ms", off="1 min", duration="5 min")
    assert (pulsed.power, pulsed.on, pulsed.off, pulsed.duration) == (80.0, 0.5, 60.0, 300.0)
    pullback = step(mode="pullback", distance="2 cm", duration="1 min")
    assert (pullback.distance, pullback.power) == (0.02, 0.0)


@pytest.mark.parametrize("data", STEPS, ids=lambda data: data["mode"])
def test_every_mode_survives_as_si_numbers(data):
    found = STEP.validate_python(data)
    assert STEP.validate_python(found.model_dump(), context=SI) == found


def test_thresholds_in_force():
    assert step(mode="impedance", power="1 W", duration="1 s").threshold == (DEFAULT_RISE, None)
    assert step(mode="impedance", power="1 W", duration="1 s", absolute="120 ohm").threshold == (None, 120.0)
    assert step(mode="power", power="1 W", duration="1 s").threshold == (None, None)
    assert step(mode="current", current="1 A", duration="1 s", rise="20 ohm").threshold == (20.0, None)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"mode": "power", "power": "60 W", "duration": "0 s"}, "greater than zero"),
        ({"mode": "power", "power": "-1 W", "duration": "1 s"}, "greater than zero"),
        ({"mode": "power", "power": "60 s", "duration": "1 s"}, "expects a power"),
        ({"mode": "power", "power": 60.0, "duration": "1 s"}, "without a unit"),
        ({"mode": "power", "power": "60 W", "duration": "1 s", "wattage": 1}, "Extra inputs"),
        ({"mode": "impedance", "power": "1 W", "duration": "1 s", "rise": "1 ohm", "absolute": "2 ohm"}, "not both"),
        ({"mode": "impedance", "power": "1 W", "duration": "1 s", "pause_power": "-1 W"}, "negative"),
        ({**RAMP, "restart_fraction": "120 %"}, "at most at 100 %"),
        ({**RAMP, "max_rolloffs": 0}, "greater than or equal to 1"),
        ({"mode": "pulsed", "power": "80 W", "on": "0 s", "off": "1 s", "duration": "1 s"}, "on\n.*greater than zero"),
        ({"mode": "pulsed", "power": "80 W", "on": "1 s", "off": "0 s", "duration": "1 s"}, "off\n.*greater than zero"),
        (
            {"mode": "pulsed", "power": "0 W", "on": "1 s", "off": "1 s", "duration": "1 s"},
            "power\n.*greater than zero",
        ),
        ({"mode": "pulsed", "power": "80 W", "on": "1 s", "duration": "1 s"}, "Field required"),
        ({"mode": "pulsed", "power": "80 W", "on": "1 s", "off": "1 s", "duration": "1 s", "rise": "3 ohm"}, "Extra"),
        ({"mode": "pullback", "distance": "0 mm", "duration": "1 s"}, "greater than zero"),
        ({"mode": "pullback", "distance": "1 mm", "power": "-1 W", "duration": "1 s"}, "negative"),
        ({"mode": "pullback", "duration": "1 s"}, "Field required"),
    ],
)
def test_refuses(keys, message):
    with pytest.raises(ValidationError, match=message):
        STEP.validate_python(keys)


def test_steps_cannot_be_changed():
    found = step(mode="power", power="60 W", duration="1 s")
    with pytest.raises(ValidationError):
        found.power = 1.0


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (STEPS[0], "constant power 60 W, for 300 s"),
        (STEPS[1], "constant voltage 40 V, for 30 s"),
        (STEPS[2], "constant current 1.2 A until +30 ohm, for 900 s"),
        (STEPS[3], "off, for 60 s"),
        (STEPS[4], "tip held at 105 °C, for 600 s"),
        ({**STEPS[4], "max_power": "150 W"}, "tip held at 105 °C with at most 150 W, for 600 s"),
        (STEPS[5], "impedance pulsing at 200 W, 10 W for 15 s at 120 ohm, for 720 s"),
        (
            STEPS[6],
            "ramp from 50 W by 10 W every 60 s to roll-off at +30 ohm (2 times), "
            "wait 30 s, restart at 70 %, for 1200 s",
        ),
        (STEPS[7], "pulses of 80 W, 20 s on and 10 s off, for 300 s"),
        (STEPS[8], "withdrawn by 20 mm at 30 W, for 60 s"),
        ({**STEPS[8], "power": "0 W"}, "withdrawn by 20 mm without power, for 60 s"),
    ],
)
def test_a_line_that_a_person_reads(data, line):
    assert describe(STEP.validate_python(data)) == line
