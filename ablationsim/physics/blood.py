"""Temperature of the blood along the branches of vessels, in segments that flow into each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from ablationsim.vessels.vessel import Vessel

Array = NDArray[np.float64]
Ints = NDArray[np.intp]

_LENGTH = 2e-3
"""Length of the segments of a branch along which the blood's temperature is followed [m]."""


@dataclass(frozen=True, eq=False)
class Segments:
    """All branches of all vessels cut into segments, in the order of the flow; a branch of fixed blood is one.

    Attributes
    ----------
    branch : (s,) int array
        Number of the branch that each segment belongs to, counted over all vessels.
    first, count : (b,) int arrays
        First segment of each branch, and how many it has.
    coefficient : (s,) array
        Of the wall, zero where nothing flows [W/m2/K].
    capacity : (s,) array
        Heat capacity flow rho c Q; infinite where the blood stays as it comes [W/K].
    inlet : (s,) array
        Temperature of what enters the vessel [K].
    upstream : (s, s) csr matrix
        Share of the flow of each segment (row) that comes from another (column); the rest comes from the inlet.
    """

    branch: Ints
    first: Ints
    count: Ints
    coefficient: Array
    capacity: Array
    inlet: Array
    upstream: sparse.csr_matrix

    @classmethod
    def of(cls, vessels: Sequence[Vessel]) -> Segments:
        """Cut the branches of vessels into segments."""
        branches = [(vessel, branch) for vessel in vessels for branch in vessel.branches]
        followed = [branch.model == "transport" and branch.flow > 0.0 for _, branch in branches]
        count = np.array(
            [
                max(1, int(np.ceil(branch.length / _LENGTH))) if follow else 1
                for (_, branch), follow in zip(branches, followed, strict=True)
            ],
            dtype=np.intp,
        )
        first = np.cumsum(count) - count
        # Branches know each other by their numbers in their vessel.
        offset = np.repeat(np.cumsum([0, *(len(v.branches) for v in vessels)])[:-1], [len(v.branches) for v in vessels])
        rows, columns, shares = [], [], []
        for number, ((_, branch), follow) in enumerate(zip(branches, followed, strict=True)):
            if not follow:
                continue
            for up, flow in branch.upstream.items():
                entering = offset[number] + up
                rows.append(first[number])
                columns.append(first[entering] + count[entering] - 1)
                shares.append(flow / branch.flow)
            for segment in range(first[number] + 1, first[number] + count[number]):
                rows.append(segment)
                columns.append(segment - 1)
                shares.append(1.0)

        def each(values: Sequence[float]) -> Array:
            return np.repeat(np.array(values, dtype=np.float64), count)

        return cls(
            branch=np.repeat(np.arange(len(branches)), count),
            first=first,
            count=count,
            coefficient=each([b.wall_coefficient if b.model in ("fixed", "transport") else 0.0 for _, b in branches]),
            capacity=each(
                [
                    vessel.fluid.volumetric_heat_capacity * branch.flow if follow else np.inf
                    for (vessel, branch), follow in zip(branches, followed, strict=True)
                ]
            ),
            inlet=each([vessel.inlet_temperature for vessel, _ in branches]),
            upstream=sparse.csr_matrix((shares, (rows, columns)), shape=2 * (int(count.sum()),)),
        )


class BloodNetwork:
    """Temperature of the blood along segments that flow into each other.

    Parameters
    ----------
    upstream : (s, s) csr matrix
        Share of the flow of each segment (row) that comes from another (column); the rest comes from the inlet.
    inlet : (s,) array
        Temperature of what comes from the inlet [K].
    capacity : (s,) array
        Heat capacity flow rho c Q [W/K]; infinite where the blood keeps the temperature of the inlet.
    conductance : (s,) array
        Of the wall: coefficient times area [W/K].
    """

    def __init__(self, upstream: Any, inlet: Array, capacity: Array, conductance: Array) -> None:
        self._capacity, self._conductance = capacity, conductance
        units = conductance / capacity
        self._kept = np.exp(-units)
        # (1 - exp(-N)) / N: the mean of T_b - T_w over a segment relative to that at its beginning.
        self._mean = np.where(units > 1e-12, -np.expm1(-units) / np.maximum(units, 1e-300), 1.0)
        self._upstream = upstream
        self._fresh = (1.0 - np.asarray(upstream.sum(axis=1)).ravel()) * inlet
        matrix = sparse.eye_array(len(inlet)) - sparse.diags_array(self._kept) @ upstream
        self._solve = splu(sparse.csc_matrix(matrix), permc_spec="NATURAL").solve if len(inlet) else np.copy

    def entering(self, wall: Array) -> Array:
        """Temperature of the blood that enters each segment ``(s,)`` for its wall's temperature ``(s,)`` [K]."""
        leaving = self._solve(self._kept * self._fresh + (1.0 - self._kept) * wall)
        return self._fresh + self._upstream @ leaving

    def mean(self, wall: Array) -> Array:
        """Mean temperature of the blood in each segment ``(s,)`` [K]."""
        return wall + self._mean * (self.entering(wall) - wall)

    def gained(self, wall: Array) -> tuple[Array, Array]:
        """Heat that the blood gains in each segment [W], and the temperature with which it leaves [K]."""
        entering = self.entering(wall)
        leaving = wall + self._kept * (entering - wall)
        finite = np.isfinite(self._capacity)
        through_wall = self._conductance * (wall - entering)
        return np.where(finite, np.where(finite, self._capacity, 0.0) * (leaving - entering), through_wall), leaving
