"""Electric conduction: ``div(sigma grad V) = 0``, solved for one volt on each terminal in turn.

The problem is linear in the voltages, so that any combination of driven, floating and return electrodes follows from
the unit fields: currents from the conductance matrix, heat from the pairwise unit heats. Outside the mesh the medium
goes on: by default the outer boundary carries the Robin condition of a point source at the applicators' centre,
``dV/dn = -V n.(x - c) / |x - c|^2`` (Altrogge et al. 2007), so that a moderate domain gives the resistance of an
unbounded one; the power that flows out through it is accounted for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ablationsim.fem.engine import multigrid_cg
from ablationsim.fem.guess import Guess
from ablationsim.fem.kernels import Array, joule_heat
from ablationsim.fem.space import P1Space
from ablationsim.fem.stiffness import Matrix, Singles

Arrays = dict[str, NDArray[Any]]
OuterBoundary = Literal["far_field", "grounded", "insulated"]


@dataclass(frozen=True)
class ElectricField:
    """Answer of the tissue to unit voltages, for one distribution of the conductivity.

    Attributes
    ----------
    conductance : (k, k) array
        Currents into the terminals for given terminal voltages, the medium outside the mesh included [S].
    inner_conductance : (k, k) array
        The part of it that dissipates inside the mesh [S].
    beyond_conductance : (k, k) array
        The part of that which dissipates beyond the organ that is modelled [S].
    unit_heat : (k (k + 1) / 2, n) array
        Nodal heat for the pairs of terminals ``(0, 0), (0, 1), (1, 1), ...`` at one volt each [W/V2].
    """

    conductance: Array
    inner_conductance: Array
    beyond_conductance: Array
    unit_heat: Array

    def heat(self, voltages: Array) -> Array:
        """Nodal heat load ``(n,)`` [W] for the terminal voltages ``(k,)`` [V]."""
        load = np.zeros(self.unit_heat.shape[1])
        pair = 0
        for j in range(len(voltages)):
            for i in range(j + 1):
                load += (1.0 if i == j else 2.0) * voltages[i] * voltages[j] * self.unit_heat[pair]
                pair += 1
        return load


class Electric:
    """Electric conduction on a space.

    Parameters
    ----------
    space : P1Space
        Mesh and elements.
    terminals : list of list of str
        Facet sets that make up each terminal.
    outer : {"far_field", "grounded", "insulated"}
        Condition on the facets named ``outer``.
    centre : (d,) array
        Centre of the far field [m].
    rtol : float
        Relative residual at which the unit fields count as solved.
    conducting : (n,) array, optional
        Share of the tissue at each node, of a mesh that reaches to where nothing conducts; one by default.
    """

    def __init__(
        self,
        space: P1Space,
        terminals: list[list[str]],
        outer: OuterBoundary,
        centre: Array,
        rtol: float,
        conducting: Array | None = None,
    ) -> None:
        self.space = space
        mesh, n = space.mesh, space.n_nodes
        nodes = [np.unique(np.concatenate([mesh.facets[name].ravel() for name in names])) for names in terminals]
        update = space.distribution.update
        # Facets at ghosts are those of other ranks.
        self._potential = np.zeros((len(terminals), n))
        for potential, terminal in zip(self._potential, nodes, strict=True):
            potential[terminal] = 1.0
            update(potential)
        held: NDArray[np.bool_] = np.any(self._potential > 0.0, axis=0)
        outer_nodes = np.unique(mesh.facets["outer"])
        self._outer_load = np.zeros(n)
        if outer == "grounded":
            held[outer_nodes] = True
            update(held)
        elif outer == "far_field":

            def decay(w: Any) -> Any:
                offset = w.x - np.asarray(centre, dtype=float)[:, None, None]
                return (w.n * offset).sum(axis=0) / (offset**2).sum(axis=0)

            self._outer_load = space.facet_load(["outer"], decay)
            if conducting is not None:
                self._outer_load *= conducting
        self.outer_nodes = outer_nodes
        self._held = np.flatnonzero(held)
        # Values by which nodes that are held act on others: what they would be the right-hand side with.
        pattern = space.scatter.pattern
        starts = pattern.indptr.astype(np.int64)
        places = [np.arange(starts[i], starts[i + 1]) for i in self._held]
        counts = [len(place) for place in places]
        self._lift = np.concatenate([np.zeros(0, dtype=np.int64), *places])
        self._lift_from = np.repeat(self._held, counts)
        self._lift_to = pattern.indices[self._lift]
        self._rtol = rtol
        self._solver = multigrid_cg(pattern, space.distribution)
        self._guesses = [Guess(n, space.distribution) for _ in terminals]
        self._hierarchy_matrix: Matrix | None = None
        self._matrix: Matrix | None = None
        self.solves = 0
        self.iterations = 0

    def solve(
        self, sigma: Singles, sigma_outer: Array, share: Array | None = None, beyond: Array | None = None
    ) -> ElectricField:
        """Solve for the unit fields.

        Parameters
        ----------
        sigma : (m,) array
            Conductivity of each element [S/m].
        sigma_outer : (len(outer_nodes),) array
            Conductivity at the nodes of the outer boundary [S/m].
        share : (m,) array, optional
            Share of the heat in each element that the tissue receives; all by default.
        beyond : (m,) array, optional
            Share of the rest that is released beyond the organ that is modelled; none by default.
        """
        self._matrix = matrix = self.space.scatter.matrix(sigma, out=self._matrix)
        far = np.zeros(self.space.n_nodes)
        far[self.outer_nodes] = self._outer_load[self.outer_nodes] * sigma_outer
        matrix.diagonal[self.outer_nodes] += far[self.outer_nodes]
        matrix.diagonal[self._held] = 0.0
        if self._solver.worn:
            self._build(matrix)
        nothing = np.zeros(self.space.n_nodes)
        for potential, guess in zip(self._potential, self._guesses, strict=True):
            before = potential.copy()
            guess.improve(self.space.scatter.pattern, matrix, nothing, potential)
            target = self._rtol * self._lifted(matrix, potential)
            self.iterations += self._solver.solve(matrix, nothing, potential, target)
            guess.remember(before, potential)
            self.solves += 1
        return self._field(sigma, far, share, beyond)

    def _lifted(self, matrix: Matrix, potential: Array) -> float:
        """Norm of the right-hand side that the nodes that are held amount to [A]."""
        right = np.bincount(self._lift_to, matrix.off[self._lift] * potential[self._lift_from], self.space.n_nodes)
        right[self._held] = 0.0
        right = self.space.distribution.own(right)
        return math.sqrt(self.space.distribution.comm.sum(float(np.dot(right, right))))

    def _build(self, matrix: Matrix) -> None:
        if not self.space.distribution.parted:
            self._hierarchy_matrix = Matrix(matrix.off.copy(), matrix.diagonal.copy())
        self._solver.build(matrix)

    def _field(self, sigma: Singles, far: Array, share: Array | None, beyond: Array | None) -> ElectricField:
        space, k = self.space, len(self._potential)
        distribution = space.distribution
        inner, total, away = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
        lost = None if share is None or beyond is None else (1.0 - share) * beyond
        unit_heat = np.empty((k * (k + 1) // 2, space.n_nodes))
        heat = np.empty(len(sigma))
        pair = 0
        for j in range(k):
            for i in range(j + 1):
                u, v = self._potential[i], self._potential[j]
                joule_heat(u, v, sigma, space.cells, space.edge_stiffness, heat)
                inside, outside = float(distribution.own_cells(heat).sum()), float(np.dot(far * u, v))
                left = 0.0 if lost is None else float(distribution.own_cells(lost * heat).sum())
                inside, outside, left = distribution.comm.sum(np.array([inside, outside, left]))
                inner[i, j] = inner[j, i] = inside
                away[i, j] = away[j, i] = left
                total[i, j] = total[j, i] = inside + outside
                unit_heat[pair] = space.nodal_load(heat if share is None else share * heat)
                pair += 1
        return ElectricField(total, inner, away, unit_heat)

    def potential(self, voltages: Array) -> Array:
        """Nodal potential ``(n,)`` [V] of the last solution for the given terminal voltages ``(k,)`` [V]."""
        return voltages @ self._potential

    def state(self) -> tuple[Arrays, Arrays]:
        """Nodal arrays ``(..., n)``, and others, that the next solution depends on besides its arguments.

        The others are those of the hierarchy, and only of one in this process: the solutions of PETSc are so accurate
        that they do not depend on theirs.
        """
        nodal = {
            "potential": self._potential.copy(),
            "changes": np.array([guess.changes.T for guess in self._guesses]),
        }
        if self._hierarchy_matrix is None or self.space.distribution.parted:
            return nodal, {}
        matrix = {f"hierarchy_{name}": values for name, values in self._hierarchy_matrix._asdict().items()}
        return nodal, {
            "hierarchy_iterations": np.array([self._solver.iterations, self._solver.iterations_when_fresh]),
            **matrix,
        }

    def restore(self, nodal: Arrays, others: Arrays) -> None:
        """Continue from a `state`; without a hierarchy in it, one is built when it is needed."""
        self._potential = nodal["potential"].copy()
        for guess, changes in zip(self._guesses, nodal["changes"], strict=True):
            guess.changes = changes.T
        if "hierarchy_off" in others and not self.space.distribution.parted:
            self._build(Matrix(others["hierarchy_off"], others["hierarchy_diagonal"]))
            counts = others["hierarchy_iterations"]
            self._solver.iterations, self._solver.iterations_when_fresh = (int(count) for count in counts)

    def close(self) -> None:
        """Free what the solver holds outside Python's memory."""
        self._solver.close()
