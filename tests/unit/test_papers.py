"""The publications that come with the package: folders that can be read, cases that can be run, numbers that fit."""

import math
from pathlib import Path

import pytest

from ablationsim.case import Case
from ablationsim.study.measurements import QUANTITIES
from ablationsim.study.validation.paper import Paper, names, shipped
from ablationsim.units import ZERO_CELSIUS

PAPERS = {name: Paper.load(shipped() / name) for name in names()}
SETTINGS = [
    (name, device, setting)
    for name, paper in PAPERS.items()
    for device, data in paper.data.items()
    for setting in data.settings
]
WITH_CASE = [entry for entry in SETTINGS if entry[2].case is not None]
RADIOFREQUENCY = ("luo_2010", "rempp_2014", "song_2015", "wet_electrodes_2009")


def label(entry):
    return f"{entry[0]}, {entry[2].name}"


def loaded(entry):
    name, _, setting = entry
    return Case.load(shipped() / name / Path(setting.case).name)


def test_the_publications_are_there():
    assert {"he_2010", "ji_2011", "hendriks_2021", "lee", "not_run", *RADIOFREQUENCY} <= set(PAPERS)
    assert {name for name, paper in PAPERS.items() if not paper.data} == {"lee", "not_run"}


@pytest.mark.parametrize("name", PAPERS)
def test_says_what_is_assumed(name):
    assumed = PAPERS[name].about.conditions
    assert assumed.start_source
    assert assumed.edge_source
    assert assumed.frame_source
    low, high = assumed.start_bounds or (assumed.conditions.start_temperature,) * 2
    assert low <= assumed.conditions.start_temperature <= high
    assert (shipped() / name / "README.md").is_file()


@pytest.mark.parametrize("name", PAPERS)
def test_a_row_that_is_not_run_says_why(name):
    for row in PAPERS[name].not_run:
        assert len(row["reason"].split()) > 2, row
        assert row["source"], row


@pytest.mark.parametrize("entry", WITH_CASE, ids=label)
def test_case_belongs_to_its_row(entry):
    _, device, setting = entry
    case, conditions = loaded(entry), setting.conditions
    assert [applicator.device.name for applicator in case.applicators] == [device]
    assert case.tissue.name == conditions.tissue
    assert case.tissue.initial_temperature == pytest.approx(conditions.start_temperature)
    if not math.isnan(setting.time):
        assert case.applicators[0].protocol[0].duration == pytest.approx(setting.time)


@pytest.mark.parametrize("name", RADIOFREQUENCY)
def test_every_case_of_the_folder_is_a_row(name):
    cases = {path.name for path in (shipped() / name).glob("*.toml")} - {"paper.toml"}
    assert cases == {Path(entry[2].case).name for entry in WITH_CASE if entry[0] == name}


def test_currents_are_those_of_the_settings():
    rows = [entry for entry in WITH_CASE if entry[0] == "rempp_2014"]
    assert len(rows) == 5
    for entry in rows:
        step = loaded(entry).applicators[0].protocol[0]
        assert f"{1e3 * step.current:.0f} mA" == entry[2].name
        # Stopped by roll-off, and never later than the longest time.
        assert entry[2].measured["stop_s"].value < step.duration == 900.0


def test_volumes_of_the_perfused_needle_are_those_of_ellipsoids():
    for _, _, setting in (entry for entry in SETTINGS if entry[0] == "luo_2010"):
        length, diameter = (setting.measured[key].value for key in ("long_mm", "short_mm"))
        ellipsoid = math.pi / 6e3 * length * diameter**2
        assert ellipsoid == pytest.approx(setting.measured["volume_ml"].value, rel=0.02)


@pytest.mark.parametrize("entry", SETTINGS, ids=label)
def test_measured_values_are_plausible(entry):
    """Catches a slip of a column or of a unit: sizes of hand-held ablations, scatter well below the mean."""
    measured = entry[2].measured
    assert set(measured) <= set(QUANTITIES)
    for key, limits in {"long_mm": (20, 70), "short_mm": (10, 55), "volume_ml": (2, 80), "stop_s": (60, 1200)}.items():
        if key in measured:
            assert limits[0] < measured[key].value < limits[1]
            assert (measured[key].sd or 0.0) < 0.4 * measured[key].value
    assert ZERO_CELSIUS + 4 <= entry[2].conditions.start_temperature <= ZERO_CELSIUS + 40
