"""The run folder: what a run writes, and where.

``case.toml`` (copy), ``resolved.json`` (every default, SI, versions, hashes), ``mesh.vtu``, ``history.csv``, ``checkpoint/``, and when the
run has finished ``zone.json``, ``zone.stl``, ``fields.npz``, ``fields.pvd`` with ``fields/*.vtu``; the report adds its own files.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import CheckpointError, OutputError
from ablationsim.mesh.io import read_mesh, write_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.results.files import make_folder, unwritable, write_whole
from ablationsim.results.frames import ARCHIVE
from ablationsim.results.result import Result

_OURS = ("case.toml", "resolved.json", "mesh.vtu", "history.csv", "checkpoint", "zone.json")


def begin(folder: Path, case: Case, *, resume: bool, overwrite: bool) -> bool:
    """Prepare the folder of a run; returns whether there is something to resume.

    Raises
    ------
    OutputError
        If the folder cannot be written, or holds another run and neither flag is set.
    CheckpointError
        If the run to resume is of another case.
    """
    resolved = folder / "resolved.json"
    resumable = resume and (folder / "checkpoint").is_dir() and (folder / "mesh.vtu").exists()
    if resumable:
        _check_same(resolved, case)
        return True
    if resume and resolved.exists():
        _check_same(resolved, case)
    if any((folder / name).exists() for name in _OURS):
        if not (overwrite or resume):
            raise OutputError(
                f"{folder} already holds a run. Continue it with --resume, replace it with --overwrite, or choose another "
                "folder with --output."
            )
        _clear(folder)
    make_folder(folder)
    if case.text:
        write_whole(folder / "case.toml", case.text)
    write_resolved(folder, case, {})
    return False


def write_resolved(folder: Path, case: Case, record: dict[str, Any]) -> None:
    """Write ``resolved.json``: the case with every default filled in, and how the run was made."""
    write_whole(folder / "resolved.json", json.dumps({**case.resolved(), "run": record}, indent=2) + "\n")


def case_hash(case: Case) -> str:
    """SHA-256 of everything that decides about the result."""
    return hashlib.sha256(json.dumps(case.resolved(), sort_keys=True).encode()).hexdigest()


def save_mesh(folder: Path, mesh: Mesh) -> None:
    """Keep the mesh, so that a resumed run has exactly the same."""
    write_mesh(mesh, folder / "mesh.vtu")


def load_mesh(folder: Path, axisymmetric: bool) -> Mesh:
    """The mesh that `save_mesh` kept."""
    return read_mesh(folder / "mesh.vtu", axisymmetric=axisymmetric)


def finish(folder: Path, result: Result, frame_fields: bool = True) -> None:
    """Write everything that a finished run leaves, ``zone.json`` last: a folder that has it is complete.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    from ablationsim.results.export import write_fields, write_series, write_surface
    from ablationsim.units import ZERO_CELSIUS
    from ablationsim.zone import zone_surface

    write_whole(folder / "history.csv", result.history.to_csv())
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **result.frames.to_arrays(), **dict(result.fields))
    write_whole(folder / ARCHIVE, buffer.getvalue())
    if frame_fields:
        make_folder(folder / "fields")
        series = []
        last = len(result.frames) - 1
        for i, time in enumerate(result.frames.times):
            name = f"fields/frame_{i:04d}.vtu"
            fields = {"temperature_c": result.frames.temperature(i) - ZERO_CELSIUS}
            if i == last:
                fields |= {
                    "max_temperature_c": result.fields["max_temperature"] - ZERO_CELSIUS,
                    "damage_level": result.fields["level"],
                    "arrhenius_integral": result.fields["omega"],
                    "cem43_min": result.fields["cem43"],
                }
            write_fields(folder / name, result.mesh, fields)
            series.append((float(time), name))
        write_series(folder / "fields.pvd", series)
    surface = zone_surface(result.mesh, result.fields["level"])
    if len(surface.facets):
        write_surface(folder / "zone.stl", surface)
    write_resolved(folder, result.case, result.record)
    write_whole(folder / "zone.json", json.dumps(result.document, indent=2) + "\n")


def _check_same(resolved: Path, case: Case) -> None:
    try:
        earlier = json.loads(resolved.read_text(encoding="utf-8"))
        earlier.pop("run", None)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"The run cannot be resumed: {resolved} cannot be read ({error}). Start it again with --overwrite."
        ) from error
    if earlier != json.loads(json.dumps(case.resolved())):
        raise CheckpointError(
            f"The run in {resolved.parent} was started from another case, device profile or tissue set than this one. Resume "
            "it with the case that it was started with, or start again with --overwrite."
        )


def _clear(folder: Path) -> None:
    """Remove an earlier run, and nothing that is not of a run."""
    try:
        for name in (*_OURS, ARCHIVE, "zone.stl", "fields.pvd", "report.html", "cross_section.png", "histories.png"):
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for path in (folder / "fields").glob("frame_*.vtu"):
            path.unlink()
    except OSError as error:
        raise unwritable(folder, error) from error
