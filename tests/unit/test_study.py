"""The energy audit, data sets, calibrations of a made-up model, and the writing of profiles."""

import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ablationsim.case import Case, ZoneSection
from ablationsim.device import Device
from ablationsim.errors import CaseError, DeviceError, GeometryError, Interrupted, SolverError
from ablationsim.simulate import simulate
from ablationsim.study import matching, prediction
from ablationsim.study.audit import audit, edge_temperature, energy_set, measured_volume
from ablationsim.study.calibrate import calibrate
from ablationsim.study.energy import model_energy, stored_inside
from ablationsim.study.measurements import Conditions, Mean, Measurements, Setting
from ablationsim.study.parameters import Change, parameters, write_profile
from ablationsim.study.prediction import Prediction, Task, case_of
from ablationsim.study.workers import workers
from ablationsim.tissue import Tissue
from ablationsim.units import ZERO_CELSIUS

ROOT = Path(__file__).parents[2]
PROFILE = "rfa_cooltip_17g_2cm_like"
COOLANT, WALL = "applicator.sections[1].coolant_temperature", "applicator.sections[2].wall_coefficient"


def a_case(*steps, measured=None, **zone):
    steps = steps or ({"mode": "power", "power": "80 W", "duration": "12 min"},)
    data = {
        "device": {"profile": PROFILE},
        "protocol": list(steps),
        "tissue": {"set": "liver_porcine_ex_vivo", "temperature": "21 degC"},
        "zone": zone,
    }
    return Case.from_dict(data if measured is None else {**data, "measured": {"source": "nobody", **measured}})


# -- audit ---------------------------------------------------------------------------------------------------------


def test_enthalpies_are_those_of_the_set():
    found = audit(a_case(criterion="isotherm", isotherm_temperature="60 degC"), volume_ml=58.0)
    wet, rise = 1079.0 * 3540.0, 1.17
    warm = wet * (65 - 21 + 0.5 * (1 + rise) * (83.5 - 65))
    # Latent heat over the whole band, rounded by 0.5 K; sensible capacity going over to that of dried tissue.
    tissue = a_case().tissue
    dry, rounding = tissue.value("dried_heat_capacity"), tissue.value("vaporisation_rounding")
    dried = warm + rise * wet * (98 - 83.5) + 0.5 * (rise * wet + dry) * 2 + dry * rounding
    joules = [need.joules_per_ml for need in found.needs]
    assert joules[0] == pytest.approx(1e-6 * wet * 39, rel=1e-12)
    assert joules[1] == pytest.approx(1e-6 * (warm + rise * wet * 16.5), rel=1e-12)
    assert joules[2] == pytest.approx(1e-6 * (dried + tissue.vaporisation_energy), rel=1e-12)


def test_shares_of_the_energy_spent():
    found = audit(a_case(contraction="12 %"), volume_ml=58.0)
    assert found.spent_j == pytest.approx(80 * 720)
    assert found.spent_per_ml == pytest.approx(80 * 720 / 58)
    assert found.spent_per_tissue_ml == pytest.approx(80 * 720 / 58 * 0.88**3)
    for need in found.needs:
        assert need.efficiency == pytest.approx(need.joules_per_ml * 58 / (80 * 720))
        assert need.efficiency_contracted == pytest.approx(need.efficiency / 0.88**3)


@pytest.mark.parametrize("frame", ["undeformed", "contracted"])
def test_both_readings_are_given_whatever_frame_a_case_compares_in(frame):
    measured = {"frame": frame, "volume": {"value": "20 mL"}}
    found = audit(a_case(contraction="12 %", measured=measured))
    assert (found.volume_ml, found.strain) == (pytest.approx(20.0), pytest.approx(0.12))
    assert all(need.efficiency_contracted == pytest.approx(need.efficiency / 0.88**3) for need in found.needs)


def test_the_reading_says_that_a_zone_cannot_be():
    case = a_case({"mode": "power", "power": "10 W", "duration": "60 s"})
    assert "cannot be" in audit(case, volume_ml=20.0).reading()
    assert "cannot be" not in audit(case, volume_ml=1.0).reading()


