"""Sensitivity indices of one quantity, by SALib."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.study.uncertainty.design import LEVELS, problem

Floats = NDArray[np.float64]

RESAMPLES = 1000


@dataclass(frozen=True)
class Effect:
    """How one input acts on a quantity, by Morris (1991) and Campolongo et al. (2007).

    Attributes
    ----------
    name : str
    mean : float
        Mean of the elementary effects: change of the quantity for the whole width of the distribution, in its unit.
    strength : float
        Mean of their sizes; ranks the inputs.
    interval : float
        Half width of the bootstrap interval of `strength`.
    spread : float
        Their standard deviation: not small beside `strength` where the effect is curved or depends on other inputs.
    """

    name: str
    mean: float
    strength: float
    interval: float
    spread: float


@dataclass(frozen=True)
class Index:
    """Which share of the variance of a quantity comes from one input.

    Attributes
    ----------
    name : str
    first, first_interval : float
        Share that would go if the input were known (Saltelli et al. 2010), and half width of its bootstrap interval.
    total, total_interval : float
        Share that would be left if all others were known (Jansen 1999).
    """

    name: str
    first: float
    first_interval: float
    total: float
    total_interval: float


def effects(names: Sequence[str], shares: Floats, values: Floats, confidence: float, seed: int) -> list[Effect]:
    """Elementary effects of a screening, the strongest first.

    Parameters
    ----------
    names : sequence of str
    shares : (runs, names) array
        As `design` gave them.
    values : (runs,) array
        The quantity.
    confidence : float
        Of the intervals.
    seed : int
    """
    from SALib.analyze import morris

    found = morris.analyze(
        problem(names), shares, values, num_levels=LEVELS, conf_level=confidence, num_resamples=RESAMPLES, seed=seed
    )
    rows = [
        Effect(name, *(float(found[key][k]) for key in ("mu", "mu_star", "mu_star_conf", "sigma")))
        for k, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: -row.strength)


def indices(names: Sequence[str], values: Floats, confidence: float, seed: int) -> list[Index] | None:
    """Sobol indices, that with the largest total one first; None where the quantity does not vary.

    Parameters
    ----------
    names : sequence of str
    values : (runs,) array
        The quantity at the points that `design` gave, in their order.
    confidence : float
        Of the intervals.
    seed : int
    """
    from SALib.analyze import sobol

    if float(np.ptp(values)) <= 1e-12 * max(float(np.abs(values).max()), 1e-300):
        return None
    with warnings.catch_warnings():
        # Of an input without any effect.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = sobol.analyze(
            problem(names),
            values,
            calc_second_order=False,
            conf_level=confidence,
            num_resamples=RESAMPLES,
            seed=seed,
        )
    rows = [
        Index(name, *(float(found[key][k]) for key in ("S1", "S1_conf", "ST", "ST_conf")))
        for k, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: -row.total)
