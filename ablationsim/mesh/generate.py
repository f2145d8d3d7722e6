"""The mesh of a geometry."""

from __future__ import annotations

from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.planar import planar_mesh
from ablationsim.mesh.sizing import Sizing
from ablationsim.mesh.solid import solid_mesh


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
        Distance in metres from bare conductors to which the zone is expected, and elements stay small; by default
        20 mm for needles and 12 mm for tines.

    Raises
    ------
    MeshError
        When the resolution is out of range, or gmsh is missing or fails.
    """
    sizing = Sizing.default(geometry, resolution, reach)
    return planar_mesh(geometry, sizing) if geometry.axisymmetric else solid_mesh(geometry, sizing)
