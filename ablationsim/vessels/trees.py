"""How much flows in the vessels of the liver where a case does not say; the numbers are in ``trees.toml``."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from ablationsim.provenance import Sourced

_DIMENSIONS = {"diameter": "length", "speed": "speed", "flow": "flow_rate"}


@cache
def tree_sources(kind: str) -> Mapping[str, Sourced]:
    """Flow in a vessel of a reference diameter, with the origin of the numbers.

    Parameters
    ----------
    kind : {"portal_vein", "hepatic_vein", "hepatic_artery"}

    Returns
    -------
    mapping of str to Sourced
        Under "diameter" the reference diameter, and either "speed" (mean over the cross-section) or "flow".
    """
    text = resources.files("ablationsim.vessels").joinpath("trees.toml").read_text(encoding="utf-8")
    return {key: Sourced.read(entry, _DIMENSIONS[key]) for key, entry in tomllib.loads(text)[kind].items()}


def murray_constant(kind: str) -> float:
    """Flow over the cube of the diameter [1/s], which is the same for all vessels of a tree (Murray's law)."""
    sources = tree_sources(kind)
    diameter = sources["diameter"].value
    if "flow" in sources:
        return sources["flow"].value / diameter**3
    return 0.25 * math.pi * sources["speed"].value / diameter
