"""Run all microwave settings with the profiles as they are shipped: ``python validation/run.py --jobs 2``.

Writes ``validation/results/microwave.csv`` and, for the documentation, ``docs/assets/microwave_validation.md``. What
has run is kept in ``runs/validation`` and not run again, unless the case has changed; ``--fresh`` forgets it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

# Before numpy is imported: several runs side by side would only fight for the cores.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.report.build import measured_rows
from ablationsim.results.files import make_folder, write_whole
from ablationsim.results.run_folder import case_hash
from ablationsim.simulate import simulate
from ablationsim.study.calibrate import Row, comparison
from ablationsim.study.measurements import Measurements
from ablationsim.study.prediction import Prediction, Task, case_of, predict
from ablationsim.study.workers import workers

ROOT = Path(__file__).resolve().parents[1]
PAPERS = ("he_2010", "ji_2011", "hendriks_2021", "amabile")
TEMPERATURES = {"ji_2011": ROOT / "validation" / "ji_2011" / "mwa_control.toml"}
"""Cases with thermocouples, of which only the temperatures are taken."""
RESULTS = ROOT / "validation" / "results" / "microwave.csv"
TABLE = ROOT / "docs" / "assets" / "microwave_validation.md"
KEPT = ROOT / "runs" / "validation"
COLUMNS = ("paper", "device", "setting", "quantity", "measured", "sd", "predicted", "difference", "calibrated", "frame")
DIGITS = {"length": 1, "diameter": 1, "length / diameter": 2, "volume": 1, "sphericity": 2}
"""Quantities of a zone, and how many digits after the point they are shown with (mm, mL)."""
CONTRACTION = 0.12
"""Of the predictions, for the frame that a data set is not compared in."""
_SOURCES = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted((ROOT / "ablationsim").rglob("*.py")))
).hexdigest()
"""Results of another program are not taken for those of this one."""


def kept(case: Case) -> Path:
    """Where the answer to a case is kept."""
    return KEPT / f"{hashlib.sha256((case_hash(case) + _SOURCES).encode()).hexdigest()[:24]}.json"


def predicted(task: Task) -> Prediction:
    """The prediction of a setting, from an earlier run where there is one."""
    path = kept(case_of(task))
    if not path.exists():
        write_whole(path, json.dumps(asdict(predict(task))))
    return Prediction(**json.loads(path.read_text(encoding="utf-8")))


def temperatures(case_file: Path) -> list[Row]:
    """Thermocouple readings of a case beside their predictions."""
    case = Case.load(case_file)
    path = kept(case)
    if not path.exists():
        rows = [
            Row("thermocouples", row.quantity, row.measured, row.sd, row.predicted, False, "undeformed")
            for row in measured_rows(simulate(case))
            if not row.frame and row.predicted is not None
        ]
        write_whole(path, json.dumps([asdict(row) for row in rows]))
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def devices_of(path: Path) -> list[str]:
    """Profiles that a data set speaks of, in its order."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(dict.fromkeys(row["device"] for row in csv.DictReader(file)))


def compare(jobs: int) -> Iterator[tuple[str, str, bool, Row]]:
    """Paper, device, whether the row took part in a fit of the profile, and row, of every comparison."""
    for paper in PAPERS:
        path = ROOT / "validation" / paper / "measured.csv"
        for name in devices_of(path):
            data, device = Measurements.read(path, name), Device.load(name)
            fitted = any(sourced.status == "calibrated" for sourced in device.parameters.values())
            tasks = [Task(name, device, setting, 1.0) for setting in data.settings]
            with workers(jobs) as apply:
                answers = apply(predicted, tasks)
            found = {setting.line: answer for setting, answer in zip(data.settings, answers, strict=True)}
            rows = [*comparison(data, found), *(temperatures(TEMPERATURES[paper]) if paper in TEMPERATURES else [])]
            for row in rows:
                yield paper, name, fitted and row.calibrated, row
            print(f"{paper}, {name}: {len(tasks)} settings", flush=True)


