"""Axisymmetric Maxwell equations, transverse magnetic, on quadratic triangles.

With time dependence ``exp(j w t)`` the only component of the magnetic field is ``H_phi``. The unknown is
``u = r H_phi``, in which the mode of a coaxial line is a constant, so that polynomials represent it; ``H_phi`` itself
would lock:

``div(1 / (eps r) grad u) + k0^2 u / r = 0``

``E_r = -(1 / (j w eps0 eps r)) du/dz``, ``E_z = (1 / (j w eps0 eps r)) du/dr``

with the complex relative permittivity ``eps = eps' - j sigma / (w eps0)``. A perfect conductor is the natural boundary
condition; on the axis ``u = 0``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.constants import epsilon_0, pi, speed_of_light
from scipy.sparse.linalg import splu
from skfem import Basis, BilinearForm, ElementTriP2, FacetBasis, LinearForm, MeshTri
from skfem.helpers import dot, grad
from threadpoolctl import threadpool_limits

from ablationsim.errors import MeshError, SolverError

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

_OUTPUT_ORDER = 4  # six points a triangle: dense enough to be handed to smaller elements of another mesh
_ORDER = 6  # exact for polynomials of degree 6: the weight 1/r is not one, and sits on the axis in the worst elements


class TransverseMagneticSpace:
    """Quadratic functions on triangles in the (r, z) half-plane, zero on the axis.

    Coefficients are constant on each triangle and enter linearly, so that geometry is integrated once.

    Parameters
    ----------
    points : (n, 2) array
        Nodes (r, z) [m].
    cells : (m, 3) array
        Triangles.
    facets : mapping of str to (k, 2) array
        Named boundary edges, by their end nodes.
    frequency : float
        [Hz]

    Attributes
    ----------
    n_dofs : int
        Number of unknowns, those on the axis left out.
    points : (m, q, 2) array
        Points (r, z) in each triangle at which fields are given [m].
    weights : (m, q) array
        Area that each of them stands for [m2].
    """

    def __init__(
        self, points: Floats, cells: NDArray[np.int32], facets: Mapping[str, NDArray[np.int32]], frequency: float
    ):
        self.omega = 2.0 * pi * frequency
        self.k0 = self.omega / speed_of_light
        self._mesh = MeshTri(
            np.ascontiguousarray(points.T), np.ascontiguousarray(cells.T, dtype=np.int64), sort_t=False
        )
        self._element = ElementTriP2()
        basis = Basis(self._mesh, self._element, intorder=_ORDER)
        on_axis = basis.get_dofs(lambda x: np.abs(x[0]) < 1e-9).all()
        self._number = np.full(basis.N, -1)
        free = np.setdiff1d(np.arange(basis.N), on_axis)
        self._number[free] = np.arange(len(free))
        self._free, self._all = free, basis.N
        self.n_dofs = len(free)
        self._dofs = basis.element_dofs.T  # (m, 6)
        stiffness = BilinearForm(lambda u, v, w: dot(grad(u), grad(v)) / w.x[0]).coo_data(basis).tolocal()
        mass = BilinearForm(lambda u, v, w: u * v / w.x[0]).coo_data(basis).tolocal()
        self._stiffness = np.ascontiguousarray(stiffness)
        self.facet_cells: dict[str, NDArray[np.intp]] = {}
        self._facet_mass: dict[str, Floats] = {}
        self._facet_basis: dict[str, FacetBasis] = {}
        for name, nodes in facets.items():
            numbers = self._facet_numbers(name, nodes)
            on_facets = FacetBasis(self._mesh, self._element, facets=numbers, intorder=_ORDER)
            self.facet_cells[name] = self._mesh.f2t[0, numbers]
            self._facet_basis[name] = on_facets
            self._facet_mass[name] = BilinearForm(lambda u, v, w: u * v / w.x[0]).coo_data(on_facets).tolocal()
        self._build_pattern(mass)
        self._output = Basis(self._mesh, self._element, intorder=_OUTPUT_ORDER)
        self.points = np.moveaxis(np.asarray(self._output.global_coordinates()), 0, -1)
        self.weights: Floats = self._output.dx

    def _facet_numbers(self, name: str, nodes: NDArray[np.int32]) -> NDArray[np.intp]:
        """Numbers of named edges in scikit-fem's mesh."""
        n = self._mesh.p.shape[1]
        known = np.sort(self._mesh.facets, axis=0).astype(np.int64)
        key = known[0] * n + known[1]
        order = np.argsort(key)
        wanted = np.sort(np.asarray(nodes, dtype=np.int64), axis=1)
        place = np.searchsorted(key[order], wanted[:, 0] * n + wanted[:, 1])
        found = order[np.minimum(place, len(order) - 1)]
        if not np.array_equal(known[:, found].T, wanted) or np.any(self._mesh.f2t[1, found] >= 0):
            raise MeshError(f"The edges '{name}' of the antenna's mesh are not all on its boundary.")
        return found

    def _build_pattern(self, mass: Floats) -> None:
        """Fixed sparsity, and for each part of the matrix the map from its coefficients to the values."""
        blocks = [("cells", self._dofs, self._stiffness)]
        blocks += [(name, self._dofs[cells], self._facet_mass[name]) for name, cells in self.facet_cells.items()]
        keys, entries = [], []
        for name, dofs, local in blocks:
            number = self._number[dofs]
            rows, columns = np.repeat(number, 6, axis=1), np.tile(number, (1, 6))
            inside = (rows >= 0) & (columns >= 0)
            keys.append((columns.astype(np.int64) * self.n_dofs + rows)[inside])
            entries.append((name, inside, local.reshape(len(local), 36), len(local)))
        pattern, place = np.unique(np.concatenate(keys), return_inverse=True)
        columns, rows = np.divmod(pattern, self.n_dofs)
        self._indices = rows.astype(np.int32)
        self._indptr = np.searchsorted(columns, np.arange(self.n_dofs + 1)).astype(np.int32)
        self._maps: dict[str, sparse.csr_matrix] = {}
        start = 0
        for name, inside, local, count in entries:
            end = start + int(inside.sum())
            coefficient = np.nonzero(inside)[0]
            shape = (len(pattern), count)
            self._maps[name] = sparse.csr_matrix((local[inside], (place[start:end], coefficient)), shape=shape)
            if name == "cells":
                values = mass.reshape(len(mass), 36)[inside]
                self._mass = np.bincount(place[start:end], values, minlength=len(pattern))
            start = end

    def factorise(self, permittivity: Complex, impedance: Mapping[str, Complex]) -> Factorised:
        """Factorise the system for a distribution of the permittivity.

        Parameters
        ----------
        permittivity : (m,) complex array
            Relative permittivity of each triangle.
        impedance : mapping of str to (k,) complex array
            Coefficient ``q`` on each edge of a named set in ``(1 / eps) du/dn = -q u`` [1/m]; an edge of no set is a
            perfect conductor.

        Raises
        ------
        SolverError
            If the system is singular or not finite.
        """
        values = self._maps["cells"] @ (1.0 / permittivity) - self.k0**2 * self._mass
        for name, coefficient in impedance.items():
            values = values + self._maps[name] @ coefficient
        if not np.all(np.isfinite(values)):
            raise SolverError("The microwave field cannot be solved: a permittivity is zero or not finite.")
        matrix = sparse.csc_matrix((values, self._indices, self._indptr), shape=(self.n_dofs, self.n_dofs))
        try:
            # Threads inside the small dense blocks of a sparse factorisation fight instead of helping.
            with threadpool_limits(limits=1, user_api="blas"):
                # Dense blocks are small in a plane: wide panels, SuperLU's default, cost half as much more.
                solve = splu(
                    matrix,
                    permc_spec="MMD_AT_PLUS_A",
                    diag_pivot_thresh=0.01,
                    relax=1,
                    panel_size=1,
                    options={"SymmetricMode": True},
                ).solve
        except RuntimeError as error:
            raise SolverError(f"The microwave field cannot be solved: {error}.") from error
        return Factorised(solve)

    def facet_load(self, name: str, coefficient: Complex) -> Complex:
        """Right-hand side ``(n_dofs,)`` of ``(1 / eps) du/dn = coefficient`` on the edges of a named set.

        The coefficient has shape ``(k, 1)``, or ``(k, q)`` with its values at :meth:`facet_points`.
        """
        form = LinearForm(lambda v, w: w["coefficient"] * v / w.x[0], dtype=np.complex128)
        return np.asarray(form.assemble(self._facet_basis[name], coefficient=coefficient)[self._free])

    def facet_points(self, name: str) -> Floats:
        """Quadrature points ``(k, q, 2)`` on the edges of a named set [m]."""
        return np.moveaxis(np.asarray(self._facet_basis[name].global_coordinates()), 0, -1)

    def expand(self, solution: Complex) -> Complex:
        """Values ``(m, 6)`` of the degrees of freedom of each triangle, the zeros on the axis included."""
        return self._full(solution)[self._dofs]

    def _full(self, solution: Complex) -> Complex:
        full = np.zeros(self._all, dtype=np.complex128)
        full[self._free] = solution
        return full

    def mean_on(self, name: str, solution: Complex) -> complex:
        """Mean of ``u`` over the edges of a set with the weight 1/r: the amplitude of a coaxial line's mode."""
        on_facets = self._facet_basis[name]
        load = self.facet_load(name, np.ones((len(self.facet_cells[name]), 1), dtype=np.complex128))
        weight = np.sum(on_facets.dx / on_facets.global_coordinates()[0])
        return complex(load @ solution / weight)

    def facet_square(self, name: str, solution: Complex) -> Floats:
        """Integral of ``|u|^2 / r`` over each edge of a named set, ``(k,)``."""
        local = self.expand(solution)[self.facet_cells[name]]
        return _quadratic(self._facet_mass[name], local)

    def gradient_square(self, solution: Complex) -> Floats:
        """Integral of ``|grad u|^2 / r`` over each triangle, ``(m,)``."""
        return _quadratic(self._stiffness, self.expand(solution))

    def gradient_square_at_points(self, solution: Complex) -> Floats:
        """``|grad u|^2 / r`` at the points of each triangle, ``(m, q)``."""
        # Only the gradient, and in one pass: scikit-fem's interpolation also computes values and second derivatives.
        local = self.expand(solution).T
        gradient = sum(u[:, None] * shape[0].grad for u, shape in zip(local, self._output.basis, strict=True))
        return np.asarray((np.abs(gradient) ** 2).sum(axis=0) / self.points[:, :, 0])

    def values_at_points(self, solution: Complex) -> Complex:
        """``u`` at the points of each triangle, ``(m, q)``."""
        return np.asarray(self._output.interpolate(self._full(solution)))

    def absorbing(self, name: str, permittivity: Complex) -> Complex:
        """Coefficient ``(k,)`` for :meth:`factorise` that lets plane waves at right angles out of a named boundary.

        First order: ``du/dn = -j k u``.
        """
        return 1j * self.k0 / np.sqrt(permittivity[self.facet_cells[name]])

    def absorbed(self, permittivity: Complex, gradient_square: Floats) -> Floats:
        """Power ``(m,)`` [W] for integrals of ``|grad u|^2 / r``: ``sigma |E|^2 / 2``, all round the axis."""
        conductivity = -permittivity.imag * self.omega * epsilon_0
        return pi * conductivity / (self.omega * epsilon_0 * np.abs(permittivity)) ** 2 * gradient_square

    def radiated(self, name: str, permittivity: Complex, solution: Complex) -> float:
        """Power that leaves through an absorbing boundary [W]."""
        admittance = np.real(1.0 / np.sqrt(permittivity[self.facet_cells[name]]))
        return float(pi * self.k0 / (self.omega * epsilon_0) * np.dot(admittance, self.facet_square(name, solution)))


class Factorised:
    """A factorised system, for any number of right-hand sides."""

    def __init__(self, solve: Callable[[Complex], Complex]) -> None:
        self._solve = solve

    def solve(self, load: Complex) -> Complex:
        """Solution ``(n_dofs,)`` for a right-hand side ``(n_dofs,)``.

        Raises
        ------
        SolverError
            If the solution is not finite.
        """
        with threadpool_limits(limits=1, user_api="blas"):
            solution = self._solve(load)
        if not np.all(np.isfinite(solution)):
            raise SolverError("The microwave field cannot be solved: the solution is not finite.")
        return solution


def _quadratic(local: Floats, values: Complex) -> Floats:
    """``conj(v) . A v`` for each local matrix ``(m, 6, 6)`` and vector ``(m, 6)``."""
    return np.asarray(np.einsum("ei,eij,ej->e", values.conj(), local, values, optimize=True).real)
