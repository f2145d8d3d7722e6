"""Several processes on one simulation."""

from ablationsim.parallel.agreement import on_every
from ablationsim.parallel.communicator import ALONE, Alone, Communicator, Ranks, on_first
from ablationsim.parallel.failure import together
from ablationsim.parallel.launcher import start

__all__ = ["ALONE", "Alone", "Communicator", "Ranks", "on_every", "on_first", "start", "together"]
