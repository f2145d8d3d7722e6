"""The command line: thin commands over the Python interface."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablationsim.errors import AblationSimError, Interrupted

if TYPE_CHECKING:
    from ablationsim.case import Case
    from ablationsim.results import Result
    from ablationsim.vessels.build import Built

app = typer.Typer(
    name="ablationsim",
    help="Predict thermal ablation zones in the liver. Research use only; not a medical device.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
devices = typer.Typer(help="The device profiles.", no_args_is_help=True)
app.add_typer(devices, name="devices")

CaseFile = Annotated[Path, typer.Argument(help="Case file (TOML), or resolved.json of a run.", show_default=False)]


def main() -> None:
    """Entry point: run a command; every error that ablationsim knows is one paragraph, never a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        app()
    except AblationSimError as error:
        sys.stdout.flush()
        print(f"ablationsim: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        # Beside the run folder there is the cache of compiled kernels to write.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            raise
        sys.stdout.flush()
        print(
            f"ablationsim: {error}. Make space on its disk, or set NUMBA_CACHE_DIR to a folder on another.",
            file=sys.stderr,
        )
        raise SystemExit(1) from None


@app.command()
def run(
    case: CaseFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Run folder; runs/<case name> by default.")
    ] = None,
    refine: Annotated[bool, typer.Option(help="Run again on a finer mesh and step and state the difference.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint of an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier run in the folder.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the numerical libraries; 1 by default.")
    ] = None,
    report: Annotated[bool, typer.Option(help="Write the HTML report.")] = True,
) -> None:
    """Simulate a case and write the run folder with its report."""
    _limit_threads(threads)
    folder = output or Path("runs") / case.stem
    with _stoppable(folder):
        import ablationsim

        loaded = _checked(case)
        with _progress(loaded, 2 if refine else 1) as show:
            result = ablationsim.simulate(
                loaded, folder, refine=refine, resume=resume, overwrite=overwrite, progress=show
            )
        _print_zone(result)
        if report:
            _write_report(folder, result)


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
    loaded = _checked(case)
    applicators = ", ".join(f"{a.name} ({a.device.name})" for a in loaded.applicators)
    remarks = _vessel_remarks(loaded)
    typer.echo(f"{case}: no problems. {applicators}; {loaded.tissue.name}; ends at {loaded.end:g} s at the latest.")
    for remark in remarks:
        typer.echo(remark)


@devices.command("list")
def list_devices() -> None:
    """List the device profiles."""
    from rich.console import Console
    from rich.table import Table

    from ablationsim.device import Device

    table = Table("Profile", "Device", "Modelled like", box=None)
    for name in Device.names():
        device = Device.load(name)
        table.add_row(name, device.title, device.like)
    Console().print(table)


