"""The results of a study as one table, a row a run: ``results.csv`` and ``results.parquet``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablationsim.errors import OutputError
from ablationsim.results.files import replacing, write_whole
from ablationsim.study.sweep.keys import Key
from ablationsim.study.sweep.manifest import RUNS, Manifest, Run
from ablationsim.study.sweep.standing import Standing, State
from ablationsim.units import DIMENSIONS

CSV, PARQUET = "results.csv", "results.parquet"

SIZES = (
    "volume_ml",
    "long_axis_mm",
    "short_axis_mm",
    "axial_length_mm",
    "transverse_diameter_mm",
    "transverse_minor_mm",
    "sphericity_axes",
    "sphericity_isoperimetric",
    "beyond_tip_mm",
)
"""Figures of the zone, by their names in zone.json; for those of the contracted zone, "contracted_" comes before."""

_TEXTS = ("state", "message", "folder")
_FIGURES = (*SIZES, *(f"contracted_{key}" for key in SIZES), "pieces", "time_s", "power_off_s", "energy_j")


def write_tables(folder: Path, manifest: Manifest, found: Iterable[tuple[Run, Standing]]) -> list[str]:
    """Write the results of all runs as far as there are any, and say where.

    Parameters
    ----------
    folder : Path
        Of the study.
    manifest : Manifest
    found : iterable of (Run, Standing)
        How far each run is.

    Raises
    ------
    OutputError
        If a file cannot be written, or the zone of a run cannot be read.
    """
    columns: dict[str, list[Any]] = {}
    for count, (run, one) in enumerate(found):
        row = _row(folder, manifest, run, one)
        for name in (name for name in row if name not in columns):
            columns[name] = [None] * count
        for name, column in columns.items():
            column.append(row.get(name))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    write_whole(folder / CSV, text.getvalue())
    return [f"Table: {folder / CSV}", _write_parquet(folder / PARQUET, columns)]


def _row(folder: Path, manifest: Manifest, run: Run, one: Standing) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.number, "state": str(one.state)}
    for key, value in zip(manifest.keys, run.values, strict=True):
        row |= _cells(key, value)
    zone = _zone(folder / RUNS / run.name) if one.state is State.FINISHED else None
    row |= dict.fromkeys(_FIGURES) if zone is None else _figures(zone)
    return row | {
        "warnings": None if zone is None else len(zone["warnings"]),
        "wall_s": one.wall_s,
        "message": one.message or None,
        "folder": f"{RUNS}/{run.name}",
    }


def _cells(key: Key, value: Any) -> Iterator[tuple[str, Any]]:
    """Columns of a key that is varied: quantities in SI, with the unit in the name."""
    plain = key.read(value)
    dimension = key.dimension
    unit = "" if dimension is None or not DIMENSIONS[dimension].unit else f" [{DIMENSIONS[dimension].unit}]"
    if isinstance(plain, list) and all(isinstance(part, int | float | str) for part in plain):
        yield from ((f"{key.text}[{k}]{unit}", part) for k, part in enumerate(plain, start=1))
    else:
        yield f"{key.text}{unit}", json.dumps(value) if isinstance(plain, list | dict) else plain


def _zone(place: Path) -> dict[str, Any]:
    path = place / "zone.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path} cannot be read ({error}). Remove it and submit the study again, with which it is made anew."
        ) from error


def _figures(zone: dict[str, Any]) -> dict[str, Any]:
    found = {key: zone.get(key) for key in (*SIZES, "pieces", "time_s", "power_off_s")}
    found |= {f"contracted_{key}": zone["contracted"].get(key) for key in SIZES}
    found["energy_j"] = zone["energy_balance"]["in_j"]
    return {key: found[key] for key in _FIGURES}


def _write_parquet(path: Path, columns: Mapping[str, Sequence[Any]]) -> str:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        # On a cluster the numpy is often that of the system, which not every pyarrow fits.
        return f"{path.name} is not written, because pyarrow cannot be used: {error}"
    table = pa.table({name: _column(name, values) for name, values in columns.items()})
    with replacing(path) as beside:
        pq.write_table(table, beside)
    return f"Table: {path}"


def _column(name: str, values: Sequence[Any]) -> Any:
    """Values of one kind; text where a key has numbers and words."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds in ({bool}, {int}):
        return pa.array(values)
    if kinds <= {int, float} and name not in _TEXTS:
        return pa.array(values, pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())
