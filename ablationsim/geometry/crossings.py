"""Vessels and needles in each other's way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ablationsim.errors import GeometryError
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.domain import Domain, Floats
from ablationsim.geometry.geometry import Geometry
from ablationsim.vessels.distance import WallDistance, split_triangles
from ablationsim.vessels.vessel import Vessel

_STEP = 0.2e-3
"""Distance of the points along needles and tines at which the distance to a wall is looked up [m]."""


def reaching(domain: Domain, vessels: Sequence[Vessel]) -> tuple[Vessel, ...]:
    """Vessels without those of a patient that lie outside a block of tissue."""
    return tuple(vessel for vessel in vessels if not vessel.incidental or _distance_outside(domain, vessel) == 0.0)


def vessel_warnings(geometry: Geometry, vessels: Sequence[Vessel]) -> list[str]:
    """Say where needles run through vessels or touch them.

    Raises
    ------
    GeometryError
        If a vessel lies outside the modelled tissue, or a needle runs into a tube.
    """
    problems, warnings = [], []
    for vessel in vessels:
        away = _distance_outside(geometry.domain, vessel)
        if away > 0.0 and vessel.incidental:
            continue
        if away > 0.0:
            problems.append(
                f"Vessel '{vessel.name}' lies outside the modelled tissue, {1e3 * away:.1f} mm from it at the nearest. "
                "Check its unit, its orientation and the place of the applicator, enlarge the domain, or leave it out."
            )
            continue
        distance = WallDistance(vessel.wall)
        for applicator in geometry.applicators:
            inside, nearest = _along(applicator, geometry.domain, distance)
            if inside == 0.0 and nearest > 0.0:
                continue
            what = f"{1e3 * inside:.1f} mm of applicator {applicator.name} lie inside vessel '{vessel.name}'"
            if inside == 0.0:
                what = f"Applicator {applicator.name} touches the wall of vessel '{vessel.name}'"
            if vessel.kind == "tube":
                problems.append(f"{what}, which is a tube that no needle passes. Move one of them.")
            else:
                warnings.append(f"{what}: a real needle would injure it, and heat there goes straight into the blood.")
    if problems:
        raise GeometryError("\n".join(problems))
    return warnings


def _distance_outside(domain: Domain, vessel: Vessel) -> float:
    """How far a vessel is from the domain [m]; zero where some of its wall is inside."""
    pieces, _ = split_triangles(vessel.wall.points[vessel.wall.triangles], 2e-3)
    return float(max(0.0, -domain.depth(pieces.mean(axis=1)).max()))


def _along(applicator: Applicator, domain: Domain, distance: WallDistance) -> tuple[float, float]:
    """Length of needles and tines inside a vessel, and the least distance of their surface from its wall [m]."""
    inside, nearest = 0.0, np.inf
    for points, radius in _lines(applicator, domain):
        if len(points) == 0:
            continue
        found = distance(points)
        inside += _STEP * float(np.count_nonzero(found < 0.0))
        nearest = min(nearest, float(found.min()) - radius)
    return inside, nearest


def _lines(applicator: Applicator, domain: Domain) -> Iterator[tuple[Floats, float]]:
    """Points at equal distances along every needle and tine, as far as they are in the domain, with its radius."""
    end = max(applicator.length, 2.0 * domain.circumradius)
    paths = [(applicator.to_world([(x, y, 0.0), (x, y, end)]), applicator.radius) for x, y in applicator.shafts]
    paths += [(applicator.to_world(tine.path), tine.radius) for tine in applicator.tines]
    for path, radius in paths:
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        station = np.arange(0.5 * _STEP, along[-1], _STEP)
        points = np.stack([np.interp(station, along, path[:, axis]) for axis in range(3)], axis=1)
        yield points[domain.depth(points) > 0.0], radius
