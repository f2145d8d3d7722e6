"""The search among plans by the reduced model: many places first, then the best ones moved until nothing is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.study.planning.candidate import Candidate
from ablationsim.study.planning.goal import Goal
from ablationsim.study.planning.poses import Pose, neighbours
from ablationsim.study.planning.reduced import Reduced

Numbers = NDArray[np.intp]
Allowed = Callable[[Sequence[Pose]], NDArray[np.bool_]]
"""Says of poses whether needles may lie there."""

KEPT = 8
"""Places, from sides that differ, which are moved on."""
APART = 0.3
"""Angle between two such sides at least [rad]."""
STEPS = ((4e-3, 0.21), (2e-3, 0.105), (1e-3, 0.052), (0.5e-3, 0.026))
"""Steps of the places, one size after the other [m, rad]."""

_MOST = 12  # moves with one size of steps


@dataclass
class Found:
    """A place with its best setting.

    Attributes
    ----------
    pose : Pose
    setting : int
        Number in the tables.
    cost : float
    """

    pose: Pose
    setting: int
    cost: float


class Settings:
    """The grid of settings: all of them sparsely, or those round one.

    Parameters
    ----------
    powers, times : int
        How many there are; times vary fastest.
    """

    def __init__(self, powers: int, times: int) -> None:
        self.powers, self.times = powers, times
        self.sparse = np.unique(
            [i * times + j for i in _even(powers, 6) for j in _even(times, 10)],
        ).astype(np.intp)

    def near(self, setting: int) -> Numbers:
        """Numbers of the settings a step or three of power, and up to two of time, away."""
        i, j = divmod(setting, self.times)
        rows = [row for row in (i - 3, i - 1, i, i + 1, i + 3) if 0 <= row < self.powers]
        columns = range(max(j - 2, 0), min(j + 3, self.times))
        return np.array([row * self.times + column for row in rows for column in columns], dtype=np.intp)


def _even(count: int, most: int) -> list[int]:
    return sorted({round(x) for x in np.linspace(0, count - 1, min(count, most))})


def search(
    reduced: Reduced,
    settings: Settings,
    goal: Goal,
    poses: Sequence[Pose],
    allowed: Allowed,
    *,
    kept: int = KEPT,
    steps: Sequence[tuple[float, float]] = STEPS,
    along: bool = False,
) -> list[Candidate]:
    """Return the best plans from sides that differ, the best one first.

    Parameters
    ----------
    reduced : Reduced
    settings : Settings
        Of the tables of the reduced model.
    goal : Goal
    poses : sequence of Pose
        To begin with, all allowed.
    allowed : callable
        Asked for every place that needles are moved to.
    kept : int
        How many are moved on, and returned at most.
    steps : sequence of pair of float
        Sizes of the moves [m, rad].
    along : bool
        Move along the shafts only.
    """
    first = []
    for pose in poses:
        costs = reduced.quick(pose, settings.sparse, goal)
        best = int(np.argmin(costs))
        first.append(Found(pose, int(settings.sparse[best]), float(costs[best])))
    first.sort(key=lambda found: found.cost)
    chosen = [_settled(reduced, settings, goal, found) for found in _apart(first, kept, along)]
    for step, turn in steps:
        _move(reduced, settings, goal, chosen, allowed, step, turn, along)
    chosen.sort(key=lambda found: found.cost)
    return [reduced.candidate(found.pose, found.setting) for found in _apart(chosen, kept, along)]


def _apart(found: Sequence[Found], most: int, along: bool) -> list[Found]:
    """The first of each side, in their order."""
    chosen: list[Found] = []
    for one in found:
        alike = (other for other in chosen if len(other.pose.tips) == len(one.pose.tips))
        if along or all(one.pose.axis @ other.pose.axis < np.cos(APART) for other in alike):
            chosen.append(one)
        if len(chosen) == most:
            break
    return chosen


def _settled(reduced: Reduced, settings: Settings, goal: Goal, found: Found) -> Found:
    """The best setting at a place, from one that is about right."""
    setting, cost = found.setting, np.inf
    for _ in range(_MOST):
        near = settings.near(setting)
        costs = reduced.costs(found.pose, near, goal)
        best = int(np.argmin(costs))
        if costs[best] >= cost - 1e-9:
            break
        setting, cost = int(near[best]), float(costs[best])
    return Found(found.pose, setting, cost)


def _move(
    reduced: Reduced,
    settings: Settings,
    goal: Goal,
    chosen: list[Found],
    allowed: Allowed,
    step: float,
    turn: float,
    along: bool,
) -> None:
    """Move every place to its best neighbour until none is better."""
    active = list(range(len(chosen)))
    for _ in range(_MOST):
        moves = [
            (i, pose)
            for i in active
            for pose in neighbours(
                chosen[i].pose, step, turn, float(reduced.tables.middle[chosen[i].setting]), along=along
            )
        ]
        if not moves:
            return
        free = allowed([pose for _, pose in moves])
        better: dict[int, Found] = {}
        for (i, pose), free_way in zip(moves, free, strict=True):
            if free_way:
                near = settings.near(chosen[i].setting)
                costs = reduced.costs(pose, near, goal)
                best = int(np.argmin(costs))
                if costs[best] < min(better[i].cost if i in better else np.inf, chosen[i].cost - 1e-3):
                    better[i] = Found(pose, int(near[best]), float(costs[best]))
        for i, found in better.items():
            chosen[i] = found
        active = list(better)
