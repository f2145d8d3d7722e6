"""Writes a prediction in the formats that other programs read, and a list of what was written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ablationsim.case.markups import line_text
from ablationsim.exports.content import Content, content_of
from ablationsim.exports.dicom import write_dicom
from ablationsim.exports.nifti import write_nifti
from ablationsim.exports.segmentation import Layer, write_segmentation
from ablationsim.exports.series import Series, read_series
from ablationsim.exports.surfaces import write_stl, write_vtp
from ablationsim.results import Result
from ablationsim.results.files import make_folder, write_whole
from ablationsim.zone.surface_distance import SurfaceDistance

Format = Literal["seg.nrrd", "nifti", "stl", "mrk.json", "dicom-seg"]
FORMATS: tuple[Format, ...] = get_args(Format)

SCHEMA, VERSION, LIST = "ablationsim/export", 1, "export.json"
NOTICE = "Research use only; not a medical device."

_MAP = 1e-3  # least edge of the voxels of the margin map, where they are divided [m]

Told = Callable[[str], None]


@dataclass(frozen=True)
class File:
    """A file that was written.

    Attributes
    ----------
    name : str
    what : str
        What it holds, one sentence.
    coordinates : {"LPS", "RAS"}
        Axes of the numbers in it; all are millimetres in the patient.
    """

    name: str
    what: str
    coordinates: Literal["LPS", "RAS"]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    folder : Path
    files : tuple of File
    notes : tuple of str
        What was not written, and why.
    """

    folder: Path
    files: tuple[File, ...]
    notes: tuple[str, ...]


def export(
    result: Result,
    folder: Path,
    formats: Sequence[Format] = FORMATS,
    *,
    spacing: float | None = None,
    series: Path | None = None,
    keep_identifiers: bool = False,
    told: Told = lambda text: None,
) -> Exported:
    """Write the prediction of a run for other programs.

    Parameters
    ----------
    result : Result
        A finished run.
    folder : Path
        Made when it is not there.
    formats : sequence of str
        Of `FORMATS`; a DICOM segmentation is left out, with a note, where no series is given.
    spacing : float, optional
        Largest edge of a voxel [m]; the voxels of the patient's image when not given.
    series : Path, optional
        Folder with the DICOM images of the patient, for a DICOM segmentation.
    keep_identifiers : bool
        Whether that names patient and study as the series does.
    told : callable
        Gets a word about what is being written.

    Returns
    -------
    Exported

    Raises
    ------
    OutputError
        When there is no zone, or a file cannot be written.
    """
    slices = None if series is None or "dicom-seg" not in formats else read_series(series)
    told("looking for the surfaces of zone and tumour")
    content = content_of(result)
    make_folder(folder)
    notes = list(content.notes)
    if "dicom-seg" in formats and slices is None:
        notes.append(
            "No DICOM segmentation was written: it belongs to a series of images. Give its folder with --series. "
            "prediction.seg.nrrd and the .nii.gz files hold the same."
        )
    writers: dict[Format, Callable[[], Iterator[File]]] = {
        "seg.nrrd": lambda: _segmentation(folder, content, spacing),
        "nifti": lambda: _images(folder, content, spacing),
        "stl": lambda: _surfaces(folder, content),
        "mrk.json": lambda: _needles(folder, content),
        "dicom-seg": lambda: _dicom(folder, content, slices, keep_identifiers),
    }
    files = []
    for name in FORMATS:
        if name in formats:
            told(f"writing {name}")
            files += list(writers[name]())
    done = Exported(folder, tuple(files), tuple(notes))
    write_whole(folder / LIST, json.dumps(_list(result, done), indent=2) + "\n")
    return done


def _segmentation(folder: Path, content: Content, spacing: float | None) -> Iterator[File]:
    grid = content.near(content.grid(spacing))
    layers = [Layer(body.title, body.name, body.colour, body.on(grid)) for body in content.bodies]
    write_segmentation(folder / "prediction.seg.nrrd", layers, grid)
    yield File("prediction.seg.nrrd", "Zone, tumour and needles as segments of 3D Slicer.", "LPS")


def _images(folder: Path, content: Content, spacing: float | None) -> Iterator[File]:
    grid = content.grid(spacing)
    for body in content.bodies:
        name = f"{body.name}.nii.gz"
        write_nifti(folder / name, body.on(grid), grid, f"{body.title} (1); research use only")
        yield File(name, f"{body.title}: 1 inside, 0 outside.", "RAS")
    # Between voxels of a millimetre a distance is as good as linear, and finer ones take long.
    coarse = grid if spacing is None or spacing >= _MAP else content.grid(_MAP)
    near, zone = content.near(coarse), content.surface("zone")
    depth = 1e3 * SurfaceDistance(zone)(near.centres()).reshape(near.shape)
    write_nifti(folder / "margin_mm.nii.gz", depth, near, "Distance to the edge of the zone, mm, positive inside")
    yield File(
        "margin_mm.nii.gz",
        "Distance of each voxel to the edge of the zone (tissue where it was before) in mm, positive inside: on the "
        "surface of the tumour it is the ablative margin.",
        "RAS",
    )


def _surfaces(folder: Path, content: Content) -> Iterator[File]:
    for body in content.bodies:
        if body.surface is not None:
            write_stl(folder / f"{body.name}.stl", body.surface)
            yield File(f"{body.name}.stl", f"{body.title}: closed surface.", "LPS")
    tumour = content.body("tumour")
    if tumour is not None and tumour.surface is not None:
        points = tumour.surface.points
        margins = {
            f"{name}_mm": 1e3 * SurfaceDistance(content.surface(zone))(points)
            for name, zone in (("margin", "zone"), ("margin_contracted", "zone_contracted"))
        }
        write_vtp(folder / "tumour_margins.vtp", tumour.surface, margins)
        yield File(
            "tumour_margins.vtp",
            "Surface of the tumour with the ablative margin at each point in mm: margin_mm in tissue where it was "
            "before, margin_contracted_mm to the contracted zone.",
            "LPS",
        )


def _needles(folder: Path, content: Content) -> Iterator[File]:
    for needle in content.needles:
        name = f"{needle.name}.mrk.json"
        write_whole(folder / name, line_text(needle.title, needle.entry.tolist(), needle.tip.tolist()))
        yield File(name, f"{needle.title} as a line of 3D Slicer: entry first, tip second.", "LPS")


def _dicom(folder: Path, content: Content, series: Series | None, keep_identifiers: bool) -> Iterator[File]:
    if series is not None:
        write_dicom(folder / "prediction.dcm", content.bodies, series, keep_identifiers=keep_identifiers)
        named = "with the identifiers of the series" if keep_identifiers else "without identifiers of the patient"
        yield File("prediction.dcm", f"DICOM segmentation of zone, tumour and needles, {named}.", "LPS")


def _list(result: Result, done: Exported) -> dict[str, Any]:
    contracted = result.document["contracted"]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "notice": NOTICE,
        "case_sha256": result.record["case_sha256"],
        "unit": "mm",
        "contraction": {"law": contracted.get("law", "uniform"), "strain": contracted["strain"]},
        "files": [{"name": file.name, "what": file.what, "coordinates": file.coordinates} for file in done.files],
        "notes": list(done.notes),
    }
