"""Centrelines with radii, from the voxels of a tree or from its wall.

The voxels are thinned to a skeleton, one voxel wide, of which the lines that stand for branches are picked. The
branches are then smoothed and brought to the ends of the vessel, which thinning does not reach.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ablationsim.errors import GeometryError
from ablationsim.vessels.contour import polydata, to_world
from ablationsim.vessels.network import Strand, degrees, renumbered, strands_of
from ablationsim.vessels.thinning import thinned
from ablationsim.vessels.vessel import Centreline, Floats, Wall

Bools = NDArray[np.bool_]

# Voxels across the thin vessels of a wall, and the most voxels that a wall is turned into.
_ACROSS = 8.0
_MOST_VOXELS = 20e6
# Places at which the thickness of a wall is looked up, and the part of them that may be thinner than what counts.
_PROBES = 800
_THINNEST = 5.0  # per cent
# Distance of the points of a centreline, in radii.
_STEP = 0.5
# Voxels that are counted for the areas of cross-sections, and what these may make of the radius of the largest sphere:
# it is as good as never smaller, and a vessel is not very flat.
_VOLUME_VOXELS = 300_000
_FACTORS = (0.9, 1.6)


def centreline_of(mask: Bools, affine: Floats) -> Centreline:
    """Return the centrelines of a body of voxels.

    Every connected part has at least one branch: its longest axis, if it is no longer than wide. Each part is a tree:
    where branches form a ring, it is opened. Radii are those of circles with the area of the vessel's
    cross-section.

    Parameters
    ----------
    mask : (i, j, k) bool
        Voxels about as long as wide.
    affine : (4, 4) float64
        From voxel indices (centres of voxels) to world coordinates [m].

    Raises
    ------
    GeometryError
        When no voxel is set.
    """
    if not mask.any():
        raise GeometryError("There is no centreline: not one voxel belongs to the vessel.")
    voxel = float(np.linalg.norm(affine[:3, :3], axis=0).min())
    body = np.pad(mask, 1)
    padded = affine.copy()
    padded[:3, 3] = to_world(affine, np.full((1, 3), -1.0))[0]
    depth = _depth(body, padded)
    skeleton = np.argwhere(thinned(body, depth, np.linalg.norm(affine[:3, :3], axis=0)))
    widest = ndimage.maximum_filter(depth, size=3)[tuple(skeleton.T)].astype(np.float64)
    strands = strands_of(
        skeleton, to_world(padded, skeleton.astype(np.float64)), np.maximum(widest, 0.5 * voxel), voxel
    )
    strands, blobs = _told_apart(strands, body, padded)
    lines = renumbered([*_finished(strands, depth, padded), *blobs])
    ends = np.array([[line.start, line.end] for line in lines], dtype=np.int64)
    return Centreline(tuple(line.points for line in lines), tuple(line.radii for line in lines), ends)


def centreline_of_wall(wall: Wall) -> Centreline:
    """Return the centrelines of what a closed wall surrounds; see `centreline_of`.

    Parameters
    ----------
    wall : Wall
        Closed, normals outward.

    Raises
    ------
    GeometryError
        When the wall surrounds nothing, or is so thin for its extent that it would take too many voxels.
    """
    # Turned to its longest extents, a slanting vessel takes a smaller box.
    centre = wall.points.mean(axis=0)
    axes = np.linalg.svd(wall.points - centre, full_matrices=False)[2].T
    if np.linalg.det(axes) < 0.0:
        axes[:, 2] *= -1.0
    turned = Wall((wall.points - centre) @ axes, wall.triangles, wall.capped)
    low, high = turned.points.min(axis=0), turned.points.max(axis=0)
    thickness = _thickness(turned)
    smallest = (float(np.prod(high - low)) / _MOST_VOXELS) ** (1.0 / 3.0)
    voxel = max(thickness / _ACROSS, smallest)
    if not voxel < 0.5 * thickness:
        extent = " x ".join(f"{1e3 * side:.0f}" for side in high - low)
        raise GeometryError(
            f"No centreline can be drawn in a vessel wall of {extent} mm that is {1e3 * thickness:.2g} mm thick; at "
            f"least {2e3 * smallest:.2g} mm can be resolved. Leave out what is far from the needle, or give the "
            "centrelines in a file."
        )
    mask = _voxels(turned, low, voxel)
    affine = np.eye(4)
    affine[:3, :3] = axes * voxel
    affine[:3, 3] = centre + axes @ low
    line = centreline_of(mask, affine)
    # Few voxels across a vessel take up to some per cent more or less than it.
    factor = math.sqrt(wall.volume / (np.count_nonzero(mask) * voxel**3))
    return Centreline(line.points, tuple(radii * factor for radii in line.radii), line.ends)


def _depth(body: Bools, affine: Floats) -> NDArray[np.float32]:
    """Distance of each voxel inside from the surface, and a negative one for those outside [m]."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    # From centre to centre of voxels, while the surface lies half-way between the last one inside and the next.
    inside: NDArray[np.float32] = ndimage.distance_transform_edt(body, sampling=spacing).astype(np.float32)
    return inside - np.float32(0.5 * spacing.min())


