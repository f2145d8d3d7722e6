"""How each protocol step runs its course on a generator: one class a mode."""

from __future__ import annotations

import math
from typing import ClassVar

from ablationsim.device.profile import GeneratorSpec
from ablationsim.device.protocol import (
    CurrentStep,
    ImpedanceStep,
    OffStep,
    PowerStep,
    PullbackStep,
    PulsedStep,
    RampStep,
    Step,
    TemperatureStep,
    VoltageStep,
)
from ablationsim.device.signals import Kind, Reading
from ablationsim.errors import DeviceError


def is_due(time: float, event: float | None) -> bool:
    """Whether a scheduled event has been reached, up to the rounding of summed time steps."""
    return event is not None and time >= event - 1e-9 * max(1.0, abs(event))


class Mode:
    """Course of one step. The attributes named in `STATE` change with time and are all that a checkpoint needs."""

    STATE: ClassVar[tuple[str, ...]] = ("done", "rolloffs", "lowest")

    def __init__(self, generator: GeneratorSpec, threshold: tuple[float | None, float | None] = (None, None)) -> None:
        self.generator = generator
        self.rise, self.absolute = threshold
        self.done = False
        self.rolloffs = 0
        self.lowest: float | None = None  # impedance, since the pulse began [ohm]

    def begin(self, time: float, reading: Reading | None) -> str | None:
        """Enter the step; without a reading when it begins with the simulation. Returns what the log should say."""
        if reading is not None:
            self.accept(reading)
        return None

    def request(self) -> tuple[Kind, float]:
        """Quantity held and its value."""
        raise NotImplementedError

    def next_event(self) -> float | None:
        """Next scheduled event within the step, beside its end."""
        return None

    def pulsing(self) -> bool:
        """Whether power is on and the impedance, if it has a threshold, is watched."""
        return True

    def overshoot(self, reading: Reading) -> float | None:
        if not self.pulsing() or not math.isfinite(reading.impedance):
            return None
        if self.absolute is not None:
            return reading.impedance - self.absolute
        if self.rise is not None:
            lowest = reading.impedance if self.lowest is None else min(self.lowest, reading.impedance)
            return reading.impedance - lowest - self.rise
        return None

    def accept(self, reading: Reading) -> None:
        if self.pulsing() and math.isfinite(reading.impedance):
            self.lowest = reading.impedance if self.lowest is None else min(self.lowest, reading.impedance)

    def advance(self, reading: Reading) -> str | None:
        """Take the located crossing or the scheduled event, whichever the reading shows; returns the log text."""
        past = self.overshoot(reading)
        if past is not None and past >= 0.0:
            self.rolloffs += 1
            return self.cross(reading)
        if is_due(reading.time_s, self.next_event()):
            return self.schedule(reading)
        return None

    def cross(self, reading: Reading) -> str:
        """The threshold was crossed; where a mode says nothing else, that ends the step."""
        self.done = True
        return f"roll-off at {reading.impedance:.1f} ohm: step ended"

    def schedule(self, reading: Reading) -> str | None:
        """The event announced by `next_event` is due."""
        raise NotImplementedError


class _Hold(Mode):
    """Constant power, voltage or current, or nothing; a threshold, if there is one, ends the step."""

    def __init__(
        self, step: PowerStep | VoltageStep | CurrentStep | OffStep | PullbackStep, generator: GeneratorSpec
    ) -> None:
        super().__init__(generator, (None, None) if isinstance(step, OffStep | PullbackStep) else step.threshold)
        self.step = step

    def request(self) -> tuple[Kind, float]:
        match self.step:
            case PowerStep() | PullbackStep():
                return "power", self.step.power
            case VoltageStep():
                return "voltage", self.step.voltage
            case CurrentStep():
                return "current", self.step.current
            case OffStep():
                return "off", 0.0


class _DutyCycle(Mode):
    """Pulses by the clock."""

    STATE = (*Mode.STATE, "on", "switch")

    def __init__(self, step: PulsedStep, generator: GeneratorSpec) -> None:
        super().__init__(generator)
        self.step = step
        self.on = True
        self.switch = math.inf  # time of the next change [s]

    def begin(self, time: float, reading: Reading | None) -> str | None:
        self.switch = time + self.step.on
        return super().begin(time, reading)

    def request(self) -> tuple[Kind, float]:
        return ("power", self.step.power) if self.on else ("off", 0.0)

    def next_event(self) -> float | None:
        return self.switch

    def pulsing(self) -> bool:
        return self.on

    def schedule(self, reading: Reading) -> str | None:
        self.on = not self.on
        # Counted on from the planned time: rounding of the time steps does not add up.
        self.switch += self.step.on if self.on else self.step.off
        return None


