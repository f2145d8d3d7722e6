"""Triangle meshes of an antenna and the tissue round it, for the electromagnetic problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.device.antenna import TISSUE, AntennaSpec
from ablationsim.geometry.antenna import COINCIDENT, Painting
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.faces import Edge, Faces, antenna_faces, edges_of
from ablationsim.mesh.facets import OUTER
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.session import MILLIMETRE, collect, gmsh_session
from ablationsim.mesh.sizing import STEEPEST, SizeField, check_resolution

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

#: Speed of light in vacuum [m/s], exact by definition of the metre.
LIGHT = 299_792_458.0
#: Elements a wavelength, at least; they are quadratic.
PER_WAVELENGTH = 8
#: Largest element of tissue at any frequency [m]: the heat is handed to elements of about a millimetre.
LARGEST = 2.3e-3
#: Element size at the shaft's surface, and where the field crowds at corners of metal [m].
NEAR, RIM = 0.25e-3, 0.02e-3
#: Elements across a layer of dielectric, and their least size [m] for the sake of their number.
ACROSS, LEAST = 2, 0.1e-3
#: Elements across the port: the field goes with 1/r, and powers are compared there.
ACROSS_PORT = 4
#: Elements at and in the shaft are this much larger away from the radiating sections, where the field is smooth.
AWAY = 2.0
#: Elements are at most this much longer than a layer is thick, or than the edge they stand on.
STRETCH = 3.0
#: Growth of the size per distance: from the shaft into the tissue, and from corners and layers.
GROWTH, QUICK_GROWTH = 0.17, 0.25
#: Nodes lie on the straight lines of the layout to this precision [m].
ON_LINE = 2 * COINCIDENT


@dataclass(frozen=True, eq=False)
class AntennaMesh:
    """Linear triangles of the dielectrics of an antenna and the tissue round it; metal is left out.

    Attributes
    ----------
    points : (n, 2) float64
        Node coordinates (r, z) in metres, device frame.
    cells : (m, 3) int32
        Node numbers of each triangle, counterclockwise.
    material : (m,) int32
        Index into `materials` of each triangle.
    materials : tuple of str
        "tissue", then the materials of the antenna as in its profile.
    facets : dict of (k, 2) int32
        Node pairs on the boundary: "port", and "outer" for the outside of the modelled tissue. The rest of the boundary
        is metal or the axis.
    port_radii : (float, float)
        Inner and outer radius of the coaxial port in metres.
    port_height : float
        Height of the port in metres.
    """

    points: Floats
    cells: Ints
    material: Ints
    materials: tuple[str, ...]
    facets: Mapping[str, Ints]
    port_radii: tuple[float, float]
    port_height: float


def antenna_mesh(
    applicator: Applicator,
    antenna: AntennaSpec,
    frequency: float,
    *,
    radius: float,
    bottom: float,
    top: float,
    permittivity: Mapping[str, float],
    resolution: float = 1.0,
) -> AntennaMesh:
    """Mesh the antenna and the tissue with r < `radius` and `bottom` < z < `top`.

    The same arguments give the same mesh every time.

    Parameters
    ----------
    applicator : Applicator
        Gives the outline; its placement does not matter.
    antenna : AntennaSpec
        Parts, materials and port.
    frequency : float
        In Hz.
    radius, bottom, top : float
        Extent of the tissue in metres, device frame.
    permittivity : mapping of str to float
        Relative permittivity of "tissue"; materials that it does not name have that of their profile.
    resolution : float
        Factor on every element size, 0.25 to 4; smaller is finer.

    Raises
    ------
    GeometryError
        When parts, port and tissue do not fit together; the message names the part.
    MeshError
        When the resolution is out of range, or gmsh is missing or fails.
    """
    check_resolution(resolution)
    painting = Painting.of(applicator, antenna, top)
    faces = antenna_faces(painting, radius=radius, bottom=bottom)
    known = {name: spec.permittivity for name, spec in antenna.materials.items()} | dict(permittivity)
    waves = {name: LIGHT / (frequency * np.sqrt(value)) / PER_WAVELENGTH for name, value in known.items()}
    points, cells = _triangulate(faces, applicator, top, waves, resolution)
    # Nodes on the axis are exactly on it, so that they can be told from all others.
    points[np.abs(points[:, 0]) < ON_LINE, 0] = 0.0
    materials = (TISSUE, *antenna.materials)
    seen = painting.materials_at(points[cells].mean(axis=1))
    material = np.array([materials.index(name) for name in seen], dtype=np.int32)
    return AntennaMesh(
        points=points,
        cells=cells,
        material=material,
        materials=materials,
        facets=_facets(points, cells, faces, radius, bottom, top),
        port_radii=faces.port_radii,
        port_height=faces.port_height,
    )


def _triangulate(
    faces: Faces, applicator: Applicator, top: float, waves: Mapping[str, float], resolution: float
) -> tuple[Floats, Ints]:
    """Mesh the faces, which share lines, so that the mesh conforms; `waves` are the largest elements of materials."""
    with gmsh_session() as gmsh:
        geo = gmsh.model.geo
        nodes = [geo.addPoint(r / MILLIMETRE, z / MILLIMETRE, 0) for r, z in faces.points]
        lines: dict[tuple[int, int], int] = {}
        for face in faces.faces:
            loops = [[_line(geo, nodes, lines, edge) for edge in edges_of(loop)] for loop in face.loops]
            geo.addPlaneSurface([geo.addCurveLoop(loop) for loop in loops])
        geo.synchronize()
        size = SizeField(gmsh)
        largest = resolution * min(LARGEST, waves[TISSUE])
        growth, quick = min(resolution * GROWTH, STEEPEST), min(resolution * QUICK_GROWTH, STEEPEST)
        for low, high, factor in _stretches(applicator, top):
            near = min(resolution * factor * NEAR, largest)
            size.inside((0.0, applicator.radius), (low, high), near, growth, largest)
            for layer in faces.layers:
                z = (max(low, layer.z0), min(high, layer.z1))
                if z[0] < z[1]:
                    across = min(max(layer.thickness / ACROSS, LEAST), waves[layer.material])
                    wanted = min(resolution * factor * across, STRETCH * layer.thickness, largest)
                    size.inside((layer.r0, layer.r1), z, wanted, quick, largest)
        inner, outer = faces.port_radii
        at_port = resolution * (outer - inner) / ACROSS_PORT
        size.inside((inner, outer), (faces.port_height, faces.port_height), at_port, quick, largest)
        lengths = {edge: float(np.linalg.norm(faces.points[edge[1]] - faces.points[edge[0]])) for edge in lines}
        for number, node in enumerate(nodes):
            shortest = min(length for edge, length in lengths.items() if number in edge)
            wanted = min(resolution * RIM if number in faces.rims else largest, STRETCH * shortest)
            if wanted < largest:
                size.grow(size.distance(points=[node]), 0.0, wanted, quick, largest, ends=True)
        size.use()
        gmsh.model.mesh.generate(2)
        return collect(gmsh, 2)


def _line(geo: Any, nodes: Sequence[int], lines: dict[Edge, int], edge: Edge) -> int:
    """Number of the line along an edge, negative where it runs the other way; a line that is not there yet is made."""
    if edge[::-1] in lines:
        return -lines[edge[::-1]]
    lines[edge] = geo.addLine(nodes[edge[0]], nodes[edge[1]])
    return lines[edge]


def _stretches(applicator: Applicator, top: float) -> list[tuple[float, float, float]]:
    """Lower and upper height of stretches of the shaft, up to `top`, and the factor on element sizes there."""
    low = min(section.z0 for section in applicator.sections if section.heated)
    high = max(section.z1 for section in applicator.sections if section.heated)
    stretches = [(0.0, low, AWAY), (low, min(high, top), 1.0), (high, top, AWAY)]
    return [(start, end, factor) for start, end, factor in stretches if start < end]


def _facets(points: Floats, cells: Ints, faces: Faces, radius: float, bottom: float, top: float) -> dict[str, Ints]:
    """Sort the facets of the boundary that are neither metal nor the axis."""
    boundary = Mesh(points, cells, {}, {}, axisymmetric=True).boundary()
    r, z = points[boundary].transpose(2, 0, 1)
    inner, outer = faces.port_radii
    port = (np.abs(z - faces.port_height) < ON_LINE) & (r > inner - ON_LINE) & (r < outer + ON_LINE)
    port_facets = port.all(axis=1)
    outside = np.zeros(len(boundary), dtype=bool)
    for coordinate, value in ((r, radius), (z, bottom), (z, top)):
        outside |= (np.abs(coordinate - value) < ON_LINE).all(axis=1)
    return {"port": boundary[port_facets], OUTER: boundary[outside & ~port_facets]}
