"""Figures that follow from the measured ones: ratios, steps in units of matrix-vector products, memory, linearity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Measured = Mapping[str, Any]

RATIOS = {
    "dolfinx_over_own": ("dolfinx.*_{most}", "own"),
    "scikit_fem_over_own": ("scikit_fem", "own"),
    "scikit_fem_one_point_over_own": ("scikit_fem_one_point", "own"),
    "petsc_over_own": ("petsc_{most}", "own"),
    "dolfinx_over_petsc": ("dolfinx.*_{most}", "petsc_{most}"),
    "dolfinx_over_petsc_1": ("dolfinx.*_1", "petsc_1"),
}
"""Which engine's step is divided by which one's; ``{most}`` stands for the number of threads.

Of dolfinx, the fastest of its preconditioners counts.
"""


def nonzeros(n: int) -> int:
    """Pairs of nodes that share an element, and the diagonal, on ``n`` cubes along each side.

    Seven edges begin at an inner node: three along the axes, three across faces, one across the cube.
    """
    edges = 3 * n * (n + 1) ** 2 + 3 * n**2 * (n + 1) + n**3
    return 2 * edges + (n + 1) ** 3


def product_bytes(nonzeros: int, rows: int) -> int:
    """What a sparse product must move at least: values, columns and row starts of the matrix, and both vectors."""
    return 12 * nonzeros + 4 * rows + 16 * rows


def product_seconds(n: int, bandwidth: float) -> float:
    """Time of one sparse product [s] that moves what it must at a bandwidth [GB/s]."""
    return product_bytes(nonzeros(n), (n + 1) ** 3) / (bandwidth * 1e9)


def memory_per_unknown(result: Measured) -> float:
    """Peak memory per unknown of one field [kB]."""
    return float(result["peak_memory_mb"]) * 2**20 / 1e3 / float(result["unknowns"])


def engines(part: Measured) -> Iterator[tuple[str, Measured]]:
    """Engines with results in a part."""
    for name, result in part.items():
        if isinstance(result, Mapping) and "step_s" in result:
            yield name, result


def ratios(part: Measured, threads: int) -> dict[str, dict[str, float]]:
    """Ratios of the times of a step, by the medians of the least disturbed runs and by the shortest steps."""
    found = {}
    for name, pair in RATIOS.items():
        above, below = (
            [result for engine, result in engines(part) if re.fullmatch(pattern.format(most=threads), engine)]
            for pattern in pair
        )
        if above and below:
            found[name] = {
                key: min(result[key] for result in above) / min(result[key] for result in below)
                for key in ("step_s", "step_min_s")
            }
    return found


def in_products(result: Measured, n: int, bandwidth: float) -> dict[str, float]:
    """A step and its parts in units of one product at a bandwidth [GB/s]."""
    unit = product_seconds(n, bandwidth)
    return {"step": result["step_s"] / unit, "step_min": result["step_min_s"] / unit} | {
        name: seconds / unit for name, seconds in result["split"].items()
    }


def linear_fit(unknowns: Any, seconds: Any) -> dict[str, float]:
    """Straight line through times, by relative errors.

    Returns
    -------
    dict
        ``start_s`` and ``per_million_s`` of the line, ``largest_deviation`` of a time from it, relative; ``exponent``
        of the power law through the same times.
    """
    size, time = np.asarray(unknowns, dtype=float), np.asarray(seconds, dtype=float)
    start, slope = np.linalg.lstsq(np.stack([1.0 / time, size / time], axis=1), np.ones(len(size)), rcond=None)[0]
    return {
        "start_s": float(start),
        "per_million_s": float(slope * 1e6),
        "largest_deviation": float(np.abs((start + slope * size) / time - 1.0).max()),
        "exponent": float(np.polyfit(np.log(size), np.log(time), 1)[0]),
    }


def derive(parts: Mapping[str, Measured], sizes: Mapping[str, int]) -> dict[str, Any]:
    """All that follows from the results of the parts.

    Parameters
    ----------
    parts : mapping
        By part: ``threads`` and ``measured``.
    sizes : mapping
        Cubes along each side of the block in the parts that compare engines.
    """
    stream = parts.get("stream", {}).get("measured", {})
    bandwidth = max((result["triad_gb_s"] for result in stream.values()), default=None)
    derived: dict[str, Any] = {}
    for name, n in sizes.items():
        if name not in parts:
            continue
        measured = parts[name]["measured"]
        one = derived[name] = {"ratios": ratios(measured, parts[name]["threads"])}
        one["memory_kb_per_unknown"] = {engine: memory_per_unknown(result) for engine, result in engines(measured)}
        one["difference"] = {e: result["difference"] for e, result in engines(measured) if "difference" in result}
        if bandwidth:
            one["in_products"] = {engine: in_products(result, n, bandwidth) for engine, result in engines(measured)}
    small, large = (derived.get(name, {}).get("in_products", {}).get("own") for name in ("loop_100k", "loop_1m"))
    if small and large:
        derived["growth_in_products"] = large["step"] / small["step"] - 1.0
    runs = [result for _, result in engines(parts.get("scaling", {}).get("measured", {}))]
    if len(runs) > 2:
        size = [run["unknowns"] for run in runs]
        derived["scaling"] = {key: linear_fit(size, [run[key] for run in runs]) for key in ("step_s", "step_min_s")}
        derived["scaling"]["memory_kb_per_unknown"] = {str(run["unknowns"]): memory_per_unknown(run) for run in runs}
    return derived
