"""The command that writes a prediction for other programs: export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import limit_threads, quantity_of

if TYPE_CHECKING:
    from rich.console import Console

    from ablationsim.exports.write import Exported


class Format(StrEnum):
    """What can be written."""

    SEGMENTATION = "seg.nrrd"
    NIFTI = "nifti"
    STL = "stl"
    MARKUPS = "mrk.json"
    DICOM = "dicom-seg"


@app.command()
def export(
    run: Annotated[
        Path, typer.Argument(help="Folder of a finished run, or of a plan: then all its plans.", show_default=False)
    ],
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="What to write; may be given several times. All by default.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to; 'export' in the run folder by default.")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(help="Largest edge of a voxel, e.g. '1 mm'; voxels of the patient's image by default.")
    ] = None,
    series: Annotated[
        Path | None, typer.Option(help="Folder with the DICOM images of the patient, for a DICOM segmentation.")
    ] = None,
    keep_identifiers: Annotated[
        bool,
        typer.Option("--keep-identifiers", help="Name patient and study in the DICOM segmentation as the series does."),
    ] = False,
) -> None:
    """Write zone, margins and needles for 3D Slicer and other programs, in the coordinates of the patient."""
    limit_threads(None)
    edge = None if spacing is None else quantity_of("--spacing", spacing, "length")
    if edge is not None and not 0.1e-3 <= edge <= 20e-3:
        raise typer.BadParameter(f"--spacing is {1e3 * edge:g} mm; an edge of a voxel is 0.1 mm to 20 mm")
    if formats is not None and Format.DICOM in formats and series is None:
        raise typer.BadParameter(
            "a DICOM segmentation belongs to a series of images: give its folder with --series. Formats that need none "
            "and hold the same: seg.nrrd, nifti"
        )
    if keep_identifiers and series is None:
        raise typer.BadParameter("--keep-identifiers belongs to --series: no other format could name a patient")

    from rich.console import Console

    from ablationsim.exports.plans import folders_of
    from ablationsim.exports.write import FORMATS
    from ablationsim.exports.write import export as written
    from ablationsim.results import Result

    folders = folders_of(run)
    if output is not None and len(folders) > 1:
        raise typer.BadParameter(f"--output is for one run; the plan has {len(folders)}: each gets a folder 'export'")
    chosen = FORMATS if formats is None else tuple(form.value for form in formats)
    console = Console()
    for folder in folders:
        with console.status("reading the run") as status:
            found = written(
                Result.load(folder),
                output or folder / "export",
                chosen,
                spacing=edge,
                series=series,
                keep_identifiers=keep_identifiers,
                told=status.update,
            )
        _print(console, found)


def _print(console: Console, found: Exported) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("File", "Axes", "What it holds", box=None)
    for file in found.files:
        table.add_row(escape(file.name), file.coordinates, escape(file.what))
    console.print(table)
    for note in found.notes:
        console.print(f"Note: {escape(note)}", highlight=False, soft_wrap=True)
    typer.echo(f"Folder: {found.folder}    (mm; research use only, not a medical device)")
