"""A whole simulation: ``python benchmarks/whole_run.py CASE [--dimension 3d]`` prints its times and size."""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from pathlib import Path
from typing import Any

from loop import peak_memory


def whole_run(path: Path, dimension: str | None) -> dict[str, Any]:
    """Simulate a case, in another dimension than its own where one is given."""
    import ablationsim

    case = ablationsim.Case.load(path)
    if dimension:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        content.setdefault("domain", {})["dimension"] = dimension
        case = ablationsim.Case.from_dict(content)
    started = time.perf_counter()
    result = ablationsim.simulate(case)
    return {
        "wall_s": time.perf_counter() - started,
        "march_s": result.record["march_wall_s"],
        "unknowns_per_field": result.record["nodes"],
        "elements": result.record["elements"],
        "steps": result.record["time_steps"],
        "rejected_steps": result.record["rejected_steps"],
        "field_solves": result.document.get("microwave", {}).get("solves", 0),
        "zone_ml": result.zone.volume_ml,
        "peak_memory_mb": peak_memory(),
    }


def main() -> None:
    """Run the case of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", type=Path)
    parser.add_argument("--dimension", choices=("axisymmetric", "3d"))
    given = parser.parse_args()
    print(json.dumps(whole_run(given.case, given.dimension)))


if __name__ == "__main__":
    main()
