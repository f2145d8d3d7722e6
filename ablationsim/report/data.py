"""What a report is made of: plain data, so that a report can be built from any run or from made-up numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.geometry.antenna import DrawnPart
from ablationsim.geometry.applicator import Applicator
from ablationsim.mesh.mesh import Mesh
from ablationsim.vessels.vessel import Vessel, Wall
from ablationsim.zone.case_margins import CaseMargins

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class MeasuredRow:
    """One measured quantity beside its prediction.

    Attributes
    ----------
    quantity : str
        Name for people, such as "Long axis".
    unit : str
        Unit of predicted, measured and sd.
    predicted : float or None
        None when the run does not give the quantity.
    measured : float
        Mean of the measurements.
    sd : float or None
        Their standard deviation.
    frame : str
        "contracted" or "undeformed": the coordinates in which the two are compared; "" where it does not matter.
    """

    quantity: str
    unit: str
    predicted: float | None
    measured: float
    sd: float | None = None
    frame: str = ""

    @property
    def difference(self) -> float | None:
        """Predicted minus measured, in `unit`."""
        return None if self.predicted is None else self.predicted - self.measured

    @property
    def percent(self) -> float | None:
        """Difference in percent of the measured value; None for temperatures, whose zero is arbitrary."""
        if self.difference is None or self.measured == 0 or self.unit == "°C":
            return None
        return 100 * self.difference / self.measured

    @property
    def deviations(self) -> float | None:
        """Difference in standard deviations of the measurement."""
        return self.difference / self.sd if self.difference is not None and self.sd else None


@dataclass(frozen=True)
class Parameter:
    """A number that the run used: its value and range as text, status, source (citation key or words) and whether read.

    `verified` says whether the number was read in the named source; it is None where there is nothing to read.
    """

    name: str
    value: str
    unit: str
    status: str
    source: str
    verified: bool | None
    range: str = ""


@dataclass(frozen=True)
class Citation:
    """A source: citation key, full text, address, and whether every number taken from it was read in it."""

    key: str
    text: str
    verified: bool
    url: str | None = None


@dataclass(frozen=True, eq=False)
class ApplicatorDrawing:
    """What is needed to draw an applicator; metres, in the coordinates of the mesh.

    Attributes
    ----------
    name : str
        For the legend.
    tip, axis : (3,) float64
        Tip, and unit vector along the shaft to the handle.
    outline : (k, 2) float64
        Radius and height above the tip, from the axis at the tip upward; the shaft goes on above.
    heated : tuple of (float, float)
        Heights between which the shaft is an electrode or radiates.
    shafts : (n, 3) float64
        Offsets of parallel shafts from the first; one row of zeros unless it is a cluster.
    tines : tuple of (k, 3) float64
        Centrelines of deployed tines.
    """

    name: str
    tip: Floats
    axis: Floats
    outline: Floats
    heated: tuple[tuple[float, float], ...] = ()
    shafts: Floats = field(default_factory=lambda: np.zeros((1, 3)))
    tines: tuple[Floats, ...] = ()

    @classmethod
    def of(cls, applicator: Applicator) -> ApplicatorDrawing:
        """Take from an applicator what its drawing needs."""
        feet = np.column_stack([applicator.shafts, np.zeros(len(applicator.shafts))])
        return cls(
            name=applicator.name,
            tip=applicator.tip,
            axis=applicator.axis,
            outline=applicator.outline,
            heated=tuple((part.z0, part.z1) for part in applicator.sections if part.heated),
            shafts=applicator.to_world(feet) - applicator.tip,
            tines=tuple(applicator.to_world(tine.path) for tine in applicator.tines),
        )


@dataclass(frozen=True, eq=False)
class AntennaDrawing:
    """The inside of a microwave antenna, and where it heats tissue; metres, device frame.

    Attributes
    ----------
    title : str
        Of the device.
    parts : sequence of DrawnPart
        In the order of painting.
    materials : mapping of str to str
        What the legend says of each material of the parts, metal first.
    radius : float
        Of the shaft.
    radiating : (float, float)
        Lower and upper height of the radiating part.
    inside : (float, float)
        Lower and upper height between which there is something to see: the radiating part, and all below the port.
    points : (n, 2) float64
        Nodes (r, z) of the tissue.
    cells : (m, 3) int
        Their triangles.
    density : (n,) float64
        Absorbed power density at the nodes for one watt at the port, in unheated tissue [W/m3].
    """

    title: str
    parts: Sequence[DrawnPart]
    materials: Mapping[str, str]
    radius: float
    radiating: tuple[float, float]
    inside: tuple[float, float]
    points: Floats
    cells: Ints
    density: Floats


@dataclass(frozen=True, eq=False)
class ZoneWithout:
    """The zone of the same case without its vessels: its mesh, and the damage level at the nodes, shape (nodes,)."""

    mesh: Mesh
    level: Floats


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What is near the applicators; metres, in the coordinates of the mesh.

    Attributes
    ----------
    vessels : tuple of Vessel
    nearest : (3,) float64 or None
        Where the wall of a vessel is nearest to what heats; None when all are far away.
    without : ZoneWithout or None
        To compare with.
    tumour : Wall or None
        Surface of the tumour.
    notes : sequence of str
        What was mended in the files of the vessels, or assumed of their flow.
    """

    vessels: tuple[Vessel, ...]
    nearest: Floats | None = None
    without: ZoneWithout | None = None
    tumour: Wall | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class GreyImage:
    """A picture of the patient that was given for the planes, such as a CT.

    Attributes
    ----------
    values : (i, j, k) float32
        Of the voxels: HU of a CT.
    affine : (4, 4) float64
        From voxel indices (centres of voxels) to world coordinates, RAS, in metres.
    """

    values: NDArray[np.float32]
    affine: Floats


