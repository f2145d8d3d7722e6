"""Measured zones of one device: a CSV file, a row a setting.

Columns, in any order; a cell may be empty:

* ``power_w``, ``time_s``: constant power at the generator, and its duration. A row with a group and without both holds
  the means over all settings of the group.
* ``long_mm``, ``short_mm``: length along the shaft and diameter across it, whichever is the longer.
* ``volume_ml``; ``sphericity``: shorter over longer of the two axes.
* ``long_sd``, ``short_sd``, ``volume_sd``, ``sphericity_sd``: standard deviations, in the unit of the quantity.
* ``use``: ``calibrate`` or ``predict`` (the default).
* ``start_c``, ``edge``, ``tissue``, ``frame``: what is assumed of the experiment, where it differs from the
  `Conditions` of the whole data set.
* ``group``, ``setting`` (name), ``device`` (profile name; rows of other devices are passed over).
* ``source``, ``n``, ``verified``: for the reader.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablationsim.case.reading import read_text
from ablationsim.errors import CaseError, best_match
from ablationsim.physics.damage import ARRHENIUS_SETS
from ablationsim.tissue import Tissue
from ablationsim.units import ZERO_CELSIUS, parse

QUANTITIES: Mapping[str, str] = {
    "long_mm": "long_sd",
    "short_mm": "short_sd",
    "volume_ml": "volume_sd",
    "sphericity": "sphericity_sd",
}
"""What can be measured, with the column of its standard deviation."""

COLUMNS = (
    "device", "setting", "group", "use", "power_w", "time_s", "n",
    *(column for pair in QUANTITIES.items() for column in pair),
    "start_c", "edge", "tissue", "frame", "source", "verified",
)  # fmt: skip
"""Every column that a file may have."""


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
    contraction : float
        Uniform contraction from the undeformed to the contracted frame.
    """

    tissue: str = "liver_porcine_ex_vivo"
    start: float | None = None
    edge: str = "whitening"
    frame: str = "contracted"
    contraction: float = 0.12

    @property
    def start_temperature(self) -> float:
        """Temperature before heating [K]."""
        return Tissue.load(self.tissue).initial_temperature if self.start is None else self.start

    def zone(self) -> dict[str, str | float]:
        """The ``[zone]`` table of a case."""
        if self.edge in ARRHENIUS_SETS:
            criterion = {"criterion": "arrhenius", "arrhenius_set": self.edge}
        elif self.edge in ("cem43", "three_state"):
            criterion = {"criterion": self.edge}
        else:
            criterion = {"criterion": "isotherm", "isotherm_temperature": self.edge}
        return {**criterion, "contraction": self.contraction}

    def problems(self) -> list[str]:
        """What is wrong with tissue, edge or frame, one sentence each."""
        found = []
        if self.tissue not in Tissue.names():
            found.append(f"tissue: there is no tissue set '{self.tissue}'{best_match(self.tissue, Tissue.names())}")
        edges = [*ARRHENIUS_SETS, "cem43", "three_state"]
        if self.edge not in edges:
            try:
                parse(self.edge, "temperature")
            except ValueError:
                choices = ", ".join(edges)
                found.append(f"edge: {self.edge!r} is neither one of {choices} nor a temperature such as '55 degC'")
        if self.frame not in ("contracted", "undeformed"):
            found.append(f"frame: {self.frame!r} is not a choice; known are contracted, undeformed")
        return found


@dataclass(frozen=True)
class Measured:
    """A measured value in the unit of its column, and its standard deviation where one is known."""

    value: float
    sd: float | None = None


@dataclass(frozen=True)
class Setting:
    """A power for a time, and what was measured after it.

    Attributes
    ----------
    line : int
        In the file.
    name : str
    power, time : float
        [W, s]
    calibrated : bool
        Whether the measurement takes part in a calibration.
    group : str
        Empty outside groups.
    measured : dict of str to Measured
        By the keys of `QUANTITIES`.
    conditions : Conditions
    """

    line: int
    name: str
    power: float
    time: float
    calibrated: bool
    group: str
    measured: Mapping[str, Measured]
    conditions: Conditions


@dataclass(frozen=True)
class Mean:
    """Means over the settings of a group, where only these are known; the attributes are those of `Setting`."""

    line: int
    name: str
    calibrated: bool
    group: str
    measured: Mapping[str, Measured]


