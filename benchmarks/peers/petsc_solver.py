"""What the loops over PETSc share: their Krylov solver and their first guesses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from petsc4py import PETSc
from problem import TOLERANCE, Floats


def krylov(matrix: PETSc.Mat, prefix: str, preconditioner: Mapping[str, Any]) -> PETSc.KSP:
    """Conjugate gradients that start from a given vector and stop at the unpreconditioned residual.

    The command line goes before the options of the preconditioner.
    """
    solver = PETSc.KSP().create(matrix.getComm())
    solver.setOptionsPrefix(prefix)
    database = PETSc.Options()
    for name, value in preconditioner.items():
        if f"{prefix}{name}" not in database:
            database[f"{prefix}{name}"] = value
    solver.setType("cg")
    solver.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    solver.setTolerances(rtol=TOLERANCE, max_it=1000)
    solver.setInitialGuessNonzero(True)
    solver.setErrorIfNotConverged(True)
    solver.setOperators(matrix)
    solver.setFromOptions()
    return solver


class Extrapolation:
    """Guess of the next vector by the parabola through the last three."""

    def __init__(self) -> None:
        self.last: list[Floats] = []

    def add(self, values: Floats) -> None:
        """The newest vector."""
        self.last = [values.copy(), *self.last[:2]]

    def guess(self) -> Floats:
        """The next one."""
        if len(self.last) < 3:
            return 2.0 * self.last[0] - self.last[1] if len(self.last) == 2 else self.last[0]
        return 3.0 * (self.last[0] - self.last[1]) + self.last[2]
