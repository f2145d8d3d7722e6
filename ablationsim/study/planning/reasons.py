"""What is said about plans: why one is recommended, what keeps a margin from being reached, what was assumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ablationsim.case import Case
from ablationsim.study.planning.goal import LACKING, MINUTE, PUNCTURE, UNCOVERED
from ablationsim.study.planning.record import PLANS, Plan

_SOUGHT = {
    "healthy": "least healthy liver",
    "margin": "most margin",
    "time": "least time",
}


def why(case: Case, plans: Sequence[Plan], best: Plan | None, mode: str, folder: Path) -> str:
    """Return in sentences why a plan is recommended, or why none is.

    Parameters
    ----------
    case : Case
    plans : sequence of Plan
        The best first.
    best : Plan or None
        The best one whose ways are feasible.
    mode : {"evaluate", "optimize", "replan"}
    folder : Path
        Of the plan, with the finished runs.
    """
    wanted = f"{1e3 * case.plan.margin:.3g} mm"
    shown = best or plans[0]
    mam, beside = shown.confirmed["mam_mm"], shown.confirmed["mam_without_needles_mm"]
    reached = "no zone at all" if mam is None else f"a minimal margin of {mam:.1f} mm"
    if mam is not None and beside is not None and beside > mam + 0.1:
        reached += f" ({beside:.1f} mm without the dent that the cooled shaft leaves in the zone)"
    if mode == "evaluate":
        text = f"The case as it stands gives {reached}, where {wanted} are wanted. "
        text += "Its ways keep all limits." if shown.feasible else "Its ways do not keep all limits of [access]."
    elif best is None:
        return (
            "No plan is recommended: the ways of the needles that are in place break limits of [access]. The best one, "
            f"{shown.name}, has {reached}."
        )
    elif best.reached:
        rivals = sum(plan.reached for plan in plans)
        text = (
            f"{best.name} has the wanted margin of {wanted}, with {reached}, and "
            f"{_SOUGHT[case.plan.objective]} of the {rivals} confirmed plans that have it."
            if rivals > 1
            else f"{best.name} is the only confirmed plan that has the wanted margin of {wanted}, with {reached}."
        )
    else:
        text = (
            f"No plan that was run has the wanted margin of {wanted} all round. {best.name}, with {reached}, weighs "
            "best what is missing against healthy liver and time."
        )
    if not shown.reached and mam is not None:
        text += _what_is_missing(folder / PLANS / shown.name, shown)
    return text


def _what_is_missing(folder: Path, plan: Plan) -> str:
    """Where margin is missing, and what ends it."""
    margins = _margins(folder)
    # The dent along a cooled shaft is there with every plan; what a plan can change is the margin elsewhere.
    weakest = (margins.get("at_needles") or {}).get("weakest") or margins.get("weakest") or {}
    text = ""
    if weakest.get("side"):
        text += f" But for a dent at the shaft, the margin is least at the tumour's {weakest['side']} side"
        vessel = weakest.get("nearest_vessel")
        if vessel and vessel["distance_mm"] < 10.0:
            text += f", {vessel['distance_mm']:.1f} mm from the wall of {vessel['name']}"
        text += "."
    under = plan.confirmed["under_required"]
    if under is not None:
        text += f" {100.0 * under:.0f} % of its surface has less than is wanted."
    lacking = plan.confirmed["lacking_mm"]
    if lacking is not None:
        text += (
            " It has all the margin that vessels and the capsule leave room for."
            if lacking < 0.1
            else f" Where vessels and the capsule leave room for it, {lacking:.1f} mm are missing at most."
        )
    for key, what in (
        ("mam_without_vessels_mm", "places where the zone ends at a vessel's wall"),
        ("mam_without_capsule_mm", "places near the capsule of the liver"),
    ):
        value = plan.confirmed[key]
        if value is not None and value > plan.confirmed["mam_mm"] + 0.1:
            text += f" Without {what} it is {value:.1f} mm."
    return text


def _margins(folder: Path) -> Mapping[str, Any]:
    try:
        document = json.loads((folder / "zone.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found: Mapping[str, Any] = document.get("margins") or {}
    return found


def notes_of(case: Case, plans: Sequence[Plan], mode: str) -> list[str]:
    """Return what a reader of the plans must know."""
    notes = []
    if mode != "evaluate":
        notes.append(
            f"Plans were confirmed on elements {case.plan.resolution:g} times as large, and with a time tolerance "
            f"{case.plan.tolerance:g} times as large, as by default. Run the chosen case again with 'ablationsim run' "
            "and --refine for its discretisation error."
        )
        notes.append(
            "Plans were ranked by healthy liver in the zone, with assumed weights: a missing millimetre of margin "
            f"counts {LACKING:g} mL where it is least, a millimetre of uncovered tumour {UNCOVERED:g} mL more, a "
            f"minute {MINUTE[case.plan.objective]:g} mL, and another needle {PUNCTURE:g} mL."
        )
    if mode == "optimize":
        notes.append(
            "The search looks at many places but not at all; that there is no better plan than these is not proved."
        )
    if any(plan.confirmed["contracted_mam_mm"] is not None for plan in plans):
        notes.append(
            "Margins are those in tissue as it was before heating. The contracted zone over the tumour where it was, "
            "as an overlay of scans shows it, has smaller ones."
        )
    return notes
