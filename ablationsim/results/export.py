"""Files for other programs, in mm: fields for ParaView (.vtu, .pvtu, .pvd) and the surface of the zone (.stl)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ablationsim.mesh.mesh import Mesh
from ablationsim.results.files import replacing
from ablationsim.zone.extract import Surface

Floats = NDArray[np.float64]

MILLIMETRES = 1e3


def write_fields(path: Path, mesh: Mesh, fields: Mapping[str, Floats]) -> None:
    """Write nodal fields on the mesh as one .vtu file.

    Parameters
    ----------
    path : Path
        File to write, ending in .vtu.
    mesh : Mesh
        In metres; an axisymmetric half-plane is written in the plane y = 0.
    fields : mapping of str to (nodes,) or (nodes, 3) float64
        Nodal values by name; give the unit in the name, such as "temperature_c".

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    import meshio

    points = MILLIMETRES * in_space(mesh.points)
    kind = "triangle" if mesh.dimension == 2 else "tetra"
    grid = meshio.Mesh(points, [(kind, mesh.cells)], point_data={name: np.asarray(f) for name, f in fields.items()})
    with replacing(path) as beside:
        meshio.write(beside, grid, file_format="vtu")


def in_space(vectors: Floats) -> Floats:
    """Vectors ``(n, 3)`` in space of those of a mesh; a half-plane (r, z) lies in the plane y = 0."""
    if vectors.shape[1] == 3:
        return vectors
    return np.column_stack([vectors[:, 0], np.zeros(len(vectors)), vectors[:, 1]])


def write_series(path: Path, frames: Sequence[tuple[float, str]]) -> None:
    """Write the .pvd file that lists .vtu files by time.

    Parameters
    ----------
    path : Path
        File to write, ending in .pvd.
    frames : sequence of (float, str)
        Time in s, and name of the .vtu or .pvtu file relative to this one.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    root = ElementTree.Element("VTKFile", type="Collection", version="0.1", byte_order="LittleEndian")
    collection = ElementTree.SubElement(root, "Collection")
    for time, name in frames:
        ElementTree.SubElement(collection, "DataSet", timestep=repr(float(time)), group="", part="0", file=name)
    _write_xml(path, root)


def write_pieces(path: Path, files: Sequence[str], fields: Mapping[str, Floats]) -> None:
    """Write the .pvtu file that makes one of several .vtu files.

    Parameters
    ----------
    path : Path
        File to write, ending in .pvtu.
    files : sequence of str
        The .vtu files, as `write_fields` writes them, in the same folder.
    fields : mapping of str to (nodes,) or (nodes, 3) float64
        Nodal values, of any of the files.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    root = ElementTree.Element("VTKFile", type="PUnstructuredGrid", version="0.1", byte_order="LittleEndian")
    grid = ElementTree.SubElement(root, "PUnstructuredGrid", GhostLevel="0")
    data = ElementTree.SubElement(grid, "PPointData")
    for name, values in fields.items():
        array = ElementTree.SubElement(data, "PDataArray", type="Float64", Name=name)
        if values.ndim > 1:
            array.set("NumberOfComponents", str(values.shape[1]))
    points = ElementTree.SubElement(grid, "PPoints")
    ElementTree.SubElement(points, "PDataArray", type="Float64", NumberOfComponents="3")
    for file in files:
        ElementTree.SubElement(grid, "Piece", Source=file)
    _write_xml(path, root)


def write_surface(path: Path, surface: Surface, sectors: int = 96) -> None:
    """Write the closed outer surface of a zone as a watertight binary STL.

    Parameters
    ----------
    path : Path
        File to write, ending in .stl.
    surface : Surface
        From `zone_surface`; an axisymmetric one is turned about its axis.
    sectors : int
        Number of angles of that turn.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    import meshio

    closed = surface.enclosing()
    if closed.axisymmetric:
        closed = closed.revolve(sectors)
    # STL holds single precision: corners that fall together there are no triangle.
    points = (MILLIMETRES * closed.points).astype(np.float32)
    a, b, c = (points[closed.facets[:, k]] for k in range(3))
    whole = (a != b).any(axis=1) & (b != c).any(axis=1) & (c != a).any(axis=1)
    grid = meshio.Mesh(points, [("triangle", closed.facets[whole])])
    with replacing(path) as beside:
        meshio.write(beside, grid, file_format="stl", binary=True)


def _write_xml(path: Path, root: ElementTree.Element) -> None:
    ElementTree.indent(root)
    with replacing(path) as beside:
        ElementTree.ElementTree(root).write(beside, encoding="utf-8", xml_declaration=True)
