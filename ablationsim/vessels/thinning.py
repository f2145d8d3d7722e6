"""Thinning voxels to a skeleton that is one voxel wide and connected as they were.

Voxels go in the order of their depth, so that the skeleton runs along the middle (Pudney 1998): each when the body
stays as connected as it was, inside and outside, and when the voxel is no end of a line. Of equally deep neighbours
every second one goes first: taken in a row, a line two voxels wide would be eaten up from its end. An end counts only
where the body gets no deeper farther in; otherwise every bump of the surface would keep a line of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ablationsim.vessels.vessel import Floats

Bools = NDArray[np.bool_]

# Neighbours of a voxel are numbered 0 to 26, with itself as 13; sets of them are the bits of a number.
_OFFSETS = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)], dtype=np.int64)
_STEPS = np.abs(_OFFSETS).sum(axis=1)
_APART = np.abs(_OFFSETS[:, None] - _OFFSETS[None])
_SELF = 13
# Straight into a body the depth rises by 1 per length, along its middle by nothing.
_RISE = 0.6
_BLOCK = 100_000  # voxels whose neighbours are looked up at a time


def _bits(members: Bools) -> NDArray[np.int64]:
    """Set of neighbours as a number, over the last axis."""
    numbers: NDArray[np.int64] = (members.astype(np.int64) << np.arange(27)).sum(axis=-1)
    return numbers


# The body is connected by faces, edges and corners; the outside by faces only, without going round by corners.
_FACES = int(_bits(_STEPS == 1))
_OUTSIDE = int(_bits((_STEPS == 1) | (_STEPS == 2)))
_BODY_LINKS = _bits((_APART.max(axis=-1) == 1) & (_STEPS > 0))
_OUTSIDE_LINKS = _bits((_APART.sum(axis=-1) == 1) & (_STEPS > 0) & (_STEPS < 3))
_SIDES = np.flatnonzero(_STEPS == 1)


def thinned(mask: Bools, depth: NDArray[np.float32], spacing: Floats) -> Bools:
    """Return the skeleton of a body of voxels, of the same shape (i, j, k).

    Every connected part keeps at least one voxel; holes through the body stay as rings.

    Parameters
    ----------
    mask : (i, j, k) bool
    depth : (i, j, k) float32
        Distance of each voxel inside from the surface [m].
    spacing : (3,) float64
        Edge lengths of a voxel [m].
    """
    padded = np.ascontiguousarray(np.pad(mask, 1), dtype=np.uint8)
    flat = padded.ravel()
    voxels = np.flatnonzero(flat).astype(np.int64)
    deep = np.ascontiguousarray(np.pad(depth, 1)).ravel()
    # Voxels of one colour do not touch each other.
    i, j, k = np.unravel_index(voxels, padded.shape)
    voxels = voxels[np.lexsort((4 * (i % 2) + 2 * (j % 2) + k % 2, deep[voxels]))]
    offsets = _OFFSETS @ np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    rise = (_RISE * np.linalg.norm(_OFFSETS * spacing, axis=1)).astype(np.float32)
    keeping = np.zeros(len(flat), dtype=np.uint8)
    for start in range(0, len(voxels), _BLOCK):
        block = voxels[start : start + _BLOCK]
        keeping[block] = (deep[block[:, None] + offsets] <= deep[block, None] + rise).all(axis=1)
    _thin(flat, voxels, keeping, offsets)
    return padded[1:-1, 1:-1, 1:-1].astype(np.bool_)


@njit(cache=True)
def _thin(flat: Any, voxels: Any, keeping: Any, offsets: Any) -> None:
    """Take voxels, whose places in `flat` are given, out of it in their order; ends stay where `keeping` is set."""
    count = len(voxels)
    changed = True
    while changed:
        changed = False
        left = 0
        for index in range(count):
            voxel = voxels[index]
            if _is_removable(flat, voxel, keeping, offsets):
                flat[voxel] = 0
                changed = True
            else:
                voxels[left] = voxel
                left += 1
        count = left


@njit(cache=True)
def _is_removable(flat: Any, voxel: int, keeping: Any, offsets: Any) -> bool:
    """Whether the body and the outside stay as connected as they are without a voxel, and it is no end of a line."""
    body = np.int64(0)
    neighbours = 0
    for number in range(27):
        if number != _SELF and flat[voxel + offsets[number]] == 1:
            body |= np.int64(1) << number
            neighbours += 1
    if neighbours == 0 or (neighbours == 1 and keeping[voxel] == 1):
        return False
    if not _are_connected(body, body, _BODY_LINKS):
        return False
    outside = ~body & _OUTSIDE
    return _are_connected(outside & _FACES, outside, _OUTSIDE_LINKS)


@njit(cache=True)
def _are_connected(wanted: Any, among: Any, links: Any) -> bool:
    """Whether all members of a set, at least one, are connected by way of the members of another."""
    front = wanted & -wanted
    found = front
    while front != 0:
        reached = np.int64(0)
        for number in range(27):
            if (front >> number) & 1:
                reached |= links[number]
        front = reached & among & ~found
        found |= front
    return found != 0 and (wanted & ~found) == 0
