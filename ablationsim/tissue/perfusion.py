"""How well perfused the liver and its tumours are: the states that the tissue sets stand for, and embolisation."""

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


@cache
def embolised_factor() -> Sourced:
    """Share of a tumour's perfusion that is left after chemoembolisation, with its range."""
    text = resources.files("ablationsim.tissue").joinpath("perfusion.toml").read_text(encoding="utf-8")
    return Sourced.read(tomllib.loads(text)["embolised"], "ratio")
