"""What in a mesh is no tissue: the insides of vessels, and what lies beyond the liver; and what takes its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ablationsim.fem.kernels import Array
from ablationsim.fem.tissue_share import LEAST, TissueShare
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.patient import LIVER_SURFACE
from ablationsim.physics.surroundings import Beyond, beyond_fitted
from ablationsim.vessels.distance import WallDistance
from ablationsim.vessels.vessel import Vessel


def fitted_facets(mesh: Mesh, vessel: Vessel) -> str | None:
    """Name of the facets of the mesh that are the wall of a vessel; None where the mesh does not know of it."""
    name = vessel.facets or f"vessel:{vessel.name}"
    return name if name in mesh.facets else None


class Lumens:
    """Insides of the vessels that flow; vessels whose blood stands still are tissue like the rest.

    Parameters
    ----------
    mesh : Mesh
        Tetrahedra.
    vessels : sequence of Vessel
        At least one, or what is beyond the liver.
    beyond : Beyond, optional
        What is beyond the liver, where that is no tissue whose heating is computed.

    Attributes
    ----------
    tissue : TissueShare
        What they leave of each element.
    blood_temperature : (n,) array
        Of the blood at nodes that touch no tissue; NaN at all others [K].
    outside : (n,) bool array
        Nodes beyond the liver that touch no tissue.
    empty : (n,) bool array
        Nodes inside vessels or beyond the liver.
    coldest : (n,) array
        Temperature of the blood at nodes inside vessels, and of what is held at a temperature beyond the liver, minus
        infinity at all others [K]: the linear temperature of an element that the wall crosses goes on below it inside.
    blood_conductivity : (m,) array
        Electric conductivity of what flows, or of what is beyond, times its part of the element's volume relative to
        that of the tissue [S/m].
    """

    def __init__(self, mesh: Mesh, vessels: Sequence[Vessel], beyond: Beyond | None = None) -> None:
        walls = [WallDistance(vessel.wall) for vessel in vessels]
        self._distances: list[Callable[[Array], Array]] = [*walls, *([beyond.distance] if beyond else [])]
        lumen = [cells for name, cells in mesh.regions.items() if name.startswith("lumen:")]
        fitted = beyond is not None and LIVER_SURFACE in mesh.facets
        if fitted:
            lumen.append(beyond_fitted(mesh))
        self.tissue = TissueShare.of_region(mesh, np.concatenate([np.zeros(0, dtype=np.int32), *lumen]))
        embedded: list[Callable[[Array], Array]] = [
            distance for vessel, distance in zip(vessels, walls, strict=True) if fitted_facets(mesh, vessel) is None
        ]
        if beyond and not fitted:
            embedded.append(beyond.distance)
        if embedded:
            self.tissue = self.tissue.both(TissueShare.outside(mesh, embedded))
        share = self.tissue.share
        touches_tissue = np.zeros(len(mesh.points), dtype=bool)
        touches_tissue[mesh.cells[share > 0.0]] = True
        self._update = mesh.distribution.update
        self._update(touches_tissue)
        inner = np.flatnonzero(~touches_tissue)
        self.blood_temperature: Array = np.full(len(mesh.points), np.nan)
        temperatures = np.array([vessel.inlet_temperature for vessel in vessels] + [np.nan] * (beyond is not None))
        nearest = self._nearest(mesh.points[inner])
        self.blood_temperature[inner] = temperatures[nearest]
        self.outside: NDArray[np.bool_] = np.zeros(len(mesh.points), dtype=bool)
        self.outside[inner[nearest == len(vessels)]] = True
        if beyond is not None:
            temperatures[-1] = -np.inf if beyond.temperature is None else beyond.temperature
        partly = np.flatnonzero(share < 1.0)
        near = np.unique(mesh.cells[partly])
        distance: Array = np.full(len(mesh.points), np.inf)
        distance[near] = 1e3 * self._distance(mesh.points[near])
        self._update(distance)
        self.empty: NDArray[np.bool_] = distance < 0.0
        inside = np.flatnonzero(self.empty)
        self.coldest: Array = np.full(len(mesh.points), -np.inf)
        self.coldest[inside] = temperatures[self._nearest(mesh.points[inside])]
        self._cut_at(mesh.cells[(share > 0.0) & (share < 1.0)], np.unique(mesh.cells[share == 0.0]), distance)
        centres = mesh.points[mesh.cells[partly]].mean(axis=1)
        conductivities = np.array([vessel.fluid.electric_conductivity for vessel in vessels])
        if beyond is not None:
            conductivities = np.append(conductivities, beyond.electric_conductivity)
        left = np.maximum(share[partly], LEAST)
        nearest = self._nearest(centres)
        self.blood_conductivity: Array = np.zeros(len(share))
        self.blood_conductivity[partly] = conductivities[nearest] * (1.0 - left) / left
        if beyond is not None:
            part = np.zeros(len(share))
            part[partly] = np.where(nearest == len(vessels), 1.0 - share[partly], 0.0)
            self.tissue = replace(self.tissue, beyond=part)

    def limited(self, level: Array) -> Array:
        """A level ``(n,)`` of the zone that ends at the walls at the latest.

        Where tissue is coagulated up to an embedded wall the level of nodes inside the vessel, which no tissue has,
        becomes what puts its zero on the wall. Nodes in the tissue keep theirs.
        """
        result = np.minimum(level, self._ceiling)
        slope = self._slope @ np.maximum(level, 0.0)
        result[self._crossed] = np.minimum(level[self._crossed], slope * self._depth)
        return self._update(result)

    def _cut_at(self, cut: NDArray[np.integer], lumen: NDArray[np.integer], distance: Array) -> None:
        """Prepare `limited` from the elements that walls cross, the nodes of those inside, and distances [mm]."""
        n = len(distance)
        first, second = np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4)
        pairs = np.unique(cut[:, np.column_stack([first, second])[first != second]].reshape(-1, 2), axis=0)
        inner, outer = pairs[(distance[pairs[:, 0]] <= 0.0) & (distance[pairs[:, 1]] > 0.0)].T
        # The slope, from the wall into the tissue, that fits the levels of the nodes on the tissue's side.
        self._crossed, row = np.unique(inner, return_inverse=True)
        squares = np.bincount(row, distance[outer] ** 2, minlength=len(self._crossed))
        shape = (len(self._crossed), n)
        self._slope = sparse.csr_matrix((distance[outer] / squares[row], (row, outer)), shape=shape)
        self._depth = distance[self._crossed]
        # Nodes deep inside, and on fitted walls.
        self._ceiling: Array = np.full(n, np.inf)
        self._ceiling[lumen] = distance[lumen]
        self._ceiling[self._crossed] = np.inf

    def _distance(self, points: Array) -> Array:
        """Signed distance of the points ``(p, 3)`` to the nearest wall [m]."""
        return np.min([distance(points) for distance in self._distances], axis=0)

    def _nearest(self, points: Array) -> NDArray[np.intp]:
        """Number of the vessel that each of the points ``(p, 3)`` is deepest in, or nearest to."""
        if len(points) == 0:
            return np.zeros(0, dtype=np.intp)
        return np.argmin([distance(points) for distance in self._distances], axis=0)
