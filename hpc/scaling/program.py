"""Time steps of the product on a synthetic block, on as many ranks as it is started on.

``mpirun -n 2 .venv-mpi/bin/python hpc/scaling/program.py --n 46``; the last line printed by the first rank holds the
results. What is timed are the product's own classes from the mesh to the march; only the mesh is made here.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from block import ELECTRODE_LENGTH, ELECTRODE_RADIUS, Block
from watch import PARTS, Watch

from ablationsim.parallel import ALONE, Communicator
from ablationsim.parallel.launcher import start

STEP = 2.0
"""Length of a time step [s]."""
VOLTAGE = 45.0
"""Of the electrode [V]."""


def make_march(mesh: Any, rtol: float) -> Any:
    """The coupled problem on a block, with the electrode's voltage held; returns the march."""
    import numpy as np

    from ablationsim.device.generator import Controller
    from ablationsim.device.profile import GeneratorSpec
    from ablationsim.device.protocol import VoltageStep
    from ablationsim.fem.probing import Probes
    from ablationsim.fem.space import P1Space
    from ablationsim.march import March
    from ablationsim.physics.bioheat import Bioheat
    from ablationsim.physics.circuit import Channel
    from ablationsim.physics.damage import DamageModel
    from ablationsim.physics.electric import Electric
    from ablationsim.physics.radiofrequency import RadiofrequencySource
    from ablationsim.step import Problem, TimeControl
    from ablationsim.tissue.tissue import Tissue

    space = P1Space(mesh)
    tissue = Tissue.load("liver_human")
    bioheat = Bioheat(space, tissue, [], tissue.initial_temperature)
    electric = Electric(space, [["electrode"]], "far_field", np.zeros(3), rtol)
    source = RadiofrequencySource(space, bioheat.tables, electric, [Channel((0,))], np.ones(space.n_nodes))
    tip = np.array([[0.0, 0.0, -0.5 * ELECTRODE_LENGTH], [ELECTRODE_RADIUS, 0.0, 0.0]])
    problem = Problem(
        bioheat=bioheat,
        source=source,
        damage=DamageModel("arrhenius"),
        thermocouples=[Probes.at(mesh, tip[:1], 1e-3)],
        probes=Probes.at(mesh, tip, 1e-3),
        initial_temperature=tissue.initial_temperature,
        control=TimeControl(longest_step=STEP),
    )
    protocol = [VoltageStep(voltage=f"{VOLTAGE} V", duration="1 h")]
    generator = GeneratorSpec(max_power="1 kW", frequency="480 kHz")
    return March(problem, [Controller(protocol, generator)], 0.0)


def watched() -> Watch:
    """A stopwatch on the product's parts of a step."""
    from ablationsim.fem import jacobi, newton, petsc
    from ablationsim.fem.multigrid import MultigridCG
    from ablationsim.fem.space import P1Space
    from ablationsim.fem.stiffness import Scatter
    from ablationsim.mesh.distribution import Share
    from ablationsim.parallel import Ranks
    from ablationsim.physics import bioheat, electric, radiofrequency

    watch = Watch()
    for owner, name in (
        (Scatter, "matrix"),
        (P1Space, "nodal_load"),
        (bioheat, "element_look_up"),
        (radiofrequency, "element_look_up"),
        (bioheat, "look_up"),
        (electric, "joule_heat"),
        (petsc.PetscCG, "_assign"),
    ):
        watch.wrap(owner, name, "assembly")
    for solver in (petsc.PetscCG, MultigridCG):
        watch.wrap(solver, "build", "set-up")
        watch.wrap(solver, "solve", None, int)
    watch.wrap(electric.Electric, "solve", "electric")
    watch.wrap(bioheat.Bioheat, "solve_stage", "heat")
    watch.wrap(bioheat.Bioheat, "damped", "heat")
    watch.wrap(newton, "linearise", None)
    # One product an iteration over ranks; one process counts them itself.
    watch.wrap(jacobi, "product", None)
    watch.wrap(jacobi, "correction", None, int)
    watch.wrap(Share, "update", "halo")
    watch.wrap(Ranks, "_reduce", "reductions")
    return watch


def iterations(calls: dict[str, int]) -> dict[str, int]:
    """How much work a step was, from the calls in it."""

    def count(*names: str) -> int:
        return sum(calls.get(name, 0) for name in names)

    return {
        "electric_solves": count("Electric.solve"),
        "electric_iterations": count("PetscCG.solve", "MultigridCG.solve"),
        "builds": count("PetscCG.build", "MultigridCG.build"),
        "newton_steps": count("newton.linearise"),
        "heat_iterations": count("jacobi.product", "jacobi.correction"),
        "halo_updates": count("Share.update"),
        "reductions": count("Ranks._reduce"),
    }


