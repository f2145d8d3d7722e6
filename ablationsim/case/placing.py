"""Where an applicator lies, from what a case file may say of it.

A tip with a direction, a tip or a target with an entry, a line that was drawn in 3D Slicer, or a pose that was tracked:
each becomes a tip, a direction from the tip toward the handle, and a roll.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.case.aim import aim
from ablationsim.case.markups import Markup, read_markups
from ablationsim.case.rotation import swing
from ablationsim.case.sections import ApplicatorSection
from ablationsim.device import Device
from ablationsim.errors import CaseError

Floats = NDArray[np.float64]
Xyz = tuple[float, float, float]

RIGID = 1e-3
"""How far the axes of a pose may be from unit length and right angles; trackers write four digits or more."""

_ENTRY, _DEEP = ("entry", "skin"), ("target", "tip")
"""Labels of points that say what they are."""


def in_place(section: ApplicatorSection, device: Device, directory: Path) -> tuple[ApplicatorSection | None, list[str]]:
    """Return the section with its tip, direction, roll and entry filled in; or None, and what is wrong.

    Parameters
    ----------
    section : ApplicatorSection
    device : Device
        Says which of its points is put on a target.
    directory : Path
        Where relative paths start.
    """
    try:
        if section.pose is not None:
            tip, direction, roll = of_pose(section.pose)
            return section.model_copy(update={"tip": tip, "direction": direction, "roll": roll}), []
        if section.needle is not None:
            deep, entry, advance = _of_line(section, device, directory / section.needle)
            return _between(section, deep, entry, advance), []
    except CaseError as error:
        return None, [text if text.startswith(("needle", "pose")) else f"needle: {text}" for text in error.problems]
    if section.target is not None:
        advance = aim(device) if section.advance is None else section.advance
        if section.entry is not None:
            return _between(section, section.target, section.entry, advance), []
        along = np.asarray(section.direction) / np.linalg.norm(section.direction)
        return section.model_copy(update={"tip": _xyz(np.asarray(section.target) - advance * along)}), []
    if section.entry is not None:
        return _between(section, section.tip, section.entry, 0.0), []
    return section, []


def of_pose(pose: Sequence[float]) -> tuple[Xyz, Xyz, float]:
    """Return tip [m], direction and roll [rad] of a pose.

    Parameters
    ----------
    pose : sequence of 16 float
        Matrix from the device's frame to the patient, row by row, with its translation in millimetres.

    Raises
    ------
    CaseError
        If it is no rigid motion.
    """
    matrix = np.asarray(pose, dtype=np.float64).reshape(4, 4)
    if not np.array_equal(matrix[3], [0, 0, 0, 1]):
        transposed = np.array_equal(matrix[:, 3], [0, 0, 0, 1])
        advice = "it is written column by column: transpose it" if transposed else "write the matrix row by row"
        raise CaseError(
            [f"pose: the last row is {_row(matrix[3])}, and of a rigid motion it is [0, 0, 0, 1]; {advice}"]
        )
    left, stretch, right = np.linalg.svd(matrix[:3, :3])
    if np.abs(stretch - 1).max() > RIGID:
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
        raise CaseError(
            [
                f"pose: its axes have the lengths {_row(lengths)} and are stretched by {_row(stretch)}; those of a "
                f"rigid motion are 1 within {RIGID:g}. Only the translation is in mm: the axes have no unit, and a "
                "motion that scales or deforms does not belong here"
            ]
        )
    # The nearest rotation: what was rounded away in writing does not bend the needle's frame.
    rotation = left @ right
    if np.linalg.det(rotation) < 0:
        raise CaseError(
            [
                "pose: it is a mirror image (its determinant is -1), and no needle is one: an axis has the wrong sign, "
                "for example where only one of x and y was turned from LPS to RAS"
            ]
        )
    rolled = swing(rotation[:, 2]).T @ rotation
    return _xyz(1e-3 * matrix[:3, 3]), _xyz(rotation[:, 2]), float(np.arctan2(rolled[1, 0], rolled[0, 0]))


def _of_line(section: ApplicatorSection, device: Device, path: Path) -> tuple[Floats, Floats, float]:
    """Deep end and entry of a line [m], and how far the tip is beyond the deep end [m]."""
    line = _the_line(read_markups(path), path)
    first, last = (_meaning(label) for label in line.labels)
    if first is not None and first == last:
        raise CaseError(
            [f"needle: both points of the line in {path} are labelled as {first}; label one 'entry', one 'target'"]
        )
    said = None if first is last is None else (first == "deep" or last == "entry")
    chosen = section.target_first if "target_first" in section.model_fields_set else None
    if said is not None and chosen is not None and said != chosen:
        raise CaseError(
            [
                f"needle: target_first is {str(chosen).lower()}, but the points of the line in {path} are labelled "
                f"'{line.labels[0]}' and '{line.labels[1]}', in the other order; correct one of them"
            ]
        )
    deep = 0 if (chosen if said is None else said) else 1
    if section.advance is not None:
        advance = section.advance
    else:
        advance = 0.0 if line.labels[deep].strip().lower() == "tip" else aim(device)
    return line.points[deep], line.points[1 - deep], advance


def _the_line(markups: list[Markup], path: Path) -> Markup:
    """The only line of a file, or its only list of points."""
    lines = [markup for markup in markups if markup.kind == "Line"] or markups
    if len(lines) != 1:
        names = ", ".join(f"'{line.name or line.kind}'" for line in lines) or "none"
        raise CaseError([f"needle: {path} has {len(lines)} lines ({names}); write each needle to a file of its own"])
    if len(lines[0].points) != 2:
        raise CaseError(
            [
                f"needle: the {lines[0].kind.lower()} in {path} has {len(lines[0].points)} points; a needle has two, "
                "entry and target"
            ]
        )
    return lines[0]


def _meaning(label: str) -> str | None:
    word = label.strip().lower()
    return "entry" if word in _ENTRY else "deep" if word in _DEEP else None


def _between(section: ApplicatorSection, deep: Floats | Xyz, entry: Floats | Xyz, advance: float) -> ApplicatorSection:
    """The section with its tip `advance` beyond a point, on the line from an entry."""
    along = np.asarray(entry) - np.asarray(deep)
    along /= np.linalg.norm(along)
    tip = np.asarray(deep) - advance * along
    return section.model_copy(update={"tip": _xyz(tip), "direction": _xyz(along), "entry": _xyz(np.asarray(entry))})


def _xyz(vector: Floats) -> Xyz:
    x, y, z = (float(value) + 0.0 for value in vector)
    return x, y, z


def _row(values: Floats) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"
