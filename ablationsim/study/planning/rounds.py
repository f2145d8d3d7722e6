"""Rounds of a search: propose by the reduced model, confirm by the full one, learn, and propose again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.case import Case
from ablationsim.study.planning.access import Ways
from ablationsim.study.planning.candidate import Candidate
from ablationsim.study.planning.cases import planned
from ablationsim.study.planning.confirm import Answer, Task, confirm
from ablationsim.study.planning.goal import Goal
from ablationsim.study.planning.learning import known
from ablationsim.study.planning.poses import Pose, starts, together
from ablationsim.study.planning.record import PLANS, Plan, plan_of
from ablationsim.study.planning.reduced import Expected, Reduced
from ablationsim.study.planning.search import STEPS, Settings, search
from ablationsim.study.telling import Told
from ablationsim.study.workers import Apply

WIDER = 3e-3
"""How much more margin one of the plans beside the wanted one goes for [m]."""
ENOUGH = 0.3
"""Millimetres of margin that may be missing before plans with another needle are looked for."""

_AGAIN = STEPS[1:]  # steps from plans that were proposed before
_SETS = 60  # single needles that sets of several are laid about


@dataclass
class Rounds:
    """A search under way.

    Attributes
    ----------
    case : Case
    reduced : Reduced
    settings : Settings
    ways : Ways
    folder : Path
        Of the plan.
    placed : Pose or None
        Needles that stay where they are, but for their depth; None to look for places, too.
    plans : list of Plan
        Confirmed so far.
    walls : list of float
        How long their runs took [s].
    """

    case: Case
    reduced: Reduced
    settings: Settings
    ways: Ways
    folder: Path
    placed: Pose | None = None
    plans: list[Plan] = field(default_factory=list)
    walls: list[float] = field(default_factory=list)
    _tried: list[Candidate] = field(default_factory=list)
    _begin: list[Pose] = field(default_factory=list)

    @property
    def goal(self) -> Goal:
        """What the case asks for."""
        return Goal(self.case.plan.margin, self.case.plan.objective)

    def begin(self) -> None:
        """Collect the places to begin with.

        Raises
        ------
        GeometryError
            If no needle can reach the tumour.
        """
        tables, centre = self.reduced.tables, self.reduced.site.target.centre
        if self.placed is not None:
            reach = self.case.plan.shift
            shifts = np.linspace(-reach, reach, 2 * int(np.ceil(reach / 2e-3)) + 1)
            poses = [Pose(self.placed.tips + shift * self.placed.axes, self.placed.axes) for shift in shifts]
            self._begin = _chosen(poses, self.ways) or [self.placed]
            return
        poses = starts(centre, float(np.median(tables.middle)))
        self._begin = _chosen(poses, self.ways)
        if not self._begin:
            raise self.ways.refuse(poses)

    def propose(self, goals: Sequence[Goal]) -> list[Candidate]:
        """Return a plan for each goal that no run has tried yet; fewer when nothing new is found."""
        found: list[Candidate] = []
        for goal in goals:
            for plan in self._best(goal):
                if not known([*self._tried, *found], plan):
                    found.append(plan)
                    break
        return found

    def confirm(
        self, plans: Sequence[Candidate], apply: Apply, told: Told, ended: Callable[[], None], **how: bool
    ) -> None:
        """Run plans by the full model and learn from them; `how` is resume and overwrite of the runs."""
        names = [f"plan_{len(self.plans) + i + 1}" for i in range(len(plans))]
        cases = [planned(self.case, plan, name) for plan, name in zip(plans, names, strict=True)]
        expected = [self.reduced.expected(plan, self.goal) for plan in plans]
        tasks = [
            Task(name, case, self.folder / PLANS / name, self.reduced.probed(plan), told=told, **how)
            for name, case, plan in zip(names, cases, plans, strict=True)
        ]
        answers = apply(confirm, tasks, lambda answer: ended())
        for plan, task, foreseen, answer in zip(plans, tasks, expected, answers, strict=True):
            self._take(plan, task, foreseen, answer)

    def _take(self, plan: Candidate, task: Task, foreseen: Expected, answer: Answer) -> None:
        self.reduced.learn(plan, answer.drive)
        self._tried.append(plan)
        self.walls.append(answer.wall)
        # What was learnt from this very plan gives back its run.
        found = self.reduced.expected(plan, self.goal)
        said: dict[str, Any] = {**asdict(foreseen), "time_s": plan.time}
        del said["cost"]
        self.plans.append(plan_of(task.name, task.case, answer.document, found.cost, said, found.lacking_mm))

    def _best(self, goal: Goal) -> list[Candidate]:
        """The best plans of the reduced model as it is now."""
        if self.placed is not None:
            return search(self.reduced, self.settings, goal, self._begin, self.ways.allowed, along=True)
        again = [Pose(plan.tips, plan.axes) for plan in self._tried]
        singles = [*self._begin, *(pose for pose in again if len(pose.tips) == 1)]
        # The sides are the same in every round: later ones only move on from where they were.
        steps = STEPS if not self._tried else _AGAIN
        found = search(self.reduced, self.settings, goal, singles, self.ways.allowed, steps=steps)
        if self.case.plan.needles == 1 or not found or self._suffices(found[0], goal):
            return found
        sets = [pose for pose in again if len(pose.tips) > 1]
        for count in range(2, self.case.plan.needles + 1):
            places = [Pose(plan.tips, plan.axes) for plan in found] + self._begin[:: max(1, len(self._begin) // _SETS)]
            sets += _chosen([one for pose in places for one in together(pose, count)], self.ways)
        if sets:
            found += search(self.reduced, self.settings, goal, sets, self.ways.allowed, kept=4, steps=steps)
        return sorted(found, key=lambda plan: self.reduced.expected(plan, goal).cost)

    def _suffices(self, plan: Candidate, goal: Goal) -> bool:
        site = self.reduced.site
        lacking = goal.lacking(site.margins(self.reduced.foreseen(plan)), site.attainable)
        return bool(1e3 * lacking.max() < ENOUGH)


def goals_of(goal: Goal, number: int) -> list[Goal]:
    """Return what the plans of a round go for: what is wanted first, then something beside it.

    Parameters
    ----------
    goal : Goal
        What is wanted.
    number : int
        Of the round, from 0.
    """
    wide = replace(goal, margin=goal.margin + WIDER)
    beside = [goal, replace(goal, objective="time" if goal.objective != "time" else "healthy"), wide]
    return [goal, beside[number % 3], beside[(number + 1) % 3]]


def _chosen(poses: Sequence[Pose], ways: Ways) -> list[Pose]:
    return [pose for pose, free in zip(poses, ways.allowed(poses), strict=True) if free] if poses else []
