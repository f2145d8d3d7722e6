"""Point values of nodal fields."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from ablationsim.errors import GeometryError
from ablationsim.fem.kernels import Array
from ablationsim.mesh.mesh import Mesh

_CANDIDATES = 40  # elements with the nearest centroids among which the one that holds a point is sought


def probe_matrix(mesh: Mesh, points: Array, reach: float) -> sparse.csr_matrix:
    """Matrix ``(p, n)`` that turns nodal values into values at points ``(p, d)``.

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
    corners = mesh.points[mesh.cells]
    _, near = cKDTree(corners.mean(axis=1)).query(points, k=min(_CANDIDATES, len(mesh.cells)))
    # Barycentric coordinates of every point in each of its candidate elements.
    edges = np.swapaxes(corners[near][:, :, 1:] - corners[near][:, :, :1], -1, -2)
    inner = np.linalg.solve(edges, (points[:, None, :] - corners[near][:, :, 0])[..., None])[..., 0]
    barycentric = np.concatenate([1.0 - inner.sum(axis=-1, keepdims=True), inner], axis=-1)
    best = np.argmax(barycentric.min(axis=-1), axis=1)
    weights = barycentric[np.arange(len(points)), best]
    nodes = mesh.cells[near[np.arange(len(points)), best]]
    outside = weights.min(axis=1) < -1e-9
    if np.any(outside):
        distance, nearest = cKDTree(mesh.points).query(points[outside])
        if np.any(distance > reach):
            worst = points[outside][np.argmax(distance)] * 1e3
            raise GeometryError(
                f"The point ({', '.join(f'{x:.2f}' for x in worst)}) mm lies {distance.max() * 1e3:.2f} mm outside the "
                "tissue. Move the probe into the tissue or enlarge the domain."
            )
        nodes[outside] = nearest[:, None]
        weights[outside] = 1.0 / weights.shape[1]
    rows = np.repeat(np.arange(len(points)), weights.shape[1])
    return sparse.csr_matrix((weights.ravel(), (rows, nodes.ravel())), shape=(len(points), len(mesh.points)))
