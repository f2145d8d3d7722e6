"""The runs behind a confidence: the case with one uncertain number at an end of its range, all else as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablationsim.case import Case
from ablationsim.errors import AblationSimError, CaseError, Interrupted, SolverError, best_match
from ablationsim.geometry.placement import Placement
from ablationsim.results import Result
from ablationsim.simulate import simulate
from ablationsim.study.uncertainty.arm import Arm
from ablationsim.study.uncertainty.inputs import Input, inputs_of
from ablationsim.study.uncertainty.placing import Plan
from ablationsim.study.workers import workers
from ablationsim.zone import zone_surface
from ablationsim.zone.extract import Surface

FOLDER = "confidence"
"""Folder of the runs, in that of the run that they belong to."""

_NONE = "none"


@dataclass(frozen=True, eq=False)
class End:
    """A run at an end of a range.

    Attributes
    ----------
    value : float
        Of the uncertain number (SI).
    case : Case
    folder : Path
    """

    value: float
    case: Case
    folder: Path


def chosen_inputs(case: Case, names: Sequence[str] | None) -> tuple[Input, ...]:
    """Return the numbers of a case that are varied.

    Parameters
    ----------
    case : Case
    names : sequence of str or None
        As in studies of uncertainty, such as "tissue.perfusion"; "none" alone for none of them. When not given: the
        perfusion, and how much of its setting reaches an antenna, or the conductivity round an electrode.

    Raises
    ------
    CaseError
        With every name that is not known.
    """
    known = {one.name: one for one in inputs_of(case, placed=False) if not one.name.startswith("experiment.")}
    if names is None:
        microwave = any(placed.device.modality == "mwa" for placed in case.applicators)
        device = [name for name in known if name.endswith("antenna.efficiency")]
        wanted = ["tissue.perfusion", *(device if microwave else ["tissue.electric_conductivity"])]
        return tuple(known[name] for name in wanted if name in known)
    if list(names) == [_NONE]:
        return ()
    problems = [
        f"no uncertain number '{name}' in this case{best_match(name, known)}" for name in names if name not in known
    ]
    if problems:
        raise CaseError(problems, "--vary")
    return tuple(known[name] for name in names)


def ends_of(case: Case, one: Input, folder: Path) -> tuple[End, ...]:
    """Return the case with a number at both ends of its range; one end only where the other is its nominal value.

    Raises
    ------
    CaseError
        When the case makes no sense with it.
    """
    first = case.applicators[0]
    place = Placement.along(first.tip, first.direction, first.roll)
    arm = Arm("", "", {}, Path(), case, Plan(place, first.roll, place.rotation[:, 0], False, None), (one,))
    name = re.sub(r"[^A-Za-z0-9]+", "_", one.name).strip("_")
    slack = 1e-9 * (one.limits.high - one.limits.low)
    return tuple(
        End(value, arm.draw({one.name: value}), folder / FOLDER / f"{name}_{which}")
        for which, value in (("low", one.limits.low), ("high", one.limits.high))
        if abs(value - one.nominal) > slack
    )


def zones_of(ends: Sequence[End], jobs: int, told: Callable[[int, int], None]) -> list[Surface]:
    """Run what has not been run yet, and return the closed zone of each.

    Parameters
    ----------
    ends : sequence of End
    jobs : int
        Runs at a time.
    told : callable
        ``told(done, total)``

    Raises
    ------
    SolverError
        When a run fails; the message names it.
    Interrupted
        When the user stopped a run; the same call goes on with what has been finished.
    """
    done = 0
    told(0, len(ends))

    def one_more(answer: Any) -> None:
        nonlocal done
        done += 1
        told(done, len(ends))

    if not ends:
        return []
    with workers(min(jobs, len(ends))) as apply:
        return apply(_zone, list(ends), one_more)


def _zone(end: End) -> Surface:
    try:
        result = simulate(end.case, end.folder, resume=True)
    except Interrupted:
        raise
    except AblationSimError as error:
        raise SolverError(f"The run in {end.folder} failed. {error}") from error
    return closed_zone(result)


def closed_zone(result: Result) -> Surface:
    """Return the closed surface of the undeformed zone of a run in space [m]."""
    return zone_surface(result.mesh, result.fields["level"]).enclosing()
