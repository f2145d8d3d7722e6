"""The run folder: what a run writes, and where.

``case.toml`` (copy), ``resolved.json`` (every default, SI, versions, hashes), ``mesh.vtu``, ``log.txt``,
``history.csv``, ``checkpoint/``, and when the run has finished ``zone.stl``, ``fields.npz``, ``fields.pvd`` with
``fields/*.vtu``, and last of all ``zone.json``; the report adds its own files. A distributed run has
``fields/part_*.npz``, one a rank, in place of ``fields.npz``, and no ``mesh.vtu`` when its mesh came in parts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from ablationsim.case import Case
from ablationsim.case.case import decisive
from ablationsim.errors import CheckpointError, MeshError, OutputError
from ablationsim.mesh.io import read_mesh, write_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.parts import INDEX
from ablationsim.parallel import on_first
from ablationsim.parallel.agreement import on_every
from ablationsim.results import checkpoint, paraview, pieces
from ablationsim.results.files import make_folder, unwritable, write_whole
from ablationsim.results.frames import ARCHIVE, FIELDS, write_archive
from ablationsim.results.log import LOG
from ablationsim.results.result import Result

_CHECKPOINTS, REFINED = "checkpoint", "refined"
_MESH, _STAGED = "mesh.vtu", ".staged_mesh.vtu"
_RUN = ("zone.json", "resolved.json", "case.toml", _MESH, "history.csv", LOG, ARCHIVE, "fields.pvd", "zone.stl")
_REPORT = (
    *("report.html", "cross_section.png", "histories.png", "antenna.png", "heat_sink.png", "vessels.png"),
    *("margins.png", "planes.png", "confidence.png", "confidence.json"),
)


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
        found = [name for name in (*_RUN, *_REPORT, _CHECKPOINTS, FIELDS) if (folder / name).exists()]
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
        meshed = _in_parts(case) or (folder / _MESH).exists()
        return meshed and checkpoint.present(folder / _CHECKPOINTS)
    if not overwrite:
        raise OutputError(
            f"{folder} already holds a run. Continue it with --resume, replace it with --overwrite, or choose another "
            "folder with --output."
        )
    return False


def finished(folder: Path) -> bool:
    """Whether a run in the folder has come to its end."""
    return (folder / "zone.json").exists()


def stage_mesh(folder: Path, mesh: Mesh) -> None:
    """Write a whole mesh before it is divided among ranks, and leave an earlier run as it is; `begin` takes it over.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    make_folder(folder)
    write_mesh(mesh, folder / _STAGED)


def begin(folder: Path, case: Case, mesh: Mesh, record: dict[str, Any]) -> None:
    """Replace an earlier run in the folder by the beginning of a new one; all ranks call this.

    The mesh is kept so that a resumed run has exactly the same.

    Raises
    ------
    OutputError
        On all ranks, if the folder cannot be written.
    """

    def start() -> None:
        make_folder(folder)
        _clear(folder)
        write_resolved(folder, case, record)
        if case.text:
            write_whole(folder / "case.toml", case.text)
        else:
            (folder / "case.toml").unlink(missing_ok=True)
        if not mesh.distribution.parted:
            write_mesh(mesh, folder / _MESH)
        elif not _in_parts(case):
            os.replace(folder / _STAGED, folder / _MESH)
        # One that a run left which failed before it began.
        (folder / _STAGED).unlink(missing_ok=True)

    on_first(mesh.distribution.comm, start)


def write_resolved(folder: Path, case: Case, record: dict[str, Any]) -> None:
    """Write ``resolved.json``: the case with every default filled in, and how the run was made."""
    write_whole(folder / "resolved.json", json.dumps({**case.resolved(), "run": record}, indent=2) + "\n")


def write_document(folder: Path, document: dict[str, Any]) -> None:
    """Write ``zone.json``: a folder that has it is complete."""
    write_whole(folder / "zone.json", json.dumps(document, indent=2) + "\n")


