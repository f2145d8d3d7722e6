"""Case files: what is read, what is filled in, and what is refused with which words."""

import copy
import json
import pickle
import tomllib
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablationsim.case import Case, MicrowaveSection
from ablationsim.case.file import CaseFile
from ablationsim.case.sections import ZoneSection
from ablationsim.device import Device
from ablationsim.errors import CaseError
from ablationsim.tissue import Tissue
from ablationsim.units import parse

ONE = """
title = "Cooled tip in excised porcine liver"
[device]
profile = "rfa_cooltip_17g_3cm_like"
[[protocol]]
mode = "impedance"
power = "60 W"
rise = "20 ohm"
duration = "12 min"
[tissue]
set = "liver_porcine_ex_vivo"
temperature = "25 degC"
electric_conductivity = "0.22 S/m"
[[probe]]
name = "r10"
position = ["10 mm", "0 mm", "15 mm"]
[zone]
cooling = "2 min"
[measured]
source = "ji2011"
n = 6
long_axis = { value = "39 mm", sd = "2 mm" }
volume = { value = "20 mL" }
[[measured.probe]]
name = "r10"
max_temperature = "76.8 degC"
sd = "8.2 K"
time_to = { temperature = "54 degC", value = "135 s" }
"""

TWO = """
[[applicator]]
name = "left"
profile = "rfa_cooltip_17g_2cm_like"
tip = ["-10 mm", "0 mm", "0 mm"]
[[applicator.protocol]]
mode = "power"
power = "40 W"
duration = "5 min"
[[applicator]]
name = "right"
profile = "rfa_cooltip_17g_2cm_like"
tip = ["10 mm", "0 mm", "0 mm"]
direction = [0.2, 0, 1]
roll = "30 deg"
start = "10 s"
repeat = 2
[[applicator.protocol]]
mode = "power"
power = "40 W"
duration = "30 s"
[[applicator.protocol]]
mode = "off"
duration = "30 s"
[tissue]
set = "liver_human"
[domain]
shape = "box"
size = ["12 cm", "10 cm", "12 cm"]
centre = ["0 mm", "0 mm", "10 mm"]
boundary = "grounded"
"""


ANTENNA = """
[device]
profile = "mwa_slot_reference"
[tissue]
set = "liver_porcine_in_vivo"
dielectric = "ji_brace"
permittivity = 45
microwave_conductivity = "2.0 S/m"
vapour_carried = "50 %"
vapour_reach = "1 mm"
vapour_time = "1 s"
rewetting_time = "300 s"
perfusion_remaining = "20 %"
heat_capacity_rise = 1.1
dried_heat_capacity = "0.5 MJ/m3/K"
blood_density = "1050 kg/m3"
blood_heat_capacity = "3700 J/kg/K"
[microwave]
coupling = "fast"
resolve = "5 %"
drying = "reversible"
floors = false
shaft_heating = false
"""


@pytest.fixture
def one():
    return tomllib.loads(ONE)


@pytest.fixture
def two():
    return tomllib.loads(TWO)


def problems(data):
    return Case.problems(data)


def test_one_device_lies_at_the_origin(one):
    case = Case.from_dict(one)
    (applicator,) = case.applicators
    assert applicator.device == Device.load("rfa_cooltip_17g_3cm_like")
    assert applicator.tip == (0.0, 0.0, 0.0)
    assert applicator.direction == (0.0, 0.0, 1.0)
    assert applicator.protocol[0].power == 60.0
    assert case.end == 720.0
    assert case.tissue.initial_temperature == pytest.approx(298.15)
    assert case.tissue.value("electric_conductivity") == pytest.approx(0.22)
    assert case.probes[0].position == pytest.approx((0.01, 0.0, 0.015))
    assert case.zone.cooling == 120.0
    assert (case.zone.contraction, case.zone.contraction_time) == ("history", 100.0)
    assert case.measured.long_axis.sd == pytest.approx(0.002)
    assert case.measured.probe[0].time_to.value == 135.0


def test_default_domain_leaves_tissue_on_every_side(one):
    domain = Case.from_dict(one).domain
    length = sum(s.length for s in Device.load("rfa_cooltip_17g_3cm_like").applicator.sections if s.terminal)
    assert domain.centre == pytest.approx((0.0, 0.0, length / 2))
    assert domain.radius == pytest.approx(0.052)
    assert domain.height == pytest.approx(length + 0.1)


