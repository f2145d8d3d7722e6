"""The command that compares a run with a zone measured in three dimensions: overlap."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import limit_threads

if TYPE_CHECKING:
    from rich.console import Console

    from ablationsim.study.overlap import Overlap
    from ablationsim.study.overlap_margins import ComparedMargins


class Frame(StrEnum):
    """Frames in which a zone is taken."""

    CONTRACTED = "contracted"
    UNDEFORMED = "undeformed"


class Align(StrEnum):
    """How a measured zone is laid on that of a run, when the needle's points are not given."""

    AXIS = "axis"
    NONE = "none"


class Unit(StrEnum):
    """Units of coordinates."""

    M = "m"
    CM = "cm"
    MM = "mm"
    UM = "um"


class Orientation(StrEnum):
    """Axes of coordinates."""

    RAS = "RAS"
    LPS = "LPS"


@app.command()
def overlap(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
    measured: Annotated[
        Path,
        typer.Argument(
            help="Measured zone: label image (.nii, .nii.gz, .nrrd, .seg.nrrd, .mha) or closed surface (.stl, .ply, "
            ".vtp, .obj).",
            show_default=False,
        ),
    ],
    label: Annotated[
        str | None, typer.Option(help="Label of the zone in an image: a number, or the name of a segment.")
    ] = None,
    unit: Annotated[Unit | None, typer.Option(help="Unit of a surface's coordinates.")] = None,
    orientation: Annotated[Orientation | None, typer.Option(help="Axes of a surface's coordinates.")] = None,
    frame: Annotated[Frame, typer.Option(help="In which the zone of the run is taken.")] = Frame.CONTRACTED,
    tip: Annotated[
        str | None,
        typer.Option(help="Tip of the needle in the measurement, x,y,z in mm (RAS; of a surface in its own axes)."),
    ] = None,
    entry: Annotated[
        str | None, typer.Option(help="Another point of the needle, toward the handle, x,y,z in mm.")
    ] = None,
    align: Annotated[
        Align | None,
        typer.Option(
            help="axis: by a principal axis of the measured zone and the best depth; none: the case has its needle in "
            "the coordinates of the measurement."
        ),
    ] = None,
    tumour: Annotated[
        Path | None,
        typer.Option(
            help="Tumour before the ablation, in the coordinates of the measured zone; that of the case by default."
        ),
    ] = None,
    tumour_label: Annotated[
        str | None, typer.Option(help="Label of the tumour in its image: a number, or the name of a segment.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to; 'overlap' in the run folder by default.")
    ] = None,
) -> None:
    """Compare the zone of a run with a measured one: Dice, surface distances, volumes, and margins of the tumour."""
    limit_threads(None)
    if tumour_label is not None and tumour is None:
        raise typer.BadParameter("--tumour-label belongs to --tumour, the image that the tumour is in")
    way = way_of(tip, entry, align)
    points = {name: point_of(f"--{name}", text) for name, text in (("tip", tip), ("entry", entry)) if text is not None}

    from rich.console import Console

    from ablationsim.report.overlap import write_picture
    from ablationsim.results import Result
    from ablationsim.study.overlap import overlap as compared
    from ablationsim.study.overlap import write_overlap
    from ablationsim.vasculature.opening import is_image
    from ablationsim.zone.measured import MeasuredZone, read_measured

    def read(path: Path, label: str | None) -> MeasuredZone:
        # Where one of both files is an image, it tells unit and axes itself.
        image = is_image(path) and path != measured
        return read_measured(
            path,
            label=label,
            unit=None if unit is None or image else unit.value,
            orientation=None if orientation is None or image else orientation.value,
        )

    console = Console()
    with console.status("reading the run and the measured zone") as status:
        result = Result.load(run)
        zone = read(measured, label)
        target = None if tumour is None else read(tumour, tumour_label)
        if orientation is Orientation.LPS:
            points = {name: [-x, -y, z] for name, (x, y, z) in points.items()}
        status.update("comparing")
        found = compared(result, zone, frame=frame.value, align=way, tumour=target, **points)
        folder = output or run / "overlap"
        document = write_overlap(folder, found, measured)
        picture = write_picture(folder, found)
    _print(console, found)
    typer.echo(f"\nNumbers: {document}\nPicture: {picture}    (research use only; not a medical device)")


