"""Units at the border: text to SI and back."""

import math
import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from ablationsim import units
from ablationsim.errors import best_match, problems_of
from ablationsim.units import DIMENSIONS, SI, Fraction, Power, Temperature, exact, parse, show


@pytest.mark.parametrize(
    ("text", "dimension", "expected"),
    [
        ("60 W", "power", 60.0),
        ("0.06kW", "power", 60.0),
        ("12 min", "duration", 720.0),
        ("17 G", "length", 1.473e-3),
        ("14 gauge", "length", 2.108e-3),
        ("37 degC", "temperature", 310.15),
        ("37 °C", "temperature", 310.15),
        ("310.15 K", "temperature", 310.15),
        ("98.6 degF", "temperature", 310.15),
        ("-5 K", "temperature_difference", -5.0),
        ("20 ohm", "resistance", 20.0),
        ("12 %", "fraction", 0.12),
        (0.12, "fraction", 0.12),
        ("10 mL/min", "flow_rate", 1e-5 / 60.0),
        ("0.018 1/s", "perfusion_rate", 0.018),
        ("1.2 mL/min/mL", "perfusion_rate", 0.02),
        ("3366 W/m2/K", "wall_coefficient", 3366.0),
        ("3366 W/m^2/K", "wall_coefficient", 3366.0),
        ("3366 W/m²/K", "wall_coefficient", 3366.0),
        ("0.2 S/m", "electric_conductivity", 0.2),
        ("1.5 %/K", "relative_slope", 0.015),
        ("0.6 MJ/m3/K", "volumetric_heat_capacity", 6e5),
        ("180 deg", "angle", math.pi),
        ("480 kHz", "frequency", 4.8e5),
        ("2.45 GHz", "frequency", 2.45e9),
        ("0.5 dB/m", "attenuation", 0.5),
        ("0.02 dB / cm", "attenuation", 2.0),
    ],
)
def test_parse(text, dimension, expected):
    assert parse(text, dimension) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dimension", DIMENSIONS)
@settings(deadline=None)  # the first call loads pint
@given(number=st.floats(-1e6, 1e6))
def test_everyday_units_are_those_of_pint(dimension, number):
    wanted = DIMENSIONS[dimension]
    for text, (unit, factor) in units._EVERYDAY.items():
        if unit == wanted.unit:
            exact = units._registry().Quantity(number, units._unit(text)).to(units._unit(unit)).magnitude
            assert number * factor == pytest.approx(exact, rel=1e-15, abs=0.0)


def test_reading_everyday_units_does_not_load_pint():
    code = "import sys; from ablationsim.units import parse; parse('3 cm', 'length'); assert 'pint' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("text", "dimension", "message"),
    [
        ("60 s", "power", "expects a power such as '60 W', got '60 s' (time)"),
        (60, "power", "expects a power such as '60 W', got 60 without a unit"),
        ("60", "power", "expects a power such as '60 W', got '60' without a unit"),
        (True, "power", "expects a power such as '60 W', got True"),
        ("37 C", "temperature", "write degC"),
        ("10 degC", "temperature_difference", "write a difference in K"),
        ("-300 degC", "temperature", "below absolute zero"),
        ("nan W", "power", "not a finite number"),
        ("-inf W", "power", "not a finite number"),
        ("1e999 W", "power", "not a finite number"),
        (math.nan, "fraction", "not a finite number"),
        ("60 Wat", "power", "the unit 'Wat' is unknown"),
        ("60 W + 3 W", "power", "is unknown"),
        ("5 __import__('os')", "power", "is unknown"),
        ("99 G", "length", "not a needle gauge"),
        ("12 %", "angle", "expects an angle"),
        ("30 deg", "fraction", "expects a fraction"),
        ("0.2 S/m", "thermal_conductivity", "(electric conductivity)"),
        ("3 dB", "attenuation", "expects an attenuation such as '0.5 dB/m', got '3 dB'"),
        ("3 dB", "fraction", "expects a fraction"),
        ("0.1 Np/m", "attenuation", "the unit 'Np/m' is unknown"),
        ("0.5 dB/m", "length", "(attenuation)"),
    ],
)
def test_refusals_say_what_is_expected(text, dimension, message):
    with pytest.raises(ValueError) as caught:
        parse(text, dimension)
    assert message in str(caught.value)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_examples_parse(dimension):
    assert math.isfinite(parse(DIMENSIONS[dimension].example, dimension))


@given(value=st.floats(1e-12, 1e12), dimension=st.sampled_from(sorted(DIMENSIONS)))
def test_show_and_parse_are_inverse(value, dimension):
    again = parse(show(value, dimension, digits=17), dimension)
    # A temperature near absolute zero loses digits in degrees Celsius.
    assert again == pytest.approx(value, rel=1e-12, abs=2e-9 if dimension == "temperature" else 0.0)


@given(value=st.floats(1e-300, 1e300), dimension=st.sampled_from(sorted(DIMENSIONS)))
def test_exact_text_gives_the_same_float(value, dimension):
    assert parse(exact(value, dimension), dimension) == value


@given(text=st.text(max_size=20), dimension=st.sampled_from(sorted(DIMENSIONS)))
def test_any_text_gives_a_finite_number_or_a_message(text, dimension):
    try:
        value = parse(text, dimension)
    except ValueError as error:
        assert str(error)
    else:
        assert math.isfinite(value)


@given(first=st.sampled_from(sorted(DIMENSIONS)), second=st.sampled_from(sorted(DIMENSIONS)))
def test_the_example_of_another_dimension_is_refused(first, second):
    same = [
        {"perfusion_rate", "rate", "frequency"},
        {"temperature", "temperature_difference"},
        {"fraction", "ratio"},
    ]
    assume(first != second and not any({first, second} <= group for group in same))
    with pytest.raises(ValueError):
        parse(DIMENSIONS[first].example, second)


class Step(BaseModel, extra="forbid"):
    power: Power
    target: Temperature | None = None
    fraction: Fraction = 0.5


def test_annotated_types_collect_every_problem():
    with pytest.raises(ValidationError) as caught:
        Step.model_validate({"powr": "60 W", "target": "60 W", "fraction": "1 m"})
    assert problems_of(caught.value, Step, "protocol[1]") == [
        "protocol[1].power is missing",
        "protocol[1].target expects a temperature such as '37 degC', got '60 W' (power)",
        "protocol[1].fraction expects a fraction such as '12 %', got '1 m' (length)",
        "unknown key 'powr' in protocol[1]; did you mean 'power'?",
    ]


def test_bare_numbers_only_under_the_si_context():
    assert Step.model_validate({"power": 60, "target": 300.0}, context=SI).target == 300.0
    with pytest.raises(ValidationError):
        Step.model_validate({"power": 60})
    with pytest.raises(ValidationError):
        Step.model_validate({"power": math.inf}, context=SI)


@pytest.mark.parametrize(("frequency", "text"), [(4.8e5, "0.48 MHz"), (2.45e9, "2450 MHz")])
def test_frequencies_are_shown_in_mhz(frequency, text):
    assert show(frequency, "frequency") == text


def test_schema_has_text_with_an_example():
    assert Step.model_json_schema()["properties"]["power"]["examples"] == ["60 W"]


def test_best_match_lists_all_when_none_is_near():
    assert best_match("xyz", ["power", "current"]) == "; known are current, power"
