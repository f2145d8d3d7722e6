"""What is varied, as lists of rows: listed values, listed rows, and values drawn between limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablationsim.errors import best_match
from ablationsim.study.sweep.file import DrawnKey, ListedKey, ListedRows, SampleSection
from ablationsim.study.sweep.keys import Key, find
from ablationsim.study.sweep.sampling import Limits, draw
from ablationsim.units import parse

Vary = ListedKey | ListedRows | DrawnKey


@dataclass(frozen=True)
class Factor:
    """Keys that change together; a study has every row of a factor with every row of the others.

    Attributes
    ----------
    keys : tuple of Key
    rows : sequence of tuple
        A value for each key, written as in a case file.
    """

    keys: tuple[Key, ...]
    rows: Sequence[tuple[Any, ...]]


def factors_of(
    vary: Sequence[Vary | None], sample: SampleSection | None, case: Mapping[str, Any], problems: list[str]
) -> list[Factor]:
    """Turn what a study file says into factors: those that are listed in their order, and one of all that is drawn.

    Parameters
    ----------
    vary : sequence
        Tables of the file, with None for malformed ones.
    sample : SampleSection or None
    case : mapping
        Content of the base case.
    problems : list of str
        Filled with what is wrong.
    """
    places = [(f"vary[{k}]", table) for k, table in enumerate(vary, start=1) if table is not None]
    found = _Keys(case, [text for _, table in places for text in _texts(table)], problems)
    factors: list[Factor] = []
    drawn: list[tuple[Key, Limits]] = []
    for place, table in places:
        keys = [found.key(place, text) for text in _texts(table)]
        if isinstance(table, DrawnKey):
            drawn += [(key, limits) for key in keys if key and (limits := _limits(place, table, key, problems))]
        else:
            rows = table.rows if isinstance(table, ListedRows) else [[value] for value in table.values]
            factors += _listed(place, keys, rows, "rows" if isinstance(table, ListedRows) else "values", problems)
    if sample is not None and drawn and not problems:
        points = draw(sample.method, sample.n, sample.seed, [limits for _, limits in drawn])
        factors.append(Factor(tuple(key for key, _ in drawn), points))
    return factors


def _texts(table: Vary) -> list[str]:
    return table.keys if isinstance(table, ListedRows) else [table.key]


class _Keys:
    """Finds the keys of a study, and sees that no two mean the same place or one within the other."""

    def __init__(self, case: Mapping[str, Any], texts: Sequence[str], problems: list[str]) -> None:
        self.case, self.problems = case, problems
        self.free = any(text.endswith(".mode") for text in texts)
        self.earlier: list[tuple[str, Key]] = []

    def key(self, place: str, text: str) -> Key | None:
        try:
            key = find(self.case, text, self.free)
        except ValueError as error:
            self.problems.append(f"{place}: {error}")
            return None
        for where, other in self.earlier:
            shorter = min(len(key.path), len(other.path))
            if key.path[:shorter] == other.path[:shorter]:
                same = "the same place" if len(key.path) == len(other.path) else "parts of one another"
                self.problems.append(f"{place}: '{text}' and '{other.text}' of {where} are {same}; vary one of them")
        self.earlier.append((place, key))
        return key


def _listed(
    place: str, keys: Sequence[Key | None], rows: Sequence[Sequence[Any]], name: str, problems: list[str]
) -> list[Factor]:
    before = len(problems)
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{place}.{name}[{number}]"
        if len(row) != len(keys):
            problems.append(f"{where}: {_shown(row)} must be {len(keys)} values, one for each key")
            continue
        sound = len(problems)
        plain = [_read(key, value, where, problems) for key, value in zip(keys, row, strict=True)]
        first = seen.setdefault(json.dumps(plain, sort_keys=True, default=str), number)
        if first != number and len(problems) == sound:
            problems.append(f"{where}: {_shown(row)} is the same as {name}[{first}]; leave one of them out")
    if len(problems) > before or None in keys:
        return []
    return [Factor(tuple(key for key in keys if key is not None), [tuple(row) for row in rows])]


def _read(key: Key | None, value: Any, where: str, problems: list[str]) -> Any:
    if key is not None:
        try:
            return key.read(value)
        except ValueError as error:
            problems.append(f"{where}: {error}")
    return value


def _shown(row: Sequence[Any]) -> str:
    return ", ".join(repr(value) for value in row)


def _limits(place: str, table: DrawnKey, key: Key, problems: list[str]) -> Limits | None:
    dimension = key.dimension
    if dimension is None or not key.single:
        hint = best_match(key.text, [f"{key.text}[1]"]) if dimension else "; list its values instead"
        problems.append(f"{place}: {key.text} is not a single quantity, so that nothing lies between limits{hint}")
        return None
    before = len(problems)
    numbers = {name: _read(key, getattr(table, name), f"{place}.{name}", problems) for name in ("low", "high")}
    if table.distribution == "normal":
        # The mean may lie outside of the limits; the spread of a temperature is a difference.
        spread = "temperature_difference" if dimension == "temperature" else dimension
        for name, kind in (("mean", dimension), ("sd", spread)):
            try:
                numbers[name] = parse(getattr(table, name), kind)
            except ValueError as error:
                problems.append(f"{place}.{name} {error}")
    if len(problems) == before:
        limits = Limits(dimension, table.distribution, **numbers)
        problems += [f"{place}: {problem}" for problem in limits.problems(table.model_dump())]
        return limits
    return None