def line(paper: str, device: str, fitted: bool, row: Row) -> list[str]:
    """A row of the CSV file."""
    numbers = [row.measured, row.sd, row.predicted, row.difference]
    texts = ["" if number is None else f"{number:.4g}" for number in numbers]
    return [paper, device, row.setting, row.quantity, *texts, "yes" if fitted else "no", row.frame]


def table(found: list[tuple[str, str, bool, Row]]) -> str:
    """Markdown: every setting, predicted beside measured, and how well each data set is met."""
    parts = []
    for (paper, device), group in groupby(found, key=lambda one: one[:2]):
        rows = [(fitted, row) for *_, fitted, row in group]
        sizes = [pair for pair in rows if pair[1].quantity in DIGITS]
        text = [f"**{paper}, `{device}`**", "", *_settings(sizes)]
        others = [row for _, row in rows if row.quantity not in DIGITS]
        if others:
            text += ["", "| thermocouples | predicted | measured |", "|---|---|---|"]
            text += [f"| {row.quantity} | {row.predicted:.0f} | {row.measured:.0f} ± {row.sd:.0f} |" for row in others]
        parts.append("\n".join([*text, *_score(sizes), ""]))
    return "\n".join(parts)


def _settings(rows: list[tuple[bool, Row]]) -> list[str]:
    """A line a setting: predicted, measured, difference of every quantity that was measured anywhere."""
    names = [name for name in DIGITS if any(row.quantity == name and row.measured is not None for _, row in rows)]
    text = [f"| setting | {' | '.join(f'{name} | measured | difference' for name in names)} |"]
    text.append(f"|---|{'---|---|---|' * len(names)}")
    for setting, group in groupby(rows, key=lambda pair: pair[1].setting):
        cells = {row.quantity: (fitted, row) for fitted, row in group}
        line = [setting]
        for name in names:
            if name not in cells:
                line += ["", "–", ""]
                continue
            fitted, row = cells[name]
            digits = DIGITS[name]
            measured = "–" if row.measured is None else f"{row.measured:.{digits}f}{' (fitted)' if fitted else ''}"
            difference = "" if row.difference is None else f"{row.difference:+.{digits}f}"
            line += [f"{row.predicted:.{digits}f}", measured, difference]
        text.append(f"| {' | '.join(line)} |")
    return text


def _score(rows: list[tuple[bool, Row]]) -> list[str]:
    """How well the axes of the settings that were not fitted are met, in both frames."""
    lengths = [row for fitted, row in rows if row.quantity in ("length", "diameter") and not fitted and row.difference]
    if not lengths:
        return []
    fitted = {row.setting for fitted, row in rows if fitted}
    ratios = [row for _, row in rows if row.quantity == "length / diameter" and row.setting not in fitted]
    text = []
    for frame, factor in (("undeformed", 1.0), (f"contracted by {100 * CONTRACTION:.0f} %", 1.0 - CONTRACTION)):
        if lengths[0].frame == "contracted":
            factor /= 1.0 - CONTRACTION
        off = [abs(factor * row.predicted - row.measured) for row in lengths if row.measured is not None]
        within = sum(error <= 3.5 for error in off)
        text.append(f"{frame}: mean error {sum(off) / len(off):.1f} mm, {within} of {len(off)} within 3.5 mm")
    aspect = [abs(1.0 / row.predicted - 1.0 / row.measured) for row in ratios if row.measured]
    near = f"diameter / length within 0.10 in {sum(error <= 0.10 for error in aspect)} of {len(aspect)} settings"
    return ["", f"Axes that were not fitted, {'; '.join(text)}. The ratio {near}."]


def main() -> None:
    """Run what has not run yet and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--fresh", action="store_true", help="run everything again")
    options = parser.parse_args()
    make_folder(KEPT)
    if options.fresh:
        for path in KEPT.glob("*.json"):
            path.unlink()
    found = list(compare(options.jobs))
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([COLUMNS, *(line(*one) for one in found)])
    make_folder(RESULTS.parent)
    write_whole(RESULTS, buffer.getvalue())
    write_whole(TABLE, table(found))


if __name__ == "__main__":
    main()
