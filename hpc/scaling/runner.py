"""Strong and weak scaling of the distributed engine: ``hpc/scaling/run``, which starts this.

Every measurement runs by itself. Of parts that are not run, the results keep what was there, each with its own date.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from launch import HERE, Failed, Launcher, Results, cores
from parts import PARTS, PER_RANK, SIZES, STRONG, Setting
from pictures import draw
from tables import page

RESULTS = HERE / "results"


def default_ranks() -> list[int]:
    """Powers of two up to the cores, and the cores; on small machines also twice as many, which share them."""
    most = cores()
    ranks = {1 << power for power in range(most.bit_length()) if 1 << power <= most} | {most}
    return sorted(ranks | ({2 * most} if most <= 4 and "SLURM_JOB_ID" not in os.environ else set()))


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def run(names: Iterable[str], setting: Setting, folder: Path) -> Results:
    """Run parts, and write results, tables and picture after each."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    parts: Results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in names:
        setting.say(f"{datetime.now():%H:%M:%S} {name}")
        parts[name] = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "processor": processor(),
            "cores": cores(),
            "rounds": setting.rounds,
            "measured": PARTS[name](setting),
        }
        path.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")
        (folder / "tables.md").write_text(page(parts) + "\n", encoding="utf-8")
        draw(parts).savefig(folder / "scaling.png", dpi=130)
    return parts


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", help=f"numbers of ranks (here: {default_ranks()})")
    parser.add_argument("--strong", type=int, default=STRONG, metavar="N", help="cubes a side of the shared block")
    parser.add_argument("--per-rank", type=int, default=PER_RANK, help="unknowns a rank of the growing block")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="cubes a side, size alone")
    parser.add_argument("--steps", type=int, default=8, help="steps that are timed in each run")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each run; the least disturbed one counts")
    parser.add_argument("--quick", action="store_true", help="small blocks, one round: two minutes instead of an hour")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--launcher", help="such as 'srun --mpi=pmi2 -n {ranks}'; found by itself otherwise")
    parser.add_argument("--python", type=Path, help="interpreter with mpi4py and petsc4py (.venv-mpi by default)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for results.json, tables.md, scaling.png")
    given = parser.parse_args()
    if given.quick:
        given.strong, given.per_rank, given.sizes = 26, 10_000, (20, 26, 36)
        given.rounds, given.steps = 1, 4
    setting = Setting(
        launcher := Launcher.found(given.launcher, given.python),
        sorted(given.ranks or default_ranks()),
        given.strong,
        given.per_rank,
        given.sizes,
        given.rounds,
        given.steps,
        lambda line: print(line, flush=True),
    )
    # Compiles what all others then take from the disk.
    launcher.shared(1, 26, "--steps", "1")
    print(page(run(given.only or PARTS, setting, given.output)))


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"hpc/scaling: {failure}")
