"""A Gaussian process in place of the simulation, with the error that it has on runs which it has not seen.

Matérn kernel (5/2) with a length for each input, and noise (Rasmussen & Williams 2006), by scikit-learn. The error is
that of five-fold cross-validation, with the kernel fitted anew in every fold.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ablationsim.errors import SolverError

Floats = NDArray[np.float64]

FOLDS = 5


@dataclass(frozen=True)
class Quality:
    """How well a surrogate predicts runs that it has not seen.

    Attributes
    ----------
    runs : int
        That it has learnt from.
    q2 : float
        Share of their variance that is predicted, in cross-validation.
    rmse : float
        Root mean square error, in the unit of the quantity.
    least : float
        Q2 below which it is refused.
    """

    runs: int
    q2: float
    rmse: float
    least: float

    @property
    def good(self) -> bool:
        """Whether it may be used."""
        return self.q2 >= self.least


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A fitted process of one quantity, with its quality; call it with shares (n, inputs)."""

    quality: Quality
    process: Any

    @classmethod
    def fit(cls, shares: Floats, values: Floats, least: float, seed: int) -> Surrogate:
        """Learn a quantity.

        Parameters
        ----------
        shares : (runs, inputs) array
        values : (runs,) array
        least : float
            Q2 below which it is refused.
        seed : int

        Raises
        ------
        SolverError
            If scikit-learn is missing.
        """
        try:
            from sklearn.model_selection import KFold
        except ImportError:
            raise SolverError(
                "a surrogate needs scikit-learn, which is not installed; install it with pip install scikit-learn, or "
                "leave [surrogate] out of the study file"
            ) from None
        variance = float(values.var())
        if float(np.ptp(values)) <= 1e-9 * float(np.abs(values).max()):
            # A quantity that does not vary needs no surrogate, and none predicts its variance.
            return cls(Quality(len(values), -np.inf, variance**0.5, least), None)
        process = _fitted(_process(shares.shape[1], seed), shares, values)
        predicted = np.empty(len(values))
        for learnt, left in KFold(FOLDS, shuffle=True, random_state=seed).split(shares):
            # From where the whole ended, which spares most of the search.
            fold = _process(shares.shape[1], seed, process.kernel_)
            predicted[left] = _fitted(fold, shares[learnt], values[learnt]).predict(shares[left])
        error = float(np.mean((predicted - values) ** 2))
        return cls(Quality(len(values), 1.0 - error / variance, error**0.5, least), process)

    def __call__(self, shares: Floats) -> Floats:
        """The quantity at shares (n, inputs)."""
        return np.asarray(self.process.predict(shares), dtype=np.float64)


def _process(inputs: int, seed: int, kernel: Any = None) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    if kernel is None:
        smooth = Matern(np.full(inputs, 2.0), (0.05, 1e3), nu=2.5)
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * smooth + WhiteKernel(1e-4, (1e-9, 1.0))
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)


def _fitted(process: Any, shares: Floats, values: Floats) -> Any:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Of inputs without any effect, whose lengths end at their limits.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Matrices of some hundred rows: the threads of BLAS cost twice what they bring.
        with threadpool_limits(1, "blas"):
            return process.fit(shares, values)
