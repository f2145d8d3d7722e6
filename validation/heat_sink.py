"""Run the heat-sink experiments with the profiles as they are shipped: ``python validation/heat_sink.py --jobs 2``.

Writes ``validation/results/heat_sink.csv``, ``docs/heat-sink-validation.md`` and its pictures. What has run is kept in
``runs/heat_sink_validation`` and not run again, unless case or solver have changed; ``--fresh`` forgets it.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from dataclasses import astuple, fields

# Before numpy is imported: several runs side by side would only fight for the cores.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

from heat_sink_experiments import cases
from heat_sink_page import page
from heat_sink_pictures import flows, sections
from heat_sink_rows import Row, Runs, rows
from heat_sink_runs import ROOT, answers

from ablationsim.results.files import make_folder, write_whole

RESULTS = ROOT / "validation" / "results" / "heat_sink.csv"
PAGE = ROOT / "docs" / "heat-sink-validation.md"
PICTURES = ROOT / "docs" / "assets" / "heat_sink_validation"


def table(found: list[Row]) -> str:
    """All rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    writer.writerows(astuple(row) for row in found)
    return text.getvalue()


def main() -> None:
    """Run what has not run yet and write everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--fresh", action="store_true", help="run everything again")
    options = parser.parse_args()
    runs = Runs(answers(cases(), options.jobs, options.fresh))
    found = rows(runs)
    make_folder(RESULTS.parent)
    make_folder(PICTURES)
    write_whole(RESULTS, table(found))
    (PICTURES / "flows.png").write_bytes(flows(runs))
    (PICTURES / "sections.png").write_bytes(sections(runs))
    write_whole(PAGE, page(runs, found))


if __name__ == "__main__":
    main()
