"""Ranks end together: an error that all of them meet is said once, one that a single rank meets ends them all.

A rank that leaves while the others wait for it would leave them waiting until the time of the job is over. MPI's own
way out, `Abort`, ends everybody at once, but leaves neither a good exit code nor time for a message; so ranks first
tell each other how they have ended, and only where some do not answer, because they wait for the one that failed or
because they are busy, are they aborted.
"""

from __future__ import annotations

import sys
import time
import traceback
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ablationsim.errors import AblationSimError
from ablationsim.parallel.communicator import Communicator, Ranks

PATIENCE = 5.0
"""Seconds that a rank which has failed waits for the others to say how they ended."""

_FINE = -1


@contextmanager
def together(comm: Communicator) -> Iterator[None]:
    """End on all ranks when one of them fails.

    An error that all ranks raise goes on in the first of them, and the others leave without a word. An error of some
    ranks is printed, with the rank, and all leave with its exit code; never does a rank wait for one that has left.

    Parameters
    ----------
    comm : Communicator
        The ranks, which all enter; nothing happens in a process that is alone.
    """
    if not isinstance(comm, Ranks):
        yield
        return
    endings = comm.comm.Dup()
    failure: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failure = error
    outcomes = _tell(endings, failure)
    if outcomes is None:
        assert failure is not None
        _say(comm, failure)
        endings.Abort(_code(failure))
    assert outcomes is not None
    failed = [rank for rank, (code, _) in enumerate(outcomes) if code != _FINE]
    alike = len(failed) == comm.size and len(set(outcomes)) == 1
    if failure is not None and not alike and comm.rank == failed[0]:
        _say(comm, failure)
    endings.Barrier()  # a launcher ends the others when the first one leaves with an error
    endings.Free()
    if failure is not None and alike and (comm.rank == 0 or isinstance(failure, SystemExit)):
        raise failure
    if failed:
        raise SystemExit(outcomes[failed[0]][0]) from None


def _tell(endings: Any, failure: BaseException | None) -> list[tuple[int, int]] | None:
    """Exit code and digest of the error of each rank; None if some have not answered within the patience."""
    digest = zlib.crc32(f"{type(failure).__name__} {failure}".encode())
    mine = array("q", [_FINE if failure is None else _code(failure), digest])
    answers = array("q", bytes(mine.itemsize * 2 * endings.size))
    request = endings.Iallgather(mine, answers)
    end = time.monotonic() + PATIENCE
    while not request.Test():
        if failure is not None and time.monotonic() > end:
            return None
        time.sleep(0.01)
    return list(zip(answers[::2], answers[1::2], strict=True))


def _code(failure: BaseException) -> int:
    if isinstance(failure, SystemExit):
        return failure.code if isinstance(failure.code, int) else int(failure.code is not None)
    if isinstance(failure, KeyboardInterrupt):
        return 130
    code: int = getattr(failure, "exit_code", 1)
    return code


def _say(comm: Ranks, failure: BaseException) -> None:
    out = sys.__stderr__  # the streams of other ranks than the first may be closed
    sys.stdout.flush()
    if isinstance(failure, AblationSimError):
        print(f"ablationsim: rank {comm.rank} of {comm.size}: {failure}", file=out, flush=True)
    else:
        text = "".join(traceback.format_exception(failure))
        print(f"ablationsim: rank {comm.rank} of {comm.size} failed:\n{text}", file=out, end="", flush=True)
