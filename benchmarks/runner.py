"""All benchmarks: ``benchmarks/run``, which starts this.

Every measurement runs in processes of its own, one at a time. Peers that are not installed are skipped, which is said
and recorded. ``benchmarks/results.json`` keeps, of parts that are not run, what was there, each with its own date.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from derived import derive
from engines import install_peers
from parts import HERE, PARTS, QUICK, SIZES, Setting
from processes import Failed, Results, environment

RESULTS = HERE / "results.json"
PACKAGES = ("ablationsim", "numpy", "scipy", "numba", "scikit-fem", "pyamg")


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions(results: Any) -> dict[str, str]:
    """Versions that the loops gave, anywhere in some results, below those of this environment."""
    found: dict[str, str] = {}
    if isinstance(results, dict):
        for key, value in results.items():
            found |= value if key == "versions" else versions(value)
    return found


def collect(measured: Results, setting: Setting) -> Results:
    """A part with what one must know to judge it."""
    own = {package: version(package) for package in PACKAGES}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "threads": setting.threads,
        "rounds": setting.rounds,
        "processor": processor(),
        "versions": {"python": platform.python_version(), **versions(measured), **own},
        "measured": measured,
    }


def write(parts: Results, path: Path) -> None:
    """Write all parts, and what follows from them."""
    content = {"parts": parts, "derived": derive(parts, SIZES)}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def run(names: Iterable[str], setting: Setting, path: Path) -> Results:
    """Run parts, and write the results after each, with those of other parts that the file holds already.

    Of a part that fails, too, what was there stays.
    """
    parts: Results = json.loads(path.read_text(encoding="utf-8"))["parts"] if path.is_file() else {}
    for name in names:
        setting.say(f"{datetime.now():%H:%M:%S} {name}")
        try:
            parts[name] = collect(PARTS[name](setting), setting)
        except Failed as failure:
            setting.say(f"  not measured: {failure}")
            continue
        write(parts, path)
    return parts


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads, and ranks of MPI")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each engine; the least disturbed one counts")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}: minutes instead of an hour")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--install-peers", action="store_true", help="make the environment of the PETSc loop, and end")
    given = parser.parse_args()
    if given.install_peers:
        install_peers()
        return
    # A short run compiles what later ones take from disk.
    doctor = [sys.executable, "-m", "ablationsim.cli", "doctor"]
    subprocess.run(doctor, env=environment(given.threads), check=True, capture_output=True)
    setting = Setting(given.threads, given.rounds, lambda line: print(line, flush=True))
    parts = run(given.only or (QUICK if given.quick else PARTS), setting, given.output)
    print(json.dumps(derive(parts, SIZES), indent=2))


if __name__ == "__main__":
    main()
