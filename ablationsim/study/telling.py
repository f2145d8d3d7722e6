"""Progress of runs in other processes, told in this one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

Told = Callable[[str, float, float], None]
"""Called with the name of a run, its simulated time, and that at which it ends at the latest [s]."""


@contextmanager
def across(told: Told, jobs: int) -> Iterator[Told]:
    """Give what runs in other processes can call so that `told` is called here; with one job they run here anyway."""
    if jobs == 1:
        yield told
        return
    with get_context("spawn").Manager() as manager:
        queue = manager.Queue()
        listener = threading.Thread(target=_listen, args=(queue, told), daemon=True)
        listener.start()
        try:
            yield _Post(queue)
        finally:
            queue.put(None)
            listener.join()


@dataclass(frozen=True)
class _Post:
    """Sends what it is told to the process that started the runs."""

    queue: Any

    def __call__(self, name: str, time: float, end: float) -> None:
        self.queue.put((name, time, end))


def _listen(queue: Any, told: Told) -> None:
    while (message := queue.get()) is not None:
        told(*message)
