"""Runs side by side, each in a process of its own with one thread."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Apply(Protocol):
    """Applies a function to every task and returns the answers in the order of the tasks.

    `told`, where it is given, gets each answer as soon as there is one.
    """

    def __call__(
        self, function: Callable[[Task], Answer], tasks: Sequence[Task], told: Callable[[Answer], None] = ..., /
    ) -> list[Answer]: ...


@contextmanager
def workers(jobs: int) -> Iterator[Apply]:
    """Give what applies a function to many tasks, `jobs` at a time; with one job in this very process.

    The answers do not depend on the number of jobs.
    """
    if jobs == 1:
        yield _one_after_the_other
        return
    # The libraries read these when a worker first imports them. Threads within a run would only fight each other.
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_stopping_to_the_parent)
        try:
            yield partial(_side_by_side, pool)
        finally:
            pool.shutdown(cancel_futures=True)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _one_after_the_other(
    function: Callable[[Task], Answer], tasks: Sequence[Task], told: Callable[[Answer], None] = lambda answer: None, /
) -> list[Answer]:
    answers = []
    for task in tasks:
        answers.append(function(task))
        told(answers[-1])
    return answers


def _side_by_side(
    pool: ProcessPoolExecutor,
    function: Callable[[Task], Answer],
    tasks: Sequence[Task],
    told: Callable[[Answer], None] = lambda answer: None,
    /,
) -> list[Answer]:
    futures = [pool.submit(function, task) for task in tasks]
    for future in as_completed(futures):
        told(future.result())
    return [future.result() for future in futures]


def _leave_stopping_to_the_parent() -> None:
    # A run under way stops by itself on Ctrl-C; a worker between two runs must not print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
