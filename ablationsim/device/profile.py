"""Device profiles: the applicator, its generator and its usual protocol, read from ``devices/*.toml``.

Device frame: the tip of the shaft is the origin and the shaft runs along +z, toward the handle. In a profile every
number is a table ``{ value, status, verified, source, ... }``; the models hold the plain SI value, and
`Device.parameters` holds its origin.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ablationsim.device.protocol import NotNegative, Positive, Step, TemperatureStep
from ablationsim.errors import DeviceError, best_match, problems_of
from ablationsim.provenance import Sourced
from ablationsim.units import (
    Angle,
    Current,
    Duration,
    Frequency,
    IntegralGain,
    Length,
    Power,
    ProportionalGain,
    Quantity,
    Ratio,
    Resistance,
    Temperature,
    Voltage,
    WallCoefficient,
    show,
)

Terminal = Literal["active", "return"]
PositiveLength = Annotated[Length, Positive]


def _whole(value: float) -> int:
    if value < 1.0 or value != int(value):
        raise ValueError(f"must be a whole number of at least 1, got {value:g}")
    return int(value)


Count = Annotated[int, Quantity("ratio"), AfterValidator(_whole)]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class SectionSpec(_Spec):
    """A stretch of the shaft.

    Attributes
    ----------
    name : str
        Becomes part of the facet name; unique, and not "tine".
    length : float
        [m]
    terminal : {"active", "return"} or None
        Electric terminal; None is insulated.
    wall_coefficient : float
        Heat transfer from the tissue to the coolant [W/m2/K]; 0 is adiabatic.
    coolant_temperature : float
        [K]; has to be given where the coefficient is not 0, has no effect where it is 0.
    """

    name: str
    length: PositiveLength
    terminal: Terminal | None = None
    wall_coefficient: Annotated[WallCoefficient, NotNegative]
    coolant_temperature: Temperature = Field(default="20 degC", validate_default=True)

    @model_validator(mode="after")
    def _coolant(self) -> Self:
        if self.wall_coefficient > 0.0 and "coolant_temperature" not in self.model_fields_set:
            raise ValueError(f"section '{self.name}' is cooled but has no coolant_temperature")
        return self


class TineSpec(_Spec):
    """A ring of equal tines, evenly spaced in azimuth.

    Attributes
    ----------
    count : int
    radius : float
        Of the wire [m].
    path : tuple of (float, float)
        Centreline (r, z) in the tine's own half plane, from the root to the end, device frame [m].
    azimuth0 : float
        Azimuth of the first tine [rad].
    terminal : {"active", "return"} or None
        Terminal of the bare part.
    exposed_from : float
        Arc length from the root that is insulated [m].
    """

    count: Count
    radius: PositiveLength
    path: tuple[tuple[Length, Length], ...] = Field(min_length=2)
    azimuth0: Angle = 0.0
    terminal: Terminal | None = "active"
    exposed_from: Annotated[Length, NotNegative] = 0.0

    @property
    def root_z(self) -> float:
        """Height at which the tines leave the shaft [m]."""
        return self.path[0][1]


class ClusterSpec(_Spec):
    """Parallel needles on the corners of a regular polygon, all one terminal; the device frame lies in its centre.

    Attributes
    ----------
    count : int
    spacing : float
        Side of the polygon, between axes [m].
    """

    count: Count
    spacing: PositiveLength


class ApplicatorSpec(_Spec):
    """The part that is in the tissue.

    Attributes
    ----------
    diameter : float
        Outer diameter of the shaft [m].
    tip_shape : {"conical", "hemispherical", "flat"}
    tip_length : float
        Length over which the tip widens to the diameter [m]; part of the lowest section(s); 0 when flat.
    sections : tuple of SectionSpec
        Stacked from the tip upward; the last one continues out of the tissue.
    tines : tuple of TineSpec
    cluster : ClusterSpec or None
    thermocouples : tuple of (float, float, float)
        Positions (x, y, z), device frame [m], read at the nearest point of tissue; the tip temperature is their mean.
    """

    diameter: PositiveLength
    tip_shape: Literal["conical", "hemispherical", "flat"]
    tip_length: Annotated[Length, NotNegative] = 0.0
    sections: tuple[SectionSpec, ...] = Field(min_length=1)
    tines: tuple[TineSpec, ...] = ()
    cluster: ClusterSpec | None = None
    thermocouples: tuple[tuple[Length, Length, Length], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [section.name for section in self.sections]
        if len(set(names)) < len(names) or "tine" in names:
            raise ValueError(f"sections need names of their own, other than 'tine'; got {', '.join(names)}")
        if (self.tip_shape == "conical") != (self.tip_length > 0.0) and self.tip_shape != "hemispherical":
            raise ValueError(
                f"a {self.tip_shape} tip with a tip_length of {show(self.tip_length, 'length')} contradicts itself"
            )
        if "active" not in self.terminals:
            raise ValueError("no section and no tine is the active terminal")
        return self

    @property
    def terminals(self) -> frozenset[Terminal]:
        """The terminals present: "active", and "return" on a bipolar applicator."""
        found = {section.terminal for section in self.sections} | {tine.terminal for tine in self.tines}
        return frozenset(terminal for terminal in found if terminal is not None)


class PiGains(_Spec):
    """Gains of the temperature control: proportional [W/K] and integral [W/K/s]."""

    kp: Annotated[ProportionalGain, Positive]
    ki: Annotated[IntegralGain, NotNegative]


class GeneratorSpec(_Spec):
    """The generator's limits and habits.

    Attributes
    ----------
    max_power, max_voltage, max_current : float
        Ceilings, effective values [W, V, A]; None is no limit known.
    internal_impedance : float or None
        [ohm]; a set power P then delivers ``4 P R R_i / (R + R_i)**2`` into the load R.
    pi_gains : PiGains or None
        None where the generator cannot hold a temperature.
    frequency : float
        [Hz]
    sample_time : float
        Sampling interval of the temperature control [s].
    """

    max_power: Annotated[Power, Positive]
    max_voltage: Annotated[Voltage, Positive] | None = None
    max_current: Annotated[Current, Positive] | None = None
    internal_impedance: Annotated[Resistance, Positive] | None = None
    pi_gains: PiGains | None = None
    frequency: Annotated[Frequency, Positive]
    sample_time: Annotated[Duration, Positive] = Field(default="1 s", validate_default=True)


class InfusionSpec(_Spec):
    """Saline in the tissue round the tip, as an effective electric conductivity.

    Attributes
    ----------
    radius : float
        From the axis of the shaft [m].
    length : float
        From the tip upward [m].
    conductivity_factor : float
        Multiplier of the tissue's electric conductivity.
    """

    radius: PositiveLength
    length: PositiveLength
    conductivity_factor: Annotated[Ratio, Positive]


class Device(_Spec):
    """A device profile.

    Attributes
    ----------
    name : str
        Name of the file, without its ending.
    title, like, notes : str
        What it is, the product it resembles, and what is worth knowing.
    modality : {"rfa"}
    applicator : ApplicatorSpec
    generator : GeneratorSpec
    infusion : InfusionSpec or None
    default_protocol : tuple of Step
        Run when a case brings no protocol.
    parameters : dict of str to Sourced
        Origin of every number, by its place in the file, such as ``"applicator.sections[1].length"``.
    """

    name: str
    title: str
    like: str
    modality: Literal["rfa"]
    notes: str = ""
    applicator: ApplicatorSpec
    generator: GeneratorSpec
    infusion: InfusionSpec | None = None
    default_protocol: tuple[Step, ...] = Field(min_length=1)
    parameters: dict[str, Sourced]

    @classmethod
    def names(cls) -> list[str]:
        """Names of the profiles that come with the package."""
        return sorted(path.stem for path in _directory().glob("*.toml"))

    @classmethod
    def load(cls, name: str | Path) -> Device:
        """Read a profile by its name, or from a file of one's own.

        Parameters
        ----------
        name : str or Path
            One of `names`, or the path of a ``.toml`` file.

        Raises
        ------
        DeviceError
            If there is no such profile, or it is malformed; the message holds every problem found.
        """
        path = Path(name)
        if path.suffix != ".toml":
            if str(name) not in cls.names():
                raise DeviceError(f"no device profile '{name}'{best_match(str(name), cls.names())}")
            path = _directory() / f"{name}.toml"
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DeviceError(f"the device profile {path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            # Not TOML, not UTF-8, or a path that no file can have.
            raise DeviceError(f"the device profile {str(path)!r} is not valid TOML: {error}") from error
        return cls._from_dict(path.stem, data)

    @classmethod
    def _from_dict(cls, name: str, data: dict[str, Any]) -> Device:
        parameters: dict[str, Sourced] = {}
        problems: list[str] = []
        plain = _take_apart(data, [cls], "", parameters, problems)
        if not problems:
            try:
                return cls.model_validate({**plain, "name": name, "parameters": parameters})
            except ValidationError as error:
                problems = problems_of(error, cls)
        raise DeviceError(
            f"the device profile '{name}' is malformed:\n" + "\n".join(f"  - {problem}" for problem in problems)
        )

    def protocol_problems(self, steps: Sequence[Step]) -> list[str]:
        """What this device's generator cannot do of a protocol.

        Returns
        -------
        list of str
            One sentence a finding: its place such as ``protocol[1].power``, the value, the limit and its origin.
        """
        found = []
        for number, step in enumerate(steps, start=1):
            for key, field in type(step).model_fields.items():
                marker = _marker(*field.metadata, field.annotation)
                limit_name = f"max_{marker.dimension}" if marker is not None else ""
                limit, value = getattr(self.generator, limit_name, None), getattr(step, key)
                if marker is not None and limit is not None and value is not None and value > limit * (1.0 + 1e-9):
                    wanted, allowed = show(value, marker.dimension), show(limit, marker.dimension)
                    origin = self.parameters[f"generator.{limit_name}"].origin
                    found.append(
                        f"protocol[{number}].{key}: {wanted} is above the limit of {allowed} of {self.name} ({origin})"
                    )
            if isinstance(step, TemperatureStep) and self.generator.pi_gains is None:
                found.append(
                    f"protocol[{number}].mode: {self.name} cannot hold a temperature (its generator has no pi_gains)"
                )
        return found


def _directory() -> Path:
    """Where the profiles are: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "_data" / "devices"
    return shipped if shipped.is_dir() else package.parent / "devices"


