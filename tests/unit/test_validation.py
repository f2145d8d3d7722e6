"""Publications, comparisons, statistics and targets of a validation, and its pages."""

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest

from ablationsim.errors import CaseError
from ablationsim.report.validation import write_pages
from ablationsim.report.validation_figures import bland_altman, courses, parity
from ablationsim.report.validation_text import markdown
from ablationsim.study.conditions import Conditions
from ablationsim.study.measurements import Measurements
from ablationsim.study.validation import answers as keeping
from ablationsim.study.validation.answers import Answer, Job, Reading, program
from ablationsim.study.validation.comparison import Row, Subject, rows
from ablationsim.study.validation.paper import Paper, conditions_beside, names, papers
from ablationsim.study.validation.run import Validation, validate
from ablationsim.study.validation.statistics import of_kind, statistics
from ablationsim.study.validation.table import csv_text, explained, groups, number
from ablationsim.study.validation.targets import outcomes
from ablationsim.units import ZERO_CELSIUS

RFA = "rfa_cooltip_17g_2cm_like"
SUBJECT = Subject("nobody_2010", RFA, "Needle", "rfa", fitted=True, perfused=False)


def zone(long, short, volume):
    return {
        "axial_length_mm": long,
        "transverse_diameter_mm": short,
        "volume_ml": volume,
        "sphericity_axes": min(long, short) / max(long, short),
        "sphericity_isoperimetric": 0.9,
        "beyond_tip_mm": 5.0,
    }


def answer(long, short, volume, readings=()):
    """A run whose contracted zone is 10 % smaller than the other, and whose isotherms are 2 mm off."""
    both = {
        "50": zone(long + 2.0, short + 2.0, volume + 2.0),
        "60": zone(long - 2.0, short - 2.0, volume - 2.0),
    }
    shrunk = {"strain": 0.1, **zone(0.9 * long, 0.9 * short, 0.729 * volume), "isotherms": both}
    document = {**zone(long, short, volume), "isotherms": both, "contracted": shrunk}
    return Answer({**document, "energy_balance": {"in_j": 30e3}, "power_off_s": 600.0}, tuple(readings))


def data(tmp_path, text, **conditions):
    path = tmp_path / "measured.csv"
    path.write_text(text, encoding="utf-8")
    return Measurements.read(path, RFA, Conditions(**conditions))


def row(quantity="length", measured=40.0, predicted=42.0, **changes):
    subject = replace(SUBJECT, **{key: changes.pop(key) for key in ("modality", "perfused", "paper") if key in changes})
    base = Row(
        subject=subject,
        setting="60 W, 600 s",
        quantity=quantity,
        place="",
        measured=measured,
        sd=None,
        predicted=predicted,
        calibrated=False,
        frame="contracted",
        contracted=predicted,
        undeformed=None if predicted is None else predicted + 4.0,
        uniform=None if predicted is None else predicted - 1.0,
        power=60.0,
        time=600.0,
    )
    return replace(base, **changes)


# -- publications --------------------------------------------------------------------------------------------------

PAPER = """
title = "Nobody 2010"
citation = "Nobody, Journal 2010"
[conditions]
start = "22 degC"
start_bounds = ["18 degC", "30 degC"]
edge = "55 degC"
edge_bounds = ["50 degC", "60 degC"]
frame = "undeformed"
"""


def folder(tmp_path, paper=PAPER, measured=f"device,power_w,time_s,long_mm\n{RFA},30,60,20\n", not_run=None):
    place = tmp_path / "nobody_2010"
    place.mkdir(exist_ok=True)
    (place / "paper.toml").write_text(paper, encoding="utf-8")
    if measured is not None:
        (place / "measured.csv").write_text(measured, encoding="utf-8")
    if not_run is not None:
        (place / "not_run.csv").write_text(not_run, encoding="utf-8")
    return place


