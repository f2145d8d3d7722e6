"""Mesh partitions: which rank answers for which nodes, the part of the mesh that it needs, and how it gets it.

METIS divides the nodes so that every rank has as many and few elements join nodes of two ranks. A rank's part holds
every element that touches a node of its own; the other nodes of those elements are its ghosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import MeshError
from ablationsim.mesh.distribution import WHOLE, Distribution, Share
from ablationsim.mesh.mesh import Floats, Ints, Mesh
from ablationsim.mesh.ordering import adjacency
from ablationsim.parallel import Communicator, Ranks, on_first

_SEED = 1  # of METIS: the same mesh is always divided in the same way


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a mesh. Its own nodes come first, then ghosts, each rising by number; elements rise by number.

    Attributes
    ----------
    points : (n, d) float64
        Coordinates of its nodes, ghosts included, in metres.
    nodes : (n,) int
        Numbers of its nodes in the whole mesh.
    own_nodes : int
        How many of its nodes belong to it.
    ghost_owner : (g,) int
        Part that each ghost belongs to.
    cells : (m, d + 1) int
        Its elements, by its own numbers of nodes.
    cell_numbers : (m,) int
        Numbers of its elements in the whole mesh.
    owns_cell : (m,) bool
        Which elements it counts: those whose lowest-numbered node is its own.
    regions : dict of (k,) int
        Its elements in each region of the whole mesh, by its own numbers.
    facets : dict of (k, d) int
        Facets of its elements in each set of the whole mesh, by its own numbers of nodes.
    facet_numbers : dict of (k,) int
        Place of those facets in the set of the whole mesh, rising.
    n_nodes, n_cells : int
        Of the whole mesh.
    axisymmetric : bool
        As the whole mesh.
    """

    points: Floats
    nodes: Ints
    own_nodes: int
    ghost_owner: Ints
    cells: Ints
    cell_numbers: Ints
    owns_cell: NDArray[np.bool_]
    regions: Mapping[str, Ints]
    facets: Mapping[str, Ints]
    facet_numbers: Mapping[str, Ints]
    n_nodes: int
    n_cells: int
    axisymmetric: bool

    def mesh(self, comm: Communicator) -> Mesh:
        """Return the part as the mesh of this rank; every rank calls this with its own.

        A process that is alone has the whole mesh as its part.
        """
        distribution: Distribution = WHOLE
        if isinstance(comm, Ranks):
            distribution = Share(
                comm,
                self.own_nodes,
                self.nodes.astype(np.int64),
                self.ghost_owner.astype(np.int64),
                self.cell_numbers.astype(np.int64),
                self.owns_cell,
                self.n_nodes,
                self.n_cells,
            )
        return Mesh(self.points, self.cells, self.regions, self.facets, self.axisymmetric, distribution)


def distribute(mesh: Mesh | None, ranks: Ranks) -> Mesh:
    """Divide a mesh among ranks and give each its part.

    Parameters
    ----------
    mesh : Mesh or None
        The whole mesh on the first rank; not looked at elsewhere.
    ranks : Ranks
        All ranks.

    Raises
    ------
    MeshError
        On all ranks, as `partition` does.
    """
    owner: list[Ints] = []

    def divide() -> None:
        assert mesh is not None
        owner.append(partition(mesh, ranks.size))

    on_first(ranks, divide)
    if ranks.rank > 0:
        part: Part = ranks.receive(0)
        return part.mesh(ranks)
    assert mesh is not None
    # One part after the other, so that there are never two beside the whole.
    for rank in range(1, ranks.size):
        ranks.send(split(mesh, owner[0], rank), rank)
    return split(mesh, owner[0], 0).mesh(ranks)


