"""The fields of a distributed run: each rank writes those of its own nodes, and reading puts them together.

A piece also holds the rank's part of the mesh, so that no process ever needs the whole of it to write.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import MeshError, OutputError
from ablationsim.mesh.mesh import Mesh
from ablationsim.results.files import write_whole
from ablationsim.results.frames import Frames

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

PATTERN = "part_*.npz"


def write_piece(folder: Path, mesh: Mesh, frames: Frames, fields: Mapping[str, Floats]) -> None:
    """Write what belongs to this rank into the folder that all ranks write into.

    Parameters
    ----------
    folder : Path
        Has to be there.
    mesh : Mesh
        The part of this rank.
    frames : Frames
        Temperatures at its nodes.
    fields : mapping of str to (n,) float64
        Final fields at its nodes.

    Raises
    ------
    OutputError
        If it cannot be written; other ranks do not learn of it here.
    """
    distribution = mesh.distribution
    own = distribution.own
    nodes, cells = distribution.node_numbers(len(mesh.points)), distribution.cell_numbers(len(mesh.cells))
    counted = np.zeros(len(cells), dtype=bool)
    counted[distribution.own_cells(np.arange(len(cells)))] = True
    arrays: dict[str, Any] = {
        "pieces": np.array(distribution.comm.size),
        "totals": np.array(distribution.totals(len(nodes), len(cells))),
        "axisymmetric": np.array(mesh.axisymmetric),
        "nodes": own(nodes),
        "points": own(mesh.points),
        "cell_numbers": cells[counted],
        "cells": nodes[mesh.cells[counted]],
        "regions": np.array(list(mesh.regions), dtype=np.str_),
        "facets": np.array(list(mesh.facets), dtype=np.str_),
    }
    for i, members in enumerate(mesh.regions.values()):
        arrays[f"region_{i}"] = cells[members[counted[members]]]
    mine = distribution.without_ghosts(np.ones(len(nodes), dtype=bool))
    for i, corners in enumerate(mesh.facets.values()):
        # Each facet is in one piece: that of its lowest-numbered node.
        lowest = np.take_along_axis(corners, nodes[corners].argmin(axis=1)[:, None], axis=1).ravel()
        arrays[f"facets_{i}"] = nodes[corners[mine[lowest]]]
    arrays |= {f"field_{name}": own(values) for name, values in fields.items()}
    arrays |= frames.to_arrays()
    arrays["frame_temperatures"] = own(arrays["frame_temperatures"].T).T
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_whole(folder / _name(distribution.comm.rank), buffer.getvalue())


def present(folder: Path) -> bool:
    """Whether any piece has been written into ``folder``."""
    return any(folder.glob(PATTERN))


def read_pieces(folder: Path) -> tuple[Mesh, Frames, dict[str, Floats]]:
    """Read the whole mesh, frames and final fields from the pieces of all ranks.

    Raises
    ------
    OutputError
        If a piece is missing or damaged.
    """
    try:
        pieces = [_read(folder / _name(0))]
        pieces += [_read(folder / _name(number)) for number in range(1, int(pieces[0]["pieces"]))]
        return _stitched(pieces)
    # What NumPy, its archive and the mesh raise on damaged files.
    except (OSError, ValueError, KeyError, EOFError, TypeError, IndexError, BadZipFile, zlib.error, MeshError) as error:
        raise OutputError(
            f"The fields in {folder} are damaged ({error}). Run the case again with --overwrite."
        ) from error


def _name(rank: int) -> str:
    return f"part_{rank:04d}.npz"


def _read(path: Path) -> Arrays:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _stitched(pieces: list[Arrays]) -> tuple[Mesh, Frames, dict[str, Floats]]:
    first = pieces[0]

    def every(name: str) -> NDArray[Any]:
        return np.concatenate([piece[name] for piece in pieces])

    nodes, cells = np.argsort(every("nodes")), np.argsort(every("cell_numbers"))
    for name, order, total in zip(("nodes", "cell_numbers"), (nodes, cells), first["totals"], strict=True):
        if not np.array_equal(every(name)[order], np.arange(total)):
            raise ValueError(f"its pieces do not have each of {total} {name} once")
    if any(not np.array_equal(piece["frame_times"], first["frame_times"]) for piece in pieces):
        raise ValueError("its pieces are of different times")
    facets = {}
    for i, name in enumerate(first["facets"]):
        corners = every(f"facets_{i}")
        facets[str(name)] = corners[np.lexsort(np.sort(corners, axis=1).T[::-1])]
    mesh = Mesh(
        every("points")[nodes],
        every("cells")[cells],
        {str(name): np.sort(every(f"region_{i}")) for i, name in enumerate(first["regions"])},
        facets,
        bool(first["axisymmetric"]),
    )
    temperatures = np.concatenate([piece["frame_temperatures"] for piece in pieces], axis=1)[:, nodes]
    frames = Frames.from_arrays({"frame_times": first["frame_times"], "frame_temperatures": temperatures})
    names = [name.removeprefix("field_") for name in first if name.startswith("field_")]
    return mesh, frames, {name: every(f"field_{name}")[nodes] for name in names}
