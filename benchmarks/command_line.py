"""How long users wait for the command line itself: ``python benchmarks/command_line.py CASE``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

REPEATS = 7

IMPORT = "import time; start = time.perf_counter(); import ablationsim.cli; print(time.perf_counter() - start)"


def main() -> None:
    """Import the command line, and check a case, in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", type=Path)
    given = parser.parse_args()
    check = [sys.executable, "-m", "ablationsim.cli", "check", str(given.case)]
    subprocess.run(check, check=True, capture_output=True)
    imports, checks = [], []
    for _ in range(REPEATS):
        done = subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True)
        imports.append(float(done.stdout))
        start = time.perf_counter()
        subprocess.run(check, check=True, capture_output=True)
        checks.append(time.perf_counter() - start)
    print(json.dumps({"import_s": median(imports), "check_s": median(checks), "repeats": REPEATS}))


if __name__ == "__main__":
    main()
