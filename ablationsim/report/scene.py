"""The picture in space: zone, applicators, vessels and tumour, rendered off screen.

The renderer runs in a process of its own. Where a computer has no means to draw without a display, graphics libraries
may abort the process that asks them to, or wait for ever; a report goes without its picture then.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.report.data import ReportData
from ablationsim.report.painting import ELECTRODE, SHAFT, ZONE
from ablationsim.report.section import plane_through
from ablationsim.report.vessels import KINDS, TUMOUR
from ablationsim.zone import zone_surface

Floats = NDArray[np.float64]

SIZE = (1500, 800)
"""Width and height of the picture in pixels."""
ROUND_ZONE = 1.25
"""Height of the picture relative to the largest extent of zone and heated axis."""
LEAST_HEIGHT = 60.0
"""In mm."""
TINE = 0.4
"""Radius with which a tine is drawn, in mm."""
NO_TRIANGLES: NDArray[np.int64] = np.zeros((0, 3), dtype=np.int64)
"""Of a wire."""

_PATIENCE = 120.0  # s
_TURN = np.deg2rad(60.0)  # between the two views
_ABOVE = 0.35  # how far the eye is raised toward the handle, relative to its distance across


@dataclass(frozen=True, eq=False)
class Part:
    """A surface or a wire in the picture.

    Attributes
    ----------
    points : (n, 3) float64
        In mm.
    triangles : (m, 3) int
        Of a surface; empty for a wire, whose points then form a line.
    colour : str
    opacity : float
    radius : float
        Of a wire [mm].
    """

    points: Floats
    triangles: NDArray[Any]
    colour: str
    opacity: float = 1.0
    radius: float = 0.0


@dataclass(frozen=True, eq=False)
class Scene:
    """What is seen, and from where.

    Attributes
    ----------
    parts : sequence of Part
    centre : (3,) float64
        Middle of the picture, in mm.
    up : (3,) float64
        Direction that is up in the picture.
    eyes : sequence of (3,) float64
        Directions from the centre to the eye, one a view, side by side.
    height : float
        Of each view, in mm.
    """

    parts: Sequence[Part]
    centre: Floats
    up: Floats
    eyes: Sequence[Floats]
    height: float


def scene_of(data: ReportData) -> Scene:
    """Return the picture of a run with vessels."""
    surroundings = data.surroundings
    assert surroundings is not None
    zone = zone_surface(data.mesh, data.level).enclosing()
    plane = plane_through(data.applicators, surroundings.nearest)
    heated = [
        applicator.tip + height * applicator.axis
        for applicator in data.applicators
        for low, high in (applicator.heated or ((0.0, 0.0),))
        for height in (low, high)
    ]
    seen = 1e3 * np.vstack([zone.points, *heated])
    low, high = seen.min(axis=0), seen.max(axis=0)
    centre, height = 0.5 * (low + high), max(ROUND_ZONE * float((high - low).max()), LEAST_HEIGHT)
    parts = [Part(1e3 * zone.points, zone.facets, ZONE, 0.45)] if len(zone.facets) else []
    for vessel in surroundings.vessels:
        wall = vessel.wall
        parts.append(Part(1e3 * wall.points, wall.triangles, KINDS[vessel.kind].colour))
    if surroundings.tumour is not None:
        parts.append(Part(1e3 * surroundings.tumour.points, surroundings.tumour.triangles, TUMOUR))
    for applicator in data.applicators:
        radius = 1e3 * float(applicator.outline[:, 0].max())
        shaft = float(np.clip(applicator.outline[-1, 1], 2e-3 * height, None))
        for offset in applicator.shafts:
            foot = applicator.tip + offset
            for (start, end), colour, thickness in (
                ((0.0, shaft), SHAFT, 1.0),
                *((span, ELECTRODE, 1.05) for span in applicator.heated),
            ):
                line = 1e3 * (foot + np.outer([start, end], applicator.axis))
                parts.append(Part(line, NO_TRIANGLES, colour, radius=thickness * radius))
        parts += [Part(1e3 * tine, NO_TRIANGLES, ELECTRODE, radius=TINE) for tine in applicator.tines]
    # Away from the vessel, which would hide the zone.
    turned = np.cos(_TURN) * plane.normal - np.sin(_TURN) * plane.right
    eyes = [across + _ABOVE * plane.up for across in (plane.normal, turned)]
    return Scene(parts, centre, plane.up, eyes, height)


def render(scene: Scene) -> bytes | None:
    """Return the picture as the content of a PNG file; None where it cannot be rendered."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "scene.npz", Path(folder) / "scene.png"
        arrays: dict[str, Any] = {
            "about": json.dumps(
                {
                    "parts": [{"colour": p.colour, "opacity": p.opacity, "radius": p.radius} for p in scene.parts],
                    "height": scene.height,
                }
            ),
            "centre": scene.centre,
            "up": scene.up,
            "eyes": np.array(scene.eyes),
        }
        for k, part in enumerate(scene.parts):
            arrays |= {f"points{k}": part.points, f"triangles{k}": part.triangles}
        np.savez(source, **arrays)
        command = [sys.executable, "-m", "ablationsim.report.scene", str(source), str(target)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL)
        except (subprocess.TimeoutExpired, OSError):
            return None
        return target.read_bytes() if done.returncode == 0 and target.exists() else None


