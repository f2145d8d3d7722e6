"""Files that are whole or absent: written beside their place and renamed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ablationsim.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside ``path`` to write to, and move what was written there when the block ends well.

    A kill at any moment, or a full disk, leaves either the old content or the new one.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    beside = path.with_name(path.name + ".part")
    try:
        try:
            yield beside
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            # After a failure; a file that was moved is no longer there.
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that a kill at any moment leaves either the old content or the new one.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with replacing(path) as beside:
        beside.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def make_folder(path: Path) -> None:
    """Make a folder and its parents.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error of a file or folder that cannot be written."""
    advice = "Check the permissions of the folder and the space on its disk, or choose another folder with --output."
    if isinstance(error, FileNotFoundError):
        advice = (
            f"Its folder was removed, cannot be made, or {platform.node()} does not see it: a run on several nodes "
            "needs one on a file system that all of them share. Choose another folder with --output."
        )
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}. {advice} What was written before is untouched."
    )
