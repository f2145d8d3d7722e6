"""Parts of a patient from a DICOM structure set (RTSTRUCT): outlines drawn on the slices of a series.

The outlines are filled here, at the centres of voxels. Programs that draw pictures round the corners to whole pixels
and fill the pixels on the outline as well, which makes every structure thicker by about a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.anatomy.dicom import library, readable
from ablationsim.anatomy.grid import Grid, Part
from ablationsim.errors import GeometryError
from ablationsim.vessels.contour import Bools, to_world
from ablationsim.vessels.image_files import ras_affine
from ablationsim.vessels.vessel import Floats

# Most slices without an outline between two with one that are filled: beyond, the structure is in two pieces.
_GAP = 4
# Centres this close to an outline, in voxels, lie on it: coordinates are written with few digits.
_ON = 1e-3


def parts_of_structure_set(path: Path, grid: Grid, say: Callable[[str], None]) -> tuple[list[Part], list[str]]:
    """Return the structures of a structure set on the grid of its series, and notes.

    A voxel belongs to a structure when its centre lies within an odd number of its outlines on that slice, or on one of
    them. Slices that were skipped in drawing are interpolated between the outlines of their neighbours.

    Parameters
    ----------
    path : Path
    grid : Grid
        Of the series that it was drawn on; slices are along the first axis.
    say : callable
        Takes what is being done.

    Raises
    ------
    GeometryError
        When it cannot be read, has no closed outline, or lies elsewhere than the series.
    """
    with readable(path):
        dataset = library("pydicom").dcmread(path)
        names = {int(roi.ROINumber): str(roi.ROIName) for roi in dataset.StructureSetROISequence}
        drawn = [(names[int(roi.ReferencedROINumber)], _outlines(roi)) for roi in dataset.ROIContourSequence]
    drawn = [(name, outlines) for name, outlines in drawn if outlines]
    if not drawn:
        raise GeometryError(f"{path} is empty: none of its structures has a closed outline.")
    found, notes = [], []
    for count, (name, outlines) in enumerate(drawn, start=1):
        say(f"filling structure {count} of {len(drawn)}")
        mask, beside = _filled(outlines, grid)
        if beside == len(outlines):
            raise GeometryError(
                f"No outline of a structure of {path} lies on a slice of the series ({grid.text}). Was it drawn on "
                "another series? Give that one with --ct."
            )
        skipped = _interpolate(mask)
        if beside:
            notes.append(f"{beside} of {len(outlines)} outlines of structure {count} lie on no slice and are left out.")
        if skipped:
            notes.append(f"{skipped} slices of structure {count} have no outline and are interpolated.")
        part = Part.of_mask(name, str(path), grid, mask)
        found += [] if part is None else [part]
    if not found:
        raise GeometryError(f"The outlines of {path} enclose no centre of a voxel of the series ({grid.text}).")
    return found, notes


def series_of_structure_set(path: Path) -> str | None:
    """Return the number in the world of the series that a structure set was drawn on; None when it does not say."""
    with readable(path):
        header = library("pydicom").dcmread(path)
        for frame in header.get("ReferencedFrameOfReferenceSequence", ()):
            for study in frame.get("RTReferencedStudySequence", ()):
                for series in study.get("RTReferencedSeriesSequence", ()):
                    return str(series.SeriesInstanceUID)
    return None


def _outlines(roi: Any) -> list[Floats]:
    """Corners of the closed outlines of a structure, RAS [m], each of shape (n, 3)."""
    ras = ras_affine(np.eye(4))
    closed = [contour for contour in roi.get("ContourSequence", ()) if contour.ContourGeometricType == "CLOSED_PLANAR"]
    return [to_world(ras, np.array(contour.ContourData, dtype=np.float64).reshape(-1, 3)) for contour in closed]


def _filled(outlines: Iterable[Floats], grid: Grid) -> tuple[Bools, int]:
    """What the outlines enclose, and how many of them lie on no slice."""
    mask = np.zeros(grid.shape, dtype=bool)
    edges = np.zeros(grid.shape, dtype=bool)
    beside = 0
    for corners in outlines:
        places = to_world(np.linalg.inv(grid.affine), corners)
        number = round(float(places[:, 0].mean()))
        if not 0 <= number < grid.shape[0] or np.abs(places[:, 0] - number).max() > 0.5:
            beside += 1
            continue
        box, within, on = _enclosed(places[:, 1:], grid.shape[1:])
        # An outline within another one is that of a hole.
        mask[(number, *box)] ^= within
        edges[(number, *box)] |= on
    # Some programs draw through the centres of the outermost voxels, also those round a hole.
    return mask | edges, beside


def _enclosed(outline: Floats, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], Bools, Bools]:
    """Box of voxels round an outline on a slice; which of them have their centres in it, and which on it."""
    from matplotlib.path import Path as Outline

    low = np.clip(np.ceil(outline.min(axis=0) - _ON), 0, shape).astype(int)
    high = np.clip(np.floor(outline.max(axis=0) + _ON) + 1, low, shape).astype(int)
    rows, columns = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij")
    centres = np.column_stack([rows.ravel(), columns.ravel()])
    if len(outline) < 3:
        # What is a voxel wide has no inside.
        on = (np.abs(centres[:, None] - outline).max(axis=2) <= _ON).any(axis=1).reshape(rows.shape)
        return (slice(low[0], high[0]), slice(low[1], high[1])), np.zeros_like(on), on
    path = Outline(np.vstack([outline, outline[:1]]), closed=True)
    # Which of both is the wider one depends on the sense in which the outline runs.
    one, other = (path.contains_points(centres, radius=radius).reshape(rows.shape) for radius in (_ON, -_ON))
    return (slice(low[0], high[0]), slice(low[1], high[1])), one & other, one ^ other


def _interpolate(mask: Bools) -> int:
    """Fill slices that were skipped, by the distances from the outlines before and after; how many."""
    drawn = np.flatnonzero(mask.any(axis=(1, 2)))
    steps = np.diff(drawn)
    # What is skipped somewhere is skipped regularly: a structure with one slice missing has two pieces.
    if len(steps) == 0 or np.median(steps) < 2:
        return 0
    filled = 0
    for before, after in pairwise(drawn):
        if 1 < after - before <= _GAP:
            first, last = _depth(mask[before]), _depth(mask[after])
            for slice_ in range(before + 1, after):
                weight = (slice_ - before) / (after - before)
                mask[slice_] = (1.0 - weight) * first + weight * last > 0.0
                filled += 1
    return filled


def _depth(mask: Bools) -> NDArray[np.float64]:
    """Distance from the outline, positive within, in voxels."""
    return np.asarray(ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask), dtype=np.float64)
