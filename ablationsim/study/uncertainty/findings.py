"""What a study found of one arm: the numbers of all runs, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import SolverError
from ablationsim.study.uncertainty.answers import FRAMES, Answer
from ablationsim.study.uncertainty.arm import Arm
from ablationsim.study.uncertainty.design import design
from ablationsim.study.uncertainty.file import AboutSection, SurrogateSection
from ablationsim.study.uncertainty.indices import Effect, Index, effects, indices
from ablationsim.study.uncertainty.outline_map import Chance, chance
from ablationsim.study.uncertainty.quantities import MARGIN, Aim, Quantity, looked_at, margins, table
from ablationsim.study.uncertainty.spread import Spread, spread
from ablationsim.study.uncertainty.surrogate import Quality, Surrogate

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Said:
    """What is said of a quantity in one frame; what the method does not give is None.

    Attributes
    ----------
    nominal : float
        With the nominal values; NaN where there is none.
    values : (samples,) array
        That the rest is made from: of runs, or of a surrogate.
    spread : Spread or None
    effects : list of Effect or None
    indices : list of Index or None
    surrogate : Quality or None
    note : str
        Why there is nothing, or "".
    """

    nominal: float
    values: Floats
    spread: Spread | None = None
    effects: Sequence[Effect] | None = None
    indices: Sequence[Index] | None = None
    surrogate: Quality | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class ArmFindings:
    """What a study found of one arm.

    Attributes
    ----------
    arm : Arm
    aim : Aim or None
    shares : (runs, inputs) array
        Of the distributions, of each run.
    values : (runs, inputs) array
        Of the inputs (SI).
    figures : dict of str to (runs, quantities) array
        Of each run, by frame.
    said : dict of str to dict of str to Said
        By frame and key of the quantity.
    chance : Chance or None
        Of an axisymmetric propagation.
    failed : tuple of str
        What went wrong with runs that failed.
    """

    arm: Arm
    aim: Aim | None
    shares: Floats
    values: Floats
    figures: Mapping[str, Floats]
    said: Mapping[str, Mapping[str, Said]]
    chance: Chance | None
    failed: tuple[str, ...]

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Those that are looked at."""
        return looked_at(self.aim)

    def covering(self, margin: float) -> float | None:
        """Share of the samples with a margin of so much at least [mm]; None without a target or a spread."""
        said = self.said[FRAMES[0]].get(MARGIN)
        if said is None or said.spread is None:
            return None
        # No zone is no margin.
        return float(np.mean(np.nan_to_num(said.values, nan=-np.inf) >= margin))


def findings(
    arm: Arm,
    aim: Aim | None,
    about: AboutSection,
    surrogate: SurrogateSection | None,
    shares: Floats,
    values: Floats,
    answered: Sequence[Answer | str],
    nominal: Answer | str,
) -> ArmFindings:
    """Conclude from the runs of an arm.

    Parameters
    ----------
    arm, aim, about, surrogate
    shares, values : (runs, inputs) arrays
    answered : sequence of Answer or str
        Of each run, or what went wrong with it.
    nominal : Answer or str

    Raises
    ------
    SolverError
        If indices cannot be computed because runs failed, or no surrogate is good enough.
    """
    failed = tuple(answer for answer in answered if isinstance(answer, str))
    whole = about.method != "propagate" and surrogate is None
    if failed and (whole or len(failed) > len(answered) - 2):
        raise SolverError(
            f"{len(failed)} of {len(answered)} runs{_of(arm)} failed, the first with: {failed[0]} "
            + ("A screening or Sobol indices need every run. " if whole else "")
            + "The others are kept; narrow the distributions or correct the case, and start the study again."
        )
    rows = [dict(zip((one.name for one in arm.inputs), row, strict=True)) for row in values.tolist()]
    margin = None if aim is None else margins(answered, aim, arm.plan, rows)
    planned = None if aim is None else margins([nominal], aim, arm.plan, [{}])
    figures = {frame: table(answered, frame, margin) for frame in FRAMES}
    middle = {frame: table([nominal], frame, planned)[0] for frame in FRAMES}
    names = [one.name for one in arm.inputs]
    said: dict[str, dict[str, Said]] = {}
    for frame in FRAMES:
        said[frame] = {
            quantity.key: _said(names, about, surrogate, shares, figures[frame][:, k], float(middle[frame][k]))
            for k, quantity in enumerate(looked_at(aim))
        }
    if surrogate is not None:
        _check_surrogates(arm, said[about.frame], looked_at(aim))
    outlines = [answer.outline for answer in answered if isinstance(answer, Answer)]
    return ArmFindings(
        arm=arm,
        aim=aim,
        shares=shares,
        values=values,
        figures=figures,
        said=said,
        chance=chance(outlines) if about.method == "propagate" else None,
        failed=failed,
    )


def _of(arm: Arm) -> str:
    return f" of arm '{arm.name}'" if arm.name else ""


def _said(
    names: Sequence[str],
    about: AboutSection,
    surrogate: SurrogateSection | None,
    shares: Floats,
    values: Floats,
    nominal: float,
) -> Said:
    there = np.isfinite(values)
    if about.method == "propagate" and surrogate is None:
        return Said(nominal, values, spread=spread(values, about.confidence, about.seed), note=_missing(values))
    if surrogate is not None:
        if np.count_nonzero(there) < 10:
            return Said(nominal, values, note=_missing(values))
        fitted = Surrogate.fit(shares[there], values[there], surrogate.least_q2, about.seed)
        if not fitted.quality.good:
            return Said(nominal, values[:0], surrogate=fitted.quality, note="the surrogate is refused")
        found = _analysed(names, about, fitted, nominal)
        return Said(nominal, found.values, found.spread, None, found.indices, fitted.quality, _missing(values))
    if not there.all():
        return Said(nominal, values, note=_missing(values))
    if about.method == "screen":
        return Said(nominal, values, effects=effects(names, shares, values, about.confidence, about.seed))
    return _indices(names, about, values, nominal)


def _analysed(names: Sequence[str], about: AboutSection, model: Callable[[Floats], Floats], nominal: float) -> Said:
    """What a study says of a model that costs nothing."""
    values = model(design(about, names))
    if about.method == "propagate":
        return Said(nominal, values, spread=spread(values, about.confidence, about.seed))
    return _indices(names, about, values, nominal)


def _indices(names: Sequence[str], about: AboutSection, values: Floats, nominal: float) -> Said:
    found = indices(names, values, about.confidence, about.seed)
    return Said(nominal, values, indices=found, note="" if found is not None else "it does not vary")


def _missing(values: Floats) -> str:
    count = int(np.count_nonzero(~np.isfinite(values)))
    return f"{count} of {len(values)} runs have none" if count else ""


def _check_surrogates(arm: Arm, said: Mapping[str, Said], quantities: Sequence[Quantity]) -> None:
    if any(one.surrogate is not None and one.surrogate.good for one in said.values()):
        return
    texts = [
        f"{quantity.name} Q2 = {quality.q2:.2f}, error {quality.rmse:.3g} {quantity.unit}".rstrip()
        for quantity in quantities
        if (quality := said[quantity.key].surrogate) is not None
    ]
    raise SolverError(
        f"no surrogate{_of(arm)} predicts runs that it has not seen well enough ({'; '.join(texts) or 'no zone'}; "
        "least_q2 in [surrogate] is the limit of Q2). The runs are kept: give it more of them, fewer inputs, or leave "
        "[surrogate] out."
    )
