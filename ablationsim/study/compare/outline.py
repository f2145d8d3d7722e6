"""Outlines of an axisymmetric zone, for drawings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ablationsim.results import Result
from ablationsim.zone import moved, zone_surface

Outlines = Mapping[str, NDArray[np.float64]]
"""By frame, segments of the outer surface of a zone in the half-plane: (k, 2, 2), ends as (r, z) [mm], tip at the
origin and shaft along +z."""


def outlines(result: Result) -> Outlines | None:
    """The outlines of a finished run's zone; None in three dimensions, or without a zone.

    Parameters
    ----------
    result : Result
    """
    mesh, level = result.mesh, result.fields["level"]
    if not mesh.axisymmetric or not result.zone.pieces:
        return None
    surface = zone_surface(mesh, level).enclosing()
    undeformed = 1e3 * surface.points[surface.facets]
    displacement = result.fields.get("displacement")
    if displacement is None:
        return {"undeformed": undeformed, "contracted": undeformed * (1.0 - result.document["contracted"]["strain"])}
    surface = zone_surface(moved(mesh, displacement), level).enclosing()
    return {"undeformed": undeformed, "contracted": 1e3 * surface.points[surface.facets]}
