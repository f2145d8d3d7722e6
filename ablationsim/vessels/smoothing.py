"""Smooth bodies from voxels, which are often longer than the vessels are wide.

A body of thick slices is a staircase. The outline of each slice is turned into a distance, negative inside, and the
distances of neighbouring slices are interpolated (shape-based interpolation, Raya and Udupa 1990), smoothed, and moved
so that the body keeps the volume that its voxels have in every place, not only in total: thin vessels stay as thick as
they were drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.vessels.contour import Body, to_world
from ablationsim.vessels.vessel import Floats

# Distance of the nodes that the body is drawn with [m]; voxels are not merged, and no body has more nodes than this.
_SPACING = 0.9e-3
_MOST_NODES = 40e6
# Slices this much thicker than the voxels are wide are interpolated by their outlines.
_THICK = 1.5
# Width of the smoothing, in voxel edges of the slice: as much as the staircase is high.
_SMOOTHING = 0.7
# Rounds of putting the volume right where smoothing changed it; more change nothing that can be seen.
_ROUNDS = 4
# Connected pieces smaller than this are noise [m3]: 2 mm of a vessel of 3 mm.
SPECK = 15e-9


def smooth_body(
    voxels: NDArray[np.bool_], affine: Floats, nodes_apart: float = _SPACING
) -> tuple[Body, float, tuple[str, ...]]:
    """Return the smooth body that voxels stand for, their volume, and what was left out or filled, one sentence each.

    Parameters
    ----------
    voxels : (i, j, k) bool
        At least one is true. Where they reach the border the body goes on to the border, half a voxel farther out.
    affine : (4, 4) float64
        From voxel indices to world coordinates [m].
    nodes_apart : float
        About how far apart nodes are between which voxels are long [m]; no voxels are merged.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    voxels, notes = _cleaned(voxels, float(np.prod(spacing)))
    factors = _refinement(np.array(voxels.shape), spacing, nodes_apart)
    distance = _distance(voxels, spacing)
    for axis, factor in enumerate(factors):
        distance = _refined(distance, axis, factor)
    fine = spacing / factors
    width = _SMOOTHING * float(spacing.min()) / fine
    once = ndimage.gaussian_filter(distance, width, mode="nearest", truncate=3.0)
    # Twice the blurred minus the twice blurred: round surfaces do not shrink, as they do when blurred once.
    distance = 2.0 * once - ndimage.gaussian_filter(once, width, mode="nearest", truncate=3.0)
    distance = _without_fragments(_with_local_volume(distance, voxels, factors, spacing), float(np.prod(fine)))
    moved = affine.copy()
    moved[:3, :3] = affine[:3, :3] / factors
    moved[:3, 3] = to_world(affine, (0.5 / factors - 0.5)[None])[0]
    return Body(distance.astype(np.float32), moved), voxels.sum() * float(np.prod(spacing)), notes


