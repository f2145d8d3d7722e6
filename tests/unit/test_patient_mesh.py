"""Meshes that are fitted to parts of a patient, meshes of several needles that move as one, and what is measured."""

from __future__ import annotations

import json
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anatomies import Small
from matplotlib.collections import PolyCollection
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from ablationsim.case import Case
from ablationsim.case.extent import Frame
from ablationsim.device.profile import Device
from ablationsim.errors import CaseError, MeshError
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.placement import Placement
from ablationsim.mesh import cache as store
from ablationsim.mesh.fitted import Surface, fitted_to, without
from ablationsim.mesh.generate import generate, mesh_of
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.quality import CLASSES, MeshQuality, Spread, edge_lengths, scaled_jacobian
from ablationsim.mesh.sharing import islands
from ablationsim.mesh.sizing import Sizing
from ablationsim.mesh.splitting import split_edges, split_simplices
from ablationsim.report.mesh_quality import quality_figure, volumes_of

NEEDLE = "rfa_cooltip_17g_2cm_like"
COARSE = 4.0
CENTRE = np.array([0.004, -0.003, 0.012])


def ball(radius: float, centre: np.ndarray = CENTRE) -> Any:
    return lambda points: np.linalg.norm(points - centre, axis=1) - radius


def half_space(normal: tuple[float, float, float], offset: float) -> Any:
    unit = np.array(normal) / np.linalg.norm(normal)
    return lambda points: points @ unit - offset


@cache
def background() -> Mesh:
    """A needle along z in a box, which is flat everywhere."""
    applicator = Applicator.build(0, Device.load(NEEDLE).applicator, Placement.along())
    return generate(Geometry.build([applicator], Domain.box((0, 0, 0.01), (0.06, 0.06, 0.07)), "3d"), COARSE)


def faces(cells: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(sorted(np.delete(cell, corner))) for cell in cells.tolist() for corner in range(4)]


def check_conforming(mesh: Mesh, before: Mesh) -> None:
    """Whatever happened inside, the applicator and the outside are what they were, and all of it is named."""
    assert mesh.cell_volumes().min() > 0.0
    assert mesh.cell_volumes().sum() == pytest.approx(before.cell_volumes().sum(), rel=1e-12)
    assert sum(len(cells) for cells in mesh.regions.values()) == len(mesh.cells)
    for name in before.facets:
        assert mesh.facet_areas(name).sum() == pytest.approx(before.facet_areas(name).sum(), rel=1e-12)
    counts = np.unique(faces(mesh.cells), axis=0, return_counts=True)[1]
    assert counts.max() == 2
    outside = {tuple(sorted(nodes)) for name in before.facets for nodes in mesh.facets[name].tolist()}
    assert outside == {tuple(sorted(nodes)) for nodes in mesh.boundary().tolist()}


# --- splitting ---------------------------------------------------------------------------------------------------


def test_every_way_in_which_a_surface_can_cut_a_tetrahedron() -> None:
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    cell = np.array([[0, 1, 2, 3]], dtype=np.int32)
    for values in np.stack(np.meshgrid(*[(-1.0, 0.0, 2.0)] * 4), axis=-1).reshape(-1, 4):
        inverse = np.linalg.solve(np.column_stack([corners, np.ones(4)]), values)

        def level(points: np.ndarray, inverse: np.ndarray = inverse) -> np.ndarray:
            return points @ inverse[:3] + inverse[3]

        split = split_edges(corners, cell, values, level)
        cut = sum(values[a] * values[b] < 0 for a, b in combinations(range(4), 2))
        if split is None:
            assert cut == 0
            continue
        pieces, parents = split_simplices(cell, split)
        volumes = Mesh(split.points, pieces, {}, {}, axisymmetric=False).cell_volumes()
        assert len(pieces) == {1: 2, 2: 3, 3: 4, 4: 6}[cut]
        assert not parents.any()
        assert volumes.min() > 0.0
        assert volumes.sum() == pytest.approx(1 / 6, rel=1e-12)
        found = np.concatenate([values, np.zeros(cut)])[pieces]
        assert not ((found < 0).any(axis=1) & (found > 0).any(axis=1)).any()
        np.testing.assert_allclose(level(split.points[4:]), 0.0, atol=1e-12)


