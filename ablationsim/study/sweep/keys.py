"""Keys: places in a case file as messages name them, such as ``protocol[1].power`` or ``probe.p5.position``.

A key is held against the tables of a case file, and against the base case for what stands there in lists. Entries of
a list are named by their number, from 1, or by their name.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from ablationsim.case.file import CaseFile
from ablationsim.device.origins import marker_of
from ablationsim.errors import best_match, problems_of

Path = tuple[str | int, ...]

_NAME = re.compile(r"\.?([A-Za-z0-9_-]+)")
_NUMBER = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Key:
    """A place in a case file.

    Attributes
    ----------
    text : str
        As it was written.
    path : tuple of str or int
        Names of tables and keys, and indices of lists from 0.
    kind : Any
        What a value has to be: an annotation for pydantic; Any where that depends on another key.
    """

    text: str
    path: Path
    kind: Any

    @property
    def dimension(self) -> str | None:
        """Dimension of the quantity, or of each in a list of them; None for anything else."""
        marker = marker_of(self.kind)
        return None if marker is None else marker.dimension

    @property
    def single(self) -> bool:
        """Whether a value is one quantity."""
        return _bare(self.kind) is float and self.dimension is not None

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.kind)

    def read(self, value: Any) -> Any:
        """The value as plain SI data.

        Raises
        ------
        ValueError
            If it cannot stand there; the message names the key and holds every problem.
        """
        try:
            return self._adapter.dump_python(self._adapter.validate_python(value), mode="json")
        except ValidationError as error:
            raise ValueError("; ".join(problems_of(error, self.kind, self.text))) from None


def find(case: Mapping[str, Any], text: str, free: bool = False) -> Key:
    """Find a key in the content of a case file, where it need not be given unless it is in a list.

    Parameters
    ----------
    case : mapping
        Content of the base case.
    text : str
        The key.
    free : bool
        Whether the modes of protocol steps vary, so that their keys are not those of the base case.

    Raises
    ------
    ValueError
        If there is no such place; the message has the best match.
    """
    kind: Any = CaseFile
    here: Any = case
    path: list[str | int] = []
    place, rest = "", text.strip()
    while rest or not path:
        bare = _bare(kind)
        if get_origin(bare) in (tuple, list):
            index, rest = _entry(here, place, rest)
            kind = _kind_of_entry(bare, index, place)
            place += f"[{index + 1}]"
            path.append(index)
        else:
            name, rest = _name(place, rest)
            kind = _kind_of_key(_tables(bare, here, free), bare, name, place)
            place += f".{name}" if place else name
            path.append(name)
        here = _inside(here, path[-1])
    return Key(text, tuple(path), kind)


def varied(case: Mapping[str, Any], keys: Sequence[Key], values: Sequence[Any]) -> dict[str, Any]:
    """A copy of the content of a case file with other values, as written, in the place of each key."""
    changed: Any = case
    for key, value in zip(keys, values, strict=True):
        changed = _put(changed, key.path, value)
    return dict(changed)


def _put(case: Any, path: Path, value: Any) -> Any:
    # What does not change is shared with the original.
    head, *rest = path
    copied: Any = list(case) if isinstance(case, list) else dict(case)
    copied[head] = _put(_inside(copied, head) or {}, tuple(rest), value) if rest else value
    return copied


def _name(place: str, rest: str) -> tuple[str, str]:
    """The next name of a key, and what follows it."""
    match = _NAME.match(rest)
    if match is None or rest.startswith(".") == (place == ""):
        raise ValueError(
            f"'{place}{rest}' is no key: write the name of a table and of a key in it, such as tissue.perfusion or "
            "protocol[1].power"
        )
    return match[1], rest[match.end() :]


def _entry(here: Any, place: str, rest: str) -> tuple[int, str]:
    """Index of the entry of a list that a key names next, and what follows it."""
    entries = here if isinstance(here, list) else []
    count = len(entries)
    if count == 0:
        raise ValueError(f"the case has no {place}, of which a value could be varied; write it into the case")
    if number := _NUMBER.match(rest):
        index = int(number[1]) - 1
        if not 0 <= index < count:
            raise ValueError(f"the case has {place}[1] to {place}[{count}], and no {place}[{index + 1}]")
        return index, rest[number.end() :]
    names = {str(entry["name"]): k for k, entry in enumerate(entries) if isinstance(entry, dict) and "name" in entry}
    # A name may have dots in it.
    for name in sorted(names, key=len, reverse=True):
        if re.match(rf"\.{re.escape(name)}(?=[.\[]|$)", rest):
            return names[name], rest[1 + len(name) :]
    asked = _NAME.match(rest)
    if asked and names:
        raise ValueError(f"the case has no {place} called '{asked[1]}'{best_match(asked[1], names)}")
    raise ValueError(f"say which {place} is meant, by its number: {place}[1] to {place}[{count}]")


def _kind_of_entry(kind: Any, index: int, place: str) -> Any:
    entries = get_args(kind)
    if get_origin(kind) is list or entries[1:] == (...,):
        return entries[0]
    if index >= len(entries):
        raise ValueError(f"{place} has {len(entries)} parts, {place}[1] to {place}[{len(entries)}]")
    return entries[index]


def _kind_of_key(tables: list[type[BaseModel]], kind: Any, name: str, place: str) -> Any:
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    if not tables:
        raise ValueError(f"{place} is a value, which has no '{name}' in it")
    kinds = [
        Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        for table in tables
        if (info := table.model_fields.get(name))
    ]
    if not kinds:
        where = f" in {place}" if place else ""
        known = {key for table in tables for key in table.model_fields}
        raise ValueError(f"unknown key '{name}'{where}{best_match(name, known)}")
    return kinds[0] if all(found == kinds[0] for found in kinds) else Any


def _tables(kind: Any, here: Any, free: bool) -> list[type[BaseModel]]:
    """Models that a table may be: of several, those that its mode in the case names."""
    models = [kind] if _is_table(kind) else [table for part in get_args(kind) if _is_table(table := _bare(part))]
    if len(models) < 2 or free:
        return models
    named = [table for table in models if any(_inside(here, key) in tags for key, tags in _tags(table))]
    return named or models


def _tags(table: type[BaseModel]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for key, info in table.model_fields.items():
        if get_origin(info.annotation) is Literal:
            yield key, get_args(info.annotation)


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _bare(kind: Any) -> Any:
    """An annotation without its markers, and without None where that leaves one kind."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
            continue
        if get_origin(kind) in (Union, types.UnionType):
            kinds = [part for part in get_args(kind) if part is not types.NoneType]
            if len(kinds) == 1:
                kind = kinds[0]
                continue
        return kind


def _inside(here: Any, step: str | int) -> Any:
    if isinstance(here, Mapping):
        return here.get(str(step)) if isinstance(step, str) else None
    return here[step] if isinstance(here, list) and isinstance(step, int) else None
