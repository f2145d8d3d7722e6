"""Which of two devices gives the same zone more reliably: their spreads on the same specimens, held against each other.

The arms of a group are settings of one device. All arms have the same draws of tissue and placement, so that the
bootstrap draws specimens, each with what every arm made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ablationsim.study.uncertainty.quantities import Quantity
from ablationsim.study.uncertainty.spread import Between, between, resamples

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GroupSpread:
    """A quantity of a device over its settings.

    Attributes
    ----------
    group : str
    settings : int
    specimens : int
        That all arms of all groups have a value for.
    mean : Between
        Over settings and specimens.
    sd : Between
        Between specimens: root mean square over the settings.
    variation : Between
        Standard deviation over mean, likewise.
    """

    group: str
    settings: int
    specimens: int
    mean: Between
    sd: Between
    variation: Between


@dataclass(frozen=True)
class Comparison:
    """Two devices in one quantity.

    Attributes
    ----------
    quantity : Quantity
    first, second : GroupSpread
    difference : Between
        Mean of the first minus that of the second.
    sd_difference : Between
        Standard deviation of the first minus that of the second.
    sd_ratio, variation_ratio : Between
        First over second.
    """

    quantity: Quantity
    first: GroupSpread
    second: GroupSpread
    difference: Between
    sd_difference: Between
    sd_ratio: Between
    variation_ratio: Between

    def statement(self, confidence: float) -> str:
        """What the numbers say, in words."""
        a, b, digits = self.first, self.second, self.quantity.decimals
        unit = f" {self.quantity.unit}" if self.quantity.unit else ""
        d, s, v = self.difference, self.sd_difference, self.variation_ratio
        size = _told(d, 0.0, f"the mean of {a.group} is larger", f"the mean of {a.group} is smaller", "the means")
        wide = _told(s, 0.0, f"{a.group} spreads more", f"{a.group} spreads less", "the spreads")
        text = (
            f"{self.quantity.name}, {a.group} against {b.group}: {size} ({a.mean.value:.{digits}f} against "
            f"{b.mean.value:.{digits}f}{unit}, difference {d.value:+.{digits}f}{unit}, {100 * confidence:g} % interval "
            f"{d.low:+.{digits}f} to {d.high:+.{digits}f}{unit}); {wide} (standard deviation {a.sd.value:.{digits}f} "
            f"against {b.sd.value:.{digits}f}{unit}, difference {s.value:+.{digits}f}{unit}, interval "
            f"{s.low:+.{digits}f} to {s.high:+.{digits}f}{unit})"
        )
        if not self.quantity.relative:
            return f"{text}."
        part = _told(v, 1.0, f"{a.group} spreads more", f"{a.group} spreads less", "the spreads")
        return (
            f"{text}; relative to the means {part} ({100 * a.variation.value:.1f} % against "
            f"{100 * b.variation.value:.1f} %, ratio {v.value:.2f}, interval {v.low:.2f} to {v.high:.2f})."
        )


def _told(found: Between, even: float, above: str, below: str, both: str) -> str:
    """Which words an interval bears out, relative to what would be even."""
    if found.low > even:
        return above
    return below if found.high < even else f"{both} are not told apart"


def compare(
    groups: Mapping[str, Sequence[Floats]], quantities: Sequence[Quantity], confidence: float, seed: int
) -> list[Comparison]:
    """Hold every two groups against each other, in every quantity that two specimens at least have in all arms.

    Parameters
    ----------
    groups : mapping of str to sequence of (specimens, quantities) arrays
        Of each arm of each group; the same row is the same specimen.
    quantities : sequence of Quantity
    confidence : float
    seed : int
    """
    found = []
    for k, quantity in enumerate(quantities):
        columns = {name: np.column_stack([arm[:, k] for arm in arms]) for name, arms in groups.items()}
        whole = np.asarray(np.isfinite(np.column_stack(list(columns.values()))).all(axis=1))
        if np.count_nonzero(whole) < 2:
            continue
        # The same seed draws the same specimens for all groups.
        drawn = {name: _figures(values[whole], seed) for name, values in columns.items()}
        for one, other in combinations(groups, 2):
            found.append(_compared(quantity, (one, drawn[one]), (other, drawn[other]), groups, whole, confidence))
    return found


_Figures = tuple[tuple[float, Floats], tuple[float, Floats], tuple[float, Floats]]


def _figures(values: Floats, seed: int) -> _Figures:
    """Mean, pooled standard deviation and pooled variation of (specimens, arms), each also of every resample."""
    blocks = [_pooled(values[rows]) for rows in resamples(len(values), seed)]
    own = _pooled(values[None])
    mean, sd, variation = (
        (float(one[0]), np.concatenate(drawn)) for one, drawn in zip(own, zip(*blocks, strict=True), strict=True)
    )
    return mean, sd, variation


def _pooled(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Of (resamples, specimens, arms): the mean, and spreads between specimens, root mean square over the arms."""
    means, variances = values.mean(axis=1), values.var(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (
            means.mean(axis=1),
            np.sqrt(variances.mean(axis=1)),
            np.sqrt((variances / means**2).mean(axis=1)),
        )


def _compared(
    quantity: Quantity,
    one: tuple[str, _Figures],
    other: tuple[str, _Figures],
    groups: Mapping[str, Sequence[Floats]],
    whole: NDArray[np.bool_],
    confidence: float,
) -> Comparison:
    specimens = int(np.count_nonzero(whole))
    first, second = (
        GroupSpread(name, len(groups[name]), specimens, *(between(*pair, confidence) for pair in figures))
        for name, figures in (one, other)
    )
    (mean_a, sd_a, variation_a), (mean_b, sd_b, variation_b) = one[1], other[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return Comparison(
            quantity,
            first,
            second,
            difference=between(mean_a[0] - mean_b[0], mean_a[1] - mean_b[1], confidence),
            sd_difference=between(sd_a[0] - sd_b[0], sd_a[1] - sd_b[1], confidence),
            sd_ratio=between(float(np.divide(sd_a[0], sd_b[0])), sd_a[1] / sd_b[1], confidence),
            variation_ratio=between(
                float(np.divide(variation_a[0], variation_b[0])), variation_a[1] / variation_b[1], confidence
            ),
        )
