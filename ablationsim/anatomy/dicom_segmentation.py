"""Parts of a patient from a DICOM segmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablationsim.anatomy.dicom import library, readable
from ablationsim.anatomy.grid import Grid, Part, lps_grid
from ablationsim.errors import GeometryError

# Room for slices that the segmentation leaves out, at either end [m]: what the surfaces of structures need.
_ROOM = 10e-3


def parts_of_segmentation(path: Path, say: Callable[[str], None]) -> list[Part]:
    """Return the segments of a DICOM segmentation; they may overlap, and empty ones are left out.

    Places are taken from the position of each slice in the patient.

    Parameters
    ----------
    path : Path
    say : callable
        Takes what is being done.

    Raises
    ------
    GeometryError
        When it cannot be read, is compressed in a way that nothing installed can undo, lies in no patient, or is empty.
    """
    segmentations = library("highdicom.seg")
    found = []
    with readable(path):
        segmentation = segmentations.segread(path)
        for number in segmentation.segment_numbers:
            say(f"reading segment {number} of {segmentation.number_of_segments}")
            volume = segmentation.get_volume(segment_numbers=[number], combine_segments=False)
            mask = np.asarray(volume.array)[..., 0] >= 0.5
            name = str(segmentation.get_segment_description(number).segment_label)
            part = Part.of_mask(name, str(path), lps_grid(mask.shape, volume.affine), mask)
            found += [] if part is None else [part]
    if not found:
        raise GeometryError(f"{path} is empty: none of its segments has a voxel.")
    return found


def with_room(parts: Sequence[Part], path: Path) -> list[Part]:
    """Return the segments on a grid with a few more slices, when the file leaves out those without any segment.

    Without the pictures it is not known how many there were; that the segments end is.
    """
    with readable(path):
        header = library("pydicom").dcmread(path, stop_before_pixels=True)
        slices = sum(
            len(each.get("ReferencedInstanceSequence", ())) for each in header.get("ReferencedSeriesSequence", ())
        )
    grid = parts[0].grid
    if slices <= grid.shape[0]:
        return list(parts)
    more = int(np.ceil(_ROOM / np.linalg.norm(grid.affine[:3, 0])))
    moved = grid.affine.copy()
    moved[:3, 3] -= more * grid.affine[:3, 0]
    wider = Grid((grid.shape[0] + 2 * more, *grid.shape[1:]), moved)
    return [replace(part, grid=wider, corner=part.corner + np.array([more, 0, 0])) for part in parts]


def series_of_segmentation(path: Path) -> str | None:
    """Return the number in the world of the series that a segmentation was drawn on; None when it does not say."""
    with readable(path):
        header = library("pydicom").dcmread(path, stop_before_pixels=True)
        for reference in header.get("ReferencedSeriesSequence", ()):
            return str(reference.SeriesInstanceUID)
    return None
