"""What this installation can do: libraries, system libraries, and small runs that prove it."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablationsim.errors import AblationSimError, SolverError

if TYPE_CHECKING:
    from ablationsim.results import Result

_PACKAGES = (
    "numpy", "scipy", "scikit-fem", "numba", "pyamg", "gmsh", "meshio", "matplotlib", "pydantic", "pint", "jinja2",
    "pyvista", "nibabel", "SimpleITK",
)  # fmt: skip
_SYSTEM = (
    (
        "system libraries of gmsh",
        ("libGL.so.1", "libGLU.so.1", "libXcursor.so.1", "libXft.so.2", "libXinerama.so.1"),
        "libgl1 libglu1-mesa libxcursor1 libxft2 libxinerama1",
    ),
    ("system libraries of pictures in space", ("libEGL.so.1",), "libegl1 libgl1-mesa-dri"),
)
"""What needs them, the libraries, and the packages of Debian and Ubuntu that bring them."""

_PROFILE = "rfa_cooltip_17g_3cm_like"
_PATIENCE = 300.0  # s for the two ranks, which may have to compile


@dataclass(frozen=True)
class Finding:
    """One line of the examination: what was looked for, what was found, and how to mend it."""

    name: str
    ok: bool
    found: str
    cure: str = ""


def examine() -> list[Finding]:
    """Look at the installation; the last findings come from runs, which also compile the kernels for later ones."""
    return [
        *_libraries(),
        *_system(),
        _tried("device profiles", _profiles),
        _tried("trial run", lambda: _trial_run(_PROFILE, "RFA")),
        _tried("trial run", lambda: _trial_run("mwa_slot_reference", "MWA")),
        *_ranks(),
    ]


def _libraries() -> Iterator[Finding]:
    good = sys.version_info >= (3, 11)
    yield Finding("Python", good, platform.python_version(), "" if good else "install Python 3.11 or newer")
    for name in _PACKAGES:
        found = _version(name)
        yield Finding(name, found is not None, found or "not installed", "" if found else f"pip install {name}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _system() -> Iterator[Finding]:
    for title, libraries, packages in _SYSTEM:
        missing = [name for name in libraries if not _loads(name)]
        text = "not found: " + ", ".join(missing) if missing else "all found"
        yield Finding(title, not missing, text, f"Debian and Ubuntu: apt-get install {packages}" if missing else "")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _tried(name: str, trial: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, trial())
    except (AblationSimError, ImportError, OSError) as error:
        return Finding(name, False, str(error), "install ablationsim again; if that does not help, report this line")


def _profiles() -> str:
    from ablationsim.device import Device
    from ablationsim.tissue import Tissue

    names = Device.names()
    for name in names:
        Device.load(name)
    return f"{len(names)} devices, {len(Tissue.names())} tissue sets"


def _trial_run(profile: str, kind: str) -> str:
    result = _trial(profile)
    closes = result.document["energy_balance"]["relative_error"]
    return f"2 s of {kind} on {len(result.mesh.points)} nodes, energy balance closes to {100 * closes:.1g} %"


def _trial(profile: str, **options: Any) -> Result:
    import ablationsim

    case = ablationsim.Case.from_dict(
        {
            "device": {"profile": profile},
            "protocol": [{"mode": "power", "power": "50 W", "duration": "2 s"}],
            "tissue": {"set": "liver_porcine_ex_vivo"},
            "zone": {"cooling": "0 s"},
            "mesh": {"resolution": 3.0},
        }
    )
    return ablationsim.simulate(case, **options)


def _ranks() -> Iterator[Finding]:
    """What runs on several ranks need, if it is there: one process does without."""
    versions = {name: _version(name) for name in ("mpi4py", "petsc4py", "pymetis")}
    missing = [name for name in ("mpi4py", "petsc4py") if versions[name] is None]
    if missing:
        without = f"not installed: {', '.join(missing)}"
        yield Finding("several ranks (MPI)", True, without, "only to run one case on several ranks: make setup-mpi")
        return
    for name, found in versions.items():
        yield Finding(name, found is not None, found or "not installed", "" if found else f"pip install {name}")
    # In processes of their own: MPI may end one that it does not like.
    libraries = _told([], "MPI and PETSc", lambda told: told["libraries"])
    yield libraries
    launcher = _launcher()
    if launcher is None:
        cure = "load the MPI module of this cluster, or try in a job: srun --mpi=pmix -n 2 ablationsim run CASE"
        yield Finding("trial on two ranks", True, "not tried: neither mpirun nor mpiexec is in PATH", cure)
    elif libraries.ok:
        yield _told([launcher, "-n", "2"], "trial on two ranks", _compared)


def _launcher() -> str | None:
    beside = Path(sys.prefix, "bin", "mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpirun") or shutil.which("mpiexec")


def _told(launcher: list[str], name: str, read: Callable[[dict[str, Any]], str]) -> Finding:
    """What the first rank says about itself."""
    # Nothing of a launcher that the doctor itself may have been started by. Two ranks on one core, and as root, are
    # only refused because they are seldom meant.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "OMPI_COMM_WORLD", "SLURM_"))}
    allowed = {"OMPI_MCA_rmaps_base_oversubscribe": "1", "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    if os.geteuid() == 0:
        allowed |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    words = [*launcher, sys.executable, "-c", "from ablationsim.doctor import tell; tell()"]
    cure = "see the table at the end of docs/cluster.md"
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**inherited, **allowed, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return Finding(name, False, f"'{' '.join(words)}' did not end within {_PATIENCE:g} s", cure)
    if done.returncode == 0:
        try:
            return Finding(name, True, read(json.loads(done.stdout.splitlines()[-1])))
        except AblationSimError as error:
            return Finding(name, False, str(error), cure)
    said = [line for line in done.stderr.splitlines() if line.startswith("ablationsim: ")]
    return Finding(name, False, said[0].removeprefix("ablationsim: ") if said else done.stderr.strip(), cure)


def tell() -> None:
    """Print, on the first of the ranks that run this, what it finds: the libraries, and of several ranks a trial."""
    from ablationsim.parallel import start, together
    from ablationsim.parallel.launcher import only_first_speaks

    only_first_speaks()
    try:
        comm = start(always=True)
        with together(comm):
            found = {"libraries": _mpi_and_petsc()} if comm.size == 1 else _summary(_trial(_PROFILE, comm=comm))
    except AblationSimError as error:
        sys.exit(f"ablationsim: {error}")
    print(json.dumps(found))


def _mpi_and_petsc() -> str:
    from mpi4py import MPI
    from petsc4py import PETSc

    name, number = MPI.get_vendor()
    has = "with" if PETSc.Sys.hasExternalPackage("hypre") else "without"
    mpi, petsc = (".".join(map(str, digits)) for digits in (number, PETSc.Sys.getVersion()))
    return f"{name} {mpi}; PETSc {petsc}, real numbers, {has} hypre"


def _summary(result: Result) -> dict[str, Any]:
    return {"nodes": result.record["nodes"], "hottest": float(result.history["max_temperature_c"][-1])}


def _compared(told: dict[str, Any]) -> str:
    alone = _summary(_trial(_PROFILE))
    if told["nodes"] != alone["nodes"] or abs(told["hottest"] - alone["hottest"]) > 0.05:
        raise SolverError(f"two ranks find {told}, one process finds {alone}")
    return f"2 s of RFA on {told['nodes']} nodes: {told['hottest']:.1f} °C at most, as in one process"
