"""Signals that end a run after the step under way, with its state kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ablationsim.results.recorder import Recorder

BATCH = (signal.SIGTERM, signal.SIGUSR1)
"""What batch systems send, often several times, when the time is nearly over or the node is needed."""


@contextmanager
def stopping_on_signals(recorder: Recorder) -> Iterator[None]:
    """Let a signal end the run after the step under way, with its state saved; Ctrl-C once more ends it at once.

    A process that a batch system has stopped is about to end; from then on it takes no notice of being asked again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def request(number: int, frame: object) -> None:
        recorder.stop_signal = number
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)

    earlier = {number: signal.signal(number, request) for number in (signal.SIGINT, *BATCH)}
    try:
        yield
    finally:
        kept = BATCH if recorder.stop_signal in BATCH else ()
        for number, handler in earlier.items():
            if number not in kept:
                signal.signal(number, handler)
