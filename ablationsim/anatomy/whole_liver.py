"""The liver as an organ: with its tumours and the vessels that run in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.anatomy.grid import box_of
from ablationsim.anatomy.structure import VESSELS
from ablationsim.errors import GeometryError
from ablationsim.vessels.contour import Bools

if TYPE_CHECKING:
    from ablationsim.anatomy.anatomy import Anatomy

# A channel no wider than twice this that the liver surrounds is a vessel in the liver [m]: hepatic veins are up to
# 15 mm wide where they leave it, and the vena cava, which lies beside the liver, is wider.
_REACH = 8e-3


def whole_liver(anatomy: Anatomy) -> Bools:
    """Return which voxels the liver takes with what lies in it, shape (i, j, k).

    That is the liver and its tumours, also where these stick out; of vessels and bile ducts what a closing of the two
    with a ball of 8 mm reaches; and every hole that is left inside.
    """
    inner = [structure.label for structure in anatomy.of_role("liver", "tumour")]
    vessels = [structure.label for structure in anatomy.of_role(*VESSELS, "bile_duct")]
    values, spacing = anatomy.image.values, anatomy.image.spacing
    solid = np.isin(values, inner)
    box = box_of(solid)
    if box is None:
        raise GeometryError(f"{anatomy.image.source} has no voxel of the liver.")
    pad = [int(np.ceil(_REACH / step)) + 1 for step in spacing]
    block = np.pad(solid[box], [(width, width) for width in pad])
    closed = _closed(block, spacing)[tuple(slice(width, -width) for width in pad)]
    part = solid[box] | (closed & np.isin(values[box], vessels))
    whole = np.zeros(solid.shape, dtype=bool)
    whole[box] = ndimage.binary_fill_holes(part)
    return whole


def _closed(mask: Bools, spacing: NDArray[np.float64]) -> Bools:
    """Closing with a ball."""
    wide = ndimage.distance_transform_edt(~mask, sampling=spacing) <= _REACH
    closed: Bools = ndimage.distance_transform_edt(wide, sampling=spacing) > _REACH
    return closed | mask
