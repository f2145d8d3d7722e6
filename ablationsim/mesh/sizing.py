"""How large elements are, where: small where the tissue is heated, even across the expected zone, large far away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from ablationsim.errors import MeshError
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.session import MILLIMETRE

#: Distance from bare conductors or antennas to which a zone is expected [m]; tines carry the heat out by themselves.
NEEDLE_REACH = 20e-3
TINE_REACH = 12e-3

#: Fastest growth of the size per distance that still gives well-shaped elements.
STEEPEST = 0.3

#: Limits of the factor on every element size.
RESOLUTION_LIMITS = (0.25, 4.0)


@dataclass(frozen=True)
class Sizing:
    """Element sizes in metres and how fast they grow with distance.

    Attributes
    ----------
    near : float
        At bare conductors and radiating sections (in 3-D at most, see `sides`).
    edge : float
        Where current crowds or cooling changes: ends of bare conductors and of radiating sections, and the tip.
    shaft : float
        At other parts of shafts (in 3-D at most, see `sides`).
    zone : float
        Across the expected zone.
    far : float
        At the outside, where the domain is large enough.
    growth, far_growth : float
        Growth of the size per distance, from where the tissue is heated and beyond the expected zone.
    reach : float
        Distance from bare conductors or antennas to which the zone is expected.
    sides, tine_sides : int
        Sides of the regular polygon that stands for a needle's or a tine's circle in 3-D.
    """

    near: float
    edge: float
    shaft: float
    zone: float
    far: float
    growth: float
    far_growth: float
    reach: float
    sides: int
    tine_sides: int

    @classmethod
    def default(cls, geometry: Geometry, resolution: float = 1.0, reach: float | None = None) -> Sizing:
        """Return the sizes for a geometry, all multiplied by `resolution` (smaller is finer), and so is their growth.

        Parameters
        ----------
        geometry : Geometry
            What is to be meshed.
        resolution : float
            Factor on every size, 0.25 to 4.
        reach : float, optional
            Distance in metres from bare conductors or antennas to which the zone is expected; by default 20 mm for
            needles, 12 mm for tines.

        Raises
        ------
        MeshError
            When the resolution or the reach is out of range.
        """
        check_resolution(resolution)
        if reach is None:
            reach = TINE_REACH if any(applicator.tines for applicator in geometry.applicators) else NEEDLE_REACH
        if not 0 < reach < float("inf"):
            raise MeshError(f"The expected reach of the zone must be positive, got {reach:g} m.")
        if geometry.axisymmetric:
            near, edge, shaft, zone, growth = 0.22e-3, 0.1e-3, 0.45e-3, 1.0e-3, 0.17
        else:
            near, edge, shaft, zone, growth = 0.15e-3, 0.08e-3, 0.6e-3, 1.25e-3, 0.14
        return cls(
            near=resolution * near,
            edge=resolution * edge,
            shaft=resolution * shaft,
            zone=resolution * zone,
            far=resolution * 6e-3,
            growth=min(resolution * growth, STEEPEST),
            far_growth=min(resolution * 0.3, STEEPEST),
            reach=reach,
            sides=_even(16 / resolution, 8),
            tine_sides=_even(6 / resolution, 6),
        )


def check_resolution(resolution: float) -> None:
    """Raise a MeshError when a factor on the element sizes is out of range."""
    low, high = RESOLUTION_LIMITS
    if not low <= resolution <= high:
        raise MeshError(f"The mesh resolution is {resolution:g}, but must lie between {low:g} and {high:g}.")


def _even(number: float, least: int) -> int:
    return max(least, 2 * round(number / 2))


class SizeField:
    """The size field of gmsh's current model: the smallest of several laws of distance. Sizes are given in metres."""

    def __init__(self, gmsh: ModuleType) -> None:
        self._gmsh = gmsh
        self._laws: list[int] = []

    def distance(self, *, points: Sequence[int] = (), curves: Sequence[int] = (), sampling: int = 20) -> int:
        """Add the distance to points and to curves (as `sampling` points each); return its number."""
        field = self._gmsh.model.mesh.field
        tag: int = field.add("Distance")
        field.setNumbers(tag, "PointsList", list(points))
        field.setNumbers(tag, "CurvesList", list(curves))
        field.setNumber(tag, "Sampling", sampling)
        return tag

    def grow(self, distance: int, start: float, size: float, growth: float, limit: float, ends: bool) -> None:
        """Add a law: `size` up to the distance `start`, then growing by `growth` per distance up to `limit`.

        A law that `ends` says nothing beyond the distance where it reaches its limit.
        """
        field = self._gmsh.model.mesh.field
        tag = field.add("Threshold")
        stop = start + max(limit - size, 0.0) / growth
        for name, value in (("InField", distance), ("Sigmoid", 0), ("StopAtDistMax", int(ends))):
            field.setNumber(tag, name, value)
        for name, metres in (("DistMin", start), ("DistMax", stop), ("SizeMin", size), ("SizeMax", max(limit, size))):
            field.setNumber(tag, name, metres / MILLIMETRE)
        self._laws.append(tag)

    def inside(self, x: tuple[float, float], y: tuple[float, float], size: float, growth: float, limit: float) -> None:
        """Add a law: `size` inside a rectangle of the plane, growing by `growth` per distance from it up to `limit`."""
        field = self._gmsh.model.mesh.field
        tag = field.add("Box")
        for name, metres in (("XMin", x[0]), ("XMax", x[1]), ("YMin", y[0]), ("YMax", y[1])):
            field.setNumber(tag, name, metres / MILLIMETRE)
        thickness = max(limit - size, 0.0) / growth
        for name, metres in (("VIn", size), ("VOut", max(limit, size)), ("Thickness", thickness)):
            field.setNumber(tag, name, metres / MILLIMETRE)
        self._laws.append(tag)

    def use(self) -> None:
        """Make gmsh use the smallest of all laws."""
        field = self._gmsh.model.mesh.field
        tag = field.add("Min")
        field.setNumbers(tag, "FieldsList", self._laws)
        field.setAsBackgroundMesh(tag)
