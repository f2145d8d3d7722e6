"""From the world of a case (RAS, metres) to that of DICOM, ITK and 3D Slicer's files (LPS, millimetres), and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ablationsim.zone.extract import Floats

_TURN = 1e3 * np.array([-1.0, -1.0, 1.0])


def to_lps(vectors: ArrayLike) -> Floats:
    """Points or directions, shape (..., 3), RAS in metres, as LPS in millimetres.

    It is half a turn about the axis from foot to head: nothing is mirrored.
    """
    return np.asarray(_TURN * np.asarray(vectors, dtype=np.float64) + 0.0)


def from_lps(vectors: ArrayLike) -> Floats:
    """Points or directions, shape (..., 3), LPS in millimetres, as RAS in metres."""
    return np.asarray(np.asarray(vectors, dtype=np.float64) / _TURN + 0.0)
