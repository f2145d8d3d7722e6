"""Names of the segments in a .seg.nrrd file, as 3D Slicer writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ablationsim.errors import GeometryError


@dataclass(frozen=True)
class Segment:
    """A segment.

    Attributes
    ----------
    name : str
        As the person called it.
    label : int
        Its value in the voxels.
    layer : int
        Which value of a voxel, where segments overlap and each voxel has several.
    """

    name: str
    label: int
    layer: int


def segments_of(path: Path) -> tuple[Segment, ...]:
    """Return the segments that the header of an image names; none when it is no segmentation of 3D Slicer.

    Raises
    ------
    GeometryError
        When the file cannot be read, or its header is not whole.
    """
    if not path.name.lower().endswith((".nrrd", ".nhdr")):
        return ()
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        keys = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
        numbers = sorted(int(found[1]) for key in keys if (found := re.fullmatch(r"Segment(\d+)_LabelValue", key)))
        return tuple(
            Segment(
                keys.get(f"Segment{number}_Name", f"segment {number}"),
                int(keys[f"Segment{number}_LabelValue"]),
                int(keys.get(f"Segment{number}_Layer", 0)),
            )
            for number in numbers
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise GeometryError(f"{path} cannot be read; it is damaged or incomplete ({reason}).") from error
