"""Pennes' bioheat equation in enthalpy form.

``dH(T) / dt = div(k(T) grad T) - w rho_b c_b (T - T_b) + Q`` with the volumetric enthalpy ``H``, which holds the latent
heat of the tissue's water; energy is therefore conserved at any step size. The mass matrix is lumped, so that the
enthalpy is a function of the nodal temperature. Cooled surfaces exchange heat by a wall coefficient, and so do vessels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablationsim.errors import SolverError
from ablationsim.fem.jacobi import System, jacobi_cg
from ablationsim.fem.kernels import Array, element_look_up, heat_content, look_up, refine_heat_content
from ablationsim.fem.newton import EnthalpyTable, solve_enthalpy
from ablationsim.fem.space import P1Space
from ablationsim.fem.stiffness import Matrix, times
from ablationsim.physics.surroundings import Surroundings
from ablationsim.physics.vessel_exchange import Exchange, VesselExchange
from ablationsim.tissue import Tissue

_NEWTON_LIMIT = 60


@dataclass(frozen=True)
class CooledSurface:
    """Facet sets that exchange heat with a coolant: wall coefficient [W/m2/K] and coolant temperature [K]."""

    facets: Sequence[str]
    wall_coefficient: float
    coolant_temperature: float


@dataclass(frozen=True)
class HeatOperator:
    """The linear heat losses for one distribution of conductivity and perfusion.

    Attributes
    ----------
    conduction : Matrix
        Conduction, with the walls of vessels [W/K].
    at : (n,) array
        Temperature that its conductivity belongs to [K].
    perfusion : (n,) array
        Nodal perfusion loss [W/K].
    blood : (s,) array
        Temperature of the blood in the segments of all vessels [K].
    """

    conduction: Matrix
    at: Array
    perfusion: Array
    blood: Array


class Bioheat:
    """Bioheat equation on a space.

    Parameters
    ----------
    space : P1Space
        Mesh and elements.
    tissue : Tissue
        Property laws.
    cooled : sequence of CooledSurface
        Surfaces with a wall coefficient; every other boundary is adiabatic.
    reference : float
        Temperature [K] that the equations are solved relative to, so that relative tolerances mean what they say.
    vessels : VesselExchange, optional
        Vessels in the mesh.
    perfusion : (n,) array, optional
        Perfusion rate of intact tissue at each node [1/s]; that of the tissue by default.
    surroundings : Surroundings, optional
        What lies round the organ that the tissue is; the same tissue by default.

    Attributes
    ----------
    mass : (n,) array
        Volume at each node that the enthalpy of the tissue is that of: where other tissue has another heat capacity, so
        much more or less [m3].
    """

    def __init__(
        self,
        space: P1Space,
        tissue: Tissue,
        cooled: Sequence[CooledSurface],
        reference: float,
        vessels: VesselExchange | None = None,
        perfusion: Array | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.space, self.vessels = space, vessels
        self.tables = tissue.tables()
        self.reference = reference
        lower, upper = tissue.vaporisation_band
        self._table = EnthalpyTable(
            self.tables.temperature0,
            self.tables.step,
            self.tables.enthalpy,
            self.tables.latent,
            0.5 * (lower + upper),
            0.5 * (upper - lower),
        )
        self.blood_capacity = tissue.blood_density * tissue.blood_heat_capacity
        self.blood_temperature = tissue.blood_temperature
        rate = tissue.perfusion if perfusion is None else perfusion
        self._perfusion = rate * self.blood_capacity * space.lumped_mass
        self._perfused = space.distribution.comm.any(bool(np.any(self._perfusion)))
        self._perfusion_remaining = tissue.perfusion_remaining
        around = surroundings or Surroundings.none(space.n_nodes)
        self.wall = np.zeros(space.n_nodes)
        self._wall_source = np.zeros(space.n_nodes)
        for surface in cooled:
            exchange = surface.wall_coefficient * space.facet_load(list(surface.facets))
            if around.within is not None:
                exchange *= around.within
            self.wall += exchange
            self._wall_source += exchange * (surface.coolant_temperature - reference)
        self._wall_total = space.distribution.comm.sum(float(self._wall_source.sum()))
        self._conductivity_factor, self._surface = around.conductivity, around.surface
        self.mass: Array = space.lumped_mass * around.capacity
        self._addition = vessels.addition if vessels else None
        if around.surface is not None:
            held = space.scatter.addition(around.surface.matrix)
            self._addition = held if self._addition is None else self._addition.plus(held)
        self.wet = np.zeros(space.n_nodes)
        self._wet_capacity = float(self.enthalpy(np.array([reference]))[1][0])
        self._content_step, self._inverse = self._invert_enthalpy()
        self.newton_steps = 0

    def _invert_enthalpy(self) -> tuple[float, Array]:
        """Temperature on a uniform grid of the enthalpy, which starts with the enthalpy table."""
        enthalpy = self.tables.enthalpy
        grid = np.linspace(enthalpy[0], enthalpy[-1], 4 * len(enthalpy))
        known = self.tables.temperature0 + self.tables.step * np.arange(len(enthalpy))
        return float(grid[1] - grid[0]), np.interp(grid, enthalpy, known)

    @property
    def perfused(self) -> bool:
        """Whether the tissue is perfused at all."""
        return self._perfused

    def operator(self, temperature: Array, perfusion_factor: Array | None = None) -> HeatOperator:
        """Conduction and perfusion at the given nodal temperature ``(n,)`` [K].

        The perfusion factor ``(n,)`` runs from one in intact to zero in coagulated tissue, where the perfusion that
        remains is a property of the tissue; without it all tissue is intact.
        """
        conductivity = np.empty(len(self.space.volume), np.float32)
        tables = self.tables
        element_look_up(
            temperature,
            tables.temperature0,
            tables.step,
            tables.thermal_conductivity,
            self._conductivity_factor,
            self.space.cells,
            self.space.averaging,
            conductivity,
        )
        vessels = self.vessels
        conduction = self.space.scatter.matrix(conductivity, self._addition)
        blood = vessels.blood(temperature) if vessels else np.zeros(0)
        operator = HeatOperator(conduction, temperature, self._perfusion, blood)
        return operator if perfusion_factor is None else self.with_perfusion(operator, perfusion_factor)

    def with_perfusion(self, operator: HeatOperator, perfusion_factor: Array) -> HeatOperator:
        """The same conduction with the perfusion of another perfusion factor ``(n,)``."""
        remaining = self._perfusion_remaining
        perfusion = self._perfusion * (remaining + (1.0 - remaining) * perfusion_factor)
        return replace(operator, perfusion=perfusion)

    def with_blood(self, operator: HeatOperator, temperature: Array) -> HeatOperator:
        """The same with the blood of vessels as it is at a nodal temperature ``(n,)`` [K]."""
        return operator if self.vessels is None else replace(operator, blood=self.vessels.blood(temperature))

    def flux(self, operator: HeatOperator, temperature: Array, heat: Array) -> Array:
        """Nodal net heating ``(n,)`` [W]: sources less conduction, perfusion, vessels and coolant.

        Incomplete on ghosts.
        """
        theta = temperature - self.reference
        conducted = times(self.space.scatter.pattern, operator.conduction, theta)
        return heat + self._source(operator) - conducted - (operator.perfusion + self.wall) * theta

    def _source(self, operator: HeatOperator) -> Array:
        source: Array = self._wall_source + operator.perfusion * (self.blood_temperature - self.reference)
        if self._surface is not None:
            source = source + self._surface.source
        return source if self.vessels is None else source + self.vessels.source(operator.blood)

    def enthalpy(self, temperature: Array, lost: Array | None = None) -> tuple[Array, Array]:
        """Volumetric enthalpy [J/m3] and heat capacity [J/m3/K] at nodal temperatures ``(n,)`` [K].

        Without the share ``lost`` ``(n,)`` of the water that has left, all of it is there.
        """
        value, slope = np.empty_like(temperature), np.empty_like(temperature)
        tables = self.tables
        lost = np.zeros_like(temperature) if lost is None else lost
        heat_content(temperature, lost, tables.temperature0, tables.step, tables.enthalpy, tables.latent, value, slope)
        return value, slope

    def latent_heat(self, temperature: Array) -> Array:
        """Latent heat in the vapour of tissue that has kept all its water, at nodal temperatures ``(n,)`` [J/m3]."""
        value, slope = np.empty_like(temperature), np.empty_like(temperature)
        look_up(temperature, self.tables.temperature0, self.tables.step, self.tables.latent, value, slope)
        return value

    def temperature_at(self, enthalpy: Array, lost: Array | None = None) -> Array:
        """Nodal temperature [K] at a volumetric enthalpy [J/m3], exact where water has been lost."""
        value, slope = np.empty_like(enthalpy), np.empty_like(enthalpy)
        tables = self.tables
        look_up(enthalpy, tables.enthalpy[0], self._content_step, self._inverse, value, slope)
        if lost is not None:
            refine_heat_content(enthalpy, lost, tables.temperature0, tables.step, tables.enthalpy, tables.latent, value)
        return value

    def stored_energy(self, temperature: Array, lost: Array | None = None) -> float:
        """Heat content of the mesh [J] relative to the zero of the enthalpy table."""
        return self._total(self.mass, self.enthalpy(temperature, lost)[0])

    def coolant_power(self, temperature: Array) -> float:
        """Heat that the coolant takes up [W]."""
        return self._total(self.wall, temperature - self.reference) - self._wall_total

    def outside_power(self, temperature: Array) -> float:
        """Heat that leaves through the surface of the organ, where that is held at a temperature [W]."""
        return 0.0 if self._surface is None else self._surface.power(temperature)

    def perfusion_power(self, operator: HeatOperator, temperature: Array) -> float:
        """Heat that the blood takes up [W]."""
        return self._total(operator.perfusion, temperature - self.blood_temperature)

    def _total(self, weight: Array, value: Array) -> float:
        """Sum over the nodes of the mesh of a weight, which is zero on ghosts, times a value."""
        return self.space.distribution.comm.sum(float(np.dot(weight, value)))

    def mean_square(self, value: Array, volume: float) -> float:
        """Integral over the tissue of the square of a nodal value ``(n,)``, per volume [m3]."""
        return self._total(self.space.lumped_mass, value**2) / volume

    def vessel_exchange(self, operator: HeatOperator, temperature: Array) -> Exchange:
        """Heat that the blood of vessels takes up."""
        if self.vessels is None:
            return Exchange(np.zeros(0), np.zeros(0), np.zeros(0))
        return self.vessels.exchange(temperature, operator.blood)

    def damped(
        self, operator: HeatOperator, weight: float, energy: Array, temperature: Array, lost: Array | None = None
    ) -> Array:
        """Temperature change ``(n,)`` [K] that a nodal energy error [J] amounts to after implicit smoothing."""
        _, capacity = self.enthalpy(temperature, lost)
        capacity = np.maximum(capacity, self._wet_capacity)
        pattern, conduction = self.space.scatter.pattern, operator.conduction
        shift = self.mass * capacity + weight * (operator.perfusion + self.wall)
        distribution = self.space.distribution
        solver = jacobi_cg(distribution)
        diagonal = distribution.own(shift + weight * conduction.diagonal).astype(solver.precision)
        right = distribution.own(energy).astype(solver.precision)
        change, result = np.empty_like(right), np.empty_like(energy)
        solver.correct(System(pattern, conduction.off, weight, diagonal, 1 / diagonal), right, change, 1e-3, 200)
        distribution.own(result)[:] = change
        return distribution.update(result)

    def solve_stage(
        self,
        operator: HeatOperator,
        weight: float,
        known: Array,
        heat: Array,
        temperature: Array,
        tolerance: float,
        lost: Array | None = None,
    ) -> Array:
        """Temperature that satisfies ``mass * enthalpy(T) = known + weight * flux(T)``.

        Parameters
        ----------
        operator : HeatOperator
            Conduction and perfusion of the stage.
        weight : float
            Time that the flux of this stage acts for [s].
        known : (n,) array
            Nodal energy at the start of the stage and what earlier stages added [J].
        heat : (n,) array
            Nodal sources [W].
        temperature : (n,) array
            First guess [K].
        tolerance : float
            Integral of the square of Newton's last correction at which the iteration counts as converged [K2 m3].
        lost : (n,) array, optional
            Share of the water that has left as vapour.

        Raises
        ------
        SolverError
            If Newton's method does not converge; the caller shortens the step.
        """
        theta = temperature - self.reference
        iterations = solve_enthalpy(
            self.space.scatter.pattern,
            operator.conduction,
            self.mass,
            operator.perfusion + self.wall,
            known + weight * (heat + self._source(operator)),
            weight,
            self._table,
            self.wet if lost is None else lost,
            theta,
            self.reference,
            tolerance,
            _NEWTON_LIMIT,
            self.space.distribution,
        )
        if iterations == -1:
            raise SolverError(f"Newton's method for the heat equation did not converge in {_NEWTON_LIMIT} iterations.")
        if iterations < 0:
            raise SolverError("The heat equation could not be solved: the temperature became undefined.")
        self.newton_steps += iterations
        return self.reference + theta
