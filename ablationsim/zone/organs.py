"""What an ablation does to its neighbours: how warm organs and bile ducts became, and whether the zone reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ablationsim.anatomy import Anatomy
from ablationsim.errors import GeometryError
from ablationsim.fem.location import Locator
from ablationsim.mesh.mesh import Mesh
from ablationsim.units import ZERO_CELSIUS
from ablationsim.vessels.contour import to_world
from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.surface_distance import SurfaceDistance

AT_RISK = ("organ", "bile_duct")
"""Roles of what an ablation may harm."""
NEAR = 60e-3
"""Distance from the zone up to which an organ is looked at [m]."""

_APART = 1.5e-3  # m: voxels are looked at in points no farther apart
_NEAREST = 500  # points of an organ, by the nodes of the zone's surface, of which the distance is measured


class Neighbours:
    """Points that fill the organs in a mesh, and where in it they lie; all ranks make and ask it.

    Parameters
    ----------
    anatomy : Anatomy
    mesh : Mesh
        Tetrahedra in world coordinates [m].
    """

    def __init__(self, anatomy: Anatomy, mesh: Mesh) -> None:
        comm = mesh.distribution.comm
        low, high = comm.smallest(mesh.points.min(axis=0)), comm.largest(mesh.points.max(axis=0))
        self._mesh, self._roles = mesh, {}
        self._points: dict[str, Floats] = {}
        self._cell: dict[str, float] = {}
        for structure in anatomy.of_role(*AT_RISK):
            points, cell = _filling(anatomy, structure.label, low, high)
            if len(points):
                self._roles[structure.name] = structure.role
                self._points[structure.name], self._cell[structure.name] = points, cell
        self._places = None
        if self._points:
            self._places = Locator(mesh).find(np.concatenate(list(self._points.values())), reach=0.0)

    def heated(self, fields: Mapping[str, Floats]) -> dict[str, dict[str, Any]]:
        """Return how warm each organ became, by its name; without any where there is none in the mesh.

        Parameters
        ----------
        fields : mapping of str to (n,) float64
            Nodal ``max_temperature`` [K], ``cem43`` [min] and ``level``, positive in the zone.
        """
        if self._places is None:
            return {}
        comm, cells, weights = self._mesh.distribution.comm, self._places.cells, self._places.weights
        known = comm.largest((cells >= 0).astype(np.float64)) > 0.0
        corners = self._mesh.cells[np.maximum(cells, 0)]
        values = {
            key: np.where(known, comm.sum(np.einsum("pi,pi->p", weights, fields[key][corners])), np.nan)
            for key in ("max_temperature", "cem43", "level")
        }
        found, begin = {}, 0
        for name, points in self._points.items():
            here = slice(begin, begin + len(points))
            begin += len(points)
            inner = {key: value[here][known[here]] for key, value in values.items()}
            if not len(inner["level"]):
                continue
            celsius, millilitre = inner["max_temperature"] - ZERO_CELSIUS, 1e6 * self._cell[name]
            found[name] = {
                "role": self._roles[name],
                "max_temperature_c": float(celsius.max()),
                "max_cem43_min": float(inner["cem43"].max()),
                "above_43_ml": millilitre * int((celsius > 43.0).sum()),
                "above_45_ml": millilitre * int((celsius > 45.0).sum()),
                "in_zone_ml": millilitre * int((inner["level"] > 0.0).sum()),
            }
        return found

    def distances(self, zone: Surface) -> dict[str, float]:
        """Return how far each organ is from a zone [m], by its name: negative where the zone reaches into it.

        Parameters
        ----------
        zone : Surface
            Closed triangles in space [m], at least one.
        """
        depth, tree, found = SurfaceDistance(zone), cKDTree(zone.points), {}
        for name, points in self._points.items():
            rough, _ = tree.query(points)
            near = np.argsort(rough, kind="stable")[:_NEAREST]
            inner = depth(points[near])
            # Deep in the zone, points are as far from its surface as they are from its edge elsewhere.
            found[name] = float(-inner.max())
        return found


def _filling(anatomy: Anatomy, label: int, low: Floats, high: Floats) -> tuple[Floats, float]:
    """Points that fill a structure in a box, and the volume that each stands for [m3]."""
    try:
        image = anatomy.image.cropped(low, high)
    except GeometryError:  # the box holds nothing of the image
        return np.empty((0, 3)), 0.0
    parts = np.maximum(1, np.ceil(image.spacing / _APART)).astype(int)
    offsets = np.stack(np.meshgrid(*((np.arange(n) + 0.5) / n - 0.5 for n in parts), indexing="ij"), axis=-1)
    indices = np.argwhere(image.values == label)[:, None] + offsets.reshape(-1, 3)
    points = to_world(image.affine, indices.reshape(-1, 3).astype(np.float64))
    kept = ((points >= low) & (points <= high)).all(axis=1)
    return points[kept], float(np.prod(image.spacing / parts))
