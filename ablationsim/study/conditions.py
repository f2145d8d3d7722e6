"""What is assumed of an experiment, as opposed to a device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from ablationsim.errors import best_match
from ablationsim.physics.damage import ARRHENIUS_SETS
from ablationsim.tissue import Tissue
from ablationsim.units import parse

FRAMES = ("contracted", "undeformed")
"""Whether sizes were taken after the tissue had shrunk, or are those of the tissue as it was before."""


@dataclass(frozen=True)
class Conditions:
    """What is assumed of an experiment; belongs to the data set and never to the device.

    Attributes
    ----------
    tissue : str
        Name of a tissue set.
    start : float or None
        Temperature before heating [K]; that of the set when None.
    edge : str
        What was taken for the edge of the zone: the name of an Arrhenius set, "cem43", "three_state", or a temperature.
    frame : {"contracted", "undeformed"}
        Whether sizes were taken after the tissue had shrunk.
    contraction : float, str or None
        From the undeformed to the contracted frame, as in the ``[zone]`` table of a case; its default when None.
    """

    tissue: str = "liver_porcine_ex_vivo"
    start: float | None = None
    edge: str = "whitening"
    frame: str = "contracted"
    contraction: float | str | None = None

    @property
    def start_temperature(self) -> float:
        """Temperature before heating [K]."""
        return _tissue(self.tissue).initial_temperature if self.start is None else self.start

    @property
    def perfused(self) -> bool:
        """Whether blood flows in the tissue: in a patient, an animal or a perfused organ."""
        return _tissue(self.tissue).value("perfusion") > 0.0

    def zone(self) -> dict[str, Any]:
        """The ``[zone]`` table of a case."""
        if self.edge in ARRHENIUS_SETS:
            criterion = {"criterion": "arrhenius", "arrhenius_set": self.edge}
        elif self.edge in ("cem43", "three_state"):
            criterion = {"criterion": self.edge}
        else:
            criterion = {"criterion": "isotherm", "isotherm_temperature": self.edge}
        return criterion if self.contraction is None else {**criterion, "contraction": self.contraction}

    def problems(self) -> list[str]:
        """What is wrong with tissue, edge or frame, one sentence each."""
        found = []
        if self.tissue not in Tissue.names():
            found.append(f"tissue: there is no tissue set '{self.tissue}'{best_match(self.tissue, Tissue.names())}")
        elif self.start is not None:
            found += _tissue(self.tissue).override_problems({"initial_temperature": self.start})
        edges = [*ARRHENIUS_SETS, "cem43", "three_state"]
        if self.edge not in edges:
            try:
                parse(self.edge, "temperature")
            except ValueError:
                choices = ", ".join(edges)
                found.append(f"edge: {self.edge!r} is neither one of {choices} nor a temperature such as '55 degC'")
        if self.frame not in FRAMES:
            found.append(f"frame: {self.frame!r} is not a choice; known are {', '.join(FRAMES)}")
        return found


USUAL = Conditions()
"""What holds where nothing else is said."""


@cache
def _tissue(name: str) -> Tissue:
    return Tissue.load(name)