def test_neighbours_still_share_whole_faces_after_splitting() -> None:
    points = np.random.default_rng(1).random((80, 3))
    cells = Delaunay(points).simplices
    level = ball(0.35, np.full(3, 0.5))
    values = level(points)
    split = split_edges(points, cells, values, level)
    assert split is not None
    pieces, parents = split_simplices(cells, split)
    before, after = Mesh(points, cells, {}, {}, axisymmetric=False), Mesh(split.points, pieces, {}, {}, False)
    parts = np.bincount(parents, np.abs(after.cell_volumes()))
    np.testing.assert_allclose(parts, np.abs(before.cell_volumes()), rtol=1e-9)
    assert np.unique(faces(pieces), axis=0, return_counts=True)[1].max() == 2
    assert len(after.boundary()) == len(split_simplices(before.boundary(), split)[0])
    np.testing.assert_allclose(level(split.points[80:]), 0.0, atol=1e-5)


# --- fitting -----------------------------------------------------------------------------------------------------


def test_a_plane_parts_the_block_exactly_and_leaves_the_needle_as_it_is() -> None:
    before = background()
    level = half_space((0.2, 0.1, 1.0), 0.031)
    mesh = fitted_to(before, Surface("liver_surface", level, "tissue", "outside"))
    check_conforming(mesh, before)
    assert set(mesh.regions) == {"tissue", "outside"}
    on_plane = np.abs(level(mesh.points[np.unique(mesh.facets["liver_surface"])]))
    # Nodes on the needle's ridges may stay beside the plane, by an eighth of their edges.
    assert np.percentile(on_plane, 90) < 1e-9
    assert on_plane.max() < 0.3e-3
    for name, inside in (("tissue", True), ("outside", False)):
        corners = level(mesh.points[mesh.cells[mesh.regions[name]]])
        assert ((corners if inside else -corners) < 0.3e-3).all()
    # The plane cuts the box where z = 0.031 * |n| - 0.2 x - 0.1 y: the mean height is that at the axis.
    height = 0.031 * np.sqrt(1.05) - (-0.025)
    needle = 0.07 * 0.06**2 - before.cell_volumes().sum()
    above = 0.045 - 0.031 * np.sqrt(1.05)
    assert mesh.cell_volumes()[mesh.regions["outside"]].sum() == pytest.approx(0.06**2 * above, rel=0.02)
    assert mesh.cell_volumes()[mesh.regions["tissue"]].sum() == pytest.approx(0.06**2 * height - needle, rel=5e-3)
    quality = Spread.of(mesh.quality())
    assert quality.low > 0.35
    assert quality.least > 0.01


def test_a_ball_is_enclosed_to_second_order() -> None:
    before, radius = background(), 0.011
    mesh = fitted_to(before, Surface("tumour_surface", ball(radius), "tumour", "tissue"))
    check_conforming(mesh, before)
    nodes = np.unique(mesh.facets["tumour_surface"])
    assert np.percentile(np.abs(ball(radius)(mesh.points[nodes])), 80) < 1e-7
    corners = mesh.points[mesh.facets["tumour_surface"]]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max()
    # Chords of length h lie up to h^2 / 8 R inside; the needle, a cylinder of 0.75 mm, is cut out.
    track = np.pi * 0.75e-3**2 * (CENTRE[2] + radius)
    volume = mesh.cell_volumes()[mesh.regions["tumour"]].sum()
    whole = 4 / 3 * np.pi * radius**3
    assert whole - track - 3 * longest**2 / (8 * radius**2) * whole < volume < whole
    area = mesh.facet_areas("tumour_surface").sum()
    assert area == pytest.approx(4 * np.pi * radius**2, rel=0.05)


