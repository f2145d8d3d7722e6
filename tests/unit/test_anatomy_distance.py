"""Distances to the parts of a patient, and the liver as a whole."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from anatomies import LABELS
from anatomy_files import COARSE, TIGHT

from ablationsim.anatomy import Anatomy

MM = 1e-3


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (1.0, 1.0, 5.0), (4.0, 1.0, 1.2)])
def test_distance_to_a_ball(tmp_path, spacing):
    small = replace(TIGHT, spacing=spacing, axes="PSL", turn=15.0)
    distance = small.read(tmp_path).distance("tumour")
    places = np.array(small.tumour) + np.random.default_rng(0).normal(scale=12.0, size=(4000, 3))
    exact = np.linalg.norm(places - small.tumour, axis=1) - small.radius
    error = 1e3 * distance(places * MM) - exact
    largest = max(spacing)
    assert abs(error.mean()) < 0.05 * largest
    assert error.std() < 0.15 * largest
    assert abs(error).max() < 0.5 * largest
    voxels = (small.labels() == LABELS["tumour"]).sum() * np.prod(spacing)
    assert distance.surface().volume == pytest.approx(voxels * 1e-9, rel=1e-3)


def test_distance_is_zero_on_its_surface_and_has_slope_one(tmp_path):
    small = replace(TIGHT, spacing=(1.2, 1.2, 2.5))
    distance = small.read(tmp_path).distance("tumour")
    wall = distance.surface()
    assert abs(distance(wall.points)).max() < 0.2 * MM
    # Far outside the grid as well, and deep inside.
    ways = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0.6, 0.8]])
    near, far = (distance(np.array(small.tumour) * MM + way * ways) for way in (20 * MM, 70 * MM))
    assert far - near == pytest.approx(50 * MM, abs=0.3 * MM)
    # Its depth, less what the voxels of a ball are rough.
    assert distance(np.array([small.tumour]) * MM) == pytest.approx(-small.radius * MM, abs=1.25 * MM)


def test_gap_between_tumour_and_vein(tmp_path):
    small = replace(TIGHT, spacing=(1.0, 1.0, 2.0), gap=6.0)
    found = small.read(tmp_path)
    gap = found.distance("hepatic_vein")(found.distance("tumour").surface().points).min()
    assert gap == pytest.approx(6.0 * MM, abs=0.5 * MM)


def test_distance_is_the_same_from_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATIONSIM_CACHE", str(tmp_path / "cache"))
    places = np.random.default_rng(1).uniform(-20, 100, size=(200, 3)) * MM
    first = COARSE.read(tmp_path).distance("tumour", "hepatic_vein")
    assert len(list((tmp_path / "cache" / "anatomies").glob("*.npz"))) == 1
    second = COARSE.read(tmp_path).distance("hepatic_vein", "tumour")
    assert np.array_equal(first(places), second(places))
    assert np.array_equal(first.surface().points, second.surface().points)


def test_whole_liver(tmp_path):
    small = replace(TIGHT, spacing=(1.5, 1.5, 3.0), rib=True)
    found = small.read(tmp_path)
    exact = 4 / 3 * np.pi * np.prod(small.liver)
    alone = found.mask("liver").sum() * np.prod(small.spacing)
    whole = found.whole_liver
    assert alone < 0.98 * exact
    assert whole.sum() * np.prod(small.spacing) == pytest.approx(exact, rel=0.01)
    assert (whole & found.mask("tumour")).sum() == found.mask("tumour").sum()
    assert not (whole & found.mask("rib_right_8")).any()
    assert found.distance(whole_liver=True).surface().volume * 1e9 == pytest.approx(exact, rel=0.01)


def test_vessels_outside_are_not_liver(tmp_path):
    small = COARSE
    values = small.labels()
    at = small.places()
    right, front = small.vein_axis
    values[(np.hypot(at[..., 0] - right, at[..., 1] - front) <= 4) & (values == 0)] = LABELS["hepatic_vein"]
    nibabel.save(nibabel.Nifti1Image(values, small.affine), tmp_path / "labels.nii.gz")
    found = Anatomy.read(tmp_path / "labels.nii.gz", small.structures)
    outside = found.whole_liver & ~small.masks()["liver"]
    assert outside.sum() < 0.1 * (found.mask("hepatic_vein") & ~small.masks()["liver"]).sum()
