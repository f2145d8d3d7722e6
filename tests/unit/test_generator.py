"""Generator controllers against synthetic loads."""

import json
import math
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ablationsim.device.generator import Controller
from ablationsim.device.profile import GeneratorSpec
from ablationsim.device.protocol import Step
from ablationsim.device.signals import Demand, Reading
from ablationsim.errors import CheckpointError, DeviceError, SolverError

STEP: TypeAdapter[Step] = TypeAdapter(Step)
GENERATOR = GeneratorSpec.model_validate(
    {
        "max_power": "200 W",
        "max_current": "2 A",
        "frequency": "480 kHz",
        "pi_gains": {"kp": "3 W/K", "ki": "0.08 W/K/s"},
    }
)


def steps(*tables):
    return [STEP.validate_python(table) for table in tables]


def reading(time, impedance=100.0, tip=300.0):
    return Reading(time, 0.0, 0.0, 0.0, impedance, tip)


@dataclass
class Tissue:
    """A load whose impedance falls with warming and rises steeply once hot tissue dries; it re-wets without power."""

    temperature: float = 300.0
    dryness: float = 0.0
    conductance: float = 0.7  # W/K

    heat_capacity = 40.0  # J/K

    @property
    def impedance(self):
        return 110.0 - 0.3 * (self.temperature - 300.0) + 200.0 * self.dryness

    def after(self, dt, power):
        rate = (power - self.conductance * (self.temperature - 300.0)) / self.heat_capacity
        drying = 3e-4 * power if self.temperature > 340.0 and power > 20.0 else -0.3 * self.dryness
        return replace(self, temperature=self.temperature + dt * rate, dryness=max(0.0, self.dryness + dt * drying))


@dataclass
class Bench:
    """Drives a controller the way the time marcher does, with a given load."""

    controller: Controller
    load: Tissue
    time: float = 0.0
    dt: float = 0.25

    def read(self, load, time):
        conductance = 1.0 / load.impedance
        demand = self.controller.demand()
        voltage = demand.voltage_for(conductance)
        current = voltage * conductance
        return Reading(time, voltage, current, voltage * current, load.impedance, load.temperature)

    def step(self):
        event = self.controller.next_event()
        if event <= self.time:
            self.controller.advance(self.read(self.load, self.time))
            return self.read(self.load, self.time)
        dt = min(self.dt, event - self.time)
        power = self.read(self.load, self.time).power
        past = self.overshoot(dt, power)
        crossed = past is not None and past >= 0.0
        if crossed:
            low, high = 0.0, dt
            while high - low > 1e-9:
                middle = 0.5 * (low + high)
                low, high = (low, middle) if self.overshoot(middle, power) >= 0.0 else (middle, high)
            dt = high
        end = event if dt == event - self.time else self.time + dt
        self.load, self.time = self.load.after(dt, power), end
        found = self.read(self.load, self.time)
        self.controller.accept(found)
        if crossed or self.time == event:
            self.controller.advance(found)
        return found

    def overshoot(self, dt, power):
        return self.controller.overshoot(self.read(self.load.after(dt, power), self.time + dt))

    def run(self, until=math.inf):
        found = []
        while not self.controller.finished and self.time < until:
            found.append(self.step())
        return found


# -- demand ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demand", "resistance", "voltage"),
    [
        (Demand("power", 100.0), 64.0, 80.0),
        (Demand("voltage", 40.0), 64.0, 40.0),
        (Demand("current", 1.5), 60.0, 90.0),
        (Demand("off", 0.0), 60.0, 0.0),
        (Demand("power", 100.0, max_voltage=70.0), 64.0, 70.0),
        (Demand("power", 200.0, max_current=1.0), 64.0, 64.0),
        (Demand("power", 300.0, max_power=100.0), 64.0, 80.0),
        (Demand("voltage", 500.0, max_power=100.0), 64.0, 80.0),
        (Demand("current", 5.0, max_current=2.0), 10.0, 20.0),
        (Demand("power", 100.0, internal_impedance=64.0), 64.0, 80.0),
    ],
)
def test_voltage_for(demand, resistance, voltage):
    assert demand.voltage_for(1.0 / resistance) == pytest.approx(voltage, rel=1e-12)


