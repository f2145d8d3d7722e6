"""The ways of needles to where they are to lie: clearances, depth, and how they enter the liver.

Everything is measured on straight ways from the tip toward the handle, for one place or for thousands at a time, with
the same code: what is feasible for a search is feasible for a person who asks about one needle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.anatomy import Anatomy
from ablationsim.case.access import AccessSection
from ablationsim.case.rotation import about_z, swing
from ablationsim.device import Device
from ablationsim.geometry.obstacles import Obstacle, obstacles
from ablationsim.geometry.outline import Outline
from ablationsim.geometry.voxel_distance import voxel_distance
from ablationsim.geometry.ways import Reach, Ways
from ablationsim.vessels.contour import to_world

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Measures:
    """What was measured of n places of a device; lengths in metres, angles in radians.

    Attributes
    ----------
    depth : (n,) float64
        From the tip to the stated entry; else to the skin, or to the surface of the liver when there is no body.
    liver_depth : (n,) float64
        From the tip to where the needle enters the liver; 0 when its tip is outside.
    parenchyma : (n,) float64
        Part of it before the tumour; all of it when no tumour is in the way.
    capsule : (n,) float64
        Depth of what heats below the surface of the liver where it is least; negative where it sticks out.
    capsule_angle, axial_angle : (n,) float64
        Between the needle and the surface of the liver where it enters, and between the needle and the axial plane.
    clearances, nearest : dict of str to (n,) float64
        Least distance from each obstacle, and how far from the tip it is. It is known up to 5 mm above the limit, or
        as far as was asked for; what is larger is given as that.
    violations : dict of str to (n,) bool
        Which limits are not kept, by name: "image", "capsule", "capsule_angle", "parenchyma", "depth", "axial_angle",
        and those of the obstacles.
    """

    depth: Floats
    liver_depth: Floats
    parenchyma: Floats
    capsule: Floats
    capsule_angle: Floats
    axial_angle: Floats
    clearances: Mapping[str, Floats]
    nearest: Mapping[str, Floats]
    violations: Mapping[str, Bools]

    @property
    def feasible(self) -> Bools:
        """Which places keep all limits, shape (n,)."""
        return ~np.any(list(self.violations.values()), axis=0)


def measure(
    anatomy: Anatomy,
    tips: ArrayLike,
    directions: ArrayLike,
    device: Device,
    limits: AccessSection | None = None,
    roll: float = 0.0,
    entries: Sequence[Sequence[float] | None] | None = None,
    known: float = 5e-3,
) -> Measures:
    """Measure the ways of n places of a device to the outside.

    Parameters
    ----------
    anatomy : Anatomy
        With a liver.
    tips, directions : (n, 3) array
        World coordinates [m]; directions from the tip toward the handle, of any length but zero.
    device : Device
    limits : AccessSection, optional
        The defaults when not given.
    roll : float
        Of all places about their shafts [rad]; of influence on tines and clusters only.
    entries : sequence, optional
        Where each needle enters the patient, when it is stated [m]; obstacles count from there to the tip.
    known : float
        How far above their limits clearances are measured [m].

    Raises
    ------
    GeometryError
        When the anatomy has no liver, or lacks a structure that the limits name.
    """
    limits = AccessSection() if limits is None else limits
    ways = Ways.of(tips, directions)
    rotations = swing(ways.directions) @ about_z(roll)
    outline, found = Outline.of(device), obstacles(anatomy, limits)
    border = _to_border(anatomy, ways)
    liver = Reach(anatomy.distance(whole_liver=True), 0.0)
    capsule = _depth_of_heated(liver, outline, ways, rotations)
    liver_depth = liver.leaves(ways, border)
    angle = np.where(liver_depth > 0.0, liver.slope(ways.at(liver_depth), ways.directions), 0.0)
    parenchyma = liver_depth - np.maximum(_last_tumour(anatomy, ways, liver_depth), 0.0)
    outer = liver
    depth = liver_depth
    if anatomy.of_role("body"):
        # The outline of the body is that of all that is labelled: the body's own label has holes where organs are.
        outer = Reach(voxel_distance(anatomy, tuple(structure.name for structure in anatomy.structures)), 0.0)
        depth = np.maximum(outer.last_inside(ways, border), 0.0)
    # Still inside where the image ends: what comes after is not known.
    voxel = max(float(anatomy.image.spacing.max()), outer.spacing)
    cut = (border <= 0.0) | (outer(ways.at(np.maximum(border - voxel, 0.0))) < 0.0)
    lengths = depth if anatomy.of_role("body") else np.minimum(border, limits.depth)
    for i, entry in enumerate(entries or ()):
        if entry is not None:
            depth = depth.copy() if depth is liver_depth or depth is lengths else depth
            lengths = lengths.copy()
            depth[i] = lengths[i] = float(np.linalg.norm(np.asarray(entry) - ways.origins[i]))
            cut[i] &= depth[i] > border[i]
    axial = np.arcsin(np.clip(np.abs(ways.directions[:, 2]), 0.0, 1.0))
    clearances, places = _clearances(anatomy, found, outline, ways, rotations, lengths, known)
    # A thousandth of a millimetre and a degree: limits that are kept by construction are not broken by rounding.
    small, turn = 1e-6, 1e-5
    violations = {
        "image": cut,
        "capsule": capsule < limits.capsule - small,
        "capsule_angle": angle < limits.capsule_angle - turn,
        "parenchyma": parenchyma < limits.parenchyma - small,
        "depth": depth > limits.depth + small,
        "axial_angle": axial > limits.axial_angle + turn,
        **{each.key: clearances[each.key] < each.limit - small for each in found},
    }
    if not anatomy.of_role("tumour"):
        del violations["parenchyma"]
    return Measures(depth, liver_depth, parenchyma, capsule, angle, axial, clearances, places, violations)


def _to_border(anatomy: Anatomy, ways: Ways) -> Floats:
    """How far from each origin a way leaves the image, shape (n,) [m]; 0 for an origin outside."""
    inverse = np.linalg.inv(anatomy.image.affine)
    start = to_world(inverse, ways.origins)
    step = ways.directions @ inverse[:3, :3].T
    last = np.array(anatomy.image.values.shape) - 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.where(step > 0.0, (last - start) / step, np.where(step < 0.0, (-0.5 - start) / step, np.inf))
    inside = ((start >= -0.5) & (start <= last)).all(axis=1)
    return np.where(inside, ends.min(axis=1), 0.0)


def _depth_of_heated(liver: Reach, outline: Outline, ways: Ways, rotations: Floats) -> Floats:
    """Least depth below the surface of the liver of all that heats, shape (n,) [m]."""
    shafts = outline.shafts_at(ways, rotations)
    least, _ = liver.nearest(shafts, np.full(len(shafts.origins), outline.heated), inner=True)
    result: Floats = least.reshape(len(rotations), -1).min(axis=1) - outline.radius
    if outline.bare.any():
        tines, _ = liver.nearest_points(ways.origins, rotations, outline.tines[outline.bare], inner=True)
        result = np.minimum(result, tines - outline.wire)
    return result


def _last_tumour(anatomy: Anatomy, ways: Ways, lengths: Floats) -> Floats:
    """How far from the tip each way is last inside a tumour, within a length, shape (n,) [m]; negative when never."""
    names = [structure.name for structure in anatomy.of_role("tumour")]
    if not names:
        return np.full(len(lengths), -1.0)
    return Reach(anatomy.distance(*names), 0.0).last_inside(ways, lengths)


def _clearances(
    anatomy: Anatomy,
    found: Sequence[Obstacle],
    outline: Outline,
    ways: Ways,
    rotations: Floats,
    lengths: Floats,
    known: float,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Least distance from each obstacle, and how far from the tip it is, both by its key, shape (n,) [m]."""
    shafts, count = outline.shafts_at(ways, rotations), len(outline.shafts)
    rows = np.arange(len(rotations))
    clearances, places = {}, {}
    for each in found:
        near = anatomy.distance(*each.names) if each.smooth else voxel_distance(anatomy, each.names)
        reach = Reach(near, each.limit + known + outline.radius)
        least, place = (part.reshape(-1, count) for part in reach.nearest(shafts, np.repeat(lengths, count)))
        which = least.argmin(axis=1)
        nearer, where = least[rows, which] - outline.radius, place[rows, which]
        if len(outline.tines):
            tines, point = reach.nearest_points(ways.origins, rotations, outline.tines)
            where = np.where(tines - outline.wire < nearer, outline.tines[point, 2], where)
            nearer = np.minimum(nearer, tines - outline.wire)
        clearances[each.key], places[each.key] = np.minimum(nearer, each.limit + known), where
    return clearances, places
