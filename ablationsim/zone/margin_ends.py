"""What ends a margin: the wall of a vessel, or the viable tissue that a cooled needle leaves round its shaft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.geometry import centrelines
from ablationsim.vessels.vessel import Vessel
from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.marching import Ints
from ablationsim.zone.margin import Margins
from ablationsim.zone.surface_distance import SurfaceDistance

AT_WALL = 1e-3
"""Distance of the zone's edge from the wall of a vessel up to which it is the vessel that ends it [m] (assumed)."""
AT_NEEDLE = 2e-3
"""Distance of the zone's edge from the shaft of a needle up to which it is the needle that ends it [m] (assumed)."""
NEAR = 20e-3
"""Distance from the tumour up to which vessels are looked at [m]."""


class NearVessels:
    """The walls of vessels with flowing blood near a tumour.

    Parameters
    ----------
    vessels : sequence of Vessel
    margins : Margins
        Of the tumour.
    """

    def __init__(self, vessels: Sequence[Vessel], margins: Margins) -> None:
        self._margins = margins
        self._walls: dict[str, tuple[str, SurfaceDistance]] = {}
        points = margins.target.surface.points
        low, high = points.min(axis=0) - NEAR, points.max(axis=0) + NEAR
        for vessel in vessels:
            corners = vessel.wall.points[vessel.wall.triangles]
            near = ((corners.max(axis=1) > low) & (corners.min(axis=1) < high)).all(axis=1)
            if near.any() and any(branch.flow > 0.0 for branch in vessel.branches):
                piece = Surface(vessel.wall.points, vessel.wall.triangles[near], axisymmetric=False)
                self._walls[vessel.name] = vessel.kind, SurfaceDistance(piece)

    def nearest(self, point: Floats) -> dict[str, Any] | None:
        """Return which vessel is nearest to a point (3,), and how far its wall is; None without one near the tumour."""
        found = [
            (float(np.linalg.norm(wall.nearest(point[None])[0] - point)), name, kind)
            for name, (kind, wall) in self._walls.items()
        ]
        if not found:
            return None
        distance, name, kind = min(found)
        return {"name": name, "kind": kind, "distance_mm": 1e3 * distance}

    def at_walls(self, zone: Surface) -> dict[str, Any] | None:
        """Return how much of the missing margin is missing because a vessel is there; None without vessels or a zone.

        Of the tumour's surface that has less than the margin asked for, that is the part whose margin ends at a wall:
        the zone cannot reach farther there, and the tissue up to the vessel is ablated.

        Parameters
        ----------
        zone : Surface
            Closed triangles in space [m], in which the margins were measured.
        """
        margins = self._margins
        if not self._walls or not margins.found:
            return None
        short = np.flatnonzero((margins.values < margins.required) & (margins.values > 0.0))
        edges = SurfaceDistance(zone).nearest(margins.target.points[short])
        walls = [wall for _, wall in self._walls.values()]
        gaps = np.min([np.linalg.norm(wall.nearest(edges) - edges, axis=1) for wall in walls], axis=0)
        return _without(margins, short[gaps < AT_WALL], AT_WALL)


def at_needles(zone: Surface, margins: Margins, applicators: Sequence[Applicator]) -> dict[str, Any] | None:
    """Return how much of the missing margin is missing beside a shaft; None without a zone.

    A cooled shaft keeps tissue round it alive, so that a zone has a dent where its needle leaves it. Of the tumour's
    surface that has less than the margin asked for, this is the part whose margin ends in that dent; ablating the
    track on the way out closes it.

    Parameters
    ----------
    zone : Surface
        Closed triangles in space [m], in which the margins were measured.
    margins : Margins
    applicators : sequence of Applicator
    """
    if not margins.found:
        return None
    short = np.flatnonzero(margins.values < margins.required)
    edges = SurfaceDistance(zone).nearest(margins.target.points[short])
    reach = float(np.ptp(zone.points, axis=0).max())
    near = np.zeros(len(short), dtype=bool)
    for applicator in applicators:
        for line, radius in centrelines(applicator, reach)[: len(applicator.shafts)]:
            along = line[-1] - line[0]
            place = (edges - line[0]) @ along / (along @ along)
            beside = np.linalg.norm(edges - line[0] - place[:, None] * along, axis=1)
            near |= (place > 0.0) & (beside < radius + AT_NEEDLE)
    return _without(margins, short[near], AT_NEEDLE)


def _without(margins: Margins, ended: Ints, within: float) -> dict[str, Any]:
    """Margins of a tumour without the pieces of its surface of which something ends them."""
    here = np.zeros(len(margins.values), dtype=bool)
    here[ended] = True
    rest = ~here
    least = margins.least_of(rest)
    return {
        "within_mm": 1e3 * within,
        "share": margins.target.share(here),
        "mam_mm": None if least is None else 1e3 * least,
        "place_mm": None if least is None else (1e3 * margins.weakest_of(rest)).tolist(),
        "under_required": margins.share_under(margins.required, rest),
    }
