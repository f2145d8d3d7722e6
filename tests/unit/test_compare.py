"""Comparison files and their problems, figures of a run, growth, outlines, spreads, and the page."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ablationsim
from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.errors import CaseError
from ablationsim.geometry.geometry import Geometry
from ablationsim.report.comparison import pictures, render
from ablationsim.report.comparison_figures import COLOURS, colour_of
from ablationsim.report.page import style
from ablationsim.study.compare.comparison import Comparison, Entry
from ablationsim.study.compare.console import tables
from ablationsim.study.compare.figures import Sink, figures
from ablationsim.study.compare.growth import Growth, growth
from ablationsim.study.compare.outline import outlines
from ablationsim.study.compare.runs import Role
from ablationsim.study.compare.settings import as_written
from ablationsim.study.compare.spread import read_spreads
from ablationsim.study.compare.study import ComparisonStudy
from ablationsim.study.compare.table import to_csv
from ablationsim.study.sweep.manifest import Manifest
from ablationsim.vasculature.build import vessels_of
from ablationsim.zone.toward import approaches, heated_axis

NOTICE = "Research use only. Not a medical device."
STUDY = """
[comparison]
times = ["3 min", "5 min"]
short_axis = ["20 mm", "30 mm"]
[[device]]
name = "One <b>& only"
profile = "mwa_emprint_13g_like"
powers = ["60 W"]
[[device]]
profile = "rfa_cooltip_17g_2cm_like"
[[tissue]]
set = "liver_porcine_ex_vivo"
temperature = "21 degC"
[[tissue]]
set = "liver_human"
[heat_sink]
diameter = "4 mm"
distance = "8 mm"
[zone]
contraction = "12 %"
[mesh]
resolution = 3
"""
SPREADS = """arm,group,device,frame,quantity,unit,source,samples,mean,sd,p5,p95,variation
60 W,,mwa_emprint_13g_like,contracted,volume_ml,mL,runs,64,10.5,1.5,8,13,0.1429
60 W,,mwa_emprint_13g_like,contracted,sphericity_axes,,runs,64,0.9,,,,
60 W,,mwa_emprint_13g_like,contracted,margin_mm,mm,runs,64,3,1,2,4,0.3
60 W,,mwa_amica_14g_like,contracted,volume_ml,mL,runs,64,20.5,1.5,8,13,0.1
"""


def loaded(folder, text=STUDY):
    path = folder / "devices.toml"
    path.write_text(text)
    return ComparisonStudy.load(path)


def problems(folder, text):
    with pytest.raises(CaseError) as caught:
        loaded(folder, text)
    return caught.value.problems


# -- the file ------------------------------------------------------------------------------------------------------


def test_every_device_meets_every_power_time_and_tissue(tmp_path):
    study = loaded(tmp_path)
    assert [setting.label for setting in study.settings if setting.tissue_set == "liver_human"] == [
        "60 W, 3 min",
        "60 W, 5 min",
        "impedance 200 W, 12 min",
    ]
    assert len(study.settings) == 6
    assert len(study.planned) == 18
    assert {setting.series for setting in study.settings} == {"60 W", "impedance 200 W"}
    assert study.settings[0].time == 180.0
    assert study.settings[0].power == pytest.approx(60.0)


@pytest.mark.parametrize("name", Device.names())
def test_the_protocol_of_a_profile_is_written_as_in_a_case_file(name):
    device = Device.load(name)
    steps = [as_written(step) for step in device.default_protocol]
    case = Case.from_dict({"device": {"profile": name}, "protocol": steps, "tissue": {"set": "liver_porcine_ex_vivo"}})
    assert case.applicators[0].protocol == device.default_protocol


def test_powers_and_times_take_the_place_of_those_of_a_protocol(tmp_path):
    text = STUDY.replace(
        'profile = "rfa_cooltip_17g_2cm_like"',
        'profile = "rfa_cooltip_17g_2cm_like"\npowers = ["50 W", "70 W"]\ntimes = ["90 s"]\n'
        'protocol = [{ mode = "impedance", power = "1 W", duration = "1 s", pause = "10 s" }]',
    )
    study = loaded(tmp_path, text)
    found = [s for s in study.settings if s.profile.startswith("rfa") and s.tissue_set == "liver_human"]
    assert [s.label for s in found] == ["impedance 50 W, 90 s", "impedance 70 W, 90 s"]
    assert dict(found[1].protocol[0]) == {
        "mode": "impedance",
        "power": "70.0 W",
        "duration": "90.0 s",
        "pause": "10 s",
    }


def test_all_problems_are_said_at_once(tmp_path):
    text = """
    colour = "red"
    [comparison]
    frame = "shrunken"
    uncertainty = "nowhere"
    [[device]]
    profile = "mwa_emprint_13g_like"
    powers = ["60 W", "500 W"]
    times = ["3 min"]
    [[device]]
    profile = "mwa_emprint_13_like"
    [[device]]
    profile = "rfa_uniblate_like"
    times = ["3 min"]
    protocol = [{ mode = "off", duration = "1 s" }, { mode = "power", power = "10 W", duration = "1 s" }]
    [[device]]
    profile = "rfa_uniblate_like"
    power = "30 W"
    [[tissue]]
    set = "liver_porcine_ex_vivo"
    temperatur = "21 degC"
    [heat_sink]
    kind = "aorta"
    [mesh]
    resolution = 9
    """
    found = "\n".join(problems(tmp_path, text))
    for part in (
        "unknown key 'colour'",
        "comparison.frame: 'shrunken' is not a choice",
        "device[4]",
        "unknown key 'power' in device[4]; did you mean 'powers'?",
        "no device profile 'mwa_emprint_13_like'; did you mean 'mwa_emprint_13g_like'?",
        "device[3]: powers and times change a protocol of one step, and this one has 2",
        "500 W",
        "unknown key 'temperatur' in tissue; did you mean 'temperature'?",
        "heat_sink.kind: 'aorta' is not a choice",
        "mesh.resolution: 9 is outside 0.25 to 4",
    ):
        assert part in found
    # A problem of many runs is said once.
    assert found.count("did you mean 'temperature'?") == 1


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('times = ["3 min", "5 min"]', "", "device[1]: its powers need times"),
        ('powers = ["60 W"]', 'powers = ["60 W", "60000 mW"]', "is there twice"),
        ("[comparison]", "tissues = []\n[comparison]", "unknown key 'tissues'; did you mean 'tissue'?"),
        ('[heat_sink]\ndiameter = "4 mm"', '[heat_sink]\ndiameter = "4 W"', "heat_sink.diameter expects a length"),
        ("[comparison]", '[comparison]\nuncertainty = "nowhere"', "comparison.uncertainty"),
        ("[mesh]\nresolution = 3", "mesh = 3", "mesh"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, before, after, said):
    assert before in STUDY
    assert any(said in problem for problem in problems(tmp_path, STUDY.replace(before, after)))


def test_two_names_for_the_same_are_refused(tmp_path):
    text = STUDY + '[[device]]\nname = "Again"\nprofile = "rfa_cooltip_17g_2cm_like"\n'
    found = problems(tmp_path, text)
    assert len(found) == 2
    assert found[0].startswith("'Again, impedance 200 W, 12 min, liver_porcine_ex_vivo, 21 degC' has profile")


def test_without_a_device_or_a_tissue_nothing_is_compared(tmp_path):
    found = problems(tmp_path, "[comparison]\n")
    assert len(found) == 2
    assert "[[device]]" in found[0]
    assert "[[tissue]]" in found[1]


def test_the_standard_vessel_is_where_the_file_says(tmp_path):
    study = loaded(tmp_path)
    cases = [Case.from_dict(case) for _, case in study.study.cases()]
    for setting, run, case in zip(
        (study.settings[run.setting] for run in study.planned), study.planned, cases, strict=True
    ):
        assert bool(case.vessels) == (run.role is Role.WITH_VESSEL)
        assert case.mesh.resolution == (2.0 if run.role.vessel else 3.0)
        if not case.vessels:
            continue
        axis = heated_axis(Geometry.from_case(case).applicators[0])
        (vessel,) = vessels_of(case)
        (near,) = approaches(vessel, [axis], 30e-3)
        # A polygon stands for the circle.
        assert near.distance == pytest.approx(8e-3, abs=2e-5)
        assert vessel.branches[0].diameter == pytest.approx(4e-3, rel=1e-3)
        start = 294.15 if setting.tissue_set == "liver_porcine_ex_vivo" else 310.15
        assert case.vessels[0].temperature == pytest.approx(start)
        assert case.tissue.initial_temperature == pytest.approx(start)


def test_a_name_is_not_a_part_of_the_runs(tmp_path):
    first, renamed, longer = (
        {run.case for run in Manifest.of(loaded(tmp_path, text).study, {}).runs}
        for text in (STUDY, STUDY.replace("One <b>", "Another <b>"), STUDY.replace('"5 min"', '"6 min"'))
    )
    assert renamed == first
    assert len(longer & first) == 12


# -- a run ---------------------------------------------------------------------------------------------------------


def short_case(duration, cooling, contraction="12 %", power="60 W"):
    return Case.from_dict(
        {
            "device": {"profile": "rfa_cooltip_17g_2cm_like"},
            "protocol": [{"mode": "power", "power": power, "duration": f"{duration} s"}],
            "tissue": {"set": "liver_porcine_ex_vivo"},
            "zone": {"cooling": f"{cooling} s", "contraction": contraction},
            "mesh": {"resolution": 4.0},
        }
    )


@pytest.fixture(scope="module")
def heated():
    """A run of a minute and a half."""
    return ablationsim.simulate(short_case(90, 30))


def test_the_time_to_a_short_axis_is_that_of_a_run_stopped_then(heated):
    grown = growth(heated)
    assert grown.time_s[-1] == pytest.approx(90.0)
    assert grown.volume_ml[-1] < heated.zone.volume_ml
    for share in (0.7, 0.9):
        axis = share * float(grown.short_axis_mm[-1])
        time = grown.time_to(axis, "undeformed")
        stopped = ablationsim.simulate(short_case(time, 0))
        assert stopped.zone.short_axis_mm == pytest.approx(axis, abs=0.2)


def test_times_in_both_frames():
    grown = Growth(np.array([0.0, 10.0, 30.0]), np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 20.0]), 0.8)
    assert grown.time_to(15.0, "undeformed") == pytest.approx(20.0)
    assert grown.time_to(12.0, "contracted") == pytest.approx(20.0)
    assert grown.time_to(16.5, "contracted") is None
    assert grown.time_to(20.0, "undeformed") == pytest.approx(30.0)


def test_figures_are_those_of_the_run(heated):
    found, zone = figures(heated), heated.document
    bare, shrunk = found.sizes["undeformed"], found.sizes["contracted"]
    energy = float(np.diff(heated.history["time_s"], prepend=0.0) @ heated.history["power_w"])
    assert found.energy_j == pytest.approx(energy, rel=0.01)
    # All that a radiofrequency generator delivers is heat in the tissue.
    assert found.absorbed_j == found.energy_j
    assert bare.volume_ml == zone["volume_ml"]
    assert bare.ml_per_kj == pytest.approx(1e3 * zone["volume_ml"] / found.energy_j)
    assert bare.ratio == pytest.approx(zone["axial_length_mm"] / zone["transverse_diameter_mm"])
    assert bare.shape == "prolate"
    assert shrunk.volume_ml == pytest.approx(0.88**3 * bare.volume_ml)
    assert shrunk.ml_per_kj == pytest.approx(0.88**3 * bare.ml_per_kj)
    assert shrunk.sphericity_axes == pytest.approx(bare.sphericity_axes)
    assert found.contraction == "uniform, by 12 %"


def enclosed(segments):
    """Volume inside segments of an outline turned about the axis [mL]."""
    (r0, z0), (r1, z1) = segments[:, 0].T, segments[:, 1].T
    return 1e-3 * abs(float(np.sum(np.pi / 3 * (r0**2 + r0 * r1 + r1**2) * (z1 - z0))))


@pytest.mark.parametrize("contraction", ["12 %", "history"])
def test_outlines_enclose_the_zone(contraction):
    result = ablationsim.simulate(short_case(20, 5, contraction))
    found = outlines(result)
    assert enclosed(found["undeformed"]) == pytest.approx(result.document["enclosed_volume_ml"], rel=1e-6)
    assert enclosed(found["contracted"]) == pytest.approx(result.document["contracted"]["enclosed_volume_ml"], rel=1e-6)


def test_a_run_without_a_zone():
    result = ablationsim.simulate(short_case(1, 0, power="1 W"))
    assert result.zone.volume_ml == 0.0
    found = figures(result).sizes["contracted"]
    assert (found.shape, found.ratio, found.ml_per_kj) == ("no zone", None, 0.0)
    assert growth(result).time_to(1.0, "undeformed") is None
    assert outlines(result) is None


# -- what is written -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def comparison(tmp_path_factory, heated):
    """A comparison whose every run but one gave the same."""
    folder = tmp_path_factory.mktemp("comparison")
    (folder / "spread.csv").write_text(SPREADS)
    study = loaded(folder, STUDY.replace("[comparison]", '[comparison]\nuncertainty = "."'))
    sink = Sink({"undeformed": 8.0, "contracted": 6.0}, {"undeformed": 10.0, "contracted": 8.0}, 9.0, 12.0, 5.0)
    done = Entry(
        study.settings[0], folder / "runs" / "0001-abc", figures(heated), growth(heated), outlines(heated), sink, ""
    )
    entries = [replace(done, setting=setting) for setting in study.settings]
    entries[1] = Entry(study.settings[1], folder, None, None, None, None, "failed: <lost> in space")
    return Comparison(study, tuple(entries))


def test_what_the_vessel_takes_away(comparison):
    sink = comparison.entries[0].sink
    assert sink.lost_percent("undeformed") == pytest.approx(20.0)
    assert sink.lost_percent("contracted") == pytest.approx(25.0)
    assert sink.radius_percent == pytest.approx(75.0)


def test_the_longest_run_of_a_power_has_the_times(comparison):
    titles = [entry.setting.label for entry in comparison.longest if entry.setting.tissue_set == "liver_human"]
    assert titles == ["60 W, 5 min", "impedance 200 W, 12 min"]
    # The longer one of this power has not finished.
    assert comparison.longest[0].setting.label == "60 W, 3 min"
    assert comparison.times_to(comparison.entries[0], "undeformed")[1] is None


def test_the_table_has_a_row_a_setting_and_both_frames(comparison):
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison))))
    assert len(rows) == 6
    zone = comparison.entries[0].figures.sizes
    assert float(rows[0]["volume_ml"]) == pytest.approx(zone["undeformed"].volume_ml, rel=1e-5)
    assert float(rows[0]["contracted_volume_ml"]) == pytest.approx(zone["contracted"].volume_ml, rel=1e-5)
    assert float(rows[0]["contracted_lost_to_vessel_percent"]) == pytest.approx(25.0)
    assert rows[0]["time_to_30_mm_s"] == ""
    assert rows[1]["volume_ml"] == ""
    assert rows[1]["message"] == "failed: <lost> in space"


def test_what_is_printed_has_every_setting(comparison):
    found = dict(tables(comparison))
    assert [table.row_count for table in found.values()] == [6, 4, 6]


def test_the_page_is_self_contained_and_harmless(comparison):
    images = pictures(comparison)
    assert set(images) == {"comparison.png", "growth.png", "outlines.png"}
    assert all(content.startswith(b"\x89PNG") for content in images.values())
    page = render(comparison, images)
    assert NOTICE in page
    assert "One &lt;b&gt;&amp; only" in page
    assert "One <b>" not in page
    assert "failed: &lt;lost&gt; in space" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert style() in page
    assert page.count("Volume<br>mL") == 2
    assert "8.0 to 13.0 mL" in page
    assert "14.3 %" in page
    assert "a straight portal vein of 4 mm parallel to the shaft, its wall 8 mm" in page


def test_a_page_without_any_finished_run(comparison):
    entries = tuple(
        replace(entry, figures=None, growth=None, outlines=None, sink=None, trouble="waiting")
        for entry in comparison.entries
    )
    nothing = Comparison(comparison.study, entries)
    assert pictures(nothing) == {}
    assert render(nothing, {}).count("waiting") >= 6


def test_a_device_has_one_colour(comparison):
    assert colour_of(comparison, "One <b>& only") == COLOURS[0]
    assert colour_of(comparison, "rfa_cooltip_17g_2cm_like") == COLOURS[1]


# -- spreads -------------------------------------------------------------------------------------------------------


def test_spreads_of_the_compared_devices(tmp_path):
    (tmp_path / "spread.csv").write_text(SPREADS)
    volume, sphericity = read_spreads(tmp_path, {"mwa_emprint_13g_like"})
    assert (volume.quantity, volume.mean, volume.sd, volume.unit) == ("volume", 10.5, 1.5, "mL")
    assert volume.origin == "64 runs"
    assert sphericity.sd is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "columns arm, device"),
        (SPREADS.replace("mwa_emprint", "mwa_empress"), "it says nothing of mwa_emprint_13g_like; its devices are"),
        (SPREADS.replace("10.5", "ten"), "line 2"),
    ],
)
def test_what_is_wrong_with_spreads(tmp_path, text, said):
    (tmp_path / "spread.csv").write_text(text)
    with pytest.raises(CaseError, match=re.escape(said)):
        read_spreads(Path(tmp_path), {"mwa_emprint_13g_like"})
