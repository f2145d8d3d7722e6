"""Make the pictures and the table of docs/margins.md: ``python docs/make_margins.py``.

Runs the microwave case of the sample anatomy for a time too short for its tumour, on a coarse mesh, and four times more
for the confidence: some minutes.
Writes ``docs/assets/margins``.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from make_figures import ASSETS, ROOT, small

import ablationsim
from ablationsim.report.figures import png
from ablationsim.report.margin_confidence import picture
from ablationsim.report.margin_figures import margin_figure
from ablationsim.report.margins import rows
from ablationsim.results import Result
from ablationsim.results.margins import margins_of
from ablationsim.study.margins.confidence import confidence
from ablationsim.vasculature.build import vessels_of

FOLDER = ASSETS / "margins"
CASE = ROOT / "meshes" / "anatomy_mwa.toml"
RESOLUTION, DURATION = 3.0, "3 min"


def main(runs: Path) -> None:
    """Run what has not been run yet, and write what the page includes."""
    data = tomllib.loads(CASE.read_text(encoding="utf-8"))
    data["applicator"][0]["protocol"][0]["duration"] = DURATION
    data["mesh"]["resolution"] = RESOLUTION
    case = ablationsim.Case.from_dict(data, CASE.parent)
    write(ablationsim.simulate(case, runs, resume=True), runs)


def write(result: Result, runs: Path) -> None:
    """Write what the page includes of a run."""
    case = result.case
    found = margins_of(result, vessels_of(case))
    assert found is not None
    FOLDER.mkdir(parents=True, exist_ok=True)
    axes = [applicator.direction for applicator in case.applicators]
    (FOLDER / "margins.png").write_bytes(small(png(margin_figure(found, axes))))
    (FOLDER / "table.md").write_text(table(found.document), encoding="utf-8")
    (FOLDER / "confidence.png").write_bytes(small(png(picture(confidence(result, runs)))))


def table(document: dict) -> str:
    """The margins as a table."""
    lines = ["| tumour of the sample anatomy | undeformed | contracted | |", "|---|---|---|---|"]
    lines += [f"| {row.name} | {row.undeformed} | {row.contracted} | {row.remark} |" for row in rows(document)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runs" / "margins")