def way_of(tip: str | None, entry: str | None, align: Align | None) -> Literal["needle", "axis", "none"]:
    if (tip is None) != (entry is None):
        raise typer.BadParameter("--tip and --entry belong together: the direction of the needle needs both")
    if tip is not None and align is not None:
        raise typer.BadParameter("--tip and --entry say how to align; leave --align out")
    if tip is None and align is None:
        raise typer.BadParameter(
            "say how the measured zone lies to the needle: give --tip and --entry, two points of the needle in the "
            "measurement; or --align axis to estimate it from the shape of the zone; or --align none when the case has "
            "its needle in the coordinates of the measurement"
        )
    return "needle" if align is None else align.value


def point_of(option: str, text: str) -> list[float]:
    """Three numbers in mm, as metres."""
    parts = text.split(",")
    try:
        values = [1e-3 * float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != 3 or not all(abs(value) < 10 for value in values):
        raise typer.BadParameter(f"{option} expects three numbers in mm with commas between, x,y,z, got '{text}'")
    return values


def _print(console: Console, found: Overlap) -> None:
    from rich.markup import escape
    from rich.table import Table

    numbers = found.agreement
    table = Table("", "Predicted", "Measured", "Both", box=None)
    table.add_row(
        "Volume",
        f"{numbers.predicted_volume_ml:.2f} mL",
        f"{numbers.measured_volume_ml:.2f} mL",
        f"{numbers.common_volume_ml:.2f} mL",
    )
    console.print(f"Measured: {escape(found.source)}\nFrame: {found.frame}", highlight=False, soft_wrap=True)
    console.print(f"Alignment: {escape(found.alignment.statement)}\n", highlight=False, soft_wrap=True)
    console.print(table)
    console.print(
        f"\nDice                        {numbers.dice:.3f}\n"
        f"Jaccard                     {numbers.jaccard:.3f}\n"
        f"Mean surface distance       {numbers.mean_surface_distance_mm:.2f} mm\n"
        f"  with sign                 {numbers.mean_signed_distance_mm:+.2f} mm (positive: prediction larger)\n"
        f"Hausdorff distance, 95 %    {numbers.hausdorff_95_mm:.2f} mm\n"
        f"Hausdorff distance          {numbers.hausdorff_mm:.2f} mm",
        highlight=False,
    )
    if found.margins is not None:
        _print_margins(console, found.margins)
    for note in found.notes:
        console.print(f"Note: {escape(note)}", highlight=False, soft_wrap=True)
    for warning in found.warnings:
        console.print(f"[yellow]Warning:[/yellow] {escape(warning)}", highlight=False, soft_wrap=True)


def _print_margins(console: Console, found: ComparedMargins) -> None:
    from rich.markup import escape
    from rich.table import Table

    required = 1e3 * found.predicted.required
    both = (found.predicted.to_dict(), found.measured.to_dict())
    table = Table("Margins of the tumour", "Predicted", "Measured", box=None)
    for name, key, unit, scale in (
        ("minimal margin (MAM)", "mam_mm", "mm", 1.0),
        ("coverage of its volume", "coverage", "%", 100.0),
        ("surface not covered", "under_0", "%", 100.0),
        (f"surface under {required:g} mm", "under_required", "%", 100.0),
    ):
        table.add_row(name, *("-" if zone[key] is None else f"{scale * zone[key]:.1f} {unit}" for zone in both))
    console.print(f"\nTumour: {escape(found.source)}, where it was before", highlight=False, soft_wrap=True)
    console.print(table)
