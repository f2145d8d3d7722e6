"""The margins of a finished run, measured again from its fields."""

from __future__ import annotations

from collections.abc import Sequence

from ablationsim.results.result import Result
from ablationsim.vessels.vessel import Vessel
from ablationsim.zone.case_margins import CaseMargins, case_margins


def margins_of(result: Result, vessels: Sequence[Vessel] = (), *, required: float | None = None) -> CaseMargins | None:
    """Return the margins of the tumour of a run with all that belongs to them; None where the case has no tumour.

    Parameters
    ----------
    result : Result
        Whole, in memory or read back.
    vessels : sequence of Vessel, optional
        Those of the case, for what the document says of the nearest ones; the maps do not need them.
    required : float, optional
        Margin that is asked for [m]; that of the case when not given.

    Raises
    ------
    GeometryError
        When the images of the tumour or the patient can no longer be read.
    """
    contracted = result.document["contracted"]
    strain = contracted["strain"] if contracted["law"] == "uniform" else None
    return case_margins(result.case, result.mesh, result.fields, vessels=vessels, strain=strain, required=required)
