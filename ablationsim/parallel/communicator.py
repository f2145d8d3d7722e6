"""How ranks talk to each other: MPI behind a handful of verbs, and a stand-in for a process that is alone.

mpi4py initialises MPI when it is imported, which kills processes on login nodes and forks; it is imported here alone,
and only where a launcher has started several ranks or the distributed engine was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Number = TypeVar("Number", float, "NDArray[np.float64]")


class Communicator(Protocol):
    """Ranks that run the same program; every rank calls the same methods in the same order.

    Attributes
    ----------
    rank, size : int
        Number of this rank, and how many there are.
    """

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def sum(self, value: Number) -> Number:
        """Sum over the ranks of a number or of an array, the same on all of them."""

    def largest(self, value: Number) -> Number:
        """Largest over the ranks, element by element."""

    def smallest(self, value: Number) -> Number:
        """Smallest over the ranks, element by element."""

    def any(self, value: bool) -> bool:
        """Whether it holds on any rank."""

    def broadcast(self, value: T) -> T:
        """What the first rank gives."""

    def gather(self, value: T) -> list[T]:
        """What every rank gives, in their order, on every rank."""

    def send(self, value: Any, to: int) -> None:
        """Give a value to one rank, which has to `receive` it."""

    def receive(self, sender: int) -> Any:
        """The value that a rank has sent."""

    def barrier(self) -> None:
        """Wait for all ranks."""


class Alone:
    """The communicator of a process without others."""

    rank, size = 0, 1

    def sum(self, value: Number) -> Number:
        """The value."""
        return value

    def largest(self, value: Number) -> Number:
        """The value."""
        return value

    def smallest(self, value: Number) -> Number:
        """The value."""
        return value

    def any(self, value: bool) -> bool:
        """The value."""
        return value

    def broadcast(self, value: T) -> T:
        """The value."""
        return value

    def gather(self, value: T) -> list[T]:
        """The value alone."""
        return [value]

    def send(self, value: Any, to: int) -> None:
        """There is nobody to send to."""
        raise ValueError("a process that is alone has nobody to send to")

    def receive(self, sender: int) -> Any:
        """There is nobody to receive from."""
        raise ValueError("a process that is alone has nobody to receive from")

    def barrier(self) -> None:
        """Nobody to wait for."""


class Ranks:
    """The ranks of an MPI communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        A communicator of mpi4py.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self.comm = comm
        self._sum, self._max, self._min = MPI.SUM, MPI.MAX, MPI.MIN

    @property
    def rank(self) -> int:
        """Number of this rank."""
        return int(self.comm.rank)

    @property
    def size(self) -> int:
        """How many ranks there are."""
        return int(self.comm.size)

    def _reduce(self, value: Any, operation: Any) -> Any:
        import numpy as np

        if isinstance(value, np.ndarray):
            result = np.empty_like(value)
            self.comm.Allreduce(np.ascontiguousarray(value), result, operation)
            return result
        given, result = np.array([value], np.float64), np.empty(1)
        self.comm.Allreduce(given, result, operation)
        return float(result[0])

    def sum(self, value: Number) -> Number:
        """Sum over the ranks, the same on all of them."""
        result: Number = self._reduce(value, self._sum)
        return result

    def largest(self, value: Number) -> Number:
        """Largest over the ranks, element by element."""
        result: Number = self._reduce(value, self._max)
        return result

    def smallest(self, value: Number) -> Number:
        """Smallest over the ranks, element by element."""
        result: Number = self._reduce(value, self._min)
        return result

    def any(self, value: bool) -> bool:
        """Whether it holds on any rank."""
        return self.largest(float(value)) > 0.0

    def broadcast(self, value: T) -> T:
        """What the first rank gives."""
        result: T = self.comm.bcast(value, root=0)
        return result

    def gather(self, value: T) -> list[T]:
        """What every rank gives, in their order, on every rank."""
        return list(self.comm.allgather(value))

    def send(self, value: Any, to: int) -> None:
        """Give a value to one rank, which has to `receive` it."""
        self.comm.send(value, dest=to)

    def receive(self, sender: int) -> Any:
        """The value that a rank has sent."""
        return self.comm.recv(source=sender)

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.comm.Barrier()


ALONE = Alone()


def on_first(comm: Communicator, work: Callable[[], T]) -> T:
    """Do something on the first rank, and give what it returns, or raises, to all.

    Parameters
    ----------
    comm : Communicator
        All ranks call this.
    work : callable
        Without arguments; what it returns is sent to all ranks.
    """
    outcome: tuple[Any, BaseException | None] = (None, None)
    if comm.rank == 0:
        try:
            outcome = (work(), None)
        except Exception as error:
            outcome = (None, error)
    value, failed = comm.broadcast(outcome)
    if failed is not None:
        raise failed
    result: T = value
    return result
