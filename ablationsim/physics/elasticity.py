"""Displacement of tissue that contracts where it was heated: linear elasticity with an eigenstrain.

The material is the same everywhere and isotropic, so that only Poisson's ratio counts. Conditions at the edges:

* Tissue slides along the wall of a shaft that guides it (`ablationsim.physics.shaft`) and does not leave it; all other
  walls give way.
* Tissue goes on beyond the edge of the domain. A sphere that contracts in an infinite medium moves it by ``A / R^2``,
  with a traction of ``4 mu / R`` times the displacement: springs of that stiffness, with the distance R from the middle
  of the contraction, stand for what is outside. They also hold what would otherwise be free to move or turn as a whole.

Elements are linear. An axisymmetric problem is solved directly; in space, conjugate gradients are preconditioned by
smoothed aggregation with the rigid motions as near null space. One process solves, whatever the number of ranks.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, ElementTetP1, ElementTriP1, LinearForm, MeshTet, MeshTri
from skfem.helpers import dot, grad

from ablationsim.errors import SolverError
from ablationsim.mesh.gathering import solved_on_first
from ablationsim.mesh.mesh import Mesh

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

POISSON_RATIO = 0.45
"""Of liver, nearly incompressible; assumed as in most models of soft tissue, and the same for coagulated tissue."""

RELATIVE_RESIDUAL = 1e-9
"""At which the iteration ends, in the norm of the load."""

LARGEST = 1_000_000
"""Nodes of the largest mesh in space that one process solves on: some 5 GB."""

_PART = 100_000  # elements that are integrated at a time
_ITERATIONS = 500


def displacement(mesh: Mesh, strain: Floats, walls: Floats, poisson: float = POISSON_RATIO) -> Floats:
    """Where tissue moves that would, if it were free, contract by a strain at each place; all ranks call this.

    Parameters
    ----------
    mesh : Mesh
        With the edge of the domain as the facets "outer".
    strain : (n,) float64
        Relative shortening of free tissue at the nodes, the same in all directions.
    walls : (n, d) float64
        Unit vector at each node on the wall of a shaft, along which tissue slides there; zero elsewhere.
    poisson : float
        Poisson's ratio, below 0.5.

    Returns
    -------
    (n, d) float64
        Displacement of the nodes in metres.

    Raises
    ------
    SolverError
        On all ranks, if the iteration does not converge, or the mesh is too large for one process.
    """
    nodes, _ = mesh.distribution.totals(len(mesh.points), len(mesh.cells))
    if mesh.dimension == 3 and nodes > LARGEST:
        raise SolverError(
            f"The displacement of contracting tissue is solved by one process, on at most {LARGEST} nodes, and the "
            f"mesh has {nodes}."
        )
    comm = mesh.distribution.comm
    volumes = _nodal_volumes(mesh) * strain
    contracted = comm.sum(float(volumes.sum()))
    if not contracted > 0.0:
        return np.zeros_like(mesh.points)
    centre = comm.sum(np.asarray(volumes @ mesh.points)) / contracted
    if mesh.axisymmetric:
        centre[0] = 0.0
    solve = partial(equilibrium, axisymmetric=mesh.axisymmetric, poisson=poisson)
    return solved_on_first(mesh, (strain, walls, _springs(mesh, centre)), solve)


def equilibrium(
    points: Floats, cells: Ints, nodal: tuple[Floats, ...], *, axisymmetric: bool, poisson: float = POISSON_RATIO
) -> Floats:
    """Where the nodes of a whole mesh go.

    Parameters
    ----------
    points : (n, d) float64
        Nodes in metres.
    cells : (m, d + 1) int32
        Triangles or tetrahedra.
    nodal : tuple of float64
        Strain ``(n,)`` and walls ``(n, d)`` as of `displacement`, and the stiffness ``(n,)`` of springs that hold the
        nodes, over the shear modulus [m].
    axisymmetric : bool
        Whether the triangles stand for their revolution about the z axis.
    poisson : float
        Poisson's ratio.

    Returns
    -------
    (n, d) float64
        Displacement in metres.

    Raises
    ------
    SolverError
        If the iteration does not converge.
    """
    strain, walls, springs = nodal
    lame = 2.0 * poisson / (1.0 - 2.0 * poisson)  # over the shear modulus
    n, d = points.shape
    matrix, load = _assembled(points, cells, strain, lame, axisymmetric)
    allowed = _allowed(points, walls, axisymmetric)
    matrix = matrix + sparse.diags_array(np.repeat(springs, d)).tocsr()
    # Directions that are held become equations of their own.
    scale = float(np.abs(matrix.diagonal()).mean())
    matrix = allowed @ matrix @ allowed + scale * (sparse.eye_array(n * d, format="csr") - allowed)
    load = allowed @ load
    if d == 2:
        found = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(load)
    else:
        found = _iterated(matrix, load, allowed @ _rigid_motions(points))
    return np.asarray((allowed @ found).reshape(n, d))


def _assembled(
    points: Floats, cells: Ints, strain: Floats, lame: float, axisymmetric: bool
) -> tuple[sparse.csr_array, Floats]:
    """Stiffness matrix, node by node with its components together, and load of the eigenstrain."""
    n, d = points.shape
    matrix = sparse.csr_array((n * d, n * d))
    load = np.zeros((n, d))
    for first in range(0, len(cells), _PART):
        nodes, local = np.unique(cells[first : first + _PART], return_inverse=True)
        basis = _basis(points[nodes], local.reshape(-1, d + 1))
        part_strain = basis.interpolate(strain[nodes])
        blocks = {}
        for i in range(d):
            for j in range(i, d):
                block = BilinearForm(_energy(i, j, lame, axisymmetric)).assemble(basis).tocoo()
                blocks[i, j], blocks[j, i] = block, block.T
            part_load = LinearForm(_pull(i, lame, axisymmetric)).assemble(basis, strain=part_strain)
            load[nodes, i] += part_load
        rows = np.concatenate([d * nodes[block.row] + i for (i, _), block in blocks.items()])
        columns = np.concatenate([d * nodes[block.col] + j for (_, j), block in blocks.items()])
        values = np.concatenate([block.data for block in blocks.values()])
        matrix = matrix + sparse.csr_array((values, (rows, columns)), shape=matrix.shape)
    return matrix, load.ravel()


def _basis(points: Floats, cells: NDArray[np.integer]) -> Basis:
    places, corners = np.ascontiguousarray(points.T), np.ascontiguousarray(cells.T.astype(np.int32))
    if len(places) == 3:
        return Basis(MeshTet(places, corners, sort_t=False, validate=False), ElementTetP1(), intorder=1)
    return Basis(MeshTri(places, corners, sort_t=False, validate=False), ElementTriP1(), intorder=2)


def _energy(i: int, j: int, lame: float, axisymmetric: bool) -> Any:
    """Strain energy of component j of a displacement with component i of another."""

    def form(u: Any, v: Any, w: Any) -> Any:
        shear = grad(u)[i] * grad(v)[j] + (dot(grad(u), grad(v)) if i == j else 0.0)
        if not axisymmetric:
            return lame * grad(u)[j] * grad(v)[i] + shear
        r = w.x[0]
        # Moving outward by u stretches the circumference by u / r.
        divergence_u = grad(u)[j] + (u / r if j == 0 else 0.0)
        divergence_v = grad(v)[i] + (v / r if i == 0 else 0.0)
        hoop = 2.0 * u * v / r**2 if i == j == 0 else 0.0
        return 2.0 * np.pi * r * (lame * divergence_u * divergence_v + shear + hoop)

    return form


def _pull(i: int, lame: float, axisymmetric: bool) -> Any:
    """Work of the eigenstrain on component i of a displacement: minus that of a pressure."""

    def form(v: Any, w: Any) -> Any:
        pressure = (3.0 * lame + 2.0) * w["strain"]
        if not axisymmetric:
            return -pressure * grad(v)[i]
        r = w.x[0]
        return -2.0 * np.pi * r * pressure * (grad(v)[i] + (v / r if i == 0 else 0.0))

    return form


def _nodal_volumes(mesh: Mesh) -> Floats:
    """What nodes ``(n,)`` stand for of the volume, in m3; zero on ghosts."""
    corners = mesh.cells.shape[1]
    share = np.repeat(np.abs(mesh.cell_volumes()) / corners, corners)
    volumes = np.zeros(len(mesh.points))
    np.add.at(volumes, mesh.cells.ravel(), share)
    return mesh.distribution.without_ghosts(volumes)


def _springs(mesh: Mesh, centre: Floats) -> Floats:
    """Stiffness ``(n,)`` of what is outside the domain, which pulls on the nodes of its edge."""
    stiffness = np.zeros(len(mesh.points))
    facets = mesh.facets["outer"]
    normals = _area_normals(mesh, facets)
    way = mesh.points[facets].mean(axis=1) - centre
    # Seen from the middle, a facet that is not at right angles to the way covers less of a sphere.
    stiff = 4.0 * np.abs((normals * way).sum(axis=1)) / (way**2).sum(axis=1)
    np.add.at(stiffness, facets, (stiff / facets.shape[1])[:, None])
    return mesh.distribution.without_ghosts(stiffness)


def _area_normals(mesh: Mesh, facets: Ints) -> Floats:
    """Normals as long as their facets are large ``(k, d)``, in either sense; in m2."""
    corners = mesh.points[facets]
    if mesh.dimension == 3:
        return np.asarray(0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    along = corners[:, 1] - corners[:, 0]
    weight = 2.0 * np.pi * corners[:, :, 0].mean(axis=1) if mesh.axisymmetric else np.ones(len(facets))
    return weight[:, None] * np.column_stack([along[:, 1], -along[:, 0]])


def _allowed(points: Floats, walls: Floats, axisymmetric: bool) -> sparse.csr_array:
    """Projection of nodal displacements on what walls and the axis of symmetry allow."""
    n, d = points.shape
    projection = np.tile(np.eye(d), (n, 1, 1))
    on_wall = np.flatnonzero(np.abs(walls).sum(axis=1) > 0.0)
    projection[on_wall] = walls[on_wall, :, None] * walls[on_wall, None, :]
    if axisymmetric:
        projection[points[:, 0] <= 1e-9 * points[:, 0].max()] = [[0.0, 0.0], [0.0, 1.0]]
    return sparse.bsr_array((projection, np.arange(n), np.arange(n + 1)), shape=(n * d, n * d)).tocsr()


def _iterated(matrix: sparse.csr_array, load: Floats, motions: Floats) -> Floats:
    from pyamg import smoothed_aggregation_solver

    hierarchy = smoothed_aggregation_solver(sparse.bsr_matrix(matrix.tobsr((3, 3))), B=motions, max_coarse=100)
    found, failed = hierarchy.solve(load, tol=RELATIVE_RESIDUAL, maxiter=_ITERATIONS, accel="cg", return_info=True)
    if failed:
        raise SolverError(
            f"The displacement of contracting tissue did not converge in {_ITERATIONS} iterations. The mesh may hold "
            "badly shaped elements; try another mesh resolution."
        )
    return np.asarray(found)


def _rigid_motions(points: Floats) -> Floats:
    """The three translations and three rotations of nodes in space, as columns."""
    x, y, z = (points - points.mean(axis=0)).T
    zero, size = np.zeros(len(points)), float(np.abs(points - points.mean(axis=0)).max())
    turns = [np.column_stack(turn) / size for turn in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    shifts = [np.tile(row, (len(points), 1)) for row in np.eye(3)]
    return np.column_stack([motion.ravel() for motion in (*shifts, *turns)])
