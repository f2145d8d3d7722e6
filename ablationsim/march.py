"""The march in time: accurate steps, generators that change phase, and the record of where the energy went.

Steps end exactly where a generator changes phase, at a scheduled time or where the impedance crosses a threshold. A
step that is too inaccurate, or in which the impedance rises too far past its threshold, is done again, shorter.
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
from ablationsim.pace import FIRST_STEP, Pace, crossing, rounded, time_until
from ablationsim.physics.damage import Damage
from ablationsim.physics.source import Arrays
from ablationsim.step import GAMMA, Carried, Energy, Problem, State, Trial

STRIDE = 1e-3
"""Longest way that an applicator which is on is pulled back in one step [m]."""

_SHORTEST_STEP = 1e-7  # s
_FIRST_SHARE = 0.1  # of the time to the next scheduled event: longest first step after a change of phase
_SHORTEST_LOCATED = 1e-3  # s: no step is done again at less than this because of a threshold
_EVENT_TOLERANCE = 0.05  # ohm: how far past its threshold a located crossing may be
_EVENT_TIME = 1e-6  # s: or how near to a time at which it is not past
_EVENT_CLOCK = 1e-6  # s: crossings are taken to happen at the next multiple of it since the step began
_EVENT_APPROACH = 4.0  # ohm: a step ends so far before a threshold, and the next so far past it, by the readings so far
_EVENT_RISE = 10.0  # ohm: a step that rises by more is done again, unless it crosses the threshold in its last tenth


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
        self.pace = Pace()
        self._approach: list[tuple[float, float]] = []  # last overshoots of this phase, with their times [s, ohm]
        n = problem.bioheat.space.n_nodes
        temperature = np.full(n, problem.initial_temperature)
        operator = problem.bioheat.operator(temperature)
        exchange = problem.bioheat.vessel_exchange(operator, temperature)
        self.state = State(
            time=0.0,
            temperature=temperature,
            damage=Damage.none(temperature),
            energy=Energy(),
            slope=None,
            field=None,
            operator=operator,
            carried=Carried.none(exchange),
            lost_water=np.zeros(n),
            vapour=np.zeros(n),
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
        dt = min(rounded(self.pace.step), rounded(self._foreseen()), longest)
        if self.pace.change is not None:
            dt = min(dt, max(_FIRST_SHARE * (event - state.time), FIRST_STEP))
        # Two nearly equal steps to the horizon instead of a long and a tiny one.
        if dt < longest < 2.0 * dt:
            dt = 0.5 * longest
        dt = self._refresh(dt)
        trial, dt, crossing = self._accurate_step(dt)
        self._accept(trial, dt)
        if crossing or (horizon == event and state.time >= event - 1e-9):
            self._change_phase(state.time)

    def _foreseen(self) -> float:
        """Step to shortly before or past a threshold, as the readings of this phase foretell it."""
        if not self._approach:
            return math.inf
        over = self._approach[-1][1]
        goal = -_EVENT_APPROACH if over < -1.5 * _EVENT_APPROACH else _EVENT_APPROACH
        return max(time_until(goal, self._approach), FIRST_STEP)

    def _note_approach(self) -> None:
        """Remember how far the present readings are from a threshold, and the two before."""
        over = self._overshoot(self.readings)
        self._approach = [*self._approach[-2:], (self.state.time, over)] if math.isfinite(over) else []

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
        """A step that meets the error tolerance and ends where a generator's threshold is crossed, if it is."""
        before = self._overshoot(self.readings)
        while True:
            try:
                trial = self._step(dt)
            except SolverError:
                if dt < 1e-3:
                    raise
                self.state.rejected += 1
                dt = rounded(0.25 * dt)
                self.pace.refuse(dt)
                continue
            past = self._overshoot(trial.readings)
            crosses = past > _EVENT_TOLERANCE and -math.inf < before < 0.0
            share = before / (before - past) if crosses else 1.0
            if trial.error > 1.0:
                shorter = min(self.pace.shorter(dt, trial.error), share * dt)
            elif crosses and past - before > _EVENT_RISE and share < 0.9 and share * dt > _SHORTEST_LOCATED:
                shorter = share * dt
            else:
                break
            self.state.rejected += 1
            dt = rounded(max(shorter, 0.1 * dt))
            self.pace.refuse(dt)
            if dt < _SHORTEST_STEP:
                raise SolverError(
                    f"The time step fell below {_SHORTEST_STEP:g} s at t = {self.state.time:.3f} s. The mesh may be "
                    "too coarse at the electrode; try a finer resolution or a larger time tolerance."
                )
        self.pace.accept(dt, trial.error)
        if crosses:
            trial, dt = self._locate(trial, dt, before, past)
        return trial, dt, past >= 0.0

    def _locate(self, trial: Trial, dt: float, before: float, past: float) -> tuple[Trial, float]:
        """Cut a step at the crossing of a generator's threshold, from so far before it to so far past it [ohm]."""
        state, problem = self.state, self.problem
        demands = [controller.demand() for controller in self.controllers]
        kept: Any = None  # the field at the nearest place past the threshold: places found there come ever nearer

        def overshoot(fraction: float) -> float:
            nonlocal kept
            temperature = problem.within(state, trial, fraction)
            field = problem.source.field(state.time + fraction * dt, temperature)
            over = self._overshoot(problem.readings(problem.source.drive(field, demands), temperature))
            kept = field if over >= 0.0 else kept
            return over

        fraction = crossing(overshoot, before, past, _EVENT_TOLERANCE, _EVENT_TIME / dt)
        if fraction is None:
            return trial, dt
        # Generators do not look more often: what rounding does to the place must not show.
        passed = _EVENT_CLOCK * math.ceil(fraction * dt / _EVENT_CLOCK)
        if passed >= dt:
            return trial, dt
        overshoot(passed / dt)
        return problem.cut(state, trial, dt, passed / dt, kept, demands), passed

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
        before, _ = problem.bioheat.enthalpy(trial.middle, state.lost_water)
        after, _ = problem.bioheat.enthalpy(trial.temperature, state.lost_water)
        state.slope = (after - before) / ((1.0 - GAMMA) * dt)
        state.time += dt
        state.temperature, state.field, state.operator = trial.temperature, trial.field, trial.operator
        if problem.vapour is not None:
            state.temperature, state.lost_water, leaving = problem.vapour.leave(state.temperature, state.lost_water, dt)
            state.vapour = (1.0 - trial.condensed) * state.vapour + leaving
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
        self._note_approach()

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
                self.pace.begin(f"{old.kind} to {new.kind}, {'more' if new.value > old.value else 'less'}")
                self.state.slope = None
                self._approach = []
                self._note_approach()
                return

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, Any], Arrays, Arrays]:
        """What :meth:`restore` continues from to the same numbers.

        Returns
        -------
        meta : dict
            Plain data.
        nodal : dict of str to (..., n) array
            Values at the nodes, ghosts included.
        others : dict of str to array
            Other arrays, the same on all ranks. Names do not occur in both.
        """
        state = self.state
        source_nodal, source_others = self.problem.source.state(state.field)
        meta = {
            "time": state.time,
            "pace": asdict(self.pace),
            "approach": self._approach,
            "steps": state.steps,
            "rejected": state.rejected,
            "power_off": self.power_off,
            "energy": asdict(state.energy),
            "controllers": [controller.state() for controller in self.controllers],
            "readings": [asdict(reading) for reading in self.readings],
        }
        nodal = {
            "temperature": state.temperature,
            **({} if state.slope is None else {"slope": state.slope}),
            "conductivity_at": state.operator.at,
            "perfusion": state.operator.perfusion,
            "lost_water": state.lost_water,
            "vapour": state.vapour,
            **{f"damage_{name}": values for name, values in vars(state.damage).items()},
            **{f"source_{name}": values for name, values in source_nodal.items()},
        }
        others = {
            "blood": state.operator.blood,
            **{f"carried_{name}": values for name, values in vars(state.carried).items()},
            **{f"source_{name}": values for name, values in source_others.items()},
        }
        return meta, nodal, others

    def restore(self, meta: Mapping[str, Any], nodal: Arrays, others: Arrays) -> None:
        """Continue from a snapshot of the same problem, taken on any number of ranks.

        Raises
        ------
        KeyError, ValueError, TypeError
            If the snapshot does not fit.
        """

        def group(arrays: Arrays, prefix: str) -> Arrays:
            return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}

        if nodal["temperature"].shape != self.state.temperature.shape:
            raise ValueError("the mesh has another number of nodes")
        for controller, saved in zip(self.controllers, meta["controllers"], strict=True):
            controller.restore(saved)
        self.readings = [Reading(**reading) for reading in meta["readings"]]
        self.power_off = meta["power_off"]
        self.pace = Pace(**meta["pace"])
        self._approach = [(time, over) for time, over in meta["approach"]]
        field = self.problem.source.restore(group(nodal, "source_"), group(others, "source_"))
        operator = self.problem.bioheat.operator(nodal["conductivity_at"])
        distribution = self.problem.bioheat.space.distribution
        self.state = State(
            time=meta["time"],
            temperature=nodal["temperature"],
            damage=Damage(**group(nodal, "damage_")),
            energy=Energy(**meta["energy"]),
            slope=nodal.get("slope"),
            field=field,
            operator=replace(
                operator, perfusion=distribution.without_ghosts(nodal["perfusion"]), blood=others["blood"]
            ),
            carried=Carried(**group(others, "carried_")),
            lost_water=nodal["lost_water"],
            vapour=distribution.without_ghosts(nodal["vapour"]),
            steps=meta["steps"],
            rejected=meta["rejected"],
        )

    # -- results -----------------------------------------------------------------------------------------------------

    @property
    def stored(self) -> float:
        """Energy stored in the tissue since the start [J]."""
        state, bioheat = self.state, self.problem.bioheat
        on_its_way = bioheat.space.distribution.comm.sum(float(state.vapour.sum()))
        return bioheat.stored_energy(state.temperature, state.lost_water) + on_its_way - self._initial_content
