"""Files for other programs: everything lies where the patient is, read back by other means than it was written."""

import json

import numpy as np
import pydicom
import pytest
import SimpleITK
from anatomies import LABELS, Small
from skfem import MeshTet

from ablationsim.case import Case
from ablationsim.errors import OutputError
from ablationsim.exports.content import content_of
from ablationsim.exports.grid import ImageGrid
from ablationsim.exports.plans import folders_of
from ablationsim.exports.series import read_series
from ablationsim.exports.write import FORMATS, export
from ablationsim.mesh.mesh import Mesh
from ablationsim.results import Result
from ablationsim.study.overlap import predicted_zone
from ablationsim.vessels.segments import segments_of
from ablationsim.zone.measured import read_measured
from ablationsim.zone.overlap import agreement

# Turned against the patient, axes in another order, thick slices; nothing is the same from two sides.
PATIENT = Small(spacing=(2.0, 1.25, 1.5), axes="PIR", turn=25.0)
TIP = np.array([48.0, -18.0, 58.0])
SHAFT = np.array([0.4, 0.7, -0.2]) / np.linalg.norm([0.4, 0.7, -0.2])
NAMES = ["Ablation zone", "Ablation zone, contracted", "Tumour", "Needle"]


def lopsided(points):
    """Positive in a body with a different reach in each of six directions [mm]."""
    x, y, z = (points - TIP - 6 * SHAFT).T
    return (
        1 - (x / np.where(x > 0, 14, 9)) ** 2 - (y / np.where(y > 0, 10, 17)) ** 2 - (z / np.where(z > 0, 12, 19)) ** 2
    )


def run_of(case):
    """A run whose zone is the lopsided body, and shrinks to the tip by a tenth."""
    axis = np.linspace(-26, 26, 27)
    grid = MeshTet.init_tensor(axis, axis, axis).oriented()
    points = grid.p.T + TIP
    mesh = Mesh(np.ascontiguousarray(1e-3 * points), np.ascontiguousarray(grid.t.T), {}, {}, axisymmetric=False)
    fields = {"level": lopsided(points), "displacement": -0.1e-3 * (points - TIP)}
    document = {"contracted": {"law": "history", "strain": 0.1}}
    return Result(case, mesh, None, None, fields, document, {"case_sha256": "0" * 64})


