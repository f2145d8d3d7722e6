"""Make docs/validation/*.md, their pictures and the table of results: ``python docs/make_validation.py --jobs 2``.

Writes ``docs/validation``, ``docs/assets/validation`` and ``validation/results/zones.csv``, with the profiles as they
are shipped. What has run is kept in ``runs/validation``, as by ``ablationsim validate``, and not run again.
"""

from __future__ import annotations

import argparse
import os

# Before numpy is imported: several runs side by side would only fight for the cores.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))

from pathlib import Path

from ablationsim.report.validation import write_pages
from ablationsim.results.files import write_whole
from ablationsim.study.validation.paper import papers
from ablationsim.study.validation.run import validate
from ablationsim.study.validation.table import CSV, csv_text

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run what has not run yet and write everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--resolution", type=float, default=1.0, help="size of the elements")
    options = parser.parse_args()
    found = validate(
        papers(),
        ROOT / "runs" / "validation",
        jobs=options.jobs,
        resolution=options.resolution,
        told=lambda done, total: print(f"{done} of {total} runs", flush=True),
    )
    for name, text in found.failures.items():
        print(f"{name} failed: {text}")
    write_whole(ROOT / "validation" / "results" / CSV, csv_text(found.rows))
    for page in (ROOT / "docs" / "validation").glob("*.md"):
        page.unlink()
    write_pages(found, ROOT / "docs" / "validation", ROOT / "docs" / "assets" / "validation", "../assets/validation")


if __name__ == "__main__":
    main()
