"""The problem that every engine of the benchmark solves: radiofrequency heating of a block, once for all of them.

A cube of 10 cm in linear tetrahedra, an electrode in its middle at 25 V against the grounded surface, conductivities
that follow the temperature, perfused tissue that starts at 37 degC, backward-Euler steps. Each step takes the
conductivities at the old temperature (per element the mean over its four nodes), solves ``div(sigma grad V) = 0``,
heats each element by ``sigma |grad V|^2``, and solves the bioheat equation with lumped mass. Needs NumPy alone: the
peers run in environments of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Number = TypeVar("Number", float, npt.NDArray[np.float64])
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

SIDE = 0.1
"""Side of the block [m]."""
ELECTRODE = (2.2e-3, 2.2e-3, 10.9e-3)
"""Half sides of the box whose nodes are the electrode [m]."""
VOLTAGE = 25.0
"""Potential of the electrode; the surface of the block is grounded [V]."""
STEP = 2.0
"""Time step [s]."""
STEPS = 20
BODY = 37.0
"""Temperature at the start and of the blood [degC]."""
HEAT_CAPACITY = 1060.0 * 3600.0
"""Volumetric heat capacity of the tissue [J/m3/K]."""
PERFUSION = 0.0064 * 1050.0 * 3617.0
"""Heat that the blood takes [W/m3/K]."""
TOLERANCE = 1e-8
"""Residual of the linear solves over the free nodes, relative to the right-hand side, unpreconditioned, 2-norm.

For V the right-hand side is the lifted one; the bioheat equation is solved for ``theta = T - BODY``.
"""
CLIP = (20.0, 95.0)
"""Temperatures within which the laws vary [degC]."""


def electric_conductivity(temperature: Number) -> Number:
    """Law of sigma [S/m] of the temperature [degC]."""
    return 0.14 * (1.0 + 0.015 * (np.clip(temperature, *CLIP) - BODY))


def heat_conductivity(temperature: Number) -> Number:
    """Law of k [W/m/K] of the temperature [degC]."""
    return 0.51 * (1.0 + 0.0025 * (np.clip(temperature, *CLIP) - BODY))


@dataclass(frozen=True)
class Problem:
    """Mesh and fixed nodes.

    Attributes
    ----------
    points : array, shape (n, 3)
        Coordinates of the nodes [m].
    cells : int32 array, shape (m, 4)
        Nodes of the tetrahedra, those of a cube of the grid one after the other.
    electrode, outer : int32 array
        Nodes at `VOLTAGE`, and nodes of the surface, at 0 V.
    """

    points: Floats
    cells: Ints
    electrode: Ints
    outer: Ints


#: The six tetrahedra of a cube by its corners, the cut of ``skfem.MeshTet.init_tensor``.
_CUT = ((0, 1, 5, 7), (0, 1, 4, 7), (0, 2, 4, 7), (0, 3, 5, 7), (0, 2, 6, 7), (0, 3, 6, 7))


def make(n: int) -> Problem:
    """The problem on ``n`` cubes along each side, each cut into six tetrahedra.

    Parameters
    ----------
    n : int
        Even, so that nodes lie on the axes of the block.

    Returns
    -------
    Problem
        ``(n + 1)**3`` nodes and ``6 n**3`` tetrahedra. Of the coordinates y runs fastest, then x, then z, as in
        scikit-fem's grid.

    Raises
    ------
    ValueError
        If `n` is odd or not positive.
    """
    if n < 2 or n % 2:
        raise ValueError(f"an even number of cubes is wanted, not {n}")
    nodes = n + 1
    axis = np.linspace(-SIDE / 2.0, SIDE / 2.0, nodes)
    grid = np.empty((nodes, nodes, nodes, 3))
    grid[..., 0], grid[..., 1], grid[..., 2] = axis[None, :, None], axis[None, None, :], axis[:, None, None]
    points: Floats = grid.reshape(-1, 3)
    corner = np.arange(n, dtype=np.int32)
    first = (corner[:, None, None] * nodes + corner[:, None]) * nodes + corner
    y, x, z = 1, nodes, nodes * nodes
    shifts = (0, y, x, z, x + y, y + z, x + z, x + y + z)
    cut = np.array([[shifts[corner] for corner in tetrahedron] for tetrahedron in _CUT], dtype=np.int32)
    cells = (first.reshape(-1, 1, 1) + cut).reshape(-1, 4)
    near = np.abs(points)
    electrode = np.flatnonzero((near <= np.array(ELECTRODE) + 1e-9).all(axis=1)).astype(np.int32)
    outer = np.flatnonzero((near >= SIDE / 2.0 - 1e-9).any(axis=1)).astype(np.int32)
    return Problem(points, cells, electrode, outer)
