"""Whether needles can reach where they are to lie.

Everything is measured on straight ways from the tip toward the handle, for one place or for thousands at a time, with
the same code: what is feasible for a search is feasible for a person who asks about one needle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.anatomy import Anatomy
from ablationsim.case.access import AccessSection
from ablationsim.device import Device
from ablationsim.geometry.access_record import Access, Clearance
from ablationsim.geometry.access_words import notes_on, off_the_surface, problems_in
from ablationsim.geometry.measures import Measures, measure
from ablationsim.geometry.obstacles import Obstacle, obstacles
from ablationsim.geometry.outline import Outline
from ablationsim.geometry.placement import Placement
from ablationsim.vessels.contour import to_world

__all__ = ["Access", "Clearance", "Measures", "assess", "feasible", "measure"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

KNOWN = 20e-3
"""How far above its limit a clearance is measured for one needle [m]."""


def feasible(
    anatomy: Anatomy,
    tips: ArrayLike,
    directions: ArrayLike,
    device: Device,
    limits: AccessSection | None = None,
    roll: float = 0.0,
) -> tuple[Bools, Measures]:
    """Return which places of a device keep all limits, shape (n,), and what was measured; see `measure`."""
    measured = measure(anatomy, tips, directions, device, limits, roll)
    return measured.feasible, measured


def assess(
    anatomy: Anatomy,
    tip: Sequence[float],
    direction: Sequence[float],
    device: Device,
    limits: AccessSection | None = None,
    roll: float = 0.0,
    entry: Sequence[float] | None = None,
    name: str = "needle",
) -> Access:
    """Measure the way of one needle and say what is wrong with it.

    Parameters
    ----------
    anatomy : Anatomy
        With a liver.
    tip, direction : (3,) float
        World coordinates [m]; the direction from the tip toward the handle.
    device : Device
    limits : AccessSection, optional
        The defaults when not given.
    roll : float
        About the shaft [rad].
    entry : (3,) float, optional
        Where it enters the patient, when that is stated [m].
    name : str

    Raises
    ------
    GeometryError
        When the anatomy has no liver, or lacks a structure that the limits name.
    """
    limits = AccessSection() if limits is None else limits
    found = measure(anatomy, [tip], [direction], device, limits, roll, None if entry is None else [entry], KNOWN)
    along = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
    depth = float(found.depth[0])
    surface = "entry" if entry is not None else "skin" if anatomy.of_role("body") else "liver"
    clearances = _clearances(anatomy, found, obstacles(anatomy, limits), np.asarray(tip), along, Outline.of(device))
    notes = notes_on(anatomy)
    if entry is not None:
        natural = measure(anatomy, [tip], [direction], device, limits, roll).depth[0]
        notes += off_the_surface(depth - float(natural), bool(anatomy.of_role("body")))
    return Access(
        name,
        problems_in(anatomy, found, limits, clearances, surface, Placement.along(tip, direction, roll)),
        notes,
        depth,
        float(found.liver_depth[0]),
        float(found.parenchyma[0]),
        float(found.capsule[0]),
        float(found.capsule_angle[0]),
        float(found.axial_angle[0]),
        surface,
        np.asarray(tip) + depth * along,
        tuple(clearances.values()),
    )


def _clearances(
    anatomy: Anatomy, found: Measures, listed: Sequence[Obstacle], tip: Floats, along: Floats, outline: Outline
) -> dict[str, Clearance]:
    """Clearances by the key of the obstacle, each with the structure that is nearest."""
    reach = max(outline.radius, *np.linalg.norm(outline.shafts, axis=1), *np.linalg.norm(outline.tines, axis=1), 0.0)
    result = {}
    for each in listed:
        distance, height = float(found.clearances[each.key][0]), float(found.nearest[each.key][0])
        known = distance < each.limit + KNOWN - 1e-6
        name = each.names[0] if len(each.names) == 1 else each.key
        if known and len(each.names) > 1:
            name = _closest(anatomy, each.names, tip + height * along, max(distance, 0.0) + reach) or name
        result[each.key] = Clearance(name, distance, not known, each.limit, height)
    return result


def _closest(anatomy: Anatomy, names: Sequence[str], point: Floats, within: float) -> str | None:
    """Which of some structures has the voxel that is nearest to a point, in about a distance [m]."""
    image = anatomy.image
    index = to_world(np.linalg.inv(image.affine), point[None])[0]
    around = np.ceil(within / image.spacing).astype(int) + 2
    low = np.clip(np.floor(index).astype(int) - around, 0, image.values.shape)
    high = np.clip(np.ceil(index).astype(int) + around + 1, 0, image.values.shape)
    block = image.values[tuple(slice(first, last) for first, last in zip(low, high, strict=True))]
    labels = {anatomy.named(name).label: name for name in names}
    places = np.argwhere(np.isin(block, list(labels)))
    if not len(places):
        return None
    away = np.linalg.norm(to_world(image.affine, places + low) - point, axis=1)
    return labels[int(block[tuple(places[away.argmin()])])]
