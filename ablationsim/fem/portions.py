"""Portions of the elements of a mesh that threads add up for themselves before the sums are put together.

Elements are numbered along the mesh, so that a portion of them reaches only a part of the nodes or edges, and
neighbouring portions share few. How the elements are divided depends on the mesh alone: sums do not depend on the
number of threads.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ablationsim.fem.products import THREADED_FROM

_MOST = 32
_OVERLAP = 2.0  # times the number of targets: what all portions may hold together

Numbers = NDArray[np.int64]


class Portions(NamedTuple):
    """Consecutive elements, and the targets (nodes or edges) that they reach.

    Attributes
    ----------
    first : (p + 1,) array
        First element of each portion.
    lowest : (p,) array
        Lowest target of each.
    start : (p + 1,) array
        Where the sums of each portion begin in the sums of all.
    """

    first: Numbers
    lowest: Numbers
    start: Numbers

    @classmethod
    def of(cls, targets: NDArray[np.unsignedinteger], count: int, *, single: bool = False) -> Portions:
        """As many portions as pay for elements with the given targets ``(m, k)``, numbered below ``count``.

        A ``single`` one adds up in the order of the elements, whatever else is in the mesh.
        """
        m = len(targets)
        portions = _MOST if count >= THREADED_FROM and not single else 1
        while True:
            first = np.linspace(0, m, portions + 1).astype(np.int64)
            parts = [targets[a:b] for a, b in pairwise(first)]
            lowest = np.array([part.min() for part in parts], dtype=np.int64)
            reach = np.array([part.max() for part in parts], dtype=np.int64) + 1 - lowest
            if portions == 1 or reach.sum() <= _OVERLAP * count:
                return cls(first, lowest, np.concatenate([[0], np.cumsum(reach)]))
            portions //= 2
