"""Measured zones: a CSV file, a row a setting.

Columns, in any order; a cell may be empty:

* ``device``: name of the profile that the row speaks of.
* ``power_w``, ``time_s``: constant power at the generator, and its duration. A row with a group and without both holds
  the means over all settings of the group.
* ``case``: a case file in the folder of the table, to run in place of constant power; ``power_w`` and ``time_s`` are
  then for the reader. What was measured at the probes stands in the case itself.
* ``mask``: the measured zone in space, a label image with one label or a closed surface in millimetres, in the folder
  of the table. It is laid along the needle by its own axis and compared, and never fitted.
* ``long_mm``, ``short_mm``: length along the shaft and diameter across it, whichever is the longer.
* ``volume_ml``; ``sphericity``: shorter over longer of the two axes; ``isoperimetric``: sphericity from volume and
  surface; ``aspect``: diameter over length, above 1 where a zone is wider than long; ``beyond_tip_mm``: how far the
  zone reaches beyond the tip.
* ``energy_kj``, ``stop_s``: energy from the generator, and the time at which it stopped; these are never fitted.
* ``long_sd``, ``short_sd``, ``volume_sd`` and so on: standard deviations, in the unit of the quantity.
* ``use``: ``calibrate`` or ``predict`` (the default).
* ``start_c``, ``edge``, ``tissue``, ``frame``: what is assumed of the experiment, where it differs from the
  `Conditions` of the whole data set.
* ``read``: where the numbers were read: ``table``, ``abstract``, or ``recalled``.
* ``group``, ``setting`` (name).
* ``source``, ``n``, ``verified``, ``reason``: for the reader.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablationsim.case import Case
from ablationsim.case.reading import read_text
from ablationsim.errors import AblationSimError, CaseError, best_match
from ablationsim.study.conditions import USUAL, Conditions
from ablationsim.units import ZERO_CELSIUS, parse

QUANTITIES: Mapping[str, str] = {
    "long_mm": "long_sd",
    "short_mm": "short_sd",
    "volume_ml": "volume_sd",
    "sphericity": "sphericity_sd",
    "aspect": "aspect_sd",
    "isoperimetric": "isoperimetric_sd",
    "beyond_tip_mm": "beyond_sd",
    "energy_kj": "energy_sd",
    "stop_s": "stop_sd",
}
"""What can be measured, with the column of its standard deviation."""

NEVER_FITTED = ("energy_kj", "stop_s")
"""Quantities that take no part in a calibration: they are of the generator, not of the zone."""

READ = ("table", "abstract", "recalled")
"""How numbers were read: in the table of a publication, in its abstract, or recalled and not read again."""

COLUMNS = (
    "device", "setting", "group", "use", "power_w", "time_s", "case", "mask", "n",
    *(column for pair in QUANTITIES.items() for column in pair),
    "start_c", "edge", "tissue", "frame", "read", "source", "verified", "reason",
)  # fmt: skip
"""Every column that a file may have."""


@dataclass(frozen=True)
class Measured:
    """A measured value in the unit of its column, and its standard deviation where one is known."""

    value: float
    sd: float | None = None


@dataclass(frozen=True)
class Setting:
    """A power for a time, or a case, and what was measured after it.

    Attributes
    ----------
    line : int
        In the file.
    name : str
    power, time : float
        [W, s]; NaN where a case says what the generator does, and the file does not.
    calibrated : bool
        Whether the measurement takes part in a calibration.
    group : str
        Empty outside groups.
    measured : dict of str to Measured
        By the keys of `QUANTITIES`.
    conditions : Conditions
    case : Path or None
        Case file to run; None for constant power.
    read : str
        One of `READ`, or empty.
    n : str
        Number of ablations, as the file says it.
    mask : Path or None
        The measured zone in space.
    """

    line: int
    name: str
    power: float
    time: float
    calibrated: bool
    group: str
    measured: Mapping[str, Measured]
    conditions: Conditions
    case: Path | None = None
    read: str = ""
    n: str = ""
    mask: Path | None = None


@dataclass(frozen=True)
class Mean:
    """Means over the settings of a group, where only these are known; the attributes are those of `Setting`."""

    line: int
    name: str
    calibrated: bool
    group: str
    measured: Mapping[str, Measured]
    read: str = ""
    n: str = ""


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
    def read(cls, path: str | Path, device: str, conditions: Conditions = USUAL) -> Measurements:
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
        rows, problems = _rows(path)
        if "case" not in rows.header:
            problems += [f"column {name} is missing" for name in ("power_w", "time_s") if name not in rows.header]
        problems += conditions.problems()
        if problems:
            raise CaseError(problems, str(path))
        settings, means, sources = [], [], []
        for row in rows.rows:
            if row.text("device") not in ("", device):
                continue
            entry = row.read(conditions, path.parent, device)
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

    @staticmethod
    def devices(path: str | Path) -> list[str]:
        """Profiles that a file speaks of, in its order; empty when it names none.

        Raises
        ------
        CaseError
            If the file cannot be read or has unknown columns.
        """
        rows, problems = _rows(Path(path))
        if problems:
            raise CaseError(problems, str(path))
        return list(dict.fromkeys(name for row in rows.rows if (name := row.text("device"))))

    @property
    def entries(self) -> tuple[Setting | Mean, ...]:
        """All settings, then all means."""
        return (*self.settings, *self.means)

    @property
    def calibrating(self) -> tuple[Setting | Mean, ...]:
        """The entries that take part in a calibration."""
        return tuple(entry for entry in self.entries if entry.calibrated)


@dataclass
class _Table:
    """Header and rows of a file."""

    header: list[str]
    rows: list[_Row]


def _rows(path: Path) -> tuple[_Table, list[str]]:
    """The table in a file, and what is wrong with its header."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    header = [name.strip() for name in reader.fieldnames or ()]
    problems = [f"unknown column '{name}'{best_match(name, COLUMNS)}" for name in header if name not in COLUMNS]
    reader.fieldnames = header
    return _Table(header, [_Row(reader.line_num, cells) for cells in reader]), problems


