"""The march: steps, events, phases, energy book, snapshots."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from verification.cases_coupled import electric_on, shell
from verification.cases_march import BODY, GENERATOR, Material, PrescribedHeat, build_march, constant, hold

from ablationsim.device.generator import Controller
from ablationsim.device.profile import GeneratorSpec
from ablationsim.device.protocol import ImpedanceStep, OffStep, PowerStep, TemperatureStep, VoltageStep
from ablationsim.errors import SolverError
from ablationsim.fem.space import P1Space
from ablationsim.march import March
from ablationsim.physics.bioheat import CooledSurface
from ablationsim.physics.damage import DamageModel
from ablationsim.tissue import Tissue

SPACE = P1Space(shell(True, 20e-3, 0.4e-3))
LIVER = Tissue.load("liver_porcine_ex_vivo")


def march_of(*controllers: Controller, cooling: float = 0.0, tolerance: float = 0.5) -> March:
    """Porcine liver round a cooled sphere in an unbounded medium."""
    return build_march(
        SPACE,
        LIVER,
        electric_on(SPACE, "far_field", rtol=1e-8),
        cooled=[CooledSurface(["inner"], 3000.0, 288.15)],
        damage=DamageModel("arrhenius"),
        controllers=list(controllers),
        initial=LIVER.initial_temperature,
        cooling=cooling,
        tolerance=tolerance,
    )


def run(march: March, stops: float = math.inf) -> list[float]:
    """March to the end; the times of all accepted states."""
    times: list[float] = []

    def observe(march: March) -> bool:
        if not times or march.state.time > times[-1]:
            times.append(march.state.time)
        return False

    march.run(observe, lambda t: (math.floor(t / stops + 1e-9) + 1.0) * stops if math.isfinite(stops) else math.inf)
    return times


def test_protocol_ends_exactly_and_the_tissue_cools_for_the_time_asked() -> None:
    march = march_of(hold(20.0, 7.3), cooling=4.2)
    times = run(march)
    assert march.power_off == pytest.approx(7.3, abs=1e-9)
    assert times[-1] == pytest.approx(11.5, abs=1e-9)
    assert min(abs(t - 7.3) for t in times) < 1e-9
    assert march.finished


def test_every_output_time_and_every_step_end_is_hit() -> None:
    steps = [
        VoltageStep(voltage="20 V", duration="3.25 s"),
        OffStep(duration="1.5 s"),
        VoltageStep(voltage="10 V", duration="2 s"),
    ]
    march = march_of(Controller(steps, GENERATOR))
    times = run(march, stops=2.0)
    for wanted in (2.0, 3.25, 4.0, 4.75, 6.0, 6.75):
        assert min(abs(t - wanted) for t in times) < 1e-9
    assert times[-1] == pytest.approx(6.75)


def test_delayed_start_and_observer_that_stops() -> None:
    controller = Controller([PowerStep(power="5 W", duration="2 s")], GENERATOR, start=3.0)
    march = march_of(controller)
    march.run(lambda m: m.state.time >= 3.0 - 1e-9, lambda t: math.inf)
    assert march.state.time == pytest.approx(3.0)
    assert march.state.energy.generator == 0.0
    run(march)
    assert march.state.time == pytest.approx(5.0)
    assert march.state.energy.generator == pytest.approx(10.0, rel=1e-6)


def test_readings_are_those_of_the_generator() -> None:
    march = march_of(Controller([PowerStep(power="8 W", duration="2 s")], GENERATOR))
    run(march)
    reading = march.readings[0]
    assert reading.time_s == pytest.approx(2.0)
    assert reading.power == pytest.approx(8.0)
    assert reading.voltage * reading.current == pytest.approx(8.0)
    assert reading.voltage / reading.current == pytest.approx(reading.impedance)
    assert reading.tip_temperature == pytest.approx(march.state.temperature[0])


def test_steps_shorten_at_a_change_of_phase_and_grow_again() -> None:
    march = march_of(hold(40.0, 20.0), cooling=60.0)
    times = run(march)
    lengths = np.diff([0.0, *times])
    first_after_off = lengths[np.searchsorted(times, 20.0 + 1e-6)]
    assert lengths[0] <= 0.05 + 1e-12
    assert first_after_off <= 0.05 + 1e-12
    assert lengths.max() > 1.0


def test_smaller_tolerance_means_more_steps_and_a_nearer_result() -> None:
    finals = {}
    for tolerance in (0.002, 0.02, 2.0):
        march = march_of(hold(40.0, 20.0), tolerance=tolerance)
        run(march)
        finals[tolerance] = (march.state.steps, march.state.temperature)
    assert finals[0.002][0] > finals[0.02][0] > finals[2.0][0]
    near = np.max(np.abs(finals[0.02][1] - finals[0.002][1]))
    far = np.max(np.abs(finals[2.0][1] - finals[0.002][1]))
    assert near < 0.5 * far


def test_longest_step_is_respected() -> None:
    load = np.zeros(SPACE.n_nodes)
    march = build_march(
        SPACE, Material(), PrescribedHeat(lambda t: load), controllers=[hold(1.0, 60.0)], longest_step=4.0
    )
    lengths = np.diff([0.0, *run(march)])
    assert lengths.max() <= 4.0 + 1e-9


def test_crossing_is_located_and_the_pause_is_exact() -> None:
    step = ImpedanceStep(power="30 W", duration="120 s", rise="10 ohm", pause="7.5 s")
    march = march_of(Controller([step], GeneratorSpec(max_power="200 W", frequency="480 kHz")))
    crossings: list[tuple[float, float]] = []
    lowest = math.inf
    was_on = True

    def observe(march: March) -> bool:
        nonlocal lowest, was_on
        reading = march.readings[0]
        on = march.controllers[0].demand().kind != "off"
        if reading.power > 0.0 and was_on:
            if not on:
                crossings.append((march.state.time, reading.impedance - lowest))
                lowest = math.inf
            lowest = min(lowest, reading.impedance)
        was_on = on
        return False

    march.run(observe, lambda t: math.inf)
    assert len(crossings) >= 3
    assert march.controllers[0].rolloffs == len(crossings)
    for _, rise in crossings:
        assert 10.0 <= rise <= 10.05
    events = march.controllers[0].events
    off = [t for t, text in events if text.startswith("roll-off")]
    on = [t for t, text in events if text.startswith("on again")]
    assert off == pytest.approx([t for t, _ in crossings])
    for start, end in zip(off, on, strict=False):
        assert end - start == pytest.approx(7.5, abs=1e-9)


def test_roll_offs_cost_few_trials() -> None:
    step = ImpedanceStep(power="30 W", duration="240 s", rise="10 ohm", pause="7.5 s")
    march = march_of(Controller([step], GeneratorSpec(max_power="200 W", frequency="480 kHz")))
    run(march)
    assert march.controllers[0].rolloffs >= 10
    assert march.state.rejected < 0.5 * march.state.steps
    energy = march.state.energy
    assert energy.generator == pytest.approx(march.stored + energy.lost, rel=1e-5)


def test_a_step_that_is_cut_short_lies_on_its_way_and_conserves_energy() -> None:
    march = march_of(hold(45.0, 60.0))
    march.run(lambda m: m.state.time > 5.0, lambda t: math.inf)
    problem, state, demands = march.problem, march.state, [march.controllers[0].demand()]
    trial = problem.step(state, 0.8, demands, True)
    assert problem.within(state, trial, 0.0) == pytest.approx(state.temperature, abs=1e-9)
    assert problem.within(state, trial, 1.0) == pytest.approx(trial.temperature, abs=1e-9)
    before, whole = march.stored, problem.bioheat.stored_energy(trial.temperature)
    temperature = problem.within(state, trial, 0.3)
    field = problem.source.field(state.time + 0.24, temperature)
    part = problem.cut(state, trial, 0.8, 0.3, field, demands)
    lost = part.outside + part.coolant + part.perfusion + part.vessels
    march._accept(part, 0.24)
    assert march.stored - before == pytest.approx(0.3 * (whole - problem.bioheat.stored_energy(temperature)) / 0.7)
    assert march.stored - before == pytest.approx(part.generator - lost, rel=1e-5)
    assert march.readings[0].voltage == pytest.approx(45.0)


def test_the_first_step_after_a_change_is_of_second_order() -> None:
    def after(step: float) -> tuple[np.ndarray, np.ndarray]:
        march = march_of(hold(45.0, 60.0))
        march._accept(march._step(step), step)
        fine = march_of(hold(45.0, 60.0))
        for _ in range(32):
            fine._accept(fine._step(step / 32), step / 32)
        return march.state.temperature, fine.state.temperature

    errors = [float(np.max(np.abs(np.subtract(*after(step))))) for step in (0.02, 0.01)]
    assert errors[0] / errors[1] > 2.0**1.9


def test_absolute_threshold_ends_the_step_at_the_crossing() -> None:
    march = march_of(Controller([VoltageStep(voltage="60 V", duration="100 s", absolute="360 ohm")], GENERATOR))
    run(march)
    assert march.state.time < 100.0
    assert march.controllers[0].rolloffs == 1
    assert 360.0 <= march.readings[0].impedance <= 360.05
    assert march.state.time > 1.0


def test_thermostat_settles_at_its_target() -> None:
    generator = GeneratorSpec(
        max_power="30 W", frequency="480 kHz", pi_gains={"kp": "0.2 W/K", "ki": "0.006 W/K/s"}, sample_time="0.5 s"
    )
    march = build_march(
        SPACE,
        LIVER,
        electric_on(SPACE, "far_field", rtol=1e-8),
        controllers=[Controller([TemperatureStep(target="70 degC", duration="120 s")], generator)],
        initial=LIVER.initial_temperature,
    )
    seen: list[float] = []

    def observe(march: March) -> bool:
        if march.state.time > 90.0:
            seen.append(march.readings[0].tip_temperature)
        return False

    march.run(observe, lambda t: math.inf)
    assert np.abs(np.array(seen) - 343.15).max() < 0.5
    assert march.readings[0].power <= 30.0


def test_off_step_delivers_nothing() -> None:
    first = Controller([PowerStep(power="5 W", duration="3 s"), OffStep(duration="3 s")], GENERATOR)
    march = march_of(first, cooling=0.0)
    run(march)
    assert march.state.energy.generator == pytest.approx(15.0, rel=1e-6)
    assert march.state.time == pytest.approx(6.0)


@pytest.mark.parametrize("tolerance", [0.5, 0.05])
def test_energy_is_accounted_for(tolerance: float) -> None:
    march = march_of(hold(45.0, 15.0), cooling=30.0, tolerance=tolerance)
    run(march)
    energy = march.state.energy
    assert energy.generator == pytest.approx(march.stored + energy.lost, rel=2e-5 * tolerance)
    assert energy.perfusion == 0.0
    assert energy.outside > 0.0


def snapshot_json(march: March) -> tuple[dict, dict, dict]:
    meta, *groups = march.snapshot()
    return json.loads(json.dumps(meta)), *({name: np.array(v) for name, v in arrays.items()} for arrays in groups)


@pytest.mark.parametrize("stop", [2.0, 9.0, 22.0])
def test_resumed_march_gives_the_same_numbers(stop: float) -> None:
    def fresh() -> March:
        step = ImpedanceStep(power="30 W", duration="20 s", rise="10 ohm", pause="5 s")
        return march_of(Controller([step], GENERATOR), cooling=5.0)

    whole = fresh()
    whole.run(lambda m: m.state.time >= stop, lambda t: math.inf)
    kept = snapshot_json(whole)
    run(whole)
    resumed = fresh()
    resumed.restore(*kept)
    run(resumed)
    assert resumed.state.time == whole.state.time
    assert resumed.state.steps == whole.state.steps
    assert np.array_equal(resumed.state.temperature, whole.state.temperature)
    assert np.array_equal(resumed.state.damage.omega, whole.state.damage.omega)
    assert resumed.state.energy == whole.state.energy
    assert resumed.controllers[0].events == whole.controllers[0].events
    assert resumed.stored == whole.stored


def test_snapshot_of_another_mesh_is_refused() -> None:
    kept = march_of(hold(10.0, 1.0)).snapshot()
    other = P1Space(shell(True, 30e-3))
    march = build_march(other, Material(), electric_on(other, "grounded"))
    with pytest.raises(ValueError, match="another number of nodes"):
        march.restore(*kept)


def test_hopeless_step_is_an_error() -> None:
    heat = np.zeros(SPACE.n_nodes)

    def load(t: float) -> np.ndarray:
        return heat if t < 1.0 else np.full(SPACE.n_nodes, np.nan)

    march = build_march(SPACE, Material(conductivity=constant(0.5)), PrescribedHeat(load), initial=BODY)
    with pytest.raises(SolverError):
        run(march)
