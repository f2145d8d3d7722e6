"""Closed surfaces on a grid of points: which of its points lie inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ablationsim.vessels.contour import polydata
from ablationsim.zone.extract import Floats, Surface

Bools = NDArray[np.bool_]


class Lattice(Protocol):
    """Points in rows, columns and layers: what a closed surface can be put on."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of points along each axis of the lattice."""
        ...

    def indices(self, points: Floats) -> Floats:
        """Return where points of the world, shape (n, 3) in metres, lie, in numbers of lattice points."""
        ...


@dataclass(frozen=True, eq=False)
class Grid:
    """Points at equal distances, along the axes.

    Attributes
    ----------
    origin : (3,) float64
        Its first point [m].
    spacing : float
        Between its points [m].
    shape : tuple of int
        Number of points along each axis.
    """

    origin: Floats
    spacing: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, surfaces: Sequence[Surface], across: int, margin: float = 0.0) -> Grid:
        """Return a grid that holds surfaces, with about `across` points along their longest extent and a margin [m]."""
        points = np.concatenate([surface.points for surface in surfaces])
        low, high = points.min(axis=0), points.max(axis=0)
        spacing = float((high - low).max()) / across
        # Off the planes of symmetry that zones have: points on a surface would count by rounding.
        origin = low - margin - 1.37 * spacing
        i, j, k = (int(number) for number in np.ceil((high + margin - origin) / spacing) + 2)
        return cls(origin, spacing, (i, j, k))

    def points(self, chosen: Bools) -> Floats:
        """Return the coordinates of the chosen points, shape (n, 3), in metres."""
        return np.asarray(self.origin + self.spacing * np.argwhere(chosen))

    def indices(self, points: Floats) -> Floats:
        """Return where points, shape (n, 3), lie in the grid, in numbers of its points."""
        return (points - self.origin) / self.spacing


def inside(surface: Surface, grid: Lattice) -> Bools:
    """Return which points of a grid lie inside a closed surface of triangles, shape of the grid."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

    stencil = vtkPolyDataToImageStencil()
    # In numbers of points, where its tolerances are meant to hold.
    stencil.SetInputData(polydata(grid.indices(surface.points), surface.facets.astype(np.int64)))
    stencil.SetOutputOrigin(0.0, 0.0, 0.0)
    stencil.SetOutputSpacing(1.0, 1.0, 1.0)
    stencil.SetOutputWholeExtent(*(end for number in grid.shape for end in (0, number - 1)))
    image = vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetInsideValue(1)
    image.SetOutsideValue(0)
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    values = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars())
    found: Bools = values.reshape(grid.shape, order="F") > 0
    return found