def test_a_publication_hands_its_conditions_to_its_rows(tmp_path):
    paper = Paper.load(folder(tmp_path, not_run="device,setting,reason\nthing,all,no power\n"))
    (setting,) = paper.data[RFA].settings
    assert paper.name == "nobody_2010"
    assert setting.conditions == Conditions(start=22.0 + ZERO_CELSIUS, edge="55 degC", frame="undeformed")
    assert paper.about.conditions.start_bounds == pytest.approx((18.0 + ZERO_CELSIUS, 30.0 + ZERO_CELSIUS))
    assert paper.not_run == ({"device": "thing", "setting": "all", "reason": "no power"},)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PAPER.replace("title", "titel"), "unknown key 'titel'; did you mean 'title'"),
        (PAPER.replace('"55 degC"', '"brown"'), "conditions.edge: 'brown' is neither one of"),
        (PAPER.replace('"22 degC"', '"80 degC"'), "conditions.initial_temperature: 80 degC is outside"),
        (PAPER.replace('"18 degC", "30', '"30 degC", "18'), "the first limit has to be below the second"),
        (PAPER.replace('"50 degC", "60', '"60 degC", "50'), "the first limit has to be below the second"),
        (PAPER.replace("undeformed", "shrunk"), "conditions.frame: 'shrunk' is not a choice"),
        (PAPER.replace('title = "Nobody 2010"', 'read = "tables"'), "read: 'tables' is not a choice"),
        ("title = ", "not valid TOML"),
    ],
)
def test_what_is_wrong_with_a_publication(tmp_path, text, problem):
    with pytest.raises(CaseError) as caught:
        Paper.load(folder(tmp_path, text))
    assert problem in str(caught.value)


def test_problems_of_all_publications_are_found(tmp_path):
    bad = folder(tmp_path, measured=f"device,power_w,time_s,long_mm\n{RFA},30,60,x\nrfa_nothing,30,60,20\n")
    with pytest.raises(CaseError) as caught:
        papers([str(bad), "he_2011"])
    first, second, third = caught.value.problems
    assert "line 2: long_mm: 'x' is not a number" in first
    assert "no device profile 'rfa_nothing'" in second
    assert "'he_2011' is neither a publication; did you mean 'he_2010'? nor a folder" in third


def test_a_folder_needs_a_table(tmp_path):
    with pytest.raises(CaseError, match=r"there is neither measured\.csv nor not_run\.csv in it"):
        Paper.load(folder(tmp_path, measured=None))


def test_conditions_beside_a_table(tmp_path):
    place = folder(tmp_path)
    assert conditions_beside(place / "measured.csv").edge == "55 degC"
    assert conditions_beside(tmp_path / "mine.csv") == Conditions()
    (place / "paper.toml").write_text(PAPER.replace("undeformed", "shrunk"), encoding="utf-8")
    with pytest.raises(CaseError, match=r"conditions\.frame: 'shrunk' is not a choice"):
        conditions_beside(place / "measured.csv")


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(f"device,power_w,time_s,long_mm\n,30,60,20\n{RFA},40,60,21\nrfa_cooltip_17g_3cm_like,40,60,22\n")
    paper = Paper.own(path, RFA, Conditions(start=300.0))
    assert {name: len(found.settings) for name, found in paper.data.items()} == {RFA: 2, "rfa_cooltip_17g_3cm_like": 2}
    assert paper.about.conditions.conditions == Conditions(start=300.0)
    path.write_text("power_w,time_s,long_mm\n30,60,20\n")
    with pytest.raises(CaseError, match="no row names a device profile; give --device"):
        Paper.own(path, None, Conditions())


@pytest.mark.parametrize("name", names())
def test_shipped_publications_are_sound(name):
    (paper,) = papers([name])
    assert paper.about.conditions.start_source
    assert paper.about.conditions.edge_source
    assert paper.about.conditions.frame_source
    assert all(not data.calibrating or len(data.calibrating) <= 2 for data in paper.data.values())
    assert all(row["reason"] for row in paper.not_run)


# -- comparison ----------------------------------------------------------------------------------------------------


