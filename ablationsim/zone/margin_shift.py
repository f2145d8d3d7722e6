"""Where a zone would lie better: the shift that leaves a tumour the most margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.margin import Margins
from ablationsim.zone.margin_sides import in_words
from ablationsim.zone.surface_distance import SurfaceDistance

FARTHEST = 20e-3
"""Longest shift that is looked at along each axis [m]."""

_PIECES = 1500  # of the tumour's surface in the search
_STEPS = 12
_FIRST, _LAST = 6e-3, 0.05e-3  # m: how far a step may go at first, and at which there is no more to be had


@dataclass(frozen=True, eq=False)
class Shift:
    """A shift of the whole zone.

    Attributes
    ----------
    vector : (3,) float64
        [m]
    least : float
        Minimal margin after it [m].
    gain : float
        How much more that is [m].
    """

    vector: Floats
    least: float
    gain: float

    def to_dict(self, axis: ArrayLike, patient: bool = True) -> dict[str, Any]:
        """Return what zone.json holds of it, lengths in mm.

        Parameters
        ----------
        axis : (3,) float
            From the tip of the needle to the handle.
        patient : bool
            Whether the axes of the world are those of a patient (RAS).
        """
        needle = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
        deeper = -float(self.vector @ needle)
        return {
            "shift_mm": (1e3 * self.vector).tolist(),
            "words": in_words(self.vector, patient),
            "deeper_mm": 1e3 * deeper,
            "across_mm": 1e3 * float(np.linalg.norm(self.vector + deeper * needle)),
            "mam_mm": 1e3 * self.least,
            "gain_mm": 1e3 * self.gain,
        }


def best_shift(zone: Surface, found: Margins) -> Shift | None:
    """Return the shift of a zone that leaves the most margin, as if it kept its shape; None without a zone.

    Near vessels and the capsule a zone does not keep its shape: a run with the needle there tells. From every place on
    the tumour the margin falls or rises with the shift as the normal of the zone says, to first order: the best shift
    by those lines, not farther than they are trusted, is a small linear programme, solved again where it leads.

    Parameters
    ----------
    zone : Surface
        Closed triangles in space [m].
    found : Margins
        Margins of the tumour in that zone.
    """
    from scipy.optimize import linprog

    if not found.found:
        return None
    depth = SurfaceDistance(zone)
    order = np.argsort(found.values, kind="stable")
    # The weakest places, and others all round.
    chosen = np.unique(np.concatenate([order[: _PIECES // 2], order[:: max(1, 2 * len(order) // _PIECES)]]))
    points = np.vstack([found.target.points[chosen], found.weakest])
    best, trusted = np.zeros(3), _FIRST
    least = float(depth(points).min())
    before = least
    for _ in range(_STEPS):
        at = points - best
        values, nearest = depth(at), depth.nearest(at)
        inward = (at - nearest) / np.where(np.abs(values) > 1e-9, values, np.inf)[:, None]
        # The most t for which values - inward . step >= t.
        limits = [(max(-trusted, -FARTHEST - b), min(trusted, FARTHEST - b)) for b in best]
        step = linprog(
            [0.0, 0.0, 0.0, -1.0],
            A_ub=np.column_stack([1e3 * inward, np.full(len(at), 1e3)]),
            b_ub=1e3 * values,
            bounds=[*limits, (None, None)],
        )
        if not step.success:
            break
        there = best + step.x[:3]
        reached = float(depth(points - there).min())
        if reached > least + 1e-6:
            best, least = there, reached
        else:
            trusted /= 3.0
            if trusted < _LAST:
                break
    return Shift(best, found.least + least - before, least - before)
