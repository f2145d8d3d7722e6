"""The patient in three planes, as radiologists look at them: what is treated, what lies round it, and the needle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch, Polygon
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy import ndimage

from ablationsim.report.colours import ROLES
from ablationsim.report.data import ApplicatorDrawing, GreyImage, PatientDrawing, ReportData
from ablationsim.report.html import fixed
from ablationsim.report.painting import ELECTRODE, HALO, INK, STROKES, Stroke, calm, draw_applicator, draw_contour
from ablationsim.report.section import Plane, contracted, section
from ablationsim.report.vessels import KINDS, TUMOUR, outlines, path_of
from ablationsim.vessels.vessel import Wall
from ablationsim.zone import zone_surface
from ablationsim.zone.surface_distance import SurfaceDistance

Floats = NDArray[np.float64]

ROUND = 14.0
"""What the planes show round the zone and the tumour, in mm."""
LEAST_WIDTH = 70.0
"""Of the planes, in mm."""
WINDOW = (-110.0, 190.0)
"""Grey values between black and white, in HU: those of the abdomen."""
PIXEL = 0.4
"""Edge of a pixel of the grey picture, in mm."""
SAMPLE = 0.75
"""Distance of the places at which the wanted edge of the zone is sought, in mm."""
WANTED = Stroke(TUMOUR, 1.3, (1, 1.4))
_BARE = "#efe3dd"
_RIM = [withStroke(linewidth=2.4, foreground="black", alpha=0.5)]


@dataclass(frozen=True)
class View:
    """An anatomical plane: its name, from where it is seen, what is right and up in it, and letters at its edges."""

    name: str
    seen: str
    right: tuple[float, float, float]
    up: tuple[float, float, float]
    letters: tuple[str, str, str, str]
    """At the left, right, upper and lower edge."""
    axis: int
    """Coordinate that is the same everywhere in the plane."""

    def through(self, place: Floats) -> Plane:
        """Return the plane through a place, shape (3,), in metres."""
        return Plane(np.asarray(place), np.array(self.right), np.array(self.up))


VIEWS = (
    View("Axial", "seen from the feet", (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), ("R", "L", "A", "P"), 2),
    View("Coronal", "seen from the front", (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), ("R", "L", "S", "I"), 1),
    View("Sagittal", "seen from the left", (0.0, -1.0, 0.0), (0.0, 0.0, 1.0), ("A", "P", "S", "I"), 0),
)
"""The convention of radiology: right of the patient at the left of the picture."""


def three_planes(data: ReportData) -> Figure:
    """Draw axial, coronal and sagittal planes through the target of a run of a patient."""
    patient = data.patient
    assert patient is not None
    half = half_width(data, patient)
    figure = Figure(figsize=(11.5, 4.75), layout="constrained")
    axes = figure.subplots(1, 3)
    for ax, view in zip(axes, VIEWS, strict=True):
        plane = view.through(patient.target)
        _draw_ground(ax, patient, plane, half)
        _draw_structures(ax, data, patient, plane)
        _draw_wanted(ax, data, plane, half)
        cut = section(data.mesh, plane)
        if len(cut.points):
            level = cut.sample(data.level)
            draw_contour(ax, cut, level, 0.0, STROKES["zone"])
            if data.zone["contracted"]["strain"] > 0 and data.displacement is not None:
                shrunk = contracted(cut, plane, 0.0, data.displacement)
                draw_contour(ax, shrunk, level, 0.0, STROKES["contracted"])
        for applicator in data.applicators:
            _draw_needle(ax, applicator, plane, half)
        _finish(ax, view, patient.target, half)
    axes[0].set_ylabel("from the target / mm", fontsize=8)
    figure.legend(
        handles=_entries(data, patient),
        loc="outside lower center",
        ncols=8,
        fontsize=8,
        facecolor="#453a4d",
        labelcolor="white",
        framealpha=1,
        edgecolor="none",
        handlelength=2.4,
    )
    return figure


def half_width(data: ReportData, patient: PatientDrawing) -> float:
    """Return half the edge of the square that every plane shows [mm]: zone and tumour with some room round them."""
    seen = [zone_surface(data.mesh, data.level).points]
    seen += [structure.wall.points for structure in patient.of_role("tumour")]
    points = np.vstack([patient.target, *seen])
    # Several tumours can lie far from each other; the one that is treated is at the target.
    away = 1e3 * np.abs(points - patient.target)
    return float(np.clip(np.max(away) + ROUND, 0.5 * LEAST_WIDTH, 90.0))


def grey(image: GreyImage, plane: Plane, half: float, count: int) -> Floats:
    """Return the values of a grey image in a square of a plane; not a number outside the image.

    Parameters
    ----------
    image : GreyImage
    plane : Plane
    half : float
        Half the edge of the square [mm].
    count : int
        Pixels along it.

    Returns
    -------
    (count, count) float64
        Rows upward.
    """
    across = (np.arange(count) + 0.5) * 2.0 * half / count - half
    x, y = np.meshgrid(across, across)
    places = plane.origin + 1e-3 * (x[..., None] * plane.right + y[..., None] * plane.up)
    inverse = np.linalg.inv(image.affine)
    indices = places @ inverse[:3, :3].T + inverse[:3, 3]
    return np.asarray(ndimage.map_coordinates(image.values, np.moveaxis(indices, -1, 0), order=1, cval=np.nan))


def _draw_ground(ax: Axes, patient: PatientDrawing, plane: Plane, half: float) -> None:
    extent = (-half, half, -half, half)
    if patient.image is not None:
        values = grey(patient.image, plane, half, int(np.ceil(2.0 * half / PIXEL)))
        ax.imshow(values, origin="lower", extent=extent, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1], zorder=0)
        ax.set_facecolor("black")
        return
    ax.set_facecolor(_BARE)
    for liver in patient.of_role("liver"):
        if loops := outlines(liver.wall, plane):
            ax.add_patch(PathPatch(path_of(loops), facecolor="#c39a82", edgecolor="none", zorder=0.5))


def _draw_structures(ax: Axes, data: ReportData, patient: PatientDrawing, plane: Plane) -> None:
    filled = patient.image is None
    for wall, colour in vessel_walls(data, patient):
        if loops := outlines(wall, plane):
            face = colour if filled else "none"
            ax.add_patch(PathPatch(path_of(loops), facecolor=face, edgecolor=colour, linewidth=1.1, zorder=2))
    for structure in patient.structures:
        if structure.role in ("hepatic_vein", "portal_vein", "hepatic_artery", "vena_cava"):
            continue
        width = 1.4 if structure.role == "tumour" else 0.9
        for loop in outlines(structure.wall, plane):
            closed = np.vstack([loop, loop[:1]])
            ax.plot(*closed.T, color=ROLES[structure.role], linewidth=width, path_effects=_RIM, zorder=2.5)


def vessel_walls(data: ReportData, patient: PatientDrawing) -> list[tuple[Wall, str]]:
    """Return the walls of the vessels of the model, or else of the patient, with their colours."""
    if data.surroundings is not None and data.surroundings.vessels:
        return [(vessel.wall, KINDS[vessel.kind].colour) for vessel in data.surroundings.vessels]
    roles = ("hepatic_vein", "portal_vein", "hepatic_artery", "vena_cava")
    return [(found.wall, ROLES[found.role]) for found in patient.of_role(*roles)]


def _draw_wanted(ax: Axes, data: ReportData, plane: Plane, half: float) -> None:
    """Where the edge of a zone with the wanted margin would be."""
    if data.margins is None or not data.margins.undeformed.required > 0.0:
        return
    margins = data.margins.undeformed
    across = np.linspace(-half, half, int(np.ceil(2.0 * half / SAMPLE)) + 1)
    x, y = np.meshgrid(across, across)
    places = plane.origin + 1e-3 * (x[..., None] * plane.right + y[..., None] * plane.up)
    depth = SurfaceDistance(margins.target.surface)(places.reshape(-1, 3))
    beyond = depth.reshape(x.shape) + margins.required
    if beyond.min() < 0.0 < beyond.max():
        ax.contour(
            x, y, beyond, levels=[0.0], colors=WANTED.colour, linewidths=WANTED.width, linestyles=[WANTED.pattern],
            zorder=2.4,
        )  # fmt: skip


def _draw_needle(ax: Axes, applicator: ApplicatorDrawing, plane: Plane, half: float) -> None:
    """The shaft as seen from in front of the plane; where it pierces the plane there is a ring."""
    draw_applicator(ax, applicator, plane, half)
    across = float(applicator.axis @ plane.normal)
    for offset in applicator.shafts:
        foot = applicator.tip + offset
        height = -float((foot - plane.origin) @ plane.normal) / across if abs(across) > 1e-6 else -1.0
        if height > 0.0:
            x, y = plane.project((foot + height * applicator.axis)[None])[0]
            ax.plot(
                x, y, "o", markersize=6, markerfacecolor="none", markeredgecolor="white", zorder=6, path_effects=HALO
            )


def _finish(ax: Axes, view: View, target: Floats, half: float) -> None:
    ax.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    letter = "RAS"[view.axis]
    ax.set_title(f"{view.name}, {letter} = {fixed(1e3 * target[view.axis], 1)} mm\n{view.seen}", fontsize=9, color=INK)
    places = ((0.03, 0.5), (0.97, 0.5), (0.5, 0.96), (0.5, 0.04))
    for text, (x, y) in zip(view.letters, places, strict=True):
        ax.text(
            x, y, text, transform=ax.transAxes, ha="center", va="center", color="white", fontsize=10,
            fontweight="bold", path_effects=HALO, zorder=7,
        )  # fmt: skip
    calm(ax)
    ax.tick_params(labelsize=7)


def _entries(data: ReportData, patient: PatientDrawing) -> list[Any]:
    def line(colour: str, label: str, key: str = "") -> Any:
        stroke = STROKES.get(key)
        pattern: Any = "-" if stroke is None else stroke.pattern
        return Line2D([], [], color=colour, linewidth=1.8, linestyle=pattern, label=label)

    found = [line(STROKES["zone"].colour, "zone, undeformed", "zone")]
    if data.displacement is not None:
        found.append(line(STROKES["contracted"].colour, "zone, contracted", "contracted"))
    if patient.of_role("tumour"):
        found.append(line(TUMOUR, "tumour"))
    if data.margins is not None and data.margins.undeformed.required > 0.0:
        text = f"wanted: tumour + {1e3 * data.margins.undeformed.required:.3g} mm"
        found.append(Line2D([], [], color=TUMOUR, linewidth=1.3, linestyle=WANTED.pattern, label=text))
    found.append(line(ROLES["liver"], "liver"))
    found.append(Polygon(np.zeros((3, 2)), facecolor=ELECTRODE, edgecolor=INK, linewidth=0.5, label="heated part"))
    colours = dict.fromkeys(colour for _, colour in vessel_walls(data, patient))
    names = {ROLES[role]: role.replace("_", " ") for role in ROLES} | {
        kind.colour: kind.name for kind in KINDS.values()
    }
    found += [Patch(facecolor=colour, edgecolor="white", linewidth=0.6, label=names[colour]) for colour in colours]
    roles = dict.fromkeys(structure.role for structure in patient.of_role("bile_duct", "organ", "bone", "body"))
    return found + [line(ROLES[role], role.replace("_", " ")) for role in roles]
