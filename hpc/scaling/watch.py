"""A stopwatch for the parts of a step: methods and functions of the product are wrapped from outside.

Time goes to the innermost part under way; what no part claims is the rest. The parts of a step therefore add up to it.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

PARTS = ("assembly", "set-up", "electric", "heat", "halo", "reductions", "rest")
"""Parts of a step, in their order.

``assembly``: laws at nodes and elements, the map from coefficients to matrices, PETSc's copies of their values, Joule
heat and nodal loads. ``set-up``: PETSc's multigrid hierarchy. ``electric``: conjugate gradients for the potential and
their first guesses, with the communication that PETSc does itself. ``heat``: Newton's steps and conjugate gradients for
the temperature. ``halo``, ``reductions``: messages between ranks outside PETSc, with the time that a rank waits for
others. ``rest``: damage, and sums of vectors.
"""


class Watch:
    """Adds up the time in parts, and how often what was wrapped was called."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._under_way = ["rest"]
        self._since = time.perf_counter()

    def wrap(self, owner: Any, name: str, part: str | None, count: Callable[[Any], int] | None = None) -> None:
        """Let what ``owner`` has under a name be timed as a part (None: as the part around it) and counted.

        Parameters
        ----------
        owner : class or module
            Where it is looked up.
        name : str
            Its name.
        part : str or None
            One of `PARTS`.
        count : callable, optional
            How much a call counts, by what it returned; one by default.
        """
        original = getattr(owner, name)
        label = f"{getattr(owner, '__qualname__', owner.__name__.rpartition('.')[2])}.{name}"

        @functools.wraps(original)
        def timed(*arguments: Any, **keywords: Any) -> Any:
            self._turn()
            self._under_way.append(part or self._under_way[-1])
            try:
                result = original(*arguments, **keywords)
            finally:
                self._turn()
                self._under_way.pop()
            self.calls[label] += 1 if count is None else count(result)
            return result

        setattr(owner, name, timed)

    def _turn(self) -> None:
        now = time.perf_counter()
        self.seconds[self._under_way[-1]] += now - self._since
        self._since = now

    def lap(self) -> tuple[dict[str, float], dict[str, int]]:
        """Seconds and calls since the last lap."""
        self._turn()
        seconds, calls = {part: self.seconds[part] for part in PARTS}, dict(self.calls)
        self.seconds.clear()
        self.calls.clear()
        return seconds, calls
