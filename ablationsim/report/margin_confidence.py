"""Picture of how sure a margin is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ablationsim.report.figures import png
from ablationsim.report.painting import INK, calm, plain
from ablationsim.results.files import write_whole
from ablationsim.study.margins.confidence import ALL, Confidence
from ablationsim.study.margins.document import NOTICE

COLOURS = ("#1f5f8b", "#b5482f", "#5a8f3c", "#8a5aa8", "#b08a1e", "#3f8f8f")

_SHOWN = (-15.0, 25.0)  # mm


def write_picture(folder: Path, found: Confidence) -> Path:
    """Write confidence.png into a folder and return its path.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    path = folder / "confidence.png"
    write_whole(path, png(picture(found)))
    return path


def picture(found: Confidence) -> Figure:
    """Draw the distribution of the minimal margin by each source of uncertainty, and what is reached with each."""
    figure = Figure(figsize=(10.4, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1.0))
    required = 1e3 * found.required
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(name for name in found.spreads if name != ALL)}
    colours[ALL] = INK
    for name, spread in found.spreads.items():
        values = np.sort(np.clip(1e3 * spread.least, *_SHOWN))
        # The share of draws with at least so much margin.
        share = 100.0 * (1.0 - np.arange(len(values)) / len(values))
        left.step(
            values, share, where="pre", color=colours[name], linewidth=2.4 if name == ALL else 1.4, label=_label(name)
        )
    for place, text in ((0.0, "covered"), (required, f"{required:.3g} mm wanted")):
        left.axvline(place, color="#7b8894", linewidth=0.9, zorder=0)
        left.annotate(
            text,
            (place, 0.93),
            (3, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=7.5,
            color="#5d6b78",
        )
    if np.isfinite(found.nominal):
        left.axvline(1e3 * found.nominal, color=INK, linewidth=1.0, linestyle=(0, (4, 1.5)))
    left.set(xlabel="minimal ablative margin / mm", ylabel="draws with at least so much / %", ylim=(0, 102))
    left.legend(fontsize=8, frameon=False)
    names = list(found.spreads)[::-1]
    rows = np.arange(len(names))
    for offset, margin, alpha, text in (
        (0.19, 0.0, 0.45, "tumour covered"),
        (-0.19, found.required, 1.0, f"{required:.3g} mm reached"),
    ):
        width = [100.0 * found.spreads[name].reached(margin) for name in names]
        bars = right.barh(rows + offset, width, 0.36, color=[colours[name] for name in names], alpha=alpha)
        right.bar_label(bars, [f"{value:.0f} %  {text}" for value in width], padding=3, fontsize=7.5, color=INK)
    right.set_yticks(rows, [_label(name) for name in names])
    right.set(xlim=(0, 165), xlabel="share of draws / %")
    right.set_xticks([0, 25, 50, 75, 100])
    for ax in (left, right):
        calm(ax)
    nominal = f"{1e3 * found.nominal:.1f} mm" if np.isfinite(found.nominal) else "no zone"
    figure.suptitle(
        f"{plain(found.title)}\nminimal margin of the run itself (dashed): {nominal}; needle: standard deviation "
        f"{1e3 * found.needle_sd:.3g} mm along each axis (assumed). {NOTICE}",
        fontsize=8.5,
        color=INK,
    )
    return figure


def _label(name: str) -> str:
    return name.removeprefix("tissue.").removeprefix("device.").replace("_", " ").replace("antenna.", "antenna ")
