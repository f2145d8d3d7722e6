"""Heat: manufactured and exact solutions. Expected order is two in space, for linear elements with lumped mass."""

from __future__ import annotations

import numpy as np
import pytest
from verification.cases_heat import (
    cooled_cylinder,
    heat_in_space,
    heated_sphere,
    heated_sphere_profile,
    point_source,
    point_source_profile,
)

KINDS = [pytest.param(True, id="axisymmetric"), pytest.param(False, id="3-D")]


@pytest.mark.parametrize("axisymmetric", KINDS)
def test_manufactured_solution_converges_with_order_two_in_space(axisymmetric: bool) -> None:
    convergence = heat_in_space(axisymmetric)
    assert convergence.orders[-1] > 1.9
    assert convergence.errors[-1] < 0.05  # K, of 12 to 35


def test_wall_coefficient_converges_with_order_two() -> None:
    convergence = cooled_cylinder()
    assert min(convergence.orders) > 1.9
    assert convergence.errors[-1] < 0.01  # K, of 60


@pytest.mark.parametrize("axisymmetric", KINDS)
@pytest.mark.parametrize("time", [np.inf, 30.0, 120.0])
def test_point_source_in_perfused_tissue(axisymmetric: bool, time: float) -> None:
    # From 2 mm on: ten elements from the singularity.
    assert point_source_profile(axisymmetric, time).relative_error < 0.01


@pytest.mark.parametrize("axisymmetric", KINDS)
@pytest.mark.parametrize("time", [np.inf, 30.0, 120.0])
def test_heated_sphere_in_perfused_tissue(axisymmetric: bool, time: float) -> None:
    # Elements 11 degrees wide in the octant, 6 in the half-plane.
    assert heated_sphere_profile(axisymmetric, time).relative_error < (0.003 if axisymmetric else 0.012)


def test_exact_solutions_agree_with_each_other() -> None:
    r = np.array([6e-3, 10e-3])
    density, radius = 2e6, 5e-3
    # The transient becomes the steady state; far outside a small sphere is a point.
    assert heated_sphere(density, radius, r, 3e3) == pytest.approx(heated_sphere(density, radius, r, np.inf), rel=1e-5)
    small = heated_sphere(1e9, 0.1e-3, r, 60.0)
    assert point_source(1e9 * 4.0 / 3.0 * np.pi * 1e-12, r, 60.0) == pytest.approx(small, rel=1e-3)
