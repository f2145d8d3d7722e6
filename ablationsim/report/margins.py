"""The margins of a run in words and tables, for its report, the report of a plan, and the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ablationsim.report.html import fixed
from ablationsim.report.page import render_page


@dataclass(frozen=True)
class Published:
    """What was published about one class of minimal margins: its name, and tumours without local progression."""

    margin: str
    free_percent: int


LITERATURE = (Published("0 mm", 26), Published("1–5 mm", 46), Published("6–10 mm", 74), Published("11–15 mm", 80))
"""Tumours without local progression two years after ablation, by the minimal margin on scans; see the note."""
LITERATURE_NOTE = (
    "Colorectal liver metastases without local progression two years after radiofrequency ablation, by the minimal "
    "margin on scans 4 to 8 weeks afterwards (94 metastases; Wang et al. 2013, PMC4122121); each further 5 mm went "
    "with a risk lower by 46 %. Published for comparison: it says nothing about this prediction, whose margins are "
    "those of a model, nor about a patient."
)


@dataclass(frozen=True)
class MarginRow:
    """A line of the table of margins: name, values of the undeformed and of the contracted zone, and a remark."""

    name: str
    undeformed: str
    contracted: str
    remark: str = ""


def rows(margins: Mapping[str, Any]) -> list[MarginRow]:
    """Return the lines of the table for what zone.json holds under "margins"."""
    after, required = margins["contracted"], f"{margins['required_mm']:.3g} mm"
    pairs = (margins, after)
    found = [
        _row("Minimal ablative margin (MAM)", [millimetres(each["mam_mm"]) for each in pairs]),
        _row("Mean margin", [millimetres(each["mean_mm"]) for each in pairs], "by area"),
        _row("Tumour in the zone", [percent(each["coverage"]) for each in pairs], "by volume"),
        _row("Surface not covered", [percent(each["under_0"]) for each in pairs], "margin under 0 mm"),
        _row(f"Surface with less than {required}", [percent(each["under_required"]) for each in pairs]),
    ]
    if "subcapsular_excluded" in margins:
        rule = [each["subcapsular_excluded"] for each in pairs]
        within = f"{rule[0]['within_mm']:.3g} mm"
        found += [
            _row(
                "MAM away from the capsule",
                [millimetres(each["mam_mm"]) for each in rule],
                f"without {percent(rule[0]['share'])} of the surface within {within} of the capsule",
            ),
            _row(
                f"of that, less than {required}",
                [percent(each["under_required"]) for each in rule],
            ),
        ]
    for key, name, what in (
        ("at_vessels", "MAM away from vessels", "whose margin ends at the wall of a vessel"),
        ("at_needles", "MAM away from the needle", "whose margin ends beside a cooled shaft"),
    ):
        part = margins.get(key)
        if part is not None and part["share"] > 0.0:
            remark = f"without {percent(part['share'])} of the surface {what}"
            found.append(MarginRow(name, millimetres(part["mam_mm"]), "", remark))
    found += [
        _row("Tumour", [_ml(each["tumour_ml"]) for each in pairs]),
        _row("Zone", [_ml(each["zone_ml"]) for each in pairs], "inside its closed surface"),
        _row("Healthy tissue spent", [_ml(each["healthy_ml"]) for each in pairs], _healthy(margins)),
    ]
    if margins["outside_liver_ml"] is not None:
        found.append(_row("Zone outside the liver", [_ml(each["outside_liver_ml"]) for each in pairs]))
    return found


def sentences(margins: Mapping[str, Any]) -> list[str]:
    """Return what a person should take from the margins, the most important first."""
    if margins["mam_mm"] is None:
        return ["There is no zone, and so no margin: nothing of the tumour is ablated."]
    required, least = margins["required_mm"], margins["mam_mm"]
    where = margins["weakest"]
    found = []
    side = f"on the {where['side']} side" if where["side"] != "nowhere" else "at the centre"
    if least < 0.0:
        found.append(
            f"{_left(1.0 - margins['coverage'])} of the tumour is not ablated; {side} it reaches "
            f"{fixed(-least, 1)} mm beyond the zone."
        )
    elif least < required:
        found.append(
            f"The tumour is covered; {side} the margin is {fixed(least, 1)} mm, {fixed(required - least, 1)} mm less "
            f"than the {required:.3g} mm asked for."
        )
    else:
        found.append(
            f"The tumour is covered with at least {fixed(least, 1)} mm all round; {required:.3g} mm are asked."
        )
    short = [each for each in margins["directions"] if each["along"] != "needle" and each["missing_mm"]]
    if short and least < required:
        listed = ", ".join(f"{each['name']} {fixed(each['missing_mm'], 1)} mm" for each in short)
        found.append(f"For {required:.3g} mm the zone would have to reach farther: {listed}.")
    shift = margins["shift"]
    if shift is not None and shift["gain_mm"] >= 0.3 and least < required:
        depth = shift["deeper_mm"]
        parts = [f"{fixed(abs(depth), 1)} mm {'deeper' if depth > 0 else 'back'}"] if abs(depth) >= 0.05 else []
        if shift["across_mm"] >= 0.05:
            parts.append(f"{fixed(shift['across_mm'], 1)} mm aside")
        found.append(
            f"The same zone moved {' and '.join(parts)} ({shift['words']}) would leave at least "
            f"{fixed(shift['mam_mm'], 1)} mm, if it kept its shape: run the case with the needle there."
        )
    for key, text in (
        ("at_needles", "beside the cooled shaft of the needle"),
        ("at_vessels", "at the wall of a vessel"),
    ):
        part = margins[key]
        if part is not None and part["mam_mm"] is not None and least < part["mam_mm"] - 0.3 and least < required:
            found.append(
                f"The zone ends there {text}; elsewhere the margin is at least {fixed(part['mam_mm'], 1)} mm, which it "
                f"is on the {part['weakest']['side']} side{_beside(part['weakest'])}."
            )
    if where["nearest_vessel"] is not None and least < required:
        found.append(f"The place with the least margin of all is on the {where['side']} side{_beside(where)}.")
    return found


def _beside(place: Mapping[str, Any]) -> str:
    """How far the nearest vessel is from a place, after a comma; nothing without vessels."""
    vessel = place["nearest_vessel"]
    return "" if vessel is None else f", {fixed(vessel['distance_mm'], 1)} mm from the wall of '{vessel['name']}'"


def organ_rows(margins: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the lines of the table of organs: name, distance, highest temperature, CEM43, three volumes."""
    lines: list[tuple[str, ...]] = []
    for name, organ in margins.get("organs", {}).items():
        warm = organ.get("max_temperature_c")
        lines.append(
            (
                name.replace("_", " "),
                millimetres(organ["distance_mm"]),
                "–" if warm is None else f"{warm:.1f} °C",
                "–" if warm is None else _minutes(organ["max_cem43_min"]),
                "–" if warm is None else _ml(organ["above_43_ml"]),
                "–" if warm is None else _ml(organ["above_45_ml"]),
                "–" if warm is None else _ml(organ["in_zone_ml"]),
            )
        )
    return lines


