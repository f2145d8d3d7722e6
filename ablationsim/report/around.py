"""What lies round the applicators of a finished run: its vessels and tumour, built again from the case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import AblationSimError
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.walls import fitted_walls
from ablationsim.provenance import Sourced
from ablationsim.report.data import Surroundings, ZoneWithout
from ablationsim.results import Result
from ablationsim.study.heat_sink import REACH, WITHOUT
from ablationsim.vessels.build import build_vessels
from ablationsim.vessels.image import LabelImage, shape_of_label
from ablationsim.vessels.vessel import Wall
from ablationsim.zone import Surface
from ablationsim.zone.toward import approaches, heated_axis

_MERIDIAN = 24  # straight pieces from pole to pole of a tumour that is a sphere


@dataclass(frozen=True, eq=False)
class Around:
    """What was found.

    Attributes
    ----------
    surroundings : Surroundings or None
        To draw; None without vessels, or where their files can no longer be read.
    sources : mapping of str to Sourced
        Numbers of what flows, by a name for people.
    problems : sequence of str
        Why something is not drawn.
    """

    surroundings: Surroundings | None = None
    sources: Mapping[str, Sourced] = field(default_factory=dict)
    problems: Sequence[str] = ()


def found_around(result: Result, geometry: Geometry) -> Around:
    """Build the vessels and the tumour of a run again; a report goes without those whose files are gone."""
    if not result.case.vessels:
        return Around()
    try:
        built = build_vessels(result.case, fitted_walls(result.case, result.mesh))
        tumour = _tumour(result.case)
        without = _without(result)
    except AblationSimError as error:
        return Around(problems=[f"The vessels are not drawn here, as they could not be read again: {error}"])
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
    return Around(Surroundings(vessels, nearest, without, tumour, notes), sources)


def _label(key: str, fluid: str, kind: str) -> str:
    owner = kind if key.startswith("reference_") else fluid
    return f"{owner}: {key}".replace("_", " ")


def _tumour(case: Case) -> Wall | None:
    tumour = case.tumour
    if tumour is None:
        return None
    if tumour.labels is not None and tumour.label is not None:
        return shape_of_label(LabelImage.read(tumour.labels), tumour.label).wall
    assert tumour.centre is not None
    assert tumour.radius is not None
    polar = np.linspace(0.0, np.pi, _MERIDIAN + 1)
    arc = tumour.radius * np.column_stack([np.sin(polar), -np.cos(polar)])
    arc[[0, -1], 0] = 0.0
    steps = np.arange(_MERIDIAN)
    sphere = Surface(arc, np.column_stack([steps, steps + 1]), axisymmetric=True).revolve(2 * _MERIDIAN)
    triangles = sphere.facets.astype(np.int64)
    return Wall(sphere.points + np.array(tumour.centre), triangles, np.zeros(len(triangles), dtype=bool))


def _without(result: Result) -> ZoneWithout | None:
    """The run without vessels that the heat-sink study put beside this one."""
    if "heat_sink" not in result.document or result.folder is None or not (result.folder / WITHOUT).is_dir():
        return None
    other = Result.load(result.folder / WITHOUT)
    return ZoneWithout(other.mesh, other.fields["level"])
