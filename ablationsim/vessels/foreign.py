"""Readers of other programs, run in a process of their own.

VTK's readers end the whole process on some damaged files, ask for any amount of memory that a header names, and write
to the terminal. What they read comes back as plain arrays.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import MeshError

Arrays = Mapping[str, NDArray[Any]]

#: Above this a reader is taken to hang [s]; five million triangles take about ten.
PATIENCE = 300.0
#: Address space of the process [bytes]; five million triangles as text take 3e9.
MEMORY = 12 * 1024**3
_REFUSED = 3  # exit status that goes with a message


def read_foreign(path: Path) -> Arrays:
    """Read a file with the program that its ending belongs to.

    Parameters
    ----------
    path : Path
        A surface (.stl, .ply, .vtp, .obj) or a mesh (.msh, .xdmf).

    Returns
    -------
    mapping of str to array
        Of a surface "points" (n, 3) and "triangles" (m, 3); of a .vtp also "lines" (numbers of points, one line after
        the other), "line_starts" and, for every array of one number a point, "point:<name>". Of a mesh "points",
        "cells<d>" for the simplices of each dimension d, and "other" for the names of kinds of elements that are no
        simplices; with it from gmsh "group<d>:<number>" for the rows in each physical group and "name<d>:<number>" for
        its name, and from XDMF "data<d>:<name>" for the arrays of one whole number a cell.

    Raises
    ------
    MeshError
        When the file is damaged or of another kind.
    """
    with tempfile.TemporaryDirectory(prefix="ablationsim-") as folder:
        source, out = path.resolve(), Path(folder) / "output.npz"
        if path.suffix.lower() == ".msh":
            # By another name: gmsh runs the commands of a file "<name>.opt" that lies beside the mesh.
            source = Path(folder) / "mesh.msh"
            source.symlink_to(path.resolve())
        command = [sys.executable, "-m", __name__, path.suffix.lower(), str(source), str(out)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired as error:
            raise MeshError(f"{path}: reading it took longer than {PATIENCE:g} s; it may be damaged.") from error
        if done.returncode == _REFUSED:
            raise MeshError(f"{path}: {done.stdout.decode(errors='replace').strip()}")
        if done.returncode or not out.is_file():
            raise MeshError(f"{path}: the file is damaged; its reader broke off (status {done.returncode}).")
        with np.load(out, allow_pickle=False) as stored:
            return dict(stored)


def _surface(path: Path, ending: str) -> dict[str, NDArray[Any]]:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkTriangleFilter
    from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
    from vtkmodules.vtkIOPLY import vtkPLYReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    kinds = {".stl": vtkSTLReader, ".ply": vtkPLYReader, ".obj": vtkOBJReader, ".vtp": vtkXMLPolyDataReader}
    surface = _by_vtk(kinds[ending](), path)
    if not surface.GetNumberOfPoints():
        raise ValueError("the file holds no points; it is empty, damaged or of another kind.")
    found = {"points": vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)}
    count = len(found["points"])
    for cells in (surface.GetPolys(), surface.GetStrips(), surface.GetLines()):
        numbers = vtk_to_numpy(cells.GetConnectivityArray())
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < count):
            raise ValueError(f"the file is damaged: a cell refers to a point that is not there; there are {count}.")
    triangulate = vtkTriangleFilter()
    triangulate.SetInputData(surface)
    triangulate.PassVertsOff()
    triangulate.PassLinesOff()
    triangulate.Update()
    polygons = triangulate.GetOutput().GetPolys()
    found["triangles"] = vtk_to_numpy(polygons.GetConnectivityArray()).astype(np.int64).reshape(-1, 3)
    if ending == ".vtp":
        lines, data = surface.GetLines(), surface.GetPointData()
        found["lines"] = vtk_to_numpy(lines.GetConnectivityArray()).astype(np.int64)
        found["line_starts"] = vtk_to_numpy(lines.GetOffsetsArray()).astype(np.int64)
        for index in range(data.GetNumberOfArrays()):
            values = data.GetArray(index)
            if values is not None and values.GetNumberOfComponents() == 1:
                found[f"point:{data.GetArrayName(index)}"] = vtk_to_numpy(values).astype(np.float64)
    return found


def _by_vtk(reader: Any, path: Path) -> Any:
    """What a reader of VTK makes of a file; ValueError with its complaint."""
    complaints: list[str] = []

    def complain(_caller: object, _event: str, text: str) -> None:
        complaints.append(text)

    complain.CallDataType = "string0"  # type: ignore[attr-defined]
    reader.AddObserver("ErrorEvent", complain)
    reader.SetFileName(str(path))
    reader.Update()
    if complaints or reader.GetErrorCode():
        reason = complaints[0].strip().splitlines()[-1] if complaints else f"error {reader.GetErrorCode()}"
        raise ValueError(f"the file is damaged or of another kind: {reason}")
    return reader.GetOutputDataObject(0)


def _xdmf(path: Path) -> dict[str, NDArray[Any]]:
    import pyvista
    from vtkmodules.vtkIOXdmf2 import vtkXdmfReader

    content = _by_vtk(vtkXdmfReader(), path)
    if content is None or content.GetClassName() != "vtkUnstructuredGrid" or not content.GetNumberOfCells():
        raise ValueError("the file is damaged, or does not hold one grid of cells.")
    grid = pyvista.wrap(content)
    corners, kinds = grid.cells_dict, grid.celltypes
    found: dict[str, NDArray[Any]] = {"points": np.asarray(grid.points, dtype=np.float64)}
    simplices = {3: 1, 5: 2, 10: 3}  # cell type of VTK: dimension
    for kind, dimension in simplices.items():
        found[f"cells{dimension}"] = np.asarray(corners.get(kind, np.zeros((0, dimension + 1))), dtype=np.int64)
        for name, values in grid.cell_data.items():
            if values.ndim == 1 and values.dtype.kind in "iu":
                found[f"data{dimension}:{name}"] = np.asarray(values[kinds == kind], dtype=np.int64)
    other = [pyvista.CellType(kind).name.lower() for kind in corners if kind not in simplices]
    found["other"] = np.array(other, dtype=np.str_)
    return found


def _gmsh(path: Path) -> dict[str, NDArray[Any]]:
    import gmsh

    # Anything else in place of a mesh gmsh would take for a script, and run.
    with path.open("rb") as file:
        if not file.read(11).startswith(b"$MeshFormat"):
            raise ValueError("the file does not begin with $MeshFormat, as gmsh's meshes do.")
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    try:
        gmsh.merge(str(path))
        tags, coordinates, _ = gmsh.model.mesh.getNodes()
        order = np.argsort(tags)
        found: dict[str, NDArray[Any]] = {"points": np.asarray(coordinates, dtype=np.float64).reshape(-1, 3)}
        other: set[str] = set()
        simplices = {1: 1, 2: 2, 4: 3}  # element type of gmsh: dimension
        for dimension in (1, 2, 3):
            blocks: list[NDArray[np.int64]] = []
            groups: dict[int, list[NDArray[np.int64]]] = {}
            start = 0
            for _, entity in gmsh.model.getEntities(dimension):
                kinds, _, corners = gmsh.model.mesh.getElements(dimension, entity)
                for kind, numbers in zip(kinds, corners, strict=True):
                    if simplices.get(kind) != dimension:
                        other.add(gmsh.model.mesh.getElementProperties(kind)[0])
                        continue
                    rows = order[np.searchsorted(tags, numbers, sorter=order)].reshape(-1, dimension + 1)
                    blocks.append(rows)
                    for group in gmsh.model.getPhysicalGroupsForEntity(dimension, entity):
                        groups.setdefault(int(group), []).append(np.arange(start, start + len(rows)))
                    start += len(rows)
            found[f"cells{dimension}"] = np.vstack(blocks) if blocks else np.zeros((0, dimension + 1), dtype=np.int64)
            for group, rows_of_group in groups.items():
                found[f"group{dimension}:{group}"] = np.concatenate(rows_of_group)
                found[f"name{dimension}:{group}"] = np.array(gmsh.model.getPhysicalName(dimension, group))
        found["other"] = np.array(sorted(other), dtype=np.str_)
        return found
    finally:
        gmsh.finalize()


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # not on every system
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _main(ending: str, source: str, target: str) -> int:
    _bound_memory()
    path = Path(source)
    try:
        match ending:
            case ".msh":
                found = _gmsh(path)
            case ".xdmf":
                found = _xdmf(path)
            case _:
                found = _surface(path, ending)
    except Exception as error:
        # Gmsh raises Exception itself; whatever it is, it is the file's fault and the message goes to the caller.
        sys.stdout.write(str(error) or type(error).__name__)
        return _REFUSED
    np.savez(target, **found)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
