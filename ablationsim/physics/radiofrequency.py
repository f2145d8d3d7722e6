"""Radiofrequency as a source of heat: electric field in the tissue, driven through the circuit of the generators."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ablationsim.device.signals import Demand
from ablationsim.fem.kernels import Array, element_look_up
from ablationsim.fem.space import P1Space
from ablationsim.physics.circuit import Channel, solve_circuit
from ablationsim.physics.electric import Electric, ElectricField
from ablationsim.physics.source import Arrays, Drive, Output
from ablationsim.tissue import TissueTables


class RadiofrequencySource:
    """Electrodes in tissue, each generator with its electrodes a channel.

    Parameters
    ----------
    space : P1Space
        Mesh and elements.
    tables : TissueTables
        Property laws.
    electric : Electric
        Electric conduction on that space.
    channels : list of Channel
        One per generator, in the order of the demands.
    sigma_factor : (n,) array
        Nodal multiplier of the electric conductivity (infused saline); one elsewhere.
    blood : (m,) array, optional
        Conductivity of what flows in vessels, by element, times its share of the element's volume relative to that of
        the tissue [S/m]. Integrals over an element are those over its tissue, which is thereby made up for. It includes
        what is beyond the organ that is modelled.
    beyond : (m,) array, optional
        Share of that in each element which is beyond the organ and no vessel.
    """

    def __init__(
        self,
        space: P1Space,
        tables: TissueTables,
        electric: Electric,
        channels: list[Channel],
        sigma_factor: Array,
        blood: Array | None = None,
        beyond: Array | None = None,
    ) -> None:
        self.space, self.tables, self.electric = space, tables, electric
        self.channels, self.sigma_factor = channels, sigma_factor
        self._blood, self._beyond = blood, beyond

    def refresh(
        self, temperature: Array, max_temperature: Array, demands: Sequence[Demand], withdrawn: Sequence[float]
    ) -> bool:
        """Nothing to do: every field is solved at its own temperature, and electrodes stay where they are."""
        return False

    def field(self, time: float, temperature: Array) -> ElectricField:
        """Answer of the tissue to unit voltages at a nodal temperature ``(n,)`` [K]."""
        space, tables = self.space, self.tables
        sigma = np.empty(len(space.volume), np.float32)
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
        if self._blood is None:
            return self.electric.solve(sigma, sigma_outer)
        both = (sigma + self._blood).astype(np.float32)
        share = (sigma / both).astype(np.float64)
        if self._beyond is not None and space.tissue is not None:
            # What little the mesh keeps of the tissue there is not to be heated by what passes through it.
            share[(self._beyond > 0.0) & (space.tissue.share == 0.0)] = 0.0
        return self.electric.solve(both, sigma_outer, share, self._beyond)

    def drive(self, field: ElectricField | None, demands: Sequence[Demand]) -> Drive:
        """Voltages that the generators set, and the heat that follows."""
        if field is None:
            outputs = [Output(0.0, 0.0, 0.0, math.nan) for _ in demands]
            return Drive(np.zeros(self.space.n_nodes), 0.0, 0.0, 0.0, outputs)
        circuit = solve_circuit(field.conductance, self.channels, list(demands))
        v = circuit.terminal_voltage
        heat = field.heat(v)
        beyond = float(v @ field.beyond_conductance @ v)
        return Drive(
            heat=heat,
            generator=float(np.dot(circuit.voltage, circuit.current)),
            outside=float(v @ (field.conductance - field.inner_conductance) @ v) + beyond,
            coolant=0.0,
            vessels=0.0 if self._blood is None else float(v @ field.inner_conductance @ v) - self._total(heat) - beyond,
            outputs=[
                Output(float(u), float(i), float(u * i), 1.0 / float(g))
                for u, i, g in zip(circuit.voltage, circuit.current, circuit.conductance, strict=True)
            ],
        )

    def _total(self, heat: Array) -> float:
        return self.space.distribution.comm.sum(float(heat.sum()))

    def state(self, field: ElectricField | None) -> tuple[Arrays, Arrays]:
        """Nodal arrays, and others, for a checkpoint: the present field and the history of the electric solver."""
        nodal, others = ({f"electric_{name}": v for name, v in arrays.items()} for arrays in self.electric.state())
        if field is not None:
            nodal["field_unit_heat"] = field.unit_heat
            for name in ("conductance", "inner_conductance", "beyond_conductance"):
                others[f"field_{name}"] = getattr(field, name)
        return nodal, others

    def restore(self, nodal: Arrays, others: Arrays) -> ElectricField | None:
        """Continue from a `state`; returns its field."""

        def group(arrays: Arrays, prefix: str) -> Arrays:
            return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}

        self.electric.restore(group(nodal, "electric_"), group(others, "electric_"))
        field = group(nodal, "field_") | group(others, "field_")
        if not field:
            return None
        self.space.distribution.without_ghosts(field["unit_heat"].T)
        return ElectricField(**field)

    def close(self) -> None:
        """Free what the solver of the field holds outside Python's memory."""
        self.electric.close()
