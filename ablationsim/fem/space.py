"""Linear finite elements on a simplicial mesh, with the geometry integrated once.

A coefficient that is constant on each element enters the stiffness matrix linearly, so a new matrix is one sparse
product ``scatter @ coefficient`` on a sparsity pattern that never changes. Axisymmetric meshes carry the weight ``2 pi
r`` in every integral; everything else is the same in two and three dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from skfem import Basis, BilinearForm, ElementTetP1, ElementTriP1, FacetBasis, LinearForm, MeshTet, MeshTri
from skfem.helpers import dot, grad

from ablationsim.errors import MeshError
from ablationsim.fem.kernels import index_array
from ablationsim.fem.tissue_share import LEAST, TissueShare
from ablationsim.mesh.mesh import Mesh

Array = NDArray[np.float64]


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
    element_stiffness : (m, d+1, d+1) array
        Integral of ``grad(phi_i) . grad(phi_j)`` over each element, weighted, for a coefficient of one [m].
    element_load : (m, d+1) array
        Integral of ``phi_i`` over each element, weighted [m3].
    volume : (m,) array
        Weighted volume of the tissue of each element [m3].
    whole_volume : (m,) array
        The same of the whole element [m3].
    averaging : (m, d+1) array
        Weights that turn nodal values into the exact weighted mean of their linear interpolant on each element.
    lumped_mass : (n,) array
        Row sums of the mass matrix [m3]; positive on the axis too, where vertex quadrature would give zero.
    cells : (m, d+1) uint32 array
        Nodes of each element, as the kernels want them.
    """

    def __init__(self, mesh: Mesh, tissue: TissueShare | None = None) -> None:
        self.mesh, self.tissue = mesh, tissue
        self.n_nodes, dimension = mesh.points.shape
        # sort_t=False keeps our node order, so that element arrays line up with mesh.cells.
        kind, element = (MeshTri, ElementTriP1) if dimension == 2 else (MeshTet, ElementTetP1)
        self._skfem_mesh = kind(np.ascontiguousarray(mesh.points.T), np.ascontiguousarray(mesh.cells.T), sort_t=False)
        self._skfem_element = element()
        # Products of two linear functions need order 2; the weight r adds one.
        self._order = 3 if mesh.axisymmetric else 2
        basis = Basis(self._skfem_mesh, self._skfem_element, intorder=self._order)
        stiffness = BilinearForm(lambda u, v, w: dot(grad(u), grad(v)) * self._weight(w)).coo_data(basis)
        load = LinearForm(lambda v, w: v * self._weight(w)).coo_data(basis)
        self.element_stiffness: Array = np.ascontiguousarray(stiffness.tolocal())
        self.element_load: Array = np.ascontiguousarray(load.data.reshape(dimension + 1, -1).T)
        whole: Array = self.element_load.sum(axis=1)
        self.whole_volume = whole
        if tissue is not None:
            self.element_stiffness *= (LEAST + (1.0 - LEAST) * tissue.share)[:, None, None]
            self.element_load = whole[:, None] * (LEAST / (dimension + 1) + (1.0 - LEAST) * tissue.load)
        self.volume: Array = self.element_load.sum(axis=1)
        self.averaging: Array = self.element_load / self.volume[:, None]
        self.lumped_mass: Array = self.sum_to_nodes(self.element_load)
        self.cells = index_array(mesh.cells)

    def _weight(self, w: Any) -> Any:
        return 2.0 * np.pi * w.x[0] if self.mesh.axisymmetric else 1.0

    def sum_to_nodes(self, element_vectors: Array) -> Array:
        """Add ``(m, d+1)`` element vectors up in their nodes; returns ``(n,)``."""
        sums = np.bincount(self.mesh.cells.ravel(), element_vectors.ravel(), minlength=self.n_nodes)
        return np.asarray(sums, dtype=np.float64)

    def element_mean(self, nodal: Array) -> Array:
        """Weighted mean ``(m,)`` of the linear function with the given ``(n,)`` nodal values on each element."""
        return np.einsum("ij,ij->i", nodal[self.mesh.cells], self.averaging)

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
        basis = FacetBasis(
            self._skfem_mesh, self._skfem_element, facets=self._facet_numbers(facets), intorder=self._order
        )
        integrand = density or (lambda w: 1.0)
        return LinearForm(lambda v, w: v * integrand(w) * self._weight(w)).assemble(basis)

    def _facet_numbers(self, facets: NDArray[np.int32]) -> NDArray[np.intp]:
        """Numbers in scikit-fem's mesh of the boundary facets given by their nodes."""
        boundary = self._skfem_mesh.boundary_facets()
        width = self._skfem_mesh.facets.shape[0]
        as_rows = np.dtype((np.void, width * 8))
        known = np.ascontiguousarray(np.sort(self._skfem_mesh.facets[:, boundary].T.astype(np.int64), axis=1))
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

    @cached_property
    def matrix(self) -> Scatter:
        """Coefficient-to-matrix map of the stiffness matrix on this space (built when first asked for)."""
        return Scatter(self)