def test_rows_in_every_frame(tmp_path):
    measured = data(
        tmp_path, "power_w,time_s,use,long_mm,long_sd,short_mm,short_sd,stop_s\n30,60,calibrate,40,2,30,3,500\n"
    )
    reading = Reading("temperature", "probe a", 70.0, 5.0, 66.0)
    found = rows(SUBJECT, measured, {2: answer(50.0, 40.0, 42.0, [reading])}, "abstract")
    by = {each.quantity: each for each in found}
    length = by["length"]
    assert (length.predicted, length.undeformed, length.uniform) == pytest.approx((45.0, 50.0, 44.0))
    assert (length.edge_60, length.edge_50) == (48.0, 52.0)
    assert length.difference() == pytest.approx(5.0)
    assert length.difference("undeformed") == pytest.approx(10.0)
    assert (length.calibrated, length.frame, length.read, length.unit) == (True, "contracted", "abstract", "mm")
    # Aspect from both axes, with the spread of a ratio of independent numbers; it is fitted where they are.
    assert by["aspect"].measured == pytest.approx(0.75)
    assert by["aspect"].sd == pytest.approx(0.75 * math.hypot(2 / 40, 3 / 30))
    assert by["aspect"].calibrated
    assert by["volume"].measured is None
    assert by["volume"].uniform == pytest.approx(0.88**3 * 42.0)
    assert (by["stop"].measured, by["stop"].predicted, by["stop"].frame) == (500.0, 600.0, "")
    assert not by["stop"].calibrated
    assert "energy" not in by
    assert (by["temperature"].difference("undeformed"), by["temperature"].calibrated) == (-4.0, False)


def test_means_of_a_group(tmp_path):
    text = "group,power_w,time_s,volume_ml\ng,30,60,\ng,40,60,\ng,,,20\n"
    measured = data(tmp_path, text, frame="undeformed")
    found = rows(SUBJECT, measured, {2: answer(40.0, 30.0, 10.0), 3: answer(60.0, 50.0, 40.0)}, "table")
    (volume,) = (each for each in found if each.quantity == "volume" and each.measured)
    assert (volume.setting, volume.predicted, volume.difference()) == ("mean of g", 25.0, 5.0)
    found = rows(SUBJECT, measured, {2: answer(40.0, 30.0, 10.0)}, "table")
    assert {each.setting for each in found} == {"30 W, 60 s"}


def test_means_of_a_group_in_two_rows(tmp_path):
    """One was fitted, the other was not; what was not measured is said once."""
    text = "group,use,power_w,time_s,volume_ml,sphericity\ng,,30,60,,\ng,calibrate,,,20,\ng,,,,,0.6\n"
    found = rows(SUBJECT, data(tmp_path, text), {2: answer(40.0, 30.0, 10.0)}, "table")
    means = [each for each in found if each.setting == "mean of g"]
    measured = {each.quantity: each.calibrated for each in means if each.measured is not None}
    assert measured == {"volume": True, "sphericity": False}
    assert [each.quantity for each in means].count("length") == 1


# -- statistics ----------------------------------------------------------------------------------------------------


def test_statistics_of_known_differences():
    off = [-4.0, -1.0, 2.0, 5.0]
    found = statistics([row(predicted=40.0 + d, sd=2.0) for d in off])
    assert (found.count, found.bias, found.mean_absolute, found.median_absolute) == (4, 0.5, 3.0, 3.0)
    assert found.spread == pytest.approx(np.std(off, ddof=1))
    assert found.limits == pytest.approx((0.5 - 1.96 * math.sqrt(15.0), 0.5 + 1.96 * math.sqrt(15.0)))
    assert (found.within_sd, found.with_sd, found.near, found.median_deviations) == (0.5, 4, 0.5, 1.5)