@given(
    kind=st.sampled_from(["power", "voltage", "current"]),
    value=st.floats(0.1, 500.0),
    resistance=st.floats(1.0, 1e4),
    inner=st.none() | st.floats(10.0, 200.0),
)
def test_no_demand_passes_a_ceiling(kind, value, resistance, inner):
    demand = Demand(kind, value, max_power=150.0, max_voltage=120.0, max_current=1.8, internal_impedance=inner)
    voltage = demand.voltage_for(1.0 / resistance)
    assert voltage <= 120.0
    assert voltage / resistance <= 1.8 * (1 + 1e-12)
    assert voltage**2 / resistance <= 150.0 * (1 + 1e-12)


def test_internal_impedance_delivers_less_to_a_mismatched_load():
    demand = Demand("power", 200.0, internal_impedance=80.0)
    for resistance in (20.0, 80.0, 320.0):
        delivered = demand.voltage_for(1.0 / resistance) ** 2 / resistance
        assert delivered == pytest.approx(4 * 200.0 * resistance * 80.0 / (resistance + 80.0) ** 2)


@pytest.mark.parametrize("conductance", [0.0, -0.01, math.nan, math.inf])
def test_a_load_that_is_none(conductance):
    with pytest.raises(SolverError, match="conductance"):
        Demand("power", 10.0).voltage_for(conductance)


# -- schedule ----------------------------------------------------------------------------------------------------------


def test_constant_steps_one_after_the_other():
    protocol = steps(
        {"mode": "power", "power": "60 W", "duration": "10 s"},
        {"mode": "off", "duration": "5 s"},
        {"mode": "voltage", "voltage": "40 V", "duration": "10 s"},
        {"mode": "current", "current": "1 A", "duration": "10 s"},
    )
    controller = Controller(protocol, GENERATOR, repeat=2, start=3.0)
    assert (controller.demand().kind, controller.next_event()) == ("off", 3.0)
    asked = []
    while not controller.finished:
        time = controller.next_event()
        controller.advance(reading(time))
        asked.append((time, controller.demand().kind, controller.demand().value))
    once = [(3.0, "power", 60.0), (13.0, "off", 0.0), (18.0, "voltage", 40.0), (28.0, "current", 1.0)]
    again = [(time + 35.0, kind, value) for time, kind, value in once]
    assert asked == [*once, *again, (73.0, "off", 0.0)]
    assert controller.next_event() == math.inf
    assert controller.events[-1] == (73.0, "protocol finished")


def test_demand_carries_the_generators_limits():
    limits = {"max_power": "150 W", "max_voltage": "90 V", "internal_impedance": "80 ohm", "frequency": "470 kHz"}
    spec = GeneratorSpec.model_validate(limits)
    demand = Controller(steps({"mode": "power", "power": "60 W", "duration": "1 s"}), spec).demand()
    assert demand == Demand("power", 60.0, 150.0, 90.0, math.inf, 80.0)


def test_a_reading_without_event_changes_nothing():
    controller = Controller(steps({"mode": "impedance", "power": "60 W", "duration": "1 min"}), GENERATOR)
    controller.accept(reading(1.0, 100.0))
    before = controller.state()
    controller.advance(reading(2.0, 129.0))
    assert controller.state() == before


@pytest.mark.parametrize("threshold", [{"absolute": "120 ohm"}, {"rise": "30 ohm"}])
def test_a_threshold_ends_a_constant_step(threshold):
    protocol = steps(
        {"mode": "current", "current": "1 A", "duration": "15 min", **threshold},
        {"mode": "power", "power": "5 W", "duration": "1 s"},
    )
    controller = Controller(protocol, GENERATOR)
    controller.accept(reading(1.0, 90.0))
    assert controller.overshoot(reading(2.0, 119.0)) == pytest.approx(-1.0)
    controller.advance(reading(2.5, 120.0))
    assert (controller.demand().value, controller.next_event(), controller.rolloffs) == (5.0, 3.5, 1)


def test_a_step_whose_threshold_is_already_exceeded_is_passed_over():
    protocol = steps(
        {"mode": "power", "power": "5 W", "duration": "1 s"},
        {"mode": "current", "current": "1 A", "duration": "15 min", "absolute": "120 ohm"},
    )
    controller = Controller(protocol, GENERATOR)
    controller.advance(reading(1.0, 150.0))
    assert controller.finished


