"""Zones of the stock at every setting that a plan may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.study.planning.library import SPACING, Library

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

POWER_STEP, TIME_STEP = 2.5, 15.0
"""Steps of the settings that a plan chooses among [W, s]: a person can set them."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Drive round one needle at each of s settings.

    Attributes
    ----------
    power, time : (s,) float64
        Settings [W, s].
    drive : (s, a * b) float32
        In the needle's frame, at the points of the stock.
    shape : tuple of int
        Points along r and z.
    spacing, base : float
        Distance of the points, and height of the lowest ones above the tip [m].
    volume : (s,) float64
        Of the zone [m3].
    middle : (s,) float64
        Height of the middle of the zone above the tip [m].
    dent : (s,) float64
        Height above the tip at which tissue at the shaft stays alive: there the zone ends in a dent [m].
    """

    power: Floats
    time: Floats
    drive: Singles
    shape: tuple[int, int]
    spacing: float
    base: float
    volume: Floats
    middle: Floats
    dent: Floats

    @classmethod
    def of(cls, stock: Library, powers: Floats, times: Floats, radius: float) -> Tables:
        """Interpolate a stock at all pairs of some powers [W] and times [s], for a shaft of a radius [m]."""
        power, time = (grid.ravel() for grid in np.meshgrid(powers, times, indexing="ij"))
        shape, spacing = (len(stock.r), len(stock.z)), float(stock.r[1] - stock.r[0])
        drive = np.array([_between(stock, p, t).ravel() for p, t in zip(power, time, strict=True)], dtype=np.float32)
        volume, middle = _sizes(drive.reshape(-1, *shape), stock)
        # Inside the shaft the stock has what is at its wall.
        beside = drive.reshape(-1, *shape)[:, int(radius / spacing)]
        dent = np.array([ends_at(along, stock.z) for along in beside])
        return cls(power, time, drive, shape, spacing, float(stock.z[0]), volume, middle, dent)

    @property
    def heights(self) -> Floats:
        """Heights of the points of the stock above the tip, shape (b,) [m]."""
        heights: Floats = np.asarray(self.base + self.spacing * np.arange(self.shape[1]), dtype=np.float64)
        return heights

    @property
    def layout(self) -> tuple[float, float, int, int]:
        """Spacing and base [m], and numbers of points along r and z."""
        return self.spacing, self.base, *self.shape


def _between(stock: Library, power: float, time: float) -> Singles:
    """Drive (a, b) at a setting: linear in time, and a parabola in power through its three neighbours."""
    k = int(np.clip(np.searchsorted(stock.times, time) - 1, 0, max(len(stock.times) - 2, 0)))
    if len(stock.times) == 1:
        at_time = stock.drive[:, 0]
    else:
        share = np.float32((time - stock.times[k]) / (stock.times[k + 1] - stock.times[k]))
        at_time = (1 - share) * stock.drive[:, k] + share * stock.drive[:, k + 1]
    powers = stock.powers
    order = np.sort(np.argsort(np.abs(powers - power), kind="stable")[:3])
    found = np.zeros(at_time.shape[1:], dtype=np.float32)
    for i in order:
        weight = np.prod([(power - powers[j]) / (powers[i] - powers[j]) for j in order if j != i])
        found += np.float32(weight) * at_time[i]
    return found


def _sizes(drive: Singles, stock: Library) -> tuple[Floats, Floats]:
    """Volumes of zones [m3], and heights of their middles [m], each of shape (s,), from drives (s, a, b)."""
    dead = drive >= 1.0
    last = drive.shape[1] - 1 - np.argmax(dead[:, ::-1], axis=1)
    beyond = np.minimum(last + 1, drive.shape[1] - 1)
    inner, outer = (np.take_along_axis(drive, k[:, None], axis=1)[:, 0] for k in (last, beyond))
    share = np.where(inner > outer, (inner - 1.0) / np.where(inner > outer, inner - outer, 1.0), 0.0)
    edge = np.where(dead.any(axis=1), SPACING * (last + np.clip(share, 0.0, 1.0)), 0.0)
    volume = np.pi * SPACING * (edge.astype(np.float64) ** 2).sum(axis=1)
    low, high = np.argmax(edge > 0.0, axis=1), edge.shape[1] - 1 - np.argmax(edge[:, ::-1] > 0.0, axis=1)
    return volume, 0.5 * (stock.z[low] + stock.z[high])


def ends_at(along: NDArray[np.floating[Any]], z: Floats) -> float:
    """Return where a zone ends beside the shaft, seen from the hottest place there; that place without a zone [m].

    Parameters
    ----------
    along : (b,) float
        Drive at the wall of the shaft.
    z : (b,) float64
        Heights above the tip [m].
    """
    hottest = int(np.argmax(along))
    alive = np.flatnonzero(along[hottest:] < 1.0)
    if not len(alive) or alive[0] == 0:
        return float(z[hottest] if len(alive) else z[-1])
    above = hottest + int(alive[0])
    share = (along[above - 1] - 1.0) / (along[above - 1] - along[above])
    return float(z[above - 1] + share * (z[above] - z[above - 1]))
