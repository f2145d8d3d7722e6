"""Grids of voxels, and parts of a patient on them, each in the box that it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.vessels.contour import Bools, to_world
from ablationsim.vessels.image_files import ras_affine
from ablationsim.vessels.vessel import Floats, Ints

# Voxels of two grids that are the same lie no farther apart than this, in edges of a voxel.
_SAME = 0.1


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxels are.

    Attributes
    ----------
    shape : tuple of int
        Voxels along each of the three axes.
    affine : (4, 4) float64
        From voxel indices to world coordinates, RAS [m].
    """

    shape: tuple[int, ...]
    affine: Floats

    @property
    def cell(self) -> float:
        """Volume of a voxel [m3]."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def text(self) -> str:
        """Voxels and their edges, for messages."""
        edges = 1e3 * np.linalg.norm(self.affine[:3, :3], axis=0)
        return f"{' x '.join(map(str, self.shape))} voxels of {' x '.join(f'{edge:.4g}' for edge in edges)} mm"

    @property
    def corners(self) -> Floats:
        """World coordinates of the outer corners, shape (8, 3) [m]."""
        ends = [(-0.5, size - 0.5) for size in self.shape]
        return to_world(self.affine, np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T)

    def into(self, other: Grid) -> tuple[Ints, Ints] | None:
        """Return how indices here become indices of another grid; None when their voxels do not coincide.

        Returns
        -------
        matrix : (3, 3) int64
            A permutation of the axes with signs.
        offset : (3,) int64
        """
        change = np.linalg.inv(other.affine) @ self.affine
        matrix, offset = np.rint(change[:3, :3]), np.rint(change[:3, 3])
        if not np.array_equal(np.abs(matrix) @ np.ones(3), np.ones(3)) or round(abs(np.linalg.det(matrix))) != 1:
            return None
        exact = np.eye(4)
        exact[:3, :3], exact[:3, 3] = matrix, offset
        ends = np.array(np.meshgrid(*[(0, size - 1) for size in self.shape], indexing="ij")).reshape(3, -1).T
        if np.abs(to_world(change - exact, ends.astype(np.float64))).max() > _SAME:
            return None
        return matrix.astype(np.int64), offset.astype(np.int64)

    def joined(self, others: list[Grid]) -> Grid:
        """Return the smallest grid that holds this one and all others of the same voxels, which need not agree in size.

        Others whose voxels do not coincide with those here do not count.
        """
        low, high = np.zeros(3, dtype=np.int64), np.array(self.shape, dtype=np.int64)
        for other in others:
            step = other.into(self)
            if step is not None:
                ends = np.array([np.zeros(3, dtype=np.int64), np.array(other.shape) - 1]) @ step[0].T + step[1]
                low, high = np.minimum(low, ends.min(axis=0)), np.maximum(high, ends.max(axis=0) + 1)
        affine = self.affine.copy()
        affine[:3, 3] = to_world(self.affine, low[None].astype(np.float64))[0]
        return Grid(tuple(int(size) for size in high - low), affine)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a patient as somebody drew it.

    Attributes
    ----------
    name : str
        What the source calls it.
    source : str
        Where it is from, for messages.
    grid : Grid
        The grid that it was drawn on.
    corner : (3,) int64
        First voxel of the box round it.
    voxels : (i, j, k) bool
        Which voxels of that box are of it.
    """

    name: str
    source: str
    grid: Grid
    corner: Ints
    voxels: Bools

    @classmethod
    def of_mask(cls, name: str, source: str, grid: Grid, mask: Bools) -> Part | None:
        """Return the part that a mask of the whole grid shows; None when it is empty."""
        box = box_of(mask)
        if box is None:
            return None
        corner = np.array([side.start for side in box], dtype=np.int64)
        return cls(name, source, grid, corner, np.ascontiguousarray(mask[box]))

    @property
    def volume(self) -> float:
        """[m3]"""
        return float(self.voxels.sum() * self.grid.cell)

    @property
    def box(self) -> tuple[slice, ...]:
        """Where the voxels are in an array of the grid."""
        return tuple(slice(first, first + size) for first, size in zip(self.corner, self.voxels.shape, strict=True))

    def on(self, grid: Grid) -> Part | None:
        """Return the part on another grid, less what lies beyond it; None when nothing of it is there.

        Where voxels do not coincide each is asked at its centre, with linear interpolation.
        """
        step = self.grid.into(grid)
        if step is None:
            found, low = self._sampled(grid)
        else:
            matrix, offset = step
            found = reordered(self.voxels, matrix)
            low = np.minimum(
                matrix @ self.corner + offset, matrix @ (self.corner + np.array(self.voxels.shape) - 1) + offset
            )
        begin, end = np.maximum(low, 0), np.minimum(low + found.shape, grid.shape)
        if (begin >= end).any():
            return None
        return self._cut(grid, found[tuple(slice(a, b) for a, b in zip(begin - low, end - low, strict=True))], begin)

    def joined(self, other: Part) -> Part:
        """Return the union with a part on the same grid."""
        low = np.minimum(self.corner, other.corner)
        high = np.maximum(self.corner + self.voxels.shape, other.corner + other.voxels.shape)
        voxels = np.zeros(high - low, dtype=bool)
        for part in (self, other):
            first = part.corner - low
            box = tuple(slice(a, a + size) for a, size in zip(first, part.voxels.shape, strict=True))
            voxels[box] |= part.voxels
        return replace(self, corner=low, voxels=voxels)

    def _cut(self, grid: Grid, voxels: Bools, corner: Ints) -> Part | None:
        """With no more room round it than needed."""
        box = box_of(voxels)
        if box is None:
            return None
        first = np.array([side.start for side in box], dtype=np.int64)
        return replace(self, grid=grid, corner=np.asarray(corner + first, dtype=np.int64), voxels=voxels[box])

    def _sampled(self, grid: Grid) -> tuple[Bools, Ints]:
        padded = np.pad(self.voxels, 1).astype(np.float32)
        affine = self.grid.affine.copy()
        affine[:3, 3] = to_world(affine, (self.corner - 1.0)[None])[0]
        reach = to_world(np.linalg.inv(grid.affine), Grid(padded.shape, affine).corners)
        begin = np.clip(np.floor(reach.min(axis=0)), 0, grid.shape).astype(np.int64)
        end = np.clip(np.ceil(reach.max(axis=0)) + 1, begin, grid.shape).astype(np.int64)
        if (begin == end).any():
            return np.zeros((0, 0, 0), dtype=bool), begin
        return sampled(padded, affine, grid.affine, begin, end - begin) >= 0.5, begin


