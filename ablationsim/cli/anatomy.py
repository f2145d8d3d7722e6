"""The command that makes an anatomy from segmentations: anatomy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablationsim.cli.application import app
from ablationsim.errors import GeometryError, best_match

if TYPE_CHECKING:
    from rich.console import Console

    from ablationsim.anatomy.importing import Imported


@app.command()
def anatomy(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Segmentations of one patient: label image (.nii, .nii.gz, .nrrd, .seg.nrrd, .mha), DICOM SEG or "
            "RTSTRUCT, or a folder with one of them or with one mask a file. With NAME=PATH it is one thing of that "
            "name, such as tumour=lesion.nii.gz. The first gives the grid.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write labels.nii.gz and labels.json to; only looks without."),
    ] = None,
    ct: Annotated[
        Path | None,
        typer.Option(help="Grey values for pictures, written to ct.nii.gz: image, or folder of DICOM slices."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="FOUND=NAME: what a segment really is, such as 'Segment_1=tumour'; FOUND=- leaves it out."),
    ] = None,
    atlas: Annotated[
        str | None, typer.Option(help="Known numbering of labels that have no names, such as totalsegmentator.")
    ] = None,
    series: Annotated[
        int | None, typer.Option(help="Number of the series in the folder of --ct, when it holds several.")
    ] = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="Resample sources on other grids onto that of the first.")
    ] = False,
) -> None:
    """Make the anatomy of a patient, for the patient table of a case, from what programs and hospitals write.

    Structures are told by their names. Where they overlap vessels come before tumours, and these before the liver. No
    name, date, number or text of the patient is written.
    """
    pairs = [_source(text) for text in sources]
    renames = dict(_rename(text) for text in name or ())

    from rich.console import Console

    from ablationsim.anatomy.canonical import files_of
    from ablationsim.anatomy.importing import import_anatomy
    from ablationsim.anatomy.names import atlases
    from ablationsim.anatomy.sources import Options
    from ablationsim.results.files import make_folder, write_whole

    if atlas is not None and atlas not in atlases():
        raise GeometryError(f"--atlas: there is no numbering '{atlas}'{best_match(atlas, atlases())}.")
    console = Console()
    with console.status("reading") as status:
        found = import_anatomy(
            pairs,
            options=Options(ct, series, atlas, renames),
            resample=resample,
            target="the anatomy" if output is None else str(output / "labels.nii.gz"),
            say=status.update,
        )
        if output is not None:
            status.update("writing")
            files = files_of(found.anatomy, found.ct, found.notes)
            make_folder(output)
            for file, content in files.items():
                write_whole(output / file, content)
    _print(console, found)
    if output is None:
        typer.echo("\nNothing was written: give a folder with --output.    (research use only; not a medical device)")
    else:
        typer.echo(f"\nAnatomy: {', '.join(str(output / file) for file in files)}")
        typer.echo(f'Case: [patient] with labels = "{output / "labels.nii.gz"}"', nl=False)
        typer.echo("    (research use only; not a medical device)")


def _source(text: str) -> tuple[str | None, Path]:
    """A source, and its name where one is given; a file with an equals sign in its name is a file."""
    name, sign, path = text.partition("=")
    if sign and not Path(text).exists():
        return name.strip(), Path(path)
    return None, Path(text)


def _rename(text: str) -> tuple[str, str]:
    found, sign, name = text.rpartition("=")
    if not (sign and found and name.strip()):
        raise typer.BadParameter(f"--name expects FOUND=NAME, such as 'Segment_1=tumour', got '{text}'")
    return found.strip(), name.strip()


def _print(console: Console, found: Imported) -> None:
    from rich.markup import escape
    from rich.table import Table

    image = found.anatomy.image
    edges = " x ".join(f"{1e3 * edge:.3g}" for edge in image.spacing)
    console.print(f"Grid: {' x '.join(map(str, image.values.shape))} voxels of {edges} mm", highlight=False)
    contents = {content.label: content for content in image.contents()}
    table = Table("Structure", "Role", "Label", "Volume", "Middle: right, anterior, superior", box=None)
    for structure in found.anatomy.structures:
        content = contents[structure.label]
        middle = ", ".join(f"{1e3 * value:.0f}" for value in content.centroid)
        table.add_row(
            structure.name,
            structure.role.replace("_", " "),
            str(structure.label),
            f"{content.volume * 1e6:.3g} mL",
            f"{middle} mm",
        )
    console.print(table)
    for note in found.notes:
        console.print(f"Note: {escape(note)}", highlight=False, soft_wrap=True)
    if found.left_out:
        console.print(f"Left out: {escape(', '.join(found.left_out))}", highlight=False, soft_wrap=True)
