"""Overlap of zones: agreement on bodies of known volume, alignment, measured zones in files, and whole comparisons."""

import json
from dataclasses import replace

import meshio
import nibabel
import numpy as np
import pytest
import SimpleITK
from skfem import MeshTet

from ablationsim.case import Case
from ablationsim.errors import AblationSimError, CaseError, GeometryError, MeshError
from ablationsim.geometry.placement import Placement
from ablationsim.mesh.mesh import Mesh
from ablationsim.report.overlap import picture
from ablationsim.results import Result
from ablationsim.study.overlap import overlap, predicted_zone
from ablationsim.zone.alignment import Alignment, Predicted, by_axis, by_needle
from ablationsim.zone.extract import Surface
from ablationsim.zone.margin import margins
from ablationsim.zone.measured import MeasuredZone, read_measured
from ablationsim.zone.overlap import agreement
from ablationsim.zone.target import Target
from ablationsim.zone.voxels import Grid, inside

SHAFT = np.array([0.0, 0.0, 1.0])
SKEW = Placement.along((-0.04, 0.03, 0.06), (0.5, 0.3, -1.0), 0.7)


def turned_about_z(r, z, sectors=72):
    r[[0, -1]] = 0.0
    here = np.arange(len(r) - 1)
    return Surface(np.column_stack([r, z]), np.column_stack([here, here + 1]), True).revolve(sectors)


def ellipsoid(a, b, centre=0.0):
    """Semi-axes across and along z [m]."""
    angle = np.linspace(0, np.pi, 80)
    return turned_about_z(a * np.sin(angle), centre - b * np.cos(angle))


def drop():
    """Thicker towards the handle, so that it has an axis and a direction."""
    angle = np.linspace(0, np.pi, 80)
    return turned_about_z(0.012 * np.sin(angle) * (1 + 0.35 * np.cos(angle)), 0.01 - 0.022 * np.cos(angle))


def lopsided():
    """A drop that does not look the same from all sides."""
    body = drop()
    bulge = 1 + 0.4 * (body.points[:, :2] > 0)
    return Surface(body.points * np.column_stack([bulge, np.ones(len(bulge))]), body.facets, False)


def elsewhere(body, placement=SKEW):
    return Surface(placement.to_world(body.points), body.facets, False)


def farthest(one, other):
    return float(np.abs(one.points - other.points).max())


# --- agreement ---------------------------------------------------------------------------------------------------


def test_spheres_of_one_centre():
    found = agreement(ellipsoid(0.02, 0.02), ellipsoid(0.015, 0.015))
    assert found.predicted_volume_ml == pytest.approx(4 / 3 * np.pi * 8, rel=2e-3)
    assert found.measured_volume_ml == pytest.approx(4 / 3 * np.pi * 3.375, rel=2e-3)
    assert found.common_volume_ml == pytest.approx(found.measured_volume_ml, rel=2e-3)
    assert found.dice == pytest.approx(2 * 3.375 / (8 + 3.375), abs=1e-3)
    assert found.jaccard == pytest.approx(3.375 / 8, abs=1e-3)
    for distance in (found.mean_surface_distance_mm, found.mean_signed_distance_mm, found.hausdorff_95_mm):
        assert distance == pytest.approx(5.0, abs=0.02)
    assert agreement(ellipsoid(0.015, 0.015), ellipsoid(0.02, 0.02)).mean_signed_distance_mm == pytest.approx(
        -5, abs=0.02
    )


@pytest.mark.parametrize("shift", [0.005, 0.03])
def test_spheres_side_by_side(shift):
    r = 0.02
    found = agreement(ellipsoid(r, r), ellipsoid(r, r, shift))
    lens = np.pi * (4 * r + shift) * (2 * r - shift) ** 2 / 12
    assert found.dice == pytest.approx(lens / (4 / 3 * np.pi * r**3), abs=1.5e-3)
    assert found.jaccard == pytest.approx(found.dice / (2 - found.dice), abs=1e-12)
    assert found.mean_signed_distance_mm == pytest.approx(0.0, abs=0.02)
    assert found.hausdorff_mm == pytest.approx(1e3 * shift, abs=0.05)
    # The distance from a sphere at the angle t from the line of centres is |(r^2 + s^2 - 2 r s cos t)^(1/2) - r|.
    cosine = np.linspace(-1, 1, 100_001)
    apart = 1e3 * np.abs(np.sqrt(r**2 + shift**2 - 2 * r * shift * cosine) - r)
    assert found.mean_surface_distance_mm == pytest.approx(apart.mean(), abs=0.03)
    assert found.hausdorff_95_mm == pytest.approx(np.quantile(apart, 0.95), abs=0.06)


