"""Meshes: sizes, names of facets, quality, and files."""

from __future__ import annotations

import builtins
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from verification.cases_meshes import box

from ablationsim.device.profile import ApplicatorSpec, Device
from ablationsim.errors import MeshError, OutputError
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.geometry import Geometry, conductor_centre
from ablationsim.geometry.placement import Placement
from ablationsim.mesh.generate import generate
from ablationsim.mesh.io import read_mesh, write_mesh
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.ordering import renumbered
from ablationsim.mesh.polyhedron import applicator_polyhedra
from ablationsim.mesh.sizing import Sizing

COARSE = 4.0
RADIUS, HEIGHT = 0.04, 0.08


def geometry_of(device: str, dimension: str = "auto", direction: tuple[float, float, float] = (0, 0, 1)) -> Geometry:
    spec = Device.load(device).applicator
    applicator = Applicator.build(0, spec, Placement.along((0, 0, 0), direction))
    return Geometry.build([applicator], Domain.cylinder(conductor_centre([applicator]), RADIUS, HEIGHT), dimension)


@cache
def mesh_of(device: str, dimension: str = "auto", resolution: float = COARSE) -> Mesh:
    return generate(geometry_of(device, dimension), resolution)


NEEDLE = "rfa_cooltip_17g_3cm_like"
PLANAR = [NEEDLE, "rfa_bipolar_like", "rfa_uniblate_like", "rfa_cooled_15g_like"]
SOLID = [NEEDLE, "rfa_bipolar_like", "rfa_cooltip_cluster_like", "rfa_starburst_xl_like", "rfa_leveen_35_like"]


def shaft_area(spec: ApplicatorSpec, applicator: Applicator, name: str, top: float) -> float:
    """Analytic area of one section of one shaft, up to the height `top`."""
    area = 0.0
    for (r0, z0), (r1, z1) in zip(applicator.outline[:-1], applicator.outline[1:], strict=True):
        end = min(z1, top)
        if applicator.section_at((z0 + z1) / 2).name == name and end >= z0:
            area += np.pi * (r0 + r1) * np.hypot(r1 - r0, end - z0)
    return float(area)


def check_sound(mesh: Mesh, geometry: Geometry, least_quality: float, mean_quality: float) -> None:
    assert mesh.cells.dtype == np.int32
    assert (mesh.cell_volumes() > 0).all()
    assert np.array_equal(np.unique(mesh.cells), np.arange(len(mesh.points)))
    quality = mesh.quality()
    assert quality.max() <= 1 + 1e-9
    assert quality.min() > least_quality
    assert quality.mean() > mean_quality
    assert len(mesh.regions["tissue"]) == len(mesh.cells)
    assert set(mesh.facets) == {"outer", *geometry.surfaces}
    # Every boundary facet has exactly one name, but for the axis.
    boundary = mesh.boundary()
    if mesh.axisymmetric:
        boundary = boundary[mesh.points[boundary, 0].max(axis=1) > 1e-9]
    named = np.vstack(list(mesh.facets.values()))
    assert len(named) == len(boundary)
    assert np.array_equal(np.unique(np.sort(named, axis=1), axis=0), np.unique(np.sort(boundary, axis=1), axis=0))


@pytest.mark.parametrize("device", PLANAR)
def test_axisymmetric_mesh_is_sound_and_has_exact_areas(device: str) -> None:
    geometry, mesh = geometry_of(device), mesh_of(device)
    assert mesh.axisymmetric
    check_sound(mesh, geometry, 0.25, 0.9)
    spec, needle = Device.load(device).applicator, geometry.applicators[0]
    top = geometry.domain.centre[2] + HEIGHT / 2
    for section in needle.sections:
        expected = shaft_area(spec, needle, section.name, top)
        assert mesh.facet_areas(section.surface.name).sum() == pytest.approx(expected, rel=1e-9)
    # A cylinder less the cone and the shaft
    r, z = np.vstack([needle.outline[needle.outline[:, 1] < top], [(needle.radius, top)]]).T
    cut = (np.pi / 3 * (r[:-1] ** 2 + r[:-1] * r[1:] + r[1:] ** 2) * np.diff(z)).sum()
    assert mesh.cell_volumes().sum() == pytest.approx(geometry.domain.volume - cut, rel=1e-9)


