"""Coordinates of files that carry no unit and no axes of their own, brought into the world: metres and RAS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import MeshError
from ablationsim.units import LengthUnit

Floats = NDArray[np.float64]
Orientation = Literal["RAS", "LPS"]

METRES: Mapping[LengthUnit, float] = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6}
"""Length of each unit [m]."""

#: Nothing that lies in a liver, or in a block of tissue on a bench, is smaller or larger than this [m].
SMALLEST, LARGEST = 1e-3, 1.0


def to_world(points: Floats, unit: LengthUnit, orientation: Orientation | None, where: str) -> Floats:
    """Bring the points (n, 3) of a file into world coordinates.

    Left and right, and front and back, change places together when the axes are LPS: that is half a turn about z, so
    that normals that point outward still do.

    Raises
    ------
    MeshError
        When a coordinate is not finite, or the extent cannot be meant in that unit; `where` begins the message.
    """
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise MeshError(f"{where}: the coordinates of point {bad[0] + 1} are not finite numbers: {points[bad[0]]}.")
    extent = float(np.ptp(points, axis=0).max())
    if not SMALLEST <= extent * METRES[unit] <= LARGEST:
        likely = [name for name, length in METRES.items() if 5 * SMALLEST <= extent * length <= LARGEST / 2]
        hint = f" Its unit is rather {' or '.join(likely)}." if likely else ""
        raise MeshError(
            f"{where}: it is {extent:.4g} {unit} large, outside {SMALLEST * 1e3:g} mm to {LARGEST * 1e3:g} mm, "
            f"which nothing near a needle is.{hint}"
        )
    turn = np.array([-1.0, -1.0, 1.0]) if orientation == "LPS" else np.ones(3)
    return np.asarray(points * (METRES[unit] * turn), dtype=np.float64)


def place(point: Floats) -> str:
    """A point [m] as it is named in messages."""
    x, y, z = 1e3 * np.asarray(point) + 0.0
    return f"({x:.2f}, {y:.2f}, {z:.2f}) mm"
