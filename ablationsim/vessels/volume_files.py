"""Meshes of triangles or tetrahedra from files of any program, with the names or numbers of their parts.

Gmsh's .msh carries names. A .vtu of this program has a cell array of zeros and ones, "region:<name>" or
"facet:<name>", for each. Other .vtu, .xdmf (XDMF) and .mesh (INRIA) files carry one number a cell; a name is then the
number's digits, unless the person gives names to the numbers.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import MeshError
from ablationsim.vessels.foreign import Arrays, read_foreign

if TYPE_CHECKING:
    import meshio

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = dict[str, Ints]

ENDINGS = (".msh", ".vtu", ".xdmf", ".mesh")

_SIMPLICES = {2: ("line", "triangle"), 3: ("triangle", "tetra")}
_SOLIDS = ("tetra", "hexahedron", "wedge", "pyramid", "polyhedron")
#: Cell arrays that programs number the parts by, most telling first.
_NUMBERS = ("gmsh:physical", "medit:ref", "CellEntityIds", "ModelRegionID", "MaterialID", "region", "name_to_read")

# What meshio raises on broken files, besides OSError.
_BROKEN = (
    ParseError,
    ValueError,
    LookupError,
    AssertionError,
    TypeError,
    AttributeError,
    EOFError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class VolumeFile:
    """What a mesh file holds.

    Attributes
    ----------
    points : (n, 3) float64
        In the unit of the file.
    cells : (m, d + 1) int64
        Tetrahedra, or triangles where there are none; in the order and orientation of the file.
    facets : (k, d) int64
        Their facets that the file lists, at the boundary or inside.
    regions, facet_sets : dict of (j,) int64
        Rows of `cells` and of `facets` in each part, by name.
    """

    points: Floats
    cells: Ints
    facets: Ints
    regions: Rows
    facet_sets: Rows


def read_volume(
    path: Path, regions: Mapping[str, int] | None = None, facets: Mapping[str, int] | None = None
) -> VolumeFile:
    """Read a .msh (formats 2.2, 4.0 and 4.1), .vtu, .xdmf or .mesh file.

    Parameters
    ----------
    path : Path
    regions, facets : mapping of str to int, optional
        Names for the numbers of the file.

    Raises
    ------
    MeshError
        When the file is missing or damaged, holds no triangles or tetrahedra, or lacks one of the numbers.
    """
    if path.suffix.lower() not in ENDINGS:
        raise MeshError(f"A mesh file ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, got '{path.name}'.")
    if not path.is_file():
        raise MeshError(f"There is no mesh file {path}.")
    try:
        foreign = path.suffix.lower() == ".xdmf" or _is_gmsh_4(path)
        raw = _from_foreign(path) if foreign else _from_meshio(path)
    except OSError as error:
        raise MeshError(f"The mesh file {path} cannot be read: {error.strerror or error}.") from error
    try:
        _check_nodes(raw.cells, len(raw.points))
        _check_nodes(raw.facets, len(raw.points))
        of_cells = _named(raw.region_masks, raw.region_numbers, regions, "region")
        of_facets = _named(raw.facet_masks, raw.facet_numbers, facets, "facets")
    except MeshError as error:
        raise MeshError(f"The mesh file {path} cannot be used. {error}") from error
    return VolumeFile(raw.points, raw.cells, raw.facets, of_cells, of_facets)


@dataclass(frozen=True, eq=False)
class _Numbered:
    """Rows of the parts that go by number, and the names that the file has for some numbers."""

    rows: Mapping[int, Ints] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Raw:
    """A file before its numbers have got their names."""

    points: Floats
    cells: Ints
    facets: Ints
    region_numbers: _Numbered
    facet_numbers: _Numbered
    region_masks: Rows = field(default_factory=dict)
    facet_masks: Rows = field(default_factory=dict)


def _is_gmsh_4(path: Path) -> bool:
    """Whether a file is of gmsh's format 4, which meshio reads only when every part has a name."""
    if path.suffix.lower() != ".msh":
        return False
    with path.open("rb") as file:
        head = file.read(200).split()
    return head[:1] == [b"$MeshFormat"] and len(head) > 1 and head[1].startswith(b"4")


def _from_foreign(path: Path) -> _Raw:
    found = read_foreign(path)
    kinds = {kind for d, kind in ((2, "triangle"), (3, "tetra")) if len(found[f"cells{d}"])}
    _check_kinds(path, kinds, kinds | {str(kind) for kind in found["other"]})
    dimension = 3 if "tetra" in kinds else 2
    regions, facets = _groups(found, dimension), _groups(found, dimension - 1)
    prefix = f"data{dimension}:"
    numbers = _number_array({key.removeprefix(prefix): v for key, v in found.items() if key.startswith(prefix)})
    if numbers is not None:
        regions, facets = (_numbered(found[f"data{d}:{numbers}"]) for d in (dimension, dimension - 1))
    return _Raw(found["points"], found[f"cells{dimension}"], found[f"cells{dimension - 1}"], regions, facets)


def _groups(found: Arrays, dimension: int) -> _Numbered:
    """Physical groups of gmsh."""
    prefix = f"group{dimension}:"
    rows = {int(key.removeprefix(prefix)): value for key, value in found.items() if key.startswith(prefix)}
    return _Numbered(rows, {number: str(found[f"name{dimension}:{number}"]) for number in rows})


