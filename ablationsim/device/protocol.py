"""Protocol steps: what the operator asks of the generator, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ablationsim.units import ZERO_CELSIUS, Current, Duration, Fraction, Length, Power, Resistance, Temperature, Voltage

DEFAULT_RISE = 30.0
"""Rise [ohm] that ends a pulse when a step names no threshold (recalled practice of pulsed generators; unverified)."""


def _above_zero(value: float) -> float:
    if value <= 0.0:
        raise ValueError(f"must be greater than zero, got {value:g}")
    return value


def _zero_or_more(value: float) -> float:
    if value < 0.0:
        raise ValueError(f"must not be negative, got {value:g}")
    return value


def _share(value: float) -> float:
    if not 0.0 < value <= 1.0:
        raise ValueError(f"must lie above 0 and at most at 100 %, got {100.0 * value:g} %")
    return value


Positive = AfterValidator(_above_zero)
"""Marker: the quantity is greater than zero."""
NotNegative = AfterValidator(_zero_or_more)
"""Marker: the quantity is zero or greater."""
Share = AfterValidator(_share)
"""Marker: the fraction lies above zero and at most at one."""


class _Step(BaseModel):
    """What every step has in common; all values are SI."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration: Annotated[Duration, Positive]
    """Time from the beginning of the step to its end [s], pauses included."""


class _Threshold(_Step):
    """A step that watches the impedance; `rise` and `absolute` exclude each other."""

    rise: Annotated[Resistance, Positive] | None = None
    """Threshold above the lowest impedance since the pulse began [ohm]."""
    absolute: Annotated[Resistance, Positive] | None = None
    """Threshold on the impedance itself [ohm]."""

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if self.rise is not None and self.absolute is not None:
            raise ValueError("give either rise or absolute, not both")
        return self

    @property
    def threshold(self) -> tuple[float | None, float | None]:
        """The pair (rise, absolute) in force [ohm]: a rise of 30 ohm when the step names neither."""
        if self.rise is None and self.absolute is None:
            return DEFAULT_RISE, None
        return self.rise, self.absolute


class _Constant(_Threshold):
    """A held quantity; a threshold, where one is given, ends the step early (roll-off)."""

    @property
    def threshold(self) -> tuple[float | None, float | None]:
        """The pair (rise, absolute) in force [ohm]; (None, None) watches nothing."""
        return self.rise, self.absolute


class PowerStep(_Constant):
    """Constant power."""

    mode: Literal["power"] = "power"
    power: Annotated[Power, Positive]


class VoltageStep(_Constant):
    """Constant voltage (rms)."""

    mode: Literal["voltage"] = "voltage"
    voltage: Annotated[Voltage, Positive]


class CurrentStep(_Constant):
    """Constant current (rms)."""

    mode: Literal["current"] = "current"
    current: Annotated[Current, Positive]


class OffStep(_Step):
    """Nothing is delivered and the electrode floats."""

    mode: Literal["off"] = "off"


class TemperatureStep(_Step):
    """Power regulated to hold the tip at a target temperature (proportional-integral)."""

    mode: Literal["temperature"] = "temperature"
    target: Temperature
    max_power: Annotated[Power, Positive] | None = None
    """Ceiling [W]; the generator's own when not given."""


class ImpedanceStep(_Threshold):
    """Impedance pulsing: power until the impedance crosses a threshold, a pause, and again."""

    mode: Literal["impedance"] = "impedance"
    power: Annotated[Power, Positive]
    pause: Annotated[Duration, Positive] = Field(default="15 s", validate_default=True)
    pause_power: Annotated[Power, NotNegative] = Field(default="0 W", validate_default=True)
    """Power during the pause [W]; at zero the electrode floats."""
    restart_power: Annotated[Power, Positive] | None = None
    """Power of every pulse after the first [W]; `power` when not given."""


class RampStep(_Threshold):
    """Power raised in steps to the roll-off of the impedance, a wait, and on from a fraction of the power reached."""

    mode: Literal["ramp"] = "ramp"
    start_power: Annotated[Power, Positive]
    step_power: Annotated[Power, NotNegative]
    step_time: Annotated[Duration, Positive]
    max_power: Annotated[Power, Positive] | None = None
    """Highest power of the ramp [W]; the generator's own ceiling when not given."""
    wait: Annotated[Duration, Positive] = Field(default="30 s", validate_default=True)
    restart_fraction: Annotated[Fraction, Share] = Field(default="70 %", validate_default=True)
    max_rolloffs: int = Field(default=2, ge=1)
    """Roll-off after which the step ends."""


class PulsedStep(_Step):
    """Power switched on and off by the clock, beginning with on, whatever the load does."""

    mode: Literal["pulsed"] = "pulsed"
    power: Annotated[Power, Positive]
    """Power of the pulses [W]."""
    on: Annotated[Duration, Positive]
    """Length of a pulse [s]."""
    off: Annotated[Duration, Positive]
    """Time between two pulses [s]."""


class PullbackStep(_Step):
    """A microwave antenna is withdrawn along its shaft at constant speed."""

    mode: Literal["pullback"] = "pullback"
    distance: Annotated[Length, Positive]
    """Way from the beginning of the step to its end [m]."""
    power: Annotated[Power, NotNegative] = Field(default="0 W", validate_default=True)
    """Power meanwhile [W]."""


Step = Annotated[
    PowerStep
    | VoltageStep
    | CurrentStep
    | OffStep
    | TemperatureStep
    | ImpedanceStep
    | RampStep
    | PulsedStep
    | PullbackStep,
    Field(discriminator="mode"),
]
"""Any protocol step, told apart by its `mode`."""


def describe(step: Step) -> str:
    """One line that a person reads, such as ``impedance pulsing at 200 W, off for 15 s at +30 ohm, for 720 s``."""
    span = f"for {step.duration:g} s"
    match step:
        case PowerStep():
            return f"constant power {step.power:g} W{_until(step)}, {span}"
        case VoltageStep():
            return f"constant voltage {step.voltage:g} V{_until(step)}, {span}"
        case CurrentStep():
            return f"constant current {step.current:g} A{_until(step)}, {span}"
        case OffStep():
            return f"off, {span}"
        case TemperatureStep():
            ceiling = "" if step.max_power is None else f" with at most {step.max_power:g} W"
            return f"tip held at {step.target - ZERO_CELSIUS:g} °C{ceiling}, {span}"
        case ImpedanceStep():
            pause = "off" if step.pause_power == 0.0 else f"{step.pause_power:g} W"
            return f"impedance pulsing at {step.power:g} W, {pause} for {step.pause:g} s at {_threshold(step)}, {span}"
        case RampStep():
            return (
                f"ramp from {step.start_power:g} W by {step.step_power:g} W every {step.step_time:g} s to roll-off at "
                f"{_threshold(step)} ({step.max_rolloffs} times), wait {step.wait:g} s, "
                f"restart at {100.0 * step.restart_fraction:g} %, {span}"
            )
        case PulsedStep():
            return f"pulses of {step.power:g} W, {step.on:g} s on and {step.off:g} s off, {span}"
        case PullbackStep():
            power = "without power" if step.power == 0.0 else f"at {step.power:g} W"
            return f"withdrawn by {1e3 * step.distance:g} mm {power}, {span}"


def _threshold(step: _Threshold) -> str:
    rise, absolute = step.threshold
    return f"{absolute:g} ohm" if absolute is not None else f"+{rise:g} ohm"


def _until(step: _Constant) -> str:
    return "" if step.threshold == (None, None) else f" until {_threshold(step)}"
