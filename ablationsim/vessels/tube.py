"""Walls drawn round centrelines: a tube of one diameter, and a tree of tapering ones."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ablationsim.errors import GeometryError
from ablationsim.vessels.contour import Body, contour, to_world
from ablationsim.vessels.vessel import Centreline, Floats, Ints, Shape, Wall

# Bounds of the grid on which the wall of a tree is found: nodes across the thin radii, from those that give the
# wall its area to those that make many triangles, down to those with which a vessel would break up; and nodes in all.
_ACROSS_RADIUS = 4.0
_FEWER_ACROSS_RADIUS = 1.6
_FEWEST_ACROSS_RADIUS = 1.3
_THIN_PART = 0.05  # of the length of a tree, which is not looked at for that
_MANY_TRIANGLES = 100e3
_TRIANGLES_PER_CELL = 2.4  # of a contour, by the area of a face of the grid
_MOST_NODES = 30e6
# Rings of a tube stand this many diameters apart, so that its triangles are not slivers; there are at most this many.
_RING_DISTANCE = 0.25
_MOST_RINGS = 3000


def tube(points: Floats, diameter: float, sides: int = 32) -> Shape:
    """Return a tube of one diameter along straight pieces, mitred where they meet and closed by flat caps.

    A polygon of `sides` corners stands for the circle. It has the circle's circumference, so that the lateral area is
    right; the volume is (pi / n) / tan(pi / n) of the round one, 99.7 % for 32 sides.

    Parameters
    ----------
    points : (k, 3) float64
        Centreline, in metres.
    diameter : float
        In metres.
    sides : int
        Corners of the polygon.

    Raises
    ------
    GeometryError
        When there are fewer than two points, two of them coincide, or a bend is too sharp for the diameter.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1:] != (3,) or len(points) < 2 or not np.isfinite(points).all():
        raise GeometryError("A tube needs at least two points with three finite coordinates each.")
    if not (np.isfinite(diameter) and diameter > 0.0):
        raise GeometryError(f"A tube needs a positive diameter, got {diameter * 1e3:g} mm.")
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    if not (lengths > 1e-9).all():
        place = _in_mm(points[int(np.argmin(lengths))])
        raise GeometryError(f"Two successive points of a tube coincide at {place}; leave one of them out.")
    directions = np.diff(points, axis=0) / lengths[:, None]
    _check_bends(points, directions, lengths, diameter)
    rings = _rings(points, directions, lengths, diameter, sides)
    triangles, capped = _stacked(len(rings), sides)
    ends = points[[0, -1]]
    wall = Wall(np.vstack([rings.reshape(-1, 3), ends]), triangles, capped)
    radii = np.full(len(points), 0.5 * diameter)
    return Shape(wall, Centreline((points,), (radii,), np.array([[0, 1]])))


def _check_bends(points: Floats, directions: Floats, lengths: Floats, diameter: float) -> None:
    """Refuse bends whose mitre would cut into the next one: the tube would pass through itself."""
    cosines = np.clip(np.einsum("ij,ij->i", directions[:-1], directions[1:]), -1.0, 1.0)
    angles = np.arccos(cosines)
    taken = np.concatenate([[0.0], 0.5 * diameter * np.tan(0.5 * angles), [0.0]])
    room = lengths - taken[:-1] - taken[1:]
    if (room > 0.0).all():
        return
    piece = int(np.argmin(room))
    bend = max(piece, 1) if taken[piece] >= taken[piece + 1] else piece + 1
    raise GeometryError(
        f"The tube bends by {np.degrees(angles[bend - 1]):.0f} degrees at {_in_mm(points[bend])}, too sharply for its "
        f"diameter of {diameter * 1e3:g} mm beside a piece of {lengths[piece] * 1e3:.3g} mm; bend it in more steps "
        "that are longer than the diameter."
    )


