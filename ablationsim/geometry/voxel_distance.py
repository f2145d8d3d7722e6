"""Distance to large parts of a patient, by their voxels: organs, bones, and the outline of the body.

These are large, many, and known to a voxel; the smooth surfaces that vessels and tumours have would take minutes. A
distance is measured between voxels of about equal edges, into which thick slices are cut and small voxels are joined.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim import cache
from ablationsim.anatomy import Anatomy
from ablationsim.vessels.contour import to_world

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SPACING = 1.5e-3
"""Edge of the voxels that distances are measured between, at least [m]."""

_MOST = 8e6
"""Voxels at most; they become larger where this does not do."""

_MARGIN = 40e-3
"""How far round the part distances are measured [m]; farther out they are those to the box round it."""

_KNOWN: WeakKeyDictionary[Anatomy, dict[tuple[str, ...], VoxelDistance]] = WeakKeyDictionary()


class VoxelDistance:
    """Signed distance to the surface of voxels, negative inside, right to half of their edge or so.

    Attributes
    ----------
    distance : (i, j, k) float32
        On a grid [m].
    affine : (4, 4) float64
        From the grid's indices to world coordinates [m].
    low, high : (3,) float64
        Corners of the box round the part, world coordinates [m].
    """

    def __init__(self, distance: NDArray[np.float32], affine: Floats, low: Floats, high: Floats) -> None:
        self.distance, self.affine, self.low, self.high = distance, affine, low, high


def voxel_distance(anatomy: Anatomy, names: tuple[str, ...]) -> VoxelDistance:
    """Return the distance to the union of some structures; it is made once, and kept on disk.

    Raises
    ------
    GeometryError
        When a structure does not exist.
    """
    known = _KNOWN.setdefault(anatomy, {})
    if names not in known:
        mask = anatomy.mask(*names)
        known[names] = _kept(mask, anatomy.image.affine, lambda: _measured(mask, anatomy.image.affine))
    return known[names]


def _kept(mask: Bools, affine: Floats, make: Callable[[], VoxelDistance]) -> VoxelDistance:
    """What was made before of the same voxels, or what is made now."""
    folder = cache.folder_of("anatomies")
    if folder is None:
        return make()
    key = hashlib.sha256(np.packbits(mask).tobytes() + str((mask.shape, affine.round(9).tolist())).encode())
    key.update(Path(__file__).read_bytes())
    place = folder / f"{key.hexdigest()}.npz"
    kept = cache.load(place)
    if kept is not None and {"distance", "affine", "low", "high"} <= set(kept):
        return VoxelDistance(kept["distance"], kept["affine"], kept["low"], kept["high"])
    made = make()
    cache.store(place, vars(made))
    return made


def _measured(mask: Bools, affine: Floats) -> VoxelDistance:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    margin = np.ceil(_MARGIN / spacing).astype(int)
    begin = np.maximum([side.start for side in box] - margin, 0)
    end = np.minimum([side.stop for side in box] + margin, mask.shape)
    mask = mask[tuple(slice(first, last) for first, last in zip(begin, end, strict=True))]
    edge = max(_SPACING, float(np.prod(spacing) * mask.size / _MOST) ** (1 / 3))
    joined = np.maximum(np.floor(edge / spacing + 0.25), 1).astype(int)
    cut = np.where(joined > 1, 1, np.maximum(np.rint(spacing / edge), 1)).astype(int)
    mask = _cut(_joined(mask, joined), cut)
    grid = spacing * joined / cut
    half = 0.5 * float(grid.min())
    outside = ndimage.distance_transform_edt(~mask, sampling=grid)
    inside = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=grid)[1:-1, 1:-1, 1:-1]
    distance = np.where(mask, half - inside, outside - half).astype(np.float32)
    moved = affine.copy()
    moved[:3, :3] = affine[:3, :3] * (joined / cut)
    # The first place on the new grid is the middle of what was joined, or of the first piece.
    moved[:3, 3] = to_world(affine, (begin + 0.5 * (joined / cut - 1.0))[None])[0]
    filled = np.argwhere(mask)
    corners = np.array(np.meshgrid(*zip(filled.min(axis=0) - 0.5, filled.max(axis=0) + 0.5, strict=True)))
    box_corners = to_world(moved, corners.reshape(3, -1).T)
    return VoxelDistance(distance, moved, box_corners.min(axis=0), box_corners.max(axis=0))


def _joined(mask: Bools, count: NDArray[np.int64]) -> Bools:
    """Blocks of voxels as one, of the part when any of them is: what is thin is not lost."""
    for axis, number in enumerate(count):
        if number > 1:
            mask = np.logical_or.reduceat(mask, np.arange(0, mask.shape[axis], number), axis=axis)
    return mask


def _cut(mask: Bools, count: NDArray[np.int64]) -> Bools:
    for axis, number in enumerate(count):
        if number > 1:
            mask = np.repeat(mask, number, axis=axis)
    return mask