@devices.command("show")
def show_device(name: Annotated[str, typer.Argument(help="Profile name, or path of a .toml file.")]) -> None:
    """Show a profile: every number with its unit, its source and how sure it is."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ablationsim.device import Device
    from ablationsim.device.protocol import describe
    from ablationsim.units import show

    device = Device.load(name)
    console = Console()
    console.print(
        f"[bold]{escape(device.title)}[/bold]\nmodelled like {escape(device.like)}\n\n{escape(device.notes.strip())}\n",
        highlight=False,
    )
    table = Table("Parameter", "Value", "Status", "Read in source", "Source", box=None)
    for place, sourced in device.parameters.items():
        read = ("yes" if sourced.verified else "no") if sourced.citation is not None else "-"
        value = show(sourced.value, sourced.dimension)
        table.add_row(place, value, sourced.status, read, escape(sourced.source))
    console.print(table)
    for step in device.default_protocol:
        console.print(f"Default protocol: {describe(step)}", highlight=False)


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

    measured = None if volume is None else 1e6 * _quantity("--volume", volume, "volume")
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
    tissue: Annotated[str, typer.Option(help="Tissue set of the experiment.")] = "liver_porcine_ex_vivo",
    start: Annotated[
        str | None, typer.Option(help='Start temperature of the experiment, such as "21 degC"; of the set by default.')
    ] = None,
    edge: Annotated[
        str, typer.Option(help='What was taken for the edge: "whitening", "55 degC", or another criterion.')
    ] = "whitening",
    contraction: Annotated[str, typer.Option(help="Uniform contraction of the measured zones.")] = "12 %",
    resolution: Annotated[float, typer.Option(min=0.25, max=4.0, help="Size of the elements.")] = 1.5,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Profile to write, with the fit in it.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
) -> None:
    """Fit one or two numbers of a device profile to a few measured zones, and predict the others."""
    _limit_threads(None)
    from rich.console import Console

    from ablationsim.device import Device
    from ablationsim.study.calibrate import calibrate as calibrated
    from ablationsim.study.measurements import Conditions, Measurements
    from ablationsim.study.tables import change_table, comparison_table

    assumed = Conditions(
        tissue=tissue,
        start=None if start is None else _quantity("--start", start, "temperature"),
        edge=edge,
        contraction=_quantity("--contraction", contraction, "fraction"),
    )
    measurements = Measurements.read(data, Device.load(device).name, assumed)
    console = Console()

    def told(text: str) -> None:
        console.print(text, highlight=False)

    found = calibrated(device, measurements, _names(fit), resolution=resolution, jobs=jobs, told=told)
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
    _limit_threads(None)
    from rich.console import Console

    from ablationsim.device import Device
    from ablationsim.study.matching import match as matched
    from ablationsim.study.tables import change_table
    from ablationsim.tissue import Tissue

    console = Console()
    found = matched(
        device, _names(vary), Tissue.load(tissue), jobs=jobs, told=lambda text: console.print(text, highlight=False)
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
    resume: Annotated[bool, typer.Option(help="Keep finished runs and go on with interrupted ones.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace earlier runs in the folder.")] = False,
) -> None:
    """Run cases with their vessels and without, and say what the vessels take away from the zone."""
    _limit_threads(None)
    with _stoppable(output):
        from rich.console import Console

        from ablationsim.errors import CaseError
        from ablationsim.results import Result
        from ablationsim.study.heat_sink import heat_sink as compared
        from ablationsim.study.tables import heat_sink_table, toward_table

        stems = [case.stem for case in cases]
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        if twice:
            raise CaseError([f"several files are called {stem}; give each a name of its own" for stem in twice])
        loaded = {case.stem: _checked(case) for case in cases}
        with _side_by_side() as show:
            found = compared(loaded, output, jobs, resume=resume, overwrite=overwrite, progress=show)
        console = Console()
        console.print(heat_sink_table(found))
        if any(comparison.branches for comparison in found):
            console.print()
            console.print(toward_table(found))
        typer.echo(f"\nTable: {output / 'heat_sink.csv'}")
        for comparison in found:
            _write_report(comparison.folder, Result.load(comparison.folder))


@app.command("report")
def write_report(folder: Annotated[Path, typer.Argument(help="Run folder.")]) -> None:
    """Write the report of a finished run again."""
    from ablationsim.results import Result

    _write_report(folder, Result.load(folder))


@app.command()
def mesh(
    case: CaseFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="Mesh file to write: .msh or .vtu.")] = Path(
        "mesh.msh"
    ),
) -> None:
    """Mesh the geometry of a case and write the mesh."""
    loaded = _checked(case)
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


@app.command()
def vessels(
    file: Annotated[
        Path,
        typer.Argument(help="Case file, label image, surface, volume mesh or centrelines.", show_default=False),
    ],
    label: Annotated[int | None, typer.Option(help="Label of the vessel in an image; all are listed without.")] = None,
    kind: Annotated[
        str, typer.Option(help="portal_vein, hepatic_vein, hepatic_artery or tube; of no effect on a case.")
    ] = "portal_vein",
    unit: Annotated[str | None, typer.Option(help="Unit of a surface or centrelines: m, cm, mm or um.")] = None,
    orientation: Annotated[str | None, typer.Option(help="Axes of a surface or centrelines: RAS or LPS.")] = None,
    part: Annotated[str | None, typer.Option(help="Region or facets of a volume mesh, by name or number.")] = None,
    flow: Annotated[str | None, typer.Option(help='Flow through the trunk, such as "900 mL/min".')] = None,
    complete: Annotated[bool, typer.Option("--all", help="Show every branch, not only the thickest.")] = False,
) -> None:
    """Say what flows in vessels, branch by branch, and how each exchanges heat with the tissue."""
    from rich.console import Console

    from ablationsim.case import Case
    from ablationsim.tissue import Tissue
    from ablationsim.vessels.build import build_vessel
    from ablationsim.vessels.image import LabelImage
    from ablationsim.vessels.opening import is_case, is_image, section_of
    from ablationsim.vessels.table import MOST, branch_table, heading, label_table, left_out

    console = Console()
    if is_image(file) and label is None:
        console.print(label_table(LabelImage.read(file).contents()))
        return
    if is_case(file):
        found = _built_vessels(Case.load(file))
        if not found:
            typer.echo(f"{file}: no [[vessel]] in it.")
    else:
        section = section_of(file, kind=kind, label=label, unit=unit, orientation=orientation, part=part, flow=flow)
        found = (build_vessel(section, Tissue.load("liver_human")),)
    most = None if complete else MOST
    for built in found:
        console.print(f"{heading(built)}\n", highlight=False, markup=False)
        console.print(branch_table(built, most))
        for text in (left_out(built, most), *built.notes):
            if text:
                console.print(text, highlight=False, markup=False)
        console.print()


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing and how to get it; solve a small problem to prove that it works."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ablationsim.doctor import examine

    table = Table("", "What", "Found", "Cure", box=None)
    findings = examine()
    for finding in findings:
        mark = "[green]ok[/green]" if finding.ok else "[red]missing[/red]"
        table.add_row(mark, *(escape(text) for text in (finding.name, finding.found, finding.cure)))
    Console().print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _checked(path: Path) -> Case:
    """Load a case, its geometry and its mesh file, so that what can be wrong is said before anything runs."""
    from ablationsim.case import Case
    from ablationsim.geometry.geometry import Geometry

    case = Case.load(path)
    geometry = Geometry.from_case(case)
    if case.domain.mesh is not None:
        from ablationsim.mesh.generate import mesh_of

        mesh_of(case, geometry)
    return case


def _vessel_remarks(case: Case) -> list[str]:
    """What was mended in the vessels of a case, and where needles run through them."""
    if not case.vessels:
        return []
    from ablationsim.geometry.crossings import vessel_warnings
    from ablationsim.geometry.geometry import Geometry

    built = _built_vessels(case)
    warnings = vessel_warnings(Geometry.from_case(case), [found.vessel for found in built])
    remarks = [f"Vessel '{found.vessel.name}': {note}" for found in built for note in found.notes]
    return remarks + [f"Warning: {text}" for text in warnings]


def _built_vessels(case: Case) -> tuple[Built, ...]:
    """The vessels of a case, of which its own mesh may have the walls."""
    from ablationsim.geometry.geometry import Geometry
    from ablationsim.mesh.generate import mesh_of
    from ablationsim.mesh.walls import fitted_walls
    from ablationsim.vessels.build import build_vessels

    own = any(vessel.facets is not None for vessel in case.vessels)
    return build_vessels(case, fitted_walls(case, mesh_of(case, Geometry.from_case(case))) if own else {})


def _quantity(option: str, text: str, dimension: str) -> float:
    """The SI value of an option."""
    from ablationsim.units import parse

    try:
        return parse(text, dimension)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {error}") from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _limit_threads(count: int | None) -> None:
    # The kernels are bound by memory, and BLAS threads fight with each other on the small systems of a time step.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        if count is not None or variable not in os.environ:
            os.environ[variable] = str(count or 1)


@contextmanager
def _stoppable(folder: Path) -> Iterator[None]:
    """Say what a stop leaves; while a run marches it stops by itself, with a checkpoint, and says more."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped. What was written to {folder} stays; the same command with --resume goes on from the last "
            "checkpoint, if there is one yet."
        ) from None


