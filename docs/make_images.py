"""Make the picture and the numbers of docs/images.md: ``python docs/make_images.py``.

Draws balls in voxels that are turned against the patient, and compares the distances that are found with those of the
balls. Writes ``docs/assets/images``.
"""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
from make_figures import ASSETS, ROOT
from numpy.typing import NDArray

from ablationsim.anatomy.distance import Distance, distance_to
from ablationsim.report.figures import png
from ablationsim.vessels.vessel import Floats

sys.path.insert(0, str(ROOT / "tests"))
from anatomies import Small

FOLDER = ASSETS / "images"
SPACINGS = ((1.0, 1.0, 1.0), (1.5, 1.5, 2.0), (0.8, 0.8, 3.0), (0.8, 0.8, 5.0), (3.0, 3.0, 3.0))
"""Edges of voxels [mm]."""
POSES = (("PSL", 15.0, 0.0), ("LPS", 0.0, 0.4), ("RAS", 30.0, 1.1))
"""Axes of the grid, its turn [degrees] and a shift of the ball against it [mm]."""
RADIUS = 10.0  # mm


def main() -> None:
    """Write what the page includes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = []
    for spacing in SPACINGS:
        error = np.concatenate([errors(*ball(spacing, *pose)) for pose in POSES])
        edges = " × ".join(f"{edge:g} mm" for edge in spacing)
        # Plus zero: no minus in front of nothing.
        rows.append(
            f"| {edges} | {round(error.mean(), 2) + 0.0:+.2f} mm | {error.std():.2f} mm | {abs(error).max():.2f} mm |"
        )
    (FOLDER / "distances.md").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (FOLDER / "surface.png").write_bytes(picture())


def ball(spacing: tuple[float, float, float], axes: str, turn: float, shift: float) -> tuple[Small, Distance]:
    """A ball in voxels, and the distance that is found to it."""
    small = Small(
        spacing=spacing,
        axes=axes,
        turn=turn,
        liver=(30.0, 26.0, 22.0),
        tumour=(48.0 + shift, -16.0 + shift / 2, 62.0 - shift),
        radius=RADIUS,
    )
    affine = np.diag([1e-3, 1e-3, 1e-3, 1.0]) @ small.affine
    return small, distance_to(small.masks()["tumour"], affine, "a ball", fine=True)


def errors(small: Small, distance: Distance) -> Floats:
    """Of the distance [mm] at places up to 30 mm from the ball, but for its middle, where the distance has a peak."""
    generator = np.random.default_rng(0)
    ways = generator.normal(size=(6000, 3))
    far = generator.uniform(3.0, RADIUS + 30.0, len(ways))
    places = np.array(small.tumour) + ways / np.linalg.norm(ways, axis=1)[:, None] * far[:, None]
    return 1e3 * distance(1e-3 * places) - (far - RADIUS)


def picture() -> bytes:
    """A section of voxels of 5 mm slices, what they were drawn from, and the distance to the surface."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 4.2), layout="constrained", sharey=True)
    for axis, spacing in zip(axes, ((0.8, 0.8, 5.0), (3.0, 3.0, 3.0)), strict=True):
        small, distance = ball(spacing, "RAS", 0.0, 0.3)
        across, up = np.linspace(-18.0, 18.0, 181), np.linspace(-17.0, 17.0, 171)
        right, head = np.meshgrid(across, up)
        places = np.stack([right, np.zeros_like(right), head], axis=-1) + small.tumour
        axis.pcolormesh(across, up, voxels_at(small, places), cmap="Greys", vmin=0.0, vmax=3.0, rasterized=True)
        found = 1e3 * distance(1e-3 * places.reshape(-1, 3)).reshape(right.shape)
        lines = axis.contour(across, up, found, levels=[-5.0, 5.0], colors="tab:orange", linewidths=0.8)
        axis.clabel(lines, fmt="%+g mm")
        axis.contour(across, up, found, levels=[0.0], colors="tab:orange", linewidths=2.0)
        angle = np.linspace(0.0, 2.0 * np.pi, 200)
        axis.plot(RADIUS * np.cos(angle), RADIUS * np.sin(angle), "k--", linewidth=1.0)
        axis.set_aspect("equal")
        axis.set_title(f"voxels of {' × '.join(f'{edge:g}' for edge in spacing)} mm", fontsize="medium")
        axis.set_xlabel("right [mm]")
    axes[0].set_ylabel("head [mm]")
    content = png(figure)
    plt.close(figure)
    return content


def voxels_at(small: Small, places: Floats) -> NDArray[np.bool_]:
    """Whether the voxel round each place is of the ball."""
    inverse = np.linalg.inv(small.affine)
    indices = np.rint(places @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    last = np.array(small.shape) - 1
    return small.masks()["tumour"][tuple(np.moveaxis(np.clip(indices, 0, last), -1, 0))]


if __name__ == "__main__":
    main()
