"""The command that fits the perfusion of a liver to a measured zone: fit-perfusion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import CaseFile, checked_case, limit_threads, quantity_of
from ablationsim.cli.overlapping import Align, Frame, Orientation, Unit, point_of, way_of

if TYPE_CHECKING:
    from rich.console import Console

    from ablationsim.study.perfusion_fit import PerfusionFit
    from ablationsim.study.perfusion_trial import Measured


@app.command("fit-perfusion")
def fit_perfusion(
    case: CaseFile,
    volume: Annotated[str | None, typer.Option(help="Volume of the measured zone, e.g. '21 mL'.")] = None,
    zone: Annotated[
        Path | None,
        typer.Option(help="Measured zone instead: label image (.nii.gz, .nrrd, .seg.nrrd, ...) or closed surface."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Label of the zone in an image: a number, or the name of a segment.")
    ] = None,
    unit: Annotated[Unit | None, typer.Option(help="Unit of a surface's coordinates.")] = None,
    orientation: Annotated[Orientation | None, typer.Option(help="Axes of a surface's coordinates.")] = None,
    frame: Annotated[Frame, typer.Option(help="In which the zone was measured.")] = Frame.CONTRACTED,
    tip: Annotated[str | None, typer.Option(help="Tip of the needle in the measurement, x,y,z in mm.")] = None,
    entry: Annotated[str | None, typer.Option(help="Another point of the needle, toward the handle.")] = None,
    align: Annotated[
        Align | None, typer.Option(help="How the measured zone lies to the needle; as in 'ablationsim overlap'.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to; runs/<case>_perfusion by default.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
) -> None:
    """Fit the perfusion of the liver to the zone of an ablation that was measured, and say what that leaves open."""
    limit_threads(None)
    if (volume is None) == (zone is None):
        raise typer.BadParameter("give what was measured: either --volume, such as --volume '21 mL', or --zone FILE")
    if volume is not None and (label or unit or orientation or tip or entry or align):
        raise typer.BadParameter("--label, --unit, --orientation, --tip, --entry and --align belong to --zone")
    from rich.console import Console

    from ablationsim.errors import Interrupted
    from ablationsim.report.perfusion_fit import write_picture
    from ablationsim.results.files import make_folder, write_whole
    from ablationsim.study.perfusion_fit import fit_perfusion as fitted
    from ablationsim.study.perfusion_trial import Measured

    loaded = checked_case(case)
    measured: Measured
    if zone is None:
        size = quantity_of("--volume", str(volume), "volume")
        if not 0.1e-6 <= size <= 500e-6:
            raise typer.BadParameter(f"--volume is {1e6 * size:g} mL; a zone has 0.1 mL to 500 mL")
        measured = Measured(frame.value, volume_ml=1e6 * size)
    else:
        measured = _zone(zone, label, unit, orientation, frame, tip, entry, align)
    folder = output or Path("runs") / f"{case.stem}_perfusion"
    console = Console()
    file = "" if zone is None else f" ({zone})"
    console.print(f"Measured: {measured.statement}{file}", highlight=False, soft_wrap=True, markup=False)
    try:
        with console.status("running trials, 8 to 14 in all") as status:

            def told(line: str) -> None:
                console.print(line, highlight=False, soft_wrap=True, markup=False)
                status.update("running the next trial")

            found = fitted(loaded, measured, folder=folder / "trials", jobs=jobs, told=told)
    except (Interrupted, KeyboardInterrupt) as stop:
        kind = type(stop) if isinstance(stop, Interrupted) else Interrupted
        raise kind(f"Stopped. Finished trials are kept in {folder}; the same command goes on.") from None
    make_folder(folder)
    write_whole(folder / "fit.json", json.dumps(found.to_dict(), indent=2) + "\n")
    picture = write_picture(folder, found)
    _print(console, found)
    typer.echo(f"\nNumbers: {folder / 'fit.json'}\nPicture: {picture}    (research use only; not a medical device)")


def _zone(
    path: Path,
    label: str | None,
    unit: Unit | None,
    orientation: Orientation | None,
    frame: Frame,
    tip: str | None,
    entry: str | None,
    align: Align | None,
) -> Measured:
    from ablationsim.study.perfusion_trial import Measured
    from ablationsim.zone.measured import read_measured

    way = way_of(tip, entry, align)
    foot, other = (_place(name, text, orientation) for name, text in (("--tip", tip), ("--entry", entry)))
    zone = read_measured(
        path,
        label=label,
        unit=None if unit is None else unit.value,
        orientation=None if orientation is None else orientation.value,
    )
    return Measured(frame.value, zone=zone, align=way, tip=foot, entry=other)


def _place(option: str, text: str | None, orientation: Orientation | None) -> tuple[float, float, float] | None:
    """A point in the axes of the measurement, as RAS in metres."""
    if text is None:
        return None
    x, y, z = point_of(option, text)
    return (-x, -y, z) if orientation is Orientation.LPS else (x, y, z)


def _print(console: Console, found: PerfusionFit) -> None:
    low, high = found.range
    ends = (
        (f"below {low:.4g}" if found.low is None else f"{found.low:.4g}"),
        (f"above {high:.4g}" if found.high is None else f"{found.high:.4g}"),
    )
    best = found.best
    lines = [
        f"\nPerfusion                 {found.perfusion:.4g} 1/s ({found.verdict})",
        f"  68 % interval           {ends[0]} to {ends[1]} 1/s",
        f"  difference left         {best.misfit**0.5:.2f} standard deviations",
        f"Volume of the zone        {best.volume_ml:.2f} mL",
    ]
    if best.mean_surface_distance_mm is not None:
        lines += [
            f"Mean surface distance     {best.mean_surface_distance_mm:.2f} mm",
            f"Dice                      {best.dice:.3f}",
        ]
    if found.verdict == "fitted":
        lines += [
            "\nFor a case of the same patient (calibrated):",
            "[tissue]",
            f'perfusion = "{found.perfusion:.4g} 1/s"',
        ]
    for line in [*lines, "", *found.statements]:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
