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

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ablationsim.fem.location import Locator
from ablationsim.fem.space import P1Space
from ablationsim.fem.wall import WallPoints, exchange_matrix
from ablationsim.physics.blood import BloodNetwork, Segments
from ablationsim.physics.lumens import fitted_facets
from ablationsim.vessels.attach import attach
from ablationsim.vessels.vessel import Vessel

Array = NDArray[np.float64]

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
    addition : Addition
        What the walls add to the conduction matrix [W/K].
    area : (b,) array
        Area of each branch's wall in the mesh [m2].
    position, branch_of : (q, 3) and (q,) arrays
        Points of the walls that exchange heat, in this rank's elements [m], and the number of the branch of each.
    """

    def __init__(
        self, space: P1Space, vessels: Sequence[Vessel], reference: float, inside: Array, conductivity: float
    ) -> None:
        self.reference = reference
        self.branches = [(vessel, branch) for vessel in vessels for branch in vessel.branches]
        segments = Segments.of(vessels)
        self._branch_of_segment = segments.branch
        count, n = len(segments.branch), space.n_nodes
        matrix = sparse.csr_array((n, n))
        load = sparse.csr_matrix((count, n))
        self._distribution = distribution = space.distribution
        mine = distribution.without_ghosts(np.ones(n))
        walls = _walls(space, vessels, segments)
        for points, segment in walls:
            coefficient = 1.0 / (1.0 / segments.coefficient[segment] + points.depth / conductivity)
            matrix += exchange_matrix(points, coefficient, conductivity)
            weight = coefficient * points.area
            load += (
                sparse.csr_matrix((weight, (segment, np.arange(len(weight)))), shape=(count, len(weight)))
                @ points.shape
            )
        self._load = sparse.csr_matrix(load @ sparse.diags_array(mine))
        self._transposed = sparse.csr_matrix(self._load.T)
        # The shape functions at a point add up to one.
        self._conductance = distribution.comm.sum(np.asarray(self._load.sum(axis=1)).ravel())
        self._network = BloodNetwork(segments.upstream, segments.inlet, segments.capacity, self._conductance)
        # What little the mesh keeps of the tissue inside a vessel follows the blood, apart from the balance of heat.
        held = np.where(np.isnan(inside), 0.0, _RENEWAL * space.lumped_mass)
        self.addition = space.scatter.addition(matrix + sparse.diags_array(held))
        self._held = held * (np.nan_to_num(inside) - reference)
        self.position = np.concatenate([np.zeros((0, 3)), *(points.position for points, _ in walls)])
        self.branch_of = segments.branch[
            np.concatenate([np.zeros(0, dtype=np.intp), *(segment for _, segment in walls)])
        ]
        areas = np.concatenate([np.zeros(0), *(points.area * (points.shape @ mine) for points, _ in walls)])
        self.area = distribution.comm.sum(
            np.bincount(self.branch_of, areas, minlength=len(self.branches)).astype(np.float64)
        )

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
        lost = self._distribution.comm.sum(self._load @ temperature) - self._conductance * blood
        gained, outlet = self._network.gained(self._wall(temperature))
        leaving = np.full(self.n_branches, np.nan)
        leaving[self._branch_of_segment] = (
            outlet  # segments of a branch come in the direction of its flow: the last one stays
        )
        return Exchange(self._by_branch(lost), self._by_branch(gained), leaving)

    def _by_branch(self, segments: Array) -> Array:
        return np.asarray(np.bincount(self._branch_of_segment, segments, minlength=self.n_branches), dtype=np.float64)

    def _wall(self, temperature: Array) -> Array:
        """Mean temperature of the wall of each segment ``(s,)`` [K]; the reference where it is not in the mesh."""
        theta = self._distribution.comm.sum(self._load @ (temperature - self.reference))
        return self.reference + np.divide(
            theta, self._conductance, out=np.zeros_like(theta), where=self._conductance > 0.0
        )


def _walls(space: P1Space, vessels: Sequence[Vessel], segments: Segments) -> list[tuple[WallPoints, NDArray[np.intp]]]:
    """Points on the wall of each vessel that exchange heat, and the segment that each belongs to."""
    locator = Locator(space.mesh)
    found = []
    passed = 0
    for vessel in vessels:
        facets = fitted_facets(space.mesh, vessel)
        if facets is not None:
            points = WallPoints.fitted(space.mesh, facets)
        else:
            triangles = vessel.wall.points[vessel.wall.triangles[~vessel.wall.capped]]
            points = WallPoints.embedded(space, locator, triangles)
        branch, station = attach(points.position, vessel.branches)
        number = passed + branch
        passed += len(vessel.branches)
        lengths = np.array([branch.length for branch in vessel.branches])
        along = (station / lengths[branch] * segments.count[number]).astype(np.intp)
        segment = segments.first[number] + np.minimum(along, segments.count[number] - 1)
        moves = segments.coefficient[segment] > 0.0
        found.append((points.take(moves), segment[moves]))
    return found
