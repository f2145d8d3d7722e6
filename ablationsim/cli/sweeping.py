"""Commands about studies of many runs: submit, status, collect."""

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

    from ablationsim.study.sweep.local import Told
    from ablationsim.study.sweep.manifest import Manifest, Run
    from ablationsim.study.sweep.standing import Standing

StudyFolder = Annotated[Path, typer.Argument(help="Folder of a study.", show_default=False)]


@app.command()
def submit(
    study: Annotated[Path | None, typer.Argument(help="Study file (TOML).", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the study; runs/<name> by default.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time: 1 by default; with --slurm as many as there is room for.")
    ] = None,
    threads: Threads = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try failed runs again.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the study and say what would be run.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of study files.")] = False,
    slurm: Annotated[bool, typer.Option("--slurm", help="Submit the runs to Slurm, as an array job.")] = False,
    partition: Annotated[str | None, typer.Option(help="Slurm: partition.")] = None,
    account: Annotated[str | None, typer.Option(help="Slurm: account.")] = None,
    time: Annotated[str, typer.Option(help="Slurm: time limit of a job, which goes on in another one.")] = "01:00:00",
    mem: Annotated[str, typer.Option(help="Slurm: memory of a job.")] = "4G",
    ranks: Annotated[int, typer.Option(min=1, help="Slurm: MPI ranks of a run.")] = 1,
    mpi: Annotated[str, typer.Option(help="Slurm: how srun starts ranks.")] = "pmix",
    runs_per_job: Annotated[int, typer.Option(min=1, help="Slurm: runs that a job makes one after the other.")] = 1,
    extra: Annotated[list[str] | None, typer.Option(help='Slurm: further options, such as "--qos=long".')] = None,
) -> None:
    """Run a study: a case with some of its keys varied. Submitting it again runs what has not finished."""
    from rich.console import Console

    from ablationsim.study.sweep.planning import plan
    from ablationsim.study.sweep.slurm import Wishes
    from ablationsim.study.sweep.slurm import submit as submit_array
    from ablationsim.study.sweep.study import Study
    from ablationsim.study.sweep.summary import plan_text

    if schema:
        typer.echo(json.dumps(Study.schema(), indent=2))
        return
    if study is None:
        raise typer.BadParameter("give a study file, or --schema")
    wishes = Wishes(
        partition=partition,
        account=account,
        time=time,
        mem=mem,
        ranks=ranks,
        mpi=mpi,
        threads=threads or 1,
        at_once=jobs,
        runs_per_job=runs_per_job,
        extra=tuple(extra or ()),
    )
    if not slurm and wishes != Wishes(threads=threads or 1, at_once=jobs):
        raise typer.BadParameter("options of Slurm, such as --partition, --time or --ranks, need --slurm")
    limit_threads(None)
    console = Console()
    loaded = Study.load(study)
    loaded.check()
    folder = (output or Path("runs") / loaded.name).absolute()
    planned = plan(loaded, folder)
    console.print(f"{plan_text(planned)}{'; no problems' if check else ''}", highlight=False, soft_wrap=True)
    if check:
        return
    planned.manifest.write(folder)
    todo = _todo(console, folder, planned.manifest, retry)
    if todo and slurm:
        job = submit_array(folder, todo, wishes, loaded.name)
        console.print(
            f"Slurm job {job.job}, {job.elements} x {job.runs_per_job} runs; script {job.script}\n"
            f"ablationsim status {folder}",
            highlight=False,
            soft_wrap=True,
        )
        return
    if todo:
        _run_here(folder, planned.manifest, todo, jobs or 1, threads or 1)
    _conclude(console, folder, planned.manifest)


@app.command()
def status(folder: StudyFolder) -> None:
    """Say how far a study or a single run is: from the files in its folder, and the queue of Slurm if there is one."""
    limit_threads(None)
    from rich.console import Console

    from ablationsim.results.log import LOG
    from ablationsim.study.sweep.manifest import MANIFEST, Manifest
    from ablationsim.study.sweep.slurm import SLURM, queued, submitted
    from ablationsim.study.sweep.standing import State, standing, standings
    from ablationsim.study.sweep.summary import counts, run_text, running_table, trouble_table

    console = Console()
    if not (folder / MANIFEST).exists() and (folder / LOG).exists():
        last = (folder / LOG).read_text(encoding="utf-8").splitlines()[-1:]
        for line in [run_text(standing(folder)), *(f"last line of its log: {line}" for line in last)]:
            console.print(line, highlight=False, soft_wrap=True)
        return
    manifest = Manifest.read(folder)
    found = list(standings(folder, manifest.runs))
    queue = queued(folder)
    console.print(f"{manifest.name}: {counts(found, queue or {})}", highlight=False, soft_wrap=True)
    for table in (running_table(manifest, found), trouble_table(manifest, found)):
        if table is not None:
            console.print()
            console.print(table)
    if queue is None:
        console.print("\nSlurm does not answer here: runs in its queue count as waiting.")
    ended = set() if queue is None else submitted(folder) - queue.keys()
    lost = [run.number for run, one in found if one.state is State.WAITING and run.number in ended]
    if lost:
        console.print(
            f"\nJobs of {len(lost)} waiting runs (the first is run {lost[0]}) have ended before these began, and their "
            "logs say why. Submit the study again.",
            highlight=False,
            soft_wrap=True,
        )
    if (folder / SLURM).exists():
        console.print(f"\nScripts and logs of its jobs: {folder / SLURM}", highlight=False, soft_wrap=True)


@app.command()
def collect(folder: StudyFolder) -> None:
    """Write the results of a study, as far as there are any, as one table: results.csv and results.parquet."""
    limit_threads(None)
    from rich.console import Console

    from ablationsim.study.sweep.manifest import Manifest

    _conclude(Console(), folder, Manifest.read(folder), leave=False)


@app.command(hidden=True)
def work(
    folder: StudyFolder,
    number: Annotated[int, typer.Argument(help="Number of a run.")],
    threads: Threads = None,
) -> None:
    """Run one run of a study, or go on with it: what 'submit' starts, here or on a cluster."""
    limit_threads(threads)
    from ablationsim.parallel.failure import together
    from ablationsim.parallel.launcher import start

    comm = start()
    with together(comm):
        from ablationsim.study.sweep.worker import work as worked

        typer.echo(worked(folder, number, comm))


def _todo(console: Console, folder: Path, manifest: Manifest, retry: bool) -> list[Run]:
    """The runs that are to be made now; says why others are not."""
    from ablationsim.study.sweep.slurm import queued
    from ablationsim.study.sweep.standing import UNFINISHED, State, standings
    from ablationsim.study.sweep.summary import counts, trouble_table

    found = list(standings(folder, manifest.runs))
    queue = queued(folder) or {}
    wanted = UNFINISHED | {State.FAILED} if retry else UNFINISHED
    if any(one.state is not State.WAITING for _, one in found):
        console.print(counts(found, queue), highlight=False)
    failed = [(run, one) for run, one in found if one.state is State.FAILED]
    if failed and not retry and (table := trouble_table(manifest, failed)) is not None:
        console.print(table)
        console.print("Failed runs are not tried again without --retry.")
    return [run for run, one in found if one.state in wanted and run.number not in queue]


def _run_here(folder: Path, manifest: Manifest, todo: list[Run], jobs: int, threads: int) -> None:
    from ablationsim.errors import Interrupted
    from ablationsim.study.sweep.local import run_here

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # A terminal that is closed stops the runs like Ctrl-C, unless nohup was asked to see to that.
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with _study_bars(manifest, len(todo)) as told:
            run_here(folder, todo, jobs, threads, told)
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped. The runs that were under way keep their state in {folder}; the same command goes on."
        ) from None