def test_zones_apart():
    found = agreement(ellipsoid(0.01, 0.01), ellipsoid(0.01, 0.01, 0.05))
    assert (found.dice, found.common_volume_ml) == (0.0, 0.0)


def test_ellipsoids_against_simpleitk():
    """The filters of SimpleITK, on voxels of 0.25 mm, give the same to within a voxel."""
    one, other = ellipsoid(0.015, 0.022), elsewhere(ellipsoid(0.018, 0.018), Placement.along((0.003, 0.0, 0.002)))
    found = agreement(one, other)
    grid = Grid.around((one, other), 176)
    images = [SimpleITK.GetImageFromArray(inside(body, grid).astype(np.uint8)) for body in (one, other)]
    for image in images:
        image.SetSpacing(3 * [1e3 * grid.spacing])
    measures = SimpleITK.LabelOverlapMeasuresImageFilter()
    measures.Execute(*images)
    assert found.dice == pytest.approx(measures.GetDiceCoefficient(), abs=1e-3)
    assert found.jaccard == pytest.approx(measures.GetJaccardCoefficient(), abs=1e-3)
    farthest_ = SimpleITK.HausdorffDistanceImageFilter()
    farthest_.Execute(*images)
    assert found.hausdorff_mm == pytest.approx(farthest_.GetHausdorffDistance(), abs=0.4)


# --- alignment ---------------------------------------------------------------------------------------------------


def test_axis_of_a_moved_copy_is_found():
    body = drop()
    found = by_axis(Predicted(body, np.zeros(3), SHAFT, True), elsewhere(body))
    # Only the turn about the needle stays open, which cannot be seen.
    assert agreement(body, found.applied(elsewhere(body))).hausdorff_mm < 0.1
    assert found.rotation @ SKEW.axis == pytest.approx(SHAFT, abs=1e-3)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    assert (found.fitted, found.notes) == (("direction", "depth along the needle"), ())


def test_turn_about_the_needle_is_found():
    body = lopsided()
    predicted = Predicted(body, np.zeros(3), SHAFT, False)
    moved = elsewhere(body)
    by_shape, by_points = by_axis(predicted, moved), by_needle(predicted, moved, SKEW.tip, SKEW.tip + 0.05 * SKEW.axis)
    assert farthest(by_shape.applied(moved), body) < 0.3e-3
    assert farthest(by_points.applied(moved), body) < 0.3e-3
    assert "angle about the needle" in by_points.fitted


def test_tip_lies_on_tip():
    """Of a zone twice as deep the needle decides, and not the overlap."""
    body = drop()
    moved = elsewhere(Surface(body.points + np.array([0.0, 0.0, 0.02]), body.facets, False))
    found = by_needle(Predicted(body, np.zeros(3), SHAFT, True), moved, SKEW.tip, SKEW.tip + 0.1 * SKEW.axis)
    assert agreement(body, found.applied(moved)).hausdorff_mm == pytest.approx(20.0, abs=1.0)
    assert found.fitted == ()


def test_flat_zone_lies_across_the_needle():
    body = ellipsoid(0.02, 0.01, 0.004)
    found = by_axis(Predicted(body, np.zeros(3), SHAFT, True), elsewhere(body))
    assert "shortest principal axis" in found.statement
    assert agreement(body, found.applied(elsewhere(body))).hausdorff_mm < 0.1


def test_what_the_shape_does_not_tell():
    ball = ellipsoid(0.015, 0.015)
    notes = by_axis(Predicted(ellipsoid(0.015, 0.018), np.zeros(3), SHAFT, True), ball).notes
    assert [note.split(":")[0] for note in notes] == [
        "The measured zone has no marked axis",
        "The two directions of the needle fit nearly alike",
    ]