@dataclass(frozen=True)
class Measurements:
    """The measured zones of one device.

    Attributes
    ----------
    name : str
        What the data set is called: its publications, or the file where none are named.
    settings : tuple of Setting
    means : tuple of Mean
    """

    name: str
    settings: tuple[Setting, ...]
    means: tuple[Mean, ...]

    @classmethod
    def read(cls, path: str | Path, device: str, conditions: Conditions = Conditions()) -> Measurements:
        """Read the rows of a device.

        Parameters
        ----------
        path : path
            CSV file with a header line.
        device : str
            Name of the profile; rows that name another one are passed over.
        conditions : Conditions
            Hold where a row says nothing else.

        Raises
        ------
        CaseError
            With every problem found and its line.
        """
        path = Path(path)
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
        header = [name.strip() for name in reader.fieldnames or ()]
        problems = [f"unknown column '{name}'{best_match(name, COLUMNS)}" for name in header if name not in COLUMNS]
        problems += [f"column {name} is missing" for name in ("power_w", "time_s") if name not in header]
        problems += conditions.problems()
        if problems:
            raise CaseError(problems, str(path))
        reader.fieldnames = header
        settings, means, sources = [], [], []
        for cells in reader:
            row = _Row(reader.line_num, cells)
            if row.text("device") not in ("", device):
                continue
            entry = row.read(conditions)
            problems += [f"line {row.line}: {problem}" for problem in row.problems]
            if isinstance(entry, Setting):
                settings.append(entry)
            elif entry is not None:
                means.append(entry)
            sources.append(row.text("source"))
        problems += _grouping(settings, means)
        if not problems and not settings:
            problems.append(f"no row belongs to the device '{device}'; its column 'device' names profiles")
        if problems:
            raise CaseError(problems, str(path))
        named = list(dict.fromkeys(source for source in sources if source))
        return cls("; ".join(named) or path.name, tuple(settings), tuple(means))

    @property
    def entries(self) -> tuple[Setting | Mean, ...]:
        """All settings, then all means."""
        return (*self.settings, *self.means)

    @property
    def calibrating(self) -> tuple[Setting | Mean, ...]:
        """The entries that take part in a calibration."""
        return tuple(entry for entry in self.entries if entry.calibrated)


@dataclass
class _Row:
    """A line of the file, and what is wrong with it."""

    line: int
    cells: Mapping[str | None, str | list[str] | None]
    problems: list[str] = field(default_factory=list)

    def read(self, conditions: Conditions) -> Setting | Mean | None:
        """The entry; None when it is malformed."""
        if None in self.cells:
            self.problems.append("it has more cells than the header has columns")
        use = self.text("use") or "predict"
        if use not in ("calibrate", "predict"):
            self.problems.append(f"use: {use!r} is not a choice{best_match(use, ('calibrate', 'predict'))}")
        power, time = self.number("power_w"), self.number("time_s")
        measured = {key: found for key in QUANTITIES if (found := self._measured(key)) is not None}
        if (power is None) != (time is None) and not self.problems:
            self.problems.append("power_w and time_s belong together: one of them is empty")
        if use == "calibrate" and not measured and not self.problems:
            self.problems.append("nothing was measured that could calibrate")
        group = self.text("group")
        if power is None and time is None and not group and not self.problems:
            self.problems.append("power_w and time_s are empty; only the means of a group go without them")
        own = self._conditions(conditions)
        if self.problems:
            return None
        if power is None or time is None:
            name = self.text("setting") or f"mean of {group}"
            return Mean(self.line, name, use == "calibrate", group, measured)
        name = self.text("setting") or f"{power:g} W, {time:g} s"
        return Setting(self.line, name, power, time, use == "calibrate", group, measured, own)

    def text(self, column: str) -> str:
        value = self.cells.get(column)
        return value.strip() if isinstance(value, str) else ""

    def number(self, column: str) -> float | None:
        """The positive number in a cell; None when it is empty or, with a finding, when it is none."""
        text = self.text(column)
        if not text:
            return None
        try:
            value = parse(text, "ratio")
        except ValueError:
            self.problems.append(f"{column}: {text!r} is not a number")
            return None
        if value <= 0.0:
            self.problems.append(f"{column}: {text} must be above 0")
            return None
        return value

    def _measured(self, quantity: str) -> Measured | None:
        value, sd = self.number(quantity), self.number(QUANTITIES[quantity])
        if value is None:
            if sd is not None:
                self.problems.append(f"{QUANTITIES[quantity]} is given without {quantity}")
            return None
        if quantity == "sphericity" and value > 1.0:
            self.problems.append(f"sphericity: {value:g} is above 1; it is the shorter over the longer axis")
        return Measured(value, sd)

    def _conditions(self, conditions: Conditions) -> Conditions:
        own = replace(
            conditions,
            tissue=self.text("tissue") or conditions.tissue,
            edge=self.text("edge") or conditions.edge,
            frame=self.text("frame") or conditions.frame,
        )
        if self.text("start_c"):
            try:
                own = replace(own, start=parse(self.text("start_c"), "ratio") + ZERO_CELSIUS)
            except ValueError:
                self.problems.append(f"start_c: {self.text('start_c')!r} is not a number")
        wrong = own.problems()
        if not wrong and own.start is not None:
            wrong = Tissue.load(own.tissue).override_problems({"initial_temperature": own.start})
        self.problems += wrong
        return own


def _grouping(settings: Iterable[Setting], means: Iterable[Mean]) -> list[str]:
    """What is wrong with the groups: conditions that differ, means of nothing, or means twice."""
    found, seen = [], set()
    groups: dict[str, Conditions] = {}
    for setting in settings:
        if setting.group and groups.setdefault(setting.group, setting.conditions) != setting.conditions:
            found.append(
                f"line {setting.line}: start_c, edge, tissue or frame differ within the group '{setting.group}'"
            )
    for mean in means:
        if mean.group not in groups:
            found.append(f"line {mean.line}: no setting belongs to the group '{mean.group}' whose means these are")
        if mean.group in seen:
            found.append(f"line {mean.line}: the group '{mean.group}' has its means twice")
        seen.add(mean.group)
    return found
