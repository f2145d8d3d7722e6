"""The story of a simulation, on one page: case, geometry, mesh, problem, march, zone.

It reads the same on one rank and on many: every rank runs it with its part of the mesh, and what is decided or
reported is the same on all of them.
"""

from __future__ import annotations

import hashlib
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ablationsim.case import Case
from ablationsim.errors import CaseError, GeometryError, Interrupted, SolverError
from ablationsim.geometry.geometry import Geometry
from ablationsim.march import March
from ablationsim.mesh.mesh import Mesh
from ablationsim.parallel import ALONE, Communicator, Ranks, on_first
from ablationsim.physics.antennas import MicrowaveSource
from ablationsim.physics.damage import ARRHENIUS_SETS, CEM43_THRESHOLD_MIN, THREE_STATE_THRESHOLD
from ablationsim.prepare import mesh_and_vessels, warnings_of
from ablationsim.problem import assemble, controllers
from ablationsim.results import Result, run_folder
from ablationsim.results.carried import heat_carried
from ablationsim.results.doubts import doubts_of
from ablationsim.results.log import Log
from ablationsim.results.recorder import Progress, Recorder
from ablationsim.results.stopping import stopping_on_signals
from ablationsim.units import ZERO_CELSIUS
from ablationsim.vessels.vessel import Vessel
from ablationsim.zone import (
    UNIFORM,
    ZoneMetrics,
    displaced_tissue,
    history_contraction,
    isotherm_metrics,
    measure,
    moved,
    uniform_contraction,
    zone_document,
)
from ablationsim.zone.case_margins import case_margins

REFINEMENT = 1.5
"""Ratio of element sizes between a run and its refinement."""


