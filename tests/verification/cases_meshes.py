"""Structured meshes of simple bodies, and integrals on them that do not go through the code under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skfem import Basis, ElementTetP1, ElementTriP1, MeshTet, MeshTri

from ablationsim.mesh.mesh import Mesh

Array = NDArray[np.float64]
Where = Callable[[Array], NDArray[np.bool_]]  # facet centres (k, d) -> membership


def mesh_from(points: Array, cells: NDArray[np.intp], facets: Mapping[str, Where], axisymmetric: bool) -> Mesh:
    """A mesh of positively oriented cells whose boundary facets are named after where their centres lie."""
    cells = cells.copy()
    corners = points[cells]
    negative = np.linalg.det(corners[:, 1:] - corners[:, :1]) < 0.0
    cells[negative, :2] = cells[negative, 1::-1]
    bare = Mesh(points, cells, {"tissue": np.arange(len(cells))}, {}, axisymmetric)
    boundary = bare.boundary()
    centres = points[boundary].mean(axis=1)
    named = {name: boundary[where(centres)] for name, where in facets.items()}
    return Mesh(points, cells, bare.regions, named, axisymmetric)


def cylinder(n: int, radius: float, height: float) -> Mesh:
    """Upright cylinder 0 < z < height in the half-plane, n cells a side, smoothly distorted.

    Facets "bottom", "top", "side"; "outer" is all three.
    """
    grid = np.linspace(0.0, 1.0, n + 1)
    plane = MeshTri.init_tensor(grid, grid)
    x, y = plane.p
    bump = 0.05 * np.sin(np.pi * x) * np.sin(2.0 * np.pi * y)
    points = np.column_stack([radius * (x + bump), height * (y + bump)])
    return mesh_from(
        points,
        plane.t.T,
        {
            "bottom": lambda c: c[:, 1] < 1e-9 * height,
            "top": lambda c: c[:, 1] > height * (1.0 - 1e-9),
            "side": lambda c: c[:, 0] > radius * (1.0 - 1e-9),
            "outer": lambda c: c[:, 0] > 1e-9 * radius,
        },
        axisymmetric=True,
    )


def box(n: int, size: float) -> Mesh:
    """Cube 0 < x, y, z < size, n cells a side, smoothly distorted. Facets "bottom", "top", and "outer": all."""
    grid = np.linspace(0.0, 1.0, n + 1)
    cube = MeshTet.init_tensor(grid, grid, grid)
    x, y, z = cube.p
    bump = 0.05 * np.sin(np.pi * x) * np.sin(np.pi * y) * np.sin(2.0 * np.pi * z)
    return mesh_from(
        size * (cube.p + bump).T,
        cube.t.T,
        {
            "bottom": lambda c: c[:, 2] < 1e-9 * size,
            "top": lambda c: c[:, 2] > size * (1.0 - 1e-9),
            "outer": lambda c: np.ones(len(c), dtype=bool),
        },
        axisymmetric=False,
    )


def half_disk(levels: Array, n: int, place: Callable[[Array, Array], Array]) -> Mesh:
    """Layers round the origin in the half-plane, n cells from pole to pole.

    Parameters
    ----------
    levels : (k,) array
        Increasing coordinate of the layers; a first one of zero is a single node at the origin.
    n : int
        Cells along each layer.
    place : callable
        ``place(levels, directions)``: positions (.., 2) for levels (..,) and unit directions (.., 2) = (sin, cos).

    Returns
    -------
    Mesh
        Facets "inner" (first layer, if it is not a point) and "outer" (last layer).
    """
    angle = np.linspace(0.0, np.pi, n + 1)
    directions = np.column_stack([np.sin(angle), np.cos(angle)])
    directions[[0, -1], 0] = 0.0
    base = np.column_stack([np.arange(n), np.arange(1, n + 1)])
    return _layers(levels, directions, base, place, axisymmetric=True)


def octant(levels: Array, n: int, place: Callable[[Array, Array], Array]) -> Mesh:
    """Layers round the origin in the octant x, y, z > 0; n cells along each edge. As `half_disk` otherwise."""
    ij = [(i, j) for i in range(n + 1) for j in range(n + 1 - i)]
    number = {pair: k for k, pair in enumerate(ij)}
    flat = np.array([(i, j, n - i - j) for i, j in ij], dtype=float)
    # Equal angles along the edges keep the triangles alike on the sphere.
    directions = np.sin(0.5 * np.pi * flat / n)
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    up = [(number[i, j], number[i + 1, j], number[i, j + 1]) for i, j in ij if i + j < n]
    down = [(number[i + 1, j], number[i + 1, j + 1], number[i, j + 1]) for i, j in ij if i + j < n - 1]
    return _layers(levels, directions, np.sort(np.array(up + down), axis=1), place, axisymmetric=False)


def _layers(
    levels: Array,
    directions: Array,
    base: NDArray[np.intp],
    place: Callable[[Array, Array], Array],
    axisymmetric: bool,
) -> Mesh:
    """Extrude the simplices `base` of one layer through all; prisms are cut by the order of the node numbers."""
    width, hollow = len(directions), levels[0] > 0.0
    used = levels if hollow else levels[1:]
    points = place(np.repeat(used, width), np.tile(directions, (len(used), 1)))
    low = base[None] + (width * np.arange(len(used) - 1))[:, None, None]
    high = low + width
    corners = base.shape[1]
    cells = [
        np.concatenate([low[..., : k + 1], high[..., k:]], axis=-1).reshape(-1, corners + 1) for k in range(corners)
    ]
    if not hollow:
        cells.append(np.column_stack([base, np.full(len(base), len(points))]))
        points = np.vstack([points, np.zeros(points.shape[1])])
    bare = Mesh(points, np.concatenate(cells), {}, {}, axisymmetric)
    mesh = mesh_from(points, bare.cells.astype(np.intp), {}, axisymmetric)
    facets = {"outer": base + width * (len(used) - 1)} | ({"inner": base} if hollow else {})
    return Mesh(points, mesh.cells, mesh.regions, facets, axisymmetric)


def spherical(levels: Array, directions: Array) -> Array:
    """Layers are spheres with the levels as radii."""
    return levels[:, None] * directions


def graded(start: float, stop: float, first: float, ratio: float) -> Array:
    """Radii from start to stop; the first cell has the given length, each following is longer by the ratio."""
    radii = [start]
    step = first
    while radii[-1] + step < stop:
        radii.append(radii[-1] + step)
        step *= ratio
    scaled = np.array([*radii, radii[-1] + step]) - start
    return start + scaled * (stop - start) / scaled[-1]


class Quadrature:
    """High-order quadrature on a mesh, independent of the elements under test.

    Attributes
    ----------
    x : (d, m, q) array
        Coordinates of the points.
    """

    def __init__(self, mesh: Mesh, order: int = 5) -> None:
        kind, element = (MeshTri, ElementTriP1) if mesh.dimension == 2 else (MeshTet, ElementTetP1)
        points, cells = np.ascontiguousarray(mesh.points.T), np.ascontiguousarray(mesh.cells.T)
        basis = Basis(kind(points, cells, sort_t=False), element(), intorder=order)
        self._cells, self._n = cells, len(mesh.points)
        self.x = np.asarray(basis.global_coordinates())
        self._weight = basis.dx * (2.0 * np.pi * self.x[0] if mesh.axisymmetric else 1.0)
        self._phi = [np.broadcast_to(np.asarray(phi[0]), self._weight.shape) for phi in basis.basis]

    def load(self, density: Array) -> Array:
        """Integral ``(n,)`` of ``density * phi_i`` for values (m, q) at the points."""
        parts = np.array([np.sum(self._weight * phi * density, axis=1) for phi in self._phi])
        return np.bincount(self._cells.ravel(), parts.ravel(), minlength=self._n)

    def distance(self, nodal: Array, exact: Array) -> float:
        """Root of the mean square difference between a P1 function and values (m, q) at the points."""
        values = sum(nodal[corner][:, None] * phi for corner, phi in zip(self._cells, self._phi, strict=True))
        return float(np.sqrt(np.sum(self._weight * (values - exact) ** 2) / np.sum(self._weight)))


@dataclass(frozen=True)
class Convergence:
    """Errors at a series of element sizes or time steps, coarsest first."""

    title: str
    sizes: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def orders(self) -> tuple[float, ...]:
        """Observed order between each pair of neighbours."""
        h, e = np.log(self.sizes), np.log(self.errors)
        return tuple(np.diff(e) / np.diff(h))


@dataclass(frozen=True)
class Profile:
    """Values along a coordinate beside the exact ones."""

    title: str
    x: Array
    computed: Array
    exact: Array

    @property
    def relative_error(self) -> float:
        """Largest difference over the largest exact value."""
        return float(np.max(np.abs(self.computed - self.exact)) / np.max(np.abs(self.exact)))
