"""Picture of a fitted perfusion: trials, misfit and interval, and the size of the zone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from ablationsim.report.figures import png
from ablationsim.report.painting import INK, calm
from ablationsim.results.files import write_whole
from ablationsim.study.perfusion_fit import NOTICE, RISE, PerfusionFit

_TRIAL, _BEST, _BAND = "#1f5f8b", "#b5482f", "#f3dcc9"


def write_picture(folder: Path, found: PerfusionFit) -> Path:
    """Write fit.png into a folder.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    path = folder / "fit.png"
    write_whole(path, png(picture(found)))
    return path


def picture(found: PerfusionFit) -> Figure:
    """Draw the misfit and the volume of the zone against the perfusion, with the interval."""
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    perfusion = [trial.perfusion for trial in found.trials]
    off = np.sqrt([trial.misfit for trial in found.trials])
    _draw(left, found, perfusion, off.tolist(), "difference from the measured zone\n/ standard deviations")
    left.axhline(np.sqrt(found.best.misfit + RISE), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    left.set_ylim(bottom=0)
    _draw(right, found, perfusion, [trial.volume_ml for trial in found.trials], "volume of the zone / mL")
    right.set_ylim(bottom=0)
    left.legend(loc="best", fontsize=8, frameon=False)
    figure.suptitle(f"Perfusion fitted to {found.measured}: {found.verdict}\n{NOTICE}", fontsize=9, color=INK)
    return figure


def _draw(ax: Axes, found: PerfusionFit, perfusion: list[float], values: list[float], label: str) -> None:
    low, high = found.range
    ax.axvspan(found.low or low, found.high or high, color=_BAND, linewidth=0, label="68 % interval")
    ax.plot(perfusion, values, "o-", color=_TRIAL, markersize=4, linewidth=1.2, label="trials")
    best = perfusion.index(found.perfusion)
    ax.plot([perfusion[best]], [values[best]], "o", color=_BEST, markersize=8, label=f"best, {found.perfusion:.4g} 1/s")
    ax.set_xscale("log")
    ax.set_xlim(low / 1.03, high * 1.03)
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="perfusion of the liver / (1/s)", ylabel=label)
    calm(ax)
