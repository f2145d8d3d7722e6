"""Make the tables and pictures of docs/scaling.md: ``python docs/make_scaling.py``.

Reads ``hpc/scaling/results/results.json``, which ``hpc/scaling/run`` writes, and writes ``docs/assets/scaling``.
"""

from __future__ import annotations

import io
import json
import sys

import numpy as np
from make_figures import ASSETS, ROOT, small
from matplotlib.figure import Figure

sys.path.append(str(ROOT / "hpc" / "scaling"))

from model import GROUPS, Cluster, Model
from pictures import draw
from tables import TABLES, grid, seconds

RESULTS = ROOT / "hpc" / "scaling" / "results" / "results.json"
FOLDER = ASSETS / "scaling"
SIZES = (1e6, 1e7, 1e8)
COLOURS = ("#7b8894", "#1f5c8b", "#c4521c")


def main() -> None:
    """Write the page's tables and pictures."""
    parts = json.loads(RESULTS.read_text(encoding="utf-8"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for table in TABLES.values():
        write(table.__name__, table(parts))
    model, cluster = Model.of(parts), Cluster()
    write("prediction", prediction(model, cluster))
    write("measured", measured(model))
    write("moved", moved(model, cluster))
    write("machine", machine(parts))
    for name, figure in (("scaling", draw(parts)), ("prediction", draw_prediction(model, cluster))):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130)
        (FOLDER / f"{name}.png").write_bytes(small(buffer.getvalue()))


def write(name: str, text: str) -> None:
    """Write one table."""
    (FOLDER / f"{name}.md").write_text(text + "\n", encoding="utf-8")


def power(n: float) -> str:
    """A power of ten."""
    return f"10{str(round(np.log10(n))).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def machine(parts: dict) -> str:
    """What it was measured on."""
    lines = sorted({f"{part['processor']}, {part['cores']} cores, {part['date'][:10]}" for part in parts.values()})
    return "Measured on: " + "; ".join(lines) + "."


def prediction(model: Model, cluster: Cluster) -> str:
    """Where messages take half of a step."""
    rows = [
        (
            power(row["unknowns"]),
            f"{row['fewest_nodes']:.0f}",
            seconds(row["one_node_s"]),
            f"{row['nodes']:.0f} ({row['nodes'] * cluster.ranks_per_node:.0f})",
            f"{row['own']:.0f}",
            seconds(row["step_s"]),
            *(f"{100 * row[group] / row['step_s']:.0f} %" for group in GROUPS),
            f"{row['electric']:.0f}, {row['heat']:.0f}",
            f"{row['checkpoint_gb']:.1f} GB, {seconds(row['checkpoint_s'])}",
        )
        for row in model.table(cluster, SIZES)
    ]
    head = ("unknowns", "nodes for the memory", "step on one node", "nodes (ranks) at half efficiency")
    more = ("unknowns a rank", "step there", *GROUPS, "iterations V, T", "checkpoint")
    return grid((*head, *more), rows)


def measured(model: Model) -> str:
    """What goes into the prediction."""
    (a, b), (c, d) = model.electric_iterations, model.heat_iterations
    rows = (
        ("bytes moved an unknown and iteration, potential", f"{model.electric_bytes:.0f} B"),
        ("bytes moved an unknown and iteration, temperature", f"{model.heat_bytes:.0f} B"),
        ("bytes moved an unknown and step besides", f"{model.other_bytes:.0f} B"),
        ("iterations of a step for the potential", f"{a:.1f} + {b:.2f} log₁₀ n"),
        ("iterations of a step for the temperature", f"√({max(c, 0.0):.0f} + {d:.3g} n^(2/3))"),
        ("halo updates in PETSc for each iteration and level but the coarsest", f"{model.scatters:.1f}"),
        ("unknowns of a level over those of the next", f"{model.coarsening:.1f}"),
        ("halo updates outside PETSc for each iteration for the temperature", f"{model.updates:.1f}"),
        ("reductions in PETSc for each iteration", f"{model.petsc_reductions:.1f}"),
        ("reductions outside PETSc for each iteration for the temperature", f"{model.reductions:.1f}"),
        ("memory of all ranks, an unknown", f"{model.memory / 1e3:.1f} kB"),
        ("checkpoint, an unknown", f"{model.checkpoint:.0f} B"),
    )
    return grid(("from the largest run and the growth with size", ""), rows)


def moved(model: Model, cluster: Cluster) -> str:
    """What each assumption moves: nodes at half efficiency, and the step there."""
    better = {
        "as assumed": (model, cluster),
        "half the latency of messages": (model, Cluster(latency=cluster.latency / 2)),
        "half the time of reductions": (model, Cluster(reduction=cluster.reduction / 2)),
        "half as many coarse neighbours": (model, Cluster(coarse_neighbours=cluster.coarse_neighbours // 2)),
        "twice the memory's bandwidth": (model, Cluster(bandwidth=2 * cluster.bandwidth)),
    }
    rows = []
    for words, (one, where) in better.items():
        found = one.table(where, SIZES[1:])
        rows.append((words, *(f"{row['nodes']:.0f} nodes, {seconds(row['step_s'])}" for row in found)))
    return grid(("at half efficiency", *(f"{power(n)} unknowns" for n in SIZES[1:])), rows)


def draw_prediction(model: Model, cluster: Cluster) -> Figure:
    """Time of a step, and the share of it that is no message, against ranks."""
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    ranks = cluster.ranks_per_node * 2 ** np.arange(13)
    for n, colour in zip(SIZES, COLOURS, strict=True):
        least = cluster.ranks_per_node * model.fewest_nodes(n)
        shown = ranks[ranks >= least / 2]
        parts = [model.step(n, int(r), cluster) for r in shown]
        left.loglog(shown, [sum(one.values()) for one in parts], color=colour, label=f"{power(n)} unknowns")
        left.loglog(shown, [one["memory"] for one in parts], ":", color=colour)
        right.semilogx(shown, [model.efficiency(n, int(r), cluster) for r in shown], color=colour)
    left.plot([], [], ":", color="black", label="without messages")
    left.set(xlabel="ranks", ylabel="time of a step [s]")
    left.legend(frameon=False, fontsize=9)
    right.axhline(0.5, color="#c9ced4", zorder=0)
    right.set(xlabel="ranks", ylabel="share of a step without messages", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(which="major", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()
