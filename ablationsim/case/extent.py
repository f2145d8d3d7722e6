"""Where the conductors of a case are: the default domain round them, and whether they lie inside a given one.

A domain is upright in its frame: that of the world, or that of the applicators, of which the first one's shaft is then
its axis. Tines and needles of a cluster are taken as the whole rings that they lie on, so nothing here depends on roll.
The geometry checks the applicators themselves again, with the clearance that its mesh needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.case.sections import DomainSection
from ablationsim.device.profile import ApplicatorSpec

Array = NDArray[np.float64]

MARGIN = 50e-3
"""Tissue round the conductors in the default domain [m]; heat diffuses about 20 mm in twelve minutes."""


WARMED_SHAFT = 30e-3
"""Shaft above the radiating part of an antenna that currents on it warm, and that the default domain has its margin
from [m]."""

_ASIDE = 1e-4  # m: a tip nearer to the axis of another shaft does not say which way is sideways
_ASKEW = 1e-3  # neither does a shaft at a smaller angle with it [rad]


@dataclass(frozen=True)
class Frame:
    """Axes that a domain is parallel to.

    Attributes
    ----------
    origin : (3,) array
        World coordinates [m].
    axes : (3, 3) array
        Its rows are the unit vectors of the frame in world coordinates; the last one is the axis of a cylinder.
    """

    origin: Array
    axes: Array

    @classmethod
    def world(cls) -> Frame:
        """The axes of the world."""
        return cls(np.zeros(3), np.eye(3))

    @classmethod
    def along(cls, tip: Sequence[float], direction: Sequence[float]) -> Frame:
        """The frame of an applicator, but for its roll."""
        return cls(np.asarray(tip, dtype=np.float64), _axes(direction))

    @classmethod
    def of(cls, places: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Frame:
        """The frame of one or several applicators, but for their roll: a rigid motion of all of them moves it along.

        Its last axis is the shaft of the first one. With several, the first axis points from it to the next tip that
        lies beside it, or else along the next shaft that is at an angle with it.

        Parameters
        ----------
        places : sequence of (tip, direction)
            World coordinates [m]; at least one.
        """
        alone = cls.along(*places[0])
        axis = alone.axes[2]
        ways = [np.asarray(tip, dtype=np.float64) - alone.origin for tip, _ in places[1:]]
        ways += [_ASIDE / _ASKEW * _unit(direction) for _, direction in places[1:]]
        for way in ways:
            across = way - (way @ axis) * axis
            if np.linalg.norm(across) > _ASIDE:
                first = _unit(across)
                return cls(alone.origin, np.array([first, np.cross(axis, first), axis]))
        return alone

    def seen(self, tip: Sequence[float], direction: Sequence[float]) -> tuple[Array, Array]:
        """Tip [m] and unit direction of an applicator as the frame sees it.

        Rounded to nanometres, so that it is the same wherever the frame lies.
        """
        axis: Array = _unit(_unit(direction) @ self.axes.T)
        return np.round(self.local(tip), 9) + 0.0, np.round(axis, 9) + 0.0

    def local(self, points: Array | Sequence[float]) -> Array:
        """World points (..., 3) as the frame sees them [m]."""
        seen: Array = (np.asarray(points, dtype=np.float64) - self.origin) @ self.axes.T
        return seen

    def to_world(self, points: Array) -> Array:
        """Points (..., 3) of the frame in world coordinates [m]."""
        placed: Array = points @ self.axes + self.origin
        return placed


@dataclass(frozen=True)
class Ring:
    """A circle about the shaft, device frame: a height and a radius [m]; `label` says what lies on it."""

    label: str
    z: float
    radius: float


def rings(spec: ApplicatorSpec) -> list[Ring]:
    """Rings that hold the tip, both ends of every conducting or radiating section, and the points of every tine."""
    lateral = 0.0
    if spec.cluster is not None and spec.cluster.count > 1:
        lateral = spec.cluster.spacing / (2.0 * math.sin(math.pi / spec.cluster.count))
    radius = lateral + spec.diameter / 2.0
    found = [Ring("tip", 0.0, lateral)]
    z = 0.0
    for section in spec.sections:
        if section.terminal is not None or section.radiating:
            found.append(Ring(f"section '{section.name}'", z, radius if z > 0.0 else lateral))
            found.append(Ring(f"section '{section.name}'", z + section.length, radius))
        z += section.length
    found += [Ring("tine", height, r + tine.radius) for tine in spec.tines for r, height in tine.path]
    return found


def _warmed(spec: ApplicatorSpec) -> list[Ring]:
    """Upper end of the shaft that an antenna warms, if it is one."""
    ends = np.cumsum([section.length for section in spec.sections])
    radiating = [end for section, end in zip(spec.sections, ends, strict=True) if section.radiating]
    return [Ring("warmed shaft", float(end) + WARMED_SHAFT, spec.diameter / 2.0) for end in radiating[-1:]]


def bounding_box(
    placed: Sequence[tuple[ApplicatorSpec, Sequence[float] | Array, Sequence[float] | Array]],
) -> tuple[Array, Array]:
    """Lowest and highest corner, each of shape (3,) [m], of the box round all that heats: conductors and antennas.

    Parameters
    ----------
    placed : sequence of (ApplicatorSpec, tip, direction)
        Tip [m] and direction in the frame of the domain, which is that of the corners, too.
    """
    lows, highs = [], []
    for spec, tip, direction in placed:
        axis = _unit(direction)
        reach = np.sqrt(np.clip(1.0 - axis**2, 0.0, None))
        for ring in [*rings(spec), *_warmed(spec)]:
            centre = np.asarray(tip) + ring.z * axis
            lows.append(centre - ring.radius * reach)
            highs.append(centre + ring.radius * reach)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def complete(domain: DomainSection, frame: Frame, low: Array, high: Array) -> DomainSection:
    """Fill in what the file left out: centre on the conductors, and `MARGIN` round them, in whole millimetres.

    The corners `low` and `high` of the box round all that heats are in the domain's frame [m].
    """
    local = np.round(0.5 * (low + high), 9) if domain.centre is None else frame.local(domain.centre)
    centre = frame.to_world(local) if domain.centre is None else domain.centre
    half = np.maximum(high - local, local - low) + MARGIN
    # Rounding first keeps 130.00000000000003 mm from becoming 131 mm.
    whole = np.ceil(np.round(2e3 * half, 6)) / 1e3
    fill: dict[str, object] = {"centre": tuple(float(x) for x in centre)}
    if domain.shape == "box":
        fill["size"] = domain.size or tuple(float(x) for x in whole)
    else:
        lateral = math.ceil(round(1e3 * math.hypot(*(half[:2] - MARGIN)) + 1e3 * MARGIN, 6)) / 1e3
        fill["radius"] = domain.radius or lateral
        fill["height"] = domain.height or float(whole[2])
    return domain.model_copy(update=fill)


def depth(domain: DomainSection, frame: Frame, points: Array) -> Array:
    """How far inside a complete domain each world point (n, 3) lies [m]; negative outside."""
    offset = np.abs(frame.local(points) - frame.local(domain.centre or (0.0, 0.0, 0.0)))
    if domain.size is not None:
        inside: Array = np.min(0.5 * np.array(domain.size) - offset, axis=1)
        return inside
    radius, height = domain.radius or math.inf, domain.height or math.inf
    lateral: Array = radius - np.hypot(offset[:, 0], offset[:, 1])
    axial: Array = 0.5 * height - offset[:, 2]
    return np.minimum(lateral, axial)


def describe(domain: DomainSection) -> str:
    """A complete domain in words."""
    centre = "({:g}, {:g}, {:g}) mm".format(*(1e3 * x for x in domain.centre or (0.0, 0.0, 0.0)))
    if domain.size is not None:
        size = " x ".join(f"{1e3 * x:g}" for x in domain.size)
        return f"the box of {size} mm round {centre}"
    radius, height = (1e3 * (length or 0.0) for length in (domain.radius, domain.height))
    along = " along the shaft" if domain.frame == "applicator" else ""
    return f"the cylinder of radius {radius:g} mm and height {height:g} mm{along} round {centre}"


def outside(
    spec: ApplicatorSpec, tip: Sequence[float], direction: Sequence[float], domain: DomainSection, frame: Frame
) -> str | None:
    """Say which parts of an applicator are outside a complete domain, and how far; None when all is inside.

    Tip [m] and direction are world coordinates.
    """
    first, second, axis = _axes(direction)
    azimuth = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
    circle = np.outer(np.cos(azimuth), first) + np.outer(np.sin(azimuth), second)
    worst: dict[str, float] = {}
    for ring in rings(spec):
        inside = float(depth(domain, frame, np.asarray(tip) + ring.z * axis + ring.radius * circle).min())
        if inside < 0.0:
            worst[ring.label] = max(worst.get(ring.label, 0.0), -inside)
    if not worst:
        return None
    parts = ", ".join(f"{label} by {1e3 * by:.3g} mm" for label, by in worst.items())
    return f"outside {describe(domain)}: {parts}; move the applicator or enlarge the domain"


def _axes(direction: Sequence[float]) -> Array:
    """Three unit vectors as rows, right-handed, the last one along a direction; the others are any two across it."""
    axis = _unit(direction)
    first = _unit(np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))]))
    return np.array([first, np.cross(axis, first), axis])


def _unit(vector: Sequence[float] | Array) -> Array:
    array = np.asarray(vector, dtype=np.float64)
    return array / float(np.linalg.norm(array))
