"""Series of DICOM pictures: where their voxels are, and their grey values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.anatomy.dicom import Series, images, library, readable, series_in
from ablationsim.anatomy.grid import Grid, lps_grid
from ablationsim.errors import GeometryError
from ablationsim.vessels.image_files import check_place
from ablationsim.vessels.vessel import Floats

# Slices may lie this much beside where even spacing would have them [mm]: positions are written with few digits.
_TOLERANCE = 0.05


def chosen_series(folder: Path, uid: str | None, number: int | None) -> Series:
    """Return the series of pictures in a folder that is meant.

    Parameters
    ----------
    folder : Path
    uid : str or None
        Of the series that a segmentation was drawn on: that one, when it is there.
    number : int or None
        As a person says.

    Raises
    ------
    GeometryError
        When there is no series of pictures, or several and none is said.
    """
    found = images(series_in(folder))
    if not found:
        raise GeometryError(f"{folder} holds DICOM files, but no series of pictures.")
    listed = "; ".join(series.text for series in found)
    if number is not None:
        matching = [series for series in found if series.number == number]
        if len(matching) != 1:
            count = "no series" if not matching else f"{len(matching)} series"
            raise GeometryError(f"{folder} holds {count} of number {number}; it holds: {listed}.")
        return matching[0]
    referenced = [series for series in found if series.uid == uid]
    if referenced:
        return referenced[0]
    if len(found) > 1:
        raise GeometryError(
            f"{folder} holds {len(found)} series of pictures: {listed}. Say which one is meant with --series, or give "
            "a folder with one only."
        )
    if uid is not None:
        raise GeometryError(
            f"{folder} holds {listed}, but the segmentation was drawn on another series. Give the folder of that one, "
            "or choose this one nevertheless with --series."
        )
    return found[0]


def grid_of_series(series: Series) -> tuple[Grid, list[str]]:
    """Return where the voxels of a series are, and the number in the world of each slice in that order.

    Raises
    ------
    GeometryError
        When the slices are not evenly spaced, or miss one.
    """
    pydicom = library("pydicom")
    headers = []
    for path in series.files:
        with readable(path):
            headers.append(pydicom.dcmread(path, stop_before_pixels=True))
    order, step = _order(series, headers)
    first = headers[order[0]]
    # Rows follow each other along the second direction that is given, and columns along the first.
    directions = np.array(first.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    lps = np.eye(4)
    lps[:3, 0] = step
    lps[:3, 1] = directions[1] * float(first.PixelSpacing[0])
    lps[:3, 2] = directions[0] * float(first.PixelSpacing[1])
    lps[:3, 3] = first.ImagePositionPatient
    grid = lps_grid((len(headers), int(first.Rows), int(first.Columns)), lps)
    check_place(grid.affine, f"{series.text} in {series.files[0].parent}")
    return grid, [str(headers[index].SOPInstanceUID) for index in order]


def grey_values(series: Series, say: Callable[[str], None]) -> tuple[NDArray[np.int16], Grid]:
    """Return the values (i, j, k) of a series, of CT in Hounsfield units, and where they are.

    Places are taken from the position of each slice in the patient, not from the thickness of slices.

    Raises
    ------
    GeometryError
        When it cannot be read, is compressed in a way that nothing installed can undo, or has no even spacing.
    """
    pydicom = library("pydicom")
    grid, order = grid_of_series(series)
    values = np.zeros(grid.shape, dtype=np.int16)
    for number, path in enumerate(series.files):
        if number % 50 == 0:
            say(f"reading slice {number + 1} of {len(series.files)}")
        with readable(path):
            header = pydicom.dcmread(path)
            slope, intercept = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))
            picture = np.clip(np.rint(header.pixel_array * slope + intercept), -32768, 32767)
            values[order.index(str(header.SOPInstanceUID))] = picture
    return values, grid


def _order(series: Series, headers: Sequence[Any]) -> tuple[list[int], Floats]:
    """Numbers of the slices in the order of their places, and the step from one to the next, LPS [mm]."""
    where = f"{series.text} in {series.files[0].parent}"
    with readable(series.files[0]):
        if any("ImagePositionPatient" not in header or "PixelSpacing" not in header for header in headers):
            raise GeometryError(
                f"{where} does not say of each file where in the patient it lies: it is no volume, or one with all "
                "slices in one file. Convert that to .nii.gz, with dcm2niix or 3D Slicer for example."
            )
        normal = np.cross(headers[0].ImageOrientationPatient[:3], headers[0].ImageOrientationPatient[3:])
        corners = np.array([header.ImagePositionPatient for header in headers], dtype=np.float64)
        same = all(
            (header.Rows, header.Columns, list(header.PixelSpacing))
            == (headers[0].Rows, headers[0].Columns, list(headers[0].PixelSpacing))
            and np.allclose(header.ImageOrientationPatient, headers[0].ImageOrientationPatient, atol=1e-4)
            for header in headers
        )
    if not same:
        raise GeometryError(f"{where} has slices of different size or orientation (a scout view?): it is no volume.")
    along = corners @ normal
    order = [int(index) for index in np.argsort(along, kind="stable")]
    steps = np.diff(along[order])
    if len(steps) == 0:
        raise GeometryError(f"{where} has one slice only: it is no volume.")
    spacing = float(np.median(steps))
    if spacing < _TOLERANCE:
        raise GeometryError(f"{where} has several slices in one place: it holds several volumes, or phases. Split it.")
    # Rounding of the spacing adds up over the slices: places are compared, not steps.
    even = along[order[0]] + (along[order[-1]] - along[order[0]]) * np.linspace(0.0, 1.0, len(order))
    if np.abs(along[order] - even).max() > max(_TOLERANCE, 0.05 * spacing):
        worst = int(np.argmax(np.abs(steps - spacing)))
        raise GeometryError(
            f"{where} is not evenly spaced: neighbours are {spacing:.4g} mm apart, but slices {worst + 1} and "
            f"{worst + 2} from below {steps[worst]:.4g} mm. A slice is missing or double; complete the series."
        )
    return order, (corners[order[-1]] - corners[order[0]]) / (len(order) - 1)