@pytest.mark.parametrize(
    ("step", "joules"),
    [
        ({"mode": "power", "power": "80 W", "duration": "12 min"}, 57600.0),
        ({"mode": "power", "power": "80 W", "duration": "12 min", "rise": "20 ohm"}, None),
        ({"mode": "pulsed", "power": "60 W", "on": "10 s", "off": "5 s", "duration": "40 s"}, 60.0 * 30),
        ({"mode": "pulsed", "power": "60 W", "on": "10 s", "off": "5 s", "duration": "44 s"}, 60.0 * 30),
        ({"mode": "pulsed", "power": "60 W", "on": "10 s", "off": "5 s", "duration": "32 s"}, 60.0 * 22),
        ({"mode": "off", "duration": "60 s"}, 0.0),
        ({"mode": "impedance", "power": "200 W", "duration": "12 min"}, None),
        ({"mode": "current", "current": "1 A", "duration": "12 min"}, None),
    ],
)
def test_energy_that_the_protocol_fixes(step, joules):
    assert energy_set(a_case(step)) == (None if joules is None else pytest.approx(joules))


def test_energy_of_repeated_protocols_adds_up():
    case = a_case({"mode": "power", "power": "50 W", "duration": "10 s"}, {"mode": "off", "duration": "5 s"})
    placed = replace(case.applicators[0], repeat=3)
    assert energy_set(replace(case, applicators=(placed, placed))) == pytest.approx(2 * 3 * 500)


def test_an_energy_that_only_a_run_knows():
    case = a_case({"mode": "impedance", "power": "200 W", "duration": "12 min"})
    with pytest.raises(CaseError, match="--run"):
        audit(case, volume_ml=20.0)


@pytest.mark.parametrize(
    ("measured", "volume", "origin"),
    [
        ({"volume": {"value": "58 mL"}, "long_axis": {"value": "1 mm"}}, 58.0, "measured"),
        (
            {"long_axis": {"value": "59 mm"}, "short_axis": {"value": "43 mm"}},
            math.pi / 6 * 59 * 43**2 / 1e3,
            "59 × 43 × 43 mm",
        ),
        (
            {"axial_length": {"value": "30 mm"}, "transverse_diameter": {"value": "40 mm"}},
            math.pi / 6 * 30 * 40**2 / 1e3,
            "30 × 40 × 40 mm",
        ),
    ],
)
def test_measured_volume(measured, volume, origin):
    found, text = measured_volume(a_case(measured=measured).measured)
    assert found == pytest.approx(volume)
    assert origin in text


@pytest.mark.parametrize("measured", [None, {"long_axis": {"value": "59 mm"}}])
def test_without_a_measured_volume_there_is_no_audit(measured):
    with pytest.raises(CaseError, match="give --volume"):
        audit(a_case(measured=measured))


@pytest.mark.parametrize("volume", [0.0, -1.0, math.nan])
def test_a_volume_is_positive(volume):
    with pytest.raises(CaseError, match="above 0 mL"):
        audit(a_case(), volume_ml=volume)


def test_temperature_at_the_edge():
    # A exp(-Ea / R T) t = 1 and R^(43 - T) t = 240 min, solved by hand.
    whitening = 2.769e5 / 8.314462618 / math.log(5.51e41 * 720)
    assert edge_temperature(ZoneSection(), 720.0) == pytest.approx(whitening, abs=1e-4)
    dose = 43 + math.log2(240 / 12) + ZERO_CELSIUS
    assert edge_temperature(ZoneSection(criterion="cem43"), 720.0) == pytest.approx(dose, abs=1e-4)
    isotherm = ZoneSection(criterion="isotherm", isotherm_temperature="57 degC")
    assert edge_temperature(isotherm, 1.0) == pytest.approx(57 + ZERO_CELSIUS, abs=1e-4)
    assert edge_temperature(ZoneSection(criterion="three_state"), 1.0) == pytest.approx(100 + ZERO_CELSIUS)


def test_heat_inside_the_zone(small_run, small):
    stored = small_run.document["energy_balance"]["stored_j"]
    assert 0.0 < stored_inside(small_run) < stored
    # After a minute nothing of the vapour is on its way any more.
    result = simulate(Case.from_dict({**tomllib.loads(small), "zone": {"cooling": "60 s"}}))
    assert 0.1 < result.fields["lost_water"].max() <= 1.0
    everywhere = replace(result, fields={**result.fields, "level": np.ones(len(result.mesh.points))})
    # The run sums the same enthalpies, but at temperatures that were not yet rounded to single precision.
    rounding = 294.15 * 2.0**-24 * 1079 * 3540 * result.mesh.cell_volumes().sum()
    stored = result.document["energy_balance"]["stored_j"]
    assert stored_inside(everywhere) == pytest.approx(stored, abs=rounding)


