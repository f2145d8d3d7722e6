"""Dielectric laws: published values, limits of validity, floors and scaling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablationsim.errors import TissueError
from ablationsim.provenance import citations
from ablationsim.tissue import Dielectric
from ablationsim.tissue.dielectric import DEFAULT_LAWS, Sigmoid

CELSIUS = np.array([20.0, 37.0, 60.0, 80.0, 90.0, 100.0, 110.0, 120.0])
# Evaluated by hand from the published coefficients: permittivity to two decimals, conductivity [S/m] to three.
TABLE = {
    "ji_brace": (
        [48.98, 47.92, 41.93, 27.30, 18.26, 10.93, 6.20, 3.57],
        [2.150, 2.101, 1.856, 1.288, 0.913, 0.576, 0.331, 0.179],
    ),
    "lopresto": (
        [44.88, 43.92, 40.50, 33.57, 28.41, 22.56, 16.73, 11.65],
        [1.795, 1.780, 1.717, 1.546, 1.385, 1.164, 0.902, 0.640],
    ),
}
FREQUENCY = {"ji_brace": 2.45e9, "lopresto": 2.45e9, "static_2450": 2.45e9, "liver_915": 9.15e8, "static_915": 9.15e8}
TEMPERATURE = st.floats(233.15, 1773.15)


def kelvin(celsius):
    return np.asarray(celsius, dtype=float) + 273.15


def test_names():
    assert Dielectric.names() == sorted(FREQUENCY)


@pytest.mark.parametrize("name", TABLE)
def test_published_sigmoids(name):
    law = Dielectric.load(name, 2.45e9)
    permittivity, conductivity = TABLE[name]
    assert law.permittivity(kelvin(CELSIUS)).round(2).tolist() == permittivity
    assert law.conductivity(kelvin(CELSIUS)).round(3).tolist() == conductivity


@pytest.mark.parametrize(
    ("name", "permittivity", "conductivity"), [("static_2450", 43.03, 1.69), ("static_915", 46.8, 0.86)]
)
def test_static_laws(name, permittivity, conductivity):
    law = Dielectric.load(name, FREQUENCY[name])
    assert law.permittivity(kelvin(CELSIUS)).tolist() == [permittivity] * len(CELSIUS)
    assert law.conductivity(kelvin(CELSIUS)).tolist() == [conductivity] * len(CELSIUS)


def test_915_mhz_falls_as_at_2450_mhz():
    law, shape = Dielectric.load("liver_915", 9.15e8), Dielectric.load("lopresto", 2.45e9)
    temperature, body = kelvin(CELSIUS), kelvin(37.0)
    assert law.permittivity(body) == pytest.approx(46.8)
    assert law.conductivity(body) == pytest.approx(0.86)
    assert law.permittivity(temperature) / 46.8 == pytest.approx(
        shape.permittivity(temperature) / shape.permittivity(body)
    )
    assert law.conductivity(temperature) / 0.86 == pytest.approx(
        shape.conductivity(temperature) / shape.conductivity(body)
    )


def test_floors_hold_dried_tissue():
    hot = kelvin([200.0, 300.0, 1500.0])
    law = Dielectric.load("lopresto", 2.45e9)
    assert law.permittivity(hot).tolist() == [3.0, 3.0, 3.0]
    assert law.conductivity(hot).tolist() == [0.02, 0.02, 0.02]
    bare = Dielectric.load("lopresto", 2.45e9, floors=False)
    assert np.all(bare.permittivity(hot) < 0.3)
    assert bare.permittivity(hot)[2] == pytest.approx(0.0, abs=1e-20)
    below = kelvin(CELSIUS)
    assert np.array_equal(bare.permittivity(below), law.permittivity(below))
    assert np.array_equal(bare.conductivity(below), law.conductivity(below))
    assert {key for key in law.sources if key not in bare.sources} == {
        "permittivity_floor",
        "microwave_conductivity_floor",
    }


@pytest.mark.parametrize("name", FREQUENCY)
@pytest.mark.parametrize("floors", [True, False])
@given(first=TEMPERATURE, second=TEMPERATURE)
def test_hotter_tissue_has_no_higher_properties(name, floors, first, second):
    law = Dielectric.load(name, FREQUENCY[name], floors)
    temperature = np.sort([first, second])
    for values in (law.permittivity(temperature), law.conductivity(temperature)):
        assert np.all(np.diff(values) <= 0.0)
        assert np.all(np.isfinite(values))
        assert np.all(values > 0.0)


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (0,)])
def test_shape_is_kept(shape):
    law = Dielectric.load("default", 2.45e9)
    assert law.permittivity(np.full(shape, 310.15)).shape == shape
    assert law.conductivity(np.full(shape, 310.15)).shape == shape


@pytest.mark.parametrize(("frequency", "name"), [(2.45e9, "lopresto"), (2.4e9, "lopresto"), (9.15e8, "liver_915")])
def test_default_follows_the_frequency(frequency, name):
    assert Dielectric.load("default", frequency) == Dielectric.load(name, frequency)
    assert name in DEFAULT_LAWS


@pytest.mark.parametrize(("share", "holds"), [(0.951, True), (1.049, True), (0.949, False), (1.051, False)])
def test_a_law_holds_within_five_per_cent_of_its_frequency(share, holds):
    if holds:
        assert Dielectric.load("lopresto", share * 2.45e9).frequency == 2.45e9
    else:
        with pytest.raises(TissueError, match="'lopresto' is for 2450 MHz and does not hold at"):
            Dielectric.load("lopresto", share * 2.45e9)


@pytest.mark.parametrize(
    ("name", "frequency", "message"),
    [
        ("loprest", 2.45e9, "no dielectric law 'loprest'; did you mean 'lopresto'?"),
        (
            "lopresto",
            9.15e8,
            "the dielectric law 'lopresto' is for 2450 MHz and does not hold at 915 MHz; laws that do: "
            "liver_915, static_915",
        ),
        (
            "default",
            5.8e9,
            "no dielectric law holds at 5800 MHz; laws there are: ji_brace (2450 MHz), liver_915 (915 MHz), "
            "lopresto (2450 MHz), static_2450 (2450 MHz), static_915 (915 MHz)",
        ),
    ],
)
def test_refusals(name, frequency, message):
    with pytest.raises(TissueError) as caught:
        Dielectric.load(name, frequency)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", FREQUENCY)
def test_every_number_has_a_source(name):
    law = Dielectric.load(name, FREQUENCY[name])
    for key, sourced in law.sources.items():
        assert sourced.source in citations() or " " in sourced.source, key
    for key in ("permittivity", "microwave_conductivity"):
        at_body = law.sources[key]
        assert at_body.value == law.curves[key].at_body
        assert at_body.range == pytest.approx((0.8 * at_body.value, 1.2 * at_body.value))
    assert law.title
    assert law.notes


def test_recalled_numbers_are_not_called_verified():
    for name in ("liver_915", "static_915"):
        law = Dielectric.load(name, 9.15e8)
        assert not law.sources["permittivity"].verified
        assert not law.sources["microwave_conductivity"].verified


def test_scaling_keeps_shape_and_floors():
    plain = Dielectric.load("ji_brace", 2.45e9)
    scaled = plain.through({"permittivity": 40.0})
    temperature = kelvin(CELSIUS[:-1])
    ratio = 40.0 / plain.sources["permittivity"].value
    assert scaled.permittivity(temperature) == pytest.approx(ratio * plain.permittivity(temperature))
    assert scaled.permittivity(kelvin([300.0])).tolist() == [3.0]
    assert np.array_equal(scaled.conductivity(temperature), plain.conductivity(temperature))
    assert scaled.sources["permittivity"].value == 40.0
    assert scaled.sources["permittivity"].note == "law: 47.92"
    assert plain.through({}) == plain


def test_values_far_from_the_law_are_refused():
    law = Dielectric.load("lopresto", 2.45e9)
    problems = law.problems({"permittivity": 70.0, "microwave_conductivity": 1.69})
    assert len(problems) == 1
    assert problems[0].startswith("permittivity: 70 is outside the range 35.1379 to 52.7069 (assumed: within 20 %")
    with pytest.raises(TissueError, match="permittivity: 70 is outside the range"):
        law.through({"permittivity": 70.0})


def test_half_of_the_fall():
    curve = Sigmoid(drop=4.0, exponent=6.0, slope=0.075, dried=1.0)
    assert curve(kelvin([80.0]))[0] == pytest.approx(3.0)
    assert curve.through(10.0).at_body == pytest.approx(10.0)
