"""Device profiles: the applicator, its generator and its usual protocol, read from ``devices/*.toml``.

Device frame: the tip of the shaft is the origin and the shaft runs along +z, toward the handle. In a profile every
number is a table ``{ value, status, verified, source, ... }``; the models hold the plain SI value, and
`Device.parameters` holds its origin.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ablationsim.device.antenna import AntennaSpec
from ablationsim.device.origins import change, marker_of, take_apart
from ablationsim.device.protocol import (
    NotNegative,
    OffStep,
    Positive,
    PowerStep,
    PullbackStep,
    PulsedStep,
    Step,
    TemperatureStep,
)
from ablationsim.device.spec import Count, PositiveLength, Spec
from ablationsim.errors import DeviceError, best_match, problems_of
from ablationsim.provenance import Sourced
from ablationsim.units import (
    SI,
    Angle,
    Current,
    Duration,
    FlowRate,
    Frequency,
    IntegralGain,
    Length,
    Power,
    ProportionalGain,
    Ratio,
    Resistance,
    Temperature,
    Voltage,
    WallCoefficient,
    show,
)

Terminal = Literal["active", "return"]


class SectionSpec(Spec):
    """A stretch of the shaft.

    Attributes
    ----------
    name : str
        Becomes part of the facet name; unique, and not "tine".
    length : float
        [m]
    upper_end : str or None
        Height of its upper end, as a sum of dimensions of the antenna; in place of a length, which then follows them.
    terminal : {"active", "return"} or None
        Electric terminal; None is insulated.
    wall_coefficient : float
        Heat transfer from the tissue to the coolant [W/m2/K]; 0 is adiabatic.
    coolant_temperature : float
        [K]; has to be given where the coefficient is not 0, has no effect where it is 0.
    radiating : bool
        Whether the antenna of a microwave applicator radiates here.
    """

    name: str
    length: PositiveLength = 0.0
    upper_end: str | None = None
    terminal: Terminal | None = None
    wall_coefficient: Annotated[WallCoefficient, NotNegative]
    coolant_temperature: Temperature = Field(default="20 degC", validate_default=True)
    radiating: bool = False

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.upper_end is None and "length" not in self.model_fields_set:
            raise ValueError(f"section '{self.name}' has neither a length nor, on an antenna, an upper_end")
        if self.wall_coefficient > 0.0 and "coolant_temperature" not in self.model_fields_set:
            raise ValueError(f"section '{self.name}' is cooled but has no coolant_temperature")
        return self


class TineSpec(Spec):
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


class ClusterSpec(Spec):
    """Parallel needles on the corners of a regular polygon, all one terminal; the device frame lies in its centre.

    Attributes
    ----------
    count : int
    spacing : float
        Side of the polygon, between axes [m].
    """

    count: Count
    spacing: PositiveLength


class ApplicatorSpec(Spec):
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
        return self

    @property
    def length(self) -> float:
        """Length of the modelled shaft, all sections together [m], rounded to a picometre."""
        return round(sum(section.length for section in self.sections), 12)

    @property
    def terminals(self) -> frozenset[Terminal]:
        """The terminals present: "active", and "return" on a bipolar applicator."""
        found = {section.terminal for section in self.sections} | {tine.terminal for tine in self.tines}
        return frozenset(terminal for terminal in found if terminal is not None)


class PiGains(Spec):
    """Gains of the temperature control: proportional [W/K] and integral [W/K/s]."""

    kp: Annotated[ProportionalGain, Positive]
    ki: Annotated[IntegralGain, NotNegative]


class GeneratorSpec(Spec):
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


class InfusionSpec(Spec):
    """Saline in the tissue round the tip: an effective electric conductivity, and water for what boils away.

    Attributes
    ----------
    radius : float
        From the axis of the shaft [m].
    length : float
        From the tip upward [m].
    conductivity_factor : float
        Multiplier of the tissue's electric conductivity.
    flow : float
        Water that reaches dried tissue there [m3/s].
    """

    radius: PositiveLength
    length: PositiveLength
    conductivity_factor: Annotated[Ratio, Positive]
    flow: Annotated[FlowRate, NotNegative] = 0.0


class Device(Spec):
    """A device profile.

    Attributes
    ----------
    name : str
        Name of the file, without its ending.
    title, like, notes : str
        What it is, the product it resembles, and what is worth knowing.
    modality : {"rfa", "mwa"}
        Radiofrequency or microwave ablation.
    applicator : ApplicatorSpec
    antenna : AntennaSpec or None
        Of a microwave applicator.
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
    modality: Literal["rfa", "mwa"]
    notes: str = ""
    applicator: ApplicatorSpec
    antenna: AntennaSpec | None = None
    generator: GeneratorSpec
    infusion: InfusionSpec | None = None
    default_protocol: tuple[Step, ...] = Field(min_length=1)
    parameters: dict[str, Sourced]

    @model_validator(mode="after")
    def _follow_the_antenna(self) -> Self:
        """Give sections that end at a dimension of the antenna their length."""
        sections: list[SectionSpec] = []
        z = 0.0
        for section in self.applicator.sections:
            if section.upper_end is not None:
                if self.antenna is None:
                    raise ValueError(f"section '{section.name}' has an upper_end, but only an antenna has dimensions")
                end = self.antenna.length(section.upper_end, surface=self.applicator.diameter / 2.0, end=0.0)
                if end <= z:
                    raise ValueError(
                        f"section '{section.name}' ends at {show(end, 'length')} (upper_end = '{section.upper_end}'), "
                        f"but must end above {show(z, 'length')}, where it begins"
                    )
                section = section.model_copy(update={"length": round(end - z, 12)})
            sections.append(section)
            z = round(z + section.length, 12)
        # Validated parts take the place of validated parts; the model stays frozen for everyone else.
        object.__setattr__(self, "applicator", self.applicator.model_copy(update={"sections": tuple(sections)}))
        return self

    @model_validator(mode="after")
    def _fits_its_modality(self) -> Self:
        problems = list(self._microwave_problems() if self.modality == "mwa" else self._radiofrequency_problems())
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _radiofrequency_problems(self) -> Iterator[str]:
        if "active" not in self.applicator.terminals:
            yield "applicator: no section and no tine is the active terminal"
        if self.antenna is not None:
            yield "antenna: belongs to a microwave device (modality = 'mwa'), and this is an 'rfa' device"
        for number, section in enumerate(self.applicator.sections, start=1):
            if section.radiating:
                yield f"applicator.sections[{number}].radiating: only a microwave antenna radiates (modality = 'mwa')"

    def _microwave_problems(self) -> Iterator[str]:
        applicator = self.applicator
        if not any(section.radiating for section in applicator.sections):
            yield "applicator: no section is radiating; mark the one with the antenna by radiating = true"
        given: dict[str, object] = {
            "applicator.tines": applicator.tines,
            "applicator.cluster": applicator.cluster,
            "infusion": self.infusion,
            "generator.max_voltage": self.generator.max_voltage,
            "generator.max_current": self.generator.max_current,
            "generator.internal_impedance": self.generator.internal_impedance,
            "generator.pi_gains": self.generator.pi_gains,
        }
        for number, section in enumerate(applicator.sections, start=1):
            given[f"applicator.sections[{number}].terminal"] = section.terminal
        yield from (f"{place}: has no meaning for a microwave device" for place, value in given.items() if value)
        if self.antenna is None:
            yield "antenna is missing: a microwave device needs [antenna]"
        else:
            found = self.antenna.problems(applicator.diameter / 2.0, applicator.length)
            yield from (f"antenna.{problem}" for problem in found)

    @classmethod
    def names(cls) -> list[str]:
        """Names of the profiles that come with the package."""
        return sorted(path.stem for path in _directory().glob("*.toml"))

    @classmethod
    def file(cls, name: str | Path) -> Path:
        """Path of the file that `load` reads.

        Parameters
        ----------
        name : str or Path
            One of `names`, or the path of a ``.toml`` file, which need not exist.

        Raises
        ------
        DeviceError
            If there is no profile of that name.
        """
        path = Path(name)
        if path.suffix == ".toml":
            return path
        if str(name) not in cls.names():
            raise DeviceError(f"no device profile '{name}'{best_match(str(name), cls.names())}")
        return _directory() / f"{name}.toml"

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
        path = cls.file(name)
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DeviceError(f"the device profile {path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            # Not TOML, not UTF-8, or a path that no file can have.
            raise DeviceError(f"the device profile {str(path)!r} is not valid TOML: {error}") from error
        parameters: dict[str, Sourced] = {}
        problems: list[str] = []
        plain = take_apart(data, [cls], "", parameters, problems)
        if problems:
            raise _malformed(path.stem, problems)
        return cls._validated({**plain, "name": path.stem, "parameters": parameters}, si=False)

    @classmethod
    def _validated(cls, data: dict[str, Any], si: bool) -> Device:
        try:
            return cls.model_validate(data, context=SI if si else None)
        except ValidationError as error:
            problems = [line for problem in problems_of(error, cls) for line in problem.splitlines()]
            raise _malformed(data["name"], problems) from error

    def with_values(
        self,
        changes: Mapping[str, float],
        status: Literal["assumed", "calibrated"] = "assumed",
        note: str = "chosen for this case",
    ) -> Device:
        """The same device with other numbers.

        Parameters
        ----------
        changes : mapping of str to float
            New values in SI units, by their place in `parameters`, such as ``"antenna.dimensions.radiating_length"``.
        status : {"assumed", "calibrated"}
            Origin of the new values.
        note : str
            Sentence that says where they come from; it becomes their source.

        Raises
        ------
        DeviceError
            If a place holds no number with an origin, a value lies outside the range of the profile, or the device
            makes no sense with it; the message holds every problem found.
        """
        data = self.model_dump()
        data["parameters"], problems = change(data, self.parameters, changes, status, note)
        if problems:
            raise DeviceError(
                f"the device '{self.name}' cannot be changed so:\n" + "\n".join(f"  - {text}" for text in problems)
            )
        return self._validated(data, si=True)

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
                marker = marker_of(*field.metadata, field.annotation)
                limit_name = f"max_{marker.dimension}" if marker is not None else ""
                limit, value = getattr(self.generator, limit_name, None), getattr(step, key)
                if marker is not None and limit is not None and value is not None and value > limit * (1.0 + 1e-9):
                    wanted, allowed = show(value, marker.dimension), show(limit, marker.dimension)
                    origin = self.parameters[f"generator.{limit_name}"].origin
                    found.append(
                        f"protocol[{number}].{key}: {wanted} is above the limit of {allowed} of {self.name} ({origin})"
                    )
            found += [f"protocol[{number}].{problem}" for problem in self._mode_problems(step)]
        return found

    def _mode_problems(self, step: Step) -> Iterator[str]:
        if self.modality == "mwa":
            if not isinstance(step, PowerStep | PulsedStep | PullbackStep | OffStep):
                yield (
                    f"mode: {self.name} is a microwave device and knows no '{step.mode}'; "
                    "use power, pulsed, pullback or off"
                )
            elif isinstance(step, PowerStep) and step.threshold != (None, None):
                key = "rise" if step.absolute is None else "absolute"
                yield f"{key}: {self.name} is a microwave device and watches no impedance; leave {key} out"
        elif isinstance(step, PullbackStep):
            yield f"mode: {self.name} is a radiofrequency device; pullback withdraws a microwave antenna"
        elif isinstance(step, TemperatureStep) and self.generator.pi_gains is None:
            yield f"mode: {self.name} cannot hold a temperature (its generator has no pi_gains)"


def _malformed(name: str, problems: Sequence[str]) -> DeviceError:
    return DeviceError(
        f"the device profile '{name}' is malformed:\n" + "\n".join(f"  - {problem}" for problem in problems)
    )


def _directory() -> Path:
    """Where the profiles are: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "_data" / "devices"
    return shipped if shipped.is_dir() else package.parent / "devices"
