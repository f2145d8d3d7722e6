"""From a distance on a grid to the wall of what it surrounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import GeometryError
from ablationsim.vessels.vessel import Floats, Ints, Wall

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

Bools = NDArray[np.bool_]

# Smoothing of the staircase that voxels leave: a filter that takes out what is shorter than a few triangles and leaves
# the rest where it is, in contrast to averaging, which makes thin vessels thinner.
_PASS_BAND = 0.1
_PASSES = 20
# What the exchange of heat can make use of; more triangles only take time.
_MOST_TRIANGLES = 100_000
# How far the smooth surface is moved at most for the sake of its volume, in distances of nodes.
_LARGEST_MOVE = 0.3


@dataclass(frozen=True, eq=False)
class Body:
    """A body on a grid.

    Attributes
    ----------
    distance : (i, j, k) float32
        To the body's surface, about; negative inside [m].
    affine : (4, 4) float64
        From the grid's indices to world coordinates [m].
    """

    distance: NDArray[np.float32]
    affine: Floats

    @property
    def inside(self) -> Bools:
        """Which nodes of the grid lie in the body, shape (i, j, k)."""
        return self.distance < 0.0

    @property
    def cell(self) -> float:
        """Volume of a cell of the grid [m3]."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def spacing(self) -> Floats:
        """Between the nodes along each axis of the grid, shape (3,), in metres."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


def to_world(affine: NDArray[np.floating], indices: NDArray[np.floating]) -> Floats:
    """World coordinates [m] of places in a grid, both of shape (n, 3)."""
    world: Floats = indices @ affine[:3, :3].T + affine[:3, 3]
    return world


def contour(body: Body, volume: float | None = None) -> Wall:
    """Return the closed surface on which the distance is zero; cavities are filled.

    Where the body reaches the border of the grid it is closed half a cell farther out, with triangles marked `capped`.

    Parameters
    ----------
    body : Body
    volume : float, optional
        What the surface is to enclose [m3]. When given, the staircase of voxels is taken off it, triangles that are of
        no use are merged, and it is moved by a fraction of a cell to this volume.

    Raises
    ------
    GeometryError
        When nothing lies inside.
    """
    indices, triangles = _zero_surface(body.distance)
    if len(triangles) == 0:
        raise GeometryError("No surface can be drawn round a body that is thinner than the grid it is given on.")
    points = to_world(body.affine, indices)
    held = _on_border(body, indices)
    if np.linalg.det(body.affine[:3, :3]) < 0.0:
        triangles = triangles[:, ::-1]
    triangles = _without_cavities(points, triangles)
    if volume is not None:
        points = np.where(held[:, None], points, _smoothed(points, triangles))
        points, triangles = _decimated(points, triangles)
        held = _on_border(body, to_world(np.linalg.inv(body.affine), points))
        points = _with_volume(points, triangles, held, volume, _LARGEST_MOVE * float(body.spacing.min()))
    used, numbers = np.unique(triangles, return_inverse=True)
    capped: Bools = np.all(held[triangles], axis=1)
    return Wall(points[used], numbers.reshape(-1, 3).astype(np.int64), capped)


def _on_border(body: Body, indices: Floats) -> Bools:
    """Which points, in indices of the grid, close the body where the grid ends."""
    last = np.array(body.distance.shape) - 0.5
    on_border: Bools = np.any((np.abs(indices + 0.5) < 0.01) | (np.abs(indices - last) < 0.01), axis=1)
    return on_border


def _zero_surface(distance: NDArray[np.float32]) -> tuple[Floats, Ints]:
    """Points, in indices of the grid, and triangles whose normals point to where the distance is positive."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    values = np.pad(distance, 1, mode="edge")
    # Opposite values on both sides of the border put the closing surface half-way between them.
    for axis in range(3):
        sides = np.moveaxis(values, axis, 0)
        sides[[0, -1]] = np.abs(sides[[0, -1]])
    # A node on the surface itself would make triangles without area.
    smallest = 1e-3 * float(np.median(np.abs(values)))
    values = np.where(np.abs(values) < smallest, np.float32(smallest), values)
    image = vtkImageData()
    image.SetDimensions(values.shape)
    image.SetOrigin(-1.0, -1.0, -1.0)
    image.GetPointData().SetScalars(numpy_to_vtk(values.ravel(order="F")))
    surface = vtkFlyingEdges3D()
    surface.SetInputData(image)
    surface.SetValue(0, 0.0)
    surface.ComputeNormalsOff()
    surface.ComputeScalarsOff()
    surface.Update()
    found = surface.GetOutput()
    if found.GetNumberOfPolys() == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    points = vtk_to_numpy(found.GetPoints().GetData()).astype(np.float64)
    triangles = vtk_to_numpy(found.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    return points, triangles if _volume(points, triangles) > 0.0 else triangles[:, ::-1]


def polydata(points: Floats, triangles: Ints) -> vtkPolyData:
    """Return a surface as VTK holds it."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    corners = vtkPoints()
    corners.SetData(numpy_to_vtk(np.ascontiguousarray(points), deep=True))
    cells = vtkCellArray()
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(triangles).ravel(), deep=True))
    surface = vtkPolyData()
    surface.SetPoints(corners)
    surface.SetPolys(cells)
    return surface


def _smoothed(points: Floats, triangles: Ints) -> Floats:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkWindowedSincPolyDataFilter

    smoother = vtkWindowedSincPolyDataFilter()
    smoother.SetInputData(polydata(points, triangles))
    smoother.SetNumberOfIterations(_PASSES)
    smoother.SetPassBand(_PASS_BAND)
    smoother.NormalizeCoordinatesOn()
    smoother.FeatureEdgeSmoothingOff()
    smoother.NonManifoldSmoothingOn()
    smoother.Update()
    return vtk_to_numpy(smoother.GetOutput().GetPoints().GetData()).astype(np.float64)


def _decimated(points: Floats, triangles: Ints) -> tuple[Floats, Ints]:
    """Merge triangles where the surface is flattest, down to the most that are of use."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

    if len(triangles) <= _MOST_TRIANGLES:
        return points, triangles
    decimation = vtkQuadricDecimation()
    decimation.SetInputData(polydata(points, triangles))
    decimation.SetTargetReduction(1.0 - _MOST_TRIANGLES / len(triangles))
    decimation.Update()
    found = decimation.GetOutput()
    fewer = vtk_to_numpy(found.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    # Merging can pinch a thin vessel; such a surface is not taken.
    sides = np.sort(fewer[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, counts = np.unique(sides, axis=0, return_counts=True)
    if (counts != 2).any():
        return points, triangles
    return vtk_to_numpy(found.GetPoints().GetData()).astype(np.float64), fewer


def _with_volume(points: Floats, triangles: Ints, held: Bools, volume: float, most: float) -> Floats:
    """Move the points that are not held along their normals, all equally far, until the volume is right."""
    left = most
    for _ in range(3):
        corners = points[triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        summed = np.zeros_like(points)
        for corner in range(3):
            np.add.at(summed, triangles[:, corner], normals)
        length = np.linalg.norm(summed, axis=1)
        moved = (length > 0.0) & ~held
        area = 0.5 * np.linalg.norm(normals, axis=1).sum()
        step = float(np.clip((volume - _volume(points, triangles)) / area, -left, left))
        left -= abs(step)
        points = points.copy()
        points[moved] += step * summed[moved] / length[moved, None]
    return points


def _without_cavities(points: Floats, triangles: Ints) -> Ints:
    """Leave out closed parts of the surface that are turned inside out: they surround holes."""
    part = components(len(points), triangles)[triangles[:, 0]]
    corners = points[triangles] - points.mean(axis=0)
    volumes = np.bincount(part, np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))
    return triangles[volumes[part] > 0.0]


def components(count: int, triangles: Ints) -> Ints:
    """Number of the connected part of the surface that each of `count` points belongs to, shape (count,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    links = coo_array((np.ones(len(starts), dtype=np.int8), (starts, ends)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _volume(points: Floats, triangles: Ints) -> float:
    return Wall(points, triangles, np.zeros(len(triangles), dtype=bool)).volume
