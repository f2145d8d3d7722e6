"""Which cells share a face: faces between two sets of cells, and cells that hang together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Bools = NDArray[np.bool_]
Numbers = NDArray[np.integer[Any]]


def faces_of(cells: Numbers) -> tuple[Numbers, Numbers]:
    """Return the four faces of every tetrahedron, shape (4 m, 3), and the tetrahedron that each belongs to."""
    faces = np.concatenate([np.delete(cells, corner, axis=1) for corner in range(4)])
    return faces, np.tile(np.arange(len(cells)), 4)


def keys_of(faces: Numbers, nodes: int) -> NDArray[np.int64]:
    """Return one number for each face (k, 3), whatever the order of its nodes.

    It fits into 64 bits up to two million `nodes`.
    """
    ordered = np.sort(faces, axis=1).astype(np.int64)
    return np.asarray((ordered[:, 0] * nodes + ordered[:, 1]) * nodes + ordered[:, 2])


def faces_between(cells: Numbers, first: Bools, second: Bools) -> NDArray[np.int32]:
    """Return the faces (k, 3) that a cell of the first set shares with one of the second, neither cell in both."""
    faces, _ = faces_of(cells[first])
    others, _ = faces_of(cells[second])
    nodes = int(cells.max()) + 1
    return np.asarray(faces[np.isin(keys_of(faces, nodes), keys_of(others, nodes))], dtype=np.int32)


def islands(cells: Numbers, shore: Numbers) -> NDArray[np.intp]:
    """Return the numbers of the cells that hang together neither with the largest piece nor with a face of the shore.

    Parameters
    ----------
    cells : (m, 4) int
    shore : (k, 3) int
        Faces.
    """
    if not len(cells):
        return np.zeros(0, dtype=np.intp)
    faces, owner = faces_of(cells)
    nodes = int(max(cells.max(), shore.max(initial=0))) + 1
    keys = keys_of(faces, nodes)
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    pair = owner[order[same]], owner[order[same + 1]]
    _, piece = connected_components(sparse.coo_matrix((np.ones(len(same)), pair), shape=(len(cells),) * 2), False)
    kept = np.bincount(piece) == np.bincount(piece).max()
    kept[piece[owner[np.isin(keys, keys_of(shore, nodes))]]] = True
    return np.flatnonzero(~kept[piece])
