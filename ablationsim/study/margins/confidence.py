"""How sure the margin of a plan is, when perfusion, device and the place of the needle are not what was assumed.

What is simple about it, and said in every answer:

* A needle that came to lie elsewhere shifts the zone as it is, without turning it; vessels do not reshape it.
* Each uncertain number of tissue and device has a run at both ends of its range. Between them the depth of a place in
  the zone is interpolated linearly, and the changes by several numbers add up.
* Nothing else is uncertain: neither the law of cell death, nor the segmentation of the tumour, nor the motion of the
  liver between scan and ablation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import CaseError
from ablationsim.results import Result
from ablationsim.study.margins.depths import Around
from ablationsim.study.margins.runs import End, chosen_inputs, closed_zone, ends_of, zones_of
from ablationsim.study.uncertainty.inputs import Input
from ablationsim.zone.case_margins import target_of
from ablationsim.zone.extract import Floats
from ablationsim.zone.margin import margins
from ablationsim.zone.target import Target

NEEDLE_SD = 2e-3
"""Standard deviation of where a needle came to lie, along each axis [m]: assumed, of the order of the errors of needle
placement under image guidance."""
SAMPLES = 1024
"""Draws, a power of two."""
LARGEST_SHIFT = 20e-3
"""Largest standard deviation of the needle's place that is taken [m]."""

NEEDLE = "place of the needle"
ALL = "all together"

_PIECES, _FILLING = 1600, 1600  # of the tumour's surface and volume, in each draw
_SIGMAS = 3.5  # up to which the place of the needle is drawn


@dataclass(frozen=True, eq=False)
class Spread:
    """How the margins spread by one source of uncertainty, or by all.

    Attributes
    ----------
    least : (n,) float64
        Minimal margin of each draw [m]; minus infinity without a zone.
    coverage : (n,) float64
        Share of the tumour's volume in the zone.
    """

    least: Floats
    coverage: Floats

    def reached(self, margin: float) -> float:
        """Share of the draws with at least a margin [m]."""
        return float((self.least >= margin).mean())


@dataclass(frozen=True, eq=False)
class Varied:
    """An uncertain number and what its ends do.

    Attributes
    ----------
    input : Input
    ends : tuple of End
        Its runs.
    least : tuple of float
        Minimal margin at each of them [m].
    """

    input: Input
    ends: tuple[End, ...]
    least: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Confidence:
    """How sure a margin is.

    Attributes
    ----------
    title : str
        Of the case.
    required : float
        Margin that is asked for [m].
    nominal : float
        Minimal margin of the run itself [m].
    coverage : float
        Share of the tumour in its zone.
    needle_sd : float
        [m]
    varied : tuple of Varied
    spreads : mapping of str to Spread
        By source; `ALL` last.
    """

    title: str
    required: float
    nominal: float
    coverage: float
    needle_sd: float
    varied: tuple[Varied, ...]
    spreads: Mapping[str, Spread]


