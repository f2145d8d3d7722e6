"""Programs on several ranks, with the Python of .venv-mpi, which has mpi4py and petsc4py."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PYTHON = Path(__file__).parents[2] / ".venv-mpi" / "bin" / "python"


@pytest.fixture(scope="session")
def mpi_python() -> Path:
    """The Python interpreter of the MPI environment."""
    if not PYTHON.exists() or shutil.which("mpirun") is None:
        pytest.fail(
            f"tests on several ranks need {PYTHON} and mpirun: run 'make setup-mpi', which makes the environment and, "
            "on Debian and Ubuntu, installs MPI and PETSc with apt",
            pytrace=False,
        )
    return PYTHON


@pytest.fixture(scope="session")
def mpirun(mpi_python) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python on `n` ranks to its end: ``mpirun(2, "-m", "ablationsim.cli", "run", case)`` or ``mpirun(2, file)``.

    The exit code has to be `code` (None: any). Ranks that wait for each other for ever are ended after `seconds`, and
    the test fails. Each rank has one thread; `environment` adds variables, `cwd` is the folder they run in.
    """

    def run(
        n: int,
        *words: str | Path,
        code: int | None = 0,
        seconds: float = 300.0,
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        launcher = ["mpirun", "--oversubscribe", "--timeout", f"{seconds:.0f}", "-n", str(n)]
        if os.geteuid() == 0:
            launcher.insert(1, "--allow-run-as-root")
        threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "COLUMNS": "200"}
        threads["OMPI_MCA_mpi_yield_when_idle"] = "1"  # ranks that wait let others have the core
        done = subprocess.run(
            [*launcher, str(mpi_python), *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, **threads, **(environment or {})},
            cwd=cwd,
            timeout=seconds + 30.0,  # mpirun ends its ranks before
        )
        said = f"--- printed\n{done.stdout}\n--- errors\n{done.stderr}"
        assert "time limit for job execution has been reached" not in done.stderr, (
            f"{n} ranks waited for each other:\n{said}"
        )
        assert code is None or done.returncode == code, f"{n} ranks ended with {done.returncode}:\n{said}"
        return done

    return run
