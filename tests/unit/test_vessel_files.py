"""Vessel surfaces and centrelines from files: units, axes, mending, and files that are refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from ablationsim.errors import MeshError
from ablationsim.mesh.io import read_mesh, write_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.vessels.coordinates import METRES
from ablationsim.vessels.crossings import crossing_triangles
from ablationsim.vessels.files import read_wall
from ablationsim.vessels.graph_files import read_centreline
from ablationsim.vessels.mending import mend
from ablationsim.vessels.triangles import sides_of
from ablationsim.vessels.vessel import Wall

RADIUS, LENGTH, SIDES, RINGS = 3.0, 40.0, 48, 61
# A prism with that many sides, in mm.
VOLUME = 0.5 * SIDES * RADIUS**2 * np.sin(2 * np.pi / SIDES) * LENGTH
LATERAL = 2 * SIDES * RADIUS * np.sin(np.pi / SIDES) * LENGTH
END = VOLUME / LENGTH

Surface = tuple[np.ndarray, np.ndarray]


def tube(capped: bool, sides: int = SIDES, radius: float = RADIUS) -> Surface:
    """A tube along x in mm, from -20 to 20, normals outward."""
    angles = 2 * np.pi * np.arange(sides) / sides
    x = np.linspace(-LENGTH / 2, LENGTH / 2, RINGS)
    rings = [np.column_stack([np.full(sides, h), radius * np.cos(angles), radius * np.sin(angles)]) for h in x]
    points = np.vstack([*rings, [[x[0], 0, 0], [x[-1], 0, 0]]])
    triangles = []
    for ring in range(RINGS - 1):
        for i in range(sides):
            a, b = ring * sides + i, ring * sides + (i + 1) % sides
            triangles += [(a, b, a + sides), (b, b + sides, a + sides)]
    if capped:
        last = (RINGS - 1) * sides
        for i in range(sides):
            following = (i + 1) % sides
            triangles += [(following, i, len(points) - 2), (last + i, last + following, len(points) - 1)]
    return points, np.array(triangles)


def ball(centre: tuple[float, float, float], radius: float, level: int = 2) -> Surface:
    """A sphere in mm: an octahedron whose triangles are split in four, `level` times; normals outward."""
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)
    triangles = np.array([(i, j, k) if s > 0 else (i, k, j) for i, j, k, s in [
        (0, 2, 4, 1), (0, 2, 5, -1), (0, 3, 4, -1), (0, 3, 5, 1),
        (1, 2, 4, -1), (1, 2, 5, 1), (1, 3, 4, 1), (1, 3, 5, -1),
    ]])  # fmt: skip
    for _ in range(level):
        corners = points[triangles]
        middles = 0.5 * (corners + np.roll(corners, -1, axis=1))
        a, b, c = np.moveaxis(corners, 1, 0)
        ab, bc, ca = np.moveaxis(middles, 1, 0)
        every = np.stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca], axis=1).reshape(-1, 3)
        points, numbers = np.unique(every.round(12), axis=0, return_inverse=True)
        triangles = numbers.reshape(-1, 3)
    return np.array(centre) + radius * points / np.linalg.norm(points, axis=1, keepdims=True), triangles


def both(one: Surface, other: Surface) -> Surface:
    return np.vstack([one[0], other[0]]), np.vstack([one[1], other[1] + len(one[0])])


def write_stl(path: Path, surface: Surface) -> Path:
    points, triangles = surface
    record = np.zeros(len(triangles), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    record["corners"] = points[triangles]
    path.write_bytes(b"solid".ljust(80, b"\0") + struct.pack("<I", len(triangles)) + record.tobytes())
    return path


def write_text(path: Path, surface: Surface) -> Path:
    """As text: .stl, .ply or .obj."""
    points, triangles = surface
    if path.suffix == ".stl":
        corner = "vertex {} {} {}\n"
        facets = [
            "facet normal 0 0 0\nouter loop\n" + "".join(corner.format(*p) for p in points[t]) + "endloop\nendfacet\n"
            for t in triangles
        ]
        text = "solid tube\n" + "".join(facets) + "endsolid tube\n"
    elif path.suffix == ".ply":
        properties = "property double x\nproperty double y\nproperty double z\n"
        text = f"ply\nformat ascii 1.0\nelement vertex {len(points)}\n{properties}element face {len(triangles)}\n"
        text += "property list uchar int vertex_indices\nend_header\n"
        text += "".join("{} {} {}\n".format(*p) for p in points) + "".join("3 {} {} {}\n".format(*t) for t in triangles)
    else:
        text = "".join("v {} {} {}\n".format(*p) for p in points)
        text += "".join("f {} {} {}\n".format(*t) for t in triangles + 1)
    path.write_text(text)
    return path


def write_vtp(path: Path, surface: Surface, binary: bool = True) -> Path:
    import pyvista

    pyvista.PolyData.from_regular_faces(*surface).save(path, binary=binary)
    return path


def mended(surface: Surface) -> tuple[Wall, tuple[str, ...]]:
    return mend(1e-3 * surface[0], surface[1])


def check_tube(wall: Wall, capped: bool = True, precision: float = 1e-5) -> None:
    assert sides_of(wall.triangles).closed
    assert wall.volume == pytest.approx(1e-9 * VOLUME, rel=precision)
    lateral = LATERAL if capped else LATERAL + 2 * END
    assert wall.areas[~wall.capped].sum() == pytest.approx(1e-6 * lateral, rel=precision)


@pytest.mark.parametrize("ending", ["stl", "ply", "obj", "vtp", "binary.stl", "binary.ply"])
def test_every_format_gives_the_tube(tmp_path: Path, ending: str) -> None:
    path, surface = tmp_path / f"tube.{ending}", tube(capped=False, sides=SIDES)
    match ending:
        case "binary.stl":
            write_stl(path, surface)
        case "vtp":
            write_vtp(path, surface)
        case "binary.ply":
            import pyvista

            pyvista.PolyData.from_regular_faces(*surface).save(path, binary=True)
        case _:
            write_text(path, surface)
    wall, notes = read_wall(path, "mm", None, None)
    check_tube(wall)
    assert notes == (f"2 open ends closed flat ({2 * END:.1f} mm²): no heat passes there.",)


@pytest.mark.parametrize("unit", list(METRES))
def test_unit_of_the_file(tmp_path: Path, unit: str) -> None:
    points, triangles = tube(capped=True)
    path = write_stl(tmp_path / "tube.stl", (1e-3 / METRES[unit] * points, triangles))
    check_tube(read_wall(path, unit, "RAS", None)[0])


def test_lps_axes_are_turned_and_normals_stay_outward(tmp_path: Path) -> None:
    points, triangles = tube(capped=True)
    path = write_stl(tmp_path / "tube.stl", (points + np.array([70, 30, 10]), triangles))
    wall, _ = read_wall(path, "mm", "LPS", None)
    check_tube(wall)
    assert wall.points.mean(axis=0) == pytest.approx([-0.07, -0.03, 0.01], abs=1e-5)


@pytest.mark.parametrize(
    ("unit", "match"),
    [
        ("m", r"it is 40 m large, outside 1 mm to 1000 mm.*rather cm or mm"),
        ("um", r"it is 40 um large, outside 1 mm to 1000 mm.*rather cm or mm"),
    ],
)
def test_implausible_extent_names_the_likely_unit(tmp_path: Path, unit: str, match: str) -> None:
    with pytest.raises(MeshError, match=match):
        read_wall(write_stl(tmp_path / "tube.stl", tube(capped=True)), unit, None, None)


def test_flat_ends_of_a_closed_tube_are_cuts() -> None:
    wall, notes = mended(tube(capped=True))
    check_tube(wall)
    assert wall.areas[wall.capped].sum() == pytest.approx(2e-6 * END, rel=1e-9)
    assert notes == (f"Flat ends of {2 * END:.1f} mm² are taken for cuts: no heat passes there.",)


def test_round_ends_are_wall() -> None:
    wall, notes = mended(ball((0, 0, 0), 5.0))
    assert not wall.capped.any()
    assert notes == ()


def test_oblique_cut_is_closed_flat() -> None:
    points, triangles = tube(capped=False)
    points = points.copy()
    points[:, 0] += points[:, 1]  # 45 degrees
    wall, notes = mended((points, triangles))
    assert wall.volume == pytest.approx(1e-9 * VOLUME, rel=1e-9)
    assert wall.areas[wall.capped].sum() == pytest.approx(2e-6 * np.sqrt(2) * END, rel=1e-9)
    assert notes[0].startswith("2 open ends closed flat")


def test_end_that_is_no_star_is_closed_flat() -> None:
    # A horseshoe-shaped section, as of two vessels grown together.
    angles = np.linspace(0.3, 2 * np.pi - 0.3, 40)
    outline = np.vstack([
        np.column_stack([6 * np.cos(angles), 6 * np.sin(angles)]),
        np.column_stack([4 * np.cos(angles[::-1]), 4 * np.sin(angles[::-1])]),
    ])  # fmt: skip
    n = len(outline)
    points = np.vstack([np.column_stack([outline, np.full(n, z)]) for z in (0.0, 10.0)])
    following = np.roll(np.arange(n), -1)
    i = np.arange(n)
    triangles = np.vstack([np.column_stack([i, following, i + n]), np.column_stack([following, following + n, i + n])])
    x, y = outline.T
    area = 0.5 * abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())
    wall, _ = mended((points, triangles))
    assert wall.volume == pytest.approx(1e-8 * area, rel=1e-9)
    assert wall.areas[wall.capped].sum() == pytest.approx(2e-6 * area, rel=1e-9)


def test_inside_out_is_turned() -> None:
    points, triangles = tube(capped=True)
    wall, notes = mended((points, triangles[:, ::-1]))
    check_tube(wall)
    assert notes[0] == "The surface was inside out and was turned."


def test_triangles_that_face_anyhow_are_turned() -> None:
    points, triangles = tube(capped=True)
    triangles[::3] = triangles[::3, ::-1].copy()
    wall, notes = mended((points, triangles))
    check_tube(wall)
    assert notes[0] == f"{len(triangles[::3])} triangles turned, which faced the other way than the rest."


def test_repeated_and_flat_triangles_are_left_out() -> None:
    points, triangles = tube(capped=True)
    wall, notes = mended((points, np.vstack([triangles, triangles[40:50], [[5, 5, 6], [7, 8, 7]]])))
    check_tube(wall)
    assert len(wall.triangles) == len(triangles)
    assert notes[:2] == ("2 triangles without area left out.", "10 repeated triangles left out.")


def test_wall_between_two_bodies_disappears() -> None:
    points, triangles = tube(capped=True)
    beyond = points + np.array([LENGTH, 0, 0])
    wall, _ = mended(both((points, triangles), (beyond, triangles)))
    assert wall.volume == pytest.approx(2e-9 * VOLUME, rel=1e-9)
    assert wall.areas.sum() == pytest.approx(2e-6 * (LATERAL + END), rel=1e-9)


def test_holes_in_the_side_are_filled_as_wall() -> None:
    points, triangles = tube(capped=True)
    centroids = points[triangles].mean(axis=1)
    hole = np.linalg.norm(centroids - [0.2, RADIUS, 0.1], axis=1) < 0.8
    wall, notes = mended((points, triangles[~hole]))
    # The filling is flat where the tube was round.
    check_tube(wall, precision=1e-3)
    assert hole.sum() > 5
    assert notes[0].startswith("The surface is open along")
    assert notes[0].endswith("mended.")
    where = [float(number) for number in notes[0].partition("(")[2].partition(")")[0].split(",")]
    assert np.linalg.norm(np.array(where) - [0.2, RADIUS, 0.1]) < 1.2
    assert wall.areas[wall.capped].sum() == pytest.approx(2e-6 * END, rel=1e-9)


def test_fin_is_taken_away() -> None:
    points, triangles = tube(capped=True)
    fin = [triangles[2000, 0], triangles[2000, 1], len(points)]
    points = np.vstack([points, points[triangles[2000, 0]] * [1, 1.05, 1.05]])
    wall, notes = mended((points, np.vstack([triangles, [fin]])))
    check_tube(wall, precision=1e-3)
    assert notes[0].startswith("The surface is open along 2 edges")


def test_triangles_that_cross_are_found() -> None:
    points = np.array(
        [[0, 0, 0], [4, 0, 0], [0, 4, 0], [1, 1, -1], [1, 1, 1], [9, 9, 1], [8, 8, 8], [9, 8, 8], [8, 9, 8]]
    )
    assert crossing_triangles(points.astype(float), np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])).tolist() == [0, 1]
    one, two = ball((0, 0, 0), 5.0), ball((4, 0.1, 0.05), 5.0)
    assert len(crossing_triangles(*one)) == 0
    crossing = crossing_triangles(*both(one, two))
    # The spheres meet on a circle in the plane x = 2; their flat triangles reach up to 0.29 less far than the spheres.
    points, triangles = both(one, two)
    x = points[triangles[crossing]][..., 0]
    assert len(crossing) > 20
    assert x.min(axis=1).max() < 2.4
    assert x.max(axis=1).min() > 1.6


def test_fold_is_mended() -> None:
    points, triangles = ball((0, 0, 0), 5.0, level=4)
    volume = mended((points, triangles))[0].volume
    points = points.copy()
    points[np.argmax(points[:, 0])] = [-6.0, 0.01, 0.02]  # a spike through the other side
    assert len(crossing_triangles(points, triangles))
    wall, notes = mended((points, triangles))
    assert len(crossing_triangles(wall.points, wall.triangles)) == 0
    assert wall.volume == pytest.approx(volume, rel=2e-3)
    assert "crosses itself" in notes[0]


def test_pieces_stay_specks_go_and_inner_sides_go() -> None:
    apart = both(tube(capped=True), ball((0, 20, 0), 4.0))
    wall, notes = mended(both(apart, ball((0, -20, 0), 0.3)))
    ball_volume = mended(ball((0, 20, 0), 4.0))[0].volume
    assert wall.volume == pytest.approx(1e-9 * VOLUME + ball_volume, rel=1e-6)
    assert notes[0] == "1 speck smaller than 1 mm left out."
    points, triangles = tube(capped=True, radius=2.0)
    wall, notes = mended(both(tube(capped=True), (0.9 * points, triangles[:, ::-1])))
    check_tube(wall)
    assert "1 closed piece inside another left out." in notes


@pytest.mark.parametrize(
    ("surface", "match"),
    [
        (both(tube(capped=True), ball((0, 2, 0), 3.0)), r"Two pieces of the surface overlap near \(.* mm\. Join them"),
        (
            (np.array([[0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 0]], dtype=float), np.array([[0, 1, 2], [0, 2, 3]])),
            "encloses no volume|cannot be mended|Nothing is left",
        ),
        ((np.zeros((3, 3)), np.array([[0, 1, 2]])), "No triangle has an area"),
        (
            (np.random.default_rng(0).uniform(0, 20, (300, 3)), np.arange(300).reshape(-1, 3)),
            r"The surface is open along 3 edges, near \(.* mm",
        ),
    ],
)
def test_what_cannot_be_mended_is_refused(surface: Surface, match: str) -> None:
    with pytest.raises(MeshError, match=match):
        mended(surface)


def test_half_a_ball_missing_is_refused_or_closed_flat() -> None:
    points, triangles = ball((0, 0, 0), 5.0, level=3)
    wall, notes = mended((points, triangles[points[triangles].mean(axis=1)[:, 2] > 0]))
    whole = mended((points, triangles))[0].volume
    assert wall.volume == pytest.approx(whole / 2, rel=1e-6)
    assert notes == (f"1 open end closed flat ({1e6 * wall.areas[wall.capped].sum():.1f} mm²): no heat passes there.",)


def test_large_surface_is_made_coarser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablationsim.vessels.mending.MOST_TRIANGLES", 2000)
    points, triangles = ball((0, 0, 0), 5.0, level=5)
    wall, notes = mended((points, triangles))
    assert len(wall.triangles) <= 2000
    assert wall.volume == pytest.approx(4 / 3 * np.pi * 5e-3**3, rel=5e-3)
    assert notes[0] == f"The surface was made coarser, from {len(triangles)} to {len(wall.triangles)} triangles."


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = write_stl(tmp_path / "tube.stl", tube(capped=True))
    whole = path.read_bytes()
    with pytest.raises(MeshError, match="There is no surface file"):
        read_wall(tmp_path / "absent.stl", "mm", None, None)
    with pytest.raises(MeshError, match=r"A vessel's surface ends in \.stl"):
        read_wall(tmp_path / "tube.step", "mm", None, None)
    for content, match in (
        (b"", "the file is empty"),
        (b"not a mesh\n", "the file is no STL; it has 11 bytes"),
        (b"no mesh " * 40, "damaged or no STL: its header tells"),
        (whole[:-1], rf"tells {len(tube(True)[1])} triangles, which take {len(whole)} bytes, but it has"),
        (whole + b"\0", "damaged or no STL"),
        (b"solid\nfacet normal 0 0 1\nouter loop\nvertex 0 0", "damaged"),
        (b"\0" * 80 + struct.pack("<I", 0), "holds no triangles"),
        (whole[:96] + struct.pack("<f", float("nan")) + whole[100:], "the coordinates of point 1 are not finite"),
    ):
        path.write_bytes(content)
        with pytest.raises(MeshError, match=match):
            read_wall(path, "mm", None, None)
    with pytest.raises(MeshError, match=r"only meshes .* have parts"):
        read_wall(write_stl(path, tube(capped=True)), "mm", None, "lumen")


def test_too_large_mesh_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.vtu"
    with path.open("wb") as file:
        file.truncate(3_000_000_000)  # takes no place on the disk
    with pytest.raises(MeshError, match=r"it has 3\.0 GB, more than the 2 GB that are read"):
        read_wall(path, "mm", None, "lumen")


def test_readers_that_break_off_give_an_error(tmp_path: Path) -> None:
    import pyvista

    path = tmp_path / "tube.ply"
    pyvista.PolyData.from_regular_faces(*tube(capped=True)).save(path, binary=True)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(MeshError, match="cut short: its header tells"):
        read_wall(path, "mm", None, None)
    # Nothing but the faces is wrong: VTK ends the process, or points that are not there are named.
    start = len(whole) - 13 * len(tube(capped=True)[1])
    path.write_bytes(whole[:start] + b"\xff" * (len(whole) - start))
    with pytest.raises(MeshError, match="the file is damaged"):
        read_wall(path, "mm", None, None)
    path = write_vtp(tmp_path / "tube.vtp", tube(capped=True), binary=False)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(MeshError, match="the file is damaged"):
        read_wall(path, "mm", None, None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("huge.stl", None),
        ("huge.vtp", b'<VTKFile type="PolyData"><PolyData><Piece NumberOfPoints="9" NumberOfPolys="7000001">'),
        (
            "huge.ply",
            b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nelement face 7000001\n"
            b"property list uchar int vertex_indices\nend_header\n",
        ),
    ],
)
def test_too_many_triangles_are_counted_before_reading(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is None:
        with path.open("wb") as file:
            file.write(b"\0" * 80 + struct.pack("<I", 7_000_001))
            file.truncate(84 + 50 * 7_000_001)  # takes no place on the disk
    else:
        path.write_bytes(content)
    with pytest.raises(MeshError, match=r"has 7000001 triangles, more than the 5000000|header tells 7000001 faces"):
        read_wall(path, "mm", None, None)


TREE = """branch,x,y,z,radius,note
trunk,0,0,0,6,a
trunk,0,0,30,5,a
left,0,0,30,4,b
left,20,0,50,3,b

