"""The examination of an installation that has MPI and PETSc."""

import os
import subprocess


def test_doctor_tries_two_ranks(mpi_python):
    done = subprocess.run(
        [mpi_python, "-m", "ablationsim.cli", "doctor"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        timeout=600.0,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line[4:40].strip(): line for line in done.stdout.splitlines()}
    assert "Open MPI" in lines["MPI and PETSc"]
    assert "real numbers, with hypre" in lines["MPI and PETSc"]
    assert "°C at most, as in one process" in lines["trial on two ranks"]
