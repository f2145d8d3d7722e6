"""Colours of margins and of the structures of a patient, the same in every picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablationsim.report.vessels import KINDS, TUMOUR

Floats = NDArray[np.float64]

LIVER = "#b5655a"
ROLES = {
    "liver": LIVER,
    "tumour": TUMOUR,
    "hepatic_vein": KINDS["hepatic_vein"].colour,
    "portal_vein": KINDS["portal_vein"].colour,
    "hepatic_artery": KINDS["hepatic_artery"].colour,
    "vena_cava": "#4fb3a5",
    "bile_duct": "#c9b400",
    "organ": "#d09a6a",
    "bone": "#d8d2bd",
    "body": "#c9b8a8",
}
"""Colours of the roles that structures have."""

_UNCOVERED, _THIN, _ENOUGH = "#d7191c", "#fdc33c", "#1a9641"
STEPS = 6
"""Margins are drawn in bands of equal width up to the required one; beyond it and below zero there is one band each."""


def margin_bands(required: float) -> list[tuple[float, str]]:
    """Return the bands that margins are drawn in, from the smallest: where each ends [m], and its colour.

    Red is not covered, yellow to pale green is covered by less than the required margin, green by more. The last band
    ends at infinity.
    """
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    between = LinearSegmentedColormap.from_list("margin", ["#f46d43", _THIN, "#d9ef8b"])
    edges = np.linspace(0.0, required, STEPS)
    bands = [(0.0, _UNCOVERED)]
    bands += [(float(edges[k + 1]), to_hex(between(k / (STEPS - 2)))) for k in range(STEPS - 1)]
    return [*bands, (np.inf, _ENOUGH)]


def margin_colours(values: Floats, required: float) -> NDArray[np.uint8]:
    """Return red, green and blue, shape (n, 3), for margins [m]."""
    from matplotlib.colors import to_rgb

    bands = margin_bands(required)
    palette = np.array([to_rgb(colour) for _, colour in bands])
    number = np.searchsorted([end for end, _ in bands[:-1]], values, side="right")
    return np.round(255 * palette[number]).astype(np.uint8)
