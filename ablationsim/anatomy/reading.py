"""The names of the labels of an image, from whoever says them: the case, the file, or the numbering of a program."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ablationsim.anatomy.checks import implausible
from ablationsim.anatomy.names import advice, common_name, role_of, undivided
from ablationsim.anatomy.structure import Structure
from ablationsim.errors import GeometryError, best_match
from ablationsim.vessels.image import LabelImage
from ablationsim.vessels.image_files import IMAGES
from ablationsim.vessels.segments import segments_of

TABLE = ".json"
"""Ending of the file beside a label image that names its labels."""


def read_anatomy(
    path: Path, structures: Mapping[str, int | str] | None
) -> tuple[LabelImage, tuple[Structure, ...], tuple[str, ...]]:
    """Return the image, its structures and notes; see `ablationsim.anatomy.Anatomy.read`."""
    image = LabelImage.read(path)
    present = np.flatnonzero(np.bincount(image.values.ravel(order="K")))
    present = present[present > 0]
    if len(present) == 0:
        raise GeometryError(f"{path} is empty: no voxel of it has a label, all are background (0).")
    names, own = names_in(path)
    if structures is not None:
        return image, _plausible(image, _given(path, structures, names, image)), ()
    if not names:
        listed = ", ".join(f"{found.label} ({found.volume * 1e6:.3g} mL)" for found in image.contents()[:12])
        raise GeometryError(
            f"{path} does not say what its labels are: {listed}. Name them, such as "
            "structures = { liver = 1, hepatic_vein = 2, portal_vein = 3, tumour = 4 }, with the numbers of the file."
        )
    found, notes = _of_file(path, {label: name for label, name in names.items() if label in present}, own)
    return image, _plausible(image, found), notes


def names_in(path: Path) -> tuple[dict[int, str], bool]:
    """Return the names by label that a file, or the table beside it, gives, and whether they are from such a table.

    The table is called as the image: that of ``labels.nii.gz`` is ``labels.json``.

    Raises
    ------
    GeometryError
        When they cannot be read.
    """
    named = {segment.label: segment.name for segment in segments_of(path)}
    if named:
        return named, False
    beside = path.with_name(stem(path) + TABLE)
    if beside.is_file():
        named = _table(beside)
        if named:
            return named, True
    return (_in_nifti(path) if path.name.lower().endswith((".nii", ".nii.gz")) else {}), False


def stem(path: Path) -> str:
    """Name of a file without the ending of an image."""
    name = path.name
    for ending in (".seg.nrrd", *sorted(IMAGES, key=len, reverse=True)):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem


def _table(path: Path) -> dict[int, str]:
    try:
        # Other programs put notes of another kind beside images.
        entries = json.loads(path.read_text(encoding="utf-8")).get("structures", [])
        return {int(entry["label"]): str(entry["name"]) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GeometryError(
            f"{path} does not name the labels of the image beside it: it is damaged or incomplete ({error!r}). Make it "
            "again with 'ablationsim anatomy', or move it away and name the structures in the case."
        ) from error


def _in_nifti(path: Path) -> dict[int, str]:
    """The table of labels that segmentation programs leave in the header."""
    import nibabel

    found: dict[int, str] = {}
    for extension in nibabel.load(path).header.extensions:
        text = extension.get_content()
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        labels = re.findall(r'<Label Key="(\d+)"[^>]*>\s*<!\[CDATA\[([^\]]*)\]\]>', text)
        found.update({int(number): name for number, name in labels})
    return found


def _given(
    path: Path, structures: Mapping[str, int | str], names: Mapping[int, str], image: LabelImage
) -> tuple[Structure, ...]:
    counts = np.bincount(image.values.ravel(order="K"))
    found, problems = [], []
    for name, value in structures.items():
        role = role_of(name)
        if role is None:
            problems.append(f"'{name}' is no structure that is known{advice(name)}.")
        label = value
        if isinstance(value, str):
            numbers = [number for number, text in names.items() if text == value]
            if not numbers:
                problems.append(f"'{name}': the file names no segment '{value}'{best_match(value, names.values())}.")
                continue
            label = numbers[0]
        if not 0 < int(label) < len(counts) or counts[int(label)] == 0:
            present = ", ".join(f"{number} ({counts[number]} voxels)" for number in np.flatnonzero(counts) if number)
            problems.append(f"'{name}': there is no voxel of label {label}; it has {present}.")
        elif role is not None:
            found.append(Structure(name, role, int(label)))
    labels = [structure.label for structure in found]
    for structure in found:
        if labels.count(structure.label) > 1:
            problems.append(f"'{structure.name}': label {structure.label} is given to several structures.")
    if problems:
        raise GeometryError("\n  - ".join([f"The structures of {path} do not fit it:", *problems]))
    return tuple(sorted(found, key=lambda structure: structure.label))


def _plausible(image: LabelImage, structures: tuple[Structure, ...]) -> tuple[Structure, ...]:
    problems = implausible(image, structures)
    if problems:
        raise GeometryError(
            "\n  - ".join([f"The structures of {image.source} cannot be what they are called:", *problems])
        )
    return structures


def _of_file(path: Path, names: Mapping[int, str], own: bool) -> tuple[tuple[Structure, ...], tuple[str, ...]]:
    """Structures by the names in a file, which are free text unless they are from a table of our own; and notes.

    Free text may tell who the patient is: no note repeats it.
    """
    found: list[Structure] = []
    left, notes = {}, []
    for label, text in sorted(names.items()):
        role = role_of(text)
        if role is None:
            left[label] = text
            continue
        common = text if own else common_name(text)
        name, number = common, 2
        while any(structure.name == name for structure in found):
            name, number = f"{common}_{number}", number + 1
        found.append(Structure(name, role, label))
        if undivided(text):
            notes.append(f"Label {label} does not tell hepatic from portal veins: all are taken as hepatic veins.")
    if left:
        notes.append(f"Not used, because of unknown or unneeded names: labels {', '.join(map(str, left))}.")
    if not found:
        listed = ", ".join(f"'{text}' ({label})" for label, text in left.items())
        raise GeometryError(
            f"{path} has no label whose name is known: {listed}. Name the structures in the case, such as "
            "structures = { liver = 1, tumour = 4 }, with the numbers of the file."
        )
    return tuple(found), tuple(notes)
