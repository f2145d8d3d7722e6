"""Margins of a tumour in a predicted zone and in the one that was measured, side by side.

Both zones are held against the tumour where it was before the ablation, as scans from before and after are laid over
each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ablationsim.case import Case
from ablationsim.zone.alignment import Alignment
from ablationsim.zone.case_margins import liver_of, target_of
from ablationsim.zone.extract import Surface
from ablationsim.zone.margin import Margins, margins
from ablationsim.zone.measured import MeasuredZone
from ablationsim.zone.target import Target

_COMPARED = ("mam_mm", "mean_mm", "coverage", "under_0", "under_required")


@dataclass(frozen=True, eq=False)
class ComparedMargins:
    """Margins of one tumour in two zones.

    Attributes
    ----------
    source : str
        Where the tumour comes from.
    predicted, measured : Margins
    """

    source: str
    predicted: Margins
    measured: Margins

    @property
    def agreed(self) -> bool:
        """Whether both zones say the same of the tumour: covered by the margin that is asked for, or not."""
        return (self.predicted.least >= self.predicted.required) == (self.measured.least >= self.measured.required)

    def to_dict(self) -> dict[str, Any]:
        """Return what overlap.json holds under "margins"."""
        found = {"predicted": self.predicted.to_dict(), "measured": self.measured.to_dict()}
        return {
            "tumour": self.source,
            "tumour_volume_ml": 1e6 * self.predicted.target.volume,
            **found,
            "difference": {
                key: None if None in (one := [found[zone][key] for zone in found]) else one[0] - one[1]
                for key in _COMPARED
            },
        }


def compared_margins(
    case: Case, predicted: Surface, measured: Surface, alignment: Alignment, tumour: MeasuredZone | None = None
) -> ComparedMargins | None:
    """Measure the margins of the tumour of a case, or of one that was segmented, in two zones.

    Parameters
    ----------
    case : Case
        It says the margin that is asked for, and the liver where it has a patient.
    predicted, measured : Surface
        Closed zones in the coordinates of the case [m].
    alignment : Alignment
        By which the measured zone came into these.
    tumour : MeasuredZone, optional
        In the coordinates of the measurement, to be moved as the measured zone was; instead of the tumour of the case.

    Returns
    -------
    ComparedMargins or None
        None when there is no tumour.

    Raises
    ------
    GeometryError
        When the tumour or the liver of the case cannot be read.
    """
    target = target_of(case) if tumour is None else Target.of(alignment.applied(tumour.surface))
    if target is None:
        return None
    liver = liver_of(case)
    found = [margins(zone, target, required=case.plan.margin, liver=liver) for zone in (predicted, measured)]
    return ComparedMargins("the tumour of the case" if tumour is None else tumour.source, *found)
