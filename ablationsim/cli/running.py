"""Commands about one case: run, check, report, mesh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import (
    CaseFile,
    Threads,
    checked_case,
    limit_threads,
    progress_bar,
    show_report,
    stoppable,
)

if TYPE_CHECKING:
    from ablationsim.results import Result


@app.command()
def run(
    case: CaseFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Run folder; runs/<case name> by default.")
    ] = None,
    refine: Annotated[bool, typer.Option(help="Run again on a finer mesh and step and state the difference.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint of an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier run in the folder.")] = False,
    threads: Threads = None,
    report: Annotated[bool, typer.Option(help="Write the HTML report.")] = True,
) -> None:
    """Simulate a case and write the run folder with its report."""
    limit_threads(threads)
    folder = output or Path("runs") / case.stem
    with stoppable(folder):
        import ablationsim

        loaded = checked_case(case)
        with progress_bar(loaded, 2 if refine else 1) as show:
            result = ablationsim.simulate(
                loaded, folder, refine=refine, resume=resume, overwrite=overwrite, progress=show
            )
        print_zone(result)
        if report:
            show_report(folder, result)


@app.command()
def check(
    case: Annotated[Path | None, typer.Argument(help="Case file (TOML).", show_default=False)] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of case files, for editors.")] = False,
) -> None:
    """Check a case file and say everything that is wrong with it, without running it."""
    from ablationsim.case import Case

    if schema:
        typer.echo(json.dumps(Case.schema(), indent=2))
        return
    if case is None:
        raise typer.BadParameter("give a case file, or --schema")
    loaded = checked_case(case)
    applicators = ", ".join(f"{a.name} ({a.device.name})" for a in loaded.applicators)
    remarks: list[str] = []
    if loaded.vessels:
        from ablationsim.cli.remarks import vessel_remarks

        remarks = vessel_remarks(loaded)
    typer.echo(f"{case}: no problems. {applicators}; {loaded.tissue.name}; ends at {loaded.end:g} s at the latest.")
    for remark in remarks:
        typer.echo(remark)


@app.command("report")
def write_report(folder: Annotated[Path, typer.Argument(help="Run folder.")]) -> None:
    """Write the report of a finished run again."""
    from ablationsim.results import Result

    show_report(folder, Result.load(folder))


@app.command()
def mesh(
    case: CaseFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="Mesh file to write: .msh or .vtu.")] = Path(
        "mesh.msh"
    ),
) -> None:
    """Mesh the geometry of a case and write the mesh."""
    loaded = checked_case(case)
    from ablationsim.geometry.geometry import Geometry
    from ablationsim.mesh.generate import mesh_of
    from ablationsim.mesh.io import write_mesh

    made = mesh_of(loaded, Geometry.from_case(loaded))
    write_mesh(made, output)
    quality = made.quality()
    typer.echo(
        f"{output}: {len(made.points)} nodes, {len(made.cells)} elements, quality {quality.min():.2f} at worst, "
        f"{quality.mean():.2f} on average"
    )


def print_zone(result: Result) -> None:
    from rich.console import Console
    from rich.table import Table

    document = result.document
    shrunk = document["contracted"]
    error = document["discretisation_error"]
    table = Table("Ablation zone", "undeformed", f"contracted {100 * shrunk['strain']:g} %", box=None)
    for key, name, unit in (
        ("volume_ml", "volume", "mL"),
        ("axial_length_mm", "length along the shaft", "mm"),
        ("transverse_diameter_mm", "diameter across", "mm"),
        ("sphericity_axes", "sphericity, short / long", ""),
        ("sphericity_isoperimetric", "sphericity, isoperimetric", ""),
        ("beyond_tip_mm", "beyond the tip", "mm"),
    ):
        digits = 1 if unit else 3
        table.add_row(name, *(_number(zone[key], digits, unit) for zone in (document, shrunk)))
    console = Console()
    console.print(table)
    balance = document["energy_balance"]
    console.print(
        f"Energy in {balance['in_j'] / 1e3:.2f} kJ, balance closes to {100 * balance['relative_error']:.2g} %."
    )
    if error is not None and "volume_relative" in error:
        console.print(f"Discretisation error of the volume: {100 * error['volume_relative']:.2f} %.")
    for warning in result.warnings:
        console.print(f"[yellow]Warning:[/yellow] {warning}", highlight=False)


def _number(value: float | None, digits: int, unit: str) -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}".rstrip()
