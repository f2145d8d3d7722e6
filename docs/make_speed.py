"""Make the tables and pictures of docs/speed.md: ``python docs/make_speed.py``.

Reads ``benchmarks/results.json``, which ``benchmarks/run`` writes, and writes ``docs/assets/speed``.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from make_figures import ASSETS, ROOT, small
from matplotlib.figure import Figure

RESULTS = ROOT / "benchmarks" / "results.json"
FOLDER = ASSETS / "speed"
LOOPS = {"loop_100k": "10⁵ unknowns", "loop_1m": "10⁶ unknowns"}
SPLIT = {
    "properties": "properties",
    "assembly": "assembly",
    "preconditioner": "preconditioner",
    "solve_v": "solve potential",
    "joule": "Joule heat",
    "solve_t": "solve temperature",
}
COLOURS = ("#7b8894", "#1f5c8b", "#4f8fbf", "#c4521c", "#e0a03c", "#8a2f5c")
OWN, DOLFINX, PETSC, SCIKIT_FEM = "#c4521c", "#1f5c8b", "#3b8f6a", "#7b8894"
Content = Mapping[str, Any]


def main() -> None:
    """Write the page's tables and pictures."""
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for table in (machine, loops, ratios, split, scaling, whole_runs, library):
        (FOLDER / f"{table.__name__}.md").write_text(table(content) + "\n", encoding="utf-8")
    for name, draw in PICTURES.items():
        buffer = io.BytesIO()
        draw(content).savefig(buffer, format="png", dpi=130)
        (FOLDER / f"{name}.png").write_bytes(small(buffer.getvalue()))


def title(engine: str) -> str:
    """What a page calls an engine of the results."""
    fixed = {
        "own": "ablationsim",
        "scikit_fem": "scikit-fem, PyAMG",
        "scikit_fem_one_point": "scikit-fem, PyAMG, one-point quadrature",
    }
    if engine in fixed:
        return fixed[engine]
    name, _, rest = engine.partition("_")
    kind, _, ranks = rest.rpartition("_")
    usual = "GAMG" if name == "petsc" else "BoomerAMG tuned"
    kind = {"": usual, "gamg": "GAMG", "hypre": "BoomerAMG tuned", "hypre_defaults": "BoomerAMG defaults"}[kind]
    program = "ablationsim's assembly in PETSc" if name == "petsc" else name
    return f"{program}, {kind}, {ranks} rank{'s' if ranks != '1' else ''}"


def parts(content: Content) -> Iterator[tuple[str, Any, Any]]:
    """Title, measured and derived figures of the comparisons that were run."""
    for name, words in LOOPS.items():
        if name in content["parts"]:
            yield words, content["parts"][name]["measured"], content["derived"][name]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first hold numbers."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def seconds(value: float) -> str:
    """A time in three digits."""
    return f"{1e3 * value:#.3g} ms".replace(". ", " ") if value < 0.9995 else f"{value:#.3g} s".replace(". ", " ")


def digits(value: float, number: int = 3) -> str:
    """A number in some significant digits, without an exponent."""
    return f"{value:#.{number}g}".rstrip(".") if value < 10**number else f"{value:.0f}"


def machine(content: Content) -> str:
    """What it was measured on, with which versions."""
    done = content["parts"].values()
    processors = sorted({re.sub(r"\s+", " ", part["processor"]) for part in done})
    dates = sorted({part["date"][:10] for part in done})
    versions: dict[str, str] = {}
    for part in done:
        versions |= part["versions"]
    rows = [
        ("Processor", "; ".join(processors)),
        ("Threads, or ranks", "; ".join(sorted({str(part["threads"]) for part in done}))),
        ("Date", dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"),
        ("Versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
    ]
    if stream := content["parts"].get("stream"):
        bandwidth = max(one["triad_gb_s"] for one in stream["measured"].values())
        rows.append(("Bandwidth, STREAM triad", f"{bandwidth:.1f} GB/s"))
        for one in stream["measured"].values():
            at_most = one["product_bytes"] / (1e9 * bandwidth)
            text = f"{seconds(at_most)} at that bandwidth, {seconds(one['product_s'])} measured"
            rows.append((f"Sparse product, {one['unknowns']:,} rows", text))
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)])


def loops(content: Content) -> str:
    """All engines on the common problem."""
    blocks = []
    for words, measured, derived in parts(content):
        rows = []
        for name, result in measured.items():
            if "step_s" not in result:
                continue
            steps = f" ({result['steps']} steps)" if result.get("steps", 20) != 20 else ""
            far = derived["difference"].get(name)
            rows.append(
                (
                    f"**{title(name)}**" if name == "own" else title(name) + steps,
                    seconds(result["step_s"]),
                    seconds(result["step_min_s"]),
                    f"{result['iterations_v']:.1f}, {result['iterations_t']:.1f}",
                    digits(derived["memory_kb_per_unknown"][name], 2),
                    seconds(result["setup_s"] + result["first_step_s"] - result["step_s"]),
                    "–" if far is None or name == "own" else f"{far:.0e}".replace("e-0", "e-"),
                )
            )
        head = (words, "step", "shortest", "iterations V, T", "memory kB/unknown", "start", "difference")
        blocks.append(table(head, rows))
        blocks += [f"Not run: {title(name)} ({reason})." for name, reason in measured["missing"].items()]
    return "\n\n".join(blocks)


