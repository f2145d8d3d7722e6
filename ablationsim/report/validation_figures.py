"""The pictures of a validation: predicted against measured, differences against sizes, and growth with time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ablationsim.report.painting import INK, calm, plain
from ablationsim.study.validation.comparison import Row
from ablationsim.study.validation.statistics import KIND_UNITS, RELATIVE, of_kind, statistics
from ablationsim.study.validation.table import MODALITIES
from ablationsim.study.validation.targets import counts

COLOURS = {"rfa": "#c4521c", "mwa": "#1f5c8b"}
MARKS = "os^Dv<>Pp*Xh"
QUIET = "#7b8894"
BAND = {"length": 3.0, "diameter": 3.0, "aspect": 0.10}
"""Half width of the grey band round perfect agreement; the volume has a relative one."""
VOLUME_BAND = 0.20


def parity(rows: Sequence[Row]) -> Figure | None:
    """Predicted against measured, a panel a quantity; hollow where a number of the device was fitted to it.

    Bars: the standard deviation of the measurement, and predictions with the isotherms of 60 and 50 °C for the edge.
    """
    shown = {quantity: _measured(rows, quantity) for quantity in ("length", "diameter", "volume", "aspect")}
    shown = {quantity: own for quantity, own in shown.items() if own}
    if not shown:
        return None
    figure = Figure(figsize=(max(3.1 * len(shown), 4.6), 3.9), layout="constrained")
    marks = _marks(rows)
    for ax, (quantity, own) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        _parity_panel(ax, quantity, own, marks)
    _legend(figure, rows, marks)
    return figure


def _parity_panel(ax: Axes, quantity: str, rows: Sequence[Row], marks: dict[str, str]) -> None:
    values = [value for row in rows for value in (row.measured, row.predicted) if value is not None]
    middle, span = 0.5 * (min(values) + max(values)), max(values) - min(values)
    # Wide enough that one or two points do not look farther apart than they are.
    half = 0.5 * max(1.25 * span, 0.5 * middle)
    low, high = max(middle - half, 0.0), middle + half
    band = BAND.get(quantity)
    if band is None:
        ends = (low, high)
        ax.fill_between(
            ends, [(1 - VOLUME_BAND) * x for x in ends], [(1 + VOLUME_BAND) * x for x in ends], color="0.92", lw=0
        )
        text = f"± {100 * VOLUME_BAND:.0f} %"
    else:
        ax.fill_between([low, high], [low - band, high - band], [low + band, high + band], color="0.92", lw=0)
        text = f"± {band:g} {rows[0].unit}".rstrip()
    ax.plot([low, high], [low, high], color=INK, lw=0.8)
    for row in rows:
        assert row.measured is not None
        assert row.predicted is not None
        colour = COLOURS[row.subject.modality]
        if row.edge_60 is not None and row.edge_50 is not None:
            ax.plot([row.measured] * 2, [row.edge_60, row.edge_50], color=colour, alpha=0.25, lw=1.4, zorder=1)
        if row.sd:
            ends = (row.measured - row.sd, row.measured + row.sd)
            ax.plot(ends, [row.predicted] * 2, color=colour, alpha=0.5, lw=0.9, zorder=1)
        ax.plot(row.measured, row.predicted, marks[row.subject.paper], **_face(row))
    unit = f" [{rows[0].unit}]" if rows[0].unit else ""
    name = {"aspect": "diameter / length"}.get(quantity, quantity)
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", title=f"{name}   (grey: {text})")
    ax.set(xlabel=f"measured{unit}", ylabel=f"predicted{unit}")
    _small(ax)


def bland_altman(rows: Sequence[Row]) -> Figure | None:
    """Differences against the mean of both, with bias and limits of agreement.

    These are of excised tissue alone, and of what nothing was fitted to.
    """
    kinds = {kind: [row for row in of_kind(rows, kind) if row.predicted is not None] for kind in _KIND_NAMES}
    kinds = {kind: own for kind, own in kinds.items() if len(own) > 1}
    if not kinds:
        return None
    figure = Figure(figsize=(max(3.9 * len(kinds), 4.6), 3.9), layout="constrained")
    marks = _marks(rows)
    for ax, (kind, own) in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds.items(), strict=True):
        _difference_panel(ax, kind, own, marks)
    _legend(figure, rows, marks)
    return figure


_KIND_NAMES = {"axes": "length and diameter", "volume": "volume", "aspect": "diameter / length"}


def _difference_panel(ax: Axes, kind: str, rows: Sequence[Row], marks: dict[str, str]) -> None:
    for row in rows:
        assert row.measured is not None
        assert row.predicted is not None
        difference = row.predicted - row.measured
        if row.quantity in RELATIVE:
            difference *= 100.0 / row.measured
        ax.plot(0.5 * (row.measured + row.predicted), difference, marks[row.subject.paper], **_face(row))
    unit, own_unit = KIND_UNITS[kind], rows[0].unit
    ax.axhline(0.0, color=INK, lw=0.8)
    for modality, colour in COLOURS.items():
        score = statistics(row for row in rows if row.subject.modality == modality and counts(row))
        if score is None:
            continue
        ax.axhline(score.bias, color=colour, lw=1.0)
        for limit in score.limits or ():
            ax.axhline(limit, color=colour, lw=1.0, ls=(0, (5, 3)))
    ax.set(title=_KIND_NAMES[kind], xlabel=f"mean of measured and predicted{f' [{own_unit}]' if own_unit else ''}")
    ax.set(ylabel=f"predicted − measured{f' [{unit}]' if unit else ''}")
    _small(ax)


def courses(rows: Sequence[Row]) -> Figure | None:
    """Length and diameter against time, for every device and power with three or more times; None without any."""
    series: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.quantity in ("length", "diameter") and math.isfinite(row.time) and row.measured is not None:
            power = f", {row.power:g} W" if math.isfinite(row.power) else ""
            series.setdefault((row.subject.device, power), []).append(row)
    series = {key: own for key, own in series.items() if len({row.time for row in own}) > 2}
    if not series:
        return None
    figure = Figure(figsize=(max(3.2 * len(series), 4.6), 3.5), layout="constrained")
    panels = figure.subplots(1, len(series), sharey=True, squeeze=False)[0]
    for ax, ((device, power), own) in zip(panels, series.items(), strict=True):
        for quantity, colour in (("length", COLOURS["mwa"]), ("diameter", COLOURS["rfa"])):
            mine = sorted((row for row in own if row.quantity == quantity), key=lambda row: row.time)
            minutes = [row.time / 60.0 for row in mine]
            bands = [(row.edge_60, row.edge_50) for row in mine]
            if all(low is not None and high is not None for low, high in bands):
                ax.fill_between(minutes, *zip(*bands, strict=True), color=colour, alpha=0.13, lw=0)
            ax.plot(minutes, [row.predicted for row in mine], "-", color=colour, label=f"{quantity}, predicted")
            ax.errorbar(
                minutes,
                [row.measured for row in mine],
                [row.sd or 0.0 for row in mine],
                fmt="o",
                ms=4,
                capsize=2,
                color=colour,
                label=f"{quantity}, measured",
            )
        ax.set(title=plain(f"{device}{power}"), xlabel="time [min]")
        _small(ax)
    panels[0].set(ylabel="size [mm]", ylim=(0, None))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _small(ax: Axes) -> None:
    for text in (ax.title, ax.xaxis.label, ax.yaxis.label):
        text.set_fontsize(9)
    ax.locator_params(nbins=5)
    calm(ax)


def _measured(rows: Sequence[Row], quantity: str) -> list[Row]:
    return [row for row in rows if row.quantity == quantity and row.difference() is not None]


def _marks(rows: Sequence[Row]) -> dict[str, str]:
    """A mark for every publication."""
    papers = dict.fromkeys(row.subject.paper for row in rows if row.measured is not None)
    return {paper: MARKS[i % len(MARKS)] for i, paper in enumerate(papers)}


def _face(row: Row) -> dict[str, Any]:
    colour = COLOURS[row.subject.modality]
    return {"ms": 5, "mec": colour, "mfc": "white" if row.calibrated else colour, "alpha": 0.9, "zorder": 3}


def _legend(figure: Figure, rows: Sequence[Row], marks: dict[str, str]) -> None:
    shown = [row for row in rows if row.measured is not None]
    handles = [
        Line2D([], [], marker=mark, ls="", color=QUIET, label=paper) for paper, mark in marks.items() if len(marks) > 1
    ]
    handles += [
        Line2D([], [], marker="o", ls="", color=COLOURS[modality], label=name)
        for modality, name in MODALITIES.items()
        if any(row.subject.modality == modality for row in shown)
    ]
    if any(row.calibrated for row in shown):
        handles.append(Line2D([], [], marker="o", ls="", mec=QUIET, mfc="white", label="fitted"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
