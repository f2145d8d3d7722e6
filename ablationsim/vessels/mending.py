"""Making a closed surface, with its normals outward, of the triangles that a file has.

Ends where a vessel was cut off are closed flat. Small faults are mended by MeshFix; what is still at fault then, or
would have to be changed much, is refused with the place of the fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ablationsim.errors import MeshError
from ablationsim.vessels.caps import close_ends, flat_ends
from ablationsim.vessels.coordinates import place
from ablationsim.vessels.crossings import crossing_triangles
from ablationsim.vessels.triangles import Sides, area_vectors, sides_of
from ablationsim.vessels.vessel import Floats, Ints, Wall

Bools = NDArray[np.bool_]

#: A surface of more triangles is made coarser: vessels of a whole liver need fewer.
MOST_TRIANGLES = 300_000
#: Points nearer than this are one [m]: the last digit of files with six digits.
SAME = 2e-6
#: A piece that is smaller than this is left out [m]: vessels that thin belong to the perfusion of the tissue.
SPECK = 1e-3
#: A surface thinner than this everywhere encloses nothing [m].
THINNEST = 1e-5
#: Share of the surface that mending may change; more is another vessel than the file's.
MOST_CHANGED = 0.05
#: Share of the surface that may cross itself where it cannot be mended: too little to change what it exchanges.
MOST_CROSSING = 1e-3
#: A point farther than this from the surface that it was on has been moved, over the size of the piece.
MOVED = 2e-3


@dataclass(frozen=True, eq=False)
class _Piece:
    """A connected part of a surface; `capped` as in `Wall`."""

    points: Floats
    triangles: Ints
    capped: Bools

    @property
    def volume(self) -> float:
        return Wall(self.points, self.triangles, self.capped).volume

    @property
    def areas(self) -> Floats:
        return Wall(self.points, self.triangles, self.capped).areas

    @property
    def centroids(self) -> Floats:
        return np.asarray(self.points[self.triangles].mean(axis=1))

    @property
    def size(self) -> float:
        """Longest side of the box round it [m]."""
        return float(np.ptp(self.points[np.unique(self.triangles)], axis=0).max())


def mend(points: Floats, triangles: Ints) -> tuple[Wall, tuple[str, ...]]:
    """Make a wall of triangles.

    Parameters
    ----------
    points : (n, 3) float64
        In metres.
    triangles : (m, 3) int64
        In any state: repeated points and triangles, open ends, holes, normals inward or at random, crossing triangles.

    Returns
    -------
    Wall
        Closed, every edge between two triangles, normals outward. Pieces that do not touch stay apart.
    tuple of str
        What was mended, one sentence each.

    Raises
    ------
    MeshError
        When it cannot be made closed without changing more than a small part of it, encloses nothing, or pieces of it
        overlap; with the place.
    """
    wall, notes = closed(points, triangles)
    ends = flat_ends(wall.points, wall.triangles) & ~wall.capped
    if ends.any():
        area = 1e6 * wall.areas[ends].sum()
        notes = (*notes, f"Flat ends of {area:.1f} mm² are taken for cuts: no heat passes there.")
    return Wall(wall.points, wall.triangles, wall.capped | ends), notes


def closed(points: Floats, triangles: Ints) -> tuple[Wall, tuple[str, ...]]:
    """Make a closed surface of triangles, of a vessel or of any other body.

    Parameters, results and errors are those of `mend`, but only what was added to close the surface is `capped`, and
    not the flat ends that it had.
    """
    notes: list[str] = []
    points, triangles = _welded(points, triangles, notes)
    if len(triangles) > MOST_TRIANGLES:
        points, triangles = _coarser(points, triangles, notes)
    pieces = _without_specks(_pieces(points, triangles), notes)
    pieces = [_closed(piece, notes) for piece in pieces]
    _check_apart(pieces)
    return _joined(_without_inner(pieces, notes)), tuple(notes)


def _welded(points: Floats, triangles: Ints, notes: list[str]) -> tuple[Floats, Ints]:
    """Make equal points one, and leave out triangles that are there twice or have two corners in one place."""
    grid = np.round((points - points.min(axis=0)) / SAME).astype(np.int64)
    spans = grid.max(axis=0) + 1
    _, first, number = np.unique(
        (grid[:, 0] * spans[1] + grid[:, 1]) * spans[2] + grid[:, 2], return_index=True, return_inverse=True
    )
    points, triangles = points[first], number.reshape(-1)[triangles]
    # The grid has parted some points that are nearly equal; where they matter, the surface is open.
    rim = np.unique(sides_of(triangles).open_edges)
    if len(rim):
        pairs = cKDTree(points[rim]).query_pairs(SAME, output_type="ndarray")
        same = coo_array((np.ones(len(pairs)), (rim[pairs[:, 0]], rim[pairs[:, 1]])), shape=2 * (len(points),))
        _, group = connected_components(same, directed=False)
        _, first, number = np.unique(group, return_index=True, return_inverse=True)
        points, triangles = points[first], number.reshape(-1)[triangles]
    corners = np.sort(triangles, axis=1)
    flat = (corners[:, 0] == corners[:, 1]) | (corners[:, 1] == corners[:, 2])
    triangles, corners = triangles[~flat], corners[~flat]
    order = np.lexsort(corners.T)
    new = np.ones(len(order), dtype=bool)
    new[1:] = (corners[order[1:]] != corners[order[:-1]]).any(axis=1)
    twin = np.empty(len(order), dtype=np.int64)
    twin[order] = np.cumsum(new) - 1
    # Whether the corners are in the order of the numbers or against it.
    turn = np.where(
        np.argmin(triangles, axis=1) == (np.argmax(triangles, axis=1) + 1) % 3,
        -1.0,
        1.0,
    )
    balance = np.bincount(twin, weights=turn)
    count = np.bincount(twin)
    keep = np.zeros(len(triangles), dtype=bool)
    keep[order[new]] = True
    # Two that face each other are a wall between two bodies: inside what both enclose.
    keep &= ~((count[twin] > 1) & (balance[twin] == 0))
    if flat.any():
        notes.append(f"{plural(int(flat.sum()), 'triangle')} without area left out.")
    if not keep.all():
        notes.append(f"{plural(int((~keep).sum()), 'repeated triangle')} left out.")
    if not keep.any():
        raise MeshError("No triangle has an area.")
    return points, triangles[keep]


def _coarser(points: Floats, triangles: Ints, notes: list[str]) -> tuple[Floats, Ints]:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

    filter_ = vtkQuadricDecimation()
    filter_.SetInputData(_to_vtk(points, triangles))
    filter_.SetTargetReduction(1.0 - MOST_TRIANGLES / len(triangles))
    filter_.VolumePreservationOn()
    filter_.Update()
    output = filter_.GetOutput()
    coarse = vtk_to_numpy(output.GetPolys().GetConnectivityArray()).astype(np.int64).reshape(-1, 3)
    notes.append(f"The surface was made coarser, from {len(triangles)} to {len(coarse)} triangles.")
    return vtk_to_numpy(output.GetPoints().GetData()).astype(np.float64), coarse


def _to_vtk(points: Floats, triangles: Ints) -> Any:
    """The same surface for VTK (a vtkPolyData)."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

    # Copies, so that nothing depends on how long the arrays live.
    surface, corners, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    corners.SetData(numpy_to_vtk(np.ascontiguousarray(points), deep=True))
    surface.SetPoints(corners)
    offsets = numpy_to_vtkIdTypeArray(np.arange(0, 3 * len(triangles) + 1, 3, dtype=np.int64), deep=True)
    cells.SetData(offsets, numpy_to_vtkIdTypeArray(np.ascontiguousarray(triangles, dtype=np.int64).ravel(), deep=True))
    surface.SetPolys(cells)
    return surface