def _told_apart(strands: list[Strand], body: Bools, affine: Floats) -> tuple[list[Strand], list[Strand]]:
    """Strands of the parts of a body that are vessels, and the longest axis of each that is about as long as wide."""
    parts, _ = ndimage.label(body, np.ones((3, 3, 3)))
    whole = [_part(strand, parts, affine) for strand in strands]
    long = [
        strand
        for strand, part in zip(strands, whole, strict=True)
        if whole.count(part) > 1 or strand.length > 2.0 * strand.radii.max()
    ]
    found = {_part(strand, parts, affine) for strand in long}
    node, blobs = 1 + max((max(strand.start, strand.end) for strand in strands), default=0), []
    for part, box in enumerate(ndimage.find_objects(parts), start=1):
        if part in found:
            continue
        corner = [side.start for side in box]
        voxels = np.argwhere(parts[box] == part) + corner
        blobs.append(_longest_axis(to_world(affine, voxels.astype(np.float64)), affine, node))
        node += 2
    return long, blobs


def _part(strand: Strand, parts: NDArray[np.int32], affine: Floats) -> int:
    """Number of the connected part that a strand runs in; its junctions may lie between voxels."""
    indices = np.rint(to_world(np.linalg.inv(affine), strand.points)).astype(int)
    return int(parts[tuple(np.clip(indices, 0, np.array(parts.shape) - 1).T)].max())


def _longest_axis(places: Floats, affine: Floats, node: int) -> Strand:
    """Axis of a blob, with the radius of the cylinder that has its length and its volume."""
    voxel = float(abs(np.linalg.det(affine[:3, :3])))
    centre = places.mean(axis=0)
    axis = np.linalg.svd(places - centre, full_matrices=False)[2][0]
    along = (places - centre) @ axis
    half = 0.5 * voxel ** (1.0 / 3.0)
    ends = np.array([along.min() - half, along.max() + half])
    radius = math.sqrt(len(places) * voxel / (math.pi * (ends[1] - ends[0])))
    return Strand(centre + ends[:, None] * axis, np.array([radius, radius]), node, node + 1)


def _finished(strands: list[Strand], depth: NDArray[np.float32], affine: Floats) -> list[Strand]:
    """Smooth every strand, bring its free ends to the wall and give it the radii of its cross-sections."""
    count = degrees(strands)
    lines = []
    for strand in strands:
        line = _smoothed(strand) if len(strand.points) > 2 else strand
        if count[line.start] == 1:
            line = _to_the_wall(line.reversed(), depth, affine).reversed()
        if count[line.end] == 1:
            line = _to_the_wall(line, depth, affine)
        lines.append(_sampled(line, count[line.start] == 1, count[line.end] == 1))
    return _with_areas(lines, depth, affine) if lines else []


def _smoothed(strand: Strand) -> Strand:
    """Take the steps of the voxels out of a strand, over about its radius; its ends stay."""
    steps = 4 * len(strand.points)
    points, radii = _at(strand, np.linspace(0.0, strand.length, steps))
    width = float(np.median(radii)) / (strand.length / (steps - 1))
    reach = min(steps - 1, math.ceil(3.0 * width))
    # Mirrored in the end points themselves, which therefore stay where they are.
    before = 2.0 * points[0] - points[reach:0:-1]
    after = 2.0 * points[-1] - points[-2 : -reach - 2 : -1]
    long = np.vstack([before, points, after])
    smooth = ndimage.gaussian_filter1d(long, width, axis=0, mode="nearest")[reach:-reach]
    smooth[[0, -1]] = points[[0, -1]]
    return Strand(smooth, ndimage.gaussian_filter1d(radii, width, mode="nearest"), strand.start, strand.end)


def _to_the_wall(strand: Strand, depth: NDArray[np.float32], affine: Floats) -> Strand:
    """Lead the end of a strand straight on until it leaves the body.

    The last radius of a skeleton turns toward some corner of the vessel's end; it is replaced.
    """
    radius = float(np.median(strand.radii))
    cut = radius if strand.length > 3.0 * radius else 0.0
    places = np.linspace(0.0, strand.length - cut, max(3, len(strand.points)))
    points, radii = _at(strand, places)
    before, _ = _at(strand, np.array([max(places[-1] - 1.5 * radius, 0.0)]))
    onward = points[-1] - before[0]
    onward /= np.linalg.norm(onward)
    travel = np.linspace(0.0, cut + 1.5 * radius, 60)
    indices = to_world(np.linalg.inv(affine), points[-1] + travel[:, None] * onward)
    inside = ndimage.map_coordinates(depth, indices.T, order=1, mode="nearest") > 0.0
    last = int(np.argmin(inside)) if not inside.all() else len(travel)
    if last <= 1:
        return Strand(points, radii, strand.start, strand.end)
    points = np.vstack([points, points[-1] + travel[last - 1] * onward])
    return Strand(points, np.concatenate([radii, radii[-1:]]), strand.start, strand.end)