def test_volumes_count_in_percent_and_gaps_are_left_out():
    volumes = [row("volume", 20.0, 22.0), row("volume", 10.0, 8.0), row("volume", None, 8.0), row("volume", 9.0, None)]
    found = statistics(replace(each, undeformed=each.predicted, frame="") for each in volumes)
    assert (found.count, found.bias, found.median_absolute) == (2, pytest.approx(-5.0), pytest.approx(15.0))
    assert found.within_sd is None
    assert statistics(volumes[2:]) is None
    assert statistics(volumes[:1]).limits is None


def test_frames_have_their_own_statistics():
    each = [row(predicted=40.0), row(predicted=41.0)]
    biases = {frame: statistics(each, frame).bias for frame in ("stated", "contracted", "undeformed", "uniform")}
    assert biases == {"stated": 0.5, "contracted": 0.5, "undeformed": 4.5, "uniform": -0.5}


def test_what_contraction_explains():
    each = [row(predicted=41.0), row(predicted=39.0)]  # undeformed 45 and 43, uniform 40 and 38
    assert explained(each, "contracted") == "+75 %"
    assert explained(each, "uniform") == "+75 %"
    assert explained([row(predicted=30.0)], "contracted") == "−67 %"
    assert explained([row(measured=None)], "contracted") == "–"


def test_groups_keep_the_fitted_and_the_living_apart():
    all_rows = [row(), row(calibrated=True), row(modality="mwa"), row(perfused=True), row("volume")]
    found = {name: len(own) for name, own in groups(all_rows, "axes")}
    assert found == {
        "all": 3,
        "nothing fitted": 2,
        "radiofrequency, nothing fitted": 1,
        "microwaves, nothing fitted": 1,
        "with blood flow": 1,
    }
    assert dict(groups(all_rows[:1], "axes")).keys() == {"all"}
    assert of_kind(all_rows, "volume") == [all_rows[4]]


def test_targets_are_judged_by_what_was_not_fitted():
    rows_ = [
        row(predicted=41.0),
        row("diameter", 30.0, 33.0),
        row(predicted=90.0, calibrated=True),
        row(predicted=90.0, perfused=True),
        row(predicted=44.0, modality="mwa", setting="another"),
        row("temperature", 70.0, 60.0, sd=4.0, frame=""),
        row("temperature", 70.0, 30.0, frame=""),
    ]
    found = {outcome.target.name: outcome for outcome in outcomes(rows_)}
    axes = found["RFA: length and diameter"]
    assert (axes.count, axes.settings, axes.error, axes.verdict) == (2, 1, 2.0, "reached")
    assert (found["MWA: length and diameter"].error, found["MWA: length and diameter"].verdict) == (4.0, "not reached")
    assert found["both: highest temperatures"].error == 2.5
    assert found["RFA: volume"].verdict == "nothing to judge by"


# -- answers -------------------------------------------------------------------------------------------------------


def test_an_answer_is_read_as_it_was_written(tmp_path):
    written = answer(40.0, 30.0, 20.0, [Reading("time", "54 °C, probe a", 100.0, None, None)])
    path = tmp_path / "answer.json"
    written.write(path)
    assert Answer.read(path) == written
    path.write_text(path.read_text(encoding="utf-8")[:-5], encoding="utf-8")
    assert Answer.read(path) is None
    assert Answer.read(tmp_path / "none.json") is None


def test_the_program_is_the_engine_alone(tmp_path, monkeypatch):
    """A change of a report leaves answers valid, one of the engine does not."""
    package = tmp_path / "ablationsim"
    for place in ("fem/a.py", "tissue/sets/b.toml", "report/c.py", "study/d.py"):
        (package / place).parent.mkdir(parents=True, exist_ok=True)
        (package / place).write_text("1")
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(keeping.ablationsim, "__file__", str(package / "__init__.py"))

    def now():
        program.cache_clear()
        return program()

    try:
        first = now()
        (package / "report/c.py").write_text("2")
        (package / "study/d.py").write_text("2")
        assert now() == first
        (package / "tissue/sets/b.toml").write_text("2")
        assert now() != first
    finally:
        monkeypatch.undo()
        program.cache_clear()