def test_default_protocol_is_that_of_the_device(one):
    del one["protocol"]
    assert Case.from_dict(one).applicators[0].protocol == Device.load("rfa_cooltip_17g_3cm_like").default_protocol


def test_several_applicators(two):
    case = Case.from_dict(two)
    left, right = case.applicators
    assert (left.name, right.name) == ("left", "right")
    assert right.roll == pytest.approx(0.5235987755982988)
    assert (right.start, right.repeat, right.end, case.end) == (10.0, 2, 130.0, 300.0)
    assert case.domain.size == pytest.approx((0.12, 0.10, 0.12))


def test_antenna_and_its_tissue():
    case = Case.from_dict(tomllib.loads(ANTENNA))
    assert case.microwave == MicrowaveSection(
        coupling="fast", resolve="5 %", drying="reversible", floors=False, shaft_heating=False
    )
    assert case.tissue.dielectric == "ji_brace"
    overrides = {
        "permittivity": 45.0,
        "microwave_conductivity": 2.0,
        "vapour_carried": 0.5,
        "vapour_reach": 1e-3,
        "vapour_time": 1.0,
        "rewetting_time": 300.0,
        "perfusion_remaining": 0.2,
        "heat_capacity_rise": 1.1,
        "dried_heat_capacity": 0.5e6,
        "blood_density": 1050.0,
        "blood_heat_capacity": 3700.0,
    }
    assert {key: case.tissue.value(key) for key in overrides} == pytest.approx(overrides)


def test_microwave_defaults(one):
    microwave = Case.from_dict(one).microwave
    assert (microwave.coupling, microwave.resolve, microwave.drying) == ("full", 0.02, "irreversible")
    assert microwave.floors is True
    assert microwave.shaft_heating is True


def test_applicators_are_of_one_kind(two):
    two["applicator"][1].update(profile="mwa_slot_reference", protocol=[{"mode": "off", "duration": "1 s"}])
    assert problems(two) == [
        "all applicators of a case must be of one kind: 'left' is a radiofrequency electrode, "
        "'right' is a microwave antenna; run a case for each kind"
    ]


def test_dielectric_law_must_fit_the_generator(tmp_path):
    profile = Device.file("mwa_slot_reference").read_text(encoding="utf-8")
    other = tmp_path / "antenna.toml"
    other.write_text(profile.replace('"2.45 GHz"', '"915 MHz"'), encoding="utf-8")
    assert Device.load(other).generator.frequency == 9.15e8
    data = {"device": {"profile": str(other)}, "tissue": {"set": "liver_human"}}
    assert problems(data) == []
    data["tissue"].update(dielectric="lopresto", permittivity=45)
    (problem,) = problems(data)
    assert problem == (
        "tissue.dielectric: the dielectric law 'lopresto' is for 2450 MHz and does not hold at 915 MHz; "
        "laws that do: liver_915, static_915"
    )
    data["tissue"].update(dielectric="liver_915", permittivity=70)
    (problem,) = problems(data)
    assert problem.startswith("tissue.permittivity: 70 is outside the range 37.44 to 56.16 (assumed: within 20 %")


def test_microwave_properties_do_not_bind_electrodes(one):
    one["tissue"].update(dielectric="lopresto", permittivity=70)
    assert problems(one) == []


def test_insulated_boundary_needs_a_return_only_for_electrodes(one):
    one["domain"] = {"boundary": "insulated"}
    assert any("'insulated' leaves the monopolar" in problem for problem in problems(one))
    antenna = tomllib.loads(ANTENNA)
    antenna["domain"] = {"boundary": "insulated"}
    assert problems(antenna) == []


@pytest.mark.parametrize("text", [ONE, TWO, ANTENNA])
def test_resolved_round_trip(text):
    case = Case.from_dict(tomllib.loads(text))
    again = Case.from_resolved(json.loads(json.dumps(case.resolved())))
    assert again == case
    assert again.resolved() == case.resolved()


