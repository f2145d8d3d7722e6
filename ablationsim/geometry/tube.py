"""Straight tubes whose walls a mesh is fitted to: where they may lie in a block of tissue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.case.vessels import VesselSection
from ablationsim.errors import GeometryError
from ablationsim.geometry.distance import polyline_distance
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.geometry import CLEARANCE, GAP, Geometry, centrelines
from ablationsim.geometry.placement import Placement

Floats = NDArray[np.float64]

_AROUND = 16  # points round the tube at which its depth in the block is looked at
_MOST_STEPS = 4000  # along a tube
_FLATTEST = 4.0
"""Radii over which a tube may pass through the surface of the block, about what it needs at 60 degrees from the
normal; at flatter angles it runs along the surface and leaves slivers of tissue."""


@dataclass(frozen=True, eq=False)
class Tube:
    """A straight tube, lumen and wall together.

    Attributes
    ----------
    name : str
        Of the vessel.
    start, end : (3,) float64
        Ends of its axis, world coordinates in metres.
    radius : float
        Outer radius in metres.
    """

    name: str
    start: Floats
    end: Floats
    radius: float

    @classmethod
    def of(cls, vessel: VesselSection) -> Tube:
        """Return the tube that a vessel of two points and a diameter is.

        Raises
        ------
        GeometryError
            When the vessel is anything else, or its points are one.
        """
        if vessel.points is None or vessel.diameter is None or len(vessel.points) != 2:
            raise GeometryError(
                f"Vessel '{vessel.name}' is no straight tube, and meshes are fitted only to tubes of two points and a "
                "diameter. Use mesh.vessels = 'embedded', or give a mesh that is fitted to it as domain.mesh."
            )
        start, end = np.array(vessel.points)
        if np.array_equal(start, end):
            raise GeometryError(f"Vessel '{vessel.name}' has no length: both of its points are the same.")
        return cls(vessel.name, start, end, vessel.diameter / 2 + (vessel.wall_thickness or 0.0))

    @property
    def axis(self) -> Floats:
        """Unit vector from start to end, shape (3,)."""
        along: Floats = (self.end - self.start) / np.linalg.norm(self.end - self.start)
        return along

    def seen_from(self, frame: Placement) -> Tube:
        """Return the tube in another frame, its ends at whole nanometres, so that turning there leaves no trace."""
        start, end = np.round(frame.to_device([self.start, self.end]), 9) + 0.0
        return Tube(self.name, start, end, self.radius)


def fitted(tubes: Sequence[Tube], geometry: Geometry) -> tuple[Tube, ...]:
    """Return the tubes as they are meshed: an end near the surface of the block is lengthened out of it.

    Raises
    ------
    GeometryError
        When a tube misses the block, runs along its surface, or touches an applicator or another tube.
    """
    long = [_through(tube, geometry.domain) for tube in tubes]
    problems = []
    for i, (tube, longer) in enumerate(zip(tubes, long, strict=True)):
        problems += _at_surface(tube, longer, geometry.domain) + _touching(longer, long[i + 1 :], geometry)
    if problems:
        raise GeometryError("\n".join(problems))
    return tuple(long)


def _through(tube: Tube, domain: Domain) -> Tube:
    """Let a tube end one radius outside the block wherever its end is not at least the clearance inside."""
    outward = 4 * (domain.circumradius + tube.radius) * tube.axis
    keep_start, keep_end = domain.depth([tube.start, tube.end]) >= CLEARANCE
    start = tube.start if keep_start else tube.start - outward
    long = Tube(tube.name, start, tube.end if keep_end else tube.end + outward, tube.radius)
    _, high, step = _depths(long, domain)
    within = np.flatnonzero(high > 0)
    if not len(within):
        return tube
    first, last = step * within[0] - tube.radius, step * within[-1] + tube.radius
    return Tube(
        tube.name,
        tube.start if keep_start else start + first * tube.axis,
        tube.end if keep_end else start + last * tube.axis,
        tube.radius,
    )


def _at_surface(tube: Tube, longer: Tube, domain: Domain) -> list[str]:
    """Say what is wrong where a tube meets the surface of the block."""
    low, high, step = _depths(tube, domain)
    if low.max() < CLEARANCE:
        return [
            f"Tube '{tube.name}' reaches at most {1e3 * low.max():.2f} mm inside the {domain.shape} domain's surface "
            f"(negative is outside) with its whole width, but a mesh needs {1e3 * CLEARANCE:.0f} mm to be fitted to "
            "it: move the tube, or enlarge the domain."
        ]
    low, high, step = _depths(longer, domain)
    shallow = (low < CLEARANCE) & (high > 0)
    deepest = int(np.argmax(low))
    problems = []
    for name, moved, side in (
        ("start", not np.array_equal(longer.start, tube.start), slice(deepest, None, -1)),
        ("end", not np.array_equal(longer.end, tube.end), slice(deepest, None)),
    ):
        over = step * np.count_nonzero(shallow[side])
        if not moved and over > 0:
            problems.append(
                f"Tube '{tube.name}': its {name} reaches to {1e3 * low[side][-1]:.2f} mm inside the {domain.shape} "
                f"domain's surface (negative is outside), but must stay at least {1e3 * CLEARANCE:.0f} mm inside or "
                "lie outside: shorten or lengthen the tube."
            )
        elif over > _FLATTEST * tube.radius + 2 * CLEARANCE:
            problems.append(
                f"Tube '{tube.name}' runs along the surface of the {domain.shape} domain toward its {name}: over "
                f"{1e3 * over:.1f} mm it is neither outside nor {1e3 * CLEARANCE:.0f} mm inside with its whole "
                "width. Let it leave the domain at a steeper angle, or enlarge the domain."
            )
    return problems


def _depths(tube: Tube, domain: Domain) -> tuple[Floats, Floats, float]:
    """Least and greatest depth of the surface in the block along a tube, both (k,), and the spacing, in metres."""
    length = float(np.linalg.norm(tube.end - tube.start))
    count = min(_MOST_STEPS, int(np.ceil(4 * length / tube.radius))) + 1
    across = np.cross(tube.axis, np.eye(3)[np.abs(tube.axis).argmin()])
    across /= np.linalg.norm(across)
    angle = 2 * np.pi * np.arange(_AROUND)[:, None] / _AROUND
    ring = tube.radius * (np.cos(angle) * across + np.sin(angle) * np.cross(tube.axis, across))
    centres = tube.start + np.linspace(0, 1, count)[:, None] * (tube.end - tube.start)
    depth = domain.depth(centres[:, None] + ring)
    return depth.min(axis=1), depth.max(axis=1), length / (count - 1)


def _touching(tube: Tube, others: Sequence[Tube], geometry: Geometry) -> list[str]:
    """Say which applicators and other tubes a tube comes too near to."""
    line = np.array([tube.start, tube.end])
    # Shafts go on out of the block, whatever the length that is described.
    near = [
        (f"applicator {applicator.name}", polyline_distance(line, path) - radius)
        for applicator in geometry.applicators
        for path, radius in centrelines(applicator, 2 * geometry.domain.circumradius)
    ]
    near += [
        (f"tube '{other.name}'", polyline_distance(line, np.array([other.start, other.end])) - other.radius)
        for other in others
    ]
    return [
        f"Tube '{tube.name}' and {name} come within {1e3 * (distance - tube.radius):.2f} mm of each other (negative is "
        f"overlap); a mesh that is fitted to the tube needs {1e3 * GAP:.1f} mm of tissue between them."
        for name, distance in near
        if distance - tube.radius < GAP
    ]
