"""Small anatomies that are known exactly: a round tumour in an ellipsoid liver, a straight vein beside it.

They are drawn on any grid: spacing, order and direction of the axes, and a turn of the patient against them. World
coordinates are RAS in millimetres here, as in the files.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablationsim.anatomy import Anatomy

LABELS = {"liver": 1, "hepatic_vein": 2, "portal_vein": 3, "tumour": 4, "rib_right_8": 5, "colon": 6}
"""Label of each structure; the ones before come first where they overlap: ribs lie outside, vessels in tumours."""


@dataclass(frozen=True)
class Small:
    """A small anatomy, in mm of the patient (RAS)."""

    spacing: tuple[float, float, float] = (1.5, 1.5, 2.0)  # along the axes of the grid
    axes: str = "RAS"  # what the three axes of the grid run toward, such as "LPS" or "PIR"
    turn: float = 0.0  # of the grid about the patient's long axis [degrees]
    centre: tuple[float, float, float] = (40.0, -20.0, 60.0)  # of the liver, and of the image
    liver: tuple[float, float, float] = (45.0, 35.0, 30.0)  # half axes toward right, front and head
    tumour: tuple[float, float, float] = (50.0, -15.0, 63.0)
    radius: float = 10.0
    gap: float = 5.0  # between tumour and vein
    vein: float = 3.0  # its radius; it runs from foot to head at the tumour's left
    portal: float = 2.5  # radius of the portal vein, which runs from left to right in front
    rib: bool = False
    colon: bool = False

    @property
    def vein_axis(self) -> tuple[float, float]:
        """Where the axis of the vein is: right and front [mm]."""
        return self.tumour[0] - self.radius - self.gap - self.vein, self.tumour[1]

    @property
    def affine(self) -> np.ndarray:
        """From voxel indices to RAS [mm]."""
        shape = np.array(self.shape)
        matrix = np.zeros((3, 3))
        for axis, (letter, step) in enumerate(zip(self.axes, self.spacing, strict=True)):
            row = next(row for row, both in enumerate(("RL", "AP", "SI")) if letter in both)
            matrix[row, axis] = step if letter in "RAS" else -step
        angle = np.deg2rad(self.turn)
        about = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        affine = np.eye(4)
        affine[:3, :3] = about @ matrix
        affine[:3, 3] = np.array(self.centre) - affine[:3, :3] @ (0.5 * (shape - 1))
        return affine

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis, enough for the liver and 15 mm round it."""
        reach = np.array(self.liver) + 15.0
        angle = np.deg2rad(self.turn)
        c, s = abs(np.cos(angle)), abs(np.sin(angle))
        reach = np.array([c * reach[0] + s * reach[1], s * reach[0] + c * reach[1], reach[2]])
        rows = [next(row for row, both in enumerate(("RL", "AP", "SI")) if letter in both) for letter in self.axes]
        return tuple(int(np.ceil(2 * reach[row] / step)) for row, step in zip(rows, self.spacing, strict=True))

    def places(self) -> np.ndarray:
        """Centres of the voxels, RAS [mm], shape (i, j, k, 3)."""
        indices = np.stack(np.meshgrid(*map(np.arange, self.shape), indexing="ij"), axis=-1)
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]

    def masks(self) -> dict[str, np.ndarray]:
        """Every structure as a whole, overlapping the others, by its name."""
        at = self.places()
        right, front = self.vein_axis
        liver = (((at - self.centre) / self.liver) ** 2).sum(axis=-1) <= 1
        beside = np.hypot(at[..., 0] - right, at[..., 1] - front)
        found = {
            "liver": liver,
            "tumour": np.linalg.norm(at - self.tumour, axis=-1) <= self.radius,
            "hepatic_vein": liver & (beside <= self.vein),
            # Shorter, and in front: nothing of this anatomy looks the same from another side.
            "portal_vein": liver
            & (np.hypot(at[..., 1] - self.centre[1] - 20, at[..., 2] - self.centre[2] + 6) <= self.portal)
            & (at[..., 0] < self.centre[0] + 10),
        }
        if self.rib:
            found["rib_right_8"] = (
                np.hypot(at[..., 0] - self.centre[0] - self.liver[0] - 8, at[..., 2] - self.centre[2]) <= 4
            )
        if self.colon:
            low = (self.centre[0], self.centre[1], self.centre[2] - self.liver[2] - 6)
            found["colon"] = (np.linalg.norm((at - low) / (12, 8, 5), axis=-1) <= 1) & ~liver
        return found

    def labels(self) -> np.ndarray:
        """One label a voxel, shape (i, j, k) uint8."""
        values = np.zeros(self.shape, dtype=np.uint8)
        masks = self.masks()
        for name in ("liver", "tumour", "portal_vein", "hepatic_vein", "rib_right_8", "colon"):
            if name in masks:
                values[masks[name]] = LABELS[name]
        return values

    @property
    def structures(self) -> dict[str, int]:
        """Labels by name of what is there."""
        return {name: LABELS[name] for name in self.masks()}

    def write(self, folder: Path, name: str = "labels.nii.gz", table: bool = False) -> Path:
        """Write the label image as NIfTI, and on request what its labels are, beside it."""
        import nibabel

        image = nibabel.Nifti1Image(self.labels(), self.affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / name)
        if table:
            entries = [{"name": name, "label": label} for name, label in self.structures.items()]
            (folder / "labels.json").write_text(json.dumps({"structures": entries}))
        return folder / name

    def read(self, folder: Path) -> Anatomy:
        """Write it and read it."""
        return Anatomy.read(self.write(folder), self.structures)