def _pieces(points: Floats, triangles: Ints) -> list[_Piece]:
    """Parts of the surface that no edge connects, largest first."""
    pairs = sides_of(triangles).neighbours
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=2 * (len(triangles),))
    count, label = connected_components(links, directed=False)
    order = np.argsort(label, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(label, minlength=count))[:-1])
    found = [_compact(points, triangles[part], np.zeros(len(part), dtype=bool)) for part in parts]
    return sorted(found, key=lambda piece: -float(piece.areas.sum()))


def _compact(points: Floats, triangles: Ints, capped: Bools) -> _Piece:
    used, numbers = np.unique(triangles, return_inverse=True)
    return _Piece(points[used], numbers.reshape(-1, 3), capped)


def _without_specks(pieces: list[_Piece], notes: list[str]) -> list[_Piece]:
    kept = [piece for i, piece in enumerate(pieces) if i == 0 or piece.size >= SPECK]
    if len(kept) < len(pieces):
        notes.append(f"{plural(len(pieces) - len(kept), 'speck')} smaller than {1e3 * SPECK:g} mm left out.")
    return kept


def _closed(piece: _Piece, notes: list[str]) -> _Piece:
    """Turn all triangles one way, close cut ends and holes, take crossings away, and turn the normals outward."""
    triangles, flipped = _one_way(piece.triangles)
    points, triangles, capped, ends = close_ends(piece.points, triangles)
    if ends:
        area = 1e6 * float(np.linalg.norm(area_vectors(points, triangles[capped]), axis=1).sum())
        notes.append(f"{plural(ends, 'open end')} closed flat ({area:.1f} mm²): no heat passes there.")
    whole = _Piece(points, triangles, capped)
    fault = _fault(whole)
    if fault is not None:
        whole = _mended(whole, *fault, notes)
    if whole.volume < 0:
        whole = _Piece(whole.points, whole.triangles[:, ::-1], whole.capped)
        flipped = len(piece.triangles) - flipped
    if flipped == len(piece.triangles):
        notes.append("The surface was inside out and was turned.")
    elif flipped:
        notes.append(f"{plural(flipped, 'triangle')} turned, which faced the other way than the rest.")
    area = float(whole.areas.sum())
    if 2.0 * whole.volume < THINNEST * area:
        raise MeshError(
            f"The piece at {place(whole.centroids.mean(axis=0))} encloses no volume: it is a sheet and no body."
        )
    return whole


