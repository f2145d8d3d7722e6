"""Which values of the inputs are run: trajectories of Morris, blocks of Saltelli, or an even sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ablationsim.study.uncertainty.file import AboutSection

Floats = NDArray[np.float64]

LEVELS = 4
"""Levels of a Morris screening: shares of each distribution at 0, 1/3, 2/3 and 1."""


def problem(names: Sequence[str]) -> dict[str, Any]:
    """The problem as SALib has it; the inputs are shares of their distributions, between 0 and 1."""
    return {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}


def even(n: int, size: int, seed: int, sampling: Literal["sobol", "latin_hypercube"] = "sobol") -> Floats:
    """Points that fill the unit cube evenly, shape (n, size); scrambled Sobol points or a Latin hypercube."""
    from scipy.stats import qmc

    kind = qmc.Sobol if sampling == "sobol" else qmc.LatinHypercube
    points: Floats = kind(size, seed=np.random.default_rng(seed)).random(n)
    return points


def design(about: AboutSection, names: Sequence[str]) -> Floats:
    """Shares of each distribution to run, shape (runs, names).

    A screening has ``n (d + 1)`` runs for d inputs, Sobol indices ``n (d + 2)``, a propagation n.
    """
    if about.method == "propagate":
        return even(about.n, len(names), about.seed, about.sampling)
    if about.method == "screen":
        from SALib.sample import morris

        points = morris.sample(problem(names), about.n, num_levels=LEVELS, seed=about.seed)
    else:
        from SALib.sample import sobol

        points = sobol.sample(problem(names), about.n, calc_second_order=False, seed=about.seed)
    return np.asarray(points, dtype=np.float64)
