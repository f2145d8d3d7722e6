"""The zone: exact for linear levels, second order for smooth ones, blind to where it lies and how it is turned."""

import json
import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablationsim.errors import CaseError, GeometryError, OutputError, SolverError
from ablationsim.mesh.mesh import Mesh
from ablationsim.zone import (
    ZoneMetrics,
    contracted,
    isotherm_metrics,
    measure,
    uniform_contraction,
    zone_document,
    zone_surface,
    zone_volume,
)

NEEDLE = 0.001
SHAPE = [
    "axial_length_mm",
    "transverse_diameter_mm",
    "transverse_minor_mm",
    "aspect_ratio",
    "long_axis_mm",
    "short_axis_mm",
    "sphericity_axes",
    "sphericity_isoperimetric",
    "roundness",
    "beyond_tip_mm",
]


def half_plane(n: int, size: float = 0.03, needle: bool = False) -> Mesh:
    """Squares cut into triangles over 0 < r < size, -size < z < size; without the needle r < NEEDLE, z > 0."""
    r = np.linspace(0, size, n + 1)
    if needle:
        r = np.concatenate([[0.0], np.linspace(NEEDLE, size, n)])
    z = np.linspace(-size, size, 2 * n + 1)
    grid = np.stack(np.meshgrid(r, z, indexing="ij"), axis=-1)
    index = np.arange(grid[..., 0].size).reshape(grid.shape[:2])
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    # Diagonals that alternate, so that no direction is favoured.
    even = (np.add.outer(np.arange(n), np.arange(2 * n)) % 2 == 0)[..., None]
    first = np.where(even, np.stack([a, b, c], -1), np.stack([a, b, d], -1))
    second = np.where(even, np.stack([a, c, d], -1), np.stack([b, c, d], -1))
    keep = np.ones((n, 2 * n), dtype=bool)
    if needle:
        keep[0, n:] = False
    used, renumbered = np.unique(np.concatenate([first[keep], second[keep]]), return_inverse=True)
    return with_outside(grid.reshape(-1, 2)[used], renumbered.reshape(-1, 3).astype(np.int32), size, True)


def cube(n: int, size: float = 0.03, needle: bool = False) -> Mesh:
    """A cube -size..size of cubes cut into six tetrahedra; without the needle |x|, |y| < size / n, z > 0."""
    x = np.linspace(-size, size, 2 * n + 1)
    grid = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1)
    index = np.arange(grid[..., 0].size).reshape(grid.shape[:3])
    keep = np.ones((2 * n,) * 3, dtype=bool)
    if needle:
        keep[n - 1 : n + 1, n - 1 : n + 1, n:] = False
    cells = []
    for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (1, 0, 2), (0, 2, 1), (2, 1, 0)):
        corner = np.zeros(3, dtype=int)
        path = [corner.copy()]
        for axis in order:
            corner[axis] = 1
            path.append(corner.copy())
        tetrahedra = np.stack([index[tuple(slice(s, s + 2 * n) for s in step)][keep] for step in path], axis=-1)
        if np.linalg.det(np.diff(np.array(path), axis=0)) < 0:
            tetrahedra = tetrahedra[:, [1, 0, 2, 3]]
        cells.append(tetrahedra)
    used, renumbered = np.unique(np.concatenate(cells), return_inverse=True)
    return with_outside(grid.reshape(-1, 3)[used], renumbered.reshape(-1, 4).astype(np.int32), size, False)


def with_outside(points, cells, size, axisymmetric) -> Mesh:
    bare = Mesh(points, cells, {}, {}, axisymmetric)
    rim = bare.boundary()
    far = np.abs(points[rim])
    outside = (np.isclose(far, size).all(axis=1)).any(axis=1)
    if axisymmetric:
        outside &= ~np.isclose(points[rim][:, :, 0], 0).all(axis=1)
    return Mesh(points, cells, {"tissue": np.arange(len(cells), dtype=np.int32)}, {"outer": rim[outside]}, axisymmetric)


def ellipsoid(points, semi_axes, centre=0.0):
    """Smooth level of an ellipsoid, 1 at its centre and 0 on it."""
    return 1 - np.sum(((points - centre) / np.asarray(semi_axes)) ** 2, axis=1)


