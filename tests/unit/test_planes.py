"""The anatomical planes show the patient the way round that radiologists expect, and everything where it is."""

import dataclasses

import numpy as np
import pytest
from anatomies import Small
from drawn import SMALL, ZONE, drawn
from matplotlib.figure import Figure

from ablationsim.case import Case
from ablationsim.case.patient import PatientSection
from ablationsim.errors import GeometryError
from ablationsim.report.data import GreyImage
from ablationsim.report.patient import patient_drawing, read_grey
from ablationsim.report.planes import VIEWS, grey, half_width, three_planes

RIGHT, FRONT, HEAD = np.eye(3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("patient"))


@pytest.fixture(scope="module")
def figure(data) -> Figure:
    return three_planes(data)


def marked(axes: str, place: np.ndarray) -> GreyImage:
    """An image on a grid of some order of axes, bright at a place [mm] and dark elsewhere."""
    grid = Small(axes=axes, spacing=(1.0, 1.5, 2.0))
    values = 100.0 * np.exp(-((np.linalg.norm(grid.places() - place, axis=-1) / 3.0) ** 2))
    affine = grid.affine.copy()
    affine[:3] *= 1e-3
    return GreyImage(values.astype(np.float32), affine)


def test_the_planes_are_seen_as_radiologists_look_at_them():
    axial, coronal, sagittal = (view.through(np.zeros(3)) for view in VIEWS)
    # The eye is at the feet, in front, and at the patient's left; the patient's right is on the left of the picture.
    assert axial.normal == pytest.approx(-HEAD)
    assert coronal.normal == pytest.approx(FRONT)
    assert sagittal.normal == pytest.approx(-RIGHT)
    assert axial.project(0.01 * (RIGHT + FRONT)[None]) == pytest.approx(np.array([[-10.0, 10.0]]))
    assert coronal.project(0.01 * (RIGHT + HEAD)[None]) == pytest.approx(np.array([[-10.0, 10.0]]))
    assert sagittal.project(0.01 * (FRONT + HEAD)[None]) == pytest.approx(np.array([[-10.0, 10.0]]))
    letters = {"R": RIGHT, "L": -RIGHT, "A": FRONT, "P": -FRONT, "S": HEAD, "I": -HEAD}
    for view in VIEWS:
        left, right, upper, lower = (letters[letter] for letter in view.letters)
        np.testing.assert_array_equal(right, view.right)
        np.testing.assert_array_equal(left, -right)
        np.testing.assert_array_equal(upper, view.up)
        np.testing.assert_array_equal(lower, -upper)
        assert view.axis == int(np.flatnonzero(np.cross(view.right, view.up))[0])


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SRA", "ILA"])
def test_a_bright_place_of_an_image_is_where_it_is_in_the_patient(axes):
    centre = np.array([40.0, -20.0, 60.0])
    place = centre + np.array([9.0, 5.0, -7.0])  # right, front, feet
    image = marked(axes, place)
    for view in VIEWS:
        middle = centre.copy()
        middle[view.axis] = place[view.axis]
        plane = view.through(1e-3 * middle)
        values = grey(image, plane, 20.0, 101)
        row, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
        found = (np.array([column, row]) + 0.5) * 40.0 / 101 - 20.0
        assert found == pytest.approx(plane.project(1e-3 * place[None])[0], abs=1.0)
    assert np.isnan(grey(image, VIEWS[0].through(np.array([5.0, 5.0, 5.0])), 20.0, 11)).all()


def test_a_picture_of_the_patient_is_read_into_ras(tmp_path):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((10.0, 20.0, 30.0))  # LPS, mm
    for name in ("ct.nrrd", "ct.nii.gz"):
        sitk.WriteImage(image, str(tmp_path / name))
        read = read_grey(tmp_path / name)
        assert read.values.shape == (4, 3, 2)
        assert read.values[3, 2, 1] == 23
        last = read.affine @ [3, 2, 1, 1]
        assert last[:3] == pytest.approx(np.array([-13.0, -24.0, 33.0]) * 1e-3, abs=1e-6)
    with pytest.raises(GeometryError, match=r"none\.nii\.gz"):
        read_grey(tmp_path / "none.nii.gz")


def extents(figure: Figure, colour: str, panel: int) -> np.ndarray:
    """Half the width and height in mm of the contours of a colour in a panel."""
    from matplotlib.collections import Collection
    from matplotlib.colors import same_color

    points = [
        path.vertices
        for collection in figure.axes[panel].findobj(Collection)
        if len(collection.get_edgecolor()) and same_color(collection.get_edgecolor()[0], colour)
        for path in collection.get_paths()
        if len(path.vertices)
    ]
    every = np.vstack(points)
    return 0.5 * np.ptp(every, axis=0)


