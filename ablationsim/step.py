"""One coupled step in time: source of heat, heat and damage under the generators' demands.

A step is TR-BDF2 (Bank et al. 1985; Hosea and Shampine 1996): a trapezoidal stage to ``t + (2 - sqrt 2) dt`` and a BDF2
stage to ``t + dt``, second order and L-stable, with an embedded third-order formula whose difference is the error
estimate. The temperature-dependent coefficients (conductivities, perfusion) of a stage are taken at a temperature
extrapolated from the states before it, which keeps the order and needs one linear field problem a stage; a third one
at the end of the step, for which the last is a good guess, gives what the generators read. Right after a change of
phase, when states before say nothing, a linearly implicit Euler step foresees the first stage.

A step that has been computed can be cut short: between its ends the enthalpy is taken as linear in time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ablationsim.device.signals import Demand, Reading
from ablationsim.errors import SolverError
from ablationsim.fem.kernels import Array
from ablationsim.fem.probing import Probes
from ablationsim.physics.bioheat import Bioheat, HeatOperator
from ablationsim.physics.damage import Damage, DamageModel
from ablationsim.physics.lumens import Lumens
from ablationsim.physics.source import Drive, Source
from ablationsim.physics.vapour import Vapour
from ablationsim.physics.vessel_exchange import Exchange

GAMMA = 2.0 - math.sqrt(2.0)  # end of the trapezoidal stage
_W = math.sqrt(2.0) / 4.0  # weight of the first two fluxes in the step
_D = 0.5 * GAMMA  # weight of the last flux, and of the implicit part of each stage
_ERROR = ((1.0 - _W) / 3.0 - _W, (3.0 * _W + 1.0) / 3.0 - _W, _D / 3.0 - _D)  # third-order weights less the step's

_ERROR_VOLUME = 1e-6  # m3: a step's error is the root of the integral of its square over the tissue, per this volume
_BLOOD = 2e-4  # share of the heat lost to vessels by which the heat gained by their blood may differ in a stage
_BLOOD_POWER = 1e-4  # W: the same for vessels that take up next to nothing
_BLOOD_LIMIT = 30
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
    vessels: float = 0.0

    @property
    def lost(self) -> float:
        """Energy that left the tissue in the mesh, or never entered it [J]."""
        return self.outside + self.coolant + self.perfusion + self.vessels


@dataclass
class Carried:
    """What the blood of each branch of the vessels has carried off since the start.

    Attributes
    ----------
    lost, gained : (b,) arrays
        Heat that the tissue lost at the wall, and that the blood gained by it [J].
    hottest : (b,) array
        Highest temperature of the blood that left the branch [K].
    """

    lost: Array
    gained: Array
    hottest: Array

    @classmethod
    def none(cls, exchange: Exchange) -> Carried:
        """Nothing yet; the blood leaves at the temperature it has now."""
        return cls(np.zeros_like(exchange.lost), np.zeros_like(exchange.lost), exchange.outlet.copy())


@dataclass
class State:
    """Everything that changes with time."""

    time: float
    temperature: Array
    damage: Damage
    energy: Energy
    slope: Array | None  # of the enthalpy between the last two states [J/m3/s]; None after a change of phase
    field: Any | None  # of the source
    operator: HeatOperator
    carried: Carried
    lost_water: Array  # share that has left as vapour
    vapour: Array  # latent heat on its way to the nodes where it condenses [J]
    steps: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class Trial:
    """A step that has been computed but not yet accepted."""

    temperature: Array
    middle: Array
    field: Any | None
    operator: HeatOperator
    error: float
    readings: list[Reading]
    flows: Mapping[str, float]
    carried: Exchange
    generator: float
    outside: float
    coolant: float
    perfusion: float
    vessels: float
    condensed: float = 0.0  # share of the vapour on its way at the start of the step


@dataclass(frozen=True)
class Problem:
    """The parts of a simulation.

    Attributes
    ----------
    bioheat, source, damage : the physics on one space.
    thermocouples : list of Probes
        Tip thermocouples of each applicator.
    probes : Probes
        Probes of the case.
    initial_temperature : float
        In kelvin.
    lumens : Lumens, optional
        Insides of vessels.
    vapour : Vapour, optional
        What carries the heat of boiled-off water; none where it condenses where it arose.
    """

    bioheat: Bioheat
    source: Source
    damage: DamageModel
    thermocouples: list[Probes]
    probes: Probes
    initial_temperature: float
    control: TimeControl = field(default_factory=TimeControl)
    lumens: Lumens | None = None
    vapour: Vapour | None = None

    def shown(self, temperature: Array) -> Array:
        """The temperature ``(n,)`` as people see it: inside vessels no colder than their blood."""
        return temperature if self.lumens is None else np.maximum(temperature, self.lumens.coldest)

    def level(self, damage: Damage) -> Array:
        """Level ``(n,)`` of the zone, which is where it is positive."""
        return self.limited(self.damage.level(damage))

    def limited(self, level: Array) -> Array:
        """A level ``(n,)`` that is not positive inside vessels."""
        return level if self.lumens is None else self.lumens.limited(level)

    def step(self, state: State, dt: float, demands: list[Demand], standby: bool) -> Trial:
        """Compute a step from a state; the state itself is left as it is.

        Parameters
        ----------
        state : State
            Where to start. A missing field is filled in.
        dt : float
            Length of the step [s].
        demands : list of Demand
            What each generator asks for during the step.
        standby : bool
            Whether readings are wanted at the end of the step although no generator delivers power.

        Raises
        ------
        SolverError
            If an equation could not be solved; a shorter step may do.
        """
        bioheat, source = self.bioheat, self.source
        driven = any(demand.kind != "off" for demand in demands)
        if standby and state.field is None:
            state.field = source.field(state.time, state.temperature)
        tolerance = _ERROR_VOLUME * (_NEWTON * self.control.tolerance) ** 2
        lost = state.lost_water
        content, _ = bioheat.enthalpy(state.temperature, lost)
        energy = bioheat.mass * content

        drive = source.drive(state.field if driven else None, demands)
        exchanges = [bioheat.vessel_exchange(state.operator, state.temperature)]
        powers = [self._powers(drive, state.operator, state.temperature, exchanges[0])]
        condensed = self.vapour.condensed(dt) if self.vapour else 0.0
        vapour = condensed / dt * state.vapour
        fluxes = [bioheat.flux(state.operator, state.temperature, drive.heat + vapour)]

        if state.slope is None:
            guess = self._foreseen(state, fluxes[0], GAMMA * dt)
        else:
            guess = bioheat.temperature_at(content + GAMMA * dt * state.slope, lost)
        drive = source.drive(source.field(state.time + GAMMA * dt, guess) if driven else None, demands)
        operator = self._operator(state, guess, GAMMA * dt)
        known = energy + _D * dt * fluxes[0]
        heat = drive.heat + vapour
        middle, operator, exchange = self._stage(operator, _D * dt, known, heat, guess, tolerance, lost)
        exchanges.append(exchange)
        powers.append(self._powers(drive, operator, middle, exchanges[1]))
        fluxes.append(bioheat.flux(operator, middle, heat))

        middle_content, _ = bioheat.enthalpy(middle, lost)
        guess = bioheat.temperature_at(content + (middle_content - content) / GAMMA, lost)
        drive = source.drive(source.field(state.time + dt, guess) if driven else None, demands)
        operator = self._operator(state, guess, dt)
        known = energy + _W * dt * (fluxes[0] + fluxes[1])
        heat = drive.heat + vapour
        temperature, operator, exchange = self._stage(operator, _D * dt, known, heat, guess, tolerance, lost)
        exchanges.append(exchange)
        powers.append(self._powers(drive, operator, temperature, exchanges[2]))
        fluxes.append(bioheat.flux(operator, temperature, heat))

        # What the generators read, and the next step starts from, is the field at the temperature that was found.
        field = source.field(state.time + dt, temperature) if standby else None
        drive = source.drive(field, demands)

        difference = dt * (_ERROR[0] * fluxes[0] + _ERROR[1] * fluxes[1] + _ERROR[2] * fluxes[2])
        error = bioheat.damped(operator, _D * dt, difference, temperature, lost)
        totals = dt * (_W * (powers[0] + powers[1]) + _D * powers[2])
        lost_heat, gained_heat = (
            dt * (_W * (getattr(exchanges[0], name) + getattr(exchanges[1], name)) + _D * getattr(exchanges[2], name))
            for name in ("lost", "gained")
        )
        generator, outside, coolant, perfusion, vessels = (float(x) for x in totals)
        return Trial(
            temperature,
            middle,
            field,
            operator,
            math.sqrt(bioheat.mean_square(error, _ERROR_VOLUME)) / self.control.tolerance,
            self.readings(drive, temperature),
            self.flows(drive, exchanges[2]),
            Exchange(lost_heat, gained_heat, exchanges[2].outlet),
            generator,
            outside,
            coolant,
            perfusion,
            vessels,
            condensed,
        )

    def _foreseen(self, state: State, flux: Array, dt: float) -> Array:
        """Temperature ``dt`` seconds ahead by a linearly implicit Euler step, with the nodal heating ``flux`` [W]."""
        bioheat = self.bioheat
        lost = state.lost_water
        content, capacity = bioheat.enthalpy(state.temperature, lost)
        change = bioheat.damped(state.operator, dt, dt * flux, state.temperature, lost)
        return bioheat.temperature_at(content + capacity * change, lost)

    def within(self, state: State, trial: Trial, fraction: float) -> Array:
        """Temperature ``(n,)`` [K] when a fraction of the time of a step has passed."""
        bioheat, lost = self.bioheat, state.lost_water
        before, _ = bioheat.enthalpy(state.temperature, lost)
        after, _ = bioheat.enthalpy(trial.temperature, lost)
        content = before + fraction * (after - before)
        temperature = bioheat.temperature_at(content, lost)
        for _ in range(2):
            # The look-up of a temperature is coarser than that of an enthalpy, and energy has to be conserved.
            found, capacity = bioheat.enthalpy(temperature, lost)
            temperature = temperature + (content - found) / capacity
        return temperature

    def cut(
        self, state: State, trial: Trial, dt: float, fraction: float, field: Any | None, demands: list[Demand]
    ) -> Trial:
        """The first part of a step of length ``dt`` [s].

        Parameters
        ----------
        state : State
            Where the step starts.
        trial : Trial
            The step.
        dt : float
            Its length [s].
        fraction : float
            Share of it that is kept.
        field : of the source
            At the temperature where it ends: see :meth:`within`.
        demands : list of Demand
            What each generator asks for during the step.
        """
        temperature = self.within(state, trial, fraction)
        operator = self._operator(state, temperature, fraction * dt)
        exchange = self.bioheat.vessel_exchange(operator, temperature)
        drive = self.source.drive(field, demands)
        return replace(
            trial,
            temperature=temperature,
            middle=self.within(state, trial, GAMMA * fraction),
            field=field,
            operator=operator,
            readings=self.readings(drive, temperature),
            flows=self.flows(drive, exchange),
            carried=Exchange(fraction * trial.carried.lost, fraction * trial.carried.gained, exchange.outlet),
            generator=fraction * trial.generator,
            outside=fraction * trial.outside,
            coolant=fraction * trial.coolant,
            perfusion=fraction * trial.perfusion,
            vessels=fraction * trial.vessels,
            condensed=fraction * trial.condensed,
        )

    def _stage(
        self,
        operator: HeatOperator,
        weight: float,
        known: Array,
        heat: Array,
        guess: Array,
        tolerance: float,
        lost: Array,
    ) -> tuple[Array, HeatOperator, Exchange]:
        """Temperature at the end of a stage, with the blood of vessels that belongs to it.

        The blood is first that of the temperature foreseen. As long as it gains another heat from the wall that was
        found than the tissue lost to it, the stage is solved again with the blood of that wall.
        """
        bioheat = self.bioheat
        temperature = guess
        for _ in range(_BLOOD_LIMIT):
            temperature = bioheat.solve_stage(operator, weight, known, heat, temperature, tolerance, lost)
            exchange = bioheat.vessel_exchange(operator, temperature)
            missing = float(np.abs(exchange.gained - exchange.lost).sum())
            if missing <= max(_BLOOD * float(np.abs(exchange.lost).sum()), _BLOOD_POWER):
                return temperature, operator, exchange
            operator = bioheat.with_blood(operator, temperature)
        raise SolverError(f"The temperature of the blood in vessels did not settle in {_BLOOD_LIMIT} iterations.")

    def _operator(self, state: State, temperature: Array, dt: float) -> HeatOperator:
        """Heat losses at a predicted temperature ``dt`` seconds ahead, perfusion reduced by the damage until then."""
        bioheat, damage = self.bioheat, self.damage
        if not bioheat.perfused:
            return bioheat.operator(temperature)
        ahead = state.damage.copy()
        damage.advance(ahead, state.temperature, temperature, dt)
        return bioheat.operator(temperature, damage.perfusion_factor(ahead))

    def _powers(self, drive: Drive, operator: HeatOperator, temperature: Array, exchange: Exchange) -> Array:
        """Power of the generators, and power lost outside the mesh, to coolant, perfusion and vessels [W]."""
        bioheat = self.bioheat
        coolant = drive.coolant + bioheat.coolant_power(temperature)
        perfusion = bioheat.perfusion_power(operator, temperature)
        vessels = drive.vessels + float(exchange.lost.sum())
        outside = drive.outside + bioheat.outside_power(temperature)
        return np.array([drive.generator, outside, coolant, perfusion, vessels])

    def flows(self, drive: Drive, exchange: Exchange) -> dict[str, float]:
        """Powers worth recording, by the name of their column in the history [W]."""
        flows = dict(drive.flows)
        if self.bioheat.vessels is not None:
            for (vessel, _), power in zip(self.bioheat.vessels.branches, exchange.lost, strict=True):
                column = f"vessel_{vessel.name}_w"
                flows[column] = flows.get(column, 0.0) + float(power)
        return flows

    def readings(self, drive: Drive, temperature: Array) -> list[Reading]:
        """What each generator and its tip thermocouples show at a nodal temperature ``(n,)`` [K]; the time is zero."""
        return [
            Reading(0.0, *output, float(np.mean(at_tip(temperature))))
            for output, at_tip in zip(drive.outputs, self.thermocouples, strict=True)
        ]
