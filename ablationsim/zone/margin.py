"""The ablative margin: how far the zone reaches beyond the surface of a tumour.

The margin of a place on the tumour's surface is its distance to the surface of the zone, positive where the zone covers
it and negative where it does not. The least of them is the minimal ablative margin (MAM); how they are spread over the
surface is the quantitative ablation margin (QAM; Sandu et al. 2021, Frontiers in Oncology 11:623098), for which places
near the capsule of the liver are left out: no liver lies beyond them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import GeometryError
from ablationsim.vessels.distance import split_triangles
from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.surface_distance import SurfaceDistance
from ablationsim.zone.target import Target

REQUIRED = 5e-3
"""Margin that is asked for where nothing else is said [m]: local progression is rare from there on."""
SUBCAPSULAR = 5e-3
"""Places of a tumour's surface nearer to the capsule of the liver than this are left out by the rule of QAM [m]."""
EXACT = 0.02e-3
"""To within how much the minimal margin between two surfaces is found [m], unless so many places have nearly the least
that not all can be looked at, as in a sphere round a sphere."""

_ROUNDS, _MOST = 8, 400  # of the search for the least margin: halvings, and pieces at a time

Distance = Callable[[Floats], Floats]
"""Signed distance of points (p, 3) to something, negative inside it, shape (p,), all in metres."""


@dataclass(frozen=True, eq=False)
class Margins:
    """Margins of a tumour in a zone.

    Attributes
    ----------
    target : Target
        The tumour.
    values : (n,) float64
        Margin in the middle of each piece of its surface [m]; minus infinity without a zone.
    required : float
        Margin that is asked for [m].
    least : float
        Minimal ablative margin [m], found to within `EXACT`; minus infinity without a zone.
    weakest, toward : (3,) float64
        Place on the tumour where it is, and the place of the zone's surface nearest to it [m].
    coverage : float
        Share of the tumour's volume that lies in the zone, 0 to 1.
    subcapsular : (n,) bool or None
        Pieces nearer to the capsule than `SUBCAPSULAR`, or outside the liver; None where the liver is not known.
    """

    target: Target
    values: Floats
    required: float
    least: float
    weakest: Floats
    toward: Floats
    coverage: float
    subcapsular: NDArray[np.bool_] | None = None

    @property
    def found(self) -> bool:
        """Whether there is a zone."""
        return bool(np.isfinite(self.least))

    def share_under(self, margin: float, chosen: NDArray[np.bool_] | None = None) -> float | None:
        """Share of the surface with less than a margin [m]; of the chosen pieces, or None where none is chosen."""
        areas = self.target.areas if chosen is None else self.target.areas[chosen]
        values = self.values if chosen is None else self.values[chosen]
        return float(areas[values < margin].sum() / areas.sum()) if len(areas) else None

    def least_of(self, chosen: NDArray[np.bool_]) -> float | None:
        """Least margin of the chosen pieces [m]; None where none is chosen, or without a zone."""
        if not chosen.any() or not self.found:
            return None
        # The least of all is known more closely than by the middles of the pieces.
        return self.least if chosen[self.values.argmin()] else float(self.values[chosen].min())

    def weakest_of(self, chosen: NDArray[np.bool_]) -> Floats:
        """Return the place with the least margin, shape (3,) [m], of the chosen pieces, of which there are some."""
        pieces = np.flatnonzero(chosen)
        piece = pieces[self.values[pieces].argmin()]
        return self.weakest if piece == self.values.argmin() else np.asarray(self.target.points[piece])

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers under the keys that zone.json uses; None for what there is not."""
        document: dict[str, Any] = {
            "required_mm": 1e3 * self.required,
            "mam_mm": 1e3 * self.least if self.found else None,
            "mean_mm": float(1e3 * np.average(self.values, weights=self.target.areas)) if self.found else None,
            "coverage": self.coverage,
            "under_0": self.share_under(0.0),
            "under_required": self.share_under(self.required),
        }
        if self.subcapsular is not None:
            rest = ~self.subcapsular
            least = self.least_of(rest)
            document["subcapsular_excluded"] = {
                "within_mm": 1e3 * SUBCAPSULAR,
                "share": self.target.share(self.subcapsular),
                "mam_mm": None if least is None else 1e3 * least,
                "under_0": self.share_under(0.0, rest),
                "under_required": self.share_under(self.required, rest),
            }
        return document


def margins(
    zone: Surface,
    target: Target,
    *,
    required: float = REQUIRED,
    liver: Distance | None = None,
    viable: NDArray[np.bool_] | None = None,
) -> Margins:
    """Measure the margins of a tumour in a zone that lies where the tumour does.

    Parameters
    ----------
    zone : Surface
        Closed triangles in space, normals outward, world coordinates [m]; no triangles where there is no zone.
    target : Target
        The tumour.
    required : float
        Margin that is asked for [m].
    liver : callable, optional
        Signed distance to the capsule of the liver, negative inside, for the rule about places near it.
    viable : (m,) bool, optional
        Which of the points that fill the tumour (`Target.filling`) are not ablated although they lie in the closed
        surface, such as those round a cooled shaft.

    Raises
    ------
    GeometryError
        When the margin that is asked for is not a number, or the surface is given in a half-plane.
    """
    if not np.isfinite(required):
        raise GeometryError(f"The margin that is asked for must be a number, got {required}.")
    count, nowhere = len(target.areas), np.full(3, np.nan)
    capsular = None if liver is None else np.asarray(liver(target.points)) > -SUBCAPSULAR
    if not len(zone.facets):
        return Margins(target, np.full(count, -np.inf), required, -np.inf, nowhere, nowhere, 0.0, capsular)
    depth = SurfaceDistance(zone)
    values = depth(target.points)
    covered = target.within(zone)
    if viable is not None:
        covered &= ~viable
    least, place = _least(depth, target, values)
    toward = depth.nearest(place[None])[0]
    return Margins(target, values, required, least, place, toward, float(covered.mean()), capsular)


def _least(depth: SurfaceDistance, target: Target, values: Floats) -> tuple[float, Floats]:
    """Least depth of any place on a target, and where it is.

    From one place to another a distance changes by no more than the places are apart. So only pieces whose middle is
    deeper by no more than they reach can have less than what was found; they are halved until that is little.
    """
    corners, found = target.corners, values
    best = int(found.argmin())
    least, place = float(found[best]), target.points[best]
    for _ in range(_ROUNDS):
        middle = corners.mean(axis=1)
        reach = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
        left = np.flatnonzero(found - reach < least - EXACT)
        if not len(left):
            break
        # Of very many, the most promising: a sphere in a concentric one has its least margin everywhere.
        left = left[np.argsort((found - reach)[left], kind="stable")[:_MOST]]
        sides = np.linalg.norm(corners[left] - np.roll(corners[left], 1, axis=1), axis=2).max(axis=1)
        corners, _ = split_triangles(corners[left], 0.5 * sides)
        middle = corners.mean(axis=1)
        found = depth(middle)
        best = int(found.argmin())
        if found[best] < least:
            least, place = float(found[best]), middle[best]
    return least, place
