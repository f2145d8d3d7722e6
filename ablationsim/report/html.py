"""One self-contained HTML page about a run: no network, pictures inside.

The page itself has no script. What can be turned of a three-dimensional run is a page of its own inside it, in a frame
that may draw and nothing else.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ablationsim.report.data import ReportData
from ablationsim.results.files import write_whole

MINUS = "\N{MINUS SIGN}"
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True)
class ZoneRow:
    """A line of the zone table: key in zone.json, name, unit, decimals, and a formula or remark in small print."""

    key: str
    name: str
    unit: str
    decimals: int
    remark: str = ""


ZONE_ROWS = (
    ZoneRow("volume_ml", "Volume of coagulated tissue", "mL", 1, "without the needle track"),
    ZoneRow("axial_length_mm", "Length along the shaft", "mm", 1),
    ZoneRow("transverse_diameter_mm", "Diameter across the shaft", "mm", 1, "largest"),
    ZoneRow("transverse_minor_mm", "Diameter across the shaft", "mm", 1, "at right angles to the largest"),
    ZoneRow("aspect_ratio", "Aspect ratio", "", 2, "diameter / length; above 1 is oblate"),
    ZoneRow("long_axis_mm", "Long axis", "mm", 1),
    ZoneRow("short_axis_mm", "Short axis", "mm", 1),
    ZoneRow("sphericity_axes", "Sphericity, axes", "", 3, "short axis / long axis"),
    ZoneRow("sphericity_isoperimetric", "Sphericity, isoperimetric", "", 3, "∛(36πV²) / S; 1 for a sphere"),
    ZoneRow("roundness", "Roundness", "", 3, "4πA / P² of the section through the shaft"),
    ZoneRow("beyond_tip_mm", "Reach beyond the tip", "mm", 1),
    ZoneRow("pieces", "Separate pieces", "", 0),
)


@dataclass(frozen=True)
class PowerRow:
    """A line of the power balance of an antenna: key in zone.json, name, and whether it is a part of the one above."""

    key: str
    name: str
    part: bool = False


POWER_ROWS = (
    PowerRow("setting_w", "Setting of the generator"),
    PowerRow("cable_loss_w", "lost before the needle (cable, connectors)", True),
    PowerRow("shaft_loss_w", "lost in the line inside the needle", True),
    PowerRow("input_w", "Arriving at the port"),
    PowerRow("absorbed_w", "absorbed in tissue", True),
    PowerRow("absorbed_antenna_w", "absorbed in the antenna itself", True),
    PowerRow("radiated_w", "radiated beyond the modelled tissue", True),
    PowerRow("reflected_w", "reflected", True),
)


def write_report(folder: Path, data: ReportData) -> Path:
    """Write report.html and its `pictures` into a folder and return the path of the page.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    images = pictures(data)
    page = folder / "report.html"
    for name, content in images.items():
        write_whole(folder / name, content)
    write_whole(page, render(data, images, turnable(data)))
    return page


def turnable(data: ReportData) -> str | None:
    """Return the page with what can be turned; None for an axisymmetric run, of which one plane shows everything."""
    from ablationsim.report.space import space_of
    from ablationsim.report.turnable import turnable_page

    return None if data.mesh.axisymmetric else turnable_page(space_of(data), data.title)


def pictures(data: ReportData) -> dict[str, bytes]:
    """Return the PNG files of a report by file name.

    antenna.png is there for microwaves only; margins.png with a tumour; planes.png for patients; heat_sink.png and
    vessels.png with vessels only, the latter where the computer can render it.
    """
    from ablationsim.report.figures import antennas, cross_section, heat_sink, histories, png
    from ablationsim.report.margin_figures import margin_figure
    from ablationsim.report.planes import three_planes
    from ablationsim.report.scene import render as render_scene
    from ablationsim.report.scene import scene_of

    found = {"cross_section.png": png(cross_section(data)), "histories.png": png(histories(data))}
    if data.antennas:
        found["antenna.png"] = png(antennas(data))
    if data.margins is not None:
        axes = [applicator.axis for applicator in data.applicators]
        found["margins.png"] = png(margin_figure(data.margins, axes))
    if data.patient is not None:
        found["planes.png"] = png(three_planes(data))
    if data.surroundings is not None:
        found["heat_sink.png"] = png(heat_sink(data))
        in_space = render_scene(scene_of(data))
        if in_space is not None:
            found["vessels.png"] = in_space
    return found


def render(data: ReportData, images: Mapping[str, bytes], in_space: str | None = None) -> str:
    """Return the page as text; everything that comes from `data` is escaped.

    Parameters
    ----------
    data : ReportData
    images : mapping of str to bytes
        From `pictures`.
    in_space : str, optional
        From `turnable`.
    """
    from jinja2 import Environment, StrictUndefined

    from ablationsim.report.margins import section as margin_section
    from ablationsim.report.scene import scene_of
    from ablationsim.report.vessels import KINDS, TUMOUR, branch_table

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"fixed": fixed, "signed": signed, "significant": significant, "kilojoule": _kilojoule}
    margins = data.zone.get("margins")
    source = resources.files("ablationsim.report").joinpath("template.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        data=data,
        zone=data.zone,
        in_space=in_space,
        margins=margin_section(margins, images.get("margins.png")) if margins else None,
        rows=ZONE_ROWS,
        microwave=data.zone.get("microwave"),
        power_rows=POWER_ROWS,
        vessels=data.zone.get("vessels"),
        branches=branch_table(data.zone["vessels"]) if "vessels" in data.zone else None,
        kinds=KINDS,
        tumour_colour=TUMOUR,
        view_height=scene_of(data).height if "vessels.png" in images else None,
        heat_sink=data.zone.get("heat_sink"),
        axisymmetric=data.mesh.axisymmetric,
        warnings=[*data.zone["warnings"], *(w for w in data.warnings if w not in data.zone["warnings"])],
        losses=_losses(data.zone["energy_balance"]),
        keys={citation.key for citation in data.citations},
        unverified=sum(parameter.verified is False for parameter in data.parameters),
        images={name: base64.b64encode(content).decode("ascii") for name, content in images.items()},
    )


def fixed(value: float | None, decimals: int) -> str:
    """Return a number with a fixed number of decimals, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:,.{decimals}f}".replace(",", THIN_SPACE)
    if not text.strip("-0." + THIN_SPACE):
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float | None, decimals: int) -> str:
    """Return a number as `fixed` does, with a plus sign where it is above zero."""
    text = fixed(value, decimals)
    return f"+{text}" if value is not None and value > 0 and text.strip("0.") else text


def significant(value: float | None, digits: int = 3) -> str:
    """Return a number to at least `digits` significant digits, without an exponent."""
    if not value or not math.isfinite(value):
        return fixed(value, 0)
    return fixed(value, max(0, digits - 1 - math.floor(math.log10(abs(value)))))


def _kilojoule(joule: float) -> str:
    return fixed(joule / 1e3, 2)


_LOSSES = {
    "coolant": "to the coolant",
    "perfusion": "to the blood",
    "vessels": "to vessels",
    "outside": "outside the modelled tissue",
}


def _losses(balance: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the named parts of the loss: keys such as lost_coolant_j."""
    prefix, suffix = "lost_", "_j"
    return [
        (_LOSSES.get(part := key[len(prefix) : -len(suffix)], part.replace("_", " ")), float(value))
        for key, value in balance.items()
        if key.startswith(prefix) and key.endswith(suffix) and key != "lost_j"
    ]
