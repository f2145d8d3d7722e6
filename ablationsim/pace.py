"""How long steps in time may be, and where within a step a threshold is crossed: plain numbers, no fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

FIRST_STEP = 0.05
"""First step after a kind of change that has not been met before [s]."""

_SAFETY = 0.9
_LONGEST_GROWTH, _SHARPEST_CUT = 3.0, 0.2
_TREND = 0.1  # exponent of the ratio of the last two errors where they grow
_BOOST = 2.0  # most that a trend to smaller errors adds
_FIRST_ERROR = 0.2  # what the first step after a change aims at, as a share of the tolerance
_LONGEST_FIRST_STEP = 3.0  # s
_SMALLEST_ERROR = 1e-4


@dataclass
class Pace:
    """Length of the next step, from the errors of those before, in units of the tolerance.

    A step that is accepted is followed by one that would have an error near the tolerance, by the third-order error
    estimate; a little less where errors are growing, and more where they fall although steps grow, as they do while
    tissue settles. A step that is refused is shortened in proportion to its error: where tissue boils the error falls
    more slowly than a smooth one would, and a third root would need several trials.

    After a change of phase the first step is as long as the one that served after the last change of the same kind.

    Attributes
    ----------
    step : float
        Length of the next step [s].
    length, error : float or None
        Of the last accepted step since the change of phase [s, 1].
    change : str or None
        Kind of the change of phase that the next step follows immediately; None later.
    refused : bool
        Whether the next step is one that is done again.
    first : dict of str to float
        First step after each kind of change that has been met [s].
    """

    step: float = FIRST_STEP
    length: float | None = None
    error: float | None = None
    change: str | None = None
    refused: bool = False
    first: dict[str, float] = field(default_factory=dict)

    def begin(self, change: str) -> None:
        """Note a change of phase of a kind."""
        self.step = self.first.get(change, FIRST_STEP)
        self.length = self.error = None
        self.change, self.refused = change, False

    def shorter(self, step: float, error: float) -> float:
        """What to try instead of a step [s] that was too inaccurate."""
        return step * max(_SHARPEST_CUT, _SAFETY / error)

    def refuse(self, step: float) -> None:
        """Note that a step is done again, with another length [s]; the one that follows will not be longer still."""
        self.step, self.refused = step, True

    def accept(self, step: float, error: float) -> None:
        """Note that a step [s], which may have been cut short by an event or an output, was accurate enough."""
        planned, error = self.step, max(error, _SMALLEST_ERROR)
        if self.change is not None:
            fitting = step * min(max(_FIRST_ERROR / error, _SHARPEST_CUT), _LONGEST_GROWTH)
            if step < planned:
                fitting = max(fitting, planned)
            self.first[self.change] = min(fitting, _LONGEST_FIRST_STEP)
            self.change = None
        growth = _SAFETY * error ** (-1.0 / 3.0)
        if self.length is not None and self.error is not None:
            if error > self.error:
                growth *= (self.error / error) ** _TREND
            elif step > self.length:
                growth *= min(step / self.length * (self.error / error) ** (1.0 / 3.0), _BOOST)
        self.step = step * min(max(growth, _SHARPEST_CUT), 1.0 if self.refused else _LONGEST_GROWTH)
        if step < planned:
            self.step = max(self.step, planned)
        self.length, self.error, self.refused = step, error, False


def rounded(step: float) -> float:
    """A step, or a time, to ten binary digits, rounded down.

    Errors from which steps follow differ in their last digits where sums are formed in another order, as on another
    number of ranks. Steps that do not would grow into other sequences of steps, and other results.
    """
    if not math.isfinite(step):
        return step
    fraction, exponent = math.frexp(step)
    return math.ldexp(math.floor(1024.0 * fraction) / 1024.0, exponent)


def time_until(level: float, series: Sequence[tuple[float, float]]) -> float:
    """Time from the last of two or three values of a rising series until it reaches a level.

    The parabola through them, or the straight line where the rise slows down; infinite where nothing rises.

    Parameters
    ----------
    level : float
        Above the last value.
    series : sequence of (float, float)
        Times and values.
    """
    if len(series) < 2:
        return math.inf
    (before, lower), (now, value) = series[-2:]
    slope, bend = (value - lower) / (now - before), 0.0
    if len(series) > 2:
        first, lowest = series[-3]
        bend = max((slope - (lower - lowest) / (before - first)) / (now - first), 0.0)
        slope += bend * (now - before)
    if not slope > 0.0:
        return math.inf
    return 2.0 * (level - value) / (slope + math.sqrt(slope * slope + 4.0 * bend * (level - value)))


def crossing(
    past: Callable[[float], float], start: float, end: float, tolerance: float, narrowest: float
) -> float | None:
    """Where a function on the unit interval lies past zero, by no more than a tolerance (Chandrupatla 1997).

    Inverse quadratic interpolation where the last three values bear it, bisection elsewhere.

    Parameters
    ----------
    past : callable
        The function.
    start, end : float
        Its values at zero (negative) and at one (more than the tolerance).
    tolerance : float
        Largest value accepted.
    narrowest : float
        Width of the interval at which the search ends whatever the value.

    Returns
    -------
    float or None
        The place; None if only the end lies past zero.
    """
    middle = 0.5 * tolerance
    newest, other, older = 1.0, 0.0, 0.0
    f_newest, f_other, f_older = end - middle, start - middle, start - middle
    share = f_newest / (f_newest - f_other)
    found = None
    while abs(other - newest) > narrowest:
        place = newest + min(max(share, 0.02), 0.98) * (other - newest)
        value = past(place)
        if value >= 0.0:
            found = place
        if 0.0 <= value <= tolerance:
            break
        f = value - middle
        if (f > 0.0) == (f_newest > 0.0):
            older, f_older = newest, f_newest
        else:
            older, f_older = other, f_other
            other, f_other = newest, f_newest
        newest, f_newest = place, f
        xi = (newest - other) / (older - other)
        phi = (f_newest - f_other) / (f_older - f_other)
        if phi * phi < xi and (1.0 - phi) ** 2 < 1.0 - xi:
            share = f_newest / (f_other - f_newest) * f_older / (f_other - f_older)
            share += (
                (older - newest) / (other - newest) * f_newest / (f_older - f_newest) * f_other / (f_older - f_other)
            )
        else:
            share = 0.5
    return found
