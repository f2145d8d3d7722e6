"""Manufactured solutions on ranks: second order in space, and the errors of one process."""

import json
from pathlib import Path

import pytest
from verification.cases_electric import electric_in_space
from verification.cases_heat import heat_in_space
from verification.cases_meshes import Convergence

PROGRAM = Path(__file__).parent / "programs" / "convergence.py"


@pytest.fixture(scope="module")
def errors(mpirun):
    return json.loads(mpirun(2, PROGRAM).stdout)


def test_potential_of_petsc_converges_like_that_of_one_process(errors):
    potential, resistance = electric_in_space(axisymmetric=False)
    for name, alone in (("potential", potential), ("resistance", resistance)):
        shared = Convergence(name, alone.sizes, tuple(errors[name]))
        assert shared.orders[-1] > 1.85
        # Single precision of the matrix, whose sums one process forms in another order.
        assert shared.errors == pytest.approx(alone.errors, rel=1e-4)


def test_temperature_on_ranks_converges_like_that_of_one_process(errors):
    alone = heat_in_space(axisymmetric=False)
    shared = Convergence("temperature", alone.sizes, tuple(errors["temperature"]))
    assert shared.orders[-1] > 1.9
    assert shared.errors == pytest.approx(alone.errors, rel=1e-4)
