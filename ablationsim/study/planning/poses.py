"""Places of needles that a search begins with, and how it moves them.

The directions lie evenly about all axes of the patient, and every step has its mirror image: in a mirrored patient the
search goes the mirrored way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FREQUENCY = 8
"""Pieces that an edge of the octahedron is cut into: 258 directions, 9 degrees apart on average."""
SHIFTS = np.array([-9e-3, -6e-3, -3e-3, 0.0, 3e-3, 6e-3, 9e-3])
"""Along the shaft, between the middle of the zone and that of the tumour [m]."""
SPACINGS = (12e-3, 18e-3, 24e-3)
"""Between parallel needles [m]."""


@dataclass(frozen=True, eq=False)
class Pose:
    """One needle or several.

    Attributes
    ----------
    tips, axes : (n, 3) float64
        Tips, world coordinates [m], and unit vectors toward the handles.
    """

    tips: Floats
    axes: Floats

    @classmethod
    def parallel(cls, tips: Floats, axis: Floats) -> Pose:
        """Needles side by side: tips (n, 3) [m] and one axis (3,)."""
        return cls(tips, np.repeat(axis[None], len(tips), axis=0))

    @property
    def axis(self) -> Floats:
        """Axis of the first needle, shape (3,)."""
        return self.axes[0]


def directions(frequency: int = FREQUENCY) -> Floats:
    """Return unit vectors (n, 3) to the points of an octahedron whose edges are cut; with each, all mirror images."""
    span = range(-frequency, frequency + 1)
    found = [(a, b, c) for a in span for b in span for c in span if abs(a) + abs(b) + abs(c) == frequency]
    points = np.array(found, dtype=np.float64)
    return points / np.linalg.norm(points, axis=1)[:, None]


def starts(centre: Floats, middle: float, frequency: int = FREQUENCY) -> list[Pose]:
    """Return single needles from all sides whose zones have their middle near a place.

    Parameters
    ----------
    centre : (3,) float64
        Of the tumour [m].
    middle : float
        Height of the middle of a zone above the tip [m].
    frequency : int
        Of the directions.
    """
    return [
        Pose.parallel((centre + (shift - middle) * axis)[None], axis)
        for axis in directions(frequency)
        for shift in SHIFTS
    ]


def together(pose: Pose, count: int) -> list[Pose]:
    """Return sets of parallel needles about a single one: a pair, a triangle or a square across its shaft."""
    found = []
    for reference in np.eye(3):
        across = reference - (reference @ pose.axis) * pose.axis
        if np.linalg.norm(across) < 0.3:
            continue
        across /= np.linalg.norm(across)
        other = np.cross(pose.axis, across)
        # A triangle points to either side; pairs and squares are the same from both.
        for turn in (0.0, np.pi) if count == 3 else (0.0,):
            angles = turn + 2.0 * np.pi * np.arange(count) / count
            circle = np.outer(np.cos(angles), across) + np.outer(np.sin(angles), other)
            for spacing in SPACINGS:
                tips = pose.tips[0] + spacing / (2.0 * np.sin(np.pi / count)) * circle
                found.append(Pose.parallel(tips, pose.axis))
    return found


def neighbours(pose: Pose, step: float, turn: float, middle: float, along: bool = False) -> list[Pose]:
    """Return places one step away: moved, tilted about the middle of the zone, and closer together or wider apart.

    Needles that are moved about are parallel; those that are moved along their shafts need not be.

    Parameters
    ----------
    pose : Pose
    step, turn : float
        How far [m, rad].
    middle : float
        Height of the middle of the zone above the tips [m].
    along : bool
        Move along the shaft only.
    """
    if along:
        return [Pose(pose.tips + way * pose.axes, pose.axes) for way in (-step, step)]
    moves = np.concatenate([np.eye(3), -np.eye(3)])
    found = [Pose(pose.tips + step * move, pose.axes) for move in moves]
    found += [Pose(pose.tips + way * pose.axes, pose.axes) for way in (-step, step)]
    centre = pose.tips.mean(axis=0)
    pivot = centre + middle * pose.axis
    for move in moves:
        across = move - (move @ pose.axis) * pose.axis
        if np.linalg.norm(across) < 0.3:
            continue
        axis = pose.axis + np.tan(turn) * across / np.linalg.norm(across)
        axis /= np.linalg.norm(axis)
        offsets = pose.tips - centre
        length = np.linalg.norm(offsets, axis=1, keepdims=True)
        offsets = offsets - np.outer(offsets @ axis, axis)
        offsets *= length / np.maximum(np.linalg.norm(offsets, axis=1, keepdims=True), 1e-12)
        found.append(Pose.parallel(pivot - middle * axis + offsets, axis))
    if len(pose.tips) > 1:
        radius = np.linalg.norm(pose.tips - centre, axis=1).mean()
        found += [Pose(centre + (1.0 + way / radius) * (pose.tips - centre), pose.axes) for way in (-step, step)]
    return found
