"""From what sources call their parts to the names of structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablationsim.anatomy.grid import Part
from ablationsim.anatomy.names import advice, common_name, role_of, undivided
from ablationsim.anatomy.structure import Role
from ablationsim.errors import GeometryError, best_match

LEFT_OUT = "-"
"""Name of parts that are not wanted."""


@dataclass(frozen=True, eq=False)
class Named:
    """Parts that are one structure.

    Attributes
    ----------
    name : str
    role : str
    parts : tuple of Part
        Of which it is the union.
    """

    name: str
    role: Role
    parts: tuple[Part, ...]


def named_parts(parts: Sequence[Part], renames: Mapping[str, str]) -> tuple[list[Named], list[str], list[str]]:
    """Return structures, notes, and what sources call the parts that are not used.

    Names of sources are free text and may tell who the patient is: no note repeats them.

    Parameters
    ----------
    parts : sequence of Part
    renames : mapping of str to str
        Name of a part in its source to the name that it is to have, or "-" to leave it out.

    Raises
    ------
    GeometryError
        When a name to be changed does not exist, one to be given is not known, or nothing is left.
    """
    _check(parts, renames)
    groups: dict[str, list[Part]] = {}
    left, notes = [], []
    for part in parts:
        wanted = renames.get(part.name, part.name)
        role = role_of(wanted)
        if wanted == LEFT_OUT or role is None:
            left.append(part.name)
            continue
        # A name that a person gives is taken as it is.
        name = wanted if part.name in renames and wanted != role else common_name(wanted)
        groups.setdefault(_own(name, groups) if role == "tumour" else name, []).append(part)
        if undivided(wanted):
            notes.append(
                "The vessels of the liver are not told apart in the source: all that are no portal vein by another "
                "segment are taken as hepatic veins. Which way the blood flows in them is not known."
            )
    groups = _whole_liver_first(groups, renames, notes)
    if not groups:
        raise GeometryError(
            f"Nothing that was read has a name that is known; it has {', '.join(repr(name) for name in left)}. Say "
            f"what they are with --name, such as --name '{left[0]}=liver'."
        )
    for name, several in groups.items():
        if len(several) > 1:
            notes.append(f"'{name}' is the union of {len(several)} segments.")
    if left:
        count = f"{len(left)} segments" if len(left) > 1 else "1 segment"
        notes.append(f"{count} of unknown or unneeded names left out.")
    found = [Named(name, role_of(name) or "organ", tuple(several)) for name, several in groups.items()]
    return found, notes, left


def _check(parts: Sequence[Part], renames: Mapping[str, str]) -> None:
    known = {part.name for part in parts}
    problems = [
        f"--name: there is no segment '{name}'{best_match(name, known)}." for name in renames if name not in known
    ]
    problems += [
        f"--name: '{name}' is no structure that is known{advice(name)}; '{LEFT_OUT}' leaves a segment out."
        for name in renames.values()
        if name != LEFT_OUT and role_of(name) is None
    ]
    if problems:
        raise GeometryError("\n  - ".join(["The names do not fit:", *problems]))


def _own(name: str, taken: Mapping[str, object]) -> str:
    """The name, with a number when it is taken."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _whole_liver_first(
    groups: dict[str, list[Part]], renames: Mapping[str, str], notes: list[str]
) -> dict[str, list[Part]]:
    """Segments of the liver make up the liver, when nothing shows it as a whole."""
    whole = [part for part in groups.get("liver", ()) if _is_whole(renames.get(part.name, part.name))]
    if whole and len(whole) < len(groups["liver"]):
        groups["liver"] = whole
        notes.append("Lobes or segments of the liver are left out, as the whole liver is there.")
    return groups


def _is_whole(name: str) -> bool:
    return common_name(name) == "liver" and not any(word in name.lower() for word in ("segment", "lobe", "couinaud"))
