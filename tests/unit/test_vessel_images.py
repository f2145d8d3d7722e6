"""Label images, the walls and centrelines of what they show, and the tubes that are drawn round centrelines."""

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy import ndimage
from skimage.measure import euler_number

from ablationsim.errors import GeometryError
from ablationsim.vessels.centreline import centreline_of, centreline_of_wall
from ablationsim.vessels.image import LabelImage, mask_at, shape_of_label
from ablationsim.vessels.thinning import thinned
from ablationsim.vessels.tube import tube, wall_of
from ablationsim.vessels.vessel import Centreline

MM = 1e-3
ANISOTROPIC = (0.9, 0.9, 5.0)


def grid(shape, spacing):
    """Centres of voxels [mm], shape (i, j, k, 3), the first at the origin."""
    return np.stack(np.meshgrid(*(s * np.arange(n) for n, s in zip(shape, spacing, strict=True)), indexing="ij"), -1)


def affine_of(spacing, scale=MM):
    affine = np.diag([*(s * scale for s in spacing), 1.0])
    affine[:3, 3] = np.array([-10.0, 20.0, -30.0]) * scale
    return affine


def distance_to_line(places, start, end):
    """From a piece of a line; shape (...)."""
    start, end = np.array(start, float), np.array(end, float)
    part = np.clip((places - start) @ (end - start) / ((end - start) @ (end - start)), 0.0, 1.0)
    return np.linalg.norm(places - start - part[..., None] * (end - start), axis=-1)


def image_of(inside, spacing, label=1):
    return LabelImage(np.where(inside, label, 0).astype(np.uint16), affine_of(spacing))


def is_closed(wall):
    """Every edge is passed once in each direction."""
    edges = np.vstack([wall.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    forward, backward = (set(map(tuple, e)) for e in (edges, edges[:, ::-1]))
    return len(forward) == len(edges) and forward == backward


def save_nifti(path, values, affine=None, codes=(1, 1)):
    image = nibabel.Nifti1Image(values, affine_of((1, 1, 2), 1.0) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(image.affine, codes[0])
    image.set_qform(image.affine if codes[1] else None, codes[1])
    nibabel.save(image, path)
    return path


@pytest.fixture
def labels():
    values = np.zeros((8, 9, 10), dtype=np.uint8)
    values[1:3, 2:5, 3:7] = 1
    values[5, 5, 5] = 7
    return values


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_read_every_format_alike(tmp_path, labels, ending):
    path = tmp_path / f"labels{ending}"
    if ending.startswith(".nii"):
        save_nifti(path, labels)
    else:
        image = SimpleITK.GetImageFromArray(labels.T)
        image.SetSpacing((1.0, 1.0, 2.0))
        image.SetOrigin((10.0, -20.0, -30.0))  # The same place in LPS.
        image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
        SimpleITK.WriteImage(image, str(path))
    image = LabelImage.read(path)
    assert np.array_equal(image.values, labels)
    assert image.affine == pytest.approx(affine_of((1, 1, 2)), abs=1e-9)
    first, second = image.contents()
    assert (first.label, first.voxels, second.label, second.voxels) == (1, 24, 7, 1)
    assert first.volume == pytest.approx(48e-9)
    assert first.centroid == pytest.approx(np.array([-8.5, 23.0, -21.0]) * MM)


def test_read_micrometres(tmp_path, labels):
    image = nibabel.Nifti1Image(labels, np.diag([800.0, 800.0, 800.0, 1.0]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "labels.nii")
    assert LabelImage.read(tmp_path / "labels.nii").spacing == pytest.approx(0.8e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 4, 4, 2), dtype=np.uint8), "4 dimensions"),
        (np.full((4, 4, 4), 0.5, dtype=np.float32), "probabilities"),
        (np.full((4, 4, 4), -1000, dtype=np.int16), "grey values"),
        (np.arange(1331, dtype=np.int16).reshape(11, 11, 11), "1331 different values"),
    ],
)
def test_what_is_no_label_image(tmp_path, values, message):
    with pytest.raises(GeometryError, match=message):
        LabelImage.read(save_nifti(tmp_path / "image.nii", values))


def test_whole_numbers_stored_as_floats(tmp_path, labels):
    path = save_nifti(tmp_path / "labels.nii", labels.astype(np.float64))
    assert np.array_equal(LabelImage.read(path).values, labels)


