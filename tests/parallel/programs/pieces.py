"""Writes the run in one folder again into another one, as a distributed run would have written it.

python pieces.py FROM TO
"""

import sys
from dataclasses import replace
from pathlib import Path

from mpi4py import MPI

from ablationsim.mesh.partition import distribute
from ablationsim.parallel import Ranks
from ablationsim.results import Result, run_folder
from ablationsim.results.frames import Frames


def main(source: str, target: Path) -> None:
    """Begin and finish the run."""
    ranks = Ranks(MPI.COMM_WORLD)
    whole = Result.load(source)
    if ranks.rank == 0:
        run_folder.stage_mesh(target, whole.mesh)
    mesh = distribute(whole.mesh if ranks.rank == 0 else None, ranks)
    nodes = mesh.distribution.node_numbers(len(mesh.points))
    frames = Frames()
    for i, time in enumerate(whole.frames.times):
        frames.append(time, whole.frames.temperature(i)[nodes])
    fields = {name: values[nodes] for name, values in whole.fields.items()}
    result = replace(whole, mesh=mesh, frames=frames, fields=fields, folder=target)
    run_folder.begin(target, result.case, mesh, result.record)
    run_folder.finish(target, result)
    point = [0.0, 0.005, 0.01]
    assert abs(result.temperature(point, 4.0) - whole.temperature(point, 4.0)) < 1e-9


main(sys.argv[1], Path(sys.argv[2]))