def _sampled(strand: Strand, free_start: bool, free_end: bool) -> Strand:
    """Strand with evenly spread points, about half a radius apart, and the radii of the branch itself.

    Toward a junction the largest sphere is that of the wider vessel which the branch leaves, and toward a free end
    it shrinks; there the radius farther inside is taken.
    """
    length, radius = strand.length, float(np.median(strand.radii))
    places = np.linspace(0.0, length, max(3, math.ceil(length / (_STEP * radius)) + 1))
    points, _ = _at(strand, places)
    first = radius if free_start else float(strand.radii[0])
    last = radius if free_end else float(strand.radii[-1])
    inner = np.clip(places, min(first, 0.4 * length), length - min(last, 0.4 * length))
    _, radii = _at(strand, inner)
    return Strand(points, radii, strand.start, strand.end)


def _with_areas(strands: list[Strand], depth: NDArray[np.float32], affine: Floats) -> list[Strand]:
    """Strands whose radii are those of circles with the area of the cross-section.

    The largest sphere that fits into a flat vein, or into rough voxels, is much smaller than that. Each voxel inside
    goes to the nearest point; how much a point has, over the length it stands for, is an area.
    """
    voxels = np.argwhere(depth > 0.0)
    voxels = voxels[:: max(1, len(voxels) // _VOLUME_VOXELS)]
    cell = np.count_nonzero(depth > 0.0) / len(voxels) * float(abs(np.linalg.det(affine[:3, :3])))
    every = np.vstack([strand.points for strand in strands])
    _, nearest = cKDTree(every).query(to_world(affine, voxels.astype(np.float64)))
    volumes = np.bincount(nearest, minlength=len(every)) * cell
    found, begin = [], 0
    for strand in strands:
        end = begin + len(strand.points)
        steps = np.linalg.norm(np.diff(strand.points, axis=0), axis=1)
        # Near its ends a strand shares the voxels with others.
        along = np.concatenate([[0.0], np.cumsum(steps)])
        clear = np.minimum(strand.radii.max(), 0.4 * along[-1])
        inner = (along > clear) & (along < along[-1] - clear)
        factor = 1.0
        if inner.any():
            drawn = np.pi * (strand.radii**2 * np.gradient(along))[inner].sum()
            factor = float(np.clip(np.sqrt(volumes[begin:end][inner].sum() / drawn), *_FACTORS))
        found.append(Strand(strand.points, strand.radii * factor, strand.start, strand.end))
        begin = end
    return found


def _at(strand: Strand, places: Floats) -> tuple[Floats, Floats]:
    """Points and radii at distances along a strand."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(strand.points, axis=0), axis=1))])
    points = np.stack([np.interp(places, along, strand.points[:, axis]) for axis in range(3)], axis=-1)
    return points, np.interp(places, along, strand.radii)


def _thickness(wall: Wall) -> float:
    """How thick the thin places of what a wall surrounds are: from triangles straight to the other side [m]."""
    from vtkmodules.vtkCommonCore import vtkIdList, vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkStaticCellLocator

    locator = vtkStaticCellLocator()
    locator.SetDataSet(polydata(wall.points, wall.triangles))
    locator.BuildLocator()
    corners = wall.points[wall.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    sides = np.flatnonzero((area > 0.0) & ~wall.capped)
    if len(sides) == 0 or not wall.volume > 0.0:
        raise GeometryError("The wall of a vessel surrounds nothing; it must be closed, with its normals outward.")
    # Evenly spread over the area.
    share = np.cumsum(area[sides])
    chosen = sides[np.searchsorted(share, (np.arange(_PROBES) + 0.5) / _PROBES * share[-1])]
    reach = float(np.linalg.norm(np.ptp(wall.points, axis=0)))
    found = []
    for triangle in chosen:
        inward = -normals[triangle] / area[triangle]
        start = corners[triangle].mean(axis=0) + 1e-6 * reach * inward
        hits, cells = vtkPoints(), vtkIdList()
        if locator.IntersectWithLine(start, start + reach * inward, 1e-9 * reach, hits, cells):
            found.append(float(np.linalg.norm(np.array(hits.GetPoint(0)) - start)))
    if not found:
        raise GeometryError("The wall of a vessel surrounds nothing; it must be closed, with its normals outward.")
    return float(np.percentile(found, _THINNEST))


def _voxels(wall: Wall, low: Floats, voxel: float) -> Bools:
    """Voxels whose centres lie inside a wall; the first has its centre at `low`."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

    size = np.ceil(np.ptp(wall.points, axis=0) / voxel).astype(int) + 1
    stencil = vtkPolyDataToImageStencil()
    stencil.SetInputData(polydata(wall.points, wall.triangles))
    stencil.SetOutputOrigin(*low)
    stencil.SetOutputSpacing(voxel, voxel, voxel)
    stencil.SetOutputWholeExtent(0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
    image = vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetInsideValue(1)
    image.SetOutsideValue(0)
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    values = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars())
    return values.reshape(size, order="F").astype(bool)
