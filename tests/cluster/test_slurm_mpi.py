"""The job scripts in hpc/slurm under a real Slurm: ranks find each other, and stopped jobs go on where they were."""

import json
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "hpc" / "slurm"
VENV = {"run.sbatch": ROOT / ".venv", "array.sbatch": ROOT / ".venv", "run-mpi.sbatch": ROOT / ".venv-mpi"}
PYTHON = VENV["run-mpi.sbatch"] / "bin" / "python"

# Some hundred steps, so that there is time to interrupt them.
CASE = """
title = "Fine steps"
[device]
profile = "rfa_cooltip_17g_2cm_like"
[[protocol]]
mode = "power"
power = "40 W"
duration = "40 s"
[tissue]
set = "liver_porcine_ex_vivo"
[zone]
criterion = "isotherm"
isotherm_temperature = "45 degC"
cooling = "5 s"
[mesh]
resolution = 3.0
[time]
tolerance = 0.05
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a case in it."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "case.toml").write_text(CASE)
    return folder


@pytest.fixture(scope="module")
def submit(slurm, place):
    """Submits one of the job scripts, with options of sbatch before it and its arguments after it."""

    def run(script: str, *words: str, options: tuple[str, ...] = (), **environment: str) -> str:
        all_of_it = {"ABLATIONSIM_VENV": str(VENV[script]), **environment}
        return slurm.submit(*options, SCRIPTS / script, *words, cwd=place, environment=all_of_it)

    return run


def two_ranks() -> tuple[str, ...]:
    return ("--ntasks=2", "--mem-per-cpu=500M")


def numbers(folder: Path) -> dict[str, float]:
    document = json.loads((folder / "zone.json").read_text())
    lengths = {key: document[key] for key in ("volume_ml", "axial_length_mm", "transverse_diameter_mm")}
    return lengths | {f"energy/{key}": document["energy_balance"][key] for key in ("in_j", "stored_j", "lost_j")}


@pytest.fixture(scope="module")
def finished(slurm, submit, place):
    """The folder of the run on two ranks, which nothing interrupted."""
    job = submit("run-mpi.sbatch", "case.toml", "runs/two", options=two_ranks())
    assert slurm.wait(job, seconds=600.0) == "COMPLETED", slurm.log(job)
    assert "start 0, case.toml -> runs/two, 2 ranks" in slurm.log(job)
    return place / "runs" / "two"


def test_two_ranks_by_srun_find_what_one_by_mpirun_finds(slurm, submit, place, finished):
    options = ("--ntasks=1", "--mem-per-cpu=500M")
    job = submit("run-mpi.sbatch", "case.toml", "runs/one", options=options, ABLATIONSIM_LAUNCH="mpirun")
    assert slurm.wait(job, seconds=600.0) == "COMPLETED", slurm.log(job)
    for folder, ranks in ((finished, 2), (place / "runs" / "one", 1)):
        record = json.loads((folder / "resolved.json").read_text())["run"]
        assert (record["ranks"], record["engine"]) == (ranks, "petsc")
    assert numbers(finished) == pytest.approx(numbers(place / "runs" / "one"), rel=1e-8)


def test_tasks_that_do_not_see_each_other_are_refused(slurm, place):
    launch = ["srun", "--mpi=none", "--ntasks=2", "--mem-per-cpu=500M", PYTHON, "-m", "ablationsim.cli"]
    done = slurm.client(*launch, "run", "case.toml", "--output", "runs/none", cwd=place, code=2)
    assert done.stderr.count("ablationsim: srun started 2 processes") == 1
    assert "srun --mpi=pmix" in done.stderr
    assert not (place / "runs" / "none").exists()


@pytest.mark.parametrize("script", ["run.sbatch", "run-mpi.sbatch"])
def test_job_that_is_told_to_stop_goes_on_where_it_was(slurm, submit, place, finished, script):
    mpi = script == "run-mpi.sbatch"
    folder = place / "runs" / f"stopped_{script}"
    options = two_ranks() if mpi else ("--mem=500M",)
    job = submit(script, "case.toml", f"runs/{folder.name}", options=options)
    log, end = folder / "log.txt", time.monotonic() + 300.0
    while not (log.exists() and "t = 0.000 s" in log.read_text()):
        assert time.monotonic() < end, slurm.log(job)
        time.sleep(0.05)
    # What --signal does: to the script of the job (B:), or to its steps.
    slurm.client("scancel", *(["--batch"] if mpi else []), "--signal=USR1", job)
    assert slurm.wait(job, seconds=600.0) == "COMPLETED", slurm.log(job)
    assert slurm.record(job)["Restarts"] == "1"
    assert "exit code 85" in slurm.log(job)
    assert log.read_text().count("resumed at t = ") == 1
    assert numbers(folder) == pytest.approx(numbers(finished), rel=1e-7 if mpi else 2e-4)


def test_array_of_cases(slurm, submit, place):
    (place / "short.toml").write_text(CASE.replace("0.05", "1.0").replace('"40 s"', '"5 s"'))
    (place / "wrong.toml").write_text(CASE.replace("power =", "pwer ="))
    (place / "cases.txt").write_text("short.toml\nwrong.toml\n")
    job = submit("array.sbatch", "cases.txt", options=("--array=1-2", "--mem=500M"))
    assert slurm.wait(f"{job}_1", seconds=600.0) == "COMPLETED"
    assert (place / "runs" / "short" / "zone.json").exists()
    assert slurm.wait(f"{job}_2") == "FAILED"
    record = slurm.record(f"{job}_2")
    assert (record["ExitCode"], record["Restarts"]) == ("2:0", "0")
    assert "did you mean 'power'?" in slurm.log(f"{job}_2")
