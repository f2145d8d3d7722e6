"""Measures zones in a mesh that is divided among ranks, and writes their figures.

python zone_figures.py MESH OUTPUT
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.errors import SolverError
from ablationsim.mesh.io import read_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.partition import distribute
from ablationsim.parallel import Ranks
from ablationsim.zone import measure, zone_surface, zone_volume


def levels(points: np.ndarray) -> dict[str, np.ndarray]:
    """Zones of different shapes by name: one round, one in pieces, one up to the edge, one of nothing."""
    height, across = points[:, -1], np.linalg.norm(points[:, :-1], axis=1)
    distance = np.hypot(across, height - 0.01)
    return {
        "round": 0.012 - distance,
        "pieces": np.sin(400.0 * height) * np.cos(300.0 * across) - 0.5,
        "cut": 0.03 + height,
        "none": -1.0 - distance,
    }


def figures(mesh: Mesh) -> dict[str, dict[str, Any]]:
    """Volume, surface and metrics of each zone."""
    found = {}
    for name, level in levels(mesh.points).items():
        surface = zone_surface(mesh, level)
        found[name] = {
            "volume": zone_volume(mesh, level),
            "points": surface.points.tolist(),
            "facets": surface.facets.tolist(),
            **measure(mesh, level).to_dict(),
        }
    return found


def main(path: str, output: Path) -> None:
    """Write the figures if they are the same on all ranks."""
    from mpi4py import MPI

    ranks = Ranks(MPI.COMM_WORLD)
    mesh = distribute(read_mesh(path) if ranks.rank == 0 else None, ranks)
    found = json.dumps(figures(mesh))
    assert len(set(ranks.gather(found))) == 1
    # What one rank finds wrong, all say.
    level = np.ones(len(mesh.points))
    if ranks.rank == ranks.size - 1:
        level[0] = np.nan
    for quantity in (zone_volume, zone_surface):
        try:
            quantity(mesh, level)
        except SolverError as error:
            assert "not finite at 1 of" in str(error)
        else:
            raise AssertionError("a level that is not finite was taken")
    if ranks.rank == 0:
        output.write_text(found)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
