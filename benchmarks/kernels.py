"""Pieces of a step beside libraries on the same mesh in the same process: ``python benchmarks/kernels.py kernels``."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any


def kernels() -> dict[str, Any]:
    """Stiffness matrix and electric solve on a 3-D mesh, beside scikit-fem's assembly and PyAMG's solver."""
    import numpy as np
    import pyamg
    from skfem import Basis, BilinearForm, ElementTetP1, MeshTet
    from skfem.helpers import dot, grad

    from ablationsim.fem.multigrid import MultigridCG
    from ablationsim.fem.space import P1Space
    from ablationsim.fem.stiffness import as_csr
    from ablationsim.mesh.mesh import Mesh

    grid = MeshTet.init_tensor(*[np.linspace(0.0, 0.1, 46)] * 3)
    cells = grid.t.T.astype(np.int32)
    mesh = Mesh(grid.p.T, cells, {"tissue": np.arange(len(cells), dtype=np.int32)}, {"outer": _boundary(grid)}, False)
    scatter = P1Space(mesh).scatter
    sigma = 0.2 + 0.1 * np.random.default_rng(0).random(len(cells))
    ours_assembly, matrix = _best(lambda: scatter.matrix(sigma))
    basis = Basis(grid, ElementTetP1())
    form = BilinearForm(lambda u, v, w: w.sigma * dot(grad(u), grad(v)))
    field = np.repeat(sigma[:, None], basis.X.shape[1], axis=1)
    theirs_assembly, reference = _best(lambda: form.assemble(basis, sigma=field), repeats=3)
    difference = abs(as_csr(scatter.pattern, matrix) - reference).max() / abs(reference).max()
    # A grounded spring at every node keeps the matrix definite without changing its character.
    matrix.diagonal[:] *= 1.0001
    right = np.random.default_rng(1).standard_normal(size=len(matrix.diagonal))
    target = 1e-8 * float(np.linalg.norm(right))
    solver = MultigridCG(scatter.pattern)
    solver.build(matrix)
    ours_solve, _ = _best(lambda: solver.solve(matrix, right, np.zeros_like(right), target))
    peer = pyamg.smoothed_aggregation_solver(as_csr(scatter.pattern, matrix))
    theirs_solve, _ = _best(lambda: peer.solve(right, tol=1e-8, accel="cg"), repeats=3)
    return {
        "unknowns": len(right),
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


MEASUREMENTS = {"kernels": kernels, "microwave_field": microwave_field}


def main() -> None:
    """Run one of the measurements, and print its line of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=MEASUREMENTS)
    print(json.dumps(MEASUREMENTS[parser.parse_args().name]()))


if __name__ == "__main__":
    main()
