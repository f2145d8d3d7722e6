"""The case file: what to simulate, read with units, checked in one go, and resolved to SI."""

from ablationsim.case.case import Case, PlacedDevice
from ablationsim.case.measured import MeasuredSection
from ablationsim.case.sections import (
    DomainSection,
    MeshSection,
    MicrowaveSection,
    ProbeSection,
    TimeSection,
    ZoneSection,
)

__all__ = [
    "Case",
    "DomainSection",
    "MeasuredSection",
    "MeshSection",
    "MicrowaveSection",
    "PlacedDevice",
    "ProbeSection",
    "TimeSection",
    "ZoneSection",
]