def test_load_keeps_the_text_and_reads_resolved_files(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text(ONE, encoding="utf-8")
    case = Case.load(path)
    assert case.text == ONE
    resolved = tmp_path / "resolved.json"
    resolved.write_text(json.dumps({**case.resolved(), "versions": {"python": "3"}}), encoding="utf-8")
    assert Case.load(resolved) == case


def test_resolved_refusals(one):
    resolved = Case.from_dict(one).resolved()
    with pytest.raises(CaseError, match="resolved_version is 99"):
        Case.from_resolved({**resolved, "resolved_version": 99})
    with pytest.raises(CaseError, match=r"mesh\.resolution: 1000 is outside 0.25 to 4"):
        Case.from_resolved({**resolved, "mesh": {"resolution": 1000}})


def test_all_problems_at_once():
    data = tomllib.loads("""
titel = "x"
[device]
profile = "rfa_cooltip_17g_3cm_like"
[[protocol]]
mode = "impedance"
power = "60 s"
duration = "0 min"
[[protocol]]
mode = "power"
power = "4000 W"
duration = "2 min"
[tissue]
set = "liver_porcine_ex_vivo"
electric_conductivity = "0.5 S/m"
temprature = "37 degC"
[domain]
radius = "3 cm"
height = "4 cm"
centre = ["0 mm", "0 mm", "0 mm"]
heigth = "2 cm"
[[probe]]
name = "r40"
position = ["40 mm", "0 mm", "0 mm"]
[[probe]]
name = "r15"
position = ["15 mm", "0 mm", 15]
[zone]
criterion = "arhenius"
contraction = "80 %"
[mesh]
resolution = 10
[measured]
source = "ji2011"
long_axis = { value = "39 mL" }
[[measured.probe]]
name = "r45"
""")
    found = problems(data)
    expected = [
        "unknown key 'titel'; did you mean 'title'",
        "protocol[1].power expects a power such as '60 W', got '60 s' (time)",
        "protocol[1].duration: must be greater than zero",
        "protocol[2].power: 4000 W is above the limit of 200 W of rfa_cooltip_17g_3cm_like (",
        "unknown key 'temprature' in tissue; did you mean 'temperature'?",
        "tissue.electric_conductivity: 0.5 S/m is outside the range 0.14 S/m to 0.28 S/m (Hall SK, MITA model",
        "unknown key 'heigth' in domain; did you mean 'height'?",
        "applicator 'A0': outside the cylinder of radius 30 mm and height 40 mm round (0, 0, 0) mm: section 'tip' by",
        "probe 'r40' is 10 mm outside the cylinder",
        "probe[2].position[3] expects a length such as '3 cm', got 15 without a unit",
        "zone.criterion: 'arhenius' is not a choice; did you mean 'arrhenius'?",
        "zone.contraction: 80 % is outside 0 % to 50 % (measured contractions",
        "mesh.resolution: 10 is outside 0.25 to 4 (limits of the mesh sizing)",
        "measured.long_axis.value expects a length such as '3 cm', got '39 mL' (volume)",
    ]
    for text in expected:
        assert any(text in problem for problem in found), text
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"device": {"profile": "rfa_cooltip_17g_3cm_lik"}},
            "device.profile: no device profile 'rfa_cooltip_17g_3cm_lik'",
        ),
        ({"tissue": {"set": "liver_humna"}}, "tissue.set: no tissue set 'liver_humna'; did you mean 'liver_human'?"),
        ({"tissue": {}}, "tissue.set is missing"),
        ({"protocol": []}, "protocol is empty; write one [[protocol]] table for each"),
        (
            {"protocol": [{"mode": "impedence"}]},
            "protocol[1]: mode 'impedence' is not a choice; did you mean 'impedance'?",
        ),
        ({"protocol": [{"power": "3 W"}]}, "protocol[1].mode is missing"),
        ({"protocol": {"mode": "power"}}, "protocol is not a list"),
        ({"domain": {"shape": "box", "radius": "5 cm"}}, "radius and height belong to a cylinder"),
        ({"domain": {"mesh": "no_such_file.msh"}}, "domain.mesh: there is no file"),
        ({"applicator": [{"name": "a", "profile": "x"}]}, "[device] and [[applicator]] exclude each other"),
        ({"measured": {"source": "x", "probe": [{"name": "r11"}]}}, "there is no probe 'r11'; did you mean 'r10'?"),
        ({"tissue": {"set": "liver_human", "perfusion": "0.5 1/s"}}, "tissue.perfusion: 0.5 1/s is outside the range"),
        ({"zone": {"isotherm_temperature": "60 K"}}, "is outside 40 degC to 100 degC"),
        ({"time": {"checkpoint_interval": "0 s"}}, "must be greater than zero"),
        (
            {"tissue": {"set": "liver_human", "dielectric": "ji_brase"}},
            "tissue.dielectric: no dielectric law 'ji_brase'; did you mean 'ji_brace'?",
        ),
        (
            {"tissue": {"set": "liver_human", "permitivity": 45}},
            "unknown key 'permitivity' in tissue; did you mean 'permittivity'?",
        ),
        (
            {"tissue": {"set": "liver_human", "microwave_conductivity": 1.7}},
            "tissue.microwave_conductivity expects an electric conductivity such as '0.2 S/m', got 1.7 without a unit",
        ),
        (
            {"tissue": {"set": "liver_human", "vapour_reach": "10 mm"}},
            "tissue.vapour_reach: 10 mm is outside the range 0.5 mm to 5 mm",
        ),
        ({"microwave": {"couplin": "full"}}, "unknown key 'couplin' in microwave; did you mean 'coupling'?"),
        ({"microwave": {"coupling": "ful"}}, "microwave.coupling: 'ful' is not a choice; did you mean 'full'?"),
        (
            {"microwave": {"resolve": "60 %"}},
            "microwave.resolve: 60 % is outside 0.1 % to 50 % (limits of the field update)",
        ),
        ({"microwave": {"floors": "yes"}}, "microwave.floors: input should be a valid boolean, got 'yes'"),
        ({"title": 3}, "title: input should be a valid string"),
    ],
)
def test_single_mistakes(one, change, message):
    found = problems({**one, **change})
    assert any(message in problem for problem in found), found


