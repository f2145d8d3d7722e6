"""The ways of all needles of a case."""

from __future__ import annotations

from dataclasses import replace

from ablationsim.case import Case
from ablationsim.geometry.access import assess
from ablationsim.geometry.access_record import Access
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.placement import Placement
from ablationsim.geometry.separation import Separation, separations


def case_access(case: Case) -> tuple[tuple[Access, ...], tuple[Separation, ...]]:
    """Return the way of every needle of a patient's case, and every pair of needles; nothing when there is no patient.

    Needles that are nearer to each other than `access.needle` have that among the problems of the second one.

    Raises
    ------
    GeometryError
        As for `assess`.
    """
    if case.patient is None:
        return (), ()
    anatomy = case.patient.anatomy()
    found = {
        each.name: assess(anatomy, each.tip, each.direction, each.device, case.access, each.roll, each.entry, each.name)
        for each in case.applicators
    }
    placed = [
        (
            Applicator.build(
                i, each.device.applicator, Placement.along(each.tip, each.direction, each.roll), each.name
            ),
            found[each.name].depth,
        )
        for i, each in enumerate(case.applicators)
    ]
    pairs = separations(placed)
    for pair in pairs:
        if pair.gap < case.access.needle:
            problem = (
                f"it comes within {1e3 * pair.gap:.1f} mm of needle '{pair.first}' (negative is overlap), and "
                f"access.needle wants {1e3 * case.access.needle:.3g} mm. Place them farther apart."
            )
            beside = found[pair.second]
            found[pair.second] = replace(beside, problems=(*beside.problems, problem))
    return tuple(found.values()), pairs
