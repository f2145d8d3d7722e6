"""A run's zone against a zone that was measured in three dimensions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ablationsim.errors import GeometryError
from ablationsim.geometry.geometry import Geometry
from ablationsim.results import Result
from ablationsim.results.files import make_folder, write_whole
from ablationsim.study.overlap_margins import ComparedMargins, compared_margins
from ablationsim.zone import zone_surface
from ablationsim.zone.alignment import Alignment, Predicted, by_axis, by_needle
from ablationsim.zone.contraction import moved
from ablationsim.zone.extract import Surface
from ablationsim.zone.measured import MeasuredZone
from ablationsim.zone.overlap import Agreement, agreement

Frame = Literal["contracted", "undeformed"]
Align = Literal["needle", "axis", "none"]

SCHEMA, VERSION = "ablationsim/overlap", 1
NOTICE = "Research use only; not a medical device."

_SECTORS = 240  # of a zone that is turned about the needle: its volume is right to 0.02 %


@dataclass(frozen=True, eq=False)
class Overlap:
    """How well a run agrees with a measured zone, and what it was seen from.

    Attributes
    ----------
    result : Result
    predicted : Predicted
        The zone of the run, in its frame.
    measured : Surface
        The measured zone, moved into the frame of the run.
    source : str
        Where it came from.
    frame : {"contracted", "undeformed"}
        In which the run's zone was taken.
    alignment : Alignment
    agreement : Agreement
    margins : ComparedMargins or None
        Those of a tumour in both zones, where there is one.
    notes : tuple of str
        What was mended, filled or left out of the measured zone.
    warnings : tuple of str
        What a reader of the numbers must know.
    """

    result: Result
    predicted: Predicted
    measured: Surface
    source: str
    frame: Frame
    alignment: Alignment
    agreement: Agreement
    margins: ComparedMargins | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of overlap.json but for what the command adds of files."""
        contracted = self.result.document["contracted"]
        law = {"law": contracted.get("law", "uniform"), "strain": contracted["strain"]}
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "notice": NOTICE,
            "case_sha256": self.result.record["case_sha256"],
            "measured": self.source,
            "frame": self.frame,
            "contraction": law if self.frame == "contracted" else None,
            "alignment": self.alignment.to_dict(),
            **self.agreement.to_dict(),
            "margins": None if self.margins is None else self.margins.to_dict(),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }


def overlap(
    result: Result,
    measured: MeasuredZone,
    *,
    frame: Frame = "contracted",
    align: Align = "axis",
    tip: ArrayLike | None = None,
    entry: ArrayLike | None = None,
    tumour: MeasuredZone | None = None,
) -> Overlap:
    """Compare the zone of a run with a measured one, after a rigid motion of the measured one.

    Parameters
    ----------
    result : Result
        A finished run.
    measured : MeasuredZone
        From `ablationsim.zone.measured.read_measured`.
    frame : {"contracted", "undeformed"}
        What was measured after the ablation has contracted.
    align : {"needle", "axis", "none"}
        By two points of the needle, `tip` and `entry`; by a principal axis of the measured zone; or not at all, where
        the case has its needle in the coordinates of the measurement.
    tip, entry : (3,) float, optional
        Tip of the needle, and another point of it toward the handle, in the coordinates of the measurement [m].
    tumour : MeasuredZone, optional
        The tumour before the ablation, in the coordinates of the measurement, from
        `ablationsim.zone.measured.read_measured`; that of the case when not given.

    Raises
    ------
    GeometryError
        When the run has no zone, or the needle cannot be meant.
    """
    predicted = predicted_zone(result, frame)
    match align:
        case "needle":
            if tip is None or entry is None:
                raise GeometryError("To align by the needle, give both its tip and its entry.")
            alignment = by_needle(predicted, measured.surface, tip, entry)
        case "axis":
            alignment = by_axis(predicted, measured.surface)
        case "none":
            alignment = Alignment("none")
    placed = alignment.applied(measured.surface)
    found = agreement(predicted.surface, placed)
    warnings = [*measured.warnings, *alignment.notes]
    if result.zone.reaches_boundary:
        warnings.append("The predicted zone touches the edge of the domain and is cut off there.")
    if found.dice == 0:
        advice = " Without alignment, the case must have its needle in the coordinates of the measurement (RAS, m)."
        warnings.append("The zones do not meet." + (advice if align == "none" else ""))
    around = compared_margins(result.case, predicted.surface, placed, alignment, tumour)
    notes = list(measured.notes)
    if tumour is not None:
        notes += [f"Tumour: {note}" for note in tumour.notes]
        warnings += [f"Tumour: {warning}" for warning in tumour.warnings]
    if around is not None:
        warnings += _doubts(around, align)
    return Overlap(
        result,
        predicted,
        placed,
        measured.source,
        frame,
        alignment,
        found,
        around,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _doubts(found: ComparedMargins, align: Align) -> list[str]:
    """What a reader of margins must know."""
    doubts = []
    if align == "axis":
        doubts.append(
            "The margins of the measured zone mean little: it was moved to where it fits the predicted one best, and a "
            "margin depends on its place. Lay the scans over each other and use --align none, or give the needle."
        )
    if found.measured.coverage == 0.0:
        doubts.append("The measured zone does not meet the tumour: the scans from before and after may not be aligned.")
    return doubts


def predicted_zone(result: Result, frame: Frame) -> Predicted:
    """Return the closed outer surface of a run's zone, in the coordinates of its case, with its first needle.

    The surface encloses the needle. In the contracted frame it lies where its tissue went, or where the contraction is
    uniform, is smaller about the tip.

    Raises
    ------
    GeometryError
        When the run has no zone.
    """
    first = Geometry.from_case(result.case).applicators[0]
    displacement = result.fields.get("displacement") if frame == "contracted" else None
    mesh = result.mesh if displacement is None else moved(result.mesh, displacement)
    outer = zone_surface(mesh, result.fields["level"]).enclosing()
    if not len(outer.facets):
        raise GeometryError(
            f"The run{f' in {result.folder}' if result.folder else ''} has no ablation zone that a measured one could "
            "be compared with."
        )
    if outer.axisymmetric:
        outer = outer.revolve(_SECTORS)
    if frame == "contracted" and displacement is None:
        strain = result.document["contracted"]["strain"]
        outer = Surface(first.tip + (1 - strain) * (outer.points - first.tip), outer.facets, False)
    used, facets = np.unique(outer.facets, return_inverse=True)
    surface = Surface(outer.points[used], facets.reshape(-1, 3), axisymmetric=False)
    return Predicted(surface, first.tip, first.axis, symmetric=result.mesh.axisymmetric)


def write_overlap(folder: Path, found: Overlap, file: Path) -> Path:
    """Write overlap.json and the moved measured zone, measured.stl, into a folder; return the former.

    Parameters
    ----------
    folder : Path
        Made when it is not there.
    found : Overlap
    file : Path
        Of the measured zone, for its checksum.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    from ablationsim.results.export import write_surface

    make_folder(folder)
    write_surface(folder / "measured.stl", found.measured)
    where = {
        "run": None if found.result.folder is None else str(found.result.folder),
        "measured_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    path = folder / "overlap.json"
    write_whole(path, json.dumps({**found.to_dict(), **where}, indent=2) + "\n")
    return path
