"""Conjugate gradients preconditioned by the diagonal, for the heat equation: in one process, or over ranks.

In one process in single precision, which halves what has to be moved. Over ranks in double precision: the iterates then
are the same on any number of ranks but for rounding in the last digits, since the preconditioner does not know of
ranks, and so are the decisions that hang on them.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ablationsim.fem.hierarchy import Hierarchy
from ablationsim.fem.krylov import correction
from ablationsim.fem.pattern import Pattern
from ablationsim.fem.products import advance, product, scaled, turn
from ablationsim.fem.stiffness import Singles
from ablationsim.mesh.distribution import Distribution

Values = NDArray[np.floating]


class System(NamedTuple):
    """The matrix ``scale off + diag(diagonal)``.

    Attributes
    ----------
    pattern : Pattern
        Of all nodes of a rank.
    off : single precision
        Values off the diagonal, in the order of the pattern's indices.
    scale : float
        Factor on them.
    diagonal, inverse : arrays
        Of its own nodes, in the precision of the solver.
    """

    pattern: Pattern
    off: Singles
    scale: float
    diagonal: Values
    inverse: Values


class JacobiCG(Protocol):
    """Solver for corrections ``e`` with ``A e = r``, from zero.

    Attributes
    ----------
    precision : type
        Of the vectors that `correct` works on.
    """

    precision: type[np.floating]

    def correct(self, system: System, r: Values, e: Values, goal: float, limit: int) -> bool:
        """Solve until the residual, which ``r`` becomes, has fallen to ``goal`` in the norm of the preconditioner.

        Vectors are those of the own nodes. Returns whether ``limit`` iterations sufficed.
        """


class SingleJacobiCG:
    """The solver of one process, in single precision."""

    precision: type[np.floating] = np.float32

    def correct(self, system: System, r: Values, e: Values, goal: float, limit: int) -> bool:
        """See `JacobiCG`."""
        pattern, off, scale, diagonal, inverse = system
        none = Hierarchy.none()
        done = correction(pattern.indptr, pattern.indices, off, scale, diagonal, inverse, none, r, e, goal, True, limit)
        return bool(done >= 0)


class SharedJacobiCG:
    """The solver over ranks, in double precision.

    Parameters
    ----------
    distribution : Distribution
        Of the nodes.
    """

    precision: type[np.floating] = np.float64

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution

    def correct(self, system: System, r: Values, e: Values, goal: float, limit: int) -> bool:
        """See `JacobiCG`."""
        pattern, off, scale, diagonal, inverse = system
        update, total = self._distribution.update, self._distribution.comm.sum
        z, q, p = np.empty_like(r), np.empty_like(r), np.zeros(len(pattern.upper))
        own = self._distribution.own(p)
        e[:] = 0.0
        rz, first = 1.0, 0.0
        for iteration in range(limit):
            rz_new = total(float(scaled(inverse, r, z)))
            if iteration == 0:
                first = rz_new
            if rz_new <= goal * goal * first:
                return True
            turn(rz_new / rz if iteration > 0 else 0.0, z, own)
            rz = rz_new
            update(p)
            curvature = total(float(product(pattern.indptr, pattern.indices, off, scale, diagonal, p, q)))
            # Also when one of them is not a number.
            if not (rz > 0.0 and curvature > 0.0):
                return False
            advance(rz / curvature, own, q, e, r)
        return False


def jacobi_cg(distribution: Distribution) -> JacobiCG:
    """The solver for nodes that are distributed like this."""
    return SharedJacobiCG(distribution) if distribution.parted else SingleJacobiCG()