def _numbered(values: NDArray[Any]) -> _Numbered:
    return _Numbered({int(value): np.flatnonzero(values == value) for value in np.unique(values)})


def _from_meshio(path: Path) -> _Raw:
    # meshio brings more along; only reading and writing needs it.
    from meshio import ReadError, gmsh, medit, vtu

    reader = {".msh": gmsh.read, ".vtu": vtu.read, ".mesh": medit.read}[path.suffix.lower()]
    try:
        # Some readers complain to the terminal as well, and numpy warns of the numbers in damaged files.
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            content = reader(path)
    except (ReadError, *_BROKEN) as error:
        raise MeshError(
            f"The mesh file {path} is corrupted or of a kind that is not supported: {error or type(error).__name__}. "
            "Supported are gmsh's .msh, VTK's .vtu, XDMF and INRIA's .mesh."
        ) from error
    kinds = {block.type for block in content.cells}
    _check_kinds(path, kinds, kinds)
    dimension = 3 if "tetra" in kinds else 2
    facet, simplex = _SIMPLICES[dimension]
    points = np.zeros((len(content.points), 3))
    points[:, : np.shape(content.points)[1]] = content.points
    cells, facets = _nodes(content, simplex, dimension + 1), _nodes(content, facet, dimension)
    masks: dict[str, Rows] = {"region": {}, "facet": {}}
    for name, values in content.cell_data.items():
        prefix, colon, label = name.partition(":")
        if colon and prefix in masks:
            masks[prefix][label] = np.flatnonzero(_over(content, values, simplex if prefix == "region" else facet))
    arrays = {name: _over(content, values, simplex) for name, values in content.cell_data.items()}
    numbers = None if any(masks.values()) else _number_array(arrays)
    if numbers is None:
        return _Raw(points, cells, facets, _Numbered(), _Numbered(), masks["region"], masks["facet"])
    named = [(name, int(number), int(d)) for name, (number, d) in content.field_data.items()]
    merged = []
    for nodes, kind, d in ((cells, simplex, dimension), (facets, facet, dimension - 1)):
        values = _over(content, content.cell_data[numbers], kind).astype(np.int64)
        names = {number: name for name, number, of in named if of == d}
        # In format 2.2 a cell of several groups is there once for each; nought is no group.
        nodes, rows = _once(nodes) if numbers == "gmsh:physical" else (nodes, np.arange(len(nodes)))
        present = [int(v) for v in np.unique(values) if v != 0 or numbers != "gmsh:physical"]
        merged.append((nodes, _Numbered({v: rows[values == v] for v in present}, names)))
    (cells, region_numbers), (facets, facet_numbers) = merged
    return _Raw(points, cells, facets, region_numbers, facet_numbers)


def _check_kinds(path: Path, kinds: set[str], every: set[str]) -> None:
    """Refuse a mesh without simplices, and one of which they are only a part."""
    solid = sorted(kind for kind in every if kind.lower().startswith(_SOLIDS) and kind != "tetra")
    if solid or not kinds & {"triangle", "tetra"}:
        found = ", ".join(sorted(every)) or "nothing"
        raise MeshError(
            f"The mesh file {path} cannot be used. It holds {found}, but linear triangles or tetrahedra are needed."
        )


def _check_nodes(nodes: Ints, count: int) -> None:
    if nodes.size and not (nodes.min() >= 0 and nodes.max() < count):
        raise MeshError(f"A cell refers to a node that is not there; there are {count}.")


def _nodes(content: meshio.Mesh, kind: str, corners: int) -> Ints:
    blocks = [np.asarray(block.data, dtype=np.int64) for block in content.cells if block.type == kind]
    return np.vstack(blocks) if blocks else np.zeros((0, corners), dtype=np.int64)


def _over(content: meshio.Mesh, values: Sequence[Any], kind: str) -> NDArray[Any]:
    """A cell array, over all cells of one kind."""
    found = [np.asarray(v) for v, block in zip(values, content.cells, strict=True) if block.type == kind]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def _number_array(arrays: Mapping[str, NDArray[Any]]) -> str | None:
    """Name of the cell array that numbers the parts: a known one, or else the only one of whole numbers."""
    whole = [name for name, values in arrays.items() if values.dtype.kind in "iu" and values.ndim == 1]
    known = [name for name in _NUMBERS if name in whole]
    return known[0] if known else whole[0] if len(whole) == 1 else None


def _once(nodes: Ints) -> tuple[Ints, Ints]:
    """Leave out repeated rows; the rest keeps its order. Returns also where each row went."""
    _, first, inverse = np.unique(np.sort(nodes, axis=1), axis=0, return_index=True, return_inverse=True)
    kept = np.sort(first)
    return nodes[kept], np.searchsorted(kept, first[inverse.reshape(-1)])


def _named(masks: Rows, numbered: _Numbered, given: Mapping[str, int] | None, what: str) -> Rows:
    given = given or {}
    for name, number in given.items():
        if number not in numbered.rows:
            known = ", ".join(str(n) for n in sorted(numbered.rows)) or "none"
            raise MeshError(f"It has no {what} with the number {number}, given for '{name}'; its numbers are {known}.")
    own = {number: name for name, number in given.items()}
    result = dict(masks)
    for number, rows in numbered.rows.items():
        name = own.get(number) or numbered.names.get(number) or str(number)
        result[name] = np.concatenate([result[name], rows]) if name in result else rows
    return result
