"""From demands to terminal voltages, on conductance matrices made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ablationsim.device.signals import Demand
from ablationsim.errors import SolverError
from ablationsim.physics.circuit import Channel, solve_circuit

OFF = Demand("off", 0.0)

# Three electrodes in an unbounded medium: rows sum to the current that leaves for the ground pad.
THREE = np.array([[10.0, -2.0, -1.0], [-2.0, 12.0, -3.0], [-1.0, -3.0, 9.0]]) * 1e-3


def test_one_electrode_meets_power_voltage_and_current() -> None:
    g = np.array([[0.01]])
    for demand, voltage in (
        (Demand("power", 25.0), 50.0),
        (Demand("voltage", 30.0), 30.0),
        (Demand("current", 0.7), 70.0),
    ):
        state = solve_circuit(g, [Channel((0,))], [demand])
        assert state.voltage == pytest.approx([voltage])
        assert state.terminal_voltage == pytest.approx([voltage])
        assert state.current == pytest.approx([0.01 * voltage])
        assert state.conductance == pytest.approx([0.01])


@pytest.mark.parametrize(
    ("demand", "voltage"),
    [
        (Demand("power", 100.0, max_power=25.0), 50.0),
        (Demand("power", 100.0, max_voltage=40.0), 40.0),
        (Demand("power", 100.0, max_current=0.3), 30.0),
        (Demand("current", 2.0, max_power=49.0), 70.0),
        (Demand("voltage", 80.0, max_current=0.5), 50.0),
    ],
)
def test_ceilings_hold(demand: Demand, voltage: float) -> None:
    state = solve_circuit(np.array([[0.01]]), [Channel((0,))], [demand])
    assert state.voltage == pytest.approx([voltage])


def test_internal_impedance_reduces_the_power_off_match() -> None:
    demand = Demand("power", 100.0, internal_impedance=80.0)
    for resistance in (80.0, 40.0, 200.0):
        state = solve_circuit(np.array([[1.0 / resistance]]), [Channel((0,))], [demand])
        delivered = 4.0 * 100.0 * resistance * 80.0 / (resistance + 80.0) ** 2
        assert state.voltage[0] * state.current[0] == pytest.approx(delivered)


def test_floating_electrode_carries_no_net_current() -> None:
    channels = [Channel((0,)), Channel((1,)), Channel((2,))]
    state = solve_circuit(THREE, channels, [Demand("voltage", 50.0), OFF, OFF])
    currents = THREE @ state.terminal_voltage
    assert currents[0] == pytest.approx(state.current[0])
    assert currents[1:] == pytest.approx([0.0, 0.0], abs=1e-15)
    assert 0.0 < state.terminal_voltage[1] < 50.0
    assert state.voltage.tolist() == [50.0, 0.0, 0.0]
    assert state.current[1:] == pytest.approx([0.0, 0.0], abs=1e-15)
    # What a generator sees with all others floating is the Schur complement of the conductance matrix.
    assert state.conductance[0] == pytest.approx(1.0 / np.linalg.inv(THREE)[0, 0])


def test_standby_impedance_of_an_electrode_that_is_off() -> None:
    state = solve_circuit(THREE, [Channel((0,)), Channel((1,)), Channel((2,))], [OFF, OFF, OFF])
    assert not state.terminal_voltage.any()
    assert state.conductance == pytest.approx(1.0 / np.diag(np.linalg.inv(THREE)))


def test_floating_group_is_one_conductor() -> None:
    state = solve_circuit(THREE, [Channel((0,)), Channel((1, 2))], [Demand("voltage", 50.0), OFF])
    assert state.terminal_voltage[1] == pytest.approx(state.terminal_voltage[2])
    assert (THREE @ state.terminal_voltage)[1:].sum() == pytest.approx(0.0, abs=1e-15)


def test_bipolar_currents_are_opposite() -> None:
    g = THREE[:2, :2]
    state = solve_circuit(g, [Channel((0,), (1,))], [Demand("power", 30.0)])
    currents = g @ state.terminal_voltage
    assert currents[0] + currents[1] == pytest.approx(0.0, abs=1e-12)
    assert state.terminal_voltage[0] - state.terminal_voltage[1] == pytest.approx(state.voltage[0])
    assert currents[0] * state.voltage[0] == pytest.approx(30.0)


def test_bipolar_pair_beside_a_floating_electrode() -> None:
    state = solve_circuit(THREE, [Channel((0,), (1,)), Channel((2,))], [Demand("current", 0.2), OFF])
    currents = THREE @ state.terminal_voltage
    assert currents == pytest.approx([0.2, -0.2, 0.0], abs=1e-12)
    dissipated = state.terminal_voltage @ THREE @ state.terminal_voltage
    assert dissipated == pytest.approx(state.voltage[0] * state.current[0])


def test_bipolar_pair_that_is_off_floats_as_two_conductors() -> None:
    state = solve_circuit(THREE, [Channel((0,)), Channel((1,), (2,))], [Demand("voltage", 10.0), OFF])
    assert (THREE @ state.terminal_voltage)[1:] == pytest.approx([0.0, 0.0], abs=1e-15)
    assert state.terminal_voltage[1] != pytest.approx(state.terminal_voltage[2])


@pytest.mark.parametrize("noise", [0.0, 1e-18])
def test_bipolar_in_an_insulated_body_has_a_solution(noise: float) -> None:
    # Singular up to rounding: only differences of potential matter.
    g = np.array([[1.0, -1.0], [-1.0, 1.0]]) * 0.01 + noise * np.array([[1.0, -3.0], [-2.0, 1.0]])
    state = solve_circuit(g, [Channel((0,), (1,))], [Demand("power", 25.0)])
    assert state.voltage == pytest.approx([50.0])
    assert state.conductance == pytest.approx([0.01])
    assert np.abs(state.terminal_voltage).max() <= 50.0 + 1e-9
    assert state.terminal_voltage[0] - state.terminal_voltage[1] == pytest.approx(50.0)


def test_coupled_generators_meet_their_demands_together() -> None:
    channels = [Channel((0,)), Channel((1,)), Channel((2,))]
    demands = [Demand("power", 30.0), Demand("current", 0.4), Demand("power", 20.0, max_voltage=45.0)]
    state = solve_circuit(THREE, channels, demands)
    power = state.voltage * state.current
    assert power[0] == pytest.approx(30.0)
    assert state.current[1] == pytest.approx(0.4)
    assert power[2] <= 20.0 + 1e-9
    assert state.voltage[2] <= 45.0
    assert power[2] == pytest.approx(20.0) or state.voltage[2] == pytest.approx(45.0)
    assert state.current == pytest.approx(THREE @ state.terminal_voltage)
    assert power.sum() == pytest.approx(state.terminal_voltage @ THREE @ state.terminal_voltage)


def test_several_terminals_of_one_pole_share_their_voltage() -> None:
    state = solve_circuit(THREE, [Channel((0, 1), (2,))], [Demand("voltage", 40.0)])
    v = state.terminal_voltage
    assert v[0] == pytest.approx(v[1])
    assert v[0] - v[2] == pytest.approx(40.0)
    currents = THREE @ v
    assert currents[0] + currents[1] == pytest.approx(state.current[0])
    assert currents.sum() == pytest.approx(0.0, abs=1e-15)


def test_all_off_is_all_zero() -> None:
    state = solve_circuit(THREE, [Channel((0,)), Channel((1,), (2,))], [OFF, OFF])
    assert not state.voltage.any()
    assert not state.current.any()


def test_demands_that_cannot_be_met_together_are_an_error() -> None:
    # Two nearly identical electrodes: the second, at twice the voltage, drives current back into the first.
    g = np.array([[1.0, -0.99], [-0.99, 1.0]])
    with pytest.raises(SolverError, match=r"cannot be met together|must be positive"):
        solve_circuit(g, [Channel((0,)), Channel((1,))], [Demand("power", 1.0), Demand("power", 100.0)])


def test_useless_conductance_is_an_error() -> None:
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(SolverError, match="positive and finite"):
            Demand("power", 1.0).voltage_for(bad)
