"""Tetrahedral meshes of a block of tissue round any applicators."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from types import ModuleType

import numpy as np

from ablationsim.errors import MeshError
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.tube import Tube, fitted
from ablationsim.mesh.facets import name_facets
from ablationsim.mesh.mesh import Floats, Mesh
from ablationsim.mesh.polyhedron import Polyhedron, applicator_polyhedra, rims, sample_line
from ablationsim.mesh.session import MILLIMETRE, collect, gmsh_session
from ablationsim.mesh.sizing import STEEPEST, SizeField, Sizing
from ablationsim.mesh.tubes import inside, sides_and_ends, tube_polyhedron

#: Elements are at most this much longer than the sides of the polygon they stand on: a needle's, a tine's.
STRETCH = 1.3
TINE_STRETCH = 1.8
#: Sizes grow this much faster away from tines than from needles: they are thin, and their field falls off faster.
TINE_GROWTH = 1.6
#: Elements at the wall of a tube are at most its diameter over this number.
TUBE_PIECES = 5


def solid_mesh(geometry: Geometry, sizing: Sizing, tubes: Sequence[Tube] = ()) -> Mesh:
    """Mesh the tissue in space; the applicators are cut out, tubes are filled.

    Parameters
    ----------
    geometry : Geometry
        Any applicators in a cylinder or box that is upright in the coordinates of the mesh, see `Geometry.upright`.
    sizing : Sizing
        Element sizes.
    tubes : sequence of Tube
        Their inside becomes the region "lumen:<name>". Facets between it and the tissue are called "vessel:<name>",
        and its two ends, in the tissue or on the outside of the block, "lumen_end:<name>".

    Returns
    -------
    Mesh
        Tetrahedra in the coordinates of the geometry.

    Raises
    ------
    GeometryError
        When a tube cannot lie where it does.
    MeshError
        When gmsh is missing or fails.
    """
    domain = geometry.domain
    tubes = fitted(tubes, geometry)
    walls = [tube_polyhedron(tube) for tube in tubes]
    bodies = [
        body
        for applicator in geometry.applicators
        for body in applicator_polyhedra(applicator, domain, sizing.sides, sizing.tine_sides)
    ]
    with gmsh_session() as gmsh:
        block = _block(gmsh, domain)
        tools = [(3, _add(gmsh, body)) for body in bodies]
        remaining, _ = gmsh.model.occ.cut([(3, block)], tools)
        if walls:
            remaining = _fill(gmsh, remaining, walls)
        if len(remaining) != 1:
            raise MeshError(
                f"The applicators leave {len(remaining)} separate pieces of tissue where one is expected: "
                "they must not cut the domain in two."
            )
        _grade(gmsh, geometry, bodies, tubes, sizing)
        gmsh.model.mesh.generate(3)
        points, cells = collect(gmsh, 3)
    lumens = [inside(wall, points, cells) for wall in walls]
    tissue = ~np.any(lumens, axis=0) if lumens else np.ones(len(cells), dtype=bool)
    bare = Mesh(points, cells[tissue], {}, {}, axisymmetric=False)
    pieces = [piece for body in (*bodies, *walls) for piece in body.pieces()]
    facets = name_facets(bare, pieces, np.abs(domain.depth(points)) < 1e-8)
    regions = {"tissue": np.flatnonzero(tissue).astype(np.int32)}
    for tube, wall, lumen in zip(tubes, walls, lumens, strict=True):
        regions[f"lumen:{tube.name}"] = np.flatnonzero(lumen).astype(np.int32)
        sides, ends = sides_and_ends(tube, wall, points, cells[lumen])
        facets |= {wall.names[0]: sides, f"lumen_end:{tube.name}": ends}
    return Mesh(points, cells, regions, facets, axisymmetric=False)


def _block(gmsh: ModuleType, domain: Domain) -> int:
    low, size = (domain.centre - domain.half) / MILLIMETRE, 2 * domain.half / MILLIMETRE
    if domain.shape == "box":
        return int(gmsh.model.occ.addBox(*low, *size))
    x, y, _ = domain.centre / MILLIMETRE
    return int(gmsh.model.occ.addCylinder(x, y, low[2], 0, 0, size[2], size[0] / 2))


def _add(gmsh: ModuleType, body: Polyhedron) -> int:
    """Add a polyhedron to gmsh's model; return the number of its volume."""
    occ = gmsh.model.occ
    corners = [[occ.addPoint(*(corner / MILLIMETRE)) for corner in ring] for ring in body.rings]
    around = [[occ.addLine(a, b) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)] for ring in corners]
    along = [[occ.addLine(a, b) for a, b in zip(*pair, strict=True)] for pair in pairwise(corners)]
    loops = [around[0], around[-1]]
    for i, rails in enumerate(along):
        for j, rail in enumerate(rails):
            loops.append([around[i][j], rails[(j + 1) % len(rails)], -around[i + 1][j], -rail])
    faces = [occ.addPlaneSurface([occ.addCurveLoop(loop)]) for loop in loops]
    return int(occ.addVolume([occ.addSurfaceLoop(faces)]))


