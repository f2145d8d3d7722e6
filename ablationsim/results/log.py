"""``log.txt``: what happened during a run, and when, a line each; a resumed run goes on in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ablationsim.results.files import unwritable

LOG = "log.txt"


class Log:
    """Lines with the date in a file.

    Parameters
    ----------
    folder : Path or None
        Run folder; without one nothing is written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / LOG

    def write(self, text: str) -> None:
        """Add a line.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}  {text}\n")
        except OSError as error:
            raise unwritable(self._path, error) from error
