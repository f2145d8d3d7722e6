"""The table of a case file about the way of a needle through the patient."""

from __future__ import annotations

from math import pi
from typing import Annotated

from pydantic import AfterValidator, Field

from ablationsim.case.sections import Section
from ablationsim.device.protocol import NotNegative, Positive
from ablationsim.units import Angle, Length, show


def _angle(value: float) -> float:
    if not 0.0 <= value <= 0.5 * pi:
        raise ValueError(f"{show(value, 'angle')} is outside 0 deg to 90 deg (an angle with a surface)")
    return value


Clearance = Annotated[Length, NotNegative]
Slope = Annotated[Angle, AfterValidator(_angle)]


class AccessSection(Section):
    """``[access]``: what the way of a needle through the patient must keep. All limits are assumed, none is published.

    Distances are from the surface of the needle, tines included, to the surface of a structure, over the whole length
    that is in the patient.

    Attributes
    ----------
    vessel : float
        From hepatic and portal veins, arteries, the vena cava and bile ducts [m].
    organ, bone : float
        From other organs, and from bones [m].
    clearance : dict of str to float
        From a structure, by its name, in place of those [m].
    ignore : tuple of str
        Names of structures that may be in the way.
    depth : float
        From the tip to the skin at most, or to the surface of the liver where the image has no outline of the body [m].
    capsule : float
        How far below the surface of the liver the part that heats must stay [m]; negative lets it stick out.
    capsule_angle : float
        Between the needle and the surface of the liver where it enters, at least [rad]: flat entries slip and tear.
    parenchyma : float
        Way through the liver before the tumour, at least [m]: punctured directly, a tumour bleeds and seeds.
    axial_angle : float
        Between the needle and the axial plane at most [rad].
    needle : float
        Between the surfaces of two needles [m].
    """

    vessel: Clearance = 2e-3
    organ: Clearance = 5e-3
    bone: Clearance = 2e-3
    clearance: dict[str, Clearance] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    depth: Annotated[Length, Positive] = 0.2
    capsule: Length = 0.0
    capsule_angle: Slope = 20.0 * pi / 180.0
    parenchyma: Clearance = 5e-3
    axial_angle: Slope = 0.5 * pi
    needle: Clearance = 3e-3