@pytest.mark.parametrize(
    ("tip", "entry", "message"),
    [
        ((0, 0, 0), (0, 0, 0.0005), "0.5 mm apart"),
        ((0.2, 0, 0), (0.2, 0, 0.1), "187 mm from the measured zone"),
    ],
)
def test_needles_that_cannot_be_meant(tip, entry, message):
    body = drop()
    with pytest.raises(GeometryError, match=message):
        by_needle(Predicted(body, np.zeros(3), SHAFT, True), body, tip, entry)


# --- measured zones in files -------------------------------------------------------------------------------------

SPACING = np.array([1.0, 1.2, 2.0])
CORNER = np.array([-30.0, 10.0, 40.0])


@pytest.fixture(scope="module")
def phantom():
    """Voxels of a body without any symmetry, (i, j, k) to RAS by SPACING and CORNER [mm], and its surface."""
    shape = (48, 44, 30)
    x, y, z = np.moveaxis(np.indices(shape).reshape(3, -1).T * SPACING, 1, 0)
    body = ((x - 20) / 14) ** 2 + ((y - 22) / 16) ** 2 + ((z - 26) / 18) ** 2 < 1
    body |= ((x - 32) / 10) ** 2 + ((y - 34) / 9) ** 2 + ((z - 36) / 14) ** 2 < 1
    voxels = body.reshape(shape).astype(np.uint8)
    return voxels


def affine(spacing=SPACING, corner=CORNER):
    found = np.diag([*spacing, 1.0])
    found[:3, 3] = corner
    return found


def save_nifti(path, values, matrix=None, code=1):
    image = nibabel.Nifti1Image(values, affine() if matrix is None else matrix)
    image.header.set_xyzt_units("mm")
    image.set_sform(image.affine, code)
    image.set_qform(image.affine if code else None, code)
    nibabel.save(image, path)
    return path


def save_nrrd(path, values, space, directions, origin, more=""):
    kinds = "domain domain domain" if values.ndim == 3 else "list domain domain domain"
    skip = "" if values.ndim == 3 else "none "
    vectors = " ".join(f"({','.join(f'{number:g}' for number in vector)})" for vector in directions)
    header = (
        f"NRRD0004\ntype: unsigned char\ndimension: {values.ndim}\nspace: {space}\n"
        f"sizes: {' '.join(map(str, values.shape))}\nspace directions: {skip}{vectors}\nkinds: {kinds}\n"
        f"encoding: raw\nspace origin: ({','.join(f'{number:g}' for number in origin)})\n{more}\n"
    )
    path.write_bytes(header.encode() + values.tobytes(order="F"))
    return path


def save_surface(path, surface, scale=(1e3, 1e3, 1e3)):
    meshio.write(path, meshio.Mesh(surface.points * scale, [("triangle", surface.facets)]))
    return path


def in_lps(path, values):
    ras = np.diag(SPACING)
    return save_nrrd(path, values, "left-posterior-superior", ras * [-1, -1, 1], CORNER * [-1, -1, 1])


WRITERS = {
    "ras.nii.gz": save_nifti,
    # The same voxels, stored from the patient's left: the matrix of the axes turns them inside out.
    "flipped.nii": lambda path, values: save_nifti(
        path, values[::-1], affine(SPACING * [-1, 1, 1], CORNER + np.array([SPACING[0] * (len(values) - 1), 0, 0]))
    ),
    "swapped.nii": lambda path, values: save_nifti(path, values.transpose(2, 0, 1), affine()[:, [2, 0, 1, 3]]),
    "ras.nrrd": lambda path, values: save_nrrd(path, values, "right-anterior-superior", np.diag(SPACING), CORNER),
    "lps.seg.nrrd": in_lps,
}


@pytest.mark.parametrize("name", WRITERS)
def test_body_is_on_the_right_side(tmp_path, phantom, name):
    """However its axes are stored, the body is the same; a mirrored one would not be."""
    reference = read_measured(save_nifti(tmp_path / "reference.nii", phantom)).surface
    read = read_measured(WRITERS[name](tmp_path / name, phantom)).surface
    # Triangles depend on the order of the voxels a little.
    assert agreement(reference, read).hausdorff_95_mm < 0.06
    assert read.volume() == pytest.approx(phantom.sum() * SPACING.prod() * 1e-9, rel=2e-3)
    mirrored = Surface(read.points * [-1, 1, 1], read.facets[:, ::-1], False)
    centred = Surface(mirrored.points + reference.points.mean(0) - mirrored.points.mean(0), mirrored.facets, False)
    assert agreement(reference, centred).dice < 0.9


