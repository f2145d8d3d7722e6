"""The content of zone.json: a versioned interface, described in docs/zone-json.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.errors import OutputError
from ablationsim.mesh.mesh import Mesh
from ablationsim.zone.metrics import ZoneMetrics, measure

SCHEMA = "ablationsim/zone"
VERSION = 1
ISOTHERMS = {"50": 323.15, "60": 333.15}
"""Isotherms of the highest temperature (key in °C: kelvin) that bound the zone from outside and inside."""


def isotherm_metrics(
    mesh: Mesh,
    max_temperature: NDArray[np.float64],
    tip: ArrayLike = (0.0, 0.0, 0.0),
    axis: ArrayLike = (0.0, 0.0, 1.0),
    limited: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> dict[str, ZoneMetrics]:
    """Measure the zones inside the isotherms of the highest temperature that each point reached.

    Parameters
    ----------
    mesh : Mesh
        The tissue, in metres.
    max_temperature : (n,) float64
        Highest temperature at each node, in K.
    tip, axis : (3,) float
        First applicator, as in `measure`.
    limited : callable, optional
        Takes vessels out of a level ``(n,)``.
    """
    levels = {key: max_temperature - kelvin for key, kelvin in ISOTHERMS.items()}
    return {key: measure(mesh, limited(level) if limited else level, tip, axis) for key, level in levels.items()}


def zone_document(
    metrics: ZoneMetrics,
    *,
    criterion: Mapping[str, Any],
    time_s: float,
    power_off_s: float,
    isotherms: Mapping[str, ZoneMetrics],
    contracted: Mapping[str, Any],
    energy_balance: Mapping[str, float],
    microwave: Mapping[str, Any] | None = None,
    vessels: Mapping[str, Any] | None = None,
    margins: Mapping[str, Any] | None = None,
    discretisation_error: Mapping[str, float] | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the complete content of zone.json.

    Parameters
    ----------
    metrics : ZoneMetrics
        The zone in undeformed coordinates.
    criterion : mapping
        What counts as ablated, for example {"name": "arrhenius", "set": "whitening", "threshold": 1.0}.
    time_s, power_off_s : float
        Time at which the zone is taken, and time at which the last protocol ended, in s from the start of the run.
    isotherms : mapping of str to ZoneMetrics
        The zones inside isotherms of the highest temperature, by temperature in °C.
    contracted : mapping
        The zone in contracted tissue, from `uniform_contraction` or `history_contraction`.
    energy_balance : mapping
        `in_j`, `stored_j`, `lost_j`, in J, and `relative_error`; further parts of the loss may follow.
    microwave : mapping, optional
        What the antennas did with the power; the key is left out without antennas.
    vessels : mapping, optional
        What the blood of vessels carried off; the key is left out without vessels.
    margins : mapping, optional
        How far the zone reaches beyond the tumour; the key is left out without a tumour.
    discretisation_error : mapping, optional
        Estimated error of metrics, under the name and in the unit of each, and `volume_relative`; None when the run
        was not repeated on a finer mesh and step.
    warnings : sequence of str
        What a reader of the numbers must know.

    Raises
    ------
    OutputError
        When the energy balance lacks a part or a number is not finite, as neither can be written.
    """
    missing = {"in_j", "stored_j", "lost_j", "relative_error"} - set(energy_balance)
    if missing:
        raise OutputError(f"zone.json cannot be written: the energy balance lacks {', '.join(sorted(missing))}.")
    notes = list(warnings)
    if metrics.reaches_boundary:
        notes.append("The zone touches the edge of the domain: every size is too small. Make the domain larger.")
    if not metrics.pieces:
        notes.append("No tissue meets the criterion: there is no ablation zone.")
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "frame": "undeformed",
        "criterion": dict(criterion),
        "time_s": time_s,
        "power_off_s": power_off_s,
        **metrics.to_dict(),
        "isotherms": {key: zone.to_dict() for key, zone in isotherms.items()},
        "contracted": dict(contracted),
        "energy_balance": dict(energy_balance),
        **({} if microwave is None else {"microwave": dict(microwave)}),
        **({} if vessels is None else {"vessels": dict(vessels)}),
        **({} if margins is None else {"margins": dict(margins)}),
        "discretisation_error": None if discretisation_error is None else dict(discretisation_error),
        "warnings": notes,
    }
    for path, value in _numbers(document):
        if not math.isfinite(value):
            raise OutputError(
                f"zone.json cannot be written: {path} is {value}. The run has broken down before its end."
            )
    return document


def _numbers(value: Any, path: str = "") -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [found for key, part in value.items() for found in _numbers(part, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [found for i, part in enumerate(value) for found in _numbers(part, f"{path}[{i}]")]
    if isinstance(value, (float, np.floating)):
        return [(path, float(value))]
    return []
