"""What is measured: which sizes on which ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from launch import Failed, Launcher, Results, cores

STRONG = 55
"""Cubes along each side of the block that all ranks share: a million tetrahedra."""
PER_RANK = 100_000
"""Unknowns of each rank where the block grows with the ranks."""
SIZES = (36, 46, 66, 99, 143)
"""Cubes along each side where the size alone grows: 50 thousand to 3 million unknowns."""


@dataclass(frozen=True)
class Setting:
    """How the parts are run.

    Attributes
    ----------
    launcher : Launcher
        Starts ranks.
    ranks : sequence of int
        Numbers of ranks, rising.
    strong, per_rank, sizes : see above
    rounds : int
        How often each run has its turn.
    steps : int
        Steps that are timed in each.
    say : callable
        Takes lines of progress.
    """

    launcher: Launcher
    ranks: Sequence[int]
    strong: int
    per_rank: int
    sizes: Sequence[int]
    rounds: int
    steps: int
    say: Callable[[str], None]

    @property
    def most(self) -> int:
        """The largest number of ranks that have a core each."""
        return max((ranks for ranks in self.ranks if ranks <= cores()), default=min(self.ranks))


Run = tuple[str, Callable[[], Results]]


def turns(setting: Setting, runs: Iterable[Run]) -> Results:
    """All runs in turn, for as many rounds as asked for; of each the one with the shortest median step counts.

    In turn, so that a slow minute of the machine does not look like a property of one of them.
    """
    found: dict[str, list[Results]] = {}
    missing: dict[str, str] = {}
    runs = list(runs)
    for _ in range(setting.rounds):
        for name, run in runs:
            if name in missing:
                continue
            try:
                result = run()
            except Failed as failure:
                missing[name] = str(failure)
                setting.say(f"  {name}: {failure}")
                continue
            found.setdefault(name, []).append(result)
            setting.say(
                f"  {name}: {result['unknowns']:,} unknowns, {result['step_s']:.3g} s a step "
                f"(shortest {result['step_least_s']:.3g})"
            )
    best = {name: _least_disturbed(runs) for name, runs in found.items()}
    return {**best, "missing": missing} if missing else best


def _least_disturbed(runs: Sequence[Results]) -> Results:
    best = min(runs, key=lambda run: float(run["step_s"]))
    least = min(float(run["step_least_s"]) for run in runs)
    return {**best, "step_least_s": least, "step_s_of_runs": [run["step_s"] for run in runs]}


def strong(setting: Setting) -> Results:
    """One block on more and more ranks."""
    n, words = setting.strong, ("--steps", str(setting.steps), "--output")
    return turns(setting, ((str(r), lambda r=r: setting.launcher.shared(r, n, *words)) for r in setting.ranks))


def weak(setting: Setting) -> Results:
    """A block that grows with the ranks."""
    words = ("--steps", str(setting.steps))

    def run(ranks: int) -> Results:
        return setting.launcher.shared(ranks, round((setting.per_rank * ranks) ** (1 / 3)) - 1, *words)

    return turns(setting, ((str(r), lambda r=r: run(r)) for r in setting.ranks))


def growth(setting: Setting) -> Results:
    """Blocks of all sizes on as many ranks as have a core."""
    words = ("--steps", str(max(3, setting.steps // 2)), "--output")
    most = setting.most
    return turns(setting, ((str(n), lambda n=n: setting.launcher.shared(most, n, *words)) for n in setting.sizes))


def engines(setting: Setting) -> Results:
    """Both engines on the same block, each with its own tolerance of the potential and with that of the other."""
    launcher, n, steps = setting.launcher, setting.strong, ("--steps", str(setting.steps))
    loose, tight = ("--rtol", "1e-4"), ("--rtol", "1e-13")
    threads = min(cores(), 64)
    return turns(
        setting,
        [
            ("in_process_1", lambda: launcher.alone(1, n, *steps)),
            (f"in_process_{threads}", lambda: launcher.alone(threads, n, *steps)),
            ("in_process_1_tight", lambda: launcher.alone(1, n, *steps, *tight)),
            ("distributed_1_loose", lambda: launcher.shared(1, n, *steps, *loose)),
            ("distributed_1", lambda: launcher.shared(1, n, *steps)),
            (f"distributed_{setting.most}_loose", lambda: launcher.shared(setting.most, n, *steps, *loose)),
        ],
    )


PARTS: dict[str, Callable[[Setting], Results]] = {
    "strong": strong,
    "weak": weak,
    "growth": growth,
    "engines": engines,
}
