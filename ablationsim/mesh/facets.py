"""Names of boundary facets, from the geometry and not from the mesh generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import MeshError
from ablationsim.mesh.mesh import Mesh

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

OUTER = "outer"
#: A facet's centroid lies on its surface to this precision [m], far below any element.
TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Piece:
    """A convex piece of an applicator whose flat sides become facets of the mesh.

    Attributes
    ----------
    name : str
        Facet name, such as "A0:tip".
    normals : (k, d) float64
        Outward unit normals of its sides.
    offsets : (k,) float64
        The piece is where normals @ x <= offsets.
    """

    name: str
    normals: Floats
    offsets: Floats

    def distance(self, points: Floats) -> Floats:
        """Return, for points (n, d), a value that is 0 on the piece's surface, negative inside, positive outside."""
        return (points @ self.normals.T - self.offsets).max(axis=1)


def name_facets(mesh: Mesh, pieces: Sequence[Piece], on_outside: NDArray[np.bool_]) -> dict[str, Ints]:
    """Sort the boundary facets of a mesh by name.

    A facet belongs to the piece on whose surface its centroid lies: each piece's sides are flat and its edges are edges
    of the mesh, so that this is exact. The rest is the outside or, in the half-plane, the axis, which has no name.

    Parameters
    ----------
    mesh : Mesh
        Its named facets are not looked at.
    pieces : sequence of Piece
        In the coordinates of the mesh.
    on_outside : (n,) bool
        Nodes on the outside of the domain.

    Raises
    ------
    MeshError
        When a facet belongs nowhere, which would leave it without a boundary condition.
    """
    facets = mesh.boundary()
    if mesh.axisymmetric:
        facets = facets[(mesh.points[facets, 0] > TOLERANCE).any(axis=1)]
    centroids = mesh.points[facets].mean(axis=1)
    nearest = np.full(len(facets), np.inf)
    owner = np.full(len(facets), -1)
    names = sorted({piece.name for piece in pieces})
    for piece in pieces:
        gap = np.abs(piece.distance(centroids))
        closer = gap < nearest
        nearest[closer] = gap[closer]
        owner[closer] = names.index(piece.name)
    owner[nearest > TOLERANCE] = -1
    lost = (owner < 0) & ~on_outside[facets].all(axis=1)
    if lost.any():
        where = ", ".join(f"{1e3 * x:.2f}" for x in centroids[lost][0])
        raise MeshError(
            f"{lost.sum()} boundary facets lie neither on an applicator nor on the outside of the domain, the first at "
            f"({where}) mm. Try another mesh resolution or move the applicator slightly."
        )
    found = {name: facets[owner == i] for i, name in enumerate(names) if (owner == i).any()}
    return {**found, OUTER: facets[owner < 0]}
