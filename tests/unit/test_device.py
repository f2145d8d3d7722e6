"""Device profiles: complete, sourced, and refused with a clear message when they are not."""

import json
import math
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from ablationsim.device import Device
from ablationsim.device.generator import Controller
from ablationsim.device.profile import ApplicatorSpec, SectionSpec
from ablationsim.device.protocol import Step
from ablationsim.errors import DeviceError
from ablationsim.provenance import citations
from ablationsim.units import SI

STEP: TypeAdapter[Step] = TypeAdapter(Step)
NAMES = [
    "mwa_915_dual_slot",
    "mwa_amica_14g_like",
    "mwa_amica_16g_minichoke_2011",
    "mwa_dual_slot",
    "mwa_emprint_13g_like",
    "mwa_he2010_cooled",
    "mwa_he2010_uncooled",
    "mwa_ji2011_80w",
    "mwa_monopole_ji_brace",
    "mwa_slot_reference",
    "mwa_triaxial",
    "rfa_bipolar_like",
    "rfa_cooled_15g_like",
    "rfa_cooltip_17g_2cm_like",
    "rfa_cooltip_17g_3cm_like",
    "rfa_cooltip_cluster_like",
    "rfa_leveen_35_like",
    "rfa_starburst_xl_like",
    "rfa_uniblate_like",
]
PROFILES = Path(__file__).parents[2] / "devices"


def test_the_profiles_that_ship():
    assert set(NAMES) <= set(Device.names())


@pytest.mark.parametrize("name", Device.names())
def test_every_profile_can_run_and_names_its_sources(name):
    device = Device.load(name)
    assert device.name == name
    assert device.title
    assert device.like
    assert not device.protocol_problems(device.default_protocol)
    assert not Controller(device.default_protocol, device.generator).finished
    for place, parameter in device.parameters.items():
        if parameter.status in ("published", "calculated"):
            # What `ablationsim match` computed says how, in place of a citation.
            matched = parameter.status == "calculated" and parameter.source.startswith("Least reflection")
            assert parameter.source in citations() or (matched and not parameter.verified), place
        else:
            assert not parameter.verified, place


@pytest.mark.parametrize("name", Device.names())
def test_no_quantity_is_left_without_its_origin(name):
    """Beside the tables of numbers only coordinates may hold a unit."""

    def bare(data, place=""):
        if isinstance(data, dict) and "value" not in data:
            return [found for key, value in data.items() for found in bare(value, f"{place}.{key}")]
        if isinstance(data, list) and place.rpartition(".")[2] not in ("path", "thermocouples"):
            return [found for value in data for found in bare(value, place)]
        is_number = isinstance(data, str) and place.rpartition(".")[2] not in ("title", "like", "notes")
        return [place] if is_number and data[:1].isdigit() else []

    assert bare(tomllib.loads((PROFILES / f"{name}.toml").read_text(encoding="utf-8"))) == []


def test_the_cooled_electrode_of_the_demo():
    device = Device.load("rfa_cooltip_17g_3cm_like")
    tip, shaft = device.applicator.sections
    assert device.applicator.diameter == pytest.approx(1.47e-3)
    assert (device.applicator.tip_shape, device.applicator.tip_length) == ("conical", pytest.approx(1.5e-3))
    assert (tip.terminal, tip.length, tip.wall_coefficient) == ("active", pytest.approx(0.03), 3366.0)
    assert tip.coolant_temperature == pytest.approx(288.15)
    assert (shaft.terminal, shaft.wall_coefficient) == (None, 3366.0)
    assert shaft.coolant_temperature == pytest.approx(288.15)
    assert (device.generator.max_power, device.generator.max_current) == (200.0, 2.0)
    (step,) = device.default_protocol
    assert (step.mode, step.power, step.duration) == ("impedance", 200.0, 720.0)
    assert (step.rise, step.pause, step.pause_power) == (30.0, 15.0, 10.0)
    assert device.parameters["default_protocol[1].rise"].verified is False
    assert device.parameters["applicator.sections[1].wall_coefficient"].verified is True
    assert device.parameters["applicator.sections[1].coolant_temperature"].status == "assumed"


