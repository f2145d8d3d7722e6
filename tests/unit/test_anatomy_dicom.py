"""Anatomies from what hospitals have: DICOM series, segmentations and structure sets."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from anatomies import Small
from anatomy_files import COARSE, NAMES, TIGHT, agrees, imported, middle
from hospital import SECRETS, write_outlines, write_segmentation, write_series, write_structure_set
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from ablationsim.anatomy import Anatomy
from ablationsim.errors import GeometryError


def test_outlines_of_a_ball_on_pixels_that_are_not_square(tmp_path):
    small = replace(TIGHT, spacing=(1.5, 2.5, 3.0), axes="LPI", turn=30.0)
    write_series(small, tmp_path / "ct")
    path = write_outlines(small, tmp_path / "ct", tmp_path / "rt.dcm", inner=4.0)
    found = imported(path, ct=tmp_path / "ct").anatomy
    at = np.linalg.norm(small.places() - small.tumour, axis=-1)
    # A ball with a hole, at the centres of voxels.
    assert found.mask("tumour").sum() == pytest.approx(((at <= small.radius) & (at > 4.0)).sum(), abs=3)
    assert middle(found, "tumour") == pytest.approx(small.places()[(at <= 8) & (at > 4)].mean(axis=0), abs=0.05)


def test_slices_that_were_skipped_in_drawing(tmp_path):
    small = replace(TIGHT, spacing=(1.5, 1.5, 1.5), axes="LPS")
    write_series(small, tmp_path / "ct")
    path = write_outlines(small, tmp_path / "ct", tmp_path / "rt.dcm", every=3)
    found = imported(path, ct=tmp_path / "ct")
    assert any("have no outline and are interpolated" in note for note in found.notes)
    # What lies beyond the first and the last outline nobody drew.
    slices = np.flatnonzero(found.anatomy.mask("tumour").any(axis=(1, 2)))
    ball = np.linalg.norm(small.places() - small.tumour, axis=-1) <= small.radius
    assert (slices[0] % 3, len(slices) % 3) == (0, 1)
    drawn = ball[:, :, slices[0] : slices[-1] + 1] if small.affine[2, 2] > 0 else ball
    assert found.anatomy.mask("tumour").sum() == pytest.approx(drawn.sum(), rel=0.08)


def test_ct_comes_along(tmp_path):
    small = Small(spacing=(3.0, 2.5, 4.0), axes="PIR", turn=-20.0)
    values = np.rint(small.places() @ (1.0, 2.0, 4.0)).astype(np.int16) * 2
    series = write_series(small, tmp_path / "ct", values)
    path = write_segmentation(small, series, tmp_path / "seg.dcm", {"liver": "Liver"})
    found = imported(path, ct=tmp_path / "ct")
    assert found.ct is not None
    assert found.ct.shape == found.anatomy.image.values.shape
    affine = 1e3 * found.anatomy.image.affine[:3]
    places = np.argwhere(found.anatomy.mask("liver")) @ affine[:, :3].T + affine[:, 3]
    there = found.ct[found.anatomy.mask("liver")]
    assert there == pytest.approx(np.rint(places @ (1.0, 2.0, 4.0)) * 2, abs=2)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """A CT series, a segmentation and a structure set of one patient, with names in their segments too."""
    folder = tmp_path_factory.mktemp("hospital")
    names = {"liver": "Liver", "tumour": "Tumor_Doe", "hepatic_vein": "Hepatic", "portal_vein": "Jane's notes"}
    series = write_series(COARSE, folder / "ct")
    write_segmentation(COARSE, series, folder / "seg.dcm", names)
    write_structure_set(COARSE, folder / "ct", folder / "rt.dcm", names)
    return folder


@pytest.mark.parametrize("file", ["seg.dcm", "rt.dcm"])
def test_nothing_tells_who_the_patient_is(hospital, tmp_path, quick_cli, file):
    done = quick_cli("anatomy", hospital / file, "--ct", hospital / "ct", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Left out: Jane's notes" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ct.nii.gz", "labels.json", "labels.nii.gz"]
    numbers = [str(pydicom.dcmread(hospital / file).SOPInstanceUID), str(hospital)]
    for path in (tmp_path / "out").iterdir():
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        for secret in (*SECRETS, *numbers):
            assert secret.encode() not in content, (path.name, secret)
    table = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert [(each["name"], each["label"]) for each in table["structures"]] == [
        ("liver", 1),
        ("tumour", 2),
        ("hepatic_vein", 3),
    ]
    assert table["notes"] == ["1 segment of unknown or unneeded names left out."]
    agrees(Anatomy.read(tmp_path / "out" / "labels.nii.gz"), COARSE, ("tumour", "hepatic_vein"))


def test_slices_that_a_segmentation_leaves_out(hospital):
    """Its own slices end with the liver; that the liver ends there is known all the same."""
    alone = imported(hospital / "seg.dcm")
    with_pictures = imported(hospital / "seg.dcm", ct=hospital / "ct")
    assert not any("border" in note for note in alone.notes)
    volumes = [found.anatomy.distance(whole_liver=True).surface() for found in (alone, with_pictures)]
    assert not any(wall.capped.any() for wall in volumes)
    assert volumes[0].volume == pytest.approx(volumes[1].volume, rel=1e-6)


def test_compressed_segmentation(hospital, tmp_path):
    series = sorted((hospital / "ct").iterdir())
    path = write_segmentation(COARSE, series, tmp_path / "seg.dcm", NAMES, syntax=RLELossless)
    agrees(imported(path).anatomy, COARSE)


def test_compression_that_nothing_here_can_undo(hospital, tmp_path):
    file = pydicom.dcmread(hospital / "seg.dcm")
    file.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # Of films.
    file.PixelData = pydicom.encaps.encapsulate([b"\0" * 64] * int(file.NumberOfFrames))
    file["PixelData"].is_undefined_length = True
    file.save_as(tmp_path / "seg.dcm")
    with pytest.raises(GeometryError, match=r"compressed, and nothing that is installed can decompress.*pip install"):
        imported(tmp_path / "seg.dcm")


def test_damaged_dicom(hospital, tmp_path):
    whole = (hospital / "seg.dcm").read_bytes()
    for name, content in {"half.dcm": whole[: len(whole) // 2], "head.dcm": whole[:400]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(GeometryError, match=r"cannot be read as DICOM; it is damaged|is a DICOM file of kind"):
            imported(tmp_path / name)


def test_pictures_are_no_segmentation(hospital):
    with pytest.raises(GeometryError, match=r"holds DICOM files, but no segmentation: series 3 \(CT, 23 files\)"):
        imported(hospital / "ct")
    with pytest.raises(GeometryError, match="is a DICOM file of kind CT, no segmentation"):
        imported(sorted((hospital / "ct").iterdir())[0])
    with pytest.raises(GeometryError, match=r"holds 2 segmentations: rt.dcm, seg.dcm|holds 2 segmentations: seg"):
        imported(hospital)


def test_structure_set_without_its_series(hospital, tmp_path):
    (tmp_path / "rt.dcm").write_bytes((hospital / "rt.dcm").read_bytes())
    with pytest.raises(GeometryError, match=r"is a structure set: outlines on the slices of a series.*--ct"):
        imported(tmp_path / "rt.dcm")


def test_folder_with_two_series(hospital, tmp_path):
    folder = tmp_path / "both"
    series = write_series(COARSE, folder, number=3)
    for number, path in enumerate(write_series(COARSE, tmp_path / "other", number=4)):
        path.rename(folder / f"other{number}")
    labels = COARSE.write(tmp_path, table=True)
    with pytest.raises(GeometryError, match=r"holds 2 series of pictures: series 3 \(CT, 23 files\); series 4.*--ser"):
        imported(labels, ct=folder)
    assert imported(labels, ct=folder, series=4).ct is not None
    with pytest.raises(GeometryError, match="holds no series of number 7"):
        imported(labels, ct=folder, series=7)
    # A segmentation says itself which one it was drawn on.
    assert (
        imported(write_segmentation(COARSE, series, tmp_path / "seg.dcm", {"liver": "Liver"}), ct=folder).ct is not None
    )


def test_reports_and_tables_of_contents_do_not_count(tmp_path):
    folder = tmp_path / "disc"
    header = pydicom.dcmread(write_series(COARSE, folder)[0])
    for name, series in {"DICOMDIR": None, "SR0001": "1.2.3.4"}.items():
        for tag in ("PixelData", "Rows", "Columns", "SeriesInstanceUID"):
            if tag in header:
                del header[tag]
        if series:
            header.SeriesInstanceUID, header.Modality, header.SeriesNumber = series, "SR", 99
        header.save_as(folder / name)
    assert imported(COARSE.write(tmp_path, table=True), ct=folder).ct is not None


def test_series_with_a_missing_slice(tmp_path):
    folder = tmp_path / "ct"
    series = write_series(COARSE, folder)
    heights = {float(pydicom.dcmread(path).ImagePositionPatient[2]): path for path in series}
    heights[sorted(heights)[10]].unlink()
    with pytest.raises(GeometryError, match=r"neighbours are 4 mm apart, but slices 10 and 11 .* 8 mm"):
        imported(COARSE.write(tmp_path, table=True), ct=folder)


def test_without_pydicom(hospital, monkeypatch):
    import ablationsim.anatomy.dicom as dicom

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(dicom, "import_module", missing)
    with pytest.raises(GeometryError, match=r"needs pydicom, which is not installed.*ablationsim\[dicom\]"):
        imported(hospital / "seg.dcm")


def test_implicit_syntax(hospital, tmp_path):
    file = pydicom.dcmread(hospital / "seg.dcm")
    file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    file.save_as(tmp_path / "seg.dcm", implicit_vr=True)
    found = imported(tmp_path / "seg.dcm").anatomy
    agrees(found, COARSE, ("tumour", "hepatic_vein"))
