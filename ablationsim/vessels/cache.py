"""Shapes of vessels that were taken from files before, found again by the content of the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim import cache
from ablationsim.vessels.vessel import Centreline, Shape, Wall

_IN_PARTS = (".xdmf", ".nhdr", ".mhd")
"""Files that leave their numbers to another file, whose content the hash would not know."""


def cached(path: str | Path, options: Sequence[Any], make: Callable[[], Shape]) -> Shape:
    """Return the shape that a file holds, from the disk if it was made before.

    Parameters
    ----------
    path : path
        The file.
    options : sequence
        Whatever else the shape depends on: label, unit, part.
    make : callable
        Makes the shape; its errors are those of this function.
    """
    folder = cache.folder_of("vessels")
    if folder is None or not Path(path).is_file() or Path(path).suffix in _IN_PARTS:
        return make()
    key = [
        hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        Path(path).suffix,
        [str(option) for option in options],
        cache.programs(["vtk", "SimpleITK", "nibabel"], Path(__file__).parent),
    ]
    place = folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()}.npz"
    shape = _from_arrays(cache.load(place))
    if shape is None:
        shape = make()
        cache.store(place, _to_arrays(shape))
    return shape


def _to_arrays(shape: Shape) -> dict[str, Any]:
    lines = shape.centreline
    return {
        **vars(shape.wall),
        "lengths": np.array([len(points) for points in lines.points], dtype=np.int64),
        "centres": np.concatenate(lines.points),
        "radii": np.concatenate(lines.radii),
        "ends": lines.ends,
        "notes": np.array(shape.notes, dtype=str),
    }


def _from_arrays(content: dict[str, np.ndarray] | None) -> Shape | None:
    """The shape of arrays; None if they are none of a shape."""
    if content is None:
        return None
    try:
        cuts = np.cumsum(content["lengths"])[:-1]
        lines = Centreline(
            tuple(np.split(content["centres"], cuts)), tuple(np.split(content["radii"], cuts)), content["ends"]
        )
        wall = Wall(content["points"], content["triangles"], content["capped"])
        return Shape(wall, lines, tuple(str(note) for note in content["notes"]))
    except (KeyError, ValueError, TypeError):
        return None
