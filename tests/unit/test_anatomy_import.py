"""Anatomies of patients: names and places, from every format that they come in, and the command."""

import itertools
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK
from anatomies import Small
from anatomy_files import (
    COARSE,
    NAMES,
    TIGHT,
    agrees,
    imported,
    itk_image,
    middle,
    write_layers,
    write_masks,
    write_segments,
)
from hospital import write_segmentation, write_series, write_structure_set

from ablationsim.anatomy import Anatomy
from ablationsim.anatomy.canonical import files_of
from ablationsim.anatomy.importing import import_anatomy
from ablationsim.anatomy.names import common_name, role_of
from ablationsim.errors import GeometryError

ORDERS = [
    "".join(letters) for axes in itertools.permutations(("RL", "AP", "SI")) for letters in itertools.product(*axes)
]


# Names


@pytest.mark.parametrize(
    ("name", "role", "common"),
    [
        ("Liver", "liver", "liver"),
        ("LIVER_parenchyma", "liver", "liver"),
        ("liver_segment_4", "liver", "liver"),
        ("Tumor 3", "tumour", "tumour"),
        ("livertumor01", "tumour", "tumour"),
        ("GTV", "tumour", "tumour"),
        ("Hepatic veins", "hepatic_vein", "hepatic_vein"),
        ("Portal", "portal_vein", "portal_vein"),
        ("portal_vein_and_splenic_vein", "portal_vein", "portal_vein"),
        ("inferior_vena_cava", "vena_cava", "vena_cava"),
        ("rib_right_7", "bone", "rib_right_7"),
        ("vertebrae_T12", "bone", "vertebrae_t12"),
        ("Gallbladder", "organ", "gallbladder"),
        ("colon", "organ", "colon"),
        ("Skin", "body", "body"),
        ("organ_near_the_needle", "organ", "organ"),
        ("autochthon_left", None, ""),
        ("Liver_Remnant", None, ""),
        ("liver_cyst", None, ""),
        ("Segment_1", None, ""),
    ],
)
def test_names(name, role, common):
    assert role_of(name) == role
    assert common_name(name) == common


def test_names_in_the_header_of_totalsegmentator(tmp_path):
    path = COARSE.write(tmp_path)
    image = nibabel.load(path)
    table = "".join(
        f'<Label Key="{label}" Red="0" Alpha="1"><![CDATA[{name}]]></Label>'
        for label, name in {1: "liver", 2: "inferior_vena_cava", 3: "portal_vein_and_splenic_vein", 4: "spleen"}.items()
    )
    text = f'<?xml version="1.0"?><CaretExtension><LabelTable>{table}</LabelTable></CaretExtension>'
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, text.encode()))
    nibabel.save(image, tmp_path / "named.nii.gz")
    found = Anatomy.read(tmp_path / "named.nii.gz")
    assert [(each.name, each.role, each.label) for each in found.structures] == [
        ("liver", "liver", 1),
        ("vena_cava", "vena_cava", 2),
        ("portal_vein", "portal_vein", 3),
        ("spleen", "organ", 4),
    ]


def test_tables_of_other_images_and_programs_do_not_count(tmp_path):
    COARSE.write(tmp_path, table=True)
    COARSE.write(tmp_path, name="other.nii.gz")
    (tmp_path / "other.json").write_text('{"Modality": "CT", "SliceThickness": 5}')
    assert len(Anatomy.read(tmp_path / "labels.nii.gz").structures) == 4
    with pytest.raises(GeometryError, match="does not say what its labels are"):
        Anatomy.read(tmp_path / "other.nii.gz")


def test_numbering_without_names(tmp_path):
    image = nibabel.load(COARSE.write(tmp_path))
    values = np.asarray(image.dataobj)
    numbers = np.array([0, 5, 63, 64, 0, 111, 20], dtype=np.uint8)[values]
    nibabel.save(nibabel.Nifti1Image(numbers, image.affine), tmp_path / "total.nii.gz")
    found = imported(tmp_path / "total.nii.gz", numbering="totalsegmentator").anatomy
    assert {each.name for each in found.structures} == {"liver", "vena_cava", "portal_vein"}
    with pytest.raises(GeometryError, match=r"does not say what its labels are: 5 \(\d+ mL\), 63 \(.*--name 5=liver"):
        imported(tmp_path / "total.nii.gz")