def test_image_without_a_place(tmp_path, labels):
    with pytest.raises(GeometryError, match="sform_code and qform_code are 0"):
        LabelImage.read(save_nifti(tmp_path / "labels.nii", labels, codes=(0, 0)))


def test_implausible_voxels(tmp_path, labels):
    with pytest.raises(GeometryError, match="voxels of 1000 x 1000 x 2000 mm"):
        LabelImage.read(save_nifti(tmp_path / "labels.nii", labels, affine_of((1000, 1000, 2000), 1.0)))


def test_sheared_voxels(tmp_path, labels):
    affine = np.eye(4)
    affine[0, 2] = 0.3
    with pytest.raises(GeometryError, match="sheared"):
        LabelImage.read(save_nifti(tmp_path / "labels.nii", labels, affine, codes=(1, 0)))


def test_damaged_files(tmp_path, labels):
    path = save_nifti(tmp_path / "labels.nii.gz", labels)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "labels.mha").write_text("this is no image")
    for name in ("labels.nii.gz", "labels.mha"):
        with pytest.raises(GeometryError, match="damaged or incomplete"):
            LabelImage.read(tmp_path / name)
    with pytest.raises(GeometryError, match="does not exist"):
        LabelImage.read(tmp_path / "none.nii")
    (tmp_path / "labels.png").write_bytes(b"")
    with pytest.raises(GeometryError, match="ends in none of"):
        LabelImage.read(tmp_path / "labels.png")


def test_absent_label_names_those_present(labels):
    image = LabelImage(labels.astype(np.uint16), affine_of((1, 1, 1)), "liver.nii")
    with pytest.raises(
        GeometryError, match=r"liver.nii has no voxel of label 3; it has 1 \(24 voxels\), 7 \(1 voxels\)"
    ):
        shape_of_label(image, 3)


def test_slanting_vessel_in_thick_slices():
    # 5 mm radius through slices of 5 mm, 40 degrees from upright: voxels alone would be steps of more than 4 mm.
    places = grid((110, 60, 16), ANISOTROPIC)
    start, end = np.array([20.0, 27.0, 5.0]), np.array([75.0, 27.0, 70.0])
    image = image_of(distance_to_line(places, start, end) < 5.0, ANISOTROPIC)
    wall = shape_of_label(image, 1).wall
    volume = np.count_nonzero(image.values) * 0.9 * 0.9 * 5.0
    assert wall.volume * 1e9 == pytest.approx(volume, rel=0.02)
    assert is_closed(wall)
    assert len(wall.triangles) < 20_000
    points = wall.points / MM - affine_of(ANISOTROPIC)[:3, 3] / MM
    along = (points - start) @ (end - start) / np.linalg.norm(end - start)
    middle = (along > 10.0) & (along < np.linalg.norm(end - start) - 10.0)
    radii = distance_to_line(points[middle], start, end)
    assert radii.mean() == pytest.approx(5.0, rel=0.02)
    assert radii.std() < 0.35


def test_thin_vessels_keep_their_thickness():
    # 3 voxels wide, and one slice high where it lies in the slice.
    places = grid((70, 30, 9), ANISOTROPIC)
    level = distance_to_line(places, (8.0, 13.0, 20.0), (54.0, 13.0, 20.0)) < 2.6
    upright = distance_to_line(places, (30.0, 13.0, 5.0), (30.0, 13.0, 35.0)) < 1.6
    for inside in (level, upright):
        wall = shape_of_label(image_of(inside, ANISOTROPIC), 1).wall
        assert wall.volume * 1e9 == pytest.approx(np.count_nonzero(inside) * 0.9 * 0.9 * 5.0, rel=0.05)


def test_wall_is_capped_at_the_border():
    spacing = (0.9, 0.9, 2.0)
    places = grid((40, 40, 20), spacing)
    image = image_of(np.hypot(places[..., 0] - 18.0, places[..., 1] - 18.0) < 6.0, spacing)
    wall = shape_of_label(image, 1).wall
    caps = wall.points[wall.triangles[wall.capped]] / MM + 30.0
    assert sorted(np.unique(np.round(caps[..., 2], 6))) == pytest.approx([-1.0, 39.0], abs=1e-3)
    # The rims are bevelled, half a voxel wide.
    assert wall.areas[wall.capped].sum() == pytest.approx(2 * np.pi * (5.55 * MM) ** 2, rel=0.03)
    assert wall.areas[~wall.capped].sum() == pytest.approx(2 * np.pi * 6.0 * 40.0 * MM**2, rel=0.05)
    assert is_closed(wall)


