"""A tissue with any smooth laws, given heat sources, and marches at fixed steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from verification.cases_meshes import Array

from ablationsim.device.generator import Controller
from ablationsim.device.profile import GeneratorSpec
from ablationsim.device.protocol import VoltageStep
from ablationsim.fem.probing import Probes
from ablationsim.fem.space import P1Space
from ablationsim.march import March
from ablationsim.mesh.distribution import WHOLE
from ablationsim.physics.bioheat import Bioheat, CooledSurface
from ablationsim.physics.circuit import Channel
from ablationsim.physics.damage import DamageModel
from ablationsim.physics.electric import Electric, ElectricField
from ablationsim.physics.radiofrequency import RadiofrequencySource
from ablationsim.physics.vapour import Vapour
from ablationsim.step import Problem, TimeControl
from ablationsim.tissue import TissueTables

Law = Callable[[Array], Array]
BODY = 310.15
GENERATOR = GeneratorSpec(max_power="1e9 W", frequency="480 kHz")
NO_DAMAGE = DamageModel("isotherm", isotherm=1e4)


def constant(value: float) -> Law:
    """A property that does not change with temperature."""
    return lambda temperature: np.full_like(temperature, value)


_CAPACITY, _CONDUCTIVITY, _SIGMA = constant(3.6e6), constant(0.5), constant(0.2)


@dataclass(frozen=True)
class Material:
    """What the physics asks of a tissue, with any laws: capacity [J/m3/K], conductivities [W/m/K, S/m].

    Fine tables keep the error of their linear interpolation far below what is measured.
    """

    capacity: Law = _CAPACITY
    conductivity: Law = _CONDUCTIVITY
    sigma: Law = _SIGMA
    perfusion: float = 0.0
    perfusion_remaining: float = 0.0
    blood_density: float = 1060.0
    blood_heat_capacity: float = 3617.0
    blood_temperature: float = BODY
    vaporisation_band: tuple[float, float] = (2000.0, 2010.0)
    start: float = 253.15
    stop: float = 553.15
    step: float = 0.01

    def tables(self) -> TissueTables:
        """Tables on the grid, the enthalpy by Simpson's rule."""
        t = self.start + self.step * np.arange(round((self.stop - self.start) / self.step) + 1)
        left, middle, right = (self.capacity(x) for x in (t[:-1], t[:-1] + 0.5 * self.step, t[1:]))
        enthalpy = np.concatenate([[0.0], np.cumsum(self.step / 6.0 * (left + 4.0 * middle + right))])
        enthalpy -= np.interp(BODY, t, enthalpy)
        return TissueTables(self.start, self.step, enthalpy, self.conductivity(t), self.sigma(t), np.zeros_like(t))

    @property
    def blood(self) -> float:
        """Heat that perfusion takes up per volume and kelvin [W/m3/K]."""
        return self.perfusion * self.blood_density * self.blood_heat_capacity


class PrescribedHeat:
    """In place of `Electric`: one terminal that dissipates a given nodal load [W] at one volt."""

    def __init__(self, load: Callable[[float], Array]) -> None:
        self._load = load
        self.time = 0.0
        self.outer_nodes = np.zeros(0, dtype=int)

    def solve(self, sigma: Array, sigma_outer: Array) -> ElectricField:
        load = self._load(self.time)
        # The sign of a manufactured source is anything; a circuit needs a positive conductance.
        conductance = np.array([[max(float(load.sum()), 1e-3)]])
        return ElectricField(conductance, conductance, np.zeros((1, 1)), load[None])


class JouleAndSource:
    """`Electric` and a given nodal load [W] beside its Joule heat, for a generator that holds the given voltage."""

    def __init__(self, electric: Electric, load: Callable[[float], Array], voltage: float) -> None:
        self._electric, self._load, self._square = electric, load, voltage**2
        self.time = 0.0
        self.outer_nodes = electric.outer_nodes

    def solve(self, sigma: Array, sigma_outer: Array) -> ElectricField:
        field = self._electric.solve(sigma, sigma_outer)
        return replace(field, unit_heat=field.unit_heat + self._load(self.time) / self._square)


class TimedSource(RadiofrequencySource):
    """`RadiofrequencySource` that tells those two what time it is."""

    def field(self, time: float, temperature: Array) -> ElectricField:
        if isinstance(self.electric, PrescribedHeat | JouleAndSource):
            self.electric.time = time
        return super().field(time, temperature)


def build_march(
    space: P1Space,
    material: Material,
    electric: object,
    *,
    cooled: Sequence[CooledSurface] = (),
    damage: DamageModel = NO_DAMAGE,
    controllers: list[Controller] | None = None,
    channels: list[Channel] | None = None,
    initial: float = BODY,
    tolerance: float = 0.5,
    longest_step: float = 10.0,
    cooling: float = 0.0,
    sensor: int = 0,
    vapour: bool = False,
) -> March:
    """A march of the coupled problem; without controllers one volt is held on the first terminal for a long time.

    Vapour moves only where that is asked for, and by what the material then has to say of it.
    """
    sensors = Probes(sparse.csr_matrix(([1.0], ([0], [sensor])), shape=(1, space.n_nodes)), WHOLE)
    controllers = controllers or [hold(1.0, 1e9)]
    bioheat = Bioheat(space, material, cooled, reference=initial)
    factor = np.ones(space.n_nodes)
    problem = Problem(
        bioheat=bioheat,
        source=TimedSource(space, bioheat.tables, electric, channels or [Channel((0,))], factor),
        damage=damage,
        thermocouples=[sensors] * len(controllers),
        probes=Probes(sensors.matrix[:0], WHOLE),
        initial_temperature=initial,
        control=TimeControl(tolerance, longest_step),
        vapour=Vapour(bioheat, material) if vapour else None,
    )
    return March(problem, controllers, cooling)


def hold(voltage: float, duration: float) -> Controller:
    """A generator that holds a voltage."""
    return Controller([VoltageStep(voltage=f"{voltage!r} V", duration=f"{duration!r} s")], GENERATOR)


def start_from(march: March, temperature: Array) -> None:
    """Begin at a temperature that is not uniform."""
    march.state.temperature = temperature.copy()
    march.state.operator = march.problem.bioheat.operator(temperature)


def march_fixed(march: March, step: float, steps: int) -> Array:
    """Do a number of equal steps without error control; returns the temperature at the end."""
    for _ in range(steps):
        march._accept(march._step(step), step)
    return march.state.temperature


def march_until(march: March, time: float) -> Array:
    """March with error control; returns the temperature at exactly that time."""
    while march.state.time < time - 1e-9:
        march.advance(time)
    return march.state.temperature


def steady_state(bioheat: Bioheat, heat: Array, guess: Array) -> Array:
    """Steady temperature for given nodal sources: one implicit step that is endless against any time constant."""
    operator = bioheat.operator(guess)
    known = bioheat.space.lumped_mass * bioheat.enthalpy(guess)[0]
    return bioheat.solve_stage(operator, 1e9, known, heat, guess, 1e-20)