def test_cluster_thermocouples_lie_at_its_tips():
    applicator = Device.load("rfa_cooltip_cluster_like").applicator
    assert (applicator.cluster.count, applicator.cluster.spacing) == (3, pytest.approx(5e-3))
    circle = applicator.cluster.spacing / (2.0 * math.sin(math.pi / 3.0))
    for number, (x, y, z) in enumerate(applicator.thermocouples):
        azimuth = 2.0 * math.pi * number / 3.0
        assert (x, y, z) == pytest.approx((circle * math.cos(azimuth), circle * math.sin(azimuth), 0.0), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "count", "span"), [("rfa_starburst_xl_like", 9, 50e-3), ("rfa_leveen_35_like", 10, 35e-3)]
)
def test_tines_fit_their_shaft_and_reach_their_span(name, count, span):
    applicator = Device.load(name).applicator
    (ring,) = applicator.tines
    assert ring.count == count
    assert 2.0 * max(r for r, _ in ring.path) == pytest.approx(span, abs=0.2e-3)
    root_r, root_z = ring.path[0]
    assert root_z == ring.root_z == 0.0
    assert root_r + ring.radius < applicator.diameter / 2.0
    assert 2.0 * root_r * math.sin(math.pi / count) > 2.0 * ring.radius  # neighbours do not touch


def test_starburst_thermocouples_lie_at_the_ends_of_the_tines():
    applicator = Device.load("rfa_starburst_xl_like").applicator
    end_r, end_z = applicator.tines[0].path[-1]
    assert len(applicator.thermocouples) == 9
    for number, (x, y, z) in enumerate(applicator.thermocouples):
        azimuth = 2.0 * math.pi * number / 9.0
        assert (x, y, z) == pytest.approx((end_r * math.cos(azimuth), end_r * math.sin(azimuth), end_z), abs=1e-4)


def test_the_bipolar_electrode_has_both_terminals_and_an_internal_impedance():
    device = Device.load("rfa_bipolar_like")
    assert [section.terminal for section in device.applicator.sections] == ["active", None, "return", None]
    assert device.applicator.terminals == {"active", "return"}
    assert device.generator.internal_impedance == 80.0


def test_an_unknown_name_gets_the_best_match():
    with pytest.raises(DeviceError, match="did you mean 'rfa_starburst_xl_like'"):
        Device.load("rfa_starburst_like")


def edited(tmp_path, *changes, profile="rfa_cooltip_17g_3cm_like"):
    """A copy of a shipped profile with parts of its text replaced."""
    text = Device.file(profile).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_profile_of_ones_own(tmp_path):
    device = Device.load(edited(tmp_path, ('value = "30 mm"', 'value = "4 cm"')))
    assert (device.name, device.applicator.sections[0].length) == ("mine", pytest.approx(0.04))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('value = "1.47 mm"', 'value = "1.47 W"', r"applicator\.diameter: expects a length"),
        ('{ value = "2 A"', '{ vallue = "2 A"', r"generator\.max_current: unknown key 'vallue'; did you mean 'value'"),
        ('source = "mita_model"', 'source = "mita_modell"', "no citation 'mita_modell'"),
        (
            "[generator]",
            '[generator]\nmax_voltage = "90 V"',
            r"generator\.max_voltage: expects a number with its origin",
        ),
        ("wall_coefficient", "wall_coeficient", "unknown key 'wall_coeficient'.*did you mean 'wall_coefficient'"),
        ('mode = "impedance"', 'mode = "impedence"', "'impedence' is not a choice; did you mean 'impedance'"),
        ('terminal = "active"\n', "", "no section and no tine is the active terminal"),
        ('tip_shape = "conical"', 'tip_shape = "flat"', "contradicts itself"),
        ('name = "shaft"', 'name = "tip"', "names of their own"),
        ('modality = "rfa"', "modality = ", "not valid TOML"),
    ],
)
def test_malformed_profiles(tmp_path, old, new, message):
    with pytest.raises(DeviceError, match=message):
        Device.load(edited(tmp_path, (old, new)))


def test_all_problems_of_a_profile_at_once(tmp_path):
    path = edited(tmp_path, ('value = "1.47 mm"', 'value = "1.47 W"'), ('value = "2 A"', 'value = "2 V"'))
    with pytest.raises(DeviceError) as caught:
        Device.load(path)
    assert str(caught.value).count("\n  - ") == 2


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DeviceError, match="cannot be read"):
        Device.load(tmp_path / "none.toml")


def test_what_the_generator_cannot_do():
    device = Device.load("rfa_cooltip_17g_3cm_like")
    protocol = [
        STEP.validate_python({"mode": "power", "power": "200 W", "duration": "1 s"}),
        STEP.validate_python({"mode": "impedance", "power": "250 W", "duration": "1 s"}),
        STEP.validate_python({"mode": "current", "current": "3 A", "duration": "1 s"}),
        STEP.validate_python({"mode": "temperature", "target": "90 degC", "duration": "1 s"}),
    ]
    power, current, temperature = device.protocol_problems(protocol)
    assert power.startswith("protocol[2].power: 250 W is above the limit of 200 W of rfa_cooltip_17g_3cm_like (")
    assert "Trujillo" in power
    assert current.startswith("protocol[3].current: 3 A is above the limit of 2 A")
    assert temperature.startswith("protocol[4].mode: rfa_cooltip_17g_3cm_like cannot hold a temperature")