def test_two_surfaces_one_after_the_other() -> None:
    before = background()
    liver = fitted_to(before, Surface("liver_surface", half_space((1, 0, 0.2), 0.02), "tissue", "outside"))
    # The tumour reaches to the surface of the liver, as one under the capsule does.
    mesh = fitted_to(liver, Surface("tumour_surface", ball(0.012, np.array([0.012, 0, 0.01])), "tumour", "tissue"))
    assert set(mesh.regions) == {"tissue", "outside", "tumour"}
    assert mesh.cell_volumes().min() > 0.0
    outside = [made.cell_volumes()[made.regions["outside"]].sum() for made in (liver, mesh)]
    assert outside[1] == pytest.approx(outside[0], rel=1e-12)
    areas = [made.facet_areas("liver_surface").sum() for made in (liver, mesh)]
    assert areas[1] == pytest.approx(areas[0], rel=1e-9)


def test_without_the_outside_the_surface_is_the_boundary() -> None:
    level = half_space((0, 0.3, 1.0), 0.03)
    whole = fitted_to(background(), Surface("liver_surface", level, "tissue", "outside"))
    mesh = without(whole, "outside")
    assert set(mesh.regions) == {"tissue"}
    assert len(mesh.cells) == len(whole.regions["tissue"])
    named = [tuple(sorted(nodes)) for facets in mesh.facets.values() for nodes in facets.tolist()]
    assert sorted(named) == sorted(tuple(sorted(nodes)) for nodes in mesh.boundary().tolist())
    assert mesh.facet_areas("liver_surface").sum() == pytest.approx(whole.facet_areas("liver_surface").sum())
    assert level(mesh.points).max() < 0.3e-3


def test_a_surface_that_does_not_reach_the_block() -> None:
    mesh = fitted_to(background(), Surface("liver_surface", half_space((0, 0, 1), 1.0), "tissue", "outside"))
    assert set(mesh.regions) == {"tissue"}
    assert "liver_surface" not in mesh.facets
    with pytest.raises(MeshError, match=r"No tissue of the block lies inside the surface 'liver_surface'.*'embedded'"):
        fitted_to(background(), Surface("liver_surface", half_space((0, 0, 1), -1.0), "tissue", "outside"))


def test_islands_are_what_neither_reaches_the_shore_nor_is_the_largest() -> None:
    cells = np.array([[0, 1, 2, 3], [1, 2, 3, 4], [10, 11, 12, 13], [20, 21, 22, 23]])
    assert islands(cells, np.empty((0, 3), dtype=int)).tolist() == [2, 3]
    assert islands(cells, np.array([[22, 21, 20]])).tolist() == [2]
    assert islands(cells[:0], np.empty((0, 3), dtype=int)).tolist() == []


# --- patients ----------------------------------------------------------------------------------------------------


def patient_case(folder: Path, **tables: Any) -> Case:
    """A needle from the front in the tumour of the small anatomy."""
    small = Small(spacing=(2.5, 2.5, 3.0))
    return Case.from_dict(
        {
            "patient": {
                "labels": str(small.write(folder)),
                "structures": small.structures,
                **tables.get("patient", {}),
            },
            "tumour": {"set": "hcc"},
            "applicator": [
                {
                    "name": "needle",
                    "profile": NEEDLE,
                    "tip": [f"{x} mm" for x in tables.get("tip", (50.0, -25.0, 63.0))],
                    "direction": [0.0, 1.0, 0.1],
                }
            ],
            "tissue": {"set": "liver_human"},
            "domain": {"radius": "32 mm", "height": "80 mm"},
            "mesh": {"resolution": COARSE, **tables.get("mesh", {})},
        }
    )


BOTH = {"liver": "fitted", "tumour": "fitted"}


