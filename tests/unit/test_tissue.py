"""Tissue sets, laws and tables."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablationsim.errors import TissueError
from ablationsim.provenance import citations
from ablationsim.tissue import Tissue
from ablationsim.tissue.laws import PiecewiseLinear, latent_capacity
from ablationsim.tissue.perfusion import embolised_factor, perfusion_states
from ablationsim.tissue.tissue import PROPERTIES

NAMES = Tissue.names()


@pytest.fixture(scope="module")
def tissue():
    return Tissue.load("liver_porcine_ex_vivo")


def at(tables, values, celsius):
    """Value of a table at a temperature that is a grid point."""
    index = (celsius + 273.15 - tables.temperature0) / tables.step
    assert index == pytest.approx(round(index), abs=1e-6)
    return values[round(index)]


def test_shipped_sets():
    expected = {
        "liver_porcine_ex_vivo",
        "liver_bovine_ex_vivo",
        "liver_porcine_in_vivo",
        "liver_human",
        "liver_cirrhotic",
    }
    others = {"liver_steatotic", "hcc", "metastasis", "liver_constant_properties"}
    assert expected | others == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source(name):
    tissue = Tissue.load(name)
    assert set(tissue.sources) == set(PROPERTIES)
    for key, sourced in tissue.sources.items():
        assert sourced.source in citations() or " " in sourced.source, key
        assert sourced.status in ("published", "calculated", "assumed", "calibrated"), key
    assert tissue.title
    assert Tissue.from_dict(name, tissue.to_dict()) == tissue


def test_perfusion_and_start_temperature_of_the_sets():
    assert Tissue.load("liver_porcine_ex_vivo").perfusion == 0.0
    assert Tissue.load("liver_porcine_ex_vivo").initial_temperature == pytest.approx(294.15)
    assert Tissue.load("liver_human").perfusion == 0.018
    assert Tissue.load("liver_human").initial_temperature == pytest.approx(310.15)
    assert Tissue.load("liver_cirrhotic").perfusion < Tissue.load("liver_human").perfusion
    assert Tissue.load("hcc").perfusion < Tissue.load("metastasis").perfusion


def test_perfusion_states_have_value_range_and_source():
    states = {state.name: state.perfusion for state in perfusion_states()}
    assert set(states) == set(NAMES)
    # 44.7, 6.5 and 19.3 mL/min/100 g at 1060 kg/m3.
    for name, per_mass in (("liver_cirrhotic", 44.7), ("hcc", 6.5), ("metastasis", 19.3)):
        assert states[name].value == pytest.approx(per_mass / 60.0 * 1e-6 / 0.1 * 1060.0, rel=0.06)
    for name, perfusion in states.items():
        if name != "liver_constant_properties":
            assert perfusion.range is not None
            assert perfusion.range[0] <= perfusion.value <= perfusion.range[1]
    values = [state.perfusion.value for state in perfusion_states()]
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0.0


def test_fatty_liver_lies_between_healthy_and_cirrhotic_liver():
    fatty = Tissue.load("liver_steatotic")
    assert Tissue.load("liver_cirrhotic").perfusion < fatty.perfusion < Tissue.load("liver_human").perfusion
    assert fatty.value("thermal_conductivity") < Tissue.load("liver_human").value("thermal_conductivity")
    assert {fatty.sources[key].status for key in ("perfusion", "thermal_conductivity")} == {"assumed"}
    assert fatty.initial_temperature == pytest.approx(310.15)


def test_embolisation_leaves_little_of_the_perfusion():
    left = embolised_factor()
    assert left.range == (0.0, 0.3)
    assert left.value == 0.15
    assert left.status == "assumed"
    assert "0.5 is outside the range 0 to 0.3" in left.outside(0.5)


def test_unknown_set_names_the_nearest():
    with pytest.raises(TissueError, match="did you mean 'liver_porcine_ex_vivo'"):
        Tissue.load("liver_porcin_ex_vivo")


def test_conductivities_at_known_temperatures(tissue):
    tables = tissue.tables()
    k, sigma = tables.thermal_conductivity, tables.electric_conductivity
    assert at(tables, k, 20) == at(tables, k, 37) == 0.52
    assert at(tables, k, 67) == pytest.approx(0.52 + 30 * 0.0033)
    assert at(tables, k, 100) == at(tables, k, 500) == pytest.approx(0.52 + 63 * 0.0033)
    body = tissue.value("electric_conductivity")
    assert at(tables, sigma, 21) == pytest.approx(body * (1 - 16 * 0.015))
    assert at(tables, sigma, 37) == pytest.approx(body)
    assert at(tables, sigma, 100) == pytest.approx(body * (1 + 63 * 0.015))
    assert at(tables, sigma, 102.5) == pytest.approx(0.5 * body * (1 + 63 * 0.015 + 0.01))
    assert at(tables, sigma, 105) == at(tables, sigma, 900) == pytest.approx(0.01 * body)
    assert sigma.min() > 0.0


def test_sensible_enthalpy_by_hand(tissue):
    tables = tissue.tables()
    wet = 1079 * 3540
    assert at(tables, tables.enthalpy, 37) == 0.0
    assert at(tables, tables.enthalpy, 21) == pytest.approx(-16 * wet)
    assert at(tables, tables.enthalpy, 65) == pytest.approx(28 * wet)
    assert at(tables, tables.enthalpy, 83.5) == pytest.approx(28 * wet + 18.5 * 1.085 * wet)
    assert at(tables, tables.enthalpy, 89.5) == pytest.approx(28 * wet + 18.5 * 1.085 * wet + 6 * 1.17 * wet)
    rise = at(tables, tables.enthalpy, 300) - at(tables, tables.enthalpy, 200)
    assert rise == pytest.approx(100 * 0.6e6)


def test_total_latent_heat_is_conserved(tissue):
    # From half a kelvin below the band, 98 to 100 degC, to half a kelvin above: ends that are rounded so far.
    tables = tissue.tables()
    wet = 1.17 * 1079 * 3540
    sensible = 2 * 0.5 * (wet + 0.6e6) + 0.5 * wet + 0.5 * 0.6e6
    rise = at(tables, tables.enthalpy, 100.5) - at(tables, tables.enthalpy, 97.5)
    assert rise - sensible == pytest.approx(1060 * 0.74 * 2.26e6, rel=1e-12)
    assert tissue.vaporisation_energy == pytest.approx(1.77e9, rel=2e-3)


def test_latent_heat_is_told_from_sensible_heat(tissue):
    tables = tissue.tables()
    energy = tissue.vaporisation_energy
    assert at(tables, tables.latent, 37) == at(tables, tables.latent, 97.5) == 0.0
    # The band is rounded alike at both ends: half of the heat by its middle.
    assert at(tables, tables.latent, 99) == pytest.approx(0.5 * energy)
    assert at(tables, tables.latent, 100.5) == at(tables, tables.latent, 900) == pytest.approx(energy)
    dry = tissue.value("dried_heat_capacity")
    wet = tissue.value("heat_capacity_rise") * 1079 * 3540
    sensible = at(tables, tables.enthalpy, 110) - at(tables, tables.enthalpy, 97) - energy
    assert sensible == pytest.approx(wet + 0.5 * (wet + dry) * 2 + dry * 10)


def test_capacity_is_continuous(tissue):
    capacity = tissue.capacity
    fine = np.linspace(350.0, 390.0, 400_001)
    # Steepest part: the ramp of the latent heat, 1.77e9 / 2 K over 1 K, and of what dries.
    assert np.abs(np.diff(capacity(fine))).max() < 8.9e8 * 1.0001 * (fine[1] - fine[0])
    assert capacity(np.array([372.15]))[0] == pytest.approx(0.5 * (1.17 * 1079 * 3540 + 0.6e6) + 8.86372e8)


def test_constant_properties():
    tissue = Tissue.load("liver_constant_properties")
    tables = tissue.tables()
    wet = 1079 * 3540
    assert tissue.vaporisation_energy == 0.0
    np.testing.assert_allclose(tissue.capacity(tables.temperature), wet, rtol=1e-12)
    np.testing.assert_allclose(tables.enthalpy, wet * (tables.temperature - 310.15), rtol=1e-9, atol=1.0)
    assert np.all(tables.thermal_conductivity == 0.52)
    assert np.all(tables.electric_conductivity == 0.2)
    assert (tissue.perfusion, tissue.perfusion_remaining) == (0.0036, 1.0)
    assert (tissue.blood_density, tissue.blood_heat_capacity) == (1000.0, 3639.0)
    assert tissue.initial_temperature == tissue.blood_temperature == pytest.approx(310.15)
    dielectric = tissue.dielectric_at(2.45e9)
    assert dielectric.permittivity(tables.temperature) == pytest.approx(43.03, abs=0)
    assert dielectric.conductivity(tables.temperature) == pytest.approx(1.69, abs=0)


def test_coagulation_stops_the_perfusion_of_every_other_set():
    assert {name for name in NAMES if Tissue.load(name).perfusion_remaining > 0.0} == {"liver_constant_properties"}


@settings(deadline=None, max_examples=60)
@given(data=st.data(), name=st.sampled_from(["liver_porcine_ex_vivo", "liver_constant_properties"]))
def test_any_parameters_in_range_give_usable_tables(data, name):
    tissue = Tissue.load(name)
    ranged = {key: sourced.range for key, sourced in tissue.sources.items() if sourced.range is not None}
    chosen = {key: data.draw(st.floats(low, high), label=key) for key, (low, high) in ranged.items()}
    changed = tissue.with_overrides(chosen)
    tables = changed.tables()
    assert np.all(np.diff(tables.enthalpy) > 0.0)
    assert tables.electric_conductivity.min() > 0.0
    assert tables.thermal_conductivity.min() > 0.0
    # The enthalpy is the exact integral: a fine trapezoid rule on the capacity agrees.
    fine = np.linspace(310.15, 400.15, 180_001)
    integral = np.trapezoid(changed.capacity(fine), fine)
    assert at(tables, tables.enthalpy, 127) == pytest.approx(integral, rel=1e-6)


@given(
    energy=st.floats(1e6, 1e10), lower=st.floats(350.0, 372.0), width=st.floats(1.0, 20.0), share=st.floats(0.01, 0.5)
)
def test_rounded_band_keeps_the_energy(energy, lower, width, share):
    rounding = share * width
    band = latent_capacity(energy, (lower, lower + width), rounding)
    total = band.integral(np.array([lower + width + rounding + 1.0]), start=lower - rounding - 1.0)
    assert total[0] == pytest.approx(energy, rel=1e-6)


def test_piecewise_linear_is_constant_outside_and_sums():
    law = PiecewiseLinear.through((1.0, 2.0), (3.0, 6.0))
    assert law(np.array([0.0, 1.0, 2.0, 3.0, 9.0])).tolist() == [2.0, 2.0, 4.0, 6.0, 6.0]
    assert law.integral(np.array([0.0, 3.0, 5.0]), start=1.0).tolist() == [-2.0, 8.0, 20.0]
    both = law + PiecewiseLinear.through((2.0, 1.0), (4.0, 0.0))
    assert both(np.array([0.0, 2.0, 3.0, 5.0])).tolist() == [3.0, 5.0, 6.5, 6.0]


def test_overrides_are_marked_and_bounded(tissue):
    before = tissue.value("electric_conductivity")
    changed = tissue.with_overrides({"electric_conductivity": 0.22, "initial_temperature": 300.0})
    assert changed.value("electric_conductivity") == 0.22
    assert changed.initial_temperature == 300.0
    assert changed.sources["electric_conductivity"].status == "assumed"
    assert tissue.value("electric_conductivity") == before != 0.22
    with pytest.raises(TissueError) as caught:
        tissue.with_overrides({"electric_conductivity": 0.5, "perfusion": 0.01})
    message = str(caught.value)
    assert "0.5 S/m is outside the range 0.14 S/m to 0.28 S/m (Hall SK, MITA model" in message
    assert "excised tissue is not perfused" in message


def test_overrides_of_what_the_laws_need(tissue):
    overrides = {
        "heat_capacity_rise": 1.0,
        "dried_heat_capacity": 0.5e6,
        "blood_density": 1050.0,
        "blood_heat_capacity": 3700.0,
        "perfusion_remaining": 0.25,
        "vapour_carried": 0.0,
        "vapour_reach": 1e-3,
        "rewetting_time": 600.0,
    }
    changed = tissue.with_overrides(overrides)
    assert {key: changed.value(key) for key in overrides} == overrides
    for key, value, limits in [
        ("vapour_carried", 1.2, "120 % is outside the range 0 % to 100 %"),
        ("vapour_reach", 0.0, "0 mm is outside the range 0.5 mm to 5 mm"),
        ("vapour_time", 20.0, "20 s is outside the range 0.5 s to 10 s"),
        ("perfusion_remaining", 1.5, "150 % is outside the range 0 % to 100 %"),
        ("water_fraction", 0.0, "0 % is outside the range 71 % to 76 %"),
    ]:
        (problem,) = tissue.override_problems({key: value})
        assert limits in problem
    constant = Tissue.load("liver_constant_properties")
    assert constant.override_problems({"water_fraction": 0.0}) == []
    (problem,) = constant.override_problems({"electric_conductivity_dried": 2.0})
    assert problem == "electric_conductivity_dried is 200 %; it must be at most 100 %"


def test_dielectric_properties_at_body_temperature_may_be_chosen(tissue):
    assert tissue.dielectric == "default"
    changed = tissue.with_overrides({"permittivity": 40.0, "microwave_conductivity": 2.0})
    law, plain = changed.dielectric_at(2.45e9), tissue.dielectric_at(2.45e9)
    body, hot = np.array([310.15]), np.array([363.15])
    assert law.permittivity(body)[0] == pytest.approx(40.0)
    assert law.conductivity(body)[0] == pytest.approx(2.0)
    ratio = plain.permittivity(hot) / plain.permittivity(body)
    assert law.permittivity(hot) / law.permittivity(body) == pytest.approx(ratio)
    assert changed.sources["permittivity"].status == law.sources["permittivity"].status == "assumed"
    assert Tissue.from_dict(changed.name, changed.to_dict()) == changed
    assert "permittivity" not in tissue.sources


def test_dielectric_law_may_be_chosen(tissue):
    chosen = tissue.with_overrides({}, dielectric="ji_brace")
    assert chosen.dielectric_at(2.45e9).name == "ji_brace"
    assert Tissue.from_dict(chosen.name, chosen.to_dict()) == chosen
    (problem,) = tissue.override_problems({}, dielectric="ji_brase")
    assert problem == "dielectric: no dielectric law 'ji_brase'; did you mean 'ji_brace'?"
    with pytest.raises(TissueError, match="no dielectric law 'ji_brase'"):
        tissue.with_overrides({}, dielectric="ji_brase")
    with pytest.raises(TissueError, match="dielectric: no dielectric law 'x'"):
        Tissue.from_dict("mine", {**tissue.to_dict(), "dielectric": "x"})


def test_dielectric_problems_name_law_and_limit(tissue):
    assert tissue.dielectric_problems(2.45e9) == tissue.dielectric_problems(9.15e8) == []
    (problem,) = tissue.with_overrides({}, dielectric="ji_brace").dielectric_problems(9.15e8)
    assert problem.startswith("dielectric: the dielectric law 'ji_brace' is for 2450 MHz and does not hold at 915 MHz")
    changed = tissue.with_overrides({"permittivity": 70.0, "microwave_conductivity": 0.8})
    assert changed.dielectric_problems(9.15e8)[0].startswith("permittivity: 70 is outside the range 37.44 to 56.16 (")
    assert len(changed.dielectric_problems(9.15e8)) == 1
    assert len(changed.dielectric_problems(2.45e9)) == 2
    with pytest.raises(TissueError, match=r"microwave_conductivity: 0\.8 S/m is outside the range"):
        changed.dielectric_at(2.45e9)
    (problem,) = tissue.override_problems({"permittivity": 0.0})
    assert problem == "permittivity is 0; it must be above 0"


def test_malformed_set_lists_every_problem(tissue):
    data = tissue.to_dict()
    data["densty"] = data.pop("density")
    data["perfusion"] = {"value": "0 W", "status": "assumed", "source": "for the test"}
    with pytest.raises(TissueError) as caught:
        Tissue.from_dict("mine", data)
    message = str(caught.value)
    assert "unknown property 'densty'; did you mean 'density'?" in message
    assert "density is missing" in message
    assert "perfusion: expects a perfusion rate" in message


def test_laws_out_of_order_are_refused(tissue):
    late = replace(tissue.sources["heat_capacity_rise_end"], value=372.0, text="98.85 degC")
    data = replace(tissue, sources={**tissue.sources, "heat_capacity_rise_end": late}).to_dict()
    with pytest.raises(TissueError, match="heat_capacity_rise_end must be below vaporisation_lower"):
        Tissue.from_dict("mine", data)
