"""Which case a run is of: a short sum over everything that its case file says, and over the files that it names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

_LENGTH = 12
"""Hexadecimal digits: two of a million cases have the same with a probability of one to five hundred."""

_INDEX = "index.json"  # of a mesh in parts, with the sums of the parts


def identity(case: Mapping[str, Any], directory: Path) -> str:
    """The sum of a case; comments, the order of keys and how often checkpoints are written are of no effect.

    Parameters
    ----------
    case : mapping
        Content of a case file.
    directory : Path
        Where relative paths in it start; it may be moved.
    """
    files = {name: _sum_of(directory / name) for name in _files(case)}
    time = {key: value for key, value in case.get("time", {}).items() if key != "checkpoint_interval"}
    text = json.dumps({"case": {**case, "time": time}, "files": files}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _files(case: Mapping[str, Any]) -> Iterator[str]:
    """Files that a case names: profiles of one's own, mesh, vessels and tumour."""
    places = [("device", ("profile",)), ("applicator", ("profile",)), ("domain", ("mesh",)), ("tumour", ("labels",))]
    for key, names in [*places, ("vessel", ("surface", "centreline", "labels"))]:
        tables = case.get(key, [])
        for table in tables if isinstance(tables, list) else [tables]:
            found = [str(table[name]) for name in names if isinstance(table, Mapping) and name in table]
            # A profile without this ending is one that comes with the program.
            yield from (name for name in found if names != ("profile",) or name.endswith(".toml"))


def _sum_of(path: Path) -> str:
    path = path / _INDEX if path.is_dir() else path
    try:
        state = path.stat()
        return _sum(path, state.st_mtime_ns, state.st_size)
    except OSError:
        # That it is missing, or cannot be read, is said when the case is checked or run.
        return ""


@lru_cache(maxsize=1000)
def _sum(path: Path, modified: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
