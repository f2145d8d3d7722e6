"""Centrelines with radii from files: polylines of VTK (.vtp) and tables (.csv).

A table has a line of column names and then one point a line, along each branch in order::

    branch,x,y,z,radius
    trunk,0,0,0,6
    trunk,0,0,30,5
    left,0,0,30,4
    left,20,0,50,3

Lengths are in the unit that is given with the file; the names may carry it too (``x_mm``). Branches meet where points
coincide, be it at their ends or on the way. Other columns are not looked at.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ablationsim.errors import MeshError
from ablationsim.units import LengthUnit
from ablationsim.vessels.coordinates import METRES, Orientation, to_world
from ablationsim.vessels.foreign import read_foreign
from ablationsim.vessels.vessel import Centreline, Floats, Ints

RADIUS_ARRAYS = ("radius", "Radius", "MaximumInscribedSphereRadius")
COLUMNS = ("branch", "x", "y", "z", "radius")

#: Points nearer than this are one [m]: less than any vessel is wide.
SAME = 1e-5
#: No vessel of the abdomen is wider; the aorta has 12 mm [m].
WIDEST = 0.05
#: Points of a file that are read.
MOST_POINTS = 1_000_000
_LARGEST_FILE = 500_000_000  # bytes


@dataclass(frozen=True, eq=False)
class _Lines:
    """Polylines as they are in a file: rows of `points` from `starts[i]` to `starts[i + 1]` are one."""

    points: Floats
    radii: Floats
    starts: Ints
    names: tuple[str, ...]
    rows: tuple[str, ...]  # how each point is called in messages


def read_centreline(
    path: str | Path, unit: LengthUnit, orientation: Orientation | None, part: str | None = None
) -> Centreline:
    """Read the centrelines of a vessel tree.

    Lines that meet, cross or run on in each other are taken apart into branches from one junction or tip to the next;
    a piece that several lines share is there once.

    Parameters
    ----------
    path : str or Path
        A .vtp with polylines and a point array "radius", "Radius" or "MaximumInscribedSphereRadius", or a .csv.
    unit : {"m", "cm", "mm", "um"}
        Of coordinates and radii.
    orientation : {"RAS", "LPS"} or None
        Axes of the file; as they are when None.
    part : str, optional
        Which tree of a .csv with a column "tree".

    Returns
    -------
    Centreline
        In metres.

    Raises
    ------
    MeshError
        When the file is missing, damaged or too large, lacks a column or array, or a radius is no vessel's.
    """
    path = Path(path)
    if path.suffix.lower() not in (".vtp", ".csv"):
        raise MeshError(f"A file of centrelines ends in .vtp or .csv, got '{path.name}'.")
    if not path.is_file():
        raise MeshError(f"There is no centreline file {path}.")
    if path.stat().st_size > _LARGEST_FILE:
        raise MeshError(f"{path}: the file is larger than {_LARGEST_FILE / 1e6:g} MB, too large for centrelines.")
    if not path.stat().st_size:
        raise MeshError(f"{path}: the file is empty.")
    try:
        lines = _from_csv(path, unit, part) if path.suffix.lower() == ".csv" else _from_vtp(path)
    except OSError as error:
        raise MeshError(f"The centreline file {path} cannot be read: {error.strerror or error}.") from error
    if len(lines.points) > MOST_POINTS:
        raise MeshError(f"{path}: it has {len(lines.points)} points, more than the {MOST_POINTS} that are read.")
    for length, name in zip(np.diff(lines.starts), lines.names, strict=True):
        if length < 2:
            raise MeshError(f"{path}: {name} has {length} points; a line needs two.")
    points = to_world(lines.points, unit, orientation, str(path))
    radii = METRES[unit] * lines.radii
    for i in np.flatnonzero(~((radii > 0) & (radii <= WIDEST))):
        reason = (
            f"more than {1e3 * WIDEST:g} mm, wider than any vessel; is the unit {unit}?"
            if radii[i] > WIDEST
            else "not a positive number"
        )
        raise MeshError(f"{path}: the radius at {lines.rows[i]} is {lines.radii[i]:g}: {reason}.")
    try:
        return _branches(points, radii, lines.starts)
    except MeshError as error:
        raise MeshError(f"{path}: {error}") from error


def _from_vtp(path: Path) -> _Lines:
    found = read_foreign(path)
    starts, numbers = found["line_starts"], found["lines"]
    if not len(numbers):
        raise MeshError(f"{path}: it holds no lines. A surface is given as surface, not as centreline.")
    arrays = [name for name in RADIUS_ARRAYS if f"point:{name}" in found]
    if not arrays:
        known = ", ".join(key.partition(":")[2] for key in found if key.startswith("point:")) or "none"
        raise MeshError(f"{path}: it has no point array {', '.join(RADIUS_ARRAYS)}; its arrays are {known}.")
    points, radii = found["points"][numbers], found[f"point:{arrays[0]}"][numbers]
    names = tuple(f"line {i + 1}" for i in range(len(starts) - 1))
    return _Lines(points, radii, starts, names, tuple(f"point {i + 1}" for i in numbers))


def _from_csv(path: Path, unit: LengthUnit, part: str | None) -> _Lines:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip().lower() for name in next(reader, [])]
            where = _columns(header, unit, path)
            table = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MeshError(f"{path}: the file is no table of text: {error}.") from error
    table = _of_tree(table, where, part, path)
    branches: dict[str, list[tuple[int, list[float]]]] = {}
    for line, row in table:
        try:
            values = [float(row[where[column]]) for column in COLUMNS[1:]]
            branch = row[where["branch"]].strip()
        except (ValueError, IndexError) as error:
            raise MeshError(f"{path}: row {line} does not have a number in each of x, y, z and radius.") from error
        branches.setdefault(branch, []).append((line, values))
    if not branches:
        raise MeshError(f"{path}: the table has no points.")
    every = [point for points in branches.values() for point in points]
    numbers = np.array([value for _, value in every])
    starts = np.cumsum([0, *(len(points) for points in branches.values())])
    return _Lines(
        numbers[:, :3],
        numbers[:, 3],
        starts,
        tuple(f"branch '{name}'" for name in branches),
        tuple(f"row {line}" for line, _ in every),
    )


def _of_tree(
    table: list[tuple[int, list[str]]], where: dict[str, int], part: str | None, path: Path
) -> list[tuple[int, list[str]]]:
    """The rows of the tree that is asked for."""
    column = where.get("tree", math.inf)
    named = [(row[int(column)].strip() if column < len(row) else "", line, row) for line, row in table]
    trees = sorted({name for name, _, _ in named if name})
    if part is None and len(trees) <= 1:
        return table
    if part not in trees:
        held = f"it holds the trees {', '.join(trees)}" if trees else "it has no column tree"
        asked = f"there is no tree '{part}' in it" if part is not None else "part says which of them is meant"
        raise MeshError(f"{path}: {held}; {asked}.")
    return [(line, row) for name, line, row in named if name == part]


def _columns(header: list[str], unit: LengthUnit, path: Path) -> dict[str, int]:
    """Where each column is."""
    where = {"tree": header.index("tree")} if "tree" in header else {}
    for column in COLUMNS:
        names = [column] if column == "branch" else [column, *(f"{column}_{known}" for known in METRES)]
        present = [name for name in names if name in header]
        if not present:
            raise MeshError(f"{path}: it has no column {column}; the columns are {','.join(COLUMNS)}.")
        _, _, own = present[0].partition("_")
        if own and own != unit:
            raise MeshError(f"{path}: its column {present[0]} is in {own}, but the unit is given as {unit}.")
        where[column] = header.index(present[0])
    return where


def _branches(points: Floats, radii: Floats, starts: Ints) -> Centreline:
    """Take lines apart into branches between junctions and tips."""
    pairs = cKDTree(points).query_pairs(SAME, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=2 * (len(points),))
    _, node = connected_components(links, directed=False)
    _, first = np.unique(node, return_index=True)
    places = points[first]
    # Each step from point to point once; the radii at its ends are those of the line that comes first.
    inside = np.ones(len(points), dtype=bool)
    inside[starts[1:] - 1] = False
    begin = np.flatnonzero(inside)
    begin = begin[node[begin] != node[begin + 1]]
    steps = np.column_stack([node[begin], node[begin + 1]])
    if not len(steps):
        raise MeshError("all points of its lines coincide.")
    _, once = np.unique(np.sort(steps, axis=1), axis=0, return_index=True)
    once = np.sort(once)
    steps, begin = steps[once], begin[once]
    at_node: list[list[int]] = [[] for _ in places]
    for number, (a, b) in enumerate(steps.tolist()):
        at_node[a].append(number)
        at_node[b].append(number)
    junction = np.array([len(numbers) != 2 for numbers in at_node])
    used = np.zeros(len(steps), dtype=bool)
    lines: list[Floats] = []
    widths: list[Floats] = []
    ends: list[tuple[int, int]] = []

    def follow(start: int, step: int) -> None:
        """Walk from a node along a step up to the next junction or tip, or once round."""
        path: list[int] = [start]
        radius: list[float] = []
        here = start
        while True:
            used[step] = True
            a, b = steps[step]
            forward = bool(a == here)
            here = int(b if forward else a)
            near, far = (begin[step], begin[step] + 1) if forward else (begin[step] + 1, begin[step])
            if radius:
                # The two steps at a point may come from lines that differ there.
                radius[-1] = 0.5 * (radius[-1] + radii[near])
            else:
                radius.append(radii[near])
            radius.append(radii[far])
            path.append(here)
            onward = [number for number in at_node[here] if not used[number]]
            if junction[here] or here == start or not onward:
                break
            step = onward[0]
        lines.append(places[path])
        widths.append(np.array(radius))
        ends.append((start, here))

    # In the order and, as far as that goes, the direction of the file.
    for number, (a, b) in enumerate(steps.tolist()):
        if not used[number] and junction[a]:
            follow(a, number)
        if not used[number] and junction[b]:
            follow(b, number)
    for number, (a, _) in enumerate(steps.tolist()):
        if not used[number]:
            follow(a, number)
    _, numbers = np.unique(np.array(ends), return_inverse=True)
    return Centreline(tuple(lines), tuple(widths), numbers.reshape(-1, 2).astype(np.int64))
