"""Margins by direction: on which side of a tumour the zone has to reach farther, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ablationsim.zone.extract import Floats
from ablationsim.zone.margin import Margins

PATIENT: Mapping[str, tuple[float, float, float]] = {
    "right": (1.0, 0.0, 0.0),
    "left": (-1.0, 0.0, 0.0),
    "anterior": (0.0, 1.0, 0.0),
    "posterior": (0.0, -1.0, 0.0),
    "superior": (0.0, 0.0, 1.0),
    "inferior": (0.0, 0.0, -1.0),
}
"""Directions in a patient; world coordinates are RAS."""
BLOCK: Mapping[str, tuple[float, float, float]] = {
    "+x": (1.0, 0.0, 0.0),
    "-x": (-1.0, 0.0, 0.0),
    "+y": (0.0, 1.0, 0.0),
    "-y": (0.0, -1.0, 0.0),
    "+z": (0.0, 0.0, 1.0),
    "-z": (0.0, 0.0, -1.0),
}
"""Directions where there is no patient."""
HANDLE, TIP, ACROSS = "toward the handle", "beyond the tip", "across the needle"

_NAMED = 0.4  # of a unit vector: components from which on a direction is named after them


@dataclass(frozen=True)
class Side:
    """Margins on one side of a tumour, as seen from its centre.

    Attributes
    ----------
    name : str
    along : {"patient", "block", "needle"}
        What the direction belongs to.
    share : float
        Of the tumour's surface, 0 to 1.
    least, mean : float or None
        Margin [m]; None without a zone.
    under_required : float
        Share of this side with less than the margin that is asked for, 0 to 1.
    missing : float or None
        How much farther the zone would have to reach for that margin [m]; 0 where it does already.
    """

    name: str
    along: str
    share: float
    least: float | None
    mean: float | None
    under_required: float
    missing: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return what zone.json holds of it, lengths in mm."""
        lengths = {"least_mm": self.least, "mean_mm": self.mean, "missing_mm": self.missing}
        return {
            "name": self.name,
            "along": self.along,
            "share": self.share,
            **{key: None if value is None else 1e3 * value for key, value in lengths.items()},
            "under_required": self.under_required,
        }


def sides(found: Margins, axis: ArrayLike, patient: bool = True) -> tuple[Side, ...]:
    """Return the margins by the six directions of the patient and by the three along and across a needle.

    Every piece of the surface belongs to the direction that it lies in most, from the tumour's centroid: one of six,
    and beyond the tip or toward the handle within 45 degrees of the needle. Sides without any piece are left out.

    Parameters
    ----------
    found : Margins
    axis : (3,) float
        From the tip of the needle to the handle, of any length but zero.
    patient : bool
        Whether the axes of the world are those of a patient (RAS).
    """
    outward = found.target.points - found.target.centre
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), np.finfo(float).tiny)
    named = PATIENT if patient else BLOCK
    world = (outward @ np.array(list(named.values())).T).argmax(axis=1)
    needle = np.asarray(axis, dtype=np.float64)
    height = outward @ (needle / np.linalg.norm(needle))
    along_needle = np.where(height > np.sqrt(0.5), 0, np.where(height < -np.sqrt(0.5), 1, 2))
    return (
        *_sides(found, tuple(named), world, "patient" if patient else "block"),
        *_sides(found, (HANDLE, TIP, ACROSS), along_needle, "needle"),
    )


def _sides(found: Margins, names: Sequence[str], number: Any, along: str) -> list[Side]:
    every = []
    for i, name in enumerate(names):
        here = number == i
        if not here.any():
            continue
        under = found.share_under(found.required, here)
        assert under is not None
        least = mean = missing = None
        if found.found:
            least = float(found.values[here].min())
            mean = float(np.average(found.values[here], weights=found.target.areas[here]))
            missing = max(found.required - least, 0.0)
        every.append(Side(name, along, found.target.share(here), least, mean, under, missing))
    return every


def in_words(vector: ArrayLike, patient: bool = True) -> str:
    """Return where a vector points, in words such as "posterior and left"; its largest component comes first."""
    direction: Floats = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(direction))
    if not length > 0.0:
        return "nowhere"
    named = PATIENT if patient else BLOCK
    parts = {name: float(direction @ np.array(unit)) / length for name, unit in named.items()}
    chosen = sorted((name for name, part in parts.items() if part > _NAMED), key=lambda name: -parts[name])
    return " and ".join(chosen)
