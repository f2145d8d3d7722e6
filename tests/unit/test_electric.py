"""Electric conduction: terminals, heat, far field and state; exact solutions are in tests/verification."""

from __future__ import annotations

import numpy as np
import pytest
from verification.cases_meshes import cylinder, half_disk, spherical
from verification.matrices import stiffness

from ablationsim.device.signals import Demand
from ablationsim.fem.kernels import Array
from ablationsim.fem.space import P1Space
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.circuit import Channel, solve_circuit
from ablationsim.physics.electric import Electric, OuterBoundary

SHELL = half_disk(np.geomspace(2e-3, 20e-3, 13), 24, spherical)


def two_caps() -> Mesh:
    """The inner sphere split into two electrodes with an insulated belt between."""
    facets = SHELL.facets["inner"]
    height = SHELL.points[facets].mean(axis=1)[:, 1] / 2e-3
    return Mesh(
        SHELL.points,
        SHELL.cells,
        SHELL.regions,
        {"outer": SHELL.facets["outer"], "upper": facets[height > 0.3], "lower": facets[height < -0.3]},
        axisymmetric=True,
    )


def electric_for(outer: OuterBoundary, mesh: Mesh | None = None) -> Electric:
    space = P1Space(mesh or two_caps())
    return Electric(space, [["upper"], ["lower"]], outer, np.zeros(2), rtol=1e-11)


def uniform(electric: Electric, value: float = 0.2) -> tuple[Array, Array]:
    return np.full(len(electric.space.mesh.cells), value), np.full(len(electric.outer_nodes), value)


@pytest.mark.parametrize("outer", ["far_field", "grounded", "insulated"])
def test_conductance_matrix_is_symmetric_and_of_the_right_signs(outer: OuterBoundary) -> None:
    electric = electric_for(outer)
    g = electric.solve(*uniform(electric)).conductance
    assert g == pytest.approx(g.T)
    assert (np.diag(g) > 0).all()
    assert g[0, 1] < 0
    leak = g.sum(axis=1)
    if outer == "insulated":
        assert leak == pytest.approx(0.0, abs=1e-9 * g[0, 0])
    else:
        assert (leak > 0.01 * g[0, 0]).all()
    assert g[0, 0] == pytest.approx(g[1, 1], rel=0.01)  # the cells are not mirror images


def test_conductance_scales_with_the_conductivity() -> None:
    electric = electric_for("far_field")
    once = electric.solve(*uniform(electric, 0.2)).conductance
    thrice = electric.solve(*uniform(electric, 0.6)).conductance
    assert thrice == pytest.approx(3.0 * once)


@pytest.mark.parametrize("outer", ["far_field", "grounded"])
def test_power_is_conserved(outer: OuterBoundary) -> None:
    electric = electric_for(outer)
    field = electric.solve(*uniform(electric))
    voltages = np.array([40.0, -15.0])
    heat = field.heat(voltages)
    assert heat.sum() == pytest.approx(voltages @ field.inner_conductance @ voltages)
    outside = voltages @ (field.conductance - field.inner_conductance) @ voltages
    if outer == "grounded":
        assert outside == pytest.approx(0.0, abs=1e-12)
    else:
        # Beyond the mesh: the power of the radial field that its boundary potential drives.
        outer_nodes = electric.outer_nodes
        potential = electric.potential(voltages)[outer_nodes]
        assert 0.0 < outside < 0.2 * voltages @ field.conductance @ voltages
        load = electric.space.facet_load(["outer"])[outer_nodes]
        assert outside == pytest.approx(0.2 / 20e-3 * np.sum(load * potential**2), rel=0.02)


@pytest.mark.parametrize("outer", ["far_field", "grounded", "insulated"])
def test_conductance_gives_the_currents_that_leave_the_terminals(outer: OuterBoundary) -> None:
    electric = electric_for(outer)
    sigma, sigma_outer = uniform(electric)
    field = electric.solve(sigma, sigma_outer)
    voltages = np.array([40.0, -15.0])
    space = electric.space
    reaction = stiffness(space, sigma) @ electric.potential(voltages)
    currents = [reaction[np.unique(space.mesh.facets[name])].sum() for name in ("upper", "lower")]
    assert currents == pytest.approx(field.conductance @ voltages)


def test_floating_electrode_in_the_field_carries_no_net_current() -> None:
    electric = electric_for("far_field")
    sigma, sigma_outer = uniform(electric)
    field = electric.solve(sigma, sigma_outer)
    demands = [Demand("power", 10.0), Demand("off", 0.0)]
    circuit = solve_circuit(field.conductance, [Channel((0,)), Channel((1,))], demands)
    space = electric.space
    reaction = stiffness(space, sigma) @ electric.potential(circuit.terminal_voltage)
    lower = reaction[np.unique(space.mesh.facets["lower"])]
    # Values of the matrix are rounded to single precision, the heat that the circuit knows is not.
    assert lower.sum() == pytest.approx(0.0, abs=np.finfo(np.float32).eps * np.abs(lower).sum())
    assert np.abs(lower).sum() > 1e-3  # current passes through it all the same
    outside = circuit.terminal_voltage @ (field.conductance - field.inner_conductance) @ circuit.terminal_voltage
    assert field.heat(circuit.terminal_voltage).sum() + outside == pytest.approx(10.0)


