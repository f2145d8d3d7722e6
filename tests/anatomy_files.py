"""Files of small anatomies, as segmentation programs write them, and what holds an anatomy against what was drawn."""

import nibabel
import numpy as np
import pytest
import SimpleITK
from anatomies import LABELS, Small

from ablationsim.anatomy.importing import import_anatomy
from ablationsim.anatomy.sources import Options

NAMES = {"liver": "Liver", "tumour": "Tumor_1", "hepatic_vein": "Hepatic", "portal_vein": "Portal"}
COARSE = Small(spacing=(3.0, 3.0, 4.0))
TIGHT = Small(liver=(30.0, 26.0, 22.0), tumour=(48.0, -16.0, 62.0), radius=8.0)


def write_masks(small, folder, names, form="{}.nii.gz"):
    folder.mkdir()
    for name, called in names.items():
        image = nibabel.Nifti1Image(small.masks()[name].astype(np.uint8), small.affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / form.format(called))
    return folder


def itk_image(values, affine):
    """Of an affine to RAS in mm."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    steps = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(values.T)
    image.SetSpacing(steps.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / steps).ravel().tolist())
    return image


def write_segments(small, path, names):
    """A .seg.nrrd file, of one layer, as 3D Slicer writes it."""
    image = itk_image(small.labels(), small.affine)
    for number, (name, called) in enumerate(names.items()):
        image.SetMetaData(f"Segment{number}_Name", called)
        image.SetMetaData(f"Segment{number}_LabelValue", str(LABELS[name]))
        image.SetMetaData(f"Segment{number}_Layer", "0")
    SimpleITK.WriteImage(image, str(path))
    return path


def write_layers(small, path, names):
    """A .seg.nrrd file in which segments overlap: each in a layer of its own."""
    layers = [itk_image(small.masks()[name].astype(np.uint8), small.affine) for name in names]
    image = SimpleITK.Compose(layers)
    for number, called in enumerate(names.values()):
        image.SetMetaData(f"Segment{number}_Name", called)
        image.SetMetaData(f"Segment{number}_LabelValue", "1")
        image.SetMetaData(f"Segment{number}_Layer", str(number))
    SimpleITK.WriteImage(image, str(path))
    return path


def imported(path, **options):
    return import_anatomy([(None, path)], options=Options(**options))


def middle(anatomy, name):
    """Of a structure, RAS [mm]."""
    image = anatomy.image
    places = np.argwhere(anatomy.mask(name)).mean(axis=0)
    return 1e3 * (image.affine[:3, :3] @ places + image.affine[:3, 3])


def expected_middle(small, name):
    return small.places()[small.labels() == LABELS[name]].mean(axis=0)


def agrees(anatomy, small, names=tuple(NAMES), slack=1e-3):
    """Every structure is where it was drawn, and as large: nothing of it looks the same from another side."""
    cell = np.prod(small.spacing) * 1e-9
    for name in names:
        size = anatomy.mask(name).sum() * np.prod(anatomy.image.spacing)
        assert size == pytest.approx((small.labels() == LABELS[name]).sum() * cell, rel=slack), name
        assert middle(anatomy, name) == pytest.approx(expected_middle(small, name), abs=slack + 1e-3), name
