"""`UncertaintyStudy`: what is asked and of which cases, read from a study file and checked in one go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ablationsim.case.reading import parse_toml, read_text
from ablationsim.errors import AblationSimError, CaseError, best_match, problems_of
from ablationsim.study.sweep.keys import find, varied
from ablationsim.study.uncertainty.arm import Arm, unknown
from ablationsim.study.uncertainty.file import (
    AboutSection,
    ArmTable,
    InputTable,
    SurrogateSection,
    TargetSection,
    UncertaintyFile,
)

Table = TypeVar("Table", bound=BaseModel)

MOST = 1_000_000
"""Runs of a study at most."""


@dataclass(frozen=True, eq=False)
class UncertaintyStudy:
    """What is asked, and of which cases.

    Attributes
    ----------
    name : str
    about : AboutSection
    target : TargetSection or None
    surrogate : SurrogateSection or None
    arms : tuple of Arm
        One without a name if the study has none.
    """

    name: str
    about: AboutSection
    target: TargetSection | None
    surrogate: SurrogateSection | None
    arms: tuple[Arm, ...]

    @classmethod
    def load(cls, path: str | Path) -> UncertaintyStudy:
        """Read a study file and its cases.

        Raises
        ------
        CaseError
            With every problem found.
        """
        path = Path(path)
        data = parse_toml(read_text(path), path)
        problems = [
            f"unknown key '{key}'{best_match(key, UncertaintyFile.model_fields)}"
            for key in data
            if key not in UncertaintyFile.model_fields
        ]
        about = _valid(AboutSection, data.get("study", {}), "study", problems)
        target = _valid(TargetSection, data["target"], "target", problems) if "target" in data else None
        surrogate = _valid(SurrogateSection, data["surrogate"], "surrogate", problems) if "surrogate" in data else None
        tables = _list(InputTable, data, "input", problems)
        rows = _list(ArmTable, data, "arm", problems)
        problems += [
            f"{n} [[input]] tables are about '{k}'" for k, n in Counter(t.name for t in tables).items() if n > 1
        ]
        problems += [f"{n} arms are called '{k}'" for k, n in Counter(row.name for row in rows).items() if n > 1]
        arms: list[Arm] = []
        # A mistake in [study] must not hide what is wrong with the cases.
        for row in rows or [ArmTable(name="")]:
            arms += _arm(row, about or _stand_in(data), tables, target is not None, path, problems)
        if len(arms) == max(len(rows), 1):
            problems += unknown(_names(data), arms, target is not None)
        if about is not None:
            problems += _method(about, surrogate, rows)
        if problems or about is None:
            raise CaseError(list(dict.fromkeys(problems)), str(path))
        study = cls(about.name or path.stem, about, target, surrogate, tuple(arms))
        problems = study.problems()
        if problems:
            raise CaseError(problems, str(path))
        return study

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema of a study file, for editors."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **UncertaintyFile.model_json_schema()}

    @property
    def grouped(self) -> bool:
        """Whether the arms are of several devices, whose repeatability is compared."""
        return self.about.method == "propagate" and len({arm.group for arm in self.arms}) > 1

    def problems(self) -> list[str]:
        """What is wrong with what is varied."""
        found = []
        for arm in self.arms:
            where = f"arm '{arm.name}': " if arm.name else ""
            if not arm.inputs:
                kinds = ", ".join(self.about.vary)
                found.append(f"{where}nothing is uncertain: no input of the kinds {kinds} has a range")
            found += [f"{where}{text}" for text in arm.problems()]
        return found


def _stand_in(data: Mapping[str, Any]) -> AboutSection:
    """What cases are read with where [study] is malformed."""
    table = data.get("study")
    case = table.get("case") if isinstance(table, Mapping) else None
    return AboutSection(method="propagate", n=2, case=case if isinstance(case, str) else None)


def _names(data: Mapping[str, Any]) -> list[str]:
    """Names of inputs, also of tables that are malformed."""
    tables = data.get("input", [])
    found = [table.get("name") for table in tables if isinstance(table, Mapping)] if isinstance(tables, list) else []
    return [name for name in found if isinstance(name, str)]


def _valid(kind: type[Table], table: Any, place: str, problems: list[str]) -> Table | None:
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        problems += problems_of(error, kind, place)
    return None


def _list(kind: type[Table], data: Mapping[str, Any], key: str, problems: list[str]) -> list[Table]:
    tables = data.get(key, [])
    if not isinstance(tables, list):
        problems.append(f"{key} is not a list; write one [[{key}]] table for each")
        return []
    found = [_valid(kind, table, f"{key}[{k}]", problems) for k, table in enumerate(tables, start=1)]
    return [table for table in found if table is not None]


def _arm(
    row: ArmTable, about: AboutSection, tables: list[InputTable], target: bool, path: Path, problems: list[str]
) -> list[Arm]:
    """The arm of a table; none where something is wrong with it."""
    where = f"arm '{row.name}': " if row.name else ""
    name = row.case or about.case
    if name is None:
        problems.append(
            f"{where}there is no case: give case = 'case.toml' in [study]{' or in the arm' if where else ''}"
        )
        return []
    file = path.parent / name
    try:
        content = parse_toml(read_text(file), file)
        keys, wrong = [], []
        for text in row.set:
            try:
                key = find(content, text)
                key.read(row.set[text])
                keys.append(key)
            except ValueError as error:
                wrong.append(f"set: {error}")
        if wrong:
            raise CaseError(wrong, row.name)
        content = varied(content, keys, list(row.set.values()))
        if about.resolution is not None:
            content = {**content, "mesh": {**content.get("mesh", {}), "resolution": about.resolution}}
        return [Arm.of(row.name, row.group, content, file.parent, vary=about.vary, tables=tables, target=target)]
    except CaseError as error:
        problems += [f"{where}{file}: {problem}" for problem in error.problems]
    except AblationSimError as error:
        problems.append(f"{where}{file}: {error}")
    return []


def _method(about: AboutSection, surrogate: SurrogateSection | None, rows: list[ArmTable]) -> list[str]:
    found = []
    if surrogate is not None and about.method == "screen":
        found.append(
            "[surrogate] stands in for the runs of Sobol indices or of a propagation; a screening needs few runs"
        )
    groups = [bool(row.group) for row in rows]
    if any(groups) and not all(groups):
        found.append("some arms have a group and others none: give each a group, or none")
    if about.n * max(len(rows), 1) > MOST:
        found.append(f"n = {about.n} for {len(rows)} arms are more than the {MOST} runs that a study may have")
    return found
