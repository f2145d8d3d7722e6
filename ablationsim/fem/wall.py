"""Points on a surface that runs through a mesh, or along its facets, over which exchange terms are integrated.

Elements much larger than the layer in which the temperature falls toward a wall do not see that fall, so that plain
integrals over an embedded wall take up too much heat. The condition ``k dT/dn = h (T_b - T)`` is therefore imposed in
Nitsche's way (Juntunen and Stenberg, Math. Comp. 78, 2009): the tissue exchanges heat through a layer of the depth
``tau``, with the coefficient ``1 / (1 / h + tau / k)`` from the temperature ``T - tau dT/dn`` behind it, and
``k tau`` times the product of the slopes is taken off. This changes nothing for the exact solution. The depth is a
share of the tissue's volume over the wall's area in an element, which keeps the matrix positive definite.
"""

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
_DEPTH = 0.5  # of the exchange behind an embedded wall: share of the element's tissue volume over the wall's area


@dataclass(frozen=True, eq=False)
class WallPoints:
    """Quadrature points on a surface in a mesh.

    Attributes
    ----------
    position : (q, 3) array
        World coordinates [m].
    area : (q,) array
        Weight of each point [m2].
    depth : (q,) array
        How deep in the tissue the exchange is taken, tau [m].
    shape : (q, n) csr matrix
        Values of the shape functions at that depth behind the points, from their value and slope at the points.
    slope : (q, n) csr matrix
        Their slopes along the normal that points out of the tissue [1/m].
    """

    position: Array
    area: Array
    depth: Array
    shape: sparse.csr_matrix
    slope: sparse.csr_matrix

    @classmethod
    def embedded(cls, space: P1Space, locator: Locator, triangles: Array) -> WallPoints:
        """Points on triangles anywhere in the mesh; what is outside its tissue is left out.

        Each triangle is cut into pieces that are small against the elements they lie in, with a point in each.

        Parameters
        ----------
        space : P1Space
            Of the tissue outside the surface.
        locator : Locator
            Of its mesh.
        triangles : (m, 3, 3) array
            Corners; normals point into the tissue [m].
        """
        pieces, _ = split_triangles(triangles, _COARSE)
        low, high = locator.low - _COARSE, locator.high + _COARSE
        centre = pieces.mean(axis=1)
        pieces = pieces[((centre > low) & (centre < high)).all(axis=1)]
        # A piece whose centre is outside may reach into the tissue: as fine as the finest, to be sure.
        size = locator.find(np.ascontiguousarray(pieces.mean(axis=1)), 0.0).size
        limit = _FINE * np.where(np.isfinite(size), size, _COARSE)
        pieces, _ = split_triangles(pieces, limit)
        centre = np.ascontiguousarray(pieces.mean(axis=1))
        found = locator.find(centre, 0.0)
        inside = found.cells >= 0
        pieces, centre = pieces[inside], centre[inside]
        cells = found.cells[inside]
        into_tissue = np.cross(pieces[:, 1] - pieces[:, 0], pieces[:, 2] - pieces[:, 0])
        area = 0.5 * np.linalg.norm(into_tissue, axis=1)
        nodes, n = locator.mesh.cells[cells], space.n_nodes
        slope = np.einsum("qd,qad->qa", -0.5 * into_tissue / area[:, None], _gradients(locator.mesh, cells))
        depth = _DEPTH * space.volume[cells] / np.bincount(cells, area, minlength=len(space.volume))[cells]
        behind = found.weights[inside] - depth[:, None] * slope
        return cls(centre, area, depth, _matrix(nodes, behind, n), _matrix(nodes, slope, n))

    @classmethod
    def fitted(cls, mesh: Mesh, name: str) -> WallPoints:
        """Points on facets of the mesh: three in each triangle, exact for products of two linear functions."""
        facets = mesh.facets[name]
        # The middles of the sides.
        weights = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
        nodes = np.repeat(facets, 3, axis=0)
        shape = np.tile(weights, (len(facets), 1))
        position = np.einsum("qa,qad->qd", shape, mesh.points[nodes])
        area = np.repeat(mesh.facet_areas(name) / 3.0, 3)
        values = _matrix(nodes, shape, len(mesh.points))
        return cls(position, area, np.zeros(len(area)), values, sparse.csr_matrix(values.shape))

    def take(self, which: NDArray[np.bool_]) -> WallPoints:
        """The points that are marked."""
        return WallPoints(
            self.position[which], self.area[which], self.depth[which], self.shape[which], self.slope[which]
        )


def exchange_matrix(points: WallPoints, coefficient: Array, conductivity: float) -> sparse.csr_array:
    """What the exchange at a wall adds to the conduction matrix ``(n, n)`` [W/K].

    Both nodes of an entry belong to the element of some point, so that every entry is on the pattern of the matrix.

    Parameters
    ----------
    points : WallPoints
        On the wall.
    coefficient : (q,) array
        Heat transfer coefficient at the depth of each point [W/m2/K].
    conductivity : float
        Of the tissue [W/m/K].
    """
    weighted = sparse.diags_array(coefficient * points.area) @ points.shape
    layer = sparse.diags_array(conductivity * points.depth * points.area) @ points.slope
    return sparse.csr_array(points.shape.T @ weighted - points.slope.T @ layer)


def _gradients(mesh: Mesh, cells: NDArray[np.integer]) -> Array:
    """Gradients of the shape functions of the numbered tetrahedra ``(q, 4, 3)`` [1/m]."""
    corners = mesh.points[mesh.cells[cells]]
    # Rows of the inverse's transpose are the gradients at the last three corners; all four add up to zero.
    last = np.swapaxes(np.linalg.inv(corners[:, 1:] - corners[:, :1]), 1, 2)
    return np.concatenate([-last.sum(axis=1, keepdims=True), last], axis=1)


def _matrix(nodes: NDArray[np.integer], weights: Array, n: int) -> sparse.csr_matrix:
    rows = np.repeat(np.arange(len(nodes)), nodes.shape[1])
    return sparse.csr_matrix((weights.ravel(), (rows, nodes.ravel())), shape=(len(nodes), n))