def ratios(content: Content) -> str:
    """How many times faster."""
    names = {
        "dolfinx_over_own": "dolfinx ÷ ablationsim, same cores",
        "scikit_fem_over_own": "scikit-fem ÷ ablationsim",
        "scikit_fem_one_point_over_own": "scikit-fem with one-point quadrature ÷ ablationsim",
        "dolfinx_over_petsc": "dolfinx ÷ own assembly in PETSc, same ranks",
        "dolfinx_over_petsc_1": "dolfinx ÷ own assembly in PETSc, one rank",
    }
    shown = list(parts(content))
    rows = []
    for name, words in names.items():
        values = [derived["ratios"].get(name) for _, _, derived in shown]
        if any(values):
            cells = ("–" if v is None else f"{digits(v['step_s'])} ({digits(v['step_min_s'])})" for v in values)
            rows.append((words, *cells))
    return table(("time of a step, median (shortest)", *(words for words, _, _ in shown)), rows)


def split(content: Content) -> str:
    """Parts of a step in units of a sparse product."""
    columns, head = [], ["units of one sparse product"]
    for words, _, derived in parts(content):
        for name, values in derived.get("in_products", {}).items():
            if name == "own" or re.fullmatch(r"(petsc|dolfinx)_[2-9]", name):
                columns.append(values)
                head.append(f"{title(name).partition(', ')[0]}, {words.partition(' ')[0]}")
    rows = [[words, *(digits(one[name], 2) for one in columns)] for name, words in SPLIT.items()]
    rows.append(["**whole step**", *(f"**{digits(one['step'])}**" for one in columns)])
    rows.append(["shortest step", *(digits(one["step_min"]) for one in columns)])
    return table(head, rows)


def sizes(content: Content) -> list[Any]:
    """Results of the scaling, by size."""
    measured = content["parts"].get("scaling", {}).get("measured", {})
    return [result for result in measured.values() if "step_s" in result]


def scaling(content: Content) -> str:
    """Time and memory against size."""
    runs = sizes(content)
    if not runs:
        return "Not run."
    memory = content["derived"]["scaling"]["memory_kb_per_unknown"]
    rows = [
        (
            f"{run['unknowns']:,}",
            seconds(run["step_s"]),
            seconds(run["step_min_s"]),
            f"{1e6 * run['step_s'] / run['unknowns']:.3f} µs",
            f"{run['iterations_v']:.1f}, {run['iterations_t']:.1f}",
            digits(memory[str(run["unknowns"])]),
        )
        for run in runs
    ]
    head = ("unknowns", "step", "shortest", "per unknown", "iterations V, T", "memory kB/unknown")
    lines = []
    for key, words in (("step_s", "median steps"), ("step_min_s", "shortest steps")):
        fit = content["derived"]["scaling"][key]
        lines.append(
            f"Straight line through the {words}: {seconds(fit['per_million_s'])} per million unknowns, largest "
            f"deviation {100 * fit['largest_deviation']:.0f} %; power law: exponent {fit['exponent']:.2f}."
        )
    return table(head, rows) + "\n\n" + "\n\n".join(lines)


def whole_runs(content: Content) -> str:
    """Whole simulations."""
    measured = content["parts"].get("whole_runs", {}).get("measured", {})
    rows = [
        (
            f"`{name}`",
            f"{run['elements']:,}",
            f"{run['unknowns_per_field']:,}",
            f"{run['steps']} ({run['rejected_steps']})",
            seconds(run["wall_s"]),
            seconds(run["march_s"]),
            f"{run['zone_ml']:.2f} mL",
            f"{run['peak_memory_mb']:.0f} MB",
        )
        for name, run in measured.items()
        if "wall_s" in run
    ]
    head = ("case", "elements", "nodes", "steps (rejected)", "wall time", "of it march", "zone", "memory")
    return table(head, rows) if rows else "Not run."


