"""What may have gone wrong where a needle is not in the liver at all."""

from __future__ import annotations

import numpy as np

from ablationsim.anatomy import Anatomy
from ablationsim.geometry.placement import Placement


def misplaced(anatomy: Anatomy, placement: Placement) -> str:
    """Return a sentence about what would put the tip into the liver, with a blank before it; empty when nothing would.

    Coordinates in LPS, in metres instead of millimetres, and the inverse of a pose are looked at.
    """
    tip, rotation = placement.tip, placement.rotation
    advice = {
        "its coordinates are taken as LPS: a case is in RAS, where x runs to the patient's right and y to the front": (
            tip * (-1.0, -1.0, 1.0)
        ),
        "its pose is inverted: a pose leads from the device to the patient, not back": -rotation.T @ tip,
        "its coordinates are taken as metres, or as millimetres where they were metres": 1e3 * tip,
    }
    liver = anatomy.distance(whole_liver=True)
    ways = [text for text, place in advice.items() if liver(np.asarray(place)[None])[0] < 0.0]
    return f" It would be in the liver if {ways[0]}." if ways else ""
