"""From the tables of a case to vessels that exchange heat: shape, flow, wall coefficient, model of each branch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.case import Case
from ablationsim.case.vessels import VesselSection
from ablationsim.errors import AblationSimError, CaseError
from ablationsim.provenance import Sourced
from ablationsim.tissue import Tissue
from ablationsim.units import show
from ablationsim.vessels.cache import cached
from ablationsim.vessels.centreline import centreline_of_wall
from ablationsim.vessels.files import read_wall
from ablationsim.vessels.flow import Piece, blood_model, directed, mean_diameter, murray_flows, tube_flows, upstream_of
from ablationsim.vessels.fluids import GLASS_CONDUCTIVITY, fluid, fluid_sources
from ablationsim.vessels.graph_files import read_centreline
from ablationsim.vessels.image import LabelImage, shape_of_label
from ablationsim.vessels.nusselt import HEATED_LENGTH, through_wall, wall_coefficient
from ablationsim.vessels.trees import murray_constant, tree_sources
from ablationsim.vessels.tube import tube, wall_of
from ablationsim.vessels.vessel import Branch, Centreline, Fluid, Shape, Vessel, Wall


@dataclass(frozen=True, eq=False)
class Built:
    """A vessel with what there is to say about it.

    Attributes
    ----------
    vessel : Vessel
    wall_thickness : float
        Of a tube's own wall; the branches' radii are those of its outer surface [m].
    coefficient_given : bool
        Whether the case gives the coefficient between wall and blood, so that no Nusselt number stands behind it.
    notes : tuple of str
        What was mended or assumed, one sentence each.
    sources : mapping of str to Sourced
        The numbers that the case does not give, with their origin.
    """

    vessel: Vessel
    wall_thickness: float
    coefficient_given: bool
    notes: tuple[str, ...]
    sources: Mapping[str, Sourced]

    def lumen(self, branch: Branch) -> float:
        """Inner diameter of a branch [m]."""
        return branch.diameter - 2.0 * self.wall_thickness


def vessels_of(case: Case, fitted: Mapping[str, Wall] | None = None) -> tuple[Vessel, ...]:
    """The vessels of a case; see `build_vessels`."""
    return tuple(built.vessel for built in build_vessels(case, fitted))


def build_vessels(case: Case, fitted: Mapping[str, Wall] | None = None) -> tuple[Built, ...]:
    """Build every vessel of a case.

    Parameters
    ----------
    case : Case
    fitted : mapping of str to Wall, optional
        Walls that are facets of the case's own mesh, by the name of the facets.

    Raises
    ------
    CaseError
        With the problems of all vessels.
    """
    shapes = Shapes(fitted or {})
    found, problems = [], []
    for section in case.vessels:
        try:
            built = build_vessel(section, case.tissue, shapes)
        except CaseError as error:
            problems += [f"vessel '{section.name}': {problem}" for problem in error.problems]
        except AblationSimError as error:
            problems.append(f"vessel '{section.name}': {error}")
        else:
            if case.patient is not None and section.labels == case.patient.labels:
                built = replace(built, vessel=replace(built.vessel, incidental=True))
            if case.mesh.vessels == "fitted" and section.facets is None:
                built = replace(built, vessel=replace(built.vessel, facets=f"vessel:{section.name}"))
            found.append(built)
    if problems:
        raise CaseError(problems)
    return tuple(found)


def build_vessel(section: VesselSection, tissue: Tissue, shapes: Shapes | None = None) -> Built:
    """Build one vessel.

    Parameters
    ----------
    section : VesselSection
        With paths that can be opened from here.
    tissue : Tissue
        Says at which temperature blood comes, and water.
    shapes : Shapes, optional
        What was read for other vessels.

    Raises
    ------
    CaseError
        With every problem of its values.
    AblationSimError
        If its file cannot be read or its shape cannot be used.
    """
    problems = _problems(section)
    if problems:
        raise CaseError(problems)
    name = section.fluid or ("water" if section.kind == "tube" else "blood")
    temperature = section.temperature
    if temperature is None:
        temperature = tissue.blood_temperature if name == "blood" else tissue.initial_temperature
    flowing = fluid(name, temperature)
    if section.wall_thickness:
        flowing = replace(flowing, electric_conductivity=0.0)
    shape = (shapes or Shapes({})).of(section)
    branches, notes = _branches(section, shape.centreline, flowing)
    vessel = Vessel(section.name, section.kind, shape.wall, branches, flowing, temperature, section.facets)
    sources = dict(fluid_sources(name, temperature))
    if section.kind != "tube" and section.flow is None and section.speed is None and not section.occluded:
        sources |= {f"reference_{key}": number for key, number in tree_sources(section.kind).items()}
    return Built(
        vessel,
        section.wall_thickness or 0.0,
        section.wall_coefficient is not None,
        (*shape.notes, *notes),
        sources,
    )


@dataclass(eq=False)
class Shapes:
    """Shapes of vessels, each file and each label read once.

    Attributes
    ----------
    fitted : mapping of str to Wall
        Walls that are facets of a mesh, by the name of the facets.
    """

    fitted: Mapping[str, Wall]
    _read: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    def of(self, section: VesselSection) -> Shape:
        """Shape of a vessel.

        Raises
        ------
        AblationSimError
            If its file cannot be read or its shape cannot be used.
        """
        unit, orientation = section.unit or "m", section.orientation
        if section.points is not None:
            # What the tissue touches is the outer surface of the tube's own wall.
            outer = (section.diameter or 0.0) + 2.0 * (section.wall_thickness or 0.0)
            return tube(np.array(section.points), outer)
        if section.surface is not None:
            surface, part = section.surface, section.part
            return self._once(
                ("surface", surface, unit, orientation, part),
                lambda: cached(
                    surface,
                    (unit, orientation, part),
                    lambda: _of_wall(*read_wall(Path(surface), unit, orientation, part)),
                ),
            )
        if section.centreline is not None:
            path, tree = Path(section.centreline), section.part
            return self._once(
                ("centreline", path, unit, orientation, tree),
                lambda: _of_centreline(read_centreline(path, unit, orientation, tree)),
            )
        if section.labels is not None and section.label is not None:
            labels, label = section.labels, section.label

            def made() -> Shape:
                image: LabelImage = self._once(("image", labels), lambda: LabelImage.read(labels))
                return shape_of_label(image, label)

            return self._once(("label", labels, label), lambda: cached(labels, (label,), made))
        facets = str(section.facets)
        if facets not in self.fitted:
            raise CaseError([f"facets '{facets}' are known only with the mesh of the case, domain.mesh"])
        return self._once(("facets", facets), lambda: _of_wall(self.fitted[facets], ()))

    def _once(self, key: tuple[Any, ...], read: Callable[[], Any]) -> Any:
        if key not in self._read:
            self._read[key] = read()
        return self._read[key]


def _of_wall(wall: Wall, notes: tuple[str, ...]) -> Shape:
    return Shape(wall, centreline_of_wall(wall), notes)


def _of_centreline(centreline: Centreline) -> Shape:
    return Shape(wall_of(centreline), centreline)


def _problems(section: VesselSection) -> list[str]:
    """What speaks against the values of a vessel, before its shape is known."""
    problems = []
    if section.kind == "tube" and section.flow is None and section.speed is None and not section.occluded:
        problems.append("a tube needs its flow or speed, such as flow = '10 mL/min'")
    if section.kind != "tube" and section.wall_thickness is not None:
        problems.append(f"wall_thickness is for a tube's own wall; the kind is '{section.kind}'")
    if section.wall_thickness and section.wall_conductivity is None:
        glass = show(GLASS_CONDUCTIVITY.value, "thermal_conductivity")
        problems.append(f"wall_thickness needs wall_conductivity, such as '{glass}' for glass")
    if section.wall_conductivity is not None and not section.wall_thickness:
        problems.append("wall_conductivity needs wall_thickness, such as '1 mm'")
    if section.points is not None and section.inlet is not None:
        problems.append("inlet is of no use with points: the flow goes from the first to the last")
    return problems


def _branches(
    section: VesselSection, centreline: Centreline, flowing: Fluid
) -> tuple[tuple[Branch, ...], tuple[str, ...]]:
    """Branches of a vessel, upstream ones first, and what was assumed."""
    inlet = section.inlet if section.points is None else section.points[0]
    pieces = directed(centreline, toward_root=section.kind == "hepatic_vein", inlet=inlet)
    thickness = section.wall_thickness or 0.0
    narrowest = min(float(piece.radii.min()) for piece in pieces)
    if narrowest <= thickness:
        raise CaseError(
            [
                f"wall_thickness is {show(thickness, 'length')}; the radius of the surface is "
                f"{show(narrowest, 'length', 3)} where it is thinnest, and no lumen is left there"
            ]
        )
    lumens = {piece.number: mean_diameter(piece.points, piece.radii) - 2.0 * thickness for piece in pieces}
    flows, notes = _flows(section, pieces, lumens)
    brought = upstream_of(pieces, flows)
    branches = tuple(
        _branch(section, piece, lumens[piece.number], flows[piece.number], brought[place], flowing)
        for place, piece in enumerate(pieces)
    )
    thin = sum(branch.model == "perfusion" for branch in branches)
    if thin:
        notes.append(
            f"{thin} of {len(branches)} branches are thinner than 1 mm and taken as part of the tissue's perfusion."
        )
    return branches, tuple(notes)


def _flows(
    section: VesselSection, pieces: Sequence[Piece], lumens: Mapping[int, float]
) -> tuple[dict[int, float], list[str]]:
    """Flow by the number of the piece, and what was assumed."""
    if section.occluded:
        return {piece.number: 0.0 for piece in pieces}, []
    trunk = lumens[1]
    notes = []
    if section.flow is not None:
        constant = section.flow / trunk**3
    elif section.speed is not None:
        constant = section.speed * 0.25 * math.pi / trunk
    else:
        constant = murray_constant(section.kind)
        notes.append(
            f"No flow given: {show(constant * trunk**3, 'flow_rate', 4)} through the trunk of "
            f"{show(trunk, 'length', 3)} by Murray's law from the usual flow of its kind."
        )
    if section.kind != "tube":
        return murray_flows(pieces, lumens, constant), notes
    if section.points is None and section.inlet is None:
        notes.append("No inlet given: the flow enters at the thickest end of the tube.")
    return tube_flows(pieces, lumens, constant), notes


def _branch(
    section: VesselSection, piece: Piece, lumen: float, flow: float, brought: Mapping[int, float], flowing: Fluid
) -> Branch:
    thickness, conductivity = section.wall_thickness or 0.0, section.wall_conductivity or math.inf
    if flow == 0.0:
        coefficient = 0.0
    elif section.wall_coefficient is not None:
        coefficient = through_wall(section.wall_coefficient, lumen, thickness, conductivity)
    else:
        coefficient = wall_coefficient(flowing, flow, lumen, HEATED_LENGTH, thickness, conductivity)
    outer = lumen + 2.0 * thickness
    warming = math.pi * outer * coefficient
    equilibration = flowing.volumetric_heat_capacity * flow / warming if warming > 0.0 else 0.0
    model = blood_model(section.kind, section.model, lumen, flow, equilibration)
    return Branch(f"{piece.number}", piece.points, piece.radii, brought, flow, model, coefficient)
