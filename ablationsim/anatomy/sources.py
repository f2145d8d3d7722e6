"""Whatever an anatomy is made from: what kind of file or folder it is, and what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.anatomy.dicom import SEGMENTATIONS, STRUCTURE_SET, is_dicom, library, readable, series_in
from ablationsim.anatomy.dicom_segmentation import parts_of_segmentation, series_of_segmentation, with_room
from ablationsim.anatomy.dicom_series import chosen_series, grey_values, grid_of_series
from ablationsim.anatomy.grid import Grid, Part, reordered, sampled
from ablationsim.anatomy.masks import parts_of_folder, parts_of_image
from ablationsim.anatomy.structure_set import parts_of_structure_set, series_of_structure_set
from ablationsim.errors import GeometryError
from ablationsim.vessels.image_files import IMAGES, read_values


@dataclass(frozen=True)
class Options:
    """What a person says of the sources.

    Attributes
    ----------
    ct : Path or None
        Grey values: an image, or a folder of DICOM slices, on which a structure set was drawn.
    series : int or None
        Number of the series in that folder, as the scanner counts.
    numbering : str or None
        Known numbering of labels that have no names.
    renames : mapping of str to str
        Name in a source to name of a structure, or "-" to leave it out.
    """

    ct: Path | None = None
    series: int | None = None
    numbering: str | None = None
    renames: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Content:
    """What sources show.

    Attributes
    ----------
    parts : tuple of Part
    notes : tuple of str
    series : str or None
        Number in the world of the DICOM series that they were drawn on.
    """

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    series: str | None = None


def read_source(path: Path, name: str | None, options: Options, say: Callable[[str], None]) -> Content:
    """Return what a file or folder shows.

    Parameters
    ----------
    path : Path
        Label image (.nii, .nii.gz, .nrrd, .seg.nrrd, .nhdr, .mha, .mhd), DICOM segmentation or structure set, folder
        with one of these, or folder with one mask a file.
    name : str or None
        Of what it shows, when that is one thing.
    options : Options
    say : callable
        Takes what is being done.

    Raises
    ------
    GeometryError
        When it is none of these, cannot be read, or is empty.
    """
    if not path.exists():
        raise GeometryError(f"{path} does not exist.")
    say(f"reading {path.name}")
    content = _of_folder(path, options, say) if path.is_dir() else _of_file(path, options, say)
    if name is None:
        return content
    if len(content.parts) > 1:
        listed = ", ".join(f"'{part.name}'" for part in content.parts[:12])
        raise GeometryError(
            f"{path} is to be '{name}', but shows {len(content.parts)} things: {listed}. Leave '{name}=' out, and "
            "change names with --name."
        )
    part = content.parts[0]
    named = Part(name, part.source, part.grid, part.corner, part.voxels)
    return Content((named,), content.notes, content.series)


def _of_folder(folder: Path, options: Options, say: Callable[[str], None]) -> Content:
    if any(path.name.lower().endswith(IMAGES) for path in folder.iterdir()):
        return Content(tuple(parts_of_folder(folder, say)))
    found = series_in(folder)
    drawn = [file for series in found if series.kind in (*SEGMENTATIONS, STRUCTURE_SET) for file in series.files]
    if not drawn:
        raise GeometryError(
            f"{folder} holds DICOM files, but no segmentation: {'; '.join(series.text for series in found)}. Segment "
            "liver, vessels and tumour first; the pictures themselves are given with --ct."
        )
    if len(drawn) > 1:
        listed = ", ".join(str(file.relative_to(folder)) for file in drawn[:8])
        raise GeometryError(
            f"{folder} holds {len(drawn)} segmentations: {listed}. Give the file that is meant, or several of them one "
            "by one."
        )
    return _of_file(drawn[0], options, say)


def _of_file(path: Path, options: Options, say: Callable[[str], None]) -> Content:
    if path.name.lower().endswith(IMAGES):
        return Content(tuple(parts_of_image(path, options.numbering, options.renames)))
    if not is_dicom(path):
        raise GeometryError(
            f"{path} is no segmentation that can be read: it is no DICOM file, and its name ends in none of "
            f"{', '.join(IMAGES)}."
        )
    with readable(path):
        header = library("pydicom").dcmread(path, specific_tags=["SOPClassUID", "Modality"], stop_before_pixels=True)
        kind, modality = str(header.get("SOPClassUID", "")), str(header.get("Modality", "?"))
    if kind in SEGMENTATIONS:
        parts = parts_of_segmentation(path, say)
        if options.ct is None:
            parts = with_room(parts, path)
        return Content(tuple(parts), series=series_of_segmentation(path))
    if kind != STRUCTURE_SET:
        raise GeometryError(
            f"{path} is a DICOM file of kind {modality}, no segmentation (SEG) and no structure set (RTSTRUCT)."
        )
    uid = series_of_structure_set(path)
    folder = options.ct if options.ct is not None and options.ct.is_dir() else path.parent
    try:
        series = chosen_series(folder, uid, options.series)
    except GeometryError as error:
        raise GeometryError(
            f"{path} is a structure set: outlines on the slices of a series, which has to be at hand. Give its folder "
            f"with --ct. {error}"
        ) from error
    grid, _ = grid_of_series(series)
    outlined, notes = parts_of_structure_set(path, grid, say)
    return Content(tuple(outlined), tuple(notes), series.uid)


def read_ct(
    options: Options, contents: Sequence[Content], say: Callable[[str], None]
) -> tuple[Grid, NDArray[np.int16]]:
    """Return the grey values (i, j, k) that the options name, and where they are.

    Raises
    ------
    GeometryError
        When they cannot be read, or it is not clear which series is meant.
    """
    path = options.ct
    if path is None or not path.exists():
        raise GeometryError(f"The CT {path} does not exist.")
    say("reading the CT")
    if path.is_dir():
        uids = {content.series for content in contents if content.series is not None}
        values, grid = grey_values(chosen_series(path, next(iter(uids), None), options.series), say)
        return grid, values
    found, affine = read_values(path)
    if found.dtype.kind not in "uif" or not np.isfinite(found).all():
        raise GeometryError(f"{path} holds values that are no grey values (of type {found.dtype}).")
    return Grid(found.shape, affine), np.clip(np.rint(found), -32768, 32767).astype(np.int16)


def laid_on(grid: Grid, other: Grid, values: NDArray[np.int16]) -> tuple[NDArray[np.int16], str | None]:
    """Return grey values on another grid, and a note when they had to be interpolated.

    Parameters
    ----------
    grid : Grid
        To lay them on; what they do not reach gets their lowest value.
    other : Grid
        Of the values.
    values : (i, j, k) int16
    """
    lowest = values.min()
    step = other.into(grid)
    if step is None:
        found = sampled(values, other.affine, grid.affine, np.zeros(3, dtype=np.int64), np.array(grid.shape), lowest)
        return np.rint(found).astype(np.int16), f"The CT was interpolated, from {other.text}."
    matrix, offset = step
    moved = reordered(values, matrix)
    low = np.minimum(offset, matrix @ (np.array(values.shape) - 1) + offset)
    begin, end = np.maximum(low, 0), np.minimum(low + moved.shape, grid.shape)
    result = np.full(grid.shape, lowest, dtype=np.int16)
    if (begin < end).all():
        here = tuple(slice(a, b) for a, b in zip(begin, end, strict=True))
        result[here] = moved[tuple(slice(a, b) for a, b in zip(begin - low, end - low, strict=True))]
    return result, None
