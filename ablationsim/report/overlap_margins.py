"""How the margins of a tumour in a predicted and in a measured zone are spread over its surface."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from ablationsim.report.painting import INK, calm
from ablationsim.study.overlap_margins import ComparedMargins
from ablationsim.zone.margin import Margins

PREDICTED, MEASURED, TUMOUR = "#1f5f8b", "#b5482f", "#ff7ac8"


def draw_margins(ax: Axes, found: ComparedMargins) -> None:
    """Draw which share of the surface of the tumour has less than a margin, for any margin and both zones."""
    required = 1e3 * found.predicted.required
    for margins, colour, style, name in (
        (found.predicted, PREDICTED, "solid", "predicted"),
        (found.measured, MEASURED, (0, (4, 1.5)), "measured"),
    ):
        values, shares = _spread(margins)
        label = f"{name}, minimal {1e3 * margins.least:.1f} mm" if margins.found else f"{name}: no zone"
        ax.plot(values, shares, color=colour, linestyle=style, linewidth=1.8, label=label)
    for place, text in ((0.0, "not covered"), (required, f"{required:g} mm wanted")):
        ax.axvline(place, color=INK, linewidth=0.9)
        ax.annotate(
            text,
            (place, 1.0),
            (-10, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            rotation=90,
            va="top",
            fontsize=7.5,
            color=INK,
        )
    ax.set(ylim=(0, 100), xlabel="margin / mm", ylabel="surface of the tumour with less / %")
    ax.legend(loc="lower right", fontsize=8, frameon=False)
    ax.set_title("Margins", fontsize=10, color=INK)
    calm(ax)


def _spread(margins: Margins) -> tuple[np.ndarray, np.ndarray]:
    """Margins in rising order [mm], and the share of the surface up to each [%]."""
    order = np.argsort(margins.values)
    areas = margins.target.areas[order]
    return 1e3 * margins.values[order], 100.0 * np.cumsum(areas) / areas.sum()