def _rings(points: Floats, directions: Floats, lengths: Floats, diameter: float, sides: int) -> Floats:
    """Polygons across the tube, shape (rings, sides, 3); those at bends lie in the plane between both pieces."""
    across = np.eye(3)[np.argmin(np.abs(directions[0]))]
    first = np.cross(directions[0], across)
    first /= np.linalg.norm(first)
    second = np.cross(directions[0], first)
    angle = 2.0 * np.pi * np.arange(sides) / sides
    radius = 0.5 * diameter * (np.pi / sides) / np.sin(np.pi / sides)
    ring = points[0] + radius * (np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second)
    distance = max(_RING_DISTANCE * diameter, float(lengths.sum()) / _MOST_RINGS)
    rings = [ring]
    for number, (direction, length) in enumerate(zip(directions, lengths, strict=True)):
        normal = direction if number + 1 == len(directions) else direction + directions[number + 1]
        travel = (points[number + 1] - ring) @ normal / (direction @ normal)
        end = ring + travel[:, None] * direction
        steps = max(1, round(length / distance))
        rings += [ring + (end - ring) * (step / steps) for step in range(1, steps)] + [end]
        ring = end
    return np.array(rings)


def _stacked(rings: int, sides: int) -> tuple[Ints, np.ndarray]:
    """Triangles between successive rings, then of both caps, and which of them are caps.

    The middle of the first cap is numbered after all rings, that of the last one after it.
    """
    lower = np.arange(sides)
    upper = np.roll(lower, -1)
    base = sides * np.arange(rings - 1)[:, None]
    sideways = np.concatenate(
        [
            np.stack([base + lower, base + upper, base + lower + sides], axis=-1).reshape(-1, 3),
            np.stack([base + upper, base + upper + sides, base + lower + sides], axis=-1).reshape(-1, 3),
        ]
    )
    middle = rings * sides
    last = (rings - 1) * sides
    start = np.stack([np.full(sides, middle), upper, lower], axis=-1)
    end = np.stack([np.full(sides, middle + 1), last + lower, last + upper], axis=-1)
    triangles = np.concatenate([sideways, start, end]).astype(np.int64)
    return triangles, np.arange(len(triangles)) >= len(sideways)


def wall_of(centreline: Centreline) -> Wall:
    """Return the wall round a tree: the union of a tapering tube along each branch, cut off flat at the tips.

    The thinnest twentieth of a tree may come out thicker than it is: as thick as the grid on which the wall is found
    can show.

    Parameters
    ----------
    centreline : Centreline

    Raises
    ------
    GeometryError
        When the tree is so thin for its extent that the grid for it would be too large.
    """
    spacing = _grid_spacing(centreline)
    drawn = [np.maximum(radii, _FEWEST_ACROSS_RADIUS * spacing) for radii in centreline.radii]
    largest = max(float(radii.max()) for radii in drawn)
    every = np.vstack(centreline.points)
    low = every.min(axis=0) - largest - 2.0 * spacing
    shape = np.ceil((every.max(axis=0) + largest + 2.0 * spacing - low) / spacing).astype(int) + 1
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low
    # Beyond a few nodes from the wall only the sign counts.
    distance = np.full(shape, 4.0 * spacing, dtype=np.float32)
    tips = _tips(centreline)
    for number, (points, radii) in enumerate(zip(centreline.points, drawn, strict=True)):
        cuts = [tip for tip in tips if tip[0] == number]
        for (start, end), (first, last) in zip(pairwise(points), pairwise(radii), strict=True):
            _add_piece(distance, affine, (start, end), (first, last), cuts)
    wall = contour(Body(distance, affine))
    return Wall(wall.points, wall.triangles, _on_tips(wall, tips, spacing))


