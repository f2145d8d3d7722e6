"""Meshes of antennas: exact areas, ports, sizes, and what is said of an antenna that cannot be meshed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ablationsim.device.antenna import AntennaSpec
from ablationsim.device.profile import ApplicatorSpec
from ablationsim.errors import GeometryError, MeshError
from ablationsim.geometry.antenna import Painting, antenna_drawing
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.faces import antenna_faces
from ablationsim.geometry.placement import Placement
from ablationsim.mesh.antenna import AntennaMesh, antenna_mesh
from ablationsim.mesh.mesh import Mesh

RADIUS, BOTTOM, TOP = 30e-3, -9.5e-3, 70.5e-3
FREQUENCY = 2.45e9

#: The coaxial slot antenna after Saito, lengths in mm.
SLOT = {
    "dimensions": {
        "inner": 0.135, "line": 0.47, "outer": 0.595, "short": 0.5, "disc": 0.1, "slot": 6.0, "width": 1.0,
    },
    "materials": {"catheter": 2.6, "dielectric": 2.03, "air": 1.0},
    "parts": [
        ("catheter", "catheter", ("axis", "surface"), ("tip", "end")),
        ("conductors", "metal", ("axis", "outer"), ("short", "end")),
        ("line", "dielectric", ("inner", "line"), ("short + disc", "end")),
        ("slot", "air", ("line", "outer"), ("slot", "slot + width")),
    ],
    "port": (("inner", "line"), "end"),
}  # fmt: skip


def slot_with(**changes: Any) -> dict[str, Any]:
    """The slot antenna with other tables."""
    return {**SLOT, **changes}


def spec_of(antenna: dict[str, Any]) -> AntennaSpec:
    return AntennaSpec.model_validate(
        {
            "dimensions": {name: f"{value} mm" for name, value in antenna["dimensions"].items()},
            "materials": {name: {"permittivity": str(value)} for name, value in antenna["materials"].items()},
            "parts": [
                {"name": name, "material": material, "r": r, "z": z} for name, material, r, z in antenna["parts"]
            ],
            "port": {"r": antenna["port"][0], "z": antenna["port"][1]},
            "efficiency": "100 %",
        }
    )


def needle(diameter: float = 1.79, length: float = 70.5, tip: str = "conical", tip_length: float = 0.5) -> Applicator:
    """An applicator, measures in mm."""
    section = {"wall_coefficient": "0 W/m2/K", "radiating": True}
    spec = ApplicatorSpec.model_validate(
        {
            "diameter": f"{diameter} mm",
            "tip_shape": tip,
            "tip_length": f"{tip_length} mm",
            "sections": [{"name": "antenna", "length": f"{length} mm", **section}],
            "thermocouples": [["0 mm", "0 mm", "0 mm"]],
        }
    )
    return Applicator.build(0, spec, Placement.along())


def mesh_of(
    antenna: dict[str, Any] = SLOT, applicator: Applicator | None = None, resolution: float = 1.0, top: float = TOP
) -> AntennaMesh:
    return antenna_mesh(
        applicator or needle(), spec_of(antenna), FREQUENCY,
        radius=RADIUS, bottom=BOTTOM, top=top, permittivity={"tissue": 43.03}, resolution=resolution,
    )  # fmt: skip


def plane(mesh: AntennaMesh) -> Mesh:
    return Mesh(mesh.points, mesh.cells, {}, {}, axisymmetric=False)


def areas(mesh: AntennaMesh) -> dict[str, float]:
    """Area of each material in mm2."""
    size = 1e6 * plane(mesh).cell_volumes()
    return {name: float(size[mesh.material == i].sum()) for i, name in enumerate(mesh.materials)}


def seen_at(applicator: Applicator, spec: AntennaSpec, points: np.ndarray) -> list[str]:
    """Materials by the profile's own painting, point by point; above the port the line is metal."""
    found = []
    a, b, port = spec.port_extent(applicator.radius, applicator.length)
    for r, z in points:
        if z < 0 or r > np.interp(z, applicator.outline[:, 1], applicator.outline[:, 0]):
            found.append("tissue")
        elif a < r < b and z > port:
            found.append("metal")
        else:
            found.append(spec.material_at(r, z, applicator.radius, applicator.length))
    return found


