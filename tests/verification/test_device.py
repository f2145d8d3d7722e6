"""A real electrode on generated meshes."""

from __future__ import annotations

import pytest
from verification.cases_device import cooled_electrode, impedance


def test_axisymmetric_and_three_dimensional_runs_agree() -> None:
    # In space the needle is a twelve-sided prism and the elements are larger; both differences shrink with them.
    plane, space = cooled_electrode("axisymmetric", 1.0), cooled_electrode("3d", 1.25)
    assert plane.volume_ml > 5.0
    assert space.volume_ml == pytest.approx(plane.volume_ml, rel=0.02)
    assert space.first_impedance == pytest.approx(plane.first_impedance, rel=0.02)
    assert space.last_impedance == pytest.approx(plane.last_impedance, rel=0.02)
    assert space.transverse_diameter_mm == pytest.approx(plane.transverse_diameter_mm, rel=0.01)
    assert space.axial_length_mm == pytest.approx(plane.axial_length_mm, rel=0.01)
    for run in (plane, space):
        assert run.energy_gap < 1e-5  # at the default accuracy of the steps


def test_far_field_makes_the_impedance_independent_of_the_domain() -> None:
    small, large = impedance("35 mm", "far_field"), impedance("120 mm", "far_field")
    assert small == pytest.approx(large, rel=0.005)
    assert impedance("35 mm", "grounded") < 0.95 * large