class PetscLog:
    """What PETSc says about its own work: communication inside the electric solver, which nobody sees from outside."""

    EVENTS = ("VecScatterBegin", "VecScatterEnd", "VecNorm", "VecTDot", "MatMult", "PCApply", "KSPSolve")
    PADDED = "{}  "  # PETSc 3.18 has two blanks at the end of some names

    def __init__(self) -> None:
        from petsc4py import PETSc

        self._petsc = PETSc
        PETSc.Log.begin()
        self._before = self._now()

    def _now(self) -> dict[str, dict[str, float]]:
        return {name: self._event(name) for name in self.EVENTS}

    def _event(self, name: str) -> dict[str, float]:
        called: dict[str, float] = self._petsc.Log.Event(name).getPerfInfo()
        return called if called["count"] else self._petsc.Log.Event(self.PADDED.format(name)).getPerfInfo()

    def lap(self) -> dict[str, dict[str, float]]:
        """Time [s], calls, messages, bytes sent and reductions of each event since the last lap."""
        before, self._before = self._before, self._now()
        keys = {"time": "time", "count": "calls", "numMessages": "messages", "messageLength": "bytes"}
        keys["numReductions"] = "reductions"
        return {
            name: {new: now[old] - before[name][old] for old, new in keys.items()} for name, now in self._before.items()
        }


def levels(solver: Any) -> list[dict[str, int]]:
    """Unknowns and non-zeros of PETSc's hierarchy, the finest level first."""
    pc = solver.getPC()
    if pc.getType() not in ("gamg", "mg"):
        return []
    found = []
    for level in reversed(range(pc.getMGLevels())):
        matrix, _ = pc.getMGSmoother(level).getOperators()
        found.append({"unknowns": matrix.getSize()[0], "nonzeros": int(matrix.getInfo()["nz_used"])})
    return found


def digits(solver: Any) -> float:
    """Decimal digits by which each iteration of the last solution reduced the residual, on average."""
    history = solver.getConvergenceHistory()
    return float(math.log10(history[0] / history[-1]) / (len(history) - 1))


def resident() -> int:
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def peak() -> int:
    """Bytes of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def output(march: Any) -> dict[str, float]:
    """Time and size of what a run writes now and then: a checkpoint, and the fields of this moment."""
    import numpy as np

    from ablationsim.results.checkpoint import Checkpoints
    from ablationsim.results.frames import Frames
    from ablationsim.results.pieces import write_piece

    mesh, state = march.problem.bioheat.space.mesh, march.state
    comm = mesh.distribution.comm
    with tempfile.TemporaryDirectory() as made:
        folder = Path(comm.broadcast(made))
        comm.barrier()
        begun = time.perf_counter()
        Checkpoints(folder / "checkpoint", mesh.distribution, len(mesh.points)).save(*march.snapshot())
        comm.barrier()
        saved = time.perf_counter()
        frames = Frames()
        frames.append(state.time, state.temperature)
        write_piece(
            folder, mesh, frames, {"max_temperature": state.damage.max_temperature, "omega": state.damage.omega}
        )
        comm.barrier()
        written = time.perf_counter()
        files = [path for path in folder.rglob("*") if path.is_file()]
        checkpoint = sum(path.stat().st_size for path in files if path.suffix == ".ckpt")
        pieces = sum(path.stat().st_size for path in files if path.suffix == ".npz")
        comm.barrier()
    return {
        "checkpoint_s": saved - begun,
        "checkpoint_bytes": float(checkpoint),
        "fields_s": written - saved,
        "fields_bytes": float(pieces),
        "finite": float(np.isfinite(state.temperature).all()),
    }


def main() -> None:
    """Run, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=46, help="cubes along each side of the block")
    parser.add_argument("--steps", type=int, default=8, help="steps that are timed")
    parser.add_argument("--settle", type=int, default=2, help="steps of full length before them")
    parser.add_argument("--engine", choices=("distributed", "in-process"), default="distributed")
    parser.add_argument("--rtol", type=float, help="of the potential; that of the engine by default")
    parser.add_argument("--output", action="store_true", help="also time a checkpoint and the fields")
    given = parser.parse_args()
    comm = start(always=True) if given.engine == "distributed" else ALONE
    results = measure(given, comm)
    if comm.rank == 0:
        print(json.dumps(results), flush=True)


