"""The files of a finished study: tables as CSV, and all that was concluded as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.results.files import make_folder, write_whole
from ablationsim.study.uncertainty.assessment import Assessment
from ablationsim.study.uncertainty.findings import ArmFindings, Said
from ablationsim.study.uncertainty.quantities import MARGIN, Quantity
from ablationsim.study.uncertainty.repeatability import Comparison, GroupSpread
from ablationsim.study.uncertainty.spread import PERCENTILES, Between, Spread

RESULTS = "results.json"
SCHEMA, VERSION = "ablationsim/uncertainty", 1

Row = dict[str, Any]


def write_files(folder: Path, found: Assessment) -> list[Path]:
    """Write the tables and `RESULTS` of a study, and say where.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    make_folder(folder)
    tables = {
        "inputs.csv": _inputs(found),
        "samples.csv": _samples(found),
        "spread.csv": _spreads(found),
        "effects.csv": _effects(found),
        "indices.csv": _indices(found),
        "comparison.csv": _comparisons(found),
    }
    written = []
    for name, rows in tables.items():
        if text := _csv(list(rows)):
            write_whole(folder / name, text)
            written.append(folder / name)
    write_whole(folder / RESULTS, json.dumps(_plain(_document(found)), indent=1, allow_nan=False) + "\n")
    return [*written, folder / RESULTS]


def _csv(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(rows))
    return text.getvalue()


def _inputs(found: Assessment) -> Iterator[Row]:
    for one in found.arms:
        for entry in one.arm.inputs:
            limits, normal = entry.limits, entry.limits.distribution == "normal"
            numbers = np.array([entry.nominal, limits.low, limits.high, limits.mean])
            nominal, low, high, mean = (float(f"{x:.9g}") for x in entry.shown(numbers).tolist())
            yield {
                "arm": one.arm.name,
                "input": entry.name,
                "kind": entry.kind,
                "unit": entry.unit,
                "nominal": nominal,
                "distribution": limits.distribution,
                "low": low,
                "high": high,
                "mean": mean if normal else None,
                "sd": float(f"{limits.sd / entry.scale:.9g}") if normal else None,
                "origin": entry.origin,
            }


def _samples(found: Assessment) -> Iterator[Row]:
    for one in found.arms:
        inputs = [(f"{e.name} [{e.unit}]" if e.unit else e.name, e) for e in one.arm.inputs]
        shown = {name: entry.shown(one.values[:, k]) for k, (name, entry) in enumerate(inputs)}
        for i in range(len(one.values)):
            row: Row = {"arm": one.arm.name, "group": one.arm.group, "sample": i + 1}
            row |= {name: float(f"{values[i]:.9g}") for name, values in shown.items()}
            for frame, figures in one.figures.items():
                row |= {
                    f"{_prefix(frame)}{q.key}": float(figures[i, k])
                    for k, q in enumerate(one.quantities)
                    if _known(q, frame)
                }
            yield row


def _known(quantity: Quantity, frame: str) -> bool:
    """Whether a quantity is of this frame: a margin is that of undeformed tissue."""
    return frame == "undeformed" or quantity.key != MARGIN


def _prefix(frame: str) -> str:
    return "" if frame == "undeformed" else f"{frame}_"


def _each(found: Assessment) -> Iterator[tuple[Row, Said]]:
    """Every quantity of every arm and frame, with what tells its rows apart."""
    for one in found.arms:
        for frame, said in one.said.items():
            for quantity in (q for q in one.quantities if _known(q, frame)):
                yield (
                    {
                        "arm": one.arm.name,
                        "group": one.arm.group,
                        "device": "+".join(placed.device.name for placed in one.arm.case.applicators),
                        "frame": frame,
                        **_named(quantity),
                        "source": found.source,
                    },
                    said[quantity.key],
                )


def _named(quantity: Quantity) -> Row:
    return {"quantity": quantity.key, "unit": quantity.unit}


def _quality(said: Said) -> Row:
    quality = said.surrogate
    return {} if quality is None else {"surrogate_q2": quality.q2, "surrogate_rmse": quality.rmse}


def _spreads(found: Assessment) -> Iterator[Row]:
    if found.study.about.method == "propagate":
        for head, said in _each(found):
            yield {**head, "nominal": said.nominal, **_spread(said.spread), **_quality(said), "note": said.note}


