"""Needles, tumour and block of tissue against the image of the patient that they are in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.anatomy import Anatomy
from ablationsim.anatomy.structure import VESSELS
from ablationsim.case import Case
from ablationsim.case.patient import PatientSection
from ablationsim.errors import GeometryError
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.mistakes import misplaced
from ablationsim.vessels.contour import to_world

Floats = NDArray[np.float64]

_STEP = 0.5e-3  # m: of the points along what heats

_OUTSIDE = {
    "tissue": "is taken to be other tissue",
    "air": "is taken to be empty",
    "body_temperature": "is held at the temperature of the body",
}


def patient_warnings(case: Case, geometry: Geometry) -> list[str]:
    """Say what of the needles lies outside the liver, and what of liver and tumour is missing in image or block.

    Raises
    ------
    GeometryError
        With all problems: needles whose tip is outside the image, or of which nothing that heats is in the liver, and
        a tumour that does not touch the liver.
    """
    patient = case.patient
    if patient is None:
        return []
    anatomy = patient.anatomy()
    problems: list[str] = []
    warnings: list[str] = []
    if patient.tumour is not None:
        problems += _apart(anatomy, patient.tumour)
    for applicator in geometry.applicators:
        _place(applicator, anatomy, problems, warnings)
    if problems:
        raise GeometryError("\n".join(problems))
    return [*warnings, *_block(geometry.domain, anatomy, patient), *_target(geometry.domain, anatomy, patient)]


def _apart(anatomy: Anatomy, tumour: str) -> list[str]:
    """Say that a tumour has nothing to do with the liver; nothing where it lies in or at it, or no liver is known."""
    liver = anatomy.mask(*(structure.name for structure in anatomy.of_role("liver", *VESSELS)))
    mask = anatomy.mask(tumour)
    if not liver.any() or (ndimage.binary_dilation(mask, np.ones((3, 3, 3), dtype=bool)) & liver).any():
        return []
    gap = float(ndimage.distance_transform_edt(~liver, sampling=anatomy.image.spacing)[mask].min())
    return [
        f"Structure '{tumour}' of {anatomy.image.source} lies outside the liver, {1e3 * gap:.0f} mm from it: check "
        "which label is which in patient.structures, and that all labels were drawn on one image."
    ]


def _place(applicator: Applicator, anatomy: Anatomy, problems: list[str], warnings: list[str]) -> None:
    """Where a needle is in the image, and what of it heats outside the liver."""
    away = float(_beyond(anatomy, applicator.tip[None])[0])
    if away > 0.0:
        x, y, z = 1e3 * applicator.tip
        problems.append(
            f"The tip of applicator {applicator.name}, at ({x:.1f}, {y:.1f}, {z:.1f}) mm, is {1e3 * away:.0f} mm "
            f"outside the image of the patient, {anatomy.image.source}. World coordinates are those of the image, RAS: "
            "right, front and head are positive." + misplaced(anatomy, applicator.placement)
        )
        return
    heated = np.concatenate([_along(line) for line, _ in applicator.heated_lines()])
    outside = 1.0 - float(_in_liver(anatomy, heated).mean())
    what = "conductor" if applicator.antenna is None else "antenna"
    if outside == 1.0:
        problems.append(
            f"The whole {what} of applicator {applicator.name} lies outside the liver of {anatomy.image.source}; move "
            "it, or check the order and the signs of its coordinates, which are RAS."
            + misplaced(anatomy, applicator.placement)
        )
    elif outside > 0.0:
        warnings.append(
            f"{100.0 * outside:.0f} % of the {what} of applicator {applicator.name} lie outside the liver: tissue "
            "there is known less well, and what else is there may be harmed."
        )


def _block(domain: Domain, anatomy: Anatomy, patient: PatientSection) -> list[str]:
    """Whether the image cuts through the liver in the block of tissue."""
    whole = anatomy.whole_liver
    on_border = np.ones(whole.shape, dtype=bool)
    on_border[1:-1, 1:-1, 1:-1] = False
    cut = np.argwhere(whole & on_border).astype(np.float64)
    if not (domain.depth(to_world(anatomy.image.affine, cut)) > 0.0).any():
        return []
    return [
        "The liver goes on beyond the border of the image of the patient, within the block of tissue: what is there "
        f"{_OUTSIDE[patient.outside]}, as all that is not liver."
    ]


def _target(domain: Domain, anatomy: Anatomy, patient: PatientSection) -> list[str]:
    """Whether the tumour is in the block of tissue."""
    if patient.tumour is None:
        return []
    indices = np.argwhere(anatomy.mask(patient.tumour)).astype(np.float64)
    depth = domain.depth(to_world(anatomy.image.affine, indices))
    left = float((depth < 0.0).mean())
    if left == 0.0:
        return []
    return [
        f"{100.0 * left:.0f} % of structure '{patient.tumour}' lie outside the block of tissue, up to "
        f"{-1e3 * float(depth.min()):.0f} mm: enlarge the domain, or move the needle nearer."
    ]


def _along(line: Floats) -> Floats:
    """Points at equal distances along a line (k, 3) [m]."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    station = np.linspace(0.0, along[-1], max(2, int(np.ceil(along[-1] / _STEP)) + 1))
    return np.stack([np.interp(station, along, line[:, axis]) for axis in range(3)], axis=1)


def _beyond(anatomy: Anatomy, points: Floats) -> Floats:
    """How far points (p, 3) are outside the image along the axis where that is most [m]; zero or less inside."""
    indices = _indices(anatomy, points)
    last = np.array(anatomy.image.values.shape) - 0.5
    result: Floats = (np.maximum(-0.5 - indices, indices - last) * anatomy.image.spacing).max(axis=1)
    return result


def _in_liver(anatomy: Anatomy, points: Floats) -> NDArray[np.bool_]:
    """Which of the points (p, 3) are in a voxel of the whole liver."""
    nearest = np.rint(_indices(anatomy, points)).astype(np.int64)
    shape = np.array(anatomy.image.values.shape)
    inside = ((nearest >= 0) & (nearest < shape)).all(axis=1)
    found = np.zeros(len(points), dtype=bool)
    found[inside] = anatomy.whole_liver[tuple(nearest[inside].T)]
    return found


def _indices(anatomy: Anatomy, points: Floats) -> Floats:
    return to_world(np.linalg.inv(anatomy.image.affine), points)
