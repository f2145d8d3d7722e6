"""audit, calibrate and match from the command line: what they print and write, and what they say of bad input."""

import json
import re
import tomllib

import pytest

from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.physics.antenna_field import unheated_field
from ablationsim.simulate import simulate
from ablationsim.study.audit import audit
from ablationsim.tissue import Tissue

PROFILE = "rfa_cooltip_17g_2cm_like"
COOLANT = "applicator.sections[1].coolant_temperature"


@pytest.fixture(scope="module")
def case(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("case") / "case.toml"
    path.write_text(small + '[measured]\nsource = "nobody"\nvolume = { value = "2 mL" }\n')
    return path


@pytest.fixture(scope="module")
def slot(tmp_path_factory):
    """The reference slot antenna, with a range on the height of its slot."""
    text = Device.file("mwa_slot_reference").read_text(encoding="utf-8")
    text, count = re.subn(r"(?m)^(slot_bottom = \{.*)\}", r'\1, range = ["4 mm", "12 mm"] }', text)
    assert count == 1
    path = tmp_path_factory.mktemp("slot") / "slot.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_audit(quick_cli, case):
    done = quick_cli("audit", case)
    assert done.returncode == 0, done.stderr
    printed = " ".join(done.stdout.split())
    assert "0.30 kJ spent at the generator, 2 mL measured (measured): 150 J/mL" in printed
    # 45 - 21 K at 3540 J/kg/K and 1079 kg/m3, of 150 J/mL.
    assert re.search(r"all just at the edge, 45\.0 °C 92 61 % 90 %", printed)


def test_audit_with_a_run(quick_cli, case, small_run):
    done = quick_cli("audit", case, "--volume", "1.5 mL", "--run", small_run.folder)
    assert done.returncode == 0, done.stderr
    printed = " ".join(done.stdout.split())
    absorbed = small_run.document["energy_balance"]["in_j"] / small_run.zone.volume_ml
    assert f"taken up by the tissue {absorbed:.0f} 100.0 %" in printed
    assert "in the zone at the end" in printed


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--volume", "3"], "expects a volume such as"),
        (["--volume", "0 mL"], "must be above 0 mL"),
        (["--run", "nowhere"], "is no run folder"),
    ],
)
def test_audit_of_nonsense(quick_cli, case, words, problem):
    done = quick_cli("audit", case, *words)
    assert done.returncode != 0
    assert problem in " ".join(done.stderr.replace("│", " ").split())


def test_calibrate(cli, tmp_path):
    """A zone that the device makes with another coolant; two processes side by side."""
    data, out = tmp_path / "zones.csv", tmp_path / "mine.toml"
    data.write_text("power_w,time_s,use,long_mm,short_mm,edge\n60,8,calibrate,19,7,45 degC\n50,8,,19,7,45 degC\n")
    done = cli(
        "calibrate", PROFILE, "--data", data, "--fit", COOLANT, "--resolution", "4", "--jobs", "2", "-o", out
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    printed = " ".join(done.stdout.split())
    assert re.search(r"60 W, 8 s length [\d.]+ mm 19\.0 mm [+-][\d.]+ mm calibrated", printed)
    assert re.search(r"50 W, 8 s length [\d.]+ mm 19\.0 mm [+-][\d.]+ mm diameter", printed)
    assert f"Profile: {out}" in done.stdout.replace("\n", "")
    sourced = Device.load(out).parameters[COOLANT]
    assert sourced.status == "calibrated"
    assert "zones.csv, 60 W, 8 s" in sourced.source
    base = tomllib.loads(Device.file(PROFILE).read_text(encoding="utf-8"))
    written = tomllib.loads(out.read_text(encoding="utf-8"))
    del base["applicator"]["sections"][0]["coolant_temperature"]
    del written["applicator"]["sections"][0]["coolant_temperature"]
    assert written == base


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "has no number 'efficiency'"),
        (["--fit", "wall_coefficient"], "stands for several numbers"),
        (["--fit", "a,b,c"], "at most 2 numbers"),
        (["--fit", COOLANT, "--start", "21"], "--start expects a temperature"),
        (["--fit", COOLANT, "--edge", "brown"], "edge: 'brown' is neither"),
        (["--fit", COOLANT, "--tissue", "liver"], "there is no tissue set 'liver'"),
        (["--fit", COOLANT, "--contraction", "12 mm"], "--contraction expects a fraction"),
    ],
)
def test_calibrations_that_cannot_be(quick_cli, tmp_path, words, problem):
    data = tmp_path / "zones.csv"
    data.write_text("power_w,time_s,use,long_mm\n60,8,calibrate,19\n")
    done = quick_cli("calibrate", PROFILE, "--data", data, *words)
    assert done.returncode == 2
    assert problem in " ".join(done.stderr.replace("│", " ").split())


