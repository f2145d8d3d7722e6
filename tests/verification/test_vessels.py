"""Vessels: the blood's temperature along a vessel, and walls that run through a mesh which does not know of them."""

from __future__ import annotations

import numpy as np
import pytest
from verification.cases_vessels import HeatedSlab, blood_along_a_vessel, embedded_in_heated_slab


@pytest.mark.parametrize("flow", [2e-8, 1e-7, 1e-6])
def test_blood_warms_up_along_a_vessel_by_the_exponential(flow: float) -> None:
    found, exact = blood_along_a_vessel(flow)
    # 1 % of the 20 K between wall and inlet.
    assert found == pytest.approx(exact, abs=0.2)
    assert np.ptp(exact) > 0.5


def test_embedded_wall_in_a_heated_slab_converges_faster_than_with_first_order() -> None:
    temperature, _ = embedded_in_heated_slab()
    assert temperature.orders[-1] > 1.6
    assert temperature.errors[-1] < 0.15  # K, of 105


def test_heat_carried_off_in_a_heated_slab_converges_with_first_order_or_better() -> None:
    _, carried = embedded_in_heated_slab()
    assert carried.orders[-1] > 1.5
    assert carried.errors[-1] < 0.004
    assert HeatedSlab().carried == pytest.approx(2.0, rel=0.01)  # W
