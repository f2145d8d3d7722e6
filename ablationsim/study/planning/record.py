"""Plans as they are written: plan.json and plans.csv."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ablationsim.case import Case
from ablationsim.geometry.case_access import case_access
from ablationsim.results.files import make_folder, unwritable, write_whole
from ablationsim.study.planning.goal import pareto
from ablationsim.study.planning.protocol import power_of
from ablationsim.zone.margin import EXACT

SCHEMA, VERSION = "ablationsim plan", 1
JSON, CSV, PLANS = "plan.json", "plans.csv", "plans"

STATEMENT = (
    "Research software, not a medical device: a plan is a hypothesis of a model, to be judged by a physician. Every "
    "plan listed here was run by the full model."
)


@dataclass(frozen=True)
class Plan:
    """A plan with all that is known of it, as plan.json has it.

    Attributes
    ----------
    name : str
    needles : tuple of dict
    reduced, confirmed : dict or None
        What the reduced model expected, and what the full model says.
    access : tuple of str
        Limits that its ways do not keep, and what could not be checked.
    feasible : bool
        Whether its ways keep all limits.
    reached : bool
        Whether the tumour has the wanted margin all round, but for the dents that cooled shafts leave.
    cost : float
        By which plans were ranked [mL].
    pareto : bool
        Whether no other plan is as good in margin, healthy liver and time, and better in one.
    """

    name: str
    needles: tuple[dict[str, Any], ...]
    reduced: dict[str, float] | None
    confirmed: dict[str, Any]
    access: tuple[str, ...]
    feasible: bool
    reached: bool
    cost: float
    pareto: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of plan.json."""
        return {
            "name": self.name,
            "needles": list(self.needles),
            "reduced": self.reduced,
            "confirmed": self.confirmed,
            "access": list(self.access),
            "feasible": self.feasible,
            "reached": self.reached,
            "pareto": self.pareto,
            "rank_cost_ml": self.cost,
            "folder": f"{PLANS}/{self.name}",
        }


def plan_of(
    name: str,
    case: Case,
    document: Mapping[str, Any],
    cost: float = 0.0,
    reduced: dict[str, float] | None = None,
    lacking: float | None = None,
) -> Plan:
    """Put together what is known of a plan that was run.

    Parameters
    ----------
    name : str
    case : Case
        That was run.
    document : mapping
        The content of its zone.json.
    cost : float
        By which it is ranked [mL].
    reduced : dict, optional
        What the reduced model expected.
    lacking : float, optional
        Most that is missing from the wanted margin where vessels and the capsule leave room for it [mm].
    """
    ways, _ = case_access(case)
    needles = []
    for i, placed in enumerate(case.applicators):
        way = ways[i] if ways else None
        entry = placed.entry if way is None else tuple(map(float, way.entry))
        needles.append(
            {
                "name": placed.name,
                "profile": placed.device.name,
                "tip_mm": [1e3 * x for x in placed.tip],
                "entry_mm": None if entry is None else [1e3 * x for x in entry],
                "direction": list(placed.direction),
                "power_w": power_of(placed.protocol) or None,
                "duration_s": placed.end - placed.start,
                "energy_kj": 1e-3 * document["energy_balance"]["in_j"] / len(case.applicators),
                "depth_mm": None if way is None else 1e3 * way.depth,
            }
        )
    confirmed = {**confirmed_of(document), "lacking_mm": lacking}
    return Plan(
        name=name,
        needles=tuple(needles),
        reduced=reduced,
        confirmed=confirmed,
        access=tuple(
            dict.fromkeys(
                [*(f"{way.name}: {text}" for way in ways for text in way.problems), *(n for w in ways for n in w.notes)]
            )
        ),
        feasible=not any(way.problems for way in ways),
        reached=_margin(confirmed) >= 1e3 * (case.plan.margin - EXACT),
        cost=cost,
    )


def _margin(confirmed: Mapping[str, Any]) -> float:
    """Least margin but for the dent at the shaft, which every plan has [mm]; far below zero without a zone."""
    strict, beside = confirmed["mam_mm"], confirmed["mam_without_needles_mm"]
    return -99.0 if strict is None else float(max(strict, strict if beside is None else beside))


def confirmed_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what zone.json of a run says of a plan."""
    margins = document.get("margins") or {}
    found = {key: margins.get(key) for key in ("mam_mm", "coverage", "under_0", "under_required")}
    for key, name in (("subcapsular_excluded", "capsule"), ("at_vessels", "vessels"), ("at_needles", "needles")):
        found[f"mam_without_{name}_mm"] = (margins.get(key) or {}).get("mam_mm")
    found |= {
        "dice": (margins.get("wanted") or {}).get("dice"),
        "healthy_ml": margins.get("healthy_ml"),
        "zone_ml": document["volume_ml"],
        "time_s": document["power_off_s"],
    }
    contracted = margins.get("contracted") or {}
    found["contracted_mam_mm"] = contracted.get("mam_mm")
    return found


def ranked(plans: Sequence[Plan]) -> list[Plan]:
    """Return plans with those marked that no other one beats, the best first: feasible, reached, then by cost."""
    numbers = [
        (
            -_margin(plan.confirmed),
            plan.confirmed["healthy_ml"] or 0.0,
            plan.confirmed["time_s"] * len(plan.needles),
        )
        for plan in plans
    ]
    marked = [replace(plan, pareto=best) for plan, best in zip(plans, pareto(numbers), strict=True)]
    return sorted(marked, key=lambda plan: (not plan.feasible, not plan.reached, plan.cost))


def clear(folder: Path) -> None:
    """Remove an earlier plan from its folder, and nothing that is not of a plan.

    Raises
    ------
    OutputError
        If something cannot be removed.
    """
    try:
        for name in (JSON, CSV, "report.html"):
            (folder / name).unlink(missing_ok=True)
        for run in sorted((folder / PLANS).glob("plan_*")):
            if (run / "resolved.json").is_file():
                shutil.rmtree(run)
    except OSError as error:
        raise unwritable(folder, error) from error


def write(folder: Path, document: Mapping[str, Any], plans: Sequence[Plan]) -> Path:
    """Write plan.json and plans.csv.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    make_folder(folder)
    write_whole(folder / CSV, _table(plans))
    path = folder / JSON
    write_whole(path, json.dumps({**document, "plans": [plan.to_dict() for plan in plans]}, indent=2) + "\n")
    return path


_NUMBERS = (
    "mam_mm",
    "mam_without_capsule_mm",
    "mam_without_vessels_mm",
    "mam_without_needles_mm",
    "lacking_mm",
    "contracted_mam_mm",
    "coverage",
    "under_0",
    "under_required",
    "healthy_ml",
    "zone_ml",
    "time_s",
)


_FLAGS = ("feasible", "reached", "pareto")


def _table(plans: Sequence[Plan]) -> str:
    """One row for each needle of each plan, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    places = [f"{what}_{axis}_mm" for what in ("tip", "entry") for axis in ("right", "anterior", "superior")]
    writer.writerow(["plan", "needle", "profile", *places, "power_w", "duration_s", "depth_mm", *_NUMBERS, *_FLAGS])
    for plan in plans:
        for needle in plan.needles:
            row = [*needle["tip_mm"], *(needle["entry_mm"] or [None] * 3)]
            row += [needle[key] for key in ("power_w", "duration_s", "depth_mm")]
            row += [plan.confirmed[key] for key in _NUMBERS]
            flags = [str(getattr(plan, flag)).lower() for flag in _FLAGS]
            writer.writerow([plan.name, needle["name"], needle["profile"], *map(_cell, row), *flags])
    return text.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
