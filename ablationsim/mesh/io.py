"""Mesh files. Everything goes through meshio: Gmsh's .msh in format 2.2 and VTK's .vtu, in metres.

A .msh carries regions and facets as physical names (format 4.1 loses them in meshio). A .vtu has no such names: there
each is a cell array of zeros and ones, called "region:<name>" or "facet:<name>", over the simplices and the boundary
facets together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import numpy as np

from ablationsim.errors import MeshError, OutputError, best_match
from ablationsim.mesh.mesh import Ints, Mesh

if TYPE_CHECKING:
    import meshio

SIMPLICES = {2: ("line", "triangle"), 3: ("triangle", "tetra")}

#: A block larger than this is taken for a file in millimetres [m].
LARGEST = 5.0


def write_mesh(mesh: Mesh, path: str | Path) -> None:
    """Write a mesh to a .msh (format 2.2, text) or .vtu file; an existing file is replaced only by a complete one.

    Raises
    ------
    MeshError
        When the ending is neither .msh nor .vtu, or, for .msh, the regions do not give each cell one name.
    OutputError
        When the file cannot be written.
    """
    # meshio brings h5py and more along; only reading and writing needs it.
    from meshio import gmsh, vtu

    path = Path(path)
    kind = _kind(path)
    content = _to_msh(mesh) if kind == ".msh" else _to_vtu(mesh)
    partial = path.with_name(f".{path.name}.partial")
    try:
        if kind == ".msh":
            gmsh.write(partial, content, fmt_version="2.2", binary=False)
        else:
            vtu.write(partial, content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"The mesh cannot be written to {path}: {error.strerror or error}.") from error


def read_mesh(path: str | Path, expected: Iterable[str] = ("outer",), axisymmetric: bool = True) -> Mesh:
    """Read a mesh in metres from a .msh or .vtu file.

    Parameters
    ----------
    path : str or Path
        A file as `write_mesh` makes it, or as gmsh makes it with physical names and format 2.2. A .msh needs the region
        "tissue".
    expected : iterable of str
        Facet names that the mesh must have, such as those of the geometry's surfaces.
    axisymmetric : bool
        Whether a mesh of triangles is the (r, z) half-plane. Of no effect on tetrahedra.

    Raises
    ------
    MeshError
        When the file is missing or corrupted, holds no triangles or tetrahedra, or lacks a name.
    """
    from meshio import ReadError, gmsh, vtu

    path = Path(path)
    reader = gmsh.read if _kind(path) == ".msh" else vtu.read
    if not path.is_file():
        raise MeshError(f"There is no mesh file {path}.")
    try:
        content = reader(path)
    except OSError as error:
        raise MeshError(f"The mesh file {path} cannot be read: {error.strerror or error}.") from error
    # What meshio's readers raise on broken files, besides ReadError.
    except (
        ReadError,
        ParseError,
        ValueError,
        LookupError,
        AssertionError,
        TypeError,
        AttributeError,
        EOFError,
    ) as error:
        raise MeshError(
            f"The mesh file {path} is corrupted or of a kind that is not supported: {error or type(error).__name__}. "
            "Supported are gmsh's format 2.2 (.msh) and VTK's .vtu."
        ) from error
    try:
        mesh = _from_meshio(content, axisymmetric)
    except MeshError as error:
        raise MeshError(f"The mesh file {path} cannot be used. {error}") from error
    for name in (*expected, "tissue"):
        known = mesh.regions if name == "tissue" else mesh.facets
        if name not in known:
            what = "region" if name == "tissue" else "facets"
            raise MeshError(f"The mesh file {path} has no {what} '{name}'{best_match(name, known)}")
    return mesh


def _kind(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in (".msh", ".vtu"):
        raise MeshError(f"A mesh file ends in .msh or .vtu, got '{path.name}'.")
    return ending


def _blocks(mesh: Mesh) -> tuple[np.ndarray, list[tuple[str, Ints]]]:
    facet, simplex = SIMPLICES[mesh.dimension]
    points = np.column_stack([mesh.points, np.zeros((len(mesh.points), 3 - mesh.dimension))])
    facets = [nodes for nodes in mesh.facets.values() if len(nodes)]
    boundary = [(facet, np.vstack(facets))] if facets else []
    return points, [(simplex, mesh.cells), *boundary]


def _to_msh(mesh: Mesh) -> meshio.Mesh:
    import meshio

    points, blocks = _blocks(mesh)
    names: dict[str, np.ndarray] = {}
    of_cell = np.zeros(len(mesh.cells), dtype=np.int32)
    for number, (name, cells) in enumerate(mesh.regions.items(), start=1):
        if of_cell[cells].any():
            raise MeshError(f"Region '{name}' overlaps another; a .msh file gives each cell one region.")
        of_cell[cells] = number
        names[name] = np.array([number, mesh.dimension])
    if not of_cell.all():
        raise MeshError("Some cells belong to no region; a .msh file needs one for each.")
    first = len(names) + 1
    of_facet = []
    for number, (name, nodes) in enumerate(mesh.facets.items(), start=first):
        names[name] = np.array([number, mesh.dimension - 1])
        of_facet.append(np.full(len(nodes), number, dtype=np.int32))
    tags = [of_cell] + ([np.concatenate(of_facet)] if len(blocks) > 1 else [])
    data = {"gmsh:physical": tags, "gmsh:geometrical": tags}
    return meshio.Mesh(points, blocks, cell_data=data, field_data=names)


def _to_vtu(mesh: Mesh) -> meshio.Mesh:
    import meshio

    points, blocks = _blocks(mesh)
    counts = [len(block) for _, block in blocks]
    data: dict[str, list[np.ndarray]] = {}
    for name, cells in mesh.regions.items():
        masks = [np.zeros(count, dtype=np.uint8) for count in counts]
        masks[0][cells] = 1
        data[f"region:{name}"] = masks
    start = 0
    for name, nodes in mesh.facets.items():
        masks = [np.zeros(count, dtype=np.uint8) for count in counts]
        if len(nodes):
            masks[1][start : start + len(nodes)] = 1
        start += len(nodes)
        data[f"facet:{name}"] = masks
    return meshio.Mesh(points, blocks, cell_data=data)


def _from_meshio(content: meshio.Mesh, axisymmetric: bool) -> Mesh:
    kinds = {block.type for block in content.cells}
    dimension = 3 if "tetra" in kinds else 2
    facet, simplex = SIMPLICES[dimension]
    if simplex not in kinds:
        raise MeshError(f"It holds {', '.join(sorted(kinds)) or 'nothing'}, but triangles or tetrahedra are needed.")
    points = np.asarray(content.points, dtype=float)
    if not np.isfinite(points).all():
        raise MeshError("A coordinate is not finite.")
    if dimension == 2:
        if np.ptp(points[:, 2:]) > 0:
            raise MeshError("Its triangles do not lie in the plane z = 0 of (r, z, 0).")
        points = points[:, :2]
        if axisymmetric and points[:, 0].min() < 0:
            raise MeshError("A radius (the first coordinate) is negative.")
    extent = np.ptp(points, axis=0).max()
    if extent > LARGEST:
        raise MeshError(
            f"It is {extent:.3g} m large, more than {LARGEST:g} m: is it in millimetres? Files are in metres."
        )
    cells = np.vstack([block.data for block in content.cells if block.type == simplex])
    _check_nodes(cells, len(points))
    regions, facets = _names(content, facet, simplex)
    size = np.linalg.det(points[cells[:, 1:]] - points[cells[:, :1]])
    if (size == 0).any():
        raise MeshError(f"{int((size == 0).sum())} cells have no volume.")
    cells[size < 0, -2:] = cells[size < 0, :-3:-1]
    used = np.unique(cells)
    renumber = np.full(len(points), -1, dtype=np.int32)
    renumber[used] = np.arange(len(used), dtype=np.int32)
    for nodes in facets.values():
        _check_nodes(nodes, len(points))
    facets = {name: renumber[nodes] for name, nodes in facets.items()}
    return Mesh(points[used], renumber[cells], regions, facets, axisymmetric and dimension == 2)


def _check_nodes(nodes: np.ndarray, count: int) -> None:
    if nodes.size and not (nodes.min() >= 0 and nodes.max() < count):
        raise MeshError(f"A cell refers to a node that is not there; there are {count}.")


def _names(content: meshio.Mesh, facet: str, simplex: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Regions as cell numbers and facets as node numbers, from physical names and from arrays of zeros and ones."""
    nodes = [block.data for block in content.cells if block.type == facet]
    all_facets = np.vstack(nodes) if nodes else None
    regions, facets = {}, {}
    for name, values in content.cell_data.items():
        prefix, _, label = name.partition(":")
        if prefix == "region":
            regions[label] = np.flatnonzero(_over(content, values, simplex))
        elif prefix == "facet" and all_facets is not None:
            facets[label] = all_facets[_over(content, values, facet) != 0]
    physical = content.cell_data.get("gmsh:physical")
    if physical is not None:
        dimension = 3 if simplex == "tetra" else 2
        for name, (number, of_dimension) in content.field_data.items():
            if of_dimension == dimension:
                regions[name] = np.flatnonzero(_over(content, physical, simplex) == number)
            elif of_dimension == dimension - 1 and all_facets is not None:
                facets[name] = all_facets[_over(content, physical, facet) == number]
    return regions, facets


def _over(content: meshio.Mesh, values: list[np.ndarray], kind: str) -> np.ndarray:
    """A cell array, over all cells of one kind."""
    return np.concatenate([np.asarray(v) for v, block in zip(values, content.cells, strict=True) if block.type == kind])
