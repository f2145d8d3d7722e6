"""Heat that the tissue gives to the blood of vessels, and how the blood warms up on its way.

On the wall of a branch the tissue loses ``h (T - T_b)`` per area. Where the blood is "fixed" its temperature T_b is
that of the inlet. Where it is followed ("transport") it obeys the balance along the branch

    rho c Q dT_b / ds = h p (T_w - T_b)

with the flow Q, the perimeter p and the mean wall temperature T_w, which is solved exactly over short segments on which
T_w is constant: blood that arrives with T_in leaves with ``T_w + (T_in - T_w) exp(-N)``, ``N = h A / (rho c Q)``, and
what the tissue sees is the mean temperature on the way, so that what it loses is what the blood gains. Heat passes so
much faster along a vessel than it changes that the balance holds at every moment. In a step in time the wall is
implicit; T_b is foreseen, and the step is solved again until tissue and blood agree on the heat that passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from ablationsim.fem.location import Locator
from ablationsim.fem.space import P1Space
from ablationsim.fem.wall import WallPoints, exchange_values
from ablationsim.physics.lumens import fitted_facets
from ablationsim.vessels.attach import attach
from ablationsim.vessels.vessel import Branch, Vessel

Array = NDArray[np.float64]

_SEGMENT = 2e-3
"""Length of the segments of a branch along which the blood's temperature is followed [m]."""

_RENEWAL = 4e6
"""Exchange that holds the inside of a vessel at the temperature of its blood, within about a second [W/m3/K]."""


@dataclass(frozen=True)
class Exchange:
    """What the blood takes up at one moment.

    Attributes
    ----------
    lost : (b,) array
        Heat that the tissue gives to each branch [W].
    gained : (b,) array
        Heat that the blood of each branch has gained between entering and leaving it [W]; the same as `lost` but for
        the change of the wall's temperature since it was foreseen.
    outlet : (b,) array
        Temperature of the blood that leaves each branch [K].
    """

    lost: Array
    gained: Array
    outlet: Array