def check_sound(
    mesh: AntennaMesh, antenna: dict[str, Any], applicator: Applicator, top: float = TOP, least_quality: float = 0.3
) -> None:
    """Every triangle in one material, every edge of the boundary accounted for, every node used."""
    flat, spec = plane(mesh), spec_of(antenna)
    assert mesh.cells.dtype == np.int32
    assert (flat.cell_volumes() > 0).all()
    assert np.array_equal(np.unique(mesh.cells), np.arange(len(mesh.points)))
    assert flat.quality().min() > least_quality
    corners = mesh.points[mesh.cells]
    middle = corners.mean(axis=1)
    for i in range(3):
        inner = 0.98 * corners[:, i] + 0.02 * middle
        assert seen_at(applicator, spec, inner) == [mesh.materials[i] for i in mesh.material]
    boundary = flat.boundary()
    named = {tuple(sorted(edge)) for facets in mesh.facets.values() for edge in facets}
    assert len(named) == sum(len(facets) for facets in mesh.facets.values())
    assert named <= {tuple(sorted(edge)) for edge in boundary}
    rest = np.array([edge for edge in boundary if tuple(sorted(edge)) not in named])
    rest = rest[(mesh.points[rest, 0] > 0).any(axis=1)]
    # One side of each is in a triangle, the other in metal.
    ends = mesh.points[rest]
    along = ends[:, 1] - ends[:, 0]
    across = 1e-6 * np.column_stack([along[:, 1], -along[:, 0]]) / np.linalg.norm(along, axis=1)[:, None]
    sides = [seen_at(applicator, spec, ends.mean(axis=1) + way * across) for way in (1, -1)]
    assert all((one == "metal") != (other == "metal") for one, other in zip(*sides, strict=True))
    # The outside is complete but for metal and the port.
    r, z = mesh.points[mesh.facets["outer"]].transpose(2, 0, 1)
    length = np.hypot(np.diff(r, axis=1), np.diff(z, axis=1)).ravel()
    on_top = (np.abs(z - top) < 1e-12).all(axis=1)
    assert length[~on_top].sum() == pytest.approx(RADIUS + top - BOTTOM, rel=1e-9)
    line = np.linspace(0, RADIUS, 6001)
    line = (line[1:] + line[:-1]) / 2
    below_top = np.column_stack([line, np.full(len(line), top - 1e-7)])
    a, b = mesh.port_radii
    # The line is not open, whether its port is at the top or below it.
    open_top = (np.array(seen_at(applicator, spec, below_top)) != "metal") & ((line < a) | (line > b))
    assert length[on_top].sum() == pytest.approx(open_top.mean() * RADIUS, abs=2e-5)
    # The port is the annulus, without gap or overlap.
    r, z = mesh.points[mesh.facets["port"]].transpose(2, 0, 1)
    assert np.abs(z - mesh.port_height).max() < 1e-12
    assert (r.min(), r.max()) == pytest.approx((a, b), rel=1e-12)
    assert np.abs(np.diff(r, axis=1)).sum() == pytest.approx(b - a, rel=1e-9)


def test_slot_antenna_has_exact_areas() -> None:
    mesh = mesh_of()
    assert mesh.materials == ("tissue", "catheter", "dielectric", "air")
    catheter = 0.5 * 0.895 * 0.5 + 70.0 * (0.895 - 0.595)
    inside = 0.5 * 0.895 * 0.5 + 70.0 * 0.895
    expected = {
        "tissue": 30 * 80 - inside, "catheter": catheter, "dielectric": 0.335 * (70.5 - 0.6), "air": 0.125 * 1.0,
    }  # fmt: skip
    assert areas(mesh) == pytest.approx(expected, rel=1e-9)
    assert mesh.port_radii == pytest.approx((0.135e-3, 0.47e-3), rel=1e-12)
    assert mesh.port_height == pytest.approx(70.5e-3, rel=1e-12)
    assert mesh.points[:, 0].min() == 0.0


