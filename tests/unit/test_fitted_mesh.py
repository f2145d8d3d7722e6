"""Meshes round needles in their own frame, kept on disk, and fitted to straight tubes."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablationsim import cache as disk
from ablationsim.case import Case
from ablationsim.device.profile import Device
from ablationsim.errors import CaseError, GeometryError, MeshError
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.geometry import Geometry
from ablationsim.geometry.placement import Placement
from ablationsim.geometry.tube import Tube, fitted
from ablationsim.mesh import cache as store
from ablationsim.mesh.generate import generate, mesh_of
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.sizing import Sizing

NEEDLE = "rfa_cooltip_17g_3cm_like"
COARSE = 4.0
POSES = [((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 0.0), ((0.031, -0.2, 0.0777), (0.3, -1.0, -0.7), 0.4)]
TUBE = {
    "name": "v",
    "kind": "tube",
    "points": [["10 mm", "-70 mm", "15 mm"], ["10 mm", "70 mm", "15 mm"]],
    "diameter": "5 mm",
    "flow": "10 mL/min",
}


def needle(tip: tuple[float, ...] = POSES[0][0], direction: tuple[float, ...] = POSES[0][1], roll: float = 0.0) -> Any:
    return Applicator.build(0, Device.load(NEEDLE).applicator, Placement.along(tip, direction, roll))


def in_own_frame(applicator: Applicator, radius: float = 0.025, height: float = 0.05) -> Geometry:
    domain = Domain.cylinder(applicator.to_world([0, 0, 0.015]), radius, height, applicator.placement)
    return Geometry.build([applicator], domain, "3d")


def in_box(size: tuple[float, float, float] = (0.06, 0.06, 0.08)) -> Geometry:
    return Geometry.build([needle()], Domain.box((0, 0, 0.015), size), "3d")


def tube(start: tuple[float, ...], end: tuple[float, ...], radius: float = 2.5e-3, name: str = "v") -> Tube:
    return Tube(name, np.array(start), np.array(end), radius)


def case_with(**tables: Any) -> Case:
    return Case.from_dict({"device": {"profile": NEEDLE}, "tissue": {"set": "liver_human"}, **tables})


@cache
def fitted_mesh(kind: str) -> tuple[Mesh, Geometry, Tube]:
    geometry = in_box((0.05, 0.03, 0.05))
    lies = {
        "through": tube((0.01, -0.015, 0.015), (0.01, 0.015, 0.015), 3e-3),
        "ending": tube((0.01, -0.08, 0.015), (0.01, 0.006, 0.015), 3e-3),
        "oblique": tube((0.012, -0.05, 0.0), (0.008, 0.05, 0.04), 3e-3),
    }
    return generate(geometry, COARSE, tubes=[lies[kind]]), geometry, lies[kind]


def faces(cells: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(sorted(cell[[j for j in range(4) if j != i]])) for cell in cells for i in range(4)}


@pytest.fixture(autouse=True)
def _kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(disk.FOLDER, str(tmp_path))


def test_two_poses_of_a_needle_have_the_same_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(disk.FOLDER, "")
    first, second = (in_own_frame(needle(*pose)) for pose in POSES)
    meshes = [generate(geometry, COARSE) for geometry in (first, second)]
    assert np.array_equal(meshes[0].cells, meshes[1].cells)
    seen = [g.domain.frame.to_device(m.points) for g, m in zip((first, second), meshes, strict=True) if g.domain.frame]
    assert np.abs(seen[0] - seen[1]).max() < 1e-12
    assert (meshes[1].cell_volumes() > 0).all()
    for name, nodes in meshes[0].facets.items():
        assert np.array_equal(nodes, meshes[1].facets[name])
    # It is a mesh of the placed geometry: the outside of the block is there, and the needle's tip.
    outer = np.unique(meshes[1].facets["outer"])
    assert np.abs(second.domain.depth(meshes[1].points[outer])).max() < 1e-9
    tip = meshes[1].points[np.unique(meshes[1].facets["A0:tip"])]
    assert np.linalg.norm(tip - second.applicators[0].tip, axis=1).min() < 1e-3


def test_a_mesh_in_the_frame_of_an_upright_needle_is_that_of_the_world() -> None:
    own = in_own_frame(needle())
    world = Geometry.build(own.applicators, Domain.cylinder((0, 0, 0.015), 0.025, 0.05), "3d")
    assert np.array_equal(generate(own, COARSE).points, generate(world, COARSE).points)


def test_a_mesh_is_made_once_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = generate(in_own_frame(needle(*POSES[0])), COARSE)
    (kept,) = (tmp_path / "meshes").iterdir()
    monkeypatch.setattr(store, "solid_mesh", None)
    # The second pose would have to make it again, which it cannot.
    second = generate(in_own_frame(needle(*POSES[1])), COARSE)
    assert list((tmp_path / "meshes").iterdir()) == [kept]
    assert np.array_equal(first.cells, second.cells)
    assert {name: nodes.tolist() for name, nodes in first.facets.items()} == {
        name: nodes.tolist() for name, nodes in second.facets.items()
    }


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "nodes"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    geometry = in_own_frame(needle())
    mesh = generate(geometry, COARSE)
    (kept,) = (tmp_path / "meshes").iterdir()
    whole = kept.read_bytes()
    match damage:
        case "cut":
            kept.write_bytes(whole[: len(whole) // 2])
        case "empty":
            kept.write_bytes(b"")
        case "text":
            kept.write_text("no mesh")
        case "nodes":
            np.savez(kept, points=mesh.points, cells=mesh.cells + 10**6, regions=np.array([]), facets=np.array([]))
    assert np.array_equal(generate(geometry, COARSE).points, mesh.points)
    with np.load(kept) as content:
        assert np.array_equal(content["points"], mesh.points)


def test_the_fingerprint_tells_apart_what_the_mesh_depends_on() -> None:
    base = in_own_frame(needle()).upright()
    sizing = Sizing.default(base, COARSE)
    prints = {
        store.fingerprint(base, sizing),
        store.fingerprint(base, Sizing.default(base, 3.0)),
        store.fingerprint(in_own_frame(needle(), radius=0.026).upright(), sizing),
        store.fingerprint(base, sizing, [tube((0.01, -0.1, 0.015), (0.01, 0.1, 0.015))]),
        store.fingerprint(base, sizing, [tube((0.01, -0.1, 0.015), (0.01, 0.1, 0.015), name="w")]),
    }
    assert len(prints) == 5
    turned = in_own_frame(needle(*POSES[1])).upright()
    assert store.fingerprint(turned, sizing) == store.fingerprint(base, sizing)


def test_the_oldest_meshes_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "meshes"
    folder.mkdir()
    monkeypatch.setattr(disk, "LARGEST", 10**6)
    for age, name in enumerate(("newest", "older", "oldest"), start=1):
        (folder / f"{name}.npz").write_bytes(bytes(400_000))
        os.utime(folder / f"{name}.npz", (1e9 - age, 1e9 - age))
    (folder / "left.partial").write_bytes(b"x")
    os.utime(folder / "left.partial", (1e9, 1e9))
    generate(in_own_frame(needle()), COARSE)
    names = {path.stem for path in folder.iterdir()}
    assert not names & {"older", "oldest", "left"}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 10**6


def test_where_meshes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk.folder_of("meshes") == tmp_path / "meshes"
    monkeypatch.setenv(disk.FOLDER, "")
    assert disk.folder_of("meshes") is None
    monkeypatch.delenv(disk.FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert disk.folder_of("meshes") == tmp_path / "caches" / "ablationsim" / "meshes"


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(disk.FOLDER, str(tmp_path / "file"))
    assert len(generate(in_own_frame(needle()), COARSE).cells)


@pytest.mark.parametrize("kind", ["through", "ending", "oblique"])
def test_wall_and_lumen_of_a_tube(kind: str) -> None:
    mesh, geometry, v = fitted_mesh(kind)
    tissue, lumen = mesh.regions["tissue"], mesh.regions["lumen:v"]
    assert np.array_equal(np.sort(np.concatenate([tissue, lumen])), np.arange(len(mesh.cells)))
    assert (mesh.cell_volumes() > 0).all()
    assert mesh.quality().min() > 0.05
    inside, outside = faces(mesh.cells[lumen]), faces(mesh.cells[tissue])
    wall = {tuple(sorted(nodes)) for nodes in mesh.facets["vessel:v"]}
    ends = {tuple(sorted(nodes)) for nodes in mesh.facets["lumen_end:v"]}
    outer = {tuple(sorted(nodes)) for nodes in mesh.facets["outer"]}
    # The wall, and an end in the tissue, lie between both regions; the outside of the tissue holds no end of a lumen.
    assert wall <= inside & outside
    assert ends <= inside
    assert inside & outside <= wall | ends
    assert not outer & inside
    ends_inside = ends & outside
    assert bool(ends_inside) == (kind == "ending")
    on_block = np.array(sorted(ends - outside))
    assert np.abs(geometry.domain.depth(mesh.points[on_block])).max() < 1e-9
    # Distance of the wall's nodes from the axis: between those of a side's middle and of a corner of the polygon.
    nodes = mesh.points[np.unique(mesh.facets["vessel:v"])]
    away = np.linalg.norm(np.cross(nodes - v.start, v.axis), axis=1)
    corner = (np.pi / 24) / np.sin(np.pi / 24) * v.radius
    assert away.max() == pytest.approx(corner, rel=1e-6)
    assert away.min() >= corner * np.cos(np.pi / 24) * (1 - 1e-6)


def test_areas_and_volume_of_a_fitted_tube() -> None:
    mesh, _, v = fitted_mesh("through")
    area = 2 * np.pi * v.radius * 0.03
    assert mesh.facet_areas("vessel:v").sum() == pytest.approx(area, rel=1e-6)
    polygon = (np.pi / 24) / np.tan(np.pi / 24) * np.pi * v.radius**2
    volumes = mesh.cell_volumes()
    assert volumes[mesh.regions["lumen:v"]].sum() == pytest.approx(0.03 * polygon, rel=1e-6)
    assert mesh.facet_areas("lumen_end:v").sum() == pytest.approx(2 * polygon, rel=1e-6)
    faces_of_box = 2 * (0.05 * 0.03 + (0.05 + 0.03) * 0.05)
    shaft = (np.pi / 8) / np.tan(np.pi / 8) * np.pi * needle().radius ** 2
    assert mesh.facet_areas("outer").sum() == pytest.approx(faces_of_box - 2 * polygon - shaft, rel=1e-6)


def test_elements_at_the_wall_of_a_tube_are_small() -> None:
    mesh, _, v = fitted_mesh("through")
    triangles = mesh.points[mesh.facets["vessel:v"]]
    edges = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=2)
    assert edges.mean() < 2 * v.radius / 5


def test_a_tube_in_a_turned_needle_s_frame_moves_with_it() -> None:
    meshes = []
    for pose in POSES:
        applicator = needle(*pose)
        start, end = applicator.to_world([(0.01, -0.1, 0.015), (0.01, 0.1, 0.02)])
        meshes.append(generate(in_own_frame(applicator), COARSE, tubes=[Tube("v", start, end, 3e-3)]))
    assert np.array_equal(meshes[0].cells, meshes[1].cells)
    assert np.array_equal(meshes[0].facets["vessel:v"], meshes[1].facets["vessel:v"])


@pytest.mark.parametrize(
    ("tubes", "match"),
    [
        ([tube((0.003, -0.1, 0.015), (0.003, 0.1, 0.015))], r"'v' and applicator A0 come within -0\.23 mm"),
        ([tube((0.028, -0.1, 0.015), (0.028, 0.1, 0.015))], r"reaches at most -0\.50 mm inside the box"),
        ([tube((0.2, -0.1, 0.015), (0.2, 0.1, 0.015))], "move the tube, or enlarge the domain"),
        ([tube((0.01, -0.01, 0.015), (0.06, 0.0, 0.015)), tube((0.02, -0.1, 0.017), (0.02, 0.1, 0.017))], "tube 'v'"),
        ([tube((-0.02, 0.02, 0.0), (0.1, 0.05, 0.0))], r"runs along the surface of the box domain toward its end"),
        ([tube((0.01, -0.1, 0.015), (0.027, -0.02, 0.015))], r"its end reaches to .* mm inside the box"),
    ],
)
def test_tubes_that_cannot_be_fitted_are_refused(tubes: list[Tube], match: str) -> None:
    with pytest.raises(GeometryError, match=match):
        fitted(tubes, in_box())


def test_an_end_at_the_surface_is_lengthened_out_of_the_block() -> None:
    (long,) = fitted([tube((0.01, -0.03, 0.015), (0.01, 0.0, 0.015))], in_box())
    assert long.start[1] < -0.03 - 1e-3
    assert np.array_equal(long.end, [0.01, 0.0, 0.015])


def test_a_case_fits_its_mesh_to_straight_tubes() -> None:
    small = {"frame": "applicator", "radius": "25 mm", "height": "5 cm"}
    thick = TUBE | {"wall_thickness": "1 mm"}
    case = case_with(vessel=[thick], domain=small, mesh={"resolution": COARSE, "vessels": "fitted"})
    mesh = mesh_of(case, Geometry.from_case(case))
    nodes = mesh.points[np.unique(mesh.facets["vessel:v"])]
    assert np.hypot(nodes[:, 0] - 0.01, nodes[:, 2] - 0.015).max() == pytest.approx(3.5e-3, rel=3e-3)
    embedded = case_with(vessel=[TUBE], domain=small, mesh={"resolution": COARSE})
    assert set(mesh_of(embedded, Geometry.from_case(embedded)).regions) == {"tissue"}


def test_only_straight_tubes_can_be_fitted() -> None:
    bent = TUBE | {"points": [*TUBE["points"], ["20 mm", "70 mm", "15 mm"]]}
    case = case_with(vessel=[bent], mesh={"resolution": COARSE, "vessels": "fitted"})
    with pytest.raises(GeometryError, match=r"'v' is no straight tube.*embedded"):
        mesh_of(case, Geometry.from_case(case))
    point = TUBE | {"points": [TUBE["points"][0]] * 2}
    case = case_with(vessel=[point], mesh={"resolution": COARSE, "vessels": "fitted"})
    with pytest.raises(GeometryError, match="has no length"):
        mesh_of(case, Geometry.from_case(case))


def test_a_half_plane_cannot_be_fitted_to_tubes() -> None:
    flat = Geometry.build([needle()], Domain.cylinder((0, 0, 0.015), 0.04, 0.08))
    with pytest.raises(MeshError, match="use the dimension '3d'"):
        generate(flat, COARSE, tubes=[tube((0.01, -0.1, 0.015), (0.01, 0.1, 0.015))])


def test_the_domain_follows_the_needle_where_there_are_vessels() -> None:
    plain, vessels = case_with(), case_with(vessel=[TUBE])
    assert plain.domain.frame == "world"
    assert vessels.domain.frame == "applicator"
    tumour = {"centre": ["1 cm", "0 mm", "2 cm"], "radius": "1 cm", "set": "liver_human"}
    assert case_with(tumour=tumour).domain.frame == "applicator"
    for own in ({"centre": ["0 mm", "0 mm", "15 mm"]}, {"shape": "box"}, {"frame": "world"}):
        assert case_with(vessel=[TUBE], domain=own).domain.frame == "world"
    again = Case.from_resolved(vessels.resolved())
    assert again.domain == vessels.domain
    assert not Geometry.from_case(vessels).axisymmetric
    assert Geometry.from_case(plain).axisymmetric


def placed(direction: list[float], **tables: Any) -> Case:
    applicator = {"name": "n", "profile": NEEDLE, "tip": ["30 mm", "-20 mm", "5 cm"], "direction": direction}
    return Case.from_dict({"applicator": [applicator], "tissue": {"set": "liver_human"}, **tables})


@pytest.mark.parametrize("direction", [[0.0, 0.0, 1.0], [1.0, 2.0, -2.0], [0.0, 0.0, -1.0]])
def test_extents_of_a_domain_along_the_shaft_do_not_depend_on_the_direction(direction: list[float]) -> None:
    case = placed(direction, domain={"frame": "applicator"})
    upright = case_with()
    assert case.domain.radius == upright.domain.radius
    assert case.domain.height == upright.domain.height
    along = np.array(direction) / np.linalg.norm(direction)
    assert case.domain.centre == pytest.approx(np.array([0.03, -0.02, 0.05]) + 0.015 * along)
    geometry = Geometry.from_case(case)
    assert geometry.domain.axis == pytest.approx(along)
    assert geometry.upright().domain.centre.tolist() == [0.0, 0.0, 0.015]
    assert np.array_equal(geometry.upright().applicators[0].placement.rotation, np.eye(3))


def test_probes_are_held_against_the_domain_along_the_shaft() -> None:
    # 70 mm behind the centre along the shaft, which is 65 mm from either end; and 50 mm beside it, with radius 52 mm.
    tables: dict[str, Any] = {"domain": {"frame": "applicator"}}
    beside = {"name": "p", "position": ["45 mm", "-20 mm", "100 mm"]}
    placed([1.0, 0.0, 0.0], probe=[beside], **tables)
    behind = {"name": "p", "position": ["115 mm", "-20 mm", "50 mm"]}
    with pytest.raises(CaseError, match=r"probe 'p' is 5 mm outside the cylinder .* along the shaft"):
        placed([1.0, 0.0, 0.0], probe=[behind], **tables)


def test_frames_of_several_applicators_and_those_that_make_no_sense() -> None:
    with pytest.raises(CaseError, match="belongs to a cylinder"):
        case_with(domain={"frame": "applicator", "shape": "box"})
    two = [{"name": n, "profile": NEEDLE, "tip": [f"{x} mm", "0 mm", "0 mm"]} for n, x in (("a", 0), ("b", 20))]
    data = {"applicator": two, "tissue": {"set": "liver_human"}, "domain": {"frame": "applicator"}}
    assert Case.from_dict(data).domain.frame == "applicator"
    assert Case.from_dict({**data, "domain": {}}).domain.frame == "world"
    assert Case.from_dict({**data, "domain": {}, "vessel": [TUBE]}).domain.frame == "applicator"
    with pytest.raises(GeometryError, match="vessels, tumours and patients are not symmetric"):
        Geometry.from_case(case_with(vessel=[TUBE], domain={"dimension": "axisymmetric"}))
