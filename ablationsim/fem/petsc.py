"""Multigrid over ranks: PETSc's conjugate gradients on the rows that this process assembled.

PETSc gets arrays of this process and never assembles anything itself. What it solves for is the correction to a first
guess, so that nodes that are held need no place in the right-hand side, and so that the size of the residual means the
same as in one process. Its options can be set as usual, with the prefix ``electric_`` (``PETSC_OPTIONS``): its own
aggregation multigrid is the default, which was faster on this problem than BoomerAMG; that is had by
``-electric_pc_type hypre``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ablationsim.errors import SolverError
from ablationsim.fem.kernels import Array
from ablationsim.fem.pattern import Pattern
from ablationsim.fem.products import residual
from ablationsim.fem.stiffness import Matrix
from ablationsim.mesh.distribution import Distribution
from ablationsim.parallel import Ranks

PREFIX = "electric_"
_OPTIONS = {
    "ksp_type": "cg",
    "pc_type": "gamg",
    # Without the threshold, connections that are zero but for rounding count as connections.
    "pc_gamg_threshold": 0.02,
    "pc_gamg_square_graph": 2,
}
_LIMIT = 500  # iterations
_ATTEMPTS = 3
_WORN = 1.4  # times the iterations of a new hierarchy, at which it is built anew


class PetscCG:
    """Solver for a sequence of similar symmetric positive definite systems on one distributed pattern.

    The counterpart of `ablationsim.fem.multigrid.MultigridCG`. The hierarchy is kept while it serves.

    Parameters
    ----------
    pattern : Pattern
        Of all matrices, over the nodes of this rank with its ghosts.
    distribution : Distribution
        Of the nodes over ranks.

    Attributes
    ----------
    iterations, iterations_when_fresh : int
        Of the last solution, and of the first one with the present hierarchy.
    """

    def __init__(self, pattern: Pattern, distribution: Distribution) -> None:
        from petsc4py import PETSc

        assert isinstance(distribution.comm, Ranks)
        self._pattern, self._distribution = pattern, distribution
        self.iterations = self.iterations_when_fresh = self.builds = 0
        comm, n = distribution.comm.comm, len(pattern.upper)
        own = len(distribution.own(np.empty(n)))
        self._rows = _Rows(pattern, distribution, own, PETSc.IntType)
        rows = self._rows
        self._inner, self._outer = np.zeros(len(rows.inner_source)), np.zeros(len(rows.outer_source))
        inside = (rows.inner_start, rows.inner_column, self._inner)
        # PETSc works on these arrays, and writes its own numbers over the columns.
        self._kept = (rows.outer_start, rows.outer_column, self._outer)
        blocks = (inside, self._kept) if comm.size > 1 else inside
        self._matrix = PETSc.Mat().createAIJWithArrays(((own, None), (own, None)), blocks, comm=comm)
        self._matrix.setOption(PETSc.Mat.Option.SPD, True)
        self._right, self._change = self._matrix.createVecRight(), self._matrix.createVecRight()
        self._solver = PETSc.KSP().create(comm)
        self._solver.setOptionsPrefix(PREFIX)
        options = PETSc.Options()
        for name, value in _OPTIONS.items():
            if PREFIX + name not in options:
                options[PREFIX + name] = value
        self._solver.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        self._solver.setOperators(self._matrix)
        self._solver.setFromOptions()

    @property
    def worn(self) -> bool:
        """Whether the hierarchy has aged so much that a new one pays."""
        return self.builds == 0 or self.iterations > _WORN * self.iterations_when_fresh + 1

    def build(self, matrix: Matrix) -> None:
        """Build the hierarchy from a matrix."""
        self._assign(matrix)
        self._solver.getPC().setReusePreconditioner(False)
        self._solver.setUp()
        self._solver.getPC().setReusePreconditioner(True)
        self.iterations_when_fresh = 0
        self.builds += 1

    def _assign(self, matrix: Matrix) -> None:
        rows = self._rows
        free = matrix.diagonal != 0.0
        # Whether a ghost is held is for its owner to say.
        self._distribution.update(free)
        fill_block(rows.inner_row, rows.inner_node, rows.inner_source, matrix.off, matrix.diagonal, free, self._inner)
        fill_block(rows.outer_row, rows.outer_node, rows.outer_source, matrix.off, matrix.diagonal, free, self._outer)
        self._matrix.stateIncrease()
        self._matrix.assemble()

    def solve(self, matrix: Matrix, rhs: Array, x: Array, target: float) -> int:
        """Improve ``x`` in place until the Euclidean norm of the residual is at most ``target``.

        Returns the number of iterations.

        Raises
        ------
        SolverError
            If PETSc does not get there.
        """
        distribution, pattern = self._distribution, self._pattern
        own = distribution.own
        if self.builds == 0:
            self.build(matrix)
        else:
            self._assign(matrix)
        self.iterations = 0
        for _ in range(_ATTEMPTS):
            right = self._right.array
            square = residual(
                pattern.indptr, pattern.indices, matrix.off, 1.0, own(matrix.diagonal), own(rhs), x, right
            )
            size = float(np.sqrt(distribution.comm.sum(float(square))))
            if size <= target:
                break
            # What rounding leaves of a residual that is summed up in another order must not count.
            self._solver.setTolerances(rtol=1e-50, atol=0.9 * target, divtol=1e10, max_it=_LIMIT)
            self._solver.solve(self._right, self._change)
            self.iterations += self._solver.getIterationNumber()
            if self._solver.getConvergedReason() < 0:
                raise SolverError(
                    f"PETSc's solver for the electric potential stopped after {self.iterations} iterations "
                    f"(reason {self._solver.getConvergedReason()}). The mesh may hold badly shaped elements; try a "
                    f"finer mesh resolution, or another preconditioner by PETSC_OPTIONS='-{PREFIX}pc_type hypre'."
                )
            own(x)[:] += self._change.array
            distribution.update(x)
        else:
            raise SolverError(
                f"The residual of the electric potential stays above {target:.2g} A after {self.iterations} iterations "
                "of PETSc: rounding is larger than that. The conductivity spans too many orders of magnitude."
            )
        if self.iterations_when_fresh == 0:
            self.iterations_when_fresh = max(self.iterations, 4)
        return self.iterations

    def close(self) -> None:
        """Free what PETSc holds. All ranks have to do so at the same point, which garbage collection would not."""
        for thing in (self._solver, self._matrix, self._right, self._change):
            thing.destroy()


class _Rows:
    """Places of the values of a rank's rows in PETSc's two blocks: columns of its own nodes, and of ghosts.

    Of each value of a block there are its row, the node of its column, where it stands off the diagonal (or -1 for on
    it), and its column as PETSc counts.
    """

    def __init__(self, pattern: Pattern, distribution: Distribution, own: int, integer: Any) -> None:
        assert isinstance(distribution.comm, Ranks)
        n = len(pattern.upper)
        first = int(distribution.comm.comm.exscan(own) or 0)
        number = np.full(n, -1, dtype=np.int64)
        number[:own] = first + np.arange(own)
        distribution.update(number)
        indptr = pattern.indptr[: own + 1].astype(np.int64)
        every = np.arange(own)
        row = np.concatenate([np.repeat(every, np.diff(indptr)), every])
        node = np.concatenate([pattern.indices[: indptr[-1]].astype(np.int64), every])
        source = np.concatenate([np.arange(indptr[-1]), np.full(own, -1)])
        order = np.lexsort((number[node], row))
        row, node, source = row[order], node[order], source[order]
        inner = node < own
        self.inner_row, self.inner_node, self.inner_source = (_wide(a[inner]) for a in (row, node, source))
        self.outer_row, self.outer_node, self.outer_source = (_wide(a[~inner]) for a in (row, node, source))
        self.inner_start, self.outer_start = (_starts(r, own, integer) for r in (self.inner_row, self.outer_row))
        self.inner_column = self.inner_node.astype(integer)
        self.outer_column = number[self.outer_node].astype(integer)


def _wide(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.ascontiguousarray(numbers, dtype=np.int64)


def _starts(rows: NDArray[np.int64], own: int, integer: Any) -> NDArray[np.integer]:
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=own))]).astype(integer)


@njit(cache=True)
def fill_block(row, node, source, off, diagonal, free, values):
    """Values of a block; rows and columns of nodes that are not free are those of the identity."""
    for k in range(len(values)):
        i, j, s = row[k], node[k], source[k]
        if s < 0:
            values[k] = diagonal[i] if free[i] else 1.0
        else:
            values[k] = off[s] if free[i] and free[j] else 0.0
