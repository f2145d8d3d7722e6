"""Between an antenna's own mesh and the mesh of the tissue: temperatures one way, absorbed power the other.

An antenna's field is axisymmetric in its device frame. Where the tissue's mesh is the (r, z) half-plane too, a point of
the one is a point of the other; in space it stands for a ring about the shaft, which is broken up into points no
farther apart than the elements there. A temperature is the mean over the ring, and power is spread evenly over it: one
matrix serves both ways, and no power is lost or made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ablationsim.fem.kernels import Array
from ablationsim.fem.location import Locator
from ablationsim.fem.space import P1Space
from ablationsim.geometry.placement import Placement
from ablationsim.mesh.distribution import Distribution

_FEWEST, _MOST = 16, 360  # points of a ring in space
_PROBES = 8  # points of a ring at which the size of the elements is looked up
_CHUNK = 300_000  # points that are located together


def ring_matrix(
    locator: Locator, placement: Placement, points: Array, reach: float, vessels: P1Space | None = None
) -> sparse.csr_matrix:
    """Matrix ``(p, n)`` that turns nodal values into means over the rings through points ``(p, 2)``.

    Parameters
    ----------
    locator : Locator
        Of the tissue's mesh.
    placement : Placement
        Of the device frame in the world; on an axisymmetric mesh its shaft lies on the z axis, pointing either way.
    points : (p, 2) array
        Radius and height in the device frame [m].
    reach : float
        Parts of a ring that lie in what is cut out of the tissue count as the nearest tissue up to this distance [m].
    vessels : P1Space, optional
        Of a mesh that vessels run through: what falls on an element in part inside a vessel is spread over its tissue,
        and the vessel's part goes into one column more, the last; what lies beyond the organ belongs to nobody.

    Returns
    -------
    csr matrix
        No entry is negative. The sum of a row is the share of the ring that lies in the tissue. Over ranks, it is the
        sum of their matrices that does all this.
    """
    if locator.mesh.axisymmetric:
        height = placement.to_world(_in_space(np.zeros(len(points)), points[:, 1], np.zeros(len(points))))[:, 2]
        plane = np.column_stack([points[:, 0], height])
        return _rows(locator, plane, np.ones(len(points), dtype=np.intp), reach, vessels)
    counts = _counts(locator, placement, points, reach)
    ends = np.cumsum(counts)
    blocks = []
    start = 0
    while start < len(points):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        around = counts[start:stop]
        first = np.repeat(np.cumsum(around) - around, around)
        angle = 2.0 * np.pi * (np.arange(around.sum()) - first + 0.5) / np.repeat(around, around)
        r, z = np.repeat(points[start:stop], around, axis=0).T
        blocks.append(_rows(locator, placement.to_world(_in_space(r, z, angle)), around, reach, vessels))
        start = stop
    return sparse.vstack(blocks, format="csr")


def _in_space(r: Array, z: Array, angle: Array) -> Array:
    return np.column_stack([r * np.cos(angle), r * np.sin(angle), z])


def _counts(locator: Locator, placement: Placement, points: Array, reach: float) -> NDArray[np.intp]:
    """Points for each ring ``(p,)``: its circumference over the side of the smallest element that it was seen in."""
    smallest = np.full(len(points), np.inf)
    for angle in 2.0 * np.pi * np.arange(_PROBES) / _PROBES:
        seen = placement.to_world(_in_space(points[:, 0], points[:, 1], np.full(len(points), angle)))
        smallest = np.minimum(smallest, locator.find(seen, reach).size)
    return np.clip(np.ceil(2.0 * np.pi * points[:, 0] / smallest), _FEWEST, _MOST).astype(np.intp)


def _rows(
    locator: Locator, world: Array, counts: NDArray[np.intp], reach: float, vessels: P1Space | None
) -> sparse.csr_matrix:
    """One row for each run of ``counts`` points: their mean weights."""
    found = locator.find(world, reach)
    ring = np.repeat(np.arange(len(counts)), counts)
    inside = found.cells >= 0
    cells, weights = found.cells[inside], found.weights[inside]
    nodes = locator.mesh.cells[cells]
    distribution, n = locator.mesh.distribution, len(locator.mesh.points)
    weights = weights * distribution.without_ghosts(np.ones(n))[nodes]
    if vessels is not None and vessels.tissue is not None:
        share = vessels.tissue.share[cells, None]
        even = vessels.averaging[cells] * distribution.without_ghosts(np.ones(n))[nodes]
        weights = np.where(share < 1.0, share * even, weights)
        # Nobody counts the blood of an element twice.
        beyond = 0.0 if vessels.tissue.beyond is None else vessels.tissue.beyond[cells, None]
        blood = (1.0 - share - beyond) * distribution.counts_cells(len(locator.mesh.cells))[cells, None]
        weights, nodes = np.hstack([weights, blood]), np.hstack([nodes, np.full_like(nodes[:, :1], n)])
        n += 1
    weights = weights / counts[ring[inside], None]
    rows = np.repeat(ring[inside], nodes.shape[1])
    shape = (len(counts), n)
    # Repeated entries are added up.
    return sparse.csr_matrix((weights.ravel(), (rows, nodes.ravel())), shape=shape)


@dataclass(frozen=True)
class Deposition:
    """An antenna's place in the tissue.

    Attributes
    ----------
    sampling : (t, n) csr matrix
        From nodal temperatures to the elements of the antenna's tissue.
    loads : (t * q, n) csr matrix
        Share of each point's power that each node receives; with vessels, one column more for their blood.
    distribution : Distribution
        Of the tissue's nodes over ranks.
    """

    sampling: sparse.csr_matrix
    loads: sparse.csr_matrix
    distribution: Distribution

    @classmethod
    def place(
        cls, space: P1Space, locator: Locator, placement: Placement, centroids: Array, points: Array, reach: float
    ) -> Deposition:
        """Find an antenna's elements, with ``centroids`` (t, 2) and ``points`` (t, q, 2) [m], in the tissue's mesh.

        Other parameters as for `ring_matrix`.
        """
        return cls(
            ring_matrix(locator, placement, centroids, reach),
            ring_matrix(locator, placement, points.reshape(-1, 2), reach, space),
            locator.mesh.distribution,
        )

    def sample(self, temperature: Array, elsewhere: float) -> Array:
        """Temperature of the antenna's elements ``(t,)`` from the nodal one ``(n,)``.

        Parts of a ring outside the modelled tissue have the temperature ``elsewhere``.
        """
        return elsewhere + self.distribution.comm.sum(np.asarray(self.sampling @ (temperature - elsewhere)))

    def spread(self, power: Array) -> tuple[Array, float]:
        """Nodal load ``(n,)`` [W] of the power at the points ``(t, q)`` [W], and what the blood of vessels absorbs [W].

        Their sum is that of the power, less what belongs to parts of rings outside the modelled tissue.
        """
        received = power.ravel() @ self.loads
        n = self.sampling.shape[1]
        return received[:n], self.distribution.comm.sum(float(received[n:].sum()))


def moved(placement: Placement, distance: float) -> Placement:
    """The placement of an applicator withdrawn along its shaft by a distance [m]."""
    return Placement(placement.tip + distance * placement.axis, placement.rotation)