def test_heat_is_that_of_the_superposed_potential() -> None:
    electric = electric_for("grounded")
    sigma, outer = uniform(electric)
    field = electric.solve(sigma, outer)
    voltages = np.array([30.0, 12.0])
    potential = electric.potential(voltages)
    space = electric.space
    matrix = stiffness(space, sigma)
    assert field.heat(voltages).sum() == pytest.approx(potential @ matrix @ potential)
    # The heat of an element, from the gradient of the potential.
    points, corners = space.mesh.points[space.mesh.cells], potential[space.mesh.cells]
    gradient = np.linalg.solve(points[:, 1:] - points[:, :1], (corners[:, 1:] - corners[:, :1])[:, :, None])[:, :, 0]
    element = 0.2 * (gradient**2).sum(axis=1) * space.volume
    expected = np.zeros(space.n_nodes)
    np.add.at(expected, space.mesh.cells, element[:, None] * space.averaging)
    assert field.heat(voltages) == pytest.approx(expected, rel=1e-6, abs=1e-9 * expected.max())


def test_the_tissue_receives_its_share_of_the_heat() -> None:
    whole, shared = electric_for("grounded"), electric_for("grounded")
    sigma, outer = uniform(whole)
    share = np.where(np.arange(len(sigma)) % 2 == 0, 0.5, 1.0)
    field, part = whole.solve(sigma, outer), shared.solve(sigma, outer, share)
    assert np.array_equal(part.conductance, field.conductance)
    assert np.array_equal(part.inner_conductance, field.inner_conductance)
    half = electric_for("grounded").solve(sigma, outer, np.full(len(sigma), 0.5))
    voltages = np.array([30.0, 12.0])
    assert half.heat(voltages) == pytest.approx(0.5 * field.heat(voltages))
    assert half.heat(voltages).sum() == pytest.approx(0.5 * voltages @ field.inner_conductance @ voltages)
    assert 0.5 * field.heat(voltages).sum() < part.heat(voltages).sum() < field.heat(voltages).sum()


def test_grounded_potential_takes_its_boundary_values() -> None:
    electric = electric_for("grounded")
    electric.solve(*uniform(electric))
    potential = electric.potential(np.array([1.0, 2.0]))
    mesh = electric.space.mesh
    assert potential[np.unique(mesh.facets["upper"])] == pytest.approx(1.0)
    assert potential[np.unique(mesh.facets["lower"])] == pytest.approx(2.0)
    assert potential[electric.outer_nodes] == pytest.approx(0.0)
    assert potential.max() <= 2.0 + 1e-12


def test_terminal_of_several_facet_sets_is_one_conductor() -> None:
    electric = Electric(P1Space(two_caps()), [["upper", "lower"]], "grounded", np.zeros(2), rtol=1e-11)
    pair = electric_for("grounded")
    together = electric.solve(*uniform(electric)).conductance
    apart = pair.solve(*uniform(pair)).conductance
    assert together[0, 0] == pytest.approx(apart.sum())


def test_good_guess_saves_iterations() -> None:
    electric = electric_for("far_field")
    temperature = electric.space.mesh.points[electric.space.mesh.cells].mean(axis=1)[:, 1] * 1e3
    outer = np.full(len(electric.outer_nodes), 0.2)

    def solve(time: float) -> int:
        before = electric.iterations
        electric.solve(0.2 * (1.0 + 0.01 * time * np.tanh(temperature)), outer)
        return electric.iterations - before

    first = solve(0.0)
    solve(1.0)
    assert solve(2.0) < 0.7 * first


@pytest.mark.parametrize("restored_after", [1, 3])
def test_restored_solver_gives_the_same_numbers(restored_after: int) -> None:
    def sigma_at(electric: Electric, step: int) -> Array:
        height = electric.space.mesh.points[electric.space.mesh.cells].mean(axis=1)[:, 1]
        return 0.2 * (1.0 + 0.2 * step * (height > 0.0))

    first, second = electric_for("far_field"), electric_for("far_field")
    outer = np.full(len(first.outer_nodes), 0.2)
    for step in range(restored_after):
        first.solve(sigma_at(first, step), outer)
    second.restore(*first.state())
    for step in range(restored_after, restored_after + 3):
        one = first.solve(sigma_at(first, step), outer)
        two = second.solve(sigma_at(second, step), outer)
        assert np.array_equal(one.conductance, two.conductance)
        assert np.array_equal(one.unit_heat, two.unit_heat)


def test_plate_in_a_cylinder_is_ohms_law() -> None:
    mesh = cylinder(8, 0.01, 0.02)
    named = Mesh(
        mesh.points, mesh.cells, {}, {"outer": mesh.facets["bottom"], "plate": mesh.facets["top"]}, axisymmetric=True
    )
    electric = Electric(P1Space(named), [["plate"]], "grounded", np.zeros(2), rtol=1e-12)
    field = electric.solve(*uniform(electric, 0.5))
    single = float(np.finfo(np.float32).eps)  # in which the geometry of elements is kept
    assert field.conductance[0, 0] == pytest.approx(0.5 * np.pi * 0.01**2 / 0.02, rel=single)
    assert electric.potential(np.ones(1)) == pytest.approx(mesh.points[:, 1] / 0.02, abs=single)
