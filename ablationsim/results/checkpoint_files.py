"""The files of checkpoints: heads and pieces, each with a checksum, without pickled objects.

A piece is a NumPy archive; its checksum is in the head. A head begins with two lines, format and version, and the
checksum of the NumPy archive that is the rest of it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

import numpy as np
from numpy.typing import NDArray

from ablationsim.results.files import replacing, unwritable, write_whole

Arrays = Mapping[str, NDArray[Any]]

FORMAT = 3
"""Number of the format of the files; any other is refused."""

DAMAGED = (OSError, ValueError, KeyError, EOFError, BadZipFile, ZlibError)
"""What reading a damaged file raises."""

_MAGIC = b"ablationsim checkpoint "
_PROGRAM = version("ablationsim")


class OtherFormat(ValueError):
    """A checkpoint in a format that this version does not read."""


def files(folder: Path) -> list[Path]:
    """Heads, pieces, and files that were being written when a run was killed."""
    return [path for pattern in ("*.ckpt", "*.ckpt.part") for path in folder.glob(pattern)]


def heads(folder: Path) -> list[Path]:
    """Heads, the newest first."""
    found = [path for path in folder.glob("*.ckpt") if "." not in path.stem]
    return sorted(found, key=lambda path: (len(path.stem), path.stem), reverse=True)


def next_head(folder: Path) -> Path:
    """Head with a number that no file has, and none had that a newer one replaced."""
    used = [number for path in files(folder) if (number := _number(path)).isdecimal()]
    return folder / f"{max(map(int, used), default=0) + 1:06d}.ckpt"


def piece_of(head: Path, rank: int) -> Path:
    """The piece that a rank writes."""
    return head.with_name(f"{head.stem}.{rank:04d}.ckpt")


def remove(folder: Path, kept: set[str]) -> None:
    """Remove all checkpoints but those with the numbers to keep.

    Raises
    ------
    OutputError
        If one cannot be removed.
    """
    for path in files(folder):
        if _number(path) not in kept:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise unwritable(path, error) from error


def write_piece(path: Path, arrays: Arrays) -> str:
    """Write a piece and return its checksum.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with replacing(path) as beside:
        with beside.open("wb") as file:
            _write_arrays(file, arrays)
        return digest(beside)


def digest(path: Path) -> str:
    """SHA-256 of a file, as text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_head(path: Path, about: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a head with plain data for JSON, to which the version of this program is added, and arrays.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    buffer = io.BytesIO()
    text = json.dumps({**about, "program": _PROGRAM}).encode()
    _write_arrays(buffer, {"about": np.frombuffer(text, dtype=np.uint8), **arrays})
    content = buffer.getvalue()
    lines = f"{FORMAT} of version {_PROGRAM}\n{hashlib.sha256(content).hexdigest()}\n"
    write_whole(path, _MAGIC + lines.encode() + content)


def read_head(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `write_head` wrote.

    Raises
    ------
    OtherFormat
        If a version with another format wrote it.
    OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error
        If it is damaged: `DAMAGED`.
    """
    first, _, rest = path.read_bytes().partition(b"\n")
    form, _, program = first.removeprefix(_MAGIC).decode("ascii", "replace").partition(" of version ")
    if not first.startswith(_MAGIC) or not form.isdecimal():
        raise ValueError("it does not begin as a checkpoint does")
    if int(form) != FORMAT:
        raise OtherFormat(
            f"was written by version {program or '0.1.0 or older'} of ablationsim in format {form}; this version, "
            f"{_PROGRAM}, reads format {FORMAT} alone"
        )
    checksum, _, content = rest.partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != checksum:
        raise ValueError("its checksum does not match")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(arrays.pop("about").tobytes()), arrays


def _number(path: Path) -> str:
    return path.name.partition(".")[0]


def _write_arrays(file: IO[bytes], arrays: Arrays) -> None:
    """Write an archive for `numpy.load`, one array after the other; NumPy 1's own function would pickle objects."""
    with ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(values), allow_pickle=False)
