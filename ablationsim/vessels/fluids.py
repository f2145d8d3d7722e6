"""What flows in vessels and tubes; the numbers and their origin are in ``fluids.toml``."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from ablationsim.errors import CaseError, best_match
from ablationsim.provenance import Sourced
from ablationsim.units import parse, show
from ablationsim.vessels.vessel import Fluid

PROPERTIES: Mapping[str, str] = {
    "density": "density",
    "heat_capacity": "heat_capacity",
    "thermal_conductivity": "thermal_conductivity",
    "viscosity": "viscosity",
    "electric_conductivity": "electric_conductivity",
}
"""Every property of a fluid, with its dimension."""

LIQUID = (273.15, 373.15)
"""Temperatures [K] between which the properties hold."""

GLASS_CONDUCTIVITY = Sourced.read(
    {
        "value": "1.1 W/m/K",
        "status": "assumed",
        "source": "borosilicate glass near 37 °C, recalled",
        "range": ["0.9 W/m/K", "1.4 W/m/K"],
        "range_source": "assumed; from soda-lime to quartz glass",
    },
    "thermal_conductivity",
)
"""Thermal conductivity of the wall of a glass tube, for cases with one [W/m/K]."""


def fluid(name: str, temperature: float) -> Fluid:
    """A fluid at the temperature that it comes with [K].

    Raises
    ------
    CaseError
        If there is no such fluid, or it is not liquid at the temperature.
    """
    return Fluid(name, **{key: sourced.value for key, sourced in fluid_sources(name, temperature).items()})


def fluid_sources(name: str, temperature: float) -> Mapping[str, Sourced]:
    """Properties of a fluid at a temperature [K], with their origin, by the keys of `PROPERTIES`.

    Raises
    ------
    CaseError
        If there is no such fluid, or it is not liquid at the temperature.
    """
    if name not in _file():
        raise CaseError([f"no fluid '{name}'{best_match(name, _file())}"])
    if not LIQUID[0] <= temperature <= LIQUID[1]:
        low, high = (show(limit, "temperature") for limit in LIQUID)
        raise CaseError(
            [f"temperature is {show(temperature, 'temperature')}; the properties of {name} hold from {low} to {high}"]
        )
    return {key: _at(_numbers(name)[key], dimension, temperature) for key, dimension in PROPERTIES.items()}


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(resources.files("ablationsim.vessels").joinpath("fluids.toml").read_text(encoding="utf-8"))


def _numbers(name: str) -> Mapping[str, Any]:
    """Numbers of a fluid; one with a ``base`` states only what sets it apart from another."""
    data = _file()[name]
    return {**_file()[data["base"]], **data} if "base" in data else data


def _at(entry: Mapping[str, Any] | Sequence[Mapping[str, Any]], dimension: str, temperature: float) -> Sourced:
    """A number, from its rows where it changes with the temperature."""
    if isinstance(entry, Mapping):
        return Sourced.read(entry, dimension)
    knots = [parse(row["temperature"], "temperature") for row in entry]
    rows = [Sourced.read({key: row[key] for key in row if key != "temperature"}, dimension) for row in entry]
    # The viscosity falls by about the same factor from row to row: between rows its logarithm is nearly straight.
    value = math.exp(np.interp(temperature, knots, [math.log(row.value) for row in rows]))
    text = show(value, dimension, digits=4)
    note = f"at {show(temperature, 'temperature', digits=4)}, between rows of a table"
    return Sourced(value, dimension, text, "calculated", all(row.verified for row in rows), rows[0].source, note=note)
