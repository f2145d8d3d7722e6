"""Make the pictures and tables of docs/compare.md: ``python docs/make_compare.py``.

Runs ``validation/hendriks_2021/compare.toml`` and writes ``docs/assets/compare``. ``--jobs 2`` does two runs at a time;
runs that are finished in ``--output`` are taken as they are, unless ``--overwrite`` is given.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from make_figures import ASSETS, ROOT, small

from ablationsim.report.comparison import pictures
from ablationsim.study.compare.comparison import Comparison, read
from ablationsim.study.compare.figures import FRAMES
from ablationsim.study.compare.study import ComparisonStudy
from ablationsim.study.sweep.manifest import Manifest
from ablationsim.study.workers import workers

FOLDER = ASSETS / "compare"
STUDY = ROOT / "validation" / "hendriks_2021" / "compare.toml"
LARGEST = 300_000
"""Bytes of a picture."""


def main() -> None:
    """Run the comparison, and write what the page includes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "compare")
    parser.add_argument("--overwrite", action="store_true")
    given = parser.parse_args()
    if given.overwrite:
        shutil.rmtree(given.output, ignore_errors=True)
    words = ["compare", STUDY, "--output", given.output, "--jobs", given.jobs]
    subprocess.run([sys.executable, "-m", "ablationsim.cli", *map(str, words)], check=True)
    with workers(1) as apply:
        found = read(ComparisonStudy.load(STUDY), Manifest.read(given.output), given.output, apply)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in pictures(found).items():
        reduced = small(content)
        if len(reduced) > LARGEST:
            raise SystemExit(f"{name} has {len(reduced)} bytes; at most {LARGEST} are wanted")
        (FOLDER / name).write_bytes(reduced)
    (FOLDER / "sizes.md").write_text(sizes(found) + "\n", encoding="utf-8")
    (FOLDER / "sinks.md").write_text(sinks(found) + "\n", encoding="utf-8")


def sizes(found: Comparison) -> str:
    """Sizes in both frames, energy, and times to the short axes."""
    targets = found.study.about.short_axis
    times = [f"to {1e3 * target:g} mm" for target in targets]
    header = [
        "",
        "setting",
        "frame",
        "volume",
        "along",
        "across",
        "along / across",
        "sphericity, axes",
        "isoperimetric",
    ]
    header += ["mL/kJ at the generator", "mL/kJ absorbed", *times]
    lines = [_line(header), _line(["---"] * len(header))]
    last = ""
    for entry in found.entries:
        assert entry.figures is not None, entry.trouble
        for frame in FRAMES:
            size = entry.figures.sizes[frame]
            first = frame == FRAMES[0]
            name = entry.setting.device if first and entry.setting.device != last else ""
            reached = ["not reached" if time is None else f"{time:.0f} s" for time in found.times_to(entry, frame)]
            lines.append(
                _line(
                    [
                        name,
                        entry.setting.label if first else "",
                        frame,
                        f"{size.volume_ml:.1f} mL",
                        f"{size.length_mm:.1f} mm",
                        f"{size.diameter_mm:.1f} mm",
                        f"{size.ratio:.2f}",
                        f"{size.sphericity_axes:.2f}",
                        f"{size.sphericity_isoperimetric:.2f}",
                        f"{size.ml_per_kj:.2f}",
                        f"{size.ml_per_absorbed_kj:.2f}",
                        *reached,
                    ]
                )
            )
        last = entry.setting.device
    return "\n".join(lines)


def sinks(found: Comparison) -> str:
    """What the standard vessel takes away, in the frame of the comparison."""
    frame = found.study.about.frame
    lines = [
        _line(["", "setting", "without", "with", "lost", "radius toward it, without", "with", "heat to the vessel"]),
        _line(["---"] * 8),
    ]
    last = ""
    for entry in found.entries:
        sink = entry.sink
        assert sink is not None, entry.trouble
        lines.append(
            _line(
                [
                    entry.setting.device if entry.setting.device != last else "",
                    entry.setting.label,
                    f"{sink.volume_without_ml[frame]:.1f} mL",
                    f"{sink.volume_ml[frame]:.1f} mL",
                    f"{sink.lost_percent(frame):.0f} %",
                    f"{sink.radius_without_mm:.1f} mm",
                    f"{sink.radius_mm:.1f} mm",
                    f"{sink.heat_percent:.1f} %",
                ]
            )
        )
        last = entry.setting.device
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
