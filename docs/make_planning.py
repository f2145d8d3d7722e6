"""Make the tables and pictures of docs/planning.md and docs/real-livers.md.

``python docs/make_planning.py`` plans for the sample anatomy and writes ``docs/assets/planning``. With
``NAME=FOLDER`` it takes a plan that was made before, of a case with images that are not shipped, and writes
``docs/assets/planning/NAME_*``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from make_figures import ASSETS, ROOT, small

from ablationsim.report.plan import write_plan_report

FOLDER = ASSETS / "planning"
CASE = ROOT / "meshes" / "anatomy_plan.toml"
LARGEST = 300_000
"""Bytes of a picture."""


def main() -> None:
    """Plan, and write what the pages include."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "plan")
    parser.add_argument("plans", nargs="*", metavar="NAME=FOLDER")
    given = parser.parse_args()
    named = dict(text.split("=", 1) for text in given.plans)
    if not named:
        command = [sys.executable, "-m", "ablationsim.cli", "plan", str(CASE), "--optimize", "-o", str(given.output)]
        subprocess.run([*command, "--resume", "--no-report"], check=True)
        named = {"": str(given.output)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, folder in named.items():
        begin = f"{name}_" if name else ""
        write(Path(folder), begin)


def write(folder: Path, begin: str) -> None:
    """Table and pictures of one plan folder."""
    document = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    write_plan_report(folder)
    for picture, made in (("pareto", "pareto"), ("planes", f"planes_{document['recommended']}")):
        content = small((folder / f"{made}.png").read_bytes())
        if len(content) > LARGEST:
            raise SystemExit(f"{made}.png has {len(content)} bytes; at most {LARGEST} are wanted")
        (FOLDER / f"{begin}{picture}.png").write_bytes(content)
    (FOLDER / f"{begin}plans.md").write_text(table(document, folder), encoding="utf-8")


def table(document: dict[str, Any], folder: Path) -> str:
    """Every plan with what the full model says of it."""
    wanted = f"{document['required_margin_mm']:g} mm"
    lines = [
        f"| plan | needles | power, time | MAM | but for shafts | under {wanted} | covered | healthy liver | nodes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for plan in document["plans"]:
        said, needle = plan["confirmed"], plan["needles"][0]
        best = "**" if plan["name"] == document["recommended"] else ""
        run = json.loads((folder / plan["folder"] / "resolved.json").read_text(encoding="utf-8"))["run"]
        lines.append(
            f"| {best}{plan['name'].removeprefix('plan_')}{best} | {len(plan['needles'])} "
            f"| {needle['power_w']:.0f} W, {said['time_s'] / 60.0:.2g} min | {said['mam_mm']:.1f} mm "
            f"| {said['mam_without_needles_mm']:.1f} mm | {100.0 * said['under_required']:.0f} % "
            f"| {100.0 * said['coverage']:.1f} % | {said['healthy_ml']:.1f} mL | {run['nodes']} |"
        )
    search = document["search"]
    lines += [
        "",
        f"{document['why']}",
        "",
        f"{search['full_runs']} runs of the full model, {search['wall_s']:.0f} s in all on {os.cpu_count()} cores.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