def test_a_bad_row_is_named_with_its_line(quick_cli, tmp_path):
    data = tmp_path / "zones.csv"
    data.write_text("power_w,time_s,long_mm\n60,8,19\n60,eight,19\n")
    done = quick_cli("calibrate", PROFILE, "--data", data)
    assert done.returncode == 2
    assert "line 3: time_s: 'eight' is not a number" in done.stderr
    data.write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8" in quick_cli("calibrate", PROFILE, "--data", data).stderr
    assert "there is no such file" in quick_cli("calibrate", PROFILE, "--data", tmp_path / "no.csv").stderr


def test_a_power_beyond_the_generator_names_the_setting(quick_cli, tmp_path):
    data = tmp_path / "zones.csv"
    data.write_text("power_w,time_s,use,long_mm\n6000,8,calibrate,19\n")
    done = quick_cli("calibrate", PROFILE, "--data", data, "--fit", COOLANT)
    assert done.returncode == 1
    assert "6000 W, 8 s" in done.stderr
    assert "above the limit of 200 W" in done.stderr


def test_match(quick_cli, slot, tmp_path):
    out = tmp_path / "matched.toml"
    done = quick_cli("match", slot, "--vary", "slot_bottom", "-o", out)
    assert done.returncode == 0, done.stderr
    before, after = map(float, re.search(r"S11 (-[\d.]+) dB before, (-[\d.]+) dB after", done.stdout).groups())
    tissue = Tissue.load("liver_human")
    assert before == pytest.approx(unheated_field(Device.load(slot), tissue).s11_db, abs=0.06)
    device = Device.load(out)
    assert after == pytest.approx(unheated_field(device, tissue).s11_db, abs=0.06)
    assert after < before - 3.0
    sourced = device.parameters["antenna.dimensions.slot_bottom"]
    assert 4e-3 <= sourced.value <= 12e-3
    assert sourced.status == "calculated"
    # No other height on a finer grid reflects markedly less.
    for shift in (-0.4e-3, 0.4e-3):
        moved = device.with_values({"antenna.dimensions.slot_bottom": min(max(sourced.value + shift, 4e-3), 12e-3)})
        assert unheated_field(moved, tissue).s11_db > after - 0.5


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([PROFILE, "--vary", COOLANT], "has no antenna to match"),
        (["mwa_slot_reference", "--vary", "slot_width"], "has no range to vary it in"),
        (["mwa_slot_reference", "--vary", "slot_with"], "did you mean 'slot_width'"),
        (["mwa_slot", "--vary", "slot_width"], "no device profile 'mwa_slot'"),
    ],
)
def test_matches_that_cannot_be(quick_cli, words, problem):
    done = quick_cli("match", *words)
    assert done.returncode == 2
    assert problem in " ".join(done.stderr.split())


def test_the_audit_of_a_protocol_that_the_tissue_decides(quick_cli, small, small_run, tmp_path):
    path = tmp_path / "case.toml"
    path.write_text(small.replace('mode = "power"', 'mode = "impedance"'))
    done = quick_cli("audit", path, "--volume", "1 mL")
    assert done.returncode == 2
    assert "give a finished run with --run" in done.stderr
    done = quick_cli("audit", path, "--volume", "1 mL", "--run", small_run.folder)
    assert f"{json.loads((small_run.folder / 'zone.json').read_text())['energy_balance']['in_j'] / 1e3:.2f} kJ" in (
        done.stdout
    )


def test_the_energy_of_a_microwave_run_is_all_there():
    case = Case.from_dict(
        {
            "device": {"profile": "mwa_he2010_cooled"},
            "protocol": [{"mode": "power", "power": "50 W", "duration": "20 s"}],
            "tissue": {"set": "liver_porcine_ex_vivo"},
            "zone": {"criterion": "isotherm", "isotherm_temperature": "45 degC", "cooling": "2 s"},
            "mesh": {"resolution": 3.0},
        }
    )
    result = simulate(case)
    found = audit(case, volume_ml=1.0, result=result)
    assert found.spent_j == pytest.approx(1000.0)
    assert found.model is not None
    parts = dict(found.model.parts)
    # At most seven parts below a thousandth are left out.
    assert sum(parts.values()) == pytest.approx(1000.0, abs=7.0)
    lost = sum(joules for name, joules in parts.items() if name.startswith(("reflected", "lost", "radiated")))
    assert found.model.absorbed_j + lost == pytest.approx(1000.0, abs=30.0)  # the rest heats antenna and shaft
    assert lost > 1000.0 * (1.0 - case.applicators[0].device.antenna.efficiency)
