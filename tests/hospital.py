"""DICOM files of small anatomies, as a hospital would hand them over: with the patient's name everywhere."""

from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from anatomies import Small
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

SECRETS = ("Doe", "Jane", "PID-4711", "19770707", "20260301", "ACC-0815", "St. Elsewhere", "1.2.826.0.1.3680043.9.9999")
"""Texts that tell who the patient is."""

_ROOT = "1.2.826.0.1.3680043.9.9999."


def write_series(
    small: Small, folder: Path, values: np.ndarray | None = None, number: int = 3, thickness: float = 7.0
) -> list[Path]:
    """Write the grid of an anatomy as CT slices, in no order, with a thickness that is not their distance.

    Columns run along the first axis of the grid, rows along the second, and slices along the third.
    """
    folder.mkdir(exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ small.affine
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    units = affine[:3, :3] / steps
    values = np.zeros(small.shape, dtype=np.int16) if values is None else values
    study, series, frame = generate_uid(_ROOT), generate_uid(_ROOT), generate_uid(_ROOT)
    paths = []
    for slice_ in np.random.default_rng(0).permutation(small.shape[2]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(_ROOT)
        path = folder / f"IM{len(paths):04d}"
        file = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
        file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        file.PatientName, file.PatientID, file.PatientBirthDate = "Doe^Jane", "PID-4711", "19770707"
        file.PatientSex, file.AccessionNumber, file.StudyID = "F", "ACC-0815", "1"
        file.StudyDate, file.StudyTime, file.InstitutionName = "20260301", "101112", "St. Elsewhere"
        file.ReferringPhysicianName, file.PositionReferenceIndicator = "", ""
        file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = study, series, frame
        file.Modality, file.SeriesNumber, file.InstanceNumber = "CT", number, len(paths) + 1
        file.ImageOrientationPatient = [float(x) for x in (*units[:, 0], *units[:, 1])]
        file.ImagePositionPatient = [round(float(x), 6) for x in affine[:3] @ (0, 0, slice_, 1)]
        file.PixelSpacing, file.SliceThickness = [float(steps[1]), float(steps[0])], thickness
        file.Rows, file.Columns, file.SamplesPerPixel = small.shape[1], small.shape[0], 1
        file.PhotometricInterpretation, file.PixelRepresentation = "MONOCHROME2", 1
        file.BitsAllocated, file.BitsStored, file.HighBit = 16, 16, 15
        file.RescaleSlope, file.RescaleIntercept = 2, -1024
        stored = (values[:, :, slice_].T.astype(np.int32) + 1024) // 2
        file.PixelData = stored.astype("<i2").tobytes()
        file.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def write_segmentation(
    small: Small, series: list[Path], path: Path, names: dict[str, str], syntax: str = ExplicitVRLittleEndian
) -> Path:
    """Write structures of an anatomy as a DICOM segmentation; they overlap. `names` has what to call each.

    Compressed ones hold shares of voxels instead of bits.
    """
    masks = small.masks()
    bits = syntax == ExplicitVRLittleEndian
    slices = [pydicom.dcmread(file) for file in series]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ small.affine
    places = [np.array(file.ImagePositionPatient, dtype=float) for file in slices]
    order = [round(float(np.linalg.solve(affine[:3, :3], place - affine[:3, 3])[2])) for place in places]
    pixels = np.stack([masks[name][:, :, order].transpose(2, 1, 0) for name in names], axis=-1)
    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(names.values(), start=1)
    ]
    hd.seg.Segmentation(
        source_images=slices,
        pixel_array=pixels.astype(np.uint8 if bits else np.float32),
        segmentation_type=(hd.seg.SegmentationTypeValues.BINARY if bits else hd.seg.SegmentationTypeValues.FRACTIONAL),
        segment_descriptions=segments,
        series_instance_uid=generate_uid(_ROOT),
        series_number=9,
        sop_instance_uid=generate_uid(_ROOT),
        instance_number=1,
        manufacturer="St. Elsewhere",
        manufacturer_model_name="Doe",
        software_versions="1",
        device_serial_number="4711",
        series_description="Jane Doe, drawn by Dr. X",
        transfer_syntax_uid=syntax,
    ).save_as(path)
    return path


def write_structure_set(small: Small, series: Path, path: Path, names: dict[str, str]) -> Path:
    """Write structures of an anatomy as a structure set, with another program."""
    from rt_utils import RTStructBuilder

    masks = small.masks()
    drawn = RTStructBuilder.create_new(dicom_series_path=str(series))
    first, last = (np.array(drawn.series_data[end].ImagePositionPatient, dtype=float) for end in (0, -1))
    forward = (last - first) @ (np.diag([-1.0, -1.0, 1.0]) @ small.affine[:3, 2]) > 0
    for name, label in names.items():
        mask = masks[name].transpose(1, 0, 2)
        drawn.add_roi(mask=mask if forward else mask[:, :, ::-1], name=label, approximate_contours=False)
    drawn.save(str(path))
    return path


def write_outlines(small: Small, series: Path, path: Path, inner: float = 0.0, every: int = 1) -> Path:
    """Write a structure set with the exact circles of the tumour, and of a ball that is taken out of it.

    Parameters
    ----------
    inner : float
        Radius of the ball [mm].
    every : int
        Outlines are on every so manieth slice.
    """
    slices = [pydicom.dcmread(file) for file in sorted(series.iterdir())]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ small.affine
    units = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    centre = np.array(small.tumour) * (-1.0, -1.0, 1.0)
    angle = np.linspace(0.0, 2.0 * np.pi, 180, endpoint=False)
    contours = []
    for file in slices:
        corner = np.array(file.ImagePositionPatient, dtype=float)
        number = round(float(np.linalg.solve(affine[:3, :3], corner - affine[:3, 3])[2]))
        height = float((corner - centre) @ units[:, 2])
        for radius in (small.radius, inner):
            if number % every == 0 and abs(height) < radius:
                across = np.sqrt(radius**2 - height**2)
                circle = np.outer(np.cos(angle), units[:, 0]) + np.outer(np.sin(angle), units[:, 1])
                contour = pydicom.Dataset()
                contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(angle)
                points = centre + height * units[:, 2] + across * circle
                contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
                contours.append(contour)
    roi, drawn, frame = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    roi.ROINumber, roi.ROIName = 7, "Tumor"
    drawn.ReferencedROINumber, drawn.ContourSequence = 7, contours
    frame.FrameOfReferenceUID = slices[0].FrameOfReferenceUID
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTStructureSetStorage, generate_uid(_ROOT)
    file = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    file.Modality = "RTSTRUCT"
    file.StructureSetROISequence, file.ROIContourSequence = [roi], [drawn]
    file.ReferencedFrameOfReferenceSequence = [frame]
    file.save_as(path, enforce_file_format=True)
    return path
