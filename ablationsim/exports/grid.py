"""The voxels that predictions are put on: those of the patient's image, finer ones along its axes, or cubes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import OutputError
from ablationsim.vessels.contour import to_world
from ablationsim.vessels.image_files import MOST_VOXELS
from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.voxels import Bools, inside

OWN_SPACING = 1e-3
"""Edge of a voxel where no image says one [m]."""


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """Voxels in a patient.

    Attributes
    ----------
    affine : (4, 4) float64
        From voxel indices (centres of voxels) to world coordinates, RAS, in metres.
    shape : tuple of int
        Number of voxels along each axis of the image.
    """

    affine: Floats
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, low: Floats, high: Floats, spacing: float = OWN_SPACING) -> ImageGrid:
        """Return cubic voxels along the axes of the world over a box [m]."""
        count = np.ceil((high - low) / spacing).astype(int) + 1
        affine = np.diag([spacing, spacing, spacing, 1.0])
        affine[:3, 3] = low
        return cls(affine, (int(count[0]), int(count[1]), int(count[2])))

    @property
    def spacing(self) -> Floats:
        """Edges of a voxel, shape (3,), in metres."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def indices(self, points: Floats) -> Floats:
        """Return where points, shape (n, 3) in metres, lie, in numbers of voxels."""
        return to_world(np.linalg.inv(self.affine), points)

    def holds(self, points: Floats) -> Bools:
        """Return which points, shape (n, 3) in metres, lie in a voxel, shape (n,)."""
        found = self.indices(points)
        within = (found > -0.5) & (found < np.array(self.shape) - 0.5)
        return np.asarray(within.all(axis=1))

    def centres(self) -> Floats:
        """Return the centres of all voxels, shape (n, 3) in metres; the last index runs fastest."""
        return to_world(self.affine, np.indices(self.shape).reshape(3, -1).T.astype(np.float64))

    def divided(self, spacing: float) -> ImageGrid:
        """Return the same block in voxels whose edges are whole parts of these and at most `spacing` [m]."""
        parts = np.ceil(self.spacing / spacing - 1e-6).astype(int)
        affine = self.affine.copy()
        affine[:3, :3] /= parts
        # The first small voxel lies in the corner of the first large one, not at its centre.
        affine[:3, 3] = to_world(self.affine, (0.5 / parts - 0.5)[None])[0]
        i, j, k = (int(count * part) for count, part in zip(self.shape, parts, strict=True))
        return ImageGrid(affine, (i, j, k))

    def block(self, points: Floats, margin: float) -> tuple[slice, slice, slice]:
        """Return the indices of the voxels round points [m] with a margin [m], as far as the image reaches.

        Raises
        ------
        OutputError
            When the points lie outside the image.
        """
        found = self.indices(points)
        room = margin / self.spacing
        begin = np.maximum(np.floor(found.min(axis=0) - room).astype(int), 0)
        end = np.minimum(np.ceil(found.max(axis=0) + room).astype(int) + 1, self.shape)
        if (begin >= end).any():
            centre = 1e3 * points.mean(axis=0)
            raise OutputError(
                f"What is to be written lies at ({centre[0]:.0f}, {centre[1]:.0f}, {centre[2]:.0f}) mm (RAS), outside "
                "the image that gives the grid. The image belongs to another patient, or its place was changed."
            )
        i, j, k = (slice(int(first), int(last)) for first, last in zip(begin, end, strict=True))
        return i, j, k

    def cropped(self, block: Sequence[slice]) -> ImageGrid:
        """Return a block of the voxels."""
        affine = self.affine.copy()
        affine[:3, 3] = to_world(self.affine, np.array([[side.start for side in block]], dtype=np.float64))[0]
        i, j, k = (side.stop - side.start for side in block)
        return ImageGrid(affine, (i, j, k))

    def limited(self) -> ImageGrid:
        """Return itself.

        Raises
        ------
        OutputError
            When it has more voxels than an image of this program can have.
        """
        if np.prod(self.shape, dtype=np.float64) > MOST_VOXELS:
            sides = " x ".join(map(str, self.shape))
            raise OutputError(
                f"The files would have {sides} voxels; at most {MOST_VOXELS:,} can be written. Choose a "
                "larger --spacing."
            )
        return self

    def of_surface(self, surface: Surface) -> Bools:
        """Return which voxels have their centre inside a closed surface of triangles [m], shape of the image."""
        found = np.zeros(self.shape, dtype=bool)
        if len(surface.facets):
            block = self.block(surface.points, 2.0 * float(self.spacing.max()))
            found[block] = inside(surface, self.cropped(block))
        return found

    def of_rods(self, lines: Sequence[tuple[Floats, float]]) -> Bools:
        """Return which voxels a wire takes, drawn at least one voxel thick so that it shows.

        Parameters
        ----------
        lines : sequence of ((k, 3) float64, float)
            Straight pieces through the points, and the radius [m].
        """
        found = np.zeros(self.shape, dtype=bool)
        least = 0.5 * float(np.linalg.norm(self.spacing))
        for line, radius in lines:
            block = self.block(line, max(radius, least))
            part = self.cropped(block)
            found[block] |= (_from_line(part.centres(), line) <= max(radius, least)).reshape(part.shape)
        return found


def _from_line(points: Floats, line: Floats) -> Floats:
    """Distance of points (n, 3) from the straight pieces through the points of a line (k, 3) [m]."""
    nearest: NDArray[np.float64] = np.full(len(points), np.inf)
    for start, end in pairwise(line):
        along = end - start
        share = np.clip((points - start) @ along / (along @ along), 0.0, 1.0)
        nearest = np.minimum(nearest, np.linalg.norm(points - start - share[:, None] * along, axis=1))
    return nearest
