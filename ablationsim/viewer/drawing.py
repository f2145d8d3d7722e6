"""A plane of a run as a picture for a browser: grey values and temperatures in pixels, outlines as lines over them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from ablationsim.report.data import ApplicatorDrawing
from ablationsim.report.painting import ELECTRODE, SHAFT
from ablationsim.report.planes import WINDOW, View, grey
from ablationsim.report.section import Plane
from ablationsim.report.vessels import outlines
from ablationsim.viewer.scene import Outlined, RunScene

Floats = NDArray[np.float64]

COLDEST, HOTTEST = 40.0, 110.0
"""Ends of the colours of temperatures [degC]; colder tissue is left as it is."""
STRENGTH = 0.78
"""How far the colours of temperatures cover what is below."""
COLOURS = "inferno"
BARE = (0.80, 0.74, 0.71)
LETTERS = ((-0.93, 0.0), (0.93, 0.0), (0.0, 0.93), (0.0, -0.93))


def plane_picture(scene: RunScene, view: int, place: Floats, field: int | None, hidden: Sequence[str] = ()) -> str:
    """Return a plane as SVG text.

    Parameters
    ----------
    scene : RunScene
    view : int
        Number of the plane.
    place : (3,) float64
        Where the planes meet [m].
    field : int or None
        Number of the frame whose temperatures are shown, -1 for the highest of the run; None for no temperatures.
    hidden : sequence of str
        Names of what is not outlined.
    """
    seen, half = scene.views[view], scene.half
    plane = _centred(scene, seen, place)
    parts = [_pixels(scene, view, plane, field)]
    parts += [_outline(each, plane) for each in scene.outlined if each.name not in hidden]
    parts += [_needle(applicator, plane, half) for applicator in scene.data.applicators]
    x, y = plane.project(place[None])[0]
    parts.append(
        f'<path d="M{-half} {-y:.2f}H{half}M{x:.2f} {-half}V{half}" stroke="#fff" stroke-opacity=".45" '
        'stroke-width=".25" fill="none"/>'
    )
    for text, (right, up) in zip(seen.letters, LETTERS, strict=True):
        parts.append(
            f'<text x="{right * half:.2f}" y="{-up * half:.2f}" font-size="{half / 11:.2f}" fill="#fff" stroke="#000" '
            f'stroke-width="{half / 130:.2f}" paint-order="stroke" text-anchor="middle" font-weight="700" '
            f'dominant-baseline="central">{escape(text)}</text>'
        )
    box = f'viewBox="{-half} {-half} {2 * half} {2 * half}"'
    # The inner one cuts off what is outside the square.
    inner = f'<svg x="{-half}" y="{-half}" width="{2 * half}" height="{2 * half}" {box}>{"".join(parts)}</svg>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} class="plane">{inner}</svg>'


def place_in(scene: RunScene, view: int, place: Floats, right: float, down: float) -> Floats:
    """Return where the planes meet after a click on one, given in shares of its width and height from its corner."""
    plane = _centred(scene, scene.views[view], place)
    x, y = (2.0 * right - 1.0) * scene.half, (1.0 - 2.0 * down) * scene.half
    return np.asarray(plane.origin + 1e-3 * (x * plane.right + y * plane.up))


def _centred(scene: RunScene, view: View, place: Floats) -> Plane:
    """The plane at the depth of a place, with the middle of the run in the middle of the picture."""
    middle = np.array(scene.centre)
    middle[view.axis] = place[view.axis]
    return view.through(middle)


def _pixels(scene: RunScene, view: int, plane: Plane, field: int | None) -> str:
    from matplotlib import colormaps
    from matplotlib.image import imsave

    values = scene.sampler.on(view, plane)
    shape = values.shape[1:]
    ground = np.broadcast_to(np.array(BARE), (*shape, 3)).copy()
    ground[np.isnan(values[0])] = 0.35
    if scene.image is not None:
        shade = grey(scene.image, plane, scene.half, shape[0])
        shade = np.clip((shade - WINDOW[0]) / (WINDOW[1] - WINDOW[0]), 0.0, 1.0)
        ground = np.repeat(np.nan_to_num(shade)[..., None], 3, axis=-1)
    if field is not None:
        celsius = np.nan_to_num(values[field], nan=-np.inf)
        colours = colormaps[COLOURS](np.clip((celsius - COLDEST) / (HOTTEST - COLDEST), 0.0, 1.0))[..., :3]
        # From nothing to the full strength within a few kelvin, so that the edge of the colours is no line of its own.
        cover = STRENGTH * np.clip((celsius - COLDEST) / 5.0, 0.0, 1.0)[..., None]
        ground = (1.0 - cover) * ground + cover * colours
    buffer = io.BytesIO()
    imsave(buffer, ground[::-1], format="png")
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    half = scene.half * shape[0] / (shape[0] - 1)
    return (
        f'<image x="{-half}" y="{-half}" width="{2 * half}" height="{2 * half}" href="data:image/png;base64,{text}"/>'
    )


def _outline(outlined: Outlined, plane: Plane) -> str:
    loops = outlines(outlined.wall, plane)
    if not loops:
        return ""
    path = "".join(_path(loop, closed=True) for loop in loops)
    width, fill = (".3", f'fill="{outlined.colour}" fill-opacity=".55"') if outlined.filled else (".6", 'fill="none"')
    return f'<path d="{path}" stroke="{outlined.colour}" stroke-width="{width}" {fill} fill-rule="evenodd"/>'


def _path(points: Floats, closed: bool) -> str:
    steps = "L".join(f"{x:.2f} {-y:.2f}" for x, y in points)
    return f"M{steps}Z" if closed else f"M{steps}"


def _needle(applicator: ApplicatorDrawing, plane: Plane, half: float) -> str:
    """Shafts and tines as seen from in front of the plane; bright where they are within a millimetre of it."""
    width = 2e3 * float(applicator.outline[:, 0].max())
    reach = 4e-3 * half
    parts = []
    for offset in applicator.shafts:
        foot = applicator.tip + offset
        spans = [((0.0, reach), SHAFT), *((span, ELECTRODE) for span in applicator.heated)]
        parts += [(foot + np.outer(np.linspace(*span, 41), applicator.axis), colour, width) for span, colour in spans]
    parts += [(tine, ELECTRODE, 0.8) for tine in applicator.tines]
    found = []
    for line, colour, thickness in parts:
        found.append(_stroke(plane.project(line), colour, thickness, 0.35))
        near = np.abs((line - plane.origin) @ plane.normal) < 1e-3
        if near.sum() > 1:
            found.append(_stroke(plane.project(line[near]), colour, thickness, 1.0))
    return "".join(found)


def _stroke(points: Floats, colour: str, width: float, opacity: float) -> str:
    path = _path(points, closed=False)
    return f'<path d="{path}" stroke="{colour}" stroke-width="{width:.2f}" stroke-opacity="{opacity}" fill="none"/>'