def test_slot_antenna_is_sound() -> None:
    check_sound(mesh_of(resolution=2.0), SLOT, needle())


def sizes(mesh: AntennaMesh) -> np.ndarray:
    """Side of the equilateral triangle of each triangle's area."""
    return np.sqrt(4 / np.sqrt(3) * plane(mesh).cell_volumes())


def test_elements_are_small_at_the_slot_and_a_part_of_the_wavelength_far_away() -> None:
    mesh = mesh_of()
    r, z = 1e3 * mesh.points[mesh.cells].mean(axis=1).T
    size, tissue = 1e3 * sizes(mesh), mesh.material == 0
    for corner in ((0.47, 6.0), (0.595, 6.0), (0.47, 7.0), (0.595, 7.0)):
        assert size[np.hypot(r - corner[0], z - corner[1]) < 0.03].mean() < 0.04
    assert 0.15 < size[tissue & (r < 1.1) & (z > 9) & (z < 15)].mean() < 0.3
    assert 1.7 < size[tissue & (r > 20)].mean() < 2.3
    # Two elements across each layer: its area over its length and the size of an element.
    for name, thickness in (("catheter", 0.3), ("dielectric", 0.335)):
        part = (mesh.material == mesh.materials.index(name)) & (z > 9) & (z < 15)
        assert thickness / size[part].mean() > 1.6
    assert 6000 < len(mesh.cells) < 12000
    assert plane(mesh).quality().min() > 0.4


def test_the_wavelength_limits_the_elements() -> None:
    def largest(frequency: float, permittivity: float) -> float:
        mesh = antenna_mesh(
            needle(), spec_of(SLOT), frequency,
            radius=RADIUS, bottom=BOTTOM, top=TOP, permittivity={"tissue": permittivity},
        )  # fmt: skip
        return float(np.percentile(sizes(mesh)[mesh.material == 0], 99.5))

    # 299.79 mm GHz / sqrt(50) / 5.8 GHz = 7.31 mm; an eighth of it is less than the 2.3 mm of low frequencies
    assert 0.7e-3 < largest(5.8e9, 50.0) < 1.3 * 7.31e-3 / 8
    assert 1.8e-3 < largest(0.915e9, 45.0) < 1.3 * 2.3e-3


def test_resolution_scales_the_number_of_triangles() -> None:
    coarse, fine = len(mesh_of(resolution=1.0).cells), len(mesh_of(resolution=0.5).cells)
    assert 3.3 < fine / coarse < 4.4
    with pytest.raises(MeshError, match=r"between 0\.25 and 4"):
        mesh_of(resolution=0.1)


