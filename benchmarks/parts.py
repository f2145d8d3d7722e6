"""The parts of the benchmark: what each measures, from the bandwidth of the memory to whole simulations."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from engines import OWN, SCIKIT_FEM, SCIKIT_FEM_LEAN, Engine, dolfinx, loops, petsc
from problem import BODY, STEPS
from processes import Failed, Results, least_disturbed, measure

HERE = Path(__file__).resolve().parent
VALIDATION = HERE.parent / "validation"
SIZES = {"loop_100k": 46, "loop_1m": 100}
"""Cubes along each side of the block in the parts that hold engines against one another."""
SCALING = (36, 46, 62, 78, 100, 126, 170)
"""The same for the scaling of the own loop: 50 thousand to 5 million unknowns."""
SCALING_STEPS = 8
DEMO = VALIDATION / "ji_2011" / "rfa_control.toml"
WHOLE_RUNS = {
    "demo": (DEMO,),
    "demo_3d": (DEMO, "--dimension", "3d"),
    "microwave": (VALIDATION / "he_2010" / "cooled_50w_10min.toml",),
}
"""Cases of the validation; those in ``benchmarks/cases`` come on top."""


@dataclass(frozen=True)
class Setting:
    """How the parts are run.

    Attributes
    ----------
    threads : int
        Threads, and ranks of MPI.
    rounds : int
        How often every engine has its turn; the least disturbed of its runs counts.
    say : callable
        Takes lines of progress.
    """

    threads: int
    rounds: int
    say: Callable[[str], None]


def stream(setting: Setting) -> Results:
    """Bandwidth of the memory and sparse products of both sizes."""
    command = (sys.executable, HERE / "stream.py", "--n")
    return {name: measure((*command, str(n)), setting.threads) for name, n in SIZES.items()}


def compare(setting: Setting, n: int, engines: Iterable[Engine], short: Sequence[tuple[Engine, int]] = ()) -> Results:
    """Engines on the same problem, in turn, for as many rounds as asked for, and how far their answers agree.

    Parameters
    ----------
    n : int
        Cubes along each side.
    engines : iterable of Engine
        The own loop is the first.
    short : sequence of pairs
        Engines that run once, and for how many steps; they are compared with the own loop after the same.

    Returns
    -------
    dict
        Results by engine, and under ``missing`` why others did not run. ``difference`` is the largest one of the
        temperatures from the own loop's, relative to the largest rise.
    """
    found: dict[str, list[Results]] = {}
    missing: dict[str, str] = {}
    engines = [engine for engine in engines if _there(engine, missing, setting)]
    extra = [(engine, steps) for engine, steps in short if _there(engine, missing, setting)]
    with tempfile.TemporaryDirectory() as folder:

        def run(engine: Engine, steps: int) -> Results | None:
            saved = Path(folder) / f"{engine.name}_{steps}.npy"
            try:
                result = measure(engine.command(n, steps, setting.threads, saved), setting.threads)
            except Failed as failure:
                missing[engine.name] = str(failure)
                setting.say(f"  {engine.name}: {failure}")
                return None
            reference = Path(folder) / f"{OWN.name}_{steps}.npy"
            if reference.is_file():
                result["difference"] = difference(np.load(saved), np.load(reference))
            setting.say(f"  {engine.name}: {result['step_s']:.4g} s a step (least {result['step_min_s']:.4g})")
            return result

        for engine in (*engines, *(engine for engine, _ in extra)):
            _compile(engine, setting)
        for _ in range(setting.rounds):
            for engine in engines:
                result = run(engine, STEPS) if engine.name not in missing else None
                if result:
                    found.setdefault(engine.name, []).append(result)
        answers = {name: least_disturbed(runs, "step_s") for name, runs in found.items()}
        for engine, steps in extra:
            if OWN.name in answers and not (Path(folder) / f"{OWN.name}_{steps}.npy").is_file():
                run(OWN, steps)
            result = run(engine, steps)
            if result:
                answers[engine.name] = {**result, "steps": steps}
    return {**answers, "missing": missing}


def difference(temperature: Any, reference: Any) -> float:
    """Largest difference of two temperatures [degC], relative to the largest rise above that of the body."""
    return float(np.abs(temperature - reference).max() / np.abs(reference - BODY).max())


def _compile(engine: Engine, setting: Setting) -> None:
    """A short run, which leaves compiled code on disk; should it fail, the run that counts says so."""
    with contextlib.suppress(Failed):
        measure(engine.command(6, 3, setting.threads), setting.threads)


def _there(engine: Engine, missing: dict[str, str], setting: Setting) -> bool:
    reason = engine.missing()
    if reason:
        missing[engine.name] = reason
        setting.say(f"  {engine.name} is skipped: {reason}")
    return not reason


def ranks(threads: int) -> list[int]:
    """One, and as many as there are threads."""
    return sorted({1, threads})


def loop_100k(setting: Setting) -> Results:
    """All engines at a hundred thousand unknowns, with more of their preconditioners."""
    most = setting.threads
    others = (dolfinx(most, "gamg"), dolfinx(most, "hypre_defaults"), petsc(most, "hypre"))
    single = [(SCIKIT_FEM, STEPS), (SCIKIT_FEM_LEAN, STEPS), *((engine, STEPS) for engine in others)]
    return compare(setting, SIZES["loop_100k"], loops(ranks(most)), single)


def loop_1m(setting: Setting) -> Results:
    """All engines at a million unknowns; what takes minutes once and for fewer steps."""
    most = setting.threads
    single = [(dolfinx(most, "gamg"), 10), (SCIKIT_FEM, 3)]
    if most > 1:
        single = [(dolfinx(1), 10), (petsc(1), 10), *single]
    return compare(setting, SIZES["loop_1m"], loops([most]), single)


def scaling(setting: Setting) -> Results:
    """The own loop from fifty thousand to five million unknowns."""
    if reason := OWN.missing():
        return {"missing": {OWN.name: reason}}
    sizes: dict[int, list[Results]] = {n: [] for n in SCALING}
    for _ in range(setting.rounds):
        # Sizes take turns, so that a slow minute of the machine does not look like a property of one of them.
        for n, runs in sizes.items():
            runs.append(measure(OWN.command(n, SCALING_STEPS, setting.threads), setting.threads))
            setting.say(f"  {runs[-1]['unknowns']} unknowns: {runs[-1]['step_s']:.4g} s a step")
    return {str(n): least_disturbed(runs, "step_s") for n, runs in sizes.items()}


def whole_runs(setting: Setting) -> Results:
    """Whole simulations: cases of the validation, and those in ``benchmarks/cases``."""
    cases: dict[str, tuple[Any, ...]] = {**WHOLE_RUNS}
    cases |= {path.stem: (path,) for path in sorted((HERE / "cases").glob("*.toml"))}
    results: Results = {}
    for name, words in cases.items():
        command = (sys.executable, HERE / "whole_run.py", *words)
        try:
            runs = [measure(command, setting.threads) for _ in range(setting.rounds)]
        except Failed as failure:
            results.setdefault("missing", {})[name] = str(failure)
            setting.say(f"  {name}: {failure}")
            continue
        results[name] = least_disturbed(runs, "wall_s")
        setting.say(f"  {name}: {results[name]['wall_s']:.3g} s, {results[name]['steps']} steps")
    return results


def library(setting: Setting) -> Results:
    """Assembly and solve of one step, and the field of an antenna, beside libraries in the same process."""
    return {
        name: measure((sys.executable, HERE / "kernels.py", name), threads)
        for name, threads in (("kernels", setting.threads), ("microwave_field", 1))
    }


def cli(setting: Setting) -> Results:
    """Import of the command line, and a whole ``ablationsim check``."""
    return measure((sys.executable, HERE / "command_line.py", DEMO), setting.threads)


PARTS: dict[str, Callable[[Setting], Results]] = {
    "stream": stream,
    "loop_100k": loop_100k,
    "loop_1m": loop_1m,
    "scaling": scaling,
    "whole_runs": whole_runs,
    "library": library,
    "cli": cli,
}
QUICK = ("stream", "loop_100k", "cli")
