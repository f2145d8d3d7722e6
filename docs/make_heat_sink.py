"""Make the pictures and tables of docs/heat-sink.md: ``python docs/make_heat_sink.py``.

Runs the two cases of the sample anatomy, ``meshes/anatomy_*.toml``, with their vessels and without, and writes
``docs/assets/heat_sink``. ``--jobs 2`` does two runs at a time; runs that are finished in ``--output`` are taken as
they are, unless ``--overwrite`` is given.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from make_figures import ASSETS, ROOT, small

from ablationsim.case import Case
from ablationsim.report.build import report_data
from ablationsim.report.html import pictures
from ablationsim.results import Result
from ablationsim.study.heat_sink import Comparison, heat_sink

FOLDER = ASSETS / "heat_sink"
CASES = {"rfa": "Radiofrequency", "mwa": "Microwave"}
PICTURES = {"heat_sink.png": "planes", "vessels.png": "space"}
LARGEST = 300_000
"""Bytes of a picture."""


def main() -> None:
    """Run the cases, and write what the page includes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "heat_sink")
    parser.add_argument("--overwrite", action="store_true")
    given = parser.parse_args()
    cases = {f"anatomy_{name}": Case.load(ROOT / "meshes" / f"anatomy_{name}.toml") for name in CASES}
    found = heat_sink(cases, given.output, given.jobs, resume=not given.overwrite, overwrite=given.overwrite)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "tables.md").write_text(f"{zones(found)}\n\n{branches(found)}\n", encoding="utf-8")
    for name, comparison in zip(CASES, found, strict=True):
        drawn = pictures(report_data(Result.load(comparison.folder)))
        for file, what in PICTURES.items():
            content = small(drawn[file])
            if len(content) > LARGEST:
                raise SystemExit(f"{name}_{what}.png has {len(content)} bytes; at most {LARGEST} are wanted")
            (FOLDER / f"{name}_{what}.png").write_bytes(content)


def zones(found: Sequence[Comparison]) -> str:
    """Zones with vessels beside those without."""
    lines = [
        "| | vessels | volume | along | across | sphericity | lost | heat to vessels |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, comparison in zip(CASES.values(), found, strict=True):
        lost = f"{comparison.lost_ml:.1f} mL, {comparison.lost_percent:.0f} % | {100 * comparison.share:.1f} %"
        states = ((title, "without", comparison.without, "| "), ("", "with", comparison.zone, lost))
        for name, vessels, zone, rest in states:
            lines.append(
                f"| {name} | {vessels} | {zone.volume_ml:.1f} mL | {zone.axial_length_mm:.1f} mm | "
                f"{zone.transverse_diameter_mm:.1f} mm | {zone.sphericity_axes:.2f} | {rest} |"
            )
    return "\n".join(lines)


def branches(found: Sequence[Comparison]) -> str:
    """How far the zones reach toward the nearest branches."""
    lines = [
        "| | branch | diameter | wall to axis | radius without | with | remaining |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, comparison in zip(CASES.values(), found, strict=True):
        for number, toward in enumerate(comparison.branches):
            lines.append(
                f"| {'' if number else title} | {toward.tree} {toward.branch} | {toward.diameter_mm:.1f} mm | "
                f"{toward.distance_mm:.1f} mm | {text(toward.radius_without_mm, 1, 'mm')} | "
                f"{text(toward.radius_mm, 1, 'mm')} | {text(toward.remaining_percent, 0, '%')} |"
            )
    return "\n".join(lines)


def text(value: float | None, digits: int, unit: str) -> str:
    """A number with its unit, or a dash."""
    return "–" if value is None else f"{value:.{digits}f} {unit}"


if __name__ == "__main__":
    main()
