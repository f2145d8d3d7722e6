"""Every shipped device runs and closes its energy balance; several applicators keep to their places and protocols."""

import dataclasses
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

import ablationsim
from ablationsim.device import Device

BALANCE = 0.005  # share of the energy put in that may be unaccounted for


def coarse(**tables):
    return ablationsim.Case.from_dict(
        {
            "tissue": {"set": "liver_porcine_ex_vivo"},
            "zone": {"cooling": "0 s", "criterion": "isotherm", "isotherm_temperature": "45 degC"},
            "mesh": {"resolution": 4.0},
            **tables,
        }
    )


def shortened(case, seconds):
    """The case with only the first step of each protocol, for a short while."""
    placed = tuple(
        dataclasses.replace(part, protocol=(part.protocol[0].model_copy(update={"duration": seconds}),))
        for part in case.applicators
    )
    return dataclasses.replace(case, applicators=placed)


@pytest.mark.parametrize("name", Device.names())
def test_the_beginning_of_the_default_protocol(name):
    device = Device.load(name)
    # A temperature control waits for its first sample, for one second.
    result = ablationsim.simulate(shortened(coarse(device={"profile": name}), 1.5))
    balance, generator = result.document["energy_balance"], device.generator
    assert balance["in_j"] > 1.0
    assert balance["relative_error"] <= BALANCE
    assert balance["stored_j"] > 0.3 * balance["in_j"]
    assert result.history["max_temperature_c"][-1] > 21.5
    flowing = result.history["power_w"] > 0
    assert (result.history["power_w"] <= generator.max_power * (1 + 1e-9)).all()
    if device.modality == "mwa":
        going = sum(result.history[f"{where}_w"][flowing] for where in ("absorbed", "reflected", "radiated"))
        assert (result.history["absorbed_w"][flowing] > 0.5 * going).all()
        assert (going <= result.history["power_w"][flowing] * (1 + 1e-6)).all()
        assert np.isnan(result.history["impedance_ohm"]).all()
        return
    assert (result.history["current_a"] <= (generator.max_current or math.inf) * (1 + 1e-9)).all()
    assert (result.history["voltage_v"] <= (generator.max_voltage or math.inf) * (1 + 1e-9)).all()
    assert (result.history["impedance_ohm"][flowing] > 20.0).all()
    assert (result.history["impedance_ohm"][flowing] < 500.0).all()


def test_a_profile_by_its_path(small, tmp_path):
    (tmp_path / "mine").mkdir()
    shipped = ablationsim.Case.from_dict(tomllib.loads(small))
    source = Path(__file__).parents[2] / "devices" / "rfa_cooltip_17g_2cm_like.toml"
    (tmp_path / "mine" / "needle.toml").write_text(source.read_text())
    (tmp_path / "case.toml").write_text(small.replace("rfa_cooltip_17g_2cm_like", "mine/needle.toml"))
    case = ablationsim.Case.load(tmp_path / "case.toml")
    assert case.applicators[0].device.name == "needle"
    assert case.applicators[0].device.applicator == shipped.applicators[0].device.applicator
    own, theirs = ablationsim.simulate(case), ablationsim.simulate(shipped)
    np.testing.assert_array_equal(own.history.table, theirs.history.table)


@pytest.fixture(scope="module")
def switching():
    """Two needles 20 mm apart that take turns: left for 2 s, right for 2 s, left for 2 s."""
    on = {"mode": "power", "power": "40 W", "duration": "2 s"}
    off = {"mode": "off", "duration": "2 s"}

    def needle(name, x, protocol, **more):
        tip = [f"{x} mm", "0 mm", "0 mm"]
        return {"name": name, "profile": "rfa_cooltip_17g_2cm_like", "tip": tip, "protocol": protocol, **more}

    case = coarse(
        applicator=[
            needle("left", -10, [on, off, on]),
            needle("right", 10, [{**on, "power": "20 W"}], start="2 s"),
        ],
        probe=[
            {"name": "by_left", "position": ["-13 mm", "0 mm", "10 mm"]},
            {"name": "by_right", "position": ["13 mm", "0 mm", "10 mm"]},
        ],
    )
    return ablationsim.simulate(case)


def test_needles_take_turns(switching):
    history = switching.history
    # A row belongs to the step that ends at its time.
    time = history["time_s"]
    left, right = history["power_w_left"], history["power_w_right"]
    for span, on_left, on_right in (((0, 2), 40.0, 0.0), ((2, 4), 0.0, 20.0), ((4, 6), 40.0, 0.0)):
        rows = (time > span[0] + 1e-6) & (time < span[1] - 1e-6)
        assert rows.sum() >= 1
        assert left[rows] == pytest.approx(on_left)
        assert right[rows] == pytest.approx(on_right)
    np.testing.assert_allclose(history["power_w"], left + right)
    np.testing.assert_array_equal(history["voltage_v"], history["voltage_v_left"])
    assert switching.document["energy_balance"]["in_j"] == pytest.approx(4 * 40.0 + 2 * 20.0, rel=1e-6)
    assert switching.document["energy_balance"]["relative_error"] <= BALANCE


def test_each_needle_heats_its_own_place(switching):
    history = switching.history
    at = {t: int(np.argmin(np.abs(history["time_s"] - t))) for t in (2.0, 4.0, 6.0)}
    left, right = history["probe_by_left_c"], history["probe_by_right_c"]
    assert left[at[2.0]] > 21.3
    assert right[at[2.0]] == pytest.approx(21.0, abs=0.1)
    assert right[at[4.0]] > 21.3
    assert left[at[6.0]] - left[at[4.0]] > right[at[6.0]] - right[at[4.0]]


def test_the_log_of_several_generators_says_whose_event_it_was(switching):
    assert (0.0, "left: step 1 of 3: constant power 40 W, for 2 s") in switching.events
    assert (2.0, "right: step 1 of 1: constant power 20 W, for 2 s") in switching.events
    assert [time for time, _ in switching.events] == sorted(time for time, _ in switching.events)


def test_two_equal_needles_at_once_are_mirror_images():
    needles = [
        {
            "name": name,
            "profile": "rfa_cooltip_17g_2cm_like",
            "tip": [f"{x} mm", "0 mm", "0 mm"],
            "protocol": [{"mode": "voltage", "voltage": "50 V", "duration": "1 s"}],
        }
        for name, x in (("left", -8), ("right", 8))
    ]
    result = ablationsim.simulate(coarse(applicator=needles))
    # The mesh is not a mirror image of itself.
    for column in ("power_w", "impedance_ohm", "tip_temperature_c"):
        left, right = result.history[f"{column}_left"][1:-1], result.history[f"{column}_right"][1:-1]
        np.testing.assert_allclose(left, right, rtol=0.03)
    single = ablationsim.simulate(coarse(applicator=needles[:1], domain={"dimension": "3d"}))
    assert result.history["current_a_left"][1] < single.history["current_a"][1], (
        "needles at one voltage shield each other"
    )


def test_a_bipolar_needle_needs_no_return_elsewhere():
    tables = {"device": {"profile": "rfa_bipolar_like"}, "domain": {"boundary": "insulated"}}
    result = ablationsim.simulate(shortened(coarse(**tables), 1.0))
    assert result.document["energy_balance"]["relative_error"] <= BALANCE
    assert result.document["energy_balance"]["lost_outside_j"] == pytest.approx(0.0, abs=1e-6)
