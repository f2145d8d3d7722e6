"""Checks the cases of a study as wholes: what no value by itself shows, such as a probe outside the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ablationsim.case import Case
from ablationsim.errors import CaseError, GeometryError
from ablationsim.geometry.geometry import Geometry
from ablationsim.study.sweep.factors import Factor
from ablationsim.study.sweep.keys import Key, varied

MOST = 1000
"""Cases that are checked as wholes, at 5 to 10 ms each. Of more, those at the ends of every key and evenly spread ones
are; the others have at least been checked value by value, and the run says what is wrong."""

_SHOWN = 50  # problems that one message holds


def run_problems(case: Mapping[str, Any], directory: Path, factors: Sequence[Factor]) -> list[str]:
    """Problems of the runs, each said once with the first run that has it.

    Parameters
    ----------
    case : mapping
        Content of the base case.
    directory : Path
        Where relative paths in it start.
    factors : sequence of Factor
    """
    keys = [key for factor in factors for key in factor.keys]
    found: dict[str, tuple[str, int]] = {}
    for rows in _chosen(factors):
        values = tuple(chain.from_iterable(factor.rows[k] for factor, k in zip(factors, rows, strict=True)))
        for problem in _problems(varied(case, keys, values), directory):
            first, count = found.get(problem, (shown(keys, values), 0))
            found[problem] = (first, count + 1)
    lines = [
        f"with {first}: {problem}" + (f" ({count - 1} more runs have it)" if count > 1 else "")
        for problem, (first, count) in found.items()
    ]
    left = len(lines) - _SHOWN
    return lines if left <= 0 else [*lines[:_SHOWN], f"and {left} more problems like these"]


def shown(keys: Sequence[Key], values: Sequence[Any]) -> str:
    """What distinguishes a run, as a person writes it."""
    return ", ".join(f"{key.text} = {value!r}" for key, value in zip(keys, values, strict=True))


def _problems(data: Mapping[str, Any], directory: Path) -> list[str]:
    try:
        Geometry.from_case(Case.from_dict(data, directory))
    except CaseError as error:
        return error.problems
    except GeometryError as error:
        return [str(error)]
    return []


def _chosen(factors: Sequence[Factor]) -> list[tuple[int, ...]]:
    """Rows of each factor for the runs to look at: all of them, or those at the ends and some between."""
    sizes = [len(factor.rows) for factor in factors]
    total = 1
    for size in sizes:
        total *= size
    if total <= MOST:
        return [_rows(index, sizes) for index in range(total)]
    chosen = dict.fromkeys(_rows(index, sizes) for index in _spread(total, MOST // 2))
    for place, factor in enumerate(factors):
        for row in [*_ends(factor), *_spread(len(factor.rows), MOST // (2 * len(factors)))]:
            chosen[(0,) * place + (row,) + (0,) * (len(factors) - place - 1)] = None
    return list(chosen)


def _rows(index: int, sizes: Sequence[int]) -> tuple[int, ...]:
    found = []
    for size in reversed(sizes):
        index, row = divmod(index, size)
        found.append(row)
    return tuple(reversed(found))


def _spread(total: int, count: int) -> list[int]:
    """Whole numbers below `total`, evenly, with the first and the last."""
    count = min(total, max(count, 2))
    return [round(k * (total - 1) / max(count - 1, 1)) for k in range(count)]


def _ends(factor: Factor) -> list[int]:
    """Rows with the lowest and the highest value of each key that is a quantity."""
    found = []
    for place, key in enumerate(factor.keys):
        if key.single:
            values = [key.read(row[place]) for row in factor.rows]
            found += [values.index(min(values)), values.index(max(values))]
    return found