@contextmanager
def _progress(case: Case, runs: int) -> Iterator[Callable[[float, str], None]]:
    """A progress bar in simulated time; on a refined run it starts again for the second one."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s simulated"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    end = case.end + case.zone.cooling
    with Progress(*columns, transient=False) as bar:
        task = bar.add_task("simulating", total=end, state="meshing")
        last = -1.0

        def show(time: float, state: str) -> None:
            nonlocal last, task
            if time < last and runs == 2:
                bar.update(task, completed=end)
                task = bar.add_task("refined", total=end, state="")
            last = time
            bar.update(task, completed=time, state=state)

        yield show
        # A protocol may end early (roll-off, temperature reached); a run that was finished before has nothing to show.
        bar.update(task, total=last, completed=last, visible=last >= 0.0)


@contextmanager
def _side_by_side() -> Iterator[Callable[[str, float, float], None]]:
    """A progress bar in simulated time for each of several runs, from its first step on."""
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s simulated"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as bar:
        tasks: dict[str, TaskID] = {}

        def show(run: str, time: float, end: float) -> None:
            if run not in tasks:
                tasks[run] = bar.add_task(run, total=end)
            bar.update(tasks[run], completed=time)

        yield show


def _print_zone(result: Result) -> None:
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


def _write_report(folder: Path, result: Result) -> None:
    from ablationsim.report import write_report
    from ablationsim.report.build import report_data

    page = write_report(folder, report_data(result))
    typer.echo(f"Report: {page}    (research use only; not a medical device)")


if __name__ == "__main__":
    main()
