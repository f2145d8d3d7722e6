"""The march in time: accurate steps, generators that change phase, and the record of where the energy went.

Steps end exactly where a generator changes phase, at a scheduled time or where the impedance crosses a threshold, and a
step that is too inaccurate is done again with a shorter length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ablationsim.device.generator import Controller
from ablationsim.device.signals import Reading
from ablationsim.errors import SolverError
from ablationsim.fem.kernels import Array
from ablationsim.physics.bioheat import HeatOperator
from ablationsim.physics.damage import Damage
from ablationsim.step import GAMMA, Carried, Energy, Problem, State, Trial

STRIDE = 1e-3
"""Longest way that an applicator which is on is pulled back in one step [m]."""

_FIRST_STEP = 0.05  # s, after every change of phase
_SHORTEST_STEP = 1e-7  # s
_EVENT_TOLERANCE = 0.05  # ohm: how far past its threshold a located crossing may be


class March:
    """Marches a problem through the protocols of its generators.

    Parameters
    ----------
    problem : Problem
        What to solve.
    controllers : list of Controller
        One per channel.
    cooling : float
        Time after the last power-off that is simulated [s].
    """

    def __init__(self, problem: Problem, controllers: list[Controller], cooling: float) -> None:
        self.problem = problem
        self.controllers = controllers
        self.cooling = cooling
        self.power_off: float | None = None
        n = problem.bioheat.space.n_nodes
        temperature = np.full(n, problem.initial_temperature)
        operator = problem.bioheat.operator(temperature)
        exchange = problem.bioheat.vessel_exchange(operator, temperature)
        self.state = State(
            time=0.0,
            temperature=temperature,
            damage=Damage.none(temperature),
            energy=Energy(),
            step=_FIRST_STEP,
            slope=np.zeros(n),
            field=None,
            operator=operator,
            carried=Carried.none(exchange),
        )
        self._initial_content = problem.bioheat.stored_energy(temperature)
        idle = problem.source.drive(None, [controller.demand() for controller in controllers])
        self.readings = problem.readings(idle, temperature)
        self.flows: Mapping[str, float] = problem.flows(idle, exchange)

    # -- the march ---------------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether all protocols have ended and the tissue has cooled for the time asked."""
        return self.power_off is not None and self.state.time >= self.power_off + self.cooling - 1e-9

    def run(self, observe: Callable[[March], bool], stops: Callable[[float], float]) -> None:
        """March to the end.

        Parameters
        ----------
        observe : callable
            Called after every accepted step; returns True to stop early.
        stops : callable
            ``stops(t)``: the next time after t that a step has to end at (outputs) [s].
        """
        while not self.finished:
            self.advance(stops(self.state.time))
            if observe(self):
                return

    def advance(self, stop: float = math.inf) -> None:
        """Do one accepted step, ending at ``stop`` or at a generator's event at the latest."""
        state = self.state
        end = self.power_off + self.cooling if self.power_off is not None else math.inf
        event = min((c.next_event() for c in self.controllers if not c.finished), default=math.inf)
        horizon = min(event, stop, end)
        if horizon - state.time <= 1e-9 and horizon == event:
            self._change_phase(event)
            return
        longest = min(self.problem.control.longest_step, horizon - state.time)
        dt = min(state.step, longest)
        # Two nearly equal steps to the horizon instead of a long and a tiny one.
        if dt < longest < 2.0 * dt:
            dt = 0.5 * longest
        dt = self._refresh(dt)
        trial, dt, crossing = self._accurate_step(dt)
        self._accept(trial, dt)
        if crossing or (horizon == event and state.time >= event - 1e-9):
            self._change_phase(state.time)

    def _refresh(self, dt: float) -> float:
        """Let the source adapt to the present state; returns the step, cut to one stride of what is pulled back."""
        state = self.state
        demands = [controller.demand() for controller in self.controllers]
        for controller, demand in zip(self.controllers, demands, strict=True):
            way = controller.withdrawn(state.time + dt) - controller.withdrawn(state.time)
            if demand.kind != "off" and way > STRIDE:
                dt *= STRIDE / way
        # An applicator that moves acts from the place that it has in the middle of the step.
        withdrawn = [controller.withdrawn(state.time + 0.5 * dt) for controller in self.controllers]
        highest = state.damage.max_temperature
        if self.problem.source.refresh(state.temperature, highest, demands, withdrawn):
            state.field = None
        return dt

    def _step(self, dt: float) -> Trial:
        demands = [controller.demand() for controller in self.controllers]
        standby = any(not controller.finished for controller in self.controllers)
        return self.problem.step(self.state, dt, demands, standby)

    def _accurate_step(self, dt: float) -> tuple[Trial, float, bool]:
        """A step that meets the error tolerance and does not run past a generator's threshold."""
        while True:
            try:
                trial = self._step(dt)
            except SolverError:
                if dt < 1e-3:
                    raise
                self.state.rejected += 1
                dt *= 0.25
                continue
            self.state.step = (
                dt * min(2.0, max(0.2, 0.9 * trial.error ** (-1.0 / 3.0))) if trial.error > 0 else 2.0 * dt
            )
            if trial.error <= 1.0:
                break
            self.state.rejected += 1
            dt = min(self.state.step, 0.9 * dt)
            if dt < _SHORTEST_STEP:
                raise SolverError(
                    f"The time step fell below {_SHORTEST_STEP:g} s at t = {self.state.time:.3f} s. The mesh may be "
                    "too coarse at the electrode; try a finer resolution or a larger time tolerance."
                )
        return self._locate(trial, dt)

    def _locate(self, trial: Trial, dt: float) -> tuple[Trial, float, bool]:
        """Shorten the step to where a generator's impedance threshold is crossed (regula falsi, Illinois variant)."""
        past = self._overshoot(trial.readings)
        if past < 0.0:
            return trial, dt, False
        next_step = self.state.step
        low, high = 0.0, dt
        f_low, f_high = self._overshoot(self.readings), past
        last_side = 0
        while past > _EVENT_TOLERANCE and high - low > 1e-6 and math.isfinite(f_low):
            middle = low + (high - low) * min(max(-f_low / (f_high - f_low), 0.02), 0.98)
            attempt = self._step(middle)
            self.state.rejected += 1
            value = self._overshoot(attempt.readings)
            side = 1 if value >= 0.0 else -1
            if side > 0:
                trial, past = attempt, value
                high, f_high = middle, value
                f_low *= 0.5 if side == last_side else 1.0
            else:
                low, f_low = middle, value
                f_high *= 0.5 if side == last_side else 1.0
            last_side = side
        self.state.step = next_step
        return trial, high, True

    def _overshoot(self, readings: list[Reading]) -> float:
        """How far the first generator is past its threshold [ohm]; minus infinity when none watches one."""
        values = [
            over
            for controller, reading in zip(self.controllers, readings, strict=True)
            if not controller.finished and (over := controller.overshoot(reading)) is not None
        ]
        return max(values, default=-math.inf)

    def _accept(self, trial: Trial, dt: float) -> None:
        state, problem = self.state, self.problem
        problem.damage.advance(state.damage, state.temperature, trial.middle, GAMMA * dt)
        problem.damage.advance(state.damage, trial.middle, trial.temperature, (1.0 - GAMMA) * dt)
        before, _ = problem.bioheat.enthalpy(trial.middle)
        after, _ = problem.bioheat.enthalpy(trial.temperature)
        state.slope = (after - before) / ((1.0 - GAMMA) * dt)
        state.time += dt
        state.temperature, state.field, state.operator = trial.temperature, trial.field, trial.operator
        if problem.bioheat.perfused:
            # The step foresaw the damage; from here on the damage that was done counts.
            factor = problem.damage.perfusion_factor(state.damage)
            state.operator = problem.bioheat.with_perfusion(trial.operator, factor)
        state.energy.generator += trial.generator
        state.energy.outside += trial.outside
        state.energy.coolant += trial.coolant
        state.energy.perfusion += trial.perfusion
        state.energy.vessels += trial.vessels
        state.carried.lost += trial.carried.lost
        state.carried.gained += trial.carried.gained
        np.maximum(state.carried.hottest, trial.carried.outlet, out=state.carried.hottest)
        state.steps += 1
        self.readings = [replace(reading, time_s=state.time) for reading in trial.readings]
        self.flows = trial.flows
        for controller, reading in zip(self.controllers, self.readings, strict=True):
            if not controller.finished:
                controller.accept(reading)

    def _change_phase(self, time: float) -> None:
        """Let the generators that are due go on to their next phase."""
        before = [c.demand() for c in self.controllers]
        for controller, reading in zip(self.controllers, self.readings, strict=True):
            over = None if controller.finished else controller.overshoot(reading)
            if not controller.finished and (
                controller.next_event() <= time + 1e-9 or (over is not None and over >= 0.0)
            ):
                controller.advance(replace(reading, time_s=time))
        if all(controller.finished for controller in self.controllers):
            self.power_off = time
        for old, new in zip(before, (c.demand() for c in self.controllers), strict=True):
            # A small correction (a sampled temperature controller) leaves the solution smooth enough to step on.
            if old.kind != new.kind or abs(new.value - old.value) > 0.05 * abs(old.value):
                self.state.step = _FIRST_STEP
                self.state.slope = np.zeros_like(self.state.slope)
                return

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain data and arrays from which :meth:`restore` continues to the same numbers."""
        state = self.state
        meta = {
            "time": state.time,
            "step": state.step,
            "steps": state.steps,
            "rejected": state.rejected,
            "power_off": self.power_off,
            "energy": asdict(state.energy),
            "controllers": [controller.state() for controller in self.controllers],
            "readings": [asdict(reading) for reading in self.readings],
        }
        arrays = {
            "temperature": state.temperature,
            "slope": state.slope,
            "conduction": state.operator.conduction,
            "perfusion": state.operator.perfusion,
            "blood": state.operator.blood,
            **{f"carried_{name}": values for name, values in vars(state.carried).items()},
            **{f"damage_{name}": values for name, values in vars(state.damage).items()},
            **{f"source_{name}": values for name, values in self.problem.source.state(state.field).items()},
        }
        return meta, arrays

    def restore(self, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Continue from a snapshot of the same problem.

        Raises
        ------
        KeyError, ValueError, TypeError
            If the snapshot does not fit.
        """

        def group(prefix: str) -> dict[str, Array]:
            return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}

        if arrays["temperature"].shape != self.state.temperature.shape:
            raise ValueError("the mesh has another number of nodes")
        for controller, saved in zip(self.controllers, meta["controllers"], strict=True):
            controller.restore(saved)
        self.readings = [Reading(**reading) for reading in meta["readings"]]
        self.power_off = meta["power_off"]
        field = self.problem.source.restore(group("source_"))
        self.state = State(
            time=meta["time"],
            temperature=arrays["temperature"],
            damage=Damage(**group("damage_")),
            energy=Energy(**meta["energy"]),
            step=meta["step"],
            slope=arrays["slope"],
            field=field,
            operator=HeatOperator(arrays["conduction"], arrays["perfusion"], arrays["blood"]),
            carried=Carried(**group("carried_")),
            steps=meta["steps"],
            rejected=meta["rejected"],
        )

    # -- results -----------------------------------------------------------------------------------------------------

    @property
    def stored(self) -> float:
        """Energy stored in the tissue since the start [J]."""
        return self.problem.bioheat.stored_energy(self.state.temperature) - self._initial_content
