"""The anatomy of a patient: a label image, and what its labels are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.anatomy.distance import Distance, distance_to
from ablationsim.anatomy.structure import VESSELS, Structure
from ablationsim.anatomy.whole_liver import whole_liver
from ablationsim.errors import GeometryError, best_match
from ablationsim.vessels.image import LabelImage

Bools = NDArray[np.bool_]

# Roles of parts that may be as small as a few voxels.
_FINE = ("tumour", "bile_duct", *VESSELS)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A label image whose labels have names.

    A voxel has one label only. Where structures overlap vessels come before tumours and those before the liver, so that
    the label of the liver has holes: `whole_liver` is the organ.

    Attributes
    ----------
    image : LabelImage
        Values are labels of structures; its affine leads to world coordinates, RAS, in metres.
    structures : tuple of Structure
        In the order of their labels.
    notes : tuple of str
        What a person should know of how it was read, one sentence each.
    """

    image: LabelImage
    structures: tuple[Structure, ...]
    notes: tuple[str, ...] = ()
    _distances: dict[tuple[object, ...], Distance] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: str | Path, structures: Mapping[str, int | str] | None = None) -> Anatomy:
        """Read a label image in which every voxel has one label: .nii, .nii.gz, .nrrd, .seg.nrrd, .nhdr, .mha or .mhd.

        Everything else (DICOM, folders of masks, overlapping segments) is made into one by ``ablationsim anatomy``.

        Parameters
        ----------
        path : str or Path
        structures : mapping of str to int or str, optional
            Label, or name in the file, of each structure, such as ``{"liver": 1, "tumour": 4}``. When not given the
            file says it (the segments of a .seg.nrrd file, ``labels.json`` beside ``labels.nii.gz``, or the table
            that TotalSegmentator leaves in its NIfTI files).

        Raises
        ------
        GeometryError
            When the image cannot be read (see `LabelImage.read`), does not name its labels and no structures are
            given, or a structure has a name that is not known or no voxel.
        """
        from ablationsim.anatomy.reading import read_anatomy

        image, found, notes = read_anatomy(Path(path), structures)
        return cls(image, found, notes)

    def named(self, name: str) -> Structure:
        """Return a structure by its name.

        Raises
        ------
        GeometryError
            When there is none of this name.
        """
        for structure in self.structures:
            if structure.name == name:
                return structure
        known = [structure.name for structure in self.structures]
        raise GeometryError(f"{self.image.source} has no structure '{name}'{best_match(name, known)}.")

    def of_role(self, *roles: str) -> tuple[Structure, ...]:
        """Return the structures that have one of some roles; none when there is none."""
        return tuple(structure for structure in self.structures if structure.role in roles)

    def mask(self, *names: str) -> Bools:
        """Return which voxels belong to one of some structures, shape (i, j, k).

        Raises
        ------
        GeometryError
            When one of them does not exist.
        """
        labels = [self.named(name).label for name in names]
        return np.isin(self.image.values, labels)

    @cached_property
    def whole_liver(self) -> Bools:
        """Which voxels the liver takes with the tumours and vessels in it, shape (i, j, k).

        Raises
        ------
        GeometryError
            When there is no liver.
        """
        liver = self.of_role("liver")
        if not liver:
            known = ", ".join(f"'{structure.name}'" for structure in self.structures)
            raise GeometryError(f"{self.image.source} has no liver; it has {known}. Give its label under 'liver'.")
        return whole_liver(self)

    def distance(self, *names: str, whole_liver: bool = False) -> Distance:
        """Return the signed distance to the surface of the union of some structures, or of the whole liver.

        It is made once, and kept on disk.

        Parameters
        ----------
        *names : str
        whole_liver : bool
            The whole liver, instead of names.

        Raises
        ------
        GeometryError
            When a structure does not exist, or neither or both of names and `whole_liver` are given.
        """
        if bool(names) == whole_liver:
            raise GeometryError("A distance is to structures, by their names, or to the whole liver: give one of both.")
        key = (whole_liver, *sorted(names))
        if key not in self._distances:
            mask = self.whole_liver if whole_liver else self.mask(*names)
            what = "the whole liver" if whole_liver else " and ".join(names)
            fine = not whole_liver and any(self.named(name).role in _FINE for name in names)
            self._distances[key] = distance_to(mask, self.image.affine, f"{what} of {self.image.source}", fine)
        return self._distances[key]