def test_a_failed_run_does_not_stop_the_others(tmp_path, monkeypatch):
    """The answer to one setting is missing; the rest is compared, and a second time only that one is run."""
    from types import SimpleNamespace

    from ablationsim.errors import SolverError

    ran = []

    def fake(case):
        ran.append(case.applicators[0].protocol[0].power)
        if ran[-1] == 40.0 and len(ran) < 3:
            raise SolverError("it broke")
        return SimpleNamespace(document=answer(40.0, 30.0, 20.0).document, case=SimpleNamespace(measured=None))

    monkeypatch.setattr(keeping, "simulate", fake)
    paper = Paper.load(
        folder(tmp_path, measured=f"device,power_w,time_s,long_mm\n{RFA},30,60,38\n{RFA},40,60,39\n{RFA},30,60,37\n")
    )
    told = []
    found = validate([paper], tmp_path / "out", told=lambda done, total: told.append((done, total)))
    assert ran == [30.0, 40.0]  # the same setting twice is one run
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert [each.measured for each in found.rows if each.quantity == "length"] == [38.0, 37.0]
    assert found.failures == {f"nobody_2010, {RFA}, 40 W, 60 s": "it broke"}
    again = validate([paper], tmp_path / "out")
    assert ran == [30.0, 40.0, 40.0]
    assert len(again.of("nobody_2010")) == 18
    validate([paper], tmp_path / "out", resolution=2.0)
    assert len(ran) == 5
    validate([paper], tmp_path / "out", fresh=True)
    assert len(ran) == 7


def test_what_a_tissue_set_was_fitted_to_counts_as_fitted(tmp_path, monkeypatch):
    from types import SimpleNamespace

    def fake(case):
        return SimpleNamespace(document=answer(40.0, 30.0, 20.0).document, case=SimpleNamespace(measured=None))

    def with_status(status):
        def change(case):
            number = replace(case.tissue.sources["density"], status=status)
            return replace(case, tissue=replace(case.tissue, sources={**case.tissue.sources, "density": number}))

        return change

    monkeypatch.setattr(keeping, "simulate", fake)
    text = f"device,use,power_w,time_s,long_mm\n{RFA},calibrate,30,60,38\n{RFA},predict,40,60,38\n"
    paper = Paper.load(folder(tmp_path, measured=text))
    found = validate([paper], tmp_path, change=with_status("calibrated"))
    assert [each.calibrated for each in found.rows if each.quantity == "length"] == [True, False]
    assert not any(each.calibrated for each in found.rows if each.measured is None)


def test_another_measured_zone_is_another_answer(tmp_path):
    (setting,) = Paper.load(folder(tmp_path)).data[RFA].settings
    case = keeping.Case.from_dict({"device": {"profile": RFA}, "tissue": {"set": "liver_human"}})
    mask = tmp_path / "mask.stl"
    places = [Job.of(setting.name, case, tmp_path).kept]
    for content in ("one", "two"):
        mask.write_text(content)
        places += [Job.of("", case, tmp_path, mask, frame).kept for frame in ("contracted", "undeformed")]
    assert len(set(places)) == 5


def test_what_if_the_tissue_were_different(tmp_path, monkeypatch):
    from types import SimpleNamespace

    starts = []

    def fake(case):
        starts.append(case.tissue.initial_temperature - ZERO_CELSIUS)
        return SimpleNamespace(document=answer(40.0, 30.0, 20.0).document, case=SimpleNamespace(measured=None))

    monkeypatch.setattr(keeping, "simulate", fake)
    paper = Paper.load(folder(tmp_path))

    def warmer(case):
        return replace(case, tissue=case.tissue.with_overrides({"initial_temperature": 25.0 + ZERO_CELSIUS}))

    validate([paper], tmp_path)
    validate([paper], tmp_path, change=warmer)
    assert starts == pytest.approx([22.0, 25.0])


# -- what is written -----------------------------------------------------------------------------------------------


