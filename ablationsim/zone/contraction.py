"""The contracted zone: as it is measured afterwards, when heated tissue has shrunk.

Zones are computed in tissue as it was before heating. Two laws map that to the tissue as it is afterwards:

* "history": every place moves by the displacement that the contraction of all heated tissue causes
  (`ablationsim.physics.elasticity`), and the zone is measured again where its tissue went;
* "uniform": one strain for the whole zone, the same in all directions.

With both, the applicator stays where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import CaseError
from ablationsim.mesh.mesh import Mesh
from ablationsim.zone.metrics import ZoneMetrics

UNIFORM = 0.12
"""Assumed uniform strain where none can be had from a history: at the low end of what was measured at 60 to 95 degC."""


def contracted(metrics: ZoneMetrics, strain: float) -> ZoneMetrics:
    """Return the metrics as they are after a uniform contraction.

    Parameters
    ----------
    metrics : ZoneMetrics
        In undeformed coordinates.
    strain : float
        Relative shortening of every length, 0.12 for 12 %. Areas shrink by (1 - strain)^2 and volumes by
        (1 - strain)^3; ratios stay.

    Raises
    ------
    CaseError
        When the strain is outside 0 <= strain < 1.
    """
    if not 0 <= strain < 1:
        raise CaseError([f"zone.contraction is {strain:g}; a contraction is at least 0 and below 1 (100 %)."])
    length = 1 - strain

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * length

    return replace(
        metrics,
        volume_ml=metrics.volume_ml * length**3,
        enclosed_volume_ml=metrics.enclosed_volume_ml * length**3,
        surface_area_mm2=metrics.surface_area_mm2 * length**2,
        axial_length_mm=scaled(metrics.axial_length_mm),
        transverse_diameter_mm=scaled(metrics.transverse_diameter_mm),
        transverse_minor_mm=scaled(metrics.transverse_minor_mm),
        long_axis_mm=scaled(metrics.long_axis_mm),
        short_axis_mm=scaled(metrics.short_axis_mm),
        beyond_tip_mm=scaled(metrics.beyond_tip_mm),
    )


def moved(mesh: Mesh, displacement: NDArray[np.float64]) -> Mesh:
    """Return a mesh whose nodes have been displaced, ``(n, d)`` in metres; all else stays."""
    return replace(mesh, points=mesh.points + displacement)


def uniform_contraction(metrics: ZoneMetrics, isotherms: Mapping[str, ZoneMetrics], strain: float) -> dict[str, Any]:
    """Return what zone.json says of a zone and its isotherms that contract by one strain.

    Raises
    ------
    CaseError
        When the strain is outside 0 <= strain < 1.
    """
    return {
        "law": "uniform",
        "strain": strain,
        **contracted(metrics, strain).to_dict(),
        "isotherms": {key: contracted(zone, strain).to_dict() for key, zone in isotherms.items()},
    }


def history_contraction(
    before: ZoneMetrics, after: ZoneMetrics, isotherms: Mapping[str, ZoneMetrics]
) -> dict[str, Any]:
    """Return what zone.json says of a zone that was measured before and after its tissue moved.

    Parameters
    ----------
    before, after : ZoneMetrics
        On the mesh, and on the moved mesh.
    isotherms : mapping of str to ZoneMetrics
        On the moved mesh.
    """
    # The uniform strain that would take as much of the volume.
    strain = 1.0 - (after.volume_ml / before.volume_ml) ** (1.0 / 3.0) if before.volume_ml > 0.0 else 0.0
    return {
        "law": "history",
        "strain": strain,
        **after.to_dict(),
        "isotherms": {key: zone.to_dict() for key, zone in isotherms.items()},
    }
