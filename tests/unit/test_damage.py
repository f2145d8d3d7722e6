"""Damage models: closed forms are in tests/verification; here criteria, levels and perfusion."""

from __future__ import annotations

import numpy as np
import pytest

from ablationsim.physics.damage import ARRHENIUS_SETS, Criterion, Damage, DamageModel
from ablationsim.provenance import citation

BODY = 310.15
CRITERIA: list[Criterion] = ["arrhenius", "cem43", "isotherm", "three_state"]


def heated(model: DamageModel, temperature: float, seconds: float, nodes: int = 1) -> Damage:
    damage = Damage.none(np.full(nodes, BODY))
    at = np.full(nodes, temperature)
    model.advance(damage, at, at, seconds)
    return damage


def test_no_damage_at_the_start() -> None:
    damage = Damage.none(np.array([BODY, 320.0]))
    assert not damage.omega.any()
    assert not damage.cem43.any()
    assert damage.max_temperature.tolist() == [BODY, 320.0]
    assert damage.alive.tolist() == [0.99, 0.99]
    assert not damage.dead.any()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_level_changes_sign_at_the_threshold(criterion: Criterion) -> None:
    model = DamageModel(criterion)
    damage = Damage(
        omega=np.array([0.9, 1.0, 1.1]),
        cem43=np.array([230.0, 240.0, 250.0]),
        max_temperature=np.array([333.0, 333.15, 333.3]),
        alive=np.zeros(3),
        dead=np.array([0.79, 0.80, 0.81]),
        contraction=np.zeros(3),
    )
    assert np.sign(np.round(model.level(damage), 12)).tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("name", ARRHENIUS_SETS)
def test_threshold_is_that_of_the_set(name: str) -> None:
    law = ARRHENIUS_SETS[name]
    model = DamageModel("arrhenius", name)
    at = np.full(1, law.threshold)
    damage = Damage(at, at, at, at, at, at)
    assert model.level(damage) == pytest.approx([0.0])
    assert model.perfusion_factor(damage) == pytest.approx([0.0])
    assert citation(law.source)


def test_level_of_untouched_tissue_is_finite() -> None:
    for criterion in CRITERIA:
        assert np.isfinite(DamageModel(criterion).level(Damage.none(np.full(2, BODY)))).all()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_perfusion_falls_to_zero_and_stays_there(criterion: Criterion) -> None:
    model = DamageModel(criterion)
    fresh = model.perfusion_factor(Damage.none(np.full(1, BODY)))
    assert fresh == pytest.approx([1.0], abs=1e-6)
    damage = heated(model, 363.15, 600.0)
    assert model.perfusion_factor(damage) == pytest.approx([0.0], abs=1e-6)
    cold = np.full(1, 290.15)
    for _ in range(10):
        model.advance(damage, np.full(1, 300.15), cold, 60.0)
        assert model.perfusion_factor(damage) == pytest.approx([0.0], abs=1e-6)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_damage_never_shrinks(criterion: Criterion) -> None:
    model = DamageModel(criterion)
    damage = Damage.none(np.full(1, BODY))
    before = damage.copy()
    rng = np.random.default_rng(5)
    temperature = np.full(1, BODY)
    for _ in range(50):
        following = rng.uniform(290.0, 370.0, 1)
        model.advance(damage, temperature, following, float(rng.uniform(0.01, 20.0)))
        temperature = following
        assert damage.omega >= before.omega
        assert damage.cem43 >= before.cem43
        assert damage.max_temperature >= before.max_temperature
        assert damage.dead >= before.dead - 1e-15
        assert 0.0 <= damage.dead[0] <= 1.0
        before = damage.copy()


@pytest.mark.parametrize("criterion", CRITERIA)
def test_nodes_do_not_see_each_other(criterion: Criterion) -> None:
    model = DamageModel(criterion)
    start, end = np.array([310.0, 330.0, 350.0]), np.array([320.0, 325.0, 360.0])
    together = Damage.none(start)
    model.advance(together, start, end, 30.0)
    for i in range(3):
        alone = Damage.none(start[i : i + 1])
        model.advance(alone, start[i : i + 1], end[i : i + 1], 30.0)
        for name, value in vars(alone).items():
            assert value[0] == vars(together)[name][i]


def test_copy_is_independent() -> None:
    damage = heated(DamageModel("arrhenius"), 340.0, 10.0)
    twin = damage.copy()
    twin.omega += 1.0
    assert damage.omega[0] != twin.omega[0]


def test_three_state_is_advanced_only_when_it_decides() -> None:
    assert heated(DamageModel("arrhenius"), 350.0, 100.0).dead.tolist() == [0.0]
    assert heated(DamageModel("three_state"), 350.0, 100.0).dead[0] > 0.0
