"""Which runs stand for which heat-sink experiment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heat_sink_runs import ROOT, case_with, product

from ablationsim.case import Case

FILES = {
    "lehmann_2016": "bipolar_30w_500s.toml",
    "plosone_2015": "mwa_60w_5min.toml",
    "neizert_2022": "mwa_60w_5min.toml",
    "primavesi_2017_rfa": "rfa_12min.toml",
    "primavesi_2017_mwa": "mwa_60w_5min.toml",
    "poch": "mwa_30w_300s.toml",
    "lu_2002": "rfa_12min.toml",
}
"""Case file of each series of runs, in the folder of its paper."""

Changes = Mapping[str, Any]

LEHMANN_FLOWS = [0.3, 1, 3, 10, 100, 1500]
"""Of the series at 10 mm and 21 °C [mL/min]."""

PLOSONE_SENSITIVITY: dict[str, Changes] = {
    "as it is": {"axis": 10},
    "10 mm from the needle's axis to the glass": {"wall": 10},
    "antenna `mwa_amica_14g_like`": {"axis": 10, "profile": "mwa_amica_14g_like"},
    "100 W instead of 60 W": {"axis": 10, "power": 100},
    "10 min instead of 5 min": {"axis": 10, "duration": 600},
    "start at 10 °C instead of 21 °C": {"axis": 10, "temperature": 10},
    "start at 37 °C, water too": {"axis": 10, "temperature": 37},
    "glass 0.5 mm instead of 1 mm": {"axis": 10, "glass": 0.5},
    "edge at 50 °C instead of whitening": {"axis": 10, "isotherm": 50},
    "elements of two thirds the size": {"axis": 10, "resolution": 1.33},
    "elements of half the size": {"axis": 10, "resolution": 1},
}
"""What is changed, one at a time, at 700 mL/min and 10 mm."""

LEHMANN_SENSITIVITY: dict[str, Changes] = {
    "as it is": {"axis": 10},
    "5 mm from axis to axis": {"axis": 5},
    "15 mm from axis to axis": {"axis": 15},
    "start at 37 °C, water too": {"axis": 10, "temperature": 37},
    "glass 0.5 mm instead of 1 mm": {"axis": 10, "glass": 0.5},
    "elements of half the size": {"axis": 10, "resolution": 1},
}
"""What is changed, one at a time, at 10 mL/min."""

SERIES: dict[str, list[Changes]] = {
    "plosone_2015": [
        *product(axis=[10, 15, 20], flow=[0, 700, 1400]),
        *({**changes, "flow": flow} for changes in PLOSONE_SENSITIVITY.values() for flow in (0, 700)),
    ],
    "lehmann_2016": [
        *product(axis=[10], flow=[0, *LEHMANN_FLOWS]),
        *product(axis=[10], temperature=[37], flow=[0, 1, 10, 1500]),
        *product(axis=[5, 15], flow=[0, 1, 10, 1500]),
        *({**changes, "flow": flow} for changes in LEHMANN_SENSITIVITY.values() for flow in (0, 10)),
        {"axis": 10, "flow": 0.001},
        {"axis": 10, "flow": 1, "model": "fixed"},
    ],
    "neizert_2022": [
        *product(wall=[2.5, 5, 10], flow=[0, 2, 10, 500]),
        *product(wall=[2.5], diameter=[3], flow=[0, 500]),
    ],
    "primavesi_2017_rfa": [{"axis": 10, "flow": None}, {"axis": 15, "flow": None}],
    "primavesi_2017_mwa": [
        {"axis": 10, "flow": None},
        {"axis": 15, "flow": None},
        {"axis": 10, "power": 100, "flow": None},
    ],
    "poch": [
        *product(wall=[5, 10], diameter=[3, 5], flow=[0, 1, 500]),
        *product(wall=[5, 10], diameter=[8], flow=[0, 1]),
        *product(wall=[20], diameter=[5], flow=[0, 500]),
    ],
    "lu_2002": [
        {"wall": 5, "diameter": 1, "flow": 0},
        *product(wall=[5], diameter=[1, 2, 3, 5, 8], flow=[None]),
        {"wall": 10, "diameter": 5, "flow": None},
    ],
}
"""What is changed in the case file, for every run."""


def name_of(series: str, changes: Changes) -> str:
    """Name of a run."""
    return " ".join([series, *(f"{key}={changes[key]}" for key in sorted(changes))])


def file_of(series: str) -> Path:
    """Case file of a series."""
    folder = series.removesuffix("_rfa").removesuffix("_mwa")
    return ROOT / "validation" / folder / FILES[series]


def cases() -> dict[str, Case]:
    """Every run by its name."""
    return {
        name_of(series, changes): case_with(file_of(series), changes)
        for series, every in SERIES.items()
        for changes in every
    }
