"""Electric conduction: ``div(sigma grad V) = 0``, solved for one volt on each terminal in turn.

The problem is linear in the voltages, so that any combination of driven, floating and return electrodes follows from
the unit fields: currents from the conductance matrix, heat from the pairwise unit heats. Outside the mesh the medium
goes on: by default the outer boundary carries the Robin condition of a point source at the applicators' centre,
``dV/dn = -V n.(x - c) / |x - c|^2`` (Altrogge et al. 2007), so that a moderate domain gives the resistance of an
unbounded one; the power that flows out through it is accounted for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ablationsim.fem.kernels import Array, index_array, joule_heat
from ablationsim.fem.multigrid import MultigridCG
from ablationsim.fem.space import P1Space

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
    unit_heat : (k (k + 1) / 2, n) array
        Nodal heat for the pairs of terminals ``(0, 0), (0, 1), (1, 1), ...`` at one volt each [W/V2].
    """

    conductance: Array
    inner_conductance: Array
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
    """

    def __init__(
        self, space: P1Space, terminals: list[list[str]], outer: OuterBoundary, centre: Array, rtol: float
    ) -> None:
        self.space = space
        mesh, scatter, n = space.mesh, space.matrix, space.n_nodes
        nodes = [np.unique(np.concatenate([mesh.facets[name].ravel() for name in names])) for names in terminals]
        fixed = np.zeros(n, dtype=bool)
        for terminal in nodes:
            fixed[terminal] = True
        outer_nodes = np.unique(mesh.facets["outer"])
        self._outer_load = np.zeros(n)
        if outer == "grounded":
            fixed[outer_nodes] = True
        elif outer == "far_field":

            def decay(w: Any) -> Any:
                offset = w.x - np.asarray(centre, dtype=float)[:, None, None]
                return (w.n * offset).sum(axis=0) / (offset**2).sum(axis=0)

            self._outer_load = space.facet_load(["outer"], decay)
        self.outer_nodes = outer_nodes
        self._free = np.flatnonzero(~fixed)
        number = np.full(n, -1)
        number[self._free] = np.arange(len(self._free))
        rows, columns = number[scatter.rows], number[scatter.columns]
        inner = np.flatnonzero((rows >= 0) & (columns >= 0))
        lifted = np.flatnonzero((rows >= 0) & (columns < 0))
        self._inner, self._lifted = inner, lifted
        self._lifted_rows, self._lifted_nodes = rows[lifted], scatter.columns[lifted]
        counts = np.bincount(rows[inner], minlength=len(self._free))
        indptr = index_array(np.concatenate([[0], np.cumsum(counts)]))
        self._diagonal = np.flatnonzero(rows[inner] == columns[inner])
        self._solver = MultigridCG(indptr, index_array(columns[inner]), rtol)
        self._potential = np.zeros((len(terminals), n))
        for potential, terminal in zip(self._potential, nodes, strict=True):
            potential[terminal] = 1.0
        self._earlier: Array = self._potential.copy()
        self._times = (-np.inf, -np.inf)
        self._hierarchy_values: Array = np.zeros(0)
        self.solves = 0
        self.iterations = 0

    def solve(self, time: float, sigma: Array, sigma_outer: Array, share: Array | None = None) -> ElectricField:
        """Solve for the unit fields.

        Parameters
        ----------
        time : float
            Time that the conductivity belongs to [s]; the last two solutions are extrapolated to it as a first guess.
        sigma : (m,) array
            Conductivity of each element [S/m].
        sigma_outer : (len(outer_nodes),) array
            Conductivity at the nodes of the outer boundary [S/m].
        share : (m,) array, optional
            Share of the heat in each element that the tissue receives; all by default.
        """
        matrix = self.space.matrix.values(sigma)
        values, lifting = matrix[self._inner], matrix[self._lifted]
        far = np.zeros(self.space.n_nodes)
        far[self.outer_nodes] = self._outer_load[self.outer_nodes] * sigma_outer
        values[self._diagonal] += far[self._free]
        if self._solver.worn:
            self._build(values)
        self._extrapolate(time)
        for potential in self._potential:
            right = np.zeros(len(self._free))
            np.subtract.at(right, self._lifted_rows, lifting * potential[self._lifted_nodes])
            x = potential[self._free]
            self.iterations += self._solver.solve(values, right, x)
            self.solves += 1
            potential[self._free] = x
        return self._field(sigma, far, np.ones_like(sigma) if share is None else share)

    def _build(self, values: Array) -> None:
        self._hierarchy_values = values.copy()
        self._solver.build(values)

    def _extrapolate(self, time: float) -> None:
        """Replace the potentials by their linear extrapolation to ``time`` and remember the last solution."""
        last, earlier = self._times
        latest = self._potential.copy()
        if np.isfinite(earlier) and last > earlier and time > last:
            # Extrapolating far beyond the distance between the two solutions does more harm than good.
            self._potential += min((time - last) / (last - earlier), 2.0) * (latest - self._earlier)
        if time != last:
            self._earlier = latest
            self._times = (time, last)

    def _field(self, sigma: Array, far: Array, share: Array) -> ElectricField:
        space, k = self.space, len(self._potential)
        inner, total = np.zeros((k, k)), np.zeros((k, k))
        unit_heat = np.empty((k * (k + 1) // 2, space.n_nodes))
        pair = 0
        for j in range(k):
            for i in range(j + 1):
                u, v = self._potential[i], self._potential[j]
                inner[i, j] = inner[j, i] = joule_heat(
                    u, v, sigma, share, space.cells, space.element_stiffness, space.averaging, unit_heat[pair]
                )
                total[i, j] = total[j, i] = inner[i, j] + float(np.dot(far * u, v))
                pair += 1
        return ElectricField(total, inner, unit_heat)

    def potential(self, voltages: Array) -> Array:
        """Nodal potential ``(n,)`` [V] of the last solution for the given terminal voltages ``(k,)`` [V]."""
        return voltages @ self._potential

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that the next solution depends on besides its arguments, for a checkpoint."""
        return {
            "potential": self._potential.copy(),
            "earlier_potential": self._earlier.copy(),
            "potential_times": np.array(self._times),
            "hierarchy_values": self._hierarchy_values.copy(),
            "hierarchy_iterations": np.array([self._solver.iterations, self._solver.iterations_when_fresh]),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Continue from a state saved by :meth:`state`."""
        self._potential = state["potential"].copy()
        self._earlier = state["earlier_potential"].copy()
        last, earlier = state["potential_times"]
        self._times = (float(last), float(earlier))
        if len(state["hierarchy_values"]):
            self._build(state["hierarchy_values"])
        self._solver.iterations, self._solver.iterations_when_fresh = (int(i) for i in state["hierarchy_iterations"])
