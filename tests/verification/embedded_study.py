"""Runs a tube beside a needle with embedded and fitted walls on finer and finer meshes, for the page on verification.

From the folder ``tests``: ``python -m verification.embedded_study``. It takes about an hour; runs that are in the table
already are not run again.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
from verification.cases_embedded import Heating, Run, Walls, beside_needle

TABLE = Path(__file__).parents[2] / "docs" / "assets" / "verification" / "embedded.csv"

CASES: tuple[tuple[Heating, float, tuple[float, ...]], ...] = (
    ("microwave", 5.0, (3.0, 2.0, 1.5)),
    ("microwave", 10.0, (3.0, 2.0, 1.5, 1.0)),
    ("microwave", 15.0, (3.0, 2.0, 1.5)),
    ("radiofrequency", 10.0, (3.0, 2.0, 1.5)),
)
"""Heating, distance between the axes [mm], and resolutions."""


def main() -> None:
    """Run what is missing in the table, the quickest first."""
    runs = read() if TABLE.exists() else []
    for key in sorted(_keys(), key=lambda key: -key[3]):
        if key not in [_key(run) for run in runs]:
            runs.append(beside_needle(*key))
            write(runs)
            print(runs[-1], flush=True)


def read() -> list[Run]:
    """The runs in the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [
            Run(
                heating=row["heating"],
                distance=float(row["distance"]),
                walls=row["walls"],
                resolution=float(row["resolution"]),
                nodes=int(row["nodes"]),
                volume_ml=float(row["volume_ml"]),
                radius_mm=tuple(map(float, row["radius_mm"].split())),
                energy_j=float(row["energy_j"]),
                unaccounted=float(row["unaccounted"]),
            )
            for row in csv.DictReader(file)
        ]


def write(runs: list[Run]) -> None:
    """Write the table, its rows in the order of the cases."""
    order = list(_keys())
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [field.name for field in fields(Run)]
        writer.writerow(names)
        for run in sorted(runs, key=lambda run: order.index(_key(run))):
            writer.writerow([_text(getattr(run, name)) for name in names])


def orders(runs: list[Run], heating: Heating, distance: float) -> dict[str, float]:
    """Order with which embedded and fitted runs of a case approach each other from its coarsest to its finest mesh."""
    pairs = {
        resolution: [
            next(run for run in runs if _key(run) == (heating, distance, walls, resolution))
            for walls in ("embedded", "fitted")
        ]
        for resolution in next(found for *case, found in CASES if case == [heating, distance])
    }
    (embedded, fitted), (embedded_fine, fitted_fine) = pairs[max(pairs)], pairs[min(pairs)]
    ratios = {
        "volume": (embedded.volume_ml - fitted.volume_ml) / (embedded_fine.volume_ml - fitted_fine.volume_ml),
        "radius": embedded.farthest(fitted) / embedded_fine.farthest(fitted_fine),
        "heat": (embedded.energy_j - fitted.energy_j) / (embedded_fine.energy_j - fitted_fine.energy_j),
    }
    return {name: float(np.log(abs(ratio)) / np.log(max(pairs) / min(pairs))) for name, ratio in ratios.items()}


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _key(run: Run) -> tuple[Heating, float, Walls, float]:
    return run.heating, run.distance, run.walls, run.resolution


def _keys() -> Iterator[tuple[Heating, float, Walls, float]]:
    walls: tuple[Walls, ...] = ("embedded", "fitted")
    for heating, distance, resolutions in CASES:
        yield from ((heating, distance, wall, resolution) for wall in walls for resolution in resolutions)


if __name__ == "__main__":
    main()
