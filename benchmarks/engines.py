"""The engines that solve the common problem: how each is started, and what it lacks where it cannot run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SYSTEM_PYTHON = Path("/usr/bin/python3")
"""The Python that Debian's packages belong to."""
PEERS = HERE / ".peers-venv"
"""Environment with wheels above Debian's packages."""
PEERS_PYTHON = PEERS / "bin" / "python"
REQUIREMENTS = ("numpy<2", "scipy", "scikit-fem", "numba", "pyamg", "pymetis", "meshio")


@dataclass(frozen=True)
class Engine:
    """One way to run the common problem.

    Attributes
    ----------
    name : str
        What the results call it.
    script : str
        The loop, from this folder.
    python : Path
        The interpreter.
    modules : tuple of str
        What must be importable there.
    hint : str
        How to get it.
    ranks : int
        Number of MPI processes; 0 for one process with threads.
    extra : tuple of str
        More arguments.
    """

    name: str
    script: str
    python: Path
    modules: tuple[str, ...]
    hint: str
    ranks: int = 0
    extra: tuple[str, ...] = ()

    def command(self, n: int, steps: int, threads: int, save: Path | None = None) -> list[str]:
        """Command line of a run on ``n`` cubes along each side."""
        start = mpi(self.ranks) if self.ranks else []
        command = [*start, str(self.python), str(HERE / self.script), "--n", str(n), "--steps", str(steps)]
        if not self.ranks:
            command += ["--threads", str(threads)]
        return [*command, *self.extra, *(["--save", str(save)] if save else [])]

    def missing(self) -> str | None:
        """Why it cannot run here, if it cannot."""
        if not (HERE / self.script).is_file():
            return f"no {self.script}"
        if self.ranks and not shutil.which("mpirun"):
            return f"no mpirun; {self.hint}"
        if not self.python.is_file():
            return f"no {self.python.name} in {self.python.parent}; {self.hint}"
        code = "; ".join(f"import {module}" for module in self.modules)
        tried = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=False)
        if tried.returncode:
            return f"{(tried.stderr.strip().splitlines() or ['it does not start'])[-1]}; {self.hint}"
        return None


def mpi(ranks: int) -> list[str]:
    """Launcher of a number of processes."""
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return ["mpirun", *as_root, "-n", str(ranks)]


def install_peers() -> None:
    """Make the environment of the loop over petsc4py, above Debian's packages.

    Raises
    ------
    subprocess.CalledProcessError
        If a command fails.
    """
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--system-site-packages", PEERS], check=True)
    subprocess.run([PEERS_PYTHON, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)


_OWN = Path(sys.executable)
_DOLFINX = (SYSTEM_PYTHON, ("dolfinx",), "apt-get install --no-install-recommends python3-dolfinx-real")
_PETSC = (
    PEERS_PYTHON,
    ("petsc4py", "numba", "pymetis"),
    "apt-get install --no-install-recommends python3-dolfinx-real python3-venv, then benchmarks/run --install-peers",
)

OWN = Engine("own", "own_loop.py", _OWN, ("ablationsim",), "make setup")
SCIKIT_FEM = Engine("scikit_fem", "peers/scikit_fem_loop.py", _OWN, ("skfem", "pyamg"), "make setup")
SCIKIT_FEM_LEAN = Engine(
    "scikit_fem_one_point", "peers/scikit_fem_loop.py", _OWN, ("skfem", "pyamg"), "make setup", 0, ("--intorder", "1")
)


def dolfinx(ranks: int, preconditioner: str = "hypre") -> Engine:
    """Plain dolfinx with a preconditioner of the potential on some ranks."""
    name = f"dolfinx_{ranks}" if preconditioner == "hypre" else f"dolfinx_{preconditioner}_{ranks}"
    return Engine(name, "peers/dolfinx_loop.py", *_DOLFINX, ranks, ("--pc", preconditioner))


def petsc(ranks: int, preconditioner: str = "gamg") -> Engine:
    """The distributed loop on some ranks."""
    name = f"petsc_{ranks}" if preconditioner == "gamg" else f"petsc_{preconditioner}_{ranks}"
    return Engine(name, "peers/petsc_loop.py", *_PETSC, ranks, ("--pc", preconditioner))


def loops(ranks: Sequence[int]) -> list[Engine]:
    """Those that are held against one another, on one rank and on as many as there are threads."""
    return [OWN, *(dolfinx(number) for number in ranks), *(petsc(number) for number in ranks)]