def test_the_energy_of_a_run_is_all_there(small_run):
    model = model_energy(small_run, small_run.document["energy_balance"]["in_j"])
    assert model.absorbed_j == pytest.approx(300.0, rel=1e-6)
    assert model.absorbed_per_ml == pytest.approx(model.absorbed_j / small_run.zone.volume_ml)
    # Parts below a thousandth are not listed.
    assert sum(joules for _, joules in model.parts) == pytest.approx(model.absorbed_j, rel=5e-3)
    found = audit(small_run.case, volume_ml=1.0, result=small_run)
    assert f"{100 * model.inside_share:.0f} % of what the tissue takes up" in found.reading()


# -- measurements --------------------------------------------------------------------------------------------------


def read(tmp_path, text, device=PROFILE, **conditions):
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    return Measurements.read(path, device, Conditions(**conditions))


def test_rows_of_a_data_set(tmp_path):
    data = read(
        tmp_path,
        "power_w,time_s,use,long_mm,long_sd,short_mm,start_c,edge,source\n"
        "30,360,calibrate,38,2,24,,,Nobody 2010\n"
        "50, 600,,50,,37,25,55 degC,Nobody 2010\n",
        start=290.0,
    )
    first, second = data.settings
    assert data.name == "Nobody 2010"
    assert (first.line, first.name, first.power, first.time, first.calibrated) == (2, "30 W, 360 s", 30.0, 360.0, True)
    assert (first.measured["long_mm"].value, first.measured["long_mm"].sd) == (38.0, 2.0)
    assert first.measured["short_mm"].sd is None
    assert first.conditions == Conditions(start=290.0)
    assert (second.calibrated, second.conditions.start) == (False, pytest.approx(25 + ZERO_CELSIUS))
    assert second.conditions.zone() == {
        "criterion": "isotherm",
        "isotherm_temperature": "55 degC",
    }
    assert Conditions(contraction="12 %").zone()["contraction"] == "12 %"
    assert data.calibrating == (first,)


