"""Files of label images: NIfTI, read with nibabel, and NRRD and MetaImage, read with SimpleITK."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import GeometryError
from ablationsim.vessels.vessel import Floats

Labels = NDArray[np.uint16]

_NIFTI = (".nii", ".nii.gz")
_ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
IMAGES = _NIFTI + _ITK
"""Endings of names of image files."""
#: A whole-body scan of a modern scanner has about 512 x 512 x 2000 voxels.
MOST_VOXELS = 600_000_000
#: Values of more kinds than this are grey values, not labels.
MOST_LABELS = 1000
#: Edge lengths of a voxel outside this range are in another unit than the file says [m].
VOXEL_EDGES = (0.05e-3, 20e-3)

_NIFTI_UNITS = {"unknown": 1e-3, "mm": 1e-3, "meter": 1.0, "micron": 1e-6}


def read_labels(path: Path, layer: int | None = None) -> tuple[Labels, Floats]:
    """Return the labels (i, j, k) of an image and its affine (4, 4) from voxel indices to RAS in metres.

    Parameters
    ----------
    path : Path
    layer : int, optional
        Of a .nrrd file in which segments overlap, and each voxel has several values: which of them.

    Raises
    ------
    GeometryError
        See `ablationsim.vessels.image.LabelImage.read`.
    """
    values, affine = read_values(path, layer)
    return _as_labels(values, path), affine


def read_values(path: Path, layer: int | None = None) -> tuple[NDArray[Any], Floats]:
    """Return the values (i, j, k) of an image, of whatever kind, and its affine (4, 4) to RAS in metres.

    Parameters
    ----------
    path : Path
    layer : int, optional
        As in `read_labels`.

    Raises
    ------
    GeometryError
        When the file is missing or damaged, has not three dimensions, is too large, or does not say where it lies.
    """
    name = path.name.lower()
    if not path.is_file():
        raise GeometryError(f"The image {path} does not exist.")
    if name.endswith(_NIFTI):
        values, affine = _read_nifti(path)
    elif name.endswith(_ITK):
        values, affine = _read_itk(path, layer)
    else:
        known = ", ".join(IMAGES)
        raise GeometryError(f"{path} is no label image that can be read: its name ends in none of {known}.")
    check_place(affine, str(path))
    return values, affine


def ras_affine(lps: Floats) -> Floats:
    """Return an affine (4, 4) from voxel indices to RAS in metres.

    Parameters
    ----------
    lps : (4, 4) float64
        The same to LPS in millimetres, as DICOM and ITK have it.
    """
    return np.diag([-1e-3, -1e-3, 1e-3, 1.0]) @ np.asarray(lps, dtype=np.float64)


def _read_nifti(path: Path) -> tuple[NDArray[Any], Floats]:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image: Any = nibabel.load(path)
        header = image.header
        _check_size(header.get_data_shape(), path)
        if not (int(header.get("sform_code", 0)) or int(header.get("qform_code", 0))):
            raise GeometryError(
                f"{path} does not say where in the patient it lies (sform_code and qform_code are 0); save it again "
                "from the program that made it, with its orientation."
            )
        scale = _NIFTI_UNITS[header.get_xyzt_units()[0]]
        values = np.asarray(image.dataobj)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, KeyError, zlib.error) as error:
        raise GeometryError(f"{path} cannot be read as NIfTI; it is damaged or incomplete ({error}).") from error
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= scale
    return values.reshape(values.shape[:3]), affine


def _read_itk(path: Path, layer: int | None) -> tuple[NDArray[Any], Floats]:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        _check_size(reader.GetSize(), path)
        placed = "NRRD_space" in reader.GetMetaDataKeys() or not path.name.lower().endswith((".nrrd", ".nhdr"))
        if reader.GetNumberOfComponents() != 1 and layer is None:
            raise GeometryError(
                f"{path} has {reader.GetNumberOfComponents()} values a voxel; a label image has one. Make one of "
                "overlapping segments with 'ablationsim anatomy', or save them as one label map."
            )
        if not placed:
            raise GeometryError(
                f"{path} does not say where in the patient it lies (it has no 'space'); save it again from the "
                "program that made it, with its orientation."
            )
        image = reader.Execute()
        if reader.GetNumberOfComponents() != 1:
            image = SimpleITK.VectorIndexSelectionCast(image, layer)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise GeometryError(f"{path} cannot be read; it is damaged or incomplete ({reason}).") from error
    dimension = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(dimension, dimension)[:3, :3]
    lps = np.eye(4)
    lps[:3, :3] = direction @ np.diag(image.GetSpacing()[:3])
    lps[:3, 3] = image.GetOrigin()[:3]
    values = SimpleITK.GetArrayFromImage(image).T
    return values.reshape(values.shape[:3]), ras_affine(lps)


def _check_size(shape: tuple[int, ...], path: Path) -> None:
    sides = " x ".join(map(str, shape))
    if len(shape) < 3 or any(side != 1 for side in shape[3:]):
        raise GeometryError(
            f"{path} has {len(shape)} dimensions ({sides}); a label image has three. Save one volume of it."
        )
    if min(shape) < 1 or math.prod(shape) > MOST_VOXELS:
        raise GeometryError(
            f"{path} claims {sides} voxels; from 1 to {MOST_VOXELS:,} can be read. Crop it to the liver."
        )


def check_place(affine: Floats, source: str) -> None:
    """Check that an affine is that of voxels with right angles, of a plausible size.

    Raises
    ------
    GeometryError
        When it is not.
    """
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not (np.isfinite(affine).all() and ((edges >= VOXEL_EDGES[0]) & (edges <= VOXEL_EDGES[1])).all()):
        sides = " x ".join(f"{1e3 * edge:.4g}" for edge in edges)
        low, high = (1e3 * edge for edge in VOXEL_EDGES)
        raise GeometryError(
            f"{source} has voxels of {sides} mm; edges from {low:g} to {high:g} mm can be read. Its header is wrong or "
            "in another unit than it says."
        )
    axes = affine[:3, :3] / edges
    if np.abs(axes.T @ axes - np.eye(3)).max() > 0.02:
        raise GeometryError(
            f"The voxels of {source} are sheared (a tilted gantry); resample it to a grid with right angles."
        )


def _as_labels(values: NDArray[Any], path: Path) -> Labels:
    if values.dtype.kind not in "uif":
        raise GeometryError(f"{path} holds values of type {values.dtype}; a label image holds whole numbers.")
    low, high = float(values.min()), float(values.max())
    whole = np.isfinite([low, high]).all() and (values.dtype.kind in "ui" or bool((values == np.rint(values)).all()))
    if not whole or low < 0.0 or high > np.iinfo(np.uint16).max:
        raise GeometryError(
            f"{path} holds values from {low:g} to {high:g}; labels are whole numbers from 0 to 65535. This looks like "
            "an image of grey values or probabilities, not a segmentation."
        )
    labels = values.astype(np.uint16)
    kinds = np.count_nonzero(np.bincount(labels.ravel(order="K"))) if high > MOST_LABELS else 0
    if kinds > MOST_LABELS:
        raise GeometryError(
            f"{path} holds {kinds} different values, more than the {MOST_LABELS} that a segmentation may have; this "
            "looks like an image of grey values."
        )
    return labels
