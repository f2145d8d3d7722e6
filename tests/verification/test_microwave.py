"""The full-wave solver: coaxial lines, lossy cylinders, a dipole in tissue, and a slot antenna."""

from __future__ import annotations

import numpy as np
import pytest
from verification.cases_microwave import LINE, cylinders, dipole_in_space, line_results, slot_antenna, width_over_length


@pytest.mark.parametrize(
    "filling",
    [pytest.param(LINE + 0j, id="matched"), pytest.param(4.0 + 0j, id="step"), pytest.param(10.0 - 3.0j, id="lossy")],
)
def test_coaxial_line_to_one_in_a_million(filling: complex) -> None:
    for name, (computed, exact) in line_results(filling).items():
        assert computed == pytest.approx(exact, abs=1e-6), name


def test_coaxial_line_converges_with_order_four_in_power() -> None:
    coarse, fine = (line_results(LINE + 0j, n)["transmitted"] for n in (1, 2))
    assert abs(fine[0] - fine[1]) < abs(coarse[0] - coarse[1]) / 14.0


def test_lossy_cylinders_follow_the_bessel_functions() -> None:
    errors = []
    for refinement in (1, 2, 4):
        profile = cylinders(refinement)
        errors.append(np.max(np.abs(profile.computed - profile.exact)) / np.max(profile.exact))
    assert errors[-1] < 1e-4
    # E is a derivative of the quadratic unknown: order two, and a little less in the cells at the axis.
    assert np.log2(errors[1] / errors[2]) > 1.8


def test_field_of_a_dipole_converges_with_order_three() -> None:
    found = dipole_in_space()
    assert found.orders[-1] > 2.8
    assert found.errors[-1] < 2e-4


def test_slot_antenna_of_the_literature() -> None:
    coarse, fine = slot_antenna(1.0), slot_antenna(0.5)
    # 9.375 W of 10 W by an independent program on up to 410 000 unknowns.
    assert 10.0 * fine.absorbed_tissue == pytest.approx(9.375, rel=1e-3)
    assert abs(fine.reflection) == pytest.approx(0.1145, abs=2e-3)
    assert coarse.absorbed_tissue == pytest.approx(fine.absorbed_tissue, rel=5e-4)
    for field in (coarse, fine):
        assert field.closure < 1e-5
        assert field.power.sum() == pytest.approx(field.absorbed_tissue, rel=1e-12)
        assert np.all(field.power >= 0.0)


def test_an_uncooled_monopole_makes_a_long_zone() -> None:
    # Vapour that carries heat outward makes it rounder, 0.61.
    assert 0.4 < width_over_length("mwa_monopole_ji_brace", 50.0, 300.0) < 0.7


def test_cooling_and_a_choke_make_the_zone_rounder() -> None:
    slotted = width_over_length("mwa_he2010_cooled", 50.0, 600.0)
    assert slotted > width_over_length("mwa_he2010_cooled", 50.0, 600.0, cooled=False) + 0.1
    assert width_over_length("mwa_emprint_13g_like", 50.0, 600.0) > slotted + 0.1


def test_less_power_and_more_time_make_the_zone_rounder() -> None:
    # The same energy.
    quick = width_over_length("mwa_amica_16g_minichoke_2011", 60.0, 300.0)
    assert width_over_length("mwa_amica_16g_minichoke_2011", 30.0, 600.0) > quick + 0.02
