"""The reduced model: zones of the stock, less what vessels take, with what runs of the full model have taught."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.study.planning.candidate import Candidate
from ablationsim.study.planning.goal import Goal
from ablationsim.study.planning.learning import Learning
from ablationsim.study.planning.lookup import drives, ends, places
from ablationsim.study.planning.poses import Pose
from ablationsim.study.planning.site import COARSE, Site
from ablationsim.study.planning.tables import Tables, ends_at

DENTS = 1e-3
"""Distance of the points on a shaft at which its distance from the tumour is looked up [m]."""

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Numbers = NDArray[np.intp]

STEEP = 0.09e3
"""Fall of the drive per metre at the edge of a zone [1/m], for a first guess of missing margins only; measured on zones
of a microwave antenna."""


@dataclass(frozen=True)
class Expected:
    """What a plan does, by the reduced model or by points of the full one; lengths in mm, volumes in mL.

    Attributes
    ----------
    mam_mm, mam_without_needles_mm : float
        Least margin, and that without the dents which cooled shafts leave.
    lacking_mm : float
        Most that is missing from the wanted margin where there is room for it.
    coverage : float
        Share of the tumour in the zone.
    under_required : float
        Share of the tumour's surface with less than the wanted margin.
    healthy_ml, zone_ml, organs_ml : float
        Healthy liver in the zone; all of the zone near the tumour; other organs in it.
    cost : float
        See `Goal.cost`.
    """

    mam_mm: float
    mam_without_needles_mm: float
    lacking_mm: float
    coverage: float
    under_required: float
    healthy_ml: float
    zone_ml: float
    organs_ml: float
    cost: float


@dataclass
class Reduced:
    """Looks up what plans do at a site.

    Attributes
    ----------
    site : Site
    tables : Tables
    cooling : (p,) float32
        Share of the heating that vessels leave at the points of the site.
    guard : float
        Distance from the axis of a shaft within which its coolant keeps tissue alive [m].
    runs : int
        That the stock was made by.
    learning : Learning
    evaluations : int
        Plans looked up so far.
    """

    site: Site
    tables: Tables
    cooling: Singles
    guard: float
    runs: int = 0
    learning: Learning = field(default_factory=Learning)
    evaluations: int = 0

    def drive(self, pose: Pose, setting: int) -> Singles:
        """Return the drive (p,) of needles at the points of the site, without what was learnt; heat adds up."""
        placed = self._placed(pose, slice(None))
        one = np.array([setting], dtype=np.intp)
        found: Singles = drives(self.tables.drive, one, self.tables.shape[1], *placed, self.cooling)[0]
        return found

    def beside(self, pose: Pose) -> NDArray[np.bool_]:
        """Return which points of the site (p,) lie so near to a shaft that what its coolant does shows there."""
        near = np.zeros(len(self.site.points), dtype=bool)
        for tip, axis in zip(pose.tips, pose.axes, strict=True):
            offset = self.site.points - tip
            height = offset @ axis
            near |= (height > 0.0) & ((offset**2).sum(axis=1) - height**2 < self.guard**2)
        return near

    def candidate(self, pose: Pose, setting: int) -> Candidate:
        """A plan of needles and a setting."""
        power, time = float(self.tables.power[setting]), float(self.tables.time[setting])
        return Candidate(pose.tips, pose.axes, power, time, setting)

    def quick(self, pose: Pose, settings: Numbers, goal: Goal) -> Floats:
        """Return about what settings (m,) cost: from the drive where the margin has to be, one point a ray."""
        self.evaluations += len(settings)
        which = self.site.needed(goal.aim)
        factor = self._factor(pose, settings)[which]
        drive = drives(self.tables.drive, settings, self.tables.shape[1], *self._placed(pose, which), factor)
        reached = np.minimum(goal.aim, self.site.attainable)
        return self._cost(reached + np.minimum(drive - 1.0, 0.0) / STEEP, pose, settings, goal)

    def costs(self, pose: Pose, settings: Numbers, goal: Goal) -> Floats:
        """Return what settings (m,) cost, with margins along the rays."""
        self.evaluations += len(settings)
        site, rays = self.site, slice(0, self.site.rays)
        factor = self._factor(pose, settings)[rays]
        placed = self._placed(pose, rays)
        margins = ends(self.tables.drive, settings, self.tables.shape[1], *placed, factor, len(site.feet), site.along)
        return self._cost(margins, pose, settings, goal)

    def expected(self, plan: Candidate, goal: Goal) -> Expected:
        """Return what the reduced model expects of a plan."""
        return self.judged(self.foreseen(plan), plan, goal)

    def foreseen(self, plan: Candidate) -> Floats:
        """Return the drive (p,) of a plan at the points of the site, with what was learnt."""
        drive = self.drive(Pose(plan.tips, plan.axes), plan.setting).astype(np.float64)
        return np.asarray(drive * self.learning.factor(plan))

    def probed(self, plan: Candidate) -> Floats:
        """Return the points at which the drive of a run is wanted: those of the site, then those along each shaft."""
        shafts = plan.tips[:, None] + self.tables.heights[None, :, None] * plan.axes[:, None]
        return np.concatenate([self.site.points, shafts.reshape(-1, 3)])

    def learn(self, plan: Candidate, probed: Floats) -> None:
        """Learn from the drive of a run of the full model at the points that `probed` gives."""
        full, shafts = probed[: len(self.site.points)], probed[len(self.site.points) :].reshape(len(plan.tips), -1)
        dent = min(ends_at(along, self.tables.heights) for along in shafts)
        pose = Pose(plan.tips, plan.axes)
        expected = self.drive(pose, plan.setting).astype(np.float64)
        rise = dent - float(self.tables.dent[plan.setting])
        self.learning.add(plan, np.where(self.beside(pose), expected, full), expected, rise)

    def judged(self, drive: Floats, plan: Candidate, goal: Goal) -> Expected:
        """Return what a drive (p,) at the points of the site means for a plan."""
        site = self.site
        margins = site.margins(drive)
        # How much of the cube about a point is in the zone, by how far its edge is.
        filling = np.clip(0.5 + (drive[site.rays :] - 1.0) / (STEEP * COARSE), 0.0, 1.0)
        unit = COARSE**3
        tumour, healthy, organs = (float(filling @ each) * unit for each in (site.inside, site.healthy, site.forbidden))
        dents = self._dents(Pose(plan.tips, plan.axes), np.array([plan.setting]))
        cost = goal.cost(margins[None], site.attainable, healthy, plan.time, len(plan.tips), organs, dents)[0]
        return Expected(
            mam_mm=1e3 * float(min(margins.min(), dents[0])),
            mam_without_needles_mm=1e3 * float(margins.min()),
            lacking_mm=1e3 * float(np.maximum(np.minimum(goal.margin, site.attainable) - margins, 0.0).max()),
            coverage=tumour / (float(site.inside.sum()) * unit),
            under_required=float(site.areas[margins < goal.margin].sum() / site.areas.sum()),
            healthy_ml=1e6 * healthy,
            zone_ml=1e6 * float(filling.sum()) * unit,
            organs_ml=1e6 * organs,
            cost=float(cost),
        )

    def _placed(self, pose: Pose, which: NDArray[np.intp] | slice) -> tuple[Any, Any, Any]:
        spacing, base, columns, rows = self.tables.layout
        placed: tuple[Any, Any, Any] = places(
            self.site.points[which], pose.tips, pose.axes, spacing, base, self.guard, columns, rows
        )
        return placed

    def _factor(self, pose: Pose, settings: Numbers) -> Singles:
        """What the drive of the stock is multiplied with at the points of the site, shape (p,)."""
        if not self.learning.plans:
            return self.cooling
        plan = self.candidate(pose, int(settings[len(settings) // 2]))
        return (self.cooling * self.learning.factor(plan)).astype(np.float32)

    def _cost(self, margins: Floats, pose: Pose, settings: Numbers, goal: Goal) -> Floats:
        # Volumes good enough to rank plans that cover the tumour; what is proposed is counted at the points.
        healthy = np.maximum(len(pose.tips) * self.tables.volume[settings] - self.site.target.volume, 0.0)
        time = self.tables.time[settings]
        dents = self._dents(pose, settings)
        return goal.cost(margins, self.site.attainable, healthy, time, len(pose.tips), dents=dents)

    def _dents(self, pose: Pose, settings: Numbers) -> Floats:
        """How far from the tumour the zone ends at the shafts, negative in it, where it is least, shape (m,) [m]."""
        plan = self.candidate(pose, int(settings[len(settings) // 2]))
        heights = self.tables.dent[settings] + self.learning.rise(plan)
        grid = np.arange(np.floor(heights.min() / DENTS), np.ceil(heights.max() / DENTS) + 1) * DENTS
        points = pose.tips[:, None] + grid[None, :, None] * pose.axes[:, None]
        points = points.reshape(-1, 3)
        # Elsewhere the tumour is covered, and how well makes no difference.
        far = np.linalg.norm(points - self.site.target.centre, axis=1) - self.site.size
        near = far < 0.0
        if near.any():
            far[near] = self.site.tumour(points[near])
        return np.interp(heights, grid, far.reshape(len(pose.tips), len(grid)).min(axis=0))
