"""What is said of a study: how many runs are in which state, how far those under way are, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table

from ablationsim.study.sweep.checking import shown
from ablationsim.study.sweep.manifest import Manifest, Run
from ablationsim.study.sweep.planning import Plan
from ablationsim.study.sweep.standing import UNFINISHED, Standing, State

QUEUED = "in the queue"

_MOST = 30  # runs that a table has


def plan_text(plan: Plan) -> str:
    """What a submission is about to do, in one line."""
    runs = len(plan.manifest.runs)
    text = f"Study '{plan.manifest.name}': {_runs(runs)}"
    if plan.first or not (plan.added or plan.dropped):
        return text
    kept = f"{runs - plan.added} as before, {plan.added} new"
    dropped = f"; {plan.dropped} of an earlier submission are no longer in it, and their folders stay"
    return f"{text}: {kept}{dropped if plan.dropped else ''}"


def run_text(one: Standing) -> str:
    """How far a single run is."""
    # Only what a study starts says that it is alive.
    unknown = one.state is State.INTERRUPTED and not one.host
    parts = ["interrupted, or still under way" if unknown else str(one.state)]
    if one.state is State.RUNNING and one.end_s:
        parts.append(f"{one.time_s:.0f} of {one.end_s:.0f} s simulated")
    if one.wall_s is not None:
        parts.append(f"wall time {_wall(one.wall_s)}")
    if one.host:
        parts.append(f"on {one.host}" + (f", job {one.job}" if one.job else ""))
    return ", ".join(parts) + (f": {one.message}" if one.message else "")


def counts(found: Sequence[tuple[Run, Standing]], queue: Mapping[int, str]) -> str:
    """How many runs are in which state, in one line; a run that waits for Slurm is in the queue."""
    number = Counter(_state(run, one, queue) for run, one in found)
    order = [*State, QUEUED]
    listed = [f"{number[state]} {state}" for state in order if number[state]]
    return f"{_runs(len(found))}: {', '.join(listed)}"


def _state(run: Run, one: Standing, queue: Mapping[int, str]) -> str:
    return QUEUED if one.state in UNFINISHED and run.number in queue else one.state


def running_table(manifest: Manifest, found: Sequence[tuple[Run, Standing]]) -> Table | None:
    """How far runs under way are; None if there are none."""
    under_way = [(run, one) for run, one in found if one.state is State.RUNNING]
    if not under_way:
        return None
    table = Table("Run", "", "Simulated", "Wall", "Where", box=None)
    for run, one in under_way[:_MOST]:
        where = f"{one.host}, job {one.job}" if one.job else one.host
        simulated = f"{one.time_s:.0f} of {one.end_s:.0f} s" if one.end_s else "meshing"
        table.add_row(str(run.number), shown(manifest.keys, run.values), simulated, _wall(one.wall_s), where)
    _left_out(table, len(under_way))
    return table


def trouble_table(manifest: Manifest, found: Sequence[tuple[Run, Standing]]) -> Table | None:
    """What is wrong with runs that failed or were cut off; None if nothing is."""
    bad = [(run, one) for run, one in found if one.state in (State.FAILED, State.CUT_OFF)]
    if not bad:
        return None
    table = Table("Run", "", "State", box=None)
    table.add_column("What went wrong", overflow="fold")
    for run, one in bad[:_MOST]:
        table.add_row(str(run.number), shown(manifest.keys, run.values), one.state, one.message)
    _left_out(table, len(bad))
    return table


def _left_out(table: Table, count: int) -> None:
    if count > _MOST:
        table.add_row("", f"and {count - _MOST} more")


def _runs(count: int) -> str:
    return f"{count} run{'s' if count != 1 else ''}"


def _wall(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
