"""Temperatures on planes through a run: all frames at the places of a square, kept until the plane moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ablationsim.mesh.mesh import Mesh
from ablationsim.report.section import Plane
from ablationsim.units import ZERO_CELSIUS

Floats = NDArray[np.float64]

COUNT = 161
"""Places along each edge of the square."""


@dataclass(frozen=True, eq=False)
class Sampler:
    """Nodal fields of a run, sampled on planes.

    Attributes
    ----------
    mesh : Mesh
        The tissue; axisymmetric meshes are sampled about their axis, the z axis.
    fields : (f, n) float64
        Nodal temperatures [K] of each frame, and last the highest of the run.
    half : float
        Half the edge of the squares [mm].
    """

    mesh: Mesh
    fields: Floats
    half: float
    _kept: dict[int, tuple[bytes, Floats]] = field(default_factory=dict, repr=False)

    def on(self, view: int, plane: Plane) -> Floats:
        """Return all fields on the square of a plane, shape (f, rows, columns) [degC], rows upward.

        Not a number outside the tissue. What a view had last is kept.
        """
        key = np.concatenate([plane.origin, plane.right, plane.up]).tobytes()
        if view not in self._kept or self._kept[view][0] != key:
            self._kept[view] = key, self._sampled(plane)
        return self._kept[view][1]

    def _sampled(self, plane: Plane) -> Floats:
        from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
        from vtkmodules.vtkCommonCore import vtkPoints
        from vtkmodules.vtkCommonDataModel import vtkPolyData
        from vtkmodules.vtkFiltersCore import vtkProbeFilter

        across = np.linspace(-self.half, self.half, COUNT)
        x, y = np.meshgrid(across, across)
        places = plane.origin + 1e-3 * (x[..., None] * plane.right + y[..., None] * plane.up)
        places = places.reshape(-1, 3)
        if self.mesh.axisymmetric:
            places = np.column_stack([np.hypot(places[:, 0], places[:, 1]), places[:, 2], np.zeros(len(places))])
        points = vtkPoints()
        points.SetData(numpy_to_vtk(np.ascontiguousarray(places), deep=True))
        cloud = vtkPolyData()
        cloud.SetPoints(points)
        probe = vtkProbeFilter()
        probe.SetInputData(cloud)
        probe.SetSourceData(self._grid)
        probe.Update()
        found = probe.GetOutput().GetPointData()
        values = vtk_to_numpy(found.GetArray("fields")).astype(np.float64) - ZERO_CELSIUS
        values[vtk_to_numpy(found.GetArray(probe.GetValidPointMaskArrayName())) == 0] = np.nan
        return values.T.reshape(-1, COUNT, COUNT)

    @cached_property
    def _grid(self) -> object:
        from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
        from vtkmodules.vtkCommonCore import vtkPoints
        from vtkmodules.vtkCommonDataModel import VTK_TETRA, VTK_TRIANGLE, vtkCellArray, vtkUnstructuredGrid

        corners = self.mesh.points
        if self.mesh.axisymmetric:
            corners = np.column_stack([corners, np.zeros(len(corners))])
        points = vtkPoints()
        points.SetData(numpy_to_vtk(np.ascontiguousarray(corners), deep=True))
        cells = vtkCellArray()
        numbers = np.ascontiguousarray(self.mesh.cells.astype(np.int64)).ravel()
        cells.SetData(self.mesh.cells.shape[1], numpy_to_vtkIdTypeArray(numbers, deep=True))
        grid = vtkUnstructuredGrid()
        grid.SetPoints(points)
        grid.SetCells(VTK_TRIANGLE if self.mesh.axisymmetric else VTK_TETRA, cells)
        values = numpy_to_vtk(np.ascontiguousarray(self.fields.T.astype(np.float32)), deep=True)
        values.SetName("fields")
        grid.GetPointData().AddArray(values)
        return grid
