"""What vessels take away from the zone: each case with its vessels and without, on the same mesh.

The run without vessels has everything else of the case: its perfusion, its tumour, its domain in three dimensions.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import AblationSimError, CaseError, Interrupted, SolverError
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.walls import fitted_walls
from ablationsim.results import Result, run_folder
from ablationsim.results.files import make_folder, write_whole
from ablationsim.simulate import simulate
from ablationsim.study.telling import Told, across
from ablationsim.study.workers import workers
from ablationsim.vasculature.build import vessels_of
from ablationsim.vessels.vessel import Vessel
from ablationsim.zone import ZoneMetrics
from ablationsim.zone.toward import Approach, approaches, heated_axis, radius_toward

REACH = 30e-3
"""Distance between vessel and heated axis up to which a branch is compared [m]: no zone of one needle reaches
farther."""

MOST = 8
"""Branches of a case that are compared: those that are nearest in terms of their own diameter."""

WITHOUT = "without_vessels"
"""Folder of the run without vessels, in the folder of the one with them."""

SIZES = (
    "volume_ml",
    "axial_length_mm",
    "transverse_diameter_mm",
    "transverse_minor_mm",
    "sphericity_axes",
    "sphericity_isoperimetric",
)
"""Metrics that are compared, by their names in zone.json."""


@dataclass(frozen=True)
class Toward:
    """How far the zone reaches toward a branch.

    Attributes
    ----------
    tree, branch : str
        Names.
    diameter_mm : float
        Of the branch.
    distance_mm : float
        Between its wall and the heated axis.
    radius_mm, radius_without_mm : float or None
        From the axis to the edge of the zone, on the way to the nearest place of the wall: with vessels, at most to
        that wall if blood flows there; without, beyond it if the zone goes on. None where the axis goes through the
        vessel, so that there is no way.
    """

    tree: str
    branch: str
    diameter_mm: float
    distance_mm: float
    radius_mm: float | None
    radius_without_mm: float | None

    @property
    def remaining_percent(self) -> float | None:
        """Radius with vessels in percent of that without; None where there is none without."""
        if self.radius_mm is None or not self.radius_without_mm:
            return None
        return 100.0 * self.radius_mm / self.radius_without_mm


@dataclass(frozen=True)
class Comparison:
    """A case with its vessels beside the same without.

    Attributes
    ----------
    name : str
        Of the case.
    folder : Path
        Of the run with vessels; `WITHOUT` is in it.
    zone, without : ZoneMetrics
        Undeformed zones of both.
    share : float
        Heat that the vessels carried off, as a share of the energy put in.
    branches : tuple of Toward
        Those near the needle, the nearest first.
    """

    name: str
    folder: Path
    zone: ZoneMetrics
    without: ZoneMetrics
    share: float
    branches: tuple[Toward, ...]

    @property
    def lost_ml(self) -> float:
        """Volume that the vessels keep from being coagulated [mL]."""
        return self.without.volume_ml - self.zone.volume_ml

    @property
    def lost_percent(self) -> float | None:
        """The same in percent of the volume without vessels; None where there is no zone."""
        return 100.0 * self.lost_ml / self.without.volume_ml if self.without.volume_ml > 0.0 else None

    def to_dict(self) -> dict[str, Any]:
        """What zone.json of the run with vessels holds under "heat_sink"."""
        return {
            "without_vessels": {key: getattr(self.without, key) for key in SIZES},
            "lost_ml": self.lost_ml,
            "lost_percent": self.lost_percent,
            "branches": [
                {
                    "tree": toward.tree,
                    "name": toward.branch,
                    "diameter_mm": toward.diameter_mm,
                    "distance_mm": toward.distance_mm,
                    "radius_mm": toward.radius_mm,
                    "radius_without_mm": toward.radius_without_mm,
                    "remaining_percent": toward.remaining_percent,
                }
                for toward in self.branches
            ],
        }


def heat_sink(
    cases: Mapping[str, Case],
    folder: str | Path,
    jobs: int = 1,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Told | None = None,
) -> list[Comparison]:
    """Run cases with their vessels and without, and compare.

    Parameters
    ----------
    cases : mapping of str to Case
        By name, which becomes the name of the folder of each; all have vessels.
    folder : path
        Where all runs go: ``NAME`` and ``NAME/without_vessels``, and ``heat_sink.csv`` with all comparisons.
    jobs : int
        Runs at a time.
    resume : bool
        Take finished runs as they are, and go on with interrupted ones.
    overwrite : bool
        Replace earlier runs.
    progress : callable, optional
        Told about every time step of every run.

    Returns
    -------
    list of Comparison
        In the order of the cases. What each holds is also in zone.json of its run with vessels.

    Raises
    ------
    CaseError
        If a case has no vessels.
    OutputError, CheckpointError
        If a folder cannot be used, before anything is run.
    SolverError
        If a run fails; the message names it.
    Interrupted
        If the user stopped a run.
    """
    folder = Path(folder)
    bare = [name for name, case in cases.items() if not case.vessels]
    if bare:
        raise CaseError([f"{name} has no [[vessel]], so that there is no heat sink to look at" for name in bare])
    runs = [run for name, case in cases.items() for run in _both(name, case, folder)]
    for run in runs:
        run_folder.resumable(run.folder, run.case, resume=resume, overwrite=overwrite)
    with workers(jobs) as apply, across(progress or _silent, jobs) as told:
        apply(_simulate, [_Task(run, resume, overwrite, told) for run in runs])
        found = apply(_compared, [(name, folder / name) for name in cases])
    make_folder(folder)
    write_whole(folder / "heat_sink.csv", _table(found))
    return found


def compare(name: str, result: Result, without: Result, vessels: Sequence[Vessel]) -> Comparison:
    """Compare two finished runs.

    Parameters
    ----------
    name : str
        Of the case.
    result, without : Result
        With vessels and without.
    vessels : sequence of Vessel
        Those of `result`.
    """
    assert result.folder is not None
    axes = [heated_axis(applicator) for applicator in Geometry.from_case(result.case).applicators]
    near = [
        (vessel, approach)
        for vessel in vessels
        for approach in approaches(vessel, axes, REACH)
        if vessel.branches[approach.branch].model != "perfusion"
    ]
    near.sort(key=lambda found: found[1].distance / found[0].branches[found[1].branch].diameter)
    return Comparison(
        name=name,
        folder=result.folder,
        zone=result.zone,
        without=without.zone,
        share=float(result.document["vessels"]["share"]),
        branches=tuple(
            sorted(
                (_toward(result, without, vessel, approach) for vessel, approach in near[:MOST]),
                key=lambda toward: toward.distance_mm,
            )
        ),
    )


def _toward(result: Result, without: Result, vessel: Vessel, approach: Approach) -> Toward:
    branch = vessel.branches[approach.branch]
    way = approach.point - approach.foot
    distance = 1e3 * approach.distance
    own, other = (
        1e3 * radius_toward(run.mesh, run.fields["level"], approach.foot, way) if np.any(way) else None
        for run in (result, without)
    )
    if own is not None and branch.flow > 0.0:
        # Tissue ends at the wall; the elements that it runs through do not.
        own = min(own, distance)
    return Toward(vessel.name, branch.name, 1e3 * branch.diameter, distance, own, other)


@dataclass(frozen=True)
class _Run:
    """A case to run into a folder."""

    label: str
    case: Case
    folder: Path


@dataclass(frozen=True)
class _Task:
    """A run, and what it is told through; made so that it can be sent to another process."""

    run: _Run
    resume: bool
    overwrite: bool
    told: Told


def _both(name: str, case: Case, folder: Path) -> list[_Run]:
    # Without vessels "auto" could find a case to be axisymmetric, with another mesh.
    case = replace(case, domain=case.domain.model_copy(update={"dimension": "3d"}))
    return [
        _Run(f"{name} with vessels", case, folder / name),
        _Run(f"{name} without vessels", replace(case, vessels=()), folder / name / WITHOUT),
    ]


def _simulate(task: _Task) -> None:
    run = task.run
    end = run.case.end + run.case.zone.cooling
    try:
        simulate(
            run.case,
            run.folder,
            resume=task.resume,
            overwrite=task.overwrite,
            progress=lambda time, state: task.told(run.label, time, end),
        )
    except Interrupted as error:
        # What it says goes for one run alone.
        raise type(error)(
            "Stopped. What was written stays; the same command with --resume goes on from the last checkpoints."
        ) from None
    except AblationSimError as error:
        # An error crosses to another process by its message alone.
        raise SolverError(f"{run.label}: {error}") from None


def _compared(task: tuple[str, Path]) -> Comparison:
    """Compare the finished runs of a case, and write what was found into zone.json."""
    name, folder = task
    try:
        result, without = Result.load(folder), Result.load(folder / WITHOUT)
        found = compare(name, result, without, vessels_of(result.case, fitted_walls(result.case, result.mesh)))
        run_folder.write_document(folder, result.document | {"heat_sink": found.to_dict()})
    except AblationSimError as error:
        raise SolverError(f"{name}: {error}") from None
    return found


def _silent(name: str, time: float, end: float) -> None:
    pass


def _table(comparisons: Sequence[Comparison]) -> str:
    """A row for each case and one for each of its branches, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    branch_columns = ("tree", "branch", "diameter_mm", "distance_mm", "radius_mm", "radius_without_mm")
    sizes = [f"{key}{suffix}" for key in SIZES for suffix in ("", "_without")]
    writer.writerow(
        ["case", *branch_columns, "remaining_percent", *sizes, "lost_ml", "lost_percent", "vessel_heat_percent"]
    )
    for found in comparisons:
        values = [getattr(zone, key) for key in SIZES for zone in (found.zone, found.without)]
        values += [found.lost_ml, found.lost_percent, 100.0 * found.share]
        writer.writerow([found.name, *[""] * (len(branch_columns) + 1), *map(_cell, values)])
        for toward in found.branches:
            row = [_cell(getattr(toward, key)) for key in (*branch_columns, "remaining_percent")]
            writer.writerow([found.name, *row, *[""] * len(values)])
    return text.getvalue()


def _cell(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.6g}"
