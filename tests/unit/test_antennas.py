"""Microwave antennas as a source of heat: power chain, when fields are solved again, pull-back, checkpoints."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.constants import epsilon_0
from verification.cases_meshes import Array, cylinder

import ablationsim
from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.device.signals import Demand
from ablationsim.errors import DeviceError, Interrupted
from ablationsim.fem.space import P1Space
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.placement import Placement
from ablationsim.march import STRIDE, March
from ablationsim.mesh.generate import mesh_of
from ablationsim.physics.antenna_field import Extent, antenna_solver, power_depth, radiating_part
from ablationsim.physics.antennas import MicrowaveSource
from ablationsim.physics.feed import Feed, wall_load, wall_top
from ablationsim.physics.microwave import AntennaField
from ablationsim.problem import assemble, controllers
from ablationsim.results.doubts import _edge

FREQUENCY = 2.45e9
OFF = Demand("off", 0.0)
REFLECTION, ANTENNA, RADIATED = 0.3, 0.05, 0.01
ABSORBED = 1.0 - REFLECTION**2 - ANTENNA - RADIATED


class Fake:
    """In place of the field solver: power that falls off with the distance from a point 11 mm above the tip."""

    mesh = SimpleNamespace(port_height=40e-3)

    def __init__(self) -> None:
        mesh = cylinder(48, 29e-3, 40e-3)
        corners = mesh.points[mesh.cells] + (0.895e-3, -10e-3)  # beside the needle, from below its tip upward
        self.centroids: Array = corners.mean(axis=1)
        self.points: Array = 0.5 * (corners + np.roll(corners, -1, axis=1))
        edges = corners[:, 1:] - corners[:, :1]
        distance = np.hypot(self.points[..., 0], self.points[..., 1] - 11e-3)
        power = np.abs(np.linalg.det(edges))[:, None] * self.points[..., 0] * np.exp(-distance / 5e-3)
        self.power: Array = ABSORBED * power / power.sum()
        self.solved: list[NDArray[np.complex128]] = []

    def complex_permittivity(self, permittivity: Array, conductivity: Array) -> NDArray[np.complex128]:
        return permittivity - 1j * conductivity / (2.0 * np.pi * FREQUENCY * epsilon_0)

    def solve(self, permittivity: NDArray[np.complex128]) -> AntennaField:
        self.solved.append(permittivity)
        return AntennaField(self.power, complex(REFLECTION), ABSORBED, ANTENNA, RADIATED, permittivity.copy())


def case(
    protocol: Sequence[dict] = ({"mode": "power", "power": "30 W", "duration": "10 s"},),
    profile: str = "mwa_slot_reference",
    cooling: str = "2 s",
    **tables: dict,
) -> Case:
    return Case.from_dict(
        {
            "device": {"profile": profile},
            "protocol": list(protocol),
            "tissue": {"set": "liver_porcine_ex_vivo"},
            "zone": {"cooling": cooling},
            "mesh": {"resolution": 3.0},
            **tables,
        }
    )


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Case], tuple[March, list[Fake]]]:
    """Builds the march of a case with fake field solvers."""

    def build(case: Case) -> tuple[March, list[Fake]]:
        fakes: list[Fake] = []

        def solver(*arguments: object) -> Fake:
            fakes.append(Fake())
            return fakes[-1]

        monkeypatch.setattr("ablationsim.problem.antenna_solver", solver)
        geometry = Geometry.from_case(case)
        problem = assemble(case, geometry, mesh_of(case, geometry))
        return March(problem, controllers(case), case.zone.cooling), fakes

    return build


def source_of(march: March) -> MicrowaveSource:
    source = march.problem.source
    assert isinstance(source, MicrowaveSource)
    return source


def run(march: March) -> None:
    march.run(lambda m: False, lambda t: math.inf)


# -- power chain ------------------------------------------------------------------------------------------------------


def test_line_loses_decibels_along_the_needle() -> None:
    # 0.5 m of needle, the port 0.1 m above the tip, tissue up to 0.3 m: 2 dB, 1 dB of them in the tissue.
    line = Feed(0.8, 5.0, port=0.1, end=0.5, surface=0.3, heats=True).line(0.0)
    assert line.cable == pytest.approx(0.2)
    assert line.arriving == pytest.approx(0.8 * 10.0**-0.2)
    assert line.shaft == pytest.approx(0.8 - line.arriving)
    assert line.heated == pytest.approx(0.8 * (10.0**-0.1 - 10.0**-0.2))


def test_withdrawn_needle_heats_less_tissue_with_its_shaft() -> None:
    feed = Feed(1.0, 5.0, port=0.1, end=0.5, surface=0.3, heats=True)
    assert feed.line(0.1).heated == pytest.approx(10.0**-0.15 - 10.0**-0.2)
    assert feed.line(0.25).heated == 0.0
    assert feed.line(0.25).arriving == feed.line(0.0).arriving


def test_shaft_that_does_not_heat_loses_all_the_same() -> None:
    line = Feed(1.0, 5.0, port=0.1, end=0.5, surface=0.3, heats=False).line(0.0)
    assert line.heated == 0.0
    assert line.shaft == pytest.approx(1.0 - 10.0**-0.2)


def test_wall_gives_off_heat_evenly_between_two_heights() -> None:
    plan = case()
    geometry = Geometry.from_case(plan)
    mesh = mesh_of(plan, geometry)
    needle, space = geometry.applicators[0], P1Space(mesh)
    load = wall_load(space, needle, 10e-3, 30e-3)
    assert load.sum() == pytest.approx(1.0)
    heated = np.flatnonzero(load)
    assert mesh.points[heated, 0] == pytest.approx(needle.radius)
    assert load @ mesh.points[:, 1] == pytest.approx(20e-3, abs=0.5e-3)
    spread = math.sqrt(load @ (mesh.points[:, 1] - 20e-3) ** 2)
    assert spread == pytest.approx(20e-3 / math.sqrt(12.0), rel=0.03)
    assert not wall_load(space, needle, 1.0, 2.0).any()
    assert wall_top(space, needle) == pytest.approx(mesh.points[:, 1].max())


@pytest.mark.parametrize("cooled", [False, True])
@pytest.mark.parametrize("heats", [False, True])
def test_every_watt_of_the_setting_goes_somewhere(faked, cooled: bool, heats: bool) -> None:
    march, _ = faked(case())
    source = source_of(march)
    antenna = source.antennas[0]
    antenna.cooled = cooled
    antenna.feed = Feed(0.7, 20.0, port=40e-3, end=100e-3, surface=60e-3, heats=heats)
    state = march.state
    source.refresh(state.temperature, state.temperature, [Demand("power", 50.0)], [0.0])
    drive = source.drive(source.field(0.0, state.temperature), [Demand("power", 50.0)])
    arriving = 50.0 * 0.7 * 10.0**-0.12
    shaft = 50.0 * 0.7 * (10.0**-0.08 - 10.0**-0.12) if heats else 0.0
    own = ANTENNA * arriving
    # All that the fake absorbs lies in the modelled block.
    assert drive.heat.sum() == pytest.approx(arriving * ABSORBED + shaft + (0.0 if cooled else own))
    assert drive.coolant == pytest.approx(own if cooled else 0.0)
    assert drive.generator == 50.0
    assert drive.heat.sum() + drive.coolant + drive.outside == pytest.approx(50.0)
    assert drive.flows["reflected_w"] == pytest.approx(arriving * REFLECTION**2)
    assert drive.flows["absorbed_w"] == pytest.approx(arriving * ABSORBED)
    assert drive.flows["radiated_w"] == pytest.approx(arriving * RADIATED)


def test_generator_shows_its_power_and_nothing_else(faked) -> None:
    march, _ = faked(case())
    source = source_of(march)
    march.advance()
    reading = march.readings[0]
    assert reading.power == 30.0
    assert all(math.isnan(value) for value in (reading.voltage, reading.current, reading.impedance))
    assert source.drive(None, [OFF]).outputs[0].power == 0.0
    assert source.drive(None, [OFF]).flows == {"reflected_w": 0.0, "absorbed_w": 0.0, "radiated_w": 0.0}


def test_setting_stays_below_the_ceiling(faked) -> None:
    march, _ = faked(case())
    source, state = source_of(march), march.state
    demand = Demand("power", 50.0, max_power=20.0)
    source.refresh(state.temperature, state.temperature, [demand], [0.0])
    assert source.drive(source.field(0.0, state.temperature), [demand]).generator == 20.0


# -- when fields are solved -------------------------------------------------------------------------------------------


def test_field_is_solved_once_in_tissue_that_does_not_change(faked) -> None:
    march, fakes = faked(case(tissue={"set": "liver_porcine_ex_vivo", "dielectric": "static_2450"}))
    run(march)
    assert len(fakes[0].solved) == source_of(march).solves == 1


def test_finer_threshold_means_more_solutions(faked) -> None:
    solves = []
    protocol = [{"mode": "power", "power": "100 W", "duration": "20 s"}]
    for resolve in ("50 %", "2 %", "0.2 %"):
        march, fakes = faked(case(protocol, cooling="0 s", microwave={"resolve": resolve}))
        run(march)
        solves.append(len(fakes[0].solved))
    assert solves[0] < solves[1] < solves[2]


def test_change_is_weighted_with_the_absorbed_power(faked) -> None:
    march, fakes = faked(case())
    source, state = source_of(march), march.state
    source.refresh(state.temperature, state.temperature, [OFF], [0.0])
    antenna = source.antennas[0]
    assert antenna.field is not None
    before = antenna.field.permittivity
    assert antenna.change(before) == 0.0
    assert antenna.change(0.9 * before) == pytest.approx(0.1)
    one = before.copy()
    one[7] *= 1.0 + 0.5j
    assert antenna.change(one) == pytest.approx(0.5 * fakes[0].power[7].sum() / ABSORBED)


def test_nothing_is_solved_while_the_power_is_off(faked) -> None:
    march, fakes = faked(case())
    source, state = source_of(march), march.state
    hot = np.full_like(state.temperature, 380.0)
    on = Demand("power", 10.0)
    source.refresh(state.temperature, state.temperature, [on], [0.0])
    assert not source.refresh(hot, hot, [OFF], [0.0])
    assert len(fakes[0].solved) == 1
    assert source.refresh(hot, hot, [on], [0.0])
    assert not source.refresh(hot, hot, [on], [0.0])
    assert len(fakes[0].solved) == 2


@pytest.mark.parametrize("drying", ["irreversible", "reversible"])
def test_dried_tissue_stays_dry_or_recovers(faked, drying: str) -> None:
    march, fakes = faked(case(microwave={"drying": drying}))
    source, state = source_of(march), march.state
    on = [Demand("power", 10.0)]
    hot = np.full_like(state.temperature, 370.0)
    source.refresh(state.temperature, state.temperature, on, [0.0])
    source.refresh(hot, hot, on, [0.0])
    source.refresh(state.temperature, hot, on, [0.0])
    assert len(fakes[0].solved) == (2 if drying == "irreversible" else 3)
    law = source.antennas[0].dielectric
    wanted = law.permittivity(np.array(370.0 if drying == "irreversible" else march.problem.initial_temperature))
    # The fake's tissue is a little larger than the block; beyond it nothing is heated.
    assert np.median(fakes[0].solved[-1].real) == pytest.approx(float(wanted))


# -- fast coupling ----------------------------------------------------------------------------------------------------


def test_fast_coupling_follows_the_conductivity(faked) -> None:
    march, fakes = faked(case(microwave={"coupling": "fast"}))
    source, state = source_of(march), march.state
    on = [Demand("power", 10.0)]
    hot = np.full_like(state.temperature, 365.0)
    assert source.refresh(hot, hot, on, [0.0])
    antenna = source.antennas[0]
    law, unheated = antenna.dielectric.conductivity, march.problem.initial_temperature
    ratio = float(law(np.array(365.0)) / law(np.array(unheated)))
    fate = source.field(0.0, hot)[0]
    assert ratio < 0.9
    assert fate.absorbed == pytest.approx(ratio * ABSORBED, rel=1e-6)
    assert fate.radiated == pytest.approx(RADIATED + (1.0 - ratio) * ABSORBED, rel=1e-6)
    assert fate.reflected == pytest.approx(REFLECTION**2)
    assert fate.heat.sum() + fate.coolant + fate.outside == pytest.approx(1.0)
    assert len(fakes[0].solved) == 1
    run(march)
    assert len(fakes[0].solved) == 1


def test_fast_coupling_absorbs_no_more_than_there_is(faked) -> None:
    march, _ = faked(case(microwave={"coupling": "fast"}))
    source, state = source_of(march), march.state
    source.refresh(state.temperature, state.temperature, [Demand("power", 10.0)], [0.0])
    antenna = source.antennas[0]
    fate = antenna.fate(np.full(len(antenna.solver.centroids), 3.0))
    assert fate.absorbed == pytest.approx(ABSORBED + RADIATED)
    assert fate.radiated == pytest.approx(0.0, abs=1e-15)
    assert fate.heat.sum() + fate.coolant + fate.outside == pytest.approx(1.0)


# -- whole marches ----------------------------------------------------------------------------------------------------

PULSES = (
    {"mode": "pulsed", "power": "40 W", "on": "3 s", "off": "2 s", "duration": "8 s"},
    {"mode": "pullback", "distance": "12 mm", "duration": "6 s", "power": "20 W"},
    {"mode": "pullback", "distance": "5 mm", "duration": "2 s"},
    {"mode": "power", "power": "20 W", "duration": "3 s"},
)


@pytest.mark.parametrize("coupling", ["full", "fast"])
def test_energy_is_accounted_for(faked, coupling: str) -> None:
    march, _ = faked(case(PULSES, microwave={"coupling": coupling}))
    run(march)
    energy = march.state.energy
    assert energy.generator == pytest.approx(6.0 * 40.0 + 6.0 * 20.0 + 3.0 * 20.0)
    assert energy.generator == pytest.approx(march.stored + energy.lost, rel=1e-4)


def test_uniform_power_warms_an_insulated_block_evenly(faked) -> None:
    tissue = {"set": "liver_constant_properties", "perfusion": "0 1/s"}
    block = {"radius": "20 mm", "height": "40 mm", "centre": ["0 mm", "0 mm", "8 mm"]}
    march, fakes = faked(case(tissue=tissue, domain=block))
    source, fake = source_of(march), fakes[0]
    area = 2.0 * np.abs(np.linalg.det(np.diff(fake.points, axis=1)))  # the points are the middles of the sides
    volume = 2.0 * np.pi * area[:, None] * fake.points[..., 0] / 3.0
    density = 2e6  # W/m3
    source.antennas[0].feed = Feed(1.0, 0.0, 40e-3, 60e-3, 40e-3, heats=True)
    source.antennas[0].cooled = True  # what the antenna itself absorbs does not warm the tissue
    fake.power = density * volume / 30.0
    while march.state.time < 5.0 - 1e-9:
        march.advance(5.0)
    rise = march.state.temperature - march.problem.initial_temperature
    points = march.problem.bioheat.space.mesh.points
    inside = (points[:, 0] < 12e-3) & (points[:, 1] > 2e-3) & (points[:, 1] < 26e-3)
    assert rise[inside] == pytest.approx(density * 5.0 / (1079.0 * 3540.0), rel=0.05)
    assert np.median(rise[inside]) == pytest.approx(density * 5.0 / (1079.0 * 3540.0), rel=0.005)


def test_pullback_moves_the_heat_along_the_shaft(faked) -> None:
    march, _ = faked(case(PULSES))
    source = source_of(march)
    height = march.problem.bioheat.space.mesh.points[:, 1]
    seen: list[tuple[float, float, float]] = []

    def observe(march: March) -> bool:
        seen.append((march.state.time, march.controllers[0].withdrawn(march.state.time), source.antennas[0].withdrawn))
        return False

    march.run(observe, lambda t: math.inf)
    times, way, placed = np.array(seen).T
    on = (times > 8.0 + 1e-9) & (times <= 14.0 + 1e-9)
    assert way[on][-1] == pytest.approx(12e-3)
    assert np.diff(way[on], prepend=0.0).max() <= STRIDE * (1.0 + 1e-9)
    # Where it was placed for a step lies between the ends of the step, within half a millimetre of its middle.
    middle = 0.5 * (np.concatenate([[0.0], way[on][:-1]]) + way[on])
    assert np.abs(placed[on] - middle).max() <= 0.5e-3 + 1e-9
    assert placed[-1] == pytest.approx(17e-3)
    fate = source.field(0.0, march.state.temperature)[0]
    source.antennas[0].place(0.0)
    still = source.antennas[0].fate()
    shift = fate.heat @ height / fate.heat.sum() - still.heat @ height / still.heat.sum()
    assert shift == pytest.approx(17e-3, abs=0.5e-3)


@pytest.mark.parametrize("coupling", ["full", "fast"])
@pytest.mark.parametrize("stop", [0.0, 2.0, 4.0, 11.0, 17.5])
def test_resumed_march_gives_the_same_numbers(faked, coupling: str, stop: float) -> None:
    plan = case(PULSES, microwave={"coupling": coupling})
    whole, _ = faked(plan)
    if stop:
        whole.run(lambda m: m.state.time >= stop, lambda t: math.inf)
    meta, *groups = whole.snapshot()
    kept = json.loads(json.dumps(meta)), *({name: np.array(v) for name, v in arrays.items()} for arrays in groups)
    run(whole)
    resumed, _ = faked(plan)
    resumed.restore(*kept)
    run(resumed)
    assert resumed.state.time == whole.state.time
    assert np.array_equal(resumed.state.temperature, whole.state.temperature)
    assert resumed.state.energy == whole.state.energy
    assert source_of(resumed).document() == source_of(whole).document()


def pair(**tables: dict) -> Case:
    protocol = [{"mode": "power", "power": "30 W", "duration": "4 s"}]
    return Case.from_dict(
        {
            "applicator": [
                {
                    "name": name,
                    "profile": "mwa_slot_reference",
                    "tip": [x, "0 mm", "0 mm"],
                    "direction": direction,
                    "protocol": protocol,
                    "start": start,
                }
                for name, x, direction, start in (
                    ("left", "-8 mm", [-0.1, 0.05, 1.0], "0 s"),
                    ("right", "8 mm", [0.1, 0.0, 1.0], "2 s"),
                )
            ],
            "tissue": {"set": "liver_porcine_ex_vivo"},
            "zone": {"cooling": "1 s"},
            "mesh": {"resolution": 4.0},
            **tables,
        }
    )


def test_powers_of_two_antennas_add(faked) -> None:
    march, fakes = faked(pair())
    source, state = source_of(march), march.state
    on, half = Demand("power", 30.0), Demand("power", 15.0)
    source.refresh(state.temperature, state.temperature, [on, on], [0.0, 0.0])
    field = source.field(0.0, state.temperature)
    left, right = (source.drive(field, demands) for demands in ([on, OFF], [OFF, half]))
    both = source.drive(field, [on, half])
    assert both.heat == pytest.approx(left.heat + right.heat)
    assert left.heat.sum() + left.outside == pytest.approx(30.0)
    x = march.problem.bioheat.space.mesh.points[:, 0]
    assert left.heat @ x < 0.0 < right.heat @ x
    assert [output.power for output in both.outputs] == [30.0, 15.0]
    assert len(fakes) == 2
    run(march)
    energy = march.state.energy
    assert energy.generator == pytest.approx(240.0)
    assert energy.generator == pytest.approx(march.stored + energy.lost, rel=1e-4)


# -- from profile to solver -------------------------------------------------------------------------------------------


def test_depth_of_a_plane_wave() -> None:
    # Liver at 2.45 GHz: 10.4 mm.
    permittivity = complex(43.03, -1.69 / (2.0 * np.pi * FREQUENCY * epsilon_0))
    assert power_depth(permittivity, FREQUENCY) == pytest.approx(10.4e-3, abs=0.05e-3)


def test_extent_of_the_field() -> None:
    device = Device.load("mwa_slot_reference")
    low, high = radiating_part(device)
    assert (low, high) == (0.0, 16e-3)
    up, down = (
        Applicator.build(0, device.applicator, Placement.along((0.0, 0.0, z), (0.0, 0.0, d)))
        for z, d in ((0.0, 1.0), (20e-3, -1.0))
    )
    block = Domain.cylinder((0.0, 0.0, 10e-3), 30e-3, 100e-3)
    for needle, bottom, top in ((up, -40e-3, 60e-3), (down, -40e-3, 60e-3)):
        extent = Extent.of(block, needle)
        assert (extent.radius, extent.bottom, extent.top) == pytest.approx((30e-3, bottom, top))
    wide = Extent.round(device, 10.4e-3)
    assert (wide.radius, wide.bottom, wide.top) == pytest.approx((41.6e-3, -41.6e-3, 57.6e-3))
    cut = wide.within(Domain.box((0.0, 0.0, 10e-3), (20e-3, 20e-3, 60e-3)), up)
    assert (cut.radius, cut.bottom, cut.top) == pytest.approx((math.hypot(10e-3, 10e-3), -20e-3, 40e-3))


def test_electrode_has_no_field_solver() -> None:
    device = Device.load("rfa_cooltip_17g_3cm_like")
    needle = Applicator.build(0, device.applicator, Placement.along())
    with pytest.raises(DeviceError, match="is no microwave antenna"):
        antenna_solver(device, needle, 43.0, Extent(30e-3, -30e-3, 60e-3))


# -- whole runs with the real solver ----------------------------------------------------------------------------------


def small(**tables: dict) -> Case:
    protocol = [
        {"mode": "power", "power": "60 W", "duration": "6 s"},
        {"mode": "pullback", "distance": "3 mm", "duration": "2 s", "power": "60 W"},
    ]
    return case(protocol, domain={"radius": "25 mm", "height": "60 mm"}, **tables)


@pytest.fixture(scope="module")
def small_microwave_run(tmp_path_factory) -> ablationsim.Result:
    return ablationsim.simulate(small(), tmp_path_factory.mktemp("microwave") / "run")


def test_small_run(small_microwave_run) -> None:
    document = small_microwave_run.document
    balance, microwave = document["energy_balance"], document["microwave"]
    assert balance["in_j"] == pytest.approx(480.0)
    assert balance["relative_error"] < 1e-3
    assert microwave["closure"] < 1e-3
    assert microwave["solves"] == small_microwave_run.record["field_solves"] > 1
    (antenna,) = microwave["antennas"]
    for part in (microwave, antenna, antenna["at_end"]):
        parts = ("absorbed_w", "absorbed_antenna_w", "radiated_w", "reflected_w")
        assert part["input_w"] == pytest.approx(60.0)
        assert sum(part[name] for name in parts) == pytest.approx(60.0, rel=1e-3)
        assert part["s11_db"] == pytest.approx(10.0 * math.log10(part["reflected_w"] / part["input_w"]))
    assert antenna["at_end"]["absorbed_w"] != antenna["absorbed_w"]
    assert antenna["setting_w"] == antenna["at_end"]["setting_w"] == 60.0
    assert microwave["frequency_hz"] == 2.45e9
    assert "microwave" in json.loads((small_microwave_run.folder / "zone.json").read_text())


def test_history_of_a_small_run(small_microwave_run) -> None:
    with (small_microwave_run.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["voltage_v"] == row["current_a"] == row["impedance_ohm"] == "" for row in rows)
    on = [row for row in rows if float(row["power_w"]) > 0.0]
    assert len(on) > 5
    for row in on:
        total = sum(float(row[column]) for column in ("absorbed_w", "reflected_w", "radiated_w"))
        assert total == pytest.approx(60.0, rel=1e-3)
    assert float(rows[-1]["absorbed_w"]) == 0.0
    again = ablationsim.Result.load(small_microwave_run.folder)
    assert again.history.columns == small_microwave_run.history.columns
    assert "solutions of the field" in (small_microwave_run.folder / "log.txt").read_text()


def test_resumed_run_is_the_same(small_microwave_run, tmp_path, assert_same_run) -> None:
    def interrupt(time: float, text: str) -> None:
        if time > 3.0:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        ablationsim.simulate(small(), tmp_path / "run", progress=interrupt)
    ablationsim.simulate(small(), tmp_path / "run", resume=True)
    assert_same_run(small_microwave_run.folder, tmp_path / "run")


def test_bad_match_and_bad_account_are_told(monkeypatch, small_microwave_run) -> None:
    solve = "ablationsim.physics.microwave.Microwave.solve"

    def mismatched(self, permittivity):
        power = np.full(self.points.shape[:2], 0.3 / self.points[..., 0].size)
        return AntennaField(power, 0.8 + 0.0j, 0.3, 0.0, 0.05, permittivity)

    monkeypatch.setattr(solve, mismatched)
    warnings = ablationsim.simulate(small()).warnings
    assert any("reflected up to 64 % of the power" in text for text in warnings)
    assert any("misses up to 1 % of the power" in text for text in warnings)
    assert not any("reflected" in text or "misses" in text for text in small_microwave_run.warnings)


def test_edge_of_the_domain_does_not_count_where_the_shaft_leaves_it() -> None:
    plan = case()
    mesh = mesh_of(plan, Geometry.from_case(plan))
    edge = mesh.points[_edge(mesh)]
    top, side, bottom = mesh.points[:, 1].max(), mesh.points[:, 0].max(), mesh.points[:, 1].min()
    assert edge[edge[:, 1] == top, 0].min() == pytest.approx(0.895e-3 + 10e-3, abs=6e-3)
    assert edge[edge[:, 1] == top, 0].min() > 10e-3
    assert edge[:, 0].max() == side
    assert edge[edge[:, 1] == bottom, 0].min() == 0.0
