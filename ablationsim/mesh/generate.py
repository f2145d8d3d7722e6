"""The mesh of a case or of a geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ablationsim.case import Case
from ablationsim.errors import CaseError, MeshError
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.tube import Tube
from ablationsim.mesh.cache import cached
from ablationsim.mesh.io import read_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.ordering import renumbered
from ablationsim.mesh.parts import read_parts
from ablationsim.mesh.patient import is_fitted, patient_mesh
from ablationsim.mesh.planar import planar_mesh
from ablationsim.mesh.sizing import Sizing
from ablationsim.mesh.solid import solid_mesh
from ablationsim.parallel import ALONE, Communicator


def mesh_of(case: Case, geometry: Geometry) -> Mesh:
    """The mesh that a case brings, or else a generated one.

    Raises
    ------
    CaseError
        When the mesh file of the case cannot be used.
    MeshError
        When no mesh can be generated.
    GeometryError
        When it cannot be fitted to a vessel, or the image of the patient cannot be used.
    """
    if case.domain.mesh is None:
        if is_fitted(case):
            return patient_mesh(case, geometry)
        tubes = [Tube.of(vessel) for vessel in case.vessels] if case.mesh.vessels == "fitted" else []
        return generate(geometry, case.mesh.resolution, tubes=tubes)
    return own_mesh(case, geometry, ALONE)


def in_parts(case: Case) -> bool:
    """Whether a case brings a mesh that is on disk in parts."""
    return case.domain.mesh is not None and Path(case.domain.mesh).is_dir()


def own_mesh(case: Case, geometry: Geometry, comm: Communicator) -> Mesh:
    """The mesh that a case brings; of one in parts each rank gets its own.

    Raises
    ------
    CaseError
        When it cannot be used.
    """
    assert case.domain.mesh is not None
    heated = [name for name, surface in geometry.surfaces.items() if surface.heated]
    expected = ["outer", *heated, *(vessel.facets for vessel in case.vessels if vessel.facets is not None)]
    try:
        if in_parts(case):
            mesh = read_parts(case.domain.mesh, comm, expected)
        else:
            mesh = renumbered(
                read_mesh(
                    case.domain.mesh,
                    expected,
                    geometry.axisymmetric,
                    unit=case.domain.mesh_unit,
                    regions=case.domain.mesh_regions,
                    facets=case.domain.mesh_facets,
                )
            )
    except MeshError as error:
        raise CaseError([f"domain.mesh: {error}"]) from error
    if mesh.dimension == 2 and not geometry.axisymmetric:
        raise CaseError(
            [f"domain.mesh: {case.domain.mesh} is a half-plane of triangles, but the case is not axisymmetric"]
        )
    return mesh


def generate(
    geometry: Geometry, resolution: float = 1.0, reach: float | None = None, tubes: Sequence[Tube] = ()
) -> Mesh:
    """Mesh the tissue of a geometry: triangles when it is axisymmetric, tetrahedra otherwise.

    The same geometry and resolution give the same mesh every time. Where the domain has a frame of its own, the mesh is
    made in that frame and then placed: wherever an applicator lies, the mesh round it is the same, and it is kept for
    the next time.

    Parameters
    ----------
    geometry : Geometry
        Applicators and domain.
    resolution : float
        Factor on every element size, 0.25 to 4; smaller is finer.
    reach : float, optional
        Distance in metres from bare conductors or antennas to which the zone is expected, and elements stay small; by
        default 20 mm for needles and 12 mm for tines.
    tubes : sequence of Tube
        Straight vessels whose walls become facets of the mesh, see `solid_mesh`.

    Raises
    ------
    GeometryError
        When a tube cannot lie where it does.
    MeshError
        When the resolution is out of range, a tube breaks the symmetry, or gmsh is missing or fails.
    """
    sizing = Sizing.default(geometry, resolution, reach)
    if geometry.axisymmetric:
        if tubes:
            raise MeshError("An axisymmetric mesh cannot be fitted to tubes; use the dimension '3d'.")
        return renumbered(planar_mesh(geometry, sizing))
    frame = geometry.domain.frame
    if frame is None:
        return renumbered(solid_mesh(geometry, sizing, tubes))
    own = cached(geometry.upright(), sizing, [tube.seen_from(frame) for tube in tubes])
    return replace(own, points=frame.to_world(own.points))