def test_the_file_of_a_profile(tmp_path):
    assert Device.file("mwa_triaxial") == PROFILES / "mwa_triaxial.toml"
    assert Device.file(tmp_path / "mine.toml") == tmp_path / "mine.toml"
    with pytest.raises(DeviceError, match="did you mean 'mwa_triaxial'"):
        Device.file("mwa_triaxal")


# -- modality ----------------------------------------------------------------------------------------------------------


def test_what_a_microwave_generator_cannot_do():
    device = Device.load("mwa_amica_14g_like")
    protocol = [
        STEP.validate_python({"mode": "power", "power": "60 W", "duration": "1 s"}),
        STEP.validate_python({"mode": "pulsed", "power": "150 W", "on": "1 s", "off": "1 s", "duration": "9 s"}),
        STEP.validate_python({"mode": "pullback", "power": "150 W", "distance": "1 cm", "duration": "9 s"}),
        STEP.validate_python({"mode": "off", "duration": "1 s"}),
        STEP.validate_python({"mode": "power", "power": "60 W", "duration": "1 s", "rise": "20 ohm"}),
        STEP.validate_python({"mode": "power", "power": "60 W", "duration": "1 s", "absolute": "90 ohm"}),
        STEP.validate_python({"mode": "impedance", "power": "60 W", "duration": "1 s"}),
        STEP.validate_python({"mode": "temperature", "target": "90 degC", "duration": "1 s"}),
        STEP.validate_python({"mode": "voltage", "voltage": "90 V", "duration": "1 s"}),
    ]
    pulsed, pullback, rise, absolute, impedance, temperature, voltage = device.protocol_problems(protocol)
    assert pulsed.startswith("protocol[2].power: 150 W is above the limit of 140 W of mwa_amica_14g_like (")
    assert pullback.startswith("protocol[3].power: 150 W is above the limit of 140 W")
    assert rise == (
        "protocol[5].rise: mwa_amica_14g_like is a microwave device and watches no impedance; leave rise out"
    )
    assert absolute.startswith("protocol[6].absolute: ")
    for problem, place, mode in ((impedance, 7, "impedance"), (temperature, 8, "temperature"), (voltage, 9, "voltage")):
        assert problem == (
            f"protocol[{place}].mode: mwa_amica_14g_like is a microwave device and knows no '{mode}'; "
            "use power, pulsed, pullback or off"
        )


def test_a_radiofrequency_device_pulses_and_is_not_withdrawn():
    device = Device.load("rfa_cooltip_17g_3cm_like")
    protocol = [
        STEP.validate_python({"mode": "pulsed", "power": "150 W", "on": "1 s", "off": "1 s", "duration": "9 s"}),
        STEP.validate_python({"mode": "pullback", "distance": "1 cm", "duration": "9 s"}),
    ]
    (problem,) = device.protocol_problems(protocol)
    assert problem.startswith("protocol[2].mode: rfa_cooltip_17g_3cm_like is a radiofrequency device")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("radiating = true\n", "", "applicator: no section is radiating"),
        ('name = "shaft"', 'name = "shaft"\nterminal = "active"', r"sections\[2\]\.terminal: has no meaning"),
        (
            "[generator]",
            '[generator]\nmax_current = { value = "2 A", status = "assumed", source = "chosen here" }',
            r"generator\.max_current: has no meaning for a microwave device",
        ),
        (
            "[generator]",
            "[infusion]\n"
            + "".join(
                f'{key} = {{ value = "{value}", status = "assumed", source = "chosen here" }}\n'
                for key, value in {"radius": "4 mm", "length": "2 cm", "conductivity_factor": "2"}.items()
            )
            + "[generator]",
            "infusion: has no meaning for a microwave device",
        ),
        ('modality = "mwa"', 'modality = "rfa"', "antenna: belongs to a microwave device"),
        ('modality = "mwa"', 'modality = "rfa"', r"sections\[1\]\.radiating: only a microwave antenna radiates"),
        ('modality = "mwa"', 'modality = "rfa"', "no section and no tine is the active terminal"),
        ('modality = "mwa"', 'modality = "hifu"', "'hifu' is not a choice"),
    ],
)
def test_what_does_not_fit_the_modality(tmp_path, old, new, message):
    with pytest.raises(DeviceError, match=message):
        Device.load(edited(tmp_path, (old, new), profile="mwa_slot_reference"))


