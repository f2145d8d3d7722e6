"""``log.txt``: what happened during a run, and when, a line each; a resumed run goes on in it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ablationsim.parallel import ALONE, Communicator, on_first
from ablationsim.results.files import unwritable

LOG = "log.txt"


class Log:
    """Lines with the date in a file.

    Parameters
    ----------
    folder : Path or None
        Run folder; without one nothing is written.
    comm : Communicator
        All of its ranks have the log and write the same into it; the first one has the file.
    """

    def __init__(self, folder: Path | None, comm: Communicator = ALONE) -> None:
        self._path = None if folder is None else folder / LOG
        self._comm = comm

    def write(self, text: str) -> None:
        """Add a line.

        Raises
        ------
        OutputError
            On all ranks, if the file cannot be written.
        """
        if self._path is not None:
            on_first(self._comm, partial(self._append, self._path, text))

    @staticmethod
    def _append(path: Path, text: str) -> None:
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}  {text}\n")
        except OSError as error:
            raise unwritable(path, error) from error
