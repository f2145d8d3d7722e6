"""The series of DICOM images that a DICOM segmentation belongs to: its headers, in the order of its slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.errors import OutputError
from ablationsim.exports.coordinates import from_lps
from ablationsim.exports.grid import ImageGrid

_NEEDED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
)
_EVEN = 0.05  # share by which distances of slices may differ from their mean


@dataclass(frozen=True, eq=False)
class Series:
    """A series of slices.

    Attributes
    ----------
    headers : tuple of pydicom.Dataset
        Without pixels, in the order of the third index of `grid`.
    grid : ImageGrid
        Its voxels: columns, rows, slices.
    """

    headers: tuple[Any, ...]
    grid: ImageGrid


def read_series(folder: Path) -> Series:
    """Read the headers of the one series in a folder.

    Raises
    ------
    OutputError
        When the packages for DICOM are missing, or the folder has no series of slices at equal distances, or several.
    """
    found = _headers(folder)
    series = {str(header.get("SeriesInstanceUID", "")) for header in found}
    if len(series) > 1:
        raise OutputError(
            f"{folder} holds {len(series)} series of images. Give --series a folder with one of them only."
        )
    lacking = sorted({key for header in found for key in _NEEDED if key not in header})
    if lacking:
        raise OutputError(
            f"The images in {folder} lack {', '.join(lacking)}: they do not say where in the patient their voxels lie. "
            "Give the series of slices (CT or MR) that the anatomy was segmented on."
        )
    alike = {(*header.ImageOrientationPatient, *header.PixelSpacing, header.Rows, header.Columns) for header in found}
    if len(alike) > 1:
        raise OutputError(
            f"The slices in {folder} differ in size or orientation; a series of parallel slices is needed."
        )
    return _sorted(folder, found)


def _headers(folder: Path) -> list[Any]:
    try:
        import highdicom  # noqa: F401  (writes later; better missed now)
        import pydicom
    except ImportError:
        raise OutputError(
            "DICOM needs two packages that are not installed: pip install 'ablationsim[dicom]' (pydicom, highdicom)."
        ) from None
    if not folder.is_dir():
        raise OutputError(
            f"There is no folder {folder}. Give --series the folder with the DICOM images of the patient."
        )
    found = []
    for path in sorted(each for each in folder.iterdir() if each.is_file()):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
        except (pydicom.errors.InvalidDicomError, OSError):
            continue
        if "PixelSpacing" in header or "ImagePositionPatient" in header:
            found.append(header)
    if not found:
        raise OutputError(f"{folder} holds no DICOM images of slices. Give --series the folder of the CT or MR series.")
    return found


def _sorted(folder: Path, headers: list[Any]) -> Series:
    first = headers[0]
    along_row, along_column = np.array(first.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    normal = np.cross(along_row, along_column)
    heights = np.array([normal @ np.array(each.ImagePositionPatient, dtype=np.float64) for each in headers])
    order = np.argsort(heights)
    steps = np.diff(heights[order])
    # Not the thickness of the slices: they may overlap or leave gaps.
    step = float(steps.mean()) if len(steps) else float(first.get("SliceThickness") or 1.0)
    if len(steps) and (steps.min() <= 0.0 or np.abs(steps - step).max() > _EVEN * step):
        raise OutputError(
            f"The slices in {folder} are {steps.min():.3g} to {steps.max():.3g} mm apart; equal distances are needed. "
            "A slice is missing or is there twice."
        )
    headers = [headers[number] for number in order]
    between_rows, between_columns = (float(value) for value in first.PixelSpacing)
    affine = np.eye(4)
    axes = (between_columns * along_row, between_rows * along_column, step * normal)
    affine[:3, :3] = from_lps(np.array(axes)).T
    affine[:3, 3] = from_lps([float(value) for value in headers[0].ImagePositionPatient])
    return Series(tuple(headers), ImageGrid(affine, (int(first.Columns), int(first.Rows), len(headers))))
