"""Microwave antennas as a source of heat: fields that follow the drying of the tissue, and where the power goes.

Each antenna has a mesh and a field of its own, axisymmetric about its shaft and computed as if the others were not
there; their powers add, as those of generators without a common phase do. Between two solutions of the field the
pattern of absorbed power stays as it is. A field is solved again when the tissue's permittivity has changed so much
that the absorbed power may have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ablationsim.case import MicrowaveSection
from ablationsim.device.signals import Demand
from ablationsim.fem.kernels import Array
from ablationsim.fem.location import Locator
from ablationsim.fem.space import P1Space
from ablationsim.geometry.applicator import Applicator
from ablationsim.parallel import Communicator, on_first
from ablationsim.physics.deposition import Deposition, moved
from ablationsim.physics.feed import Feed, wall_load
from ablationsim.physics.microwave import AntennaField
from ablationsim.physics.source import Arrays, Drive, Output
from ablationsim.tissue import Dielectric

PLACING = 0.5e-3
"""An antenna that is on finds its place in the tissue again when it has been withdrawn farther than this [m]."""

_WALL_REACH = 2.0  # radii of the shaft: distance from the tissue up to which points inside the needle belong to it


class FieldSolver(Protocol):
    """What an antenna asks of its field solver: `ablationsim.physics.microwave.Microwave`."""

    centroids: Array
    points: Array

    def complex_permittivity(self, permittivity: Array, conductivity: Array) -> NDArray[np.complex128]: ...

    def solve(self, permittivity: NDArray[np.complex128]) -> AntennaField: ...


@dataclass(frozen=True)
class Fate:
    """Where one watt of an antenna's setting goes.

    Attributes
    ----------
    heat : (n,) array
        Nodal heat of the tissue.
    coolant, vessels, outside : float
        Taken up by the coolant; absorbed by the blood of vessels; lost outside the modelled tissue.
    absorbed, antenna, reflected, radiated : float
        Of what arrives at the port: absorbed in tissue and antenna, reflected, and radiated beyond the antenna's mesh.
    """

    heat: Array
    coolant: float
    vessels: float
    outside: float
    absorbed: float
    antenna: float
    reflected: float
    radiated: float


class Antenna:
    """One antenna in the tissue.

    Parameters
    ----------
    applicator : Applicator
        In place, not withdrawn.
    radiating : tuple of float
        Lower and upper height of the radiating part above the tip [m].
    cooled : bool
        Whether a coolant carries off what the antenna itself absorbs; else its wall gives that to the tissue.
    frequency : float
        [Hz]
    feed : Feed
        Cable and line.
    solver : FieldSolver
        Field in the device frame.
    dielectric : Dielectric
        Law of the tissue at the antenna's frequency.
    space : P1Space
        Of the tissue.
    locator : Locator
        Of the tissue's mesh.
    within : (n,) array, optional
        Share of each node's volume that is in the organ that is modelled; one by default. What the needle's wall would
        give to the rest is lost outside.

    Attributes
    ----------
    field : AntennaField or None
        Last solution; None before the first.
    start : dict of str to float
        The `budget` of the first solution, for unheated tissue.
    withdrawn : float
        How far it was withdrawn when it was last placed [m].
    first, last : float
        Setting when it was first switched on, and the present or last one [W]; zero before.
    """

    def __init__(
        self,
        applicator: Applicator,
        *,
        radiating: tuple[float, float],
        cooled: bool,
        frequency: float,
        feed: Feed,
        solver: FieldSolver,
        dielectric: Dielectric,
        space: P1Space,
        locator: Locator,
        within: Array | None = None,
    ) -> None:
        self.applicator, self.radiating, self.cooled, self.frequency = applicator, radiating, cooled, frequency
        self.feed, self.solver, self.dielectric = feed, solver, dielectric
        self._space, self._locator = space, locator
        self._within = np.ones(space.n_nodes) if within is None else within
        self.field: AntennaField | None = None
        self.start: dict[str, float] = {}
        self.first = self.last = 0.0
        self.place(0.0)

    @property
    def comm(self) -> Communicator:
        """The ranks that share the tissue's mesh."""
        return self._space.distribution.comm

    @property
    def n_nodes(self) -> int:
        """Number of nodes of the tissue's mesh."""
        return self._space.n_nodes

    def place(self, withdrawn: float) -> None:
        """Find its place in the tissue when it is withdrawn by a distance [m].

        The hole in the tissue, and its cooled wall, stay where they were.
        """
        self.withdrawn = withdrawn
        placement = moved(self.applicator.placement, withdrawn)
        reach = _WALL_REACH * self.applicator.radius
        self._deposition = Deposition.place(
            self._space, self._locator, placement, self.solver.centroids, self.solver.points, reach
        )
        low, high = self.radiating
        self._wall = self._within * wall_load(self._space, self.applicator, low + withdrawn, high + withdrawn)
        self._shaft = self._within * wall_load(self._space, self.applicator, self.feed.port + withdrawn, math.inf)

    def follow(self, withdrawn: float) -> bool:
        """Find its place again if it has been withdrawn by more than `PLACING` since; returns whether it has."""
        if abs(withdrawn - self.withdrawn) <= PLACING:
            return False
        self.place(withdrawn)
        return True

    def temperature(self, nodal: Array, unheated: float) -> Array:
        """Temperature of the elements of its mesh ``(t,)`` [K]; tissue beyond the modelled block stays unheated."""
        return self._deposition.sample(nodal, unheated)

    def permittivity(self, temperature: Array) -> NDArray[np.complex128]:
        """Complex relative permittivity of the tissue at temperatures [K]."""
        law = self.dielectric
        return self.solver.complex_permittivity(law.permittivity(temperature), law.conductivity(temperature))

    def change(self, permittivity: NDArray[np.complex128]) -> float:
        """How much the absorbed power may have changed since the last solution, to first order.

        The relative change of the permittivity ``(t,)``, weighted with the absorbed power.
        """
        assert self.field is not None
        weight = self.field.power.sum(axis=1)
        relative = np.abs(permittivity - self.field.permittivity) / np.abs(self.field.permittivity)
        return float(np.dot(weight, relative) / weight.sum())

    def fate(self, scale: Array | None = None) -> Fate:
        """Where one watt of the setting goes.

        Parameters
        ----------
        scale : (t,) array, optional
            Factor on the power absorbed by each element since the last solution. What is absorbed less leaves as
            radiation; more than what arrives there at all cannot be absorbed.
        """
        field = self.field
        assert field is not None
        power, radiated = field.power, field.radiated
        if scale is not None:
            power = power * scale[:, None]
            most = field.absorbed_tissue + field.radiated
            power = power * min(1.0, most / float(power.sum()))
            radiated = most - float(power.sum())
        absorbed = float(power.sum())
        line = self.feed.line(self.withdrawn)
        own = line.arriving * field.absorbed_antenna
        received, blood = self._deposition.spread(power)
        heat, vessels = line.arriving * received + line.heated * self._shaft, line.arriving * blood
        if not self.cooled:
            heat = heat + own * self._wall
        coolant = own if self.cooled else 0.0
        accounted = line.cable + line.shaft + line.arriving * (absorbed + field.reflected + radiated) + own
        return Fate(
            heat=heat,
            coolant=coolant,
            vessels=vessels,
            outside=accounted - coolant - vessels - self.comm.sum(float(heat.sum())),
            absorbed=line.arriving * absorbed,
            antenna=own,
            reflected=line.arriving * field.reflected,
            radiated=line.arriving * radiated,
        )

    def budget(self) -> dict[str, float]:
        """Powers for one watt of the setting, and reflection, of the last solution, by their names in ``zone.json``."""
        field = self.field
        assert field is not None
        line = self.feed.line(self.withdrawn)
        return {
            "cable_loss_w": line.cable,
            "shaft_loss_w": line.shaft,
            "input_w": line.arriving,
            "absorbed_w": line.arriving * field.absorbed_tissue,
            "absorbed_antenna_w": line.arriving * field.absorbed_antenna,
            "radiated_w": line.arriving * field.radiated,
            "reflected_w": line.arriving * field.reflected,
            "s11_db": field.s11_db,
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays for a checkpoint."""
        arrays = {"scalars": np.array([self.withdrawn, self.first, self.last])}
        if self.field is not None:
            arrays |= {f"field_{name}": np.asarray(value) for name, value in vars(self.field).items()}
            arrays["start"] = np.array(list(self.start.values()))
        return arrays

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a `state`."""
        withdrawn, self.first, self.last = (float(value) for value in state["scalars"])
        self.place(withdrawn)
        if "start" in state:
            values = {name: state[f"field_{name}"] for name in AntennaField.__dataclass_fields__}
            scalars: dict[str, Any] = {name: v if v.ndim else v.item() for name, v in values.items()}
            self.field = AntennaField(**scalars)
            self.start = dict(zip(self.budget(), map(float, state["start"]), strict=True))


class MicrowaveSource:
    """All antennas of a case.

    The first field is that of unheated tissue. With the coupling "full" the field of an antenna that is on is solved
    again whenever the permittivity of the tissue has changed by more than `MicrowaveSection.resolve`, weighted with the
    absorbed power. With "fast" the first field stays, and the power that each element absorbs follows its conductivity;
    the total is capped at the power that arrives and is not reflected or absorbed by the antenna itself.

    Parameters
    ----------
    antennas : sequence of Antenna
        In the order of the demands.
    settings : MicrowaveSection
        Coupling, threshold of a new solution, and whether drying is reversible.
    unheated : float
        Temperature before heating [K].

    Attributes
    ----------
    solves : int
        Fields solved so far.
    closure : float
        Worst share of the incident power that the account of a solution missed.
    reflection : float
        Largest share of the incident power that was reflected by an antenna that was on.
    """

    def __init__(self, antennas: Sequence[Antenna], settings: MicrowaveSection, unheated: float) -> None:
        self.antennas, self.settings, self.unheated = list(antennas), settings, unheated
        self.solves = 0
        self.closure = 0.0
        self.reflection = 0.0
        self._n_nodes = antennas[0].n_nodes
        self._hottest: Array | None = None
        self._fates: list[Fate] = []

    def refresh(
        self, temperature: Array, max_temperature: Array, demands: Sequence[Demand], withdrawn: Sequence[float]
    ) -> bool:
        """Move the antennas that are on, and solve their fields again where the tissue has changed."""
        self._hottest = max_temperature
        changed = not self._fates
        for antenna, demand, distance in zip(self.antennas, demands, withdrawn, strict=True):
            if antenna.field is None:
                self._solve(antenna, antenna.permittivity(np.full(len(antenna.solver.centroids), self.unheated)))
                antenna.start = antenna.budget()
            if demand.kind == "off":
                continue
            antenna.last = _setting(demand)
            antenna.first = antenna.first or antenna.last
            changed |= antenna.follow(distance)
            if self.settings.coupling == "full":
                permittivity = antenna.permittivity(self._seen(antenna, temperature))
                if antenna.change(permittivity) > self.settings.resolve:
                    self._solve(antenna, permittivity)
                    changed = True
            assert antenna.field is not None
            self.reflection = max(self.reflection, antenna.field.reflected)
        if self.settings.coupling == "fast":
            return True
        if changed:
            self._fates = [antenna.fate() for antenna in self.antennas]
        return changed

    def _solve(self, antenna: Antenna, permittivity: NDArray[np.complex128]) -> None:
        # The matrix is small and its factors are those of one process: the other ranks are told.
        antenna.field = on_first(antenna.comm, partial(antenna.solver.solve, permittivity))
        self.solves += 1
        self.closure = max(self.closure, antenna.field.closure)

    def _seen(self, antenna: Antenna, temperature: Array) -> Array:
        """Temperature ``(t,)`` [K] that an antenna's tissue has the dielectric properties of."""
        if self.settings.drying == "irreversible" and self._hottest is not None:
            temperature = np.maximum(temperature, self._hottest)
        return antenna.temperature(temperature, self.unheated)

    def field(self, time: float, temperature: Array) -> list[Fate]:
        """Where a watt of each antenna's setting goes at a nodal temperature ``(n,)`` [K]."""
        if self.settings.coupling == "full":
            return self._fates
        fates = []
        for antenna in self.antennas:
            conductivity = antenna.dielectric.conductivity
            before = conductivity(np.array(self.unheated))
            fates.append(antenna.fate(conductivity(self._seen(antenna, temperature)) / before))
        return fates

    def drive(self, field: list[Fate] | None, demands: Sequence[Demand]) -> Drive:
        """Heat, and power lost, at the settings that the generators ask for."""
        settings = [_setting(demand) for demand in demands]
        outputs = [Output(math.nan, math.nan, setting if field else 0.0, math.nan) for setting in settings]
        driven = list(zip(settings, field or [], strict=field is not None))
        heat = np.zeros(self._n_nodes)
        for setting, fate in driven:
            heat += setting * fate.heat

        def total(name: str) -> float:
            return sum(setting * getattr(fate, name) for setting, fate in driven)

        return Drive(
            heat=heat,
            generator=sum(output.power for output in outputs),
            outside=total("outside"),
            coolant=total("coolant"),
            vessels=total("vessels"),
            outputs=outputs,
            flows={f"{name}_w": total(name) for name in ("reflected", "absorbed", "radiated")},
        )

    def state(self, field: list[Fate] | None) -> tuple[Arrays, Arrays]:
        """Arrays for a checkpoint, none of them nodal; the fates follow from the fields."""
        arrays: dict[str, NDArray[Any]] = {"account": np.array([self.solves, self.closure, self.reflection])}
        for i, antenna in enumerate(self.antennas):
            arrays |= {f"antenna{i}_{name}": values for name, values in antenna.state().items()}
        return {}, arrays

    def restore(self, nodal: Arrays, others: Arrays) -> list[Fate] | None:
        """Continue from a `state`; the next step asks for the field of its beginning again."""
        for i, antenna in enumerate(self.antennas):
            prefix = f"antenna{i}_"
            antenna.restore({k.removeprefix(prefix): v for k, v in others.items() if k.startswith(prefix)})
        solves, self.closure, self.reflection = (float(value) for value in others["account"])
        self.solves = int(solves)
        self._fates = [antenna.fate() for antenna in self.antennas if antenna.field is not None]
        return None

    def close(self) -> None:
        """There is nothing to free outside Python's memory."""

    def document(self) -> dict[str, Any]:
        """What ``zone.json`` says of the antennas, described in docs/zone-json.md."""
        antennas: list[dict[str, Any]] = []
        for antenna in self.antennas:
            start, end = _at(antenna.start, antenna.first), _at(antenna.budget(), antenna.last)
            name, efficiency = antenna.applicator.name, antenna.feed.efficiency
            antennas.append({"name": name, "efficiency": efficiency, **start, "at_end": end})
        names = ("input_w", "absorbed_w", "absorbed_antenna_w", "radiated_w", "reflected_w")
        total = {name: float(sum(antenna[name] for antenna in antennas)) for name in names}
        share = total["reflected_w"] / total["input_w"] if total["input_w"] else 0.0
        return {
            "coupling": self.settings.coupling,
            "frequency_hz": self.antennas[0].frequency,
            **total,
            "s11_db": 10.0 * math.log10(share) if share > 0.0 else None,
            "closure": self.closure,
            "solves": self.solves,
            "antennas": antennas,
        }


def _setting(demand: Demand) -> float:
    """Power that a generator is set to [W]."""
    return min(demand.value, demand.max_power) if demand.kind == "power" else 0.0


def _at(budget: Mapping[str, float], setting: float) -> dict[str, float]:
    """A budget for one watt at another setting [W]."""
    scaled = {name: value if name.endswith("_db") else setting * value for name, value in budget.items()}
    return {"setting_w": setting, **scaled}