def test_means_of_a_group_and_rows_of_other_devices(tmp_path):
    data = read(
        tmp_path,
        "device,group,use,power_w,time_s,volume_ml,sphericity\n"
        f"{PROFILE},g,,60,180,,\n{PROFILE},g,,60,300,,\n{PROFILE},g,calibrate,,,11.1,0.89\nother,g,calibrate,1,1,x,\n",
    )
    assert [setting.time for setting in data.settings] == [180.0, 300.0]
    (mean,) = data.means
    assert isinstance(mean, Mean)
    assert (mean.name, mean.group, mean.line) == ("mean of g", "g", 4)
    assert {key: found.value for key, found in mean.measured.items()} == {"volume_ml": 11.1, "sphericity": 0.89}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("power_w,time_s,lenght_mm\n1,1,1\n", "unknown column 'lenght_mm'"),
        ("power_w,long_mm\n1,1\n", "column time_s is missing"),
        ("power_w,time_s\n30,abc\n", "line 2: time_s: 'abc' is not a number"),
        ("power_w,time_s\n30,60\n-30,60\n", "line 3: power_w: -30 must be above 0"),
        ("power_w,time_s\n30,inf\n", "line 2: time_s: 'inf' is not a number"),
        ("power_w,time_s,long_mm,long_sd\n30,60,40,0\n", "line 2: long_sd: 0 must be above 0"),
        ("power_w,time_s,long_mm,long_sd\n30,60,,2\n", "line 2: long_sd is given without long_mm"),
        ("power_w,time_s,use,long_mm\n30,60,calibrat,40\n", "line 2: use: 'calibrat' is not a choice; did you mean"),
        ("power_w,time_s,use,long_mm\n30,60,calibrate,\n", "line 2: nothing was measured that could calibrate"),
        ("power_w,time_s,long_mm\n30,,40\n", "line 2: power_w and time_s belong together"),
        ("power_w,time_s,long_mm\n,,40\n", "line 2: power_w and time_s are empty"),
        ("power_w,time_s,sphericity\n30,60,1.04\n", "line 2: sphericity: 1.04 is above 1"),
        ("power_w,time_s,start_c\n30,60,90\n", "line 2: initial_temperature: 90 degC is outside"),
        ("power_w,time_s,edge\n30,60,brown\n", "line 2: edge: 'brown' is neither"),
        ("power_w,time_s,tissue\n30,60,liver_human_x\n", "did you mean 'liver_human'"),
        ("power_w,time_s,aspect\n30,60,x\n", "line 2: aspect: 'x' is not a number"),
        ("power_w,time_s,isoperimetric\n30,60,1.2\n", "line 2: isoperimetric: 1.2 is above 1"),
        ("power_w,time_s,use,stop_s\n30,60,calibrate,50\n", "line 2: nothing was measured that could calibrate"),
        ("power_w,time_s,read\n30,60,tabel\n", "line 2: read: 'tabel' is not a choice; did you mean 'table'"),
        ("power_w,time_s,case\n,,none.toml\n", "line 2: case none.toml: there is no such file"),
        ("power_w,time_s,case\n,,../a.toml\n", "line 2: case: '../a.toml' has to be the name of a file"),
        ("power_w,time_s,frame\n30,60,shrunk\n", "line 2: frame: 'shrunk' is not a choice"),
        ("power_w,time_s\n30,60,70\n", "line 2: it has more cells than the header has columns"),
        ("power_w,time_s,group,volume_ml\n30,60,a,\n,,b,20\n", "line 3: no setting belongs to the group 'b'"),
        ("power_w,time_s,group,volume_ml\n30,60,a,\n,,a,20\n,,a,21\n", "line 4: the group 'a' has its means twice"),
        ("power_w,time_s,group,start_c\n30,60,a,20\n30,70,a,21\n", "line 3: start_c, edge, tissue or frame differ"),
        ("device,power_w,time_s\nother,30,60\n", f"no row belongs to the device '{PROFILE}'"),
        ("power_w,time_s\n", f"no row belongs to the device '{PROFILE}'"),
        ("", "column power_w is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, problem):
    with pytest.raises(CaseError) as caught:
        read(tmp_path, text)
    assert any(problem in found for found in caught.value.problems), caught.value.problems


def test_means_that_calibrate_and_means_that_do_not(tmp_path):
    rows = "60,60,g,,,\n,,g,calibrate,20,\n,,g,,,0.6\n"
    data = read(tmp_path, f"power_w,time_s,group,use,volume_ml,sphericity\n{rows}")
    assert [(mean.calibrated, *mean.measured) for mean in data.means] == [(True, "volume_ml"), (False, "sphericity")]


def test_a_case_runs_the_device_of_its_row(tmp_path):
    (tmp_path / "own.toml").write_text((ROOT / "validation/ji_2011/rfa_control.toml").read_text(encoding="utf-8"))
    with pytest.raises(CaseError, match=r"line 2: case own\.toml: it runs rfa_cooltip_17g_3cm_like, and the row names"):
        read(tmp_path, "case\nown.toml\n")
    (setting,) = read(tmp_path, "case,n\nown.toml,6\n", device="rfa_cooltip_17g_3cm_like").settings
    assert (setting.case, setting.name, setting.n) == (tmp_path / "own.toml", "own", "6")
    assert math.isnan(setting.power)


def test_every_problem_is_found(tmp_path):
    with pytest.raises(CaseError) as caught:
        read(tmp_path, "power_w,time_s,long_mm\nx,60,y\n30,60,\n30,-1,\n")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["line 2", "line 2", "line 4"]


@pytest.mark.parametrize("paper", ["he_2010", "ji_2011", "hendriks_2021", "amabile"])
def test_shipped_data_sets_are_sound(paper):
    path = ROOT / "validation" / paper / "measured.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("device,")
    for device in sorted({line.split(",")[0] for line in lines[1:]}):
        data = Measurements.read(path, device)
        assert len(data.calibrating) <= 2
        constant = [setting for setting in data.settings if setting.case is None]
        assert all(setting.power <= 200 and setting.time <= 1800 for setting in constant)


def test_he_is_complete():
    path = ROOT / "validation" / "he_2010" / "measured.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    devices = sorted({line.split(",")[0] for line in lines[1:]})
    sizes = [len(Measurements.read(path, device).settings) for device in devices]
    assert sizes == [12, 6]


# -- prediction ----------------------------------------------------------------------------------------------------


def sizes(long, short, volume):
    """What a prediction takes from the zone in one frame."""
    return {
        "axial_length_mm": long,
        "transverse_diameter_mm": short,
        "volume_ml": volume,
        "sphericity_axes": min(long, short) / max(long, short) if long else None,
        "sphericity_isoperimetric": 0.9 if long else None,
        "beyond_tip_mm": 5.0 if long else None,
    }


def zone_document(long, short, volume, contracted=None):
    """What a prediction takes from zone.json."""
    zone = sizes(long, short, volume)
    rest = {"energy_balance": {"in_j": 18e3}, "power_off_s": 600.0}
    return {**zone, "contracted": contracted or zone, **rest}


def a_setting(**changes):
    setting = Setting(2, "30 W, 60 s", 30.0, 60.0, True, "", {}, Conditions(start=300.0, edge="cem43"))
    return replace(setting, **changes)


def test_the_case_of_a_setting():
    device = Device.load(PROFILE).with_values({COOLANT: 290.0})
    case = case_of(Task(PROFILE, device, a_setting(), 2.5))
    (placed,) = case.applicators
    assert placed.device.parameters[COOLANT].value == 290.0
    assert placed.device.applicator.sections[0].coolant_temperature == 290.0
    (step,) = placed.protocol
    assert (step.mode, step.power, step.duration) == ("power", 30.0, 60.0)
    assert case.tissue.initial_temperature == 300.0
    assert (case.zone.criterion, case.mesh.resolution) == ("cem43", 2.5)
    assert case.zone.contraction == ZoneSection().contraction


def test_a_case_of_its_own_takes_the_conditions_of_the_setting():
    path = ROOT / "validation" / "ji_2011" / "rfa_control.toml"
    conditions = Conditions(start=295.0, edge="60 degC", contraction="10 %")
    device = Device.load("rfa_cooltip_17g_3cm_like")
    own, case = Case.load(path), case_of(Task(device.name, device, a_setting(case=path, conditions=conditions), 2.0))
    assert case.tissue.initial_temperature == 295.0
    assert (case.zone.criterion, case.zone.isotherm_temperature) == ("isotherm", 60.0 + ZERO_CELSIUS)
    assert case.zone.contraction == pytest.approx(0.10)
    assert (case.zone.cooling, case.probes, case.domain) == (own.zone.cooling, own.probes, own.domain)
    assert case.applicators[0].protocol == own.applicators[0].protocol
    assert case.mesh.resolution == 2.0 * own.mesh.resolution
    kept = case_of(Task(device.name, device, a_setting(case=path, conditions=Conditions()), 1.0))
    assert kept.tissue.initial_temperature == own.tissue.initial_temperature
    assert kept.zone.contraction == ZoneSection().contraction


def test_a_failing_run_names_its_setting():
    task = Task(PROFILE, Device.load(PROFILE), a_setting(power=1e6), 2.5)
    with pytest.raises(SolverError, match=r"30 W, 60 s with rfa_cooltip_17g_2cm_like: (.|\n)*above the limit of 200 W"):
        prediction.predict(task)


def test_a_stopped_run_stays_a_stopped_run(monkeypatch):
    def stopped(case):
        raise Interrupted("stopped")

    monkeypatch.setattr(prediction, "simulate", stopped)
    with pytest.raises(Interrupted):
        prediction.predict(Task(PROFILE, Device.load(PROFILE), a_setting(), 2.5))


def test_frames_of_a_prediction(monkeypatch):
    document = zone_document(40.0, 50.0, 30.0, contracted=sizes(20.0, 25.0, 3.75))
    monkeypatch.setattr(prediction, "simulate", lambda case: SimpleNamespace(document=document))
    device = Device.load(PROFILE)
    contracted = prediction.predict(Task(PROFILE, device, a_setting(), 2.0))
    undeformed = prediction.predict(Task(PROFILE, device, a_setting(conditions=Conditions(frame="undeformed")), 2.0))
    assert (contracted.long_mm, undeformed.long_mm) == (20.0, 40.0)
    assert undeformed.ratio == pytest.approx(0.8)  # below 1: oblate


def test_no_zone_is_a_prediction_too():
    none = zone_document(None, None, 0.0)
    assert Prediction.of(none) == Prediction(0.0, 0.0, 0.0, 0.0, energy_kj=18.0, stop_s=600.0)
    assert Prediction.of(none).ratio == Prediction.of(none).aspect == 0.0


# -- calibration ---------------------------------------------------------------------------------------------------


def made_up(case):
    """A model whose zone depends on two numbers of the device, not linearly."""
    (placed,) = case.applicators
    sections = placed.device.applicator.sections
    coolant, wall = sections[0].coolant_temperature - ZERO_CELSIUS, sections[1].wall_coefficient
    step = placed.protocol[0]
    long = 20.0 + 0.2 * step.power + 0.01 * step.duration + 0.3 * coolant
    short = 10.0 + 0.3 * step.power + 0.004 * wall + 1e-4 * coolant**2
    volume = math.pi / 6 * long * short**2 / 1e3
    return SimpleNamespace(document=zone_document(long, short, volume))


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(prediction, "simulate", made_up)


def a_zone(power, time, coolant, wall):
    device = Device.load(PROFILE).with_values({COOLANT: coolant + ZERO_CELSIUS, WALL: wall})
    task = Task(PROFILE, device, a_setting(power=power, time=time, conditions=Conditions()), 1.0)
    return Prediction.of(made_up(case_of(task)).document)


def test_two_numbers_are_found(model, tmp_path):
    first, second = a_zone(30, 360, 11.0, 2000.0), a_zone(50, 600, 11.0, 2000.0)
    data = read(
        tmp_path,
        "power_w,time_s,use,long_mm,short_mm\n"
        f"30,360,calibrate,{first.long_mm!r},{first.short_mm!r}\n50,600,predict,{second.long_mm + 3!r},\n",
    )
    found = calibrate(PROFILE, data, [COOLANT, WALL])
    coolant, wall = (change.value for change in found.changes)
    assert coolant - ZERO_CELSIUS == pytest.approx(11.0, abs=0.02)
    assert wall == pytest.approx(2000.0, rel=2e-3)
    assert found.rms < 0.02
    assert found.device.parameters[WALL].value == wall
    rows = {(row.setting, row.quantity): row for row in found.rows}
    held_out = rows["50 W, 600 s", "length"]
    assert held_out.difference == pytest.approx(-3.0, abs=0.05)  # predicted, not fitted
    assert not held_out.calibrated
    assert rows["30 W, 360 s", "length"].calibrated
    assert rows["50 W, 600 s", "diameter"].measured is None
    ratio = rows["30 W, 360 s", "length / diameter"]
    assert ratio.predicted == pytest.approx(first.long_mm / first.short_mm, rel=1e-2)
    assert not ratio.calibrated


def test_a_mean_over_settings_calibrates(model, tmp_path):
    zones = [a_zone(power, time, 8.0, 1500.0) for power in (60, 80) for time in (180, 300)]
    volume = float(np.mean([zone.volume_ml for zone in zones]))
    sphericity = float(np.mean([zone.sphericity for zone in zones]))
    rows = "".join(f"g,,{power},{time},,\n" for power in (60, 80) for time in (180, 300))
    data = read(
        tmp_path,
        f"group,use,power_w,time_s,volume_ml,sphericity\n{rows}g,calibrate,,,{volume!r},{sphericity!r}\n",
    )
    found = calibrate(PROFILE, data, [COOLANT, WALL])
    assert found.changes[0].value - ZERO_CELSIUS == pytest.approx(8.0, abs=0.1)
    assert found.changes[1].value == pytest.approx(1500.0, rel=1e-2)
    (mean,) = [row for row in found.rows if row.setting == "mean of g" and row.quantity == "volume"]
    assert mean.calibrated
    assert mean.predicted == pytest.approx(volume, rel=2e-3)


def test_numbers_stay_in_their_range(model, tmp_path):
    far = a_zone(30, 360, 25.0, 100.0).long_mm + 40.0
    data = read(tmp_path, f"power_w,time_s,use,long_mm\n30,360,calibrate,{far}\n")
    found = calibrate(PROFILE, data, [COOLANT])
    (change,) = found.changes
    assert change.value - ZERO_CELSIUS == pytest.approx(25.0, abs=0.02)
    assert "at the limit of its range" in change.source


def test_standard_deviations_weigh(model, tmp_path):
    """Two contradicting lengths of one setting: the mean with weights 1 / sd^2."""
    length = a_zone(30, 360, 15.0, 100.0).long_mm
    rows = f"30,360,calibrate,{length + 1},1\n30,360,calibrate,{length - 1},2\n"
    data = read(tmp_path, f"power_w,time_s,use,long_mm,long_sd\n{rows}")
    (change,) = calibrate(PROFILE, data, [COOLANT]).changes
    assert change.value - ZERO_CELSIUS == pytest.approx(15.0 + (1.0 - 0.25) / 1.25 / 0.3, abs=0.02)


def test_the_same_input_gives_the_same_profile(model, tmp_path):
    data = read(tmp_path, "power_w,time_s,use,long_mm,short_mm,source\n30,360,calibrate,36.7,31.2,Nobody 2010\n")
    texts = []
    for name in ("one.toml", "two.toml"):
        calibrate(PROFILE, data, ["applicator.sections[1].coolant_temperature", WALL]).write(
            Device.file(PROFILE), tmp_path / name
        )
        texts.append((tmp_path / name).read_text(encoding="utf-8"))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([], "at least 1 and at most 2 numbers"),
        (["a", "b", "c"], "at least 1 and at most 2 numbers"),
        (["wall_coeficient"], "has no number 'wall_coeficient'; did you mean 'wall_coefficient'"),
        (["wall_coefficient"], "stands for several numbers"),
        (["diameter"], "has no range to vary it in"),
        ([WALL, WALL], "the same number is named twice"),
    ],
)
def test_numbers_that_cannot_be_fitted(names, problem):
    with pytest.raises(DeviceError, match=problem):
        parameters(Device.load(PROFILE), names)


