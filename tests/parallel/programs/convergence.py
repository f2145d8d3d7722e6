"""Errors of manufactured solutions on all ranks, on a series of meshes; the first rank prints them as JSON.

python convergence.py
"""

import json
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

sys.path.insert(0, str(Path(__file__).parents[2]))
from verification.cases_electric import (
    MU_INNER,
    MU_OUTER,
    SCALE,
    SPHEROID_RESISTANCE,
    coordinate_mu,
    spheroid_potential,
    spheroid_sigma,
    spheroidal,
)
from verification.cases_heat import SIZE, SMOOTH, TAU, Manufactured
from verification.cases_march import PrescribedHeat, build_march, march_fixed, start_from
from verification.cases_meshes import Quadrature, box, octant

from ablationsim.fem.space import P1Space
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.partition import distribute
from ablationsim.parallel import Ranks
from ablationsim.physics.electric import Electric

comm = Ranks(MPI.COMM_WORLD)


def whole(mesh: Mesh, nodal: np.ndarray) -> np.ndarray:
    """A nodal array over all ranks."""
    share = mesh.distribution
    result = np.empty(share.n_nodes)
    for numbers, values in comm.gather((share.own(share.nodes), share.own(nodal))):
        result[numbers] = values
    return result


def potential(n: int) -> tuple[float, float]:
    """Error of the potential round a spheroid, and of the resistance."""
    mesh = octant(np.linspace(MU_INNER, MU_OUTER, n + 1), n, spheroidal)
    part = distribute(mesh if comm.rank == 0 else None, comm)
    space = P1Space(part)
    sigma = space.element_mean(spheroid_sigma(coordinate_mu(part.points.T)))
    electric = Electric(space, [["inner"]], "grounded", np.zeros(3), rtol=1e-12)
    field = electric.solve(sigma.astype(np.float32), np.full(len(electric.outer_nodes), SCALE))
    found = whole(part, electric.potential(np.ones(1)))
    electric.close()
    points = Quadrature(mesh)
    error = points.distance(found, spheroid_potential(coordinate_mu(points.x)))
    return error, abs(1.0 / (8.0 * field.conductance[0, 0]) / SPHEROID_RESISTANCE - 1.0)


def heat(n: int) -> float:
    """Error of a temperature that decays."""
    exact = Manufactured(SMOOTH, axisymmetric=False)
    mesh = box(n, SIZE)
    part = distribute(mesh if comm.rank == 0 else None, comm)
    points = Quadrature(mesh, order=4)

    def source(t: float) -> np.ndarray:
        return part.distribution.without_ghosts(points.load(exact.source(points.x, t))[part.distribution.nodes])

    march = build_march(P1Space(part), SMOOTH, PrescribedHeat(source), tolerance=1e-4)
    start_from(march, exact.temperature(part.points.T, 0.0))
    found = whole(part, march_fixed(march, TAU / 32, 8))
    return points.distance(found, exact.temperature(points.x, TAU / 4))


potentials, resistances = zip(*(potential(n) for n in (5, 10, 20)), strict=True)
temperatures = [heat(n) for n in (6, 12, 24)]
if comm.rank == 0:
    print(json.dumps({"potential": potentials, "resistance": resistances, "temperature": temperatures}))
