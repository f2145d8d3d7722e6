"""Commands about one case: run, check, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
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
    progress_lines,
    show_report,
    stoppable,
)
from ablationsim.parallel.communicator import ALONE, Communicator
from ablationsim.parallel.failure import together
from ablationsim.parallel.launcher import launched, refuse, start

if TYPE_CHECKING:
    from ablationsim.case import Case
    from ablationsim.results import Result

LARGEST_REPORT = 3_000_000
"""Nodes up to which the first rank of a distributed run puts the whole mesh together for the report."""


class Engine(StrEnum):
    """What solves a run."""

    AUTO = "auto"
    IN_PROCESS = "in-process"
    PETSC = "petsc"


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
    engine: Annotated[
        Engine,
        typer.Option(
            help="auto: PETSc where mpirun or srun started several processes, or mpirun one; else in this process."
        ),
    ] = Engine.AUTO,
    report: Annotated[bool, typer.Option(help="Write the HTML report.")] = True,
) -> None:
    """Simulate a case and write the run folder with its report; under mpirun, on all ranks together."""
    limit_threads(threads)
    folder = output or Path("runs") / case.stem
    comm = ranks_for(engine)
    with together(comm), stoppable(folder):
        import ablationsim

        loaded = checked_case(case, comm)
        with progress(loaded, 2 if refine else 1, comm) as show:
            result = ablationsim.simulate(
                loaded, folder, comm=comm, refine=refine, resume=resume, overwrite=overwrite, progress=show
            )
        print_zone(result)
        if report and comm.rank == 0:
            write_run_report(folder, result)


def ranks_for(engine: Engine) -> Communicator:
    """The ranks of this run: those of the launcher, if there is one and nothing else was asked for."""
    if engine is Engine.IN_PROCESS:
        launch = launched()
        if launch is not None and launch.size != 1:
            refuse(
                launch,
                f"{launch.text}, and --engine in-process is for one: all would write the same files. Leave the option "
                "out, or start one process.",
            )
        return ALONE
    return start(always=engine is Engine.PETSC)


def progress(case: Case, runs: int, comm: Communicator) -> AbstractContextManager[Callable[[float, str], None]]:
    return progress_bar(case, runs) if comm is ALONE else nullcontext(progress_lines(case))


def write_run_report(folder: Path, result: Result) -> None:
    """Write the report, for which the pieces of a distributed run are put together, if that takes no large memory."""
    if not result.mesh.distribution.parted:
        show_report(folder, result)
    elif result.record["nodes"] <= LARGEST_REPORT:
        show_report(folder, type(result).load(folder))
    else:
        typer.echo(f"Report: write it where there is memory for the whole mesh, with 'ablationsim report {folder}'.")


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
    from rich.console import Console

    with Console(stderr=True).status("reading the case") as status:
        loaded = checked_case(case)
        applicators = ", ".join(f"{a.name} ({a.device.name})" for a in loaded.applicators)
        remarks: list[str] = []
        if loaded.patient is not None:
            from ablationsim.cli.access import access_lines

            status.update("measuring the ways of the needles")
            remarks = access_lines(loaded)
        if loaded.vessels or loaded.patient is not None:
            from ablationsim.cli.remarks import vessel_remarks

            status.update("reading vessels, which is done once for a file")
            remarks += vessel_remarks(loaded)
    typer.echo(f"{case}: no problems. {applicators}; {loaded.tissue.name}; ends at {loaded.end:g} s at the latest.")
    for remark in remarks:
        typer.echo(remark)


@app.command("report")
def write_report(folder: Annotated[Path, typer.Argument(help="Run folder, or the folder of a plan.")]) -> None:
    """Write the report of a finished run or of a plan again."""
    from ablationsim.study.planning.record import JSON

    if (folder / JSON).is_file():
        from ablationsim.report.plan import write_plan_report

        typer.echo(f"Report: {write_plan_report(folder)}    (research use only; not a medical device)")
        return
    from ablationsim.results import Result

    show_report(folder, Result.load(folder))


def print_zone(result: Result) -> None:
    from rich.console import Console
    from rich.table import Table

    document = result.document
    shrunk = document["contracted"]
    error = document["discretisation_error"]
    how = "" if shrunk["law"] == "uniform" else "by its history, "
    table = Table("Ablation zone", "undeformed", f"contracted {how}{100 * shrunk['strain']:.3g} %", box=None)
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
    if "margins" in document:
        from ablationsim.cli.margins import print_margins

        print_margins(console, document["margins"])
    for warning in result.warnings:
        console.print(f"[yellow]Warning:[/yellow] {warning}", highlight=False)


def _number(value: float | None, digits: int, unit: str) -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}".rstrip()