def test_fewer_measurements_than_numbers(model, tmp_path):
    data = read(tmp_path, "power_w,time_s,use,long_mm\n30,360,calibrate,36\n")
    with pytest.raises(CaseError, match="2 numbers cannot be fitted to 1 measured"):
        calibrate(PROFILE, data, [COOLANT, WALL])


# -- profiles ------------------------------------------------------------------------------------------------------

COMMENTED = """\
# A profile of one's own.
title = "Needle"   # short
[applicator]
length = { value = "30 mm", status = "published", verified = true, source = "trujillo2016", range = ["20 mm", "40 mm"] } # by hand
[[applicator.sections]]
name = "tip"
[[applicator.sections]]
gap = { value = "1 mm", status = "assumed", source = "a guess", range = ["1 mm", "2 mm"], range_source = "another guess" }
"""  # noqa: E501


def test_a_written_profile_differs_in_the_number_alone(tmp_path):
    path, out = tmp_path / "mine.toml", tmp_path / "out.toml"
    path.write_text(COMMENTED)
    base = parameters(Device.load(PROFILE), [COOLANT])[0]

    def parameter(place, value, low, high):
        sourced = replace(base.sourced, dimension="length", value=value, range=(low, high))
        return replace(base, place=place, sourced=sourced)

    changes = [
        Change(parameter("applicator.length", 0.03, 0.02, 0.04), 0.0234567, "calibrated", "fitted to something"),
        Change(parameter("applicator.sections[2].gap", 0.001, 0.001, 0.002), 0.002, "calculated", "matched to it"),
    ]
    write_profile(path, out, changes)
    before, after = tomllib.loads(COMMENTED), tomllib.loads(out.read_text())
    assert after["applicator"]["length"] == {
        "value": "23.46 mm",
        "status": "calibrated",
        "verified": False,
        "source": "fitted to something",
        "range": ["20 mm", "40 mm"],
        "range_source": "trujillo2016",  # or the range would seem to come from the fit
    }
    assert after["applicator"]["sections"][1]["gap"]["range_source"] == "another guess"
    assert after["applicator"]["sections"][1]["gap"]["value"] == "2 mm"
    assert after["title"] == before["title"]
    for comment in ("# A profile of one's own.", "# short", "# by hand"):
        assert comment in out.read_text()


