"""From a plan that the search proposes to a case that can be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ablationsim.case import Case, DomainSection, extent
from ablationsim.case.case import PlacedDevice
from ablationsim.study.planning.candidate import Candidate
from ablationsim.study.planning.protocol import with_setting


def planned(case: Case, plan: Candidate, title: str) -> Case:
    """Return a case with the needles of a plan, on the mesh and with the time steps that a plan is confirmed with.

    Parameters
    ----------
    case : Case
        Whose first applicator every needle is like.
    plan : Candidate
    title : str
        Added to that of the case.
    """
    placed = tuple(_needle(case.applicators[0], plan, i) for i in range(len(plan.tips)))
    wanted = case.plan
    return replace(
        case,
        title=f"{case.title}: {title}",
        applicators=placed,
        domain=domain_round(case.domain, placed, alike=len(placed) == len(case.applicators)),
        mesh=case.mesh.model_copy(update={"resolution": wanted.resolution}),
        time=case.time.model_copy(update={"tolerance": wanted.tolerance}),
        measured=None,
        probes=(),
        text="",
    )


def domain_round(domain: DomainSection, placed: Sequence[PlacedDevice], alike: bool) -> DomainSection:
    """Return the block of a case about needles that were moved; one in the world's frame stays where it is.

    Parameters
    ----------
    domain : DomainSection
    placed : sequence of PlacedDevice
    alike : bool
        Whether the needles are as many as before, so that the block keeps its size.
    """
    if domain.frame != "applicator":
        return domain
    frame = extent.Frame.of([(one.tip, one.direction) for one in placed])
    seen = [(one.device.applicator, *frame.seen(one.tip, one.direction)) for one in placed]
    size = {"centre": None} if alike else {"centre": None, "radius": None, "height": None}
    return extent.complete(domain.model_copy(update=size), frame, *extent.bounding_box(seen))


def _needle(first: PlacedDevice, plan: Candidate, number: int) -> PlacedDevice:
    # Micrometres, so that limits that a way just keeps stay kept.
    x, y, z = np.round(plan.tips[number], 6).tolist()
    u, v, w = np.round(plan.axes[number], 9).tolist()
    return replace(
        first,
        name=first.name if len(plan.tips) == 1 else f"{first.name}_{number + 1}",
        tip=(x, y, z),
        direction=(u, v, w),
        entry=None,
        start=0.0,
        repeat=1,
        protocol=with_setting(first.protocol, plan.power, plan.time),
    )
