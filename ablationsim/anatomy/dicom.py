"""DICOM files: what is in a folder, without their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ablationsim.errors import GeometryError

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Classes of segmentations: with a bit a voxel and segment, and with a label a voxel."""
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
"""Class of structure sets (RTSTRUCT)."""

_TAGS = (
    "SOPClassUID",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "Rows",
)


@dataclass
class Series:
    """Files that belong together.

    Attributes
    ----------
    uid, modality, kind : str
        Its own number in the world, "CT" or the like, and the class of its files.
    number : int or None
        As the scanner counts.
    pictures : bool
        Whether its files have pixels, in contrast to reports and tables of contents.
    files : list of Path
    """

    uid: str
    modality: str
    kind: str
    number: int | None
    pictures: bool
    files: list[Path] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What a person needs to choose it, with nothing of the patient."""
        files = f"{len(self.files)} files" if len(self.files) > 1 else "1 file"
        return f"series {'without a number' if self.number is None else self.number} ({self.modality}, {files})"


def is_dicom(path: Path) -> bool:
    """Whether a file says at its beginning that it is DICOM."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def series_in(folder: Path) -> list[Series]:
    """Return the series of the DICOM files in a folder and the folders in it.

    Raises
    ------
    GeometryError
        When there is none, or one cannot be read.
    """
    pydicom = library("pydicom")
    found: dict[str, Series] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and is_dicom(path)):
        with readable(path):
            header = pydicom.dcmread(path, specific_tags=list(_TAGS), stop_before_pixels=True)
            uid = str(header.get("SeriesInstanceUID", ""))
            kind = str(header.get("SOPClassUID", ""))
            number = header.get("SeriesNumber")
            number = None if number is None else int(number)
        # Tables of contents (DICOMDIR) are of no series.
        if uid:
            new = Series(uid, str(header.get("Modality", "?")), kind, number, "Rows" in header)
            found.setdefault(uid, new).files.append(path)
    if not found:
        raise GeometryError(f"{folder} holds no DICOM file and no label image.")
    return sorted(found.values(), key=lambda series: (series.number or 0, series.uid))


def images(series: list[Series]) -> list[Series]:
    """Return those that are pictures: neither segmentations nor structure sets nor reports."""
    return [each for each in series if each.pictures and each.kind not in (*SEGMENTATIONS, STRUCTURE_SET)]


def library(name: str) -> Any:
    """Import a library that reads DICOM.

    Raises
    ------
    GeometryError
        When it is not installed; says how to get it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise GeometryError(
            f"Reading DICOM needs {name.split('.')[0]}, which is not installed. Install it with: "
            "pip install 'ablationsim[dicom]'. Or convert the segmentation to .nii.gz or .seg.nrrd, in 3D Slicer for "
            "example."
        ) from error


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say of what fails inside that a file cannot be read.

    Raises
    ------
    GeometryError
        When something fails.
    """
    try:
        yield
    except GeometryError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError, OSError, EOFError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if "decompress" in reason or "decoder" in reason or "plugin" in reason or "decode" in reason:
            raise GeometryError(
                f"The pixels of {path} are compressed, and nothing that is installed can decompress them ({reason}). "
                "Install a decoder with: pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg. Or store the "
                "file uncompressed, such as with: gdcmconv --raw or dcmdjpeg."
            ) from error
        raise GeometryError(f"{path} cannot be read as DICOM; it is damaged or incomplete ({reason}).") from error