def rotation(angles) -> np.ndarray:
    matrix = np.eye(3)
    for (i, j), angle in zip(((0, 1), (1, 2), (0, 1)), angles, strict=True):
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = math.cos(angle)
        turn[i, j], turn[j, i] = -math.sin(angle), math.sin(angle)
        matrix = turn @ matrix
    return matrix


def spheroid_area(across: float, along: float) -> float:
    if across < along:
        e = math.sqrt(1 - (across / along) ** 2)
        return 2 * math.pi * across**2 * (1 + along / (across * e) * math.asin(e))
    e = math.sqrt(1 - (along / across) ** 2)
    return 2 * math.pi * across**2 * (1 + (1 - e**2) / e * math.atanh(e))


def observed_order(errors: list[float]) -> float:
    return math.log2(errors[0] / errors[-1]) / (len(errors) - 1)


# --- exact where the level is linear


@settings(deadline=None, max_examples=40)
@given(st.floats(-0.028, 0.028), st.floats(-0.02, 0.02))
def test_a_slice_across_the_axis_is_a_cylinder(top, bottom):
    mesh = half_plane(7)
    for level, height in ((top - mesh.points[:, 1], top + 0.03), (mesh.points[:, 1] - bottom, 0.03 - bottom)):
        assert zone_volume(mesh, level) == pytest.approx(math.pi * 0.03**2 * height, rel=1e-12)


def test_a_cone_is_exact_with_the_axisymmetric_weight():
    mesh = half_plane(9)
    r, z = mesh.points.T
    level = 0.02 - 2 * r - z  # radius (0.02 - z) / 2 at height z, 0.025 at the bottom of the mesh
    radius = (0.02 + 0.03) / 2
    assert zone_volume(mesh, level) == pytest.approx(math.pi * radius**2 * 0.05 / 3, rel=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda n: np.linalg.norm(n) > 0.1), st.floats(-0.9, 0.9)
)
def test_half_a_cube_and_its_rest_make_the_cube(normal, offset):
    mesh = cube(3)
    level = mesh.points @ np.array(normal) - offset * 0.03
    whole = 0.06**3
    inside, outside = zone_volume(mesh, level), zone_volume(mesh, -level)
    assert inside + outside == pytest.approx(whole, rel=1e-12)
    if abs(offset) < 1e-12:
        assert inside == pytest.approx(whole / 2, rel=1e-12)


def test_a_plane_through_a_corner_of_a_cube_cuts_off_a_sixth():
    mesh = cube(3)
    level = mesh.points.sum(axis=1) - 0.03  # meets three edges of the cube, each 0.06 from the corner
    assert zone_volume(mesh, level) == pytest.approx(0.06**3 / 6, rel=1e-12)
    surface = zone_surface(mesh, level)
    assert surface.area() == pytest.approx(math.sqrt(3) / 4 * (0.06 * math.sqrt(2)) ** 2, rel=1e-12)
    normals = np.cross(*np.diff(surface.points[surface.facets], axis=1).transpose(1, 0, 2))
    assert (normals @ np.ones(3) < 0).all()  # out of the zone


def test_single_cells_are_cut_exactly_whatever_the_order_of_their_corners():
    rng = np.random.default_rng(1)
    corners = np.vstack([np.zeros(3), np.eye(3)])
    for _ in range(200):
        level = rng.normal(size=4)
        values = np.sort(level)[::-1]
        positive = int((values > 0).sum())
        # Closed form: sum over positive corners of u^3 / product of differences.
        fraction = sum(
            values[i] ** 3 / np.prod([values[i] - values[j] for j in range(4) if j != i]) for i in range(positive)
        )
        cells = rng.permutation(4)[None]
        if np.linalg.det(corners[cells[0, 1:]] - corners[cells[0, 0]]) < 0:
            cells = cells[:, [1, 0, 2, 3]]
        mesh = Mesh(corners, cells, {}, {}, False)
        assert zone_volume(mesh, level) == pytest.approx(fraction / 6, rel=1e-9)


# --- second order where it is smooth


