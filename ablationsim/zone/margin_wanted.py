"""How far a zone is that which was wanted: the tumour with a margin all round, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ablationsim.zone.extract import Surface
from ablationsim.zone.margin import Distance
from ablationsim.zone.surface_distance import SurfaceDistance
from ablationsim.zone.target import Target
from ablationsim.zone.voxels import Grid, inside

_ACROSS = 90  # points of the grid along the longest extent of zone and tumour


@dataclass(frozen=True)
class Wanted:
    """The wanted zone, and how well a zone agrees with it.

    Attributes
    ----------
    volume_ml : float
        Of the tumour and all liver within the margin of it, in mL.
    dice : float
        Twice the common volume over the sum of both, from 0 to 1.
    """

    volume_ml: float
    dice: float

    def to_dict(self) -> dict[str, float]:
        """Return the numbers under the keys that zone.json uses."""
        return {"volume_ml": self.volume_ml, "dice": self.dice}


def wanted(zone: Surface, target: Target, required: float, liver: Distance | None = None) -> Wanted:
    """Compare a zone with the tumour and a margin all round, as far as there is liver.

    Parameters
    ----------
    zone : Surface
        Closed triangles in space [m].
    target : Target
        The tumour.
    required : float
        Margin that is wanted [m].
    liver : callable, optional
        Signed distance to the surface of the whole liver, negative inside [m].
    """
    grid = Grid.around((zone, target.surface), _ACROSS, required)
    tumour = inside(target.surface, grid)
    # From point to point, which tells but for a little more than one of them; exactly where that is too coarse.
    away = ndimage.distance_transform_edt(~tumour, sampling=grid.spacing)
    asked = tumour | (away <= required)
    unsure = ~tumour & (np.abs(away - required) < 1.8 * grid.spacing)
    asked[unsure] = SurfaceDistance(target.surface)(grid.points(unsure)) >= -required
    if liver is not None:
        shell = asked & ~tumour
        asked[shell] = liver(grid.points(shell)) <= 0.0
    ablated = inside(zone, grid)
    common = np.count_nonzero(asked & ablated)
    both = np.count_nonzero(asked) + np.count_nonzero(ablated)
    return Wanted(float(1e6 * grid.spacing**3 * np.count_nonzero(asked)), 2.0 * common / both)
