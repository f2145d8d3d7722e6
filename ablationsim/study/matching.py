"""Matching: the dimensions of an antenna at which the least power comes back from unheated tissue.

Makers tune their antennas to the tissue that they are meant for. Where a dimension of an antenna is not published, that
it was tuned is a reason to choose it, which needs no measured zone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.device import Device
from ablationsim.errors import DeviceError, GeometryError, MeshError
from ablationsim.physics.antenna_field import unheated_field
from ablationsim.study.parameters import Change, Parameter, parameters, write_profile
from ablationsim.study.workers import workers
from ablationsim.tissue import Tissue
from ablationsim.units import show

_GRID = 5  # trials a dimension, before the search goes on from the best of them
_EVALUATIONS = 40
_TOLERANCE = 5e-3  # of the range

Told = Callable[[str], None]


@dataclass(frozen=True)
class Match:
    """A matched antenna.

    Attributes
    ----------
    changes : tuple of Change
        The dimensions found, with their origin.
    before_db, after_db : float
        Reflection of the profile as it is, and with the dimensions found [dB].
    trials : int
        Number of fields computed.
    """

    changes: tuple[Change, ...]
    before_db: float
    after_db: float
    trials: int

    def write(self, profile: Path, output: Path) -> None:
        """Write the profile with the dimensions found.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        write_profile(profile, output, self.changes)


@dataclass(frozen=True)
class _Trial:
    """An antenna with other dimensions in a tissue."""

    device: Device
    tissue: Tissue
    places: tuple[str, ...]
    values: tuple[float, ...]

    def reflected(self) -> float:
        """Share of the incident power that comes back; one where the dimensions exclude each other."""
        try:
            device = self.device.with_values(dict(zip(self.places, self.values, strict=True)))
            return unheated_field(device, self.tissue).reflected
        except (DeviceError, GeometryError, MeshError):
            return 1.0


def match(profile: str, vary: Sequence[str], tissue: Tissue, *, jobs: int = 1, told: Told = lambda text: None) -> Match:
    """Find the dimensions within their ranges that reflect the least power.

    A grid over the ranges, then a simplex search from its best point; the same input gives the same values.

    Parameters
    ----------
    profile : str
        Name or path of the device profile.
    vary : sequence of str
        Places of one or two numbers in the profile, or the last part of a place.
    tissue : Tissue
        At its initial temperature.
    jobs : int
        Fields at a time, on the grid.
    told : callable
        Gets a line about the progress.

    Raises
    ------
    DeviceError
        If the device has no antenna, or a number cannot be varied.
    """
    from scipy.optimize import minimize

    device = Device.load(profile)
    if device.antenna is None:
        raise DeviceError(f"{device.name} has no antenna to match; its modality is {device.modality}")
    varied = parameters(device, vary)
    before = unheated_field(device, tissue)
    places = tuple(parameter.place for parameter in varied)

    def trial(shares: Iterable[float]) -> _Trial:
        return _Trial(device, tissue, places, tuple(p.at(float(s)) for p, s in zip(varied, shares, strict=True)))

    grid = list(product(np.linspace(0.0, 1.0, _GRID), repeat=len(varied)))
    with workers(jobs) as apply:
        reflected = apply(_Trial.reflected, [trial(shares) for shares in grid])
    best = np.array(grid[int(np.argmin(reflected))])
    told(f"least of {len(grid)} trials over the ranges: {_decibels(min(reflected)):.1f} dB")

    def objective(shares: NDArray[np.float64]) -> float:
        return trial(shares).reflected()

    found = minimize(
        objective,
        best,
        method="Nelder-Mead",
        bounds=[(0.0, 1.0)] * len(varied),
        options={
            "initial_simplex": _simplex(best),
            "xatol": _TOLERANCE,
            "fatol": 1e-5,
            "maxfev": _EVALUATIONS,
        },
    )
    values = [p.rounded(p.at(float(s))) for p, s in zip(varied, found.x, strict=True)]
    after = unheated_field(device.with_values(dict(zip(places, values, strict=True))), tissue)
    return Match(
        changes=tuple(
            Change(parameter, value, "calculated", _origin(parameter, value, varied, device, tissue, after.s11_db))
            for parameter, value in zip(varied, values, strict=True)
        ),
        before_db=before.s11_db,
        after_db=after.s11_db,
        trials=len(grid) + found.nfev + 2,
    )


def _simplex(best: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners half a grid step from the best point, inside the ranges."""
    step = 0.5 / (_GRID - 1)
    steps = np.diag(np.where(best + step <= 1.0, step, -step))
    return np.vstack([best, best + steps])


def _decibels(reflected: float) -> float:
    return 10.0 * math.log10(max(reflected, 1e-30))


def _origin(
    parameter: Parameter, value: float, varied: Sequence[Parameter], device: Device, tissue: Tissue, s11_db: float
) -> str:
    """What the profile says of a matched dimension."""
    together = " and ".join(other.place for other in varied if other is not parameter)
    frequency = show(device.generator.frequency, "frequency")
    return (
        f"Least reflection {f'together with {together} ' if together else ''}in unheated tissue ({tissue.name}, "
        f"{show(tissue.initial_temperature, 'temperature')}) at {frequency}: {s11_db:.1f} dB"
        f"{'; at the limit of its range' if parameter.at_limit(value) else ''}"
    )
