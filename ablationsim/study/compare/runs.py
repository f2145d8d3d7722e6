"""The runs that a setting takes: its zone, and with a standard vessel and without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ablationsim.study.compare.file import HeatSinkSection
from ablationsim.study.compare.settings import Setting
from ablationsim.units import exact

VESSEL = "standard"
"""Name of the standard vessel in its runs."""

KEYS = ("title", "device.profile", "protocol", "tissue", "domain.dimension", "vessel", "mesh.resolution")
"""Keys of a case that differ between runs."""

_BELOW, _ABOVE = -0.1, 0.15  # m: ends of the standard vessel, outside of every block of tissue that follows a needle


class Role(StrEnum):
    """What a run of a setting is for."""

    ZONE = "zone"
    WITH_VESSEL = "with the vessel"
    WITHOUT_VESSEL = "without the vessel, in 3-D"

    @property
    def vessel(self) -> bool:
        """Whether it belongs to the heat sink."""
        return self is not Role.ZONE


@dataclass(frozen=True)
class Planned:
    """A run that the comparison takes.

    Attributes
    ----------
    setting : int
        Number of its setting, from 0.
    role : Role
    values : tuple
        Of the keys that differ between runs, as in a case file.
    """

    setting: int
    role: Role
    values: tuple[Any, ...]


def runs_of(
    number: int, setting: Setting, sink: HeatSinkSection | None, own: Mapping[str, Mapping[str, Any]]
) -> Iterator[Planned]:
    """The run of a setting, and the two that tell what the standard vessel takes away."""
    # The title is a part of the case: what a device is called here must not make its runs anew.
    title = f"{setting.profile}, {setting.label}, {setting.tissue_set}"
    common = (setting.profile, list(setting.protocol), dict(setting.tissue))
    resolution = own.get("mesh", {}).get("resolution", 1.0)
    yield Planned(number, Role.ZONE, (title, *common, "auto", [], resolution))
    if sink is not None:
        vessel = _vessel(sink, setting)
        for role, vessels in ((Role.WITH_VESSEL, [vessel]), (Role.WITHOUT_VESSEL, [])):
            yield Planned(number, role, (f"{title}, {role}", *common, "3d", vessels, sink.resolution))


def _vessel(sink: HeatSinkSection, setting: Setting) -> dict[str, Any]:
    away = sink.distance + sink.diameter / 2.0
    ends = [[exact(x, "length") for x in (away, 0.0, z)] for z in (_BELOW, _ABOVE)]
    return {
        "name": VESSEL,
        "kind": sink.kind,
        "points": ends,
        "diameter": exact(sink.diameter, "length"),
        **({} if sink.flow is None else {"flow": exact(sink.flow, "flow_rate")}),
        "temperature": setting.start,
    }
