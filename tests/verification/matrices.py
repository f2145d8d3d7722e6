"""Matrices of a space as SciPy arrays, in double precision."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ablationsim.fem.kernels import Array
from ablationsim.fem.space import P1Space
from ablationsim.fem.stiffness import Addition, as_csr


def stiffness(space: P1Space, coefficient: Array | float, addition: Addition | None = None) -> sparse.csr_array:
    """Stiffness matrix for a coefficient, one number or one for each element, with what is added to it."""
    values = np.broadcast_to(np.asarray(coefficient, dtype=float), len(space.mesh.cells)).copy()
    return as_csr(space.scatter.pattern, space.scatter.matrix(values, addition))