def _marker(*parts: Any) -> Quantity | None:
    """The dimension marker of a field, wherever it stands in its annotation."""
    for part in parts:
        found = part if isinstance(part, Quantity) else _marker(*get_args(part))
        if found is not None:
            return found
    return None


def _models(*annotations: Any) -> list[type[BaseModel]]:
    """The models that annotations speak of, at any depth."""
    found: list[type[BaseModel]] = []
    for part in annotations:
        # A generic alias such as tuple[float, ...] is no class to issubclass.
        if get_origin(part) is None and isinstance(part, type) and issubclass(part, BaseModel):
            found.append(part)
        else:
            found.extend(_models(*get_args(part)))
    return found


def _take_apart(
    data: Any, models: list[type[BaseModel]], place: str, parameters: dict[str, Sourced], problems: list[str]
) -> Any:
    """Replace the table of every number by its value as written; the tables go to `parameters`, by place.

    Lists of coordinates stay as they are: what they rest on is said in the notes of the profile.
    """
    if isinstance(data, list):
        return [
            _take_apart(item, models, f"{place}[{i}]", parameters, problems) for i, item in enumerate(data, start=1)
        ]
    if not isinstance(data, Mapping):
        return data
    plain: dict[str, Any] = {}
    for key, value in data.items():
        where = f"{place}.{key}" if place else key
        fields = [model.model_fields[key] for model in models if key in model.model_fields]
        marker = next(
            (found for field in fields if (found := _marker(*field.metadata, field.annotation)) is not None), None
        )
        if marker is None or isinstance(value, list):
            inner = _models(*(field.annotation for field in fields))
            plain[key] = _take_apart(value, inner, where, parameters, problems)
            continue
        try:
            parameters[where] = Sourced.read(value, marker.dimension)
        except ValueError as error:
            problems.append(f"{where}: {error}")
        else:
            plain[key] = value["value"]
    return plain
