"""Plans beside each other: what more margin costs in healthy tissue and time."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ablationsim.report.painting import INK, calm, plain
from ablationsim.report.plan_file import Measures, PlanFile, Planned

ENOUGH, TOO_LITTLE = "#1a9641", "#d7191c"
FULL, REDUCED = "#1f5f8b", "#9aa7b2"
RING = "#f2b134"
ABOVE_OR_BELOW = ((0.0, 13.0), (0.0, -13.0))
"""Where the number of a plan stands, by turns, so that neighbours do not cover each other, in points."""


def pareto(plan: PlanFile) -> Figure | None:
    """Draw least margin against healthy tissue spent and against time; None with fewer than two plans to draw."""
    drawn = [each for each in plan.plans if _drawable(each.measures)]
    if len(drawn) < 2:
        return None
    figure = Figure(figsize=(10.4, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for ax, key, label in (
        (left, "healthy_ml", "healthy tissue spent / mL"),
        (right, "minutes", "time of the generators / min"),
    ):
        _front(ax, drawn, key)
        order = sorted(drawn, key=lambda each: _across(each, each.measures, key) or 0.0)
        for number, each in enumerate(order):
            _mark(ax, each, key, each is plan.recommended, ABOVE_OR_BELOW[number % 2])
        ax.axhline(plan.required_mm, color=ENOUGH, linewidth=1.0, linestyle=(0, (5, 2)))
        ax.axhline(0.0, color=TOO_LITTLE, linewidth=1.0, linestyle=(0, (5, 2)))
        ax.set_xlabel(label, fontsize=9)
        ax.margins(0.12, 0.15)
        calm(ax)
    left.set_ylabel("least margin / mm", fontsize=9)
    # Beside the panel, where no plan is.
    words = {"va": "center", "ha": "left", "fontsize": 8}
    end = right.get_xlim()[1]
    right.text(end, plan.required_mm, f" {plan.required_mm:.3g} mm\n wanted", color=ENOUGH, **words)
    right.text(end, 0.0, " tumour\n just\n covered", color=TOO_LITTLE, **words)
    figure.legend(handles=_entries(drawn, plan), loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    return figure


def _drawable(measures: Measures) -> bool:
    return measures.healthy_ml is not None and measures.margin_mm is not None


def _across(each: Planned, measures: Measures, key: str) -> float | None:
    return each.minutes if key == "minutes" else measures.healthy_ml


def _mark(ax: Any, each: Planned, key: str, recommended: bool, aside: tuple[float, float]) -> None:
    """The plan by the full model, and where the reduced one had it."""
    places = {}
    for name, measures in (("reduced", each.reduced), ("full", each.confirmed)):
        x, y = _across(each, measures, key), measures.margin_mm
        if x is not None and y is not None:
            places[name] = (x, y)
    if len(places) == 2:
        ax.plot(*zip(*places.values(), strict=True), color=REDUCED, linewidth=0.8, zorder=1)
    if "reduced" in places:
        lone = not each.feasible and "full" not in places
        edge = TOO_LITTLE if lone else REDUCED
        ax.plot(*places["reduced"], "X" if lone else "o", markersize=7, mfc="white", markeredgecolor=edge, zorder=2)
    if "full" in places:
        shape = "o" if each.feasible else "X"
        ax.plot(*places["full"], shape, markersize=8, color=FULL if each.feasible else TOO_LITTLE, zorder=4)
    x, y = places.get("full", places.get("reduced", (np.nan, np.nan)))
    if each.confirmed.dented and each.confirmed.mam_mm is not None:
        ax.plot(x, each.confirmed.mam_mm, "v", markersize=5, color=FULL, alpha=0.3, markeredgewidth=0, zorder=2)
    if recommended:
        ax.plot(x, y, "o", markersize=15, mfc="none", markeredgecolor=RING, markeredgewidth=2.2, zorder=3)
    look = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": 9, "color": INK, "zorder": 5}
    ax.annotate(plain(each.name.removeprefix("plan_")), (x, y), aside, fontweight="bold", **look)


def _front(ax: Any, drawn: list[Planned], key: str) -> None:
    """A line through the plans of which none is worse than another in margin and in what is drawn across."""
    places = [
        (x, y)
        for each in drawn
        if each.feasible
        and (x := _across(each, each.measures, key)) is not None
        and (y := each.measures.margin_mm) is not None
    ]
    best, front = -np.inf, []
    for x, y in sorted(places, key=lambda place: (place[0], -place[1])):
        if y > best:
            best = y
            front.append((x, y))
    if len(front) > 1:
        ax.plot(*zip(*front, strict=True), color=FULL, linewidth=1.0, alpha=0.5, zorder=1)


def _entries(drawn: list[Planned], plan: PlanFile) -> list[Any]:
    def dot(label: str, shape: str, **look: Any) -> Line2D:
        return Line2D([], [], linestyle="none", marker=shape, label=label, **look)

    found = [dot("full model", "o", color=FULL, markersize=8)] if any(each.confirmed.known for each in drawn) else []
    if any(each.confirmed.dented for each in drawn):
        found.append(dot("its dents beside cooled shafts", "v", color=FULL, alpha=0.3, markersize=5))
    if any(_drawable(each.reduced) for each in drawn):
        found.append(dot("reduced model", "o", mfc="white", markeredgecolor=REDUCED, markersize=6))
    if not all(each.feasible for each in drawn):
        found.append(dot("does not keep the limits", "X", color=TOO_LITTLE, markersize=8))
    if plan.recommended is not None:
        found.append(dot("recommended", "o", mfc="none", markeredgecolor=RING, markeredgewidth=2.2, markersize=12))
    found.append(Line2D([], [], color=FULL, alpha=0.5, linewidth=1.0, label="none better in both"))
    return found