@pytest.mark.parametrize(
    ("ending", "orientation"), [(".stl", "LPS"), (".ply", "RAS"), (".vtp", "LPS"), (".obj", "RAS")]
)
def test_surfaces_in_both_orientations(tmp_path, phantom, ending, orientation):
    reference = read_measured(save_nifti(tmp_path / "reference.nii", phantom)).surface
    path, sign = tmp_path / f"zone{ending}", np.array([-1, -1, 1] if orientation == "LPS" else [1, 1, 1])
    if ending == ".vtp":
        import pyvista

        pyvista.PolyData.from_regular_faces(1e3 * sign * reference.points, reference.facets).save(path)
    else:
        save_surface(path, reference, 1e3 * sign)
    read = read_measured(path, unit="mm", orientation=orientation).surface
    assert agreement(reference, read).hausdorff_mm < 0.02


def test_smooth_ball_of_thick_slices_keeps_its_size(tmp_path):
    spacing = np.array([0.8, 0.8, 3.0])
    places = np.indices((64, 64, 20)).reshape(3, -1).T * spacing - [25, 25, 28]
    values = (np.linalg.norm(places, axis=1) < 17).reshape(64, 64, 20).astype(np.uint8)
    read = read_measured(save_nifti(tmp_path / "ball.nii", values, affine(spacing, (-25, -25, -28)))).surface
    found = agreement(ellipsoid(0.017, 0.017), read)
    assert found.measured_volume_ml == pytest.approx(4 / 3 * np.pi * 1.7**3, rel=0.01)
    # A quarter of a voxel's edge in the slice.
    assert found.mean_surface_distance_mm < 0.2
    assert abs(found.mean_signed_distance_mm) < 0.05


SEGMENTS = (
    "Segment0_Name:=ablation\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n"
    "Segment1_Name:=tumour\nSegment1_LabelValue:={label}\nSegment1_Layer:={layer}\n"
)


def small_and_large(phantom):
    small = np.zeros_like(phantom)
    small[18:24, 18:24, 12:16] = 1
    return small


def test_segment_by_name_or_number(tmp_path, phantom):
    values = phantom + small_and_large(phantom)
    path = save_nrrd(
        tmp_path / "one.seg.nrrd",
        values,
        "right-anterior-superior",
        np.diag(SPACING),
        CORNER,
        SEGMENTS.format(label=2, layer=0),
    )
    volume = 144 * SPACING.prod() * 1e-3
    for label in ("tumour", "2", 2):
        read = read_measured(path, label=label)
        assert 1e6 * read.surface.volume() == pytest.approx(volume, rel=0.05)
        assert read.source == f"{path}, label 2 (tumour)"
    with pytest.raises(GeometryError, match="no segment 'tumor'; did you mean 'tumour'"):
        read_measured(path, label="tumor")
    with pytest.raises(GeometryError, match=r"several labels: 1 .*, 2 .* --label"):
        read_measured(path)
    with pytest.raises(GeometryError, match=r"no voxel of label 3; it has 1 .*, 2 "):
        read_measured(path, label=3)


def test_segments_that_overlap(tmp_path, phantom):
    """3D Slicer gives each voxel several values then."""
    path = save_nrrd(
        tmp_path / "layers.seg.nrrd",
        np.stack([phantom, small_and_large(phantom)]),
        "right-anterior-superior",
        np.diag(SPACING),
        CORNER,
        SEGMENTS.format(label=1, layer=1),
    )
    volumes = [1e6 * read_measured(path, label=name).surface.volume() for name in ("ablation", "tumour")]
    assert volumes[0] == pytest.approx(phantom.sum() * SPACING.prod() * 1e-3, rel=2e-3)
    assert volumes[1] == pytest.approx(144 * SPACING.prod() * 1e-3, rel=0.05)
    with pytest.raises(GeometryError, match=r"several segments '1': 'ablation' \(1\), 'tumour' \(1\)"):
        read_measured(path, label="1")
    with pytest.raises(GeometryError, match="several segments"):
        read_measured(path)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.zeros((9, 9, 9), np.uint8), {}, "is empty"),
        (np.ones((9, 9, 9, 2), np.uint8), {}, "4 dimensions"),
        (np.full((9, 9, 9), 0.5, np.float32), {}, "probabilities"),
        (np.ones((9, 9, 9), np.uint8), {"label": "zone"}, "names no segments"),
        (np.ones((9, 9, 9), np.uint8), {"unit": "mm"}, "unit is given, but a label image tells that itself"),
        (np.ones((200, 200, 100), np.uint8), {}, "takes 9600 mL, more than the 1000 mL"),
    ],
)
def test_images_that_are_no_zone(tmp_path, values, options, message):
    with pytest.raises(AblationSimError, match=message):
        read_measured(save_nifti(tmp_path / "zone.nii", values), **options)


