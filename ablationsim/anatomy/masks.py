"""Parts of a patient from label images, segmentations of 3D Slicer, and folders with one mask a file."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from scipy import ndimage

from ablationsim.anatomy.grid import Grid, Part
from ablationsim.anatomy.names import atlas, role_of
from ablationsim.anatomy.reading import names_in, stem
from ablationsim.errors import GeometryError
from ablationsim.vessels.image_files import IMAGES, Labels, read_labels
from ablationsim.vessels.segments import segments_of


def parts_of_image(path: Path, numbering: str | None, renamed: Collection[str] = ()) -> list[Part]:
    """Return the parts that a label image shows.

    Their names are from the image or the table beside it, and without them from a numbering, if one is given; an image
    with a single label is called as its file.

    Parameters
    ----------
    path : Path
    numbering : str or None
        One of `ablationsim.anatomy.names.atlases`.
    renamed : collection of str
        Names that a person will change; labels without a name go by their number.

    Raises
    ------
    GeometryError
        When the image cannot be read, is empty, or nothing says what its labels are.
    """
    segments = segments_of(path)
    if len({segment.layer for segment in segments}) > 1:
        found = []
        for layer in sorted({segment.layer for segment in segments}):
            values, affine = read_labels(path, layer)
            named = {segment.label: segment.name for segment in segments if segment.layer == layer}
            found += _parts(path, values, Grid(values.shape, affine), named)
    else:
        values, affine = read_labels(path)
        grid = Grid(values.shape, affine)
        names = names_in(path)[0] or ({} if numbering is None else dict(atlas(numbering)))
        labels = [label for label, box in enumerate(ndimage.find_objects(values), start=1) if box is not None]
        if not names and len(labels) == 1:
            names = {labels[0]: stem(path)}
        if labels and not names and not any(str(label) in renamed for label in labels):
            volumes = np.bincount(values.ravel(order="K")) * grid.cell * 1e6
            listed = ", ".join(f"{label} ({volumes[label]:.3g} mL)" for label in labels[:12])
            raise GeometryError(
                f"{path} does not say what its labels are: {listed}. Say it with --name, such as "
                f"--name {labels[0]}=liver, or name a known numbering with --atlas."
            )
        found = _parts(path, values, grid, names)
    if not found:
        raise GeometryError(f"{path} is empty: no voxel of it has a label, all are background (0).")
    return found


def parts_of_folder(folder: Path, say: Callable[[str], None]) -> list[Part]:
    """Return the parts of a folder with one mask a file, called as what they show, as TotalSegmentator writes it.

    Files whose names are not those of anything known are not read.

    Parameters
    ----------
    folder : Path
    say : callable
        Takes what is being done.

    Raises
    ------
    GeometryError
        When a mask cannot be read, or none of them is called as something known.
    """
    files = sorted(path for path in folder.iterdir() if path.name.lower().endswith(IMAGES))
    known = [path for path in files if role_of(stem(path)) is not None]
    if not known:
        listed = ", ".join(path.name for path in files[:8])
        raise GeometryError(
            f"No image in {folder} is called as what it shows; it has {listed}. Give the files themselves with their "
            f"names, such as liver={files[0]}."
        )
    found = []
    for path in known:
        say(f"reading {path.name}")
        values, affine = read_labels(path)
        part = Part.of_mask(stem(path), str(path), Grid(values.shape, affine), values != 0)
        # A mask of what the scan does not reach is empty.
        found += [] if part is None else [part]
    if not found:
        raise GeometryError(f"All {len(known)} masks in {folder} are empty.")
    return found


def _parts(path: Path, values: Labels, grid: Grid, names: dict[int, str]) -> list[Part]:
    """A part for each label that is there; those without a name are called by their number."""
    found = []
    for label, box in enumerate(ndimage.find_objects(values), start=1):
        if box is not None:
            corner = np.array([side.start for side in box], dtype=np.int64)
            found.append(Part(names.get(label, str(label)), str(path), grid, corner, values[box] == label))
    return found
