"""The coupled march in time: electric field, heat, damage and generators.

One step is TR-BDF2 (Bank et al. 1985; Hosea and Shampine 1996): a trapezoidal stage to ``t + (2 - sqrt 2) dt`` and a BDF2 stage to
``t + dt``, second order and L-stable, with an embedded third-order formula whose difference is the error estimate. The
temperature-dependent coefficients (conductivities, perfusion) of a stage are taken at a temperature extrapolated from the
states before it, which keeps the order and needs one linear electric problem a stage. Steps end exactly where a generator
changes phase, and a step that is too long is done again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse

from ablationsim.device.generator import Controller, Reading
from ablationsim.errors import SolverError
from ablationsim.fem.kernels import Array, element_look_up
from ablationsim.physics.bioheat import Bioheat, HeatOperator
from ablationsim.physics.circuit import Channel, CircuitState, solve_circuit
from ablationsim.physics.damage import Damage, DamageModel
from ablationsim.physics.electric import Electric, ElectricField

_GAMMA = 2.0 - math.sqrt(2.0)  # end of the trapezoidal stage
_W = math.sqrt(2.0) / 4.0  # weight of the first two fluxes in the step
_D = 0.5 * _GAMMA  # weight of the last flux, and of the implicit part of each stage
_ERROR = ((1.0 - _W) / 3.0 - _W, (3.0 * _W + 1.0) / 3.0 - _W, _D / 3.0 - _D)  # third-order weights less the step's

_FIRST_STEP = 0.05  # s, after every change of phase
_SHORTEST_STEP = 1e-7  # s
_LONGEST_STEP = 10.0  # s
_ERROR_VOLUME = 1e-6  # m3: a step's error is the root of the integral of its square over the tissue, per this volume
_NEWTON = 1e-2  # Newton's last correction relative to the tolerance of a step
_EVENT_TOLERANCE = 0.05  # ohm: how far past its threshold a located crossing may be


@dataclass(frozen=True)
class TimeControl:
    """Accuracy of the march.

    Attributes
    ----------
    tolerance : float
        Estimated temperature error of one step: root of the integral of its square over the tissue, per millilitre [K].
    longest_step : float
        Upper limit of the step [s].
    """

    tolerance: float = 2.0
    longest_step: float = _LONGEST_STEP


@dataclass(frozen=True)
class Problem:
    """All parts of a simulation that do not change with time.

    Attributes
    ----------
    bioheat, electric, damage : the physics on one space.
    sigma_factor : (n,) array
        Nodal multiplier of the electric conductivity (infused saline); one elsewhere.
    channels : list of Channel
        One per generator, in the order of the controllers.
    thermocouples : list of (p, n) matrices
        Tip thermocouples of each applicator.
    probes : (p, n) matrix
        Probes of the case.
    initial_temperature : float
        In kelvin.
    """

    bioheat: Bioheat
    electric: Electric
    damage: DamageModel
    sigma_factor: Array
    channels: list[Channel]
    thermocouples: list[sparse.csr_matrix]
    probes: sparse.csr_matrix
    initial_temperature: float
    control: TimeControl = field(default_factory=TimeControl)


@dataclass
class Energy:
    """Energy since the start [J]."""

    generator: float = 0.0
    outside: float = 0.0
    coolant: float = 0.0
    perfusion: float = 0.0

    @property
    def lost(self) -> float:
        """Energy that left the tissue in the mesh, or never entered it [J]."""
        return self.outside + self.coolant + self.perfusion


@dataclass
class State:
    """Everything that changes with time."""

    time: float
    temperature: Array
    damage: Damage
    energy: Energy
    step: float
    slope: Array  # of the enthalpy between the last two states [J/m3/s], for extrapolation; zero after a change of phase
    field: ElectricField | None
    operator: HeatOperator
    steps: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class _Trial:
    """A step that has been computed but not yet accepted."""

    temperature: Array
    middle: Array
    field: ElectricField | None
    operator: HeatOperator
    error: float
    readings: list[Reading]
    generator: float
    outside: float
    coolant: float
    perfusion: float


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
        self.state = State(
            time=0.0,
            temperature=temperature,
            damage=Damage.none(temperature),
            energy=Energy(),
            step=_FIRST_STEP,
            slope=np.zeros(n),
            field=None,
            operator=problem.bioheat.operator(temperature),
        )
        self._initial_content = problem.bioheat.stored_energy(temperature)
        self.readings = [Reading(0.0, 0.0, 0.0, 0.0, math.nan, problem.initial_temperature) for _ in controllers]

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
        trial, dt, crossing = self._accurate_step(dt)
        self._accept(trial, dt)
        if crossing or (horizon == event and state.time >= event - 1e-9):
            self._change_phase(state.time)

    def _accurate_step(self, dt: float) -> tuple[_Trial, float, bool]:
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
            self.state.step = dt * min(2.0, max(0.2, 0.9 * trial.error ** (-1.0 / 3.0))) if trial.error > 0 else 2.0 * dt
            if trial.error <= 1.0:
                break
            self.state.rejected += 1
            dt = min(self.state.step, 0.9 * dt)
            if dt < _SHORTEST_STEP:
                raise SolverError(
                    f"The time step fell below {_SHORTEST_STEP:g} s at t = {self.state.time:.3f} s. The mesh may be too "
                    "coarse at the electrode; try a finer resolution or a larger time tolerance."
                )
        return self._locate(trial, dt)

    def _locate(self, trial: _Trial, dt: float) -> tuple[_Trial, float, bool]:
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

    def _accept(self, trial: _Trial, dt: float) -> None:
        state, problem = self.state, self.problem
        problem.damage.advance(state.damage, state.temperature, trial.middle, _GAMMA * dt)
        problem.damage.advance(state.damage, trial.middle, trial.temperature, (1.0 - _GAMMA) * dt)
        before, _ = problem.bioheat.enthalpy(trial.middle)
        after, _ = problem.bioheat.enthalpy(trial.temperature)
        state.slope = (after - before) / ((1.0 - _GAMMA) * dt)
        state.time += dt
        state.temperature, state.field, state.operator = trial.temperature, trial.field, trial.operator
        state.energy.generator += trial.generator
        state.energy.outside += trial.outside
        state.energy.coolant += trial.coolant
        state.energy.perfusion += trial.perfusion
        state.steps += 1
        self.readings = [replace(reading, time_s=state.time) for reading in trial.readings]
        for controller, reading in zip(self.controllers, self.readings, strict=True):
            if not controller.finished:
                controller.accept(reading)

    def _change_phase(self, time: float) -> None:
        """Let the generators that are due go on to their next phase."""
        before = [c.demand() for c in self.controllers]
        for controller, reading in zip(self.controllers, self.readings, strict=True):
            over = None if controller.finished else controller.overshoot(reading)
            if not controller.finished and (controller.next_event() <= time + 1e-9 or (over is not None and over >= 0.0)):
                controller.advance(replace(reading, time_s=time))
        if all(controller.finished for controller in self.controllers):
            self.power_off = time
        for old, new in zip(before, (c.demand() for c in self.controllers), strict=True):
            # A small correction (a sampled temperature controller) leaves the solution smooth enough to step on.
            if old.kind != new.kind or abs(new.value - old.value) > 0.05 * abs(old.value):
                self.state.step = _FIRST_STEP
                self.state.slope = np.zeros_like(self.state.slope)
                return

    # -- one step ----------------------------------------------------------------------------------------------------

    def _step(self, dt: float) -> _Trial:
        state, bioheat = self.state, self.problem.bioheat
        driven = any(c.demand().kind != "off" for c in self.controllers)
        standby = any(not c.finished for c in self.controllers)
        if standby and state.field is None:
            state.field = self._field(state.time, state.temperature)
        tolerance = _ERROR_VOLUME * (_NEWTON * self.problem.control.tolerance) ** 2
        content, _ = bioheat.enthalpy(state.temperature)
        energy = bioheat.space.lumped_mass * content

        circuit, heat = self._drive(state.field if driven else None)
        powers = [self._powers(circuit, state.field, state.operator, state.temperature)]
        fluxes = [bioheat.flux(state.operator, state.temperature, heat)]

        guess = bioheat.temperature_at(content + _GAMMA * dt * state.slope)
        field = self._field(state.time + _GAMMA * dt, guess) if driven else None
        operator = self._operator(guess, _GAMMA * dt)
        circuit, heat = self._drive(field)
        middle = bioheat.solve_stage(operator, _D * dt, energy + _D * dt * fluxes[0], heat, guess, tolerance)
        powers.append(self._powers(circuit, field, operator, middle))
        fluxes.append(bioheat.flux(operator, middle, heat))

        middle_content, _ = bioheat.enthalpy(middle)
        guess = bioheat.temperature_at(content + (middle_content - content) / _GAMMA)
        field = self._field(state.time + dt, guess) if standby else None
        operator = self._operator(guess, dt)
        circuit, heat = self._drive(field)
        known = energy + _W * dt * (fluxes[0] + fluxes[1])
        temperature = bioheat.solve_stage(operator, _D * dt, known, heat, guess, tolerance)
        powers.append(self._powers(circuit, field, operator, temperature))
        fluxes.append(bioheat.flux(operator, temperature, heat))

        difference = dt * sum(c * f for c, f in zip(_ERROR, fluxes, strict=True))
        error = bioheat.damped(operator, _D * dt, difference, temperature)
        totals = dt * (_W * (powers[0] + powers[1]) + _D * powers[2])
        return _Trial(
            temperature,
            middle,
            field,
            operator,
            math.sqrt(float(np.dot(bioheat.space.lumped_mass, error**2)) / _ERROR_VOLUME) / self.problem.control.tolerance,
            self._read(circuit, temperature),
            *(float(x) for x in totals),
        )

    def _field(self, time: float, temperature: Array) -> ElectricField:
        problem = self.problem
        space, tables = problem.bioheat.space, problem.bioheat.tables
        sigma = np.empty(len(space.volume))
        element_look_up(
            temperature,
            tables.temperature0,
            tables.step,
            tables.electric_conductivity,
            problem.sigma_factor,
            space.cells,
            space.averaging,
            sigma,
        )
        outer = problem.electric.outer_nodes
        grid = tables.temperature0 + tables.step * np.arange(len(tables.electric_conductivity))
        sigma_outer = problem.sigma_factor[outer] * np.interp(temperature[outer], grid, tables.electric_conductivity)
        return problem.electric.solve(time, sigma, sigma_outer)

    def _operator(self, temperature: Array, dt: float) -> HeatOperator:
        """Heat losses at a predicted temperature ``dt`` seconds ahead, perfusion reduced by the damage until then."""
        bioheat, damage = self.problem.bioheat, self.problem.damage
        if not bioheat.perfused:
            return bioheat.operator(temperature)
        ahead = self.state.damage.copy()
        damage.advance(ahead, self.state.temperature, temperature, dt)
        return bioheat.operator(temperature, damage.perfusion_factor(ahead))

    def _drive(self, field: ElectricField | None) -> tuple[CircuitState | None, Array]:
        """Voltages that the generators set, and the nodal heat that follows."""
        if field is None:
            return None, np.zeros(self.problem.bioheat.space.n_nodes)
        circuit = solve_circuit(field.conductance, self.problem.channels, [c.demand() for c in self.controllers])
        return circuit, field.heat(circuit.terminal_voltage)

    def _powers(
        self, circuit: CircuitState | None, field: ElectricField | None, operator: HeatOperator, temperature: Array
    ) -> Array:
        """Power of the generators, and power lost outside the mesh, to the coolant and to the blood [W]."""
        bioheat = self.problem.bioheat
        generator = outside = 0.0
        if circuit is not None and field is not None:
            v = circuit.terminal_voltage
            generator = float(np.dot(circuit.voltage, circuit.current))
            outside = float(v @ (field.conductance - field.inner_conductance) @ v)
        return np.array(
            [generator, outside, bioheat.coolant_power(temperature), bioheat.perfusion_power(operator, temperature)]
        )

    def _read(self, circuit: CircuitState | None, temperature: Array) -> list[Reading]:
        """What each generator would show at the end of the step."""
        tips = [float(np.mean(matrix @ temperature)) for matrix in self.problem.thermocouples]
        if circuit is None:
            return [Reading(0.0, 0.0, 0.0, 0.0, math.nan, tip) for tip in tips]
        return [
            Reading(0.0, float(u), float(i), float(u * i), 1.0 / float(g), tip)
            for u, i, g, tip in zip(circuit.voltage, circuit.current, circuit.conductance, tips, strict=True)
        ]

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
            **{f"damage_{name}": values for name, values in vars(state.damage).items()},
            **{f"electric_{name}": values for name, values in self.problem.electric.state().items()},
        }
        if state.field is not None:
            arrays |= {f"field_{name}": values for name, values in vars(state.field).items()}
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
        self.problem.electric.restore(group("electric_"))
        self.state = State(
            time=meta["time"],
            temperature=arrays["temperature"],
            damage=Damage(**group("damage_")),
            energy=Energy(**meta["energy"]),
            step=meta["step"],
            slope=arrays["slope"],
            field=ElectricField(**group("field_")) if "field_conductance" in arrays else None,
            operator=HeatOperator(arrays["conduction"], arrays["perfusion"]),
            steps=meta["steps"],
            rejected=meta["rejected"],
        )

    # -- results -----------------------------------------------------------------------------------------------------

    @property
    def stored(self) -> float:
        """Energy stored in the tissue since the start [J]."""
        return self.problem.bioheat.stored_energy(self.state.temperature) - self._initial_content
