"""Label images: organs, vessels and tumours as voxels with a number each.

World coordinates are the patient's, RAS, in metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.errors import GeometryError
from ablationsim.vessels.centreline import centreline_of
from ablationsim.vessels.contour import Body, contour, to_world
from ablationsim.vessels.image_files import Labels, read_labels
from ablationsim.vessels.smoothing import smooth_body
from ablationsim.vessels.vessel import Floats, Shape, Wall


@dataclass(frozen=True, eq=False)
class LabelContent:
    """How much of an image a label takes.

    Attributes
    ----------
    label : int
    voxels : int
    volume : float
        [m3]
    centroid : (3,) float64
        World coordinates, RAS [m].
    """

    label: int
    voxels: int
    volume: float
    centroid: Floats


@dataclass(frozen=True, eq=False)
class LabelImage:
    """An image whose values are numbers of labels; 0 is the background.

    Attributes
    ----------
    values : (i, j, k) uint16
    affine : (4, 4) float64
        From voxel indices (centres of voxels) to world coordinates, RAS, in metres.
    source : str
        Where the image came from, for messages.
    """

    values: Labels
    affine: Floats
    source: str = "the label image"

    @classmethod
    def read(cls, path: str | Path, layer: int | None = None) -> LabelImage:
        """Read a three-dimensional label image from a .nii, .nii.gz, .nrrd, .nhdr, .mha or .mhd file.

        Parameters
        ----------
        path : str or Path
        layer : int, optional
            Which value of a voxel, where overlapping segments give it several; see `ablationsim.vessels.segments`.

        Raises
        ------
        GeometryError
            When the file is missing or damaged, has not three dimensions, holds anything but labels, is too large, or
            does not say where in the patient it lies.
        """
        values, affine = read_labels(Path(path), layer)
        return cls(values, affine, str(path))

    @property
    def spacing(self) -> Floats:
        """Edge lengths of a voxel, shape (3,), in metres."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def contents(self) -> tuple[LabelContent, ...]:
        """Return what each label but the background takes, in rising order of the labels."""
        cell = float(abs(np.linalg.det(self.affine[:3, :3])))
        counts = np.bincount(self.values.ravel(order="K"))
        found = []
        for label, box in enumerate(ndimage.find_objects(self.values), start=1):
            if box is not None:
                mask = self.values[box] == label
                # Along each axis from the voxels of each layer: the places of all voxels would take too much memory.
                layers = [mask.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
                middle = np.array(
                    [side.start + np.average(np.arange(len(n)), weights=n) for side, n in zip(box, layers, strict=True)]
                )
                centroid = to_world(self.affine, middle[None])[0]
                found.append(LabelContent(label, int(counts[label]), counts[label] * cell, centroid))
        return tuple(found)

    def require(self, label: int) -> None:
        """Check that a label is present.

        Raises
        ------
        GeometryError
            When it is not; names the labels that are.
        """
        counts = np.bincount(self.values.ravel(order="K"))
        if 0 < label < len(counts) and counts[label]:
            return
        present = [f"{number} ({counts[number]} voxels)" for number in np.flatnonzero(counts) if number]
        raise GeometryError(
            f"{self.source} has no voxel of label {label}; it has "
            + (", ".join(present) if present else "none but the background 0")
            + "."
        )

    def cropped(self, low: Floats, high: Floats) -> LabelImage:
        """Return the block of voxels round a box in world coordinates.

        Parameters
        ----------
        low, high : (3,) float64
            Corners of the box [m].

        Raises
        ------
        GeometryError
            When the box lies outside the image.
        """
        corners = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1).T
        indices = to_world(np.linalg.inv(self.affine), corners)
        begin = np.maximum(np.floor(indices.min(axis=0) + 0.5).astype(int), 0)
        end = np.minimum(np.floor(indices.max(axis=0) + 0.5).astype(int) + 1, self.values.shape)
        if (begin >= end).any():
            raise GeometryError(f"The region asked for lies outside {self.source}.")
        block = tuple(slice(first, last) for first, last in zip(begin, end, strict=True))
        return replace(self, values=self.values[block], affine=_shifted(self.affine, begin))


def shape_of_label(image: LabelImage, label: int, region: tuple[Floats, Floats] | None = None) -> Shape:
    """Return wall and centrelines of a vessel tree that is a label of an image.

    Parameters
    ----------
    image : LabelImage
    label : int
    region : pair of (3,) float64, optional
        Corners of a box in world coordinates [m] to which the image is cropped first.

    Returns
    -------
    Shape
        The wall is closed and smooth; what closes it at the border of the image or of the region is `capped`.

    Raises
    ------
    GeometryError
        When the label is absent, or the region holds nothing of it.
    """
    image.require(label)
    if region is not None:
        image = image.cropped(*region)
        if not (image.values == label).any():
            raise GeometryError(f"The region asked for holds nothing of label {label} of {image.source}.")
    body, volume, notes = _body(image, label)
    return Shape(contour(body, volume), centreline_of(body.inside, body.affine), notes)


def surface_of_label(image: LabelImage, label: int) -> tuple[Wall, tuple[str, ...]]:
    """Return the closed, smooth surface of a label that may be of any shape, and what was left out or filled.

    It encloses the volume of the voxels; what closes it at the border of the image is `capped`.

    Raises
    ------
    GeometryError
        When the label is absent.
    """
    image.require(label)
    body, volume, notes = _body(image, label)
    return contour(body, volume), notes


def mask_at(image: LabelImage, label: int, points: Floats) -> Floats:
    """Return how far points belong to a label: 1 inside, 0 outside, half on its surface, over the width of a voxel.

    Parameters
    ----------
    image : LabelImage
    label : int
    points : (p, 3) float64
        World coordinates [m].

    Raises
    ------
    GeometryError
        When the label is absent.
    """
    image.require(label)
    body, _, _ = _body(image, label)
    soft = ndimage.gaussian_filter(body.inside.astype(np.float32), 0.5 * image.spacing.min() / body.spacing)
    indices = to_world(np.linalg.inv(body.affine), np.asarray(points, dtype=np.float64))
    # The image reaches half a voxel beyond its last nodes.
    beyond = (indices < -0.5) | (indices > np.array(soft.shape) - 0.5)
    found = ndimage.map_coordinates(soft, indices.T, order=1, mode="nearest").astype(np.float64)
    return np.where(beyond.any(axis=1), 0.0, found)


def _body(image: LabelImage, label: int) -> tuple[Body, float, tuple[str, ...]]:
    """Smooth body of a label that is present, its volume and notes, with a margin where the image has one."""
    mask = image.values == label
    filled = [np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    margin = np.ceil(4.0 * image.spacing.min() / image.spacing).astype(int) + 1
    begin = np.maximum([found[0] for found in filled] - margin, 0)
    end = np.minimum([found[-1] for found in filled] + margin + 1, mask.shape)
    block = tuple(slice(first, last) for first, last in zip(begin, end, strict=True))
    return smooth_body(mask[block], _shifted(image.affine, begin))


def _shifted(affine: Floats, begin: NDArray[np.int64]) -> Floats:
    """Affine of the block of a grid that begins at an index, shape (3,)."""
    moved = affine.copy()
    moved[:3, 3] = to_world(affine, begin[None].astype(np.float64))[0]
    return moved