class Scatter:
    """Stiffness matrices of a space for element coefficients, on one fixed CSR pattern.

    The matrices are symmetric and their rows sum to zero, so that only one value an edge of the mesh is summed up from
    the elements round it; it goes to two places, and the diagonal follows.

    Attributes
    ----------
    indptr, indices : uint32 arrays
        CSR pattern; it holds every pair of neighbouring nodes, also where an entry happens to vanish.
    rows, columns : (nnz,) int32 arrays
        Row and column of each value.
    diagonal : (n,) array
        Position of each diagonal entry in the values.
    """

    def __init__(self, space: P1Space) -> None:
        cells = space.mesh.cells.astype(np.int64)
        n, (m, corners) = space.n_nodes, cells.shape
        pairs = list(combinations(range(corners), 2))
        keys = np.stack(
            [np.minimum(cells[:, a], cells[:, b]) * n + np.maximum(cells[:, a], cells[:, b]) for a, b in pairs]
        )
        edges, edge = np.unique(keys.ravel(), return_inverse=True)
        entries = np.stack([space.element_stiffness[:, a, b] for a, b in pairs])
        element = np.tile(np.arange(m, dtype=np.int32), len(pairs))
        self._map = sparse.csr_matrix(
            (entries.ravel(), (edge.ravel().astype(np.int32), element)), shape=(len(edges), m)
        )
        low, high = np.divmod(edges, n)
        nodes, number = np.arange(n), np.arange(1, len(edges) + 1)
        rows, columns = np.concatenate([low, high, nodes]), np.concatenate([high, low, nodes])
        # The values of this matrix say which edge each entry takes its value from; zero marks the diagonal.
        pattern = sparse.csr_matrix((np.concatenate([number, number, np.zeros(n, int)]), (rows, columns)), shape=(n, n))
        pattern.sort_indices()
        self._source = pattern.data
        self.columns = pattern.indices.astype(np.int32)
        self.rows = np.repeat(np.arange(n, dtype=np.int32), np.diff(pattern.indptr))
        self.indptr = index_array(pattern.indptr)
        self.indices = index_array(pattern.indices)
        self.diagonal = np.flatnonzero(self.rows == self.columns)

    def values(self, coefficient: Array) -> Array:
        """Values ``(nnz,)`` of the stiffness matrix for an element coefficient ``(m,)``."""
        values = np.concatenate([[0.0], self._map @ coefficient])[self._source]
        values[self.diagonal] = -np.add.reduceat(values, self.indptr[:-1].astype(np.intp))
        return values

    def as_csr(self, values: Array) -> sparse.csr_matrix:
        """The values as a SciPy matrix."""
        n = len(self.indptr) - 1
        return sparse.csr_matrix((values, self.columns, self.indptr.astype(np.int32)), shape=(n, n))
