"""Meshes of tetrahedra that were made before, kept on disk.

A mesh is found again by what it was made from: the shapes, the sizes, and the programs that turn them into elements. A
file that is damaged or cannot be written is no error, only another mesh to make.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np

from ablationsim.errors import MeshError
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.tube import Tube
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.sizing import Sizing
from ablationsim.mesh.solid import solid_mesh

FOLDER = "ABLATIONSIM_CACHE"
"""Environment variable: the folder to keep things in, or nothing to keep none; ``~/.cache/ablationsim`` if not set."""

LARGEST = 500_000_000
"""Bytes that are kept; beyond, what has not been used for longest goes first."""

_PARTIAL = ".partial"
_ABANDONED = 3600.0  # s, after which a file that is still partial was left by a process that was killed


def cached(geometry: Geometry, sizing: Sizing, tubes: Sequence[Tube] = ()) -> Mesh:
    """Return what `solid_mesh` makes, from the disk if it made that before.

    Raises
    ------
    GeometryError, MeshError
        As `solid_mesh` does.
    """
    folder = cache_folder()
    if folder is None:
        return solid_mesh(geometry, sizing, tubes)
    path = folder / f"{fingerprint(geometry, sizing, tubes)}.npz"
    mesh = _load(path)
    if mesh is None:
        mesh = solid_mesh(geometry, sizing, tubes)
        with suppress(OSError):
            _store(path, mesh)
            _make_room(folder)
    return mesh


def cache_folder() -> Path | None:
    """Return the folder that meshes are kept in; None when none are to be kept."""
    chosen = os.environ.get(FOLDER)
    if chosen == "":
        return None
    if chosen is not None:
        return Path(chosen) / "meshes"
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # Somebody without a home.
        return None
    return base / "ablationsim" / "meshes"


def fingerprint(geometry: Geometry, sizing: Sizing, tubes: Sequence[Tube] = ()) -> str:
    """Return a hash of all that a mesh depends on."""
    domain = geometry.domain
    shapes = {
        "domain": [domain.shape, domain.centre, domain.half],
        "applicators": [
            [
                applicator.index,
                applicator.placement.tip,
                applicator.placement.rotation,
                applicator.outline,
                applicator.shafts,
                [[part.z0, part.z1, part.surface.name, part.heated] for part in applicator.sections],
                [[tine.path, tine.radius, tine.terminal, tine.insulated_length] for tine in applicator.tines],
            ]
            for applicator in geometry.applicators
        ],
        "tubes": [[tube.name, tube.start, tube.end, tube.radius] for tube in tubes],
        "sizing": asdict(sizing),
        "programs": _programs(),
    }
    text = json.dumps(shapes, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(array: Any) -> list[Any]:
    """An array as lists; adding zero makes one number of 0.0 and -0.0."""
    return list((np.asarray(array) + 0.0).tolist())


def _programs() -> list[str]:
    """Versions of gmsh and of this package, and what its mesh generator consists of, which a version may not tell."""
    found = []
    for name in ("gmsh", "ablationsim"):
        try:
            found.append(version(name))
        except PackageNotFoundError:
            found.append("")
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return [*found, *(hashlib.sha256(source.read_bytes()).hexdigest() for source in sources)]


def _load(path: Path) -> Mesh | None:
    """The mesh in a file; None if there is none, or no whole one."""
    try:
        with np.load(path, allow_pickle=False) as content:
            regions = {str(name): content[f"region_{i}"] for i, name in enumerate(content["regions"])}
            facets = {str(name): content[f"facets_{i}"] for i, name in enumerate(content["facets"])}
            mesh = Mesh(content["points"], content["cells"], regions, facets, axisymmetric=False)
        if "tissue" not in regions or "outer" not in facets:
            return None
        # What was used last is kept longest.
        os.utime(path)
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, BadZipFile, ZlibError, MeshError):
        return None
    return mesh


def _store(path: Path, mesh: Mesh) -> None:
    """Write a mesh beside its place and move it there: others find it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        "points": mesh.points,
        "cells": mesh.cells,
        "regions": np.array(list(mesh.regions)),
        "facets": np.array(list(mesh.facets)),
        **{f"region_{i}": cells for i, cells in enumerate(mesh.regions.values())},
        **{f"facets_{i}": nodes for i, nodes in enumerate(mesh.facets.values())},
    }
    number, name = tempfile.mkstemp(suffix=_PARTIAL, dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            np.savez(file, **arrays)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _make_room(folder: Path) -> None:
    """Remove what processes left that were killed, and the oldest meshes beyond the size that is allowed."""
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
