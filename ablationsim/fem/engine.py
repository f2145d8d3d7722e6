"""Which solver for the electric potential goes with which distribution of a mesh."""

from __future__ import annotations

from typing import Protocol

from ablationsim.fem.kernels import Array
from ablationsim.fem.multigrid import MultigridCG
from ablationsim.fem.pattern import Pattern
from ablationsim.fem.stiffness import Matrix
from ablationsim.mesh.distribution import Distribution


class SequenceSolver(Protocol):
    """Solver for a sequence of similar systems: see `ablationsim.fem.multigrid.MultigridCG`."""

    iterations: int
    iterations_when_fresh: int

    @property
    def worn(self) -> bool: ...

    def build(self, matrix: Matrix) -> None: ...

    def solve(self, matrix: Matrix, rhs: Array, x: Array, target: float) -> int: ...

    def close(self) -> None: ...


def multigrid_cg(pattern: Pattern, distribution: Distribution) -> SequenceSolver:
    """In one process the multigrid of this package; over ranks that of PETSc, which is loaded here and not before."""
    if not distribution.parted:
        return MultigridCG(pattern)
    from ablationsim.fem.petsc import PetscCG

    return PetscCG(pattern, distribution)
