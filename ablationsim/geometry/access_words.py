"""The way of a needle in sentences: what is wrong with it, and what could not be checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ablationsim.anatomy import Anatomy
from ablationsim.case.access import AccessSection
from ablationsim.geometry.access_record import Clearance
from ablationsim.geometry.measures import Measures
from ablationsim.geometry.mistakes import misplaced
from ablationsim.geometry.obstacles import unchecked
from ablationsim.geometry.placement import Placement

_OFF = 5e-3
"""A stated entry farther from the surface than this is worth a word [m]: nobody draws more exactly."""


def problems_in(
    anatomy: Anatomy,
    found: Measures,
    limits: AccessSection,
    clearances: Mapping[str, Clearance],
    surface: str,
    placement: Placement,
) -> tuple[str, ...]:
    """One sentence for every limit that is not kept."""
    depth, capsule = 1e3 * float(found.depth[0]), 1e3 * float(found.capsule[0])
    angle, axial = (float(np.rad2deg(part[0])) for part in (found.capsule_angle, found.axial_angle))
    out = "its tip" if found.liver_depth[0] == 0.0 else "what heats"
    wanted = "" if limits.capsule == 0.0 else f", and access.capsule wants it {_mm(limits.capsule)} below"
    lies = (
        f"reaches {-capsule:.1f} mm out of the liver"
        if capsule < 0
        else f"lies only {capsule:.1f} mm below its surface"
    )
    to = {"entry": "the stated entry", "skin": "the skin", "liver": "the surface of the liver"}[surface]
    sentences = {
        "image": "the way leaves the image while it is still inside the patient, so what it meets beyond is not known. "
        "Take an image that reaches farther, or another direction.",
        "capsule": f"{out} {lies}{wanted}. Push the needle deeper, or aim it differently.",
        "capsule_angle": f"it enters the liver at {angle:.0f} deg to its surface, and access.capsule_angle wants at "
        f"least {np.rad2deg(limits.capsule_angle):.0f} deg. Enter more steeply.",
        "parenchyma": f"it passes {1e3 * float(found.parenchyma[0]):.1f} mm of liver before the tumour, and "
        f"access.parenchyma wants at least {_mm(limits.parenchyma)}. Do not puncture the tumour directly.",
        "depth": f"its tip is {depth:.0f} mm from {to}, and access.depth allows {_mm(limits.depth)}. Take a shorter "
        "way.",
        "axial_angle": f"it is tilted by {axial:.0f} deg from the axial plane, and access.axial_angle allows "
        f"{np.rad2deg(limits.axial_angle):.0f} deg.",
    }
    broken = [key for key, values in found.violations.items() if values[0]]
    if found.liver_depth[0] == 0.0:
        # Where the tip is not in the liver there is no way through it to speak of.
        broken = [key for key in broken if key not in ("image", "capsule_angle", "parenchyma")]
        sentences["capsule"] = f"its tip lies outside the liver.{misplaced(anatomy, placement)}"
    return tuple(sentences[key] if key in sentences else _too_near(clearances[key]) for key in broken)


def _too_near(each: Clearance) -> str:
    place = f"{1e3 * each.height:.0f} mm above its tip" if each.height >= 0 else "at its tines"
    what = (
        f"passes through '{each.name}'"
        if each.distance < 0
        else f"comes within {1e3 * each.distance:.1f} mm of '{each.name}'"
    )
    return (
        f"it {what}, {place}; {_mm(each.limit)} are wanted. Choose another way, or state in [access] what is allowed."
    )


def notes_on(anatomy: Anatomy) -> tuple[str, ...]:
    """What could not be checked, one sentence each."""
    missing = unchecked(anatomy)
    notes = []
    what = {"vessel": "vessels", "organ": "organs beside the liver", "bone": "bones"}
    absent = [what[kind] for kind in missing if kind in what]
    if absent:
        notes.append(f"The image has no {' and no '.join(absent)}: the way was not checked against them.")
    if "body" in missing:
        notes.append("The image has no outline of the body: depth is measured from the surface of the liver.")
    return tuple(notes)


def off_the_surface(beyond: float, body: bool) -> tuple[str, ...]:
    """A sentence about a stated entry that is not on the surface, but so far above it [m]."""
    surface = "skin" if body else "surface of the liver"
    if beyond < -_OFF:
        return (f"The stated entry lies {-1e3 * beyond:.0f} mm below the {surface}: the way above it was not checked.",)
    if body and beyond > _OFF:
        return (f"The stated entry lies {1e3 * beyond:.0f} mm above the skin.",)
    return ()


def _mm(length: float) -> str:
    return f"{1e3 * length:.3g} mm"
