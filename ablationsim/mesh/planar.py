"""Triangle meshes of the (r, z) half-plane round one needle."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.facets import Piece, name_facets
from ablationsim.mesh.mesh import Floats, Ints, Mesh
from ablationsim.mesh.session import MILLIMETRE, collect, gmsh_session
from ablationsim.mesh.sizing import SizeField, Sizing


def planar_mesh(geometry: Geometry, sizing: Sizing) -> Mesh:
    """Mesh the half-plane of an axisymmetric geometry.

    Parameters
    ----------
    geometry : Geometry
        One needle on the z axis, pointing either way.
    sizing : Sizing
        Element sizes.

    Returns
    -------
    Mesh
        Axisymmetric, in world coordinates (r, z).

    Raises
    ------
    MeshError
        When gmsh is missing or fails.
    """
    needle, domain = geometry.applicators[0], geometry.domain
    # The needle is meshed pointing up, in its own frame; at the end z is turned back.
    sense = 1.0 if needle.axis[2] > 0 else -1.0
    middle = sense * (domain.centre[2] - needle.tip[2])
    bottom, top, radius = middle - domain.half[2], middle + domain.half[2], domain.half[0]
    outline = _up_to(needle.outline, top)
    corners = np.vstack([outline, [(radius, top), (radius, bottom), (0.0, bottom)]])
    points, cells = _triangulate(corners, needle, len(outline), sizing)
    on_outside = (
        (np.abs(points[:, 0] - radius) < 1e-9)
        | (np.abs(points[:, 1] - bottom) < 1e-9)
        | (np.abs(points[:, 1] - top) < 1e-9)
    )
    bare = Mesh(points, cells, {"tissue": np.arange(len(cells), dtype=np.int32)}, {}, axisymmetric=True)
    facets = name_facets(bare, _pieces(needle, outline), on_outside)
    if sense < 0:
        cells = cells[:, ::-1]
    world = np.column_stack([points[:, 0], needle.tip[2] + sense * points[:, 1]])
    return Mesh(world, cells, bare.regions, facets, axisymmetric=True)


def _up_to(outline: Floats, top: float) -> Floats:
    """Cut or lengthen an outline so that it ends at height `top`."""
    below = outline[outline[:, 1] < top - 1e-9]
    return np.vstack([below, [(outline[-1, 0], top)]])


def _triangulate(corners: Floats, needle: Applicator, outline_length: int, sizing: Sizing) -> tuple[Floats, Ints]:
    """Mesh the polygon `corners`, which begins with the needle's outline."""
    with gmsh_session() as gmsh:
        geo = gmsh.model.geo
        nodes = [geo.addPoint(r / MILLIMETRE, z / MILLIMETRE, 0) for r, z in corners]
        lines = [geo.addLine(a, b) for a, b in zip(nodes, nodes[1:] + nodes[:1], strict=True)]
        geo.addPlaneSurface([geo.addCurveLoop(lines)])
        geo.synchronize()
        sections = [needle.section_at(z) for z in (corners[: outline_length - 1, 1] + corners[1:outline_length, 1]) / 2]
        heated = [line for line, section in zip(lines, sections, strict=False) if section.heated]
        insulated = [line for line, section in zip(lines, sections, strict=False) if not section.heated]
        # Current crowds at the point of the tip, or round the rim of a flat one, and where bare turns to insulated; at
        # the ends of an antenna cooling may change.
        rim = 1 if corners[1, 1] == corners[0, 1] else 0
        edges = [nodes[rim]]
        kinds = [(section.terminal, section.heated) for section in sections]
        edges += [nodes[i] for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]]
        size = SizeField(gmsh)
        # Points closer together than the smallest size, so that their distance is as good as the line's.
        length = float(np.ptp(corners[:outline_length, 1]))
        sampling = int(np.ceil(length / sizing.edge))
        to_heated = size.distance(curves=heated, sampling=sampling)
        size.grow(to_heated, 0.0, sizing.near, sizing.growth, sizing.zone, ends=True)
        size.grow(to_heated, sizing.reach, sizing.zone, sizing.far_growth, sizing.far, ends=False)
        size.grow(size.distance(points=edges), 0.0, sizing.edge, sizing.growth, sizing.zone, ends=True)
        if insulated:
            to_shaft = size.distance(curves=insulated, sampling=sampling)
            size.grow(to_shaft, 0.0, sizing.shaft, sizing.far_growth, sizing.far, ends=True)
        size.use()
        gmsh.model.mesh.generate(2)
        return collect(gmsh, 2)


def _pieces(needle: Applicator, outline: Floats) -> list[Piece]:
    """The outline's segments as pieces: between them and the axis lies the needle."""
    pieces = []
    for start, end in pairwise(outline):
        along = end - start
        outward = np.array([along[1], -along[0]]) / np.linalg.norm(along)
        normals = [outward, np.array([1.0, 0.0]), np.array([0.0, 1.0])]
        offsets = [outward @ start, max(start[0], end[0]), end[1]]
        if along[1] > 0:
            normals.append(np.array([0.0, -1.0]))
            offsets.append(-start[1])
        name = needle.section_at((start[1] + end[1]) / 2).surface.name
        pieces.append(Piece(name, np.array(normals), np.array(offsets)))
    return pieces
