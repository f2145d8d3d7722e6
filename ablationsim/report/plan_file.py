"""What a plan folder holds, as its report reads it: plan.json, and the finished runs of the plans."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ablationsim.errors import OutputError
from ablationsim.results.run_folder import finished
from ablationsim.study.planning.record import JSON, SCHEMA, VERSION

MODES = {
    "evaluate": "The needle as the case has it, by the full model",
    "optimize": "Needle, power and time sought, every plan shown confirmed by the full model",
    "replan": "The needle where it is; power, time and depth sought",
}


@dataclass(frozen=True)
class Measures:
    """What a plan comes to by one model: margin, shares, volumes and time; None for what that model does not say.

    `mam_without_needles_mm` is the least margin but for the dents that cooled shafts leave in the zone.
    """

    mam_mm: float | None = None
    mam_without_needles_mm: float | None = None
    coverage: float | None = None
    under_0: float | None = None
    under_required: float | None = None
    healthy_ml: float | None = None
    zone_ml: float | None = None
    time_s: float | None = None

    @property
    def margin_mm(self) -> float | None:
        """Least margin away from cooled shafts, where that is known; else all over the surface."""
        return self.mam_mm if self.mam_without_needles_mm is None else self.mam_without_needles_mm

    @property
    def dented(self) -> bool:
        """Whether the least margin lies in a dent beside a cooled shaft."""
        beside = self.mam_without_needles_mm
        return self.mam_mm is not None and beside is not None and beside > self.mam_mm + 0.1

    @property
    def known(self) -> bool:
        """Whether there is anything."""
        return any(value is not None for value in vars(self).values())


@dataclass(frozen=True)
class PlannedNeedle:
    """A needle of a plan: where it lies (mm, RAS), and what its generator is set to."""

    name: str
    profile: str
    tip_mm: Sequence[float]
    entry_mm: Sequence[float] | None
    power_w: float | None
    duration_s: float | None
    energy_kj: float | None
    depth_mm: float | None


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan.

    Attributes
    ----------
    name : str
    needles : tuple of PlannedNeedle
    reduced, confirmed : Measures
        By the reduced and by the full model.
    access : tuple of str
        What is to be said of the way of the needles.
    feasible, pareto : bool
        Whether it keeps the limits, and whether no other is better in everything.
    folder : Path or None
        Its finished run.
    page : str or None
        Address of the report of that run, seen from the page of the plan, where there is one.
    """

    name: str
    needles: tuple[PlannedNeedle, ...]
    reduced: Measures
    confirmed: Measures
    access: tuple[str, ...]
    feasible: bool
    pareto: bool
    folder: Path | None
    page: str | None = None

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ").capitalize()

    @property
    def measures(self) -> Measures:
        """By the full model where it was run, else by the reduced one."""
        return self.confirmed if self.confirmed.known else self.reduced

    @property
    def minutes(self) -> float | None:
        """How long the plan takes [min]; where it does not say, its longest protocol."""
        time = self.measures.time_s
        if time is None:
            each = [needle.duration_s for needle in self.needles if needle.duration_s is not None]
            time = max(each, default=None)
        return None if time is None else time / 60.0


@dataclass(frozen=True, eq=False)
class PlanFile:
    """The content of plan.json.

    Attributes
    ----------
    title, mode, statement, why : str
    required_mm : float
        Margin wanted.
    plans : tuple of Planned
        In the order of the file.
    recommended : Planned or None
    best : Planned or None
        The best one, whether it is recommended or not.
    search : mapping
        Numbers of the search.
    notes : tuple of str
    """

    title: str
    mode: str
    statement: str
    why: str
    required_mm: float
    plans: tuple[Planned, ...]
    recommended: Planned | None
    best: Planned | None = None
    search: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> Planned | None:
        """The plan that is shown at length: the recommended one, else the best, else the first that has a run."""
        with_run = [plan for plan in self.plans if plan.folder is not None]
        return self.recommended or self.best or (with_run[0] if with_run else None)


def read_plan(folder: Path) -> PlanFile:
    """Read the plan of a folder.

    Raises
    ------
    OutputError
        When the folder has no plan.json, or one that is damaged or of another version.
    """
    path = folder / JSON
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OutputError(
            f"{folder} holds no plan ({JSON} is missing). Give the folder of 'ablationsim plan'."
        ) from None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    try:
        if (document["schema"], document["version"]) != (SCHEMA, VERSION):
            raise ValueError(f"it is of {document['schema']} {document['version']}, not {SCHEMA} {VERSION}")
        plans = tuple(_plan(entry, folder) for entry in document["plans"])
        chosen, best = (_named(document.get(key), plans) for key in ("recommended", "best"))
        return PlanFile(
            title=str(document["case"]),
            mode=str(document["mode"]),
            statement=str(document.get("statement", "")),
            why=str(document.get("why") or ""),
            required_mm=float(document["required_margin_mm"]),
            plans=plans,
            recommended=chosen,
            best=best,
            search=dict(document.get("search") or {}),
            notes=tuple(map(str, document.get("notes") or ())),
        )
    except KeyError as error:
        raise _damaged(path, f"{error} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, str(error)) from error


def _named(name: Any, plans: tuple[Planned, ...]) -> Planned | None:
    """The plan of a name; None without a name."""
    if name is None:
        return None
    for plan in plans:
        if plan.name == name:
            return plan
    raise ValueError(f"the plan '{name}' is none of {', '.join(plan.name for plan in plans)}")


def _plan(entry: Mapping[str, Any], folder: Path) -> Planned:
    run = _inside(folder, entry.get("folder"))
    page = None if run is None else run / "report.html"
    return Planned(
        name=str(entry["name"]),
        needles=tuple(_needle(each) for each in entry["needles"]),
        reduced=_measures(entry.get("reduced")),
        confirmed=_measures(entry.get("confirmed")),
        access=tuple(map(str, entry.get("access") or ())),
        feasible=bool(entry.get("feasible", True)),
        pareto=bool(entry.get("pareto", False)),
        folder=run if run is not None and finished(run) else None,
        page=page.relative_to(folder.resolve()).as_posix() if page is not None and page.is_file() else None,
    )


def _inside(folder: Path, name: Any) -> Path | None:
    """A folder below another, by its name in a file that need not be trusted."""
    if not name:
        return None
    found = (folder / str(name)).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise ValueError(f"the run folder '{name}' lies outside the folder of the plan")
    return found


def _needle(entry: Mapping[str, Any]) -> PlannedNeedle:
    return PlannedNeedle(
        name=str(entry["name"]),
        profile=str(entry.get("profile", "")),
        tip_mm=_point(entry["tip_mm"]),
        entry_mm=None if entry.get("entry_mm") is None else _point(entry["entry_mm"]),
        power_w=_number(entry.get("power_w")),
        duration_s=_number(entry.get("duration_s")),
        energy_kj=_number(entry.get("energy_kj")),
        depth_mm=_number(entry.get("depth_mm")),
    )


def _point(value: Any) -> list[float]:
    if len(value) != 3:
        raise ValueError(f"a point has {len(value)} coordinates, not three")
    return [float(part) for part in value]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _measures(value: Any) -> Measures:
    names = [each.name for each in fields(Measures)]
    return Measures(**{name: _number((value or {}).get(name)) for name in names})


def _damaged(path: Path, what: str) -> OutputError:
    return OutputError(f"{path} is damaged: {what}. Make the plan again.")
