"""What speaks against the numbers of a run: balances that do not close, an edge that warms, antennas out of tune."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ablationsim.march import March
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.antennas import MicrowaveSource
from ablationsim.results.history import History

_CLOSURE = 0.005  # share of the energy put in that may be unaccounted for without a warning
_RIM = 10e-3  # m: distance from where a shaft leaves the domain within which its edge may warm without a warning
_FIELD_CLOSURE = 1e-3  # the same for the power of an antenna's field
_BLOOD_CLOSURE = 1e-3  # the same for the heat that passes from tissue to blood
_REFLECTION = 0.5  # share of the power at an antenna's port that may be reflected without a warning


def doubts_of(march: March, history: History, carried: Mapping[str, Any] | None) -> list[str]:
    """Return what speaks against the numbers of a run that has come to its end; all ranks call this.

    Parameters
    ----------
    march : March
    history : History
    carried : mapping, optional
        What zone.json says of the heat that vessels carried off; None without vessels.
    """
    state = march.state
    found = []
    missing = abs(state.energy.generator - march.stored - state.energy.lost)
    if missing > _CLOSURE * max(state.energy.generator, 1e-9):
        found.append(
            f"The energy balance does not close: {missing:.1f} J of {state.energy.generator:.1f} J are missing."
        )
    mesh = march.problem.bioheat.space.mesh
    edge, lumens = _edge(mesh), march.problem.lumens
    if lumens is not None:
        edge = edge[~lumens.empty[edge]]
    change = np.abs(state.damage.max_temperature[edge] - march.problem.initial_temperature)
    warmed = mesh.distribution.comm.largest(float(np.max(change, initial=0.0)))
    if warmed > 2.0:
        found.append(
            f"The edge of the domain warmed by {warmed:.1f} K, so that its adiabatic boundary affects the zone. Make "
            "the domain larger."
        )
    hottest = float(np.max(history["max_temperature_c"]))
    if hottest > 300.0:
        found.append(
            f"The hottest spot reached {hottest:.0f} °C, where tissue chars: the model knows no charring beyond the "
            "loss of conductivity."
        )
    if isinstance(march.problem.source, MicrowaveSource):
        found += _of_antennas(march.problem.source)
    return [*found, *_of_vessels(carried)]


def _edge(mesh: Mesh) -> NDArray[np.int32]:
    """Nodes on the outside of the domain, without those round the places where applicators leave it.

    A shaft that is heated along its way warms the edge there whatever the size of the domain.
    """
    outer = np.unique(mesh.facets["outer"])
    walls = [outer[:0], *(nodes.ravel() for name, nodes in mesh.facets.items() if name != "outer")]
    own_rims = mesh.points[np.intersect1d(outer, np.concatenate(walls))]
    rims = np.concatenate(mesh.distribution.comm.gather(own_rims))
    if len(rims) == 0:
        return outer
    distance, _ = cKDTree(rims).query(mesh.points[outer])
    return outer[distance > _RIM]


def _of_vessels(carried: Mapping[str, Any] | None) -> list[str]:
    closure = carried["closure"] if carried else None
    if closure is None or closure <= _BLOOD_CLOSURE:
        return []
    return [
        f"The blood of vessels gained {100.0 * closure:.2g} % more or less heat than the tissue lost to it. Use a "
        "smaller time tolerance."
    ]


def _of_antennas(source: MicrowaveSource) -> list[str]:
    found = []
    if source.reflection > _REFLECTION:
        found.append(
            f"An antenna reflected up to {100.0 * source.reflection:.0f} % of the power at its port: it is badly "
            "matched to the tissue. A real generator would reduce its power or stop, and the cable would heat up."
        )
    if source.closure > _FIELD_CLOSURE:
        found.append(
            f"The power balance of an antenna's field misses up to {100.0 * source.closure:.2g} % of the power at the "
            "port. Use a finer mesh resolution."
        )
    return found