def box_of(mask: Bools) -> tuple[slice, ...] | None:
    """Return the smallest box round what is true, shape (i, j, k); None when nothing is."""
    filled = [np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    if not len(filled[0]):
        return None
    return tuple(slice(int(found[0]), int(found[-1]) + 1) for found in filled)


def lps_grid(shape: tuple[int, ...], lps: Floats) -> Grid:
    """Return the grid of an affine to LPS in millimetres, as DICOM has it."""
    return Grid(tuple(int(size) for size in shape), ras_affine(lps))


def reordered(values: NDArray[Any], matrix: Ints) -> NDArray[Any]:
    """Return values with their axes permuted and reversed as a matrix of `Grid.into` says."""
    axes = [int(np.flatnonzero(row)[0]) for row in matrix]
    moved = np.transpose(values, axes)
    return moved[tuple(slice(None, None, int(row[axis])) for row, axis in zip(matrix, axes, strict=True))]


def sampled(
    values: NDArray[Any], affine: Floats, other: Floats, begin: Ints, shape: Ints, outside: float = 0.0
) -> NDArray[np.float32]:
    """Return values, by linear interpolation, at the voxels of a block of another grid.

    Parameters
    ----------
    values : (i, j, k)
    affine, other : (4, 4) float64
        Of the values and of the other grid.
    begin, shape : (3,) int64
        First voxel and size of the block.
    outside : float
        What lies beyond the values.
    """
    change = np.linalg.inv(affine) @ other
    offset = to_world(change, np.asarray(begin, dtype=np.float64)[None])[0]
    found: NDArray[np.float32] = ndimage.affine_transform(
        values.astype(np.float32),
        change[:3, :3],
        offset,
        output_shape=tuple(int(size) for size in shape),
        order=1,
        mode="constant",
        cval=outside,
    )
    return found
