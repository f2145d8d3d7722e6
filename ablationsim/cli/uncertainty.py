"""The command about what is not known of a prediction: uncertainty."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import Threads, limit_threads


@app.command()
def uncertainty(
    study: Annotated[Path | None, typer.Argument(help="Study file (TOML).", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the study; runs/<name> by default.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    threads: Threads = None,
    check: Annotated[bool, typer.Option("--check", help="Check the study and list what is uncertain.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of study files.")] = False,
) -> None:
    """Say how far a prediction spreads, what moves it most, and which of two devices is the more repeatable."""
    limit_threads(threads)
    from rich.console import Console

    from ablationsim.errors import Interrupted
    from ablationsim.report.uncertainty import write_report
    from ablationsim.study.uncertainty.assessment import assess, count
    from ablationsim.study.uncertainty.files import write_files
    from ablationsim.study.uncertainty.study import UncertaintyStudy
    from ablationsim.study.uncertainty.tables import input_table, remarks, tables

    if schema:
        typer.echo(json.dumps(UncertaintyStudy.schema(), indent=2))
        return
    if study is None:
        raise typer.BadParameter("give a study file, or --schema")
    loaded = UncertaintyStudy.load(study)
    folder = output or Path("runs") / loaded.name
    console = Console()
    console.print(f"Study '{loaded.name}': {count(loaded)} runs", highlight=False)
    if check:
        console.print(input_table(loaded))
        return
    try:
        with _bar(loaded.name) as told:
            found = assess(loaded, folder, jobs, told)
    except (Interrupted, KeyboardInterrupt) as stop:
        kind = type(stop) if isinstance(stop, Interrupted) else Interrupted
        raise kind(f"Stopped. Finished runs are kept in {folder}; the same command goes on.") from None
    for table in tables(found):
        console.print(table)
        console.print()
    for line in remarks(found):
        console.print(line, highlight=False, soft_wrap=True)
    for path in write_files(folder, found):
        console.print(f"File: {path}", highlight=False, soft_wrap=True)
    typer.echo(f"Report: {write_report(folder, found)}    (research use only; not a medical device)")


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over the runs that are to be made."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} runs"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(name, total=0)
        yield lambda done, total: bar.update(task, completed=done, total=total)
