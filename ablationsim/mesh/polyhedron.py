"""Needles and tines as polyhedra: regular polygons, stacked along a line, with flat sides between them.

A polygon of n sides stands for a circle. It is drawn larger by (pi / n) / sin(pi / n), so that it has the circle's
circumference and the sides have the area of the round surface; the enclosed volume is then (pi / n) / tan(pi / n) of
the round one (98.7 % for 16 sides). Flat sides make the geometry exact: cuts are robust, the ends of conductors are
edges of the mesh, and every boundary facet lies in a known plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ablationsim.geometry.applicator import Applicator, Tine
from ablationsim.geometry.domain import Domain
from ablationsim.mesh.facets import Piece
from ablationsim.mesh.mesh import Floats

#: A pointed tip is blunted to this part of the shaft's radius, which keeps slivers away from its point.
BLUNT = 0.2


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """A stack of polygons, world coordinates in metres.

    Attributes
    ----------
    rings : (k, n, 3) float64
        Corners of each polygon, in the same order along the stack.
    names : tuple of str
        Facet name of the sides between each polygon and the next, k - 1 of them.
    free_end : int
        Polygon that ends in the tissue: 0 for a shaft, which is stacked from its tip, -1 for a tine.
    """

    rings: Floats
    names: tuple[str, ...]
    free_end: int

    def pieces(self) -> list[Piece]:
        """Return the convex piece between each polygon and the next."""
        found = []
        for name, first, second in zip(self.names, self.rings[:-1], self.rings[1:], strict=True):
            centre = (first.mean(axis=0) + second.mean(axis=0)) / 2
            around = np.roll(first, -1, axis=0) - first
            normals = [
                *np.cross(around, second - first),
                *(np.cross(ring[1] - ring[0], ring[2] - ring[1]) for ring in (first, second)),
            ]
            anchors = [*first, first[0], second[0]]
            planes = [_plane(normal, anchor, centre) for normal, anchor in zip(normals, anchors, strict=True)]
            found.append(Piece(name, np.array([n for n, _ in planes]), np.array([offset for _, offset in planes])))
        return found


def _plane(normal: Floats, anchor: Floats, inside: Floats) -> tuple[Floats, float]:
    """Plane through `anchor`, its unit normal pointing away from `inside`, and its offset."""
    unit = normal / np.linalg.norm(normal)
    if unit @ (inside - anchor) > 0:
        unit = -unit
    return unit, float(unit @ anchor)


def applicator_polyhedra(applicator: Applicator, domain: Domain, sides: int, tine_sides: int) -> list[Polyhedron]:
    """Return the polyhedra of an applicator's shafts, lengthened out of the domain, and of its tines."""
    beyond = domain.circumradius + float(np.linalg.norm(applicator.tip - domain.centre)) + 0.01
    shafts = [_shaft(applicator, offset, beyond, sides) for offset in applicator.shafts]
    return shafts + [_tine(applicator, tine, tine_sides) for tine in applicator.tines]


def polygon(sides: int) -> Floats:
    """Corners (n, 2) of the regular polygon whose perimeter is that of the unit circle."""
    angle = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    return (np.pi / sides) / np.sin(np.pi / sides) * np.column_stack([np.cos(angle), np.sin(angle)])


def _shaft(applicator: Applicator, offset: Floats, beyond: float, sides: int) -> Polyhedron:
    outline = applicator.outline[applicator.outline[:, 1] < beyond]
    blunt = (BLUNT * applicator.radius, 0.0)
    outline = np.vstack([[blunt], outline[outline[:, 0] > blunt[0]], [(applicator.radius, beyond)]])
    if outline[1, 1] == 0:
        outline = outline[1:]
    radius, height = outline.T
    rings = np.empty((len(outline), sides, 3))
    rings[:, :, :2] = offset + radius[:, None, None] * polygon(sides)
    rings[:, :, 2] = height[:, None]
    names = tuple(applicator.section_at(z).surface.name for z in (height[:-1] + height[1:]) / 2)
    return Polyhedron(applicator.to_world(rings), names, free_end=0)


def _tine(applicator: Applicator, tine: Tine, sides: int) -> Polyhedron:
    """Sweep a polygon along the tine; at each bend its corners slide on to the plane that halves the bend."""
    path, names = tine.path, _tine_names(applicator, tine)
    root = _root(applicator, tine)
    if root is not None:
        path, names = np.vstack([root, path]), (names[0], *names)
    along = np.diff(path, axis=0)
    along /= np.linalg.norm(along, axis=1)[:, None]
    # The first polygon's axes: across the tine's plane, and in it.
    side = np.cross(along[0], [0.0, 0.0, 1.0])
    if np.linalg.norm(side) < 1e-6:
        side = np.array([1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    axes = np.array([side, np.cross(along[0], side)])
    rings = [path[0] + tine.radius * polygon(sides) @ axes]
    for i, joint in enumerate(path[1:]):
        halving = along[i] + along[min(i + 1, len(along) - 1)]
        slide = (joint - rings[-1]) @ halving / (along[i] @ halving)
        rings.append(rings[-1] + slide[:, None] * along[i])
    return Polyhedron(applicator.to_world(np.array(rings)), names, free_end=-1)


def _tine_names(applicator: Applicator, tine: Tine) -> tuple[str, ...]:
    bare = f"A{applicator.index}:tine"
    return tuple(f"{bare}_insulated" if insulated else bare for insulated in tine.insulated_pieces())


def _root(applicator: Applicator, tine: Tine) -> Floats | None:
    """A point further back along the tine, well inside the shaft, or None when the tine begins there already."""
    radius = applicator.radius
    back = tine.path[0] - tine.path[1]
    root = tine.path[0] + 0.6 * radius * back / np.linalg.norm(back)
    inside = np.hypot(root[0], root[1]) < radius and root[2] > 0
    return root if inside else None


def sample_line(line: Floats, spacing: float) -> Floats:
    """Return points (n, 3) along a polyline, at most `spacing` apart."""
    stretches = []
    for start, end in pairwise(line):
        steps = max(1, int(np.ceil(np.linalg.norm(end - start) / spacing)))
        stretches.append(start + np.linspace(0, 1, steps + 1)[:, None] * (end - start))
    return np.vstack(stretches)


def rims(polyhedra: Sequence[Polyhedron], heated: set[str]) -> Floats:
    """Return corners (k, 3) of polygons where current crowds or cooling changes: free ends, and ends of `heated`."""
    found = []
    for body in polyhedra:
        heats = [name in heated for name in body.names]
        if heats[body.free_end]:
            found.append(body.rings[body.free_end])
        found += [body.rings[i] for i in range(1, len(heats)) if heats[i] != heats[i - 1]]
    return np.vstack(found) if found else np.empty((0, 3))