def test_missing_tables():
    found = problems({})
    assert any("[tissue] is missing" in problem for problem in found)
    assert any("[device] is missing" in problem for problem in found)


def test_mistakes_in_applicators_do_not_hide_each_other(two):
    left, right = two["applicator"]
    left["protocol"].insert(0, {"mode": "power"})
    left["protocol"][1]["power"] = "5 kW"
    right.update(name="left", direction=[0, 0, 0], profile="rfa_cooltip_17g_2cm_lik")
    two["applicator"].append({**copy.deepcopy(left), "tip": ["80 mm", "0 mm", "0 mm"], "protocol": []})
    found = problems(two)
    expected = [
        "applicator[1].protocol[1].power is missing",
        "applicator[1].protocol[1].duration is missing",
        "applicator[1].protocol[2].power: 5000 W is above the limit",
        "applicator[2]: direction has no length",
        "applicator[2].profile: no device profile 'rfa_cooltip_17g_2cm_lik'",
        "applicator[3].protocol is empty; write one [[applicator.protocol]] table for each",
        "applicator 'left': outside the box of 120 x 100 x 120 mm round (0, 0, 10) mm: tip by 20 mm",
        "2 applicators are named 'left'",
    ]
    for text in expected:
        assert any(text in problem for problem in found), text
    assert len(found) == len(expected)


def test_tines_must_be_inside():
    data = {
        "device": {"profile": "rfa_starburst_xl_like"},
        "tissue": {"set": "liver_human"},
        "domain": {"radius": "15 mm", "height": "20 cm"},
    }
    (problem,) = problems(data)
    assert "tine by" in problem


def test_malformed_toml_names_the_line(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text('title = "x"\n[device\n', encoding="utf-8")
    with pytest.raises(CaseError, match=r"not valid TOML: .*line 2"):
        Case.load(path)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_unreadable_files(tmp_path, content):
    path = tmp_path / "case.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CaseError, match=r"no such file|not UTF-8"):
        Case.load(path)
    with pytest.raises(CaseError, match="cannot be read"):
        Case.load(tmp_path)


def test_the_heading_counts_the_problems(one):
    one["titel"] = "x"
    with pytest.raises(CaseError, match=r"^1 problem in the case:\n  - unknown key 'titel'") as caught:
        Case.from_dict(one)
    assert caught.value.exit_code == 2


def test_schema_knows_every_table():
    schema = Case.schema()
    assert set(schema["properties"]) == set(CaseFile.model_fields)
    assert schema["additionalProperties"] is False
    json.dumps(schema)


def test_damage_sets_are_those_of_the_physics():
    damage = pytest.importorskip("ablationsim.physics.damage")
    assert set(get_args(ZoneSection.model_fields["arrhenius_set"].annotation)) == set(damage.ARRHENIUS_SETS)
    assert get_args(ZoneSection.model_fields["criterion"].annotation) == get_args(damage.Criterion)


@pytest.mark.parametrize("profile", Device.names())
@pytest.mark.parametrize("tissue", ["liver_porcine_ex_vivo", "metastasis"])
def test_every_device_runs_with_defaults_alone(profile, tissue):
    case = Case.from_dict({"device": {"profile": profile}, "tissue": {"set": tissue}})
    assert Case.from_resolved(json.loads(json.dumps(case.resolved()))) == case


LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["60 W", "12 min", "0 mm", "power", "box", *Tissue.names(), *Device.names()]),
)