@pytest.mark.parametrize("semi_axes", [(0.02, 0.02), (0.015, 0.022), (0.022, 0.012)])
def test_an_axisymmetric_ellipsoid_converges_at_second_order(semi_axes):
    across, along = semi_axes
    exact = {
        "volume_ml": 4 / 3 * math.pi * across**2 * along * 1e6,
        "axial_length_mm": 2e3 * along,
        "transverse_diameter_mm": 2e3 * across,
        "sphericity_axes": min(semi_axes) / max(semi_axes),
        "beyond_tip_mm": 1e3 * (along + 0.002),
    }
    area = 4 * math.pi * across**2 if across == along else spheroid_area(across, along)
    exact["surface_area_mm2"] = area * 1e6
    exact["sphericity_isoperimetric"] = math.pi ** (1 / 3) * (8 * math.pi * across**2 * along) ** (2 / 3) / area
    errors: dict[str, list[float]] = {key: [] for key in exact}
    for n in (10, 20, 40, 80):
        mesh = half_plane(n)
        found = measure(mesh, ellipsoid(mesh.points, semi_axes), tip=(0, 0, 0.002))
        for key, value in exact.items():
            errors[key].append(abs(getattr(found, key) / value - 1))
        assert found.pieces == 1
        assert not found.reaches_boundary
    assert observed_order(errors["volume_ml"]) >= 1.9
    assert observed_order(errors["surface_area_mm2"]) >= 1.8
    for key, history in errors.items():
        assert history[-1] < 2e-3, key
        assert history[-1] < 0.1 * history[0] + 1e-12, key


def test_a_sphere_in_space_converges_at_second_order_and_is_round():
    volume, area, roundness = [], [], []
    for n in (5, 10, 20):
        mesh = cube(n)
        found = measure(mesh, ellipsoid(mesh.points, (0.02,) * 3, centre=(0.0011, -0.0007, 0.0005)))
        volume.append(abs(found.volume_ml / (4 / 3 * math.pi * 8) - 1))
        area.append(abs(found.sphericity_isoperimetric - 1))
        roundness.append(abs(found.roundness - 1))
        assert found.enclosed_volume_ml == pytest.approx(found.volume_ml, rel=1e-10)
    assert observed_order(volume) >= 1.9
    assert observed_order(area) >= 1.8
    assert observed_order(roundness) >= 1.8
    assert found.axial_length_mm == pytest.approx(40, rel=3e-3)
    assert found.transverse_diameter_mm == pytest.approx(40, rel=3e-3)
    assert found.sphericity_axes == pytest.approx(1, abs=3e-3)
    assert area[-1] < 0.01


def test_a_zone_with_three_different_axes():
    mesh = cube(16)
    found = measure(mesh, ellipsoid(mesh.points, (0.02, 0.012, 0.016)))
    assert found.axial_length_mm == pytest.approx(32, rel=5e-3)
    assert found.transverse_diameter_mm == pytest.approx(40, rel=5e-3)
    assert found.transverse_minor_mm == pytest.approx(24, rel=5e-3)
    assert found.aspect_ratio == pytest.approx(40 / 32, rel=5e-3)
    assert (found.long_axis_mm, found.short_axis_mm) == (found.transverse_diameter_mm, found.transverse_minor_mm)


# --- needles


def test_the_needle_is_no_tissue_but_the_surface_goes_round_it():
    mesh = half_plane(60, needle=True)
    found = measure(mesh, ellipsoid(mesh.points, (0.015, 0.02)))
    solid = 4 / 3 * math.pi * 15**2 * 20 / 1000
    shaft = math.pi * 1**2 * 20 / 1000
    assert found.enclosed_volume_ml == pytest.approx(solid, rel=2e-3)
    assert found.volume_ml == pytest.approx(solid - shaft, rel=2e-3)
    assert found.axial_length_mm == pytest.approx(40, rel=3e-3)  # closed by a disc at the height of the rim
    assert found.surface_area_mm2 == pytest.approx(spheroid_area(15, 20), rel=3e-3)


def test_the_needle_in_space():
    mesh = cube(15, needle=True)
    found = measure(mesh, ellipsoid(mesh.points, (0.018, 0.018, 0.022)))
    solid = 4 / 3 * math.pi * 18**2 * 22 / 1000
    assert found.enclosed_volume_ml == pytest.approx(solid, rel=1e-2)
    assert found.volume_ml == pytest.approx(solid - 4 * 4 * 22 / 1000, rel=1e-2)
    assert found.surface_area_mm2 == pytest.approx(spheroid_area(18, 22), rel=1e-2)
    assert found.pieces == 1