def _spread(spread: Spread | None) -> Row:
    if spread is None:
        return {}
    figures = {"mean": spread.mean, "sd": spread.sd, "variation": spread.variation}
    return {
        "samples": spread.n,
        **_flat(figures),
        **{f"p{p:g}": x for p, x in zip(PERCENTILES, spread.percentiles, strict=True)},
    }


def _flat(figures: Mapping[str, Between]) -> Row:
    """Numbers with the ends of their intervals, as columns."""
    return {
        f"{name}{end}": value
        for name, one in figures.items()
        for end, value in (("", one.value), ("_low", one.low), ("_high", one.high))
    }


def _effects(found: Assessment) -> Iterator[Row]:
    for head, said in _each(found):
        for one in said.effects or ():
            yield {
                **head,
                "input": one.name,
                "mu_star": one.strength,
                "mu_star_interval": one.interval,
                "mu": one.mean,
                "sigma": one.spread,
            }


def _indices(found: Assessment) -> Iterator[Row]:
    for head, said in _each(found):
        for one in said.indices or ():
            yield {
                **head,
                "input": one.name,
                "first": one.first,
                "first_interval": one.first_interval,
                "total": one.total,
                "total_interval": one.total_interval,
                **_quality(said),
            }


def _comparisons(found: Assessment) -> Iterator[Row]:
    for frame, comparisons in found.comparisons.items():
        for one in (one for one in comparisons if _known(one.quantity, frame)):
            yield {
                "frame": frame,
                **_named(one.quantity),
                "source": found.source,
                "first": one.first.group,
                "second": one.second.group,
                "specimens": one.first.specimens,
                **_side("first", one.first),
                **_side("second", one.second),
                **_flat(
                    {
                        "mean_difference": one.difference,
                        "sd_difference": one.sd_difference,
                        "sd_ratio": one.sd_ratio,
                        "variation_ratio": one.variation_ratio,
                    }
                ),
            }


def _side(which: str, side: GroupSpread) -> Row:
    return {
        f"{which}_settings": side.settings,
        **_flat({f"{which}_mean": side.mean, f"{which}_sd": side.sd, f"{which}_variation": side.variation}),
    }


def _document(found: Assessment) -> dict[str, Any]:
    study, about = found.study, found.study.about
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "ablationsim": version("ablationsim"),
        "remark": "Research use only. Not a medical device.",
        "study": study.name,
        **about.model_dump(exclude={"case", "name"}),
        "numbers_from": found.source,
        "surrogate": None if study.surrogate is None else study.surrogate.model_dump(),
        "inputs": list(_inputs(found)),
        "arms": [_arm(found, one) for one in found.arms],
        "comparisons": {
            frame: [_comparison(one, about.confidence) for one in comparisons if _known(one.quantity, frame)]
            for frame, comparisons in found.comparisons.items()
        },
    }


def _arm(found: Assessment, one: ArmFindings) -> dict[str, Any]:
    return {
        "name": one.arm.name,
        "group": one.arm.group,
        "case": one.arm.case.title,
        "runs": len(one.values),
        "failed": list(one.failed),
        "target": None if one.aim is None else {"radius_mm": 1e3 * one.aim.radius, "depth_mm": 1e3 * one.aim.depth},
        "margin_at_least_0_mm": one.covering(0.0),
        "margin_at_least_5_mm": one.covering(5.0),
        "vessel_distance_mm": None if one.arm.plan.distance is None else 1e3 * one.arm.plan.distance,
        "quantities": {
            frame: {
                quantity.key: {
                    "unit": quantity.unit,
                    "nominal": said[quantity.key].nominal,
                    "spread": _asdict(said[quantity.key].spread),
                    "effects": [asdict(x) for x in said[quantity.key].effects or ()],
                    "indices": [asdict(x) for x in said[quantity.key].indices or ()],
                    "surrogate": _asdict(said[quantity.key].surrogate),
                    "note": said[quantity.key].note,
                }
                for quantity in one.quantities
                if _known(quantity, frame)
            }
            for frame, said in one.said.items()
        },
    }


def _asdict(one: Any) -> Any:
    return None if one is None else asdict(one)


def _comparison(one: Comparison, confidence: float) -> dict[str, Any]:
    return {**asdict(one), "statement": one.statement(confidence)}


def _plain(value: Any) -> Any:
    """Without numbers that JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
