"""The page of a run: four pictures that a person turns and moves through, and the controls beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ablationsim.report.html import fixed
from ablationsim.report.turnable import legend
from ablationsim.viewer.drawing import COLDEST, COLOURS, HOTTEST, place_in, plane_picture
from ablationsim.viewer.scene import RunScene
from ablationsim.viewer.solids import ISOTHERM_COLOUR, Solids

ISOTHERM = 60.0
"""Of the surface that can be shown in space [degC]."""

STYLE = """
.four { display: grid; grid-template: 1fr 1fr / 1fr 1fr; gap: 4px; height: 100%; background: #22303c; padding: 4px; }
.four > div { position: relative; background: #2d3b47; min-height: 0; min-width: 0; overflow: hidden; }
.four .title { position: absolute; z-index: 2; left: 6px; top: 5px; padding: 1px 7px; border-radius: 4px;
  background: rgb(255 255 255 / .75); font: 600 13px system-ui, sans-serif; pointer-events: none; }
.picture { position: absolute; inset: 0 0 34px 0; cursor: crosshair; }
.picture > div { height: 100%; }
svg.plane { display: block; width: 100%; height: 100%; }
.below { position: absolute; left: 10px; right: 14px; bottom: 0; height: 34px; display: flex; align-items: center;
  gap: 12px; color: #fff; font: 13px system-ui, sans-serif; }
.below > div:first-child { flex: 0 0 58%; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.controls .v-selection-control { min-height: 25px !important; --v-selection-control-size: 25px; }
.controls .v-label { font: 13px/1.3 system-ui, sans-serif; opacity: 1; }
.controls .v-input { margin-left: -4px; }
.controls { font: 13px/1.4 system-ui, sans-serif; padding: 10px 14px; }
.controls h2 { font-size: 13px; color: #5d6b78; margin: 12px 0 2px; }
.scale { height: 12px; border-radius: 3px; }
.ends { display: flex; justify-content: space-between; }
.band { display: flex; gap: 7px; align-items: center; }
.band i { width: 20px; height: 12px; }
.notice { background: #22303c; color: #fff; font: 600 13px/30px system-ui, sans-serif; text-align: center; }
"""


class Page:
    """The page of a run, on a trame server.

    Parameters
    ----------
    server : trame server
    scene : RunScene
        What it shows.
    """

    def __init__(self, server: Any, scene: RunScene) -> None:
        self._scene, self._server, self._solids = scene, server, Solids(scene.space)
        self._place = np.array(scene.centre)
        self._view: Any = None
        state = server.state
        # Numbers that the browser has change by what a person does; the rest follows from them here.
        state.frame = len(scene.times) - 1
        state.colours = "frame"
        state.isotherm = False
        state.shown = [solid.name for solid in scene.space.solids if solid.shown]
        state.outlined = list(dict.fromkeys(each.name for each in scene.outlined))
        for k in range(3):
            state[f"depth{k}"] = self._depth(k)
        self._write()
        state.change("frame", "colours", "outlined")(self._on_colours)
        state.change("isotherm", "frame")(self._on_isotherm)
        state.change("shown")(self._on_shown)
        for k in range(3):
            state.change(f"depth{k}")(lambda k=k, **_: self._on_depth(k))
        self._build()

    def _build(self) -> None:
        from trame.ui.vuetify3 import VAppLayout
        from trame.widgets import client, html, vtk, vuetify3

        scene = self._scene
        with VAppLayout(self._server) as layout:
            layout.root.theme = "light"
            client.Style(STYLE)
            with vuetify3.VNavigationDrawer(permanent=True, width=270, location="right"):
                self._controls()
            with vuetify3.VMain(style="height: 100vh; display: flex; flex-direction: column;"):
                html.Div("Research use only. Not a medical device.", classes="notice")
                with html.Div(classes="four", style="flex: 1; min-height: 0;"):
                    with html.Div():
                        html.Div(scene.title, classes="title")
                        self._view = vtk.VtkLocalView(self._solids.window, ref="space")
                    for k in range(3):
                        self._plane(k)
        # The browser would otherwise look at all there is from a distance.
        self._server.controller.on_client_connected.add(self._view.push_camera)

    def _plane(self, k: int) -> None:
        from trame.widgets import html, vuetify3

        half, view = 1e-3 * self._scene.half, self._scene.views[k]
        middle = float(self._scene.centre[view.axis])
        at = "$event.currentTarget.getBoundingClientRect()"
        where = f"[{k}, $event.clientX - {at}.left, $event.clientY - {at}.top, {at}.width, {at}.height]"
        with html.Div():
            with html.Div(classes="picture", click=(self._on_click, where)):
                html.Div(v_html=(f"plane{k}",), id=f"plane{k}")
            with html.Div(classes="below"):
                html.Div(f"{{{{ label{k} }}}}")
                vuetify3.VSlider(
                    v_model=(f"depth{k}",),
                    min=round(1e3 * (middle - half), 1),
                    max=round(1e3 * (middle + half), 1),
                    step=0.5,
                    density="compact",
                    hide_details=True,
                    aria_label=f"where the {view.name.lower()} plane is",
                )

    def _controls(self) -> None:
        from trame.widgets import html, vuetify3

        scene = self._scene
        compact = {"density": "compact", "hide_details": True}
        with html.Div(classes="controls"):
            html.H2("Time")
            html.Div("{{ time }}", id="time")
            vuetify3.VSlider(
                v_model=("frame",), min=0, max=len(scene.times) - 1, step=1, aria_label="time", id="frame", **compact
            )
            html.H2("Colours of the planes")
            with vuetify3.VRadioGroup(v_model=("colours",), **compact):
                vuetify3.VRadio(label="temperature at this time", value="frame")
                vuetify3.VRadio(label="highest temperature", value="highest")
                vuetify3.VRadio(label="none", value="none")
            html.Div(classes="scale", style=f"background: linear-gradient(90deg, {', '.join(_ramp())})")
            with html.Div(classes="ends"):
                html.Span(f"{COLDEST:.0f} °C")
                html.Span(f"{HOTTEST:.0f} °C and more")
            html.H2("In space")
            for solid in scene.space.solids:
                look = {"value": solid.name, "label": solid.name, "color": solid.colour}
                vuetify3.VCheckbox(v_model=("shown",), **look, **compact)
            look = {"label": f"{ISOTHERM:.0f} °C at this time", "color": ISOTHERM_COLOUR, "id": "isotherm"}
            vuetify3.VCheckbox(v_model=("isotherm",), **look, **compact)
            if scene.space.required is not None:
                html.H2(f"Margin on the tumour, {1e3 * scene.space.required:.3g} mm wanted")
                for band in legend(scene.space.required):
                    with html.Div(classes="band"):
                        html.I(style=f"background: {band['colour']}")
                        html.Span(band["text"])
            html.H2("Outlined in the planes")
            for name, colour in {each.name: each.colour for each in scene.outlined}.items():
                vuetify3.VCheckbox(v_model=("outlined",), value=name, label=name, color=colour, **compact)
            html.H2("How")
            html.P("Planes: click to move the others there. Space: drag to turn, Shift to move, wheel for the size.")

    # What a person did.

    def _on_colours(self, **_: Any) -> None:
        self._write()

    def _on_isotherm(self, **_: Any) -> None:
        state = self._server.state
        self._solids.set_isotherm(self._scene.isotherm(int(state.frame), ISOTHERM) if state.isotherm else None)
        self._push()

    def _on_shown(self, **_: Any) -> None:
        self._solids.show(list(self._server.state.shown))
        self._push()

    def _on_depth(self, k: int) -> None:
        axis = self._scene.views[k].axis
        asked = float(self._server.state[f"depth{k}"])
        if abs(asked - 1e3 * self._place[axis]) > 0.05:
            self._place[axis] = 1e-3 * asked
            self._write()

    def _on_click(self, k: int, x: float, y: float, width: float, height: float) -> None:
        # The square stands in the middle of what is there for it.
        edge = min(width, height)
        right, down = (x - 0.5 * (width - edge)) / edge, (y - 0.5 * (height - edge)) / edge
        if 0.0 <= right <= 1.0 and 0.0 <= down <= 1.0:
            self._place = place_in(self._scene, int(k), self._place, right, down)
            for other in range(3):
                self._server.state[f"depth{other}"] = self._depth(other)
            self._write()

    # What follows.

    def _depth(self, k: int) -> float:
        return round(1e3 * float(self._place[self._scene.views[k].axis]), 1)

    def _write(self) -> None:
        state, scene = self._server.state, self._scene
        state.time = f"{scene.times[int(state.frame)]:.0f} s after the start"
        field = {"frame": int(state.frame), "highest": -1, "none": None}[state.colours]
        hidden = [each.name for each in scene.outlined if each.name not in state.outlined]
        for k, view in enumerate(scene.views):
            letter = ("RAS" if scene.data.patient is not None else "xyz")[view.axis]
            state[f"label{k}"] = f"{view.name}, {view.seen}: {letter} = {fixed(self._depth(k), 1)} mm"
            state[f"plane{k}"] = plane_picture(scene, k, self._place, field, hidden)

    def _push(self) -> None:
        if self._view is not None:
            self._view.update()


def _ramp() -> list[str]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps[COLOURS](share)) for share in np.linspace(0.0, 1.0, 9)]
