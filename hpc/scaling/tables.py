"""The results as tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from watch import PARTS

Results = Mapping[str, Any]


def page(parts: Results) -> str:
    """All tables, one under the other."""
    return "\n\n".join(f"## {title}\n\n{table(parts)}" for title, table in TABLES.items())


def runs(parts: Results, name: str) -> Iterator[tuple[str, Results]]:
    """Name and results of the runs of a part; nothing if it was not run."""
    for key, result in parts.get(name, {}).get("measured", {}).items():
        if "step_s" in result:
            yield key, result


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first hold numbers."""
    if not rows:
        return "Not run."
    lines = [f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def seconds(value: float) -> str:
    """A time in three digits."""
    return f"{1e3 * value:#.3g} ms".replace(". ", " ") if value < 0.9995 else f"{value:#.3g} s".replace(". ", " ")


def part_seconds(result: Results, part: str) -> float:
    """Time of a part in a median step, mean over the ranks [s]."""
    return float(result["split"][part]["mean"]) * float(result["step_s"]) / float(result["split_of_s"])


def memory(result: Results) -> float:
    """Peak memory of all ranks together, less that of Python and its libraries, per unknown [kB]."""
    added = result["peak_bytes"]["mean"] - result["base_bytes"]["mean"]
    return float(added * result["ranks"] / result["unknowns"] / 1e3)


def speedup(result: Results, first: Results, key: str = "step_s") -> float:
    """How many times faster than the first run."""
    return float(first[key] / result[key])


def _ranks(result: Results, parts: Results, name: str) -> str:
    crowded = result["ranks"] > parts[name]["cores"]
    return f"{result['ranks']}{' (share cores)' if crowded else ''}"


def strong(parts: Results) -> str:
    """One block on more and more ranks."""
    found = [result for _, result in runs(parts, "strong")]
    rows = [
        (
            _ranks(result, parts, "strong"),
            seconds(result["step_s"]),
            seconds(result["step_least_s"]),
            f"{speedup(result, found[0]):.2f}",
            f"{speedup(result, found[0], 'step_least_s'):.2f}",
            ", ".join(f"{turn:.3g} s" for turn in result["step_s_of_runs"]),
            f"{result['machine']['triad_gb_s'] / found[0]['machine']['triad_gb_s']:.2f}",
            f"{result['machine']['operations_s'] / found[0]['machine']['operations_s']:.2f}",
            seconds(result["setup_s"]),
            seconds(result["first_step_s"]),
            f"{result['peak_bytes']['largest'] / 1e6:.0f} MB",
        )
        for result in found
    ]
    head = ("ranks", "step", "shortest", "speed-up", "of the shortest", "all turns", "bandwidth gains")
    return grid((*head, "arithmetic gains", "set-up", "first step", "memory a rank"), rows)


def split(parts: Results) -> str:
    """Where the time of a step goes."""
    found = [result for _, result in runs(parts, "strong")]
    rows = [[part, *(seconds(part_seconds(result, part)) for result in found)] for part in PARTS]
    inside = ("KSPSolve", "PCApply", "MatMult", "VecTDot", "VecNorm", "VecScatterEnd")
    rows += [[f"in PETSc: {event}", *(seconds(result["petsc"][event]["time"]) for result in found)] for event in inside]
    return grid(("part", *(f"{_ranks(result, parts, 'strong')}" for result in found)), rows)


def work(parts: Results) -> str:
    """How often ranks talk to each other in a step."""
    names = {
        "electric_solves": "solutions of the potential",
        "electric_iterations": "iterations for them",
        "newton_steps": "Newton's steps",
        "heat_iterations": "iterations for them, and for the estimate of the error",
        "halo_updates": "halo updates outside PETSc",
        "reductions": "reductions outside PETSc",
    }
    found = [result for _, result in runs(parts, "strong")]
    rows = [[words, *(f"{result['work'][name]:.0f}" for result in found)] for name, words in names.items()]
    for event, key, words in (
        ("VecScatterBegin", "calls", "halo updates in PETSc"),
        ("KSPSolve", "reductions", "reductions in PETSc"),
    ):
        rows.append([words, *(f"{result['petsc'][event][key]:.0f}" for result in found)])
    rows.append(["ghosts of a rank, largest", *(f"{result['ghosts']['largest']:.0f}" for result in found)])
    return grid(("in a step", *(_ranks(result, parts, "strong") for result in found)), rows)


def weak(parts: Results) -> str:
    """A block that grows with the ranks."""
    found = [result for _, result in runs(parts, "weak")]
    rows = [
        (
            _ranks(result, parts, "weak"),
            f"{result['unknowns']:,}",
            seconds(result["step_s"]),
            seconds(result["step_least_s"]),
            f"{found[0]['step_s'] / result['step_s']:.2f}",
            f"{result['work']['electric_iterations']:.1f}",
            f"{result['work']['heat_iterations']:.1f}",
        )
        for result in found
    ]
    head = ("ranks", "unknowns", "step", "shortest", "efficiency", "iterations V", "iterations T")
    return grid(head, rows)


def growth(parts: Results) -> str:
    """Size alone grows."""
    found = [result for _, result in runs(parts, "growth")]
    rows = [
        (
            f"{result['unknowns']:,}",
            f"{result['elements']:,}",
            f"{result['work']['electric_iterations'] / result['work']['electric_solves']:.1f}",
            f"{result['digits_an_iteration']:.2f}",
            f"{result['work']['newton_steps']:.1f}",
            f"{result['work']['heat_iterations']:.1f}",
            seconds(result["step_s"]),
            f"{1e6 * result['step_s'] / result['unknowns']:.2f} µs",
            f"{memory(result):.2f}",
            seconds(result["setup_s"]),
            seconds(result["first_step_s"]),
        )
        for result in found
    ]
    head = ("unknowns", "elements", "iterations a solution V", "digits an iteration", "Newton a step")
    more = ("iterations T a step", "step", "per unknown", "memory kB/unknown", "set-up", "first step")
    return grid((*head, *more), rows)


def output(parts: Results) -> str:
    """What is written now and then."""
    rows = []
    for _, result in runs(parts, "growth"):
        written, unknowns = result["output"], result["unknowns"]
        rows.append(
            (
                f"{unknowns:,}",
                seconds(written["checkpoint_s"]),
                f"{written['checkpoint_bytes'] / unknowns:.0f} B",
                seconds(written["fields_s"]),
                f"{written['fields_bytes'] / unknowns:.0f} B",
            )
        )
    head = ("unknowns", "checkpoint", "bytes an unknown", "fields at the end, one frame", "bytes an unknown")
    return grid(head, rows)


def engines(parts: Results) -> str:
    """Both engines on one block."""
    found = dict(runs(parts, "engines"))
    if "in_process_1" not in found:
        return "Not run."
    first = found["in_process_1"]
    rows = []
    for result in found.values():
        many = result["threads"] if result["engine"] == "in-process" else result["ranks"]
        unit = "thread" if result["engine"] == "in-process" else "rank"
        rows.append(
            (
                f"{result['engine']}, {many} {unit}{'s' if many > 1 else ''}",
                f"{result['rtol']:.0e}".replace("e-0", "e-"),
                seconds(result["step_s"]),
                seconds(result["step_least_s"]),
                f"{result['step_s'] / first['step_s']:.2f}",
                f"{result['step_least_s'] / first['step_least_s']:.2f}",
                f"{result['work']['electric_iterations'] / result['work']['electric_solves']:.1f}",
                f"{memory(result):.2f}",
            )
        )
    head = ("engine", "tolerance V", "step", "shortest", "÷ in-process, 1 thread", "of the shortest")
    return grid((*head, "iterations a solution V", "memory kB/unknown"), rows)


TABLES: dict[str, Callable[[Results], str]] = {
    "Strong scaling": strong,
    "Where a step goes": split,
    "Messages": work,
    "Weak scaling": weak,
    "Size": growth,
    "Files": output,
    "Engines": engines,
}
