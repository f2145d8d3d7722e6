"""Runs of the heat-sink experiments, and what is measured on each zone."""

from __future__ import annotations

import copy
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ablationsim
from ablationsim.case import Case
from ablationsim.errors import AblationSimError, SolverError
from ablationsim.fem.cutting import volume_above_zero
from ablationsim.fem.probing import probe_matrix
from ablationsim.results import Result
from ablationsim.results.files import make_folder, write_whole
from ablationsim.results.run_folder import case_hash
from ablationsim.simulate import simulate
from ablationsim.study.workers import workers
from ablationsim.units import ZERO_CELSIUS
from ablationsim.vasculature.build import vessels_of
from ablationsim.vessels.distance import WallDistance
from ablationsim.vessels.vessel import Vessel
from ablationsim.zone.extract import zone_volume
from ablationsim.zone.marching import contour

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "runs" / "heat_sink_validation"
HEIGHTS = np.arange(-25.0, 75.5, 1.0)
"""Of the sections across the shaft, above the tip [mm]."""
RADII = np.arange(1.0, 30.1, 0.25)
"""Places of the temperature profile, from the axis of the shaft [mm]."""
_ABOVE = ("case", "results", "report", "study", "cli", "cache.py", "doctor.py")
_SOURCES = hashlib.sha256(
    b"".join(
        path.read_bytes()
        for package in [Path(ablationsim.__file__).parent]
        for path in [*sorted(package.rglob("*.py")), Path(__file__)]
        if not path.is_relative_to(package) or path.relative_to(package).parts[0] not in _ABOVE
    )
).hexdigest()
"""Results of another solver are not taken for those of this one."""


@dataclass(frozen=True)
class Section:
    """A section of a zone across the shaft; the vessel is on the side of positive x.

    Attributes
    ----------
    height : float
        Above the tip [mm].
    area : float
        Of coagulated tissue: without needle and vessel [mm2].
    toward : float
        From the axis to where the zone ends first on the way to the vessel, at the latest at its wall if something
        flows in it [mm].
    reach : float
        To where the zone ends last on that side, also behind the vessel [mm].
    away : float
        To where it ends on the side away from the vessel [mm].
    outline : list of [x, y, x, y]
        Pieces of its edge [mm].
    """

    height: float
    area: float
    toward: float
    reach: float
    away: float
    outline: list[list[float]]


