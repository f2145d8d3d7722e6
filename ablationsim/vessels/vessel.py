"""What a vessel is: a wall, made of triangles, round the branches of a tree.

A tree is read in two steps. `Shape` is what a file or a pair of points says: a wall and centrelines with radii, with no
direction. `Vessel` adds the flow: which branch flows into which, how much, and how each exchanges heat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BloodModel = Literal["fixed", "transport", "perfusion", "still"]
"""How the blood of a branch is modelled: at the temperature it comes with; warming up along its way; as part of the
perfusion of the tissue, without a wall of its own; or standing still, so that it only fills its place."""


@dataclass(frozen=True, eq=False)
class Wall:
    """A closed triangulated surface, in world coordinates.

    Attributes
    ----------
    points : (n, 3) float64
        In metres.
    triangles : (m, 3) int64
        Point numbers; normals point out of the vessel.
    capped : (m,) bool
        Triangles that only close the surface where the vessel was cut off: no heat passes through them.
    """

    points: Floats
    triangles: Ints
    capped: NDArray[np.bool_]

    @property
    def areas(self) -> Floats:
        """Area of each triangle, shape (m,), in m2."""
        return 0.5 * np.linalg.norm(self._normals(), axis=1)

    @property
    def volume(self) -> float:
        """Volume inside, in m3 (divergence theorem); negative when the normals point inward."""
        corners = self.points[self.triangles] - self.points.mean(axis=0)
        return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0)

    def _normals(self) -> Floats:
        corners = self.points[self.triangles]
        return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


@dataclass(frozen=True, eq=False)
class Centreline:
    """Centrelines of a tree, as a graph without direction.

    Attributes
    ----------
    points : tuple of (k, 3) float64
        Polyline of each branch from one end to the other, in metres; at least two points.
    radii : tuple of (k,) float64
        Radius at each of its points, in metres.
    ends : (b, 2) int64
        Number of the junction or tip at the first and last point of each branch; branches meet where numbers agree.
    """

    points: tuple[Floats, ...]
    radii: tuple[Floats, ...]
    ends: Ints


@dataclass(frozen=True, eq=False)
class Shape:
    """A vessel as a file or the case describes it, before anything is known of its flow.

    Attributes
    ----------
    wall : Wall
    centreline : Centreline
    notes : tuple of str
        What was mended or left out on reading, one sentence each, for the person who gave the file.
    """

    wall: Wall
    centreline: Centreline
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fluid:
    """What flows: SI values at the temperature it comes with.

    Attributes
    ----------
    name : str
    density, heat_capacity, thermal_conductivity, viscosity : float
        [kg/m3, J/kg/K, W/m/K, Pa s]
    electric_conductivity : float
        At radio frequencies [S/m]; of what a current sees, so zero inside a glass tube.
    """

    name: str
    density: float
    heat_capacity: float
    thermal_conductivity: float
    viscosity: float
    electric_conductivity: float

    @property
    def volumetric_heat_capacity(self) -> float:
        """[J/m3/K]"""
        return self.density * self.heat_capacity


@dataclass(frozen=True, eq=False)
class Branch:
    """A piece of vessel between two junctions, with its flow.

    Attributes
    ----------
    name : str
        Unique in its tree.
    points : (k, 3) float64
        Centreline in the direction of the flow, in metres.
    radii : (k,) float64
        In metres.
    upstream : mapping of int to float
        Branches whose blood enters this one, and the flow that each brings [m3/s]; the rest of the flow comes at the
        temperature of the inlet.
    flow : float
        [m3/s]; not negative.
    model : str
        See `BloodModel`.
    wall_coefficient : float
        From the tissue at the wall's outer surface to the blood, tube wall included [W/m2/K].
    """

    name: str
    points: Floats
    radii: Floats
    upstream: Mapping[int, float]
    flow: float
    model: BloodModel
    wall_coefficient: float

    @property
    def length(self) -> float:
        """Along the centreline, in metres."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())

    @property
    def diameter(self) -> float:
        """Mean along the centreline, in metres: that of the cylinder of the same volume."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        squares = 0.5 * (self.radii[1:] ** 2 + self.radii[:-1] ** 2)
        return float(2.0 * np.sqrt((squares * steps).sum() / steps.sum()))


@dataclass(frozen=True, eq=False)
class Vessel:
    """A vessel tree or a tube, complete.

    Attributes
    ----------
    name : str
        Unique in the case.
    kind : str
        "portal_vein", "hepatic_vein", "hepatic_artery" or "tube".
    wall : Wall
    branches : tuple of Branch
        In an order in which upstream branches come first.
    fluid : Fluid
    inlet_temperature : float
        [K]
    facets : str or None
        Name of the mesh's facets that are the wall, when the mesh is fitted to it.
    incidental : bool
        Whether it is there because the image of a patient shows it, and may lie outside the modelled tissue; a vessel
        that was asked for may not.
    """

    name: str
    kind: str
    wall: Wall
    branches: tuple[Branch, ...]
    fluid: Fluid
    inlet_temperature: float
    facets: str | None = None
    incidental: bool = False

    @property
    def flowing(self) -> bool:
        """Whether any branch exchanges heat by its flow."""
        return any(branch.model in ("fixed", "transport") for branch in self.branches)

    def equilibration_length(self, branch: Branch) -> float:
        """Distance over which blood comes within 1/e of the temperature of the wall round it, in metres."""
        if branch.flow == 0.0:
            return 0.0
        exchange = np.pi * branch.diameter * branch.wall_coefficient
        return float(self.fluid.volumetric_heat_capacity * branch.flow / exchange)