def some_rows():
    """Three times of a device with everything, one fitted, and a microwave one."""
    found = []
    for minutes in (5, 10, 15):
        for quantity, measured in (("length", 40.0), ("diameter", 30.0), ("volume", 18.0), ("aspect", 0.75)):
            found.append(
                row(
                    quantity,
                    measured + minutes if quantity != "aspect" else measured,
                    measured + 1.05 * minutes if quantity != "aspect" else 0.8,
                    setting=f"60 W, {60 * minutes} s",
                    time=60.0 * minutes,
                    edge_60=measured,
                    edge_50=measured + 9.0,
                    sd=1.0,
                    calibrated=minutes == 5,
                )
            )
    found.append(row("temperature", 70.0, None, sd=4.0, frame="", place="probe a"))
    found += [row("length", 50.0, 44.0, modality="mwa"), row("sphericity", None, 0.7, modality="mwa")]
    return found


def test_the_table_has_every_row():
    found = some_rows()
    table = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert len(table) == len(found)
    assert table[0]["measured"] == "45"
    assert table[0]["difference"] == "0.25"
    assert table[0]["unit"] == "mm"
    assert (table[0]["calibrated"], table[4]["calibrated"]) == ("yes", "no")
    assert (table[12]["predicted"], table[12]["difference"], table[12]["place"]) == ("", "", "probe a")


def test_numbers_have_units_and_real_minus_signs():
    assert number(-1.25, "mm", sign=True) == "−1.2 mm"
    assert number(0.5, "") == "0.50"
    assert number(None, "mm") == "–"
    assert markdown(["a"], [["b|c"]]) == "| a |\n| --- |\n| b\\|c |"


def test_pages(tmp_path):
    paper = Paper.load(folder(tmp_path, not_run="device,setting,long_mm,reason\nthing,all,30 to 40,no power\n"))
    found = Validation((paper,), tuple(some_rows()), {"nobody_2010, x, 9 W": "it broke"}, 2.0)
    index = write_pages(found, tmp_path / "out")
    text, page = index.read_text(encoding="utf-8"), (tmp_path / "out" / "nobody_2010.md").read_text(encoding="utf-8")
    for each in (text, page):
        assert "not a medical device" in each
        assert "nobody_2010, x, 9 W: it broke" in each
        for part in each.split("](")[1:]:
            link = part.split(")")[0]
            assert (tmp_path / "out" / link).exists(), link
    assert "| RFA: length and diameter | 2.00 mm | 0.62 mm | 4, 2 settings | reached |" in text
    assert "elements 2 times the default size" in text
    assert "| 60 W, 300 s | 45.2 (45.0 ± 1.0, +0.2) **fitted** |" in page
    assert "| start temperature | 22 degC | 18 degC to 30 degC |" in page
    assert "| thing | all | length 30 to 40 mm |  | no power |" in page
    assert "highest temperature, probe a | not reached | 70.0 ± 4.0 °C" in page
    for name in ("all_parity", "all_differences", "nobody_2010_courses"):
        assert (tmp_path / "out" / "pictures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_pictures_show_what_there_is():
    found = some_rows()
    figure = parity(found)
    assert [ax.get_title().split("   ")[0] for ax in figure.axes] == [
        "length",
        "diameter",
        "volume",
        "diameter / length",
    ]
    drawn = {line.get_xydata()[0][0]: line for line in figure.axes[0].lines if line.get_marker() not in ("None", "")}
    assert drawn.keys() == {45.0, 50.0, 55.0}
    assert drawn[45.0].get_markerfacecolor() == "white"
    (ax,) = courses([each for each in found if each.subject.modality == "rfa"]).axes
    assert [line.get_label() for line in ax.lines[:1]] == ["length, predicted"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [5.0, 10.0, 15.0])
    differences = bland_altman(found)
    heights = {round(float(line.get_ydata()[0]), 6) for line in differences.axes[0].lines}
    assert -6.0 in heights
    assert parity([row(measured=None)]) is None
    assert bland_altman([row()]) is None
    assert courses([row()]) is None
