"""Point values of nodal fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from ablationsim.errors import GeometryError
from ablationsim.fem.kernels import Array
from ablationsim.mesh.distribution import Distribution
from ablationsim.mesh.mesh import Mesh

_CANDIDATES = 40  # elements with the nearest centroids among which the one that holds a point is sought
_SAME = 1e-12  # relative: ranks that find the same element agree on a number to so much


@dataclass(frozen=True, eq=False)
class Probes:
    """Values of nodal fields at points.

    Attributes
    ----------
    matrix : (p, n) csr matrix
        From nodal values to those at the points, with nothing in the columns of ghosts.
    distribution : Distribution
        Of the nodes.
    """

    matrix: sparse.csr_matrix
    distribution: Distribution

    @classmethod
    def at(cls, mesh: Mesh, points: Array, reach: float) -> Probes:
        """Probes at points ``(p, d)``; arguments and errors as for `probe_matrix`."""
        return cls(probe_matrix(mesh, points, reach), mesh.distribution)

    def __call__(self, nodal: Array) -> Array:
        """Values ``(p,)`` of a nodal field ``(n,)``."""
        return self.distribution.comm.sum(np.asarray(self.matrix @ nodal))


def probe_matrix(mesh: Mesh, points: Array, reach: float) -> sparse.csr_matrix:
    """Matrix ``(p, n)`` that turns nodal values into values at points ``(p, d)``; over ranks, their sum does.

    Points outside the mesh take the value of the nearest node, as a thermocouple in the wall of a needle reads the
    tissue that touches it.

    Parameters
    ----------
    mesh : Mesh
        The mesh; axisymmetric meshes take points ``(r, z)``.
    points : (p, d) array
        Positions [m].
    reach : float
        Distance from the mesh up to which a point outside is accepted [m].

    Raises
    ------
    GeometryError
        If a point lies farther outside than ``reach``.
    """
    distribution = mesh.distribution
    comm, n = distribution.comm, len(mesh.points)
    corners = mesh.points[mesh.cells]
    _, near = cKDTree(corners.mean(axis=1)).query(points, k=min(_CANDIDATES, len(mesh.cells)))
    near = near.reshape(len(points), min(_CANDIDATES, len(mesh.cells)))
    # Barycentric coordinates of every point in each of its candidate elements.
    edges = np.swapaxes(corners[near][:, :, 1:] - corners[near][:, :, :1], -1, -2)
    inner = np.linalg.solve(edges, (points[:, None, :] - corners[near][:, :, 0])[..., None])[..., 0]
    barycentric = np.concatenate([1.0 - inner.sum(axis=-1, keepdims=True), inner], axis=-1)
    rows = np.arange(len(points))
    best = near[rows, np.argmax(barycentric.min(axis=-1), axis=1)]
    weights = barycentric[rows, np.argmax(barycentric.min(axis=-1), axis=1)]
    nodes = mesh.cells[best]
    # Of ranks that know several elements the point may lie in, those with the one that it lies deepest in.
    depth = weights.min(axis=1)
    deepest = comm.largest(depth)
    weights[depth < deepest - _SAME] = 0.0
    weights = _of_one_element(weights, distribution.cell_numbers(len(mesh.cells))[best], distribution)
    outside = deepest < -1e-9
    if np.any(outside):
        distance, nearest = cKDTree(distribution.own(mesh.points)).query(points[outside])
        shortest = comm.smallest(distance)
        if np.any(shortest > reach):
            worst = points[outside][np.argmax(shortest)] * 1e3
            raise GeometryError(
                f"The point ({', '.join(f'{x:.2f}' for x in worst)}) mm lies {shortest.max() * 1e3:.2f} mm outside the "
                "tissue. Move the probe into the tissue or enlarge the domain."
            )
        nodes[outside] = nearest[:, None]
        whole = np.full((len(nearest), weights.shape[1]), 1.0 / weights.shape[1])
        whole[distance > shortest * (1.0 + _SAME)] = 0.0
        weights[outside] = _of_one_element(whole, distribution.node_numbers(n)[nearest], distribution)
    matrix = sparse.csr_matrix(
        (weights.ravel(), (np.repeat(rows, weights.shape[1]), nodes.ravel())), shape=(len(points), n)
    )
    return sparse.csr_matrix(matrix @ sparse.diags_array(distribution.without_ghosts(np.ones(n))))


def _of_one_element(weights: Array, numbers: np.ndarray, distribution: Distribution) -> Array:
    """Keep the weights ``(p, c)`` of ranks that know the lowest of the elements (or nodes) that any has weights for."""
    candidates = np.where(weights.any(axis=1), numbers.astype(np.float64), np.inf)
    weights[candidates > distribution.comm.smallest(candidates)] = 0.0
    return weights