def test_the_same_request_gives_the_same_mesh() -> None:
    first, second = mesh_of(resolution=2.0), mesh_of(resolution=2.0)
    for name in ("points", "cells", "material"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    for name in ("port", "outer"):
        assert np.array_equal(first.facets[name], second.facets[name])


#: A dipole with a choke in ceramic and a metal tip, and a monopole, lengths in mm.
CHOKED = {
    "dimensions": {
        "wire": 0.1016, "line": 0.305, "braid": 0.3935, "bore": 0.66, "cone": 5.0, "arm": 5.0, "gap": 1.0,
        "upper": 6.0, "choke": 10.0, "port": 50.0,
    },
    "materials": {"ptfe": 2.2, "ceramic": 10.0},
    "parts": [
        ("window", "ceramic", ("axis", "surface"), ("cone", "cone + arm + gap + upper")),
        ("choke", "ceramic", ("braid", "bore"), ("cone + arm + gap + upper", "cone + arm + gap + upper + choke")),
        ("arms", "metal", ("axis", "braid"), ("cone", "cone + arm + gap + upper + choke")),
        ("line", "ptfe", ("wire", "line"), ("cone + arm", "end")),
        ("feed", "ptfe", ("wire", "braid"), ("cone + arm", "cone + arm + gap")),
    ],
    "port": (("wire", "line"), "port"),
}  # fmt: skip
MONOPOLE = {
    "dimensions": {"wire": 0.255, "line": 0.84, "bare": 13.0, "port": 25.0},
    "materials": {"ptfe": 2.05},
    "parts": [
        ("line", "ptfe", ("wire", "line"), ("tip", "port")),
        ("bare", "ptfe", ("wire", "surface"), ("tip", "bare")),
    ],
    "port": (("wire", "line"), "port"),
}


def test_choked_antenna_with_a_metal_cone_has_exact_areas() -> None:
    applicator = needle(diameter=1.53, tip_length=5.0)
    mesh = mesh_of(CHOKED, applicator, top=60e-3)
    window = 12 * (0.765 - 0.3935)
    expected = {
        "tissue": 30 * 69.5 - 0.5 * 0.765 * 5 - 0.765 * 55,
        "ptfe": (0.305 - 0.1016) * 40 + (0.3935 - 0.305) * 1,
        "ceramic": window + 10 * (0.66 - 0.3935),
    }
    assert areas(mesh) == pytest.approx(expected, rel=1e-9)
    assert mesh.port_height == pytest.approx(50e-3)
    # The line above the port counts as metal, so that the outside ends at the shaft's surface.
    outside = 1e3 * mesh.points[mesh.facets["outer"]].reshape(-1, 2)
    assert outside[np.abs(outside[:, 1] - 60) < 1e-9, 0].min() == pytest.approx(0.765)
    assert 6000 < len(mesh.cells) < 12000


def rims_of(antenna: dict[str, Any], applicator: Applicator, top: float = 60e-3) -> set[tuple[float, float]]:
    """Corners in mm where metal juts out."""
    faces = antenna_faces(Painting.of(applicator, spec_of(antenna), top), radius=RADIUS, bottom=BOTTOM)
    return {(round(1e3 * r, 6), round(1e3 * z, 6)) for r, z in faces.points[list(faces.rims)]}


def test_rims_are_the_corners_of_metal_that_jut_out() -> None:
    slot = {(0.595, 0.5), (0.47, 6.0), (0.595, 6.0), (0.47, 7.0), (0.595, 7.0)}
    assert rims_of(SLOT, needle(), TOP) == slot
    tip, feed, mouth = {(0.0, 0.0), (0.765, 5.0)}, {(0.3935, 10.0), (0.3935, 11.0), (0.305, 11.0)}, (0.66, 17.0)
    assert rims_of(CHOKED, needle(diameter=1.53, tip_length=5.0)) == {*tip, *feed, mouth, (0.765, 17.0)}
    # The wire ends flush with the dielectric: its rim juts into the tissue.
    assert rims_of(MONOPOLE, needle(2.2, 60, "flat", 0)) == {(0.255, 0.0), (0.84, 13.0), (1.1, 13.0)}


@pytest.mark.parametrize(
    ("antenna", "applicator", "top", "least_quality"),
    [
        (CHOKED, needle(diameter=1.53, tip_length=5.0), 60e-3, 0.3),
        (CHOKED, needle(diameter=1.53, tip_length=5.0), 50e-3, 0.3),
        (MONOPOLE, needle(2.2, 60, "flat", 0), 60e-3, 0.3),
        (MONOPOLE, needle(2.2, 60, "hemispherical", 1.1), 40e-3, 0.3),
        (MONOPOLE, needle(2.2, 60, "hemispherical", 0.4), 25e-3, 0.2),
        # The wire and the slant enclose 6 degrees, for which 0.19 is the best that there is.
        (SLOT, needle(tip_length=9.0), TOP, 0.1),
    ],
)
def test_antennas_with_any_tip_are_sound(
    antenna: dict[str, Any], applicator: Applicator, top: float, least_quality: float
) -> None:
    check_sound(mesh_of(antenna, applicator, 2.0, top), antenna, applicator, top, least_quality)


def test_a_slanted_tip_cuts_what_is_inside() -> None:
    # A cone of 9 mm, through which metal, slot and line would stick out.
    applicator = needle(tip_length=9.0)
    mesh = mesh_of(SLOT, applicator, 2.0)
    slope = 0.895 / 9.0
    # The air of the slot, 6 to 7 mm, from r = 0.47 to the slant (0.5967 at 6 mm, which is just outside 0.595).
    assert areas(mesh)["air"] == pytest.approx(0.125, rel=1e-9)
    # The dielectric begins where the slant reaches r = 0.135, and grows to its full width at r = 0.47.
    start, full = 0.135 / slope, 0.47 / slope
    assert areas(mesh)["dielectric"] == pytest.approx(0.335 * (full - start) / 2 + 0.335 * (70.5 - full), rel=1e-9)


def test_pieces_that_touch_at_a_corner_and_metal_shut_in_by_dielectric() -> None:
    # Two half slots touch at the corner (mid, 8); with the whole slot they enclose a ring of metal. All is one face.
    antenna = slot_with(
        dimensions={**SLOT["dimensions"], "mid": 0.53, "half": 8.0},
        materials={"ptfe": 2.1},
        parts=[
            *((name, material if material == "metal" else "ptfe", r, z) for name, material, r, z in SLOT["parts"]),
            ("lower half", "ptfe", ("mid", "outer"), ("half - width + short", "half")),
            ("upper half", "ptfe", ("line", "mid"), ("half", "half + short")),
        ],
    )
    mesh = mesh_of(antenna, resolution=2.0)
    check_sound(mesh, antenna, needle())
    painting = Painting.of(needle(), spec_of(antenna), TOP)
    faces = antenna_faces(painting, radius=RADIUS, bottom=BOTTOM)
    assert [face.material for face in faces.faces] == ["tissue", "ptfe"]
    assert len(faces.faces[1].loops) == 2
    before = areas(mesh_of(resolution=2.0))
    added = (0.595 - 0.53) * 0.5 + (0.53 - 0.47) * 0.5
    assert areas(mesh)["ptfe"] == pytest.approx(sum(before.values()) - before["tissue"] + added, rel=1e-9)


@pytest.mark.parametrize("shift", [1e-6, -1e-6, 3e-7])
def test_edges_a_nanometre_apart_are_one(shift: float) -> None:
    # `shift` in mm: the slot's edges and the line's no longer coincide to the last digit.
    nearly = {**SLOT["dimensions"], "line_too": 0.47 + shift, "outer_too": 0.595 - shift, "slot_too": 6.0 - shift}
    antenna = slot_with(
        dimensions=nearly,
        parts=[
            *SLOT["parts"][:3],
            ("slot", "air", ("line_too", "outer_too"), ("slot", "slot + width")),
            ("in the slot", "air", ("line", "outer"), ("slot_too", "slot_too + width")),
        ],
    )
    mesh = mesh_of(antenna, resolution=2.0)
    assert plane(mesh).quality().min() > 0.3
    assert areas(mesh) == pytest.approx(areas(mesh_of(resolution=2.0)), rel=1e-4)
    assert len(mesh.cells) == pytest.approx(len(mesh_of(resolution=2.0).cells), rel=0.02)


def test_a_part_that_reaches_the_end_goes_on_with_the_shaft() -> None:
    short = needle(length=40)
    antenna = slot_with(port=(("inner", "line"), "end"))
    mesh = mesh_of(antenna, short, 2.0)
    assert mesh.port_height == pytest.approx(40e-3)
    assert areas(mesh)["catheter"] == pytest.approx(areas(mesh_of(resolution=2.0))["catheter"], rel=1e-9)
    assert areas(mesh)["dielectric"] == pytest.approx(0.335 * (40 - 0.6), rel=1e-9)


PARTS = SLOT["parts"]


@pytest.mark.parametrize(
    ("antenna", "top", "words"),
    [
        (slot_with(port=(("inner", "outer"), "end")), TOP, ["port", "one dielectric", "dielectric and metal"]),
        (slot_with(port=(("axis", "inner"), "end")), TOP, ["port", "one dielectric", "there is metal"]),
        (slot_with(port=(("inner", "short - disc"), "end")), TOP, ["two conductors", "outside", "dielectric"]),
        (slot_with(port=(("short - disc", "line"), "end")), TOP, ["two conductors", "inside", "dielectric"]),
        (slot_with(port=(("outer", "surface"), "end")), TOP, ["two conductors", "outside", "tissue"]),
        (SLOT, 60e-3, ["port", "70.5 mm", "60 mm"]),
        (slot_with(parts=PARTS[:3]), TOP, ["shuts its antenna in", "slot"]),
        (
            slot_with(
                dimensions={**SLOT["dimensions"], "in": 0.5, "out": 0.55},
                parts=[*PARTS, ("hollow", "air", ("in", "out"), ("slot + width + disc", "end"))],
            ),
            TOP,
            ["'hollow'"],
        ),
        (
            slot_with(parts=[*PARTS, ("ring", "air", ("outer", "surface"), ("tip", "disc"))]),
            TOP,
            ["part 'ring'", "outside the shaft", "0.595 mm"],
        ),
    ],
)
def test_antennas_that_cannot_be_meshed_name_the_part(antenna: dict[str, Any], top: float, words: list[str]) -> None:
    with pytest.raises(GeometryError) as caught:
        mesh_of(antenna, top=top)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(("radius", "bottom"), [(0.8e-3, -5e-3), (30e-3, 0.0), (30e-3, 2e-3)])
def test_half_plane_that_does_not_hold_the_tip_is_refused(radius: float, bottom: float) -> None:
    painting = Painting.of(needle(), spec_of(SLOT), TOP)
    with pytest.raises(GeometryError, match="beyond the shaft and below the tip"):
        antenna_faces(painting, radius=radius, bottom=bottom)


def area_of(polygon: np.ndarray) -> float:
    r, z = 1e3 * polygon.T
    return float(r @ np.roll(z, -1) - z @ np.roll(r, -1)) / 2


def test_drawing_is_painted_in_order_and_clipped_to_the_outline() -> None:
    drawn = antenna_drawing(needle(), spec_of(SLOT))
    assert [(part.name, part.material) for part in drawn] == [
        ("shaft", "metal"), ("catheter", "catheter"), ("conductors", "metal"), ("line", "dielectric"), ("slot", "air"),
    ]  # fmt: skip
    whole = 0.895 * 70.0 + 0.5 * 0.895 * 0.5
    assert [area_of(part.polygon) for part in drawn] == pytest.approx(
        [whole, whole, 0.595 * 70.0, 0.335 * 69.9, 0.125], rel=1e-9
    )
    assert len(drawn[0].polygon) == 4
    # Cut below the port, and with a cone that cuts the line.
    cut = antenna_drawing(needle(length=200, tip_length=9.0), spec_of(SLOT), 50e-3)
    slope = 0.895 / 9.0
    expected = 0.335 * (0.335 / slope) / 2 + 0.335 * (50 - 0.47 / slope)
    assert area_of(cut[3].polygon) == pytest.approx(expected, rel=1e-9)
    assert max(part.polygon[:, 1].max() for part in cut) == pytest.approx(50e-3)
