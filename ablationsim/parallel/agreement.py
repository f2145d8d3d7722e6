"""Work that every rank does and that may fail on one of them: all go on, or all raise the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ablationsim.parallel.communicator import Communicator

T = TypeVar("T")


def on_every(comm: Communicator, work: Callable[[], T]) -> T:
    """Do something on every rank; what it raises on any rank, the lowest one if several, is raised on all.

    Parameters
    ----------
    comm : Communicator
        All ranks call this; nobody goes on before all have finished.
    work : callable
        Without arguments, and without communication: a rank on which it fails stops in the middle of it.
    """
    failed: Exception | None = None
    try:
        value = work()
    except Exception as error:
        failed = error
    for problem in comm.gather(failed):
        if problem is not None:
            raise problem
    return value
