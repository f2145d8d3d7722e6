"""Gmsh, opened for one mesh and closed again.

Gmsh is a separate program under the GPL; it is imported only when a mesh is made.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import MeshError

#: Debian and Ubuntu packages that hold the system libraries of gmsh's wheel.
SYSTEM_PACKAGES = "libglu1-mesa libxcursor1 libxft2 libxinerama1 libxfixes3 libxrender1 libgomp1"

#: Gmsh works in millimetres, where its geometric tolerances are meant to hold.
MILLIMETRE = 1e-3

# Everything that could make two runs differ is fixed: one thread, a fixed seed, named algorithms.
OPTIONS = {
    "General.Terminal": 0,
    "General.NumThreads": 1,
    "Mesh.RandomSeed": 1,
    "Mesh.RandomFactor": 1e-9,
    "Mesh.RandomFactor3D": 1e-12,
    "Mesh.Algorithm": 6,
    "Mesh.Algorithm3D": 10,
    "Mesh.Optimize": 1,
    "Mesh.OptimizeNetgen": 0,
    "Mesh.OptimizeThreshold": 0.2,
    "Mesh.MeshSizeExtendFromBoundary": 0,
    "Mesh.MeshSizeFromPoints": 0,
    "Mesh.MeshSizeFromCurvature": 0,
}


@contextmanager
def gmsh_session() -> Iterator[ModuleType]:
    """Open gmsh quietly with an empty model and close it at the end, come what may.

    Yields
    ------
    module
        The gmsh module.

    Raises
    ------
    MeshError
        When gmsh or one of its system libraries is missing, or when gmsh reports an error inside the block.
    """
    try:
        import gmsh
    except (ImportError, OSError) as error:
        raise MeshError(
            f"gmsh, which makes the meshes, cannot be loaded: {error}. Install it with 'pip install gmsh'; "
            f"on Debian or Ubuntu it also needs 'apt-get install {SYSTEM_PACKAGES}'."
        ) from error
    with _signals_kept():
        gmsh.initialize(readConfigFiles=False, interruptible=False)
    try:
        for option, value in OPTIONS.items():
            gmsh.option.setNumber(option, value)
        gmsh.model.add("tissue")
        yield gmsh
    except Exception as error:
        # Gmsh raises Exception itself and no class of its own; whatever is more specific is not gmsh's.
        if type(error) is not Exception:
            raise
        raise MeshError(f"gmsh could not make the mesh: {error}. A smaller mesh resolution often cures it.") from error
    finally:
        gmsh.finalize()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Undo what gmsh does to the process: it gives SIGTERM and SIGPIPE back their default, which is to end it."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGPIPE)}
    try:
        yield
    finally:
        # Only the main thread may set handlers, and only there do they run.
        if threading.current_thread() is threading.main_thread():
            for number, handler in kept.items():
                signal.signal(number, handler)


def collect(gmsh: ModuleType, dimension: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return the nodes (n, dimension) in metres and the positively oriented simplices of gmsh's current mesh.

    Nodes that belong to no simplex are left out.

    Raises
    ------
    MeshError
        When there are no simplices or one has no volume.
    """
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    triangle, tetrahedron = 2, 4
    _, corners = gmsh.model.mesh.getElementsByType(triangle if dimension == 2 else tetrahedron)
    if not len(corners):
        raise MeshError("gmsh made a mesh without elements.")
    used, cells = np.unique(np.asarray(corners), return_inverse=True)
    cells = cells.reshape(-1, dimension + 1)
    order = np.argsort(tags)
    rows = order[np.searchsorted(tags, used, sorter=order)]
    points = MILLIMETRE * np.asarray(coordinates).reshape(-1, 3)[rows, :dimension]
    size = np.linalg.det(points[cells[:, 1:]] - points[cells[:, :1]])
    if (size == 0).any():
        raise MeshError("gmsh made elements without volume. A smaller mesh resolution often cures it.")
    inverted = size < 0
    cells[inverted, -2:] = cells[inverted, :-3:-1]
    return points, cells.astype(np.int32)