def test_a_mesh_fitted_to_a_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = patient_case(tmp_path, mesh=BOTH)
    geometry = Geometry.from_case(case)
    mesh = mesh_of(case, geometry)
    assert set(mesh.regions) == {"tissue", "outside", "tumour"}
    assert {"liver_surface", "tumour_surface", "outer", "A0:tip", "A0:shaft"} <= set(mesh.facets)
    volumes = volumes_of(case, geometry, mesh)
    assert abs(volumes["whole liver"].difference) < 0.04
    assert abs(volumes["tumour"].difference) < 0.12
    # Nothing of the patient is read, and nothing made, for a mesh that was made before.
    monkeypatch.setattr(store, "solid_mesh", None)
    monkeypatch.setattr("ablationsim.mesh.fitted.fitted_to", None)
    again = mesh_of(case, geometry)
    np.testing.assert_array_equal(again.points, mesh.points)
    np.testing.assert_array_equal(again.cells, mesh.cells)
    in_air = patient_case(tmp_path, mesh=BOTH, patient={"outside": "air"})
    with pytest.raises(TypeError, match="not callable"):
        mesh_of(in_air, Geometry.from_case(in_air))


def test_in_air_the_mesh_ends_at_the_liver_and_another_place_has_the_same_mesh_round_the_needle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = patient_case(tmp_path, mesh={"liver": "fitted"})
    whole = mesh_of(case, Geometry.from_case(case))
    monkeypatch.setattr(store, "solid_mesh", None)  # the mesh round the needle is found
    in_air = patient_case(tmp_path, mesh={"liver": "fitted"}, patient={"outside": "air"}, tip=(48.0, -24.0, 64.0))
    mesh = mesh_of(in_air, Geometry.from_case(in_air))
    assert set(mesh.regions) == {"tissue"}
    assert mesh.cell_volumes().sum() < 0.7 * whole.cell_volumes().sum()
    distance = in_air.patient.anatomy().distance(whole_liver=True)
    assert np.percentile(distance(mesh.points[np.unique(mesh.facets["liver_surface"])]), 95) < 0.1e-3


def test_what_a_mesh_cannot_be_fitted_to() -> None:
    plain = {"device": {"profile": NEEDLE}, "tissue": {"set": "liver_human"}}
    for part in ("liver", "tumour"):
        with pytest.raises(CaseError, match=rf"mesh.{part}: 'fitted' needs"):
            Case.from_dict({**plain, "mesh": {part: "fitted"}})
    with pytest.raises(CaseError, match=r"vessels and liver are 'fitted'.*leave one of them 'embedded'"):
        Case.from_dict({**plain, "mesh": {"liver": "fitted", "vessels": "fitted"}})


def meshed(data: dict[str, Any]) -> Mesh:
    case = Case.from_dict(data)
    return mesh_of(case, Geometry.from_case(case))


def test_a_tumour_that_is_a_ball_needs_no_image() -> None:
    place = {"centre": ["0 mm", "2 mm", "12 mm"], "radius": "9 mm", "set": "hcc"}
    mesh = {"resolution": COARSE, "tumour": "fitted"}
    made = meshed({"device": {"profile": NEEDLE}, "tissue": {"set": "liver_human"}, "tumour": place, "mesh": mesh})
    volume = made.cell_volumes()[made.regions["tumour"]].sum()
    assert volume == pytest.approx(4 / 3 * np.pi * 0.009**3, rel=0.15)


# --- several needles ---------------------------------------------------------------------------------------------


def needles(places: list[tuple[np.ndarray, np.ndarray]]) -> Geometry:
    spec = Device.load(NEEDLE).applicator
    applicators = [
        Applicator.build(i, spec, Placement.along(tip.tolist(), direction.tolist()), f"n{i}")
        for i, (tip, direction) in enumerate(places)
    ]
    frame = Frame.of([(tip.tolist(), direction.tolist()) for tip, direction in places])
    centre = frame.to_world(np.array([0.005, 0.0, 0.01]))
    domain = Domain.cylinder(centre, 0.04, 0.06, Placement(frame.origin, frame.axes.T))
    return Geometry.build(applicators, domain, "3d")


