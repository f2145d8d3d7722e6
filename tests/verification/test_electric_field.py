"""Electric conduction: manufactured conductivity, concentric spheres, far field."""

from __future__ import annotations

import numpy as np
import pytest
from verification.cases_electric import RADIUS, SIGMA, can, concentric, electric_in_space, resistance, two_blocks

KINDS = [pytest.param(True, id="axisymmetric"), pytest.param(False, id="3-D")]
UNBOUNDED = 1.0 / (4.0 * np.pi * SIGMA * RADIUS)  # 265.26 ohm


@pytest.mark.parametrize("axisymmetric", KINDS)
def test_potential_and_resistance_converge_with_order_two(axisymmetric: bool) -> None:
    potential, ohms = electric_in_space(axisymmetric)
    assert potential.orders[-1] > 1.9
    assert potential.errors[-1] < 2e-3  # V, of 1
    # The resistance also feels the polyhedron that stands for the electrode; its order approaches two from below.
    assert ohms.orders[-1] > (1.9 if axisymmetric else 1.85)
    assert ohms.errors[-1] < 0.02


@pytest.mark.parametrize("axisymmetric", KINDS)
def test_concentric_spheres(axisymmetric: bool) -> None:
    assert resistance(concentric(axisymmetric, 100e-3), "grounded") == pytest.approx(261.28, rel=0.005)


def test_concentric_spheres_finer_are_nearer() -> None:
    errors = [abs(resistance(concentric(True, 100e-3, n), "grounded") - 261.28) for n in (1, 2)]
    assert errors[1] < 0.35 * errors[0]


@pytest.mark.parametrize("axisymmetric", KINDS)
@pytest.mark.parametrize("outside", [6e-3, 20e-3])
def test_far_field_on_a_small_sphere_is_an_unbounded_medium(axisymmetric: bool, outside: float) -> None:
    assert resistance(concentric(axisymmetric, outside), "far_field") == pytest.approx(UNBOUNDED, rel=0.005)


@pytest.mark.parametrize("axisymmetric", KINDS)
def test_far_field_does_not_need_a_spherical_boundary(axisymmetric: bool) -> None:
    mesh = can(axisymmetric, 8e-3)
    assert resistance(mesh, "far_field") == pytest.approx(UNBOUNDED, rel=0.005)
    # What a grounded boundary there would have given instead.
    assert resistance(mesh, "grounded") < 0.86 * UNBOUNDED


@pytest.mark.parametrize(("low", "high"), [(0.01, 1.0), (1e-3, 10.0)])
def test_jump_of_the_conductivity_is_exact_on_a_fitted_mesh(low: float, high: float) -> None:
    computed, exact = two_blocks(low, high)
    assert computed == pytest.approx(exact, rel=1e-8)
