"""Zones of one needle in tissue without vessels and tumour: the stock from which plans are put together.

For each power one axisymmetric run heats for the longest time. Wherever a zone is wanted on the way, a second march
takes over the state, switches off, and lets the tissue cool as the case says: the zone that a run of this length would
have left. The stock is kept on disk, by the content of the case that it is made for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ablationsim import cache
from ablationsim.case import Case, DomainSection, extent
from ablationsim.case.case import PlacedDevice
from ablationsim.errors import AblationSimError, CaseError, Interrupted, SolverError
from ablationsim.fem.probing import Probes
from ablationsim.geometry.geometry import Geometry, broken_symmetry
from ablationsim.march import March
from ablationsim.mesh.generate import mesh_of
from ablationsim.problem import assemble, controllers
from ablationsim.study.planning.drive import drive_of
from ablationsim.study.planning.protocol import with_setting
from ablationsim.study.workers import Apply

Floats = NDArray[np.float64]

SPACING = 1e-3
"""Distance of the points of the stock [m]: the drive is smooth on the scale of a zone."""

REACH = 45e-3
"""How far round what heats the stock reaches [m]; zones of one needle end before."""

RESOLUTION = 2.0
"""Factor on the elements of the runs: zones are within 2 % in volume of those on elements half the size."""


@dataclass(frozen=True, eq=False)
class Library:
    """Drive round one needle, in its frame, by power and time.

    Attributes
    ----------
    powers : (p,) float64
        Settings of the generator [W]; one where the power is not changed.
    times : (t,) float64
        Times at which the generator was switched off [s].
    r, z : (a,) and (b,) float64
        Distance from the axis, and height above the tip [m], evenly spaced.
    drive : (p, t, a, b) float32
        See `ablationsim.study.planning.drive`.
    """

    powers: Floats
    times: Floats
    r: Floats
    z: Floats
    drive: NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """One run of the stock: a case with one power and the longest time, and the times that are wanted of it [s]."""

    case: Case
    times: tuple[float, ...]


def alone(case: Case) -> Case:
    """Return the first needle of a case by itself in its tissue, upright, ready for an axisymmetric run.

    Raises
    ------
    CaseError
        If the device is not symmetric about its shaft.
    """
    first = case.applicators[0]
    placed = replace(first, tip=(0.0, 0.0, 0.0), direction=(0.0, 0.0, 1.0), roll=0.0, entry=None, start=0.0, repeat=1)
    spec = first.device.applicator
    block = DomainSection(frame="world", boundary=case.domain.boundary)
    # Centred on the axis to the last digit.
    box = extent.bounding_box([(spec, (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))])
    block = extent.complete(block, extent.Frame.world(), *box)
    found = replace(
        case,
        title=f"{first.device.title}, alone",
        applicators=(placed,),
        domain=block,
        patient=None,
        vessels=(),
        tumour=None,
        probes=(),
        measured=None,
        mesh=case.mesh.model_copy(update={"resolution": RESOLUTION, "vessels": "embedded"}),
        # The zone alone is wanted.
        zone=case.zone.model_copy(update={"contraction": 0.0}),
        text="",
    )
    geometry = Geometry.from_case(found)
    if not geometry.axisymmetric:
        reasons = " ".join(broken_symmetry(geometry.applicators, geometry.domain))
        raise CaseError(
            [
                f"a plan is looked for with devices that are symmetric about their shaft only, and "
                f"'{first.device.name}' is not ({reasons}). Plan with a single needle, or place this device yourself "
                "and run 'ablationsim plan' without --optimize"
            ]
        )
    return found


def library(
    case: Case,
    powers: Sequence[float],
    times: Sequence[float],
    apply: Apply,
    told: Callable[[int], None] = lambda made: None,
) -> Library:
    """Return the zones of the first needle of a case, from the disk if they were made before.

    Parameters
    ----------
    case : Case
        Whose device, tissue, zone and microwave settings count.
    powers : sequence of float
        Settings of the generator [W].
    times : sequence of float
        Times at which it is switched off [s], rising.
    apply : Apply
        From `ablationsim.study.workers.workers`.
    told : callable
        Called with 1 whenever the zones of another power are there.

    Raises
    ------
    CaseError
        If the device is not symmetric about its shaft, or cannot deliver a power.
    SolverError
        If a run fails.
    """
    single = alone(case)
    tasks = [Task(_heated(single, power, times[-1]), tuple(times)) for power in powers]
    folder = cache.folder_of("zones")
    paths = [None if folder is None else folder / f"{_key(task)}.npz" for task in tasks]
    found = [_sound(None if path is None else cache.load(path), len(times)) for path in paths]
    missing = [i for i, one in enumerate(found) if one is None]
    for _ in range(len(tasks) - len(missing)):
        told(1)
    made = apply(zones, [tasks[i] for i in missing], lambda answer: told(1))
    for i, drive in zip(missing, made, strict=True):
        found[i] = drive
        if (path := paths[i]) is not None:
            cache.store(path, {"drive": drive})
    r, z = axes_of(single.applicators[0])
    return Library(np.array(powers), np.array(times), r, z, np.array(found, dtype=np.float32))


def axes_of(placed: PlacedDevice) -> tuple[Floats, Floats]:
    """Points of the stock along r and z for a device [m]."""
    low, high = extent.bounding_box([(placed.device.applicator, (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))])
    steps = np.arange(np.floor((low[2] - REACH) / SPACING), np.ceil((high[2] + REACH) / SPACING) + 1)
    r = np.asarray(SPACING * np.arange(round(REACH / SPACING) + 1), dtype=np.float64)
    return r, np.asarray(SPACING * steps, dtype=np.float64)


def zones(task: Task) -> NDArray[np.float32]:
    """Make the drive (t, a, b) of one power at all times.

    Raises
    ------
    SolverError
        If the run fails; the message says which.
    Interrupted
        If the user stopped it.
    """
    try:
        return _zones(task)
    except Interrupted:
        raise
    except AblationSimError as error:
        # An error crosses to another process by its message alone.
        raise SolverError(f"the run of {task.case.title} failed: {error}") from None


def _zones(task: Task) -> NDArray[np.float32]:
    case = task.case
    geometry = Geometry.from_case(case)
    mesh = mesh_of(case, geometry)
    march = March(assemble(case, geometry, mesh), controllers(case), 0.0)
    # A source of its own keeps the fields of the march under way as they are.
    cooling = assemble(case, geometry, mesh)
    r, z = axes_of(case.applicators[0])
    inside = np.stack(np.meshgrid(r, z, indexing="ij"), axis=-1).reshape(-1, 2)
    half, radius = 0.5 * float(case.domain.height or 0.0), float(case.domain.radius or 0.0)
    middle = float((case.domain.centre or (0.0, 0.0, 0.0))[2])
    # Beyond the block nothing was heated either.
    np.clip(inside[:, 0], None, radius, out=inside[:, 0])
    np.clip(inside[:, 1], middle - half, middle + half, out=inside[:, 1])
    probes = Probes.at(mesh, inside, reach=1.0)
    found: list[NDArray[np.float32]] = []

    def observe(march: March) -> bool:
        if march.state.time >= task.times[len(found)] - 1e-6:
            level = _cooled(march, cooling, case, task.times[len(found)])
            found.append(probes(drive_of(level, mesh)).reshape(len(r), len(z)).astype(np.float32))
        return len(found) == len(task.times)

    def next_stop(time: float) -> float:
        return next((t for t in task.times if t > time + 1e-6), np.inf)

    with closing(march.problem.source), closing(cooling.source), threadpool_limits(1, "blas"):
        march.run(observe, next_stop)
        while len(found) < len(task.times):
            # The generator gave up early: what comes later is the same.
            found.append(found[-1])
    return np.array(found)


def _cooled(march: March, problem: object, case: Case, time: float) -> Floats:
    """Level of the nodes when the generator stops now and the tissue cools."""
    meta, nodal, others = march.snapshot()
    copied = [{name: np.array(values) for name, values in arrays.items()} for arrays in (nodal, others)]
    for state in meta["controllers"]:
        state["ends"] = min(state["ends"], time)
    branch = March(problem, controllers(case), case.zone.cooling)  # type: ignore[arg-type]
    branch.restore(json.loads(json.dumps(meta)), *copied)
    branch.run(lambda march: False, lambda time: np.inf)
    return branch.problem.level(branch.state.damage)


def _heated(case: Case, power: float, time: float) -> Case:
    first = case.applicators[0]
    placed = replace(first, protocol=with_setting(first.protocol, power, time))
    problems = placed.device.protocol_problems(placed.protocol)
    if problems:
        raise CaseError([f"plan: {problem}" for problem in problems])
    return replace(case, title=f"{case.title} at {power:g} W", applicators=(placed,))


def _key(task: Task) -> str:
    """Hash of all that the zones are made from."""
    content = {**task.case.decisive(), "title": "", "times": task.times, "spacing": SPACING, "reach": REACH}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    package = Path(__file__).parents[2]
    for folder in (
        package,
        package / "physics",
        package / "fem",
        package / "tissue",
        package / "device",
        Path(__file__).parent,
    ):
        digest.update("".join(cache.programs(["scipy", "numba"], folder)).encode())
    return digest.hexdigest()


def _sound(content: dict[str, np.ndarray] | None, times: int) -> NDArray[np.float32] | None:
    if content is None or "drive" not in content or content["drive"].ndim != 3 or len(content["drive"]) != times:
        return None
    drive: NDArray[np.float32] = content["drive"]
    return drive if np.isfinite(drive).all() else None
