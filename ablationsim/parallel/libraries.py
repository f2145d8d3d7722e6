"""mpi4py and petsc4py, imported with care: neither may be missing, and both have to speak with the same MPI."""

from __future__ import annotations

import ctypes
import os
import sys
from glob import glob
from typing import Any

from ablationsim.errors import LaunchError

_SETUP = "In a checkout, 'make setup-mpi' makes an environment, .venv-mpi, that has both; docs/cluster.md says more."


def import_mpi(what: str) -> Any:
    """`mpi4py.MPI`, which is left for the caller to initialise.

    Parameters
    ----------
    what : str
        Why it is needed, for the error message.
    """
    try:
        import mpi4py

        if "mpi4py.MPI" not in sys.modules:
            mpi4py.rc.initialize = False
            mpi4py.rc.finalize = True
        from mpi4py import MPI
    except (ImportError, OSError, RuntimeError) as error:
        raise LaunchError(
            f"{what}, but mpi4py cannot be used in {sys.prefix} ({error}). {_SETUP} To use one process, start "
            "ablationsim without the launcher."
        ) from None
    return MPI


def check_petsc(mpi: Any, what: str) -> None:
    """Hold the MPI library of petsc4py against that of mpi4py, before either is initialised."""
    try:
        import petsc4py.lib

        folder, arch = petsc4py.lib.getPathArchPETSc()
        extensions = glob(os.path.join(folder, arch, "PETSc.*so"))
        library = ctypes.CDLL(extensions[0]) if extensions else None
    except (ImportError, OSError) as error:
        raise LaunchError(
            f"{what}, but petsc4py cannot be used in {sys.prefix} ({error}). {_SETUP} On Debian and Ubuntu the package "
            "libpetsc-real-dev is needed beside python3-petsc4py, or PETSC_DIR has to name the folder of PETSc."
        ) from None
    if library is None:
        return
    theirs, ours = _mpi_of(library), mpi.Get_library_version().rstrip("\0")
    if theirs != ours:
        raise LaunchError(
            f"{what}, but petsc4py is linked to another MPI than mpi4py in {sys.prefix}: {_first_line(theirs)} and "
            f"{_first_line(ours)}. Install both for one MPI: 'pip uninstall mpi4py' where the system has an mpi4py "
            "beside its petsc4py, or 'pip install --no-binary=mpi4py mpi4py' with mpicc of PETSc's MPI first in PATH. "
            + _SETUP
        )


def import_petsc(what: str) -> Any:
    """`petsc4py.PETSc`, initialised, with real numbers."""
    import numpy as np
    from petsc4py import PETSc

    if np.issubdtype(PETSc.ScalarType, np.complexfloating):
        raise LaunchError(
            f"{what}, but PETSc of petsc4py in {sys.prefix} was built for complex numbers. A build for real numbers is "
            "needed: libpetsc-real-dev on Debian and Ubuntu, with PETSC_DIR=/usr/lib/petscdir/petsc-real if both are "
            "installed; petsc=*=real* with conda; petsc ~complex with Spack."
        )
    return PETSc


def _mpi_of(library: ctypes.CDLL) -> str:
    """Which MPI a shared library is linked to, in the words of that MPI."""
    text, length = ctypes.create_string_buffer(1 << 14), ctypes.c_int()
    library.MPI_Get_library_version(text, ctypes.byref(length))
    return text.value.decode(errors="replace")


def _first_line(version: str) -> str:
    return " ".join(version.splitlines()[0].partition(",")[0].split())
