"""How far predictions are from measurements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ablationsim.study.validation.comparison import Frame, Row

NEAR = 3.0
"""Difference of a length that is counted as near [mm]: a tenth of a usual zone, and what others reach."""
LIMITS = 1.96
"""Half width of the limits of agreement, in standard deviations (Bland & Altman 1986)."""

AXES = ("length", "diameter")
RELATIVE = ("volume", "energy")
"""Quantities of which the difference counts in percent of the measured value."""


@dataclass(frozen=True)
class Statistics:
    """Differences between prediction and measurement, predicted minus measured.

    Attributes
    ----------
    count : int
    bias, mean_absolute, median_absolute : float
        Mean of the differences, and mean and median of their sizes.
    spread : float or None
        Their standard deviation; None for a single one.
    within_sd : float or None
        Share of those with a known standard deviation that are within one of it; None without any.
    with_sd : int
        How many have one.
    near : float
        Share within `NEAR`; of a meaning for lengths alone.
    median_deviations : float or None
        Median of the sizes of the differences in standard deviations of the measurement.
    """

    count: int
    bias: float
    mean_absolute: float
    median_absolute: float
    spread: float | None
    within_sd: float | None
    with_sd: int
    near: float
    median_deviations: float | None

    @property
    def limits(self) -> tuple[float, float] | None:
        """Limits of agreement of Bland and Altman, between which 95 % of the differences of this kind lie."""
        if self.spread is None:
            return None
        return self.bias - LIMITS * self.spread, self.bias + LIMITS * self.spread


def differences(rows: Iterable[Row], frame: Frame = "stated") -> np.ndarray:
    """Predicted minus measured of every row that has both, in its unit, or in percent for those in `RELATIVE`."""
    found = []
    for row in rows:
        difference = row.difference(frame)
        if difference is not None and row.measured is not None:
            found.append(100.0 * difference / row.measured if row.quantity in RELATIVE else difference)
    return np.array(found)


def statistics(rows: Iterable[Row], frame: Frame = "stated") -> Statistics | None:
    """Statistics of rows of one kind; None where nothing can be compared.

    Parameters
    ----------
    rows : iterable of Row
        Of quantities with one unit.
    frame : {"stated", "contracted", "undeformed", "uniform"}
    """
    rows = [row for row in rows if row.difference(frame) is not None]
    if not rows:
        return None
    off = differences(rows, frame)
    deviations = np.array([abs(row.difference(frame) or 0.0) / row.sd for row in rows if row.sd])
    return Statistics(
        count=len(off),
        bias=float(off.mean()),
        mean_absolute=float(np.abs(off).mean()),
        median_absolute=float(np.median(np.abs(off))),
        spread=float(off.std(ddof=1)) if len(off) > 1 else None,
        within_sd=float((deviations <= 1.0).mean()) if len(deviations) else None,
        with_sd=len(deviations),
        near=float((np.abs(off) <= NEAR).mean()),
        median_deviations=float(np.median(deviations)) if len(deviations) else None,
    )


KINDS: dict[str, tuple[str, ...]] = {
    "axes": AXES,
    "volume": ("volume",),
    "aspect": ("aspect",),
    "sphericity": ("sphericity",),
    "isoperimetric": ("isoperimetric",),
    "temperature": ("temperature",),
    "time": ("time",),
    "stop": ("stop",),
    "energy": ("energy",),
}
"""Quantities that are put together, by the name of the kind."""

KIND_UNITS = {
    "axes": "mm", "volume": "%", "aspect": "", "sphericity": "", "isoperimetric": "",
    "temperature": "K", "time": "s", "stop": "s", "energy": "%",
}  # fmt: skip
"""Units of the differences of a kind."""


def of_kind(rows: Iterable[Row], kind: str) -> list[Row]:
    """The rows of a kind that were measured."""
    return [row for row in rows if row.quantity in KINDS[kind] and row.measured is not None]