def _draw(source: Path, target: Path) -> None:
    """Render what `render` wrote."""
    import pyvista

    with np.load(source, allow_pickle=False) as arrays:
        about = json.loads(str(arrays["about"]))
        plotter = pyvista.Plotter(off_screen=True, shape=(1, len(arrays["eyes"])), window_size=SIZE, border=False)
        for view, eye in enumerate(arrays["eyes"]):
            plotter.subplot(0, view)
            plotter.set_background("white")
            for k, part in enumerate(about["parts"]):
                points, triangles = arrays[f"points{k}"], arrays[f"triangles{k}"]
                if len(triangles):
                    solid = pyvista.PolyData.from_regular_faces(points, triangles)
                    solid.point_data.active_normals = _normals(points, triangles)
                    solid = _clipped(solid, arrays["centre"], about["height"])
                else:
                    solid = pyvista.lines_from_points(points).tube(radius=part["radius"], n_sides=24, capping=True)
                if not solid.n_points:
                    continue
                actor = plotter.add_mesh(
                    solid, color=part["colour"], opacity=part["opacity"], ambient=0.25, diffuse=0.8, specular=0.15
                )
                actor.prop.interpolation = "phong"
            camera = plotter.camera
            camera.focal_point = arrays["centre"]
            camera.position = arrays["centre"] + 10.0 * about["height"] * eye / np.linalg.norm(eye)
            camera.up = arrays["up"]
            camera.parallel_projection = True
            camera.parallel_scale = 0.5 * about["height"]
            plotter.renderer.reset_camera_clipping_range()
            plotter.enable_depth_peeling(8)
            plotter.enable_anti_aliasing("ssaa")
        plotter.screenshot(target)


def _clipped(solid: Any, centre: Floats, reach: float) -> Any:
    """What of a surface is near the middle of the picture: in a cube of twice the height of the picture."""
    for axis in np.eye(3):
        for side in (1.0, -1.0):
            solid = solid.clip(normal=side * axis, origin=centre + side * reach * axis)
    return solid


def _normals(points: Floats, triangles: NDArray[Any]) -> Floats:
    """Normals at points: the mean over the triangles round each, larger ones more, so that slivers do not show."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    total = [np.bincount(triangles.ravel(), np.repeat(normal[:, k], 3), len(points)) for k in range(3)]
    found = np.stack(total, axis=1)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, length, out=np.zeros_like(found), where=length > 0.0)


if __name__ == "__main__":
    _draw(Path(sys.argv[1]), Path(sys.argv[2]))
