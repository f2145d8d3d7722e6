"""Which nodes and elements of a mesh a rank answers for, and how it learns of those of others.

A rank keeps every element that touches a node of its own, so that it assembles the rows of its nodes completely and
without sending anything. The nodes of others in those elements are its ghosts. Three rules make everything else work
on one rank as on many:

* nodal states (temperature, potential, damage) are right on ghosts too; whoever solves for one updates it;
* nodal loads and weights (masses, sources, rows of sampling matrices) are zero on ghosts, so that products and sums
  over the nodes of a rank add up over the ranks to what they are over the mesh;
* sums over elements go over those that a rank owns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ablationsim.parallel import ALONE, Communicator, Ranks

Ints = NDArray[np.int64]
Values = TypeVar("Values", bound=NDArray[Any])


class Distribution(Protocol):
    """A rank's part in a mesh.

    Attributes
    ----------
    comm : Communicator
        The ranks that share the mesh.
    parted : bool
        Whether the mesh is distributed at all, be it over one rank.
    """

    @property
    def comm(self) -> Communicator: ...

    @property
    def parted(self) -> bool: ...

    def own(self, nodal: Values) -> Values:
        """The part of a nodal array (node in the first axis) that belongs to this rank, as a view."""

    def own_cells(self, values: Values) -> Values:
        """The part of an array over the elements that belongs to this rank."""

    def update(self, nodal: Values) -> Values:
        """Fetch the values of ghosts ``(n,)`` from their owners, in place; returns the array."""

    def without_ghosts(self, nodal: Values) -> Values:
        """Set a nodal array (node in the first axis) to zero on ghosts, in place; returns the array."""

    def node_numbers(self, n: int) -> Ints:
        """Numbers in the whole mesh of this rank's ``n`` nodes."""

    def cell_numbers(self, m: int) -> Ints:
        """Numbers in the whole mesh of this rank's ``m`` elements."""

    def counts_cells(self, m: int) -> NDArray[np.bool_]:
        """Which of this rank's ``m`` elements it counts; each is counted by one rank."""

    def totals(self, n: int, m: int) -> tuple[int, int]:
        """Number of nodes and elements of the whole mesh, of which this rank has ``n`` and ``m``."""


class Whole:
    """A mesh that one process has for itself."""

    comm: Communicator = ALONE
    parted = False

    def own(self, nodal: Values) -> Values:
        """All of it."""
        return nodal

    def own_cells(self, values: Values) -> Values:
        """All of it."""
        return values

    def update(self, nodal: Values) -> Values:
        """There are no ghosts."""
        return nodal

    def without_ghosts(self, nodal: Values) -> Values:
        """There are no ghosts."""
        return nodal

    def node_numbers(self, n: int) -> Ints:
        """Their own."""
        return np.arange(n)

    def cell_numbers(self, m: int) -> Ints:
        """Their own."""
        return np.arange(m)

    def counts_cells(self, m: int) -> NDArray[np.bool_]:
        """All of them."""
        return np.ones(m, dtype=bool)

    def totals(self, n: int, m: int) -> tuple[int, int]:
        """The same."""
        return n, m


WHOLE = Whole()