def measure(given: argparse.Namespace, comm: Communicator) -> dict[str, Any]:
    """Everything that is measured, the same on all ranks."""
    from machine import machine
    from threadpoolctl import threadpool_limits

    from ablationsim import problem as defaults

    shared = given.engine == "distributed"
    rtol = given.rtol or (defaults._SHARED_ELECTRIC_RTOL if shared else defaults._ELECTRIC_RTOL)
    with threadpool_limits(1, "blas"):
        # Loads compiled code from the disk, or compiles it, for meshes as large as this one on each rank.
        small = Block(min(given.n, int(8 + (9000 * comm.size) ** (1 / 3))), comm.size)
        warm = make_march(small.mesh(comm), rtol)
        warm.advance()
        warm.problem.source.close()
        del warm
        base = resident()
        block = Block(given.n, comm.size)
        comm.barrier()
        begun = time.perf_counter()
        mesh = block.mesh(comm)
        comm.barrier()
        meshed = time.perf_counter()
        march = make_march(mesh, rtol)
        comm.barrier()
        made, made_peak = time.perf_counter(), peak()
        watch = watched()
        log = PetscLog() if shared else None
        march.advance(STEP)
        comm.barrier()
        first = time.perf_counter()
        solver = march.problem.source.electric._solver
        if shared:
            solver._solver.setConvergenceHistory(length=1000, reset=True)
        while march.pace.step < STEP:
            march.advance(march.state.time + STEP)
        for _ in range(given.settle):
            march.advance(march.state.time + STEP)
        watch.lap()
        if log:
            log.lap()
        steps = [step(march, watch, comm) for _ in range(given.steps)]
        logged = log.lap() if log else {}
        distribution = march.problem.bioheat.space.distribution
        results = {
            "engine": given.engine,
            "ranks": comm.size,
            "threads": int(os.environ.get("NUMBA_NUM_THREADS", os.cpu_count() or 1)),
            "host": platform.node(),
            "unknowns": block.nodes,
            "elements": block.cells,
            "rtol": rtol,
            "mesh_s": meshed - begun,
            "setup_s": made - meshed,
            "first_step_s": first - made,
            **summary(steps, comm),
            "petsc": {name: {key: value / given.steps for key, value in one.items()} for name, one in logged.items()},
            "levels": levels(solver._solver) if shared else [],
            "digits_an_iteration": digits(solver._solver) if shared else None,
            "ghosts": spread(comm, float(distribution._halo.ghosts) if shared else 0.0),
            "own_nodes": spread(comm, float(distribution.own_nodes) if shared else float(block.nodes)),
            "neighbours": spread(comm, float(distribution._halo.neighbours) if shared else 0.0),
            "setup_peak_bytes": spread(comm, float(made_peak)),
            "peak_bytes": spread(comm, float(peak())),
            "base_bytes": spread(comm, float(base)),
            "hottest_k": comm.largest(float(march.state.temperature.max())),
            "power_w": march.readings[0].power,
        }
        if given.output:
            results["output"] = output(march)
        march.problem.source.close()
        results["machine"] = machine(comm)
    return results


def step(march: Any, watch: Watch, comm: Communicator) -> dict[str, Any]:
    """One step of fixed length, and what it took this rank."""
    comm.barrier()
    rejected, end = march.state.rejected, march.state.time + STEP
    watch.lap()
    begun = time.perf_counter()
    march.advance(end)
    whole = time.perf_counter() - begun
    seconds, calls = watch.lap()
    if march.state.rejected > rejected or march.state.time != end:
        raise RuntimeError(f"a step of {STEP} s was not accurate enough at {end} s: lower VOLTAGE in {__file__}")
    return {"seconds": whole, "parts": seconds, "work": iterations(calls)}


def spread(comm: Communicator, value: float) -> dict[str, float]:
    """Least, mean, and largest over the ranks."""
    return {
        "least": comm.smallest(value),
        "mean": comm.sum(value) / comm.size,
        "largest": comm.largest(value),
    }


def summary(steps: list[dict[str, Any]], comm: Communicator) -> dict[str, Any]:
    """Of all steps the median one, split into parts that are means over the ranks, and the mean work of a step."""
    seconds = [comm.largest(one["seconds"]) for one in steps]
    middle = sorted(range(len(steps)), key=seconds.__getitem__)[(len(steps) - 1) // 2]
    work = {name: sum(one["work"][name] for one in steps) / len(steps) for name in steps[0]["work"]}
    return {
        "step_s": median(seconds),
        "step_least_s": min(seconds),
        "steps_s": seconds,
        "split_of_s": seconds[middle],
        "split": {part: spread(comm, steps[middle]["parts"][part]) for part in PARTS},
        "work": work,
    }


if __name__ == "__main__":
    main()