def test_protocols_that_cannot_run():
    with pytest.raises(DeviceError, match="at least one step"):
        Controller([], GENERATOR)
    hold = steps({"mode": "power", "power": "5 W", "duration": "1 s"})
    with pytest.raises(DeviceError, match="one repetition"):
        Controller(hold, GENERATOR, repeat=0)
    simple = GeneratorSpec.model_validate({"max_power": "150 W", "frequency": "470 kHz"})
    with pytest.raises(DeviceError, match="pi_gains"):
        Controller([*hold, *steps({"mode": "temperature", "target": "90 degC", "duration": "1 s"})], simple)


# -- impedance pulsing -------------------------------------------------------------------------------------------------


def test_pulsing_on_a_rise():
    protocol = steps(
        {
            "mode": "impedance", "power": "180 W", "duration": "3 min", "rise": "20 ohm",
            "pause_power": "10 W", "restart_power": "150 W",
        }
    )  # fmt: skip
    bench = Bench(Controller(protocol, GENERATOR), Tissue())
    found = bench.run()
    assert bench.time == 180.0
    assert bench.controller.rolloffs >= 3
    trips = [time for time, text in bench.controller.events if text.startswith("roll-off")]
    returns = [time for time, text in bench.controller.events if text.startswith("on again")]
    assert [b - a for a, b in zip(trips, returns, strict=False)] == pytest.approx([15.0] * len(returns))
    at = {r.time_s: r for r in found}
    pulse = [r for r in found if r.time_s <= trips[0]]
    assert at[trips[0]].impedance - min(r.impedance for r in pulse) == pytest.approx(20.0, abs=1e-6)
    paused = [r for r in found if trips[0] < r.time_s < returns[0]]
    assert {round(r.power, 9) for r in paused} == {10.0}
    second = [r for r in found if returns[0] <= r.time_s < trips[1]]
    assert {round(r.power, 9) for r in second[1:]} == {150.0}
    assert at[trips[1]].impedance - min(r.impedance for r in second) == pytest.approx(20.0, abs=1e-6)


def test_pulsing_on_an_absolute_threshold_floats_in_the_pause():
    protocol = steps(
        {"mode": "impedance", "power": "180 W", "duration": "2 min", "absolute": "120 ohm", "pause": "8 s"}
    )
    bench = Bench(Controller(protocol, GENERATOR), Tissue())
    found = bench.run()
    assert max(r.impedance for r in found) == pytest.approx(120.0, abs=1e-6)
    trips = [time for time, text in bench.controller.events if text.startswith("roll-off")]
    assert len(trips) >= 3
    assert all(r.power == 0.0 for r in found if trips[0] < r.time_s < trips[0] + 8.0)
    assert found[-1].time_s == 120.0


def test_a_pause_is_prolonged_while_the_impedance_stays_above_the_threshold():
    protocol = steps({"mode": "impedance", "power": "180 W", "duration": "2 min", "absolute": "120 ohm"})
    controller = Controller(protocol, GENERATOR)
    controller.advance(reading(5.0, 120.0))
    assert controller.next_event() == 20.0
    controller.advance(reading(20.0, 125.0))
    assert (controller.demand().kind, controller.next_event(), controller.rolloffs) == ("off", 35.0, 1)
    controller.advance(reading(35.0, 90.0))
    assert controller.demand().value == 180.0


def test_the_step_ends_inside_a_pause():
    controller = Controller(steps({"mode": "impedance", "power": "180 W", "duration": "10 s"}), GENERATOR)
    controller.accept(reading(1.0, 90.0))
    controller.advance(reading(5.0, 120.0))
    assert controller.next_event() == 10.0
    controller.advance(reading(10.0, 100.0))
    assert controller.finished


