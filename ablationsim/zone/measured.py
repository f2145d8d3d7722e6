"""Measured zones from files: a label of a segmented image, or a closed surface, in world coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ablationsim.errors import CaseError, GeometryError, MeshError, best_match
from ablationsim.units import LengthUnit
from ablationsim.vasculature.opening import IMAGES, is_image
from ablationsim.vessels.coordinates import Orientation
from ablationsim.vessels.files import SURFACES, read_triangles
from ablationsim.vessels.image import LabelImage, surface_of_label
from ablationsim.vessels.mending import closed
from ablationsim.vessels.segments import segments_of
from ablationsim.vessels.vessel import Wall
from ablationsim.zone.extract import Surface

CLOSED = 0.01
"""Share of a surface that may be missing in its file and is closed flat; a zone that is more open has no volume."""
LARGEST = 1000e-6
"""No ablation zone is larger [m3]; a label of this size is the liver or the body."""


@dataclass(frozen=True, eq=False)
class MeasuredZone:
    """A zone as somebody drew it.

    Attributes
    ----------
    surface : Surface
        Closed triangles in space, world coordinates (of an image the patient's, RAS), in metres.
    source : str
        File, and label where there is one.
    notes : tuple of str
        What was mended, filled or left out, one sentence each.
    warnings : tuple of str
        What is missing of the zone.
    """

    surface: Surface
    source: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_measured(
    path: str | Path,
    *,
    label: str | int | None = None,
    unit: LengthUnit | None = None,
    orientation: Orientation | None = None,
) -> MeasuredZone:
    """Read a measured zone.

    Parameters
    ----------
    path : str or Path
        Label image (.nii, .nii.gz, .nrrd, .seg.nrrd, .nhdr, .mha, .mhd) or closed surface (.stl, .ply, .vtp, .obj).
    label : str or int, optional
        Of an image: the value of its voxels, or of a .seg.nrrd file the name of the segment. Not needed when the image
        has only one.
    unit : {"m", "cm", "mm", "um"}, optional
        Of the coordinates of a surface, which its file does not tell.
    orientation : {"RAS", "LPS"}, optional
        Of the axes of a surface; as they are when None. An image tells its own.

    Raises
    ------
    CaseError
        When the file needs another key, or one too many is given.
    GeometryError
        When an image is missing, damaged, none of labels, says not where it lies, or has no voxel of the label.
    MeshError
        When a surface is missing, damaged, of implausible size, or not closed.
    """
    path = Path(path)
    if is_image(path):
        _only(path, "a label image tells that itself", unit=unit, orientation=orientation)
        return _of_image(path, label)
    if path.suffix.lower() in SURFACES:
        _only(path, "a surface has none", label=label)
        if unit is None:
            raise CaseError(
                ["the file says no unit of its coordinates: give one, such as --unit mm"], f"the measured zone {path}"
            )
        return _of_surface(path, unit, orientation)
    raise GeometryError(
        f"{path} is no measured zone that can be read: its name ends in none of {', '.join((*IMAGES, *SURFACES))}."
    )


def _only(path: Path, why: str, **given: object) -> None:
    too_many = [name for name, value in given.items() if value is not None]
    if too_many:
        raise CaseError([f"{name} is given, but {why}; leave it out" for name in too_many], f"the measured zone {path}")


def _of_image(path: Path, label: str | int | None) -> MeasuredZone:
    segments = segments_of(path)
    number, layer = _label_and_layer(path, label)
    image = LabelImage.read(path, layer)
    if number is None:
        contents = image.contents()
        if not contents:
            raise GeometryError(f"{path} is empty: no voxel of it has a label, all are background (0).")
        if len(contents) > 1:
            listed = ", ".join(f"{found.label} ({found.volume * 1e6:.3g} mL)" for found in contents)
            raise GeometryError(f"{path} has several labels: {listed}. Say which one is the zone with --label.")
        number = contents[0].label
    image.require(number)
    volume = float((image.values == number).sum() * abs(np.linalg.det(image.affine[:3, :3])))
    if volume > LARGEST:
        raise GeometryError(
            f"Label {number} of {path} takes {volume * 1e6:.4g} mL, more than the {LARGEST * 1e6:g} mL of any ablation "
            "zone. It is rather the liver; give the label of the zone with --label."
        )
    wall, notes = surface_of_label(image, number)
    cut = _share(wall)
    warnings: tuple[str, ...] = ()
    if cut > 0:
        warnings = (
            f"The label reaches the border of the image with {100 * cut:.2g} % of its surface: what lies beyond is "
            "missing, and distances there mean nothing.",
        )
    named = [segment.name for segment in segments if (segment.label, segment.layer) == (number, layer or 0)]
    return MeasuredZone(
        _surface(wall), f"{path}, label {number}" + (f" ({named[0]})" if named else ""), notes, warnings
    )


def _label_and_layer(path: Path, label: str | int | None) -> tuple[int | None, int | None]:
    """Value of the voxels, None where it is not given, and layer of the file, None where it has one only."""
    segments = segments_of(path)
    layered = len({segment.layer for segment in segments}) > 1
    if label is None and not layered:
        return None, None
    listed = ", ".join(f"'{segment.name}' ({segment.label})" for segment in segments)
    if label is None:
        raise GeometryError(f"{path} has several segments: {listed}. Say which one is the zone with --label.")
    found = [segment for segment in segments if segment.name == label]
    number = label if isinstance(label, int) else int(label) if label.isdecimal() else None
    if not found and number is not None:
        if not layered:
            return number, None
        found = [segment for segment in segments if segment.label == number]
    if len(found) == 1:
        return found[0].label, found[0].layer if layered else None
    if found:
        raise GeometryError(f"{path} has several segments '{label}': {listed}. Give the name of the one meant.")
    raise GeometryError(
        f"{path} has no segment '{label}'{best_match(str(label), [segment.name for segment in segments])}."
        if segments
        else f"{path} names no segments: give the label of the zone as a number, got '{label}'."
    )


def _of_surface(path: Path, unit: LengthUnit, orientation: Orientation | None) -> MeasuredZone:
    points, triangles = read_triangles(path, unit, orientation)
    try:
        wall, notes = closed(points, triangles)
    except MeshError as error:
        raise MeshError(f"The surface of {path} cannot be used. {error}") from error
    missing = _share(wall)
    if missing > CLOSED:
        raise MeshError(
            f"The surface of {path} is open: {100 * missing:.2g} % of it is missing, and no more than "
            f"{100 * CLOSED:g} % is closed flat. A zone needs a closed surface; close it in the program that made it, "
            "or give a label image."
        )
    return MeasuredZone(_surface(wall), str(path), tuple(note.replace(": no heat passes there", "") for note in notes))


def _share(wall: Wall) -> float:
    """Share of a surface that only closes it."""
    return float(wall.areas[wall.capped].sum() / wall.areas.sum())


def _surface(wall: Wall) -> Surface:
    return Surface(wall.points, wall.triangles, axisymmetric=False)