def test_the_planes_show_zone_and_wanted_margin_in_millimetres(data, figure):
    assert len(figure.axes) == 3
    for panel, (ax, view) in enumerate(zip(figure.axes, VIEWS, strict=True)):
        assert ax.get_title().startswith(view.name)
        assert "mm" in ax.get_title()
        # The zone and its contracted outline have one colour; the larger is the zone of 15 mm.
        assert extents(figure, "#00d5e0", panel) == pytest.approx([ZONE, ZONE], abs=0.7)
        assert extents(figure, "#ff7ac8", panel) == pytest.approx([SMALL.radius + 5.0] * 2, abs=0.4)
        half = half_width(data, data.patient)
        assert (ax.get_xlim(), ax.get_ylim()) == ((-half, half), (-half, half))
        assert {text.get_text() for text in ax.texts} == set(view.letters)
    words = [text.get_text() for text in figure.legends[0].texts]
    assert {"zone, undeformed", "zone, contracted", "tumour", "wanted: tumour + 5 mm", "liver"} <= set(words)
    assert {"hepatic vein", "portal vein"} <= set(words)


def test_the_title_says_where_the_plane_is(figure):
    titles = [ax.get_title() for ax in figure.axes]
    # The middle of the tumour: 50 mm right, 15 mm behind, 63 mm up in the coordinates of the image.
    for title, text in zip(titles, ("S = 63.0 mm", "A = −15.0 mm", "R = 50.0 mm"), strict=True):
        assert text in title


def test_an_image_lies_under_the_planes(data):
    image = marked("LPS", np.array(SMALL.tumour))
    figure = three_planes(dataclasses.replace(data, patient=dataclasses.replace(data.patient, image=image)))
    for ax in figure.axes:
        (picture,) = ax.images
        values = np.asarray(picture.get_array())
        row, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
        assert abs(row - values.shape[0] / 2) < 4
        assert abs(column - values.shape[1] / 2) < 4


def case_of(folder, small: Small, **patient) -> Case:
    return Case.from_dict(
        {
            "patient": {"labels": str(small.write(folder)), "structures": small.structures, **patient},
            "applicator": [
                {
                    "name": "needle",
                    "profile": "mwa_emprint_13g_like",
                    "tip": [f"{x} mm" for x in small.tumour],
                    "direction": [0.6, 0.64, 0.48],
                    "protocol": [{"mode": "power", "power": "30 W", "duration": "5 s"}],
                }
            ],
            "tissue": {"set": "liver_human"},
        }
    )


def test_what_the_images_have_near_the_target_is_drawn(tmp_path):
    small = dataclasses.replace(SMALL, colon=True, rib=True)
    case = case_of(tmp_path, small)
    patient, problems = patient_drawing(case, 1e-3 * np.array(small.tumour))
    assert problems == []
    roles = {structure.name: structure.role for structure in patient.structures}
    assert roles["colon"] == "organ"
    assert roles["rib_right_8"] == "bone"
    assert {"liver", "tumour", "hepatic_vein", "portal_vein"} <= set(roles)
    liver = next(structure for structure in patient.structures if structure.role == "liver")
    inside = 4 / 3 * np.pi * np.prod(small.liver)
    assert 1e9 * liver.wall.volume == pytest.approx(inside, rel=0.03)  # with its tumour and vessels
    # Nothing but the liver and what is in it where the target is far from the rest.
    far, _ = patient_drawing(case, np.array([0.5, 0.5, 0.5]))
    assert {structure.role for structure in far.structures} <= {"liver", "tumour", "hepatic_vein", "portal_vein"}


def test_the_skin_is_outside_everything_that_has_a_label(tmp_path):
    import nibabel

    labels = np.zeros((40, 36, 30), dtype=np.uint8)
    labels[4:36, 4:32, 3:27] = 1  # body: 96 x 84 x 72 mm
    labels[12:28, 10:26, 8:22] = 2  # liver
    image = nibabel.Nifti1Image(labels, np.diag([-3.0, 3.0, 3.0, 1.0]))
    nibabel.save(image, tmp_path / "body.nii.gz")
    patient = PatientSection(labels=str(tmp_path / "body.nii.gz"), structures={"body": 1, "liver": 2})
    case = dataclasses.replace(case_of(tmp_path, SMALL), patient=patient)
    drawing, _ = patient_drawing(case, np.array([-0.06, 0.05, 0.045]))
    (body,) = drawing.of_role("body")
    assert 1e3 * np.ptp(body.wall.points, axis=0) == pytest.approx([96.0, 84.0, 72.0], abs=6.0)
    # There is no second surface inside, where the liver is cut out of its label.
    assert 1e6 * body.wall.volume == pytest.approx(96.0 * 84.0 * 72.0 / 1e3, rel=0.08)


def test_a_ct_that_cannot_be_read_is_said_and_left_out(tmp_path):
    (tmp_path / "ct.nii.gz").write_bytes(b"no image")
    case = case_of(tmp_path, SMALL, ct=str(tmp_path / "ct.nii.gz"))
    patient, problems = patient_drawing(case, 1e-3 * np.array(SMALL.tumour))
    assert patient.image is None
    (problem,) = problems
    assert "ct.nii.gz" in problem
