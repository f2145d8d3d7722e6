"""How far places are from the surface of a part of a patient."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim import cache, vessels
from ablationsim.anatomy.grid import box_of
from ablationsim.errors import GeometryError
from ablationsim.vessels.contour import Body, contour, to_world
from ablationsim.vessels.distance import WallDistance
from ablationsim.vessels.smoothing import smooth_body
from ablationsim.vessels.vessel import Floats, Wall

Bools = NDArray[np.bool_]

# The grid reaches this much beyond the voxels [m]; places farther away are measured to the surface itself.
_MARGIN = 10e-3
# Distance of the nodes of small parts, and most nodes of large ones; a liver has them about 2 mm apart.
_FINE = 0.9e-3
_NODES = 1e6
# Rounds in which nodes ask their neighbours for a nearer point.
_ROUNDS = 2
# Nodes from the surface within which distances are measured to its triangles.
_NEAR = 2


@dataclass(frozen=True, eq=False)
class Distance:
    """Distance to the smooth surface of a part of a patient, negative inside.

    The surface is that of the smooth body that the voxels stand for (`ablationsim.vessels.smoothing`), so that it runs
    between the centres of voxels and encloses their volume. On a grid round the part distances are interpolated, which
    is right to a fraction of the grid's spacing; beyond they are measured to the surface.

    Attributes
    ----------
    body : Body
        Distance on a grid of its own, finer than thick slices are [m]; with the affine of that grid.
    wall : Wall
        The surface.
    source : str
        What it is the distance to, for messages.
    notes : tuple of str
        Specks that were left out and holes that were filled, one sentence each.
    """

    body: Body
    wall: Wall
    source: str
    notes: tuple[str, ...] = ()

    def __call__(self, points: Floats) -> Floats:
        """Distance of points, negative inside [m].

        Parameters
        ----------
        points : (p, 3) float64
            World coordinates, RAS [m].

        Returns
        -------
        (p,) float64
        """
        points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        indices = to_world(self._to_indices, points)
        last = np.array(self.body.distance.shape) - 1.0
        result: Floats = ndimage.map_coordinates(
            self.body.distance, np.clip(indices, 0.0, last).T, order=1, output=np.float64
        )
        beyond = np.any((indices < 0.0) | (indices > last), axis=1)
        if beyond.any():
            result[beyond] = self._to_wall(points[beyond])
        return result

    def surface(self) -> Wall:
        """Return the closed surface, which encloses the volume of the voxels; normals point out.

        What only closes it at the border of the image is `capped`.
        """
        return self.wall

    @cached_property
    def _to_wall(self) -> WallDistance:
        return WallDistance(self.wall)

    @cached_property
    def _to_indices(self) -> Floats:
        return np.asarray(np.linalg.inv(self.body.affine), dtype=np.float64)


def distance_to(mask: Bools, affine: Floats, source: str, fine: bool) -> Distance:
    """Return the distance to the surface of voxels.

    It is kept on disk, by the content of the voxels.

    Parameters
    ----------
    mask : (i, j, k) bool
        At least one is true.
    affine : (4, 4) float64
        From voxel indices to world coordinates, RAS [m].
    source : str
        What the voxels are, for messages.
    fine : bool
        Whether small voxels are all needed, as of tumours and vessels; those of large organs are merged.
    """
    block, moved = _block(mask, affine, source)
    folder = cache.folder_of("anatomies")
    place = None if folder is None else folder / f"{_key(block, moved, fine)}.npz"
    kept = _from_arrays(None if place is None else cache.load(place), source)
    if kept is not None:
        return kept
    volume = float(block.sum() * abs(np.linalg.det(moved[:3, :3])))
    apart = _FINE if fine else max(_FINE, float((block.size * abs(np.linalg.det(moved[:3, :3])) / _NODES) ** (1 / 3)))
    merged, coarse = _merged(block, moved, apart)
    body, found, notes = smooth_body(merged, coarse, apart)
    # What merging voxels changed is put right; what was left out and filled stays so.
    wall = contour(body, found + volume - float(merged.sum() * abs(np.linalg.det(coarse[:3, :3]))))
    body = Body(_measured(body, wall), body.affine)
    if place is not None:
        stored = {"distance": body.distance, "affine": body.affine, "notes": np.array(notes, str), **vars(wall)}
        cache.store(place, stored)
    return Distance(body, wall, source, notes)


def _block(mask: Bools, affine: Floats, source: str) -> tuple[Bools, Floats]:
    """The voxels with a margin round them, and the affine of that block.

    Where they touch the border of the image they end with the block: nobody knows what lies beyond.
    """
    margin = np.ceil(_MARGIN / np.linalg.norm(affine[:3, :3], axis=0)).astype(np.int64)
    box = box_of(mask)
    if box is None:
        raise GeometryError(f"There is no voxel of {source}: it has no surface.")
    starts, stops = np.array([[side.start, side.stop] for side in box]).T
    before = np.where(starts == 0, 0, margin)
    after = np.where(stops == mask.shape, 0, margin)
    moved = affine.copy()
    moved[:3, 3] = to_world(affine, (starts - before)[None].astype(np.float64))[0]
    return np.pad(mask[box], list(zip(before, after, strict=True))), moved


def _merged(block: Bools, affine: Floats, apart: float) -> tuple[Bools, Floats]:
    """Voxels merged into ones about as long as nodes are to be apart: true where half of them are, or more."""
    factors = np.maximum(1, np.rint(apart / np.linalg.norm(affine[:3, :3], axis=0))).astype(np.int64)
    if (factors == 1).all():
        return block, affine
    lacking = [(0, int(-size % factor)) for size, factor in zip(block.shape, factors, strict=True)]
    # The border repeats, so that what ends with the image goes on ending there.
    padded = np.pad(block, lacking, mode="edge")
    split = [n for size, factor in zip(padded.shape, factors, strict=True) for n in (size // factor, factor)]
    moved = affine.copy()
    moved[:3, :3] = affine[:3, :3] * factors
    moved[:3, 3] = to_world(affine, (0.5 * (factors - 1.0))[None])[0]
    return padded.reshape(split).mean(axis=(1, 3, 5)) >= 0.5, moved


def _key(block: Bools, affine: Floats, fine: bool) -> str:
    """Hash of all that a distance is made from."""
    digest = hashlib.sha256(np.packbits(block).tobytes())
    digest.update(repr((block.shape, affine.tolist(), fine)).encode())
    for folder in (Path(__file__).parent, Path(vessels.__file__).parent):
        digest.update("".join(cache.programs(["scipy", "vtk"], folder)).encode())
    return digest.hexdigest()


def _from_arrays(kept: Mapping[str, np.ndarray] | None, source: str) -> Distance | None:
    """What was kept on disk; None if it is not whole."""
    if kept is None or not {"distance", "affine", "notes", "points", "triangles", "capped"} <= set(kept):
        return None
    wall = Wall(kept["points"], kept["triangles"], kept["capped"])
    return Distance(Body(kept["distance"], kept["affine"]), wall, source, tuple(str(note) for note in kept["notes"]))


def _measured(body: Body, wall: Wall) -> NDArray[np.float32]:
    """Distances that are measured: what smoothing leaves only passes zero where the surface is.

    Near the surface they are measured to its triangles. From elsewhere they are those to the point of the surface that
    belongs to the nearest node beside it, which is right to the second order in the nodes' distance.
    """
    shape = body.distance.shape
    inside = body.inside
    beside = ndimage.binary_dilation(inside) & ~ndimage.binary_erosion(inside, border_value=1)
    near = ndimage.binary_dilation(beside, iterations=_NEAR)
    exact = np.zeros(shape, dtype=np.float32)
    exact[near] = WallDistance(wall)(to_world(body.affine, np.argwhere(near).astype(np.float64)))
    foot = _nearest_points(exact, beside, body)
    index = np.zeros(shape, dtype=np.int32)
    index[beside] = np.arange(len(foot))
    nearest = ndimage.distance_transform_edt(
        ~beside, sampling=body.spacing, return_distances=False, return_indices=True
    )
    index = index[tuple(nearest)]
    del nearest
    result = _to_points(foot, index, body)
    return np.where(near, exact, np.where(inside, -result, result)).astype(np.float32)


def _to_points(points: Floats, nearest: NDArray[np.int32], body: Body) -> NDArray[np.float32]:
    """Distance of the nodes from the nearest of points [m].

    That of a neighbouring node may be nearer than the one a node begins with; so it is asked for, twice.
    """
    shape = nearest.shape
    axes = [np.arange(size, dtype=np.float64) for size in shape]
    result = np.full(shape, np.inf, dtype=np.float32)
    for _ in range(_ROUNDS):
        before = nearest.copy()
        for slab in range(shape[0]):
            # Slab by slab: coordinates of all nodes at once would take more memory than all the rest.
            places = np.stack(np.meshgrid(axes[0][slab : slab + 1], axes[1], axes[2], indexing="ij"), axis=-1)
            places = to_world(body.affine, places.reshape(-1, 3))
            layer = np.pad(before[slab], 1, mode="edge")
            candidates = [before[slab], layer[:-2, 1:-1], layer[2:, 1:-1], layer[1:-1, :-2], layer[1:-1, 2:]]
            candidates += [before[max(slab - 1, 0)], before[min(slab + 1, shape[0] - 1)]]
            for candidate in candidates:
                other = (candidate != nearest[slab]) | np.isinf(result[slab])
                offsets = places[other.ravel()] - points[candidate[other]]
                found = np.sqrt(np.einsum("ij,ij->i", offsets, offsets))
                nearer = found < result[slab][other]
                result[slab][other] = np.where(nearer, found, result[slab][other])
                nearest[slab][other] = np.where(nearer, candidate[other], nearest[slab][other])
    return result


def _nearest_points(distance: NDArray[np.float32], which: Bools, body: Body) -> Floats:
    """The points of the surface that are nearest to some nodes, found along the slope of the distance there."""
    places = np.argwhere(which)
    slope = np.empty((len(places), 3))
    for axis in range(3):
        ends = []
        for step in (-1, 1):
            beside = places.copy()
            beside[:, axis] = np.clip(beside[:, axis] + step, 0, distance.shape[axis] - 1)
            ends.append(beside)
        width = np.maximum(ends[1][:, axis] - ends[0][:, axis], 1)
        slope[:, axis] = (distance[tuple(ends[1].T)] - distance[tuple(ends[0].T)]) / width
    slope = slope @ np.linalg.inv(body.affine[:3, :3])
    slope /= np.maximum(np.linalg.norm(slope, axis=1), 1e-12)[:, None]
    nearest: Floats = to_world(body.affine, places.astype(np.float64)) - distance[which][:, None] * slope
    return nearest
