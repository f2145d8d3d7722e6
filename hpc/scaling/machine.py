"""What the machine can do on so many ranks at once, without any messages: the limit of what scaling can show here."""

from __future__ import annotations

import time
from collections.abc import Callable

import numba as nb
import numpy as np

from ablationsim.parallel import Communicator

_TRIAD_VALUES = 4_000_000  # a rank: three arrays of them are far larger than its share of the caches
_ROUNDS = 8


@nb.njit(cache=True)
def triad(a, b, c, factor):
    """``a = b + factor c``."""
    for i in range(len(a)):
        a[i] = b[i] + factor * c[i]


@nb.njit(cache=True)
def arithmetic(count):
    """Multiplications and additions that wait for each other and for no memory."""
    x = 0.3
    for _ in range(count):
        x = 3.9 * x * (1.0 - x)
    return x


def machine(comm: Communicator) -> dict[str, float]:
    """Bandwidth of the memory [GB/s] and operations a second, each over all ranks while all are at work."""
    a, b, c = (np.full(_TRIAD_VALUES, value) for value in (0.0, 1.0, 2.0))
    moved, count = 3 * a.nbytes, 5_000_000
    return {
        "triad_gb_s": comm.size * moved / 1e9 / _seconds(comm, lambda: triad(a, b, c, 3.0)),
        "operations_s": comm.size * 3 * count / _seconds(comm, lambda: arithmetic(count)),
    }


def _seconds(comm: Communicator, work: Callable[[], object]) -> float:
    """Shortest time of some rounds, each as long as its slowest rank."""
    work()
    times = []
    for _ in range(_ROUNDS):
        comm.barrier()
        begun = time.perf_counter()
        work()
        times.append(comm.largest(time.perf_counter() - begun))
    return min(times)