def case_hash(case: Case) -> str:
    """SHA-256 of everything in the case that decides about the result."""
    return hashlib.sha256(json.dumps(case.decisive(), sort_keys=True).encode()).hexdigest()


def load_mesh(folder: Path, axisymmetric: bool) -> Mesh:
    """The mesh that `begin` kept.

    Raises
    ------
    CheckpointError
        If it cannot be read.
    """
    try:
        return read_mesh(folder / _MESH, axisymmetric=axisymmetric)
    except MeshError as error:
        raise CheckpointError(
            f"The run cannot be resumed. {error} Start it again without --resume and with --overwrite."
        ) from error


def finish(folder: Path, result: Result) -> None:
    """Write everything that a finished run leaves, ``zone.json`` last; all ranks call this.

    Raises
    ------
    OutputError
        On all ranks, if any cannot write into the folder.
    """
    from ablationsim.results.export import write_surface
    from ablationsim.zone import zone_surface

    mesh, frames, fields = result.mesh, result.frames, result.fields
    comm = mesh.distribution.comm
    surface = zone_surface(mesh, fields["level"])

    def start() -> None:
        # A run that was killed while it wrote these may have had more ranks.
        _clear_fields(folder)
        make_folder(folder / FIELDS)
        write_whole(folder / "history.csv", result.history.to_csv())
        if not mesh.distribution.parted:
            write_archive(folder / ARCHIVE, frames, fields)

    def end() -> None:
        if len(surface.facets):
            write_surface(folder / "zone.stl", surface)
        write_resolved(folder, result.case, result.record)
        write_document(folder, result.document)

    on_first(comm, start)
    if mesh.distribution.parted:
        on_every(comm, lambda: pieces.write_piece(folder / FIELDS, mesh, frames, fields))
    paraview.write_frames(folder, result)
    on_first(comm, end)


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
        record = dict(earlier.pop("run"))
        same = decisive(earlier) == json.loads(json.dumps(case.decisive()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"The run cannot be resumed: {resolved} cannot be read ({error}). Start it again without --resume and with "
            "--overwrite."
        ) from error
    if not same:
        raise CheckpointError(
            f"The run in {resolved.parent} was started from another case, device profile or tissue set than this one. "
            "Resume it with the case that it was started with, or start again without --resume and with --overwrite."
        )
    if _in_parts(case):
        _check_same_parts(resolved.parent, case, record.get("inputs_sha256"))


def _check_same_parts(folder: Path, case: Case, sums: Any) -> None:
    """A mesh in parts is not kept in the run folder: it has to be where it was, and the same."""
    index = os.path.join(str(case.domain.mesh), INDEX)
    try:
        now = hashlib.sha256(Path(index).read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"The run in {folder} cannot be resumed: {index} cannot be read ({error}).") from error
    if not isinstance(sums, dict) or sums.get(index) != now:
        raise CheckpointError(
            f"The run in {folder} was started with another mesh than there now is in {case.domain.mesh}. Start it "
            "again without --resume and with --overwrite."
        )


def _in_parts(case: Case) -> bool:
    return case.domain.mesh is not None and Path(case.domain.mesh).is_dir()


def _clear(folder: Path) -> None:
    """Remove an earlier run, and nothing that is not of a run; ``zone.json`` first, so that no half looks whole."""
    try:
        # Those that are about to be replaced stay until then.
        for name in (*_RUN, *_REPORT):
            if name not in ("case.toml", "resolved.json"):
                (folder / name).unlink(missing_ok=True)
        _clear_fields(folder)
        checkpoint.clear(folder / _CHECKPOINTS)
        if _is_run(folder / REFINED):
            shutil.rmtree(folder / REFINED)
    except OSError as error:
        raise unwritable(folder, error) from error


def _clear_fields(folder: Path) -> None:
    """Remove the fields of an earlier run."""
    try:
        (folder / ARCHIVE).unlink(missing_ok=True)
        for pattern in (pieces.PATTERN, *paraview.PATTERNS):
            for path in (folder / FIELDS).glob(pattern):
                path.unlink()
    except OSError as error:
        raise unwritable(folder, error) from error
