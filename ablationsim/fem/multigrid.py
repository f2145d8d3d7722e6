"""Solver for a sequence of similar systems: conjugate gradients preconditioned by multigrid."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ablationsim.errors import SolverError
from ablationsim.fem.hierarchy import Hierarchy, build
from ablationsim.fem.kernels import Array
from ablationsim.fem.krylov import solve
from ablationsim.fem.pattern import Pattern, neighbour_counts
from ablationsim.fem.stiffness import Matrix

_LIMIT = 200  # iterations


class MultigridCG:
    """Solver for a sequence of similar symmetric positive definite systems on one pattern.

    The finest level of the hierarchy is always the current matrix, so that the smoother knows of every jump that the
    coefficient has made since; the coarse levels are kept while they serve and are rebuilt when the iterations exceed
    one and a half times those right after the last build.

    Nodes whose diagonal is zero are held: they keep their value in ``x``, and what they lend to others counts.

    Parameters
    ----------
    pattern : Pattern
        Of all matrices.
    """

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self._hierarchy: Hierarchy | None = None
        self._weight = 1.0
        self.iterations_when_fresh = 0
        self.iterations = 0
        self.builds = 0

    def build(self, matrix: Matrix) -> None:
        """Build the coarse levels from a matrix."""
        self._hierarchy, self._weight = build(self._full(matrix))
        self.iterations_when_fresh = 0
        self.builds += 1

    def _full(self, matrix: Matrix) -> sparse.csr_array:
        """The matrix with its diagonal, in single precision; nodes that are held stand alone."""
        free, n = matrix.diagonal != 0.0, len(matrix.diagonal)
        rows = np.repeat(np.arange(n, dtype=np.int32), neighbour_counts(self.pattern))
        columns = self.pattern.indices.astype(np.int32)
        # Couplings that happen to vanish stay: with them aggregates are larger.
        kept = free[rows] & free[columns]
        every = np.arange(n, dtype=np.int32)
        values = np.concatenate([matrix.off[kept], np.where(free, matrix.diagonal, 1.0).astype(np.float32)])
        places = (np.concatenate([rows[kept], every]), np.concatenate([columns[kept], every]))
        return sparse.csr_array((values, places), shape=(n, n))

    @property
    def worn(self) -> bool:
        """Whether the coarse levels have aged so much that new ones pay."""
        return self._hierarchy is None or self.iterations > 1.5 * self.iterations_when_fresh + 3

    def solve(self, matrix: Matrix, rhs: Array, x: Array, target: float) -> int:
        """Improve ``x`` in place until the Euclidean norm of the residual is at most ``target``.

        Returns the number of iterations.

        Raises
        ------
        SolverError
            If 200 iterations do not suffice.
        """
        if self._hierarchy is None:
            self.build(matrix)
        assert self._hierarchy is not None
        weight = np.zeros(len(x), np.float32)
        np.divide(self._weight, matrix.diagonal, out=weight, where=matrix.diagonal != 0.0, casting="same_kind")
        self.iterations = solve(self.pattern, matrix, weight, self._hierarchy, rhs, x, target, _LIMIT)
        if self.iterations < 0:
            raise SolverError(
                "The linear solver did not converge in 200 iterations. The mesh may hold badly shaped elements or the "
                "conductivity may span too many orders of magnitude; try a finer mesh resolution."
            )
        if self.iterations_when_fresh == 0:
            self.iterations_when_fresh = max(self.iterations, 4)
        return self.iterations

    def close(self) -> None:
        """There is nothing to free outside Python's memory."""
