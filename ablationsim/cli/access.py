"""What is printed of the ways of needles to their places."""

from __future__ import annotations

import numpy as np

from ablationsim.case import Case
from ablationsim.geometry.access_record import Access, Clearance


def access_lines(case: Case) -> list[str]:
    """The way of every needle in a patient, what is wrong with it, and how needles lie to each other.

    Raises
    ------
    AblationSimError
        If the patient's image cannot be used.
    """
    from ablationsim.geometry.case_access import case_access

    found, pairs = case_access(case)
    lines = [line for access in found for line in _lines(access)]
    lines += [
        f"Needles '{pair.first}' and '{pair.second}': {1e3 * pair.gap:.1f} mm between them at the nearest, "
        f"{1e3 * pair.tips:.1f} mm between their tips, {np.rad2deg(pair.angle):.0f} deg to each other."
        for pair in pairs
    ]
    notes = dict.fromkeys(note for access in found for note in access.notes)
    return lines + [f"Note: {note}" for note in notes]


def _lines(access: Access) -> list[str]:
    surface = {"entry": "the stated entry", "skin": "the skin", "liver": "the surface of the liver"}[access.surface]
    place = "({:.1f}, {:.1f}, {:.1f}) mm".format(*(1e3 * access.entry))
    said = (
        f"Needle '{access.name}': enters at {place} and is {1e3 * access.depth:.1f} mm deep from {surface}, "
        f"{np.rad2deg(access.axial_angle):.0f} deg from the axial plane"
    )
    if access.liver_depth > 0.0:
        aimed = " before the tumour" if access.parenchyma < access.liver_depth else ", with no tumour in the way"
        said += (
            f"; {1e3 * access.parenchyma:.1f} mm of liver{aimed}, entered at "
            f"{np.rad2deg(access.capsule_angle):.0f} deg to its surface"
        )
        if access.capsule > 0.0:
            said += f"; what heats stays {1e3 * access.capsule:.1f} mm below it"
    near = [_distance(each) for each in access.clearances]
    said += f"; distances: {', '.join(near)}." if near else "."
    return [said, *(f"Warning: needle '{access.name}': {problem}" for problem in access.problems)]


def _distance(each: Clearance) -> str:
    more = "more than " if each.at_least else ""
    return f"{each.name} {more}{1e3 * each.distance:.1f} mm"
