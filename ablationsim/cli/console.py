"""What commands have in common: options, progress, and what they print."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ablationsim.errors import Interrupted, Stopped
from ablationsim.parallel.communicator import ALONE, Communicator

if TYPE_CHECKING:
    from ablationsim.case import Case
    from ablationsim.results import Result
    from ablationsim.vasculature.build import Built

_LINE_INTERVAL = 10.0  # s

CaseFile = Annotated[Path, typer.Argument(help="Case file (TOML), or resolved.json of a run.", show_default=False)]

Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads of a run; 1 by default, and where several go at a time."),
]


def checked_case(path: Path, comm: Communicator = ALONE) -> Case:
    """Load a case, its geometry and its mesh file, so that what can be wrong is said before anything runs.

    Ranks leave the mesh to the run: not every one of them is to read all of it.
    """
    from ablationsim.case import Case
    from ablationsim.geometry.geometry import Geometry

    case = Case.load(path)
    geometry = Geometry.from_case(case)
    if case.domain.mesh is not None and comm is ALONE:
        from ablationsim.mesh.generate import mesh_of

        mesh_of(case, geometry)
    return case


def built_vessels(case: Case) -> tuple[Built, ...]:
    """The vessels of a case, of which its own mesh may have the walls."""
    from ablationsim.geometry.geometry import Geometry
    from ablationsim.mesh.generate import mesh_of
    from ablationsim.mesh.walls import fitted_walls
    from ablationsim.vasculature.build import build_vessels

    own = any(vessel.facets is not None for vessel in case.vessels)
    return build_vessels(case, fitted_walls(case, mesh_of(case, Geometry.from_case(case))) if own else {})


def quantity_of(option: str, text: str, dimension: str) -> float:
    """The SI value of an option."""
    from ablationsim.units import parse

    try:
        return parse(text, dimension)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {error}") from None


def names_in(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def limit_threads(count: int | None) -> None:
    # The kernels are bound by memory, and BLAS threads fight with each other on the small systems of a time step.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        if count is not None or variable not in os.environ:
            os.environ[variable] = str(count or 1)


class Ended(KeyboardInterrupt):
    """What signals of batch systems raise while nothing is there that keeps the state of a march."""


def end(number: int, frame: object) -> NoReturn:
    """Handler of such a signal; batch systems send it several times, and once is enough."""
    for each in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(each, lambda number, frame: None)
    raise Ended


@contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """Say what a stop leaves; while a run marches it stops by itself, with a checkpoint, and says more."""
    try:
        yield
    except KeyboardInterrupt as stop:
        kind = Stopped if isinstance(stop, Ended) else Interrupted
        raise kind(
            f"Stopped. What was written to {folder} stays; the same command with --resume goes on from the last "
            "checkpoint, if there is one yet."
        ) from None


@contextmanager
def progress_bar(case: Case, runs: int) -> Iterator[Callable[[float, str], None]]:
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


def progress_lines(case: Case) -> Callable[[float, str], None]:
    """A line of progress from time to time, for output that a launcher passes on or a batch system keeps."""
    end = case.end + case.zone.cooling
    said = time.monotonic()

    def show(simulated: float, state: str) -> None:
        nonlocal said
        if time.monotonic() - said >= _LINE_INTERVAL:
            said = time.monotonic()
            typer.echo(f"{simulated:.0f} of {end:.0f} s simulated, {state}")

    return show


@contextmanager
def progress_bars() -> Iterator[Callable[[str, float, float], None]]:
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


def show_report(folder: Path, result: Result) -> None:
    from ablationsim.report import write_report
    from ablationsim.report.build import report_data

    page = write_report(folder, report_data(result))
    typer.echo(f"Report: {page}    (research use only; not a medical device)")