# Places: RAS and LPS


@pytest.mark.parametrize("axes", ORDERS)
def test_every_order_of_axes(tmp_path, axes):
    small = replace(TIGHT, spacing=(3.0, 4.0, 5.0), axes=axes, rib=True, vein=5.0, portal=6.0)
    found = small.read(tmp_path)
    assert nibabel.aff2axcodes(small.affine) == tuple(axes)
    agrees(found, small, (*NAMES, "rib_right_8"))
    # The rib is at the patient's right, the vein at the tumour's left.
    assert middle(found, "rib_right_8")[0] > middle(found, "liver")[0] + 20
    assert middle(found, "hepatic_vein")[0] < middle(found, "tumour")[0]


def make(form, small, folder):
    """A file of a kind, and the options that it needs."""
    if form == "nifti":
        return small.write(folder, table=True), {}
    if form == "seg.nrrd":
        return write_segments(small, folder / "x.seg.nrrd", NAMES), {}
    if form == "layers":
        return write_layers(small, folder / "y.seg.nrrd", NAMES), {}
    if form == "folder":
        return write_masks(small, folder / "masks", {name: name for name in NAMES}), {}
    series = write_series(small, folder / "ct")
    if form == "seg":
        return write_segmentation(small, series, folder / "seg.dcm", NAMES), {}
    return write_structure_set(small, folder / "ct", folder / "rt.dcm", NAMES), {"ct": folder / "ct"}


@pytest.mark.parametrize("form", ["nifti", "seg.nrrd", "layers", "folder", "seg", "rtstruct"])
@pytest.mark.parametrize(("axes", "turn"), [("PIR", 0.0), ("RAI", 25.0)])
def test_every_format_in_one_place(tmp_path, form, axes, turn):
    small = Small(spacing=(3.0, 3.0, 4.0), axes=axes, turn=turn)
    path, options = make(form, small, tmp_path)
    found = imported(path, **options)
    assert {each.name for each in found.anatomy.structures} == set(NAMES)
    agrees(found.anatomy, small)
    assert found.left_out == ()


def test_one_layer_is_read_without_the_command(tmp_path):
    small = Small(spacing=(3.0, 3.0, 4.0), axes="LAS", turn=10.0)
    agrees(Anatomy.read(write_segments(small, tmp_path / "x.seg.nrrd", NAMES)), small)
    with pytest.raises(GeometryError, match=r"has 4 values a voxel.*ablationsim anatomy"):
        Anatomy.read(write_layers(small, tmp_path / "y.seg.nrrd", NAMES))


# What overlaps, sticks out, or is in pieces


def test_precedence(tmp_path):
    small = Small(spacing=(2.0, 2.0, 2.0), gap=-8.0)
    folder = write_masks(small, tmp_path / "masks", {name: name for name in NAMES})
    found = imported(folder)
    masks = small.masks()
    assert np.array_equal(found.anatomy.mask("hepatic_vein"), masks["hepatic_vein"])
    assert np.array_equal(found.anatomy.mask("tumour"), masks["tumour"] & ~masks["hepatic_vein"])
    assert any("'tumour' are also vessels, and count as vessels" in note for note in found.notes)


def test_tumour_that_sticks_out_is_kept(tmp_path):
    small = Small(spacing=(2.0, 2.0, 2.0), tumour=(80.0, -20.0, 60.0), gap=40.0)
    found = imported(write_masks(small, tmp_path / "masks", {"liver": "liver", "tumour": "Tumor"}))
    assert np.array_equal(found.anatomy.mask("tumour"), small.masks()["tumour"])
    outside = (small.masks()["tumour"] & ~small.masks()["liver"]).sum() * 8e-3
    (note,) = found.notes
    assert note.startswith(f"{outside:.2g} mL")
    assert "lie outside the liver as it was drawn; they are kept" in note
    assert found.anatomy.whole_liver[small.masks()["tumour"]].all()