def section(margins: Mapping[str, Any], image: bytes | None) -> Markup:
    """Return the part of a page about margins, with its own heading; everything in it is escaped.

    Parameters
    ----------
    margins : mapping
        What zone.json holds under "margins".
    image : bytes or None
        PNG file of `ablationsim.report.margin_figures.margin_figure`.
    """
    images = {} if image is None else {"margins": image}
    content = {
        "margins": margins,
        "rows": rows(margins),
        "sentences": sentences(margins),
        "organs": organ_rows(margins),
        "literature": LITERATURE,
        "literature_note": LITERATURE_NOTE,
    }
    return Markup(render_page("margins.html.j2", images, **content))


def millimetres(value: float | None) -> str:
    """Return a length in mm for people, or a dash."""
    return f"{fixed(value, 1)} mm" if value is not None else "–"


def percent(value: float | None) -> str:
    """Return a share in percent for people: neither 100 % of what is not all, nor 0 % of what is not nothing."""
    if value is None:
        return "–"
    if 0.0 < value < 0.001:
        return "< 0.1 %"
    if 0.999 < value < 1.0:
        return "> 99.9 %"
    return f"{fixed(100.0 * value, 1)} %"


def _left(share: float) -> str:
    return "Less than 0.1 %" if share < 0.001 else percent(share)


def _row(name: str, values: list[str], remark: str = "") -> MarginRow:
    return MarginRow(name, values[0], values[1], remark)


def _ml(value: float | None) -> str:
    return "–" if value is None else f"{fixed(value, 1 if value >= 1.0 else 2)} mL"


def _minutes(value: float) -> str:
    if value < 1e4:
        return f"{value:.3g} min"
    return "> 10 000 min"


def _healthy(margins: Mapping[str, Any]) -> str:
    return "outside the tumour" if margins["outside_liver_ml"] is None else "liver outside the tumour"
