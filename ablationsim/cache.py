"""Things that take long to make, kept on disk as arrays.

A thing is found again by a hash of all that it was made from. A file that is damaged or cannot be written is no error,
only a thing to make again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np

FOLDER = "ABLATIONSIM_CACHE"
"""Environment variable: the folder to keep things in, or nothing to keep none; ``~/.cache/ablationsim`` if not set."""

LARGEST = 500_000_000
"""Bytes that are kept of each kind; beyond, what has not been used for longest goes first."""

_PARTIAL = ".partial"
_ABANDONED = 3600.0  # s, after which a file that is still partial was left by a process that was killed


def folder_of(kind: str) -> Path | None:
    """Return the folder that things of a kind, such as "meshes", are kept in; None when none are to be kept."""
    chosen = os.environ.get(FOLDER)
    if chosen == "":
        return None
    if chosen is not None:
        return Path(chosen) / kind
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # Somebody without a home.
        return None
    return base / "ablationsim" / kind


def programs(packages: Iterable[str], sources: Path) -> list[str]:
    """Versions of packages and hashes of the modules in a folder, which a version may not tell apart."""
    found = []
    for name in ("ablationsim", *packages):
        try:
            found.append(version(name))
        except PackageNotFoundError:
            found.append("")
    modules = sorted(sources.glob("*.py"))
    return [*found, *(hashlib.sha256(module.read_bytes()).hexdigest() for module in modules)]


def load(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays in a file; None if there is none, or no whole one."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        # What was used last is kept longest.
        os.utime(path)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, ZlibError):
        return None
    return arrays


def store(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays beside their place and move them there: others find them whole or not at all."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(suffix=_PARTIAL, dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                np.savez(file, **arrays)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
        _make_room(path.parent)


def _make_room(folder: Path) -> None:
    """Remove what processes left that were killed, and the oldest files beyond the size that is allowed."""
    for left in folder.glob(f"*{_PARTIAL}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
    kept = []
    for path in folder.glob("*.npz"):
        # Another process may have removed it.
        with suppress(OSError):
            status = path.stat()
            kept.append((status.st_mtime, status.st_size, path))
    total = 0
    for _, size, path in sorted(kept, reverse=True):
        total += size
        if total > LARGEST:
            with suppress(OSError):
                path.unlink()
