"""The tables of a case file, one model each. Quantities are text with units in the file and SI floats here."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, model_validator

from ablationsim.case.contraction import HistoryOrStrain
from ablationsim.device.protocol import NotNegative, Positive, Step
from ablationsim.units import (
    ZERO_CELSIUS,
    Angle,
    Conductivity,
    Density,
    Duration,
    Fraction,
    HeatCapacity,
    Length,
    PerfusionRate,
    Ratio,
    RelativeSlope,
    Temperature,
    TemperatureDifference,
    ThermalConductivity,
    ThermalConductivitySlope,
    Volume,
    VolumetricHeatCapacity,
    show,
)


def _within(low: float, high: float, dimension: str, origin: str) -> AfterValidator:
    """Refuse a value outside [low, high] (SI), naming the limits and where they come from."""

    def check(value: float) -> float:
        if not low <= value <= high:
            limits = f"{show(low, dimension)} to {show(high, dimension)}"
            raise ValueError(f"{show(value, dimension)} is outside {limits} ({origin})")
        return value

    return AfterValidator(check)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
"""Becomes part of file contents and column names: letters, digits, and ``_ . -``."""

Point = tuple[Length, Length, Length]
"""Position (x, y, z) in world coordinates [m]."""


LengthUnit = Literal["m", "cm", "mm", "um"]
"""Units of the coordinates in files that carry no unit of their own."""

Extent = Annotated[Length, Positive, _within(0.0, 1.0, "length", "limit of the program for a block of tissue")]
"""Size of the modelled block [m]."""


class Section(BaseModel):
    """What all tables have in common: unknown keys are refused and nothing changes after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeviceSection(Section):
    """``[device]``: one applicator with its tip at the origin and its shaft along +z.

    Attributes
    ----------
    profile : str
        Name of a shipped profile, or the path of a ``.toml`` file.
    """

    profile: str


class ApplicatorSection(Section):
    """``[[applicator]]``: an applicator with a place and a protocol of its own.

    Attributes
    ----------
    name : str
        Unique in the case.
    profile : str
        Name of a shipped profile, or the path of a ``.toml`` file.
    tip : tuple of float
        Position of the tip, world coordinates [m].
    direction : tuple of float
        From the tip toward the handle; any length but zero.
    roll : float
        Rotation about the shaft [rad].
    protocol : tuple of Step
        That of the profile when not given.
    start : float
        Delay before the protocol begins [s].
    repeat : int
        How often the protocol runs.
    """

    name: Name
    profile: str
    tip: Point = (0.0, 0.0, 0.0)
    direction: tuple[Ratio, Ratio, Ratio] = (0.0, 0.0, 1.0)
    roll: Angle = 0.0
    protocol: tuple[Step, ...] | None = Field(default=None, min_length=1)
    start: Annotated[Duration, NotNegative] = 0.0
    repeat: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _has_direction(self) -> Self:
        if not any(self.direction):
            raise ValueError("direction has no length; give a vector from the tip toward the handle such as [0, 0, 1]")
        return self


class TissueSection(Section):
    """``[tissue]``: a property set and what differs from it; a value given here must lie in the range of the set.

    Attributes
    ----------
    set : str
        Name of a tissue set.
    temperature : float or None
        Temperature before heating [K].
    perfusion : float or None
        Perfusion rate of intact tissue [1/s].
    electric_conductivity, thermal_conductivity : float or None
        Conductivities at 37 °C [S/m, W/m/K].
    dielectric : str or None
        Name of a dielectric law for microwaves, or "default".
    permittivity, microwave_conductivity : float or None
        Relative permittivity and effective conductivity at 37 °C and the frequency of the antenna [1, S/m]; the law is
        scaled to them.
    vapour_carried : float or None
        Share of the water that boils off whose vapour condenses elsewhere.
    vapour_reach : float or None
        Depth to which vapour enters tissue that does not boil [m].
    vapour_time : float or None
        Time in which vapour that has left condenses [s].
    rewetting_time : float or None
        Time in which water returns to tissue that no longer boils [s].
    perfusion_remaining : float or None
        Share of the perfusion that is left in coagulated tissue.
    """

    set: str
    temperature: Temperature | None = None
    perfusion: PerfusionRate | None = None
    perfusion_remaining: Fraction | None = None
    electric_conductivity: Conductivity | None = None
    electric_conductivity_slope: RelativeSlope | None = None
    electric_conductivity_dried: Fraction | None = None
    dielectric: str | None = None
    permittivity: Ratio | None = None
    microwave_conductivity: Conductivity | None = None
    thermal_conductivity: ThermalConductivity | None = None
    thermal_conductivity_slope: ThermalConductivitySlope | None = None
    vapour_carried: Fraction | None = None
    vapour_reach: Length | None = None
    vapour_time: Duration | None = None
    rewetting_time: Duration | None = None
    density: Density | None = None
    heat_capacity: HeatCapacity | None = None
    heat_capacity_rise: Ratio | None = None
    dried_heat_capacity: VolumetricHeatCapacity | None = None
    water_fraction: Fraction | None = None
    vaporisation_lower: Temperature | None = None
    blood_temperature: Temperature | None = None
    blood_density: Density | None = None
    blood_heat_capacity: HeatCapacity | None = None

    @property
    def overrides(self) -> dict[str, float]:
        """The numbers given beside the set, by the names of the set (SI)."""
        given = {
            key: value for key, value in self.model_dump(exclude={"set", "dielectric"}).items() if value is not None
        }
        return {"initial_temperature" if key == "temperature" else key: value for key, value in given.items()}