def test_region_crops():
    places = grid((40, 40, 40), (1, 1, 1))
    image = image_of(np.hypot(places[..., 0] - 18.0, places[..., 1] - 18.0) < 6.0, (1, 1, 1))
    low, high = np.array([-10.0, 20.0, -20.0]) * MM, np.array([30.0, 60.0, -1.0]) * MM
    wall = shape_of_label(image, 1, (low, high)).wall
    assert wall.points[:, 2].min() / MM == pytest.approx(-20.5, abs=1e-3)
    assert wall.points[:, 2].max() / MM == pytest.approx(-0.5, abs=1e-3)
    assert wall.capped.any()
    with pytest.raises(GeometryError, match="lies outside"):
        shape_of_label(image, 1, (low + 1.0, high + 1.0))
    with pytest.raises(GeometryError, match="holds nothing"):
        shape_of_label(image, 1, (low, low + 2.0 * MM))


def test_left_handed_axes():
    places = grid((30, 30, 30), (1, 1, 1))
    affine = np.diag([-MM, MM, MM, 1.0])
    image = LabelImage((np.linalg.norm(places - 14.0, axis=-1) < 9.0).astype(np.uint16), affine)
    wall = shape_of_label(image, 1).wall
    assert wall.volume * 1e9 == pytest.approx(np.count_nonzero(image.values), rel=0.001)


def test_specks_and_holes():
    places = grid((40, 40, 40), (1, 1, 1))
    inside = np.linalg.norm(places - 18.0, axis=-1) < 9.0
    filled = np.count_nonzero(inside)
    inside[18, 18, 18] = False
    inside[36:38, 36, 36] = True
    shape = shape_of_label(image_of(inside, (1, 1, 1)), 1)
    assert shape.wall.volume * 1e9 == pytest.approx(filled, rel=0.01)
    assert shape.notes == (
        "1 specks of together 2 mm3 beside it were left out.",
        "Holes of together 1 mm3 inside it were filled.",
    )


