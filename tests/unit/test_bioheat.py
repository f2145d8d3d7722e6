"""Bioheat equation: tables, operators, stages; exact solutions are in tests/verification."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from verification.cases_march import BODY, Material, constant, steady_state
from verification.cases_meshes import box, cylinder

from ablationsim.errors import SolverError
from ablationsim.fem.space import P1Space
from ablationsim.physics.bioheat import Bioheat, CooledSurface
from ablationsim.tissue import Tissue

SPACE = P1Space(cylinder(8, 0.01, 0.02))
LIVER = Tissue.load("liver_human")


def bioheat_of(tissue: Tissue | Material = LIVER, cooled: tuple[CooledSurface, ...] = ()) -> Bioheat:
    return Bioheat(SPACE, tissue, cooled, reference=BODY)


def test_enthalpy_and_its_inverse() -> None:
    bioheat = bioheat_of()
    temperature = np.array([250.0, 290.0, BODY, 350.0, 364.0, 368.0, 372.9, 374.0, 450.0, 900.0])
    content, capacity = bioheat.enthalpy(temperature)
    assert content[2] == pytest.approx(0.0, abs=1.0)
    assert (capacity > 0).all()
    # Exact on the tables; the inverse is tabulated on its own grid, fine against the temperature's.
    assert bioheat.temperature_at(content) == pytest.approx(temperature, abs=2e-3)
    assert np.diff(content) == pytest.approx(
        [np.trapezoid(LIVER.capacity(t := np.linspace(a, b, 20001)), t) for a, b in pairwise(temperature)],
        rel=1e-3,
    )


def test_boiling_takes_the_latent_heat() -> None:
    bioheat = bioheat_of()
    low, high = LIVER.vaporisation_band
    content, _ = bioheat.enthalpy(np.array([low - 1.0, high + 1.0]))
    latent = np.diff(content)[0] - 0.5 * (3.8e6 + 0.6e6) * (high - low + 2.0)
    assert latent == pytest.approx(LIVER.vaporisation_energy, rel=0.02)


def test_uniform_tissue_at_rest_has_no_flux() -> None:
    bioheat = bioheat_of()
    at_rest = np.full(SPACE.n_nodes, LIVER.blood_temperature)
    flux = bioheat.flux(bioheat.operator(at_rest), at_rest, np.zeros(SPACE.n_nodes))
    assert flux == pytest.approx(0.0, abs=1e-12)


def test_flux_conserves_heat() -> None:
    wall = CooledSurface(["side"], 1500.0, 288.15)
    bioheat = bioheat_of(cooled=(wall,))
    temperature = BODY + 4e3 * SPACE.mesh.points[:, 0] + 1e3 * SPACE.mesh.points[:, 1]
    heat = np.full(SPACE.n_nodes, 1e-3)
    factor = np.linspace(0.0, 1.0, SPACE.n_nodes)
    operator = bioheat.operator(temperature, factor)
    total = bioheat.flux(operator, temperature, heat).sum()
    lost = bioheat.coolant_power(temperature) + bioheat.perfusion_power(operator, temperature)
    assert total == pytest.approx(heat.sum() - lost)
    assert bioheat.perfusion_power(operator, temperature) == pytest.approx(
        LIVER.perfusion
        * LIVER.blood_density
        * LIVER.blood_heat_capacity
        * np.sum(SPACE.lumped_mass * factor * (temperature - LIVER.blood_temperature))
    )


def test_coolant_power_is_newtons_law() -> None:
    bioheat = bioheat_of(cooled=(CooledSurface(["side"], 1500.0, 288.15),))
    area = 2 * np.pi * 0.01 * 0.02
    assert bioheat.coolant_power(np.full(SPACE.n_nodes, 300.15)) == pytest.approx(1500.0 * area * 12.0)


def test_surfaces_add_up() -> None:
    both = bioheat_of(cooled=(CooledSurface(["side"], 100.0, 280.0), CooledSurface(["top", "bottom"], 300.0, 300.0)))
    expected = 100.0 * 2 * np.pi * 0.01 * 0.02 * 20.0 + 300.0 * 2 * np.pi * 0.01**2 * 0.0
    assert both.coolant_power(np.full(SPACE.n_nodes, 300.0)) == pytest.approx(expected)


def test_conductivity_follows_the_temperature() -> None:
    material = Material(conductivity=lambda t: 0.5 + 0.01 * (t - BODY))
    bioheat = Bioheat(SPACE, material, [], reference=BODY)
    cold = bioheat.operator(np.full(SPACE.n_nodes, BODY)).conduction
    warm = bioheat.operator(np.full(SPACE.n_nodes, BODY + 25.0)).conduction
    assert warm.off == pytest.approx(1.5 * cold.off)
    assert warm.diagonal == pytest.approx(1.5 * cold.diagonal)


def test_perfused() -> None:
    assert bioheat_of().perfused
    assert not bioheat_of(Material()).perfused


@pytest.mark.parametrize("remaining", [0.0, 0.3, 1.0])
def test_perfusion_that_remains_in_coagulated_tissue(remaining: float) -> None:
    bioheat = bioheat_of(Material(perfusion=0.01, perfusion_remaining=remaining))
    at_body = np.full(SPACE.n_nodes, BODY)
    intact = bioheat.operator(at_body)
    factor = np.linspace(0.0, 1.0, SPACE.n_nodes)
    expected = (remaining + (1.0 - remaining) * factor) * intact.perfusion
    assert bioheat.operator(at_body, factor).perfusion == pytest.approx(expected)
    assert bioheat.with_perfusion(intact, factor).perfusion == pytest.approx(expected)


def test_implicit_stage_satisfies_its_equation_across_boiling() -> None:
    bioheat = bioheat_of(cooled=(CooledSurface(["side"], 1500.0, 288.15),))
    temperature = np.linspace(300.0, 420.0, SPACE.n_nodes)
    operator = bioheat.operator(temperature)
    known = SPACE.lumped_mass * bioheat.enthalpy(temperature)[0]
    heat = 3e7 * SPACE.lumped_mass * (SPACE.mesh.points[:, 1] < 0.01)
    for weight in (0.01, 1.0, 100.0):
        found = bioheat.solve_stage(operator, weight, known, heat, temperature, 1e-20)
        left = SPACE.lumped_mass * bioheat.enthalpy(found)[0]
        right = known + weight * bioheat.flux(operator, found, heat)
        assert left == pytest.approx(right, abs=1e-6 * np.abs(known).max())


def test_stage_conserves_energy_whatever_the_step() -> None:
    bioheat = bioheat_of(Material(conductivity=lambda t: 0.5 + 0.002 * (t - BODY)))
    temperature = BODY + 40.0 * (SPACE.mesh.points[:, 1] > 0.01)
    operator = bioheat.operator(temperature)
    before = bioheat.stored_energy(temperature)
    known = SPACE.lumped_mass * bioheat.enthalpy(temperature)[0]
    for weight in (0.1, 10.0, 1e6):
        found = bioheat.solve_stage(operator, weight, known, np.zeros(SPACE.n_nodes), temperature, 1e-22)
        assert bioheat.stored_energy(found) == pytest.approx(before, rel=1e-8)
    assert np.ptp(found) < 1e-2 * np.ptp(temperature)


def test_steady_slab_between_two_coolants() -> None:
    # Resistances in series: 1/h, L/k, 1/h.
    material = Material(conductivity=constant(0.5))
    cooled = [CooledSurface(["bottom"], 200.0, 280.0), CooledSurface(["top"], 500.0, 330.0)]
    bioheat = Bioheat(SPACE, material, cooled, reference=BODY)
    found = steady_state(bioheat, np.zeros(SPACE.n_nodes), np.full(SPACE.n_nodes, BODY))
    flux = 50.0 / (1.0 / 200.0 + 0.02 / 0.5 + 1.0 / 500.0)
    assert found == pytest.approx(280.0 + flux * (1.0 / 200.0 + SPACE.mesh.points[:, 1] / 0.5), abs=1e-4)


def test_same_physics_in_space() -> None:
    space = P1Space(box(4, 0.01))
    bioheat = Bioheat(space, LIVER, [CooledSurface(["top"], 100.0, 300.0)], reference=BODY)
    temperature = np.full(space.n_nodes, 320.0)
    assert bioheat.coolant_power(temperature) == pytest.approx(100.0 * 1e-4 * 20.0)
    assert bioheat.stored_energy(temperature) == pytest.approx(1e-6 * float(bioheat.enthalpy(np.array([320.0]))[0][0]))


def test_error_is_smoothed_but_keeps_its_energy() -> None:
    bioheat = bioheat_of(Material())
    energy = np.zeros(SPACE.n_nodes)
    energy[5] = 1.0
    temperature = np.full(SPACE.n_nodes, BODY)
    operator = bioheat.operator(temperature)
    sharp, smooth = (
        bioheat.damped(operator, 1e-9, energy, temperature),
        bioheat.damped(operator, 10.0, energy, temperature),
    )
    assert sharp[5] == pytest.approx(1.0 / (SPACE.lumped_mass[5] * 3.6e6), rel=0.02)
    assert smooth[5] < 0.5 * sharp[5]
    assert np.dot(SPACE.lumped_mass, smooth) == pytest.approx(1.0 / 3.6e6, rel=0.05)


def test_impossible_stage_is_an_error() -> None:
    bioheat = bioheat_of()
    temperature = np.full(SPACE.n_nodes, BODY)
    operator = bioheat.operator(temperature)
    known = SPACE.lumped_mass * bioheat.enthalpy(temperature)[0]
    with pytest.raises(SolverError):
        bioheat.solve_stage(operator, 1.0, known, np.full(SPACE.n_nodes, np.nan), temperature, 1e-3)
