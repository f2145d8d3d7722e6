"""Bandwidth of the memory (STREAM's triad) and time of a sparse matrix-vector product, with all given threads.

``NUMBA_NUM_THREADS=2 python benchmarks/stream.py --n 100``. The matrix is that of the benchmark's problem, in double
precision with 32-bit indices. Both are the best of many tries: they stand for what the machine can do.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import scipy.sparse as sp
from derived import product_bytes
from problem import Floats, Ints, make

TRIAD_VALUES = 20_000_000
"""Length of the triad's arrays, several times what caches hold."""


@nb.njit(parallel=True, cache=True)
def triad(a: Floats, b: Floats, c: Floats, factor: float) -> None:
    """``a = b + factor c``."""
    for i in nb.prange(len(a)):
        a[i] = b[i] + factor * c[i]


# Sums in any order would be turned into gathers, which take twice as long on rows this short.
@nb.njit(parallel=True, cache=True, fastmath={"contract", "nsz"})
def product(pointers: Ints, columns: Ints, values: Floats, x: Floats, y: Floats) -> None:
    """``y = A x`` by rows."""
    for i in nb.prange(len(y)):
        total = 0.0
        for k in range(np.uint32(pointers[i]), np.uint32(pointers[i + 1])):
            total += values[k] * x[np.uint32(columns[k])]
        y[i] = total


def shortest(work: Callable[[], Any], repeats: int) -> float:
    """Shortest time of several calls after a first one [s]."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def triad_bandwidth(repeats: int) -> float:
    """Largest bandwidth of the triad [byte/s]."""
    a, b, c = (np.full(TRIAD_VALUES, value) for value in (0.0, 1.0, 2.0))
    return 3 * a.nbytes / shortest(lambda: triad(a, b, c, 3.0), repeats)


def pattern(cells: Ints, n: int) -> Any:
    """Sparse matrix with a random value wherever two nodes share an element."""
    keys = np.concatenate([cells[:, a].astype(np.int64) * n + cells[:, b] for a in range(4) for b in range(a)])
    keys = np.unique(keys)
    lower = sp.coo_array((np.ones(len(keys)), (keys // n, keys % n)), shape=(n, n))
    matrix = (lower + lower.T + sp.eye_array(n)).tocsr()
    matrix.data[:] = np.random.default_rng(0).random(matrix.nnz)
    return matrix


def main() -> None:
    """Measure, and print a line of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=46)
    parser.add_argument("--repeats", type=int, default=30)
    given = parser.parse_args()
    bandwidth = triad_bandwidth(given.repeats)
    problem = make(given.n)
    matrix = pattern(problem.cells, len(problem.points))
    x, y = np.random.default_rng(1).random(matrix.shape[0]), np.empty(matrix.shape[0])
    arrays = matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data
    seconds = shortest(lambda: product(*arrays, x, y), given.repeats)
    if not np.allclose(y, matrix @ x, rtol=1e-12):
        raise RuntimeError("the compiled product differs from SciPy's")
    moved = product_bytes(matrix.nnz, matrix.shape[0])
    print(
        json.dumps(
            {
                "threads": nb.get_num_threads(),
                "triad_gb_s": bandwidth / 1e9,
                "unknowns": matrix.shape[0],
                "nonzeros": matrix.nnz,
                "product_bytes": moved,
                "product_s": seconds,
                "product_gb_s": moved / seconds / 1e9,
            }
        )
    )


if __name__ == "__main__":
    main()