def _one_way(triangles: Ints) -> tuple[Ints, int]:
    """Turn triangles so that neighbours run along their edge in opposite directions, as far as that goes.

    Every triangle stands for two, as it is and turned; those that belong together are connected.
    """
    sides, count = sides_of(triangles), len(triangles)
    first, second = sides.neighbours[~sides.crowded].T
    turned = sides.same_direction[~sides.crowded]
    rows = np.concatenate([first, first + count])
    columns = np.concatenate([np.where(turned, second + count, second), np.where(turned, second, second + count)])
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(2 * count, 2 * count))
    _, label = connected_components(links, directed=False)
    # Of both ways to turn a part, the one that turns fewer triangles.
    as_is, flipped = np.bincount(label[:count], minlength=label.max() + 1), label[count:]
    flip = as_is[flipped] > as_is[label[:count]]
    # Both ways equal: the part's lower label stays.
    flip |= (as_is[flipped] == as_is[label[:count]]) & (flipped < label[:count])
    return np.where(flip[:, None], triangles[:, ::-1], triangles), int(flip.sum())


def _fault(piece: _Piece) -> tuple[str, Floats] | None:
    """What is wrong with a surface and where; None when it is closed and crosses itself nowhere."""
    sides: Sides = sides_of(piece.triangles)
    for edges, what in (
        (sides.open_edges, "is open along {}"),
        (sides.crowded_edges, "has more than two triangles at {}"),
        (sides.twisted_edges, "has no inside, it turns over at {}"),
    ):
        if len(edges):
            return f"the surface {what.format(plural(len(edges), 'edge'))}", _crowd(
                piece.points[edges].mean(axis=1), piece.size
            )
    crossing = crossing_triangles(piece.points, piece.triangles)
    if len(crossing):
        area = 1e6 * piece.areas[crossing].sum()
        return (
            f"the surface crosses itself in {plural(len(crossing), 'triangle')} ({area:.3g} mm²)",
            _crowd(piece.centroids[crossing], piece.size),
        )
    return None


def _meshfix(points: Floats, triangles: Ints) -> Any:
    """The same surface for MeshFix (a PyTMesh).

    Raises
    ------
    ImportError
        If MeshFix is not installed: its licence (GPL) keeps it from being a dependency of everyone.
    """
    from pymeshfix import PyTMesh

    fix = PyTMesh()
    fix.set_quiet(True)
    # In millimetres, where its tolerances are meant to hold.
    fix.load_array(np.ascontiguousarray(1e3 * points), np.ascontiguousarray(triangles, dtype=np.int32))
    return fix


def _crowd(places: Floats, size: float) -> Floats:
    """The place with the most others near it."""
    near = cKDTree(places).query_ball_point(places, 0.05 * size, return_length=True)
    return np.asarray(places[int(np.argmax(near))])


def _mended(piece: _Piece, what: str, where: Floats, notes: list[str]) -> _Piece:
    """Mend with MeshFix; refuse when a fault stays or the surface is another one than before."""
    fault = f"{what[0].upper()}{what[1:]}, near {place(where)}"
    try:
        fix = _meshfix(piece.points, piece.triangles)
    except ImportError as error:
        raise MeshError(
            f"{fault}. MeshFix, which could mend it, is not installed: pip install 'ablationsim[repair]' (GPL), or "
            "mend it in the program that made it."
        ) from error
    fix.fill_small_boundaries(0, True)
    after = _of_meshfix(fix)
    left = _fault(after)
    if left is not None:
        # This cuts crossings out, and leaves all but the largest part out where that falls apart.
        fix.clean(10, 3)
        after = _of_meshfix(fix)
        left = _fault(after)
    tolerance = MOVED * piece.size
    gone = _distances(piece.centroids, after)[0] > tolerance
    away, nearest = _distances(after.centroids, piece)
    changed = max(float(piece.areas[gone].sum()), float(after.areas[away > tolerance].sum())) / piece.areas.sum()
    if left is None and changed <= MOST_CHANGED:
        notes.append(f"{fault}: mended.")
        return _Piece(after.points, after.triangles, piece.capped[nearest] & (away <= tolerance))
    crossing = crossing_triangles(piece.points, piece.triangles)
    sides = sides_of(piece.triangles)
    if sides.closed and piece.areas[crossing].sum() <= MOST_CROSSING * piece.areas.sum():
        notes.append(f"{fault}: left as it is.")
        return piece
    reason = (
        f"After mending, {left[0]}, near {place(left[1])}"
        if left is not None
        else f"To mend it would change {100 * changed:.0f} % of it; at most {100 * MOST_CHANGED:g} % are changed"
    )
    raise MeshError(
        f"{fault}. {reason}. Mend it in the program that made it, such as MeshLab, Blender or 3D Slicer, or give a "
        "label image instead."
    )


