"""What lies round the applicators of a finished run: its vessels, tumour and patient, built again from the case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import AblationSimError
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.walls import fitted_walls
from ablationsim.provenance import Sourced
from ablationsim.report.data import PatientDrawing, Surroundings, ZoneWithout
from ablationsim.report.patient import patient_drawing
from ablationsim.results import Result
from ablationsim.results.margins import margins_of
from ablationsim.study.heat_sink import REACH, WITHOUT
from ablationsim.vasculature.build import build_vessels
from ablationsim.vessels.vessel import Wall
from ablationsim.zone import Surface
from ablationsim.zone.case_margins import CaseMargins
from ablationsim.zone.toward import approaches, heated_axis

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Around:
    """What was found.

    Attributes
    ----------
    surroundings : Surroundings or None
        To draw; None without vessels, or where their files can no longer be read.
    patient : PatientDrawing or None
        Of a case with a patient whose images can still be read.
    margins : CaseMargins or None
        Of a case with a tumour.
    sources : mapping of str to Sourced
        Numbers of what flows, by a name for people.
    problems : sequence of str
        Why something is not drawn.
    """

    surroundings: Surroundings | None = None
    patient: PatientDrawing | None = None
    margins: CaseMargins | None = None
    sources: Mapping[str, Sourced] = field(default_factory=dict)
    problems: Sequence[str] = ()


def found_around(result: Result, geometry: Geometry) -> Around:
    """Build vessels, tumour and patient of a run again; a report goes without those whose files are gone."""
    problems: list[str] = []
    margins, patient = None, None
    try:
        margins = margins_of(result)
    except AblationSimError as error:
        problems.append(f"The tumour is not drawn here, as it could not be read again: {error}")
    tumour = None if margins is None else surface_wall(margins.undeformed.target.surface)
    surroundings, sources = _vessels(result, geometry, tumour, problems)
    if result.case.patient is not None and not result.mesh.axisymmetric:
        target = _middle(geometry) if margins is None else margins.undeformed.target.centre
        try:
            patient, missing = patient_drawing(result.case, target, surroundings.vessels if surroundings else ())
            problems += missing
        except AblationSimError as error:
            problems.append(f"The patient is not drawn here, as the images could not be read again: {error}")
    return Around(surroundings, patient, margins, sources, problems)


def surface_wall(surface: Surface) -> Wall:
    """Return a closed surface of triangles as a wall, all of which is what it seems to be."""
    triangles = surface.facets.astype(np.int64)
    return Wall(surface.points, triangles, np.zeros(len(triangles), dtype=bool))


def _vessels(
    result: Result, geometry: Geometry, tumour: Wall | None, problems: list[str]
) -> tuple[Surroundings | None, dict[str, Sourced]]:
    if not result.case.vessels:
        return None, {}
    try:
        built = build_vessels(result.case, fitted_walls(result.case, result.mesh))
        without = _without(result)
    except AblationSimError as error:
        problems.append(f"The vessels are not drawn here, as they could not be read again: {error}")
        return None, {}
    vessels = tuple(found.vessel for found in built)
    axes = [heated_axis(applicator) for applicator in geometry.applicators]
    near = [place for vessel in vessels for place in approaches(vessel, axes, REACH)]
    nearest = min(near, key=lambda place: place.distance).point if near else None
    notes = [f"{found.vessel.name}: {note}" for found in built for note in found.notes]
    sources = {
        _label(key, found.vessel.fluid.name, found.vessel.kind): sourced
        for found in built
        for key, sourced in found.sources.items()
    }
    return Surroundings(vessels, nearest, without, tumour, notes), sources


def _middle(geometry: Geometry) -> Floats:
    """The middle of what heats of the first applicator."""
    lines = [line for line, _ in geometry.applicators[0].heated_lines()]
    return np.asarray(np.vstack(lines).mean(axis=0))


def _label(key: str, fluid: str, kind: str) -> str:
    owner = kind if key.startswith("reference_") else fluid
    return f"{owner}: {key}".replace("_", " ")


def _without(result: Result) -> ZoneWithout | None:
    """The run without vessels that the heat-sink study put beside this one."""
    if "heat_sink" not in result.document or result.folder is None or not (result.folder / WITHOUT).is_dir():
        return None
    other = Result.load(result.folder / WITHOUT)
    return ZoneWithout(other.mesh, other.fields["level"])
