"""A mesh on disk in parts, so that no process needs the whole of it.

A folder of parts holds ``part_0000.npz`` and so on, arrays alone, and ``index.json``, which says what belongs together:
how much of what, and the SHA-256 sum of each part.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ablationsim.errors import MeshError, OutputError, best_match
from ablationsim.mesh.merging import merged
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.partition import Part, partition, split
from ablationsim.parallel import Communicator, on_first
from ablationsim.parallel.agreement import on_every

INDEX = "index.json"

_AGAIN = "Write the parts again with 'ablationsim mesh CASE --parts N --output FOLDER'."
_Count = Annotated[int, Field(gt=0, lt=2**31)]


class Index(BaseModel):
    """What ``index.json`` says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["ablationsim/mesh-parts"] = "ablationsim/mesh-parts"
    version: Literal[1] = 1
    case_sha256: str | None
    nodes: _Count
    elements: _Count
    dimension: Literal[2, 3]
    axisymmetric: bool
    regions: list[str]
    facets: dict[str, Annotated[int, Field(ge=0, lt=2**31)]]
    parts_sha256: Annotated[list[str], Field(min_length=1)]

    @property
    def parts(self) -> int:
        """How many there are."""
        return len(self.parts_sha256)


def write_parts(mesh: Mesh, folder: str | Path, parts: int, case_sha256: str | None = None) -> None:
    """Write a mesh in parts; a folder of parts that is there already is replaced.

    Parameters
    ----------
    mesh : Mesh
        The whole mesh.
    folder : str or Path
        Made if needed.
    parts : int
        How many; up to as many ranks can read them.
    case_sha256 : str, optional
        Hash of the case that the mesh was made for, kept in the index.

    Raises
    ------
    MeshError
        As `partition` does.
    OutputError
        When the folder holds anything else, or cannot be written.
    """
    folder = Path(folder)
    owner = partition(mesh, parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in folder.iterdir())
        foreign = [name for name in found if name != INDEX and not name.startswith("part_")]
        if foreign:
            raise OutputError(
                f"{folder} holds other things than parts of a mesh ({', '.join(foreign[:3])}). Choose another folder."
            )
        # The index goes first and comes last: no mixture of old and new parts is taken for a mesh.
        for name in found:
            (folder / name).unlink()
        index = Index(
            case_sha256=case_sha256,
            nodes=len(mesh.points),
            elements=len(mesh.cells),
            dimension=3 if mesh.dimension == 3 else 2,
            axisymmetric=mesh.axisymmetric,
            regions=list(mesh.regions),
            facets={name: len(nodes) for name, nodes in mesh.facets.items()},
            parts_sha256=[_write(folder / _name(number), split(mesh, owner, number)) for number in range(parts)],
        )
        # Named like a part, so that one that a kill leaves is removed with them.
        partial = folder / f"part_{INDEX}"
        partial.write_text(index.model_dump_json(indent=2) + "\n", encoding="utf-8")
        os.replace(partial, folder / INDEX)
    except OSError as error:
        raise OutputError(f"The parts of the mesh cannot be written to {folder}: {error.strerror or error}.") from error


def read_parts(folder: str | Path, comm: Communicator, expected: Iterable[str] = ("outer",)) -> Mesh:
    """Read a mesh that was written in parts; each rank reads parts next to each other and puts them together.

    Parameters
    ----------
    folder : str or Path
        As `write_parts` makes it.
    comm : Communicator
        All ranks; a process that is alone gets the whole mesh.
    expected : iterable of str
        Facet names that the mesh must have, such as those of the geometry's surfaces.

    Raises
    ------
    MeshError
        On all ranks, when a part is missing or damaged, the mesh lacks a name, or there are more ranks than parts.
    """
    folder = Path(folder)
    index = on_first(comm, lambda: _read_index(folder, comm.size, expected))
    reader = np.repeat(np.arange(comm.size, dtype=np.int32), [len(some) for some in _shares(index.parts, comm.size)])

    def mine() -> Part:
        numbers = _shares(index.parts, comm.size)[comm.rank]
        try:
            return merged([_read(folder / _name(number), number, index) for number in numbers], reader)
        except MeshError as error:
            raise MeshError(f"The mesh in {folder} cannot be used. {error} {_AGAIN}") from error

    part = on_every(comm, mine)
    nodes, elements = comm.sum(float(part.own_nodes)), comm.sum(float(part.owns_cell.sum()))
    if (nodes, elements) != (index.nodes, index.elements):
        raise MeshError(
            f"The mesh in {folder} cannot be used. Its parts have {nodes:.0f} of {index.nodes} nodes and "
            f"{elements:.0f} of {index.elements} elements. {_AGAIN}"
        )
    return part.mesh(comm)


def _shares(parts: int, ranks: int) -> list[NDArray[Any]]:
    return np.array_split(np.arange(parts), ranks)


def _name(number: int) -> str:
    return f"part_{number:04d}.npz"


