"""The story of a plan: look at the case, search, confirm, and say what is recommended and why."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import CaseError
from ablationsim.geometry.geometry import Geometry
from ablationsim.results import run_folder
from ablationsim.study.planning.access import Ways
from ablationsim.study.planning.confirm import Task, confirm
from ablationsim.study.planning.poses import Pose
from ablationsim.study.planning.reasons import notes_of, why
from ablationsim.study.planning.record import PLANS, SCHEMA, STATEMENT, VERSION, Plan, clear, plan_of, ranked, write
from ablationsim.study.planning.rounds import Rounds, goals_of
from ablationsim.study.planning.workplace import workplace
from ablationsim.study.telling import across
from ablationsim.study.workers import workers

Mode = Literal["evaluate", "optimize", "replan"]


class Show(Protocol):
    """What is told how a plan comes along."""

    def stage(self, text: str, done: int = 0, total: int = 0) -> None:
        """A stage began, or so much of it is done."""

    def run(self, name: str, now: float, end: float) -> None:
        """A run of the full model has come to a simulated time [s], of the one at which it ends at the latest."""


def make_plan(
    case: Case,
    folder: str | Path,
    mode: Mode,
    show: Show,
    jobs: int = 2,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Make a plan and write its folder: ``plan.json``, ``plans.csv``, and a run folder for every plan.

    Parameters
    ----------
    case : Case
        With a tumour; to look for places of needles, with a patient.
    folder : path
    mode : {"evaluate", "optimize", "replan"}
        Run the case as it stands; look for places, power and time; or leave the needles where they are and look for
        power, time and depth.
    show : Show
    jobs : int
        Runs at a time.
    resume : bool
        Keep runs that are finished, and go on with those that are not.
    overwrite : bool
        Replace an earlier plan.

    Returns
    -------
    dict
        The content of plan.json.

    Raises
    ------
    CaseError
        If the case cannot be planned.
    GeometryError
        If no needle can reach the tumour, or the images cannot be used.
    OutputError, CheckpointError
        If the folder cannot be used, before anything is run.
    SolverError
        If a run fails.
    Interrupted
        If the user stopped it.
    """
    folder, started = Path(folder), time.perf_counter()
    _check(case, mode)
    first = folder / PLANS / "plan_1"
    if overwrite and not resume:
        clear(folder)
    if mode == "evaluate":
        run_folder.resumable(first, case, resume=resume, overwrite=overwrite)
        plans, search = _evaluated(case, first, show, resume=resume, overwrite=overwrite)
    else:
        if not (resume or overwrite):
            run_folder.resumable(first, case, resume=False, overwrite=False)
        plans, search = _searched(case, folder, mode, show, jobs, resume=resume, overwrite=overwrite)
    plans = ranked(plans)
    best = next((plan for plan in plans if plan.feasible), None)
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "mode": mode,
        "case": case.title,
        "statement": STATEMENT,
        "required_margin_mm": 1e3 * case.plan.margin,
        "plans": [plan.to_dict() for plan in plans],
        "recommended": None if best is None or mode == "evaluate" else best.name,
        "why": why(case, plans, best, mode, folder),
        "search": {**search, "wall_s": time.perf_counter() - started},
        "notes": notes_of(case, plans, mode),
    }
    write(folder, document, plans)
    return document


def _check(case: Case, mode: Mode) -> None:
    problems = []
    if case.tumour is None:
        problems.append("there is no tumour to plan for: give [patient] with one among its structures, or [tumour]")
    if mode == "optimize" and case.patient is None:
        problems.append(
            "places of needles can be looked for only where the liver is known: give [patient] with a label image; "
            "--replan needs none"
        )
    if mode != "evaluate" and case.domain.mesh is not None:
        problems.append("a plan moves the needles, and the mesh of the case (domain.mesh) has them where they are")
    devices = sorted({placed.device.name for placed in case.applicators})
    if mode != "evaluate" and len(devices) > 1:
        problems.append(f"needles of one plan are alike, and the case has {' and '.join(devices)}")
    if mode == "replan" and len({(p.protocol, p.start) for p in case.applicators}) > 1:
        problems.append("needles that stay where they are get one power and time: give them one protocol and start")
    if problems:
        raise CaseError(problems)


def _evaluated(case: Case, folder: Path, show: Show, **how: bool) -> tuple[list[Plan], dict[str, Any]]:
    show.stage("running the case by the full model")
    answer = confirm(Task("plan_1", case, folder, np.empty((0, 3)), told=show.run, **how))
    return [plan_of("plan_1", case, answer.document)], {"full_runs": 1, "full_run_s": answer.wall}


def _searched(
    case: Case, folder: Path, mode: Mode, show: Show, jobs: int, **how: bool
) -> tuple[list[Plan], dict[str, Any]]:
    placed = None
    if mode == "replan":
        applicators = Geometry.from_case(case).applicators
        placed = Pose(np.array([a.tip for a in applicators]), np.array([a.axis for a in applicators]))
    begun = time.perf_counter()
    with workers(jobs) as apply, across(show.run, jobs) as told:
        show.stage("zones of the needle alone, and the anatomy")
        reduced, settings = workplace(
            case, apply, jobs, lambda done, total: show.stage("zones of the needle alone, and the anatomy", done, total)
        )
        ready = time.perf_counter()
        rounds = Rounds(case, reduced, settings, Ways(case, placed, case.plan.shift), folder, placed)
        rounds.begin()
        spent = 0.0
        made = 0
        while made < case.plan.rounds:
            show.stage(f"round {made + 1}: searching")
            before = time.perf_counter()
            proposed = rounds.propose(goals_of(rounds.goal, made)[: max(jobs, 2)])
            spent += time.perf_counter() - before
            if not proposed:
                break
            done = 0

            def ended(text: str = f"round {made + 1}: the full model", total: int = len(proposed)) -> None:
                nonlocal done
                done += 1
                show.stage(text, done, total)

            show.stage(f"round {made + 1}: the full model", 0, len(proposed))
            rounds.confirm(proposed, apply, told, ended, **how)
            made += 1
    return rounds.plans, {
        "evaluations": reduced.evaluations,
        "ways_checked": rounds.ways.asked,
        "library_runs": reduced.runs,
        "full_runs": len(rounds.plans),
        "rounds": made,
        "full_run_s": float(np.mean(rounds.walls)),
        "preparing_s": ready - begun,
        "searching_s": spent,
    }