def _cleaned(voxels: NDArray[np.bool_], cell: float) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Without specks and holes."""
    notes = []
    parts, count = ndimage.label(voxels, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    kept = (sizes * cell >= SPECK) | (sizes == sizes.max())
    if not kept.all():
        lost = sizes[~kept].sum() * cell
        notes.append(f"{count - kept.sum()} specks of together {lost * 1e9:.0f} mm3 beside it were left out.")
        voxels = np.concatenate([[False], kept])[parts]
    filled = ndimage.binary_fill_holes(voxels)
    holes = int(filled.sum() - voxels.sum())
    if holes:
        notes.append(f"Holes of together {holes * cell * 1e9:.0f} mm3 inside it were filled.")
    return filled, tuple(notes)


def _refinement(shape: NDArray[np.int64], spacing: Floats, wanted: float) -> NDArray[np.int64]:
    """How many nodes replace a voxel along each axis."""
    while True:
        factors = np.maximum(1, np.rint(spacing / wanted)).astype(np.int64)
        if np.prod(shape * factors) <= _MOST_NODES or (factors == 1).all():
            return factors
        wanted *= 1.2


def _distance(voxels: NDArray[np.bool_], spacing: Floats) -> NDArray[np.float32]:
    """Signed distance of each voxel from the surface [m], within its slice where slices are thick."""
    thick = int(np.argmax(spacing))
    if spacing[thick] < _THICK * np.delete(spacing, thick).max():
        return _signed(voxels, spacing)
    slices = [_signed(layer, np.delete(spacing, thick)) for layer in np.moveaxis(voxels, thick, 0)]
    # A slice with nothing in it is as far outside as the next one is away.
    limit = spacing[thick]
    return np.moveaxis(np.clip(np.array(slices, dtype=np.float32), -limit, limit), 0, thick)


def _signed(voxels: NDArray[np.bool_], spacing: Floats) -> NDArray[np.float32]:
    """Signed distance; distances are measured between centres, and the surface runs half-way between them."""
    half = 0.5 * float(spacing.min())
    far = np.float32(np.linalg.norm(spacing * voxels.shape))
    if not voxels.any():
        return np.full(voxels.shape, far, dtype=np.float32)
    if voxels.all():
        return np.full(voxels.shape, -far, dtype=np.float32)
    outside = ndimage.distance_transform_edt(~voxels, sampling=spacing)
    inside = ndimage.distance_transform_edt(voxels, sampling=spacing)
    return np.where(voxels, half - inside, outside - half).astype(np.float32)


def _refined(values: NDArray[np.float32], axis: int, factor: int) -> NDArray[np.float32]:
    """Split each voxel into `factor` along an axis, with linear interpolation between the centres."""
    if factor == 1:
        return values
    count = values.shape[axis]
    places = np.clip((np.arange(count * factor) + 0.5) / factor - 0.5, 0.0, count - 1.0)
    lower = np.minimum(places.astype(int), max(count - 2, 0))
    upper = np.minimum(lower + 1, count - 1)
    weight = (places - lower).astype(np.float32).reshape([-1 if other == axis else 1 for other in range(3)])
    return (1.0 - weight) * np.take(values, lower, axis) + weight * np.take(values, upper, axis)


def _with_local_volume(
    distance: NDArray[np.float32], voxels: NDArray[np.bool_], factors: NDArray[np.int64], spacing: Floats
) -> NDArray[np.float32]:
    """Move the surface so that the volume round every place is that of the voxels there."""
    reach = 0.5 * float(spacing.max()) + float(spacing.min())
    blur = reach / spacing
    width = float((spacing / factors).min())
    wanted = ndimage.gaussian_filter(voxels.astype(np.float32), blur)
    shift = np.zeros(voxels.shape, dtype=np.float32)
    limit = np.float32(0.5 * spacing.max())
    moved = distance
    for _ in range(_ROUNDS):
        found = _mean_in_voxels(np.clip(0.5 - moved / (2.0 * width), 0.0, 1.0), factors)
        slope = _mean_in_voxels((np.abs(moved) < width) / np.float32(2.0 * width), factors)
        missing = wanted - ndimage.gaussian_filter(found, blur)
        density = ndimage.gaussian_filter(slope, blur)
        shift += missing / np.maximum(density, 0.05 * float(density.max()))
        shift = np.clip(shift, -limit, limit)
        fine = shift
        for axis, factor in enumerate(factors):
            fine = _refined(fine, axis, factor)
        moved = distance - fine
    return moved


def _without_fragments(distance: NDArray[np.float32], cell: float) -> NDArray[np.float32]:
    """Without the ends of vessels so thin that smoothing tore them off."""
    parts, _ = ndimage.label(distance < 0.0, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    lost = (sizes * cell < SPECK) & (sizes < sizes.max())
    lost[0] = False
    return np.where(lost[parts], np.abs(distance), distance)


def _mean_in_voxels(values: NDArray[np.floating], factors: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean over the nodes that replace each voxel."""
    coarse = [side // factor for side, factor in zip(values.shape, factors, strict=True)]
    split = [number for pair in zip(coarse, factors, strict=True) for number in pair]
    return values.reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)
