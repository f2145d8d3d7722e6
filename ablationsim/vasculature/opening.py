"""A vessel from nothing but a file, without a case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ablationsim.case.vessels import VesselSection
from ablationsim.errors import CaseError, problems_of

IMAGES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
"""Endings of label images."""

CASES = (".toml", ".json")
"""Endings of case files."""

_HEAD = 65536  # bytes of a .vtp file in which the counts of its cells are


def is_image(path: Path) -> bool:
    """Whether a file is a label image, by its name."""
    return path.name.lower().endswith(IMAGES)


def is_case(path: Path) -> bool:
    """Whether a file is a case, by its name."""
    return path.name.lower().endswith(CASES)


def section_of(path: Path, **given: Any) -> VesselSection:
    """The table of a case that describes the vessel in a file.

    Parameters
    ----------
    path : Path
        Label image, surface, volume mesh or centrelines.
    **given
        Other keys of `VesselSection`, as written in a case file; None where nothing is given.

    Raises
    ------
    CaseError
        If a key that the file needs is missing, or one is malformed.
    """
    place = _key(path)
    data = {"name": _name(path), place: str(path), **{key: x for key, x in given.items() if x is not None}}
    if place != "labels" and "unit" not in data:
        raise CaseError(["the file says no unit of its coordinates: give one, such as --unit mm"], str(path))
    try:
        return VesselSection.model_validate(data)
    except ValidationError as error:
        raise CaseError(problems_of(error, VesselSection), str(path)) from None


def _name(path: Path) -> str:
    """A name that a case would accept, from that of the file."""
    return re.sub(r"\W+", "_", path.name.partition(".")[0]).strip("_") or "vessel"


def _key(path: Path) -> str:
    """The key of `VesselSection` that the file belongs under."""
    if is_image(path):
        return "labels"
    suffix = path.suffix.lower()
    return "centreline" if suffix == ".csv" or (suffix == ".vtp" and _only_lines(path)) else "surface"


def _only_lines(path: Path) -> bool:
    """Whether a .vtp file has lines and no polygons."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        # Whoever reads the file will say what is wrong with it.
        return False
    return all(not re.search(rb'NumberOf%s="[1-9]' % kind, head) for kind in (b"Polys", b"Strips")) and bool(
        re.search(rb'NumberOfLines="[1-9]', head)
    )
