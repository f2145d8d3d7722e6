"""An antenna and the tissue round it as faces of one material that do not overlap.

The half-plane is cut along every edge of every part into strips of trapezoids; those of one material that share an edge
make a face. Metal is left out: fields do not enter it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ablationsim.device.antenna import METAL, TISSUE
from ablationsim.errors import GeometryError
from ablationsim.geometry.antenna import COINCIDENT, Painting, Rectangle

Floats = NDArray[np.float64]
Edge = tuple[int, int]

#: An edge of a part and the slant of the tip meet in one point when they are this close [m]; coinciding heights have
#: been made one before.
ON_SLANT = 10 * COINCIDENT


@dataclass(frozen=True)
class Face:
    """A connected area of one material.

    Attributes
    ----------
    material : str
        "tissue" or a material of the antenna.
    loops : tuple of tuple of int
        Its borders as numbers of corners: the outer one counterclockwise, then holes clockwise.
    """

    material: str
    loops: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Layer:
    """A rectangle of dielectric r0 < r < r1, z0 < z < z1 and the thickness there of the face it belongs to [m]."""

    material: str
    r0: float
    r1: float
    z0: float
    z1: float
    thickness: float


@dataclass(frozen=True, eq=False)
class Faces:
    """The half-plane round an antenna, device frame, metres.

    Attributes
    ----------
    points : (n, 2) float64
        Corners (r, z) of the faces.
    faces : tuple of Face
        Tissue and dielectrics.
    rims : tuple of int
        Corners where the field crowds: those of metal that juts out into tissue or dielectric.
    layers : tuple of Layer
        What the dielectrics consist of.
    port_radii : (float, float)
        Inner and outer radius of the port.
    port_height : float
    """

    points: Floats
    faces: tuple[Face, ...]
    rims: tuple[int, ...]
    layers: tuple[Layer, ...]
    port_radii: tuple[float, float]
    port_height: float


def antenna_faces(painting: Painting, *, radius: float, bottom: float) -> Faces:
    """Divide the half-plane r < `radius`, `bottom` < z < `painting.top` into faces of one material.

    Raises
    ------
    GeometryError
        When the half-plane does not hold the shaft's tip, the port is outside it or not the end of a coaxial line, or
        metal shuts a dielectric in; the message names the part.
    """
    if not (radius > painting.outline[-1, 0] + COINCIDENT and bottom < -COINCIDENT):
        raise GeometryError(
            f"Applicator {painting.name}: the half-plane about its antenna must reach beyond the shaft and below the "
            f"tip, but is r < {1e3 * radius:.4g} mm, z > {1e3 * bottom:.4g} mm for a shaft of radius "
            f"{1e3 * painting.outline[-1, 0]:.4g} mm with its tip at z = 0."
        )
    height = painting.port.z0
    if not COINCIDENT < height <= painting.top + COINCIDENT:
        raise GeometryError(
            f"Applicator {painting.name}: the port of its antenna lies at z = {1e3 * height:.4g} mm, but must lie "
            f"above the tip and within the modelled tissue, which ends at z = {1e3 * painting.top:.4g} mm: lower "
            "antenna.port.z, enlarge the domain, or place the needle deeper in it."
        )
    grid = _Grid(painting, radius, bottom)
    port = grid.port()
    grid.check_connected(port[0])
    points, faces, rims = grid.borders()
    radii = grid.radius_of(painting.port.r0), grid.radius_of(painting.port.r1)
    return Faces(points, faces, rims, grid.layers(), radii, grid.height_of(height))


@dataclass(frozen=True)
class _Cell:
    """A trapezoid of one material.

    Attributes
    ----------
    strip : int
        Between which heights it lies.
    left, right : (float, float)
        Radii of its inner and outer side, at the lower and at the upper height.
    part : int
        As `Painting.parts_at`.
    material : str
    border : tuple of int
        Corners, and every other point on its border, counterclockwise.
    """

    strip: int
    left: tuple[float, float]
    right: tuple[float, float]
    part: int
    material: str
    border: tuple[int, ...]

    @property
    def middle(self) -> float:
        """Radius of the middle at half height."""
        return (sum(self.left) + sum(self.right)) / 4


class _Grid:
    """The half-plane cut along every edge of every part.

    The heights are those of all edges, of the outline's corners, and those where an edge r = const meets the slant of
    the tip, so that no edge meets the outline inside a strip.
    """

    def __init__(self, painting: Painting, radius: float, bottom: float) -> None:
        self._painting = painting
        outline = painting.outline
        shaft = float(outline[-1, 0])
        rectangles = (*painting.parts, painting.port)
        self._radii = _distinct([0.0, shaft, *(r for part in rectangles for r in (part.r0, part.r1) if r < shaft)])
        self.heights, below, above = self._cuts(rectangles, bottom)
        self._points: list[tuple[float, float]] = []
        rows: list[dict[float, int]] = []
        for z, least, most in zip(self.heights, below, above, strict=True):
            across = sorted({*(r for r in self._radii if r <= most), least, most, radius})
            rows.append({r: len(self._points) + i for i, r in enumerate(across)})
            self._points += [(r, z) for r in across]
        self.cells: list[_Cell] = []
        for strip, (low, high) in enumerate(zip(above[:-1], below[1:], strict=True)):
            sides = [(r, r) for r in self._radii if r <= low]
            if low not in self._radii or high > low:
                sides.append((low, high))
            sides.append((radius, radius))
            for left, right in pairwise(sides):
                middle = np.array([[(sum(left) + sum(right)) / 4, sum(self.heights[strip : strip + 2]) / 2]])
                part, material = int(painting.parts_at(middle)[0]), str(painting.materials_at(middle)[0])
                lower = [n for r, n in rows[strip].items() if left[0] <= r <= right[0]]
                upper = [n for r, n in rows[strip + 1].items() if left[1] <= r <= right[1]]
                self.cells.append(_Cell(strip, left, right, part, material, (*lower, *upper[::-1])))
        self._owner = {edge: n for n, cell in enumerate(self.cells) for edge in edges_of(cell.border)}

    def _cuts(self, rectangles: Iterable[Rectangle], bottom: float) -> tuple[list[float], list[float], list[float]]:
        """Heights, and the outline's radius just below and just above each; they differ at a flat tip."""
        outline, top = self._painting.outline, self._painting.top
        # The same corners without those where only the height grows, so that each radius has one height.
        slant = outline[np.append(True, np.diff(outline[:, 0]) > 0)]
        marks = [(float(z), float(r)) for r, z in outline]
        marks += [(float(np.interp(r, slant[:, 0], slant[:, 1])), r) for r in self._radii]
        levels = [z for part in rectangles for z in (part.z0, part.z1) if 0 < z < top]
        heights = _distinct([*(z for z, _ in marks), *levels])
        below, above = [0.0], [0.0]
        for z in heights:
            here = [r for mark, r in marks if abs(mark - z) <= COINCIDENT]
            here = here or [float(np.interp(z, outline[:, 1], outline[:, 0]))]
            below.append(self.radius_of(min(here)))
            above.append(self.radius_of(max(here)))
        return [bottom, *heights], below, above

    def radius_of(self, r: float) -> float:
        """Return the edge r = const that `r` coincides with, or else `r`."""
        return next((edge for edge in self._radii if abs(edge - r) <= ON_SLANT), r)

    def height_of(self, z: float) -> float:
        """Return the height nearest to `z`."""
        return min(self.heights, key=lambda height: abs(height - z))

    def port(self) -> list[int]:
        """Return the cells just below the port.

        Raises
        ------
        GeometryError
            When they are not one dielectric between two conductors.
        """
        name, port = self._painting.name, self._painting.port
        strip = self.heights.index(self.height_of(port.z0)) - 1
        row = [n for n, cell in enumerate(self.cells) if cell.strip == strip]
        inner, outer = self.radius_of(port.r0), self.radius_of(port.r1)
        found = [n for n in row if inner < self.cells[n].middle < outer]
        where = f"r = {1e3 * inner:.4g} to {1e3 * outer:.4g} mm, z = {1e3 * port.z0:.4g} mm"
        materials = sorted({self.cells[n].material for n in found})
        if len(materials) != 1 or materials[0] in (METAL, TISSUE):
            raise GeometryError(
                f"Applicator {name}: just below the port of its antenna ({where}) there must be one dielectric, but "
                f"there is {' and '.join(materials) or 'nothing'}: adjust antenna.port or the parts there."
            )
        for side, radius, n in (("inside", inner, found[0] - 1), ("outside", outer, found[-1] + 1)):
            if n not in row or self.cells[n].material != METAL:
                there = self.cells[n].material if n in row else "nothing"
                raise GeometryError(
                    f"Applicator {name}: the port of its antenna ({where}) must lie between two conductors, but just "
                    f"{side} r = {1e3 * radius:.4g} mm there is {there}: adjust antenna.port.r or the parts there."
                )
        return found

    def check_connected(self, start: int) -> None:
        """Raise a GeometryError when fields from cell `start` do not reach every dielectric and the tissue."""
        reached, waiting = {start}, [start]
        while waiting:
            for n in self._neighbours(waiting.pop()):
                if n not in reached and self.cells[n].material != METAL:
                    reached.add(n)
                    waiting.append(n)
        shut = [cell for n, cell in enumerate(self.cells) if cell.material != METAL and n not in reached]
        if any(cell.material == TISSUE for cell in shut):
            raise GeometryError(
                f"Applicator {self._painting.name}: metal shuts its antenna in, no dielectric leads from the port to "
                "the tissue: a slot, gap or window is missing among antenna.parts, or another part hides it."
            )
        if shut:
            names = sorted({self._painting.parts[cell.part].name for cell in shut})
            raise GeometryError(
                f"Applicator {self._painting.name}: of its antenna's part {' and '.join(map(repr, names))} a piece has "
                "no connection to the port: metal shuts it in. Leave the part out or open a way to it."
            )

    def _neighbours(self, n: int) -> list[int]:
        return [self._owner[b, a] for a, b in edges_of(self.cells[n].border) if (b, a) in self._owner]

    @cached_property
    def _face_of(self) -> list[int]:
        """Number of the face of each cell; -1 for metal."""
        number = [-1] * len(self.cells)
        for start, cell in enumerate(self.cells):
            if cell.material == METAL or number[start] >= 0:
                continue
            own = max(number) + 1
            number[start], waiting = own, [start]
            while waiting:
                for n in self._neighbours(waiting.pop()):
                    if number[n] < 0 and self.cells[n].material == cell.material:
                        number[n] = own
                        waiting.append(n)
        return number

    def layers(self) -> tuple[Layer, ...]:
        """Return the cells of dielectric with the thickness of their faces, along r or z, whichever is smaller."""
        rows: dict[int, list[int]] = defaultdict(list)
        for n, cell in enumerate(self.cells):
            rows[cell.strip].append(n)
        found = []
        for n, cell in enumerate(self.cells):
            if cell.material in (METAL, TISSUE):
                continue
            column = [next(m for m in row if 2 * cell.middle < sum(self.cells[m].right)) for row in rows.values()]
            inner, outer = (self.cells[m] for m in self._run(rows[cell.strip], n))
            lower, upper = (self.cells[m].strip for m in self._run(column, n))
            width = (sum(outer.right) - sum(inner.left)) / 2
            height = self.heights[upper + 1] - self.heights[lower]
            z0, z1 = self.heights[cell.strip : cell.strip + 2]
            found.append(Layer(cell.material, min(cell.left), max(cell.right), z0, z1, min(width, height)))
        return tuple(found)

    def _run(self, line: Sequence[int], n: int) -> tuple[int, int]:
        """First and last of the cells in a line that follow one another in the face of cell `n`."""
        first = last = line.index(n)
        while first > 0 and self._face_of[line[first - 1]] == self._face_of[n]:
            first -= 1
        while last + 1 < len(line) and self._face_of[line[last + 1]] == self._face_of[n]:
            last += 1
        return line[first], line[last]

    def borders(self) -> tuple[Floats, tuple[Face, ...], tuple[int, ...]]:
        """Return corners, faces and rims as `Faces` has them."""
        points = np.array(self._points)
        face_of = self._face_of
        edges: list[list[Edge]] = [[] for _ in range(max(face_of) + 1)]
        for edge, n in self._owner.items():
            beyond = self._owner.get(edge[::-1])
            if face_of[n] >= 0 and (beyond is None or face_of[beyond] != face_of[n]):
                edges[face_of[n]].append(edge)
        loops = [_loops(points, own) for own in edges]
        corners = _corners(points, [edge for own in edges for edge in own])
        number = {n: i for i, n in enumerate(corners)}
        faces = []
        for own, material in zip(loops, self._materials(), strict=True):
            kept = [tuple(number[n] for n in loop if n in number) for loop in own]
            # The outer border is the one that turns left; a face has one.
            kept.sort(key=lambda loop: -_area(points[[corners[i] for i in loop]]))
            faces.append(Face(material, tuple(kept)))
        rims = sorted(number[n] for n in self._rims(points))
        return points[corners], tuple(faces), tuple(rims)

    def _materials(self) -> list[str]:
        """Material of each face."""
        found = {face: cell.material for face, cell in zip(self._face_of, self.cells, strict=True) if face >= 0}
        return [found[face] for face in sorted(found)]

    def _rims(self, points: Floats) -> set[int]:
        """Points where the way along metal, with tissue or dielectric on the left, turns right; tips on the axis."""
        metal = [
            edge
            for edge, n in self._owner.items()
            if self.cells[n].material != METAL
            and (beyond := self._owner.get(edge[::-1])) is not None
            and self.cells[beyond].material == METAL
        ]
        leaving = defaultdict(list)
        for start, end in metal:
            leaving[start].append(end)
        rims = {
            middle
            for start, middle in metal
            for end in leaving[middle]
            if _turn(points[start], points[middle], points[end]) < -1e-6
        }
        slanted = (edge for edge in metal if points[edge[0], 1] != points[edge[1], 1])
        return rims | {n for edge in slanted for n in edge if points[n, 0] == 0}