def test_the_baseline_is_the_lowest_impedance_of_the_pulse_and_nothing_is_watched_in_the_pause():
    controller = Controller(steps({"mode": "impedance", "power": "180 W", "duration": "10 min"}), GENERATOR)
    assert controller.overshoot(reading(0.1, 200.0)) == pytest.approx(-30.0)  # the first reading is its own baseline
    for time, impedance in ((1.0, 110.0), (2.0, 80.0), (3.0, 95.0)):
        controller.accept(reading(time, impedance))
    before = controller.state()
    assert controller.overshoot(reading(4.0, 112.0)) == pytest.approx(2.0)
    assert controller.state() == before  # looking changes nothing
    controller.advance(reading(4.0, 110.0))
    assert controller.overshoot(reading(5.0, 500.0)) is None
    controller.accept(reading(5.0, 10.0))
    controller.advance(reading(19.0, 100.0))
    assert controller.overshoot(reading(20.0, 128.0)) == pytest.approx(-2.0)


def test_an_unknown_impedance_is_not_watched():
    controller = Controller(steps({"mode": "impedance", "power": "180 W", "duration": "10 min"}), GENERATOR)
    controller.accept(reading(0.5, math.nan))
    assert controller.overshoot(reading(1.0, math.nan)) is None
    controller.accept(reading(1.0, 80.0))
    assert controller.overshoot(reading(2.0, 111.0)) == pytest.approx(1.0)


# -- ramp --------------------------------------------------------------------------------------------------------------

RAMP: dict[str, str | int | None] = {
    "mode": "ramp", "start_power": "50 W", "step_power": "10 W", "step_time": "1 min", "max_power": "75 W",
    "duration": "20 min", "rise": "50 ohm", "wait": "30 s", "restart_fraction": "70 %", "max_rolloffs": 2,
}  # fmt: skip


def test_ramp_to_two_rolloffs():
    controller = Controller(steps(RAMP), GENERATOR)
    powers = [controller.demand().value]
    for time in (60.0, 120.0, 180.0):
        controller.accept(reading(time, 80.0))
        if controller.next_event() == time:
            controller.advance(reading(time, 80.0))
        powers.append(controller.demand().value)
    assert powers == [50.0, 60.0, 70.0, 75.0]
    assert controller.next_event() == 1200.0  # the ceiling is reached: no further increment

    controller.advance(reading(200.0, 130.0))
    assert (controller.demand().kind, controller.next_event(), controller.rolloffs) == ("off", 230.0, 1)
    controller.advance(reading(230.0, 90.0))
    assert controller.demand().value == pytest.approx(52.5)
    assert controller.next_event() == 290.0  # a full interval after the restart
    controller.advance(reading(290.0, 90.0))
    assert controller.demand().value == pytest.approx(62.5)

    controller.advance(reading(300.0, 140.0))
    assert controller.finished
    assert controller.rolloffs == 2
    assert controller.demand().kind == "off"


def test_ramp_ends_with_its_duration():
    bench = Bench(Controller(steps({**RAMP, "duration": "100 s", "start_power": "5 W"}), GENERATOR), Tissue())
    bench.run()
    assert (bench.time, bench.controller.rolloffs) == (100.0, 0)


def test_ramp_without_ceiling_of_its_own_stops_at_the_generators():
    controller = Controller(steps({**RAMP, "max_power": None, "start_power": "195 W"}), GENERATOR)
    controller.advance(reading(60.0, 80.0))
    assert controller.demand().value == 200.0


# -- temperature -------------------------------------------------------------------------------------------------------


def hold_temperature(target, max_power, duration, load=None):
    protocol = steps({"mode": "temperature", "target": target, "max_power": max_power, "duration": duration})
    return Bench(Controller(protocol, GENERATOR), load or Tissue(), dt=1.0)


def test_temperature_settles_without_steady_error():
    found = hold_temperature("97 degC", "150 W", "5 min").run()
    rise = 370.15 - 300.0
    assert max(r.tip_temperature for r in found) < 370.15 + 0.02 * rise
    assert all(abs(r.tip_temperature - 370.15) < 0.02 * rise for r in found if r.time_s > 100.0)
    assert found[-1].tip_temperature == pytest.approx(370.15, abs=0.01)
    assert found[-2].power == pytest.approx(0.7 * rise, rel=1e-3)


def test_no_overshoot_after_a_long_time_at_the_ceiling():
    # Strong perfusion keeps the tip 30 K short of its target for ten minutes; then it stops.
    bench = hold_temperature("97 degC", "80 W", "20 min", Tissue(conductance=2.0))
    saturated = bench.run(until=600.0)
    assert saturated[-1].power == pytest.approx(80.0)
    assert saturated[-1].tip_temperature == pytest.approx(340.0, abs=0.1)
    bench.load = replace(bench.load, conductance=0.7)
    found = bench.run()
    assert max(r.tip_temperature for r in found) < 370.15 + 1.0
    assert found[-1].tip_temperature == pytest.approx(370.15, abs=0.01)