def _write(path: Path, part: Part) -> str:
    """Write a part and return the SHA-256 sum of its file."""
    arrays: dict[str, Any] = {
        "points": part.points,
        "nodes": part.nodes,
        "own_nodes": np.array(part.own_nodes),
        "ghost_owner": part.ghost_owner,
        "cells": part.cells,
        "cell_numbers": part.cell_numbers,
        "owns_cell": part.owns_cell,
        **{f"region_{i}": cells for i, cells in enumerate(part.regions.values())},
        **{f"facets_{i}": nodes for i, nodes in enumerate(part.facets.values())},
        **{f"facet_numbers_{i}": numbers for i, numbers in enumerate(part.facet_numbers.values())},
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(buffer.getbuffer())
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def _read_index(folder: Path, ranks: int, expected: Iterable[str]) -> Index:
    path = folder / INDEX
    try:
        index = Index.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise MeshError(f"{folder} holds no mesh in parts: {INDEX} is missing. {_AGAIN}") from error
    except OSError as error:
        raise MeshError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise MeshError(
            f"{path} is damaged or of another version of ablationsim ({f'{where}: ' if where else ''}{first['msg']}). "
            f"{_AGAIN}"
        ) from error
    if ranks > index.parts:
        raise MeshError(
            f"The mesh in {folder} has {index.parts} parts, too few for {ranks} ranks. Start at most {index.parts} "
            f"ranks, or write more parts with 'ablationsim mesh CASE --parts {ranks} --output FOLDER'."
        )
    for name in (*expected, "tissue"):
        known: Iterable[str] = index.regions if name == "tissue" else index.facets
        if name not in known:
            what = "region" if name == "tissue" else "facets"
            raise MeshError(f"The mesh in {folder} has no {what} '{name}'{best_match(name, known)}")
    return index


def _read(path: Path, number: int, index: Index) -> Part:
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != index.parts_sha256[number]:
            raise MeshError(f"{path.name} is damaged or of another mesh: it does not have the checksum in {INDEX}.")
        with ZipFile(io.BytesIO(content)) as members:
            # Nothing here is compressed, so that what is small on disk is small in memory.
            if any(member.compress_type != ZIP_STORED for member in members.infolist()):
                raise ValueError("it is compressed")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return _checked(archive, number, index)
    except FileNotFoundError as error:
        raise MeshError(f"{path.name} is missing.") from error
    except OSError as error:
        raise MeshError(f"{path.name} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, EOFError, BadZipFile, MemoryError) as error:
        raise MeshError(f"{path.name} holds no part of a mesh ({error}).") from error


def _checked(archive: Mapping[str, NDArray[Any]], number: int, index: Index) -> Part:
    """The part in an archive; ValueError when its arrays do not make one."""

    def take(name: str, kind: str, *shape: int) -> NDArray[Any]:
        values = archive[name]
        fits = values.ndim == len(shape) and all(size in (-1, n) for size, n in zip(shape, values.shape, strict=True))
        if values.dtype.kind != kind or not fits:
            raise ValueError(f"{name} has type {values.dtype} and shape {values.shape}")
        return values

    def numbers(name: str, below: int, *shape: int, rising: bool = False) -> NDArray[np.int32]:
        values = take(name, "i", *shape)
        if values.size and (values.min() < 0 or values.max() >= below or (rising and (np.diff(values) <= 0).any())):
            raise ValueError(f"{name} has numbers outside 0 to {below - 1}, or not in order")
        return values.astype(np.int32)

    corners = index.dimension + 1
    points = take("points", "f", -1, index.dimension).astype(np.float64)
    nodes = numbers("nodes", index.nodes, len(points))
    own = int(numbers("own_nodes", len(points) + 1))
    if (np.diff(nodes[:own]) <= 0).any() or (np.diff(nodes[own:]) <= 0).any() or not np.isfinite(points).all():
        raise ValueError("its nodes are not in order, or not finite")
    ghost_owner = numbers("ghost_owner", index.parts, len(points) - own)
    cells = numbers("cells", len(points), -1, corners)
    if (np.linalg.det(points[cells[:, 1:]] - points[cells[:, :1]]) <= 0).any() or (ghost_owner == number).any():
        raise ValueError("it has elements without volume or ghosts of its own")
    facet_numbers = {
        name: numbers(f"facet_numbers_{i}", count, -1, rising=True)
        for i, (name, count) in enumerate(index.facets.items())
    }
    return Part(
        points=points,
        nodes=nodes,
        own_nodes=own,
        ghost_owner=ghost_owner,
        cells=cells,
        cell_numbers=numbers("cell_numbers", index.elements, len(cells), rising=True),
        owns_cell=take("owns_cell", "b", len(cells)),
        regions={name: numbers(f"region_{i}", len(cells), -1, rising=True) for i, name in enumerate(index.regions)},
        facets={
            name: numbers(f"facets_{i}", len(points), len(facet_numbers[name]), index.dimension)
            for i, name in enumerate(index.facets)
        },
        facet_numbers=facet_numbers,
        n_nodes=index.nodes,
        n_cells=index.elements,
        axisymmetric=index.axisymmetric,
    )