def partition(mesh: Mesh, parts: int) -> Ints:
    """Divide the nodes of a mesh into parts of equal size with few elements across; always in the same way.

    Returns
    -------
    (n,) int32
        Part that each node belongs to; none is empty.

    Raises
    ------
    MeshError
        When the mesh is too small for so many parts, or METIS is not installed.
    """
    n = len(mesh.points)
    if parts == 1:
        return np.zeros(n, dtype=np.int32)
    if parts > n:
        raise _too_many(parts, n)
    try:
        import pymetis
    except ImportError as error:
        raise MeshError(
            f"Dividing a mesh into {parts} parts needs METIS, which is not installed ({error}). Install it with: "
            "pip install 'ablationsim[mpi]'"
        ) from error
    graph, kind = adjacency(mesh.cells, n), pymetis.zero_copy_dtype()
    neighbours = pymetis.CSRAdjacency(graph.indptr.astype(kind), graph.indices.astype(kind))
    _, found = pymetis.part_graph(parts, neighbours, options=pymetis.Options(seed=_SEED))
    owner = np.asarray(found, dtype=np.int32)
    if (np.bincount(owner, minlength=parts) == 0).any():
        raise _too_many(parts, n)
    return owner


def split(mesh: Mesh, owner: Ints, part: int) -> Part:
    """Cut one part out of a mesh.

    Parameters
    ----------
    mesh : Mesh
        The whole mesh.
    owner : (n,) int
        Part that each node belongs to, as `partition` gives it.
    part : int
        Which one.
    """
    mine = owner == part
    numbers = np.flatnonzero(mine[mesh.cells].any(axis=1)).astype(np.int32)
    cells = mesh.cells[numbers]
    needed = np.zeros(len(mesh.points), dtype=bool)
    needed[cells] = True
    own, ghosts = np.flatnonzero(mine), np.flatnonzero(needed & ~mine)
    nodes = np.concatenate([own, ghosts]).astype(np.int32)
    node_number = np.full(len(mesh.points), -1, dtype=np.int32)
    node_number[nodes] = np.arange(len(nodes), dtype=np.int32)
    cell_number = np.full(len(mesh.cells), -1, dtype=np.int32)
    cell_number[numbers] = np.arange(len(numbers), dtype=np.int32)
    regions = {name: cell_number[index] for name, index in mesh.regions.items()}
    facet_numbers = {name: _local_facets(facets, cells, mine, needed | mine) for name, facets in mesh.facets.items()}
    return Part(
        points=mesh.points[nodes],
        nodes=nodes,
        own_nodes=len(own),
        ghost_owner=owner[ghosts],
        cells=node_number[cells],
        cell_numbers=numbers,
        owns_cell=mine[cells.min(axis=1)],
        regions={name: np.sort(index[index >= 0]) for name, index in regions.items()},
        facets={name: node_number[mesh.facets[name][index]] for name, index in facet_numbers.items()},
        facet_numbers=facet_numbers,
        n_nodes=len(mesh.points),
        n_cells=len(mesh.cells),
        axisymmetric=mesh.axisymmetric,
    )


def _local_facets(facets: Ints, cells: Ints, mine: NDArray[np.bool_], present: NDArray[np.bool_]) -> Ints:
    """Which facets belong to some elements, those that touch a node of `mine`; all nodes of them are `present`."""
    local: NDArray[np.bool_] = np.asarray(mine[facets].any(axis=1))
    # A facet between ghosts alone belongs to an element here or to one that is not here.
    doubtful = np.flatnonzero(present[facets].all(axis=1) & ~local)
    if len(doubtful):
        corners = np.zeros(len(mine), dtype=bool)
        corners[facets[doubtful]] = True
        size = facets.shape[1]
        near = cells[corners[cells].sum(axis=1) >= size]
        faces = np.concatenate([np.delete(near, corner, axis=1) for corner in range(size + 1)])
        every = np.sort(np.concatenate([faces, facets[doubtful]]), axis=1)
        _, which = np.unique(every, axis=0, return_inverse=True)
        which = which.ravel()  # its shape depends on the version of NumPy
        local[doubtful] = np.isin(which[len(faces) :], which[: len(faces)])
    return np.flatnonzero(local).astype(np.int32)


def _too_many(parts: int, n: int) -> MeshError:
    return MeshError(
        f"A mesh of {n} nodes cannot be divided into {parts} parts: some would be empty. Start fewer ranks, or use a "
        "finer mesh resolution."
    )
