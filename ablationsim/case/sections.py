"""The tables of a case file, one model each. Quantities are text with units in the file and SI floats here."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from ablationsim.case.contraction import HistoryOrStrain
from ablationsim.device.protocol import NotNegative, Positive, Step
from ablationsim.units import (
    ZERO_CELSIUS,
    Angle,
    Duration,
    Fraction,
    Length,
    LengthUnit,
    Ratio,
    Temperature,
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


def _numbers(value: Any) -> tuple[float, ...]:
    """Four rows of four numbers, or 16 numbers, as 16 numbers."""
    rows = value if isinstance(value, (list, tuple)) else [value]
    found = [number for row in rows for number in (row if isinstance(row, (list, tuple)) else [row])]
    sound = all(isinstance(n, (int, float)) and not isinstance(n, bool) and isfinite(n) for n in found)
    if len(found) != 16 or len(rows) not in (4, 16) or not sound:
        raise ValueError(f"expects a matrix of 16 finite numbers without units, as four rows of four, got {value!r}")
    return tuple(float(number) for number in found)


Pose = Annotated[tuple[float, ...], BeforeValidator(_numbers)]
"""Matrix of 16 numbers, row by row, or as four rows of four."""

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

    Its place is one of: a tip with a direction or an entry, a target with a direction or an entry, a needle, or a pose.

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
    entry : tuple of float or None
        Where the needle enters the patient, world coordinates [m]; instead of a direction.
    target : tuple of float or None
        What the needle is aimed at, world coordinates [m]; instead of a tip.
    advance : float or None
        How far the tip is beyond the target [m]; when not given, so far that the middle of the electrode, or the feed
        of the antenna, lies on it.
    needle : str or None
        Line from entry to target that was drawn in 3D Slicer (.mrk.json), relative to the case file.
    target_first : bool
        Whether the line was drawn from the target.
    pose : tuple of 16 float or None
        Matrix from the device's frame to the patient (RAS), row by row; its translation in millimetres.
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
    entry: Point | None = None
    target: Point | None = None
    advance: Length | None = None
    needle: str | None = None
    target_first: StrictBool = False
    pose: Pose | None = None
    protocol: tuple[Step, ...] | None = Field(default=None, min_length=1)
    start: Annotated[Duration, NotNegative] = 0.0
    repeat: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _has_direction(self) -> Self:
        if not any(self.direction):
            raise ValueError("direction has no length; give a vector from the tip toward the handle such as [0, 0, 1]")
        return self

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = self.model_fields_set
        deep = [key for key in ("tip", "target", "needle", "pose") if key in given]
        if len(deep) > 1:
            raise ValueError(f"{' and '.join(deep)} exclude each other: each says where the needle ends")
        allowed = {
            "direction": ("tip", "target", None),
            "entry": ("tip", "target"),
            "advance": ("target", "needle"),
            "target_first": ("needle",),
            "roll": ("tip", "target", "needle", None),
        }
        way = deep[0] if deep else None
        for key, ways in allowed.items():
            if key in given and way not in ways:
                found = f"a {way}" if way else "neither tip nor target"
                raise ValueError(f"{key} belongs to {' or '.join(filter(None, ways))}, and there is {found}")
        if {"direction", "entry"} <= given:
            raise ValueError("direction and entry exclude each other: both say where the needle comes from")
        if way == "target" and not {"direction", "entry"} & given:
            raise ValueError("target needs entry, or a direction from the tip toward the handle")
        if self.entry is not None and self.entry == (self.tip if self.target is None else self.target):
            raise ValueError(f"entry and {way} are the same point, so the needle has no direction")
        return self


class DomainSection(Section):
    """``[domain]``: the block of tissue around the applicators.

    Extents left out give 50 mm of tissue on every side, and 80 mm above the radiating part of an antenna.

    Attributes
    ----------
    shape : {"cylinder", "box"}
        Cylinder, or a box along the axes of the world.
    frame : {"world", "applicator"} or None
        Whether the cylinder's axis is parallel to the world's z axis, or to the shaft of the first applicator; then
        moving or turning all applicators as one moves the whole mesh with them. When not given, "applicator" if the
        case has vessels, a tumour or a patient, and no centre, box or mesh of its own; else "world".
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
    """``[mesh]``: the size of the elements, and what their faces follow.

    Attributes
    ----------
    resolution : float
        2 makes every element twice as large, 0.5 half as large.
    vessels : {"embedded", "fitted"}
        "embedded": the mesh does not depend on the vessels; heat is exchanged on their walls wherever these cut
        through it. "fitted": walls of straight tubes are facets of the mesh.
    liver : {"embedded", "fitted"}
        "fitted": the surface of the patient's liver is made of facets; outside it is a region of its own.
    tumour : {"embedded", "fitted"}
        "fitted": the surface of the tumour is made of facets; its inside is a region of its own.
    """

    resolution: Annotated[Ratio, _within(0.25, 4.0, "ratio", "limits of the mesh sizing")] = 1.0
    vessels: Literal["embedded", "fitted"] = "embedded"
    liver: Literal["embedded", "fitted"] = "embedded"
    tumour: Literal["embedded", "fitted"] = "embedded"

    @model_validator(mode="after")
    def _fitted_to_one_kind(self) -> Self:
        parts = [name for name in ("liver", "tumour") if getattr(self, name) == "fitted"]
        if parts and self.vessels == "fitted":
            raise ValueError(
                f"vessels and {' and '.join(parts)} are 'fitted', but a mesh is fitted either to straight vessels or "
                "to parts of a patient; leave one of them 'embedded'"
            )
        return self


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
