"""DICOM segmentations (SEG) of a prediction, on the slices of the patient's own series, written with highdicom."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.exports.content import Body
from ablationsim.exports.series import Series
from ablationsim.results.files import write_whole

STATEMENT = "Prediction by ablationsim; research use only"

_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows", "Columns")
_KIND = ("SOPClassUID", "Modality", "SpecificCharacterSet")
_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
_IDENTITY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)


def write_dicom(path: Path, bodies: Sequence[Body], series: Series, *, keep_identifiers: bool = False) -> None:
    """Write bodies as one DICOM segmentation, a segment each.

    Parameters
    ----------
    path : Path
    bodies : sequence of Body
    series : Series
        The slices on which they are drawn.
    keep_identifiers : bool
        Whether patient, study and images are named as in the series, so that an archive puts the segmentation beside
        it. Otherwise the segmentation names nobody and has identifiers of its own: it is placed by its coordinates.

    Raises
    ------
    OutputError
        When a body lies outside the slices, or the file cannot be written.
    """
    import highdicom

    voxels = np.stack([body.on(series.grid) for body in bodies], axis=-1)
    segmentation = highdicom.seg.Segmentation(
        source_images=_sources(series, keep_identifiers),
        # Slices, rows, columns, segments.
        pixel_array=voxels.transpose(2, 1, 0, 3).astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(number, body) for number, body in enumerate(bodies, start=1)],
        series_instance_uid=highdicom.UID(),
        series_number=1,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="ablationsim",
        manufacturer_model_name="ablationsim",
        software_versions=version("ablationsim"),
        device_serial_number="none",
        content_label="PREDICTION",
        content_description=STATEMENT,
        series_description=STATEMENT,
    )
    buffer = io.BytesIO()
    segmentation.save_as(buffer)
    write_whole(path, buffer.getvalue())


def _sources(series: Series, keep: bool) -> list[Any]:
    """Headers with no more in them than a segmentation takes over."""
    import pydicom
    from pydicom.uid import generate_uid

    new: dict[str, str] = {}
    found = []
    for header in series.headers:
        source = pydicom.Dataset()
        for key in (*_KIND, *_PLACE):
            if key in header:
                setattr(source, key, header[key].value)
        for key in _IDENTITY:
            setattr(source, key, header[key].value if keep and key in header else "")
        for key in _UIDS:
            old = str(header[key].value)
            setattr(source, key, old if keep else new.setdefault(old, generate_uid()))
        source.file_meta = pydicom.dataset.FileMetaDataset()
        source.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        found.append(source)
    return found


def _described(number: int, body: Body) -> Any:
    """A segment's description; terms that no scheme has are the program's own (99...)."""
    import highdicom
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    def own(value: str, meaning: str) -> Code:
        return Code(value, "99ABLATIONSIM", meaning)

    if body.lines:
        category, kind = codes.SCT.PhysicalObject, codes.SCT.Needle
    elif body.name == "tumour":
        category, kind = codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Neoplasm
    else:
        category = codes.SCT.MorphologicallyAbnormalStructure
        kind = own(body.name.upper(), body.title)
    red, green, blue = (round(255 * part) for part in body.colour)
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=body.title,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="ablationsim", family=own("FE", "Finite element simulation"), version=version("ablationsim")
        ),
        display_color=highdicom.color.CIELabColor.from_rgb(red, green, blue),
    )