def test_image_without_a_place(tmp_path, phantom):
    with pytest.raises(GeometryError, match="sform_code and qform_code are 0"):
        read_measured(save_nifti(tmp_path / "zone.nii", phantom, code=0))


def test_label_at_the_border_is_told(tmp_path, phantom):
    (warning,) = read_measured(save_nifti(tmp_path / "zone.nii", phantom[20:])).warnings
    assert "reaches the border of the image" in warning


def test_surfaces_that_are_no_zone(tmp_path):
    body = drop()
    path = save_surface(tmp_path / "zone.stl", body)
    for options, error, message in (
        ({}, CaseError, "says no unit"),
        ({"unit": "m"}, MeshError, "Its unit is rather cm or mm"),
        ({"unit": "mm", "label": 1}, CaseError, "label is given, but a surface has none"),
    ):
        with pytest.raises(error, match=message):
            read_measured(path, **options)
    half = Surface(body.points, body.facets[body.points[body.facets].mean(axis=1)[:, 2] < 0.01], False)
    with pytest.raises(MeshError, match=r"is open: .* of it is missing"):
        read_measured(save_surface(tmp_path / "half.stl", half), unit="mm")
    with pytest.raises(GeometryError, match="ends in none of"):
        read_measured(tmp_path / "zone.png")
    with pytest.raises(MeshError, match="no surface file"):
        read_measured(tmp_path / "none.stl", unit="mm")


# --- runs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(small_run):
    """The small run, with a uniform contraction."""
    fields = {name: values for name, values in small_run.fields.items() if name not in ("contraction", "displacement")}
    contracted = {**small_run.document["contracted"], "law": "uniform", "strain": 0.1}
    return replace(small_run, fields=fields, document={**small_run.document, "contracted": contracted})


def test_run_agrees_with_its_own_surface(run):
    path = run.folder / "zone.stl"
    found = overlap(run, read_measured(path, unit="mm"), frame="undeformed", align="none")
    assert found.agreement.dice == pytest.approx(1.0, abs=5e-3)
    assert found.agreement.hausdorff_95_mm < 0.05
    assert found.agreement.predicted_volume_ml == pytest.approx(run.document["enclosed_volume_ml"], rel=1e-3)
    assert found.to_dict()["contraction"] is None


def test_contracted_frame(run):
    before, after = predicted_zone(run, "undeformed"), predicted_zone(run, "contracted")
    assert after.surface.volume() == pytest.approx(0.9**3 * before.surface.volume(), rel=1e-9)
    # The same as a displacement of the nodes.
    tip = np.array([0.0, after.tip[2]])
    shrunk = replace(run, fields={**run.fields, "displacement": -0.1 * (run.mesh.points - tip)})
    assert farthest(predicted_zone(shrunk, "contracted").surface, after.surface) < 1e-12
    assert farthest(predicted_zone(shrunk, "undeformed").surface, before.surface) == 0.0
    found = overlap(
        run, MeasuredZone(elsewhere(after.surface), "x"), align="needle", tip=SKEW.tip, entry=SKEW.to_world(SHAFT)
    )
    assert found.agreement.dice == pytest.approx(1.0, abs=2e-3)
    assert found.to_dict()["contraction"] == {"law": "uniform", "strain": 0.1}