@dataclass(frozen=True, eq=False)
class Share:
    """The part of one rank in a distributed mesh. Its own nodes come first, then ghosts, each rising by number.

    Attributes
    ----------
    ranks : Ranks
        All ranks.
    own_nodes : int
        How many nodes belong to this rank.
    nodes : (n,) array
        Numbers of its nodes in the whole mesh, ghosts included.
    ghost_owner : (g,) array
        Rank that each ghost belongs to.
    cells : (m,) array
        Numbers of its elements in the whole mesh, rising: sums over the elements round an edge then come out the same,
        to the last digit, however many ranks there are.
    owns_cell : (m,) bool array
        Which of its elements this rank counts; each element is counted by one rank.
    n_nodes, n_cells : int
        Of the whole mesh.
    """

    ranks: Ranks
    own_nodes: int
    nodes: Ints
    ghost_owner: Ints
    cells: Ints
    owns_cell: NDArray[np.bool_]
    n_nodes: int
    n_cells: int
    _halo: Halo = field(init=False, repr=False)

    parted = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "_halo", Halo.of(self))

    @property
    def comm(self) -> Communicator:
        """All ranks."""
        return self.ranks

    def own(self, nodal: Values) -> Values:
        """The part of a nodal array (node in the first axis) that belongs to this rank, as a view."""
        return cast(Values, nodal[: self.own_nodes])

    def own_cells(self, values: Values) -> Values:
        """The part of an array over the elements that belongs to this rank."""
        return cast(Values, values[self.owns_cell])

    def update(self, nodal: Values) -> Values:
        """Fetch the values of ghosts from their owners, in place."""
        self._halo.update(nodal)
        return nodal

    def without_ghosts(self, nodal: Values) -> Values:
        """Set a nodal array to zero on ghosts, in place."""
        nodal[self.own_nodes :] = 0
        return nodal

    def node_numbers(self, n: int) -> Ints:
        """Numbers in the whole mesh of this rank's nodes."""
        return self.nodes

    def cell_numbers(self, m: int) -> Ints:
        """Numbers in the whole mesh of this rank's elements."""
        return self.cells

    def counts_cells(self, m: int) -> NDArray[np.bool_]:
        """Which of this rank's elements it counts."""
        return self.owns_cell

    def totals(self, n: int, m: int) -> tuple[int, int]:
        """Number of nodes and elements of the whole mesh."""
        return self.n_nodes, self.n_cells


class Halo:
    """Exchange of nodal values between ranks.

    Parameters
    ----------
    ranks : Ranks
        All ranks.
    sent : sequence of (int, array)
        Ranks that need nodes of this one, and which of its nodes, in the order that they expect.
    received : sequence of (int, array)
        Ranks that ghosts belong to, and where those ghosts are.
    """

    def __init__(self, ranks: Ranks, sent: Sequence[tuple[int, Ints]], received: Sequence[tuple[int, Ints]]) -> None:
        self._comm, self._sent, self._received = ranks.comm, list(sent), list(received)
        self.neighbours = len(self._received)
        self.ghosts = sum(len(places) for _, places in self._received)

    @classmethod
    def of(cls, share: Share) -> Halo:
        """That of a rank's part; every rank asks the owners of its ghosts for them."""
        ghosts = share.nodes[share.own_nodes :]
        wanted = {
            int(owner): share.own_nodes + np.flatnonzero(share.ghost_owner == owner)
            for owner in np.unique(share.ghost_owner)
        }
        comm = share.ranks.comm
        asked = comm.alltoall(
            [ghosts[wanted[rank] - share.own_nodes] if rank in wanted else None for rank in range(comm.size)]
        )
        own = share.nodes[: share.own_nodes]
        sent = [(rank, np.searchsorted(own, numbers)) for rank, numbers in enumerate(asked) if numbers is not None]
        return cls(share.ranks, sent, list(wanted.items()))

    def update(self, nodal: NDArray[Any]) -> None:
        """Write the values of their owners into ghosts ``(n, ...)``, in place."""
        comm, requests = self._comm, []
        arriving = [
            (rank, places, np.empty((len(places), *nodal.shape[1:]), nodal.dtype)) for rank, places in self._received
        ]
        for rank, _, buffer in arriving:
            requests.append(comm.Irecv(buffer, source=rank))
        leaving = [(rank, np.ascontiguousarray(nodal[places])) for rank, places in self._sent]
        for rank, buffer in leaving:
            requests.append(comm.Isend(buffer, dest=rank))
        for request in requests:
            request.Wait()
        for _, places, buffer in arriving:
            nodal[places] = buffer
