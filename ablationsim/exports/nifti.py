"""Images as NIfTI: RAS, millimetres."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.exports.grid import ImageGrid
from ablationsim.results.files import write_whole

MILLIMETRES = 1e3


def write_nifti(path: Path, values: NDArray[Any], grid: ImageGrid, description: str) -> None:
    """Write an image as .nii.gz.

    Parameters
    ----------
    path : Path
    values : (i, j, k) bool or float
        Booleans become 0 and 1 of eight bits, others single precision.
    grid : ImageGrid
        Its voxels.
    description : str
        For the header: at most 79 characters of ASCII.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    import nibabel

    affine = grid.affine.copy()
    affine[:3] *= MILLIMETRES
    image = nibabel.Nifti1Image(values.astype(np.uint8 if values.dtype == bool else np.float32), affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode("ascii")[:79]
    # Both ways of saying where it lies, in scanner coordinates: programs differ in which one they look at.
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    write_whole(path, gzip.compress(image.to_bytes(), compresslevel=4, mtime=0))
