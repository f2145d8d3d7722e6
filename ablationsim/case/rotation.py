"""The rotation of an applicator without roll: the smallest one that takes +z to its direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def swing(directions: Floats) -> Floats:
    """Return the smallest rotations that take +z to unit vectors; half a turn about x where that is -z.

    Parameters
    ----------
    directions : (..., 3) float64
        Unit vectors.

    Returns
    -------
    (..., 3, 3) float64
        Their columns are the turned x, y and z axes.
    """
    x, y, z = np.moveaxis(np.asarray(directions, dtype=np.float64), -1, 0)
    # The formula has a pole at -z, where all half turns about a line across z are equally small.
    opposite = z <= -1 + 1e-12
    beside = np.where(opposite, 1.0, 1 + z)
    turned = np.empty((*np.shape(z), 3, 3))
    turned[..., 0, 0] = 1 - x * x / beside
    turned[..., 0, 1] = turned[..., 1, 0] = -x * y / beside
    turned[..., 1, 1] = 1 - y * y / beside
    turned[..., 0, 2], turned[..., 1, 2], turned[..., 2, 2] = x, y, z
    turned[..., 2, 0], turned[..., 2, 1] = -x, -y
    turned[opposite] = np.diag([1.0, -1.0, -1.0])
    return turned


def about_z(angle: float) -> Floats:
    """Return the rotation about z by an angle [rad], shape (3, 3)."""
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
