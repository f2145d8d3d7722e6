"""How well perfused the liver and its tumours are: tissue sets, embolisation, and closed inflow."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ablationsim.provenance import Sourced
from ablationsim.tissue.tissue import Tissue


@dataclass(frozen=True)
class PerfusionState:
    """Perfusion of a tissue set.

    Attributes
    ----------
    name, title, notes : str
        Name of the set, what it describes, and what to know about it.
    perfusion : Sourced
        Perfusion rate of intact tissue [1/s].
    """

    name: str
    title: str
    notes: str
    perfusion: Sourced


def perfusion_states() -> tuple[PerfusionState, ...]:
    """Every tissue set, the best perfused first."""
    tissues = [Tissue.load(name) for name in Tissue.names()]
    states = [PerfusionState(each.name, each.title, each.notes, each.sources["perfusion"]) for each in tissues]
    return tuple(sorted(states, key=lambda state: -state.perfusion.value))


def embolised_factor() -> Sourced:
    """Share of a tumour's perfusion that is left after chemoembolisation, with its range."""
    return _factor("embolised")


def inflow_factor(state: str) -> Sourced:
    """Share of the perfusion of liver that is left while its inflow is closed, with its range.

    Parameters
    ----------
    state : {"portal_occluded", "arterial_occluded", "pringle"}
        Portal vein, artery, or both closed.
    """
    return _factor(state)


@cache
def _factor(name: str) -> Sourced:
    text = resources.files("ablationsim.tissue").joinpath("perfusion.toml").read_text(encoding="utf-8")
    return Sourced.read(tomllib.loads(text)[name], "ratio")
