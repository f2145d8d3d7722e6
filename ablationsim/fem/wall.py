"""Points on a surface that runs through a mesh, or along its facets, over which exchange terms are integrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ablationsim.fem.location import Locator
from ablationsim.fem.space import P1Space
from ablationsim.mesh.mesh import Mesh
from ablationsim.vessels.distance import split_triangles

Array = NDArray[np.float64]

_COARSE = 4e-3  # m: pieces that are looked up in the mesh before they are cut to the size of its elements
_FINE = 0.5  # length of a piece relative to the side of the element that it lies in


@dataclass(frozen=True, eq=False)
class WallPoints:
    """Quadrature points on a surface in a mesh.

    Attributes
    ----------
    position : (q, 3) array
        World coordinates [m].
    area : (q,) array
        Weight of each point [m2].
    shape : (q, n) csr matrix
        Values of the shape functions at the points.
    """

    position: Array
    area: Array
    shape: sparse.csr_matrix

    @classmethod
    def embedded(cls, locator: Locator, triangles: Array) -> WallPoints:
        """Points on triangles ``(m, 3, 3)`` [m] anywhere in the mesh; what is outside its tissue is left out.

        Each triangle is cut into pieces that are small against the elements they lie in, with a point in each.
        """
        pieces, _ = split_triangles(triangles, _COARSE)
        low, high = locator.mesh.points.min(axis=0) - _COARSE, locator.mesh.points.max(axis=0) + _COARSE
        centre = pieces.mean(axis=1)
        pieces = pieces[((centre > low) & (centre < high)).all(axis=1)]
        # A piece whose centre is outside may reach into the tissue: as fine as the finest, to be sure.
        coarse = locator.find(np.ascontiguousarray(pieces.mean(axis=1)), 0.0).cells
        limit = np.where(coarse >= 0, _FINE * locator.size[coarse], _FINE * _COARSE)
        pieces, _ = split_triangles(pieces, limit)
        centre = np.ascontiguousarray(pieces.mean(axis=1))
        found = locator.find(centre, 0.0)
        inside = found.cells >= 0
        pieces, centre = pieces[inside], centre[inside]
        normal = np.cross(pieces[:, 1] - pieces[:, 0], pieces[:, 2] - pieces[:, 0])
        nodes, weights = locator.mesh.cells[found.cells[inside]], found.weights[inside]
        return cls(centre, 0.5 * np.linalg.norm(normal, axis=1), _matrix(nodes, weights, len(locator.mesh.points)))

    @classmethod
    def fitted(cls, mesh: Mesh, name: str) -> WallPoints:
        """Points on facets of the mesh: three in each triangle, exact for products of two linear functions."""
        facets = mesh.facets[name]
        # The middles of the sides.
        weights = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
        nodes = np.repeat(facets, 3, axis=0)
        shape = np.tile(weights, (len(facets), 1))
        position = np.einsum("qa,qad->qd", shape, mesh.points[nodes])
        return cls(position, np.repeat(mesh.facet_areas(name) / 3.0, 3), _matrix(nodes, shape, len(mesh.points)))

    def take(self, which: NDArray[np.bool_]) -> WallPoints:
        """The points that are marked."""
        return WallPoints(self.position[which], self.area[which], self.shape[which])


def exchange_values(space: P1Space, points: WallPoints, coefficient: Array) -> Array:
    """Values ``(nnz,)`` on the pattern of the space's matrix of the integral of ``h phi_i phi_j`` over the wall [W/K].

    Parameters
    ----------
    space : P1Space
        The mesh that the points lie in.
    points : WallPoints
        On the wall.
    coefficient : (q,) array
        Heat transfer coefficient h at each point [W/m2/K].
    """
    weighted = sparse.diags_array(coefficient * points.area) @ points.shape
    exchange = (points.shape.T @ weighted).tocoo()
    pattern, n = space.matrix, space.n_nodes
    # Both nodes of an entry belong to the element of some point, so that every entry has its place.
    keys = pattern.rows.astype(np.int64) * n + pattern.columns
    place = np.searchsorted(keys, exchange.row.astype(np.int64) * n + exchange.col)
    values = np.zeros(len(keys))
    np.add.at(values, place, exchange.data)
    return values


def _matrix(nodes: NDArray[np.integer], weights: Array, n: int) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(len(nodes)), nodes.shape[1])
    return sparse.csr_matrix((weights.ravel(), (rows, nodes.ravel())), shape=(len(nodes), n))
