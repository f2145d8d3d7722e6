"""A publication with measured zones: a folder with ``paper.toml``, ``measured.csv`` and case files.

``not_run.csv`` has the same columns, and the settings of which too little is known to run them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from ablationsim.case.reading import parse_toml, read_text
from ablationsim.device import Device
from ablationsim.errors import AblationSimError, CaseError, best_match, problems_of
from ablationsim.study.conditions import USUAL, Conditions
from ablationsim.study.measurements import COLUMNS, Measurements
from ablationsim.units import Temperature, parse

FILE, TABLE, NOT_RUN = "paper.toml", "measured.csv", "not_run.csv"


def _in_order(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError("the first limit has to be below the second")
    return limits


def _isotherms(limits: tuple[str, str]) -> tuple[str, str]:
    low, high = (parse(text, "temperature") for text in limits)
    _in_order((low, high))
    return limits


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Assumed(_Table):
    """``[conditions]``: what is assumed of an experiment, with bounds and reasons.

    Attributes
    ----------
    tissue, edge, frame : str
        As in `Conditions`.
    start : float or None
        Temperature before heating [K].
    start_bounds : (float, float) or None
        Between which the true one is thought to lie [K].
    edge_bounds : (str, str) or None
        Isotherms of the highest temperature, between which the edge is thought to have been drawn.
    start_source, edge_source, frame_source : str
        Where it was read, or why it is assumed.
    """

    tissue: str = USUAL.tissue
    start: Temperature | None = None
    start_bounds: Annotated[tuple[Temperature, Temperature], AfterValidator(_in_order)] | None = None
    start_source: str = ""
    edge: str = USUAL.edge
    edge_bounds: Annotated[tuple[str, str], AfterValidator(_isotherms)] | None = None
    edge_source: str = ""
    frame: str = USUAL.frame
    frame_source: str = ""

    @property
    def conditions(self) -> Conditions:
        """Without bounds and reasons."""
        return Conditions(tissue=self.tissue, start=self.start, edge=self.edge, frame=self.frame)


class PaperFile(_Table):
    """``paper.toml``."""

    title: str
    citation: str
    doi: str = ""
    read: Literal["table", "abstract", "recalled"] = "table"
    summary: str = ""
    conditions: Assumed = Assumed()


@dataclass(frozen=True)
class Paper:
    """A publication with measured zones, or a table of one's own.

    Attributes
    ----------
    name : str
        Name of the folder or file.
    about : PaperFile
        What the publication says of itself, and what is assumed of its experiment.
    data : dict of str to Measurements
        By the name of the device profile.
    not_run : tuple of dict of str to str
        Rows that cannot be run, as the file has them.
    """

    name: str
    about: PaperFile
    data: dict[str, Measurements]
    not_run: tuple[dict[str, str], ...] = ()

    @classmethod
    def load(cls, folder: str | Path) -> Paper:
        """Read the folder of a publication.

        Raises
        ------
        CaseError
            With every problem of all its files.
        """
        folder = Path(folder)
        about = _about(folder / FILE)
        table, rest = folder / TABLE, folder / NOT_RUN
        if not table.exists() and not rest.exists():
            raise CaseError([f"there is neither {TABLE} nor {NOT_RUN} in it"], str(folder))
        data = measurements(table, about.conditions.conditions) if table.exists() else {}
        return cls(folder.name, about, data, _not_run(rest) if rest.exists() else ())

    @classmethod
    def own(cls, path: str | Path, device: str | None, conditions: Conditions) -> Paper:
        """Somebody's own table.

        Parameters
        ----------
        path : path
            CSV file, as `Measurements` reads it.
        device : str or None
            Profile of the rows that name none; None when all do.
        conditions : Conditions

        Raises
        ------
        CaseError
            With every problem of the file.
        """
        path = Path(path)
        assumed = Assumed(
            tissue=conditions.tissue,
            start=None,
            start_source="as stated for this table" if conditions.start is not None else "that of the tissue set",
            edge=conditions.edge,
            edge_source="as stated for this table",
            frame=conditions.frame,
            frame_source="as stated for this table",
        ).model_copy(update={"start": conditions.start})
        about = PaperFile(title=path.name, citation=str(path), conditions=assumed)
        return cls(path.stem, about, measurements(path, conditions, device))


def measurements(path: Path, conditions: Conditions, device: str | None = None) -> dict[str, Measurements]:
    """The rows of every device in a table, by profile.

    Parameters
    ----------
    path : Path
    conditions : Conditions
        Hold where a row says nothing else.
    device : str, optional
        Profile of rows that name none: its name, or the path of a file.

    Raises
    ------
    CaseError
        With every problem of the file.
    """
    named = Measurements.devices(path)
    wanted = {name: name for name in named}
    if device is not None:
        own = Device.load(device).name
        wanted = {own: device, **{name: name for name in named if name != own}}
    if not wanted:
        raise CaseError(["no row names a device profile; give --device"], str(path))
    found: dict[str, Measurements] = {}
    problems: list[str] = []
    for name, profile in wanted.items():
        try:
            Device.load(profile)
            found[profile] = Measurements.read(path, name, conditions)
        except CaseError as error:
            problems += [problem for problem in error.problems if problem not in problems]
        except AblationSimError as error:
            problems.append(str(error))
    if problems:
        raise CaseError(problems, str(path))
    return found


def conditions_beside(table: Path) -> Conditions:
    """What is assumed of an experiment: as the ``paper.toml`` beside its table says, where there is one.

    Raises
    ------
    CaseError
        If that file is malformed.
    """
    path = table.parent / FILE
    return _about(path).conditions.conditions if path.exists() else USUAL


def _about(path: Path) -> PaperFile:
    try:
        about = PaperFile.model_validate(parse_toml(read_text(path), path))
    except ValidationError as error:
        raise CaseError(problems_of(error, PaperFile), str(path)) from error
    problems = [f"conditions.{problem}" for problem in about.conditions.conditions.problems()]
    if problems:
        raise CaseError(problems, str(path))
    return about


def _not_run(path: Path) -> tuple[dict[str, str], ...]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    header = [name.strip() for name in reader.fieldnames or ()]
    unknown = [f"unknown column '{name}'{best_match(name, COLUMNS)}" for name in header if name not in COLUMNS]
    if unknown:
        raise CaseError(unknown, str(path))
    reader.fieldnames = header
    return tuple({key: (value or "").strip() for key, value in row.items() if key} for row in reader)


def shipped() -> Path:
    """The folder with the publications: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "_data" / "validation"
    return inside if inside.is_dir() else package.parent / "validation"


def names(folder: Path | None = None) -> list[str]:
    """Names of the publications in a folder, that of the package by default."""
    return sorted(path.parent.name for path in (folder or shipped()).glob(f"*/{FILE}"))


def papers(wanted: Sequence[str] = (), folder: Path | None = None) -> list[Paper]:
    """Publications by name, or from folders of one's own.

    Parameters
    ----------
    wanted : sequence of str
        Names, or paths of folders; all that come with the package when empty.
    folder : Path, optional
        Where names are looked for; that of the package by default.

    Raises
    ------
    CaseError
        With every problem of all of them.
    """
    known, home = names(folder), folder or shipped()
    found, problems = [], []
    for name in wanted or known:
        place = home / name if name in known else Path(name)
        if name not in known and not (place / FILE).exists():
            problems.append(
                f"'{name}' is neither a publication{best_match(name, known)} nor a folder with {FILE} in it"
            )
            continue
        try:
            found.append(Paper.load(place))
        except CaseError as error:
            problems += [f"{error.source}: {problem}" for problem in error.problems]
    if problems:
        raise CaseError(problems, "the measurements to validate against")
    return found
