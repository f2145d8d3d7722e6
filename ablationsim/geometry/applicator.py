"""An applicator in place: its outline, tines and surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.device.antenna import AntennaSpec
from ablationsim.device.profile import ApplicatorSpec, TineSpec
from ablationsim.errors import GeometryError
from ablationsim.geometry.placement import Placement

Floats = NDArray[np.float64]

#: A curved tine becomes straight pieces at most this long [m] and turning by at most this angle [rad].
TINE_PIECE = 2.5e-3
TINE_TURN = np.deg2rad(10)
#: Straight pieces of a rounded tip, from the axis to the shaft.
ROUND_TIP_PIECES = 8


@dataclass(frozen=True)
class Surface:
    """What a named part of an applicator's surface does to the tissue that touches it.

    Attributes
    ----------
    name : str
        Facet name in the mesh, such as "A0:tip".
    terminal : str or None
        Terminal the part belongs to, such as "A0:active"; None where it is insulated.
    wall_coefficient : float
        Heat transfer coefficient to the coolant in W/m2/K; 0 is adiabatic.
    coolant_temperature : float
        Temperature of the coolant in K (of no effect where the coefficient is 0).
    radiating : bool
        Whether a microwave antenna radiates through it.
    """

    name: str
    terminal: str | None
    wall_coefficient: float
    coolant_temperature: float
    radiating: bool = False

    @property
    def heated(self) -> bool:
        """Whether energy enters the tissue here: through a bare conductor, or from an antenna."""
        return self.terminal is not None or self.radiating


@dataclass(frozen=True)
class Section:
    """A length z0 to z1 of the shaft in metres, device frame, and its surface."""

    name: str
    z0: float
    z1: float
    surface: Surface

    @property
    def terminal(self) -> str | None:
        """Terminal such as "A0:active", or None where insulated."""
        return self.surface.terminal

    @property
    def heated(self) -> bool:
        """Whether energy enters the tissue here: through a bare conductor, or from an antenna."""
        return self.surface.heated

    @property
    def wall_coefficient(self) -> float:
        """Heat transfer coefficient to the coolant in W/m2/K."""
        return self.surface.wall_coefficient

    @property
    def coolant_temperature(self) -> float:
        """Coolant temperature in K."""
        return self.surface.coolant_temperature


@dataclass(frozen=True, eq=False)
class Tine:
    """One deployed tine.

    Attributes
    ----------
    path : (k, 3) float64
        Centreline from the root to the end in metres, device frame, as straight pieces.
    radius : float
        Radius of the wire in metres.
    terminal : str or None
        Terminal of the bare part.
    insulated_length : float
        Arc length from the root that is insulated, in metres; a node of the path lies there.
    """

    path: Floats
    radius: float
    terminal: str | None
    insulated_length: float

    def insulated_pieces(self) -> NDArray[np.bool_]:
        """Return for each straight piece of the path, shape (k - 1,), whether it is insulated."""
        length = np.linalg.norm(np.diff(self.path, axis=0), axis=1)
        return np.cumsum(length) - length / 2 < self.insulated_length


@dataclass(frozen=True, eq=False)
class Applicator:
    """An applicator in place. Lengths are in metres, device frame unless said otherwise.

    Attributes
    ----------
    index : int
        Number of the applicator in the case.
    name : str
        Its name for people.
    placement : Placement
        Its rigid motion to the world.
    sections : tuple of Section
        Stacked from the tip upward. The last one continues out of the domain whatever its length.
    outline : (k, 2) float64
        Polyline (r, z) of a shaft from the axis at the tip upward, with a point at every section boundary.
    tines : tuple of Tine
        Deployed tines.
    shafts : (k, 2) float64
        Lateral offsets (x, y) of parallel shafts; a single (0, 0) unless it is a cluster.
    thermocouples : (k, 3) float64
        Positions of the temperature sensors.
    antenna : AntennaSpec or None
        What is inside a microwave applicator.
    """

    index: int
    name: str
    placement: Placement
    sections: tuple[Section, ...]
    outline: Floats
    tines: tuple[Tine, ...]
    shafts: Floats
    thermocouples: Floats
    antenna: AntennaSpec | None = None

    @classmethod
    def build(
        cls,
        index: int,
        spec: ApplicatorSpec,
        placement: Placement,
        name: str | None = None,
        antenna: AntennaSpec | None = None,
    ) -> Applicator:
        """Build the applicator number `index` of a case from its specification and, for microwaves, its antenna's.

        Raises
        ------
        GeometryError
            When two sections have one name, the tip is longer than the shaft, or a tine's path has no length.
        """
        prefix = f"A{index}"
        names = [section.name for section in spec.sections]
        if len(set(names)) < len(names) or "tine" in names:
            raise GeometryError(
                f"Applicator {prefix}: its sections are called {', '.join(names)}, but each needs a name of its own "
                "other than 'tine', because boundary conditions are given by name."
            )
        sections = []
        z = 0.0
        for part in spec.sections:
            terminal = f"{prefix}:{part.terminal}" if part.terminal else None
            surface = Surface(
                f"{prefix}:{part.name}", terminal, part.wall_coefficient, part.coolant_temperature, part.radiating
            )
            sections.append(Section(part.name, z, z + part.length, surface))
            z += part.length
        tines = [tine for group in spec.tines for tine in _tines(group, prefix)]
        if len({tine.terminal for tine in tines}) > 1:
            raise GeometryError(f"Applicator {prefix}: all its tines must belong to one terminal.")
        return cls(
            index=index,
            name=name or prefix,
            placement=placement,
            sections=tuple(sections),
            outline=_outline(spec, [section.z1 for section in sections]),
            tines=tuple(tines),
            shafts=_shaft_offsets(spec),
            thermocouples=np.asarray(spec.thermocouples, dtype=float).reshape(-1, 3),
            antenna=antenna,
        )

    @property
    def tip(self) -> Floats:
        """World position of the tip in metres, shape (3,)."""
        return self.placement.tip

    @property
    def axis(self) -> Floats:
        """Unit vector from the tip toward the handle in world coordinates, shape (3,)."""
        return self.placement.axis

    @property
    def radius(self) -> float:
        """Radius of a shaft in metres."""
        return float(self.outline[:, 0].max())

    @property
    def length(self) -> float:
        """Length of the described part of the shaft in metres."""
        return self.sections[-1].z1

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """Every named part of the surface that can touch tissue."""
        found = [section.surface for section in self.sections]
        if self.tines:
            bare = Surface(f"A{self.index}:tine", self.tines[0].terminal, 0.0, self.sections[0].coolant_temperature)
            found.append(bare)
            if any(tine.insulated_length > 0 for tine in self.tines):
                found.append(Surface(f"{bare.name}_insulated", None, 0.0, bare.coolant_temperature))
        return tuple(found)

    def section_at(self, z: float) -> Section:
        """Return the section at height `z` above the tip; the first below the tip, the last beyond the end."""
        for section in self.sections:
            if z < section.z1:
                return section
        return self.sections[-1]

    def to_world(self, points: ArrayLike) -> Floats:
        """Turn device-frame points, shape (..., 3), into world points."""
        return self.placement.to_world(points)

    def to_device(self, points: ArrayLike) -> Floats:
        """Turn world points, shape (..., 3), into device-frame points."""
        return self.placement.to_device(points)

    def heated_lines(self) -> list[tuple[Floats, float]]:
        """Return the centrelines of bare conductors and radiating sections: (world points (k, 3), radius in m)."""
        lines = []
        for section in self.sections:
            if section.heated:
                for x, y in self.shafts:
                    ends = [(x, y, section.z0), (x, y, section.z1)]
                    lines.append((self.to_world(ends), self.radius))
        for tine in self.tines:
            bare = np.append(~tine.insulated_pieces(), False)
            bare[1:] |= bare[:-1]
            if tine.terminal is not None and bare.any():
                lines.append((self.to_world(tine.path[bare]), tine.radius))
        return lines


def _outline(spec: ApplicatorSpec, boundaries: list[float]) -> Floats:
    """Outline (r, z) from the axis at the tip upward, with a point at each section boundary."""
    radius = spec.diameter / 2
    length = {"flat": 0.0, "conical": spec.tip_length, "hemispherical": spec.tip_length or radius}[spec.tip_shape]
    if length >= boundaries[-1]:
        raise GeometryError(
            f"The tip is {1e3 * length:.3g} mm long, but all sections of the shaft together only "
            f"{1e3 * boundaries[-1]:.3g} mm: shorten the tip or lengthen the sections."
        )
    if spec.tip_shape == "hemispherical":
        angle = np.linspace(0, np.pi / 2, ROUND_TIP_PIECES + 1)
        nose = np.column_stack([radius * np.sin(angle), length * (1 - np.cos(angle))])
    else:
        nose = np.array([(0.0, 0.0), (radius, length)])
    # A boundary that falls on the nose splits one of its pieces.
    inside = [z for z in boundaries if z < length and np.abs(nose[:, 1] - z).min() > 1e-9]
    split = [(float(np.interp(z, nose[:, 1], nose[:, 0])), z) for z in inside]
    nose = np.array(sorted([*map(tuple, nose), *split], key=lambda point: (point[1], point[0])))
    above = [(radius, z) for z in boundaries if z > length + 1e-9]
    return np.vstack([nose, *([np.array(above)] if above else [])])


def _shaft_offsets(spec: ApplicatorSpec) -> Floats:
    """Lateral offsets of parallel shafts: corners of a regular polygon whose side is the spacing."""
    if spec.cluster is None:
        return np.zeros((1, 2))
    count, spacing = spec.cluster.count, spec.cluster.spacing
    if spacing <= spec.diameter:
        raise GeometryError(
            f"The needles of the cluster are {1e3 * spacing:.3g} mm apart but {1e3 * spec.diameter:.3g} mm thick."
        )
    angle = 2 * np.pi * np.arange(count) / count
    return spacing / (2 * np.sin(np.pi / count)) * np.column_stack([np.cos(angle), np.sin(angle)])


def _tines(group: TineSpec, prefix: str) -> list[Tine]:
    """The tines of one group, evenly spaced in azimuth."""
    profile = _smooth(np.asarray(group.path, dtype=float), group.exposed_from)
    terminal = f"{prefix}:{group.terminal}" if group.terminal else None
    tines = []
    for azimuth in group.azimuth0 + 2 * np.pi * np.arange(group.count) / group.count:
        r, z = profile.T
        path = np.column_stack([r * np.cos(azimuth), r * np.sin(azimuth), z])
        tines.append(Tine(path, group.radius, terminal, group.exposed_from))
    return tines


def _smooth(points: Floats, insulated: float) -> Floats:
    """Turn the (r, z) points of a tine into short straight pieces along the natural spline through them.

    One node lies at arc length `insulated` where that is inside the tine.
    """
    # Here and not above: scipy is not needed to read a device.
    from scipy.interpolate import CubicSpline

    chord = np.linalg.norm(np.diff(points, axis=0), axis=1)
    if len(points) < 2 or (chord <= 0).any():
        raise GeometryError("A tine's path needs at least two points, each different from the one before.")
    knots = np.concatenate([[0.0], np.cumsum(chord)])
    if len(points) == 2:
        fine_points = points[0] + np.linspace(0, 1, 401)[:, None] * (points[1] - points[0])
    else:
        fine_points = CubicSpline(knots, points, bc_type="natural")(np.linspace(0, knots[-1], 401))
    steps = np.diff(fine_points, axis=0)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=1))])
    heading = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    turn = np.concatenate([[0.0, 0.0], np.cumsum(np.abs(np.diff(heading)))])
    marks = [0.0, insulated, arc[-1]] if 0 < insulated < arc[-1] else [0.0, arc[-1]]
    stops = [0.0]
    for start, end in pairwise(marks):
        turning = np.interp(end, arc, turn) - np.interp(start, arc, turn)
        pieces = max(1, int(np.ceil((end - start) / TINE_PIECE)), int(np.ceil(turning / TINE_TURN)))
        stops.extend(np.linspace(start, end, pieces + 1)[1:])
    return np.column_stack([np.interp(stops, arc, fine_points[:, i]) for i in (0, 1)])