class VesselExchange:
    """Exchange of heat between tissue and vessels on a mesh.

    Parameters
    ----------
    space : P1Space
        Of the tissue.
    vessels : sequence of Vessel
        With branches that flow.
    reference : float
        Temperature that the heat equation is solved relative to [K].
    inside : (n,) array
        Temperature of the blood at nodes inside vessels, which are held there; NaN at all others [K].
    conductivity : float
        Thermal conductivity of the tissue at the walls [W/m/K].

    Attributes
    ----------
    branches : list of (Vessel, Branch)
        In the order of all results.
    values : (nnz,) array
        What the wall adds to the conduction matrix [W/K].
    area : (b,) array
        Area of each branch's wall in the mesh [m2].
    """

    position: Array
    """Points of the walls that exchange heat, ``(q, 3)`` [m]."""
    branch_of: NDArray[np.intp]
    """Number of the branch that each of them belongs to, ``(q,)``."""

    def __init__(
        self, space: P1Space, vessels: Sequence[Vessel], reference: float, inside: Array, conductivity: float
    ) -> None:
        self.reference = reference
        self.branches = [(vessel, branch) for vessel in vessels for branch in vessel.branches]
        self.values = np.zeros(len(space.matrix.rows))
        rows: list[sparse.csr_matrix] = []
        conductances: list[Array] = []
        areas = [np.zeros(0)]
        positions = [np.zeros((0, 3))]
        numbers = [np.zeros(0, dtype=np.intp)]
        builder = _Network()
        locator = Locator(space.mesh)
        for vessel in vessels:
            for points, segment_of in _segments(space, locator, vessel, builder):
                coefficient = 1.0 / (1.0 / builder.coefficient[segment_of] + points.depth / conductivity)
                self.values += exchange_values(space, points, coefficient, conductivity)
                weight = coefficient * points.area
                count = len(builder.coefficient)
                select = sparse.csr_matrix((weight, (segment_of, np.arange(len(weight)))), shape=(count, len(weight)))
                rows.append(select @ points.shape)
                areas.append(points.area)
                positions.append(points.position)
                numbers.append(builder.branch[segment_of])
                conductances.append(np.asarray(np.bincount(segment_of, weight, minlength=count), dtype=np.float64))
        self.position, self.branch_of = np.concatenate(positions), np.concatenate(numbers)
        count = len(builder.coefficient)
        n = space.n_nodes
        self._load = sparse.csr_matrix((count, n))
        conductance: Array = np.zeros(count)
        for row, part in zip(rows, conductances, strict=True):
            row.resize((count, n))
            self._load = self._load + row
            conductance[: len(part)] += part
        self._load = sparse.csr_matrix(self._load)
        self._transposed = sparse.csr_matrix(self._load.T)
        self._conductance = conductance
        self._branch_of = builder.branch
        self._network = builder.network(conductance)
        # What little the mesh keeps of the tissue inside a vessel follows the blood, apart from the balance of heat.
        held = np.where(np.isnan(inside), 0.0, _RENEWAL * space.lumped_mass)
        self.values[space.matrix.diagonal] += held
        self._held = held * (np.nan_to_num(inside) - reference)
        self.area = np.bincount(self.branch_of, np.concatenate(areas), minlength=len(self.branches))

    @property
    def n_branches(self) -> int:
        """Number of branches of all vessels."""
        return len(self.branches)

    def blood(self, temperature: Array) -> Array:
        """Mean temperature of the blood in each segment ``(s,)`` [K] at a nodal temperature ``(n,)`` [K]."""
        return self._network.mean(self._wall(temperature))

    def source(self, blood: Array) -> Array:
        """What the blood gives to the tissue's right-hand side ``(n,)``, relative to the reference temperature [W]."""
        return self._transposed @ (blood - self.reference) + self._held

    def exchange(self, temperature: Array, blood: Array) -> Exchange:
        """What passes at a nodal temperature ``(n,)`` [K] to blood of the given temperature ``(s,)`` [K]."""
        lost = self._load @ temperature - self._conductance * blood
        gained, outlet = self._network.gained(self._wall(temperature))
        leaving = np.full(self.n_branches, np.nan)
        leaving[self._branch_of] = outlet  # segments of a branch come in the direction of its flow: the last one stays
        return Exchange(self._by_branch(lost), self._by_branch(gained), leaving)

    def _by_branch(self, segments: Array) -> Array:
        return np.asarray(np.bincount(self._branch_of, segments, minlength=self.n_branches), dtype=np.float64)

    def _wall(self, temperature: Array) -> Array:
        """Mean temperature of the wall of each segment ``(s,)`` [K]; the reference where it is not in the mesh."""
        theta = self._load @ (temperature - self.reference)
        return self.reference + np.divide(
            theta, self._conductance, out=np.zeros_like(theta), where=self._conductance > 0.0
        )


class _Network:
    """Segments of all branches as they are collected, upstream ones first."""

    def __init__(self) -> None:
        self.branch: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self.coefficient: Array = np.zeros(0)
        self._capacity: list[float] = []  # rho c Q [W/K]; infinite where the blood stays as it comes
        self._inlet: list[float] = []
        self._upstream: list[dict[int, float]] = []  # share of the flow by the segment that it comes from
        self._branches = 0

    def add(self, vessel: Vessel, number: int, branch: Branch, last: dict[int, int]) -> tuple[int, int]:
        """Add the segments of a branch; ``last`` has the last segment of each branch of the vessel. Returns first
        segment and number of segments."""
        first = len(self._capacity)
        count = max(1, int(np.ceil(branch.length / _SEGMENT))) if branch.model == "transport" else 1
        flows = branch.model == "transport" and branch.flow > 0.0
        shares = {last[up]: flow / branch.flow for up, flow in branch.upstream.items() if flows and up in last}
        for i in range(count):
            self._capacity.append(vessel.fluid.volumetric_heat_capacity * branch.flow if flows else np.inf)
            self._inlet.append(vessel.inlet_temperature)
            self._upstream.append(shares if i == 0 else {first + i - 1: 1.0})
        last[number] = first + count - 1
        moves = branch.model in ("fixed", "transport")
        self.branch = np.append(self.branch, np.full(count, self._branches))
        self.coefficient = np.append(self.coefficient, np.full(count, branch.wall_coefficient if moves else 0.0))
        self._branches += 1
        return first, count

    def network(self, conductance: Array) -> BloodNetwork:
        """The balance along all segments, whose walls have the given conductance ``(s,)`` [W/K]."""
        count = len(conductance)
        rows = [i for i, shares in enumerate(self._upstream) for _ in shares]
        columns = [up for shares in self._upstream for up in shares]
        shares = [share for found in self._upstream for share in found.values()]
        upstream = sparse.csr_matrix((shares, (rows, columns)), shape=(count, count))
        return BloodNetwork(upstream, np.array(self._inlet), np.array(self._capacity), conductance)