class _Pulsed(Mode):
    """Pulses of power, each ended by the threshold, with pauses between."""

    STATE = (*Mode.STATE, "power", "resume")

    def __init__(self, step: ImpedanceStep | RampStep, generator: GeneratorSpec, power: float, pause: float) -> None:
        super().__init__(generator, step.threshold)
        self.power = power
        self.pause = pause
        self.resume: float | None = None  # end of the pause [s]; None during a pulse

    def begin(self, time: float, reading: Reading | None) -> str | None:
        """Begin a pulse, or pause once more where an absolute threshold is still exceeded (no pulse of zero length)."""
        self.resume = None
        self.lowest = None
        if reading is None:
            return None
        past = self.overshoot(reading)
        if past is not None and past >= 0.0:
            self.resume = time + self.pause
            return f"impedance {reading.impedance:.1f} ohm not below the threshold: pause of {self.pause:g} s"
        self.accept(reading)
        return None

    def pulsing(self) -> bool:
        return self.resume is None

    def next_event(self) -> float | None:
        return self.resume


class _Pulsing(_Pulsed):
    """Impedance pulsing."""

    def __init__(self, step: ImpedanceStep, generator: GeneratorSpec) -> None:
        super().__init__(step, generator, step.power, step.pause)
        self.step = step

    def request(self) -> tuple[Kind, float]:
        return "power", self.power if self.pulsing() else self.step.pause_power

    def cross(self, reading: Reading) -> str:
        self.resume = reading.time_s + self.pause
        if self.step.restart_power is not None:
            self.power = self.step.restart_power
        return f"roll-off at {reading.impedance:.1f} ohm: {self.step.pause_power:g} W for {self.pause:g} s"

    def schedule(self, reading: Reading) -> str | None:
        return self.begin(reading.time_s, reading) or f"on again at {self.power:g} W"


class _Ramp(_Pulsed):
    """Power raised in steps to roll-off; after the wait, a fraction of the power reached, raised further."""

    STATE = (*_Pulsed.STATE, "increment")

    def __init__(self, step: RampStep, generator: GeneratorSpec) -> None:
        self.ceiling = generator.max_power if step.max_power is None else step.max_power
        super().__init__(step, generator, min(step.start_power, self.ceiling), step.wait)
        self.step = step
        self.increment = math.inf  # time of the next increment [s]

    def begin(self, time: float, reading: Reading | None) -> str | None:
        self.increment = time + self.step.step_time
        return super().begin(time, reading)

    def request(self) -> tuple[Kind, float]:
        return ("power", self.power) if self.pulsing() else ("off", 0.0)

    def next_event(self) -> float | None:
        if self.resume is not None:
            return self.resume
        return self.increment if self.power < self.ceiling and self.step.step_power > 0.0 else None

    def cross(self, reading: Reading) -> str:
        text = f"roll-off {self.rolloffs} at {reading.impedance:.1f} ohm and {self.power:g} W"
        if self.rolloffs >= self.step.max_rolloffs:
            self.done = True
            return f"{text}: step ended"
        self.resume = reading.time_s + self.pause
        self.power *= self.step.restart_fraction
        return f"{text}: off for {self.pause:g} s"

    def schedule(self, reading: Reading) -> str | None:
        if self.resume is not None:
            return self.begin(self.resume, reading) or f"on again at {self.power:g} W"
        self.power = min(self.power + self.step.step_power, self.ceiling)
        self.increment += self.step.step_time
        return f"raised to {self.power:g} W"


class _Thermostat(Mode):
    """Proportional-integral control of the tip temperature by the power, sampled at the generator's interval.

    Anti-windup by conditional integration: the integral stands still while the power is at a limit and the error would
    drive it further beyond. A step that begins with the simulation has no reading yet: without power it waits for its
    first sample.
    """

    STATE = (*Mode.STATE, "power", "integral", "sample")

    def __init__(self, step: TemperatureStep, generator: GeneratorSpec) -> None:
        super().__init__(generator)
        if generator.pi_gains is None:
            raise DeviceError(
                "the protocol holds a temperature but the generator of this device has no pi_gains; "
                "add pi_gains to its profile or choose another mode"
            )
        self.gains = generator.pi_gains
        self.step = step
        self.ceiling = generator.max_power if step.max_power is None else min(step.max_power, generator.max_power)
        self.power = 0.0
        self.integral = 0.0  # the integral's share of the power [W]
        self.sample = math.inf  # time of the next sample [s]

    def begin(self, time: float, reading: Reading | None) -> str | None:
        self.sample = time + self.generator.sample_time
        if reading is not None:
            self._regulate(reading.tip_temperature)
        return None

    def request(self) -> tuple[Kind, float]:
        return "power", self.power

    def next_event(self) -> float | None:
        return self.sample

    def schedule(self, reading: Reading) -> str | None:
        self._regulate(reading.tip_temperature)
        self.sample += self.generator.sample_time
        return None

    def _regulate(self, tip_temperature: float) -> None:
        error = self.step.target - tip_temperature
        integral = self.integral + self.gains.ki * error * self.generator.sample_time
        wanted = self.gains.kp * error + integral
        self.power = min(max(wanted, 0.0), self.ceiling)
        if wanted == self.power or (wanted > self.ceiling) != (error > 0.0):
            self.integral = integral


def mode_for(step: Step, generator: GeneratorSpec) -> Mode:
    match step:
        case TemperatureStep():
            return _Thermostat(step, generator)
        case ImpedanceStep():
            return _Pulsing(step, generator)
        case RampStep():
            return _Ramp(step, generator)
        case PulsedStep():
            return _DutyCycle(step, generator)
        case _:
            return _Hold(step, generator)
