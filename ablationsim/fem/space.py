"""Linear finite elements on a simplicial mesh, with the geometry integrated once.

Axisymmetric meshes carry the weight ``2 pi r`` in every integral; everything else is the same in two and three
dimensions. scikit-fem integrates a part of the mesh at a time, which bounds the memory it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skfem import Basis, BilinearForm, Element, ElementTetP1, ElementTriP1, FacetBasis, LinearForm, MeshTet, MeshTri
from skfem.helpers import dot, grad

from ablationsim.errors import MeshError
from ablationsim.fem.kernels import nodal_sums
from ablationsim.fem.portions import Portions
from ablationsim.fem.stiffness import Scatter, Singles
from ablationsim.fem.tissue_share import LEAST, TissueShare
from ablationsim.mesh.mesh import Mesh

Array = NDArray[np.float64]

_PART = 100_000  # elements that are integrated at a time


class P1Space:
    """Piecewise linear functions on a mesh.

    Parameters
    ----------
    mesh : Mesh
        Triangles or tetrahedra in metres; the triangles of an axisymmetric mesh have the columns ``(r, z)``.
    tissue : TissueShare, optional
        The part of each element that is tissue, over which alone integrals are taken; all of it by default.

    Attributes
    ----------
    edge_stiffness : (m, d (d + 1) / 2) single precision
        Integral of ``grad(phi_i) . grad(phi_j)`` over each element, weighted, for the pairs of its corners [m].
    volume : (m,) array
        Weighted volume of the tissue of each element [m3].
    whole_volume : (m,) array
        The same of the whole element [m3].
    averaging : (m, d+1) or (1, d+1) array
        Weights that turn nodal values into the exact weighted mean of their linear interpolant on each element; one row
        where all elements have the same.
    lumped_mass : (n,) array
        Row sums of the mass matrix [m3]; positive on the axis too, where vertex quadrature would give zero. Like all
        loads it is zero on ghosts, see `ablationsim.mesh.distribution`.
    cells : (m, d+1) uint32 array
        Nodes of each element, as the kernels want them.
    """

    def __init__(self, mesh: Mesh, tissue: TissueShare | None = None) -> None:
        self.mesh, self.tissue = mesh, tissue
        self.distribution = mesh.distribution
        self.n_nodes, dimension = mesh.points.shape
        m, corners = mesh.cells.shape
        # Products of two linear functions need order 2; the weight r adds one.
        self._order = 3 if mesh.axisymmetric else 2
        self.edge_stiffness: Singles = np.empty((m, corners * dimension // 2), np.float32)
        whole: Array = np.empty(m)
        # Without the weight r, and on whole elements, all corners weigh the same: one row stands for all.
        uniform = not mesh.axisymmetric and tissue is None
        load: Array = np.empty((1 if uniform else m, corners))
        for first in range(0, m, _PART):
            part = slice(first, min(m, first + _PART))
            stiffness, corner_load = self._integrals(mesh.cells[part])
            whole[part] = corner_load.sum(axis=1)
            if tissue is not None:
                share = LEAST + (1.0 - LEAST) * tissue.share[part]
                stiffness *= share[:, None]
                corner_load = whole[part, None] * (LEAST / corners + (1.0 - LEAST) * tissue.load[part])
            self.edge_stiffness[part] = stiffness
            if not uniform:
                load[part] = corner_load
        self.whole_volume = whole
        if uniform:
            self.volume = whole
            self.averaging: Array = np.full((1, corners), 1.0 / corners)
        else:
            self.volume = load.sum(axis=1)
            self.averaging = load / self.volume[:, None]
        self.cells = mesh.cells.view(np.uint32)
        self._portions = Portions.of(self.cells, self.n_nodes, single=self.distribution.parted)
        self.lumped_mass: Array = self.nodal_load(self.volume)

    def _integrals(self, cells: NDArray[np.int32]) -> tuple[Array, Array]:
        """Entries of the stiffness matrix for the edges of the given elements, and integrals of their functions."""
        # With the nodes numbered for locality, a part of the mesh has its nodes close together.
        first, last = int(cells.min()), int(cells.max())
        basis = Basis(
            self._skfem_mesh(cells - first, slice(first, last + 1)), self._skfem_element, intorder=self._order
        )
        stiffness = BilinearForm(lambda u, v, w: dot(grad(u), grad(v)) * self._weight(w)).coo_data(basis).tolocal()
        load = LinearForm(lambda v, w: v * self._weight(w)).coo_data(basis)
        corners = cells.shape[1]
        pairs = np.array(list(combinations(range(corners), 2)))
        return stiffness[:, pairs[:, 0], pairs[:, 1]], load.data.reshape(corners, -1).T

    @property
    def _skfem_element(self) -> Element:
        return ElementTriP1() if self.mesh.dimension == 2 else ElementTetP1()

    def _skfem_mesh(self, cells: NDArray[np.int32], nodes: slice | NDArray[np.intp]) -> MeshTri | MeshTet:
        kind = MeshTri if self.mesh.dimension == 2 else MeshTet
        # sort_t=False keeps our node order, so that element arrays line up.
        points = np.ascontiguousarray(self.mesh.points[nodes].T)
        return kind(points, np.ascontiguousarray(cells.T), sort_t=False, validate=False)

    def _weight(self, w: Any) -> Any:
        return 2.0 * np.pi * w.x[0] if self.mesh.axisymmetric else 1.0

    def nodal_load(self, element_heat: Array) -> Array:
        """What nodes receive ``(n,)`` of what is released evenly in elements ``(m,)``, in its unit."""
        load = np.empty(self.n_nodes)
        nodal_sums(element_heat, self.cells, self.averaging, self._portions, load)
        return self.distribution.without_ghosts(load)

    def element_mean(self, nodal: Array) -> Array:
        """Weighted mean ``(m,)`` of the linear function with the given ``(n,)`` nodal values on each element."""
        return np.asarray((nodal[self.mesh.cells] * self.averaging).sum(axis=1))

    def interpolate(self, f: Callable[[Array], Array]) -> Array:
        """Nodal values ``(n,)`` of a function of the coordinates ``(d, n)``."""
        return f(np.ascontiguousarray(self.mesh.points.T))

    def facet_load(self, names: list[str], density: Callable[[Any], Any] | None = None) -> Array:
        """Integral of ``density * phi_i`` over the named boundary facets.

        Parameters
        ----------
        names : list of str
            Facet sets of the mesh.
        density : callable, optional
            Function of scikit-fem's quadrature data (``w.x`` coordinates, ``w.n`` outward normal); one by default.

        Returns
        -------
        (n,) array
            In m2 times the unit of the density.
        """
        facets = np.vstack([self.mesh.facets[name] for name in names])
        if len(facets) == 0:
            return np.zeros(self.n_nodes)
        # Only the elements at these facets: those with all nodes of one among them, and a few more.
        touched = np.zeros(self.n_nodes, dtype=bool)
        touched[facets] = True
        cells = self.mesh.cells[touched[self.mesh.cells].sum(axis=1) >= self.mesh.dimension]
        nodes, local = np.unique(cells, return_inverse=True)
        part = self._skfem_mesh(local.reshape(cells.shape).astype(np.int32), nodes)
        numbers = _facet_numbers(part, np.searchsorted(nodes, facets))
        basis = FacetBasis(part, self._skfem_element, facets=numbers, intorder=self._order)
        integrand = density or (lambda w: 1.0)
        load = np.zeros(self.n_nodes)
        load[nodes] = LinearForm(lambda v, w: v * integrand(w) * self._weight(w)).assemble(basis)
        return self.distribution.without_ghosts(load)

    @cached_property
    def scatter(self) -> Scatter:
        """Coefficient-to-matrix map of the stiffness matrix on this space (built when first asked for)."""
        return Scatter(self.mesh.cells, self.n_nodes, self.edge_stiffness, in_order=self.distribution.parted)


def _facet_numbers(mesh: MeshTri | MeshTet, facets: NDArray[np.integer]) -> NDArray[np.intp]:
    """Numbers in scikit-fem's mesh of the boundary facets given by their nodes."""
    boundary = mesh.boundary_facets()
    width = mesh.facets.shape[0]
    as_rows = np.dtype((np.void, width * 8))
    known = np.ascontiguousarray(np.sort(mesh.facets[:, boundary].T.astype(np.int64), axis=1))
    wanted = np.ascontiguousarray(np.sort(facets.astype(np.int64), axis=1))
    known_rows, wanted_rows = known.view(as_rows).ravel(), wanted.view(as_rows).ravel()
    order = np.argsort(known_rows)
    place = np.minimum(np.searchsorted(known_rows, wanted_rows, sorter=order), len(order) - 1)
    if not np.array_equal(known_rows[order[place]], wanted_rows):
        raise MeshError(
            "A named facet of the mesh is not on its boundary. Facet sets must lie on the outside of the tissue; "
            "check the mesh file or generate the mesh again."
        )
    return boundary[order[place]]