def test_a_cold_sleeve_round_the_shaft_is_a_cavity():
    mesh = half_plane(60, needle=True)
    r, z = mesh.points.T
    sleeve = np.maximum(r - 0.003, np.abs(z - 0.006) - 0.008) * 100  # below zero near the shaft, tip included
    level = np.minimum(ellipsoid(mesh.points, (0.015, 0.02)), sleeve)
    with_sleeve = measure(mesh, level)
    without = measure(mesh, ellipsoid(mesh.points, (0.015, 0.02)))
    assert with_sleeve.volume_ml < without.volume_ml - 0.2
    for key in ("enclosed_volume_ml", "surface_area_mm2", "sphericity_isoperimetric", "axial_length_mm", "pieces"):
        assert getattr(with_sleeve, key) == pytest.approx(getattr(without, key), rel=1e-9), key


# --- where it lies


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.floats(-math.pi, math.pi), min_size=3, max_size=3),
    st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=3),
)
def test_metrics_do_not_depend_on_place_or_turn(angles, shift):
    mesh = cube(6, needle=True)
    level = ellipsoid(mesh.points, (0.02, 0.013, 0.017), centre=(0.001, 0.0, 0.002))
    turn = rotation(angles)
    moved = Mesh(mesh.points @ turn.T + shift, mesh.cells, {}, mesh.facets, False)
    here = measure(mesh, level)
    there = measure(moved, level, tip=shift, axis=2.5 * turn[:, 2])
    for field in fields(ZoneMetrics):
        # The planes of the mean roundness start at an arbitrary angle.
        rel = 5e-3 if field.name == "roundness" else 1e-8
        assert getattr(there, field.name) == pytest.approx(getattr(here, field.name), rel=rel), field.name


def test_a_sphere_in_a_half_plane_and_in_space_agree():
    flat, solid = half_plane(40), cube(20)
    a = measure(flat, ellipsoid(flat.points, (0.02, 0.02)))
    b = measure(solid, ellipsoid(solid.points, (0.02,) * 3))
    for key in ("volume_ml", "surface_area_mm2", *SHAPE):
        assert getattr(a, key) == pytest.approx(getattr(b, key), rel=1e-2), key


def test_a_shaft_that_points_down_measures_beyond_its_tip_upward():
    mesh = half_plane(30)
    level = ellipsoid(mesh.points, (0.012, 0.015), centre=(0, 0.004))
    assert measure(mesh, level, axis=(0, 0, -1)).beyond_tip_mm == pytest.approx(19, rel=1e-2)
    assert measure(mesh, level, axis=(0, 0, 1)).beyond_tip_mm == pytest.approx(11, rel=1e-2)
    with pytest.raises(GeometryError, match="z axis"):
        measure(mesh, level, axis=(1, 0, 0))


# --- edges of use


def test_no_zone_has_volume_zero_and_no_shape():
    for mesh in (half_plane(5), cube(2)):
        found = measure(mesh, np.full(len(mesh.points), -1.0))
        assert found.volume_ml == 0
        assert found.pieces == 0
        assert [getattr(found, key) for key in SHAPE] == [None] * len(SHAPE)


def test_two_pieces_count_together():
    mesh = half_plane(60)
    level = np.maximum(
        ellipsoid(mesh.points, (0.006, 0.006), (0, 0.012)), ellipsoid(mesh.points, (0.008, 0.008), (0, -0.012))
    )
    found = measure(mesh, level)
    assert found.pieces == 2
    assert found.volume_ml == pytest.approx(4 / 3 * math.pi * (6**3 + 8**3) / 1000, rel=3e-3)
    assert found.axial_length_mm == pytest.approx(6 + 24 + 8, rel=3e-3)
    assert found.sphericity_isoperimetric < 0.85


@pytest.mark.parametrize("make", [half_plane, cube])
def test_a_zone_that_touches_the_domain_is_flagged(make):
    mesh = make(8)
    found = measure(mesh, ellipsoid(mesh.points, (0.02,) * (mesh.dimension - 1) + (0.04,)))
    assert found.reaches_boundary
    assert found.sphericity_isoperimetric is None
    assert found.axial_length_mm == pytest.approx(60, rel=1e-6)
    everything = measure(mesh, np.ones(len(mesh.points)))
    assert everything.volume_ml > 100
    assert (everything.pieces, everything.reaches_boundary) == (1, True)