def test_several_tumours(tmp_path):
    small = Small(spacing=(2.0, 2.0, 2.0))
    at = small.places()
    masks = small.masks()
    balls = {(20.0, -20.0, 62.0): 6.0, (45.0, -35.0, 50.0): 4.0, (40.0, 0.0, 60.0): 0.5}
    tumours = masks["tumour"] | np.logical_or.reduce(
        [np.linalg.norm(at - middle, axis=-1) <= radius for middle, radius in balls.items()]
    )
    values = masks["liver"].astype(np.uint8) + tumours
    nibabel.save(nibabel.Nifti1Image(values, small.affine), tmp_path / "labels.nii.gz")
    found = imported(tmp_path / "labels.nii.gz", renames={"1": "liver", "2": "tumour"})
    assert [each.name for each in found.anatomy.of_role("tumour")] == ["tumour", "tumour_2", "tumour_3"]
    assert middle(found.anatomy, "tumour_2") == pytest.approx((20, -20, 62), abs=1.0)
    assert middle(found.anatomy, "tumour_3") == pytest.approx((45, -35, 50), abs=1.0)
    assert any("'tumour' is in 3 pieces" in note for note in found.notes)


def test_segments_of_the_liver_are_the_liver(tmp_path):
    small = COARSE
    liver = small.masks()["liver"]
    upper = small.places()[..., 2] > 60
    values = liver.astype(np.uint8) * np.where(upper, 1, 2).astype(np.uint8)
    image = itk_image(values, small.affine)
    for number in (0, 1):
        image.SetMetaData(f"Segment{number}_Name", f"liver_segment_{number + 1}")
        image.SetMetaData(f"Segment{number}_LabelValue", str(number + 1))
    SimpleITK.WriteImage(image, str(tmp_path / "x.seg.nrrd"))
    found = imported(tmp_path / "x.seg.nrrd")
    assert np.array_equal(found.anatomy.mask("liver"), liver)
    assert "'liver' is the union of 2 segments." in found.notes


# Several sources


def test_parts_of_one_grid(tmp_path):
    """A crop and a flip of the same voxels fall into their places exactly."""
    small = COARSE
    whole = write_masks(small, tmp_path / "whole", {"liver": "liver"})
    mask = small.masks()["tumour"]
    flipped = small.affine.copy()
    flipped[:3, 3] += flipped[:3, 0] * (small.shape[0] - 1) + 2 * flipped[:3, 1]
    flipped[:3, 0] *= -1
    nibabel.save(nibabel.Nifti1Image(mask[::-1, 2:].astype(np.uint8), flipped), tmp_path / "lesion.nii.gz")
    found = import_anatomy([(None, whole), ("tumour", tmp_path / "lesion.nii.gz")]).anatomy
    assert np.array_equal(found.mask("tumour"), mask)


def test_grids_that_do_not_match(tmp_path):
    small, other = COARSE, Small(spacing=(2.0, 2.0, 2.5), turn=10.0)
    sources = [
        (None, write_masks(small, tmp_path / "a", {"liver": "liver"})),
        (None, write_masks(other, tmp_path / "b", {"tumour": "tumor"})),
    ]
    with pytest.raises(GeometryError, match=r"(?s)do not coincide.*40 x 34 x 23 voxels of 3 x 3 x 4 mm.*--resample"):
        import_anatomy(sources)
    found = import_anatomy(sources, resample=True)
    assert any(note.startswith("Resampled onto the grid of the first source") for note in found.notes)
    assert middle(found.anatomy, "tumour") == pytest.approx(small.tumour, abs=0.4)
    volume = found.anatomy.mask("tumour").sum() * np.prod(small.spacing)
    assert volume == pytest.approx(4 / 3 * np.pi * small.radius**3, rel=0.05)


# What cannot be read


def test_tumour_outside_the_liver(tmp_path):
    small = Small(spacing=(2.0, 2.0, 2.0), tumour=(95.0, -20.0, 60.0), radius=4.0)
    folder = write_masks(small, tmp_path / "masks", {"liver": "liver", "tumour": "tumor"})
    with pytest.raises(GeometryError, match=r"'tumour' \(0.2\d+ mL\) lies outside the liver, \d+(.\d+)? mm from it"):
        imported(folder)


def test_volumes_that_cannot_be(tmp_path):
    small = COARSE
    values = np.ones(small.shape, dtype=np.uint8)
    values[:2] = 2
    affine = small.affine @ np.diag([6, 6, 4, 1])
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "labels.nii.gz")
    for read in (
        lambda: Anatomy.read(tmp_path / "labels.nii.gz", {"liver": 1}),
        lambda: imported(tmp_path / "labels.nii.gz", renames={"1": "liver"}),
    ):
        with pytest.raises(GeometryError, match=r"'liver' \(label 1\) takes \S+ mL; a liver takes from 5 to 15000 mL"):
            read()