def test_no_more_than_the_droop_is_lost_after_a_long_time_without_power():
    # A wound-up integral would hold the power back for minutes; at rest, only the proportional droop is to be made up.
    found = hold_temperature("60 degC", "150 W", "10 min", Tissue(temperature=600.0)).run()
    assert found[30].power == 0.0
    droop = 0.7 * 33.15 / (3.0 + 0.7)
    assert min(r.tip_temperature for r in found) > 333.15 - droop
    assert found[-1].tip_temperature == pytest.approx(333.15, abs=0.01)


def test_power_stays_within_the_limits_and_changes_only_at_samples():
    found = hold_temperature("97 degC", "80 W", "2 min").run()
    assert all(0.0 <= r.power <= 80.0 + 1e-9 for r in found)
    protocol = steps({"mode": "temperature", "target": "97 degC", "duration": "1 min"})
    controller = Controller(protocol, GENERATOR)
    assert (controller.demand().kind, controller.next_event()) == ("off", 1.0)  # no sample yet
    controller.advance(reading(0.5, tip=300.0))
    assert controller.demand().kind == "off"
    controller.advance(reading(1.0, tip=360.0))
    assert controller.demand().value == pytest.approx(3.08 * 10.15)
    assert controller.next_event() == 2.0


def test_a_later_temperature_step_takes_its_first_sample_at_once():
    protocol = steps(
        {"mode": "off", "duration": "10 s"}, {"mode": "temperature", "target": "97 degC", "duration": "1 min"}
    )
    controller = Controller(protocol, GENERATOR)
    controller.advance(reading(10.0, tip=360.0))
    assert controller.demand().value == pytest.approx(3.08 * 10.15)
    assert controller.next_event() == 11.0


# -- pulses by the clock -----------------------------------------------------------------------------------------------

CLOCKED = {"mode": "pulsed", "power": "80 W", "on": "20 s", "off": "10 s", "duration": "75 s"}


def test_pulses_by_the_clock():
    bench = Bench(Controller(steps(CLOCKED), GENERATOR, start=2.0), Tissue(), dt=7.0)
    seen = {}
    while not bench.controller.finished:
        seen[bench.time] = (bench.controller.demand().kind, bench.controller.demand().value)
        bench.step()
    switches = [time for (_, before), (time, after) in pairwise(seen.items()) if before != after]
    assert switches == [2.0, 22.0, 32.0, 52.0, 62.0]
    assert set(seen.values()) == {("off", 0.0), ("power", 80.0)}
    assert seen[2.0] == ("power", 80.0)
    assert bench.time == 77.0  # in the middle of a pulse
    assert bench.controller.demand().kind == "off"
    assert bench.controller.rolloffs == 0


def test_thousand_pulses_do_not_drift():
    controller = Controller(steps({**CLOCKED, "on": "0.1 s", "off": "0.2 s", "duration": "1000.05 s"}), GENERATOR)
    times = []
    while not controller.finished:
        times.append(controller.next_event())
        controller.advance(reading(times[-1] + 1e-10))  # as late as rounding makes it
    assert len(times) == 3334 + 3333 + 1  # ends of pulses, ends of pauses, end of the protocol
    assert times[-2:] == pytest.approx([1000.0, 1000.05], abs=1e-9)
    assert len(controller.events) == 2  # the beginning and the end: pulses by the clock are not news


def test_pulses_by_the_clock_watch_no_impedance():
    controller = Controller(steps(CLOCKED), GENERATOR)
    controller.accept(reading(1.0, 80.0))
    assert controller.overshoot(reading(2.0, 500.0)) is None


# -- withdrawal --------------------------------------------------------------------------------------------------------

WITHDRAWAL = steps(
    {"mode": "power", "power": "60 W", "duration": "100 s"},
    {"mode": "pullback", "distance": "10 mm", "power": "20 W", "duration": "40 s"},
    {"mode": "off", "duration": "10 s"},
    {"mode": "pullback", "distance": "5 mm", "duration": "10 s"},
)


