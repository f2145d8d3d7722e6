"""Vessels in a report: their colours, their outlines in a section, and the rows of their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from ablationsim.report.data import Surroundings
from ablationsim.report.section import Plane
from ablationsim.vessels.vessel import Wall
from ablationsim.zone.marching import contour

Floats = NDArray[np.float64]

BRANCHES = 10
"""Branches that the table shows one by one; the others share a row."""
TUMOUR = "#ff7ac8"


@dataclass(frozen=True)
class Kind:
    """A kind of vessel for people: its name and its colour."""

    name: str
    colour: str


KINDS = {
    "portal_vein": Kind("portal vein", "#4f8df5"),
    "hepatic_vein": Kind("hepatic vein", "#7fd858"),
    "hepatic_artery": Kind("hepatic artery", "#ff5a4e"),
    "tube": Kind("tube", "#c4cbd2"),
}

MODELS = {
    "fixed": "blood at the temperature of the inlet",
    "transport": "blood warms up on its way",
    "perfusion": "part of the perfusion",
    "still": "blood stands still",
}


@dataclass(frozen=True)
class BranchRow:
    """A row of the table of branches: a branch as zone.json has it, with the tree that it belongs to.

    Attributes
    ----------
    tree : str
    branch : mapping
    model : str
        How its blood is modelled, in words.
    bar : float
        Length of its bar in percent of the longest.
    """

    tree: str
    branch: Mapping[str, Any]
    model: str
    bar: float


@dataclass(frozen=True)
class BranchTable:
    """Branches by falling share of the heat, and what the rest of them carries off together.

    Attributes
    ----------
    rows : tuple of BranchRow
    others : int
        Number of branches without a row.
    others_energy_j, others_share : float
        What they carry off [J], and as a share of the energy put in.
    """

    rows: tuple[BranchRow, ...]
    others: int
    others_energy_j: float
    others_share: float


def branch_table(vessels: Mapping[str, Any]) -> BranchTable:
    """Return the rows for the part of zone.json about vessels."""
    every = [(tree["name"], branch) for tree in vessels["trees"] for branch in tree["branches"]]
    every.sort(key=lambda found: -found[1]["energy_j"])
    shown, rest = every[:BRANCHES], [branch for _, branch in every[BRANCHES:]]
    longest = max((branch["energy_j"] for _, branch in shown), default=0.0)
    return BranchTable(
        rows=tuple(
            BranchRow(
                tree,
                branch,
                MODELS[branch["model"]],
                100.0 * max(branch["energy_j"], 0.0) / longest if longest > 0.0 else 0.0,
            )
            for tree, branch in shown
        ),
        others=len(rest),
        others_energy_j=sum(branch["energy_j"] for branch in rest),
        others_share=sum(branch["share"] for branch in rest),
    )


def draw_vessels(ax: Axes, surroundings: Surroundings, plane: Plane) -> None:
    """Draw what a plane cuts of vessels, filled, and of the tumour, as a line."""
    for vessel in surroundings.vessels:
        loops = outlines(vessel.wall, plane)
        if loops:
            colour = KINDS[vessel.kind].colour
            ax.add_patch(PathPatch(path_of(loops), facecolor=colour, edgecolor="white", linewidth=0.8, zorder=3.5))
    if surroundings.tumour is not None:
        for loop in outlines(surroundings.tumour, plane):
            ax.plot(*np.vstack([loop, loop[:1]]).T, color=TUMOUR, linewidth=1.6, zorder=3.6)


def outlines(wall: Wall, plane: Plane) -> list[Floats]:
    """Return the closed lines in which a plane cuts a wall, each (k, 2) in mm; the inside of the vessel is on the left.

    Lines that do not close, because the wall has a hole, are closed by a straight piece.
    """
    cut = contour(wall.triangles, (wall.points - plane.origin) @ plane.normal)
    points = plane.project(cut.interpolate(wall.points))
    return [points[loop] for loop in _loops(cut.facets) if len(loop) > 2]


def _loops(segments: NDArray[np.integer[Any]]) -> list[list[int]]:
    """Chains of points along segments (start, end)."""
    onward: dict[int, list[int]] = {}
    for start, end in segments.tolist():
        onward.setdefault(start, []).append(end)
    # Lines with loose ends begin at their beginning.
    ends = set(segments[:, 1].tolist())
    found = []
    for first in sorted(onward, key=lambda point: point in ends):
        while onward[first]:
            chain, here = [first], onward[first].pop()
            while here != first:
                chain.append(here)
                if not onward.get(here):
                    break
                here = onward[here].pop()
            found.append(chain)
    return found


def path_of(loops: Sequence[Floats]) -> Path:
    """Return all loops as one path, so that a loop inside another is a hole."""
    vertices = np.concatenate([np.vstack([loop, loop[:1]]) for loop in loops])
    codes = np.concatenate([[Path.MOVETO, *[Path.LINETO] * (len(loop) - 1), Path.CLOSEPOLY] for loop in loops])
    return Path(vertices, codes)
