"""The quantities that are looked at, as one table of numbers for all runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.study.uncertainty.answers import Answer
from ablationsim.study.uncertainty.placing import KEYS, Plan

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """A quantity of a zone: key in zone.json, name, unit, decimals, and a formula or remark.

    Of one that may be negative, a spread relative to the mean says nothing (`relative`).
    """

    key: str
    name: str
    unit: str
    decimals: int
    remark: str = ""
    relative: bool = True


QUANTITIES = (
    Quantity("volume_ml", "Volume", "mL", 2),
    Quantity("long_axis_mm", "Long axis", "mm", 2),
    Quantity("short_axis_mm", "Short axis", "mm", 2),
    Quantity("axial_length_mm", "Length along the shaft", "mm", 2),
    Quantity("transverse_diameter_mm", "Diameter across the shaft", "mm", 2),
    Quantity("sphericity_axes", "Sphericity, axes", "", 3, "short axis / long axis"),
    Quantity("sphericity_isoperimetric", "Sphericity, isoperimetric", "", 3, "∛(36πV²) / S; 1 for a sphere"),
    Quantity(
        "margin_mm",
        "Margin",
        "mm",
        2,
        "least depth of the surface of the target in the zone; negative where it is not ablated; undeformed",
        relative=False,
    ),
)
MARGIN = "margin_mm"

_SHAPES = ("sphericity_axes", "sphericity_isoperimetric")


def _on_sphere(count: int) -> Floats:
    """Points spread evenly over the unit sphere, its poles included (Fibonacci spiral)."""
    z = np.linspace(-1.0, 1.0, count)
    turn = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(count)
    r = np.sqrt(1.0 - z**2)
    return np.column_stack([r * np.cos(turn), r * np.sin(turn), z])


_SPHERE = _on_sphere(600)
"""Places on a target whose depth is looked at: 1.5 mm apart on one of 20 mm, which tells a margin to 0.03 mm."""


@dataclass(frozen=True, eq=False)
class Aim:
    """A target as planned: radius and depth of its centre on the shaft [m]."""

    radius: float
    depth: float

    def margin(self, answer: Answer, plan: Plan, values: Mapping[str, float]) -> float:
        """Margin of a run [mm]; `values` are those of its inputs (SI). NaN without a zone."""
        errors = {key: values.get(f"placement.{key}", 0.0) for key in KEYS}
        surface = plan.target(self.depth, errors) + self.radius * _SPHERE
        depth = float(answer.outline.depth(1e3 * surface).min())
        return depth if np.isfinite(depth) else np.nan


def looked_at(aim: Aim | None) -> tuple[Quantity, ...]:
    """The quantities of a study; a margin only with a target."""
    return QUANTITIES if aim is not None else QUANTITIES[:-1]


def margins(found: Sequence[Answer | str], aim: Aim, plan: Plan, rows: Sequence[Mapping[str, float]]) -> Floats:
    """Margin of each run [mm]; NaN without a zone. `rows` are the values (SI) of the inputs of each."""
    return np.array(
        [
            np.nan if isinstance(answer, str) else aim.margin(answer, plan, row)
            for answer, row in zip(found, rows, strict=True)
        ]
    )


def table(found: Sequence[Answer | str], frame: str, margin: Floats | None) -> Floats:
    """Quantities of runs, shape (runs, quantities), in their units.

    A run that failed has NaN in all; one without a zone has sizes of zero, and no shape and no margin (NaN).

    Parameters
    ----------
    found : sequence of Answer or str
    frame : {"undeformed", "contracted"}
    margin : (runs,) array or None
        The same in both frames; None without a target.
    """
    values = np.full((len(found), len(QUANTITIES) - 1), np.nan)
    for i, answer in enumerate(found):
        if isinstance(answer, str):
            continue
        for k, quantity in enumerate(QUANTITIES[:-1]):
            size = answer.sizes[frame].get(quantity.key)
            if size is not None:
                values[i, k] = size
            elif quantity.key not in _SHAPES:
                values[i, k] = 0.0
    return values if margin is None else np.column_stack([values, margin])