@settings(deadline=None, max_examples=150)
@given(
    key=st.sampled_from(sorted(CaseFile.model_fields)),
    value=st.recursive(
        LEAF,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
)
def test_nonsense_in_any_table_is_reported_not_raised(key, value):
    found = problems({**tomllib.loads(ONE), key: value})
    assert all(isinstance(problem, str) and problem for problem in found)


@settings(deadline=None, max_examples=25)
@given(power=st.floats(1.0, 200.0), minutes=st.floats(0.1, 30.0), celsius=st.floats(4.0, 40.0))
def test_quantities_arrive_in_si(power, minutes, celsius):
    data = tomllib.loads(ONE)
    data["protocol"] = [{"mode": "power", "power": f"{power!r} W", "duration": f"{minutes!r} min"}]
    data["tissue"]["temperature"] = f"{celsius!r} degC"
    case = Case.from_dict(data)
    assert case.applicators[0].protocol[0].power == power
    assert case.end == pytest.approx(parse(f"{minutes!r} min", "duration"))
    assert case.tissue.initial_temperature == pytest.approx(celsius + 273.15)
    assert Case.from_resolved(case.resolved()) == case


def test_the_domain_holds_an_antenna_that_is_withdrawn():
    data = {
        "title": "pull-back",
        "device": {"profile": "mwa_amica_14g_like"},
        "protocol": [
            {"mode": "power", "power": "60 W", "duration": "3 min"},
            {"mode": "pullback", "distance": "20 mm", "duration": "10 s"},
            {"mode": "power", "power": "60 W", "duration": "3 min"},
        ],
        "tissue": {"set": "liver_porcine_ex_vivo"},
    }
    still = Case.from_dict({**data, "protocol": data["protocol"][:1]}).domain
    domain = Case.from_dict(data).domain
    assert domain.height == pytest.approx(still.height + 20e-3)
    assert domain.centre[2] == pytest.approx(still.centre[2] + 10e-3)
    assert domain.radius == still.radius
    short = {**data, "domain": {"height": "60 mm", "centre": ["0 mm", "0 mm", "13 mm"]}}
    (problem,) = Case.problems(short)
    assert problem.startswith("applicator 'A0', withdrawn: outside the cylinder")


def test_the_default_domain_leaves_room_for_the_shaft_that_an_antenna_warms():
    case = Case.from_dict(
        {
            "title": "antenna",
            "device": {"profile": "mwa_slot_reference"},
            "tissue": {"set": "liver_constant_properties"},
        }
    )
    radiating = case.applicators[0].device.applicator.sections[0].length
    assert case.domain.height == pytest.approx(50e-3 + radiating + 80e-3, abs=1e-3)
    assert case.domain.centre[2] - 0.5 * case.domain.height == pytest.approx(-50e-3, abs=1e-3)


def test_how_often_a_checkpoint_is_written_does_not_make_another_case(one):
    case = Case.from_dict(one)
    assert case.time.checkpoint_interval == 300.0
    often = Case.from_dict({**one, "time": {"checkpoint_interval": "1 min"}})
    accurate = Case.from_dict({**one, "time": {"tolerance": 0.5}})
    assert often != case
    assert often.decisive() == case.decisive() != accurate.decisive()
    assert often.resolved()["time"]["checkpoint_interval"] == 60.0


def test_a_refusal_is_the_same_in_another_process():
    error = CaseError(["one is wrong", "so is two"], "case.toml")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.problems, again.source) == (error.problems, error.source)
