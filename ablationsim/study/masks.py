"""Measured zones in space, held against those of runs."""

from __future__ import annotations

from pathlib import Path

from ablationsim.results import Result
from ablationsim.study.overlap import Frame, overlap
from ablationsim.vasculature.opening import is_image
from ablationsim.zone.measured import MeasuredZone, read_measured


def read_mask(path: Path) -> MeasuredZone:
    """A label image with one label, or a closed surface whose coordinates are millimetres.

    Raises
    ------
    CaseError, GeometryError, MeshError
        If it cannot be used; the message says why.
    """
    return read_measured(path, unit=None if is_image(path) else "mm")


def shape(result: Result, path: Path, frame: Frame) -> dict[str, float | str]:
    """How far the zone of a run agrees with a measured one, laid along the needle by its own axis.

    Returns
    -------
    dict
        ``dice``, ``mean_surface_distance_mm``, ``hausdorff_95_mm``, and ``alignment``: what was done, in words.

    Raises
    ------
    GeometryError
        If the run has no zone.
    """
    found = overlap(result, read_mask(path), frame=frame, align="axis")
    keys = ("dice", "mean_surface_distance_mm", "hausdorff_95_mm")
    said = " ".join((found.alignment.statement, *found.warnings))
    return {**{key: float(getattr(found.agreement, key)) for key in keys}, "alignment": said}
