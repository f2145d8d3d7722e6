"""The command about margins, and what others print of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import built_vessels, limit_threads, names_in, quantity_of

if TYPE_CHECKING:
    from rich.console import Console

    from ablationsim.results import Result
    from ablationsim.study.margins.confidence import Confidence


@app.command()
def margins(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run of a case with a tumour.", show_default=False)],
    required: Annotated[
        str | None, typer.Option(help="Margin that is asked for, such as '5 mm'; that of the case by default.")
    ] = None,
    confidence: Annotated[
        bool, typer.Option(help="Say how sure the margin is, with further runs at the ends of uncertain numbers.")
    ] = False,
    vary: Annotated[
        str | None,
        typer.Option(
            help="Uncertain numbers for that, with commas between, such as tissue.perfusion; 'none' for the place of "
            "the needle alone. By default the perfusion, and the antenna's efficiency or the electric conductivity.",
            show_default=False,
        ),
    ] = None,
    needle_sd: Annotated[
        str, typer.Option(help="Standard deviation of the needle's place along each axis (assumed).")
    ] = "2 mm",
    draws: Annotated[int, typer.Option(min=2, help="Draws from all distributions.")] = 1024,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to; the run folder by default.")
    ] = None,
) -> None:
    """Measure how far the zone of a run reaches beyond the tumour, and say how sure that is."""
    limit_threads(None)
    margin = None if required is None else quantity_of("--required", required, "length")
    spread = quantity_of("--needle-sd", needle_sd, "length")

    from rich.console import Console

    from ablationsim.errors import CaseError
    from ablationsim.report.figures import png
    from ablationsim.report.margin_figures import margin_figure
    from ablationsim.results import Result
    from ablationsim.results.files import make_folder, write_whole
    from ablationsim.results.margins import margins_of

    console, folder = Console(), output or run
    with console.status("reading the run") as status:
        result = Result.load(run)
        vessels = [built.vessel for built in built_vessels(result.case)] if result.case.vessels else []
        status.update("measuring")
        found = margins_of(result, vessels, required=margin)
        if found is None:
            problem = "it has no tumour, so that there is no margin; give [tumour], or [patient] with a tumour"
            raise CaseError([problem], str(run))
        make_folder(folder)
        picture = folder / "margins.png"
        write_whole(
            picture, png(margin_figure(found, [applicator.direction for applicator in result.case.applicators]))
        )
    print_margins(console, found.document)
    typer.echo(f"\nPicture: {picture}    (research use only; not a medical device)")
    if not confidence:
        return
    names = None if vary is None else names_in(vary)
    _confidence(console, result, folder, names=names, needle_sd=spread, samples=draws, jobs=jobs, required=margin)


def _confidence(
    console: Console,
    result: Result,
    folder: Path,
    *,
    names: list[str] | None,
    needle_sd: float,
    samples: int,
    jobs: int,
    required: float | None,
) -> None:
    """Make the runs, and print and write how sure the margin is."""
    from ablationsim.errors import Interrupted
    from ablationsim.report.margin_confidence import write_picture
    from ablationsim.study.margins.confidence import confidence
    from ablationsim.study.margins.document import write_confidence

    try:
        with _bar() as told:
            found = confidence(
                result,
                folder,
                names=names,
                needle_sd=needle_sd,
                samples=samples,
                jobs=jobs,
                required=required,
                told=told,
            )
    except (Interrupted, KeyboardInterrupt) as stop:
        kind = type(stop) if isinstance(stop, Interrupted) else Interrupted
        raise kind(f"Stopped. Finished runs are kept in {folder / 'confidence'}; the same command goes on.") from None
    _print_confidence(console, found)
    typer.echo(f"Numbers: {write_confidence(folder, found)}")
    typer.echo(f"Picture: {write_picture(folder, found)}    (research use only; not a medical device)")


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar over the runs that are to be made."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("confidence"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} runs"),
        TimeElapsedColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task("confidence", total=0)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print_confidence(console: Console, found: Confidence) -> None:
    import numpy as np
    from rich.markup import escape
    from rich.table import Table

    from ablationsim.report.margins import millimetres, percent
    from ablationsim.study.margins.document import SIMPLE

    wanted = f"{1e3 * found.required:.3g} mm"
    table = Table("Uncertain", "5 %", "median", "95 %", "tumour covered", f"{wanted} reached", box=None)
    for name, spread in found.spreads.items():
        table.add_row(
            name,
            *(millimetres(float(1e3 * np.quantile(spread.least, share))) for share in (0.05, 0.5, 0.95)),
            percent(spread.reached(0.0)),
            percent(spread.reached(found.required)),
        )
    console.print("\nMinimal ablative margin in the draws, and the share of draws in which")
    console.print(table)
    for each in found.varied:
        console.print(f"{each.input.name}: {escape(each.input.text)}; {escape(each.input.origin)}", highlight=False)
    console.print(
        f"Place of the needle: standard deviation {1e3 * found.needle_sd:.3g} mm along each axis, assumed.",
        highlight=False,
    )
    for text in SIMPLE:
        console.print(escape(text), highlight=False, soft_wrap=True)


def print_margins(console: Console, margins: Mapping[str, Any]) -> None:
    """Print what zone.json holds under "margins"."""
    from rich.markup import escape
    from rich.table import Table

    from ablationsim.report.margins import organ_rows, rows, sentences

    table = Table(box=None)
    for title in ("Ablative margin", "undeformed", "contracted"):
        table.add_column(title, no_wrap=True)
    table.add_column()
    for row in rows(margins):
        table.add_row(row.name, row.undeformed, row.contracted, f"[dim]{escape(row.remark)}[/dim]")
    console.print()
    console.print(table)
    organs = organ_rows(margins)
    if organs:
        table = Table("Organ", "from the zone", "highest", "most CEM43", ">43 °C", ">45 °C", "in the zone", box=None)
        for line in organs:
            table.add_row(*line)
        console.print(table)
    for text in sentences(margins):
        console.print(escape(text), highlight=False, soft_wrap=True)
