"""The scaling measurements: what they time is a whole step, and the block that they make is the same on any ranks."""

import json
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "hpc" / "scaling" / "program.py"
N, STEPS = 20, 3
RANKS = (2, 3)


@pytest.fixture(scope="module")
def measured(mpirun):
    """Results of the program, by the number of ranks."""
    words = ("--n", str(N), "--steps", str(STEPS), "--settle", "1", "--output")
    return {ranks: json.loads(mpirun(ranks, PROGRAM, *words).stdout.splitlines()[-1]) for ranks in RANKS}


@pytest.mark.parametrize("ranks", RANKS)
def test_parts_add_up_to_the_step(measured, ranks):
    result = measured[ranks]
    parts = {part: spread["mean"] for part, spread in result["split"].items()}
    assert set(parts) == {"assembly", "set-up", "electric", "heat", "halo", "reductions", "rest"}
    assert all(seconds >= 0.0 for seconds in parts.values())
    # Of ranks, the slowest counts as the step; they meet at the end of it.
    assert sum(parts.values()) == pytest.approx(result["split_of_s"], rel=0.1)
    assert result["step_least_s"] <= result["split_of_s"] <= max(result["steps_s"])
    assert all(parts[part] > 0.0 for part in ("assembly", "electric", "heat", "reductions", "rest"))


@pytest.mark.parametrize("ranks", RANKS)
def test_unknowns_and_work_are_counted(measured, ranks):
    result = measured[ranks]
    assert result["ranks"] == ranks
    assert result["unknowns"] == (N + 1) ** 3
    assert result["elements"] == 6 * N**3
    assert result["own_nodes"]["mean"] * ranks == result["unknowns"]
    assert result["ghosts"]["least"] >= 400.0
    assert result["levels"][0]["unknowns"] == result["unknowns"]
    work = result["work"]
    assert work["electric_solves"] == 3.0
    assert work["electric_iterations"] >= 3.0
    # Two stages a step, each of them at least one Newton step; two iterations' worth of halo are those of the estimate.
    assert work["newton_steps"] >= 2.0
    assert work["heat_iterations"] >= work["newton_steps"]
    assert work["halo_updates"] > work["heat_iterations"]
    assert work["reductions"] > 2.0 * work["heat_iterations"]
    assert result["petsc"]["PCApply"]["calls"] >= work["electric_iterations"]
    assert result["petsc"]["VecScatterBegin"]["messages"] > result["petsc"]["PCApply"]["calls"]
    assert result["output"]["checkpoint_bytes"] > 8 * result["unknowns"]
    assert result["machine"]["triad_gb_s"] > 0.0


def test_the_block_does_not_depend_on_the_ranks(measured):
    two, three = (measured[ranks] for ranks in RANKS)
    assert 310.15 < two["hottest_k"] < 368.15
    assert three["hottest_k"] == pytest.approx(two["hottest_k"], rel=1e-9)
    assert three["power_w"] == pytest.approx(two["power_w"], rel=1e-9)
    assert three["work"]["heat_iterations"] == two["work"]["heat_iterations"]