def test_mask_of_a_sphere():
    spacing = (0.9, 0.9, 2.5)
    centre = np.array([18.0, 18.0, 25.0])
    places = grid((40, 40, 20), spacing)
    image = image_of(np.linalg.norm(places - centre, axis=-1) < 11.0, spacing, label=4)
    middle = centre * MM + affine_of(spacing)[:3, 3]
    directions = np.random.default_rng(0).normal(size=(2000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert mask_at(image, 4, middle + 9.0 * MM * directions) == pytest.approx(1.0, abs=0.1)
    fine = middle + grid((50, 50, 50), (0.5, 0.5, 0.5)).reshape(-1, 3) * MM - 12.5 * MM
    volume = mask_at(image, 4, fine).sum() * 0.125
    assert volume == pytest.approx(np.count_nonzero(image.values) * 0.9 * 0.9 * 2.5, rel=0.02)
    assert mask_at(image, 4, middle + 13.0 * MM * directions) == pytest.approx(0.0, abs=0.1)
    assert mask_at(image, 4, np.array([[9.0, 9.0, 9.0]])) == pytest.approx(0.0)


ISOTROPIC = np.diag([MM, MM, MM, 1.0])


def test_centreline_of_a_cylinder():
    places = grid((40, 40, 60), (1, 1, 1))
    inside = (np.hypot(places[..., 0] - 20.0, places[..., 1] - 20.0) < 5.2) & (abs(places[..., 2] - 30.0) < 25.2)
    line = centreline_of(inside, ISOTROPIC)
    assert len(line.points) == 1
    ends = line.points[0][np.argsort(line.points[0][:, 2])][[0, -1]] / MM
    assert ends == pytest.approx(np.array([[20.0, 20.0, 4.8], [20.0, 20.0, 55.2]]), abs=1.0)
    assert line.radii[0] / MM == pytest.approx(5.2, abs=0.4)


def depth_of(mask):
    return ndimage.distance_transform_edt(np.pad(mask, 1)).astype(np.float32)[1:-1, 1:-1, 1:-1]


def test_thinning_keeps_every_part_and_ring():
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(60, 60, 60)), 2.5)
    body = noise > np.percentile(noise, 80)
    skeleton = thinned(body, depth_of(body), np.ones(3))
    assert (skeleton <= body).all()
    assert skeleton.sum() < 0.1 * body.sum()
    assert ndimage.label(skeleton, np.ones((3, 3, 3)))[1] == ndimage.label(body, np.ones((3, 3, 3)))[1]
    assert euler_number(skeleton, connectivity=3) == euler_number(body, connectivity=3)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_thinning_of_a_bar(width, axis):
    bar = np.zeros((12, 12, 40), dtype=bool)
    bar[4 : 4 + width, 4 : 4 + width, 5:35] = True
    turned = np.moveaxis(bar, 2, axis)
    skeleton = np.moveaxis(thinned(turned, depth_of(turned), np.ones(3)), axis, 2)
    assert skeleton.any(axis=(0, 1)).sum() >= 30 - width
    # Lines to the eight corners come on top.
    assert skeleton.sum() <= 30 + 8 * (width // 2)


def test_centreline_of_a_bifurcation():
    places = grid((60, 40, 60), (1, 1, 1))
    fork = (30, 20, 28)
    arms = [((30, 20, 4), 5.0), ((11, 20, 52), 4.0), ((49, 20, 52), 3.0)]
    inside = np.any([distance_to_line(places, fork, tip) < radius for tip, radius in arms], axis=0)
    line = centreline_of(inside, ISOTROPIC)
    numbers, counts = np.unique(line.ends, return_counts=True)
    assert len(line.points) == 3
    assert sorted(counts) == [1, 1, 1, 3]
    junction = int(numbers[counts == 3][0])
    for points, radii, ends in zip(line.points, line.radii, line.ends, strict=True):
        inner, outer = (points[0], points[-1]) if ends[0] == junction else (points[-1], points[0])
        assert inner / MM == pytest.approx(np.array(fork), abs=3.0)
        tip, radius = min(arms, key=lambda arm: np.linalg.norm(outer / MM - arm[0]))
        # The arms end round, one radius beyond their tips.
        assert np.linalg.norm(outer / MM - tip) < 1.5 * radius
        assert np.median(radii) / MM == pytest.approx(radius, rel=0.15)


def test_centreline_of_a_ring():
    places = grid((50, 50, 20), (1, 1, 1))
    ring = np.hypot(np.hypot(places[..., 0] - 25.0, places[..., 1] - 25.0) - 16.0, places[..., 2] - 10.0) < 3.5
    line = centreline_of(ring, ISOTROPIC)
    assert len(line.points) == 2
    assert sorted(np.bincount(line.ends.ravel())) == [1, 1, 2]
    length = sum(np.linalg.norm(np.diff(points, axis=0), axis=1).sum() for points in line.points)
    assert length / MM == pytest.approx(2 * np.pi * 16.0, rel=0.1)


def test_every_part_has_a_branch():
    places = grid((60, 30, 30), (1, 1, 1))
    ball = np.linalg.norm(places - (12.0, 15.0, 15.0), axis=-1) < 8.0
    single = np.zeros_like(ball)
    single[40, 15, 15] = True
    line = centreline_of(ball | single, ISOTROPIC)
    assert len(line.points) == 2
    assert np.unique(line.ends).tolist() == [0, 1, 2, 3]
    # The ball: as long as wide, and its volume.
    length = max(np.linalg.norm(points[-1] - points[0]) for points in line.points)
    assert length / MM == pytest.approx(16.0, abs=1.0)
    volume = sum(
        np.pi * radii[0] ** 2 * np.linalg.norm(points[-1] - points[0])
        for points, radii in zip(line.points, line.radii, strict=True)
    )
    assert volume * 1e9 == pytest.approx(np.count_nonzero(ball) + 1.0, rel=0.01)
    with pytest.raises(GeometryError, match="not one voxel"):
        centreline_of(np.zeros((3, 3, 3), dtype=bool), ISOTROPIC)


@pytest.mark.parametrize("diameter", [8.0, 2.0])
def test_centreline_of_a_long_thin_wall(diameter):
    ends = np.array([[0.0, 0.0, 0.0], [90.0, 60.0, 100.0]]) * MM
    line = centreline_of_wall(tube(ends, diameter * MM).wall)
    assert len(line.points) == 1
    found = line.points[0][[0, -1]]
    found = found if found[0] @ ends[1] < found[1] @ ends[1] else found[::-1]
    assert found == pytest.approx(ends, abs=0.5 * diameter * MM)
    assert line.radii[0] == pytest.approx(0.5 * diameter * MM, rel=0.02)


def test_centreline_of_the_wall_of_a_tree():
    tree = Centreline(
        (
            np.array([[0.0, 0, 0], [0, 0, 30.0]]) * MM,
            np.array([[0.0, 0, 30.0], [15.0, 0, 55.0]]) * MM,
            np.array([[0.0, 0, 30.0], [-18.0, 5.0, 52.0]]) * MM,
        ),
        (np.full(2, 4 * MM), np.full(2, 3 * MM), np.full(2, 1.5 * MM)),
        np.array([[0, 1], [1, 2], [1, 3]]),
    )
    line = centreline_of_wall(wall_of(tree))
    assert sorted(np.bincount(line.ends.ravel())) == [1, 1, 1, 3]
    assert sorted(np.median(radii) / MM for radii in line.radii) == pytest.approx([1.5, 3.0, 4.0], rel=0.1)


def test_centreline_of_a_wall_that_is_too_thin():
    with pytest.raises(GeometryError, match="can be resolved"):
        centreline_of_wall(tube(np.array([[0.0, 0, 0], [0.3, 0, 0], [0.3, 0.3, 0], [0.3, 0.3, 0.3]]), 0.2 * MM).wall)


def test_tube_area_and_volume():
    points = np.array([[0.0, 0, 0], [0, 0, 50.0], [20.0, 5.0, 80.0], [20.0, 40.0, 90.0]]) * MM
    shape = tube(points, 5.0 * MM)
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    wall = shape.wall
    assert is_closed(wall)
    assert wall.areas[~wall.capped].sum() == pytest.approx(np.pi * 5.0 * MM * length, rel=1e-9)
    assert wall.volume == pytest.approx(np.pi * (2.5 * MM) ** 2 * length, rel=0.005)
    assert wall.areas[wall.capped].sum() == pytest.approx(2 * np.pi * (2.5 * MM) ** 2, rel=0.005)
    assert shape.centreline.points[0] == pytest.approx(points)
    assert shape.centreline.radii[0] == pytest.approx(2.5 * MM)
    assert shape.centreline.ends.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("points", "diameter", "message"),
    [
        ([[0, 0, 0]], 5.0, "at least two points"),
        ([[0, 0, 0], [0, 0, 0], [0, 0, 9]], 5.0, r"coincide at \(0.0, 0.0, 0.0\) mm"),
        ([[0, 0, 0], [0, 0, float("nan")]], 5.0, "finite"),
        ([[0, 0, 0], [0, 0, 9]], 0.0, "positive diameter"),
        ([[0, 0, 0], [0, 0, 9], [2, 0, 1]], 5.0, r"166 degrees at \(0.0, 0.0, 9.0\) mm"),
    ],
)
def test_tubes_that_cannot_be(points, diameter, message):
    with pytest.raises(GeometryError, match=message):
        tube(np.array(points, dtype=float) * MM, diameter * MM)


def test_wall_of_a_tapering_branch():
    first, last, length = 3.0 * MM, 1.5 * MM, 50.0 * MM
    line = Centreline((np.array([[0, 0, 0], [0, 0, length]]),), (np.array([first, last]),), np.array([[0, 1]]))
    wall = wall_of(line)
    assert is_closed(wall)
    assert wall.volume == pytest.approx(np.pi * length / 3 * (first**2 + first * last + last**2), rel=0.02)
    side = np.pi * (first + last) * np.hypot(length, first - last)
    assert wall.areas[~wall.capped].sum() == pytest.approx(side, rel=0.02)
    assert np.ptp(wall.points[:, 2]) == pytest.approx(length, rel=0.01)


def test_wall_of_a_tree_too_thin_for_its_extent():
    line = Centreline((np.array([[0.0, 0, 0], [0.3, 0.3, 0.3]]),), (np.full(2, 0.1 * MM),), np.array([[0, 1]]))
    with pytest.raises(GeometryError, match="too thin for their extent"):
        wall_of(line)
