"""Commands about several runs: audit, calibrate, match, heat-sink."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import (
    CaseFile,
    Threads,
    checked_case,
    limit_threads,
    names_in,
    progress_bars,
    quantity_of,
    show_report,
    stoppable,
)


@app.command()
def audit(
    case: CaseFile,
    volume: Annotated[
        str | None, typer.Option(help='Measured volume, such as "58 mL"; that of the case by default.')
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--run", help="Folder of a finished run of the case, to see where its energy went.")
    ] = None,
) -> None:
    """Audit the energy of a measured zone: what the generator spent on it beside what its tissue needs."""
    from rich.console import Console

    from ablationsim.case import Case
    from ablationsim.results import Result
    from ablationsim.study.audit import audit as audited
    from ablationsim.study.tables import audit_table, audit_text, model_table

    measured = None if volume is None else 1e6 * quantity_of("--volume", volume, "volume")
    found = audited(Case.load(case), volume_ml=measured, result=None if folder is None else Result.load(folder))
    console = Console()
    console.print(f"{audit_text(found)}\n", highlight=False)
    console.print(audit_table(found))
    if found.model is not None:
        console.print()
        console.print(model_table(found))
    console.print(f"\n{found.reading()}", highlight=False)


@app.command()
def calibrate(
    device: Annotated[str, typer.Argument(help="Profile name, or path of a .toml file.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Measured zones (CSV); docs/calibration.md describes its columns.")],
    fit: Annotated[
        str, typer.Option(help="One or two numbers of the profile, with a comma between them.")
    ] = "efficiency,radiating_length",
    tissue: Annotated[str | None, typer.Option(help="Tissue set of the experiment; that of paper.toml.")] = None,
    start: Annotated[
        str | None, typer.Option(help='Start temperature of the experiment, such as "21 degC"; that of paper.toml.')
    ] = None,
    edge: Annotated[
        str | None,
        typer.Option(help='What was taken for the edge: "whitening", "55 degC", or another; that of paper.toml.'),
    ] = None,
    contraction: Annotated[
        str | None,
        typer.Option(help='Contraction of the measured zones: "history", or a share such as "12 %".'),
    ] = None,
    resolution: Annotated[float, typer.Option(min=0.25, max=4.0, help="Size of the elements.")] = 1.5,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Profile to write, with the fit in it.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    threads: Threads = None,
) -> None:
    """Fit one or two numbers of a device profile to a few measured zones, and predict the others."""
    limit_threads(threads)
    from rich.console import Console

    from ablationsim.device import Device
    from ablationsim.study.calibrate import calibrate as calibrated
    from ablationsim.study.measurements import Measurements
    from ablationsim.study.tables import change_table, comparison_table
    from ablationsim.study.validation.paper import conditions_beside

    given: dict[str, Any] = {
        "tissue": tissue,
        "start": None if start is None else quantity_of("--start", start, "temperature"),
        "edge": edge,
        "contraction": contraction
        if contraction in (None, "history")
        else quantity_of("--contraction", str(contraction), "fraction"),
    }
    assumed = replace(conditions_beside(data), **{key: value for key, value in given.items() if value is not None})
    measurements = Measurements.read(data, Device.load(device).name, assumed)
    console = Console()

    def told(text: str) -> None:
        console.print(text, highlight=False)

    found = calibrated(device, measurements, names_in(fit), resolution=resolution, jobs=jobs, told=told)
    console.print()
    console.print(change_table(found.changes))
    console.print()
    console.print(comparison_table(found.rows))
    console.print(
        f"\nFitted residual: root mean square {found.rms:.2f} standard deviations, after {found.evaluations} trials.",
        highlight=False,
    )
    if output is not None:
        found.write(Device.file(device), output)
        typer.echo(f"Profile: {output}")


@app.command()
def match(
    device: Annotated[str, typer.Argument(help="Profile name, or path of a .toml file.", show_default=False)],
    vary: Annotated[str, typer.Option(help="One or two dimensions of the antenna, with a comma between them.")],
    tissue: Annotated[str, typer.Option(help="Tissue set, unheated.")] = "liver_human",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Profile to write, with the dimensions in it.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Fields at a time.")] = 1,
) -> None:
    """Find the dimensions of a microwave antenna at which unheated tissue reflects the least power."""
    limit_threads(None)
    from rich.console import Console

    from ablationsim.device import Device
    from ablationsim.study.matching import match as matched
    from ablationsim.study.tables import change_table
    from ablationsim.tissue import Tissue

    console = Console()
    found = matched(
        device, names_in(vary), Tissue.load(tissue), jobs=jobs, told=lambda text: console.print(text, highlight=False)
    )
    console.print(change_table(found.changes))
    console.print(
        f"\nS11 {found.before_db:.1f} dB before, {found.after_db:.1f} dB after {found.trials} fields.",
        highlight=False,
    )
    if output is not None:
        found.write(Device.file(device), output)
        typer.echo(f"Profile: {output}")


@app.command("heat-sink")
def heat_sink(
    cases: Annotated[list[Path], typer.Argument(help="Case files (TOML) with vessels.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all runs; runs/heat_sink by default.")] = (
        Path("runs") / "heat_sink"
    ),
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    threads: Threads = None,
    resume: Annotated[bool, typer.Option(help="Keep finished runs and go on with interrupted ones.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace earlier runs in the folder.")] = False,
) -> None:
    """Run cases with their vessels and without, and say what the vessels take away from the zone."""
    limit_threads(threads)
    with stoppable(output):
        from rich.console import Console

        from ablationsim.errors import CaseError
        from ablationsim.results import Result
        from ablationsim.study.heat_sink import heat_sink as compared
        from ablationsim.study.tables import heat_sink_table, toward_table

        stems = [case.stem for case in cases]
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        if twice:
            raise CaseError([f"several files are called {stem}; give each a name of its own" for stem in twice])
        loaded = {case.stem: checked_case(case) for case in cases}
        with progress_bars() as show:
            found = compared(loaded, output, jobs, resume=resume, overwrite=overwrite, progress=show)
        console = Console()
        console.print(heat_sink_table(found))
        if any(comparison.branches for comparison in found):
            console.print()
            console.print(toward_table(found))
        typer.echo(f"\nTable: {output / 'heat_sink.csv'}")
        for comparison in found:
            show_report(comparison.folder, Result.load(comparison.folder))
