"""Spreads of the compared devices, from the table that an uncertainty study has left."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ablationsim.case.reading import read_text
from ablationsim.errors import CaseError

TABLE = "spread.csv"
"""Its name in the folder of an uncertainty study."""

QUANTITIES: Mapping[str, str] = {
    "volume_ml": "volume",
    "axial_length_mm": "length along the shaft",
    "transverse_diameter_mm": "diameter across it",
    "sphericity_axes": "sphericity, axes",
    "sphericity_isoperimetric": "sphericity, isoperimetric",
}
"""What is shown of it, in words."""

_NUMBERS = ("mean", "sd", "p5", "p95", "variation")
_COLUMNS = ("arm", "device", "frame", "quantity", "unit", "source", "samples", *_NUMBERS)


@dataclass(frozen=True)
class Spread:
    """How much a quantity of a device varies in an uncertainty study.

    Attributes
    ----------
    arm, profile : str
        What the study calls the setting, and the name of the device profile.
    frame : {"undeformed", "contracted"}
    quantity, unit : str
    mean, sd, p5, p95 : float or None
        Mean, standard deviation and percentiles, in the unit.
    variation : float or None
        Standard deviation over mean.
    origin : str
        What it was found with: how many runs, or values of a surrogate.
    """

    arm: str
    profile: str
    frame: str
    quantity: str
    unit: str
    mean: float | None
    sd: float | None
    p5: float | None
    p95: float | None
    variation: float | None
    origin: str


def read_spreads(folder: Path, profiles: Collection[str]) -> tuple[Spread, ...]:
    """The spreads of some devices.

    Parameters
    ----------
    folder : Path
        Of an uncertainty study.
    profiles : collection of str
        Names of the device profiles.

    Raises
    ------
    CaseError
        If the table cannot be read, or says nothing of any of them.
    """
    path = folder / TABLE
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise CaseError([f"it is no table of spreads: columns {', '.join(missing)} are missing"], str(path))
    rows = list(reader)
    found, problems = [], []
    for number, row in enumerate(rows, start=2):
        if row["device"] not in profiles or row["quantity"] not in QUANTITIES:
            continue
        try:
            numbers = {name: float(row[name]) if row[name] else None for name in _NUMBERS}
        except (TypeError, ValueError):
            problems.append(f"line {number}: one of {', '.join(_NUMBERS)} is not a number")
            continue
        found.append(
            Spread(
                arm=row["arm"],
                profile=row["device"],
                frame=row["frame"],
                quantity=QUANTITIES[row["quantity"]],
                unit=row["unit"],
                origin=f"{row['samples']} {row['source']}",
                **numbers,
            )
        )
    if not found and not problems:
        devices = ", ".join(sorted({row["device"] for row in rows})) or "none"
        problems.append(f"it says nothing of {', '.join(sorted(profiles))}; its devices are {devices}")
    if problems:
        raise CaseError(problems, str(path))
    return tuple(found)