def test_a_calibrated_profile_loads(model, tmp_path):
    data = read(tmp_path, "power_w,time_s,use,long_mm,short_mm,source\n30,360,calibrate,36.7,31.2,Nobody 2010\n")
    found = calibrate(PROFILE, data, [COOLANT, WALL])
    path = tmp_path / "mine.toml"
    found.write(Device.file(PROFILE), path)
    device = Device.load(path)
    for change in found.changes:
        sourced = device.parameters[change.parameter.place]
        assert sourced.value == change.value  # as it was predicted with
        assert (sourced.status, sourced.verified) == ("calibrated", False)
        assert "Nobody 2010, 30 W, 360 s" in sourced.source
        assert "start 21 degC, edge whitening" in sourced.source
        assert sourced.range == change.parameter.range
    assert "together with" in found.changes[0].source


def test_a_limit_that_no_four_digits_can_write():
    base = parameters(Device.load(PROFILE), [WALL])[0]
    narrow = replace(base, sourced=replace(base.sourced, value=100.0, range=(0.0, 1234.44)))
    assert narrow.rounded(1e9) == 1234.0  # inside
    narrow = replace(base, sourced=replace(base.sourced, value=100.0, range=(0.0, 1234.56)))
    assert narrow.rounded(1e9) == 1234.56  # 1235 would leave the range


