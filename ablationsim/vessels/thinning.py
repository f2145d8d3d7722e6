"""Thinning voxels to a skeleton that is one voxel wide and connected as they were.

Layers are taken off from six sides in turn, after Lee, Kashyap and Chu (1994): a voxel goes when the body stays as
connected as it was, inside and outside, and when the voxel is no end of a line. Both are looked at again at the moment
of removal, as others of its layer are gone by then. Of neighbours, every second one goes first: taken in a row, a line
two voxels wide would be eaten up from its end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

# Neighbours of a voxel are numbered 0 to 26, with itself as 13.
_OFFSETS = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)], dtype=np.int64)
_APART = np.abs(_OFFSETS[:, None] - _OFFSETS[None])
_SELF = 13


def _links(touching: NDArray[np.bool_], among: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Bit mask of the neighbours that each neighbour touches, among those that count."""
    linked = touching & among[:, None] & among[None]
    return (linked.astype(np.int64) << np.arange(27)).sum(axis=1)


_FACES = np.abs(_OFFSETS).sum(axis=1) == 1
_WITHOUT_CORNERS = np.abs(_OFFSETS).sum(axis=1) < 3
_OTHERS = np.arange(27) != _SELF
# The body is connected by faces, edges and corners, the outside by faces only.
_BODY_LINKS = _links((_APART.max(axis=-1) == 1), _OTHERS)
_OUTSIDE_LINKS = _links(_APART.sum(axis=-1) == 1, _WITHOUT_CORNERS & _OTHERS)
_FACE_BITS = int((_FACES.astype(np.int64) << np.arange(27)).sum())
_OUTSIDE_BITS = int(((_WITHOUT_CORNERS & _OTHERS).astype(np.int64) << np.arange(27)).sum())
_SIDES = np.flatnonzero(_FACES)


def thinned(mask: Bools) -> Bools:
    """Return the skeleton of a body of voxels, of the same shape (i, j, k).

    Every connected part keeps at least one voxel; holes through the body stay as rings.
    """
    padded = np.ascontiguousarray(np.pad(mask, 1), dtype=np.uint8)
    strides = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1], dtype=np.int64)
    flat = padded.ravel()
    voxels = np.flatnonzero(flat).astype(np.int64)
    i, j, k = np.unravel_index(voxels, padded.shape)
    colours = (4 * (i % 2) + 2 * (j % 2) + k % 2).astype(np.uint8)
    _thin(flat, voxels, colours, _OFFSETS @ strides, _SIDES, _BODY_LINKS, _OUTSIDE_LINKS)
    skeleton: Bools = padded[1:-1, 1:-1, 1:-1].astype(bool)
    return skeleton


@njit(cache=True)
def _thin(flat: Any, voxels: Any, colours: Any, offsets: Any, sides: Any, body_links: Any, outside_links: Any) -> None:
    """Take voxels out of `flat` in place; `voxels` are those that are set, voxels of one colour do not touch."""
    layer = np.empty(len(voxels), dtype=np.int64)
    count = len(voxels)
    changed = True
    while changed:
        changed = False
        for side in sides:
            outer = 0
            for index in range(count):
                voxel = voxels[index]
                if flat[voxel + offsets[side]] == 0 and _is_removable(flat, voxel, offsets, body_links, outside_links):
                    layer[outer] = index
                    outer += 1
            for colour in range(8):
                for place in range(outer):
                    index = layer[place]
                    if colours[index] == colour and _is_removable(
                        flat, voxels[index], offsets, body_links, outside_links
                    ):
                        flat[voxels[index]] = 0
                        changed = True
            left = 0
            for index in range(count):
                if flat[voxels[index]] == 1:
                    voxels[left], colours[left] = voxels[index], colours[index]
                    left += 1
            count = left


@njit(cache=True)
def _is_removable(flat: Any, voxel: int, offsets: Any, body_links: Any, outside_links: Any) -> bool:
    """Whether a voxel is no end of a line, and the body and the outside stay as connected as they are without it."""
    body = np.int64(0)
    neighbours = 0
    for number in range(27):
        if number != _SELF and flat[voxel + offsets[number]] == 1:
            body |= np.int64(1) << number
            neighbours += 1
    if neighbours < 2:
        return False
    if not _is_connected(body, body, body_links):
        return False
    outside = ~body & _OUTSIDE_BITS
    return _is_connected(outside & _FACE_BITS, outside, outside_links)


@njit(cache=True)
def _is_connected(wanted: int, among: int, links: Any) -> bool:
    """Whether all neighbours that are wanted, at least one, are connected among others; bit masks."""
    if wanted == 0:
        return False
    front = wanted & -wanted
    found = front
    while front != 0:
        reached = np.int64(0)
        for number in range(27):
            if (front >> number) & 1:
                reached |= links[number]
        front = reached & among & ~found
        found |= front
    return (wanted & ~found) == 0
