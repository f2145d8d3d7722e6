"""Whole runs with a tube beside a needle: a wall that is embedded in the mesh gives what a fitted one gives."""

from __future__ import annotations

import numpy as np
import pytest
from verification import embedded_study
from verification.cases_embedded import DIAMETER, beside_needle


def test_embedded_and_fitted_walls_give_the_same_zone_on_a_coarse_mesh() -> None:
    embedded, fitted = (beside_needle("microwave", 10.0, walls, 2.0, "3 min") for walls in ("embedded", "fitted"))
    assert embedded.nodes < 0.6 * fitted.nodes
    assert embedded.volume_ml == pytest.approx(fitted.volume_ml, rel=0.02)
    assert embedded.farthest(fitted) < 0.5
    assert embedded.energy_j == pytest.approx(fitted.energy_j, rel=0.03)
    # The wall is in the way of the zone, or the comparison would say nothing.
    assert fitted.energy_j > 500.0
    assert max(embedded.unaccounted, fitted.unaccounted) < 1e-4


def test_study_on_the_page_keeps_its_limits() -> None:
    runs = {(run.heating, run.distance, run.walls, run.resolution): run for run in embedded_study.read()}
    compared = 0
    for heating, distance, resolutions in embedded_study.CASES:
        reference = runs[heating, distance, "fitted", min(resolutions)]
        for resolution in resolutions:
            embedded, fitted = (runs[heating, distance, walls, resolution] for walls in ("embedded", "fitted"))
            assert max(embedded.unaccounted, fitted.unaccounted) < 1e-4
            if resolution <= 2.0:
                for other in (fitted, reference):
                    assert embedded.volume_ml == pytest.approx(other.volume_ml, rel=0.02)
                    assert embedded.farthest(other) < 0.5
                    compared += 1
            # A zone ends at the wall at the latest; that of a polygon may be a little farther than that of a circle.
            assert np.max([embedded.radius_mm, fitted.radius_mm]) < distance - 0.5 * DIAMETER + 0.1
    assert compared >= 16
    assert min(embedded_study.orders(list(runs.values()), "microwave", 10.0).values()) > 1.0
