"""Vapour that leaves boiling tissue: water, heat, where it goes, and that it comes back; exact solutions are in
tests/verification."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verification.cases_coupled import electric_on, shell
from verification.cases_march import BODY, PrescribedHeat, build_march, hold
from verification.cases_meshes import box, cylinder

from ablationsim.errors import SolverError
from ablationsim.fem.kernels import Array
from ablationsim.fem.space import P1Space
from ablationsim.march import March
from ablationsim.physics import vapour as module
from ablationsim.physics.bioheat import Bioheat
from ablationsim.physics.vapour import Vapour
from ablationsim.tissue import Tissue
from ablationsim.units import ZERO_CELSIUS

LIVER = Tissue.load("liver_porcine_ex_vivo")
LOW, HIGH = LIVER.vaporisation_band
WATER = LIVER.vaporisation_energy
SPACES = {"axisymmetric": P1Space(cylinder(10, 0.01, 0.02)), "3-D": P1Space(box(8, 0.01))}
SHELL = P1Space(shell(True, 20e-3, 0.4e-3))


@pytest.fixture(params=list(SPACES))
def bioheat(request: pytest.FixtureRequest) -> Bioheat:
    return Bioheat(SPACES[request.param], LIVER, [], reference=BODY)


def with_values(**values: float) -> Tissue:
    """Liver with other numbers, also outside the range that cases may choose."""
    changed = {key: replace(LIVER.sources[key], value=value) for key, value in values.items()}
    return replace(LIVER, sources={**LIVER.sources, **changed})


def near_the_bottom(bioheat: Bioheat, hot: float, cold: float = BODY) -> Array:
    """A temperature: hot in the lowest third of the mesh, cold elsewhere."""
    z = bioheat.space.mesh.points[:, -1]
    return np.where(z < z.max() / 3.0, hot, cold)


def heat(bioheat: Bioheat, temperature: Array, lost: Array) -> float:
    return bioheat.stored_energy(temperature, lost)


# -- enthalpy of tissue that has lost water ----------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(
    temperature=st.lists(st.floats(250.0, 1000.0) | st.floats(368.0, 376.0), min_size=1, max_size=30),
    share=st.floats(1e-9, 1.0),
)
def test_enthalpy_with_lost_water_and_its_inverse(temperature: list[float], share: float) -> None:
    bioheat = Bioheat(SPACES["axisymmetric"], LIVER, [], reference=BODY)
    known = np.array(temperature)
    lost = np.full(len(known), share)
    content, capacity = bioheat.enthalpy(known, lost)
    wet, _ = bioheat.enthalpy(known)
    # What is gone is the latent heat of that share of the water, and no sensible heat.
    assert content == pytest.approx(wet - share * bioheat.latent_heat(known), abs=1e-3)
    assert (capacity > 0.0).all()
    assert bioheat.temperature_at(content, lost) == pytest.approx(known, abs=1e-8)


def test_latent_heat_is_nothing_below_the_band_and_that_of_all_water_above(bioheat: Bioheat) -> None:
    rounding = LIVER.value("vaporisation_rounding")
    found = bioheat.latent_heat(np.array([BODY, LOW - rounding, 0.5 * (LOW + HIGH), HIGH + rounding, 900.0]))
    assert found == pytest.approx([0.0, 0.0, 0.5 * WATER, WATER, WATER])
    assert found[:2].tolist() == [0.0, 0.0]


# -- one step ----------------------------------------------------------------------------------------------------------


def test_nothing_leaves_where_nothing_boils(bioheat: Bioheat) -> None:
    vapour, n = Vapour(bioheat, LIVER), bioheat.space.n_nodes
    temperature = near_the_bottom(bioheat, LOW - 1.0)
    after, lost, leaving = vapour.leave(temperature, np.zeros(n), 1.0)
    assert np.array_equal(after, temperature)
    assert not lost.any()
    assert np.sum(leaving) == 0.0


@pytest.mark.parametrize("before", [0.0, 0.3])
@pytest.mark.parametrize("carried", [1.0, 0.6])
def test_heat_is_kept_when_vapour_leaves(bioheat: Bioheat, carried: float, before: float) -> None:
    vapour = Vapour(bioheat, with_values(vapour_carried=carried))
    temperature = near_the_bottom(bioheat, 0.5 * (LOW + HIGH))
    lost = np.full(bioheat.space.n_nodes, before)
    cooled, dry, leaving = vapour.leave(temperature, lost, 1e-6)
    gone = np.sum(leaving)
    assert gone > 0.0
    assert heat(bioheat, cooled, dry) + gone == pytest.approx(heat(bioheat, temperature, lost), rel=1e-12)
    boils = temperature > LOW
    # Of the water that has ever boiled off, so much has left.
    boiled = before + (1.0 - before) * 0.5
    assert dry[boils] == pytest.approx(max(before, carried * boiled))
    assert (cooled <= temperature).all()
    assert np.array_equal(cooled[~boils], temperature[~boils])
    # What it took is the water's latent heat, which goes to tissue that does not boil.
    assert gone == pytest.approx(WATER * np.sum((bioheat.space.lumped_mass * (dry - lost))[boils]), rel=1e-9)
    assert np.min(leaving) >= 0.0
    assert np.sum(np.asarray(leaving)[boils]) < 1e-4 * gone


def test_dried_tissue_keeps_its_temperature_when_all_vapour_has_left(bioheat: Bioheat) -> None:
    vapour, n = Vapour(bioheat, LIVER), bioheat.space.n_nodes
    temperature = near_the_bottom(bioheat, HIGH + 50.0)
    hot = temperature > HIGH
    after, lost, leaving = vapour.leave(temperature, np.zeros(n), 1.0)
    assert after == pytest.approx(temperature, abs=1e-8)
    assert lost[hot] == pytest.approx(1.0, abs=1e-12)
    assert lost.max() <= 1.0
    again, still, nothing = vapour.leave(after, lost, 1.0)
    assert np.sum(nothing) == pytest.approx(0.0, abs=1e-9 * np.sum(leaving))
    assert again == pytest.approx(after, abs=1e-6)
    assert still.max() <= 1.0


def test_vapour_condenses_next_to_where_it_arose(bioheat: Bioheat) -> None:
    z = bioheat.space.mesh.points[:, -1]
    temperature = near_the_bottom(bioheat, 0.5 * (LOW + HIGH))
    edge, n = z.max() / 3.0, bioheat.space.n_nodes
    beyond = []
    for reach in (0.5e-3, 2e-3):
        _, _, leaving = Vapour(bioheat, with_values(vapour_reach=reach)).leave(temperature, np.zeros(n), 1.0)
        beyond.append(np.sum(np.asarray(leaving)[z > edge + 3e-3]) / np.sum(leaving))
    # In a flat layer exp(-d / reach) goes deeper than d: 0.2 % and 22 %; the elements are twice the first reach.
    assert beyond[0] < 0.05
    assert 0.1 < beyond[1] < 0.4


def test_water_comes_back_to_tissue_that_no_longer_boils(bioheat: Bioheat) -> None:
    n = bioheat.space.n_nodes
    vapour = Vapour(bioheat, with_values(rewetting_time=100.0))
    temperature, lost = near_the_bottom(bioheat, HIGH + 20.0, cold=LOW - 10.0), np.ones(n)
    hot = temperature > HIGH
    for _ in range(10):
        before = heat(bioheat, temperature, lost)
        temperature, lost, leaving = vapour.leave(temperature, lost, 5.0)
        assert heat(bioheat, temperature, lost) + np.sum(leaving) == pytest.approx(before, rel=1e-12)
    assert lost[~hot] == pytest.approx(math.exp(-0.5))
    assert (lost[hot] == 1.0).all()


def test_share_that_condenses_in_a_time() -> None:
    vapour = Vapour(Bioheat(SPACES["3-D"], LIVER, [], reference=BODY), with_values(vapour_time=2.0))
    assert vapour.condensed(0.0) == 0.0
    assert vapour.condensed(2.0) == pytest.approx(1.0 - math.exp(-1.0))
    # Two steps in a row leave what a long one leaves.
    assert (1.0 - vapour.condensed(0.7)) * (1.0 - vapour.condensed(1.3)) == pytest.approx(1.0 - vapour.condensed(2.0))


def test_unsolved_balance_is_an_error(bioheat: Bioheat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIMIT", 1)
    temperature = near_the_bottom(bioheat, HIGH)
    with pytest.raises(SolverError, match="balance of the vapour was not solved in 1 iterations"):
        Vapour(bioheat, LIVER).leave(temperature, np.zeros(bioheat.space.n_nodes), 1.0)


# -- the march ---------------------------------------------------------------------------------------------------------


def boiling_march(tissue: Tissue, on: float = 15.0, cooling: float = 30.0, vapour: bool = True) -> March:
    """Tissue round a ball that is at a voltage, until it boils, and cools afterwards."""
    return build_march(
        SHELL,
        tissue,
        electric_on(SHELL, "far_field", rtol=1e-8),
        controllers=[hold(60.0, on)],
        cooling=cooling,
        tolerance=0.1,
        vapour=vapour,
    )


def run(march: March, until: float = math.inf) -> None:
    march.run(lambda m: m.state.time >= until - 1e-9, lambda t: until if t < until else math.inf)


def test_energy_closes_and_water_never_exceeds_what_there_was() -> None:
    march, most = boiling_march(LIVER), 0.0
    while not march.finished:
        march.advance()
        most = max(most, float(march.state.lost_water.max()))
        assert march.state.lost_water.min() >= 0.0
        assert march.state.vapour.min() >= 0.0
    assert 0.5 < most <= 1.0
    energy = march.state.energy
    assert march.stored + energy.lost == pytest.approx(energy.generator, rel=1e-6)
    # By then all vapour has condensed.
    assert np.sum(march.state.vapour) < 1e-5 * energy.generator


def test_vapour_carries_heat_outward() -> None:
    r = np.linalg.norm(SHELL.mesh.points, axis=1)
    near = SHELL.lumped_mass * (r < r.min() + 2e-3)
    load = 60.0 * near / near.sum()
    warmed, hottest = [], []
    for carried in (0.0, 0.5, 1.0):
        tissue = with_values(vapour_carried=carried)
        march = build_march(
            SHELL, tissue, PrescribedHeat(lambda t: load), controllers=[hold(1.0, 30.0)], vapour=True, tolerance=0.1
        )
        run(march)
        highest = march.state.damage.max_temperature
        outside = np.clip(highest, ZERO_CELSIUS + 50.0, ZERO_CELSIUS + 90.0) - ZERO_CELSIUS - 50.0
        warmed.append(float(np.sum(SHELL.lumped_mass * outside)))
        hottest.append(float(highest.max()))
    # The same energy: where water left, less of it went to boil water and more to tissue round it and to dry tissue.
    assert warmed[0] < warmed[1] < warmed[2]
    assert hottest[0] < hottest[1] < hottest[2]


def test_without_any_carried_it_is_the_enthalpy_method() -> None:
    still, none = boiling_march(LIVER, vapour=False), boiling_march(with_values(vapour_carried=0.0))
    run(still)
    run(none)
    assert none.state.steps == still.state.steps
    assert not none.state.lost_water.any()
    assert none.state.damage.max_temperature.max() > HIGH
    assert np.array_equal(none.state.temperature, still.state.temperature)


@pytest.mark.parametrize("at", [6.0, 14.0])
def test_restart_while_it_boils_and_while_water_comes_back(at: float) -> None:
    whole, first, second = (boiling_march(LIVER) for _ in range(3))
    # All three end a step there.
    for march in (whole, first):
        run(march, at)
    assert np.sum(first.state.vapour) > 0.0
    assert first.state.lost_water.max() > 0.01
    meta, nodal, others = first.snapshot()
    second.restore(json.loads(json.dumps(meta)), nodal, others)
    for march in (whole, second):
        run(march)
    assert second.state.steps == whole.state.steps
    assert np.array_equal(second.state.temperature, whole.state.temperature)
    assert np.array_equal(second.state.lost_water, whole.state.lost_water)
    assert np.array_equal(second.state.vapour, whole.state.vapour)