right,0,0,30,3.5,c
right,-10,0,40,3,c
right,-20,0,50,2.5,c
"""


def test_table_of_branches(tmp_path: Path) -> None:
    path = tmp_path / "tree.csv"
    path.write_text(TREE)
    tree = read_centreline(path, "mm", None)
    assert tree.ends.shape == (3, 2)
    assert len(np.unique(tree.ends)) == 4
    junction = tree.ends[0, 1]
    assert tree.ends[1, 0] == tree.ends[2, 0] == junction
    assert tree.points[0] == pytest.approx(1e-3 * np.array([[0, 0, 0], [0, 0, 30]]))
    assert [list(1e3 * r) for r in tree.radii] == [
        pytest.approx([6, 5]),
        pytest.approx([4, 3]),
        pytest.approx([3.5, 3, 2.5]),
    ]
    turned = read_centreline(path, "mm", "LPS")
    assert turned.points[1][1] == pytest.approx([-0.02, 0, 0.05])
    with pytest.raises(MeshError, match=r"the radius at row 2 is 6: more than 50 mm.*is the unit cm"):
        read_centreline(path, "cm", None)


def test_branch_that_leaves_on_the_way_divides_the_other(tmp_path: Path) -> None:
    path = tmp_path / "tree.csv"
    path.write_text("branch,x_mm,y_mm,z_mm,radius_mm\na,0,0,0,5\na,0,0,10,5\na,0,0,20,5\nb,0,0,10,2\nb,9,0,10,1\n")
    tree = read_centreline(path, "mm", None)
    assert sorted(np.linalg.norm(p[-1] - p[0]) * 1e3 for p in tree.points) == pytest.approx([9, 10, 10])
    numbers, counts = np.unique(tree.ends, return_counts=True)
    assert sorted(counts) == [1, 1, 1, 3]
    assert len(numbers) == 4
    side = next(r for p, r in zip(tree.points, tree.radii, strict=True) if p[-1][0] > 0)
    assert side * 1e3 == pytest.approx([2, 1])
    with pytest.raises(MeshError, match="its column x_mm is in mm, but the unit is given as cm"):
        read_centreline(path, "cm", None)


def test_one_tree_of_a_file_with_several(tmp_path: Path) -> None:
    path = tmp_path / "trees.csv"
    path.write_text("tree,branch,x,y,z,radius\np,a,0,0,0,1\np,a,0,0,5,1\nq,a,0,0,0,2\nq,a,0,0,9,2\n")
    assert read_centreline(path, "mm", None, "q").radii[0] == pytest.approx([2e-3, 2e-3])
    assert read_centreline(path, "mm", None, "p").points[0][-1] == pytest.approx([0.0, 0.0, 5e-3])
    with pytest.raises(MeshError, match="it holds the trees p, q; there is no tree 'r' in it"):
        read_centreline(path, "mm", None, "r")


def test_ring_is_one_branch(tmp_path: Path) -> None:
    path = tmp_path / "ring.csv"
    corners = [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)]
    path.write_text("branch,x,y,z,radius\n" + "".join(f"r,{x},{y},0,1\n" for x, y in corners))
    tree = read_centreline(path, "mm", None)
    assert len(tree.points) == 1
    assert tree.ends[0, 0] == tree.ends[0, 1]
    assert np.linalg.norm(np.diff(tree.points[0], axis=0), axis=1).sum() == pytest.approx(0.04)


def test_polylines_of_vtk_that_share_their_trunk(tmp_path: Path) -> None:
    import pyvista

    points = np.array([[0, 0, 0], [0, 0, 15], [0, 0, 30], [20, 0, 50], [-20, 0, 50]], dtype=float)
    lines = pyvista.PolyData(points, lines=[4, 0, 1, 2, 3, 4, 0, 1, 2, 4])
    lines.point_data["MaximumInscribedSphereRadius"] = [6.0, 5.5, 5.0, 4.0, 3.0]
    path = tmp_path / "tree.vtp"
    lines.save(path)
    tree = read_centreline(path, "mm", None)
    assert [len(p) for p in tree.points] == [3, 2, 2]
    assert tree.ends[1, 0] == tree.ends[2, 0] == tree.ends[0, 1]
    assert tree.radii[0] * 1e3 == pytest.approx([6, 5.5, 5])
    lines.point_data.clear()
    lines.point_data["speed"] = np.ones(5)
    lines.save(path)
    with pytest.raises(MeshError, match=r"has no point array radius, .*; its arrays are speed"):
        read_centreline(path, "mm", None)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "the file is empty"),
        ("branch,x,y,radius\n", "it has no column z; the columns are branch,x,y,z,radius"),
        ("branch,x,y,z,radius\n", "the table has no points"),
        ("branch,x,y,z,radius\na,0,0,0,1\na,0,0,9,-1\n", "the radius at row 3 is -1: not a positive number"),
        ("branch,x,y,z,radius\na,0,0,0,1\na,0,0,9,nan\n", "the radius at row 3 is nan: not a positive number"),
        ("branch,x,y,z,radius\na,0,0,0,1\na,0,0,9,200\n", "row 3 is 200: more than 50 mm.*is the unit mm"),
        ("branch,x,y,z,radius\na,0,0,0,1\na,0,0,wide,1\n", "row 3 does not have a number in each"),
        ("branch,x,y,z,radius\na,0,0,0,1\na,0,0\n", "row 3 does not have a number in each"),
        ("branch,x,y,z,radius\na,0,0,0,1\na,0,inf,0,1\n", "the coordinates of point 2 are not finite"),
        ("branch,x,y,z,radius\na,0,0,0,1\na,0,0,9,1\nb,0,0,9,1\n", "branch 'b' has 1 points; a line needs two"),
        ("tree,branch,x,y,z,radius\np,a,0,0,0,1\nq,a,0,0,9,1\n", "it holds the trees p, q; part says"),
        ("branch,x,y,z,radius\na,0,0,0,1\na,0,0,9000,1\n", "it is 9000 mm large"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "tree.csv"
    path.write_text(text)
    with pytest.raises(MeshError, match=match):
        read_centreline(path, "mm", None)


def test_centreline_files_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match=r"ends in \.vtp or \.csv"):
        read_centreline(tmp_path / "tree.txt", "mm", None)
    with pytest.raises(MeshError, match="There is no centreline file"):
        read_centreline(tmp_path / "tree.csv", "mm", None)
    (tmp_path / "tree.csv").write_bytes(b"\xff\xfe\x00\x81" * 30)
    with pytest.raises(MeshError, match="no table of text"):
        read_centreline(tmp_path / "tree.csv", "mm", None)
    with pytest.raises(MeshError, match="it holds no lines"):
        read_centreline(write_vtp(tmp_path / "tube.vtp", tube(capped=True)), "mm", None)


def block() -> Mesh:
    """A block of 8 x 8 x 20 cubes of 1 mm, six tetrahedra each, with a square lumen of 2 x 2 mm along it."""
    shape = np.array([8, 8, 20])
    nodes = np.stack(np.meshgrid(*(np.arange(n + 1) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    cubes = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    number = nodes @ [(shape[1] + 1) * (shape[2] + 1), shape[2] + 1, 1]
    assert np.array_equal(number, np.arange(len(nodes)))
    cells = []
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0], [1, 0, 2]):
        corners = [np.zeros(3, dtype=int)]
        for axis in order:
            corners.append(corners[-1] + np.eye(3, dtype=int)[axis])
        cells.append(np.stack([(cubes + c) @ [189, 21, 1] for c in corners], axis=1))
    cells = np.stack(cells, axis=1).reshape(-1, 4)
    inside = np.repeat((np.abs(cubes[:, :2] + 0.5 - 4) < 1).all(axis=1), 6)
    points = 1e-3 * nodes.astype(float)
    flip = np.linalg.det(points[cells[:, 1:]] - points[cells[:, :1]]) < 0
    cells[flip, 2:] = cells[flip, :1:-1]
    mesh = Mesh(points, cells, {"tissue": np.flatnonzero(~inside), "lumen": np.flatnonzero(inside)}, {}, False)
    outside = mesh.boundary()
    lumen = Mesh(points, cells[inside], {}, {}, False).boundary()
    z = nodes[lumen][:, :, 2]
    ends = (z == 0).all(axis=1) | (z == 20).all(axis=1)
    middle = np.abs(points[outside].mean(axis=1)[:, :2] - 4e-3).max(axis=1) < 1e-3
    return Mesh(
        points, cells, mesh.regions, {"outer": outside[~middle], "wall": lumen[~ends], "lumen_end": lumen[ends]}, False
    )


def by_gmsh(source: Path, target: Path, **options: float) -> Path:
    """Write a mesh again with gmsh."""
    import gmsh

    gmsh.initialize(readConfigFiles=False, interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.merge(str(source))
        for name, value in options.items():
            gmsh.option.setNumber(f"Mesh.{name}", value)
        gmsh.write(str(target))
    finally:
        gmsh.finalize()
    return target


def check_block(mesh: Mesh) -> None:
    volumes = mesh.cell_volumes()
    assert volumes[mesh.regions["tissue"]].sum() == pytest.approx(20 * 60e-9, rel=1e-9)
    assert volumes[mesh.regions["lumen"]].sum() == pytest.approx(20 * 4e-9, rel=1e-9)
    assert mesh.facet_areas("wall").sum() == pytest.approx(20 * 8e-6, rel=1e-9)
    assert mesh.facet_areas("outer").sum() == pytest.approx(2 * 60e-6 + 20 * 32e-6, rel=1e-9)
    # The wall is between tissue and lumen.
    side = {name: set(mesh.cells[rows].ravel().tolist()) for name, rows in mesh.regions.items()}
    assert set(mesh.facets["wall"].ravel().tolist()) == side["tissue"] & side["lumen"]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("version", [2.2, 4.1])
def test_gmsh_formats_keep_regions_and_inner_facets(tmp_path: Path, version: float, binary: bool) -> None:
    write_mesh(block(), tmp_path / "block.msh")
    path = by_gmsh(tmp_path / "block.msh", tmp_path / "again.msh", MshFileVersion=version, Binary=binary)
    check_block(read_mesh(path))


def test_gmsh_file_with_parts_that_have_no_group(tmp_path: Path) -> None:
    write_mesh(block(), tmp_path / "block.msh")
    path = by_gmsh(tmp_path / "block.msh", tmp_path / "all.msh", MshFileVersion=4.1, SaveAll=1)
    check_block(read_mesh(path))


def test_options_beside_a_gmsh_file_are_not_run(tmp_path: Path) -> None:
    write_mesh(block(), tmp_path / "block.msh")
    path = by_gmsh(tmp_path / "block.msh", tmp_path / "again.msh", MshFileVersion=4.1)
    (tmp_path / "again.msh.opt").write_text(f'SystemCall "touch {tmp_path}/run";')
    check_block(read_mesh(path))
    script = tmp_path / "script.msh"
    script.write_text(f'$MeshFormat 4\n\nSystemCall "touch {tmp_path}/run";')
    with pytest.raises(MeshError, match="script"):
        read_mesh(script)
    assert not (tmp_path / "run").exists()


def numbered(path: Path, **data: list[np.ndarray]) -> Path:
    """The block in millimetres, with numbers in place of names."""
    import meshio

    mesh = block()
    facets = np.vstack(list(mesh.facets.values()))
    if path.suffix == ".xdmf":
        write_xdmf(path, 1e3 * mesh.points, mesh.cells, facets, data)
    else:
        content = meshio.Mesh(1e3 * mesh.points, [("tetra", mesh.cells), ("triangle", facets)], cell_data=data)
        content.write(path, file_format={".vtu": "vtu", ".mesh": "medit"}[path.suffix])
    return path


def write_xdmf(
    path: Path, points: np.ndarray, cells: np.ndarray, facets: np.ndarray, data: dict[str, list[np.ndarray]]
) -> None:
    def item(values: np.ndarray, kind: str) -> str:
        numbers = " ".join(map(str, values.ravel().tolist()))
        size = " ".join(map(str, values.shape))
        return f'<DataItem DataType="{kind}" Dimensions="{size}" Format="XML" Precision="8">{numbers}</DataItem>'

    # Each cell begins with the number of its kind.
    mixed = np.concatenate([np.insert(cells, 0, 6, axis=1).ravel(), np.insert(facets, 0, 4, axis=1).ravel()])
    count = len(cells) + len(facets)
    attributes = "".join(
        f'<Attribute Name="{name}" AttributeType="Scalar" Center="Cell">{item(np.concatenate(v), "Int")}</Attribute>'
        for name, v in data.items()
    )
    path.write_text(
        f'<Xdmf Version="3.0"><Domain><Grid Name="Grid"><Geometry GeometryType="XYZ">{item(points, "Float")}</Geometry>'
        f'<Topology TopologyType="Mixed" NumberOfElements="{count}">{item(mixed, "Int")}</Topology>{attributes}</Grid>'
        "</Domain></Xdmf>"
    )


def numbers_of_block() -> list[np.ndarray]:
    mesh = block()
    of_cells = np.ones(len(mesh.cells), dtype=np.int32)
    of_cells[mesh.regions["lumen"]] = 7
    return [of_cells, np.repeat(np.array([3, 4, 5], dtype=np.int32), [len(rows) for rows in mesh.facets.values()])]


@pytest.mark.parametrize(
    ("ending", "array"), [("vtu", "CellEntityIds"), ("vtu", "made_up"), ("xdmf", "made_up"), ("mesh", "medit:ref")]
)
def test_numbers_get_names(tmp_path: Path, ending: str, array: str) -> None:
    path = numbered(tmp_path / f"block.{ending}", **{array: numbers_of_block()})
    regions, facets = {"tissue": 1, "lumen": 7}, {"outer": 3, "wall": 4}
    mesh = read_mesh(path, unit="mm", regions=regions, facets=facets)
    check_block(mesh)
    assert set(mesh.facets) == {"outer", "wall", "5"}
    with pytest.raises(MeshError, match=r"has no region with the number 2, given for 'lumen'; its numbers are 1, 7"):
        read_mesh(path, unit="mm", regions={"tissue": 1, "lumen": 2})
    with pytest.raises(MeshError, match=r"has no region 'tissue'; known are 1, 7"):
        read_mesh(path, unit="mm", expected=[])
    with pytest.raises(MeshError, match=r"20 m large, more than 5 m: is it in millimetres"):
        read_mesh(path, regions=regions, facets=facets)


def test_cells_that_are_no_simplices_are_refused(tmp_path: Path) -> None:
    import meshio

    cube = np.array([[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))], dtype=float)
    cells = [("hexahedron", np.arange(8)[None]), ("tetra", np.array([[0, 1, 2, 4]]))]
    meshio.Mesh(cube, cells).write(tmp_path / "cube.vtu")
    with pytest.raises(MeshError, match=r"It holds hexahedron, tetra, but linear triangles or tetrahedra are needed"):
        read_mesh(tmp_path / "cube.vtu")


@pytest.mark.parametrize("part", ["lumen", "2"])
def test_region_of_a_mesh_becomes_a_wall(tmp_path: Path, part: str) -> None:
    if part == "lumen":
        write_mesh(block(), tmp_path / "block.msh")
        path = by_gmsh(tmp_path / "block.msh", tmp_path / "again.msh", MshFileVersion=4.1)
    else:
        path = numbered(tmp_path / "block.vtu", region=[numbers_of_block()[0] // 7 + 1, numbers_of_block()[1]])
    wall, _ = read_wall(path, "m" if part == "lumen" else "mm", None, part)
    assert wall.volume == pytest.approx(20 * 4e-9, rel=1e-9)
    assert wall.areas.sum() == pytest.approx(20 * 8e-6 + 8e-6, rel=1e-9)


def test_facets_of_a_mesh_become_a_wall_with_capped_ends(tmp_path: Path) -> None:
    write_mesh(block(), tmp_path / "block.msh")
    wall, notes = read_wall(tmp_path / "block.msh", "m", None, "wall")
    assert wall.volume == pytest.approx(20 * 4e-9, rel=1e-9)
    assert wall.areas[wall.capped].sum() == pytest.approx(8e-6, rel=1e-9)
    assert "2 open ends closed flat (8.0 mm²): no heat passes there." in notes
    with pytest.raises(MeshError, match=r"say with part which .* is the vessel: lumen, lumen_end, outer, tissue, wall"):
        read_wall(tmp_path / "block.msh", "m", None, None)
    with pytest.raises(MeshError, match=r"has no part 'lumin'; did you mean 'lumen'\?"):
        read_wall(tmp_path / "block.msh", "m", None, "lumin")