def _conclude(console: Console, folder: Path, manifest: Manifest, leave: bool = True) -> None:
    """Write the tables, and say what came of the runs; with exit code 1 if some failed."""
    from ablationsim.study.sweep.standing import State, standings
    from ablationsim.study.sweep.summary import counts, trouble_table
    from ablationsim.study.sweep.table import write_tables

    found = list(standings(folder, manifest.runs))
    told = write_tables(folder, manifest, found)
    console.print(counts(found, {}), highlight=False)
    if (table := trouble_table(manifest, found)) is not None:
        console.print(table)
    for line in told:
        console.print(line, highlight=False, soft_wrap=True)
    if leave and any(one.state in (State.FAILED, State.CUT_OFF) for _, one in found):
        raise typer.Exit(1)


@contextmanager
def _study_bars(manifest: Manifest, total: int) -> Iterator[Told]:
    """A progress bar for all runs, and one for each that is under way."""
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    from ablationsim.study.sweep.standing import State

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    with Progress(*columns) as bar:
        whole = bar.add_task(manifest.name, total=total, text=f"0 of {total} runs")
        bars: dict[int, TaskID] = {}
        ended = failed = 0

        def told(run: Run, one: Standing, over: bool) -> None:
            nonlocal ended, failed
            if over:
                ended, failed = ended + 1, failed + (one.state in (State.FAILED, State.CUT_OFF))
                text = f"{ended} of {total} runs" + (f", {failed} failed or cut off" if failed else "")
                bar.update(whole, completed=ended, text=text)
                if run.number in bars:
                    bar.remove_task(bars.pop(run.number))
                return
            if run.number not in bars:
                bars[run.number] = bar.add_task(f"run {run.number}", total=None, text="meshing")
            if one.end_s:
                text = f"{one.time_s:.0f} of {one.end_s:.0f} s simulated"
                bar.update(bars[run.number], total=one.end_s, completed=one.time_s, text=text)

        yield told
