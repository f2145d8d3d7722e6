"""Generator controllers: the protocol of one applicator turned into demands on the electric problem.

The time marcher asks `demand` for what to deliver now, shortens its steps to `next_event` and to the crossing of the
threshold that `overshoot` shows, calls `accept` after every accepted step and `advance` where a phase ends. Everything
is scalar and pure Python.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ablationsim.device.profile import GeneratorSpec
from ablationsim.device.protocol import (
    CurrentStep,
    ImpedanceStep,
    OffStep,
    PowerStep,
    RampStep,
    Step,
    TemperatureStep,
    VoltageStep,
    describe,
)
from ablationsim.errors import CheckpointError, DeviceError, SolverError

Kind = Literal["power", "voltage", "current", "off"]


@dataclass(frozen=True)
class Reading:
    """What the generator measures at its terminals.

    Attributes
    ----------
    time_s : float
        Absolute time [s].
    voltage, current, power : float
        Effective (rms) values and mean power [V, A, W].
    impedance : float
        Resistance of the load [ohm]; not finite while it is unknown.
    tip_temperature : float
        Mean of the thermocouples [K].
    """

    time_s: float
    voltage: float
    current: float
    power: float
    impedance: float
    tip_temperature: float


@dataclass(frozen=True)
class Demand:
    """What the controller asks for at one moment, with the generator's ceilings.

    Attributes
    ----------
    kind : {"power", "voltage", "current", "off"}
        The quantity held; with "off" the electrode floats.
    value : float
        Its value [W, V or A].
    max_power, max_voltage, max_current : float
        Ceilings [W, V, A]; infinite where there is none.
    internal_impedance : float or None
        Internal impedance R_i of the generator [ohm]. A set power P then delivers ``4 P R R_i / (R + R_i)**2`` into the
        load R (Altrogge et al. 2007); voltage and current are held at the terminals and not affected.
    """

    kind: Kind
    value: float
    max_power: float = math.inf
    max_voltage: float = math.inf
    max_current: float = math.inf
    internal_impedance: float | None = None

    def voltage_for(self, conductance: float) -> float:
        """Voltage (rms) [V] that meets the demand on a load of the given conductance [S], within every ceiling.

        Raises
        ------
        SolverError
            If the conductance is not positive and finite.
        """
        if self.kind == "off":
            return 0.0
        if not (math.isfinite(conductance) and conductance > 0.0):
            raise SolverError(
                f"the load of the generator has a conductance of {conductance:g} S; it must be positive and finite"
            )
        resistance = 1.0 / conductance
        if self.kind == "power":
            power = min(self.value, self.max_power)
            if self.internal_impedance is not None:
                inner = self.internal_impedance
                power *= 4.0 * resistance * inner / (resistance + inner) ** 2
            wanted = math.sqrt(power * resistance)
        elif self.kind == "current":
            wanted = self.value * resistance
        else:
            wanted = self.value
        return min(wanted, self.max_voltage, self.max_current * resistance, math.sqrt(self.max_power * resistance))


def _due(time: float, event: float | None) -> bool:
    """Whether a scheduled event has been reached, up to the rounding of summed time steps."""
    return event is not None and time >= event - 1e-9 * max(1.0, abs(event))


class _Mode:
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
        if _due(reading.time_s, self.next_event()):
            return self.schedule(reading)
        return None

    def cross(self, reading: Reading) -> str:
        """The threshold was crossed; where a mode says nothing else, that ends the step."""
        self.done = True
        return f"roll-off at {reading.impedance:.1f} ohm: step ended"

    def schedule(self, reading: Reading) -> str | None:
        """The event announced by `next_event` is due."""
        raise NotImplementedError


class _Hold(_Mode):
    """Constant power, voltage or current, or nothing; a threshold, if there is one, ends the step."""

    def __init__(self, step: PowerStep | VoltageStep | CurrentStep | OffStep, generator: GeneratorSpec) -> None:
        super().__init__(generator, (None, None) if isinstance(step, OffStep) else step.threshold)
        self.step = step

    def request(self) -> tuple[Kind, float]:
        match self.step:
            case PowerStep():
                return "power", self.step.power
            case VoltageStep():
                return "voltage", self.step.voltage
            case CurrentStep():
                return "current", self.step.current
            case OffStep():
                return "off", 0.0


class _Pulsed(_Mode):
    """Pulses of power, each ended by the threshold, with pauses between."""

    STATE = (*_Mode.STATE, "power", "resume")

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


class _Thermostat(_Mode):
    """Proportional-integral control of the tip temperature by the power, sampled at the generator's interval.

    Anti-windup by conditional integration: the integral stands still while the power is at a limit and the error would
    drive it further beyond. A step that begins with the simulation has no reading yet: without power it waits for its
    first sample.
    """

    STATE = (*_Mode.STATE, "power", "integral", "sample")

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


def _mode_for(step: Step, generator: GeneratorSpec) -> _Mode:
    match step:
        case TemperatureStep():
            return _Thermostat(step, generator)
        case ImpedanceStep():
            return _Pulsing(step, generator)
        case RampStep():
            return _Ramp(step, generator)
        case _:
            return _Hold(step, generator)


class Controller:
    """Runs the protocol of one applicator.

    At `next_event` and at a located crossing the marcher calls `advance`; a reading that shows neither changes nothing,
    so it is safe to call `advance` on every controller when one of several has an event.

    Parameters
    ----------
    steps : sequence of Step
        The protocol.
    generator : GeneratorSpec
        Ceilings, internal impedance, gains and sampling interval.
    repeat : int
        How many times the whole protocol is run.
    start : float
        Time at which it begins [s]; until then the electrode floats.

    Attributes
    ----------
    events : list of (float, str)
        What happened, with its time [s].

    Raises
    ------
    DeviceError
        If the protocol is empty, or it holds a temperature and the generator has no gains.
    """

    def __init__(self, steps: Sequence[Step], generator: GeneratorSpec, repeat: int = 1, start: float = 0.0) -> None:
        if not steps or repeat < 1:
            raise DeviceError(
                f"a protocol needs at least one step and one repetition; got {len(steps)} steps, {repeat} times"
            )
        self._steps = tuple(steps)
        self._generator = generator
        self._total = len(self._steps) * repeat
        self.events: list[tuple[float, str]] = []
        self._index = -1  # of the step under way, counted through the repetitions
        self._ends = start
        self._mode: _Mode | None = None
        self._past_rolloffs = 0
        for step in self._steps:
            _mode_for(step, generator)  # refuses now what could not run later
        if start <= 0.0:
            self._enter(start, None)

    @property
    def finished(self) -> bool:
        """Whether every step has ended."""
        return self._index >= self._total

    @property
    def rolloffs(self) -> int:
        """Roll-offs so far."""
        return self._past_rolloffs + (0 if self._mode is None else self._mode.rolloffs)

    def demand(self) -> Demand:
        """What is asked for now; zero power is "off", so that the electrode floats and is not held at the return."""
        request: tuple[Kind, float] = ("off", 0.0) if self._mode is None else self._mode.request()
        kind, value = request
        limits = self._generator
        return Demand(
            kind="off" if value == 0.0 else kind,
            value=value,
            max_power=limits.max_power,
            max_voltage=math.inf if limits.max_voltage is None else limits.max_voltage,
            max_current=math.inf if limits.max_current is None else limits.max_current,
            internal_impedance=limits.internal_impedance,
        )

    def next_event(self) -> float:
        """Absolute time of the next scheduled event [s]; infinite when finished."""
        if self.finished:
            return math.inf
        inner = None if self._mode is None else self._mode.next_event()
        return self._ends if inner is None else min(self._ends, inner)

    def overshoot(self, reading: Reading) -> float | None:
        """Distance of the impedance past the threshold that ends the present phase [ohm].

        Zero or more means crossed; None means that nothing is watched. A rise counts from the lowest impedance since
        the pulse began, its first reading included: the load is resistive, so no settling time is left out. A pure
        function of the reading and of the state, which it does not change.
        """
        return None if self._mode is None else self._mode.overshoot(reading)

    def accept(self, reading: Reading) -> None:
        """Take note of an accepted time step."""
        if self._mode is not None:
            self._mode.accept(reading)

    def advance(self, reading: Reading) -> None:
        """Change phase at a scheduled event or at a located crossing (an overshoot of zero or a little more)."""
        if self.finished:
            return
        if _due(reading.time_s, self._ends):
            self._enter(self._ends, reading)
            return
        if self._mode is None:
            return
        self._log(reading.time_s, self._mode.advance(reading))
        if self._mode.done:
            self._enter(reading.time_s, reading)

    def _enter(self, time: float, reading: Reading | None) -> None:
        """Begin the next step, or finish."""
        self._past_rolloffs = self.rolloffs
        self._mode = None
        self._index += 1
        if self.finished:
            self._log(time, "protocol finished")
            return
        step = self._steps[self._index % len(self._steps)]
        self._log(time, f"step {self._index + 1} of {self._total}: {describe(step)}")
        self._mode = _mode_for(step, self._generator)
        self._ends = time + step.duration
        self._log(time, self._mode.begin(time, reading))
        past = None if reading is None else self._mode.overshoot(reading)
        if reading is not None and past is not None and past >= 0.0:
            self.advance(reading)  # the step before left the impedance past the threshold of this one

    def _log(self, time: float, text: str | None) -> None:
        if text is not None:
            self.events.append((time, text))

    def state(self) -> dict[str, Any]:
        """Everything that changes with time, ready for JSON."""
        mode = None if self._mode is None else {name: getattr(self._mode, name) for name in self._mode.STATE}
        return {
            "index": self._index,
            "ends": self._ends,
            "past_rolloffs": self._past_rolloffs,
            "mode": mode,
            "events": [[time, text] for time, text in self.events],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state` of a controller of the same protocol and generator.

        Raises
        ------
        CheckpointError
            If the state does not belong to this protocol.
        """
        try:
            index, mode = int(state["index"]), state["mode"]
            running = 0 <= index < self._total
            if not -1 <= index <= self._total or running != (mode is not None):
                raise ValueError(f"step {index} of {self._total}")
            restored = _mode_for(self._steps[index % len(self._steps)], self._generator) if running else None
            if restored is not None:
                for name in restored.STATE:
                    setattr(restored, name, mode[name])
            ends, past = float(state["ends"]), int(state["past_rolloffs"])
            events = [(float(time), str(text)) for time, text in state["events"]]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the saved state of the generator does not fit this protocol ({error}); "
                "start the run again without --resume"
            ) from error
        self._index, self._ends, self._past_rolloffs = index, ends, past
        self._mode, self.events = restored, events
