"""The command that holds predictions against published measurements, or against one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import Threads, limit_threads, quantity_of

if TYPE_CHECKING:
    from ablationsim.study.validation.paper import Paper


@app.command()
def validate(
    papers: Annotated[
        list[str] | None,
        typer.Argument(help="Names of publications, or folders like them; all that come with the package by default."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Measured zones of one's own (CSV); docs/calibration.md describes its columns.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="With --data: profile of rows that name none, by name or path.")
    ] = None,
    tissue: Annotated[str, typer.Option(help="With --data: tissue set.")] = "liver_porcine_ex_vivo",
    start: Annotated[
        str | None, typer.Option(help='With --data: start temperature, such as "21 degC"; of the set by default.')
    ] = None,
    edge: Annotated[
        str, typer.Option(help='With --data: what was taken for the edge: "whitening", "55 degC", ...')
    ] = "whitening",
    frame: Annotated[
        str, typer.Option(help="With --data: contracted (sizes taken on ablated tissue) or undeformed.")
    ] = "contracted",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; runs/validation by default.")] = None,
    resolution: Annotated[float, typer.Option(min=0.25, max=4.0, help="Size of the elements.")] = 1.0,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    threads: Threads = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run everything again.")] = False,
    every: Annotated[bool, typer.Option("--list", help="List the publications.")] = False,
) -> None:
    """Predict published ablations, or your own, and say how far predictions are from what was measured."""
    limit_threads(threads)
    from rich.console import Console

    from ablationsim.report.validation import write_pages
    from ablationsim.results.files import write_whole
    from ablationsim.study.validation.run import validate as validated
    from ablationsim.study.validation.table import (
        CSV,
        csv_text,
        frames_table,
        papers_table,
        statistics_table,
        targets_table,
    )
    from ablationsim.study.validation.targets import outcomes

    console = Console()
    if every:
        _list(console.print)
        return
    if data is not None and papers:
        raise typer.BadParameter("give either names of publications or --data")
    if data is None and (device is not None or start is not None):
        raise typer.BadParameter("--device and --start belong to --data; publications have their own")
    chosen = _papers(papers) if data is None else _own(data, device, tissue, start, edge, frame)
    folder = output or Path("runs") / ("validation" if data is None else f"validation_{data.stem}")
    with _kept(folder), _bar() as told:
        found = validated(chosen, folder, jobs=jobs, resolution=resolution, fresh=fresh, told=told)
    if found.rows:
        for table in (
            papers_table(found.rows),
            statistics_table(found.rows),
            frames_table(found.rows),
            *([targets_table(outcomes(found.rows))] if data is None else []),
        ):
            console.print(table)
            console.print()
    for name, text in found.failures.items():
        typer.echo(f"{name} failed: {text}", err=True)
    write_whole(folder / CSV, csv_text(found.rows))
    page = write_pages(found, folder)
    typer.echo(f"Table: {folder / CSV}\nPage: {page}    (research use only; not a medical device)")
    if found.failures:
        raise typer.Exit(1)


def _list(show: Callable[[object], None]) -> None:
    from rich.table import Table

    from ablationsim.study.validation.paper import papers

    table = Table("Name", "Publication", "Devices", "Settings", "Not run", box=None)
    for paper in papers():
        count = sum(len(data.settings) for data in paper.data.values())
        table.add_row(paper.name, paper.about.title, ", ".join(paper.data), str(count), str(len(paper.not_run)))
    show(table)


def _papers(names: list[str] | None) -> list[Paper]:
    from ablationsim.study.validation.paper import papers

    return papers(names or ())


def _own(data: Path, device: str | None, tissue: str, start: str | None, edge: str, frame: str) -> list[Paper]:
    from ablationsim.study.conditions import Conditions
    from ablationsim.study.validation.paper import Paper

    kelvin = None if start is None else quantity_of("--start", start, "temperature")
    return [Paper.own(data, device, Conditions(tissue=tissue, start=kelvin, edge=edge, frame=frame))]


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    from ablationsim.errors import Interrupted

    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        raise Interrupted(f"Stopped. What has run is kept in {folder}; the same command runs the rest.") from None


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar in runs."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task("runs", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=total > 0)
