"""Benchmarks: whole runs, and the assembly and solve of one step against libraries on the same mesh in the same
process.

`make benchmark`, or ``python benchmarks/run.py [--threads N] [--skip-3d]``. Writes ``benchmarks/results.json`` and
prints it as a table. Each measurement runs in a process of its own, after a short run has compiled the kernels.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VALIDATION = HERE.parent / "validation"
DEMO = VALIDATION / "ji_2011" / "rfa_control.toml"
MICROWAVE = VALIDATION / "he_2010" / "cooled_50w_10min.toml"


def whole_run(path: Path, dimension: str = "axisymmetric") -> dict[str, Any]:
    """A whole case, axisymmetric or with the same applicator in 3-D."""
    import tomllib

    import ablationsim

    content = tomllib.loads(path.read_text(encoding="utf-8"))
    content.setdefault("domain", {})["dimension"] = dimension
    case = ablationsim.Case.from_dict(content)
    started = time.perf_counter()
    result = ablationsim.simulate(case)
    return {
        "wall_s": time.perf_counter() - started,
        "march_s": result.record["march_wall_s"],
        "unknowns_per_field": result.record["nodes"],
        "elements": result.record["elements"],
        "steps": result.record["time_steps"],
        "rejected_steps": result.record["rejected_steps"],
        "field_solves": result.document.get("microwave", {}).get("solves", 0),
        "zone_ml": result.zone.volume_ml,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def kernels() -> dict[str, Any]:
    """Stiffness matrix and electric solve on a 3-D mesh, beside scikit-fem's assembly and PyAMG's solver."""
    import numpy as np
    import pyamg
    from skfem import Basis, BilinearForm, ElementTetP1, MeshTet
    from skfem.helpers import dot, grad

    from ablationsim.fem.multigrid import MultigridCG
    from ablationsim.fem.space import P1Space
    from ablationsim.mesh.mesh import Mesh

    grid = MeshTet.init_tensor(*[np.linspace(0.0, 0.1, 46)] * 3)
    cells = grid.t.T.astype(np.int32)
    mesh = Mesh(grid.p.T, cells, {"tissue": np.arange(len(cells), dtype=np.int32)}, {"outer": _boundary(grid)}, False)
    space = P1Space(mesh)
    sigma = 0.2 + 0.1 * np.random.default_rng(0).random(len(cells))
    ours_assembly, values = _best(lambda: space.matrix.values(sigma))
    basis = Basis(grid, ElementTetP1())
    form = BilinearForm(lambda u, v, w: w.sigma * dot(grad(u), grad(v)))
    field = np.repeat(sigma[:, None], basis.X.shape[1], axis=1)
    theirs_assembly, reference = _best(lambda: form.assemble(basis, sigma=field), repeats=3)
    difference = abs(space.matrix.as_csr(values) - reference).max() / abs(reference).max()
    # A grounded spring at every node keeps the matrix definite without changing its character.
    values[space.matrix.diagonal] *= 1.0001
    matrix = space.matrix.as_csr(values)
    right = np.random.default_rng(1).standard_normal(space.n_nodes)
    solver = MultigridCG(space.matrix.indptr, space.matrix.indices, 1e-8)
    solver.build(values)
    ours_solve, _ = _best(lambda: solver.solve(values, right, np.zeros_like(right)))
    peer = pyamg.smoothed_aggregation_solver(matrix)
    theirs_solve, _ = _best(lambda: peer.solve(right, tol=1e-8, accel="cg"), repeats=3)
    return {
        "unknowns": space.n_nodes,
        "elements": len(cells),
        "assembly_s": ours_assembly,
        "assembly_scikit_fem_s": theirs_assembly,
        "assembly_ratio": theirs_assembly / ours_assembly,
        "assembly_relative_difference": float(difference),
        "solve_s": ours_solve,
        "solve_pyamg_s": theirs_solve,
        "solve_ratio": theirs_solve / ours_solve,
    }


def microwave_field() -> dict[str, Any]:
    """Field of the slot antenna, one thread, beside scikit-fem's assembly and SciPy's default factorisation."""
    import numpy as np
    from scipy.constants import epsilon_0
    from scipy.sparse.linalg import splu
    from skfem import Basis, BilinearForm, ElementTriP2, MeshTri
    from skfem.helpers import dot, grad
    from threadpoolctl import threadpool_limits

    from ablationsim.device import Device
    from ablationsim.geometry.applicator import Applicator
    from ablationsim.geometry.placement import Placement
    from ablationsim.mesh.antenna import antenna_mesh
    from ablationsim.physics.microwave import Microwave

    device = Device.load("mwa_slot_reference")
    assert device.antenna is not None
    frequency = device.generator.frequency
    antenna = {name: complex(material.permittivity) for name, material in device.antenna.materials.items()}
    mesh = antenna_mesh(
        Applicator.build(0, device.applicator, Placement.along()),
        device.antenna,
        frequency,
        radius=30e-3,
        bottom=-9.5e-3,
        top=70.5e-3,
        permittivity={"tissue": 43.03},
        resolution=0.48,
    )
    solver = Microwave(mesh, frequency, antenna)
    tissue = np.full(len(solver.centroids), 43.03 - 1.69j / (2.0 * np.pi * frequency * epsilon_0))
    ours, field = _best(lambda: solver.solve(tissue))

    grid = MeshTri(np.ascontiguousarray(mesh.points.T), np.ascontiguousarray(mesh.cells.T, dtype=np.int64))
    basis = Basis(grid, ElementTriP2(), intorder=6)
    values = np.array([tissue[0], *(antenna[name] for name in mesh.materials[1:])])[mesh.material]
    inverse = np.repeat(1.0 / values[:, None], basis.X.shape[1], axis=1)
    k0 = solver.space.k0
    form = BilinearForm(
        lambda u, v, w: w.inverse * dot(grad(u), grad(v)) / w.x[0] - k0**2 * u * v / w.x[0], dtype=np.complex128
    )
    free = basis.complement_dofs(basis.get_dofs(lambda x: np.abs(x[0]) < 1e-9))

    def peer() -> Any:
        matrix = form.assemble(basis, inverse=inverse)[free][:, free].tocsc()
        with threadpool_limits(limits=1):
            return splu(matrix).solve(np.ones(len(free), dtype=np.complex128))

    theirs, _ = _best(peer, repeats=3)
    return {
        "unknowns": solver.space.n_dofs,
        "elements": len(mesh.cells),
        "solve_s": ours,
        "solve_scikit_fem_scipy_s": theirs,
        "solve_ratio": theirs / ours,
        "closure": field.closure,
    }


def _boundary(grid: Any) -> Any:
    import numpy as np

    return np.ascontiguousarray(grid.facets[:, grid.boundary_facets()].T.astype(np.int32))


def _best(work: Any, repeats: int = 7) -> tuple[float, Any]:
    """Shortest time of several calls [s], and what the last one returned."""
    times, value = [], work()
    for _ in range(repeats):
        started = time.perf_counter()
        value = work()
        times.append(time.perf_counter() - started)
    return min(times), value


MEASUREMENTS = {
    "demo": lambda: whole_run(DEMO),
    "demo_3d": lambda: whole_run(DEMO, "3d"),
    "microwave": lambda: whole_run(MICROWAVE),
    "kernels": kernels,
    "microwave_field": microwave_field,
}


def main() -> None:
    """Run every measurement in its own process and collect the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--skip-3d", action="store_true", help="leave the run in 3-D out, which takes minutes")
    parser.add_argument("--only", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(MEASUREMENTS[options.only]()))
        return
    names = [name for name in MEASUREMENTS if not (options.skip_3d and name == "demo_3d")]
    results: dict[str, Any] = {
        "threads": options.threads,
        "processor": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in ("ablationsim", "numpy", "scipy", "numba", "scikit-fem", "pyamg")},
    }
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(options.threads), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "ablationsim.cli", "doctor"], env=environment, check=True, capture_output=True
    )
    for name in names:
        command = [sys.executable, __file__, "--only", name]
        answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        results[name] = json.loads(answer.stdout.splitlines()[-1])
        print(name)
        for key, value in results[name].items():
            print(f"  {key:32} {value:.4g}" if isinstance(value, float) else f"  {key:32} {value}")
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
