"""A process finds out how it was started, and refuses to compute what others compute as well."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ablationsim.parallel.launcher import Launch, launched

PROGRAM = """
import os, sys
from ablationsim.errors import LaunchError
from ablationsim.parallel.launcher import only_first_speaks, start

only_first_speaks()
try:
    comm = start()
except LaunchError as error:
    sys.exit(f"ablationsim: {error}")
print(type(comm).__name__, comm.size, os.environ.get("NUMBA_NUM_THREADS"), "mpi4py" in sys.modules)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("launcher") / "program.py"
    path.write_text(PROGRAM)
    return path


# What the launchers leave in the environment, as read on the second of two ranks.
SLURM = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_PROCID": "1"}
FOUND = {
    "by hand": ({}, None),
    "Open MPI 4 and 5": (
        {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "PMIX_RANK": "1"},
        Launch("mpirun of Open MPI", 1, 2),
    ),
    "MPICH": ({"PMI_SIZE": "2", "PMI_RANK": "1", "MPI_LOCALNRANKS": "2"}, Launch("mpiexec", 1, 2)),
    "srun without MPI": (SLURM, Launch("srun", 1, 2)),
    "srun --mpi=pmi2": (SLURM | {"PMI_SIZE": "2", "PMI_RANK": "1"}, Launch("srun", 1, 2)),
    "srun --mpi=pmix": (SLURM | {"PMIX_RANK": "1"}, Launch("srun", 1, 2)),
    "step of one task": (SLURM | {"SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0"}, None),
    "script of a job": ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, None),
    "mpirun in a job": (
        {"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"},
        Launch("mpirun of Open MPI", 1, 2),
    ),
    "MPICH in a job, which it starts with srun": (
        SLURM | {"SLURM_STEP_NUM_TASKS": "1", "PMI_SIZE": "2", "PMI_RANK": "1", "MPI_LOCALNRANKS": "2"},
        Launch("mpiexec", 1, 2),
    ),
    "prterun": ({"PMIX_RANK": "1"}, Launch("a launcher with PMIx", 1, None)),
}


@pytest.mark.parametrize(("environment", "launch"), FOUND.values(), ids=FOUND.keys())
def test_environment(environment, launch):
    assert launched(environment) == launch


def test_by_hand_no_mpi_is_imported(mpi_python, program):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "PMI", "OMPI_"))}
    done = subprocess.run([mpi_python, program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Alone", "1", os.environ.get("NUMBA_NUM_THREADS", "None"), "False"]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_ranks(mpirun, program, n):
    assert mpirun(n, program).stdout.split() == ["Ranks", str(n), "1", "True"]


def test_threads_of_all_ranks_fit_on_the_node(mpirun, program):
    cores = len(os.sched_getaffinity(0))
    done = mpirun(2, program, environment={"NUMBA_NUM_THREADS": "1000"})
    assert int(done.stdout.split()[2]) <= max(1, cores // 2)
    assert done.stderr.count("ablationsim: 1000 threads a rank were asked for") == 1


def test_ranks_that_do_not_see_each_other(mpi_python, program):
    # What becomes of Open MPI under the mpiexec of MPICH.
    alone = {"PMI_SIZE": "2", "MPI_LOCALNRANKS": "2"}
    ranks = [
        subprocess.Popen(
            [mpi_python, program],
            env={**os.environ, **alone, "PMI_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [rank.communicate(timeout=60.0) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [1, 1]
    assert said[1] == ("", "")
    assert "mpiexec started 2 processes, but Open MPI" in said[0][1]
    assert "sees each of them alone" in said[0][1]


def test_petsc4py_of_another_mpi(mpirun, tmp_path):
    program = tmp_path / "other.py"
    program.write_text(
        "from ablationsim.errors import LaunchError\n"
        "from ablationsim.parallel.libraries import check_petsc\n"
        "class Other:\n"
        "    Get_library_version = staticmethod(lambda: 'MPICH Version:      5.0.2\\nMPICH Device: ch4')\n"
        "try:\n"
        "    check_petsc(Other, 'mpirun started 2 processes')\n"
        "except LaunchError as error:\n"
        "    print(error)\n"
    )
    said = mpirun(1, program).stdout
    assert "linked to another MPI than mpi4py" in said
    assert "Open MPI v" in said
    assert "and MPICH Version: 5.0.2." in said


def test_python_without_petsc4py(program):
    words = ["mpirun", *(["--allow-run-as-root"] if os.geteuid() == 0 else []), "--oversubscribe", "-n", "2"]
    done = subprocess.run([*words, sys.executable, program], capture_output=True, text=True, timeout=60.0)
    assert done.returncode == 1
    (said,) = re.findall("ablationsim: .*", done.stderr)
    assert re.match(r"ablationsim: mpirun of Open MPI started 2 processes, but (mpi4py|petsc4py) cannot be used", said)
    assert "make setup-mpi" in said
