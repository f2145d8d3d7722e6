"""What a run starts from: the mesh, or this rank's part of it, and the vessels that run through it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ablationsim.case import Case
from ablationsim.geometry.crossings import reaching, vessel_warnings
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.patient import patient_warnings
from ablationsim.mesh.generate import in_parts, mesh_of, own_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.partition import distribute
from ablationsim.mesh.walls import fitted_walls
from ablationsim.parallel import Communicator, Ranks, on_first
from ablationsim.results import run_folder
from ablationsim.vasculature.build import vessels_of
from ablationsim.vessels.vessel import Vessel


def mesh_and_vessels(
    case: Case, geometry: Geometry, folder: Path | None, comm: Communicator, *, resuming: bool
) -> tuple[Mesh, Sequence[Vessel]]:
    """Mesh of a case, and its vessels as far as they reach into the block of tissue.

    Over ranks, the first one makes or reads the mesh and gives each its part; a mesh on disk in parts is never whole
    anywhere.

    Parameters
    ----------
    case : Case
        What is simulated.
    geometry : Geometry
        Its applicators and domain.
    folder : Path or None
        The run folder, which keeps the mesh of a run for resuming.
    comm : Communicator
        All ranks.
    resuming : bool
        Whether the folder has the mesh.

    Raises
    ------
    AblationSimError
        On all ranks, if there is no usable mesh, or a vessel cannot be built.
    """
    mesh = _mesh(case, geometry, folder, comm, resuming=resuming)
    if not case.vessels:
        return mesh, ()
    walls = fitted_walls(case, mesh)
    return mesh, on_first(comm, lambda: reaching(geometry.domain, vessels_of(case, walls)))


def warnings_of(case: Case, geometry: Geometry, vessels: Sequence[Vessel], comm: Communicator) -> list[str]:
    """Say what of the needles is in the way of vessels, or does not fit the patient; all ranks call this.

    Raises
    ------
    GeometryError
        On all ranks, if something cannot be as it is.
    """
    return on_first(comm, lambda: [*vessel_warnings(geometry, vessels), *patient_warnings(case, geometry)])


def _mesh(case: Case, geometry: Geometry, folder: Path | None, comm: Communicator, *, resuming: bool) -> Mesh:
    def whole() -> Mesh:
        if folder is not None and resuming:
            return run_folder.load_mesh(folder, geometry.axisymmetric)
        return mesh_of(case, geometry)

    if not isinstance(comm, Ranks):
        return whole()
    if in_parts(case):
        return own_mesh(case, geometry, comm)
    kept: list[Mesh] = []

    def make() -> None:
        mesh = whole()
        if folder is not None and not resuming:
            run_folder.stage_mesh(folder, mesh)
        kept.append(mesh)

    on_first(comm, make)
    # Nothing else refers to the whole mesh: it is gone when the last part has been sent.
    return distribute(kept.pop() if kept else None, comm)
