"""How a zone grew while the generator ran, from one run to the longest time.

A run keeps the volume of its zone at every step, and temperatures every 30 s. The damage that follows from these
temperatures gives the shape of the zone at each of its volumes; the volume of every step then gives its axes at that
step. Between two temperatures the damage is not that of the run, but the shape at a given volume hardly depends on it,
and the last shape is that of the run itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.geometry.geometry import Geometry
from ablationsim.physics.damage import Damage, DamageModel
from ablationsim.results import Result
from ablationsim.zone import measure

Floats = NDArray[np.float64]

_STEP = 5.0  # s: intervals in which the temperature runs straight from one that was kept to the next
_SHAPES = 40  # at most: each takes a moment in three dimensions
_SAME = 1e-6  # s


@dataclass(frozen=True, eq=False)
class Growth:
    """Size of an undeformed zone while the generator ran.

    Attributes
    ----------
    time_s : (k,) float64
        Every time step until power-off [s].
    volume_ml, short_axis_mm : (k,) float64
        Volume as the run recorded it, and shortest axis [mL, mm].
    shrinkage : float
        Contracted over undeformed short axis at the end of the run.
    """

    time_s: Floats
    volume_ml: Floats
    short_axis_mm: Floats
    shrinkage: float

    def time_to(self, short_axis_mm: float, frame: str) -> float | None:
        """Time under power until the short axis is this long [s]; None if it never is.

        Parameters
        ----------
        short_axis_mm : float
            In the frame [mm].
        frame : {"undeformed", "contracted"}
            In the contracted one every size of the run is shorter by the factor that its last one is, as if the tissue
            had always had as long to shrink.
        """
        axis = self.short_axis_mm if frame == "undeformed" else self.short_axis_mm * self.shrinkage
        reached = np.flatnonzero(axis >= short_axis_mm)
        if not len(reached):
            return None
        k = int(reached[0])
        if k == 0:
            return float(self.time_s[0])
        share = (short_axis_mm - axis[k - 1]) / (axis[k] - axis[k - 1])
        return float(self.time_s[k - 1] + share * (self.time_s[k] - self.time_s[k - 1]))


def growth(result: Result) -> Growth:
    """How the zone of a finished run grew until power-off.

    Parameters
    ----------
    result : Result
        Of a case without vessels, read from its folder.
    """
    document = result.document
    running = result.history["time_s"] <= document["power_off_s"] + _SAME
    volume = result.history["zone_volume_ml"][running]
    volumes, slenderness = _shapes(result)
    short = np.interp(volume, volumes, slenderness) * np.cbrt(volume)
    contracted, undeformed = document["contracted"]["short_axis_mm"], document["short_axis_mm"]
    return Growth(
        time_s=result.history["time_s"][running],
        volume_ml=volume,
        short_axis_mm=short,
        shrinkage=contracted / undeformed if undeformed else 1.0,
    )


def _shapes(result: Result) -> tuple[Floats, Floats]:
    """Volumes [mL], rising, and the short axis over the cubic root of each [mm / mL^(1/3)]."""
    zone, frames = result.case.zone, result.frames
    model = DamageModel(zone.criterion, zone.arrhenius_set, zone.isotherm_temperature)
    first = Geometry.from_case(result.case).applicators[0]
    damage = Damage.none(frames.temperature(0))
    times = frames.times
    spans = [math.ceil(float(gap) / _STEP) for gap in np.diff(times)]
    every = max(1, math.ceil(sum(spans) / _SHAPES))
    found: dict[float, float] = {}
    count = 0
    for k, steps in enumerate(spans):
        before, after = frames.temperature(k), frames.temperature(k + 1)
        dt = float(times[k + 1] - times[k]) / steps
        for part in range(steps):
            start, end = (before + (after - before) * (part + shift) / steps for shift in (0, 1))
            model.advance(damage, start, end, dt)
            count += 1
            # Small zones grow fastest, and their shape changes most.
            if count % every == 0 or count <= 2 * spans[0]:
                size = measure(result.mesh, model.level(damage), first.tip, first.axis)
                if size.volume_ml > 0.0 and size.short_axis_mm is not None:
                    found[size.volume_ml] = size.short_axis_mm
    last = result.zone
    # What follows from temperatures alone may grow beyond the end of the run, whose own shape is known.
    kept = {volume: axis for volume, axis in found.items() if volume < last.volume_ml}
    if last.short_axis_mm is not None:
        kept[last.volume_ml] = last.short_axis_mm
    if not kept:
        return np.array([1.0]), np.array([0.0])
    volumes = np.array(sorted(kept))
    return volumes, np.array([kept[volume] for volume in volumes]) / np.cbrt(volumes)
