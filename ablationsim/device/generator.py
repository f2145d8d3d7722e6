"""Generator controllers: the protocol of one applicator turned into demands on the electric problem.

The time marcher asks `demand` for what to deliver now, shortens its steps to `next_event` and to the crossing of the
threshold that `overshoot` shows, calls `accept` after every accepted step and `advance` where a phase ends. Everything
is scalar and pure Python.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ablationsim.device.modes import Mode, is_due, mode_for
from ablationsim.device.profile import GeneratorSpec
from ablationsim.device.protocol import PullbackStep, Step, describe
from ablationsim.device.signals import Demand, Kind, Reading
from ablationsim.errors import CheckpointError, DeviceError


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
        self._mode: Mode | None = None
        self._past_rolloffs = 0
        for step in self._steps:
            mode_for(step, generator)  # refuses now what could not run later
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

    def withdrawn(self, time: float) -> float:
        """How far the applicator has been withdrawn along its shaft [m].

        Parameters
        ----------
        time : float
            A time within the present step [s]; earlier or later counts as its beginning or end.
        """
        finished = min(max(self._index, 0), self._total)
        ways = [step.distance if isinstance(step, PullbackStep) else 0.0 for step in self._steps]
        rounds, within = divmod(finished, len(ways))
        far = rounds * sum(ways) + sum(ways[:within])
        if 0 <= self._index < self._total:
            left = (self._ends - time) / self._steps[within].duration
            far += ways[within] * (1.0 - min(max(left, 0.0), 1.0))
        return far

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
        if is_due(reading.time_s, self._ends):
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
        self._mode = mode_for(step, self._generator)
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
            restored = mode_for(self._steps[index % len(self._steps)], self._generator) if running else None
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
