"""The comparison as one table, a row a setting, with both frames beside each other."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ablationsim.study.compare.comparison import Comparison, Entry
from ablationsim.study.compare.figures import FRAMES, Size

CSV = "comparison.csv"

_SIZES = tuple(field.name for field in fields(Size))


def to_csv(comparison: Comparison) -> str:
    """The table as text; a figure in the contracted frame has "contracted_" before its name."""
    rows = [_row(comparison, entry) for entry in comparison.entries]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def _row(comparison: Comparison, entry: Entry) -> Mapping[str, Any]:
    setting, found, sink = entry.setting, entry.figures, entry.sink
    row: dict[str, Any] = {
        "device": setting.device,
        "profile": setting.profile,
        "setting": setting.label,
        "tissue": setting.tissue_name,
        "power_w": setting.power,
        "time_s": setting.time,
        "power_off_s": None if found is None else found.power_off_s,
        "energy_j": None if found is None else found.energy_j,
        "absorbed_j": None if found is None else found.absorbed_j,
    }
    for frame in reversed(FRAMES):
        prefix = "contracted_" if frame == "contracted" else ""
        row |= {f"{prefix}{name}": None if found is None else getattr(found.sizes[frame], name) for name in _SIZES}
        for target, time in zip(comparison.study.about.short_axis, comparison.times_to(entry, frame), strict=True):
            row[f"{prefix}time_to_{1e3 * target:g}_mm_s"] = time
        if comparison.study.heat_sink is not None:
            row[f"{prefix}lost_to_vessel_percent"] = None if sink is None else sink.lost_percent(frame)
    if comparison.study.heat_sink is not None:
        for name in ("radius_mm", "radius_without_mm", "radius_percent", "heat_percent"):
            row[f"vessel_{name}"] = None if sink is None else getattr(sink, name)
    return row | {
        "warnings": None if found is None else len(found.warnings),
        "message": entry.trouble or None,
        "folder": f"{entry.folder.parent.name}/{entry.folder.name}",
    }


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value