def confidence(
    result: Result,
    folder: Path,
    *,
    names: Sequence[str] | None = None,
    needle_sd: float = NEEDLE_SD,
    samples: int = SAMPLES,
    seed: int = 1,
    jobs: int = 1,
    required: float | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Confidence:
    """Say how sure the margin of a run is.

    Parameters
    ----------
    result : Result
        A run of a case with a tumour.
    folder : Path
        Where further runs go, in a folder `confidence`; what is there from before is taken.
    names : sequence of str, optional
        Numbers that are varied, as in `chosen_inputs`; ("none",) for the needle alone, which takes no further run.
    needle_sd : float
        Standard deviation of the needle's place along each axis [m].
    samples : int
        Draws; the next power of two is taken.
    seed : int
        The same seed draws the same.
    jobs : int
        Runs at a time.
    required : float, optional
        Margin that is asked for [m]; that of the case when not given.
    told : callable
        ``told(done, total)``, of the runs.

    Raises
    ------
    CaseError
        When the case has no tumour, a name is not known, or a number is out of bounds.
    SolverError, Interrupted
        As from `zones_of`.
    """
    case = result.case
    problems = []
    if not 0.0 <= needle_sd <= LARGEST_SHIFT:
        problems.append(f"the needle's standard deviation is {1e3 * needle_sd:g} mm; 0 to {1e3 * LARGEST_SHIFT:g} mm")
    if not 2 <= samples <= 1_000_000:
        problems.append(f"{samples} draws were asked for; 2 to 1 000 000")
    target = target_of(case)
    if target is None:
        problems.append("the case has no tumour, so that there is no margin; give [tumour] or [patient] with one")
    if problems:
        raise CaseError(problems, "the confidence")
    assert target is not None
    inputs = chosen_inputs(case, names)
    ends = [ends_of(case, one, folder) for one in inputs]
    zones = zones_of([end for both in ends for end in both], jobs, told)
    zone = closed_zone(result)
    around = Around.of(target, _SIGMAS * needle_sd + 1e-3)
    wanted = case.plan.margin if required is None else required
    nominal = margins(zone, target, required=wanted)
    base = around.depth(zone)
    others = iter(zones)
    changes, varied = [], []
    for one, both in zip(inputs, ends, strict=True):
        ended = [next(others) for _ in both]
        least = tuple(margins(other, target).least for other in ended)
        varied.append(Varied(one, both, least))
        changes.append([around.depth(other) - base for other in ended])
    draws = _Draws.of(target, nominal.values, around, base)
    shares = _shares(3 + len(inputs), samples, seed)
    shifts = needle_sd * _normal(shares[:, :3])
    weights = [_weights(one, both, shares[:, 3 + i]) for i, (one, both) in enumerate(zip(inputs, ends, strict=True))]
    # The middles of a part of the pieces see a little less than the least margin: by so much all draws are put right.
    put_right = nominal.least - draws.made(np.zeros((1, 3)), []).least[0] if nominal.found else 0.0
    spreads = {NEEDLE: draws.made(shifts, [], put_right)}
    for one, change, weight in zip(inputs, changes, weights, strict=True):
        spreads[one.name] = draws.made(np.zeros_like(shifts), [(change, weight)], put_right)
    if inputs:
        spreads[ALL] = draws.made(shifts, list(zip(changes, weights, strict=True)), put_right)
    return Confidence(case.title, wanted, nominal.least, nominal.coverage, needle_sd, tuple(varied), spreads)


@dataclass(frozen=True, eq=False)
class _Draws:
    """Points of a tumour, and the depth in the nominal zone round them."""

    around: Around
    base: NDArray[np.float32]
    surface: Floats
    filling: Floats

    @classmethod
    def of(cls, target: Target, values: Floats, around: Around, base: NDArray[np.float32]) -> _Draws:
        random = np.random.default_rng(0)
        surface = np.arange(len(values))
        if len(surface) > _PIECES:
            even = random.choice(surface, _PIECES // 2, replace=False, p=target.areas / target.areas.sum())
            surface = np.unique(np.concatenate([np.argsort(values, kind="stable")[: _PIECES // 2], even]))
        filling = target.filling
        if len(filling) > _FILLING:
            filling = filling[random.choice(len(filling), _FILLING, replace=False)]
        return cls(around, base, target.points[surface], filling)

    def made(
        self,
        shifts: Floats,
        changes: Sequence[tuple[Sequence[NDArray[np.float32]], Sequence[Floats]]],
        put_right: float = 0.0,
    ) -> Spread:
        """Margins when the zone is shifted (n, 3) and its depth changed by each of some fields times weights (n,)."""
        least, coverage = np.empty(len(shifts)), np.empty(len(shifts))
        both = np.concatenate([self.surface, self.filling])
        moved = bool(shifts.any())
        fields = [(field, weight) for pair in changes for field, weight in zip(*pair, strict=True)]
        at_rest = [self.around.at(field, both) for field in (self.base, *(field for field, _ in fields))]
        for j, shift in enumerate(shifts):
            depths = at_rest
            if moved:
                depths = [self.around.at(field, both - shift) for field in (self.base, *(field for field, _ in fields))]
            depth = depths[0] + sum(weight[j] * change for (_, weight), change in zip(fields, depths[1:], strict=True))
            least[j] = depth[: len(self.surface)].min() + put_right
            coverage[j] = (depth[len(self.surface) :] > 0.0).mean()
        return Spread(least, coverage)


def _shares(dimensions: int, samples: int, seed: int) -> Floats:
    """Evenly spread points of the unit cube, shape (n, dimensions)."""
    from scipy.stats import qmc

    engine = qmc.Sobol(dimensions, seed=seed)
    return np.asarray(engine.random_base2(int(np.ceil(np.log2(samples)))))


def _normal(shares: Floats) -> Floats:
    from scipy.stats import norm

    return np.clip(norm.ppf(shares), -_SIGMAS, _SIGMAS)


def _weights(one: Input, ends: Sequence[End], shares: Floats) -> list[Floats]:
    """How much of the change toward each end a draw has: 0 at the nominal value, 1 at the end."""
    values = one.at(shares)
    return [np.clip((values - one.nominal) / (end.value - one.nominal), 0.0, 1.0) for end in ends]
