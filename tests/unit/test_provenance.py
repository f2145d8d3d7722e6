"""Numbers with their origin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablationsim.errors import AblationSimError
from ablationsim.provenance import Sourced, citation, citations
from ablationsim.units import NEEDLE_GAUGE_MM

DIAMETER = {
    "value": "1.47 mm",
    "status": "published",
    "verified": False,
    "source": "needle_gauge",
    "range": ["1.4 mm", "1.5 mm"],
    "note": "17 G",
}


def test_read():
    diameter = Sourced.read(DIAMETER, "length")
    assert diameter.value == pytest.approx(1.47e-3)
    assert diameter.text == "1.47 mm"
    assert diameter.range == pytest.approx((1.4e-3, 1.5e-3))
    assert diameter.citation is citation("needle_gauge")
    assert "wikipedia" in diameter.origin


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "1.47 W"}, "expects a length"),
        ({"status": "guessed"}, "status 'guessed' is not a choice"),
        ({"source": "needle_gaug"}, "did you mean 'needle_gauge'?"),
        ({"source": "as everybody knows"}, "a published number names its citation key"),
        ({"source": ""}, "a source is a citation key or a sentence"),
        ({"verified": "yes"}, "verified must be true or false"),
        ({"value": "2 mm"}, "2 mm is outside the range 1.4 mm to 1.5 mm (Needle gauge"),
        ({"range": ["1.5 mm", "1.4 mm"]}, "low end '1.5 mm' above"),
        ({"range": "1.5 mm"}, "range expects two quantities"),
        ({"sourse": "x"}, "unknown key 'sourse'; did you mean 'source'?"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ValueError) as caught:
        Sourced.read({**DIAMETER, **change}, "length")
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["value", "status", "source"])
def test_missing_keys(key):
    with pytest.raises(ValueError, match=f"{key} is missing"):
        Sourced.read({k: v for k, v in DIAMETER.items() if k != key}, "length")


def test_bare_quantity_is_refused():
    with pytest.raises(ValueError, match="expects a number with its origin"):
        Sourced.read("1.47 mm", "length")


@given(value=st.floats(1e-6, 1e6), spread=st.floats(0.0, 1.0))
def test_round_trip_and_range(value, spread):
    low, high = value * (1.0 - spread), value * (1.0 + spread)
    data = {
        "value": f"{value!r} W",
        "status": "assumed",
        "source": "for the test",
        "range": [f"{low!r} W", f"{high!r} W"],
    }
    sourced = Sourced.read(data, "power")
    assert Sourced.read(sourced.to_dict(), "power") == sourced
    assert sourced.outside(low) is None
    assert sourced.outside(high) is None
    assert sourced.outside(high * 1.001) is not None


def test_every_citation_has_text_and_address():
    for entry in citations().values():
        assert entry.text
        assert entry.doi or entry.url, entry.key
        assert entry.address.startswith("https://")


def test_unknown_citation():
    with pytest.raises(AblationSimError, match="did you mean 'hall2015'"):
        citation("hall2014")


def test_gauges_get_thinner():
    diameters = list(NEEDLE_GAUGE_MM.values())
    assert diameters == sorted(diameters, reverse=True)
