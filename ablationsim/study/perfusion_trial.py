"""One trial of a perfusion: the full model, and how far its zone is from the measured one."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import AblationSimError, GeometryError, Interrupted, SolverError
from ablationsim.results import Result, run_folder
from ablationsim.results.files import make_folder, write_whole
from ablationsim.simulate import simulate
from ablationsim.study.calibrate import VOLUME_SD
from ablationsim.study.overlap import Align, Frame, overlap
from ablationsim.zone.measured import MeasuredZone

EDGE_SD = 1.0
"""Assumed standard deviation of where a person draws the edge of a zone, all round alike [mm]."""
NOTHING = 100.0
"""Misfit of a trial without any zone, in standard deviations."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of a zone: its volume, or the zone itself.

    Attributes
    ----------
    frame : {"contracted", "undeformed"}
        In which the run's zone is compared.
    volume_ml : float or None
    zone : MeasuredZone or None
    align : {"needle", "axis", "none"}
        How the zone is laid on that of the run, as in `ablationsim.study.overlap.overlap`.
    tip, entry : tuple of float or None
        Of the needle in the measurement [m].
    """

    frame: Frame = "contracted"
    volume_ml: float | None = None
    zone: MeasuredZone | None = None
    align: Align = "none"
    tip: tuple[float, float, float] | None = None
    entry: tuple[float, float, float] | None = None

    @property
    def statement(self) -> str:
        """What it is, in words."""
        if self.zone is None:
            return f"a volume of {self.volume_ml:g} mL, {self.frame}, known to {100 * VOLUME_SD:.0f} % (assumed)"
        return f"the surface of a zone, {self.frame}, its edge known to {EDGE_SD:g} mm (assumed)"

    @property
    def key(self) -> str:
        """What tells it from other measurements."""
        shape = b"" if self.zone is None else np.ascontiguousarray(self.zone.surface.points).tobytes()
        words = repr((self.frame, self.volume_ml, self.align, self.tip, self.entry)).encode()
        return hashlib.sha256(words + shape).hexdigest()


@dataclass(frozen=True)
class Trial:
    """A perfusion, and the zone that it makes.

    Attributes
    ----------
    perfusion : float
        [1/s]
    volume_ml : float
        Volume of the zone with the track of the needle, in the frame of the measurement.
    misfit : float
        Square of the difference from the measurement in standard deviations: of the logarithm of the volume, or of the
        mean distance of both surfaces.
    mean_surface_distance_mm, mean_signed_distance_mm, dice : float or None
        How far the surfaces agree; None where only a volume was measured.
    """

    perfusion: float
    volume_ml: float
    misfit: float
    mean_surface_distance_mm: float | None = None
    mean_signed_distance_mm: float | None = None
    dice: float | None = None

    @property
    def line(self) -> str:
        """The trial in a line for people."""
        apart = (
            "" if self.mean_surface_distance_mm is None else f", surfaces {self.mean_surface_distance_mm:.2f} mm apart"
        )
        return (
            f"perfusion {self.perfusion:.4g} 1/s: {self.volume_ml:.1f} mL{apart}, "
            f"{math.sqrt(self.misfit):.2f} standard deviations off"
        )


@dataclass(frozen=True, eq=False)
class Task:
    """A trial to make.

    Attributes
    ----------
    case : Case
        With the perfusion.
    perfusion : float
        [1/s]
    measured : Measured
    folder : Path or None
        Where finished trials are kept.
    """

    case: Case
    perfusion: float
    measured: Measured
    folder: Path | None


def run_trial(task: Task) -> Trial:
    """Run the full model and compare, or take over what was found before.

    Raises
    ------
    SolverError
        When the run fails; the message names the perfusion.
    Interrupted
        When the user stopped it.
    """
    kept = None
    if task.folder is not None:
        name = hashlib.sha256(f"{run_folder.case_hash(task.case)} {task.measured.key}".encode()).hexdigest()
        kept = task.folder / f"{name[:24]}.json"
        try:
            return Trial(**json.loads(kept.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            # There is none, or one that somebody damaged.
            pass
    try:
        trial = compared(simulate(task.case), task.perfusion, task.measured)
    except Interrupted:
        raise
    except AblationSimError as error:
        # An error crosses to another process by its message alone.
        raise SolverError(f"With a perfusion of {task.perfusion:.4g} 1/s: {error}") from None
    if kept is not None:
        make_folder(kept.parent)
        write_whole(kept, json.dumps(asdict(trial)) + "\n")
    return trial


def compared(result: Result, perfusion: float, measured: Measured) -> Trial:
    """Hold the zone of a run against the measured one.

    Raises
    ------
    GeometryError
        When the needle of the measurement cannot be meant.
    """
    document = result.document["contracted"] if measured.frame == "contracted" else result.document
    volume = float(document["enclosed_volume_ml"] or 0.0)
    if not volume > 0.0:
        return Trial(perfusion, 0.0, NOTHING**2)
    if measured.zone is None:
        if measured.volume_ml is None:
            raise GeometryError("A perfusion is fitted to a volume or to a zone; neither is given.")
        return Trial(perfusion, volume, (math.log(volume / measured.volume_ml) / VOLUME_SD) ** 2)
    found = overlap(
        result, measured.zone, frame=measured.frame, align=measured.align, tip=measured.tip, entry=measured.entry
    ).agreement
    return Trial(
        perfusion,
        volume,
        (found.mean_surface_distance_mm / EDGE_SD) ** 2,
        found.mean_surface_distance_mm,
        found.mean_signed_distance_mm,
        found.dice,
    )
