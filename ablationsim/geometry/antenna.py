"""Where which material of an antenna is in the half-plane: the profile's parts, clipped to the applicator's outline.

The parts are rectangles in (r, z), painted one over another on a shaft of metal. Nothing here needs gmsh, so that an
antenna can be drawn without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ablationsim.device.antenna import METAL, TISSUE, AntennaSpec
from ablationsim.errors import GeometryError
from ablationsim.geometry.applicator import Applicator

Floats = NDArray[np.float64]

#: Edges closer together than this [m] are one edge.
COINCIDENT = 1e-8


@dataclass(frozen=True)
class Rectangle:
    """An area r0 < r < r1, z0 < z < z1 of one material, device frame, metres."""

    name: str
    material: str
    r0: float
    r1: float
    z0: float
    z1: float


@dataclass(frozen=True, eq=False)
class DrawnPart:
    """A part as it is painted over those before it.

    Attributes
    ----------
    name, material : str
        As in the device profile; the background is called "shaft" and is metal.
    polygon : (k, 2) float64
        Its corners (r, z) in metres, device frame, counterclockwise.
    """

    name: str
    material: str
    polygon: Floats


@dataclass(frozen=True, eq=False)
class Painting:
    """An applicator's outline and what is painted inside it, up to the height `top`; device frame, metres.

    Attributes
    ----------
    name : str
        Of the applicator.
    outline : (k, 2) float64
        Polyline (r, z) from the axis at the tip upward.
    parts : tuple of Rectangle
        In the order of painting; what they leave bare is metal.
    port : Rectangle
        The port's annulus, from the port upward, where the line is not modelled and counts as metal; painted last.
    top : float
    """

    name: str
    outline: Floats
    parts: tuple[Rectangle, ...]
    port: Rectangle
    top: float

    @classmethod
    def of(cls, applicator: Applicator, antenna: AntennaSpec, top: float) -> Painting:
        """Evaluate an antenna's measures on an applicator, with tissue up to the height `top`.

        A part that reaches the end of the described shaft goes on to `top`, as the shaft does.

        Raises
        ------
        GeometryError
            When a part lies wholly outside the applicator.
        """
        surface, end = applicator.radius, applicator.length
        outline = _up_to(applicator.outline, top)
        parts = []
        for part in antenna.parts:
            r0, r1, z0, z1 = antenna.extent(part, surface, end)
            if z1 > end - COINCIDENT:
                z1 = max(z1, top)
            widest = float(np.interp(z1, applicator.outline[:, 1], applicator.outline[:, 0]))
            if z1 <= COINCIDENT or r0 >= widest - COINCIDENT:
                raise GeometryError(
                    f"Applicator {applicator.name}: part '{part.name}' of its antenna lies outside the shaft: it "
                    f"begins at r = {_mm(r0)} and ends at z = {_mm(z1)}, where the shaft's radius is {_mm(widest)}."
                )
            parts.append(Rectangle(part.name, part.material, r0, r1, z0, z1))
        inner, outer, height = antenna.port_extent(surface, end)
        port = Rectangle("port", METAL, inner, outer, height, np.inf)
        return cls(applicator.name, outline, tuple(parts), port, top)

    def parts_at(self, points: Floats) -> NDArray[np.intp]:
        """Return the number in `parts` of what is seen at points (n, 2); -1 is bare metal or the port, -2 tissue."""
        r, z = np.asarray(points, dtype=float).T
        found = np.where((z > 0) & (r < np.interp(z, self.outline[:, 1], self.outline[:, 0])), -1, -2)
        for number, part in [*enumerate(self.parts), (-1, self.port)]:
            found[(found > -2) & (part.r0 < r) & (r < part.r1) & (part.z0 < z) & (z < part.z1)] = number
        return found

    def materials_at(self, points: Floats) -> NDArray[np.str_]:
        """Return the material seen at points (n, 2): "tissue", "metal" or one of the antenna."""
        # The negative numbers of `parts_at` count from the end.
        return np.array([*(part.material for part in self.parts), TISSUE, METAL])[self.parts_at(points)]


def antenna_drawing(applicator: Applicator, antenna: AntennaSpec, top: float | None = None) -> list[DrawnPart]:
    """Return what to draw of an antenna, in the order of painting, the bare shaft first.

    Parameters
    ----------
    applicator : Applicator
        Gives the outline.
    antenna : AntennaSpec
        Gives the parts.
    top : float, optional
        Height in metres at which the drawing ends; by default the end of the described shaft.

    Raises
    ------
    GeometryError
        When a part lies wholly outside the applicator.
    """
    painting = Painting.of(applicator, antenna, applicator.length if top is None else top)
    shaft = Rectangle("shaft", METAL, 0.0, applicator.radius, 0.0, painting.top)
    drawn = [(part, _clipped(part, painting.outline)) for part in (shaft, *painting.parts)]
    return [DrawnPart(part.name, part.material, polygon) for part, polygon in drawn if len(polygon)]


def _mm(length: float) -> str:
    return f"{1e3 * length:.4g} mm"


def _up_to(outline: Floats, top: float) -> Floats:
    """Cut or lengthen an outline so that it ends at height `top`."""
    end = float(np.interp(top, outline[:, 1], outline[:, 0]))
    return np.vstack([outline[outline[:, 1] < top - COINCIDENT], [(end, top)]])


def _clipped(part: Rectangle, outline: Floats) -> Floats:
    """Corners of a rectangle clipped to the outline and to heights below its end; none when nothing is left."""
    corners: Sequence[Floats] = [
        np.array(corner) for corner in ((part.r0, part.z0), (part.r1, part.z0), (part.r1, part.z1), (part.r0, part.z1))
    ]
    # The outline is convex: what lies inside is on the left of each of its pieces, taken from the tip upward.
    for start, end in pairwise([*outline, np.array([0.0, outline[-1, 1]])]):
        along = end - start
        side = [float(along[0] * (corner - start)[1] - along[1] * (corner - start)[0]) for corner in corners]
        kept: list[Floats] = []
        for i, corner in enumerate(corners):
            if (side[i] > 0) != (side[i - 1] > 0):
                share = side[i - 1] / (side[i - 1] - side[i])
                kept.append(corners[i - 1] + share * (corner - corners[i - 1]))
            if side[i] > 0:
                kept.append(corner)
        corners = kept
    apart = [corner for i, corner in enumerate(corners) if np.linalg.norm(corner - corners[i - 1]) > COINCIDENT]
    return np.array(apart) if len(apart) > 2 else np.empty((0, 2))
