"""Checkpoints: everything that a march needs to go on to the same numbers.

Two are kept. Each is one NumPy archive (arrays only, nothing that could execute) with a SHA-256 sum beside its content,
so that a torn or damaged file is recognised and the older one is used.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import CheckpointError
from ablationsim.results.files import make_folder, write_whole

Arrays = dict[str, NDArray[Any]]
_MAGIC = b"ablationsim checkpoint 1\n"


def save(folder: Path, meta: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a checkpoint into ``folder`` in place of the older of the two that are there.

    Parameters
    ----------
    folder : Path
        Made if needed.
    meta : mapping
        Plain data for JSON; ``time_s`` orders the checkpoints.
    arrays : dict of str to array
        Numeric arrays.
    """
    make_folder(folder)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, meta=np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8), **arrays)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest().encode() + b"\n"
    write_whole(_next_place(folder), _MAGIC + digest + content)


def load(folder: Path) -> tuple[dict[str, Any], Arrays, list[str]]:
    """Read the newest sound checkpoint.

    Returns
    -------
    meta : dict
        What was saved.
    arrays : dict of str to array
        What was saved.
    warnings : list of str
        About checkpoints that were passed over.

    Raises
    ------
    CheckpointError
        If there is none, or none is sound.
    """
    warnings: list[str] = []
    sound: list[tuple[float, dict[str, Any], Arrays]] = []
    for path in _places(folder):
        if path.exists():
            try:
                meta, arrays = _read(path)
                sound.append((float(meta["time_s"]), meta, arrays))
            except (OSError, ValueError, KeyError, BadZipFile) as error:
                warnings.append(f"the checkpoint {path} is damaged ({error})")
    if not sound:
        found = "; ".join(warnings) if warnings else f"{folder} holds no checkpoint"
        raise CheckpointError(
            f"The run cannot be resumed: {found}. Start it again without --resume and with --overwrite."
        )
    _, meta, arrays = max(sound, key=lambda item: item[0])
    return meta, arrays, warnings


def present(folder: Path) -> bool:
    """Whether a checkpoint has been written into ``folder``, sound or not."""
    return any(path.exists() for path in _places(folder))


def clear(folder: Path) -> None:
    """Remove the checkpoints in ``folder``.

    Raises
    ------
    OSError
        If one cannot be removed.
    """
    for path in _places(folder):
        path.unlink(missing_ok=True)


def _places(folder: Path) -> tuple[Path, Path]:
    return folder / "a.ckpt", folder / "b.ckpt"


def _next_place(folder: Path) -> Path:
    """The place that is empty or holds the older checkpoint."""
    return min(_places(folder), key=lambda path: path.stat().st_mtime_ns if path.exists() else 0)


def _read(path: Path) -> tuple[dict[str, Any], Arrays]:
    content = path.read_bytes()
    if not content.startswith(_MAGIC):
        raise ValueError("not a checkpoint of this version")
    digest, _, payload = content[len(_MAGIC) :].partition(b"\n")
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise ValueError("its checksum does not match")
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(arrays.pop("meta").tobytes()), arrays
