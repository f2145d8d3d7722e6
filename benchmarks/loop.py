"""What the loops of all engines share: their options, their stopwatch, and the line that they print at the end."""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import fmean, median
from typing import Any

import numpy as np
from problem import STEPS, Floats

PARTS = ("properties", "assembly", "preconditioner", "solve_v", "joule", "solve_t")
"""Parts of a step, in their order."""


def options(description: str | None, **flags: dict[str, Any]) -> argparse.Namespace:
    """Options of a loop from the command line: ``--n --threads --steps --save`` and those in `flags`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--n", type=int, default=46, help="cubes along each side of the block")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--save", help="file (.npy) for the temperature of all nodes after the last step")
    for name, keywords in flags.items():
        parser.add_argument(f"--{name}", **keywords)
    return parser.parse_args()


class Stopwatch:
    """Wall time of the setup, of every step, and of the parts of every step."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.parts: list[dict[str, float]] = []
        self.setup = 0.0
        self._start = time.perf_counter()

    def ready(self) -> None:
        """End of the setup."""
        self.setup = time.perf_counter() - self._start

    @contextmanager
    def step(self) -> Iterator[None]:
        """One time step."""
        self.parts.append(dict.fromkeys(PARTS, 0.0))
        start = time.perf_counter()
        yield
        self.steps.append(time.perf_counter() - start)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """One of `PARTS` in the running step, possibly in several pieces."""
        start = time.perf_counter()
        yield
        self.parts[-1][name] += time.perf_counter() - start

    def summary(self) -> dict[str, Any]:
        """Times [s]: the first step, which may compile and builds the hierarchy, apart from the others."""
        later = self.steps[1:] or self.steps
        parts = self.parts[1:] or self.parts
        return {
            "setup_s": self.setup,
            "first_step_s": self.steps[0],
            "step_s": median(later),
            "step_min_s": min(later),
            "step_mean_s": fmean(self.steps),
            "split": {name: median(part[name] for part in parts) for name in PARTS},
        }


def peak_memory() -> float:
    """Largest resident memory of this process so far [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def finish(temperature: Floats, save: str | None, **entries: Any) -> None:
    """Save the temperature [degC] of all nodes in the order of the problem, and print the line of results."""
    if save:
        np.save(save, temperature)
    entries["max_temperature_c"] = float(temperature.max())
    entries["mean_temperature_c"] = float(temperature.mean())
    print(json.dumps(entries), flush=True)
