"""The sample anatomy: what its label image and its centrelines promise."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from ablationsim.vessels.image import LabelImage

MESHES = Path(__file__).parents[2] / "meshes"
LABELS = {"hepatic": 2, "portal": 3}
LIVER, TUMOUR = 1, 4


@pytest.fixture(scope="module")
def image():
    return LabelImage.read(MESHES / "anatomy_labels.nii.gz")


@pytest.fixture(scope="module")
def trees():
    """Rows of x, y, z and radius [mm] of each branch, and the branch before it, by tree and number."""
    rows, parents = defaultdict(list), {}
    with (MESHES / "anatomy_trees.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = (row["tree"], int(row["branch"]))
            rows[key].append([float(row[name]) for name in ("x_mm", "y_mm", "z_mm", "radius_mm")])
            parents[key] = int(row["parent"]) if row["parent"] else None
    return {key: (np.array(points), parents[key]) for key, points in rows.items()}


def trunk_of(tree, trees):
    (trunk,) = (number for (name, number), (_, parent) in trees.items() if name == tree and parent is None)
    return trunk


def test_small_enough_to_ship():
    assert (MESHES / "anatomy_labels.nii.gz").stat().st_size < 250_000


def test_volumes(image):
    volumes = {content.label: content.volume * 1e6 for content in image.contents()}
    assert set(volumes) == {1, 2, 3, 4}
    # The vessels and the tumour take their place from the liver; the vena cava and the portal trunk lie outside.
    assert volumes[1] + volumes[2] + volumes[3] + volumes[4] == pytest.approx(1400.0, rel=0.05)
    assert volumes[4] == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.05)


@pytest.mark.parametrize("label", [2, 3, 4])
def test_each_vessel_tree_is_in_one_piece(image, label):
    assert ndimage.label(image.values == label, np.ones((3, 3, 3)))[1] == 1


def test_trees_keep_apart(image):
    hepatic, portal, tumour = (image.values == label for label in (2, 3, 4))
    near = ndimage.binary_dilation(hepatic, np.ones((3, 3, 3)))
    assert not (near & portal).any()
    assert not (ndimage.binary_dilation(tumour, np.ones((3, 3, 3))) & (hepatic | portal)).any()


def test_centrelines_lie_in_their_labels(image, trees):
    inverse = np.linalg.inv(image.affine)
    for (tree, _), (rows, _) in trees.items():
        indices = np.rint(rows[:, :3] * 1e-3 @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
        inside = image.values[tuple(indices.T)] == LABELS[tree]
        assert inside[1:-1].all()


def test_branches_begin_where_the_one_before_ends(trees):
    for (tree, _), (rows, parent) in trees.items():
        if parent is not None:
            before = trees[tree, parent][0]
            assert rows[0, :3] == pytest.approx(before[-1, :3], abs=0.011)


def test_murrays_law(trees):
    for tree in LABELS:
        children = defaultdict(list)
        for (name, number), (rows, parent) in trees.items():
            if name == tree and parent is not None:
                children[parent].append((number, rows))
        for parent, found in children.items():
            if tree == "hepatic" and parent == trunk_of("hepatic", trees):
                continue  # The vena cava carries the blood of the lower body as well.
            cubes = sum(rows[0, 3] ** 3 for _, rows in found)
            assert cubes ** (1 / 3) == pytest.approx(trees[tree, parent][0][-1, 3], rel=0.01)


def test_diameters(trees):
    trunk = {tree: max(rows[:, 3].max() for (name, _), (rows, _) in trees.items() if name == tree) for tree in LABELS}
    assert 2 * trunk["portal"] == pytest.approx(12.6, abs=0.1)
    assert min(2 * rows[:, 3].min() for rows, _ in trees.values()) == pytest.approx(2.3, abs=0.1)
    cava = trunk_of("hepatic", trees)
    veins = [2 * rows[0, 3] for (tree, _), (rows, parent) in trees.items() if tree == "hepatic" and parent == cava]
    assert sorted(veins)[:3] == pytest.approx([10.0, 10.0, 10.0], abs=0.1)


def test_tumour_lies_beside_a_vein(image, trees):
    tumour = next(content for content in image.contents() if content.label == TUMOUR)
    centre = tumour.centroid * 1e3
    gap, diameter, tree = min(
        (float((np.linalg.norm(rows[:, :3] - centre, axis=1) - rows[:, 3]).min()) - 12.0, 2 * rows[0, 3], tree)
        for (tree, _), (rows, _) in trees.items()
    )
    assert tree == "hepatic"
    assert gap == pytest.approx(4.0, abs=0.5)
    assert 6.0 < diameter < 8.5
