"""The number of ranks does not show: temperatures and every figure of the zone are the same on one to four."""

import json
from pathlib import Path

import numpy as np
import pytest

from ablationsim.case import Case
from ablationsim.results import Result
from ablationsim.simulate import simulate

PROGRAM = Path(__file__).parent / "programs" / "several_cases.py"

NEEDLE = '[device]\nprofile = "rfa_cooltip_17g_3cm_like"\n'
TUBE = '[[vessel]]\nname = "{}"\nkind = "tube"\npoints = {}\ndiameter = "{}"\nflow = "{}"\n'
VEIN = TUBE.format("vein", '[["-100 mm", "9 mm", "15 mm"], ["100 mm", "9 mm", "15 mm"]]', "6 mm", "300 mL/min")
BRANCH = TUBE.format("branch", '[["-8 mm", "-100 mm", "10 mm"], ["-8 mm", "100 mm", "10 mm"]]', "2 mm", "10 mL/min")
REST = """
[[probe]]
name = "p8"
position = ["8 mm", "0 mm", "12 mm"]
[zone]
cooling = "2 s"
[mesh]
resolution = {}
"""

CASES = {
    # The generator's threshold is crossed, the tissue boils, pauses follow.
    "impedance": NEEDLE
    + '[[protocol]]\nmode = "impedance"\npower = "200 W"\nduration = "40 s"\n[tissue]\nset = "liver_porcine_ex_vivo"\n'
    + REST.format(4.0),
    "embedded": NEEDLE
    + '[[protocol]]\nmode = "power"\npower = "80 W"\nduration = "10 s"\n[tissue]\nset = "liver_human"\n'
    + VEIN
    + BRANCH
    + REST.format(4.0),
    "fitted": NEEDLE
    + '[[protocol]]\nmode = "power"\npower = "80 W"\nduration = "8 s"\n[tissue]\nset = "liver_human"\n'
    + VEIN
    + REST.format('4.0\nvessels = "fitted"'),
    "microwave": '[device]\nprofile = "mwa_slot_reference"\n'
    + '[[protocol]]\nmode = "power"\npower = "60 W"\nduration = "15 s"\n[tissue]\nset = "liver_human"\n'
    + '[microwave]\ncoupling = "full"\n'
    + VEIN
    + REST.format(4.0),
}

# What is left of numbers that cancel has no digits of its own.
REMAINDERS = ("relative_error", "closure")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    for name, text in CASES.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def runs(mpirun, cases, tmp_path_factory):
    """Folder of the runs on so many ranks."""
    made: dict[int, Path] = {}

    def on(ranks):
        if ranks not in made:
            made[ranks] = tmp_path_factory.mktemp(f"ranks{ranks}")
            mpirun(ranks, PROGRAM, made[ranks], *(cases / f"{name}.toml" for name in CASES), seconds=560)
        return made[ranks]

    return on


def figures(document, place=""):
    """Every number of a document by its place."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from figures(value, f"{place}/{key}")
    elif isinstance(document, list):
        for i, value in enumerate(document):
            yield from figures(value, f"{place}[{i}]")
    else:
        yield place, document


@pytest.mark.parametrize("ranks", [2, 3, 4])
@pytest.mark.parametrize("name", CASES)
def test_ranks_agree(runs, name, ranks):
    one, several = Result.load(runs(1) / name), Result.load(runs(ranks) / name)
    assert several.record["ranks"] == ranks
    assert several.record["engine"] == one.record["engine"] == "petsc"
    assert one.zone.volume_ml > 1e-4
    for field in ("max_temperature", "omega", "cem43", "level"):
        assert several.fields[field] == pytest.approx(one.fields[field], rel=1e-8, abs=1e-8), field
    for frame in range(len(one.frames)):
        # Frames are kept in single precision.
        assert several.frames.temperature(frame) == pytest.approx(one.frames.temperature(frame), rel=2e-7)
    assert np.array_equal(one.history["time_s"], several.history["time_s"])
    for column in ("max_temperature_c", "zone_volume_ml", "probe_p8_c", "energy_in_j"):
        assert several.history[column] == pytest.approx(one.history[column], rel=1e-8, abs=1e-10), column
    found = dict(figures(several.document))
    for place, value in figures(one.document):
        if place.endswith(REMAINDERS):
            continue
        if isinstance(value, float):
            assert found[place] == pytest.approx(value, rel=1e-8, abs=1e-12), place
        else:
            assert found[place] == value, place


@pytest.mark.parametrize("name", CASES)
def test_ranks_agree_with_one_process(runs, cases, name):
    shared, alone = Result.load(runs(2) / name), simulate(Case.load(cases / f"{name}.toml"))
    assert alone.record["engine"] == "in-process"
    assert np.array_equal(shared.mesh.points, alone.mesh.points)
    # In one process the potential is solved to 1e-4, and the march through boiling tissue magnifies that.
    assert shared.zone.volume_ml == pytest.approx(alone.zone.volume_ml, rel=5e-3)
    assert shared.zone.axial_length_mm == pytest.approx(alone.zone.axial_length_mm, rel=2e-3)
    for key in ("in_j", "lost_perfusion_j", "lost_coolant_j"):
        assert shared.document["energy_balance"][key] == pytest.approx(alone.document["energy_balance"][key], rel=5e-3)
    assert shared.document["energy_balance"]["relative_error"] < 1e-4


def test_every_rank_has_a_part_of_the_fields_and_the_first_writes_the_tables(runs):
    folder = runs(3) / "embedded"
    assert len(list((folder / "fields").glob("part_*.npz"))) == 3
    assert json.loads((folder / "resolved.json").read_text())["run"]["ranks"] == 3
    log = (folder / "log.txt").read_text().splitlines()
    assert len([line for line in log if "nodes on 3 ranks" in line]) == 1


def test_commands_that_do_not_go_over_ranks_are_refused(mpirun, cases):
    done = mpirun(2, "-m", "ablationsim.cli", "check", cases / "impedance.toml", code=2)
    assert done.stderr.count("ablationsim: mpirun of Open MPI started 2 processes of 'ablationsim check'") == 1
    assert "no problems" not in done.stdout


def test_engine_of_one_process_is_refused_on_ranks(mpirun, cases, tmp_path):
    words = ("run", cases / "impedance.toml", "-o", tmp_path / "run", "--engine", "in-process")
    done = mpirun(2, "-m", "ablationsim.cli", *words, code=2)
    assert done.stderr.count("--engine in-process is for one") == 1
    assert not (tmp_path / "run").exists()


def test_ranks_with_different_cases_are_refused(mpirun, cases, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "from mpi4py import MPI\n"
        f"sys.argv[1:] = ['run', ['{cases}/impedance.toml', '{cases}/embedded.toml'][MPI.COMM_WORLD.rank], "
        f"'-o', '{tmp_path}/run']\n"
        "from ablationsim.cli import main\n"
        "main()\n"
    )
    done = mpirun(2, program, code=2)
    assert done.stderr.count("the 2 ranks of this run were given 2 different cases") == 1
    assert not (tmp_path / "run").exists()


def test_ranks_refine_together(mpirun, cases, tmp_path):
    text = CASES["impedance"].replace('"60 s"', '"3 s"')
    (tmp_path / "short.toml").write_text(text)
    mpirun(
        2, "-m", "ablationsim.cli", "run", tmp_path / "short.toml", "-o", tmp_path / "run", "--refine", "--no-report"
    )
    document = json.loads((tmp_path / "run" / "zone.json").read_text())
    assert document["discretisation_error"]["volume_ml"] > 0.0
    assert (tmp_path / "run" / "refined" / "zone.json").exists()