class DomainSection(Section):
    """``[domain]``: the block of tissue around the applicators.

    Extents left out give 50 mm of tissue on every side, and 80 mm above the radiating part of an antenna.

    Attributes
    ----------
    shape : {"cylinder", "box"}
        Cylinder, or a box along the axes of the world.
    frame : {"world", "applicator"} or None
        Whether the cylinder's axis is parallel to the world's z axis, or to the shaft of the only applicator; then
        moving or turning the applicator moves the whole mesh with it. When not given, "applicator" if the case has
        vessels or a tumour, one applicator, and no centre, box or mesh of its own; else "world".
    centre : tuple of float or None
        Centre, world coordinates [m]; that of all conductors when not given.
    radius, height : float or None
        Extents of the cylinder [m].
    size : tuple of float or None
        Extents of the box along x, y and z [m].
    dimension : {"auto", "axisymmetric", "3d"}
    boundary : {"far_field", "grounded", "insulated"}
        Electric condition on the outer boundary.
    mesh : str or None
        Mesh file to use instead of a generated one, relative to the case file.
    mesh_unit : {"m", "cm", "mm", "um"}
        Unit of the coordinates in that file.
    mesh_regions, mesh_facets : dict of str to int or None
        Names for the numbers of regions and facets in a file that has no names. The inside of a vessel is the region
        ``lumen:<name of the vessel>``.
    """

    shape: Literal["cylinder", "box"] = "cylinder"
    frame: Literal["world", "applicator"] | None = None
    centre: Point | None = None
    radius: Extent | None = None
    height: Extent | None = None
    size: tuple[Extent, Extent, Extent] | None = None
    dimension: Literal["auto", "axisymmetric", "3d"] = "auto"
    boundary: Literal["far_field", "grounded", "insulated"] = "far_field"
    mesh: str | None = None
    mesh_unit: LengthUnit = "m"
    mesh_regions: dict[str, int] | None = None
    mesh_facets: dict[str, int] | None = None

    @model_validator(mode="after")
    def _extents_of_the_shape(self) -> Self:
        if self.shape == "cylinder" and self.size is not None:
            raise ValueError("size belongs to a box; a cylinder has radius and height")
        if self.shape == "box" and (self.radius is not None or self.height is not None):
            raise ValueError("radius and height belong to a cylinder; a box has size")
        if self.shape == "box" and self.frame == "applicator":
            raise ValueError("frame = 'applicator' belongs to a cylinder; a box lies along the axes of the world")
        return self


class MicrowaveSection(Section):
    """``[microwave]``: how the field of microwave antennas follows the heating of the tissue.

    Attributes
    ----------
    coupling : {"full", "fast"}
        "full" solves the field again as the tissue changes; "fast" solves it once, for unheated tissue, and lets the
        absorbed power follow the conductivity.
    resolve : float
        Change of the dielectric properties, weighted with the absorbed power, at which the field is solved again.
    drying : {"irreversible", "reversible"}
        Whether the dielectric properties follow the highest temperature so far, or the present one.
    floors : bool
        Whether permittivity and conductivity of dried tissue stay above a least value.
    shaft_heating : bool
        Whether the loss of the line inside the needle heats the tissue along the shaft.
    """

    coupling: Literal["full", "fast"] = "full"
    resolve: Annotated[Fraction, _within(0.001, 0.5, "fraction", "limits of the field update")] = 0.02
    drying: Literal["irreversible", "reversible"] = "irreversible"
    floors: StrictBool = True
    shaft_heating: StrictBool = True


class ProbeSection(Section):
    """``[[probe]]``: a point whose temperature is recorded.

    Attributes
    ----------
    name : str
        Unique in the case; names the column in the history.
    position : tuple of float
        World coordinates [m].
    """

    name: Name
    position: Point


