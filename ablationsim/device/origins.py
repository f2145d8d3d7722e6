"""Numbers of a profile and their origins: taken apart when a profile is read, and changed together afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from ablationsim.errors import best_match
from ablationsim.provenance import Sourced, Status
from ablationsim.units import Quantity, exact


def marker_of(*annotations: Any) -> Quantity | None:
    """The dimension marker of a single quantity, wherever it stands in its annotation; None for named quantities."""
    for part in annotations:
        if get_origin(part) is dict:
            continue
        found = part if isinstance(part, Quantity) else marker_of(*get_args(part))
        if found is not None:
            return found
    return None


def _tables(*annotations: Any) -> list[Any]:
    """Models, and tables with names of their own (``dict[str, ...]``), that annotations speak of at any depth."""
    found: list[Any] = []
    for part in annotations:
        # A generic alias such as tuple[float, ...] is no class to issubclass.
        is_model = get_origin(part) is None and isinstance(part, type) and issubclass(part, BaseModel)
        found += [part] if is_model or get_origin(part) is dict else _tables(*get_args(part))
    return found


def _entry(table: Any, key: str) -> list[Any]:
    """What the annotation of one entry of a table is made of; empty where there is no such key."""
    if get_origin(table) is dict:
        return [get_args(table)[1]]
    field = table.model_fields.get(key)
    return [] if field is None else [field.annotation, *field.metadata]


def take_apart(data: Any, tables: list[Any], place: str, parameters: dict[str, Sourced], problems: list[str]) -> Any:
    """Replace the table of every number by its value as written.

    Lists of coordinates stay as they are: what they rest on is said in the notes of the profile.

    Parameters
    ----------
    data : Any
        Content of the file, or a part of it.
    tables : list
        Models or ``dict[str, ...]`` annotations that the part may be.
    place : str
        Where it stands in the file.
    parameters : dict of str to Sourced
        Filled with the origins, by place.
    problems : list of str
        Filled with what is wrong with them.
    """
    if isinstance(data, list):
        return [take_apart(item, tables, f"{place}[{i}]", parameters, problems) for i, item in enumerate(data, start=1)]
    if not isinstance(data, Mapping):
        return data
    plain: dict[str, Any] = {}
    for key, value in data.items():
        where = f"{place}.{key}" if place else key
        annotations = [part for table in tables for part in _entry(table, key)]
        marker = marker_of(*annotations)
        if marker is None or isinstance(value, list):
            plain[key] = take_apart(value, _tables(*annotations), where, parameters, problems)
            continue
        try:
            parameters[where] = Sourced.read(value, marker.dimension)
        except ValueError as error:
            problems.append(f"{where}: {error}")
        else:
            plain[key] = value["value"]
    return plain


def change(
    data: dict[str, Any],
    parameters: Mapping[str, Sourced],
    changes: Mapping[str, float],
    status: Status,
    note: str,
) -> tuple[dict[str, Sourced], list[str]]:
    """Put other values (SI) into the plain content of a profile.

    Parameters
    ----------
    data : dict
        SI content as a model gives it; changed in place.
    parameters : mapping of str to Sourced
        Origins by place.
    changes : mapping of str to float
        New values by place.
    status, note
        What the origins shall say.

    Returns
    -------
    parameters : dict of str to Sourced
        The origins after the change, with the value of the profile in their note.
    problems : list of str
        Places that are unknown, and values outside the range of the profile.
    """
    changed, problems = dict(parameters), []
    for place, value in changes.items():
        if place not in parameters:
            problems.append(f"there is no number '{place}'{best_match(place, parameters)}")
            continue
        old = parameters[place]
        outside = old.outside(value)
        if outside is not None:
            problems.append(f"{place}: {outside}")
            continue
        *way, last = (int(part) - 1 if part.isdigit() else part for part in re.findall(r"\w+", place))
        target: Any = data
        for part in way:
            target = target[part]
        target[last] = value
        changed[place] = replace(
            old,
            value=value,
            text=exact(value, old.dimension),
            status=status,
            verified=False,
            source=note,
            note=f"profile: {old.text}, {old.status}",
        )
    return changed, problems
