"""`Study`: a case and what is varied of it, read from a study file and checked in one go."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from ablationsim.case import Case
from ablationsim.case.reading import parse_toml, read_text
from ablationsim.errors import CaseError, best_match, problems_of
from ablationsim.study.sweep.checking import run_problems
from ablationsim.study.sweep.factors import Factor, factors_of
from ablationsim.study.sweep.file import AboutSection, DrawnKey, ListedKey, ListedRows, SampleSection, StudyFile
from ablationsim.study.sweep.keys import Key, varied

LIMIT = 1_000_000
"""Runs of a study at most: their list is kept in memory and in one file."""


@dataclass(frozen=True)
class Study:
    """A case and what is varied of it.

    Attributes
    ----------
    name : str
    file : Path
        The study file.
    case_file : Path
        The base case.
    case : dict
        Content of the base case.
    keep : {"all", "zone"}
        What stays of a finished run.
    factors : tuple of Factor
        The runs are every row of each with every row of the others; the rows of the last one change fastest.
    """

    name: str
    file: Path
    case_file: Path
    case: Mapping[str, Any]
    keep: Literal["all", "zone"]
    factors: tuple[Factor, ...]

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """Read a study file and its base case; no run's case is checked as a whole yet.

        Raises
        ------
        CaseError
            With every problem found.
        """
        path = Path(path)
        data = parse_toml(read_text(path), path)
        problems: list[str] = []
        about, vary, sample = _tables(data, problems)
        case: dict[str, Any] = {}
        # A mistake beside it must not hide what is wrong with the case, and with what is varied of it.
        written = data["study"].get("case") if isinstance(data.get("study"), Mapping) else None
        case_file = path.parent / str(written)
        if isinstance(written, str):
            try:
                case = parse_toml(read_text(case_file), case_file)
                Case.load(case_file)
            except CaseError as error:
                problems += [f"the case {case_file}: {problem}" for problem in error.problems]
        factors = factors_of(vary, sample, case, problems) if case else []
        count = math.prod(len(factor.rows) for factor in factors)
        if count > LIMIT:
            rows = " x ".join(str(len(factor.rows)) for factor in factors)
            problems.append(
                f"{rows} are {count} runs, above the limit of {LIMIT} of the program; list fewer values, draw fewer "
                "points, or write several studies"
            )
        if problems or about is None:
            raise CaseError(problems, str(path))
        return cls(
            name=about.name or path.stem,
            file=path,
            case_file=case_file,
            case=case,
            keep=about.keep,
            factors=tuple(factors),
        )

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON Schema of a study file, for editors."""
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **StudyFile.model_json_schema()}

    def __len__(self) -> int:
        return math.prod(len(factor.rows) for factor in self.factors)

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys that are varied."""
        return tuple(key for factor in self.factors for key in factor.keys)

    def cases(self) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Values of each run, written as in a case file, and the content of its case, one after the other."""
        keys = self.keys
        for rows in product(*(factor.rows for factor in self.factors)):
            values = tuple(chain.from_iterable(rows))
            yield values, varied(self.case, keys, values)

    def check(self) -> None:
        """Check the cases of the runs as wholes.

        Raises
        ------
        CaseError
            With the problems of all runs that were found; each is said once.
        """
        problems = run_problems(self.case, self.case_file.parent, self.factors)
        if problems:
            raise CaseError(problems, str(self.file))


def _tables(
    data: Mapping[str, Any], problems: list[str]
) -> tuple[AboutSection | None, list[ListedKey | ListedRows | DrawnKey | None], SampleSection | None]:
    """The tables of a study file, each validated by itself, so that a mistake in one does not hide others."""
    problems += [
        f"unknown key '{key}'{best_match(key, StudyFile.model_fields)}"
        for key in data
        if key not in StudyFile.model_fields
    ]
    about = _valid(AboutSection, data["study"], "study", problems) if "study" in data else None
    if "study" not in data:
        problems.append("[study] is missing: give it the case that is varied, case = 'case.toml'")
    tables = data.get("vary", [])
    if not isinstance(tables, list) or not tables:
        problems.append("nothing is varied: write one [[vary]] table for each key, with its values or its limits")
        tables = []
    vary = [_valid(_kind(table), table, f"vary[{k}]", problems) for k, table in enumerate(tables, start=1)]
    sample = _valid(SampleSection, data["sample"], "sample", problems) if "sample" in data else None
    between = [f"vary[{k}]" for k, table in enumerate(tables, start=1) if _kind(table) is DrawnKey]
    if between and "sample" not in data:
        problems.append(
            f"[sample] is missing: it says how values between the limits of {', '.join(between)} are drawn; give "
            "method and n"
        )
    elif "sample" in data and not between:
        problems.append("[sample] draws values between limits, but no [[vary]] has low and high")
    return about, vary, sample


def _kind(table: Any) -> type[BaseModel]:
    """The kind of [[vary]] table that is meant, by its keys."""
    given = set(table) if isinstance(table, Mapping) else set()
    if given & {"keys", "rows"}:
        return ListedRows
    return DrawnKey if given & {"low", "high", "distribution", "mean", "sd"} else ListedKey


def _valid(kind: type[BaseModel], table: Any, place: str, problems: list[str]) -> Any:
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        problems += problems_of(error, kind, place)
    return None
