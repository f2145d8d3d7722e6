"""Vessel surfaces from files: triangulated surfaces, and regions or facets of volume meshes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ablationsim.errors import MeshError, best_match
from ablationsim.units import LengthUnit
from ablationsim.vessels.coordinates import Orientation, to_world
from ablationsim.vessels.foreign import read_foreign
from ablationsim.vessels.mending import mend
from ablationsim.vessels.vessel import Floats, Ints, Wall
from ablationsim.vessels.volume_files import ENDINGS as VOLUMES
from ablationsim.vessels.volume_files import VolumeFile, read_volume

SURFACES = (".stl", ".ply", ".vtp", ".obj")

#: More triangles than this are not read: they take gigabytes, and no vessel needs them.
MOST_READ = 5_000_000
# Bytes of the numbers in a PLY file.
_WIDTHS = {b"char": 1, b"uchar": 1, b"short": 2, b"ushort": 2, b"int": 4, b"uint": 4, b"float": 4, b"double": 8}
_WIDTHS |= {b"int8": 1, b"uint8": 1, b"int16": 2, b"uint16": 2, b"int32": 4, b"uint32": 4, b"float32": 4, b"float64": 8}
# Fewest bytes that a triangle takes, with its share of the points, where a file does not tell how many it has.
_BYTES = {".stl": 120, ".ply": 12, ".vtp": 12, ".obj": 30}
#: A mesh with a vessel in it may be this large [bytes]: some ten million tetrahedra.
_LARGEST_MESH = 2_000_000_000


def read_wall(
    path: str | Path, unit: LengthUnit, orientation: Orientation | None, part: str | None
) -> tuple[Wall, tuple[str, ...]]:
    """Read a vessel's surface and make it a closed wall.

    Parameters
    ----------
    path : str or Path
        A surface (.stl, .ply, .vtp, .obj) or a mesh with the vessel in it (.msh, .vtu, .xdmf, .mesh).
    unit : {"m", "cm", "mm", "um"}
        Of its coordinates.
    orientation : {"RAS", "LPS"} or None
        Its axes; as they are when None.
    part : str or None
        Of a mesh: name or number of the region whose boundary is the wall, or of the facets that are. Not needed when
        there is only one region.

    Returns
    -------
    Wall
        Closed, normals outward, in metres.
    tuple of str
        What was mended, one sentence each.

    Raises
    ------
    MeshError
        When the file is missing, damaged or too large, its extent is no vessel's, it lacks the part, or the surface
        cannot be mended.
    """
    path = Path(path)
    points, triangles = read_triangles(path, unit, orientation, part)
    try:
        return mend(points, triangles)
    except MeshError as error:
        raise MeshError(f"The surface of {path} cannot be used. {error}") from error


def read_triangles(
    path: Path, unit: LengthUnit, orientation: Orientation | None, part: str | None = None
) -> tuple[Floats, Ints]:
    """Read a surface as it is in its file.

    Parameters
    ----------
    path, unit, orientation, part
        As in `read_wall`.

    Returns
    -------
    points : (n, 3) float64
        World coordinates [m].
    triangles : (m, 3) int64
        In any state.

    Raises
    ------
    MeshError
        When the file is missing, damaged or too large, its extent cannot be meant, or it lacks the part.
    """
    ending = path.suffix.lower()
    if ending not in (*SURFACES, *VOLUMES):
        raise MeshError(
            f"A vessel's surface ends in {', '.join(SURFACES)}, a mesh with a vessel in it in {', '.join(VOLUMES)}, "
            f"got '{path.name}'."
        )
    if not path.is_file():
        raise MeshError(f"There is no surface file {path}.")
    try:
        _check_count(path, ending)
        if ending in VOLUMES:
            points, triangles = _part_of(read_volume(path), part, path)
        elif part is not None:
            raise MeshError(f"{path}: only meshes ({', '.join(VOLUMES)}) have parts; leave part = '{part}' out.")
        else:
            points, triangles = _read_surface(path, ending)
    except OSError as error:
        raise MeshError(f"The surface file {path} cannot be read: {error.strerror or error}.") from error
    if not len(triangles):
        raise MeshError(f"{path}: the file holds no triangles.")
    used, numbers = np.unique(triangles, return_inverse=True)
    return to_world(points[used], unit, orientation, str(path)), numbers.reshape(-1, 3)


def _check_count(path: Path, ending: str) -> None:
    """Refuse a file that is empty, cut short or too large, before it is read."""
    size = path.stat().st_size
    if not size:
        raise MeshError(f"{path}: the file is empty.")
    with path.open("rb") as file:
        head = file.read(65536)
    if ending in VOLUMES:
        if size > _LARGEST_MESH:
            raise MeshError(
                f"{path}: it has {size / 1e9:.1f} GB, more than the {_LARGEST_MESH / 1e9:g} GB that are read. Write "
                "the vessel's surface to a file of its own (.stl, .vtp)."
            )
        return
    count, about = size // _BYTES[ending], "up to "
    if ending == ".stl" and not _is_text_stl(head):
        if size < 84:
            raise MeshError(f"{path}: the file is no STL; it has {size} bytes, and the shortest header has 84.")
        count, about = int.from_bytes(head[80:84], "little"), ""
        if size != 84 + 50 * count:
            raise MeshError(
                f"{path}: the file is damaged or no STL: its header tells {count} triangles, which take "
                f"{84 + 50 * count} bytes, but it has {size}."
            )
    elif ending == ".ply" and (found := _of_ply(head)) is not None:
        count, least, about = *found, ""
        if size < least:
            raise MeshError(
                f"{path}: the file is cut short: its header tells {count} faces, and all that it names takes at least "
                f"{least} bytes, but it has {size}."
            )
    elif ending == ".vtp" and (polygons := re.search(rb'NumberOfPolys="\s*(\d{1,15})"', head)):
        count, about = int(polygons[1]), ""
    if count > MOST_READ:
        raise MeshError(
            f"{path}: it has {about}{count} triangles, more than the {MOST_READ} that are read. Make it coarser "
            "(decimate it) in the program that made it; 100000 are enough for anything near a needle."
        )


def _is_text_stl(head: bytes) -> bool:
    """Binary files may begin with "solid" too, but then no facet follows."""
    return head.lstrip()[:5].lower() == b"solid" and (b"facet" in head.lower() or b"\0" not in head)


def _of_ply(head: bytes) -> tuple[int, int] | None:
    """Faces that the header of a PLY file tells of, and the least bytes that the file has then."""
    text = head.partition(b"end_header\n")[0] + b"end_header\n"
    form = re.search(rb"^format\s+(\S+)", text, re.MULTILINE)
    counts = dict(re.findall(rb"^element\s+(\w+)\s+(\d{1,15})\s*$", text, re.MULTILINE))
    if form is None or b"vertex" not in counts or b"face" not in counts:
        return None
    vertices, faces = int(counts[b"vertex"]), int(counts[b"face"])
    if form[1] == b"ascii":
        # Three digits and three separators a vertex, four of each a face.
        return faces, len(text) + 6 * vertices + 8 * faces
    least = {b"vertex": 0, b"face": 0}
    element = b""
    for words in map(bytes.split, text.splitlines()):
        if words[:1] == [b"element"]:
            element = words[1]
        elif words[:1] == [b"property"] and element in least and len(words) > 2:
            least[element] += _WIDTHS.get(words[2] if words[1] == b"list" else words[1], 1)
            if words[1] == b"list" and words[-1].startswith(b"vert"):
                least[element] += 3 * _WIDTHS.get(words[3], 1)
    return faces, len(text) + vertices * least[b"vertex"] + faces * least[b"face"]


def _read_surface(path: Path, ending: str) -> tuple[Floats, Ints]:
    if ending == ".stl":
        with path.open("rb") as file:
            if not _is_text_stl(file.read(4096)):
                return _binary_stl(path)
    found = read_foreign(path)
    return found["points"], found["triangles"]


def _binary_stl(path: Path) -> tuple[Floats, Ints]:
    """Triangles of a binary STL file: VTK takes some of them for text."""
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    corners = np.fromfile(path, dtype=record, offset=84)["corners"]
    return corners.reshape(-1, 3).astype(np.float64), np.arange(3 * len(corners)).reshape(-1, 3)


def _part_of(mesh: VolumeFile, part: str | None, path: Path) -> tuple[Floats, Ints]:
    """Points and triangles of a part of a mesh."""
    solid = mesh.cells.shape[1] == 4
    if part is None:
        if len(mesh.regions) > 1:
            names = ", ".join(sorted([*mesh.regions, *mesh.facet_sets]))
            raise MeshError(f"{path}: say with part which of its regions or facets is the vessel: {names}.")
        return mesh.points, boundary_of(mesh.cells) if solid else mesh.cells
    if part in mesh.regions:
        cells = mesh.cells[mesh.regions[part]]
        return mesh.points, boundary_of(cells) if solid and len(cells) else cells[:, :3]
    if part in mesh.facet_sets and solid:
        return mesh.points, mesh.facets[mesh.facet_sets[part]]
    raise MeshError(f"{path}: it has no part '{part}'{best_match(part, [*mesh.regions, *mesh.facet_sets])}.")


def boundary_of(cells: Ints) -> Ints:
    """Faces of tetrahedra (m, 4) that belong to one of them only, shape (k, 3)."""
    faces = np.concatenate([cells[:, [1, 2, 3]], cells[:, [0, 3, 2]], cells[:, [0, 1, 3]], cells[:, [0, 2, 1]]])
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    return faces[first[count == 1]]
