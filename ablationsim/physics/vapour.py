"""Vapour that leaves boiling tissue, condenses in cooler tissue and so carries the latent heat of water outward.

Water that boils takes up 1600 times its volume, for which there is no room where it boils: the vapour flows toward
lower pressure and condenses where the tissue is below boiling. The latent heat then does not stay in the tissue that
dries, as it does in the enthalpy method alone; it widens the zone.

The vapour present in a node, ``(1 - w) lambda(T)`` with the share ``w`` of the water that has left before, leaves at
the end of a step; its latent heat arrives within a short time constant where it condenses. Where that is follows from
a steady balance of its flow, driven by a potential ``c``,

    -div(m grad c) + a(T) c = rate of evaporation,

with ``a`` one in tissue below boiling and zero in boiling tissue, so that all of it condenses. The mobility ``m`` is
the square of the depth to which vapour enters tissue below boiling; in boiling and dried tissue, where vapour has
opened its way, it is larger. Water that has left comes back slowly once the tissue no longer boils.

An applicator that infuses saline gives water back to the dried tissue that it wets, as fast as it flows and no faster;
there the tissue goes on boiling instead of staying dry.

What the model leaves out: the sensible heat of the water and of the condensate, which stays where it was; the
condensate itself; vapour that escapes along the applicator; pressure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablationsim.errors import SolverError
from ablationsim.fem.jacobi import System, jacobi_cg
from ablationsim.fem.kernels import Array
from ablationsim.physics.bioheat import Bioheat
from ablationsim.tissue import Tissue

_FREE = 100.0  # mobility of vapour in boiling tissue relative to that in tissue below boiling
_WIDTH = 2.0  # K below boiling over which tissue goes from letting vapour through to condensing it
_LEAST_SINK = 1e-7  # keeps the balance solvable in boiling tissue
_WATER_DENSITY = 1000.0  # kg/m3: of what is infused
_GOAL = 1e-4  # to which the balance is solved; what condenses in all is exact
_LIMIT = 4000


@dataclass(frozen=True)
class Supply:
    """Water that an applicator infuses.

    Attributes
    ----------
    flow : float
        [m3/s]
    share : (n,) array
        Share of the tissue at each node that it can reach.
    """

    flow: float
    share: Array


class Vapour:
    """Transport of vapour through a tissue.

    Parameters
    ----------
    bioheat : Bioheat
        Heat equation, on the space.
    tissue : Tissue
        Property set.
    supplies : sequence of Supply
        Water that applicators infuse.
    """

    def __init__(self, bioheat: Bioheat, tissue: Tissue, supplies: Sequence[Supply] = ()) -> None:
        self._bioheat, self._supplies = bioheat, supplies
        self._latent_heat = tissue.value("latent_heat")
        self._boiling = tissue.vaporisation_band[0]
        self._energy = tissue.vaporisation_energy
        self._carried, self._reach = tissue.value("vapour_carried"), tissue.value("vapour_reach")
        self._time, self._rewetting_time = tissue.value("vapour_time"), tissue.value("rewetting_time")

    def condensed(self, dt: float) -> float:
        """Share of the vapour on its way that condenses within a time [s]."""
        return -math.expm1(-dt / self._time)

    def leave(self, temperature: Array, lost: Array, dt: float) -> tuple[Array, Array, Array | float]:
        """Let the vapour that is present leave, and water return to tissue that does not boil at the end of a step.

        Parameters
        ----------
        temperature : (n,) array
            At the end of the step [K].
        lost : (n,) array
            Share of the water that had left by its start.
        dt : float
            Its length [s].

        Returns
        -------
        temperature, lost : (n,) arrays
            Without the vapour.
        leaving : (n,) array or 0.0
            Latent heat that set out, at the nodes where it will condense [J]; zero on ghosts.

        Raises
        ------
        SolverError
            If the balance of the vapour could not be solved.
        """
        bioheat, space, carried = self._bioheat, self._bioheat.space, self._carried
        latent = bioheat.latent_heat(temperature)
        now = np.where(latent > 0.0, lost, lost * math.exp(-dt / self._rewetting_time))
        for supply in self._supplies:
            temperature, now = self._infuse(supply, temperature, now, dt)
            latent = bioheat.latent_heat(temperature)
        # Of all the water that ever boiled off here, the share that is carried is to have left.
        density = np.maximum(carried * (1.0 - now) * latent - (1.0 - carried) * now * self._energy, 0.0)
        evaporated = bioheat.mass * density
        total = space.distribution.comm.sum(float(evaporated.sum()))
        if total <= 0.0:
            return temperature, now, 0.0
        content, _ = bioheat.enthalpy(temperature, now)
        now = np.minimum(now + density / self._energy, 1.0)
        # Only where vapour left: elsewhere the look-up would round.
        after = np.where(density > 0.0, bioheat.temperature_at(content - density, now), temperature)
        condensing = np.clip((self._boiling - temperature) / _WIDTH, 0.0, 1.0)
        sink = space.lumped_mass * np.maximum(condensing, _LEAST_SINK)
        mobility = self._reach**2 * (1.0 + (_FREE - 1.0) * (1.0 - condensing))
        given = sink * self._potential(mobility, sink, evaporated)
        return after, now, given * (total / space.distribution.comm.sum(float(given.sum())))

    def _infuse(self, supply: Supply, temperature: Array, lost: Array, dt: float) -> tuple[Array, Array]:
        """Temperature and share of lost water ``(n,)`` after a supply has given back what it could in a time [s].

        The water takes the temperature of the tissue: its own heat, a seventh of what it takes to boil, is left out.
        """
        bioheat = self._bioheat
        space = bioheat.space
        missing = supply.share * lost
        heat = space.distribution.comm.sum(float((bioheat.mass * missing).sum())) * self._energy
        if heat <= 0.0:
            return temperature, lost
        given = min(supply.flow * _WATER_DENSITY * self._latent_heat * dt / heat, 1.0) * missing
        content, _ = bioheat.enthalpy(temperature, lost)
        return np.where(given > 0.0, bioheat.temperature_at(content, lost - given), temperature), lost - given

    def _potential(self, mobility: Array, sink: Array, source: Array) -> Array:
        """The potential ``(n,)`` that drives the vapour, not negative, but for a factor; zero on ghosts.

        Parameters
        ----------
        mobility : (n,) array
            [m2].
        sink : (n,) array
            Volume that takes vapour up [m3].
        source : (n,) array
            What evaporates [J].
        """
        space = self._bioheat.space
        distribution = space.distribution
        matrix = space.scatter.matrix(space.element_mean(mobility).astype(np.float32))
        solver = jacobi_cg(distribution)
        # In units in which single precision is at its best.
        unit = distribution.comm.largest(float(source.max()))
        diagonal = distribution.own(matrix.diagonal + sink).astype(solver.precision)
        right = distribution.own(source / unit).astype(solver.precision)
        found, potential = np.empty_like(right), np.zeros_like(source)
        system = System(space.scatter.pattern, matrix.off, 1.0, diagonal, 1.0 / diagonal)
        if not solver.correct(system, right, found, _GOAL, _LIMIT):
            raise SolverError(f"The balance of the vapour was not solved in {_LIMIT} iterations.")
        distribution.own(potential)[:] = np.maximum(found, 0.0)
        return potential