def test_a_microwave_device_without_antenna(tmp_path):
    text = Device.file("mwa_slot_reference").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text[: text.index("[antenna]")] + text[text.index("[generator]") :], encoding="utf-8")
    with pytest.raises(DeviceError, match=r"antenna is missing: a microwave device needs \[antenna\]"):
        Device.load(path)


# -- other values ------------------------------------------------------------------------------------------------------


def test_other_values():
    device = Device.load("mwa_amica_14g_like")
    changes = {
        "antenna.dimensions.radiating_length": 15e-3,
        "antenna.efficiency": 0.8,
        "antenna.materials.ceramic.permittivity": 9.5,
        "applicator.sections[2].wall_coefficient": 1500.0,
        "default_protocol[1].power": 80.0,
    }
    changed = device.with_values(changes, status="calibrated", note="fitted to two measured zones")
    assert changed.antenna.dimensions["radiating_length"] == 15e-3
    assert changed.antenna.efficiency == 0.8
    assert changed.antenna.materials["ceramic"].permittivity == 9.5
    assert changed.applicator.sections[1].wall_coefficient == 1500.0
    assert changed.default_protocol[0].power == 80.0
    origin = changed.parameters["antenna.dimensions.radiating_length"]
    assert (origin.value, origin.text, origin.status, origin.verified) == (15e-3, "0.015 m", "calibrated", False)
    before = device.parameters["antenna.dimensions.radiating_length"]
    assert (origin.source, origin.note) == ("fitted to two measured zones", f"profile: {before.text}, {before.status}")
    assert origin.range == (pytest.approx(8e-3), pytest.approx(25e-3))
    untouched = set(device.parameters) - set(changes)
    assert {place: changed.parameters[place] for place in untouched} == {
        place: device.parameters[place] for place in untouched
    }
    assert device == Device.load("mwa_amica_14g_like")  # the first one is as it was
    back = {place: device.parameters[place].value for place in changes}
    restored = changed.with_values(back)
    assert restored.model_copy(update={"parameters": device.parameters}) == device


def test_other_values_of_a_radiofrequency_device():
    device = Device.load("rfa_cooltip_17g_3cm_like").with_values({"applicator.sections[1].length": 0.025})
    assert device.applicator.sections[0].length == 0.025
    assert device.parameters["applicator.sections[1].length"].source == "chosen for this case"


def test_values_that_cannot_be():
    device = Device.load("mwa_amica_14g_like")
    with pytest.raises(DeviceError) as caught:
        device.with_values(
            {"antenna.dimensions.radiating_lenght": 15e-3, "antenna.efficiency": 0.2, "antenna.dimensions.lower_arm": 0}
        )
    message = str(caught.value)
    assert "no number 'antenna.dimensions.radiating_lenght'; did you mean 'antenna.dimensions.radiating_length'" in (
        message
    )
    assert "antenna.efficiency: 20 % is outside the range 50 % to 100 %" in message
    with pytest.raises(DeviceError, match=r"dimensions\.lower_arm: must be greater than zero"):
        device.with_values({"antenna.dimensions.lower_arm": 0.0})
    with pytest.raises(DeviceError, match=r"antenna\.parts\[2\] 'choke'.*leaves the shaft"):
        device.with_values({"antenna.dimensions.needle_bore": 3e-3})


def test_a_device_survives_as_plain_numbers():
    for name in Device.names():
        device = Device.load(name)
        plain = json.loads(json.dumps(device.model_dump(mode="json")))
        assert Device.model_validate(plain, context=SI) == device


def test_a_cooled_section_needs_its_coolant():
    with pytest.raises(ValidationError, match="no coolant_temperature"):
        SectionSpec(name="tip", length="3 cm", wall_coefficient="3366 W/m2/K")


def test_counts_are_whole():
    base = {
        "diameter": "17 G",
        "tip_shape": "flat",
        "sections": [{"name": "tip", "length": "3 cm", "wall_coefficient": "0 W/m2/K", "terminal": "active"}],
        "thermocouples": [["0 mm", "0 mm", "0 mm"]],
    }
    assert ApplicatorSpec.model_validate({**base, "cluster": {"count": "3", "spacing": "5 mm"}}).cluster.count == 3
    with pytest.raises(ValidationError, match="whole number"):
        ApplicatorSpec.model_validate({**base, "cluster": {"count": "2.5", "spacing": "5 mm"}})
