"""How far predictions spread, with bootstrap intervals for what a finite sample says of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000
PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)

_BLOCK = 1_000_000  # numbers that are drawn at a time


@dataclass(frozen=True)
class Between:
    """A number and the ends of its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """How a quantity spreads, in its unit.

    Attributes
    ----------
    n : int
        Samples that have the quantity.
    mean, sd : Between
    variation : Between
        Standard deviation over mean.
    percentiles : tuple of float
        At `PERCENTILES`.
    """

    n: int
    mean: Between
    sd: Between
    variation: Between
    percentiles: tuple[float, ...]


def resamples(n: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Samples drawn with replacement, `RESAMPLES` times, in blocks of shape (k, n) that fit into memory.

    The points of a sample fill the space more evenly than chance, so that intervals are rather too wide than too
    narrow.
    """
    draw, block = np.random.default_rng(seed), max(1, _BLOCK // n)
    for start in range(0, RESAMPLES, block):
        yield draw.integers(0, n, size=(min(block, RESAMPLES - start), n))


def between(value: float, drawn: Floats, confidence: float) -> Between:
    """A number with the percentile interval of its resampled values."""
    if not np.isfinite(drawn).any():
        return Between(value, np.nan, np.nan)
    tail = 50.0 * (1.0 - confidence)
    low, high = np.nanpercentile(drawn, [tail, 100.0 - tail])
    return Between(value, float(low), float(high))


def spread(values: Floats, confidence: float, seed: int) -> Spread | None:
    """How a quantity spreads; None with fewer than two samples that have it.

    Parameters
    ----------
    values : (n,) array
        NaN where a sample has none.
    confidence : float
    seed : int
    """
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    blocks = [_mean_and_sd(values[rows]) for rows in resamples(len(values), seed)]
    means, sds = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        variation = between(sd / abs(mean) if mean else np.nan, sds / np.abs(means), confidence)
    return Spread(
        n=len(values),
        mean=between(mean, means, confidence),
        sd=between(sd, sds, confidence),
        variation=variation,
        percentiles=tuple(float(x) for x in np.percentile(values, PERCENTILES)),
    )


def _mean_and_sd(values: Floats) -> tuple[Floats, Floats]:
    return values.mean(axis=1), values.std(axis=1, ddof=1)
