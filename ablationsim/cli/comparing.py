"""The command compare."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import Threads, limit_threads

if TYPE_CHECKING:
    from rich.console import Console

    from ablationsim.study.compare.comparison import Comparison
    from ablationsim.study.compare.study import ComparisonStudy
    from ablationsim.study.sweep.local import Told
    from ablationsim.study.sweep.manifest import Manifest, Run
    from ablationsim.study.sweep.standing import Standing


@app.command()
def compare(
    study: Annotated[Path | None, typer.Argument(help="Comparison file (TOML).", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the comparison; runs/<name> by default.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    threads: Threads = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try failed runs again.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the file and say what would be run.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of comparison files.")] = False,
) -> None:
    """Compare devices: size, shape, energy and heat sink at several powers and times. Again: goes on where it was."""
    limit_threads(threads)
    from rich.console import Console

    from ablationsim.study.compare.study import ComparisonStudy
    from ablationsim.study.sweep.planning import plan
    from ablationsim.study.sweep.standing import UNFINISHED, State, standings

    if schema:
        typer.echo(json.dumps(ComparisonStudy.schema(), indent=2))
        return
    if study is None:
        raise typer.BadParameter("give a comparison file, or --schema")
    loaded = ComparisonStudy.load(study)
    folder = (output or Path("runs") / loaded.study.name).absolute()
    manifest = plan(loaded.study, folder).manifest
    found = list(standings(folder, manifest.runs))
    wanted = UNFINISHED | {State.FAILED} if retry else UNFINISHED
    todo = [run for run, one in found if one.state in wanted]
    console = Console()
    console.print(
        f"Comparison '{loaded.study.name}': settings: {len(loaded.settings)}; runs: {len(found)}; of them to be made: "
        f"{len(todo)}{'; no problems' if check else ''}",
        highlight=False,
        soft_wrap=True,
    )
    if check:
        return
    manifest.write(folder)
    if todo:
        _run(loaded, manifest, folder, todo, jobs, threads or 1)
    _conclude(console, loaded, manifest, folder, jobs)


def _run(study: ComparisonStudy, manifest: Manifest, folder: Path, todo: list[Run], jobs: int, threads: int) -> None:
    from ablationsim.errors import Interrupted
    from ablationsim.study.sweep.local import run_here

    names = {
        run.number: ", ".join([study.settings[planned.setting].title, *([planned.role] if planned.role.vessel else [])])
        for planned, run in zip(study.planned, manifest.runs, strict=True)
    }
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # A terminal that is closed stops the runs like Ctrl-C, unless nohup was asked to see to that.
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with _bars(names, len(todo)) as told:
            run_here(folder, todo, jobs, threads, told)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped. The runs that were under way keep their state in {folder}; the same command goes on."
        ) from None


def _conclude(console: Console, study: ComparisonStudy, manifest: Manifest, folder: Path, jobs: int) -> None:
    """Write table and report, and print what came of the runs; with exit code 1 if some did not finish."""
    from ablationsim.report.comparison import write_comparison
    from ablationsim.results.files import write_whole
    from ablationsim.study.compare.comparison import read
    from ablationsim.study.compare.console import tables
    from ablationsim.study.compare.table import CSV, to_csv
    from ablationsim.study.workers import workers

    with console.status("Reading the runs"), workers(jobs) as apply:
        found = read(study, manifest, folder, apply)
    console.print(f"Sizes in the {study.about.frame} frame; the report and the table have both.\n", highlight=False)
    for heading, table in tables(found):
        console.print(heading, style="bold", highlight=False)
        console.print(table, highlight=False)
        console.print()
    _say_troubles(console, found)
    write_whole(folder / CSV, to_csv(found))
    page = write_comparison(folder, found)
    typer.echo(f"Table: {folder / CSV}\nReport: {page}    (research use only; not a medical device)")
    if any(entry.trouble for entry in found.entries):
        raise typer.Exit(1)


def _say_troubles(console: Console, found: Comparison) -> None:
    for entry in found.entries:
        if entry.trouble:
            console.print(f"[yellow]{entry.setting.title}[/yellow]: {entry.trouble}", highlight=False, soft_wrap=True)


@contextmanager
def _bars(names: dict[int, str], total: int) -> Iterator[Told]:
    """A progress bar for all runs, and one for each that is under way."""
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    with Progress(*columns) as bar:
        whole = bar.add_task("all runs", total=total, text=f"0 of {total}")
        bars: dict[int, TaskID] = {}
        ended = 0

        def told(run: Run, one: Standing, over: bool) -> None:
            nonlocal ended
            if over:
                ended += 1
                bar.update(whole, completed=ended, text=f"{ended} of {total}")
                if run.number in bars:
                    bar.remove_task(bars.pop(run.number))
                return
            if run.number not in bars:
                bars[run.number] = bar.add_task(names[run.number], total=None, text="meshing")
            if one.end_s:
                text = f"{one.time_s:.0f} of {one.end_s:.0f} s simulated"
                bar.update(bars[run.number], total=one.end_s, completed=one.time_s, text=text)

        yield told