def simulate(
    case: Case,
    folder: str | Path | None = None,
    *,
    comm: Communicator = ALONE,
    refine: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Predict the ablation zone of a case.

    Parameters
    ----------
    case : Case
        What to simulate.
    folder : path, optional
        Run folder; without one everything stays in memory.
    comm : Communicator
        Ranks that share the simulation, from `ablationsim.parallel.start`; every one of them calls this. The result on
        each holds its part of the mesh and its fields; all else in it is the same on all.
    refine : bool
        Run once more with elements 1.5 times smaller and half the time-step tolerance, and state the difference as the
        discretisation error. With second-order convergence and the usual safety factor of 1.25 the difference itself is
        the grid convergence index of the coarser run (Roache 1994): 1.25 / (1.5^2 - 1) = 1.
    resume : bool
        Go on from the last checkpoint in the folder, or start if there is none.
    overwrite : bool
        Replace an earlier run in the folder.
    progress : callable, optional
        ``progress(t, text)``: called after every time step with the simulated time [s].

    Raises
    ------
    AblationSimError
        Its leaves say what is wrong and what to do; ``Interrupted`` after a signal, with the state kept in the folder.
    """
    folder = None if folder is None else Path(folder)
    run = partial(_run, comm=comm, resume=resume, overwrite=overwrite, progress=progress)
    try:
        if not refine:
            return run(case, folder)
        finer, finer_folder = _refined(case), None if folder is None else folder / run_folder.REFINED
        if finer_folder is not None:
            on_first(comm, partial(run_folder.resumable, finer_folder, finer, resume=resume, overwrite=overwrite))
        result, fine = run(case, folder), run(finer, finer_folder)
    except Interrupted as error:
        again = "" if folder is None else f" Continue with: {_resume_command(folder, refine, comm)}"
        raise type(error)(f"{error}{again}") from None
    result.document["discretisation_error"] = _difference(result.document, fine.document)
    if folder is not None:
        on_first(comm, partial(run_folder.write_document, folder, result.document))
    return result


def _refined(case: Case) -> Case:
    return replace(
        case,
        mesh=case.mesh.model_copy(update={"resolution": case.mesh.resolution / REFINEMENT}),
        time=case.time.model_copy(update={"tolerance": case.time.tolerance / 2.0}),
    )


def _resume_command(folder: Path, refine: bool, comm: Communicator) -> str:
    # The resolved case works from any directory, unlike a copy of a case file with relative paths in it.
    launcher = ["mpirun", "-n", str(comm.size)] if isinstance(comm, Ranks) else []
    words = [*launcher, "ablationsim", "run", str(folder / "resolved.json"), "--output", str(folder), "--resume"]
    return shlex.join([*words, "--refine"] if refine else words)


def _run(
    case: Case, folder: Path | None, *, comm: Communicator, resume: bool, overwrite: bool, progress: Progress | None
) -> Result:
    started = time.perf_counter()
    _check_alike(case, comm)
    geometry = Geometry.from_case(case)
    resuming = False
    if folder is not None:
        kept = partial(run_folder.resumable, folder, case, resume=resume, overwrite=overwrite)
        resuming = on_first(comm, kept)
        if resume and on_first(comm, partial(run_folder.finished, folder)):
            return Result.load(folder)
    record = _provenance(case)
    mesh, vessels = mesh_and_vessels(case, geometry, folder, comm, resuming=resuming)
    nodes, elements = mesh.distribution.totals(len(mesh.points), len(mesh.cells))
    crossings = warnings_of(case, geometry, vessels, comm)
    march = March(assemble(case, geometry, mesh, vessels), controllers(case), case.zone.cooling)
    # The vectors of a step are too short for the threads of BLAS, which get in the way of those of the kernels.
    with closing(march.problem.source), threadpool_limits(1, "blas"):
        if folder is not None and not resuming:
            # Not before everything in the case has proved to be sound.
            run_folder.begin(folder, case, mesh, record)
        log = Log(folder, comm)
        ranks = f" on {comm.size} ranks" if mesh.distribution.parted else ""
        log.write(f"ablationsim {record['versions']['ablationsim']}: {case.title}; {nodes} nodes{ranks}")
        recorder = Recorder(case, march, folder, progress, log)
        notes = recorder.restore() if resuming else []
        meshed = time.perf_counter()
        with stopping_on_signals(recorder):
            march.run(recorder.observe, recorder.next_stop)

    carried = heat_carried(march, geometry, vessels) if vessels else None
    warnings = [*crossings, *doubts_of(march, recorder.history, carried)]
    displaced = None
    if case.zone.contraction == "history":
        try:
            displaced = displaced_tissue(mesh, geometry.applicators, march.state.damage, march.problem.lumens)
        except SolverError as error:
            # A zone that took hours is worth more than its contraction.
            warnings.append(f"{error} The contracted zone is that of a uniform contraction of {UNIFORM:.0%} instead.")
    damage = march.state.damage
    fields = {
        "max_temperature": damage.max_temperature,
        "level": march.problem.level(damage),
        "omega": damage.omega,
        "cem43": damage.cem43,
        "lost_water": march.state.lost_water,
        **({} if displaced is None else {"contraction": damage.contraction, "displacement": displaced}),
    }
    margins = _margins(case, mesh, fields, vessels, warnings)
    document = _zone(case, geometry, march, displaced, carried, margins, warnings)
    source = march.problem.source
    warnings = [*document["warnings"], *notes]
    for warning in warnings:
        log.write(f"warning: {warning}")
    record |= {
        "axisymmetric": mesh.axisymmetric,
        "nodes": nodes,
        "elements": elements,
        "ranks": comm.size,
        "engine": "petsc" if mesh.distribution.parted else "in-process",
        "time_steps": march.state.steps,
        "rejected_steps": march.state.rejected,
        "setup_wall_s": meshed - started,
        "march_wall_s": time.perf_counter() - meshed,
        **({"field_solves": source.solves} if isinstance(source, MicrowaveSource) else {}),
        "events": recorder.events,
        "warnings": warnings,
    }
    result = Result(
        case=case,
        mesh=mesh,
        history=recorder.history,
        frames=recorder.frames,
        fields=fields,
        document=document,
        record=record,
        folder=folder,
    )
    if folder is not None:
        run_folder.finish(folder, result)
    solves = f" and {source.solves} solutions of the field" if isinstance(source, MicrowaveSource) else ""
    log.write(f"finished after {march.state.steps} steps{solves}")
    return result


def _check_alike(case: Case, comm: Communicator) -> None:
    """Ranks that were given different cases must not mix them."""
    different = sorted(set(comm.gather(run_folder.case_hash(case))))
    if len(different) > 1:
        raise CaseError(
            [f"the {comm.size} ranks of this run were given {len(different)} different cases; start each on its own"]
        )


def _zone(
    case: Case,
    geometry: Geometry,
    march: March,
    displaced: NDArray[np.float64] | None,
    carried: Mapping[str, Any] | None,
    margins: Mapping[str, Any] | None,
    warnings: list[str],
) -> dict[str, Any]:
    """The content of zone.json."""
    mesh, damage, state = march.problem.bioheat.space.mesh, march.state.damage, march.state
    first = geometry.applicators[0]
    energy = state.energy
    missing = energy.generator - march.stored - energy.lost
    source = march.problem.source
    assert march.power_off is not None

    def measured(where: Mesh) -> tuple[ZoneMetrics, dict[str, ZoneMetrics]]:
        highest, limited = damage.max_temperature, march.problem.limited
        isotherms = isotherm_metrics(where, highest, first.tip, first.axis, limited)
        return measure(where, march.problem.level(damage), first.tip, first.axis), isotherms

    metrics, isotherms = measured(mesh)
    if displaced is not None:
        contracted = history_contraction(metrics, *measured(moved(mesh, displaced)))
    else:
        contracted = uniform_contraction(metrics, isotherms, _strain(case))
    return zone_document(
        metrics,
        criterion=_criterion(case),
        time_s=state.time,
        power_off_s=march.power_off,
        isotherms=isotherms,
        contracted=contracted,
        energy_balance={
            "in_j": energy.generator,
            "stored_j": march.stored,
            "lost_j": energy.lost,
            "lost_coolant_j": energy.coolant,
            "lost_perfusion_j": energy.perfusion,
            "lost_outside_j": energy.outside,
            **({"lost_vessels_j": energy.vessels} if case.vessels else {}),
            "relative_error": abs(missing) / energy.generator if energy.generator else 0.0,
        },
        microwave=source.document() if isinstance(source, MicrowaveSource) else None,
        vessels=carried,
        margins=margins,
        warnings=warnings,
    )


def _margins(
    case: Case, mesh: Mesh, fields: Mapping[str, NDArray[np.float64]], vessels: Sequence[Vessel], warnings: list[str]
) -> Mapping[str, Any] | None:
    """How far the zone reaches beyond the tumour; None without a tumour."""
    try:
        found = case_margins(case, mesh, fields, vessels=vessels, strain=_strain(case))
    except GeometryError as error:
        # The images of the tumour went while the case ran; the zone is worth keeping.
        warnings.append(f"The margins of the tumour could not be measured. {error}")
        return None
    return None if found is None else found.document


def _strain(case: Case) -> float:
    """Uniform strain, also where that by the history cannot be had."""
    return UNIFORM if case.zone.contraction == "history" else case.zone.contraction


def _criterion(case: Case) -> dict[str, Any]:
    zone = case.zone
    match zone.criterion:
        case "arrhenius":
            law = ARRHENIUS_SETS[zone.arrhenius_set]
            return {"name": "arrhenius", "set": zone.arrhenius_set, "threshold": law.threshold}
        case "cem43":
            return {"name": "cem43", "threshold_min": CEM43_THRESHOLD_MIN}
        case "isotherm":
            return {"name": "isotherm", "temperature_c": zone.isotherm_temperature - ZERO_CELSIUS}
        case "three_state":
            return {"name": "three_state", "dead_fraction": THREE_STATE_THRESHOLD}


def _difference(coarse: dict[str, Any], fine: dict[str, Any]) -> dict[str, float]:
    """How far each size lies from that of the refined run, in its own unit, and the volume as a fraction."""
    keys = ("volume_ml", "axial_length_mm", "transverse_diameter_mm", "long_axis_mm", "short_axis_mm", "beyond_tip_mm")
    found = {key: abs(coarse[key] - fine[key]) for key in keys if coarse[key] is not None and fine[key] is not None}
    if fine["volume_ml"]:
        found["volume_relative"] = found["volume_ml"] / fine["volume_ml"]
    return found


def _provenance(case: Case) -> dict[str, Any]:
    libraries = ("ablationsim", "numpy", "scipy", "scikit-fem", "pyamg", "numba", "gmsh", "meshio")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "case_sha256": run_folder.case_hash(case),
        "inputs_sha256": {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in case.inputs},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in libraries}},
        "platform": platform.platform(),
    }


class _Callable(ModuleType):
    """`ablationsim.simulate` names this module once it is imported, and the function before: both can be called."""

    __call__ = staticmethod(simulate)


sys.modules[__name__].__class__ = _Callable
