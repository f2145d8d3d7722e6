"""`Setting`: a device with a protocol in a tissue; the settings of a comparison, each with each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from ablationsim.device import Device, Step
from ablationsim.device.origins import marker_of
from ablationsim.errors import DeviceError
from ablationsim.study.compare.file import AboutSection, ComparedDevice
from ablationsim.tissue import Tissue
from ablationsim.units import ZERO_CELSIUS, exact, parse


@dataclass(frozen=True)
class Setting:
    """A device with a protocol in a tissue.

    Attributes
    ----------
    device : str
        Its name in the comparison.
    profile : str
        Name or path of its profile.
    label : str
        The protocol in short, such as "60 W, 5 min".
    series : str
        What it has in common with the settings that differ from it in their time alone.
    tissue : dict
        Table of a case file.
    protocol : list of dict
        Steps as in a case file.
    power, time : float or None
        Power of the only step, where it is asked for [W], and duration of all steps [s].
    """

    device: str
    profile: str
    label: str
    series: str
    tissue: Mapping[str, Any] = field(compare=False)
    protocol: Sequence[Mapping[str, Any]] = field(compare=False)
    power: float | None
    time: float | None

    @property
    def tissue_set(self) -> str:
        """Name of the tissue set."""
        return str(self.tissue.get("set", ""))

    @property
    def start(self) -> str:
        """Temperature of the tissue before heating, as in a case file."""
        known = self.tissue_set in Tissue.names()
        set_of = Tissue.load(self.tissue_set).initial_temperature if known else ZERO_CELSIUS
        return str(self.tissue.get("temperature", exact(set_of, "temperature")))

    @property
    def title(self) -> str:
        """For people; two settings of a comparison have different ones."""
        return f"{self.device}, {self.label}, {self.tissue_name}"

    @property
    def tissue_name(self) -> str:
        """The tissue set, and what differs from it."""
        others = [
            str(value) if key == "temperature" else f"{key} {value}"
            for key, value in self.tissue.items()
            if key != "set"
        ]
        return ", ".join([self.tissue_set, *others])


def settings_of(
    about: AboutSection,
    devices: Sequence[ComparedDevice],
    tissues: Sequence[Mapping[str, Any]],
    directory: Path,
    problems: list[str],
) -> list[Setting]:
    """All settings of a comparison: every tissue with every device, power and time.

    Parameters
    ----------
    about, devices, tissues
        Tables of the file.
    directory : Path
        Where relative paths of profiles start.
    problems : list of str
        Filled with what is wrong; whether the cases of the settings can be run is not looked at.
    """
    found = []
    for number, table in enumerate(devices, start=1):
        place = f"device[{number}]"
        steps = _steps(table, place, directory, problems)
        times = table.times or (about.times if table.powers else ())
        if steps is None:
            continue
        if len(steps) > 1 and (table.powers or table.times):
            problems.append(
                f"{place}: powers and times change a protocol of one step, and this one has {len(steps)}; write the "
                "protocol of each setting as a [[device]] of its own, with a name"
            )
            continue
        if table.powers and not times and "duration" not in steps[0]:
            problems.append(f"{place}: its powers need times, in this table or in [comparison]")
            continue
        found += [
            _setting(table, tissue, steps, power, time)
            for tissue, power, time in product(tissues, table.powers or (None,), times or (None,))
        ]
    return found


def _steps(
    table: ComparedDevice, place: str, directory: Path, problems: list[str]
) -> Sequence[Mapping[str, Any]] | None:
    """The steps that powers and times are put into."""
    if table.protocol is not None:
        return table.protocol
    if table.powers:
        return [{"mode": "power"}]
    try:
        profile = directory / table.profile if table.profile.endswith(".toml") else table.profile
        return [as_written(step) for step in Device.load(profile).default_protocol]
    except DeviceError as error:
        problems.append(f"{place}.profile: {error}")
        return None


def as_written(step: Step) -> dict[str, Any]:
    """A protocol step as a case file has it."""
    written: dict[str, Any] = {}
    for name, info in type(step).model_fields.items():
        value = getattr(step, name)
        if value is not None:
            marker = marker_of(Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation)
            written[name] = value if marker is None else exact(value, marker.dimension)
    return written


def _setting(
    table: ComparedDevice,
    tissue: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    power: float | None,
    time: float | None,
) -> Setting:
    changes = {} if power is None else {"power": exact(power, "power")}
    changes |= {} if time is None else {"duration": exact(time, "duration")}
    protocol = [{**step, **changes} for step in steps]
    span, power = _sum(protocol), _quantity(protocol[0].get("power"), "power") if len(protocol) == 1 else None
    modes = " + ".join(str(step.get("mode", "")) for step in protocol)
    kind = "" if modes == "power" else modes
    watts = "" if power is None else f"{power:g} W"
    series = " ".join(text for text in (kind, watts) if text) or modes
    return Setting(
        device=table.name or Path(table.profile).stem,
        profile=table.profile,
        label=series if span is None else f"{series}, {_span(span)}",
        series=series,
        tissue=tissue,
        protocol=protocol,
        power=power,
        time=span,
    )


def _sum(protocol: Sequence[Mapping[str, Any]]) -> float | None:
    """Duration of all steps [s]; None if one is malformed, which the check of the case says."""
    spans = [_quantity(step.get("duration"), "duration") for step in protocol]
    return None if None in spans else sum(span for span in spans if span is not None)


def _quantity(text: Any, dimension: str) -> float | None:
    try:
        return parse(text, dimension)
    except ValueError:
        return None


def _span(seconds: float) -> str:
    minutes = seconds / 60.0
    return f"{minutes:g} min" if round(minutes) == minutes else f"{seconds:g} s"


def repeated(settings: Sequence[Setting]) -> Iterator[str]:
    """Problems of settings that are there twice, or that nobody could tell apart."""
    titles: set[str] = set()
    seen: dict[str, str] = {}
    for setting in settings:
        content = json.dumps([setting.profile, setting.protocol, setting.tissue], sort_keys=True, default=str)
        first = seen.setdefault(content, setting.title)
        if setting.title in titles:
            yield f"'{setting.title}' is there twice; leave one out, or give the [[device]] tables names that differ"
        elif first != setting.title:
            yield f"'{setting.title}' has profile, protocol and tissue of '{first}'; leave one of them out"
        titles.add(setting.title)
