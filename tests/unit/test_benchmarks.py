"""The benchmark's problem, its derived figures, and how it treats engines that are not there."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import derived
import engines
import numpy as np
import parts
import processes
import pytest
import runner
import skfem
from loop import Stopwatch
from problem import SIDE, electric_conductivity, heat_conductivity, make
from stream import pattern

SETTING = parts.Setting(threads=1, rounds=1, say=lambda line: None)
ABSENT = replace(engines.SCIKIT_FEM, name="absent", modules=("no_such_module",), hint="install it")


def test_problem_is_the_grid_of_scikit_fem():
    problem, axis = make(4), np.linspace(-SIDE / 2.0, SIDE / 2.0, 5)
    grid = skfem.MeshTet.init_tensor(axis, axis, axis)
    np.testing.assert_array_equal(problem.points, grid.p.T)
    by_cube = grid.t.reshape(4, 6, -1).transpose(2, 1, 0).reshape(-1, 4)
    np.testing.assert_array_equal(problem.cells, by_cube)
    np.testing.assert_array_equal(problem.outer, np.sort(grid.boundary_nodes()))
    assert problem.electrode.tolist() == [62]


@pytest.mark.parametrize("n", [0, 3])
def test_problem_needs_nodes_on_the_axis(n):
    with pytest.raises(ValueError) as error:
        make(n)
    assert str(error.value) == f"an even number of cubes is wanted, not {n}"


def test_laws_are_clipped():
    temperature = np.array([10.0, 20.0, 37.0, 47.0, 95.0, 120.0])
    sigma, k = electric_conductivity(temperature), heat_conductivity(temperature)
    assert sigma[2:4] == pytest.approx([0.14, 0.14 * 1.15])
    assert k[2:4] == pytest.approx([0.51, 0.51 * 1.025])
    for values in (sigma, k):
        assert values[0] == values[1]
        assert values[-2] == values[-1]


def test_engines_agree():
    """The own loop and scikit-fem's, all steps on a coarse grid; an engine that lacks something is skipped."""
    found = parts.compare(SETTING, 6, [engines.OWN, engines.SCIKIT_FEM, ABSENT])
    assert found["scikit_fem"]["difference"] < 1e-6
    assert found["own"]["unknowns"] == found["scikit_fem"]["unknowns"] == 343
    assert found["own"]["max_temperature_c"] == pytest.approx(found["scikit_fem"]["max_temperature_c"], abs=1e-6)
    assert set(found["missing"]) == {"absent"}


def test_missing_engine_is_named():
    said: list[str] = []
    found = parts.compare(replace(SETTING, say=said.append), 6, [ABSENT])
    reason = "ModuleNotFoundError: No module named 'no_such_module'; install it"
    assert found == {"missing": {"absent": reason}}
    assert said == [f"  absent is skipped: {reason}"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"script": "peers/none.py"}, "no peers/none.py"),
        ({"python": parts.HERE / "no_environment" / "python"}, f"no python in {parts.HERE}/no_environment; install it"),
    ],
)
def test_missing_files_are_named(change, reason):
    assert replace(ABSENT, **change).missing() == reason


def test_failed_process_gives_its_last_lines():
    with pytest.raises(processes.Failed) as error:
        processes.measure([sys.executable, "-c", "raise SystemExit('no luck')"], 1)
    assert str(error.value) == "no luck"
    with pytest.raises(processes.Failed) as error:
        processes.measure([sys.executable, "-c", "print('done')"], 1)
    assert str(error.value) == "it printed no result"


def test_least_disturbed_run():
    best = processes.least_disturbed([{"step_s": 2.0, "run": 0}, {"step_s": 1.0, "run": 1}], "step_s")
    assert best == {"step_s": 1.0, "run": 1, "step_s_of_runs": [2.0, 1.0]}


def test_other_parts_are_kept(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    monkeypatch.setattr(runner, "PARTS", {name: lambda _: {"versions": {"peer": "1"}} for name in ("library", "cli")})
    first = runner.run(["library"], SETTING, path)
    first["library"]["date"] = "long ago"
    runner.write(first, path)
    runner.run(["cli"], SETTING, path)
    content = json.loads(path.read_text(encoding="utf-8"))["parts"]
    assert content["library"]["date"] == "long ago"
    assert content["cli"]["date"] != "long ago"
    assert content["cli"]["versions"]["peer"] == "1"
    assert {"python", "numpy", "ablationsim"} <= set(content["cli"]["versions"])


def test_stopwatch_takes_the_first_step_apart():
    watch = Stopwatch()
    watch.ready()
    for _ in range(3):
        with watch.step(), watch.part("solve_v"):
            pass
    watch.steps[:] = [9.0, 1.0, 2.0]
    summary = watch.summary()
    assert (summary["first_step_s"], summary["step_s"], summary["step_min_s"], summary["step_mean_s"]) == (9, 1.5, 1, 4)
    assert list(summary["split"]) == ["properties", "assembly", "preconditioner", "solve_v", "joule", "solve_t"]


def test_nonzeros_are_counted():
    problem = make(4)
    assert pattern(problem.cells, len(problem.points)).nnz == derived.nonzeros(4)


def test_linear_fit():
    size = np.array([1e5, 1e6, 5e6])
    fit = derived.linear_fit(size, 0.01 + 5e-7 * size)
    assert fit["start_s"] == pytest.approx(0.01)
    assert fit["per_million_s"] == pytest.approx(0.5)
    assert fit["largest_deviation"] < 1e-12
    assert derived.linear_fit(size, size**1.5)["exponent"] == pytest.approx(1.5)


def test_derived_figures():
    def loop(step, memory):
        times = {"step_s": step, "step_min_s": step / 2.0, "split": {"joule": step}}
        return {**times, "unknowns": 1000, "peak_memory_mb": memory}

    engines = {"own": loop(0.1, 1.0), "dolfinx_2": loop(1.2, 2.0), "petsc_2": loop(0.2, 1.5)}
    content = {
        "stream": {"measured": {"loop_1m": {"triad_gb_s": 20.0}}},
        "loop_1m": {"threads": 2, "measured": {**engines, "missing": {"scikit_fem": "no"}}},
    }
    one = derived.derive(content, {"loop_1m": 100})["loop_1m"]
    assert one["ratios"]["dolfinx_over_own"] == pytest.approx({"step_s": 12.0, "step_min_s": 12.0})
    assert one["ratios"]["dolfinx_over_petsc"]["step_s"] == pytest.approx(6.0)
    assert "scikit_fem_over_own" not in one["ratios"]
    assert one["memory_kb_per_unknown"]["own"] == pytest.approx(2**20 / 1e6)
    bytes_moved = 12 * derived.nonzeros(100) + 20 * 101**3
    assert one["in_products"]["own"]["joule"] == pytest.approx(0.1 * 20e9 / bytes_moved)
