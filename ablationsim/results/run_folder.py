"""The run folder: what a run writes, and where.

``case.toml`` (copy), ``resolved.json`` (every default, SI, versions, hashes), ``mesh.vtu``, ``log.txt``,
``history.csv``, ``checkpoint/``, and when the run has finished ``zone.stl``, ``fields.npz``, ``fields.pvd`` with
``fields/*.vtu``, and last of all ``zone.json``; the report adds its own files.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import CheckpointError, MeshError, OutputError
from ablationsim.mesh.io import read_mesh, write_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.results import checkpoint
from ablationsim.results.files import make_folder, unwritable, write_whole
from ablationsim.results.frames import ARCHIVE
from ablationsim.results.log import LOG
from ablationsim.results.result import Result

_RUN = ("zone.json", "resolved.json", "case.toml", "mesh.vtu", "history.csv", LOG, ARCHIVE, "fields.pvd", "zone.stl")
_REPORT = ("report.html", "cross_section.png", "histories.png", "antenna.png", "heat_sink.png", "vessels.png")
_CHECKPOINTS, _FIELDS, REFINED = "checkpoint", "fields", "refined"


def resumable(folder: Path, case: Case, *, resume: bool, overwrite: bool) -> bool:
    """Whether the folder holds a run of the case to go on with; nothing is written.

    Raises
    ------
    OutputError
        If the folder cannot be written, or holds what may not be replaced.
    CheckpointError
        If the run to resume is of another case.
    """
    try:
        _check_writable(folder)
        found = [name for name in (*_RUN, *_REPORT, _CHECKPOINTS, _FIELDS) if (folder / name).exists()]
    except OSError as error:
        raise unwritable(folder, error) from error
    if not found:
        return False
    if not _is_run(folder):
        raise OutputError(
            f"{folder} holds no run but has files of its own under names that a run would use ({', '.join(found)}). "
            "Choose another folder with --output."
        )
    if resume:
        _check_same(folder / "resolved.json", case)
        return (folder / "mesh.vtu").exists() and checkpoint.present(folder / _CHECKPOINTS)
    if not overwrite:
        raise OutputError(
            f"{folder} already holds a run. Continue it with --resume, replace it with --overwrite, or choose another "
            "folder with --output."
        )
    return False


def finished(folder: Path) -> bool:
    """Whether a run in the folder has come to its end."""
    return (folder / "zone.json").exists()


def begin(folder: Path, case: Case, mesh: Mesh, record: dict[str, Any]) -> None:
    """Replace an earlier run in the folder by the beginning of a new one.

    The mesh is kept so that a resumed run has exactly the same.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    make_folder(folder)
    _clear(folder)
    write_resolved(folder, case, record)
    if case.text:
        write_whole(folder / "case.toml", case.text)
    else:
        (folder / "case.toml").unlink(missing_ok=True)
    write_mesh(mesh, folder / "mesh.vtu")


def write_resolved(folder: Path, case: Case, record: dict[str, Any]) -> None:
    """Write ``resolved.json``: the case with every default filled in, and how the run was made."""
    write_whole(folder / "resolved.json", json.dumps({**case.resolved(), "run": record}, indent=2) + "\n")


def write_document(folder: Path, document: dict[str, Any]) -> None:
    """Write ``zone.json``: a folder that has it is complete."""
    write_whole(folder / "zone.json", json.dumps(document, indent=2) + "\n")


def case_hash(case: Case) -> str:
    """SHA-256 of everything in the case that decides about the result."""
    return hashlib.sha256(json.dumps(case.resolved(), sort_keys=True).encode()).hexdigest()


def load_mesh(folder: Path, axisymmetric: bool) -> Mesh:
    """The mesh that `begin` kept.

    Raises
    ------
    CheckpointError
        If it cannot be read.
    """
    try:
        return read_mesh(folder / "mesh.vtu", axisymmetric=axisymmetric)
    except MeshError as error:
        raise CheckpointError(
            f"The run cannot be resumed. {error} Start it again without --resume and with --overwrite."
        ) from error


def finish(folder: Path, result: Result) -> None:
    """Write everything that a finished run leaves, ``zone.json`` last.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    from ablationsim.results.export import write_surface
    from ablationsim.zone import zone_surface

    write_whole(folder / "history.csv", result.history.to_csv())
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **result.frames.to_arrays(), **dict(result.fields))
    write_whole(folder / ARCHIVE, buffer.getvalue())
    _write_frames(folder, result)
    surface = zone_surface(result.mesh, result.fields["level"])
    if len(surface.facets):
        write_surface(folder / "zone.stl", surface)
    write_resolved(folder, result.case, result.record)
    write_document(folder, result.document)


def _write_frames(folder: Path, result: Result) -> None:
    """One .vtu file an output time, the last with the final damage, and the .pvd file that lists them."""
    from ablationsim.results.export import write_fields, write_series
    from ablationsim.units import ZERO_CELSIUS

    make_folder(folder / _FIELDS)
    series = []
    for i, time in enumerate(result.frames.times):
        name = f"{_FIELDS}/frame_{i:04d}.vtu"
        fields = {"temperature_c": result.frames.temperature(i) - ZERO_CELSIUS}
        if i == len(result.frames) - 1:
            fields |= {
                "max_temperature_c": result.fields["max_temperature"] - ZERO_CELSIUS,
                "damage_level": result.fields["level"],
                "arrhenius_integral": result.fields["omega"],
                "cem43_min": result.fields["cem43"],
            }
        write_fields(folder / name, result.mesh, fields)
        series.append((float(time), name))
    write_series(folder / "fields.pvd", series)


def _check_writable(folder: Path) -> None:
    """Say that a folder cannot be written before hours of computing rather than after."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise NotADirectoryError(0, f"{existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(0, f"no permission to write in {existing}")


def _is_run(folder: Path) -> bool:
    try:
        return "resolved_version" in json.loads((folder / "resolved.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError):
        # A damaged file of this name is a damaged run.
        return True


def _check_same(resolved: Path, case: Case) -> None:
    try:
        earlier = dict(json.loads(resolved.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"The run cannot be resumed: {resolved} cannot be read ({error}). Start it again without --resume and with "
            "--overwrite."
        ) from error
    earlier.pop("run", None)
    if earlier != json.loads(json.dumps(case.resolved())):
        raise CheckpointError(
            f"The run in {resolved.parent} was started from another case, device profile or tissue set than this one. "
            "Resume it with the case that it was started with, or start again without --resume and with --overwrite."
        )


def _clear(folder: Path) -> None:
    """Remove an earlier run, and nothing that is not of a run; ``zone.json`` first, so that no half looks whole."""
    try:
        # Those that are about to be replaced stay until then.
        for name in (*_RUN, *_REPORT):
            if name not in ("case.toml", "resolved.json"):
                (folder / name).unlink(missing_ok=True)
        for path in (folder / _FIELDS).glob("frame_*.vtu"):
            path.unlink()
        checkpoint.clear(folder / _CHECKPOINTS)
        if _is_run(folder / REFINED):
            shutil.rmtree(folder / REFINED)
    except OSError as error:
        raise unwritable(folder, error) from error
