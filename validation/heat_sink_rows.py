"""Predicted beside measured: the rows of results/heat_sink.csv."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from heat_sink_experiments import LEHMANN_FLOWS, name_of
from heat_sink_runs import RADII, Answer, relative

EFFECTS = (5.0, 10.0)
"""A size counts as reduced when it is smaller by at least this [%]: the standard error of a mean of ten ablations with
a scatter of 15 %, and twice that. What we know of the papers does not say how large a change they could see."""

PAPERS = {
    "lehmann_2016": "Lehmann 2016",
    "plosone_2015": "PLoS ONE 2015",
    "neizert_2022": "Neizert 2022",
    "primavesi_2017": "Primavesi 2017",
    "poch": "Poch",
    "lu_2002": "Lu 2002",
}


@dataclass(frozen=True)
class Row:
    """A line of the comparison.

    Attributes
    ----------
    paper, setting, quantity : str
        The quantity with its unit.
    measured, predicted : str
        Empty where nothing was measured.
    agrees_at_5, agrees_at_10 : str
        "yes" or "no", with either of `EFFECTS` where the statement depends on one; empty where that cannot be said.
    n : str
        Ablations in the whole experiment, where known.
    note : str
    """

    paper: str
    setting: str
    quantity: str
    measured: str
    predicted: str
    agrees_at_5: str
    agrees_at_10: str
    n: str
    note: str


@dataclass(frozen=True)
class Runs:
    """All runs by name."""

    answers: Mapping[str, Answer]

    def get(self, series: str, **changes: Any) -> Answer:
        """The run of a series with these changes."""
        return self.answers[name_of(series, changes)]

    def percent(self, series: str, quantity: str, **changes: Any) -> float:
        """A size in percent of that of the same run without flow.

        ``toward``, ``area``, ``volume`` as in `relative`; ``rim``: the radius toward the vessel, of what lies on this
        side of its wall without flow, so that a vessel that merely is in the way counts for nothing; ``circle``: the
        circle on the diameter through needle and vessel.
        """
        one, other = (
            self.get(series, **changes),
            self.get(series, **{key: changes[key] for key in changes if key != "model"} | {"flow": 0}),
        )
        if quantity in ("toward", "area", "volume"):
            return relative(one, other, quantity)
        here, there = one.at(other.widest), other.at(other.widest)
        if quantity == "rim":
            return 100.0 * here.toward / min(there.reach, other.wall)
        assert quantity == "circle", quantity
        return 100.0 * ((here.toward + here.away) / (there.reach + there.away)) ** 2


def rows(runs: Runs) -> list[Row]:
    """Every comparison."""
    return [*_lehmann(runs), *_plosone(runs), *_neizert(runs), *_primavesi(runs), *_poch(runs), *_lu(runs)]


LEHMANN: dict[str, tuple[Mapping[str, Any], list[float]]] = {
    "10 mm, 21 °C": ({"axis": 10}, LEHMANN_FLOWS),
    "10 mm, 37 °C": ({"axis": 10, "temperature": 37}, [1, 10, 1500]),
    "5 mm, 21 °C": ({"axis": 5}, [1, 10, 1500]),
    "15 mm, 21 °C": ({"axis": 15}, [1, 10, 1500]),
}
"""Changes and flows [mL/min] of each series, from axis to axis."""


def _lehmann(runs: Runs) -> Iterator[Row]:
    for setting, (changes, flows) in LEHMANN.items():
        area = {flow: runs.percent("lehmann_2016", "area", **changes, flow=flow) for flow in flows}
        rim = {flow: runs.percent("lehmann_2016", "rim", **changes, flow=flow) for flow in flows}
        for flow in flows:
            where = f"{setting}, {flow:g} mL/min"
            yield Row("lehmann_2016", where, "area, % of that without flow", "", f"{area[flow]:.1f}", "", "", "", "")
            yield Row("lehmann_2016", where, "radius up to the tube, %", "", f"{rim[flow]:.1f}", "", "", "", "")
        # Only whole decades were measured; a series may also hold flows between them.
        lowest = {e: next((flow for flow in flows if area[flow] <= 100.0 - e), math.inf) for e in EFFECTS}
        full = {e: next(flow for flow in flows if area[flow] - area[1500] < e) for e in EFFECTS}
        yield Row(
            "lehmann_2016",
            setting,
            "lowest flow with an effect, mL/min",
            "1",
            _flows(lowest),
            *_both(*(lowest[e] <= 1 for e in EFFECTS)),
            "",
            "area smaller by at least 5 %, or 10 %",
        )
        yield Row(
            "lehmann_2016",
            setting,
            "flow from which the area stays the same, mL/min",
            "10",
            _flows({e: full[e] if lowest[e] < math.inf else math.inf for e in EFFECTS}),
            *_both(*(lowest[e] < math.inf and 1 < full[e] <= 10 for e in EFFECTS)),
            "",
            "within 5, or 10, percentage points of that at 1500 mL/min",
        )


def _plosone(runs: Runs) -> Iterator[Row]:
    for distance in (10, 15, 20):
        for flow in (700, 1400):
            known = distance == 10 and flow == 700
            for quantity, measured, wording in (
                ("toward", 37.2, "radius toward the tube, % of that without flow"),
                ("area", 50.5, "area of the section, %"),
            ):
                value = runs.percent("plosone_2015", quantity, axis=distance, flow=flow)
                yield Row(
                    "plosone_2015",
                    f"{distance} mm, {flow} mL/min",
                    wording,
                    f"{measured}" if known else "",
                    f"{value:.1f}",
                    *(_both(*(abs(value - measured) <= e for e in EFFECTS)) if known else ("", "")),
                    "108",
                    "distance from axis to axis; within 5, or 10, percentage points" if known else "",
                )


def _neizert(runs: Runs) -> Iterator[Row]:
    for distance in (2.5, 5, 10):
        for flow in (2, 10, 500):
            setting = f"{distance:g} mm, {flow} mL/min"
            changes = {"wall": distance, "flow": flow}
            rim, area, volume = (runs.percent("neizert_2022", key, **changes) for key in ("rim", "area", "volume"))
            yield Row(
                "neizert_2022",
                setting,
                "shape changed",
                "yes",
                f"radius up to the tube {rim:.0f} %, area {area:.0f} %",
                *_both(*(min(rim, area) <= 100.0 - e for e in EFFECTS)),
                "126",
                "radius up to the tube or area smaller by at least 5 %, or 10 %",
            )
            expected = distance == 2.5 and flow == 500
            yield Row(
                "neizert_2022",
                setting,
                "volume reduced",
                _yes(expected),
                f"{volume:.0f} %",
                *_both(*((volume <= 100.0 - e) == expected for e in EFFECTS)),
                "126",
                "by at least 5 %, or 10 %",
            )


PRIMAVESI = {"rfa": (47.1, 68.7), "mwa": (50.5, 50.2)}
"""Surface temperature near the vessel and far from it [degC]."""


def matched(answer: Answer, far: float) -> tuple[float, float | None] | None:
    """Radius [mm] at which the tissue away from the vessel has a temperature, and what it is there on the other side.

    None where no place has that temperature; the second is None where that place lies in the vessel.
    """
    hottest = max(range(len(RADII)), key=lambda i: answer.away_c[i] or 0.0)
    for i in range(hottest, len(RADII)):
        away = answer.away_c[i]
        if away is not None and away <= far:
            return float(RADII[i]), answer.toward_c[i]
    return None


def at_wall(answer: Answer) -> tuple[float, float]:
    """Temperature at the wall of the vessel, and at the same distance on the other side [degC]."""
    last = max(i for i, value in enumerate(answer.toward_c) if value is not None)
    near, far = answer.toward_c[last], answer.away_c[last]
    assert near is not None
    assert far is not None
    return near, far


def _primavesi(runs: Runs) -> Iterator[Row]:
    for kind, (near, far) in PRIMAVESI.items():
        for axis in (10, 15):
            answer = runs.get(f"primavesi_2017_{kind}", axis=axis, flow=None)
            one, other = at_wall(answer)
            name = f"{kind.upper()}, vein of 5 mm, {axis} mm"
            yield Row(
                "primavesi_2017",
                name,
                "temperature near / far from the vein, °C",
                f"{near} / {far}",
                f"{one:.1f} / {other:.1f}",
                "",
                "",
                "",
                "at the wall of the vein, and as far from the needle on the other side",
            )
            yield Row(
                "primavesi_2017",
                name,
                "near minus far, K",
                f"{near - far:.1f}",
                f"{one - other:.1f}",
                *_both(*(abs((near - far) - (one - other)) <= kelvin for kelvin in EFFECTS)),
                "",
                "within 5, or 10, K",
            )


def _poch(runs: Runs) -> Iterator[Row]:
    for distance in (5, 10):
        for diameter in (3, 5, 8):
            for flow in (1,) if diameter == 8 else (1, 500):
                yield _poch_row(runs, distance, diameter, flow)
    yield _poch_row(runs, 20, 5, 500)


def _poch_row(runs: Runs, distance: int, diameter: int, flow: int) -> Row:
    changes = {"wall": distance, "diameter": diameter, "flow": flow}
    rim, area = (runs.percent("poch", key, **changes) for key in ("rim", "area"))
    expected = distance < 20
    return Row(
        "poch",
        f"{distance} mm, tube of {diameter} mm, {flow} mL/min",
        "cooling effect",
        _yes(expected),
        f"radius up to the tube {rim:.0f} %, area {area:.0f} %",
        *_both(*((min(rim, area) <= 100.0 - e) == expected for e in EFFECTS)),
        "228",
        "radius up to the tube or area smaller by at least 5 %, or 10 %",
    )


def _lu(runs: Runs) -> Iterator[Row]:
    reference = runs.get("lu_2002", diameter=1, flow=0, wall=5)
    for wall, diameters in ((5, (1, 2, 3, 5, 8)), (10, (5,))):
        for diameter in diameters:
            answer = runs.get("lu_2002", diameter=diameter, flow=None, wall=wall)
            reach, away = (relative(answer, reference, key) for key in ("reach", "away"))
            measured = "0 of 20" if diameter < 3 else "32 of 44" if diameter > 3 else ""
            yield Row(
                "lu_2002",
                f"vein of {diameter} mm, wall {wall} mm from the axis",
                "heat sink",
                measured,
                f"reach on the side of the vein {reach:.0f} %, other side {away:.0f} %",
                *(_both(*((reach <= 100.0 - e) == (diameter > 3) for e in EFFECTS)) if measured else ("", "")),
                "64",
                "zone ends at least 5 %, or 10 %, sooner on the side of the vein, also behind it",
            )


def _flows(found: Mapping[float, float]) -> str:
    """Flows by the size of the effect, each once [mL/min]."""
    return " or ".join(dict.fromkeys("none" if flow == math.inf else f"{flow:g}" for flow in found.values()))


def _both(small: bool, large: bool) -> tuple[str, str]:
    """Whether a statement agrees, with either of `EFFECTS`."""
    return _yes(small), _yes(large)


def _yes(true: bool) -> str:
    return "yes" if true else "no"