def _grid_spacing(centreline: Centreline) -> float:
    """Distance of the nodes [m], as the thin branches ask for or as memory allows."""
    lengths = np.concatenate([np.linalg.norm(np.diff(points, axis=0), axis=1) for points in centreline.points])
    radii = np.concatenate([0.5 * (radii[1:] + radii[:-1]) for radii in centreline.radii])
    order = np.argsort(radii)
    share = np.cumsum(lengths[order]) / lengths.sum()
    thinnest, middle = (float(radii[order[np.searchsorted(share, part)]]) for part in (_THIN_PART, 0.5))
    extent = np.ptp(np.vstack(centreline.points), axis=0) + 2.0 * radii.max()
    few = np.sqrt(_TRIANGLES_PER_CELL * 2.0 * np.pi * (radii @ lengths) / _MANY_TRIANGLES)
    spacing = float(np.clip(few, thinnest / _ACROSS_RADIUS, thinnest / _FEWER_ACROSS_RADIUS))
    spacing = max(spacing, float(np.prod(extent) / _MOST_NODES) ** (1.0 / 3.0))
    if spacing > middle / _FEWEST_ACROSS_RADIUS:
        thickness = spacing * _FEWEST_ACROSS_RADIUS
        raise GeometryError(
            f"The vessels are too thin for their extent of {_in_mm(extent)}: half of them have a radius below "
            f"{middle * 1e3:.2g} mm, at least {thickness * 1e3:.2g} mm can be resolved; leave out the branches far "
            "from the needle."
        )
    return spacing


def _tips(centreline: Centreline) -> list[tuple[int, Floats, Floats, float]]:
    """Branch, place, outward direction and radius of each end at which no other branch goes on."""
    numbers, counts = np.unique(centreline.ends, return_counts=True)
    single = set(numbers[counts == 1].tolist())
    found = []
    for number, (points, radii) in enumerate(zip(centreline.points, centreline.radii, strict=True)):
        for side, (end, before) in zip((0, 1), ((0, 1), (-1, -2)), strict=True):
            if int(centreline.ends[number, side]) in single:
                outward = points[end] - points[before]
                found.append((number, points[end], outward / np.linalg.norm(outward), float(radii[end])))
    return found


def _add_piece(
    distance: np.ndarray,
    affine: Floats,
    ends: tuple[Floats, Floats],
    radii: tuple[float, float],
    cuts: list[tuple[int, Floats, Floats, float]],
) -> None:
    """Lower the distance round one straight, tapering piece with round ends; in place."""
    start, end = ends
    spacing, low = affine[0, 0], affine[:3, 3]
    reach = max(radii) + 2.0 * spacing
    begin = np.maximum(np.floor((np.minimum(start, end) - reach - low) / spacing).astype(int), 0)
    stop = np.minimum(np.ceil((np.maximum(start, end) + reach - low) / spacing).astype(int) + 1, distance.shape)
    block = tuple(slice(b, s) for b, s in zip(begin, stop, strict=True))
    indices = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in block), indexing="ij"), axis=-1)
    places = to_world(affine, indices.reshape(-1, 3).astype(np.float64))
    along = end - start
    part = np.clip((places - start) @ along / (along @ along), 0.0, 1.0)
    found = np.linalg.norm(places - start - part[:, None] * along, axis=1) - (radii[0] + part * (radii[1] - radii[0]))
    for _, tip, outward, radius in cuts:
        # Only round this tip: farther away the plane may cross the same branch again.
        beyond = (places - tip) @ outward
        near = np.linalg.norm(places - tip, axis=1) < 2.0 * radius + 2.0 * spacing
        found = np.where(near, np.maximum(found, beyond), found)
    distance[block] = np.minimum(distance[block], found.reshape(indices.shape[:3]))


def _on_tips(wall: Wall, tips: list[tuple[int, Floats, Floats, float]], spacing: float) -> np.ndarray:
    """Which triangles lie in the plane that closes a tip."""
    capped = np.zeros(len(wall.triangles), dtype=bool)
    for _, tip, outward, radius in tips:
        away = wall.points - tip
        inside = (np.abs(away @ outward) < 0.3 * spacing) & (np.linalg.norm(away, axis=1) < radius + spacing)
        capped |= inside[wall.triangles].all(axis=1)
    return capped


def _in_mm(place: Floats) -> str:
    return "(" + ", ".join(f"{1e3 * x:.1f}" for x in place) + ") mm"
