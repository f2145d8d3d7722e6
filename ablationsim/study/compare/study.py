"""`ComparisonStudy`: a comparison file, read and checked in one go, and the runs that it takes.

The runs are those of a study of listed rows, so that whatever holds for studies holds here: runs whose case did not
change keep their folder, and what was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ablationsim.case import Case
from ablationsim.case.reading import parse_toml, read_text
from ablationsim.errors import CaseError, GeometryError, best_match, problems_of
from ablationsim.geometry.geometry import Geometry
from ablationsim.study.compare.file import PASSED_ON, AboutSection, ComparedDevice, CompareFile, HeatSinkSection
from ablationsim.study.compare.runs import KEYS, Planned, Role, runs_of
from ablationsim.study.compare.settings import Setting, repeated, settings_of
from ablationsim.study.compare.spread import Spread, read_spreads
from ablationsim.study.sweep.factors import Factor
from ablationsim.study.sweep.keys import find
from ablationsim.study.sweep.study import Study


@dataclass(frozen=True)
class ComparisonStudy:
    """A comparison file and the runs that it takes.

    Attributes
    ----------
    file : Path
    about : AboutSection
    heat_sink : HeatSinkSection or None
    settings : tuple of Setting
    planned : tuple of Planned
        In the order of the settings.
    study : Study
        The same runs as a study, in the same order.
    spreads : tuple of Spread
        Of an uncertainty study of the same devices; empty where none is named.
    """

    file: Path
    about: AboutSection
    heat_sink: HeatSinkSection | None
    settings: tuple[Setting, ...]
    planned: tuple[Planned, ...]
    study: Study
    spreads: tuple[Spread, ...]

    @classmethod
    def load(cls, path: str | Path) -> ComparisonStudy:
        """Read a comparison file and check the case of every run.

        Raises
        ------
        CaseError
            With every problem found.
        """
        path = Path(path)
        data = parse_toml(read_text(path), path)
        problems: list[str] = []
        tables = _tables(data, problems)
        settings = settings_of(tables.about, tables.devices, tables.tissues, path.parent, problems)
        problems += repeated(settings)
        own = {key: data[key] for key in PASSED_ON if isinstance(data.get(key), Mapping)}
        planned = [run for k, setting in enumerate(settings) for run in runs_of(k, setting, tables.heat_sink, own)]
        study = _as_study(path, tables.about, planned, own)
        problems += _case_problems(study, settings, planned)
        spreads = _spreads(tables.about, settings, path.parent, problems)
        if problems:
            raise CaseError(problems, str(path))
        return cls(path, tables.about, tables.heat_sink, tuple(settings), tuple(planned), study, spreads)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema of a comparison file, for editors."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **CompareFile.model_json_schema()}

    @property
    def title(self) -> str:
        """Heading of the report."""
        return self.about.title or self.study.name


@dataclass
class _Tables:
    about: AboutSection
    devices: list[ComparedDevice]
    tissues: list[Mapping[str, Any]]
    heat_sink: HeatSinkSection | None


def _tables(data: Mapping[str, Any], problems: list[str]) -> _Tables:
    """The tables of the file, each validated by itself, so that a mistake in one does not hide others."""
    known = CompareFile.model_fields
    problems += [f"unknown key '{key}'{best_match(key, known)}" for key in data if key not in known]
    problems += [f"{key} is not a table" for key in PASSED_ON if key in data and not isinstance(data[key], Mapping)]
    about = _valid(AboutSection, data.get("comparison", {}), "comparison", problems)
    sink = _valid(HeatSinkSection, data["heat_sink"], "heat_sink", problems) if "heat_sink" in data else None
    devices = [
        _valid(ComparedDevice, table, f"device[{k}]", problems)
        for k, table in enumerate(_list(data, "device", problems), start=1)
    ]
    tissues = _list(data, "tissue", problems)
    problems += [
        f"tissue[{k}] is not a table" for k, table in enumerate(tissues, start=1) if not isinstance(table, Mapping)
    ]
    return _Tables(
        about or AboutSection(),
        [device for device in devices if device is not None],
        [tissue for tissue in tissues if isinstance(tissue, Mapping)],
        sink,
    )


def _list(data: Mapping[str, Any], key: str, problems: list[str]) -> list[Any]:
    value = data.get(key)
    if isinstance(value, list) and value:
        return value
    problems.append(f"nothing is compared: write one [[{key}]] table for each {key}")
    return []


def _valid(kind: Any, table: Any, place: str, problems: list[str]) -> Any:
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        problems += problems_of(error, kind, place)
        return None


def _spreads(
    about: AboutSection, settings: Sequence[Setting], directory: Path, problems: list[str]
) -> tuple[Spread, ...]:
    if about.uncertainty is None:
        return ()
    try:
        return read_spreads(directory / about.uncertainty, {Path(setting.profile).stem for setting in settings})
    except CaseError as error:
        problems += [
            f"comparison.uncertainty: {error.source}: {problem}; give the folder of a finished 'ablationsim "
            "uncertainty' that propagates, or leave the key out"
            for problem in error.problems
        ]
        return ()


def _as_study(
    path: Path, about: AboutSection, planned: Sequence[Planned], own: Mapping[str, Mapping[str, Any]]
) -> Study:
    base = {**own}
    keys = tuple(find(base, text, free=True) for text in KEYS)
    return Study(
        name=about.name or path.stem,
        file=path,
        case_file=path,
        case=base,
        keep="all",
        factors=(Factor(keys, [run.values for run in planned]),),
    )


def _case_problems(study: Study, settings: Sequence[Setting], planned: Sequence[Planned]) -> list[str]:
    """What is wrong with the cases of the runs, each said once with the first setting that has it."""
    first: dict[str, str] = {}
    more: dict[str, int] = {}
    for run, (_, case) in zip(planned, study.cases(), strict=True):
        name = settings[run.setting].title + ("" if run.role is Role.ZONE else f", {run.role}")
        for problem in _problems(case, study.case_file.parent):
            more[problem] = more.get(problem, -1) + 1
            first.setdefault(problem, name)
    return [
        f"{name}: {problem}" + (f" (and in {more[problem]} more runs)" if more[problem] else "")
        for problem, name in first.items()
    ]


def _problems(case: Mapping[str, Any], directory: Path) -> list[str]:
    try:
        Geometry.from_case(Case.from_dict(case, directory))
    except CaseError as error:
        return error.problems
    except GeometryError as error:
        return [str(error)]
    return []