def test_how_far_an_antenna_has_been_withdrawn():
    controller = Controller(WITHDRAWAL, GENERATOR, repeat=2, start=5.0)
    assert controller.withdrawn(0.0) == controller.withdrawn(3.0) == 0.0
    expected = {
        5.0: {5.0: 0.0, 105.0: 0.0},
        105.0: {105.0: 0.0, 115.0: 2.5e-3, 145.0: 10e-3},
        145.0: {145.0: 10e-3, 150.0: 10e-3, 155.0: 10e-3},
        155.0: {155.0: 10e-3, 157.0: 11e-3, 165.0: 15e-3},
        165.0: {165.0: 15e-3, 265.0: 15e-3},
        265.0: {265.0: 15e-3, 285.0: 20e-3, 305.0: 25e-3},
        305.0: {310.0: 25e-3},
        315.0: {320.0: 27.5e-3, 325.0: 30e-3},
        325.0: {325.0: 30e-3, 1000.0: 30e-3},
    }
    for event, places in expected.items():
        assert controller.next_event() == event
        controller.advance(reading(event))
        for time, far in places.items():
            assert controller.withdrawn(time) == pytest.approx(far, abs=1e-15), (event, time)
    assert controller.finished


def test_a_time_outside_the_present_step_counts_as_its_beginning_or_end():
    controller = Controller(WITHDRAWAL, GENERATOR)
    controller.advance(reading(100.0))
    assert controller.withdrawn(99.0) == 0.0
    assert controller.withdrawn(200.0) == 10e-3


def test_power_while_an_antenna_is_withdrawn():
    controller = Controller(WITHDRAWAL, GENERATOR)
    found = []
    while not controller.finished:
        found.append((controller.demand().kind, controller.demand().value))
        controller.advance(reading(controller.next_event()))
    assert found == [("power", 60.0), ("power", 20.0), ("off", 0.0), ("off", 0.0)]


# -- checkpoints -------------------------------------------------------------------------------------------------------

PROTOCOL = steps(
    {"mode": "impedance", "power": "180 W", "duration": "60 s", "rise": "20 ohm", "pause": "4 s"},
    {**RAMP, "start_power": "100 W", "max_power": None, "duration": "80 s", "step_time": "10 s", "wait": "5 s"},
    {"mode": "temperature", "target": "97 degC", "duration": "30 s"},
    {"mode": "current", "current": "1 A", "duration": "20 s", "absolute": "140 ohm"},
    {"mode": "pulsed", "power": "50 W", "on": "4 s", "off": "3 s", "duration": "25 s"},
    {"mode": "pullback", "distance": "10 mm", "power": "20 W", "duration": "10 s"},
)


@settings(max_examples=40, deadline=None)
@given(stop=st.floats(0.0, 470.0), dt=st.floats(0.2, 3.0), start=st.sampled_from([0.0, 7.5]))
def test_a_restored_controller_continues_with_identical_numbers(stop, dt, start):
    first = Bench(Controller(PROTOCOL, GENERATOR, repeat=2, start=start), Tissue(), dt=dt)
    first.run(until=stop)
    saved = json.loads(json.dumps(first.controller.state(), allow_nan=False))

    second = Bench(Controller(PROTOCOL, GENERATOR, repeat=2, start=start), replace(first.load), first.time, dt)
    second.controller.restore(saved)
    assert second.controller.state() == first.controller.state()
    assert second.controller.demand() == first.controller.demand()
    assert second.controller.withdrawn(second.time) == first.controller.withdrawn(first.time)
    assert second.run() == first.run()
    assert second.controller.events == first.controller.events
    assert second.controller.rolloffs == first.controller.rolloffs


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("index"),
        lambda state: state.update(index=99),
        lambda state: state.update(index=1),
        lambda state: state.update(mode=None),
        lambda state: state.update(ends="soon"),
    ],
)
def test_a_foreign_state_is_refused_and_changes_nothing(damage):
    controller = Controller(PROTOCOL, GENERATOR)
    state = controller.state()
    damage(state)
    with pytest.raises(CheckpointError, match="does not fit"):
        controller.restore(state)
    assert controller.state() == Controller(PROTOCOL, GENERATOR).state()
