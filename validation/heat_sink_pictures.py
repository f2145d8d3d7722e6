"""Pictures of docs/heat-sink-validation.md."""

from __future__ import annotations

import io

from heat_sink_experiments import LEHMANN_FLOWS
from heat_sink_rows import Runs
from heat_sink_runs import Answer
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle

COLOURS = ("#1f5fbf", "#d95f02", "#1b9e77", "#7b3294")
NO_FLOW = "#8a8f94"


def flows(runs: Runs) -> bytes:
    """Radius toward the tube, area and volume against the flow: Lehmann and Neizert."""
    figure = Figure(figsize=(10.0, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    series = {
        "5 mm": {"axis": 5},
        "10 mm": {"axis": 10},
        "15 mm": {"axis": 15},
        "10 mm, 37 °C": {"axis": 10, "temperature": 37},
    }
    for (label, changes), colour in zip(series.items(), COLOURS, strict=True):
        shown = LEHMANN_FLOWS if changes == {"axis": 10} else [flow for flow in LEHMANN_FLOWS if flow in (1, 10, 1500)]
        toward = [runs.percent("lehmann_2016", "toward", **changes, flow=flow) for flow in shown]
        area = [runs.percent("lehmann_2016", "area", **changes, flow=flow) for flow in shown]
        left.plot(shown, toward, "o-", color=colour, label=f"radius, {label}")
        left.plot(shown, area, "s--", color=colour, markersize=4, linewidth=1, label=f"area, {label}")
    left.axvline(1, color="black", linewidth=0.8, linestyle=":")
    left.axvline(10, color="black", linewidth=0.8, linestyle=":")
    left.text(1.1, 102, "measured:\neffect", fontsize=7)
    left.text(11, 102, "measured:\nfull effect", fontsize=7)
    left.set_title("Lehmann 2016: bipolar radiofrequency, tube of 3.4 mm", fontsize=10)
    for distance, colour in zip((2.5, 5, 10), COLOURS, strict=False):
        shown = [2, 10, 500]
        toward = [runs.percent("neizert_2022", "toward", wall=distance, flow=flow) for flow in shown]
        volume = [runs.percent("neizert_2022", "volume", wall=distance, flow=flow) for flow in shown]
        right.plot(shown, toward, "o-", color=colour, label=f"radius, {distance:g} mm")
        right.plot(shown, volume, "^--", color=colour, markersize=4, linewidth=1, label=f"volume, {distance:g} mm")
    right.set_title("Neizert 2022: microwaves, tube of 5 mm (assumed)", fontsize=10)
    left.set_ylabel("% of that without flow")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("flow through the tube, mL/min")
        axes.set_ylim(0, 112)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return _png(figure)


def sections(runs: Runs) -> bytes:
    """Sections across the needle, with and without flow."""
    figure = Figure(figsize=(11.0, 8.6), layout="constrained")
    grid = figure.subplots(3, 3)
    for axes, distance in zip(grid[0], (10, 15, 20), strict=True):
        changes = {"axis": distance}
        _draw(
            axes,
            runs.get("plosone_2015", **changes, flow=0),
            {"700 mL/min": runs.get("plosone_2015", **changes, flow=700)},
            2.5,
            1.0,
            1.2,
        )
        axes.set_title(f"PLoS ONE 2015, microwaves, {distance} mm from axis to axis", fontsize=9)
    for axes, distance in zip(grid[1], (5, 10, 15), strict=True):
        changes = {"axis": distance}
        _draw(
            axes,
            runs.get("lehmann_2016", **changes, flow=0),
            {f"{flow} mL/min": runs.get("lehmann_2016", **changes, flow=flow) for flow in (1, 10, 1500)},
            1.7,
            1.0,
            0.9,
        )
        axes.set_title(f"Lehmann 2016, bipolar RF, {distance} mm from axis to axis", fontsize=9)
    reference = runs.get("lu_2002", diameter=1, flow=0, wall=5)
    for axes, diameter in zip(grid[2], (2, 3, 8), strict=True):
        answer = runs.get("lu_2002", diameter=diameter, flow=None, wall=5)
        _draw(axes, reference, {"usual flow": answer}, 0.5 * diameter, 0.0, 0.735, answer.distance)
        axes.set_title(f"Lu 2002, RF in vivo, hepatic vein of {diameter} mm", fontsize=9)
    return _png(figure)


def _draw(
    axes: Axes,
    reference: Answer,
    others: dict[str, Answer],
    lumen: float,
    glass: float,
    needle: float,
    distance: float | None = None,
) -> None:
    """Edges of zones at the height where that of `reference` is widest; radii of lumen, glass and needle in mm."""
    height, place = reference.widest, reference.distance if distance is None else distance
    answers = {"no flow": (reference, NO_FLOW, "--")}
    answers |= {label: (other, COLOURS[i], "-") for i, (label, other) in enumerate(others.items())}
    for label, (answer, colour, style) in answers.items():
        lines = [[(a, b), (c, d)] for a, b, c, d in answer.at(height).outline]
        # Colour and pattern of each line as a whole; short pieces would hide the dashes.
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=1.0 if style == "--" else 1.8))
        axes.plot([], [], color=colour, linewidth=1.0 if style == "--" else 1.8, label=label)
    if glass > 0.0:
        axes.add_patch(Circle((place, 0.0), lumen + glass, facecolor="#dfe8ef", edgecolor="#7f8fa0", linewidth=0.8))
    axes.add_patch(Circle((place, 0.0), lumen, facecolor="#9cc7ee", edgecolor="#7f8fa0", linewidth=0.8))
    axes.add_patch(Circle((0.0, 0.0), needle, facecolor="#444444"))
    axes.set_xlim(-20, 25)
    axes.set_ylim(-18, 18)
    axes.set_aspect("equal")
    axes.set_xlabel("mm", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=7, loc="upper right")


def _png(figure: Figure) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    image = Image.open(buffer).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    small = io.BytesIO()
    image.save(small, format="PNG", optimize=True)
    return small.getvalue()
