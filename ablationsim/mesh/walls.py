"""Facets of a mesh as the wall of a vessel."""

from __future__ import annotations

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import MeshError
from ablationsim.mesh.mesh import Mesh
from ablationsim.vessels.vessel import Wall


def fitted_walls(case: Case, mesh: Mesh) -> dict[str, Wall]:
    """Walls of the vessels of a case that are facets of its mesh, by the name of the facets.

    Raises
    ------
    MeshError
        As for `wall_of_facets`.
    """
    # In an order that all ranks share.
    names = sorted({section.facets for section in case.vessels if section.facets is not None})
    return {name: wall_of_facets(mesh, name) for name in names}


def wall_of_facets(mesh: Mesh, name: str) -> Wall:
    """The named facets as a surface whose normals point out of the vessel.

    A wall inside the mesh has the vessel's inside, the regions other than "tissue", on its other side; a wall on the
    boundary of the mesh has it where there is no mesh.

    Over ranks, each gives the facets whose lowest node is its own, of which it has all elements, and gets the whole
    wall.

    Raises
    ------
    MeshError
        If the mesh has no such facets, or a facet does not belong to the tissue.
    """
    if name not in mesh.facets:
        raise MeshError(f"The mesh has no facets '{name}'; it has {', '.join(sorted(mesh.facets)) or 'none'}.")
    distribution, n = mesh.distribution, len(mesh.points)
    numbers = distribution.node_numbers(n)
    facets = mesh.facets[name].astype(np.int64)
    lowest = np.take_along_axis(facets, numbers[facets].argmin(axis=1)[:, None], axis=1)[:, 0]
    facets = facets[distribution.without_ghosts(np.ones(n, dtype=bool))[lowest]]
    cells = mesh.cells[mesh.regions["tissue"]].astype(np.int64)
    faces = np.concatenate([np.delete(cells, corner, axis=1) for corner in range(4)])
    opposite = np.concatenate([cells[:, corner] for corner in range(4)])
    order = np.lexsort(np.sort(faces, axis=1).T)
    known, wanted = np.sort(faces[order], axis=1), np.sort(facets, axis=1)
    # lexsort makes the last column the first key.
    keys = (known[:, 2] * n + known[:, 1]) * n + known[:, 0]
    sought = (wanted[:, 2] * n + wanted[:, 1]) * n + wanted[:, 0]
    place = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    if not np.array_equal(keys[place], sought):
        raise MeshError(f"Facets '{name}' are not all faces of the region 'tissue': they cannot be a vessel's wall.")
    corners = mesh.points[facets]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    toward_tissue = mesh.points[opposite[order[place]]] - corners[:, 0]
    inward = np.einsum("ij,ij->i", normal, toward_tissue) < 0.0
    facets[inward] = facets[inward][:, ::-1]
    every = distribution.comm.gather((numbers[facets], mesh.points[facets]))
    nodes, corners = (np.concatenate(parts) for parts in zip(*every, strict=True))
    _, first, renumbered = np.unique(nodes, return_index=True, return_inverse=True)
    return Wall(corners.reshape(-1, 3)[first], renumbered.reshape(-1, 3), np.zeros(len(nodes), dtype=bool))
