"""Numbers of a device profile that a study varies: found by name, kept in range, written back with their origin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablationsim.device import Device
from ablationsim.errors import DeviceError, best_match
from ablationsim.provenance import Sourced, Status
from ablationsim.results.files import write_whole
from ablationsim.units import exact, parse, show

MOST = 2
"""How many numbers of a device a study may vary at once: the published zones of a device carry no more."""


@dataclass(frozen=True)
class Parameter:
    """A number of a device profile that is varied in its range.

    Attributes
    ----------
    place : str
        In the profile, such as ``antenna.dimensions.arm``.
    sourced : Sourced
        As the profile has it, with a range.
    """

    place: str
    sourced: Sourced

    @property
    def name(self) -> str:
        """The last part of the place, in words."""
        return self.place.rpartition(".")[2].replace("_", " ")

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value (SI)."""
        assert self.sourced.range is not None
        return self.sourced.range

    def at(self, share: float) -> float:
        """The value (SI) at a share of the range, 0 for its low and 1 for its high end."""
        low, high = self.range
        return low + share * (high - low)

    @property
    def share(self) -> float:
        """Where in its range the profile has it."""
        low, high = self.range
        return (self.sourced.value - low) / (high - low)

    def text(self, value: float) -> str:
        """The value (SI) as a profile writes it: four digits, or all of them where rounding would leave the range."""
        short = show(value, self.sourced.dimension, digits=4)
        inside = self.sourced.outside(parse(short, self.sourced.dimension)) is None
        return short if inside else exact(value, self.sourced.dimension)

    def rounded(self, value: float) -> float:
        """The value (SI) that a profile has after writing."""
        low, high = self.range
        return parse(self.text(min(max(value, low), high)), self.sourced.dimension)

    def at_limit(self, value: float) -> bool:
        """Whether a value (SI) lies on an end of the range, to a hundredth of its width: a search stops short of it."""
        low, high = self.range
        return min(value - low, high - value) < 0.01 * (high - low)


def parameters(device: Device, names: Sequence[str]) -> tuple[Parameter, ...]:
    """Find numbers of a profile by their place, or by its last part where only one ends so.

    Raises
    ------
    DeviceError
        If a name is unknown, stands for several places, occurs twice, or names a number without a range.
    """
    if not 1 <= len(names) <= MOST:
        raise DeviceError(f"at least 1 and at most {MOST} numbers of a device can be varied, got {len(names)}")
    found = tuple(Parameter(place, device.parameters[place]) for place in (_place(device, name) for name in names))
    if len({parameter.place for parameter in found}) < len(found):
        raise DeviceError(f"the same number is named twice: {', '.join(names)}")
    for parameter in found:
        if parameter.sourced.range is None or not parameter.range[0] < parameter.range[1]:
            raise DeviceError(
                f"{parameter.place} of {device.name} has no range to vary it in; add range = [low, high] to the profile"
            )
    return found


def _place(device: Device, name: str) -> str:
    if name in device.parameters:
        return name
    ending = [place for place in device.parameters if place.rpartition(".")[2] == name]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise DeviceError(f"'{name}' stands for several numbers of {device.name}: {', '.join(ending)}; name the place")
    near = best_match(name, [place.rpartition(".")[2] for place in device.parameters])
    raise DeviceError(f"{device.name} has no number '{name}'{near}")


@dataclass(frozen=True)
class Change:
    """A new value (SI) of a parameter, and what the profile says of where it comes from."""

    parameter: Parameter
    value: float
    status: Status
    source: str


def write_profile(profile: Path, output: Path, changes: Sequence[Change]) -> None:
    """Write a profile with other values and their origin; everything else, comments included, stays as it is.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import tomlkit

    document = tomlkit.parse(profile.read_text(encoding="utf-8"))
    for change in changes:
        table = _table(document, change.parameter.place)
        if "range" in table and "range_source" not in table:
            # Without its own source the range would seem to come from the new one.
            table["range_source"] = table["source"]
        table["value"] = change.parameter.text(change.value)
        table["status"] = change.status
        table["verified"] = False
        table["source"] = change.source
    write_whole(output, tomlkit.dumps(document))


def _table(document: Mapping[str, Any], place: str) -> Any:
    """The table of a number, by a place such as ``applicator.sections[2].length``."""
    table: Any = document
    for part in place.split("."):
        key, *number = re.split(r"[\[\]]", part)
        table = table[key] if not number else table[key][int(number[0]) - 1]
    return table
