"""What is written of a confidence: confidence.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ablationsim.results.files import make_folder, write_whole
from ablationsim.study.margins.confidence import ALL, NEEDLE, Confidence, Spread, Varied

SCHEMA, VERSION = "ablationsim/margin-confidence", 1
NOTICE = "Research use only; not a medical device."
SIMPLE = (
    "A needle that came to lie elsewhere shifts the zone as it is, without turning it; vessels do not reshape it.",
    "Between the runs at the ends of a range, the depth of every place in the zone is interpolated linearly, and the "
    "changes by several numbers add up.",
    "Nothing else is uncertain: neither the law of cell death, nor the outline of the tumour, nor how the liver moved "
    "between scan and ablation.",
)
"""What is simple about a confidence."""

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def document(found: Confidence) -> dict[str, Any]:
    """Return the content of confidence.json."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "case": found.title,
        "notice": NOTICE,
        "required_mm": 1e3 * found.required,
        "nominal": {"mam_mm": _mm(found.nominal), "coverage": found.coverage},
        "needle": {
            "sd_mm": 1e3 * found.needle_sd,
            "origin": "assumed: standard deviation of its place along each axis, of the order of the errors of needle "
            "placement under image guidance",
        },
        "varied": [_varied(each) for each in found.varied],
        "draws": len(next(iter(found.spreads.values())).least),
        "spreads": {name: _spread(each, found.required) for name, each in found.spreads.items()},
        "simplifications": list(SIMPLE),
    }


def write_confidence(folder: Path, found: Confidence) -> Path:
    """Write confidence.json into a folder and return its path.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    make_folder(folder)
    path = folder / "confidence.json"
    write_whole(path, json.dumps(document(found), indent=2) + "\n")
    return path


def whole(found: Confidence) -> Spread:
    """Return the spread by all sources together."""
    return found.spreads.get(ALL, found.spreads[NEEDLE])


def _varied(each: Varied) -> dict[str, Any]:
    values = each.input.shown(np.array([end.value for end in each.ends]))
    return {
        "name": each.input.name,
        "unit": each.input.unit,
        "nominal": float(each.input.shown(np.array([each.input.nominal]))[0]),
        "distribution": each.input.text,
        "origin": each.input.origin,
        "ends": [
            {"value": float(value), "mam_mm": _mm(least), "run": end.folder.name}
            for value, least, end in zip(values, each.least, each.ends, strict=True)
        ],
    }


def _spread(each: Spread, required: float) -> dict[str, Any]:
    least, coverage = 1e3 * each.least, each.coverage
    return {
        "mam_mm": {f"{100 * share:.0f}%": float(np.quantile(least, share)) for share in _QUANTILES},
        "coverage": {f"{100 * share:.0f}%": float(np.quantile(coverage, share)) for share in _QUANTILES},
        "probability_required": each.reached(required),
        "probability_covered": each.reached(0.0),
    }


def _mm(value: float) -> float | None:
    return 1e3 * value if np.isfinite(value) else None
