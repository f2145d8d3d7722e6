"""The surface of a zone as its applicator sees it, kept small: what margins and pictures of many runs are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.geometry.placement import Placement
from ablationsim.results import Result
from ablationsim.zone.extract import zone_surface

Floats = NDArray[np.float64]

_DIGITS = 3  # of a coordinate in mm


@dataclass(frozen=True, eq=False)
class Outline:
    """The closed surface of a zone, undeformed, in the frame of the applicator [mm].

    Attributes
    ----------
    points : (n, d) float64
        (r, z) when axisymmetric.
    facets : (k, d) int
        Segments when axisymmetric, else triangles; none where there is no zone.
    axisymmetric : bool
    """

    points: Floats
    facets: NDArray[np.int64]
    axisymmetric: bool

    @classmethod
    def of(cls, result: Result) -> Outline:
        """Of a finished run."""
        first = result.case.applicators[0]
        place = Placement.along(first.tip, first.direction, first.roll)
        surface = zone_surface(result.mesh, result.fields["level"]).enclosing()
        used, facets = np.unique(surface.facets, return_inverse=True)
        points = surface.points[used]
        if surface.axisymmetric:
            # The shaft is the z axis, up or down.
            points = np.column_stack([points[:, 0], (points[:, 1] - place.tip[2]) * place.axis[2]])
        else:
            points = place.to_device(points)
        return cls(1e3 * points, facets.reshape(surface.facets.shape), surface.axisymmetric)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Outline:
        """From what `to_dict` gave."""
        size = 2 if data["axisymmetric"] else 3
        points = np.asarray(data["points_mm"], dtype=np.float64).reshape(-1, size)
        return cls(points, np.asarray(data["facets"], dtype=np.int64).reshape(-1, size), bool(data["axisymmetric"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, to a micrometre."""
        return {
            "axisymmetric": self.axisymmetric,
            "points_mm": np.round(self.points, _DIGITS).tolist(),
            "facets": self.facets.tolist(),
        }

    def depth(self, points: ArrayLike) -> Floats:
        """How far inside the zone points (n, 3) lie [mm]; negative outside, minus infinity without a zone."""
        places = np.atleast_2d(np.asarray(points, dtype=np.float64))
        if not len(self.facets):
            return np.full(len(places), -np.inf)
        if not self.axisymmetric:
            return self._depth_in_space(places)
        seen = np.column_stack([np.hypot(places[:, 0], places[:, 1]), places[:, 2]])
        start, end = self.points[self.facets[:, 0]], self.points[self.facets[:, 1]]
        along = end - start
        square = np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
        offset = seen[:, None] - start
        share = np.clip((offset * along).sum(axis=2) / square, 0.0, 1.0)
        distance = np.linalg.norm(offset - share[..., None] * along, axis=2).min(axis=1)
        return np.where(self.holds(seen[:, 0], seen[:, 1]), distance, -distance)

    def _depth_in_space(self, points: Floats) -> Floats:
        import pyvista

        surface = pyvista.PolyData.from_regular_faces(self.points, self.facets)
        found = pyvista.PolyData(points).compute_implicit_distance(surface)
        return -np.asarray(found["implicit_distance"], dtype=np.float64)

    def holds(self, r: Floats, z: Floats) -> NDArray[np.bool_]:
        """Which points of an axisymmetric half-plane are in the zone; shapes (n,) [mm]."""
        start, end = self.points[self.facets[:, 0]], self.points[self.facets[:, 1]]
        # Even and odd crossings of a ray that goes away from the axis; half open, so that a corner counts once.
        z = z[:, None]
        spans = (start[:, 1] <= z) != (end[:, 1] <= z)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (z - start[:, 1]) / (end[:, 1] - start[:, 1])
        crossing = start[:, 0] + share * (end[:, 0] - start[:, 0])
        return np.asarray(np.count_nonzero(spans & (crossing > r[:, None]), axis=1) % 2 == 1)
