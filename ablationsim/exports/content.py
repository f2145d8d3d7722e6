"""What of a run is written for other programs: bodies in the patient, and the needles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import GeometryError, OutputError
from ablationsim.exports.grid import ImageGrid
from ablationsim.geometry.geometry import Geometry, centrelines
from ablationsim.results import Result
from ablationsim.study.overlap import predicted_zone
from ablationsim.vessels.image import LabelImage
from ablationsim.zone.case_margins import target_of
from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.voxels import Bools

MARGIN = 10e-3
"""How far images reach beyond what they show, where the patient's own image does not say [m]."""

_COLOURS = {
    "zone": (0.85, 0.35, 0.10),
    "zone_contracted": (0.95, 0.70, 0.15),
    "tumour": (0.45, 0.20, 0.55),
    "needle": (0.35, 0.40, 0.45),
}


@dataclass(frozen=True, eq=False)
class Body:
    """Something that takes up room in the patient.

    Attributes
    ----------
    name : str
        Becomes the name of a file.
    title : str
        What a person reads in a list of segments.
    colour : tuple of float
        Red, green and blue, 0 to 1.
    surface : Surface or None
        Closed triangles, world coordinates (RAS) [m]; None of needles.
    lines : tuple of ((k, 3) float64, float)
        Centrelines of needles and their radius [m].
    """

    name: str
    title: str
    colour: tuple[float, float, float]
    surface: Surface | None = None
    lines: tuple[tuple[Floats, float], ...] = ()

    @property
    def points(self) -> Floats:
        """Points that it lies between, shape (n, 3), in metres."""
        if self.surface is not None:
            return self.surface.points
        return np.vstack([line for line, _ in self.lines])

    def on(self, grid: ImageGrid) -> Bools:
        """Return which voxels it takes."""
        return grid.of_rods(self.lines) if self.surface is None else grid.of_surface(self.surface)


@dataclass(frozen=True, eq=False)
class Needle:
    """A needle as a line.

    Attributes
    ----------
    name : str
        Becomes the name of a file.
    title : str
        What a person reads.
    entry, tip : (3,) float64
        Where it enters the patient, or where no entry is known a place on the shaft beyond the zone; and its tip.
        World coordinates, RAS [m].
    """

    name: str
    title: str
    entry: Floats
    tip: Floats


@dataclass(frozen=True, eq=False)
class Content:
    """What of a run is written.

    Attributes
    ----------
    result : Result
    bodies : tuple of Body
        The zone before and after contraction, the tumour where there is one, and the needles.
    needles : tuple of Needle
    image : ImageGrid or None
        The voxels of the patient's label image, where the case has one.
    notes : tuple of str
        What is missing and why.
    """

    result: Result
    bodies: tuple[Body, ...]
    needles: tuple[Needle, ...]
    image: ImageGrid | None
    notes: tuple[str, ...] = ()

    def body(self, name: str) -> Body | None:
        """Return the body of a name, if there is one."""
        return next((body for body in self.bodies if body.name == name), None)

    def surface(self, name: str) -> Surface:
        """Return the surface of a body that is there."""
        found = self.body(name)
        assert found is not None
        assert found.surface is not None
        return found.surface

    @property
    def place(self) -> Floats:
        """Points that zone and tumour lie between, shape (n, 3), in metres."""
        return np.vstack([body.points for body in self.bodies if body.surface is not None])

    def grid(self, spacing: float | None = None) -> ImageGrid:
        """Return the voxels to write on.

        Parameters
        ----------
        spacing : float, optional
            Largest edge of a voxel [m]. When given, the patient's voxels are divided into equal parts that are small
            enough, and the image is a block round zone and tumour; else it is the patient's image as it is. Without
            such an image the voxels are cubes of this edge, 1 mm when not given, along the axes of the world.

        Raises
        ------
        OutputError
            When zone and tumour lie outside the patient's image, or the voxels are too many.
        """
        if self.image is None:
            low, high = self.place.min(axis=0) - MARGIN, self.place.max(axis=0) + MARGIN
            return ImageGrid.around(low, high, *([] if spacing is None else [spacing])).limited()
        block = self.image.block(self.place, MARGIN)
        return self.image if spacing is None else self.image.cropped(block).divided(spacing).limited()

    def near(self, grid: ImageGrid) -> ImageGrid:
        """Return the block of voxels round zone and tumour."""
        return grid.cropped(grid.block(self.place, MARGIN))


def content_of(result: Result) -> Content:
    """Return what of a run is written for other programs.

    Raises
    ------
    OutputError
        When the run is axisymmetric about an axis of its own and has no zone, so that there is nothing to write.
    """
    bodies, notes = [], []
    for name, frame, title in (
        ("zone", "undeformed", "Ablation zone"),
        ("zone_contracted", "contracted", "Ablation zone, contracted"),
    ):
        try:
            surface = predicted_zone(result, frame).surface  # type: ignore[arg-type]
        except GeometryError:
            raise OutputError(
                f"The run{f' in {result.folder}' if result.folder else ''} has no ablation zone: there is nothing to "
                "write for other programs."
            ) from None
        bodies.append(Body(name, title, _COLOURS[name], surface))
    target = target_of(result.case)
    if target is None:
        notes.append("The case has no tumour: no tumour and no margins were written.")
    else:
        bodies.append(Body("tumour", "Tumour", _COLOURS["tumour"], target.surface))
    place = np.vstack([body.points for body in bodies])
    needles, wires = _needles(result.case, place)
    image = _image(result.case)
    if image is not None and not image.holds(place).all():
        notes.append("Zone or tumour reach beyond the patient's image: images are cut off there, surfaces are whole.")
    return Content(result, (*bodies, *wires), tuple(needles), image, tuple(notes))


def _needles(case: Case, place: Floats) -> tuple[list[Needle], list[Body]]:
    """The needles as lines and as bodies, to the entry where one is known, and out of the picture where not."""
    lines, bodies = [], []
    for placed, applicator in zip(case.applicators, Geometry.from_case(case).applicators, strict=True):
        reach = float(((place - applicator.tip) @ applicator.axis).max()) + MARGIN
        entry = applicator.to_world([(0.0, 0.0, max(applicator.length, reach))])[0]
        if placed.entry is not None:
            entry = np.asarray(placed.entry, dtype=np.float64)
            reach = float((entry - applicator.tip) @ applicator.axis)
        name = "needle" if len(case.applicators) == 1 else f"needle_{applicator.name}"
        title = "Needle" if len(case.applicators) == 1 else f"Needle {applicator.name}"
        lines.append(Needle(name, title, entry, applicator.tip))
        bodies.append(Body(name, title, _COLOURS["needle"], None, tuple(centrelines(applicator, reach))))
    return lines, bodies


def _image(case: Case) -> ImageGrid | None:
    """The voxels of the patient's image, or of the first label image of a case."""
    if case.patient is not None:
        i, j, k = case.patient.anatomy().image.values.shape
        return ImageGrid(case.patient.anatomy().image.affine, (i, j, k))
    images = [case.tumour.labels] if case.tumour is not None else []
    images += [vessel.labels for vessel in case.vessels]
    path = next((path for path in images if path is not None), None)
    if path is None:
        return None
    image = LabelImage.read(path)
    i, j, k = image.values.shape
    return ImageGrid(image.affine, (i, j, k))