@pytest.mark.parametrize("device", SOLID)
def test_solid_mesh_is_sound(device: str) -> None:
    # Where tines leave the shaft there are slivers.
    tined = bool(geometry_of(device).applicators[0].tines)
    check_sound(mesh_of(device, "3d"), geometry_of(device, "3d"), 0.005 if tined else 0.1, 0.55 if tined else 0.65)


@pytest.mark.parametrize("device", [NEEDLE, "rfa_bipolar_like", "rfa_cooltip_cluster_like"])
def test_solid_needle_has_the_round_needle_s_area(device: str) -> None:
    geometry, mesh = geometry_of(device, "3d"), mesh_of(device, "3d")
    spec, needle = Device.load(device).applicator, geometry.applicators[0]
    top = geometry.domain.centre[2] + HEIGHT / 2
    for section in needle.sections:
        expected = len(needle.shafts) * shaft_area(spec, needle, section.name, top)
        # Away from the tip, which is blunted, the polygon has the circle's circumference.
        tolerance = 2e-2 if section.z0 == 0 else 1e-6
        assert mesh.facet_areas(section.surface.name).sum() == pytest.approx(expected, rel=tolerance)


def test_areas_of_a_flat_trocar_with_tines() -> None:
    geometry, mesh = geometry_of("rfa_starburst_xl_like"), mesh_of("rfa_starburst_xl_like", "3d")
    needle = geometry.applicators[0]
    tines = sum(
        2 * np.pi * tine.radius * np.linalg.norm(np.diff(tine.path, axis=0), axis=1).sum() + np.pi * tine.radius**2
        for tine in needle.tines
    )
    assert mesh.facet_areas("A0:tine").sum() == pytest.approx(tines, rel=2e-2)
    top = needle.sections[0].z1
    trocar = 2 * np.pi * needle.radius * top + np.pi * needle.radius**2
    holes = sum(np.pi * tine.radius**2 for tine in needle.tines)
    assert mesh.facet_areas("A0:tip").sum() == pytest.approx(trocar - holes, rel=1e-2)


@pytest.mark.parametrize("dimension", ["axisymmetric", "3d"])
def test_facets_at_a_junction_are_on_their_side(dimension: str) -> None:
    geometry, mesh = geometry_of("rfa_bipolar_like", dimension), mesh_of("rfa_bipolar_like", dimension)
    for section in geometry.applicators[0].sections:
        z = mesh.points[mesh.facets[section.surface.name], -1]
        assert z.min() >= section.z0 - 1e-9
        assert z.max() <= section.z1 + 1e-9
        if section.z0 > 0:
            assert z.min() == pytest.approx(section.z0, abs=1e-9)


def test_insulated_part_of_a_tine_has_its_own_name() -> None:
    spec = Device.load("rfa_leveen_35_like").applicator
    group = spec.tines[0].model_copy(update={"exposed_from": 6e-3, "count": 2})
    applicator = Applicator.build(0, spec.model_copy(update={"tines": (group,)}), Placement.along())
    geometry = Geometry.build([applicator], Domain.cylinder(conductor_centre([applicator]), RADIUS, HEIGHT))
    mesh = generate(geometry, COARSE)
    assert mesh.facet_areas("A0:tine_insulated").sum() == pytest.approx(2 * 2 * np.pi * group.radius * 6e-3, rel=2e-2)


