"""What a search needs of a case: its site, and the stock of zones of its needle, made side by side."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ablationsim.anatomy.structure import VESSELS
from ablationsim.case import Case
from ablationsim.errors import CaseError
from ablationsim.geometry.ways import Reach
from ablationsim.study.planning.cooling import remaining
from ablationsim.study.planning.goal import MOST
from ablationsim.study.planning.library import Library, library
from ablationsim.study.planning.protocol import ranges
from ablationsim.study.planning.reduced import Reduced
from ablationsim.study.planning.search import Settings
from ablationsim.study.planning.site import Distance, Site
from ablationsim.study.planning.tables import POWER_STEP, TIME_STEP, Tables
from ablationsim.study.workers import Apply
from ablationsim.vasculature.build import vessels_of
from ablationsim.zone.case_margins import target_of
from ablationsim.zone.margin_ends import AT_NEEDLE
from ablationsim.zone.surface_distance import SurfaceDistance

POWERS, TIMES = 3, 7
"""Powers and times that zones are made for; between them they are interpolated."""


def workplace(case: Case, apply: Apply, jobs: int, told: Callable[[int, int], None]) -> tuple[Reduced, Settings]:
    """Make the reduced model of a case.

    Parameters
    ----------
    case : Case
        With a tumour.
    apply : Apply
    jobs : int
        Processes behind it.
    told : callable
        Called with how many zones of the stock are made, and how many there will be.

    Raises
    ------
    CaseError
        If the protocol, the device or the ranges of [plan] do not fit, or there is no tumour.
    GeometryError
        If the images of the patient cannot be used.
    SolverError
        If a run of the stock fails.
    """
    power, time = ranges(case)
    powers = (
        np.unique(np.geomspace(power[0], power[1], POWERS).round(6)) if power[0] < power[1] else np.array([power[0]])
    )
    # Zones grow ever slower.
    times = np.linspace(time[0] ** 0.5, time[1] ** 0.5, TIMES) ** 2 if time[0] < time[1] else np.array([time[0]])
    done = 0

    def made(count: int) -> None:
        nonlocal done
        done += count
        told(done, len(powers))

    def stock() -> Library:
        return library(case, powers.tolist(), times.round(3).tolist(), apply, made)

    if jobs == 1:
        site, zones = site_of(case), stock()
    else:
        # The runs are in processes of their own.
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(stock)
            site = site_of(case)
            zones = waiting.result()
    settings = _steps(*power, POWER_STEP), _steps(*time, TIME_STEP)
    radius = 0.5 * case.applicators[0].device.applicator.diameter
    tables = Tables.of(zones, *settings, radius)
    cooling = remaining(site.points, vessels_of(case), case.tissue).astype(np.float32)
    return Reduced(site, tables, cooling, radius + AT_NEEDLE, len(powers)), Settings(*map(len, settings))


def site_of(case: Case) -> Site:
    """Return the site of a case.

    Raises
    ------
    CaseError
        If it has no tumour.
    GeometryError
        If the images of the patient cannot be used.
    """
    target = target_of(case)
    if target is None:
        raise CaseError(
            ["there is no tumour to plan for: give [patient] with a structure of this name, or [tumour]"], "the plan"
        )
    margin = max(case.plan.margin, MOST if case.plan.objective == "margin" else 0.0)
    if case.patient is None:
        depth = SurfaceDistance(target.surface)
        return Site.of(target, lambda points: -depth(points), margin=margin)
    anatomy = case.patient.anatomy()

    def distances(*roles: str) -> list[Distance]:
        # Only what is near counts.
        return [Reach(anatomy.distance(structure.name), 0.0) for structure in anatomy.of_role(*roles)]

    return Site.of(
        target,
        anatomy.distance(case.patient.tumour or "tumour"),
        Reach(anatomy.distance(whole_liver=True), 0.0),
        distances(*VESSELS),
        distances("organ", "bile_duct"),
        margin,
    )


def _steps(low: float, high: float, step: float) -> np.ndarray:
    """Values that a person can set between two limits, and the limits themselves."""
    inner = step * np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)
    return np.unique(np.concatenate([[low], inner, [high]]).round(6))