def _distinct(values: Iterable[float]) -> list[float]:
    """Sorted values, one of those that coincide."""
    found: list[float] = []
    for value in sorted(values):
        if not found or value - found[-1] > COINCIDENT:
            found.append(value)
    return found


def edges_of(border: Sequence[int]) -> list[Edge]:
    """Return the edges of a closed border, in its order; a point that follows itself counts once."""
    return [(a, b) for a, b in zip(border, (*border[1:], border[0]), strict=True) if a != b]


def _turn(start: Floats, middle: Floats, end: Floats) -> float:
    """Sine of the angle by which the way start, middle, end turns to the left."""
    first, second = middle - start, end - middle
    return float((first[0] * second[1] - first[1] * second[0]) / (np.hypot(*first) * np.hypot(*second)))


def _area(corners: Floats) -> float:
    """Signed area of a polygon, positive when counterclockwise."""
    r, z = corners.T
    return float(r @ np.roll(z, -1) - z @ np.roll(r, -1)) / 2


def _loops(points: Floats, edges: Sequence[Edge]) -> list[list[int]]:
    """Join directed edges into closed loops; where two loops touch, each turns right, which keeps them apart."""
    leaving = defaultdict(list)
    for start, end in edges:
        leaving[start].append(end)
    loops = []
    for start, _ in edges:
        while leaving[start]:
            loop = [start, leaving[start].pop()]
            while loop[-1] != start:
                ways = leaving[loop[-1]]
                way = min(ways, key=lambda end: _turn(points[loop[-2]], points[loop[-1]], points[end]))
                ways.remove(way)
                loop.append(way)
            loops.append(loop[:-1])
    return loops


def _corners(points: Floats, edges: Iterable[Edge]) -> list[int]:
    """The points of edges, less those inside a straight stretch between two others."""
    around: dict[int, set[int]] = defaultdict(set)
    for start, end in edges:
        around[start].add(end)
        around[end].add(start)
    return sorted(
        n
        for n, ends in around.items()
        if len(ends) != 2 or abs(_turn(points[min(ends)], points[n], points[max(ends)])) > 1e-9
    )
