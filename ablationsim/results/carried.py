"""What ``zone.json`` says of the heat that vessels carried off, described in docs/zone-json.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ablationsim.fem.kernels import Array
from ablationsim.geometry.geometry import Geometry
from ablationsim.march import March
from ablationsim.units import ZERO_CELSIUS
from ablationsim.vessels.vessel import Branch, Vessel

_PER_MINUTE = 60e6  # mL/min in m3/s
_SPACING = 0.5e-3  # m: of the points along what heats, from which distances are measured


def heat_carried(march: March, geometry: Geometry, vessels: Sequence[Vessel]) -> dict[str, Any]:
    """Energy that each vessel and each of its branches carried off until now; all ranks call this.

    Parameters
    ----------
    march : March
        Of the case.
    geometry : Geometry
        Its applicators.
    vessels : sequence of Vessel
        All of the case, whether they flow or not.
    """
    state, exchange = march.state, march.problem.bioheat.vessels
    energy_in = state.energy.generator
    carried = state.carried
    numbers = {} if exchange is None else {(v.name, b.name): i for i, (v, b) in enumerate(exchange.branches)}
    distances = np.full(len(numbers), np.inf)
    if exchange is not None and len(exchange.position):
        nearest, _ = cKDTree(_heated(geometry)).query(exchange.position)
        np.minimum.at(distances, exchange.branch_of, nearest)
    # Walls of a branch may lie in the parts of several ranks.
    distances = march.problem.bioheat.space.mesh.distribution.comm.smallest(distances)

    def share(energy: float) -> float:
        return energy / energy_in if energy_in else 0.0

    def branch_entry(vessel: Vessel, branch: Branch) -> dict[str, Any]:
        number = numbers.get((vessel.name, branch.name))
        energy = 0.0 if number is None else float(carried.lost[number])
        distance = np.inf if number is None else distances[number]
        warmed = number is not None and branch.model == "transport" and np.isfinite(distance)
        return {
            "name": branch.name,
            "diameter_mm": 1e3 * branch.diameter,
            "length_mm": 1e3 * branch.length,
            "flow_ml_min": _PER_MINUTE * branch.flow,
            "wall_coefficient_w_m2_k": branch.wall_coefficient,
            "equilibration_length_mm": 1e3 * vessel.equilibration_length(branch),
            "model": branch.model,
            "energy_j": energy,
            "share": share(energy),
            "distance_mm": 1e3 * float(distance) if np.isfinite(distance) else None,
            "outlet_temperature_c": float(carried.hottest[number]) - ZERO_CELSIUS if warmed else None,
        }

    trees = []
    for vessel in vessels:
        branches = [branch_entry(vessel, branch) for branch in vessel.branches]
        energy = sum(entry["energy_j"] for entry in branches)
        trees.append(
            {
                "name": vessel.name,
                "kind": vessel.kind,
                "fluid": vessel.fluid.name,
                "inlet_temperature_c": vessel.inlet_temperature - ZERO_CELSIUS,
                "energy_j": energy,
                "share": share(energy),
                "branches": branches,
            }
        )
    through_walls = float(carried.lost.sum())
    followed = [number for (name, branch), number in numbers.items() if _is_followed(vessels, name, branch)]
    lost, gained = float(carried.lost[followed].sum()), float(carried.gained[followed].sum())
    return {
        "energy_j": state.energy.vessels,
        "share": share(state.energy.vessels),
        "absorbed_in_blood_j": state.energy.vessels - through_walls,
        # Blood whose temperature is followed: what it gained on its way against what the tissue lost.
        "closure": abs(gained - lost) / lost if lost > 0.0 else None,
        "trees": trees,
    }


def _is_followed(vessels: Sequence[Vessel], name: str, branch: str) -> bool:
    return any(v.name == name and b.name == branch and b.model == "transport" for v in vessels for b in v.branches)


def _heated(geometry: Geometry) -> Array:
    """Points along everything that heats (k, 3) [m]."""
    lines = [line for applicator in geometry.applicators for line, _ in applicator.heated_lines()]
    points = []
    for line in lines:
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        station = np.linspace(0.0, along[-1], max(2, int(np.ceil(along[-1] / _SPACING)) + 1))
        points.append(np.stack([np.interp(station, along, line[:, axis]) for axis in range(3)], axis=1))
    return np.concatenate(points)