def test_zone_in_space(run):
    """Of a run in 3-D the angle about the needle is sought, and the displacement has three components."""
    axis = np.linspace(-0.03, 0.03, 25)
    grid = MeshTet.init_tensor(axis, axis, axis).oriented()
    points = np.ascontiguousarray(grid.p.T)
    mesh = Mesh(points, grid.t.T, {}, {}, axisymmetric=False)
    x, y, z = points.T
    level = 1 - (x / np.where(x > 0, 0.02, 0.012)) ** 2 - (y / 0.016) ** 2 - (z / 0.022) ** 2
    solid = replace(run, mesh=mesh, fields={"level": level, "displacement": -0.1 * points})
    before, after = predicted_zone(solid, "undeformed"), predicted_zone(solid, "contracted")
    assert not after.symmetric
    assert after.surface.volume() == pytest.approx(0.729 * before.surface.volume(), rel=1e-9)
    moved = MeasuredZone(elsewhere(after.surface), "x")
    found = overlap(solid, moved, align="needle", tip=SKEW.to_world(after.tip), entry=SKEW.to_world(after.tip + SHAFT))
    assert found.agreement.hausdorff_95_mm < 0.1
    assert farthest(found.measured, after.surface) < 0.3e-3
    assert found.alignment.fitted == ("angle about the needle",)


def test_picture_has_both_sections(run):
    axes = picture(overlap(run, MeasuredZone(predicted_zone(run, "contracted").surface, "x"), align="none")).axes
    assert [ax.get_title().split(",")[0] for ax in axes] == ["Through the shaft", "Across the shaft"]
    # Nothing but what lies in both.
    assert np.unique(axes[0].images[0].get_array().compressed()).tolist() == [0.0]


def test_run_without_a_zone(run):
    cold = replace(run, fields={**run.fields, "level": -np.ones(len(run.mesh.points))})
    with pytest.raises(GeometryError, match="has no ablation zone"):
        predicted_zone(cold, "contracted")


# --- margins of a tumour -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def round_run(small_run):
    """A round zone of 20 mm, in contracted tissue of 18 mm, about a tip in a round tumour of 11 mm, 4 mm off."""
    case = Case.from_dict(
        {
            "title": "Round",
            "device": {"profile": "rfa_cooltip_17g_2cm_like"},
            "tissue": {"set": "liver_human"},
            "tumour": {"centre": ["0 mm", "4 mm", "0 mm"], "radius": "11 mm", "set": "metastasis"},
        }
    )
    axis = np.linspace(-0.026, 0.026, 27)
    grid = MeshTet.init_tensor(axis, axis, axis).oriented()
    points = np.ascontiguousarray(grid.p.T)
    fields = {"level": 0.02 - np.linalg.norm(points, axis=1), "displacement": -0.1 * points}
    mesh = Mesh(points, grid.t.T, {}, {}, axisymmetric=False)
    return replace(small_run, case=case, mesh=mesh, fields=fields)


@pytest.fixture
def _large_pieces(monkeypatch):
    """Cuts tumours and space less finely: the least margin is searched for between the pieces anyway."""
    monkeypatch.setattr("ablationsim.zone.overlap.ACROSS", 50)
    monkeypatch.setattr("ablationsim.study.overlap._SECTORS", 24)
    monkeypatch.setattr("ablationsim.zone.target.PIECE", 2e-3)
    monkeypatch.setattr("ablationsim.zone.target._FILLED", 24)


@pytest.mark.usefixtures("_large_pieces")
def test_margins_in_both_zones(round_run):
    """Spheres in spheres: the least margin is the difference of the radii less the distance of the centres."""
    follow_up = Surface(ellipsoid(0.014, 0.014).points, ellipsoid(0.014, 0.014).facets, False)
    found = overlap(round_run, MeasuredZone(follow_up, "follow-up"), align="none")
    assert 1e3 * found.margins.predicted.least == pytest.approx(18 - 11 - 4, abs=0.15)
    assert 1e3 * found.margins.measured.least == pytest.approx(14 - 11 - 4, abs=0.15)
    assert found.margins.predicted.coverage == 1.0
    assert 0.9 < found.margins.measured.coverage < 1.0
    document = found.to_dict()["margins"]
    assert document["difference"]["mam_mm"] == pytest.approx(4.0, abs=0.2)
    assert document["measured"]["required_mm"] == 5.0
    assert document["measured"]["under_required"] > document["predicted"]["under_required"]
    before = overlap(round_run, MeasuredZone(follow_up, "follow-up"), frame="undeformed", align="none")
    assert 1e3 * before.margins.predicted.least == pytest.approx(20 - 11 - 4, abs=0.15)
    axes = picture(found).axes
    assert [ax.get_title() for ax in axes][2] == "Margins"
    assert [line.get_label() for line in axes[2].lines[:2]] == [
        "predicted, minimal 3.0 mm",
        "measured, minimal -1.0 mm",
    ]