@dataclass
class _Row:
    """A line of the file, and what is wrong with it."""

    line: int
    cells: Mapping[str | None, str | list[str] | None]
    problems: list[str] = field(default_factory=list)

    def read(self, conditions: Conditions, folder: Path, device: str) -> Setting | Mean | None:
        """The entry; None when it is malformed."""
        if None in self.cells:
            self.problems.append("it has more cells than the header has columns")
        use = self.text("use") or "predict"
        if use not in ("calibrate", "predict"):
            self.problems.append(f"use: {use!r} is not a choice{best_match(use, ('calibrate', 'predict'))}")
        power, time = self.number("power_w"), self.number("time_s")
        measured = {key: found for key in QUANTITIES if (found := self._measured(key)) is not None}
        case, mask = self._case(folder, device), self._mask(folder)
        if case is None and (power is None) != (time is None) and not self.problems:
            self.problems.append("power_w and time_s belong together: one of them is empty")
        if use == "calibrate" and not any(key not in NEVER_FITTED for key in measured) and not self.problems:
            self.problems.append("nothing was measured that could calibrate")
        group = self.text("group")
        if case is None and power is None and time is None and not group and not self.problems:
            self.problems.append("power_w and time_s are empty; only a case and the means of a group go without them")
        read = self.text("read")
        if read and read not in READ:
            self.problems.append(f"read: {read!r} is not a choice{best_match(read, READ)}")
        own = self._conditions(conditions)
        if self.problems:
            return None
        if case is None and (power is None or time is None):
            name = self.text("setting") or f"mean of {group}"
            return Mean(self.line, name, use == "calibrate", group, measured, read, self.text("n"))
        return Setting(
            self.line,
            self.text("setting") or (f"{power:g} W, {time:g} s" if power and time else str(case and case.stem)),
            math.nan if power is None else power,
            math.nan if time is None else time,
            use == "calibrate",
            group,
            measured,
            own,
            case,
            read,
            self.text("n"),
            mask,
        )

    def _case(self, folder: Path, device: str) -> Path | None:
        """The case file of the row, which is sound and runs the device."""
        path = self._file("case", folder)
        if path is None:
            return None
        try:
            placed = Case.load(path).applicators
        except CaseError as error:
            self.problems += [f"case {path.name}: {problem}" for problem in error.problems]
            return None
        runs = placed[0].device.name
        if device not in (runs, ""):
            self.problems.append(f"case {path.name}: it runs {runs}, and the row names the device {device}")
        return path

    def _mask(self, folder: Path) -> Path | None:
        """The file of the measured zone, which can be read."""
        path = self._file("mask", folder)
        if path is not None:
            from ablationsim.study.masks import read_mask

            try:
                read_mask(path)
            except CaseError as error:
                self.problems += [f"mask {path.name}: {problem}" for problem in error.problems]
            except AblationSimError as error:
                self.problems.append(f"mask {path.name}: {error}")
        return path

    def _file(self, column: str, folder: Path) -> Path | None:
        """A file beside the table; None, with a finding where there is a name, when it cannot be meant."""
        name = self.text(column)
        if name and Path(name).name != name:
            self.problems.append(f"{column}: {name!r} has to be the name of a file in the folder of this table")
            return None
        return folder / name if name else None

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
            if sd is not None and not self.text(quantity):
                self.problems.append(f"{QUANTITIES[quantity]} is given without {quantity}")
            return None
        if quantity == "sphericity" and value > 1.0:
            self.problems.append(
                f"sphericity: {value:g} is above 1; it is the shorter over the longer axis (aspect: diameter / length)"
            )
        if quantity == "isoperimetric" and value > 1.0:
            self.problems.append(f"isoperimetric: {value:g} is above 1, which is that of a sphere")
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
        self.problems += own.problems()
        return own


def _grouping(settings: Iterable[Setting], means: Iterable[Mean]) -> list[str]:
    """What is wrong with the groups: conditions that differ, means of nothing, or means twice."""
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    groups: dict[str, Conditions] = {}
    for setting in settings:
        if setting.group and groups.setdefault(setting.group, setting.conditions) != setting.conditions:
            found.append(
                f"line {setting.line}: start_c, edge, tissue or frame differ within the group '{setting.group}'"
            )
    for mean in means:
        if mean.group not in groups:
            found.append(f"line {mean.line}: no setting belongs to the group '{mean.group}' whose means these are")
        # What calibrates and what does not may stand in rows of their own.
        own = {(mean.group, quantity) for quantity in mean.measured}
        if own & seen:
            found.append(f"line {mean.line}: the group '{mean.group}' has its means twice")
        seen |= own
    return found
