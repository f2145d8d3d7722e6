"""Values between limits: Sobol points and Latin hypercubes, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ablationsim.units import exact

_DIGITS = 9
"""Significant digits of a drawn value: the last ones of a float may differ from one machine to another."""


@dataclass(frozen=True)
class Limits:
    """Where the values of one quantity lie (SI).

    Attributes
    ----------
    dimension : str
    distribution : {"uniform", "loguniform", "normal"}
    low, high : float
    mean, sd : float
        Of a normal distribution before it is cut off at the limits.
    """

    dimension: str
    distribution: Literal["uniform", "loguniform", "normal"]
    low: float
    high: float
    mean: float = 0.0
    sd: float = 1.0

    def problems(self, written: Mapping[str, Any]) -> list[str]:
        """What is wrong with them; `written` has them as the study file does."""
        found = []
        if not self.low < self.high:
            found.append(f"low = {written['low']!r} must be below high = {written['high']!r}")
        if self.distribution == "loguniform" and self.low <= 0.0:
            found.append(f"low = {written['low']!r} must be greater than zero for distribution = 'loguniform'")
        if self.distribution == "normal" and self.sd <= 0.0:
            found.append(f"sd = {written['sd']!r} must be greater than zero")
        return found

    def at(self, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (SI) below which these shares of the distribution lie."""
        if self.distribution == "uniform":
            return self.low + share * (self.high - self.low)
        if self.distribution == "loguniform":
            return np.exp(np.log(self.low) + share * (np.log(self.high) - np.log(self.low)))
        from scipy.stats import truncnorm

        low, high = ((limit - self.mean) / self.sd for limit in (self.low, self.high))
        values: NDArray[np.float64] = truncnorm.ppf(share, low, high, loc=self.mean, scale=self.sd)
        return values

    def text(self, value: float) -> str:
        """A value (SI) as a case file has it."""
        rounded = float(f"{value:.{_DIGITS}g}")
        return exact(min(max(rounded, self.low), self.high), self.dimension)


def draw(
    method: Literal["sobol", "latin_hypercube"], n: int, seed: int, limits: Sequence[Limits]
) -> list[tuple[str, ...]]:
    """Draw points, one row each, with the values as a case file has them.

    Parameters
    ----------
    method : {"sobol", "latin_hypercube"}
        Sobol points are scrambled; `n` is a power of two.
    n : int
    seed : int
    limits : sequence of Limits
    """
    from scipy.stats import qmc

    kind = qmc.Sobol if method == "sobol" else qmc.LatinHypercube
    shares = kind(len(limits), seed=np.random.default_rng(seed)).random(n)
    columns = [[one.text(value) for value in one.at(shares[:, k]).tolist()] for k, one in enumerate(limits)]
    return list(zip(*columns, strict=True))
