"""Files that are whole or absent: written beside their place and renamed."""

from __future__ import annotations

import os
from pathlib import Path

from ablationsim.errors import OutputError


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that a kill at any moment leaves either the old content or the new one.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise unwritable(path, error) from error


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
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}. Check the permissions of the folder and the space on its "
        "disk, or choose another folder with --output. What was written before is untouched."
    )
