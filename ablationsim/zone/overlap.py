"""How well two zones agree in place and shape: overlap of their volumes, and distances between their surfaces.

Volumes are those inside the closed surfaces. What they have in common is counted on a grid; distances are from points
spread evenly over either surface to the nearest place on the other one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from ablationsim.zone.extract import Floats, Surface
from ablationsim.zone.surface_distance import SurfaceDistance
from ablationsim.zone.voxels import Grid, inside

ACROSS = 200
"""Points of the grid along the longest extent of both zones together."""
SAMPLES = 6_000
"""Points on each surface from which distances are taken: one in each square millimetre of a large zone."""

MILLIMETRES, MILLILITRES = 1e3, 1e6


@dataclass(frozen=True)
class Agreement:
    """How well a predicted zone agrees with a measured one.

    Attributes
    ----------
    predicted_volume_ml, measured_volume_ml : float
        Volumes inside the closed surfaces, in mL; of the prediction with the track of the needle.
    common_volume_ml : float
        Of what lies in both, in mL.
    dice : float
        Common volume over the mean of both volumes (Dice 1945), 0 to 1.
    jaccard : float
        Common volume over that of both together (Jaccard 1901), 0 to 1.
    mean_surface_distance_mm : float
        Mean distance from the points of both surfaces to the other surface, in mm (average symmetric surface distance).
    mean_signed_distance_mm : float
        The same with a sign, in mm: positive when the prediction reaches farther than the measurement.
    hausdorff_95_mm : float
        Distance that 95 % of either surface are nearer than to the other one, the larger of both ways, in mm.
    hausdorff_mm : float
        Largest distance of a point of either surface from the other one, in mm.
    grid_mm : float
        Distance of the points on which the common volume was counted, in mm.
    """

    predicted_volume_ml: float
    measured_volume_ml: float
    common_volume_ml: float
    dice: float
    jaccard: float
    mean_surface_distance_mm: float
    mean_signed_distance_mm: float
    hausdorff_95_mm: float
    hausdorff_mm: float
    grid_mm: float

    def to_dict(self) -> dict[str, float]:
        """Return the numbers under the keys that overlap.json uses."""
        return asdict(self)


def agreement(predicted: Surface, measured: Surface) -> Agreement:
    """Compare two zones that lie in one frame.

    Parameters
    ----------
    predicted, measured : Surface
        Closed surfaces of triangles in space, normals outward, in metres.
    """
    grid = Grid.around((predicted, measured), ACROSS)
    one, other = inside(predicted, grid), inside(measured, grid)
    common, sizes = int((one & other).sum()), int(one.sum()) + int(other.sum())
    beyond = -MILLIMETRES * SurfaceDistance(measured)(samples(predicted))
    short = -MILLIMETRES * SurfaceDistance(predicted)(samples(measured))
    areas = np.array([predicted.area(), measured.area()])
    shares = areas / areas.sum()
    return Agreement(
        predicted_volume_ml=predicted.volume() * MILLILITRES,
        measured_volume_ml=measured.volume() * MILLILITRES,
        common_volume_ml=common * grid.spacing**3 * MILLILITRES,
        dice=2 * common / sizes,
        jaccard=common / (sizes - common),
        mean_surface_distance_mm=float(shares @ [np.abs(beyond).mean(), np.abs(short).mean()]),
        mean_signed_distance_mm=float(shares @ [beyond.mean(), -short.mean()]),
        hausdorff_95_mm=float(max(np.quantile(np.abs(beyond), 0.95), np.quantile(np.abs(short), 0.95))),
        hausdorff_mm=float(max(np.abs(beyond).max(), np.abs(short).max())),
        grid_mm=grid.spacing * MILLIMETRES,
    )


def samples(surface: Surface, count: int = SAMPLES) -> Floats:
    """Return points that lie evenly on a surface, one in each of as many equal parts of its area, shape (count, 3)."""
    corners = surface.points[surface.facets]
    areas = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    reached = np.cumsum(areas)
    random = np.random.default_rng(0)
    places = (np.arange(count) + random.random(count)) / count * reached[-1]
    chosen = corners[np.minimum(np.searchsorted(reached, places), len(corners) - 1)]
    # Even over a triangle (Osada 2002).
    root, share = np.sqrt(random.random(count)), random.random(count)
    weights = np.column_stack([1 - root, root * (1 - share), root * share])
    return np.asarray(np.einsum("ki,kij->kj", weights, chosen))
