"""The command that plans for a patient: plan."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablationsim.cli.application import app
from ablationsim.cli.console import CaseFile, checked_case, limit_threads, stoppable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ablationsim.study.planning.make import Mode, Show

_MOST_JOBS = 4  # runs at a time by default: a round has few


@app.command()
def plan(
    case: CaseFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the plan; runs/<case name>_plan by default.")
    ] = None,
    optimize: Annotated[
        bool, typer.Option("--optimize", help="Look for the places of the needles, their power and time.")
    ] = False,
    replan: Annotated[
        bool, typer.Option("--replan", help="Leave the needles where they are; look for power, time and depth.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; as many as there are cores by default, up to 4.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep finished runs and go on with the others.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier plan in the folder.")] = False,
    report: Annotated[bool, typer.Option(help="Write the HTML report.")] = True,
) -> None:
    """Plan for a patient: check the way of the needles, run the full model, measure margins; or look for plans."""
    if optimize and replan:
        raise typer.BadParameter(
            "--optimize looks for the places of needles and --replan leaves them where they are: give one of both"
        )
    limit_threads(None)
    mode: Mode = "optimize" if optimize else "replan" if replan else "evaluate"
    folder = output or Path("runs") / f"{case.stem}_plan"
    with stoppable(folder):
        from rich.console import Console

        from ablationsim.study.planning.make import make_plan

        console = Console()
        with console.status("reading the case"):
            loaded = checked_case(case)
        with _progress() as show:
            count = jobs or min(os.cpu_count() or 1, _MOST_JOBS)
            document = make_plan(loaded, folder, mode, show, count, resume=resume, overwrite=overwrite)
        _print(console, document)
        if report:
            from ablationsim.report.plan import write_plan_report

            with console.status("writing the report"):
                page = write_plan_report(folder)
            typer.echo(f"Report: {page}")
    typer.echo(f"Plan: {folder / 'plan.json'}    (research use only; not a medical device)")


def _print(console: Console, document: Mapping[str, Any]) -> None:
    console.print(_table(document))
    console.print(
        "\nMargin: the least one of the tumour's surface; no dent: without the skin of living tissue that a cooled "
        f"shaft leaves. Under: share of the surface with less than {document['required_margin_mm']:g} mm. Dice: of the "
        "zone with the tumour and that margin all round. Best: recommended. Pareto: no other plan is as good in "
        "margin, healthy liver and time, and better in one.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"\n{document['why']}", highlight=False, soft_wrap=True)
    for plan in document["plans"]:
        for sentence in plan["access"] if not plan["feasible"] else ():
            console.print(f"[yellow]{plan['name']}[/yellow]: {sentence}", highlight=False, soft_wrap=True)
    search = document["search"]
    console.print(
        f"\nRuns of the full model: {search['full_runs']}"
        + (f"; plans looked up: {search['evaluations']}" if "evaluations" in search else "")
        + f"; {search['wall_s']:.0f} s in all.",
        highlight=False,
    )


def _table(document: Mapping[str, Any]) -> Table:
    from rich.table import Table

    table = Table("Plan", "Power", "Time", "Margin", "No dent", "Under", "Covered", "Dice", "Healthy", "", box=None)
    for plan in document["plans"]:
        said, needle, count = plan["confirmed"], plan["needles"][0], len(plan["needles"])
        marks = [
            *(["best"] if plan["name"] == document["recommended"] else []),
            *([] if plan["feasible"] else ["no way"]),
            *(["Pareto"] if plan["pareto"] and len(document["plans"]) > 1 else []),
        ]
        table.add_row(
            plan["name"] if count == 1 else f"{plan['name']}, {count} needles",
            _number(needle["power_w"], "W", 0),
            _number(said["time_s"] / 60.0, "min", 1),
            _number(said["mam_mm"], "mm", 1),
            _number(said["mam_without_needles_mm"], "mm", 1),
            _number(100.0 * said["under_required"] if said["under_required"] is not None else None, "%", 0),
            _number(100.0 * said["coverage"] if said["coverage"] is not None else None, "%", 1),
            "none" if said["dice"] is None else f"{said['dice']:.2f}",
            _number(said["healthy_ml"], "mL", 1),
            ", ".join(marks),
        )
    return table


def _number(value: float | None, unit: str, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f} {unit}"


@contextmanager
def _progress() -> Iterator[Show]:
    """A line for the stage of the search, and a bar for each run that is under way."""
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    with Progress(*columns) as bar:
        whole = bar.add_task("reading", total=None, text="")
        runs: dict[str, TaskID] = {}

        class Bars:
            def stage(self, text: str, done: int = 0, total: int = 0) -> None:
                said = f"{done} of {total}" if total else ""
                bar.update(whole, description=text, completed=done, total=total or None, text=said)

            def run(self, name: str, now: float, end: float) -> None:
                if name not in runs:
                    runs[name] = bar.add_task(name, total=end, text="")
                bar.update(runs[name], completed=now, text=f"{now:.0f} of {end:.0f} s simulated")
                if now >= end - 1e-6:
                    bar.update(runs[name], visible=False)

        yield Bars()