@dataclass(frozen=True)
class Answer:
    """What is measured on a run.

    Attributes
    ----------
    volume_ml : float
        Coagulated tissue, without the vessel [mL].
    sections : tuple of Section
        At the heights where there is a zone.
    distance, wall : float
        From the axis of the shaft to the centreline of the vessel and to its wall [mm].
    coefficient : float
        Between tissue at the wall and the fluid [W/m2/K].
    share : float
        Heat that the vessel carried off, of the energy put in.
    toward_c, away_c : list of float or None
        Temperature when the power goes off, at `RADII`, half-way up the heated part of the shaft, on the side of the
        vessel and on the other [degC]; None outside the tissue.
    nodes, steps : int
    warnings : list of str
    """

    volume_ml: float
    sections: tuple[Section, ...]
    distance: float
    wall: float
    coefficient: float
    share: float
    toward_c: list[float | None]
    away_c: list[float | None]
    nodes: int
    steps: int
    warnings: list[str]

    @classmethod
    def read(cls, path: Path) -> Answer:
        """An answer that was kept."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**data | {"sections": tuple(Section(**section) for section in data["sections"])})

    def at(self, height: float) -> Section:
        """Section at a height above the tip [mm]; empty where there is no zone."""
        found = [section for section in self.sections if section.height == height]
        return found[0] if found else Section(height, 0.0, 0.0, 0.0, 0.0, [])

    @property
    def widest(self) -> float:
        """Height of the largest section [mm]."""
        return max(self.sections, key=lambda section: section.area).height


def case_with(path: Path, changes: Mapping[str, Any]) -> Case:
    """A case file with other values.

    Parameters
    ----------
    path : Path
    changes : mapping
        ``axis`` or ``wall``: from the axis of the shaft to that of the vessel, or to its outer surface [mm];
        ``flow`` [mL/min], None for a vessel whose flow follows from its diameter, 0 for one that is occluded;
        ``diameter``, ``glass`` (thickness) [mm]; ``model``; ``temperature`` at the start [degC]; ``profile``;
        ``power`` [W]; ``duration`` [s]; ``perfusion`` [1/s]; ``arrhenius_set``; ``isotherm`` [degC]; ``resolution``.
    """
    data = copy.deepcopy(tomllib.loads(path.read_text(encoding="utf-8")))
    vessel = data["vessel"][0]
    if "diameter" in changes:
        vessel["diameter"] = f"{changes['diameter']:g} mm"
    if "glass" in changes:
        vessel["wall_thickness"] = f"{changes['glass']:g} mm"
    if "model" in changes:
        vessel["model"] = changes["model"]
    if "flow" in changes:
        vessel.pop("flow", None)
        if changes["flow"] == 0:
            vessel["occluded"] = True
        if vessel["kind"] == "tube" or changes["flow"]:
            vessel["flow"] = f"{changes['flow']:g} mL/min"
    distance = changes.get("axis")
    if "wall" in changes:
        distance = changes["wall"] + 0.5 * _mm(vessel["diameter"]) + _mm(vessel.get("wall_thickness", "0 mm"))
    if distance is not None:
        vessel["points"] = [[f"{distance:g} mm", *point[1:]] for point in vessel["points"]]
    if "temperature" in changes:
        data["tissue"]["temperature"] = f"{changes['temperature']:g} degC"
    if "perfusion" in changes:
        data["tissue"]["perfusion"] = f"{changes['perfusion']:g} 1/s"
    if "profile" in changes:
        data["device"]["profile"] = changes["profile"]
    for key, unit in (("power", "W"), ("duration", "s")):
        if key in changes:
            data["protocol"][0][key] = f"{changes[key]:g} {unit}"
    if "arrhenius_set" in changes:
        data["zone"]["arrhenius_set"] = changes["arrhenius_set"]
    if "isotherm" in changes:
        data["zone"] |= {"criterion": "isotherm", "isotherm_temperature": f"{changes['isotherm']:g} degC"}
    if "resolution" in changes:
        data["mesh"]["resolution"] = changes["resolution"]
    return Case.from_dict(data, path.parent)


def answers(cases: Mapping[str, Case], jobs: int, fresh: bool = False) -> dict[str, Answer]:
    """Run what has not run yet, `jobs` at a time; equal cases once."""
    make_folder(KEPT)
    paths = {
        name: KEPT / f"{hashlib.sha256((case_hash(case) + _SOURCES).encode()).hexdigest()[:24]}.json"
        for name, case in cases.items()
    }
    if fresh:
        for path in KEPT.glob("*.json"):
            path.unlink()
    tasks = {path: (name, cases[name], path) for name, path in paths.items() if not path.exists()}
    print(f"{len(tasks)} of {len(set(paths.values()))} runs to do", flush=True)
    with workers(jobs) as apply:
        apply(_keep, list(tasks.values()))
    return {name: Answer.read(path) for name, path in paths.items()}


def _keep(task: tuple[str, Case, Path]) -> None:
    name, case, path = task
    try:
        result = simulate(case)
    except AblationSimError as error:
        # An error crosses to another process by its message alone.
        raise SolverError(f"{name}: {error}") from None
    write_whole(path, json.dumps(asdict(measure(result))))
    wall_s = result.record["setup_wall_s"] + result.record["march_wall_s"]
    print(f"{name}: {result.record['nodes']} nodes, {result.record['time_steps']} steps, {wall_s:.0f} s", flush=True)


def measure(result: Result) -> Answer:
    """Measure a run whose only vessel is straight, parallel to a shaft that points along z, on the side of x."""
    (vessel,) = vessels_of(result.case)
    (branch,) = vessel.branches
    tip = np.array(result.case.applicators[0].tip)
    distance, outer = float(branch.points[0, 0]), float(branch.radii.mean())
    level = result.fields["level"]
    wall = 1e3 * (distance - outer)
    flowing = branch.flow > 0.0
    # What stands still counts as tissue in a run; here it does not.
    tissue = level if flowing else np.minimum(level, 1e3 * WallDistance(vessel.wall)(result.mesh.points))
    sections = (_section(result, tip, height, level, tissue, wall if flowing else np.inf) for height in HEIGHTS)
    toward, away = _profiles(result, tip, vessel, wall)
    return Answer(
        volume_ml=1e6 * zone_volume(result.mesh, tissue),
        sections=tuple(section for section in sections if section.area > 0.0),
        distance=1e3 * distance,
        wall=wall,
        coefficient=branch.wall_coefficient,
        share=float(result.document["vessels"]["share"]),
        toward_c=toward,
        away_c=away,
        nodes=int(result.record["nodes"]),
        steps=int(result.record["time_steps"]),
        warnings=result.warnings,
    )


def _section(result: Result, tip: Floats, height: float, level: Floats, tissue: Floats, wall: float) -> Section:
    """The section at a height; `wall` is where the way toward the vessel ends at the latest [mm]."""
    mesh = result.mesh
    # Downward, so that seen from above the triangles turn to the left.
    cut = contour(mesh.cells, tip[2] + 1e-3 * height - mesh.points[:, 2])
    points = 1e3 * (cut.interpolate(mesh.points) - tip)[:, :2]
    corners = points[cut.facets]
    areas = 0.5 * np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1]))
    area = volume_above_zero(points, cut.facets, cut.interpolate(tissue), areas, False)
    edge = contour(cut.facets, cut.interpolate(level))
    ends = edge.interpolate(points)[edge.facets]
    leaving = _crossings(ends)
    back = _crossings(-ends)
    return Section(
        height=float(height),
        area=float(area),
        toward=float(min([wall, *leaving])) if leaving else 0.0,
        reach=max(leaving, default=0.0),
        away=min(back, default=0.0),
        outline=np.round(ends.reshape(-1, 4), 2).tolist(),
    )


def _crossings(ends: Floats) -> list[float]:
    """Where segments (k, 2, 2) with the zone on their left leave it along the positive x axis."""
    (x0, y0), (x1, y1) = ends[:, 0].T, ends[:, 1].T
    upward = (y0 <= 0.0) & (y1 > 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = x0 - y0 * (x1 - x0) / (y1 - y0)
    return [float(value) for value in x[upward & (x > 0.0)]]


def _profiles(
    result: Result, tip: Floats, vessel: Vessel, wall: float
) -> tuple[list[float | None], list[float | None]]:
    """Temperatures toward the vessel, up to its wall, and away from it, when the power goes off [degC]."""
    from ablationsim.geometry.geometry import Geometry
    from ablationsim.zone.toward import heated_axis

    applicator = Geometry.from_case(result.case).applicators[0]
    height = heated_axis(applicator).mean(axis=0)[2]
    frame = int(np.argmin(np.abs(result.frames.times - result.case.end)))
    temperature = result.frames.temperature(frame)
    profiles = []
    for sign, last in ((1.0, wall), (-1.0, np.inf)):
        points = np.column_stack(
            [tip[0] + 1e-3 * sign * RADII, np.full(len(RADII), tip[1]), np.full(len(RADII), height)]
        )
        values = probe_matrix(result.mesh, points, reach=5e-3) @ temperature - ZERO_CELSIUS
        profiles.append([round(float(t), 2) if r <= last else None for r, t in zip(RADII, values, strict=True)])
    return profiles[0], profiles[1]


def _mm(text: str) -> float:
    value, unit = text.split()
    assert unit == "mm", text
    return float(value)


def relative(answer: Answer, reference: Answer, quantity: str) -> float:
    """A size in percent of that of another run, at the height where the other run's zone is widest.

    Parameters
    ----------
    answer, reference : Answer
    quantity : {"toward", "reach", "area", "volume"}
        "toward" is compared with the reach of the other run, in which nothing is in the way.
    """
    if quantity == "volume":
        return 100.0 * answer.volume_ml / reference.volume_ml
    one, other = answer.at(reference.widest), reference.at(reference.widest)
    if quantity == "toward":
        return 100.0 * one.toward / other.reach
    return 100.0 * float(getattr(one, quantity)) / float(getattr(other, quantity))


def product(**values: Sequence[Any]) -> Iterable[dict[str, Any]]:
    """Every combination of values, by name."""
    from itertools import product as combinations

    for found in combinations(*values.values()):
        yield dict(zip(values, found, strict=True))