@dataclass(frozen=True, eq=False)
class DrawnStructure:
    """A structure of the patient: its name, its role as the anatomy has it, and its closed surface."""

    name: str
    role: str
    wall: Wall


@dataclass(frozen=True, eq=False)
class PatientDrawing:
    """The patient as pictures show it; metres, RAS.

    Attributes
    ----------
    structures : tuple of DrawnStructure
        Liver, tumours, vessels, organs: what the images of the patient have near the target.
    target : (3,) float64
        Where the anatomical planes meet: in the tumour.
    image : GreyImage or None
        To draw under the planes.
    """

    structures: tuple[DrawnStructure, ...]
    target: Floats
    image: GreyImage | None = None

    def of_role(self, *roles: str) -> list[DrawnStructure]:
        """The structures of some roles, in the order of the anatomy."""
        return [structure for structure in self.structures if structure.role in roles]


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything that a report shows.

    Attributes
    ----------
    title : str
        Title of the case.
    summary, device, provenance : sequence of (str, str)
        Rows of label and value: what was run, the device profile, and versions, hashes and date.
    zone : mapping
        The content of zone.json.
    history : mapping of str to (n,) float64
        The columns of history.csv.
    mesh : Mesh
        The tissue.
    temperature_power_off, temperature_end, temperature_max : (nodes,) float64
        Temperature when heating ended and when the zone was taken, and the highest of the whole run, in K.
    level : (nodes,) float64
        Damage level, positive inside the zone.
    displacement : (nodes, d) float64 or None
        Where the tissue of the contracted zone went, in metres; None with a uniform contraction.
    level_label : str
        Name and unit of the level.
    criterion : str
        What counts as ablated, in words.
    level_span : float
        The picture of the level runs from -level_span to +level_span.
    applicators : sequence of ApplicatorDrawing
        In the order of the case.
    antennas : sequence of AntennaDrawing
        Each kind of microwave antenna once.
    surroundings : Surroundings or None
        Vessels and tumour to draw.
    patient : PatientDrawing or None
        Of a case that has images of a patient.
    margins : CaseMargins or None
        Of a case with a tumour.
    measured : sequence of MeasuredRow
        Empty when the case carries no measurement.
    measured_source : str
        Where the measurement is from, with the number of experiments.
    probes : mapping of str to (3,) float64
        Places of the probes, in metres.
    warnings : sequence of str
        Beyond those in `zone`.
    events : sequence of (float, str)
        Time in s and what happened.
    parameters : sequence of Parameter
        Numbers used.
    citations : sequence of Citation
        Their sources.
    """

    title: str
    summary: Sequence[tuple[str, str]]
    device: Sequence[tuple[str, str]]
    zone: Mapping[str, Any]
    history: Mapping[str, Floats]
    mesh: Mesh
    temperature_power_off: Floats
    temperature_end: Floats
    temperature_max: Floats
    level: Floats
    displacement: Floats | None = None
    criterion: str = ""
    level_label: str = "damage level ln Ω"
    level_span: float = 4.0
    applicators: Sequence[ApplicatorDrawing] = ()
    antennas: Sequence[AntennaDrawing] = ()
    surroundings: Surroundings | None = None
    patient: PatientDrawing | None = None
    margins: CaseMargins | None = None
    measured: Sequence[MeasuredRow] = ()
    measured_source: str = ""
    probes: Mapping[str, Floats] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    events: Sequence[tuple[float, str]] = ()
    parameters: Sequence[Parameter] = ()
    citations: Sequence[Citation] = ()
    provenance: Sequence[tuple[str, str]] = ()
