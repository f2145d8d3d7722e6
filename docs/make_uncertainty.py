"""Make the pictures and tables of docs/uncertainty.md: ``python docs/make_uncertainty.py``.

Runs ``repeatability.toml`` and ``screening.toml`` of ``validation/hendriks_2021``, and writes to
``docs/assets/uncertainty``. ``--jobs 2`` does two runs at a time; answers that are kept in ``--output`` are taken while
cases and program are the same. ``--only repeatability`` makes one of the two.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from make_figures import ASSETS, ROOT, small

from ablationsim.report.uncertainty import pictures
from ablationsim.study.uncertainty.assessment import Assessment, assess
from ablationsim.study.uncertainty.files import write_files
from ablationsim.study.uncertainty.study import UncertaintyStudy

FOLDER = ASSETS / "uncertainty"
STUDIES = ("repeatability", "screening")
LARGEST = 300_000
"""Bytes of a picture."""
EFFECTS = 6
"""Inputs that the table of a screening has for each quantity."""
SHOWN = ("volume_ml", "long_axis_mm", "short_axis_mm", "sphericity_axes")
"""Quantities of that table."""


def main() -> None:
    """Run the studies, and write what the page includes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "uncertainty")
    parser.add_argument("--only", choices=STUDIES)
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in STUDIES if given.only is None else (given.only,):
        study = UncertaintyStudy.load(ROOT / "validation" / "hendriks_2021" / f"{name}.toml")
        folder = given.output / name
        found = assess(study, folder, given.jobs, lambda done, total: print(f"{done} of {total} runs", flush=True))
        write_files(folder, found)
        for picture, content in pictures(found).items():
            reduced = small(content)
            if len(reduced) > LARGEST:
                raise SystemExit(f"{picture} has {len(reduced)} bytes; at most {LARGEST} are wanted")
            (FOLDER / picture).write_bytes(reduced)
        text = devices(found) if found.comparisons else effects(found)
        (FOLDER / f"{name}.md").write_text(text + "\n", encoding="utf-8")


def devices(found: Assessment) -> str:
    """Means and spreads of the devices, and what tells them apart."""
    comparisons = found.comparisons[found.study.about.frame]
    percent = f"{100 * found.study.about.confidence:g} %"
    first, second = comparisons[0].first.group, comparisons[0].second.group
    columns = [f"{group}: mean | standard deviation | relative" for group in (first, second)]
    lines = [f"| quantity | {' | '.join(columns)} |", "|---|---|---|---|---|---|---|"]
    for one in comparisons:
        unit, digits = one.quantity.unit, one.quantity.decimals
        cells = [f"{one.quantity.name}"]
        for side in (one.first, one.second):
            part = f"{100 * side.variation.value:.1f} %" if one.quantity.relative else ""
            ends = f"({side.sd.low:.{digits}f} to {side.sd.high:.{digits}f})"
            cells += [f"{side.mean.value:.{digits}f} {unit}", f"{side.sd.value:.{digits}f} {ends} {unit}", part]
        lines.append(f"| {' | '.join(cells)} |")
    side = comparisons[0].first
    lines += [
        "",
        f"{side.specimens} specimens, {side.settings} settings; zones {found.study.about.frame}; in brackets {percent} "
        "intervals.",
        "",
        *(f"- {one.statement(found.study.about.confidence)}" for one in comparisons if one.quantity.key in SHOWN),
    ]
    return "\n".join(lines)


def effects(found: Assessment) -> str:
    """The strongest effects of a screening."""
    (one,) = found.arms
    lines = ["| quantity | input | μ\\* | σ |", "|---|---|---|---|"]
    for quantity in (quantity for quantity in one.quantities if quantity.key in SHOWN):
        unit, digits = quantity.unit, quantity.decimals
        for row in (one.said[found.study.about.frame][quantity.key].effects or ())[:EFFECTS]:
            strength = f"{row.strength:.{digits}f} ± {row.interval:.{digits}f} {unit}"
            lines.append(f"| {quantity.name} | `{row.name}` | {strength} | {row.spread:.{digits}f} {unit} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
