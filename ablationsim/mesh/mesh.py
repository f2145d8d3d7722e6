"""The mesh: linear simplices with named regions and named boundary facets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import MeshError
from ablationsim.mesh.distribution import WHOLE, Distribution

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Linear triangles in the (r, z) half-plane, or linear tetrahedra in space.

    Attributes
    ----------
    points : (n, d) float64
        Node coordinates in metres. When `axisymmetric`, d = 2 and the columns are r and z.
    cells : (m, d + 1) int32
        Node numbers of each cell, positively oriented.
    regions : dict of (k,) int32
        Cell numbers of each named region.
    facets : dict of (k, d) int32
        Node numbers of each named set of facets: "outer" for the outside of the tissue and, for every applicator, its
        index and section, such as "A0:tip" or "A1:shaft". The axis of symmetry has no name. A set may also hold
        interior facets, between two regions: "vessel:<name>" for the wall of a vessel between the tissue and the
        region "lumen:<name>". Those have no direction: either region may come first.
    axisymmetric : bool
        Whether the mesh stands for its revolution about the z axis.
    distribution : Distribution
        What part of a larger mesh this is; all of it by default.

    Raises
    ------
    MeshError
        When shapes do not fit together or node numbers point outside the mesh.
    """

    points: Floats
    cells: Ints
    regions: Mapping[str, Ints]
    facets: Mapping[str, Ints]
    axisymmetric: bool
    distribution: Distribution = WHOLE

    def __post_init__(self) -> None:
        points = np.ascontiguousarray(self.points, dtype=np.float64)
        cells = np.ascontiguousarray(self.cells, dtype=np.int32)
        if points.ndim != 2 or points.shape[1] not in (2, 3):
            raise MeshError(f"Mesh points must have shape (n, 2) or (n, 3), got {points.shape}.")
        dimension = points.shape[1]
        if self.axisymmetric and dimension != 2:
            raise MeshError("An axisymmetric mesh has the two coordinates r and z, this one has three.")
        if cells.ndim != 2 or cells.shape[1] != dimension + 1:
            raise MeshError(f"Mesh cells must have shape (m, {dimension + 1}), got {cells.shape}.")
        if not np.isfinite(points).all():
            raise MeshError("Mesh points contain a value that is not finite.")
        _check_range("cells", cells, len(points), "node")
        regions = {name: np.asarray(index, dtype=np.int32) for name, index in self.regions.items()}
        facets = {name: np.asarray(nodes, dtype=np.int32).reshape(-1, dimension) for name, nodes in self.facets.items()}
        for name, index in regions.items():
            _check_range(f"region '{name}'", index, len(cells), "cell")
        for name, nodes in facets.items():
            _check_range(f"facets '{name}'", nodes, len(points), "node")
        for attribute, value in (("points", points), ("cells", cells), ("regions", regions), ("facets", facets)):
            object.__setattr__(self, attribute, value)

    @property
    def dimension(self) -> int:
        """Number of coordinates of a point: 2 or 3."""
        return int(self.points.shape[1])

    def has_facets(self, name: str) -> bool:
        """Whether the set of that name has any facets, on whatever rank."""
        return self.distribution.comm.any(len(self.facets.get(name, ())) > 0)

    def cell_volumes(self) -> Floats:
        """Return the signed volume of each cell, shape (m,), in m3.

        Cells of an axisymmetric mesh count with their revolution: area times 2 pi times the radius of the centroid
        (Pappus, exact). Cells of a plane mesh that is not axisymmetric give their area in m2.
        """
        corners = self.points[self.cells]
        edges = corners[:, 1:] - corners[:, :1]
        size = np.linalg.det(edges) / math.factorial(self.dimension)
        if self.axisymmetric:
            size = size * 2 * np.pi * corners[:, :, 0].mean(axis=1)
        return size

    def facet_areas(self, name: str) -> Floats:
        """Return the area of each facet called `name`, shape (k,), in m2 (lateral area of the cone when axisymmetric).

        Raises
        ------
        MeshError
            When the mesh has no facets of that name.
        """
        if name not in self.facets:
            raise MeshError(f"The mesh has no facets '{name}'; it has {', '.join(sorted(self.facets)) or 'none'}.")
        corners = self.points[self.facets[name]]
        if self.dimension == 3:
            return 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        length = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
        return length * 2 * np.pi * corners[:, :, 0].mean(axis=1) if self.axisymmetric else length

    def boundary(self) -> Ints:
        """Return every facet that belongs to one cell only, shape (k, d), the axis of symmetry included."""
        dimension = self.dimension
        opposite = [[j for j in range(dimension + 1) if j != i] for i in range(dimension + 1)]
        every = np.concatenate([self.cells[:, face] for face in opposite])
        _, first, count = np.unique(np.sort(every, axis=1), axis=0, return_index=True, return_counts=True)
        return every[first[count == 1]]

    def quality(self) -> Floats:
        """Return the quality of each cell, shape (m,): d times inscribed over circumscribed radius, 1 when regular."""
        corners = self.points[self.cells]
        edges = corners[:, 1:] - corners[:, :1]
        size = np.abs(np.linalg.det(edges)) / math.factorial(self.dimension)
        if self.dimension == 2:
            a, b, c = (np.linalg.norm(corners[:, i] - corners[:, j], axis=1) for i, j in ((0, 1), (1, 2), (2, 0)))
            # inradius = 2 A / (a + b + c), circumradius = a b c / (4 A)
            return 16 * size**2 / ((a + b + c) * a * b * c)
        faces = ((0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3))
        surface = sum(
            0.5 * np.linalg.norm(np.cross(corners[:, j] - corners[:, i], corners[:, k] - corners[:, i]), axis=1)
            for i, j, k in faces
        )
        p, q, r = (np.linalg.norm(edges[:, i], axis=1) for i in range(3))
        p = p * np.linalg.norm(corners[:, 3] - corners[:, 2], axis=1)
        q = q * np.linalg.norm(corners[:, 3] - corners[:, 1], axis=1)
        r = r * np.linalg.norm(corners[:, 2] - corners[:, 1], axis=1)
        # inradius = 3 V / S; circumradius by Crelle's formula from the products of opposite edges
        crelle = np.sqrt(np.maximum((p + q + r) * (p + q - r) * (p - q + r) * (-p + q + r), 0.0))
        return 216 * size**2 / (surface * np.maximum(crelle, np.finfo(float).tiny))


def _check_range(what: str, numbers: Ints, count: int, kind: str) -> None:
    if numbers.size and (numbers.min() < 0 or numbers.max() >= count):
        raise MeshError(
            f"Mesh {what}: {kind} numbers run from {numbers.min()} to {numbers.max()}, but there are {count} {kind}s."
        )
