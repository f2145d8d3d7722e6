"""How this process was started: alone, or as one of the ranks of an MPI launcher, and whether MPI agrees.

When a launcher and the MPI library do not find each other, every process takes itself for the only one; all of them
would compute the whole case and write the same files. So the environment that launchers leave is held against what MPI
says, and what does not fit is refused before anything is written. Without a launcher no MPI is imported.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ablationsim.errors import LaunchError
from ablationsim.parallel.communicator import ALONE, Communicator, Ranks

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

_LINGER = 3.0
"""Seconds."""


@dataclass(frozen=True)
class Launch:
    """What a launcher has told this process.

    Attributes
    ----------
    launcher : str
        Its name, for messages.
    rank : int
        Number of this process.
    size : int or None
        How many there are; None if the launcher does not say so.
    """

    launcher: str
    rank: int
    size: int | None

    @property
    def text(self) -> str:
        """Who started how many."""
        return f"{self.launcher} started {self.size or 'several'} process{'es' if self.size != 1 else ''}"


def launched(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """The launcher that started this process; None where it was started by hand.

    A step of Slurm with one task is one process like any other. So is the script of a Slurm job, in which the number of
    tasks of the job can be read as well: only steps count.
    """

    def number(name: str) -> int:
        return int(environment.get(name, "0"))

    if "OMPI_COMM_WORLD_SIZE" in environment:
        return Launch("mpirun of Open MPI", number("OMPI_COMM_WORLD_RANK"), number("OMPI_COMM_WORLD_SIZE"))
    if "PMI_SIZE" in environment and ("MPI_LOCALNRANKS" in environment or "SLURM_STEP_NUM_TASKS" not in environment):
        return Launch("mpiexec", number("PMI_RANK"), number("PMI_SIZE"))
    if "SLURM_STEP_NUM_TASKS" in environment:
        tasks = number("SLURM_STEP_NUM_TASKS")
        return Launch("srun", number("SLURM_PROCID"), tasks) if tasks > 1 else None
    if "PMIX_RANK" in environment:
        return Launch("a launcher with PMIx", number("PMIX_RANK"), None)
    return None


def only_first_speaks() -> None:
    """Let the first rank alone print, as one process would; the errors of single ranks are said nevertheless."""
    launch = launched()
    if launch is None or launch.rank == 0:
        return
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (until the process ends)
    sys.excepthook = lambda *error: traceback.print_exception(*error, file=sys.__stderr__)


def refuse(launch: Launch, text: str) -> NoReturn:
    """End on every rank with a message that the first one says.

    Raises
    ------
    LaunchError
        On the first rank at once; on the others later, since a launcher ends the first when another one leaves.
    """
    if launch.rank > 0:
        time.sleep(_LINGER)
    raise LaunchError(text)


def start(always: bool = False) -> Communicator:
    """Join the other ranks, if a launcher has started several; call it before numba is imported.

    Parameters
    ----------
    always : bool
        Use MPI also where no launcher is to be seen, be it with one rank.

    Returns
    -------
    Communicator
        `ALONE`, or all ranks, whose MPI libraries have been found to fit each other.

    Raises
    ------
    LaunchError
        Launcher, mpi4py and petsc4py do not work together; on all ranks.
    """
    launch = launched()
    if launch is None and not always:
        return ALONE
    from ablationsim.parallel.libraries import check_petsc, import_mpi, import_petsc

    what = launch.text if launch else "The distributed engine was asked for"
    try:
        mpi = import_mpi(what)
        check_petsc(mpi, what)
        if not mpi.Is_initialized():
            if launch is not None:
                _check_process_manager(mpi, launch)
            mpi.Init_thread()
        if launch is not None:
            _check_size(mpi, launch)
    except LaunchError as error:
        if launch is None:
            raise
        refuse(launch, str(error))
    ranks = Ranks(mpi.COMM_WORLD)
    _share_cores(mpi, ranks)
    import_petsc(what)
    return ranks


def _check_process_manager(mpi: Any, launch: Launch) -> None:
    # Open MPI itself would end every rank with a page about how it was built.
    managed = any(name.startswith(("PMI", "PALS_")) for name in os.environ)
    if launch.launcher == "srun" and not managed and mpi.get_vendor()[0] == "Open MPI":
        raise LaunchError(f"{launch.text}, without an interface by which {_name(mpi)} could find them. {_cure(launch)}")


def _check_size(mpi: Any, launch: Launch) -> None:
    size = mpi.COMM_WORLD.size
    if launch.size is None or size == launch.size:
        return
    seen = "each of them alone" if size == 1 else f"{size} of them"
    raise LaunchError(
        f"{launch.text}, but {_name(mpi)}, which mpi4py in {sys.prefix} uses, sees {seen}: all would compute the same "
        f"and write the same files. {_cure(launch)}"
    )


def _cure(launch: Launch) -> str:
    if launch.launcher == "srun":
        return (
            "Start with 'srun --mpi=pmix' (Open MPI) or 'srun --mpi=pmi2' (MPICH, Intel MPI); 'srun --mpi=list' says "
            "what this Slurm has, and mpirun inside a job does without it. For runs that have nothing to do with each "
            "other, use 'srun --ntasks=1' for each."
        )
    return (
        f"Start with the mpirun or mpiexec of the MPI that mpi4py uses, or install mpi4py for the MPI of this "
        f"{launch.launcher.split()[0]}."
    )


def _name(mpi: Any) -> str:
    vendor, number = mpi.get_vendor()
    return f"{vendor} {'.'.join(map(str, number))}"


def _share_cores(mpi: Any, ranks: Ranks) -> None:
    """Take no more threads than there are cores for this rank; fewer, if that was asked for."""
    node = mpi.COMM_WORLD.Split_type(mpi.COMM_TYPE_SHARED)
    cores = len(set().union(*node.allgather(os.sched_getaffinity(0))))
    share = max(1, cores // node.size)
    node.Free()
    asked = int(os.environ.get("NUMBA_NUM_THREADS", str(share)))
    for variable in THREADS:
        os.environ[variable] = str(min(share, int(os.environ.get(variable, str(share)))))
    if ranks.any(asked > share) and ranks.rank == 0:
        print(
            f"ablationsim: {asked} threads a rank were asked for, but a node has {share} for each; it takes {share}.",
            file=sys.stderr,
        )
