"""What the page of a run shows: its solids, its planes, and the temperatures of its frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.report.around import surface_wall
from ablationsim.report.build import report_data
from ablationsim.report.colours import ROLES
from ablationsim.report.data import GreyImage, ReportData
from ablationsim.report.painting import ZONE
from ablationsim.report.planes import VIEWS, View, vessel_walls
from ablationsim.report.space import Space, space_of, turned_about_axis
from ablationsim.report.vessels import KINDS, TUMOUR
from ablationsim.results import Result
from ablationsim.units import ZERO_CELSIUS
from ablationsim.vessels.vessel import Wall
from ablationsim.viewer.slices import Sampler
from ablationsim.zone import Surface, zone_surface

Floats = NDArray[np.float64]

ROUND = 15.0
"""What the planes show round the zone, in mm."""
LEAST_HALF = 30.0
PLAIN_VIEWS = (
    View("Plane x y", "seen from +z", (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), ("−x", "+x", "+y", "−y"), 2),
    View("Plane x z", "seen from −y", (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), ("−x", "+x", "+z", "−z"), 1),
    View("Plane y z", "seen from +x", (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), ("−y", "+y", "+z", "−z"), 0),
)
"""Planes of a run without a patient."""


@dataclass(frozen=True, eq=False)
class Outlined:
    """A surface whose outlines the planes show: name, colour, and whether it is filled."""

    name: str
    wall: Wall
    colour: str
    filled: bool = False


@dataclass(frozen=True, eq=False)
class RunScene:
    """A run as its page shows it.

    Attributes
    ----------
    title : str
    data : ReportData
        What a report of it would show.
    space : Space
        Solids.
    views : tuple of View
        Planes.
    outlined : tuple of Outlined
        Zone, tumour, liver, vessels, organs.
    image : GreyImage or None
        Under the planes.
    times : (f,) float64
        Of the frames [s].
    sampler : Sampler
        Of the frames, and last the highest temperature.
    centre : (3,) float64
        Where the planes meet at first [m].
    """

    title: str
    data: ReportData
    space: Space
    views: tuple[View, ...]
    outlined: tuple[Outlined, ...]
    image: GreyImage | None
    times: Floats
    sampler: Sampler
    centre: Floats

    @property
    def half(self) -> float:
        """Half the edge of the planes [mm]."""
        return self.sampler.half

    def isotherm(self, frame: int, celsius: float) -> Surface:
        """Return the closed surface inside which a frame is hotter than a temperature, in mm."""
        level = self.sampler.fields[frame] - ZERO_CELSIUS - celsius
        surface = turned_about_axis(zone_surface(self.data.mesh, level).enclosing())
        return Surface(1e3 * surface.points, surface.facets, False)

    @classmethod
    def of(cls, result: Result) -> RunScene:
        """Prepare the page of a finished run."""
        data = report_data(result, inside=False)
        frames = result.frames
        fields = np.array([*(frames.temperature(i) for i in range(len(frames))), result.fields["max_temperature"]])
        zone = turned_about_axis(zone_surface(data.mesh, data.level).enclosing())
        tumour = None if data.margins is None else surface_wall(data.margins.undeformed.target.surface)
        if data.patient is not None:
            centre = data.patient.target
        elif len(zone.points):
            centre = 0.5 * (zone.points.min(axis=0) + zone.points.max(axis=0))
        else:
            centre = data.applicators[0].tip
        seen = np.vstack([centre, zone.points, *([] if tumour is None else [tumour.points])])
        half = max(LEAST_HALF, 1e3 * float(np.abs(seen - centre).max()) + ROUND)
        return cls(
            data.title,
            data,
            space_of(data),
            PLAIN_VIEWS if data.patient is None else VIEWS,
            _outlined(data, zone, tumour),
            None if data.patient is None else data.patient.image,
            frames.times,
            Sampler(data.mesh, fields, half),
            centre,
        )


def _outlined(data: ReportData, zone: Surface, tumour: Wall | None) -> tuple[Outlined, ...]:
    found = []
    if data.patient is not None:
        for structure in data.patient.structures:
            if structure.role not in ("tumour", *KINDS, "vena_cava"):
                found.append(Outlined(structure.name.replace("_", " "), structure.wall, ROLES[structure.role]))
        found += [Outlined("vessels", wall, colour, True) for wall, colour in vessel_walls(data, data.patient)]
    elif data.surroundings is not None:
        found += [Outlined(v.name, v.wall, KINDS[v.kind].colour, True) for v in data.surroundings.vessels]
    if tumour is not None:
        found.append(Outlined("tumour", tumour, TUMOUR))
    if len(zone.facets):
        found.append(Outlined("zone", surface_wall(zone), ZONE))
    return tuple(found)