class BloodNetwork:
    """Temperature of the blood along segments that flow into each other.

    Parameters
    ----------
    upstream : (s, s) csr matrix
        Share of the flow of each segment (row) that comes from another (column); the rest comes from the inlet.
    inlet : (s,) array
        Temperature of what comes from the inlet [K].
    capacity : (s,) array
        Heat capacity flow rho c Q [W/K]; infinite where the blood keeps the temperature of the inlet.
    conductance : (s,) array
        Of the wall: coefficient times area [W/K].
    """

    def __init__(self, upstream: Any, inlet: Array, capacity: Array, conductance: Array) -> None:
        self._capacity, self._conductance = capacity, conductance
        units = conductance / capacity
        self._kept = np.exp(-units)
        # (1 - exp(-N)) / N: the mean of T_b - T_w over a segment relative to that at its beginning.
        self._mean = np.where(units > 1e-12, -np.expm1(-units) / np.maximum(units, 1e-300), 1.0)
        self._upstream = upstream
        self._fresh = (1.0 - np.asarray(upstream.sum(axis=1)).ravel()) * inlet
        matrix = sparse.eye_array(len(inlet)) - sparse.diags_array(self._kept) @ upstream
        self._solve = splu(sparse.csc_matrix(matrix), permc_spec="NATURAL").solve if len(inlet) else np.copy

    def entering(self, wall: Array) -> Array:
        """Temperature of the blood that enters each segment ``(s,)`` for its wall's temperature ``(s,)`` [K]."""
        leaving = self._solve(self._kept * self._fresh + (1.0 - self._kept) * wall)
        return self._fresh + self._upstream @ leaving

    def mean(self, wall: Array) -> Array:
        """Mean temperature of the blood in each segment ``(s,)`` [K]."""
        return wall + self._mean * (self.entering(wall) - wall)

    def gained(self, wall: Array) -> tuple[Array, Array]:
        """Heat that the blood gains in each segment [W], and the temperature with which it leaves [K]."""
        entering = self.entering(wall)
        leaving = wall + self._kept * (entering - wall)
        finite = np.isfinite(self._capacity)
        through_wall = self._conductance * (wall - entering)
        return np.where(finite, np.where(finite, self._capacity, 0.0) * (leaving - entering), through_wall), leaving


def _segments(
    space: P1Space, locator: Locator, vessel: Vessel, builder: _Network
) -> list[tuple[WallPoints, NDArray[np.intp]]]:
    """Points on the wall of a vessel that exchange heat, with the segment that each belongs to."""
    first, count = np.array([(0, 0)] * len(vessel.branches)).T.copy() if vessel.branches else (np.zeros(0), np.zeros(0))
    last: dict[int, int] = {}
    for number, branch in enumerate(vessel.branches):
        first[number], count[number] = builder.add(vessel, number, branch, last)
    facets = fitted_facets(space.mesh, vessel)
    if facets is not None:
        points = WallPoints.fitted(space.mesh, facets)
    else:
        points = WallPoints.embedded(space, locator, vessel.wall.points[vessel.wall.triangles[~vessel.wall.capped]])
    if len(points.area) == 0:
        return []
    branch_of, station = attach(points.position, vessel.branches)
    lengths = np.array([branch.length for branch in vessel.branches])
    place = np.minimum((station / lengths[branch_of] * count[branch_of]).astype(np.intp), count[branch_of] - 1)
    segment = first[branch_of] + place
    moves = builder.coefficient[segment] > 0.0
    return [(points.take(moves), segment[moves])] if moves.any() else []