def test_structures_that_do_not_fit(tmp_path):
    path = COARSE.write(tmp_path)
    with pytest.raises(GeometryError) as caught:
        Anatomy.read(path, {"lvier": 1, "tumour": 9, "portal_vein": "Portal", "hepatic_vein": 2, "vena_cava": 2})
    text = str(caught.value)
    assert "'lvier' is no structure that is known; did you mean 'liver'?" in text
    assert "'tumour': there is no voxel of label 9; it has 1 (" in text
    assert "'portal_vein': the file names no segment 'Portal'" in text
    assert "'vena_cava': label 2 is given to several structures" in text
    with pytest.raises(GeometryError, match=r"does not say what its labels are: 1 \(\d+ mL\).*structures = \{ liver"):
        Anatomy.read(path)
    with pytest.raises(GeometryError, match="has no structure 'tumor'; did you mean 'tumour'"):
        Anatomy.read(path, COARSE.structures).distance("tumor")


def test_empty_and_damaged_files(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), COARSE.affine), tmp_path / "empty.nii.gz")
    with pytest.raises(GeometryError, match="is empty: no voxel of it has a label"):
        imported(tmp_path / "empty.nii.gz")
    with pytest.raises(GeometryError, match="is empty: no voxel of it has a label"):
        Anatomy.read(tmp_path / "empty.nii.gz", {"liver": 1})
    path = COARSE.write(tmp_path, table=True)
    (tmp_path / "labels.json").write_text('{"structures": [{"name": ')
    with pytest.raises(GeometryError, match="does not name the labels of the image beside it: it is damaged"):
        Anatomy.read(path)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(GeometryError, match="is no segmentation that can be read: it is no DICOM file"):
        imported(tmp_path / "notes.txt")
    with pytest.raises(GeometryError, match="does not exist"):
        imported(tmp_path / "none.nii.gz")


# The command


def test_what_is_written_is_the_same_every_time(tmp_path):
    found = imported(COARSE.write(tmp_path, table=True))
    assert files_of(found.anatomy, None, ()) == files_of(found.anatomy, None, ())


def test_command_only_looks_without_a_folder(tmp_path, quick_cli):
    path = COARSE.write(tmp_path, table=True)
    done = quick_cli("anatomy", path)
    assert done.returncode == 0
    assert "tumour" in done.stdout
    assert "Nothing was written" in done.stdout
    assert sorted(each.name for each in tmp_path.iterdir()) == ["labels.json", "labels.nii.gz"]


def test_command_renames_and_leaves_out(tmp_path, quick_cli):
    path = write_segments(COARSE, tmp_path / "x.seg.nrrd", {"liver": "Segment_1", "tumour": "Segment_2"})
    done = quick_cli("anatomy", path, "--name", "Segment_1=liver", "--name", "Segment_2=-", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert [each.name for each in Anatomy.read(tmp_path / "out" / "labels.nii.gz").structures] == ["liver"]


def test_names_that_a_person_gives_stay(tmp_path, quick_cli):
    path = write_segments(COARSE, tmp_path / "x.seg.nrrd", {"liver": "Liver", "tumour": "Segment_2"})
    assert quick_cli("anatomy", path, "--name", "Segment_2=tumour_left", "-o", tmp_path / "out").returncode == 0
    found = Anatomy.read(tmp_path / "out" / "labels.nii.gz")
    assert [(each.name, each.role) for each in found.structures] == [("liver", "liver"), ("tumour_left", "tumour")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--name", "Sgment_1=liver"), "there is no segment 'Sgment_1'; did you mean"),
        (("--name", "Segment_1=lvier"), "'lvier' is no structure that is known; did you mean 'liver'?"),
        (("--atlas", "totalsegmentor"), "there is no numbering 'totalsegmentor'; did you mean 'totalsegmentator'?"),
        ((), "Nothing that was read has a name that is known; it has 'Segment_1'"),
    ],
)
def test_command_writes_nothing_when_something_is_wrong(tmp_path, quick_cli, words, message):
    path = write_segments(COARSE, tmp_path / "x.seg.nrrd", {"liver": "Segment_1", "tumour": "Segment_2"})
    done = quick_cli("anatomy", path, *words, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