def _fill(gmsh: ModuleType, block: list[tuple[int, int]], walls: list[Polyhedron]) -> list[tuple[int, int]]:
    """Part the inside of tubes from the block; return the volumes of the tissue that is left."""
    whole, (parts, *inner) = gmsh.model.occ.fragment(block, [(3, _add(gmsh, wall)) for wall in walls])
    gmsh.model.occ.remove([piece for piece in whole if piece not in parts], recursive=True)
    return [piece for piece in parts if not any(piece in lumen for lumen in inner)]


def _grade(
    gmsh: ModuleType, geometry: Geometry, bodies: list[Polyhedron], tubes: Sequence[Tube], sizing: Sizing
) -> None:
    """Set the size field: distances are measured from centrelines, less the radius."""
    size = SizeField(gmsh)
    for applicator in geometry.applicators:
        longest = STRETCH * _side(applicator.radius, sizing.sides)
        lines = applicator.heated_lines()
        for radius in sorted({radius for _, radius in lines}):
            tine = radius != applicator.radius
            near = TINE_STRETCH * _side(radius, sizing.tine_sides) if tine else min(sizing.near, longest)
            growth = min(STEEPEST, TINE_GROWTH * sizing.growth) if tine else sizing.growth
            line_points = np.vstack([sample_line(line, radius / 2) for line, r in lines if r == radius])
            to_heated = size.distance(points=_scatter(gmsh, line_points))
            size.grow(to_heated, 1.1 * radius, near, growth, sizing.zone, ends=True)
            size.grow(to_heated, sizing.reach, sizing.zone, sizing.far_growth, sizing.far, ends=False)
        shaft_points = _insulated_points(applicator, geometry.domain)
        if len(shaft_points):
            along_shaft = min(sizing.shaft, longest)
            to_shaft = size.distance(points=_scatter(gmsh, shaft_points))
            size.grow(to_shaft, 1.1 * applicator.radius, along_shaft, sizing.far_growth, sizing.far, ends=True)
    for tube in tubes:
        axis = np.array([tube.start, tube.end])
        to_axis = size.distance(points=_scatter(gmsh, sample_line(axis, tube.radius / 2)))
        near = min(sizing.zone, 2 * tube.radius / TUBE_PIECES)
        size.grow(to_axis, 1.1 * tube.radius, near, sizing.far_growth, sizing.far, ends=True)
    heated = {name for name, surface in geometry.surfaces.items() if surface.heated}
    size.grow(
        size.distance(points=_scatter(gmsh, rims(bodies, heated))),
        0.0,
        sizing.edge,
        sizing.growth,
        sizing.zone,
        ends=True,
    )
    size.use()


def _side(radius: float, sides: int) -> float:
    """Length of a side of the polygon that stands for a circle."""
    return 2 * np.pi * radius / sides


def _insulated_points(applicator: Applicator, domain: Domain) -> Floats:
    """Points along the shafts where nothing heats, as far as they are in the domain."""
    beyond = 2 * domain.circumradius + applicator.length
    last = applicator.sections[-1]
    stretches = [
        sample_line(
            applicator.to_world([(x, y, section.z0), (x, y, beyond if section is last else section.z1)]),
            applicator.radius,
        )
        for section in applicator.sections
        if not section.heated
        for x, y in applicator.shafts
    ]
    points = np.vstack(stretches) if stretches else np.empty((0, 3))
    return points[domain.depth(points) > -applicator.radius]


def _scatter(gmsh: ModuleType, points: Floats) -> list[int]:
    """Add free points from which distances are measured; their nodes belong to no element and are dropped later."""
    tags = [gmsh.model.occ.addPoint(*point) for point in points / MILLIMETRE]
    gmsh.model.occ.synchronize()
    return tags
