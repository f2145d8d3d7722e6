"""Processes of the benchmark, one at a time: each prints one JSON line as its last."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Results = dict[str, Any]


class Failed(Exception):
    """A measurement ended without a result."""


def environment(threads: int) -> dict[str, str]:
    """Environment for work on some threads.

    Compiled loops get them; the libraries below NumPy get one, which is what the factorisations here are fastest
    with, and ranks of MPI share the cores anyway.
    """
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **single, "NUMBA_NUM_THREADS": str(threads)}


def measure(command: Sequence[str | Path], threads: int, timeout: float | None = None) -> Results:
    """Run a command, and return what its last line says.

    Parameters
    ----------
    command : sequence
        Command line.
    threads : int
        Threads of compiled loops.
    timeout : float, optional
        Longest time [s].

    Raises
    ------
    Failed
        With the end of what it printed, if it fails, takes longer, or prints no result.
    """
    try:
        done = subprocess.run(
            [str(word) for word in command],
            env=environment(threads),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"not finished after {timeout:g} s") from error
    lines = done.stdout.strip().splitlines()
    if done.returncode:
        raise Failed("\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]))
    try:
        answer = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError) as error:
        raise Failed("it printed no result") from error
    if not isinstance(answer, dict):
        raise Failed("it printed no result")
    return answer


def least_disturbed(runs: Sequence[Mapping[str, Any]], key: str) -> Results:
    """The run with the smallest value, with those of all runs beside it as ``<key>_of_runs``."""
    best = min(runs, key=lambda run: run[key])
    return {**best, f"{key}_of_runs": [run[key] for run in runs]}
