"""Mesh files. Written are gmsh's .msh in format 2.2 and VTK's .vtu, in metres; read are also those of other programs.

A .msh carries regions and facets as physical names. A .vtu has no such names: there each is a cell array of zeros and
ones, called "region:<name>" or "facet:<name>", over the simplices and the facets together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ablationsim.errors import MeshError, OutputError, best_match
from ablationsim.mesh.mesh import Ints, Mesh
from ablationsim.units import LengthUnit
from ablationsim.vessels.coordinates import METRES
from ablationsim.vessels.volume_files import VolumeFile, read_volume

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


def read_mesh(
    path: str | Path,
    expected: Iterable[str] = ("outer",),
    axisymmetric: bool = True,
    *,
    unit: LengthUnit = "m",
    regions: Mapping[str, int] | None = None,
    facets: Mapping[str, int] | None = None,
) -> Mesh:
    """Read a mesh from a .msh, .vtu, .xdmf or .mesh file.

    Facets inside the mesh, such as a vessel's wall between tissue and lumen, are kept as those at its boundary are.

    Parameters
    ----------
    path : str or Path
        A file as `write_mesh` makes it, or as another program makes it, with a region "tissue".
    expected : iterable of str
        Facet names that the mesh must have, such as those of the geometry's surfaces.
    axisymmetric : bool
        Whether a mesh of triangles is the (r, z) half-plane. Of no effect on tetrahedra.
    unit : {"m", "cm", "mm", "um"}
        Of the coordinates in the file.
    regions, facets : mapping of str to int, optional
        Names for the numbers of a file that has no names, such as ``{"tissue": 1, "lumen": 2}``. Parts that get no
        name are called by their number.

    Raises
    ------
    MeshError
        When the file is missing or corrupted, holds no triangles or tetrahedra, or lacks a name or number.
    """
    path = Path(path)
    content = read_volume(path, regions, facets)
    try:
        mesh = _to_mesh(content, axisymmetric, unit)
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


def _to_mesh(content: VolumeFile, axisymmetric: bool, unit: LengthUnit) -> Mesh:
    dimension = content.cells.shape[1] - 1
    points = METRES[unit] * content.points
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
        reason = "is it in millimetres? Files are in metres" if unit == "m" else f"its unit is given as {unit}"
        raise MeshError(f"It is {extent:.3g} m large, more than {LARGEST:g} m: {reason}.")
    cells = content.cells.copy()
    size = np.linalg.det(points[cells[:, 1:]] - points[cells[:, :1]])
    if (size == 0).any():
        raise MeshError(f"{int((size == 0).sum())} cells have no volume.")
    cells[size < 0, -2:] = cells[size < 0, :-3:-1]
    used = np.unique(cells)
    renumber = np.full(len(points), -1, dtype=np.int32)
    renumber[used] = np.arange(len(used), dtype=np.int32)
    facets = {name: renumber[content.facets[rows]] for name, rows in content.facet_sets.items()}
    for name, nodes in facets.items():
        if nodes.size and nodes.min() < 0:
            raise MeshError(f"The facets '{name}' have nodes that belong to no cell.")
    regions = {name: rows.astype(np.int32) for name, rows in content.regions.items()}
    return Mesh(points[used], renumber[cells], regions, facets, axisymmetric and dimension == 2)