def test_polygon_keeps_circumference_and_most_of_the_section() -> None:
    geometry = geometry_of(NEEDLE, "3d")
    sides = Sizing.default(geometry).sides
    shaft = applicator_polyhedra(geometry.applicators[0], geometry.domain, sides, 6)[0]
    ring = shaft.rings[-1]
    radius = geometry.applicators[0].radius
    assert sides >= 10
    assert np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1).sum() == pytest.approx(2 * np.pi * radius)
    area = 0.5 * abs((ring[:, 0] * np.roll(ring[:, 1], -1) - ring[:, 1] * np.roll(ring[:, 0], -1)).sum())
    assert area == pytest.approx(np.pi * radius**2, rel=0.02)


def test_solid_mesh_is_the_block_less_the_needle() -> None:
    needle = geometry_of(NEEDLE).applicators[0]
    block = Domain.box(conductor_centre([needle]), (0.06, 0.05, 0.08))
    geometry = Geometry.build([needle], block)
    cut = block.volume - generate(geometry, COARSE).cell_volumes().sum()
    sides = Sizing.default(geometry, COARSE).sides
    inside = block.centre[2] + block.half[2] - needle.outline[1, 1]
    round_cut = np.pi * needle.radius**2 * (inside + needle.outline[1, 1] / 3)
    # The polygon encloses less than the circle of the same circumference.
    assert cut == pytest.approx(round_cut * (np.pi / sides) / np.tan(np.pi / sides), rel=1e-2)


def test_a_needle_from_above_gives_the_mirrored_mesh() -> None:
    up, down = geometry_of(NEEDLE), geometry_of(NEEDLE, direction=(0, 0, -1))
    mesh = generate(down, COARSE)
    check_sound(mesh, down, 0.25, 0.9)
    assert mesh.points * [1, -1] == pytest.approx(generate(up, COARSE).points)
    assert mesh.points[mesh.facets["A0:tip"], 1].max() == pytest.approx(0, abs=1e-12)


def test_two_needles_at_an_angle() -> None:
    spec = Device.load(NEEDLE).applicator
    pair = [
        Applicator.build(0, spec, Placement.along((-0.008, 0, -0.01), (-0.3, 0.1, 1))),
        Applicator.build(1, spec, Placement.along((0.008, 0, -0.01), (0.5, 0, 1), roll=0.3)),
    ]
    geometry = Geometry.build(pair, Domain.box(conductor_centre(pair), (0.09, 0.08, 0.08)))
    mesh = generate(geometry, COARSE)
    check_sound(mesh, geometry, 0.01, 0.6)
    assert mesh.facet_areas("A0:tip").sum() == pytest.approx(mesh.facet_areas("A1:tip").sum(), rel=1e-6)
    assert mesh.points.min(axis=0) == pytest.approx(geometry.domain.centre - geometry.domain.half)


def test_elements_grow_from_the_conductor() -> None:
    mesh = mesh_of(NEEDLE, "axisymmetric", 1.0)
    r, z = mesh.points[mesh.cells].mean(axis=1).T
    size = np.sqrt(np.linalg.det(mesh.points[mesh.cells[:, 1:]] - mesh.points[mesh.cells[:, :1]]) / np.sqrt(0.75))
    beside = (z > 5e-3) & (z < 25e-3)
    bands = [size[beside & (r > low) & (r < high)].mean() for low, high in ((0, 1e-3), (5e-3, 1.8e-2), (3e-2, 4e-2))]
    assert 0.15e-3 < bands[0] < 0.3e-3
    assert 0.7e-3 < bands[1] < 1.2e-3
    assert bands[2] > 2e-3
    junction = np.hypot(r - 0.735e-3, z - 30e-3) < 0.2e-3
    assert size[junction].mean() < 0.15e-3
    assert 2500 < len(mesh.points) < 4500


@pytest.mark.parametrize("dimension", ["axisymmetric", "3d"])
def test_elements_are_as_small_at_an_antenna_as_at_an_electrode(dimension: str) -> None:
    # The same shaft, once with a bare conductor and once with an antenna in its place.
    spec = Device.load(NEEDLE).applicator
    tip, *rest = spec.sections
    antenna = spec.model_copy(
        update={"sections": (tip.model_copy(update={"terminal": None, "radiating": True}), *rest)}
    )
    applicator = Applicator.build(0, antenna, Placement.along())
    geometry = Geometry.build([applicator], Domain.cylinder(conductor_centre([applicator]), RADIUS, HEIGHT), dimension)
    mesh, expected = generate(geometry, COARSE), mesh_of(NEEDLE, dimension)
    assert np.array_equal(mesh.points, expected.points)
    assert np.array_equal(mesh.cells, expected.cells)
    assert set(mesh.facets) == set(expected.facets)