class ZoneSection(Section):
    """``[zone]``: which tissue counts as ablated, and how it is measured.

    Attributes
    ----------
    criterion : {"arrhenius", "cem43", "isotherm", "three_state"}
    arrhenius_set : {"whitening", "low_threshold", "skin"}
        Kinetic parameters for the criterion "arrhenius".
    isotherm_temperature : float
        For the criterion "isotherm" [K].
    cooling : float
        Time that the tissue cools after the last protocol has ended, before the zone is taken [s].
    contraction : "history" or float
        How the contracted zone is found: from the history of the temperature, or as one uniform linear strain.
    contraction_time : float
        Time constant of the contraction that follows the temperature [s].
    """

    criterion: Literal["arrhenius", "cem43", "isotherm", "three_state"] = "arrhenius"
    arrhenius_set: Literal["whitening", "low_threshold", "skin"] = "whitening"
    isotherm_temperature: Annotated[
        Temperature,
        _within(40.0 + ZERO_CELSIUS, 100.0 + ZERO_CELSIUS, "temperature", "lethal temperatures below boiling"),
    ] = 60.0 + ZERO_CELSIUS
    cooling: Annotated[Duration, _within(0.0, 3600.0, "duration", "limit of the program")] = 60.0
    contraction: Annotated[float | Literal["history"], HistoryOrStrain()] = "history"
    contraction_time: Annotated[
        Duration, _within(1.0, 3600.0, "duration", "30 to 300 s would agree with measurements")
    ] = 100.0


class MeshSection(Section):
    """``[mesh]``: the size of the elements, and whether they follow the walls of vessels.

    Attributes
    ----------
    resolution : float
        2 makes every element twice as large, 0.5 half as large.
    vessels : {"embedded", "fitted"}
        "embedded": the mesh does not depend on the vessels; heat is exchanged on their walls wherever these cut
        through it. "fitted": walls of straight tubes are facets of the mesh.
    """

    resolution: Annotated[Ratio, _within(0.25, 4.0, "ratio", "limits of the mesh sizing")] = 1.0
    vessels: Literal["embedded", "fitted"] = "embedded"


class TimeSection(Section):
    """``[time]``: accuracy of the time steps, and how often a checkpoint is written.

    Attributes
    ----------
    tolerance : float
        Factor on the default tolerance of the step control.
    checkpoint_interval : float
        Wall-clock time between checkpoints [s]; of no influence on results.
    """

    tolerance: Annotated[Ratio, _within(0.05, 10.0, "ratio", "limits of the step control")] = 1.0
    checkpoint_interval: Annotated[Duration, Positive] = 300.0


class MeasuredLength(Section):
    """A measured length with its standard deviation [m]."""

    value: Annotated[Length, Positive]
    sd: Annotated[Length, NotNegative] | None = None


class MeasuredVolume(Section):
    """A measured volume with its standard deviation [m3]."""

    value: Annotated[Volume, Positive]
    sd: Annotated[Volume, NotNegative] | None = None


class TimeTo(Section):
    """Measured time until a probe reached a temperature [K, s]."""

    temperature: Temperature
    value: Annotated[Duration, Positive]
    sd: Annotated[Duration, NotNegative] | None = None


class MeasuredProbe(Section):
    """``[[measured.probe]]``: what was measured at a probe of the case.

    Attributes
    ----------
    name : str
        Name of a probe of the case.
    max_temperature, sd : float or None
        Highest temperature and its standard deviation [K].
    time_to : TimeTo or None
    """

    name: str
    max_temperature: Temperature | None = None
    sd: Annotated[TemperatureDifference, NotNegative] | None = None
    time_to: TimeTo | None = None


class MeasuredSection(Section):
    """``[measured]``: the experiment to compare with.

    Attributes
    ----------
    source : str
        Publication.
    frame : {"contracted", "undeformed"}
        Whether sizes were taken on the ablated, shrunken tissue.
    n : int or None
        Number of ablations.
    long_axis, short_axis, axial_length, transverse_diameter : MeasuredLength or None
    volume : MeasuredVolume or None
    probe : tuple of MeasuredProbe
    """

    source: str
    frame: Literal["contracted", "undeformed"] = "contracted"
    n: int | None = Field(default=None, ge=1)
    long_axis: MeasuredLength | None = None
    short_axis: MeasuredLength | None = None
    axial_length: MeasuredLength | None = None
    transverse_diameter: MeasuredLength | None = None
    volume: MeasuredVolume | None = None
    probe: tuple[MeasuredProbe, ...] = ()
