"""What cannot be, or is worth a sentence, of volumes and places of the structures of a patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.anatomy.grid import Grid, Part
from ablationsim.anatomy.structure import VESSELS, Role, Structure
from ablationsim.errors import GeometryError
from ablationsim.vessels.image import LabelImage

Piece = tuple[str, Role, Part]
"""Name and role of a structure, and its voxels."""

SLIGHT = 0.02
"""Overlaps and losses below this share of a structure are those of drawing."""

# Smallest and largest volume of what is drawn as one structure [m3]. The largest livers, with polycystic disease, and
# the largest tumours are below; so are the blood vessels, with the whole vena cava and the aorta.
_LIVER = (5e-6, 15e-3)
_MOST: Mapping[str, float] = {"tumour": 5e-3, "bile_duct": 0.5e-3, **dict.fromkeys(VESSELS, 1e-3)}


def implausible(image: LabelImage, structures: Iterable[Structure]) -> list[str]:
    """Return what is wrong with the volumes of structures, one sentence each."""
    cell = float(abs(np.linalg.det(image.affine[:3, :3])))
    counts = np.bincount(image.values.ravel(order="K"))
    found = []
    for structure in structures:
        volume = float(counts[structure.label] * cell)
        low, high = _LIVER if structure.role == "liver" else (0.0, _MOST.get(structure.role, np.inf))
        if structure.role == "liver" and structure.name != "liver":
            low = 0.0  # A part of it.
        if not low <= volume <= high:
            least = f"from {low * 1e6:g} to" if low else "up to"
            found.append(
                f"'{structure.name}' (label {structure.label}) takes {volume * 1e6:.4g} mL; a {_word(structure)} takes "
                f"{least} {high * 1e6:g} mL. Its label is rather that of something else, or the voxels are in another "
                "unit than the file says."
            )
    return found


def _word(structure: Structure) -> str:
    return structure.role.replace("_", " ")


def against_liver(pieces: Sequence[Piece], grid: Grid) -> list[str]:
    """Return how structures that may overlap lie to the liver, one sentence each.

    Raises
    ------
    GeometryError
        When a tumour has nothing to do with the liver.
    """
    if not any(role == "liver" for _, role, _ in pieces):
        return ["There is no liver: margins to the capsule, and what surrounds the liver, are not known."]
    # 1 where the liver is, and 2 where vessels are.
    there = np.zeros(grid.shape, dtype=np.uint8)
    for _, role, part in pieces:
        there[part.box] |= (part.voxels * (1 if role == "liver" else 2 if role in VESSELS else 0)).astype(np.uint8)
    notes = []
    for name, role, part in pieces:
        size = int(part.voxels.sum())
        common = int((part.voxels & (there[part.box] & 1 > 0)).sum())
        if role == "tumour":
            if not common and not _touches(part, there):
                raise GeometryError(
                    f"'{name}' ({part.volume * 1e6:.3g} mL) lies outside the liver, {_gap(part, there):.3g} mm from "
                    "it. Are both of one patient and one scan? If it is something else give it another name with "
                    "--name, or leave it out with --name FOUND=-."
                )
            outside = int((part.voxels & (there[part.box] == 0)).sum())
            # A liver that was drawn without its tumours has a hole there, and says nothing about sticking out.
            if common and outside > SLIGHT * size:
                notes.append(
                    f"{outside * grid.cell * 1e6:.2g} mL ({100 * outside / size:.2g} %) of '{name}' lie outside the "
                    "liver as it was drawn; they are kept, and belong to the whole liver."
                )
        elif role in ("organ", "bone") and common > SLIGHT * size:
            notes.append(f"{common * grid.cell * 1e6:.2g} mL of '{name}' are also liver, and count as liver.")
    if any((np.take(there, [0, -1], axis=axis) & 1).any() for axis in range(3)):
        notes.append("The liver reaches the border of the image: what lies beyond is missing.")
    return notes


def _touches(part: Part, there: NDArray[np.uint8]) -> bool:
    """Whether a part has a neighbour in the liver."""
    low = np.maximum(part.corner - 1, 0)
    high = np.minimum(part.corner + part.voxels.shape + 1, there.shape)
    before = part.corner - low
    after = high - part.corner - part.voxels.shape
    wider = ndimage.binary_dilation(np.pad(part.voxels, np.column_stack([before, after])), np.ones((3, 3, 3)))
    return bool((there[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][wider] & 1).any())


def _gap(part: Part, there: NDArray[np.uint8]) -> float:
    """Distance between a part and the liver [mm]."""
    spacing = np.linalg.norm(part.grid.affine[:3, :3], axis=0)
    distance = ndimage.distance_transform_edt(there & 1 == 0, sampling=spacing)
    return 1e3 * float(distance[part.box][part.voxels].min())
