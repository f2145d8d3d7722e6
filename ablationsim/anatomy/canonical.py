"""The form in which an anatomy is kept: a label image, the table of its labels, and the CT when there is one.

Nothing in it tells who the patient is: no names, dates, numbers or texts of the sources.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.anatomy.anatomy import Anatomy
from ablationsim.vessels.vessel import Floats

LABELS, TABLE, CT = "labels.nii.gz", "labels.json", "ct.nii.gz"


def files_of(anatomy: Anatomy, ct: NDArray[np.int16] | None, notes: Sequence[str]) -> dict[str, bytes]:
    """Return the content of the files by name.

    Parameters
    ----------
    anatomy : Anatomy
    ct : (i, j, k) int16, optional
        Grey values on the grid of the anatomy, in Hounsfield units.
    notes : sequence of str
        For whoever uses it, one sentence each.
    """
    cell = float(abs(np.linalg.det(anatomy.image.affine[:3, :3])))
    counts = np.bincount(anatomy.image.values.ravel(order="K"))
    table = {
        "schema": "ablationsim anatomy",
        "version": 1,
        "statement": "Research use only; not a medical device.",
        "axes": "RAS, millimetres",
        "structures": [
            {
                "name": structure.name,
                "role": structure.role,
                "label": structure.label,
                "volume_ml": round(float(counts[structure.label]) * cell * 1e6, 3),
            }
            for structure in anatomy.structures
        ],
        "notes": list(notes),
        "software": f"ablationsim {version('ablationsim')}",
    }
    labels = anatomy.image.values
    small = labels.astype(np.uint8) if labels.max() < 256 else labels
    found = {LABELS: _nifti(small, anatomy.image.affine)}
    if ct is not None:
        found[CT] = _nifti(ct, anatomy.image.affine)
    # The table last: whoever finds it finds the image as well.
    found[TABLE] = (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode()
    return found


def _nifti(values: NDArray[Any], affine: Floats) -> bytes:
    """A compressed NIfTI file; the same values give the same bytes."""
    import nibabel

    millimetres = affine.copy()
    millimetres[:3] *= 1e3
    image = nibabel.Nifti1Image(values, millimetres)
    image.header.set_xyzt_units("mm")
    image.set_sform(millimetres, 1)
    image.set_qform(millimetres, 1)
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
