"""A page with solids that a person can turn: one file, no network, drawn by the browser.

The page holds the corners of the solids as numbers of 16 bits within the box of each solid, and the triangles as
numbers of corners, both compressed. Its script draws them with WebGL 2 and asks for nothing; the page itself forbids
every connection.
"""

from __future__ import annotations

import base64
import math
import zlib
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.report.colours import margin_bands
from ablationsim.report.space import Solid, Space

LEVELS = 65535
"""Steps of the coordinates along each edge of the box of a solid: a few micrometres."""


def turnable_page(space: Space, title: str) -> str:
    """Return the page as text; titles and names are escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    files = resources.files("ablationsim.report")
    source = files.joinpath("turnable.html.j2").read_text(encoding="utf-8")
    about, packed = pack(space)
    return environment.from_string(source).render(
        title=title,
        about=about,
        packed=packed,
        script=files.joinpath("turnable.js").read_text(encoding="utf-8"),
        legend=[] if space.required is None else legend(space.required),
        required=None if space.required is None else 1e3 * space.required,
    )


def pack(space: Space) -> tuple[dict[str, Any], str]:
    """Return what describes the solids, and their corners, colours and triangles as text.

    The text is base64 of deflated bytes: for each solid in turn its corners (three 16-bit numbers each), its triangles
    (three 32-bit numbers each) and, where it has some, the colours of its corners (three bytes each). Every part starts
    at a multiple of four bytes.
    """
    parts: list[dict[str, Any]] = []
    content = bytearray()

    def add(array: NDArray[Any]) -> int:
        content.extend(b"\0" * (-len(content) % 4))
        start = len(content)
        content.extend(np.ascontiguousarray(array).tobytes())
        return start

    for solid in space.solids:
        low = solid.points.min(axis=0)
        step = np.maximum(np.ptp(solid.points, axis=0), 1e-6) / LEVELS
        corners = np.round((solid.points - low) / step).astype("<u2")
        parts.append(
            {
                "name": solid.name,
                "colour": _rgb(solid),
                "opacity": solid.opacity,
                "shown": solid.shown,
                "low": low.tolist(),
                "step": step.tolist(),
                "points": len(corners),
                "triangles": len(solid.triangles),
                "corners_at": add(corners),
                "triangles_at": add(solid.triangles.astype("<u4")),
                "colours_at": None if solid.colours is None else add(solid.colours),
            }
        )
    about = {
        "parts": parts,
        "centre": space.centre.tolist(),
        "height": space.height,
        "up": space.up.tolist(),
        "eye": space.eye.tolist(),
        "views": [{"name": name, "eye": np.asarray(eye).tolist()} for name, eye in space.views.items()],
        "axes": [list(ends) for ends in space.axes],
    }
    return about, base64.b64encode(zlib.compress(bytes(content), 9)).decode("ascii")


def legend(required: float) -> list[dict[str, str]]:
    """Return the bands of the colours of margins with their words, from the largest to the smallest."""
    bands, start, found = margin_bands(required), -math.inf, []
    for end, colour in bands:
        if start == -math.inf:
            text = "not covered"
        elif end == math.inf:
            text = f"{1e3 * start:.3g} mm or more"
        else:
            text = f"{1e3 * start:.3g} to {1e3 * end:.3g} mm"
        found.append({"colour": colour, "text": text})
        start = end
    return found[::-1]


def _rgb(solid: Solid) -> list[float]:
    from matplotlib.colors import to_rgb

    return [round(part, 4) for part in to_rgb(solid.colour)]
