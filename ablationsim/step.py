"""One coupled step in time: electric field, heat and damage under the generators' demands.

A step is TR-BDF2 (Bank et al. 1985; Hosea and Shampine 1996): a trapezoidal stage to ``t + (2 - sqrt 2) dt`` and a BDF2
stage to ``t + dt``, second order and L-stable, with an embedded third-order formula whose difference is the error
estimate. The temperature-dependent coefficients (conductivities, perfusion) of a stage are taken at a temperature
extrapolated from the states before it, which keeps the order and needs one linear electric problem a stage; a third one
at the end of the step, for which the last is a good guess, gives the impedance that the generators see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from ablationsim.device.signals import Demand, Reading
from ablationsim.fem.kernels import Array, element_look_up
from ablationsim.physics.bioheat import Bioheat, HeatOperator
from ablationsim.physics.circuit import Channel, CircuitState, solve_circuit
from ablationsim.physics.damage import Damage, DamageModel
from ablationsim.physics.electric import Electric, ElectricField

GAMMA = 2.0 - math.sqrt(2.0)  # end of the trapezoidal stage
_W = math.sqrt(2.0) / 4.0  # weight of the first two fluxes in the step
_D = 0.5 * GAMMA  # weight of the last flux, and of the implicit part of each stage
_ERROR = ((1.0 - _W) / 3.0 - _W, (3.0 * _W + 1.0) / 3.0 - _W, _D / 3.0 - _D)  # third-order weights less the step's

_ERROR_VOLUME = 1e-6  # m3: a step's error is the root of the integral of its square over the tissue, per this volume
_NEWTON = 1e-3  # Newton's last correction relative to the tolerance of a step


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

    tolerance: float = 3.0
    longest_step: float = 10.0


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
    slope: Array  # of the enthalpy between the last two states [J/m3/s]; zero after a change of phase
    field: ElectricField | None
    operator: HeatOperator
    steps: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class Trial:
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

    def step(self, state: State, dt: float, demands: list[Demand], standby: bool) -> Trial:
        """Compute a step from a state; the state itself is left as it is.

        Parameters
        ----------
        state : State
            Where to start. A missing electric field is filled in.
        dt : float
            Length of the step [s].
        demands : list of Demand
            What each generator asks for during the step.
        standby : bool
            Whether the impedance is wanted at the end of the step although no generator delivers power.

        Raises
        ------
        SolverError
            If an equation could not be solved; a shorter step may do.
        """
        bioheat = self.bioheat
        driven = any(demand.kind != "off" for demand in demands)
        if standby and state.field is None:
            state.field = self._field(state.time, state.temperature)
        tolerance = _ERROR_VOLUME * (_NEWTON * self.control.tolerance) ** 2
        content, _ = bioheat.enthalpy(state.temperature)
        energy = bioheat.space.lumped_mass * content

        circuit, heat = self._drive(state.field if driven else None, demands)
        powers = [self._powers(circuit, state.field, state.operator, state.temperature)]
        fluxes = [bioheat.flux(state.operator, state.temperature, heat)]

        guess = bioheat.temperature_at(content + GAMMA * dt * state.slope)
        field = self._field(state.time + GAMMA * dt, guess) if driven else None
        operator = self._operator(state, guess, GAMMA * dt)
        circuit, heat = self._drive(field, demands)
        middle = bioheat.solve_stage(operator, _D * dt, energy + _D * dt * fluxes[0], heat, guess, tolerance)
        powers.append(self._powers(circuit, field, operator, middle))
        fluxes.append(bioheat.flux(operator, middle, heat))

        middle_content, _ = bioheat.enthalpy(middle)
        guess = bioheat.temperature_at(content + (middle_content - content) / GAMMA)
        field = self._field(state.time + dt, guess) if driven else None
        operator = self._operator(state, guess, dt)
        circuit, heat = self._drive(field, demands)
        known = energy + _W * dt * (fluxes[0] + fluxes[1])
        temperature = bioheat.solve_stage(operator, _D * dt, known, heat, guess, tolerance)
        powers.append(self._powers(circuit, field, operator, temperature))
        fluxes.append(bioheat.flux(operator, temperature, heat))

        # What the generators read, and the next step starts from, is the field at the temperature that was found.
        field = self._field(state.time + dt, temperature) if standby else None
        circuit, _ = self._drive(field, demands)

        difference = dt * (_ERROR[0] * fluxes[0] + _ERROR[1] * fluxes[1] + _ERROR[2] * fluxes[2])
        error = bioheat.damped(operator, _D * dt, difference, temperature)
        totals = dt * (_W * (powers[0] + powers[1]) + _D * powers[2])
        return Trial(
            temperature,
            middle,
            field,
            operator,
            math.sqrt(float(np.dot(bioheat.space.lumped_mass, error**2)) / _ERROR_VOLUME) / self.control.tolerance,
            self._read(circuit, temperature),
            *(float(x) for x in totals),
        )

    def _field(self, time: float, temperature: Array) -> ElectricField:
        space, tables = self.bioheat.space, self.bioheat.tables
        sigma = np.empty(len(space.volume))
        element_look_up(
            temperature,
            tables.temperature0,
            tables.step,
            tables.electric_conductivity,
            self.sigma_factor,
            space.cells,
            space.averaging,
            sigma,
        )
        outer = self.electric.outer_nodes
        grid = tables.temperature0 + tables.step * np.arange(len(tables.electric_conductivity))
        sigma_outer = self.sigma_factor[outer] * np.interp(temperature[outer], grid, tables.electric_conductivity)
        return self.electric.solve(time, sigma, sigma_outer)

    def _operator(self, state: State, temperature: Array, dt: float) -> HeatOperator:
        """Heat losses at a predicted temperature ``dt`` seconds ahead, perfusion reduced by the damage until then."""
        bioheat, damage = self.bioheat, self.damage
        if not bioheat.perfused:
            return bioheat.operator(temperature)
        ahead = state.damage.copy()
        damage.advance(ahead, state.temperature, temperature, dt)
        return bioheat.operator(temperature, damage.perfusion_factor(ahead))

    def _drive(self, field: ElectricField | None, demands: list[Demand]) -> tuple[CircuitState | None, Array]:
        """Voltages that the generators set, and the nodal heat that follows."""
        if field is None:
            return None, np.zeros(self.bioheat.space.n_nodes)
        circuit = solve_circuit(field.conductance, self.channels, demands)
        return circuit, field.heat(circuit.terminal_voltage)

    def _powers(
        self, circuit: CircuitState | None, field: ElectricField | None, operator: HeatOperator, temperature: Array
    ) -> Array:
        """Power of the generators, and power lost outside the mesh, to the coolant and to the blood [W]."""
        bioheat = self.bioheat
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
        tips = [float(np.mean(matrix @ temperature)) for matrix in self.thermocouples]
        if circuit is None:
            return [Reading(0.0, 0.0, 0.0, 0.0, math.nan, tip) for tip in tips]
        return [
            Reading(0.0, float(u), float(i), float(u * i), 1.0 / float(g), tip)
            for u, i, g, tip in zip(circuit.voltage, circuit.current, circuit.conductance, tips, strict=True)
        ]