def test_resolution_scales_the_number_of_nodes() -> None:
    coarse, fine = (len(mesh_of(NEEDLE, "axisymmetric", resolution).points) for resolution in (2.0, 1.0))
    assert 3 < fine / coarse < 4.5


def test_the_same_request_gives_the_same_mesh() -> None:
    first, second = mesh_of(NEEDLE, "3d"), generate(geometry_of(NEEDLE, "3d"), COARSE)
    assert np.array_equal(first.points, second.points)
    assert np.array_equal(first.cells, second.cells)


@pytest.mark.parametrize("resolution", [0.1, 5.0, float("nan")])
def test_resolution_out_of_range_names_the_limits(resolution: float) -> None:
    with pytest.raises(MeshError, match=r"between 0\.25 and 4"):
        generate(geometry_of(NEEDLE), resolution)


def test_missing_gmsh_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_gmsh(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "gmsh":
            raise OSError("libGLU.so.1: cannot open shared object file")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_gmsh)
    with pytest.raises(MeshError, match=r"libGLU\.so\.1.*apt-get install libglu1-mesa"):
        generate(geometry_of(NEEDLE), COARSE)


TETRAHEDRON = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)], dtype=float)


def test_quality_of_known_simplices() -> None:
    corner = np.vstack([np.zeros(3), np.eye(3)])
    regular = Mesh(TETRAHEDRON[[0, 2, 1, 3]], np.array([[0, 1, 2, 3]]), {}, {}, axisymmetric=False)
    right = Mesh(corner, np.array([[0, 1, 2, 3]]), {}, {}, axisymmetric=False)
    assert regular.quality() == pytest.approx(1)
    # inradius (3 - sqrt 3) / 6, circumradius sqrt(3) / 2
    assert right.quality() == pytest.approx((3 - np.sqrt(3)) / np.sqrt(3))
    triangle = np.array([(0, 0), (1, 0), (0.5, np.sqrt(0.75))])
    flat = Mesh(triangle, np.array([[0, 1, 2]]), {}, {}, axisymmetric=False)
    assert flat.quality() == pytest.approx(1)
    assert flat.cell_volumes() == pytest.approx(np.sqrt(3) / 4)


@pytest.mark.parametrize(
    ("points", "cells", "match"),
    [
        (np.zeros((3, 2)), [[0, 1, 3]], "node numbers run"),
        (np.zeros((4, 2)), [[0, 1, 2, 3]], "shape"),
        (np.array([[0, 0], [1, np.nan], [0, 1.0]]), [[0, 1, 2]], "not finite"),
    ],
)
def test_meshes_that_do_not_fit_together_are_refused(points: np.ndarray, cells: list[list[int]], match: str) -> None:
    with pytest.raises(MeshError, match=match):
        Mesh(points, np.array(cells), {}, {}, axisymmetric=False)


def test_unknown_facet_name_lists_the_known_ones() -> None:
    with pytest.raises(MeshError, match="it has A0:shaft, A0:tip, outer"):
        mesh_of(NEEDLE).facet_areas("A1:tip")


@pytest.mark.parametrize("ending", ["msh", "vtu"])
@pytest.mark.parametrize("dimension", ["axisymmetric", "3d"])
def test_files_keep_everything(tmp_path: Path, dimension: str, ending: str) -> None:
    mesh = mesh_of(NEEDLE, dimension)
    path = tmp_path / f"mesh.{ending}"
    write_mesh(mesh, path)
    again = read_mesh(path, expected=geometry_of(NEEDLE).surfaces)
    assert np.array_equal(again.points, mesh.points)
    assert np.array_equal(again.cells, mesh.cells)
    assert again.axisymmetric == mesh.axisymmetric
    for before, after in ((mesh.regions, again.regions), (mesh.facets, again.facets)):
        assert set(after) == set(before)
        assert all(np.array_equal(after[name], before[name]) for name in before)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["msh", "vtu"])