# -- workers -------------------------------------------------------------------------------------------------------


def test_the_order_of_answers_does_not_depend_on_the_jobs():
    for jobs in (1, 2):
        with workers(jobs) as apply:
            assert apply(math.sqrt, [4.0, 9.0, 16.0]) == [2.0, 3.0, 4.0]


def test_workers_have_one_thread_and_leave_the_environment(monkeypatch):
    import os

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with workers(2) as apply:
        assert apply(os.getenv, ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"]) == ["1", "1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


# -- matching ------------------------------------------------------------------------------------------------------

ANTENNA = "mwa_slot_reference"


@pytest.fixture
def slot(tmp_path):
    """The reference antenna with a range on two of its dimensions."""
    text = Device.file(ANTENNA).read_text(encoding="utf-8")
    for name, low, high in (("slot_bottom", 3, 12), ("slot_width", 0.5, 4)):
        text, count = re.subn(rf"(?m)^({name} = \{{.*)\}}", rf'\1, range = ["{low} mm", "{high} mm"] }}', text)
        assert count == 1
    path = tmp_path / "slot.toml"
    path.write_text(text, encoding="utf-8")
    return path


def bowl(device, tissue):
    """Least reflection at a slot of 2 mm that begins at 7.3 mm; too high a slot cannot be meshed."""
    sizes = device.antenna.dimensions
    if sizes["slot_bottom"] > 0.011:
        raise GeometryError("the slot leaves the line")
    away = (1e3 * sizes["slot_bottom"] - 7.3) ** 2 + (1e3 * sizes["slot_width"] - 2.0) ** 2
    reflected = 0.01 + 0.01 * away
    return SimpleNamespace(reflected=reflected, s11_db=10 * math.log10(reflected))


def test_the_least_reflection_is_found(monkeypatch, slot):
    monkeypatch.setattr(matching, "unheated_field", bowl)
    told = []
    found = matching.match(str(slot), ["slot_bottom", "slot_width"], Tissue.load("liver_human"), told=told.append)
    assert [change.value for change in found.changes] == pytest.approx([7.3e-3, 2.0e-3], abs=0.1e-3)
    assert found.before_db == pytest.approx(10 * math.log10(0.01 + 0.01 * (1.3**2 + 1.0)))
    assert found.after_db == pytest.approx(-20.0, abs=0.1)
    assert len(told) == 1
    found.write(slot, slot.with_name("matched.toml"))
    sourced = Device.load(slot.with_name("matched.toml")).parameters["antenna.dimensions.slot_bottom"]
    assert (sourced.value, sourced.status) == (found.changes[0].value, "calculated")
    assert "together with antenna.dimensions.slot_width in unheated tissue (liver_human, 37 degC) at" in sourced.source


def test_only_antennas_are_matched():
    with pytest.raises(DeviceError, match="has no antenna"):
        matching.match(PROFILE, [COOLANT], Tissue.load("liver_human"))
