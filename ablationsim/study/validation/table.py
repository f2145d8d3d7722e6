"""What a validation writes as a table, and prints."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from rich.table import Table

from ablationsim.study.validation.comparison import Frame, Row
from ablationsim.study.validation.statistics import KIND_UNITS, KINDS, Statistics, of_kind, statistics
from ablationsim.study.validation.targets import Outcome

CSV = "zones.csv"
"""File of the table."""

MODALITIES = {"rfa": "radiofrequency", "mwa": "microwaves"}
FRAMES: dict[Frame, str] = {
    "stated": "as stated",
    "contracted": "contracted",
    "undeformed": "undeformed",
    "uniform": "uniform 12 %",
}
"""Frames, in words."""

DIGITS = {"mm": 1, "mL": 1, "%": 1, "": 2, "K": 1, "°C": 1, "s": 0, "kJ": 1}
"""Digits after the point, by unit."""


def csv_text(rows: Iterable[Row]) -> str:
    """Every row, as CSV; what is not known is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            "paper", "device", "modality", "setting", "quantity", "place", "unit", "measured", "sd", "predicted",
            "difference", "calibrated", "frame", "contracted", "undeformed", "uniform_12_percent", "isotherm_60",
            "isotherm_50", "excised", "read", "n",
        ]
    )  # fmt: skip
    for row in rows:
        subject = row.subject
        writer.writerow(
            [
                subject.paper, subject.device, subject.modality, row.setting, row.quantity, row.place, row.unit,
                _cell(row.measured), _cell(row.sd), _cell(row.predicted), _cell(row.difference()),
                _yes(row.calibrated), row.frame, _cell(row.contracted), _cell(row.undeformed), _cell(row.uniform),
                _cell(row.edge_60), _cell(row.edge_50), _yes(not subject.perfused), row.read, row.n,
            ]
        )  # fmt: skip
    return buffer.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def number(value: float | None, unit: str, *, sign: bool = False) -> str:
    """A number with its unit, or a dash."""
    if value is None:
        return "–"
    text = f"{value:{'+' if sign else ''}.{DIGITS[unit]}f} {unit}".rstrip()
    return text.replace("-", "−")


def groups(rows: Sequence[Row], kind: str) -> list[tuple[str, list[Row]]]:
    """The measured rows of a kind in the groups that statistics are made of, with their names.

    Excised tissue and living stand apart. Groups that hold the same are given once.
    """
    own = of_kind(rows, kind)
    excised = [row for row in own if not row.subject.perfused]
    free = [row for row in excised if not row.calibrated]
    parts = {name: [r for r in free if r.subject.modality == modality] for modality, name in MODALITIES.items()}
    found = [("all", excised)]
    if len(free) < len(excised) and all(parts.values()):
        found.append(("nothing fitted", free))
    if len(free) < len(excised) or all(parts.values()):
        found += [(f"{name}, nothing fitted", part) for name, part in parts.items()]
    found.append(("with blood flow", [row for row in own if row.subject.perfused]))
    return [(name, part) for name, part in found if part]


def statistic_cells(score: Statistics, kind: str) -> list[str]:
    """Count, bias, mean and median absolute error, limits of agreement, share within one SD and within 3 mm."""
    unit = KIND_UNITS[kind]
    limits = score.limits
    return [
        str(score.count),
        number(score.bias, unit, sign=True),
        number(score.mean_absolute, unit),
        number(score.median_absolute, unit),
        "–"
        if limits is None
        else f"{number(limits[0], unit, sign=True).removesuffix(unit).strip()} to {number(limits[1], unit, sign=True)}",
        "–" if score.within_sd is None else f"{100 * score.within_sd:.0f} % of {score.with_sd}",
        f"{100 * score.near:.0f} %" if kind == "axes" else "–",
    ]


STATISTIC_HEADS = ("n", "bias", "mean abs.", "median abs.", "limits of agreement", "within 1 SD", "within 3 mm")


def statistics_table(rows: Sequence[Row]) -> Table:
    """Statistics of every kind of quantity, in the frame that is stated; the pages have more of them."""
    table = Table("Quantity", "Settings", "n", "bias", "median abs.", "limits of agreement", "within 1 SD", box=None)
    for kind in KINDS:
        for name, own in groups(rows, kind):
            score = statistics(own)
            if score is not None:
                count, bias, _, median, limits, within, _ = statistic_cells(score, kind)
                table.add_row(kind, _SHORT.get(name, name), count, bias, median, limits, within)
    return table


_SHORT = {
    "nothing fitted": "not fitted",
    "radiofrequency, nothing fitted": "RFA not fitted",
    "microwaves, nothing fitted": "MWA not fitted",
    "with blood flow": "blood flow",
}


def frames_table(rows: Sequence[Row]) -> Table:
    """Median absolute error and, in brackets, bias in every frame."""
    table = Table("Median abs. (bias)", "Settings", *FRAMES.values(), box=None)
    for kind in ("axes", "volume"):
        for name, own in groups(rows, kind):
            cells = [frame_cell(own, kind, frame) for frame in FRAMES]
            if any(cells):
                table.add_row(kind, _SHORT.get(name, name), *cells)
    return table


def frame_cell(rows: Sequence[Row], kind: str, frame: Frame) -> str:
    """Median absolute error and, in brackets, bias of rows in a frame."""
    score = statistics(rows, frame)
    if score is None:
        return ""
    unit = KIND_UNITS[kind]
    bias = number(score.bias, unit, sign=True).removesuffix(unit).strip()
    return f"{number(score.median_absolute, unit)} ({bias})"


def explained(rows: Sequence[Row], frame: Frame) -> str:
    """Share of the mean absolute error without contraction that goes away with that of a frame."""
    before, after = statistics(rows, "undeformed"), statistics(rows, frame)
    if before is None or after is None or before.mean_absolute == 0.0:
        return "–"
    return f"{100 * (1.0 - after.mean_absolute / before.mean_absolute):+.0f} %".replace("-", "−")


def targets_table(found: Sequence[Outcome]) -> Table:
    """Every target, and whether it is reached."""
    table = Table("Target: median abs. error", "at most", "is", "n", "", box=None)
    for outcome in found:
        table.add_row(outcome.target.name, *outcome_cells(outcome))
    return table


def outcome_cells(outcome: Outcome) -> list[str]:
    """Bound, error, count and verdict."""
    unit = outcome.target.unit

    def text(value: float | None) -> str:
        # Two digits, so that a target that is just missed does not look like one that is reached.
        return "–" if value is None else f"{value:.2f} {unit}".rstrip()

    return [
        text(outcome.target.bound),
        text(outcome.error),
        f"{outcome.count}, {outcome.settings} settings",
        outcome.verdict,
    ]


def papers_table(rows: Sequence[Row]) -> Table:
    """A line a publication and device: median absolute errors."""
    kinds = ("axes", "volume", "aspect", "temperature")
    table = Table("Median abs. error", "Device", "Settings", *kinds, box=None)
    last = ""
    for (paper, device), own in by_device(rows).items():
        scores = [statistics(of_kind(own, kind)) for kind in kinds]
        count = len({row.setting for row in own if row.measured is not None})
        cells = [
            "" if score is None else number(score.median_absolute, KIND_UNITS[kind])
            for kind, score in zip(kinds, scores, strict=True)
        ]
        table.add_row(paper if paper != last else "", device, str(count), *cells)
        last = paper
    return table


def by_device(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows of each publication and device."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.subject.paper, row.subject.device), []).append(row)
    return found
