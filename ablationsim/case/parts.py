"""What was found in a case file so far, while it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ablationsim.case.sections import ApplicatorSection, DomainSection
from ablationsim.device import Device, Step
from ablationsim.tissue import Tissue


@dataclass
class Placed:
    """An applicator as far as it could be read.

    Attributes
    ----------
    place : str
        What its messages begin with.
    profile : str or None
    section : ApplicatorSection or None
    steps : list of Step or None
        The protocol, with None for malformed steps.
    device : Device or None
    """

    place: str
    profile: str | None
    section: ApplicatorSection | None
    steps: list[Step | None]
    device: Device | None = None


@dataclass
class Parts:
    """What was found in a case file: the parts of a case, and the problems.

    Attributes
    ----------
    problems : list of str
    tables : dict
        The valid tables, by name; of lists, the valid entries.
    placed : list of Placed
    tissue : Tissue or None
        With the overrides of the case.
    domain : DomainSection or None
        With centre and extents.
    """

    problems: list[str] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)
    placed: list[Placed] = field(default_factory=list)
    tissue: Tissue | None = None
    domain: DomainSection | None = None
