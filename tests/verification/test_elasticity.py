"""The displacement of contracting tissue against elasticity on paper."""

from __future__ import annotations

import pytest
from verification.cases_elasticity import free, manufactured, profile, sphere, whole_ball


@pytest.mark.parametrize("axisymmetric", [True, False])
def test_a_free_body_contracts_by_its_strain(axisymmetric: bool) -> None:
    assert free(axisymmetric) < 1e-7


@pytest.mark.parametrize(("axisymmetric", "limit"), [(True, 0.002), (False, 0.01)])
@pytest.mark.parametrize("poisson", [0.3, 0.45])
def test_a_sphere_in_an_infinite_medium_contracts_by_eshelbys_share(
    axisymmetric: bool, limit: float, poisson: float
) -> None:
    # All of the domain contracts: what is outside of it is there as springs alone.
    computed, exact = whole_ball(axisymmetric, poisson)
    assert computed == pytest.approx(exact, rel=limit)


@pytest.mark.parametrize("poisson", [0.3, 0.45])
def test_a_sphere_moves_what_is_round_it(poisson: float) -> None:
    convergence = sphere(axisymmetric=True, poisson=poisson)
    assert convergence.orders[-1] > 1.7
    assert convergence.errors[-1] < 0.006


def test_along_a_radius_the_displacement_is_that_of_the_integral() -> None:
    assert profile().relative_error < 0.003


@pytest.mark.parametrize(("axisymmetric", "order", "error"), [(True, 1.8, 0.008), (False, 1.5, 0.14)])
def test_a_manufactured_displacement_converges(axisymmetric: bool, order: float, error: float) -> None:
    convergence = manufactured(axisymmetric)
    assert convergence.orders[-1] > order
    assert convergence.errors[-1] < error
