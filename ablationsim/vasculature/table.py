"""What the command line prints about vessels."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from ablationsim.units import show
from ablationsim.vasculature.build import Built
from ablationsim.vessels.image import LabelContent
from ablationsim.vessels.nusselt import HEATED_LENGTH, convection
from ablationsim.vessels.vessel import Branch

# Narrow enough for a terminal of 80 columns.
_COLUMNS = ("D\nmm", "length\nmm", "flow\nmL/min", "speed\nmm/s", "Re", "Nu", "h\nW/m2/K", "L_eq\nmm")
_MODELS = {
    "fixed": "as it enters",
    "transport": "followed",
    "perfusion": "perfusion",
    "still": "no flow",
}

MOST = 40
"""Branches in a table that is not asked to be complete."""


def heading(built: Built) -> str:
    """One line about a tree."""
    vessel = built.vessel
    kind = vessel.kind.replace("_", " ")
    count = "1 branch" if len(vessel.branches) == 1 else f"{len(vessel.branches)} branches"
    temperature = show(vessel.inlet_temperature, "temperature", 3).replace("degC", "°C")
    area = _number(1e4 * vessel.wall.areas[~vessel.wall.capped].sum())
    volume = _number(1e6 * vessel.wall.volume)
    return (
        f"{vessel.name}: {kind}, {vessel.fluid.name} of {temperature}, {count}, wall of {area} cm2, {volume} mL inside"
    )


def branch_table(built: Built, most: int | None = MOST) -> Table:
    """Flow and heat transfer of the branches, the thickest `most` of them, or all."""
    table = Table(box=None)
    table.add_column("Branch")
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Blood")
    thickest = sorted(built.vessel.branches, key=lambda branch: -branch.diameter)[:most]
    for branch in sorted(thickest, key=lambda branch: int(branch.name)):
        table.add_row(*_row(built, branch))
    return table


def left_out(built: Built, most: int | None = MOST) -> str:
    """What `branch_table` leaves out; empty when it is complete."""
    more = 0 if most is None else len(built.vessel.branches) - most
    return f"{more} thinner branches are not shown; --all shows them." if more > 0 else ""


def label_table(contents: Sequence[LabelContent]) -> Table:
    """Labels of an image."""
    table = Table("Label", box=None)
    for name in ("Voxels", "Volume", "Centroid (right, anterior, superior)"):
        table.add_column(name, justify="right")
    for content in contents:
        place = ", ".join(f"{1e3 * x:.1f}" for x in content.centroid)
        table.add_row(f"{content.label}", f"{content.voxels}", f"{_number(1e6 * content.volume)} mL", f"{place} mm")
    return table


def _row(built: Built, branch: Branch) -> list[str]:
    lumen = built.lumen(branch)
    moving = convection(built.vessel.fluid, branch.flow, lumen, HEATED_LENGTH)
    flows = branch.flow > 0.0
    derived = flows and not built.coefficient_given
    return [
        branch.name,
        _number(1e3 * lumen),
        _number(1e3 * branch.length),
        _number(6e7 * branch.flow) if flows else "-",
        _number(1e3 * moving.speed) if flows else "-",
        _number(moving.reynolds) if flows else "-",
        _number(moving.nusselt) if derived else "-",
        _number(branch.wall_coefficient) if flows else "-",
        _number(1e3 * built.vessel.equilibration_length(branch)) if flows else "-",
        _MODELS[branch.model],
    ]


def _number(value: float) -> str:
    """Three digits, or all those before the point."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"