SET = [
    (np.zeros(3), np.array([0.25, 0.95, 0.17])),
    (np.array([0.012, 0.002, 0.001]), np.array([0.25, 0.9, 0.27])),
]


def test_needles_that_move_as_one_keep_their_mesh() -> None:
    sizing = Sizing.default(needles(SET), COARSE)
    motions = [Rotation.identity(), *Rotation.random(5, random_state=3)]
    shift = np.array([0.1, -0.23, 0.05])
    moved = [needles([(turn.apply(tip) + shift, turn.apply(way)) for tip, way in SET]) for turn in motions]
    keys = {store.fingerprint(geometry.upright(), sizing) for geometry in moved}
    assert len(keys) == 1
    apart = needles([SET[0], (SET[1][0] + 1e-3, SET[1][1])])
    assert store.fingerprint(apart.upright(), sizing) not in keys


def test_the_mesh_of_moved_needles_lies_on_them() -> None:
    turn = Rotation.from_rotvec([0.4, -1.1, 2.0])
    geometry = needles([(turn.apply(tip) + 0.05, turn.apply(way)) for tip, way in SET])
    mesh = generate(geometry, COARSE)
    for i, applicator in enumerate(geometry.applicators):
        nodes = np.unique(mesh.facets[f"A{i}:shaft"])
        across = np.hypot(*applicator.to_device(mesh.points[nodes])[:, :2].T)
        # A polygon of eight sides with the perimeter of the circle.
        assert across.max() < 1.03 * applicator.radius
        assert across.min() > 0.94 * applicator.radius


def test_the_frame_of_needles_in_line_or_parallel() -> None:
    way = (0.0, 0.6, 0.8)
    alone = Frame.of([((0.01, 0.0, 0.0), way)])
    in_line = Frame.of([((0.01, 0.0, 0.0), way), ((0.01, 0.03, 0.04), way)])
    np.testing.assert_allclose(in_line.axes, alone.axes)
    beside = Frame.of([((0.0, 0.0, 0.0), way), ((0.02, 0.0, 0.0), way)])
    np.testing.assert_allclose(beside.axes, [[1, 0, 0], [0, 0.8, -0.6], way], atol=1e-12)
    tip, direction = beside.seen((0.02, 0.006, 0.008), way)
    np.testing.assert_allclose(tip, [0.02, 0.0, 0.01], atol=1e-12)
    np.testing.assert_allclose(direction, [0, 0, 1], atol=1e-12)


def test_a_case_with_several_needles_has_its_block_in_their_frame() -> None:
    def case(turn: Rotation) -> Case:
        places = [(1e3 * turn.apply(tip), turn.apply(way)) for tip, way in SET]
        entries = [
            {
                "name": f"n{i}",
                "profile": NEEDLE,
                "tip": [f"{x} mm" for x in tip.tolist()],
                "direction": way.tolist(),
            }
            for i, (tip, way) in enumerate(places)
        ]
        tumour = {"centre": ["0 mm", "0 mm", "0 mm"], "radius": "5 mm", "set": "hcc"}
        return Case.from_dict({"applicator": entries, "tissue": {"set": "liver_human"}, "tumour": tumour})

    keys = set()
    for turn in (Rotation.identity(), Rotation.from_rotvec([1.0, 0.3, -0.7])):
        made = case(turn)
        assert made.domain.frame == "applicator"
        geometry = Geometry.from_case(made)
        keys.add(store.fingerprint(geometry.upright(), Sizing.default(geometry, COARSE)))
    assert len(keys) == 1


# --- quality -----------------------------------------------------------------------------------------------------


