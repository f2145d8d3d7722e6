"""Units at the border: text such as "60 W" becomes an SI float on the way in, and readable text again on the way out.

Inside the engine every number is in SI units and every temperature in kelvin; people read and write degrees Celsius.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

if TYPE_CHECKING:
    import pint
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo

ZERO_CELSIUS = 273.15
"""0 °C in kelvin."""

SI: Mapping[str, bool] = {"si": True}
"""Validation context under which the annotated types below accept bare SI numbers (resolved cases, checkpoints)."""

NEEDLE_GAUGE_MM = {
    7: 4.572, 8: 4.191, 9: 3.759, 10: 3.404, 11: 3.048, 12: 2.769, 13: 2.413, 14: 2.108, 15: 1.829, 16: 1.651,
    17: 1.473, 18: 1.270, 19: 1.067, 20: 0.9081, 21: 0.8192, 22: 0.7176, 23: 0.6414, 24: 0.5652, 25: 0.5144,
}  # fmt: skip
"""Nominal outer diameter [mm] of hypodermic needles by gauge number (citation ``needle_gauge``)."""


@dataclass(frozen=True)
class Dimension:
    """A physical dimension as people write it.

    Attributes
    ----------
    label : str
        The words used in messages.
    unit : str
        SI unit of the float inside.
    example : str
        How a person writes such a quantity.
    shown : str
        Unit in which `show` prints.
    plain : bool
        Whether a number without a unit is unambiguous.
    """

    label: str
    unit: str
    example: str
    shown: str
    plain: bool = False


DIMENSIONS: Mapping[str, Dimension] = {
    "length": Dimension("length", "m", "3 cm", "mm"),
    "duration": Dimension("time", "s", "12 min", "s"),
    "power": Dimension("power", "W", "60 W", "W"),
    "voltage": Dimension("voltage", "V", "40 V", "V"),
    "current": Dimension("current", "A", "1200 mA", "A"),
    "resistance": Dimension("resistance", "ohm", "20 ohm", "ohm"),
    "temperature": Dimension("temperature", "K", "37 degC", "degC"),
    "temperature_difference": Dimension("temperature difference", "K", "5 K", "K"),
    "electric_conductivity": Dimension("electric conductivity", "S/m", "0.2 S/m", "S/m"),
    "thermal_conductivity": Dimension("thermal conductivity", "W/m/K", "0.52 W/m/K", "W/m/K"),
    "thermal_conductivity_slope": Dimension("change of thermal conductivity", "W/m/K2", "0.0033 W/m/K2", "W/m/K2"),
    "relative_slope": Dimension("relative change with temperature", "1/K", "1.5 %/K", "%/K"),
    "heat_capacity": Dimension("specific heat capacity", "J/kg/K", "3540 J/kg/K", "J/kg/K"),
    "volumetric_heat_capacity": Dimension("volumetric heat capacity", "J/m3/K", "0.6 MJ/m3/K", "J/m3/K"),
    "specific_energy": Dimension("specific energy", "J/kg", "2.26 MJ/kg", "J/kg"),
    "density": Dimension("density", "kg/m3", "1079 kg/m3", "kg/m3"),
    "perfusion_rate": Dimension("perfusion rate", "1/s", "0.018 1/s", "1/s"),
    "rate": Dimension("rate", "1/s", "0.01 1/s", "1/s"),
    "molar_energy": Dimension("molar energy", "J/mol", "276.9 kJ/mol", "J/mol"),
    "wall_coefficient": Dimension("heat transfer coefficient", "W/m2/K", "3366 W/m2/K", "W/m2/K"),
    "fraction": Dimension("fraction", "", "12 %", "%", plain=True),
    "ratio": Dimension("ratio", "", "2.5", "", plain=True),
    "frequency": Dimension("frequency", "Hz", "480 kHz", "MHz"),
    "attenuation": Dimension("attenuation", "dB/m", "0.5 dB/m", "dB/m"),
    "flow_rate": Dimension("flow rate", "m3/s", "10 mL/min", "mL/min"),
    "speed": Dimension("speed", "m/s", "18.4 mm/s", "mm/s"),
    "viscosity": Dimension("viscosity", "Pa s", "3.5 mPa s", "mPa s"),
    "volume": Dimension("volume", "m3", "20 mL", "mL"),
    "energy": Dimension("energy", "J", "33 kJ", "J"),
    "angle": Dimension("angle", "rad", "30 deg", "deg"),
    "proportional_gain": Dimension("power per temperature error", "W/K", "1.5 W/K", "W/K"),
    "integral_gain": Dimension("power rate per temperature error", "W/K/s", "0.05 W/K/s", "W/K/s"),
}  # fmt: skip
"""Every dimension that the border knows, by name."""

_EVERYDAY: Mapping[str, tuple[str, float]] = {
    **{dimension.unit: (dimension.unit, 1.0) for dimension in DIMENSIONS.values() if dimension.unit},
    "mm": ("m", 1e-3), "cm": ("m", 1e-2), "min": ("s", 60.0), "kW": ("W", 1e3), "mA": ("A", 1e-3), "%": ("", 1e-2),
    "kHz": ("Hz", 1e3), "MHz": ("Hz", 1e6), "GHz": ("Hz", 1e9), "%/K": ("1/K", 1e-2), "MJ/m3/K": ("J/m3/K", 1e6),
    "MJ/kg": ("J/kg", 1e6), "kJ": ("J", 1e3), "mL": ("m3", 1e-6), "mL/min": ("m3/s", 1e-6 / 60.0),
    "mm/s": ("m/s", 1e-3), "mPa s": ("Pa s", 1e-3), "dB/cm": ("dB/m", 1e2), "deg": ("rad", math.pi / 180.0),
}  # fmt: skip
"""Units that nearly all files make do with: their SI unit and the factor to it."""

_QUANTITY = re.compile(r"\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>.*?)\s*")
_NOT_FINITE = re.compile(r"\s*[-+]?(?:nan|inf|infinity)\b.*", re.IGNORECASE)
_NAME = r"(?:°|µ|μ)?[A-Za-zΩ%]+(?:[23²³]|(?:\*\*|\^)[1-4])?"
_UNIT = re.compile(rf"(?:1\s*/\s*)?{_NAME}(?:\s*[*/ ]\s*{_NAME})*")
# pint evaluates a unit as an expression: only products and quotients of names reach it.
_DEGREES = {"degC", "degF", "celsius", "fahrenheit", "°C", "°F"}


def parse(text: object, dimension: str) -> float:
    """Read a quantity written with its unit.

    Parameters
    ----------
    text : str
        Number and unit, such as ``"60 W"``, ``"37 degC"`` or ``"17 G"`` (a needle gauge, read as its outer diameter).
    dimension : str
        A key of `DIMENSIONS`.

    Returns
    -------
    float
        The value in the SI unit of the dimension; temperatures in kelvin.

    Raises
    ------
    ValueError
        If the text has no unit, a wrong or unknown unit, or no finite number; the message says what is expected.
    """
    wanted = DIMENSIONS[dimension]
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        if not wanted.plain:
            raise ValueError(f"{_expectation(wanted)}, got {text!r} without a unit")
        return _finite(float(text), text, wanted)
    if isinstance(text, str) and _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{_expectation(wanted)}, got {text!r}, which is not a finite number")
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if not isinstance(text, str) or match is None:
        raise ValueError(f"{_expectation(wanted)}, got {text!r}")
    number, unit = float(match["number"]), match["unit"]
    if unit in ("G", "gauge") and dimension == "length":
        return _gauge(number, text)
    if not unit:
        if not wanted.plain:
            raise ValueError(f"{_expectation(wanted)}, got {text!r} without a unit")
        return _finite(number, text, wanted)
    return _finite(_convert(number, unit, text, wanted), text, wanted)


def show(value: float, dimension: str, digits: int = 6) -> str:
    """Print an SI value with the unit that people read, such as ``"21 degC"`` for 294.15 K.

    `parse` reads the text back; `digits` counts significant digits.
    """
    shown = DIMENSIONS[dimension].shown
    if shown == "degC":
        # Subtracting the offset loses digits; rounding hides the rounding error of 273.15.
        return f"{round(value - ZERO_CELSIUS, 9):.{digits}g} degC"
    factor = _factor(shown, dimension)
    return f"{value / factor:.{digits}g} {shown}".rstrip()


def exact(value: float, dimension: str) -> str:
    """Write an SI value such that `parse` gives back the same float."""
    return f"{value!r} {DIMENSIONS[dimension].unit}".rstrip()


@cache
def _factor(unit: str, dimension: str) -> float:
    return _convert(1.0, unit, unit, DIMENSIONS[dimension]) if unit else 1.0


def _expectation(wanted: Dimension) -> str:
    article = "an" if wanted.label[0] in "aeiou" else "a"
    return f"expects {article} {wanted.label} such as '{wanted.example}'"


def _finite(value: float, text: object, wanted: Dimension) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{_expectation(wanted)}, got {text!r}, which is not a finite number")
    if wanted.label == "temperature" and value < 0.0:
        raise ValueError(f"{_expectation(wanted)}, got {text!r}, which is below absolute zero")
    return value


def _gauge(number: float, text: str) -> float:
    if number not in NEEDLE_GAUGE_MM:
        raise ValueError(
            f"{text!r} is not a needle gauge: known are {min(NEEDLE_GAUGE_MM)} G to {max(NEEDLE_GAUGE_MM)} G"
        )
    return NEEDLE_GAUGE_MM[int(number)] / 1000.0


@cache
def _registry() -> pint.UnitRegistry[float]:
    # pint takes half a second to load; it is needed only once a file is read.
    import pint

    registry: pint.UnitRegistry[float] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    # To pint a decibel is a level, which has no dimension when divided by a length; the loss of a line has one.
    registry.define("decibel_loss = [loss]")
    return registry


@cache
def _unit(text: str) -> pint.Unit | None:
    """The unit of a text, or None when there is no such unit."""
    import pint

    if text and not _UNIT.fullmatch(text):
        return None
    # People write W/m2/K and %/K; pint reads W/m**2/K and percent/K.
    written = re.sub(r"(?<=[A-Za-z])([23])\b", r"**\1", text)
    written = re.sub(r"\bdB\b", "decibel_loss", written)
    for sign, word in (("%", "percent"), ("°", "deg"), ("²", "**2"), ("³", "**3")):
        written = written.replace(sign, word)
    try:
        unit = _registry().parse_units(written)
        # Levels such as a neper have a name in pint but no dimension once they are part of a product.
        _ = unit.dimensionality
    except pint.UndefinedUnitError:
        return None
    return unit


def _convert(number: float, unit_text: str, text: str, wanted: Dimension) -> float:
    # Loading pint takes longer than all else that reading a case does, and few cases need it.
    if unit_text == "degC" and wanted.label == "temperature":
        return number + ZERO_CELSIUS
    everyday, factor = _EVERYDAY.get(unit_text, (None, 1.0))
    if everyday == wanted.unit:
        return number * factor
    unit = _unit(unit_text)
    if unit is None:
        raise ValueError(f"{_expectation(wanted)}, got {text!r}: the unit '{unit_text}' is unknown")
    target = _unit(wanted.unit)
    if target is None or unit.dimensionality != target.dimensionality or _is_angle(unit) != (wanted.label == "angle"):
        raise ValueError(f"{_expectation(wanted)}, got {text!r}{_meaning(unit, unit_text)}")
    if wanted.label == "temperature difference" and unit_text in _DEGREES:
        raise ValueError(f"{_expectation(wanted)}, got {text!r}: write a difference in K")
    return float(_registry().Quantity(number, unit).to(target).magnitude)


def _is_angle(unit: pint.Unit) -> bool:
    # Radians are dimensionless to pint: without this, an angle could be given in percent.
    return unit.dimensionless and any(word in str(unit) for word in ("degree", "radian", "turn", "arc"))


def _meaning(unit: pint.Unit, unit_text: str) -> str:
    if unit_text == "C":
        return " (electric charge): write degC for degrees Celsius"
    if _is_angle(unit):
        return " (angle)"
    for known in DIMENSIONS.values():
        target = _unit(known.unit)
        if known.label != "angle" and target is not None and unit.dimensionality == target.dimensionality:
            return f" ({known.label})"
    return f" ({unit.dimensionality})"


@dataclass(frozen=True)
class Quantity:
    """Marker for pydantic: the annotated float is written as text with a unit of this dimension.

    Under the validation context `SI` a bare number is taken as SI.
    """

    dimension: str

    def read(self, value: Any, info: ValidationInfo) -> float:
        """Parse the text, or take the SI number where the context allows it."""
        bare = isinstance(value, (int, float)) and not isinstance(value, bool)
        if bare and info.context is not None and info.context.get("si"):
            return _finite(float(value), value, DIMENSIONS[self.dimension])
        return parse(value, self.dimension)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        wanted = DIMENSIONS[self.dimension]
        kind: Any = ["string", "number"] if wanted.plain else "string"
        return {"type": kind, "description": f"{wanted.label} with its unit", "examples": [wanted.example]}


Length = Annotated[float, Quantity("length")]
Duration = Annotated[float, Quantity("duration")]
Power = Annotated[float, Quantity("power")]
Voltage = Annotated[float, Quantity("voltage")]
Current = Annotated[float, Quantity("current")]
Resistance = Annotated[float, Quantity("resistance")]
Temperature = Annotated[float, Quantity("temperature")]
TemperatureDifference = Annotated[float, Quantity("temperature_difference")]
Conductivity = Annotated[float, Quantity("electric_conductivity")]
ThermalConductivity = Annotated[float, Quantity("thermal_conductivity")]
ThermalConductivitySlope = Annotated[float, Quantity("thermal_conductivity_slope")]
RelativeSlope = Annotated[float, Quantity("relative_slope")]
HeatCapacity = Annotated[float, Quantity("heat_capacity")]
VolumetricHeatCapacity = Annotated[float, Quantity("volumetric_heat_capacity")]
Density = Annotated[float, Quantity("density")]
PerfusionRate = Annotated[float, Quantity("perfusion_rate")]
WallCoefficient = Annotated[float, Quantity("wall_coefficient")]
Fraction = Annotated[float, Quantity("fraction")]
Ratio = Annotated[float, Quantity("ratio")]
Frequency = Annotated[float, Quantity("frequency")]
FlowRate = Annotated[float, Quantity("flow_rate")]
Speed = Annotated[float, Quantity("speed")]
Volume = Annotated[float, Quantity("volume")]
Energy = Annotated[float, Quantity("energy")]
Attenuation = Annotated[float, Quantity("attenuation")]
Angle = Annotated[float, Quantity("angle")]
ProportionalGain = Annotated[float, Quantity("proportional_gain")]
IntegralGain = Annotated[float, Quantity("integral_gain")]

LengthUnit = Literal["m", "cm", "mm", "um"]
"""Units of the coordinates in files that carry no unit of their own."""
