"""Rigid motions that bring a measured zone into the frame of a run, by the needle.

A run knows where its needle is. Of a measured zone the needle is given by two points; or its direction is estimated
as a principal axis of the zone, and its depth as the one at which the surfaces of both zones lie nearest to each other,
which makes them agree as well as they can in these ways. Measurements are never scaled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ablationsim.errors import GeometryError
from ablationsim.geometry.placement import Placement
from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.overlap import samples
from ablationsim.zone.voxels import Grid, inside

MARKED = 1.15
"""Ratio of extents along and across a principal axis, as standard deviations, below which it is hardly one."""
ALIKE = 1.2
"""Ratio of the distances of the surfaces, both ways round, below which the direction of the needle is open."""

_ACROSS = 50
_TURNS = 36
_SHIFTS = 41
_POINTS = 5000  # of the measured surface; the first search is made with a tenth of them


@dataclass(frozen=True, eq=False)
class Predicted:
    """A predicted zone and its needle.

    Attributes
    ----------
    surface : Surface
        Closed triangles in space, in metres.
    tip, axis : (3,) float64
        Tip of the first applicator [m], and unit vector along its shaft to the handle.
    symmetric : bool
        Whether the zone looks the same from all sides of the shaft.
    """

    surface: Surface
    tip: Floats
    axis: Floats
    symmetric: bool


@dataclass(frozen=True, eq=False)
class Alignment:
    """A rigid motion from the coordinates of a measurement to those of a run: ``x @ rotation.T + translation``.

    Attributes
    ----------
    method : str
        "needle", "axis" or "none".
    rotation : (3, 3) float64
    translation : (3,) float64
        In metres.
    fitted : tuple of str
        What was chosen so that the surfaces lie nearest to each other.
    statement : str
        The whole in words.
    notes : tuple of str
        What makes it doubtful.
    """

    method: str
    rotation: Floats = field(default_factory=lambda: np.eye(3))
    translation: Floats = field(default_factory=lambda: np.zeros(3))
    fitted: tuple[str, ...] = ()
    statement: str = "The measured zone is left where its file says, in the coordinates of the case."
    notes: tuple[str, ...] = ()

    def applied(self, surface: Surface) -> Surface:
        """Return a surface in the frame of the run."""
        return Surface(surface.points @ self.rotation.T + self.translation, surface.facets, surface.axisymmetric)

    def to_dict(self) -> dict[str, Any]:
        """Return what overlap.json holds of it; lengths in mm."""
        return {
            "method": self.method,
            "rotation": self.rotation.tolist(),
            "translation_mm": (1e3 * self.translation).tolist(),
            "fitted": list(self.fitted),
            "statement": self.statement,
        }


def by_needle(predicted: Predicted, measured: Surface, tip: ArrayLike, entry: ArrayLike) -> Alignment:
    """Lay the needle of a measurement on that of the run, tip on tip.

    Where the predicted zone is not the same from all sides, the measured one is turned about the needle to where the
    surfaces lie nearest to each other, as two points do not tell how the needle was turned.

    Parameters
    ----------
    predicted : Predicted
    measured : Surface
        In coordinates of its own, in metres.
    tip, entry : (3,) float
        Tip of the needle, and another point of it toward the handle, in the coordinates of the measurement [m].

    Raises
    ------
    GeometryError
        When the points are one, or far from the measured zone.
    """
    foot, other = np.asarray(tip, dtype=np.float64), np.asarray(entry, dtype=np.float64)
    if not np.linalg.norm(other - foot) > 1e-3:
        raise GeometryError(
            f"The tip and the entry of a needle are {1e3 * np.linalg.norm(other - foot):.3g} mm apart; they need at "
            "least 1 mm for a direction."
        )
    low, high = measured.points.min(axis=0), measured.points.max(axis=0)
    away = float(np.linalg.norm(np.maximum(0, np.maximum(low - foot, foot - high))))
    if away > 0.05:
        raise GeometryError(
            f"The tip of the needle at {_place(foot)} lies {1e3 * away:.0f} mm from the measured zone, which reaches "
            f"from {_place(low)} to {_place(high)}. It may be in other axes (LPS instead of RAS) or another unit."
        )
    start = _Motion.onto(predicted, foot, other - foot)
    if predicted.symmetric:
        return start.alignment("needle", (), "The needle of the measurement lies on that of the run, tip on tip.")
    _, found = _fit(_Gap(predicted, measured), start, turns=True, shifts=False)
    return found.alignment(
        "needle",
        ("angle about the needle",),
        "The needle of the measurement lies on that of the run, tip on tip; turned about it by "
        f"{found.degrees:.0f}° to where the surfaces lie nearest to each other.",
    )


def by_axis(predicted: Predicted, measured: Surface) -> Alignment:
    """Lay a principal axis of a measured zone on that of the predicted zone which is nearest to the needle.

    Of a predicted zone that is the same from all sides that is the needle itself. It is the longest, middle or shortest
    axis of both. Across it the centroids lie on each other. The direction, the depth along it and, where the predicted
    zone is not the same from all sides, the angle about it are those at which the surfaces lie nearest to each other
    (least root mean square distance of the measured surface from the predicted one).
    """
    middle, spread = _moments(predicted.surface)
    across, axes = np.linalg.eigh(spread)
    if predicted.symmetric:
        onto, along = predicted.axis, float(predicted.axis @ spread @ predicted.axis)
        rank = 2 if along >= (across.sum() - along) / 2 else 0
    else:
        rank = int(np.abs(predicted.axis @ axes).argmax())
        onto = axes[:, rank] * np.sign(predicted.axis @ axes[:, rank])
    centre, moments = _moments(measured)
    sizes, axes = np.linalg.eigh(moments)
    ratio = float(np.sqrt((sizes[1:] / sizes[:-1])[max(rank - 1, 0) : rank + 1]).min())
    target = Predicted(predicted.surface, middle, onto, predicted.symmetric)
    starts = [_Motion.onto(target, centre, sign * axes[:, rank]) for sign in (1, -1)]
    gap = _Gap(predicted, measured)
    (apart, found), (other, _) = sorted(
        (_fit(gap, start, turns=not predicted.symmetric, shifts=True) for start in starts), key=lambda each: each[0]
    )
    fitted = ["direction", "depth along the needle"]
    turned = ""
    if not predicted.symmetric:
        fitted.append("angle about the needle")
        turned = f" and turned about it by {found.degrees:.0f}°"
    notes = []
    if ratio < MARKED:
        notes.append(
            f"The measured zone has no marked axis: its extents along and across differ by {100 * (ratio - 1):.0f} % "
            f"only, and {100 * (MARKED - 1):.0f} % are needed to tell the needle's direction. Give --tip and --entry."
        )
    if other < ALIKE * apart:
        notes.append(
            "The two directions of the needle fit nearly alike: which end of the measured zone is the tip cannot be "
            "told from its shape. Give --tip and --entry."
        )
    return found.alignment(
        "axis",
        tuple(fitted),
        f"The {('shortest', 'middle', 'longest')[rank]} principal axis of the measured zone lies on "
        f"{'the needle of the run' if predicted.symmetric else 'that of the predicted zone'}, with centroid on "
        f"centroid across it, and was shifted along it by {1e3 * found.shift:+.1f} mm from the centroid{turned} to "
        "where the surfaces lie nearest to each other (root mean square distance "
        f"{1e3 * apart:.2f} mm; {1e3 * other:.2f} mm at best the other way round).",
        tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Motion:
    """From a line in the measurement to one in the run, then a turn about it and a shift along it."""

    source: Placement
    target: Placement
    angle: float = 0.0
    shift: float = 0.0

    @classmethod
    def onto(cls, predicted: Predicted, foot: Floats, direction: Floats) -> _Motion:
        def placed(point: Floats, along: Floats) -> Placement:
            return Placement.along(point.tolist(), along.tolist())

        return cls(placed(foot, direction), placed(predicted.tip, predicted.axis))

    @property
    def degrees(self) -> float:
        return float(np.rad2deg(self.angle) % 360)

    def moved(self, angle: float, shift: float) -> _Motion:
        return _Motion(self.source, self.target, float(angle), float(shift))

    def applied(self, points: Floats) -> Floats:
        c, s = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        return self.target.to_world(self.source.to_device(points) @ turn.T + [0.0, 0.0, self.shift])

    def alignment(self, method: str, fitted: tuple[str, ...], statement: str, notes: tuple[str, ...] = ()) -> Alignment:
        ends = self.applied(np.vstack([np.zeros(3), np.eye(3)]))
        return Alignment(method, (ends[1:] - ends[0]).T, ends[0], fitted, statement, notes)


class _Gap:
    """Root mean square distance of a measured surface from the predicted one, for any motion."""

    def __init__(self, predicted: Predicted, measured: Surface) -> None:
        from scipy.ndimage import distance_transform_edt

        self.reach = 0.5 * float(np.ptp(measured.points, axis=0).max())
        self._grid = Grid.around((predicted.surface,), _ACROSS, margin=2 * self.reach)
        within = inside(predicted.surface, self._grid)
        distances = distance_transform_edt(~within) - distance_transform_edt(within)
        # Between the last point inside and the first one outside lies the surface.
        self._distances = distances - 0.5 * np.sign(distances)
        self._points = samples(measured, _POINTS)

    def __call__(self, motion: _Motion, every: int = 1) -> float:
        """The distance [m], from one in `every` points of the measured surface."""
        from scipy.ndimage import map_coordinates

        places = self._grid.indices(motion.applied(self._points[::every]))
        found = map_coordinates(self._distances, places.T, order=1, mode="nearest")
        return float(np.sqrt((found**2).mean())) * self._grid.spacing


def _fit(gap: _Gap, start: _Motion, *, turns: bool, shifts: bool) -> tuple[float, _Motion]:
    """Where the surfaces lie nearest to each other: their distance [m], and the motion."""
    from scipy.optimize import minimize

    steps = np.linspace(-gap.reach, gap.reach, _SHIFTS) if shifts else np.zeros(1)
    angles = 2 * np.pi * np.arange(_TURNS) / _TURNS if turns else np.zeros(1)
    tried = [start.moved(angle, step) for angle in angles for step in steps]
    best = min(tried, key=lambda motion: gap(motion, every=10))
    # In turns of the scan, so that both unknowns are of the order of one.
    units = np.array([2 * np.pi / _TURNS, gap.reach / 20])
    free = np.array([turns, shifts])

    def moved(values: Floats) -> _Motion:
        change = np.zeros(2)
        change[free] = values
        return best.moved(*(np.array([best.angle, best.shift]) + units * change))

    found = minimize(
        lambda values: 1e3 * gap(moved(values)),
        np.zeros(int(free.sum())),
        method="Nelder-Mead",
        options={"initial_simplex": _simplex(int(free.sum())), "xatol": 1e-2, "fatol": 1e-5},
    )
    motion = moved(found.x)
    return gap(motion), motion


def _simplex(unknowns: int) -> Floats:
    return np.vstack([np.zeros(unknowns), np.eye(unknowns)])


def _moments(surface: Surface) -> tuple[Floats, Floats]:
    """Centroid [m] and second moments about it, over the volume [m2], of the inside of a closed surface."""
    grid = Grid.around((surface,), _ACROSS)
    points = grid.points(inside(surface, grid))
    centre = points.mean(axis=0)
    return centre, np.cov((points - centre).T, bias=True)


def _place(point: Floats) -> str:
    x, y, z = 1e3 * point
    return f"({x:.1f}, {y:.1f}, {z:.1f}) mm"
