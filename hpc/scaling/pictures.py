"""The results as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tables import part_seconds, runs, speedup
from watch import PARTS

COLOURS = ("#4f8fbf", "#7b8894", "#c4521c", "#e0a03c", "#8a2f5c", "#3b8f6a", "#c9ced4")
V, T = "#c4521c", "#1f5c8b"
Results = Mapping[str, Any]


def draw(parts: Results) -> Figure:
    """Speed-up, parts of a step, and iterations against size."""
    figure = Figure(figsize=(12.0, 3.9), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    draw_speedup(first, parts)
    draw_split(second, parts)
    draw_iterations(third, parts)
    return figure


def draw_speedup(axes: Axes, parts: Results) -> None:
    """Speed-up of one block on more and more ranks, beside what the machine's memory and cores gain."""
    found = [result for _, result in runs(parts, "strong")]
    if found:
        ranks = np.array([result["ranks"] for result in found])
        axes.plot(ranks, ranks / ranks[0], ":", color="#7b8894", label="proportional")
        for key, words, style in (("operations_s", "arithmetic alone", "--"), ("triad_gb_s", "memory alone", "-.")):
            gain = [result["machine"][key] / found[0]["machine"][key] for result in found]
            axes.plot(ranks, gain, style, color="#7b8894", label=words)
        axes.plot(ranks, [speedup(result, found[0]) for result in found], "o-", color=V, label="a step, median")
        shortest = [speedup(result, found[0], "step_least_s") for result in found]
        axes.plot(ranks, shortest, "|", color="black", markersize=12, label="a step, shortest")
        axes.set_xscale("log", base=2)
        axes.set_xticks(ranks, [str(number) for number in ranks])
        axes.set_title(f"{found[0]['unknowns']:,} unknowns", fontsize=10)
        crowded = [r for r in ranks if r > parts["strong"]["cores"]]
        if crowded:
            axes.axvspan(parts["strong"]["cores"] * 2**0.5, max(crowded) * 2**0.25, color="#eef0f2", zorder=0)
            axes.text(max(crowded) * 2**0.2, 0.03, "ranks share cores", ha="right", fontsize=8)
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    axes.set(xlabel="ranks", ylabel="speed-up over the first", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)


def draw_split(axes: Axes, parts: Results) -> None:
    """Parts of a step on more and more ranks."""
    found = [result for _, result in runs(parts, "strong")]
    labels = [str(result["ranks"]) for result in found]
    bottom = np.zeros(len(found))
    for part, colour in zip(PARTS, COLOURS, strict=True):
        heights = np.array([part_seconds(result, part) for result in found])
        axes.bar(labels, heights, 0.6, bottom=bottom, color=colour, label=part)
        bottom += heights
    axes.set(xlabel="ranks", ylabel="time of a step, by parts [s]", ylim=(0, 1.5 * max(bottom, default=1.0)))
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper right", reverse=True)
    axes.spines[["top", "right"]].set_visible(False)


def draw_iterations(axes: Axes, parts: Results) -> None:
    """Iterations and memory against size."""
    found = [result for _, result in runs(parts, "growth")]
    if found:
        size = [result["unknowns"] for result in found]
        per_solution = [result["work"]["electric_iterations"] / result["work"]["electric_solves"] for result in found]
        axes.semilogx(size, per_solution, "o-", color=V, label="potential, a solution (multigrid)")
        heat = [result["work"]["heat_iterations"] for result in found]
        axes.semilogx(size, heat, "s-", color=T, label="temperature, a step (diagonal)")
        axes.axhspan(per_solution[0], 1.2 * per_solution[0], color=V, alpha=0.12, label="up to 20 % more")
        axes.set_title(f"{found[0]['ranks']} rank{'s' if found[0]['ranks'] > 1 else ''}", fontsize=10)
        axes.legend(frameon=False, fontsize=8, loc="upper left")
        axes.set_ylim(0, 1.6 * max(*per_solution, *heat))
    axes.set(xlabel="unknowns", ylabel="iterations")
    axes.spines[["top", "right"]].set_visible(False)
