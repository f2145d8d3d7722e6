"""Meshes that are fitted to a surface: the liver's, the tumour's.

A mesh round the applicators, which knows nothing of the surface, is moved on to it where it nearly is there, split
where the surface still cuts through it, and smoothed. Applicators and the outside of the block stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablationsim.errors import MeshError
from ablationsim.mesh.facets import OUTER
from ablationsim.mesh.mesh import Floats, Mesh
from ablationsim.mesh.sharing import Bools, Numbers, faces_between, faces_of, islands, keys_of
from ablationsim.mesh.smoothing import smoothed
from ablationsim.mesh.snapping import snapped
from ablationsim.mesh.splitting import Level, split_edges, split_simplices

TISSUE = "tissue"


@dataclass(frozen=True)
class Surface:
    """A surface that a mesh is fitted to.

    Attributes
    ----------
    name : str
        Of its facets.
    level : callable
        Signed distance of points (p, 3) to it, negative inside, in metres.
    inside, outside : str
        Regions that its inside and its outside become, of the region "tissue"; one of them is "tissue" again.
    """

    name: str
    level: Level
    inside: str
    outside: str


def fitted_to(mesh: Mesh, surface: Surface) -> Mesh:
    """Part the region "tissue" of a mesh by a surface.

    Parameters
    ----------
    mesh : Mesh
        Tetrahedra. Its boundary and its named facets keep their shape, and so do its other regions.
    surface : Surface

    Returns
    -------
    Mesh
        With the regions and facets of the surface; without them where it does not pass through the tissue.

    Raises
    ------
    MeshError
        When nothing is left of the tissue, or an element has no volume.
    """
    tissue = mesh.regions[TISSUE]
    points, values = snapped(mesh, surface.level, mesh.cells[tissue])
    split = split_edges(points, mesh.cells[tissue], values, surface.level)
    cells: Numbers = mesh.cells
    parents: Numbers = np.arange(len(cells))
    facets = dict(mesh.facets)
    if split is not None:
        points, values = split.points, np.concatenate([values, np.zeros(len(split.ends))])
        cells, parents = split_simplices(mesh.cells, split)
        facets = {name: split_simplices(nodes, split)[0].astype(np.int32) for name, nodes in mesh.facets.items()}
    mine = np.isin(parents, tissue)
    inside = _inside(points, cells, values, mine, surface.level)
    if surface.inside == TISSUE:
        # A liver is one piece: what of it is separate in the block hangs together with the rest beyond it.
        numbers = np.flatnonzero(inside)
        inside[numbers[islands(cells[numbers], facets[OUTER])]] = False
    outside = mine & ~inside
    if not (inside if surface.inside == TISSUE else outside).any():
        side = "inside" if surface.inside == TISSUE else "outside"
        raise MeshError(
            f"No tissue of the block lies {side} the surface '{surface.name}' that the mesh is to be fitted to: move "
            "the applicator, or leave this surface 'embedded' under [mesh]."
        )
    wall = faces_between(cells, inside, outside)
    regions = {name: np.isin(parents, some) for name, some in mesh.regions.items() if name != TISSUE}
    regions |= {surface.inside: inside, surface.outside: outside}
    fitted = Mesh(
        points,
        cells.astype(np.int32),
        {name: np.flatnonzero(some).astype(np.int32) for name, some in regions.items() if some.any()},
        facets | ({surface.name: wall} if len(wall) else {}),
        axisymmetric=False,
    )
    on_surface = np.zeros(len(points), dtype=bool)
    on_surface[wall] = True
    fitted = smoothed(fitted, surface.level, on_surface)
    _check(fitted, surface)
    return fitted


def without(mesh: Mesh, region: str) -> Mesh:
    """Return the mesh without a region; where that bordered on the others is the boundary then.

    Facets of no element that is left are left out, too.
    """
    left = np.ones(len(mesh.cells), dtype=bool)
    left[mesh.regions[region]] = False
    used = np.unique(mesh.cells[left])
    number = np.full(len(mesh.points), -1, dtype=np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)
    cell_number = (np.cumsum(left) - 1).astype(np.int32)
    known = keys_of(faces_of(mesh.cells[left])[0], len(mesh.points))
    kept = {name: nodes[np.isin(keys_of(nodes, len(mesh.points)), known)] for name, nodes in mesh.facets.items()}
    return Mesh(
        mesh.points[used],
        number[mesh.cells[left]],
        {name: cell_number[cells] for name, cells in mesh.regions.items() if name != region},
        {name: number[nodes] for name, nodes in kept.items() if len(nodes) or name == OUTER},
        axisymmetric=False,
    )


def _inside(points: Floats, cells: Numbers, values: Floats, mine: Bools, level: Level) -> Bools:
    """Which of some cells are inside; those with all corners on the surface by their centre."""
    corners = np.where(mine[:, None], values[cells], 0.0)
    inside: Bools = np.any(corners < 0.0, axis=1)
    flat = mine & np.all(corners == 0.0, axis=1)
    inside[flat] = level(points[cells[flat]].mean(axis=1)) < 0.0
    return inside


def _check(mesh: Mesh, surface: Surface) -> None:
    volumes = mesh.cell_volumes()
    if volumes.min() <= 0.0:
        x, y, z = 1e3 * mesh.points[mesh.cells[volumes.argmin()]].mean(axis=0)
        raise MeshError(
            f"The mesh could not be fitted to the surface '{surface.name}': {int((volumes <= 0.0).sum())} elements are "
            f"left without volume, the worst at ({x:.1f}, {y:.1f}, {z:.1f}) mm. Try another mesh resolution, or leave "
            "this surface 'embedded' under [mesh]."
        )