def library(content: Content) -> str:
    """Pieces beside libraries, and the command line."""
    rows = []
    if "library" in content["parts"]:
        kernels, field = (content["parts"]["library"]["measured"][name] for name in ("kernels", "microwave_field"))
        size = f"{kernels['unknowns']:,} nodes"
        for what, own, theirs, peer in (
            (f"stiffness matrix, {size}", "assembly_s", "assembly_scikit_fem_s", "scikit-fem"),
            (f"electric solve, {size}", "solve_s", "solve_pyamg_s", "PyAMG"),
        ):
            rows.append((what, seconds(kernels[own]), f"{seconds(kernels[theirs])} ({peer})"))
        peer = f"{seconds(field['solve_scikit_fem_scipy_s'])} (scikit-fem, SciPy)"
        rows.append((f"field of an antenna, {field['unknowns']:,} unknowns", seconds(field["solve_s"]), peer))
    if "cli" in content["parts"]:
        line = content["parts"]["cli"]["measured"]
        rows += [("import of the command line", seconds(line["import_s"]), "–")]
        rows += [("`ablationsim check`", seconds(line["check_s"]), "–")]
    return table(("", "ablationsim", "peer"), rows)


def draw_scaling(content: Content) -> Figure:
    """Time of a step against unknowns."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    runs = sizes(content)
    if runs:
        size, time = (np.array([run[key] for run in runs]) for key in ("unknowns", "step_s"))
        axes.loglog(size, time, "o", color=OWN, label="ablationsim", zorder=3)
        reference = np.median(time / size)
        axes.loglog(size, reference * size, ":", color=OWN, label="proportional to the unknowns")
    peers = ((r"dolfinx_[2-9]", "s", DOLFINX), (r"petsc_[2-9]", "^", PETSC), ("scikit_fem", "D", SCIKIT_FEM))
    for pattern, mark, colour in peers:
        points = [
            (result["unknowns"], result["step_s"], name)
            for _, measured, _ in parts(content)
            for name, result in measured.items()
            if re.fullmatch(pattern, name)
        ]
        if points:
            x, y, names = zip(*points, strict=True)
            axes.loglog(x, y, mark, color=colour, label=title(names[0]))
    axes.set(xlabel="unknowns of each field", ylabel="time of a step [s]")
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def draw_split(content: Content) -> Figure:
    """Parts of a step in units of a sparse product, stacked; dolfinx on a scale of its own."""
    figure = Figure(figsize=(8.4, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    for axes, pattern in ((left, r"own|petsc_[2-9]"), (right, r"dolfinx_[2-9]")):
        labels, bars = [], []
        for words, _, derived in parts(content):
            for name, values in derived.get("in_products", {}).items():
                if re.fullmatch(pattern, name):
                    short = {"own": "ablationsim", "petsc": "own assembly\nin PETSc"}
                    program = name.partition("_")[0]
                    labels.append(f"{short.get(program, program)}\n{words.partition(' ')[0]}")
                    bars.append(values)
        bottom = np.zeros(len(bars))
        for (name, words), colour in zip(SPLIT.items(), COLOURS, strict=True):
            heights = np.array([values[name] for values in bars])
            axes.bar(labels, heights, 0.62, bottom=bottom, color=colour, label=words)
            bottom += heights
        for place, (height, values) in enumerate(zip(bottom, bars, strict=True)):
            axes.text(place, height, digits(values["step"], 2), ha="center", va="bottom", fontsize=9)
        axes.tick_params(axis="x", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(0, 1.12 * max(bottom, default=1.0))
    left.set_ylabel("one step, in sparse products at full bandwidth")
    right.legend(
        *left.get_legend_handles_labels(),
        frameon=False,
        fontsize=8,
        reverse=True,
        loc="upper left",
        bbox_to_anchor=(1, 1),
    )
    right.set_title("on another scale", fontsize=10)
    return figure


def draw_ratios(content: Content) -> Figure:
    """Time of a step of other programs over that of the own loop."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    shown = {
        "petsc_over_own": "own assembly in PETSc",
        "dolfinx_over_own": "dolfinx",
        "scikit_fem_one_point_over_own": "scikit-fem,\none-point quadrature",
        "scikit_fem_over_own": "scikit-fem",
    }
    there = {name for _, _, derived in parts(content) for name in derived["ratios"]}
    shown = {name: words for name, words in shown.items() if name in there}
    for shift, colour, (words, _, derived) in zip((0.19, -0.19), (DOLFINX, OWN), parts(content), strict=False):
        for place, name in enumerate(shown):
            if value := derived["ratios"].get(name):
                axes.barh(place + shift, value["step_s"], 0.36, color=colour)
                axes.plot(value["step_min_s"], place + shift, "|", color="black", markersize=11)
                largest = max(value.values())
                axes.text(1.04 * largest, place + shift, digits(value["step_s"], 2), va="center", fontsize=9)
        axes.barh(0, 0, color=colour, label=words)
    axes.plot([], [], "|", color="black", markersize=11, label="by the shortest steps")
    axes.set_yticks(range(len(shown)), shown.values())
    axes.set_xscale("log")
    axes.set_xlabel("time of a step over that of ablationsim on the same cores")
    ticks = (1, 3, 10, 30, 100, 300)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(1, 300)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    return figure


PICTURES: dict[str, Callable[[Content], Figure]] = {
    "scaling": draw_scaling,
    "split": draw_split,
    "ratios": draw_ratios,
}

if __name__ == "__main__":
    main()
