"""Tubes that a mesh is fitted to: their polyhedra, their lumens and the names of their surfaces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import MeshError
from ablationsim.geometry.placement import Placement
from ablationsim.geometry.tube import Tube
from ablationsim.mesh.facets import TOLERANCE
from ablationsim.mesh.mesh import Floats, Ints, Mesh
from ablationsim.mesh.polyhedron import Polyhedron, polygon

#: Sides of the polygon that stands for a tube's circle; it encloses 99.4 % of it.
SIDES = 24


def tube_polyhedron(tube: Tube) -> Polyhedron:
    """Return the polyhedron of a tube; its sides are called "vessel:<name>" and have the area of the round wall."""
    rings = np.zeros((2, SIDES, 3))
    rings[:, :, :2] = tube.radius * polygon(SIDES)
    rings[1, :, 2] = np.linalg.norm(tube.end - tube.start)
    placement = Placement.along(tube.start.tolist(), tube.axis.tolist())
    return Polyhedron(placement.to_world(rings), (f"vessel:{tube.name}",), free_end=0)


def inside(wall: Polyhedron, points: Floats, cells: Ints) -> NDArray[np.bool_]:
    """Return which cells of a mesh that is fitted to a tube's wall lie inside it, shape (m,)."""
    (piece,) = wall.pieces()
    return piece.distance(points[cells].mean(axis=1)) < 0


def sides_and_ends(tube: Tube, wall: Polyhedron, points: Floats, lumen: Ints) -> tuple[Ints, Ints]:
    """Part the surface of a lumen into the wall and the ends, where the tube ends or leaves the block.

    Parameters
    ----------
    tube : Tube
    wall : Polyhedron
        Its polyhedron.
    points : (n, 3) float64
        Of the whole mesh.
    lumen : (k, 4) int32
        Cells inside the tube.

    Returns
    -------
    sides, ends : (., 3) int32
        Node numbers of facets.

    Raises
    ------
    MeshError
        When there are no cells inside, or no wall round them.
    """
    (piece,) = wall.pieces()
    facets = Mesh(points, lumen, {}, {}, axisymmetric=False).boundary()
    centroids = points[facets].mean(axis=1)
    along = (centroids - tube.start) @ tube.axis
    at_end = (np.abs(along) < TOLERANCE) | (np.abs(along - np.linalg.norm(tube.end - tube.start)) < TOLERANCE)
    on_side = (np.abs(piece.distance(centroids)) < TOLERANCE) & ~at_end
    if not on_side.any():
        raise MeshError(f"The mesh could not be fitted to tube '{tube.name}'. Try another mesh resolution.")
    return facets[on_side], facets[~on_side]
