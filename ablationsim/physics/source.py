"""What a step in time asks of whatever heats the tissue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from ablationsim.device.signals import Demand
from ablationsim.fem.kernels import Array

Arrays = dict[str, NDArray[Any]]


class Output(NamedTuple):
    """What a generator shows: voltage [V], current [A], power [W] and impedance [ohm]; NaN where it has none."""

    voltage: float
    current: float
    power: float
    impedance: float


@dataclass(frozen=True)
class Drive:
    """What the generators deliver at one moment, and what becomes of it.

    Attributes
    ----------
    heat : (n,) array
        Nodal heat of the tissue [W].
    generator : float
        Power that the generators deliver [W].
    outside : float
        Power that ends neither in the tissue of the mesh nor in a coolant [W].
    coolant : float
        Power that goes straight into a coolant, without passing through tissue [W].
    outputs : sequence of Output
        One per generator.
    vessels : float
        Power that the blood inside vessels absorbs [W].
    flows : mapping of str to float
        Further powers worth recording, by the name of their column in the history [W].
    """

    heat: Array
    generator: float
    outside: float
    coolant: float
    outputs: Sequence[Output]
    vessels: float = 0.0
    flows: Mapping[str, float] = field(default_factory=dict)


class Source(Protocol):
    """Turns what the generators ask for into heat.

    The fields themselves are a matter of the source: the step only keeps them, and hands them back. What `field` and
    `drive` give depends on their arguments and on the last `refresh`; a step that is done again gives the same again.
    """

    def refresh(
        self, temperature: Array, max_temperature: Array, demands: Sequence[Demand], withdrawn: Sequence[float]
    ) -> bool:
        """Adapt to an accepted state, from which a step is about to start.

        Parameters
        ----------
        temperature, max_temperature : (n,) arrays
            Present and highest nodal temperature so far [K].
        demands : sequence of Demand
            What each generator asks for during the step.
        withdrawn : sequence of float
            How far each applicator is withdrawn along its shaft during the step [m].

        Returns
        -------
        bool
            Whether fields computed before no longer hold.
        """

    def field(self, time: float, temperature: Array) -> Any:
        """Response of the tissue to the generators, at a time [s] and a nodal temperature ``(n,)`` [K]."""

    def drive(self, field: Any | None, demands: Sequence[Demand]) -> Drive:
        """What the generators' demands make of a field; without a field nothing is on."""

    def state(self, field: Any | None) -> tuple[Arrays, Arrays]:
        """Arrays for a checkpoint: the field of the present state, and all that later ones depend on.

        Returns
        -------
        nodal : dict of str to (..., n) array
            Nodal ones.
        others : dict of str to array
            Those that are the same on all ranks.
        """

    def restore(self, nodal: Arrays, others: Arrays) -> Any | None:
        """Continue from a `state`; returns its field."""

    def close(self) -> None:
        """Free what lies outside Python's memory; on all ranks at the same point."""