@pytest.mark.usefixtures("_large_pieces")
def test_tumour_moves_with_the_measurement(run):
    """Tumour and zone of one image lie in the run as they do in the image."""
    zone, tumour = ellipsoid(0.016, 0.019), ellipsoid(0.008, 0.008, 0.003)
    found = overlap(
        run,
        MeasuredZone(elsewhere(zone), "zone"),
        align="needle",
        tip=SKEW.tip,
        entry=SKEW.to_world(SHAFT),
        tumour=MeasuredZone(elsewhere(tumour), "tumour.nii", ("a speck was left out",)),
    )
    assert found.margins.source == "tumour.nii"
    assert 1e3 * found.margins.measured.least == pytest.approx(1e3 * margins(zone, Target.of(tumour)).least, abs=0.05)
    assert "Tumour: a speck was left out" in found.notes


@pytest.mark.usefixtures("_large_pieces")
def test_what_margins_do_not_tell_is_said(run, monkeypatch):
    monkeypatch.setattr("ablationsim.study.overlap.by_axis", lambda predicted, measured: Alignment("axis"))
    assert overlap(run, MeasuredZone(ellipsoid(0.01, 0.02), "x"), align="none").margins is None
    tumour = MeasuredZone(ellipsoid(0.005, 0.005), "y")
    fitted = overlap(run, MeasuredZone(ellipsoid(0.012, 0.018), "x"), align="axis", tumour=tumour)
    assert any("margins of the measured zone mean little" in warning for warning in fitted.warnings)
    away = overlap(run, MeasuredZone(ellipsoid(0.01, 0.01, 0.2), "x"), align="none", tumour=tumour)
    assert any("does not meet the tumour" in warning for warning in away.warnings)
    assert away.margins.measured.coverage == 0.0


@pytest.mark.usefixtures("_large_pieces")
def test_command_with_a_tumour(quick_cli, small_run, tmp_path):
    zone = small_run.folder / "zone.stl"
    words = ("overlap", small_run.folder, zone, "--unit", "mm", "--align", "none", "--output", tmp_path)
    done = quick_cli(*words, "--tumour", save_surface(tmp_path / "tumour.stl", ellipsoid(0.002, 0.002, 0.01)))
    assert done.returncode == 0, done.stderr
    assert "minimal margin (MAM)" in done.stdout
    assert json.loads((tmp_path / "overlap.json").read_text())["margins"]["measured"]["mam_mm"] is not None
    refused = quick_cli(*words, "--tumour-label", "4")
    assert "--tumour-label belongs to --tumour" in " ".join(refused.stderr.replace("│", " ").split())


def test_command(quick_cli, small_run, tmp_path):
    folder, zone = tmp_path / "out", small_run.folder / "zone.stl"
    words = ("overlap", small_run.folder, zone, "--unit", "mm", "--frame", "undeformed", "--output", folder)
    done = quick_cli(*words, "--tip", "0,0,0", "--entry", "-0,0,80")
    assert done.returncode == 0, done.stderr
    assert "Dice                        1.000" in done.stdout
    assert "not a medical device" in done.stdout
    document = json.loads((folder / "overlap.json").read_text())
    assert (document["schema"], document["version"], document["frame"]) == ("ablationsim/overlap", 1, "undeformed")
    assert document["alignment"]["method"] == "needle"
    assert document["dice"] > 0.995
    assert (folder / "overlap.png").read_bytes().startswith(b"\x89PNG")
    again = read_measured(folder / "measured.stl", unit="mm").surface
    assert 1e6 * again.volume() == pytest.approx(document["measured_volume_ml"], rel=1e-4)
    assert Result.load(small_run.folder).folder == small_run.folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say how the measured zone lies"),
        (("--tip", "0,0,0"), "belong together"),
        (("--tip", "0,0", "--entry", "0,0,1"), "three numbers in mm"),
        (("--tip", "0,0,0", "--entry", "0,0,80", "--align", "axis"), "leave --align out"),
    ],
)
def test_commands_that_cannot_be_meant(quick_cli, small_run, words, message):
    done = quick_cli("overlap", small_run.folder, "zone.stl", *words)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())
