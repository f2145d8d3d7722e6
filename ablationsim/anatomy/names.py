"""What segmentations call the parts of a patient, and what those are to a plan; the names are in ``names.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from ablationsim.anatomy.structure import ROLES, Role
from ablationsim.errors import best_match

PARTS: tuple[Role, ...] = ("organ", "bone")
"""Roles of which a patient has many kinds; these keep their own names."""


def spelling(name: str) -> str:
    """Return a name in small letters, with underscores for whatever else is in it.

    Examples
    --------
    >>> spelling("Hepatic Veins (all)")
    'hepatic_veins_all'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def role_of(name: str) -> Role | None:
    """Return what a structure is by its name; None when the name is not known or of no use.

    Examples
    --------
    >>> role_of("Tumor 2"), role_of("rib_left_7"), role_of("Segment_1")
    ('tumour', 'bone', None)
    """
    if unused(name):
        return None
    whole, kind = spelling(name), _kind(name)
    for key in (whole, kind):
        if key in _roles():
            return _roles()[key]
    for role, beginnings in _table()["beginnings"].items():
        if whole.startswith(tuple(beginnings)):
            return role
    return None


def common_name(name: str) -> str:
    """Return the one name that a known structure has here: its role, or of organs and bones their own.

    Only what is known is in it, nothing of what else somebody wrote there.

    Examples
    --------
    >>> common_name("Liver Tumor 2"), common_name("IVC"), common_name("Rib left 7"), common_name("Organ of Mr X")
    ('tumour', 'vena_cava', 'rib_left_7', 'organ')
    """
    role = role_of(name)
    if role is None or role in PARTS:
        known = [text for text in (spelling(name), _kind(name)) if text in _roles()]
        return known[0] if known else role or ""
    return role


def undivided(name: str) -> bool:
    """Whether a name stands for vessels of the liver of which it is not known which are which."""
    return spelling(name) in _table()["undivided"]["names"]


def unused(name: str) -> bool:
    """Whether a name is known to be of no use."""
    found = _table()["unused"]
    return spelling(name) in found["names"] or spelling(name).startswith(tuple(found["beginnings"]))


def advice(name: str) -> str:
    """Ending of a message about a name that is not known: the nearest that is, or what names there are."""
    near = best_match(spelling(name), _roles())
    if near.startswith("; did you mean"):
        return near
    return (
        f"; known are {', '.join(ROLES[:-3])} and body, organs and bones by their names, such as colon, stomach or "
        "rib_left_7, and any name that begins with tumour_, organ_ or bone_"
    )


def atlas(name: str) -> Mapping[int, str]:
    """Return names of labels by number, of an image that does not name them.

    Parameters
    ----------
    name : str
        One of `atlases`.
    """
    return dict(enumerate(_table()["atlas"][name]["labels"], start=1))


def atlases() -> Iterable[str]:
    """Names of the known numberings of labels."""
    return tuple(_table()["atlas"])


def _kind(name: str) -> str:
    """The spelling without a number at its end: of several of a kind, the kind."""
    return re.sub(r"_?\d+$", "", spelling(name))


@cache
def _table() -> dict[str, Any]:
    text = resources.files("ablationsim.anatomy").joinpath("names.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def _roles() -> dict[str, Role]:
    """Role of every spelling that is known as a whole."""
    table = _table()
    found: dict[str, Role] = {}
    for label in atlas("totalsegmentator").values():
        if not unused(label):
            bone = spelling(label).startswith(tuple(table["beginnings"]["bone"]))
            found[spelling(label)] = "bone" if bone else "organ"
    for role in PARTS:
        found.update(dict.fromkeys((role, *table["parts"][role]), role))
    for role, others in table["roles"].items():
        found.update(dict.fromkeys((role, *others), role))
    return found