def test_broken_levels_are_refused():
    mesh = half_plane(4)
    with pytest.raises(SolverError, match="not finite at 1 of"):
        zone_volume(mesh, np.where(np.arange(len(mesh.points)) == 3, np.nan, 1.0))
    with pytest.raises(SolverError, match="one level for each"):
        zone_surface(mesh, np.ones(3))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_surfaces_are_watertight_whatever_the_level(seed, flat, rounded):
    """Rough levels, with zeros at nodes when rounded, next to needle and edges."""
    rng = np.random.default_rng(seed)
    mesh = half_plane(5, needle=True) if flat else cube(3, needle=True)
    level = rng.normal(size=len(mesh.points))
    if rounded:
        level = np.round(level)
    closed = zone_surface(mesh, level).enclosing()
    if flat:
        closed = closed.revolve(12)
    edges = np.concatenate([closed.facets[:, [0, 1]], closed.facets[:, [1, 2]], closed.facets[:, [2, 0]]])
    one_way = np.zeros((len(closed.points),) * 2, dtype=int)
    np.add.at(one_way, tuple(edges.T), 1)
    assert (one_way == one_way.T).all()


# --- contraction and the document


def test_contraction_scales_lengths_areas_and_volumes_and_keeps_ratios():
    mesh = half_plane(30)
    level = ellipsoid(mesh.points, (0.012, 0.02))
    shrunk = Mesh(mesh.points * 0.88, mesh.cells, {}, mesh.facets, True)
    expected, found = measure(shrunk, level), contracted(measure(mesh, level), 0.12)
    for field in fields(ZoneMetrics):
        assert getattr(found, field.name) == pytest.approx(getattr(expected, field.name), rel=1e-10), field.name
    with pytest.raises(CaseError, match="contraction"):
        contracted(found, 1.0)


def document(level, mesh, **changes):
    zone = measure(mesh, level)
    isotherms = isotherm_metrics(mesh, 310 + 20 * np.exp(level))
    parts = {
        "criterion": {"name": "arrhenius", "set": "whitening"},
        "time_s": 780.0,
        "power_off_s": 720.0,
        "isotherms": isotherms,
        "contracted": uniform_contraction(zone, isotherms, 0.12),
        "energy_balance": {"in_j": 33e3, "stored_j": 22.5e3, "lost_j": 10.5e3, "relative_error": 1e-4},
    }
    return zone_document(zone, **(parts | changes))


def test_the_document_is_complete_plain_json():
    mesh = half_plane(20)
    content = json.loads(json.dumps(document(ellipsoid(mesh.points, (0.012, 0.02)), mesh), allow_nan=False))
    assert (content["schema"], content["version"], content["frame"]) == ("ablationsim/zone", 1, "undeformed")
    keys = {field.name for field in fields(ZoneMetrics)}
    assert keys <= content.keys()
    assert content["isotherms"]["50"].keys() == content["isotherms"]["60"].keys() == keys
    assert content["contracted"].keys() == keys | {"law", "strain", "isotherms"}
    assert content["contracted"]["axial_length_mm"] == pytest.approx(0.88 * content["axial_length_mm"])
    assert content["isotherms"]["50"]["volume_ml"] > content["isotherms"]["60"]["volume_ml"]
    assert content["energy_balance"]["in_j"] == 33e3
    assert content["discretisation_error"] is None
    assert content["warnings"] == []


def test_the_document_says_when_a_zone_is_missing_or_cut_off():
    mesh = half_plane(8)
    assert "no ablation zone" in document(np.full(len(mesh.points), -1.0), mesh)["warnings"][0]
    assert "edge of the domain" in document(ellipsoid(mesh.points, (0.02, 0.04)), mesh)["warnings"][0]


def test_the_document_refuses_what_cannot_be_written():
    mesh = half_plane(8)
    level = ellipsoid(mesh.points, (0.012, 0.02))
    with pytest.raises(OutputError, match=r"energy_balance\.in_j is nan"):
        document(level, mesh, energy_balance={"in_j": math.nan, "stored_j": 0.0, "lost_j": 0.0, "relative_error": 0.0})
    with pytest.raises(OutputError, match="lacks lost_j"):
        document(level, mesh, energy_balance={"in_j": 1.0, "stored_j": 0.0, "relative_error": 0.0})