def _of_meshfix(fix: Any) -> _Piece:
    points, triangles = fix.return_arrays()
    if not len(triangles):
        raise MeshError("Nothing is left of a piece of the surface when its faults are cut out.")
    return _compact(1e-3 * np.asarray(points), np.asarray(triangles, dtype=np.int64), np.zeros(len(triangles), bool))


def _distances(points: Floats, piece: _Piece) -> tuple[Floats, Ints]:
    """Distance of points from a surface [m], and the triangle that is nearest to each."""
    from vtkmodules.vtkCommonCore import reference
    from vtkmodules.vtkCommonDataModel import vtkStaticCellLocator

    locator: Any = vtkStaticCellLocator()
    locator.SetDataSet(_to_vtk(piece.points, piece.triangles))
    locator.BuildLocator()
    foot: list[float] = [0.0, 0.0, 0.0]
    cell: Any = reference(0)
    sub: Any = reference(0)
    square: Any = reference(0.0)
    squares, cells = np.empty(len(points)), np.empty(len(points), dtype=np.int64)
    for i, point in enumerate(points.tolist()):
        locator.FindClosestPoint(point, foot, cell, sub, square)
        squares[i], cells[i] = float(square), int(cell)
    return np.sqrt(squares), cells


def _without_inner(pieces: list[_Piece], notes: list[str]) -> list[_Piece]:
    """Leave out pieces inside others, where none overlap: of a wall drawn with its thickness, the outer side stays."""
    kept = [
        piece
        for i, piece in enumerate(pieces)
        if not any(
            _boxes_meet(piece, other) and _turns(piece.points[0], other) > 0.5
            for j, other in enumerate(pieces)
            if j != i and other.volume > piece.volume
        )
    ]
    if len(kept) < len(pieces):
        notes.append(f"{plural(len(pieces) - len(kept), 'closed piece')} inside another left out.")
    return kept


def _boxes_meet(one: _Piece, other: _Piece) -> bool:
    low = np.maximum(one.points.min(axis=0), other.points.min(axis=0))
    high = np.minimum(one.points.max(axis=0), other.points.max(axis=0))
    return bool((low <= high).all())


def _turns(point: Floats, piece: _Piece) -> float:
    """How often a closed surface goes round a point: 1 inside and 0 outside (solid angles, Van Oosterom 1983)."""
    a, b, c = np.moveaxis(piece.points[piece.triangles] - point, 1, 0)
    la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c))
    dots = [np.einsum("ij,ij->i", u, v) for u, v in ((a, b), (b, c), (c, a))]
    angles = np.arctan2(volume, la * lb * lc + dots[0] * lc + dots[1] * la + dots[2] * lb)
    return float(2.0 * angles.sum() / (4.0 * np.pi))


def _check_apart(pieces: list[_Piece]) -> None:
    for i, one in enumerate(pieces):
        for other in pieces[i + 1 :]:
            if not _boxes_meet(one, other):
                continue
            both = _joined([one, other])
            crossing = crossing_triangles(both.points, both.triangles)
            # Either may cross itself a little.
            if (crossing < len(one.triangles)).any() and (crossing >= len(one.triangles)).any():
                where = _crowd(both.points[both.triangles[crossing]].mean(axis=1), one.size)
                raise MeshError(
                    f"Two pieces of the surface overlap near {place(where)}. Join them into one "
                    "surface (a boolean union) in the program that made them."
                )


def _joined(pieces: list[_Piece]) -> Wall:
    starts = np.cumsum([0, *(len(piece.points) for piece in pieces)])
    return Wall(
        np.vstack([piece.points for piece in pieces]),
        np.vstack([piece.triangles + start for piece, start in zip(pieces, starts, strict=False)]),
        np.concatenate([piece.capped for piece in pieces]),
    )


def plural(count: int, word: str) -> str:
    """The number of things, as in "1 triangle" and "2 triangles"."""
    return f"{count} {word}" + ("" if count == 1 else "s")