def test_broken_files_give_a_clear_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"mesh.{ending}"
    with pytest.raises(MeshError, match="There is no mesh file"):
        read_mesh(path)
    write_mesh(mesh_of(NEEDLE), path)
    whole = path.read_bytes()
    for keep in (0, 10, 40, 200, len(whole) // 3, len(whole) // 2, 3 * len(whole) // 4):
        path.write_bytes(whole[:keep])
        with pytest.raises(MeshError, match=r"mesh\."):
            read_mesh(path)
    path.write_bytes(b"\x00\xff" * 500)
    with pytest.raises(MeshError, match="corrupted"):
        read_mesh(path)


def test_file_without_an_expected_name_suggests_the_nearest(tmp_path: Path) -> None:
    write_mesh(mesh_of(NEEDLE), tmp_path / "mesh.msh")
    with pytest.raises(MeshError, match=r"no facets 'A0:tine'; did you mean 'A0:tip'"):
        read_mesh(tmp_path / "mesh.msh", expected=["A0:tine"])


def test_file_in_millimetres_is_noticed(tmp_path: Path) -> None:
    mesh = mesh_of(NEEDLE)
    write_mesh(Mesh(1e3 * mesh.points, mesh.cells, mesh.regions, mesh.facets, axisymmetric=True), tmp_path / "mesh.vtu")
    with pytest.raises(MeshError, match="is it in millimetres"):
        read_mesh(tmp_path / "mesh.vtu")


def test_unknown_ending_and_unwritable_folder(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match=r"ends in \.msh or \.vtu"):
        write_mesh(mesh_of(NEEDLE), tmp_path / "mesh.stl")
    with pytest.raises(OutputError, match="cannot be written"):
        write_mesh(mesh_of(NEEDLE), tmp_path / "absent" / "mesh.msh")


@pytest.mark.parametrize("name", ["cooltip_axisymmetric.msh", "cooltip_3d.vtu"])
def test_sample_meshes_can_be_used(name: str) -> None:
    path = Path(__file__).parents[2] / "meshes" / name
    mesh = read_mesh(path, expected=["outer", "A0:tip", "A0:shaft"])
    assert (mesh.cell_volumes() > 0).all()
    assert path.stat().st_size < 215e3


def test_renumbering_keeps_the_mesh_and_brings_neighbours_together() -> None:
    plain = box(6, 0.01)
    shuffle = np.random.default_rng(0).permutation(len(plain.points)).astype(np.int32)
    cells, facets = shuffle[plain.cells], {name: shuffle[nodes] for name, nodes in plain.facets.items()}
    points = np.empty_like(plain.points)
    points[shuffle] = plain.points
    mixed = Mesh(points, cells, {"some": np.arange(0, len(cells), 3)}, facets, False)
    ordered = renumbered(mixed)

    def places(mesh: Mesh, nodes: np.ndarray) -> set[tuple[tuple[float, ...], ...]]:
        return {tuple(sorted(map(tuple, mesh.points[row].tolist()))) for row in nodes}

    assert places(ordered, ordered.cells) == places(mixed, mixed.cells)
    assert places(ordered, ordered.cells[ordered.regions["some"]]) == places(mixed, cells[::3])
    for name in facets:
        assert places(ordered, ordered.facets[name]) == places(mixed, mixed.facets[name])
    assert np.ptp(ordered.cells, axis=1).max() < 0.3 * np.ptp(mixed.cells, axis=1).max()
    assert (np.diff(ordered.cells.min(axis=1)) >= 0).all()
    assert (ordered.cell_volumes() > 0.0).all()
    assert renumbered(ordered) is ordered
