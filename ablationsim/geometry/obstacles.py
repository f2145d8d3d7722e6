"""What a needle has to keep away from in a patient, and how far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ablationsim.anatomy import Anatomy
from ablationsim.case.access import AccessSection
from ablationsim.errors import GeometryError, best_match

KINDS: Mapping[str, Literal["vessel", "organ", "bone"]] = {
    "hepatic_vein": "vessel",
    "portal_vein": "vessel",
    "hepatic_artery": "vessel",
    "vena_cava": "vessel",
    "bile_duct": "vessel",
    "organ": "organ",
    "bone": "bone",
}
"""Which limit counts for a structure, by its role; liver, tumours and body are no obstacles."""


@dataclass(frozen=True)
class Obstacle:
    """Structures with one limit, to whose union a distance is measured.

    Attributes
    ----------
    key : str
        Name of the structure; "organ" or "bone" for all of these together.
    names : tuple of str
    limit : float
        Distance to keep [m].
    smooth : bool
        Whether the distance is to their smooth surface, as that to vessels is, or to their voxels.
    """

    key: str
    names: tuple[str, ...]
    limit: float
    smooth: bool


def obstacles(anatomy: Anatomy, limits: AccessSection) -> tuple[Obstacle, ...]:
    """Return the obstacles in an anatomy: every vessel, organs, bones, and every structure with a limit of its own.

    Raises
    ------
    GeometryError
        When the limits name a structure that the anatomy does not have.
    """
    known = [structure.name for structure in anatomy.structures]
    missing = [
        f"access.{key}: {anatomy.image.source} has no structure '{name}'{best_match(name, known)}"
        for key, names in (("clearance", limits.clearance), ("ignore", limits.ignore))
        for name in names
        if name not in known
    ]
    if missing:
        raise GeometryError("\n".join(missing))
    found: list[Obstacle] = []
    together: dict[str, list[str]] = {"organ": [], "bone": []}
    for structure in anatomy.structures:
        kind = KINDS.get(structure.role)
        name = structure.name
        if name in limits.ignore:
            continue
        if name in limits.clearance:
            found.append(Obstacle(name, (name,), limits.clearance[name], kind == "vessel"))
        elif kind == "vessel":
            found.append(Obstacle(name, (name,), limits.vessel, True))
        elif kind is not None:
            together[kind].append(name)
    found += [Obstacle(kind, tuple(names), getattr(limits, kind), False) for kind, names in together.items() if names]
    return tuple(found)


def unchecked(anatomy: Anatomy) -> tuple[str, ...]:
    """Return what no structure of an anatomy is, so that it cannot be checked: some of vessel, organ, bone, body."""
    roles = {structure.role for structure in anatomy.structures}
    kinds = {KINDS.get(role, role) for role in roles}
    return tuple(kind for kind in ("vessel", "organ", "bone", "body") if kind not in kinds)