def test_quality_of_known_elements() -> None:
    regular = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    corner = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    cells = np.array([[0, 1, 2, 3]])
    triangle = Mesh(np.array([[0.0, 0], [1, 0], [0.5, np.sqrt(0.75)]]), np.array([[0, 1, 2]]), {}, {}, True)
    orient = cells if np.linalg.det(regular[1:] - regular[0]) > 0 else cells[:, [0, 1, 3, 2]]
    assert scaled_jacobian(Mesh(regular, orient, {}, {}, False))[0] == pytest.approx(1.0)
    assert scaled_jacobian(triangle)[0] == pytest.approx(1.0)
    # At a corner of the face opposite to the right angles the edges are 1, sqrt 2 and sqrt 2 long.
    assert scaled_jacobian(Mesh(corner, cells, {}, {}, False))[0] == pytest.approx(np.sqrt(2) / 2)
    assert scaled_jacobian(Mesh(corner, cells[:, [0, 2, 1, 3]], {}, {}, False))[0] == pytest.approx(-np.sqrt(2) / 2)
    lengths = edge_lengths(Mesh(corner, cells, {}, {}, False))
    assert sorted(lengths) == pytest.approx([1, 1, 1, *[np.sqrt(2)] * 3])


def test_quality_of_a_mesh_as_a_document() -> None:
    mesh = background()
    found = MeshQuality.of(mesh)
    document = json.loads(json.dumps(found.document()))
    assert document["nodes"] == len(mesh.points)
    assert document["regions_ml"]["tissue"] == pytest.approx(1e6 * mesh.cell_volumes().sum())
    assert document["facets_mm2"]["outer"] == pytest.approx(2 * 60**2 + 4 * 60 * 70, rel=2e-3)
    histogram = document["edge_length_histogram"]
    assert sum(histogram["edges"]) + histogram["shorter"] + histogram["longer"] == len(found.edges)
    assert len(histogram["bounds_mm"]) == len(CLASSES)
    # Euler: nodes - edges + faces - elements is that of a block with a dent, 1.
    inner = (4 * len(mesh.cells) + len(mesh.boundary())) // 2
    assert len(mesh.points) - len(found.edges) + inner - len(mesh.cells) == 1
    assert document["radius_ratio"]["least"] <= document["radius_ratio"]["percentile_5"] < 1.0


def test_the_command_says_how_good_the_mesh_is(quick_cli: Any, small: str, tmp_path: Path) -> None:
    case = tmp_path / "case.toml"
    case.write_text(small)
    done = quick_cli("mesh", case, "-o", tmp_path / "block.vtu")
    assert done.returncode == 0
    assert "radius ratio (1 is regular)" in done.stdout
    document = json.loads((tmp_path / "block.json").read_text())
    assert f"{document['nodes']} nodes, {document['elements']} elements" in done.stdout
    assert (tmp_path / "block.png").read_bytes().startswith(b"\x89PNG")
    assert quick_cli("mesh", case, "-o", tmp_path / "other.msh", "--no-quality").returncode == 0
    assert not (tmp_path / "other.json").exists()


def test_the_picture_of_a_patient_in_a_mesh(tmp_path: Path) -> None:
    case = patient_case(tmp_path)
    geometry = Geometry.from_case(case)
    mesh = mesh_of(case, geometry)
    volumes = volumes_of(case, geometry, mesh)
    assert set(volumes) == {"whole liver", "tumour", "hepatic_vein", "portal_vein"}
    assert abs(volumes["tumour"].difference) < 0.05
    assert abs(volumes["whole liver"].difference) < 0.03
    quality = MeshQuality.of(mesh, volumes)
    assert quality.document()["parts"]["tumour"]["voxels_ml"] == pytest.approx(4 / 3 * np.pi * 1.0**3, rel=0.1)
    section, *_ = quality_figure(case, geometry, mesh, quality).axes
    (cells,) = (collection for collection in section.collections if isinstance(collection, PolyCollection))
    drawn = sum(_area(path.vertices) for path in cells.get_paths())
    # The plane through the shaft cuts the block in a rectangle.
    assert drawn == pytest.approx(64 * 80, rel=0.05)


def _area(corners: np.ndarray) -> float:
    x, y = corners[:-1].T if (corners[0] == corners[-1]).all() else corners.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
