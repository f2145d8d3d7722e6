"""The mesh of a case or of a geometry."""

from __future__ import annotations

from ablationsim.case import Case
from ablationsim.errors import CaseError, MeshError
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.io import read_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.planar import planar_mesh
from ablationsim.mesh.sizing import Sizing
from ablationsim.mesh.solid import solid_mesh


def mesh_of(case: Case, geometry: Geometry) -> Mesh:
    """The mesh that a case brings, or else a generated one.

    Raises
    ------
    CaseError
        When the mesh file of the case cannot be used.
    MeshError
        When no mesh can be generated.
    """
    if case.domain.mesh is None:
        return generate(geometry, case.mesh.resolution)
    expected = ["outer", *(name for name, surface in geometry.surfaces.items() if surface.heated)]
    try:
        mesh = read_mesh(case.domain.mesh, expected, axisymmetric=geometry.axisymmetric)
    except MeshError as error:
        raise CaseError([f"domain.mesh: {error}"]) from error
    if mesh.dimension == 2 and not geometry.axisymmetric:
        raise CaseError(
            [f"domain.mesh: {case.domain.mesh} is a half-plane of triangles, but the case is not axisymmetric"]
        )
    return mesh


def generate(geometry: Geometry, resolution: float = 1.0, reach: float | None = None) -> Mesh:
    """Mesh the tissue of a geometry: triangles when it is axisymmetric, tetrahedra otherwise.

    The same geometry and resolution give the same mesh every time.

    Parameters
    ----------
    geometry : Geometry
        Applicators and domain.
    resolution : float
        Factor on every element size, 0.25 to 4; smaller is finer.
    reach : float, optional
        Distance in metres from bare conductors or antennas to which the zone is expected, and elements stay small; by
        default 20 mm for needles and 12 mm for tines.

    Raises
    ------
    MeshError
        When the resolution is out of range, or gmsh is missing or fails.
    """
    sizing = Sizing.default(geometry, resolution, reach)
    return planar_mesh(geometry, sizing) if geometry.axisymmetric else solid_mesh(geometry, sizing)