def case_in(folder, **more):
    return Case.from_dict(
        {
            "title": "Mrs Example",
            "applicator": [
                {
                    "name": "one",
                    "profile": "mwa_emprint_13g_like",
                    "tip": [f"{value} mm" for value in TIP],
                    "direction": SHAFT.tolist(),
                }
            ],
            "tissue": {"set": "liver_human"},
            **more,
        },
        folder,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patient")
    PATIENT.write(folder)
    patient = {"labels": "labels.nii.gz", "structures": PATIENT.structures}
    return run_of(case_in(folder, patient=patient, tumour={"set": "metastasis"}))


@pytest.fixture(scope="module")
def written(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("written"), ("seg.nrrd", "nifti", "stl", "mrk.json"))


def lps(path):
    """Values of an image and the places of its voxels, read by SimpleITK: LPS in mm, turned to RAS."""
    image = SimpleITK.ReadImage(str(path))
    values = SimpleITK.GetArrayFromImage(image)
    matrix = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    places = np.stack(np.meshgrid(*map(np.arange, image.GetSize()), indexing="ij"), axis=-1) @ matrix.T
    return values.swapaxes(0, 2) if values.ndim == 3 else values.transpose(2, 1, 0, 3), (places + image.GetOrigin()) * [
        -1,
        -1,
        1,
    ]


def mismatch(voxels, places, level):
    """Voxels that are on the wrong side of a body, as a share of it, where its edge is not near."""
    sure = np.abs(level(places.reshape(-1, 3)).reshape(voxels.shape)) > 0.12
    wrong = (voxels > 0) != (level(places.reshape(-1, 3)).reshape(voxels.shape) > 0)
    return (wrong & sure).sum() / (voxels > 0).sum()


def contracted(points):
    return lopsided(TIP + (points - TIP) / 0.9)


def test_segments_are_where_the_patient_is(written):
    path = written.folder / "prediction.seg.nrrd"
    assert [(s.name, s.label, s.layer) for s in segments_of(path)] == [(name, 1, i) for i, name in enumerate(NAMES)]
    values, places = lps(path)
    assert values.shape[3] == 4
    assert mismatch(values[..., 0], places, lopsided) == 0
    assert mismatch(values[..., 1], places, contracted) < 2e-3
    assert mismatch(values[..., 2], places, lambda p: 10 - np.linalg.norm(p - PATIENT.tumour, axis=1)) < 0.03
    # A mirrored zone would be elsewhere.
    assert mismatch(values[..., 0], places, lambda p: lopsided(2 * TIP - p)) > 0.05


def test_header_is_what_slicer_expects(written, run):
    path = written.folder / "prediction.seg.nrrd"
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    keys = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    assert keys["Segmentation_MasterRepresentation"] == "Binary labelmap"
    first = path.read_bytes().split(b"\n\n", 1)[0].decode()
    assert "kinds: list domain domain domain" in first
    assert "space: left-posterior-superior" in first
    values, _ = lps(path)
    for number in range(4):
        filled = np.argwhere(values[..., number])
        ends = np.column_stack([filled.min(axis=0), filled.max(axis=0)]).ravel()
        assert keys[f"Segment{number}_Extent"] == " ".join(map(str, ends))
        assert all(0 <= float(part) <= 1 for part in keys[f"Segment{number}_Color"].split())


def test_images_have_the_voxels_of_the_patient(written, run):
    anatomy = run.case.patient.anatomy()
    for name, level in (("zone", lopsided), ("zone_contracted", contracted)):
        values, places = lps(written.folder / f"{name}.nii.gz")
        assert values.shape == anatomy.image.values.shape
        assert mismatch(values, places, level) < 2e-3
    image = SimpleITK.ReadImage(str(written.folder / "zone.nii.gz"))
    assert np.array(image.GetSpacing()) == pytest.approx(PATIENT.spacing, rel=1e-5)
    origin = np.array(image.GetOrigin()) * [-1, -1, 1]
    assert origin == pytest.approx(1e3 * anatomy.image.affine[:3, 3], abs=1e-3)
    # The voxels of the tumour are those of the label but for its smoothed edge.
    values, _ = lps(written.folder / "tumour.nii.gz")
    label = anatomy.image.values == LABELS["tumour"]
    assert (values & label).sum() > 0.97 * max(label.sum(), values.sum())


def test_margin_map(written):
    values, places = lps(written.folder / "margin_mm.nii.gz")
    inside = lopsided(places.reshape(-1, 3)).reshape(values.shape)
    assert (values[inside > 0.1] > 0).all()
    assert (values[inside < -0.1] < 0).all()
    # Along an axis of the body its edge is the nearest place beyond it.
    far = np.abs(places - TIP - 6 * SHAFT - [0, 0, 22]).sum(axis=-1).argmin()
    assert values.ravel()[far] == pytest.approx(-10, abs=2.5)


def test_finer_voxels_divide_those_of_the_patient(run, tmp_path):
    done = export(run, tmp_path, ("nifti",), spacing=0.8e-3)
    values, places = lps(tmp_path / "zone.nii.gz")
    image = SimpleITK.ReadImage(str(tmp_path / "zone.nii.gz"))
    assert np.array(image.GetSpacing()) == pytest.approx([2 / 3, 1.25 / 2, 1.5 / 2], rel=1e-5)
    assert mismatch(values, places, lopsided) == 0
    assert values.sum() * np.prod(image.GetSpacing()) == pytest.approx(
        1e9 * predicted_zone(run, "undeformed").surface.volume(), rel=5e-3
    )
    # Small voxels fill large ones: their common corner is a corner of both grids.
    coarse = run.case.patient.anatomy().image.affine
    corner = np.linalg.inv(coarse) @ np.append(1e-3 * places[0, 0, 0], 1) + 0.5 - 0.5 / np.array([3, 2, 2, 1])
    assert corner[:3] == pytest.approx(np.rint(corner[:3]), abs=1e-3)
    assert [file.coordinates for file in done.files] == ["RAS"] * 5
    assert SimpleITK.ReadImage(str(tmp_path / "margin_mm.nii.gz")).GetSpacing() == pytest.approx((1.0, 0.625, 0.75))


@pytest.mark.parametrize(("name", "frame"), [("zone", "undeformed"), ("zone_contracted", "contracted")])
def test_surfaces_say_that_they_are_lps(written, run, name, frame):
    path = written.folder / f"{name}.stl"
    assert b"SPACE=LPS" in path.read_bytes()[:80]
    found = read_measured(path, unit="mm", orientation="LPS").surface
    assert agreement(predicted_zone(run, frame).surface, found).hausdorff_mm < 1e-3


def test_margins_on_the_surface_of_the_tumour(written):
    import pyvista

    body = pyvista.read(written.folder / "tumour_margins.vtp")
    assert body.field_data["SPACE"].tolist() == ["LPS"]
    points = np.asarray(body.points) * [-1, -1, 1]
    assert np.linalg.norm(points - PATIENT.tumour, axis=1) == pytest.approx(10, abs=0.8)
    margin, inside = body.point_data["margin_mm"], lopsided(points)
    assert ((margin > 0) == (inside > 0))[np.abs(inside) > 0.1].all()
    assert (body.point_data["margin_contracted_mm"] <= margin + 0.05).mean() > 0.9


def test_needle_is_a_line(written):
    document = json.loads((written.folder / "needle.mrk.json").read_text())
    (line,) = document["markups"]
    assert (line["type"], line["coordinateSystem"], line["coordinateUnits"]) == ("Line", "LPS", "mm")
    places = {point["label"]: np.array(point["position"]) * [-1, -1, 1] for point in line["controlPoints"]}
    assert places["tip"] == pytest.approx(TIP)
    along = places["entry"] - places["tip"]
    assert along / np.linalg.norm(along) == pytest.approx(SHAFT)


def test_needle_is_read_back(written, tmp_path):
    """A line that was written places a needle where it was, and then ends where that entered."""
    needle = {"name": "one", "profile": "mwa_emprint_13g_like", "needle": str(written.folder / "needle.mrk.json")}
    (again,) = case_in(tmp_path, applicator=[needle]).applicators
    assert 1e3 * np.array(again.tip) == pytest.approx(TIP)
    assert again.direction / np.linalg.norm(again.direction) == pytest.approx(SHAFT)
    (line,) = content_of(run_of(case_in(tmp_path, applicator=[needle]))).needles
    assert line.entry == pytest.approx(np.array(again.entry))


def test_several_needles_have_names(tmp_path):
    both = [
        {"name": name, "profile": "rfa_cooltip_17g_2cm_like", "direction": [0, 0, 1],
         "tip": [f"{TIP[0] + shift} mm", f"{TIP[1]} mm", f"{TIP[2]} mm"]}
        for name, shift in (("left", -8), ("right", 8))
    ]  # fmt: skip
    content = content_of(run_of(case_in(tmp_path, applicator=both)))
    assert [needle.name for needle in content.needles] == ["needle_left", "needle_right"]
    assert [body.name for body in content.bodies][2:] == ["needle_left", "needle_right"]
    assert 1e3 * content.needles[1].tip == pytest.approx(TIP + np.array([8, 0, 0]))


def test_list_of_what_was_written(written):
    found = json.loads((written.folder / "export.json").read_text())
    assert (found["schema"], found["version"], found["unit"]) == ("ablationsim/export", 1, "mm")
    assert "not a medical device" in found["notice"]
    assert {file["name"] for file in found["files"]} == {path.name for path in written.folder.iterdir()} - {
        "export.json"
    }
    text = b"".join(path.read_bytes() for path in written.folder.iterdir())
    assert b"Mrs Example" not in text
    assert str(written.folder).encode() not in text


def test_without_a_patient(tmp_path):
    """Without an image voxels are cubes along the axes, and the zone is where the case has its needle."""
    run = run_of(case_in(tmp_path))
    done = export(run, tmp_path / "out", spacing=1.5e-3)
    assert any("no tumour" in note for note in done.notes)
    assert any("--series" in note for note in done.notes)
    values, places = lps(tmp_path / "out" / "zone.nii.gz")
    assert mismatch(values, places, lopsided) == 0
    assert SimpleITK.ReadImage(str(tmp_path / "out" / "zone.nii.gz")).GetSpacing() == pytest.approx((1.5,) * 3)


def test_zone_outside_the_image(run, tmp_path):
    fields = {**run.fields, "level": run.fields["level"] - 0.2}
    far = Result(run.case, Mesh(run.mesh.points + 0.5, run.mesh.cells, {}, {}, axisymmetric=False), None, None, fields,
                 run.document, run.record)  # fmt: skip
    content = content_of(far)
    assert any("beyond the patient's image" in note for note in content.notes)
    grid = content.grid()
    with pytest.raises(OutputError, match="outside the image"):
        grid.of_surface(content.surface("zone"))


def test_run_without_a_zone(run, tmp_path):
    cold = Result(run.case, run.mesh, None, None, {"level": -np.ones(len(run.mesh.points))}, run.document, run.record)
    with pytest.raises(OutputError, match="has no ablation zone"):
        export(cold, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_many_voxels(run):
    with pytest.raises(OutputError, match="larger --spacing"):
        content_of(run).grid(0.03e-3)


def test_thin_wires_show():
    grid = ImageGrid.around(np.zeros(3), np.full(3, 0.04), 2e-3)
    line = np.array([[0.004, 0.02, 0.02], [0.036, 0.02, 0.02]])
    voxels = grid.of_rods([(line, 0.3e-3)])
    assert voxels.any(axis=(1, 2)).sum() >= 16
    assert 1 <= voxels[10].sum() <= 9


# --- DICOM -------------------------------------------------------------------------------------------------------

TURN = np.linalg.qr(np.array([[0.9, -0.3, 0.2], [0.25, 0.95, -0.1], [-0.2, 0.1, 1.0]]))[0]
TURN *= np.sign(np.diag(TURN))
SECRETS = {"PatientName": "Doe^Jane", "PatientID": "PAT-4711", "PatientBirthDate": "19500102", "StudyID": "STUDY-9",
           "AccessionNumber": "ACC-8", "ReferringPhysicianName": "House^Greg", "StudyDate": "20250304"}  # fmt: skip


def series_in(folder, count=24, size=(40, 44), **changes):
    """A series of oblique slices round the tip, written in a mixed order."""
    folder.mkdir()
    steps, middle = np.array([1.7, 1.4, 2.5]), TIP * [-1, -1, 1]  # between columns, rows, slices
    corner = middle - TURN @ (steps * [size[1] - 1, size[0] - 1, count - 1] / 2)
    uids = {key: pydicom.uid.generate_uid() for key in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
    for number in np.random.default_rng(1).permutation(count):
        image = pydicom.Dataset()
        image.file_meta = pydicom.dataset.FileMetaDataset()
        image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = pydicom.uid.CTImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = pydicom.uid.generate_uid()
        image.Modality, image.InstanceNumber, image.SliceThickness = "CT", int(number) + 1, 5.0
        image.Rows, image.Columns = size
        image.PixelSpacing = [steps[1], steps[0]]
        image.ImageOrientationPatient = [round(float(x), 12) for x in TURN[:, :2].T.ravel()]
        place = corner + TURN[:, 2] * steps[2] * (number + changes.get("gap", 0.0) * (number > 4))
        image.ImagePositionPatient = [round(float(x), 10) for x in place]
        for key, value in {**uids, **SECRETS}.items():
            setattr(image, key, value)
        image.save_as(folder / f"{pydicom.uid.generate_uid()}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    return series_in(tmp_path_factory.mktemp("series") / "ct")


def dicom_voxels(path):
    """The places of the voxels that each segment has, RAS in mm, from the frames themselves."""
    image = pydicom.dcmread(path)
    shared = image.SharedFunctionalGroupsSequence[0]
    rows, columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    along = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    found = {segment.SegmentLabel: [np.zeros((0, 3))] for segment in image.SegmentSequence}
    names = [segment.SegmentLabel for segment in image.SegmentSequence]
    for frame, pixels in zip(image.PerFrameFunctionalGroupsSequence, image.pixel_array, strict=True):
        corner = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        row, column = np.nonzero(pixels)
        places = corner + np.outer(column * columns, along[0]) + np.outer(row * rows, along[1])
        name = names[frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1]
        found[name].append(places * [-1, -1, 1])
    return {name: np.vstack(places) for name, places in found.items()}, image


def test_dicom_segments_are_where_the_patient_is(run, slices, tmp_path):
    done = export(run, tmp_path, ("dicom-seg",), series=slices)
    assert [file.name for file in done.files] == ["prediction.dcm"]
    places, image = dicom_voxels(tmp_path / "prediction.dcm")
    assert list(places) == NAMES
    volume = len(places["Ablation zone"]) * 1.7 * 1.4 * 2.5
    assert volume == pytest.approx(1e9 * predicted_zone(run, "undeformed").surface.volume(), rel=0.03)
    assert (lopsided(places["Ablation zone"]) > -0.12).all()
    assert (contracted(places["Ablation zone, contracted"]) > -0.12).all()
    from_shaft = np.linalg.norm(np.cross(places["Needle"] - TIP, SHAFT), axis=1)
    assert from_shaft.max() < 2.5
    assert ((places["Needle"] - TIP) @ SHAFT).min() > -2.5
    assert (image.SegmentationType, image.ContentLabel) == ("BINARY", "PREDICTION")
    assert "research use only" in image.SeriesDescription


def test_dicom_names_nobody_unless_asked(run, slices, tmp_path):
    export(run, tmp_path / "bare", ("dicom-seg",), series=slices)
    export(run, tmp_path / "kept", ("dicom-seg",), series=slices, keep_identifiers=True)
    first = pydicom.dcmread(next(slices.iterdir()))
    secrets = [*SECRETS.values(), first.StudyInstanceUID, first.SeriesInstanceUID, first.FrameOfReferenceUID]
    secrets += [
        str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID) for path in slices.iterdir()
    ]
    bare = (tmp_path / "bare" / "prediction.dcm").read_bytes()
    assert not [secret for secret in secrets if secret.encode() in bare]
    kept = pydicom.dcmread(tmp_path / "kept" / "prediction.dcm")
    assert {key: str(kept[key].value) for key in SECRETS} == SECRETS
    assert kept.StudyInstanceUID == first.StudyInstanceUID
    assert kept.SeriesInstanceUID != first.SeriesInstanceUID
    assert kept.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
    assert "Doe" not in (tmp_path / "kept" / "export.json").read_text()


def test_series_that_cannot_be_used(slices, tmp_path):
    with pytest.raises(OutputError, match="There is no folder"):
        read_series(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "note.txt").write_text("no image")
    with pytest.raises(OutputError, match="holds no DICOM images"):
        read_series(tmp_path / "empty")
    with pytest.raises(OutputError, match=r"2.5 to 5 mm apart"):
        read_series(series_in(tmp_path / "gap", 8, gap=1.0))
    both = series_in(tmp_path / "both", 3)
    for path in list(series_in(tmp_path / "other", 3).iterdir()):
        path.rename(both / path.name)
    with pytest.raises(OutputError, match="2 series"):
        read_series(both)
    # The distance of the slices counts, not their thickness of 5 mm.
    assert 1e3 * read_series(slices).grid.spacing == pytest.approx([1.7, 1.4, 2.5])


# --- command and plans -------------------------------------------------------------------------------------------


def test_command(quick_cli, small_run, tmp_path):
    done = quick_cli("export", small_run.folder, "--format", "mrk.json", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "needle.mrk.json" in done.stdout
    assert "not a medical device" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["export.json", "needle.mrk.json"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "dicom-seg"), "give its folder with --series"),
        (("--keep-identifiers",), "belongs to --series"),
        (("--spacing", "30 mm"), "0.1 mm to 20 mm"),
        (("--spacing", "1"), "without a unit"),
        (("--format", "obj"), "is not one of"),
    ],
)
def test_command_refuses(quick_cli, small_run, words, message):
    done = quick_cli("export", small_run.folder, *words)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_plans_of_a_plan(tmp_path):
    for name in ("plan_1", "plan_2"):
        (tmp_path / "plans" / name).mkdir(parents=True)
    (tmp_path / "plans" / "plan_1" / "zone.json").write_text("{}")
    plans = [{"name": name, "folder": f"plans/{name}"} for name in ("plan_1", "plan_2")] + [{"name": "no run"}]
    (tmp_path / "plan.json").write_text(json.dumps({"plans": plans}))
    assert folders_of(tmp_path) == [tmp_path / "plans" / "plan_1"]
    (tmp_path / "plans" / "plan_1" / "zone.json").unlink()
    with pytest.raises(OutputError, match="lists no plan that was run"):
        folders_of(tmp_path)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(OutputError, match="is damaged"):
        folders_of(tmp_path)
    assert folders_of(tmp_path / "plans") == [tmp_path / "plans"]


def test_formats_of_the_command():
    from ablationsim.cli.exporting import Format

    assert tuple(form.value for form in Format) == FORMATS
