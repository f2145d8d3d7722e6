"""Starting the program: on ranks by whatever launcher there is, or in one process."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROGRAM = HERE / "program.py"
MPI_PYTHON = HERE.parents[1] / ".venv-mpi" / "bin" / "python"
Results = dict[str, Any]


class Failed(Exception):
    """A measurement ended without a result."""


def cores() -> int:
    """Cores that this process, or the job of Slurm that it is in, may use."""
    return int(os.environ.get("SLURM_NTASKS", len(os.sched_getaffinity(0))))


@dataclass(frozen=True)
class Launcher:
    """How ranks are started.

    Attributes
    ----------
    words : tuple of str
        Command line before the program, with ``{ranks}`` for their number.
    crowded : tuple of str
        The same for more ranks than cores; empty if it cannot do that.
    python : Path
        Interpreter with mpi4py and petsc4py.
    """

    words: tuple[str, ...]
    crowded: tuple[str, ...]
    python: Path

    @classmethod
    def found(cls, given: str | None, python: Path | None) -> Launcher:
        """The one that is given, ``srun`` in a job of Slurm, or ``mpirun``.

        Raises
        ------
        Failed
            If there is none.
        """
        python = python or (MPI_PYTHON if MPI_PYTHON.exists() else Path(sys.executable))
        if given:
            words = tuple(shlex.split(given))
            return cls(words, words, python)
        if "SLURM_JOB_ID" in os.environ and shutil.which("srun"):
            return cls(("srun", "--mpi=pmix", "-n", "{ranks}"), (), python)
        if not shutil.which("mpirun"):
            raise Failed("there is no mpirun here: load the module of an MPI, or name a launcher with --launcher")
        words = ("mpirun", "-n", "{ranks}")
        version = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=False).stdout
        if "Open MPI" not in version:
            return cls(words, words, python)
        root = ("--allow-run-as-root",) if os.geteuid() == 0 else ()
        return cls((words[0], *root, *words[1:]), (words[0], *root, "--oversubscribe", *words[1:]), python)

    def command(self, ranks: int) -> list[str]:
        """Command line of the program on some ranks."""
        words = self.words if ranks <= cores() else self.crowded
        if not words:
            raise Failed(f"{ranks} ranks are more than the {cores()} tasks of this job")
        return [*(word.format(ranks=ranks) for word in words), str(self.python), str(PROGRAM)]

    def shared(self, ranks: int, n: int, *words: str) -> Results:
        """Run the distributed engine on a block of ``n`` cubes along each side."""
        return _measure([*self.command(ranks), "--n", str(n), *words], 1)

    def alone(self, threads: int, n: int, *words: str) -> Results:
        """Run the in-process engine with some threads."""
        return _measure([str(self.python), str(PROGRAM), "--engine", "in-process", "--n", str(n), *words], threads)


def _measure(command: Sequence[str], threads: int) -> Results:
    """Run a command, and return what its last line says.

    Raises
    ------
    Failed
        With the end of what it printed, if it fails or prints no result.
    """
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **single, "NUMBA_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed("\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]))
    try:
        answer: Results = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as error:
        raise Failed(f"{shlex.join(command)} printed no result") from error
    return answer
