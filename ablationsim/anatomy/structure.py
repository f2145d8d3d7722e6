"""One labelled part of a patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal[
    "liver",
    "tumour",
    "hepatic_vein",
    "portal_vein",
    "hepatic_artery",
    "vena_cava",
    "bile_duct",
    "organ",
    "bone",
    "body",
]
"""What a part of a patient is to a plan."""

ROLES: tuple[Role, ...] = get_args(Role)

VESSELS: tuple[Role, ...] = ("hepatic_vein", "portal_vein", "hepatic_artery", "vena_cava")
"""Roles of what blood flows in."""


@dataclass(frozen=True)
class Structure:
    """One labelled part of a patient.

    Attributes
    ----------
    name : str
        As in the case: "liver", "tumour", "tumour_2", "hepatic_vein", "colon".
    role : str
        One of `ROLES`.
    label : int
        Value of its voxels in the label image.
    """

    name: str
    role: Role
    label: int
