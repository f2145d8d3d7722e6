"""Parts of a mesh put together again into larger ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablationsim.errors import MeshError
from ablationsim.mesh.mesh import Ints
from ablationsim.mesh.partition import Part


def merged(parts: Sequence[Part], new_owner: Ints) -> Part:
    """Return some parts of a mesh as one, in which each of their nodes, elements and facets occurs once.

    Parameters
    ----------
    parts : sequence of Part
        With the same names of regions and facets.
    new_owner : (p,) int
        What each part of the whole mesh, those given and the others, becomes a piece of.

    Raises
    ------
    MeshError
        When a node belongs to two of the parts.
    """
    own, first_own = np.unique(np.concatenate([part.nodes[: part.own_nodes] for part in parts]), return_index=True)
    if len(own) < sum(part.own_nodes for part in parts):
        raise MeshError("A node belongs to two parts.")
    ghosts, first_ghost = np.unique(np.concatenate([part.nodes[part.own_nodes :] for part in parts]), return_index=True)
    # What is a ghost to one part can belong to another.
    left = ~np.isin(ghosts, own)
    nodes, first_ghost = np.concatenate([own, ghosts[left]]), first_ghost[left]
    order = np.argsort(nodes)

    def local(part: Part, numbers: Ints) -> Ints:
        return np.asarray(order[np.searchsorted(nodes, part.nodes[numbers], sorter=order)], dtype=np.int32)

    cell_numbers, first_cell = np.unique(np.concatenate([part.cell_numbers for part in parts]), return_index=True)
    facets, facet_numbers = {}, {}
    for name in parts[0].facets:
        numbers, first = np.unique(np.concatenate([part.facet_numbers[name] for part in parts]), return_index=True)
        facet_numbers[name] = numbers
        facets[name] = np.concatenate([local(part, part.facets[name]) for part in parts])[first]
    regions = {}
    for name in parts[0].regions:
        members = np.concatenate([part.cell_numbers[part.regions[name]] for part in parts])
        regions[name] = np.flatnonzero(np.isin(cell_numbers, members)).astype(np.int32)
    return Part(
        points=np.concatenate(
            [
                np.concatenate([part.points[: part.own_nodes] for part in parts])[first_own],
                np.concatenate([part.points[part.own_nodes :] for part in parts])[first_ghost],
            ]
        ),
        nodes=nodes,
        own_nodes=len(own),
        ghost_owner=new_owner[np.concatenate([part.ghost_owner for part in parts])[first_ghost]],
        cells=np.concatenate([local(part, part.cells) for part in parts])[first_cell],
        cell_numbers=cell_numbers,
        owns_cell=np.isin(cell_numbers, np.concatenate([part.cell_numbers[part.owns_cell] for part in parts])),
        regions=regions,
        facets=facets,
        facet_numbers=facet_numbers,
        n_nodes=parts[0].n_nodes,
        n_cells=parts[0].n_cells,
        axisymmetric=parts[0].axisymmetric,
    )
