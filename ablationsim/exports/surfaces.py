"""Surfaces for other programs, in millimetres and LPS, which their files say in the way that 3D Slicer reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import OutputError
from ablationsim.exports.coordinates import to_lps
from ablationsim.results.files import replacing
from ablationsim.vessels.contour import polydata
from ablationsim.zone.extract import Surface

HEADER = "ablationsim; research use only; mm; SPACE=LPS"
"""First 80 bytes of an STL file."""


def write_stl(path: Path, surface: Surface) -> None:
    """Write a closed surface of triangles (world coordinates, RAS, metres) as binary STL in LPS and millimetres.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    from vtkmodules.vtkIOGeometry import vtkSTLWriter

    # STL holds single precision: corners that fall together there are no triangle.
    points = to_lps(surface.points).astype(np.float32)
    a, b, c = (points[surface.facets[:, corner]] for corner in range(3))
    whole = (a != b).any(axis=1) & (b != c).any(axis=1) & (c != a).any(axis=1)
    writer = vtkSTLWriter()
    writer.SetInputData(polydata(points.astype(np.float64), surface.facets[whole].astype(np.int64)))
    writer.SetFileTypeToBinary()
    writer.SetHeader(HEADER)
    _written(writer, path)


def write_vtp(path: Path, surface: Surface, values: Mapping[str, NDArray[np.float64]]) -> None:
    """Write a surface (world coordinates, RAS, metres) with numbers at its points as .vtp in LPS and millimetres.

    Parameters
    ----------
    path : Path
    surface : Surface
        Triangles in space.
    values : mapping of str to (n,) float64
        By name; give the unit in the name.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkStringArray
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    body = polydata(to_lps(surface.points), surface.facets.astype(np.int64))
    for name, numbers in values.items():
        array = numpy_to_vtk(np.ascontiguousarray(numbers), deep=True)
        array.SetName(name)
        body.GetPointData().AddArray(array)
    if values:
        body.GetPointData().SetActiveScalars(next(iter(values)))
    space = vtkStringArray()
    space.SetName("SPACE")
    space.InsertNextValue("LPS")
    body.GetFieldData().AddArray(space)
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(body)
    _written(writer, path)


def _written(writer: Any, path: Path) -> None:
    with replacing(path) as beside:
        writer.SetFileName(str(beside))
        if not writer.Write():
            raise OutputError(
                f"{path} cannot be written. Check the permissions of the folder and the space on its disk."
            )
