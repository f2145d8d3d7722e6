"""The patient of a case as a report draws it: surfaces of what its images have near the target, and its CT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.anatomy import Anatomy, Structure
from ablationsim.case import Case
from ablationsim.errors import AblationSimError, GeometryError
from ablationsim.report.data import DrawnStructure, GreyImage, PatientDrawing
from ablationsim.vessels.contour import Body, contour
from ablationsim.vessels.image import LabelImage
from ablationsim.vessels.image_files import read_values
from ablationsim.vessels.vessel import Vessel, Wall

Floats = NDArray[np.float64]

NEAR = 80e-3
"""Half edge of the cube round the target in which organs and bones are drawn, in metres; the liver is drawn whole."""
COARSE = 5e-3
"""About the grid on which the outline of the body is found, in metres: it only tells where the skin is."""
DRAWN_VESSELS = ("hepatic_vein", "portal_vein", "hepatic_artery", "vena_cava")


def patient_drawing(case: Case, target: Floats, vessels: tuple[Vessel, ...] = ()) -> tuple[PatientDrawing, list[str]]:
    """Return the patient of a case that has one, and what could not be drawn.

    Parameters
    ----------
    case : Case
        With a patient.
    target : (3,) float64
        Where the planes meet [m].
    vessels : tuple of Vessel
        Those of the model, whose walls are taken in place of the voxels where the model has any.

    Raises
    ------
    GeometryError
        When the images of the patient cannot be read again.
    """
    assert case.patient is not None
    anatomy = case.patient.anatomy()
    found, problems = [], []
    for structure in anatomy.structures:
        if structure.role in DRAWN_VESSELS and vessels:
            continue
        try:
            wall = _wall(anatomy, structure, target)
        except AblationSimError as error:
            problems.append(f"The structure {structure.name} is not drawn: {error}")
            continue
        if wall is not None:
            found.append(DrawnStructure(structure.name, structure.role, wall))
    image = None
    if case.patient.ct is not None:
        try:
            image = read_grey(Path(case.patient.ct))
        except GeometryError as error:
            problems.append(f"The planes are drawn without the CT: {error}")
    return PatientDrawing(tuple(found), np.asarray(target), image), problems


def _wall(anatomy: Anatomy, structure: Structure, target: Floats) -> Wall | None:
    """The surface of a structure; of what is no part of the liver only what is near, None if nothing is."""
    if structure.role == "liver":
        return anatomy.distance(whole_liver=True).surface()
    if structure.role == "body":
        return _outline_of_body(anatomy.image)
    if structure.role in ("tumour", *DRAWN_VESSELS):
        return anatomy.distance(structure.name).surface()
    try:
        near = anatomy.image.cropped(target - NEAR, target + NEAR)
    except GeometryError:
        return None
    if not (near.values == structure.label).any():
        return None
    return Anatomy(near, (structure,)).distance(structure.name).surface()


def _outline_of_body(image: LabelImage) -> Wall:
    """The skin, about: round everything that has a label, on a coarse grid and blurred by as much."""
    steps = np.maximum(np.round(COARSE / image.spacing), 1.0).astype(np.int64)
    filled = image.values[tuple(slice(None, None, step) for step in steps)] > 0
    affine = image.affine @ np.diag([*steps.astype(np.float64), 1.0])
    # Half of what is blurred lies on either side of the edge.
    return contour(Body(0.5 - ndimage.gaussian_filter(filled.astype(np.float32), 1.0), affine))


def read_grey(path: Path) -> GreyImage:
    """Read a grey image of a patient, such as a CT.

    Raises
    ------
    GeometryError
        When it is missing, damaged or too large, has not three dimensions, or does not say where it lies.
    """
    values, affine = read_values(path)
    return GreyImage(values.astype(np.float32), affine)
