"""What an ablation costs: how much of a zone is tumour, how much is healthy liver, and how much is not liver at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ablationsim.zone.extract import Surface
from ablationsim.zone.margin import Distance
from ablationsim.zone.target import Target
from ablationsim.zone.voxels import Grid, inside

_ACROSS = 90  # points of the grid along the longest extent of the zone

MILLILITRES = 1e6


@dataclass(frozen=True)
class Spent:
    """Volumes of a zone and a tumour, inside their closed surfaces.

    Attributes
    ----------
    tumour_ml, zone_ml : float
        Of the tumour and of the zone, in mL.
    covered_ml : float
        Of what lies in both, in mL.
    healthy_ml : float
        Of the zone in the liver and outside the tumour, in mL; of all of it outside the tumour where the liver is not
        known.
    outside_liver_ml : float or None
        Of the zone outside the liver, in mL; None where the liver is not known.
    """

    tumour_ml: float
    zone_ml: float
    covered_ml: float
    healthy_ml: float
    outside_liver_ml: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return the numbers under the keys that zone.json uses."""
        return asdict(self)


def spent(zone: Surface, target: Target, liver: Distance | None = None) -> Spent:
    """Count what a zone takes on a grid of points in it.

    Parameters
    ----------
    zone : Surface
        Closed triangles in space [m]; none where there is no zone.
    target : Target
        The tumour.
    liver : callable, optional
        Signed distance to the surface of the whole liver, negative inside [m].
    """
    tumour = target.volume * MILLILITRES
    if not len(zone.facets):
        return Spent(tumour, 0.0, 0.0, 0.0, None if liver is None else 0.0)
    volume = zone.volume() * MILLILITRES
    grid = Grid.around((zone,), _ACROSS)
    ablated = inside(zone, grid)
    in_tumour = inside(target.surface, grid)[ablated]
    each = volume / max(int(ablated.sum()), 1)
    outside = None
    healthy = ~in_tumour
    if liver is not None:
        beyond = (liver(grid.points(ablated)) > 0.0) & ~in_tumour
        outside = float(beyond.sum() * each)
        healthy &= ~beyond
    return Spent(tumour, volume, float(in_tumour.sum() * each), float(healthy.sum() * each), outside)
