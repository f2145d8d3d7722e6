"""Make the picture of docs/placement.md: ``python docs/make_placement.py``.

Looks from the tumour of the sample anatomy to all sides, and says from where an antenna could come.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from make_figures import ASSETS, ROOT
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from ablationsim.anatomy import Anatomy
from ablationsim.case.aim import aim
from ablationsim.device import Device
from ablationsim.geometry.access import measure
from ablationsim.report.figures import png

FOLDER = ASSETS / "placement"
STEP = 1.0  # degrees
GROUPS = (
    ("all limits kept", (), "#4d9d6d"),
    ("through or near a hepatic vein", ("hepatic_vein",), "#4a78b5"),
    ("through or near the portal vein", ("portal_vein",), "#8a5fa8"),
    ("heats out of the liver", ("capsule",), "#d98c3f"),
    ("along the surface of the liver, or too little of it on the way", ("capsule_angle", "parenchyma"), "#e3cf62"),
    ("too deep", ("depth",), "#8d8d8d"),
)


def main() -> None:
    """Write what the page includes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    structures = {"liver": 1, "hepatic_vein": 2, "portal_vein": 3, "tumour": 4}
    anatomy = Anatomy.read(ROOT / "meshes" / "anatomy_labels.nii.gz", structures)
    target = next(content.centroid for content in anatomy.image.contents() if content.label == structures["tumour"])
    device = Device.load("mwa_emprint_13g_like")
    azimuth, height = np.deg2rad(np.arange(-180, 180 + STEP, STEP)), np.deg2rad(np.arange(-90, 90 + STEP, STEP))
    around, up = np.meshgrid(azimuth, height)
    ways = np.stack([np.cos(up) * np.sin(around), np.cos(up) * np.cos(around), np.sin(up)], axis=-1).reshape(-1, 3)
    found = measure(anatomy, target - aim(device) * ways, ways, device)
    group = np.zeros(len(ways), dtype=int)
    for number, (_, limits, _) in reversed(list(enumerate(GROUPS))):
        for limit in limits:
            group[found.violations[limit]] = number
    shown = sorted({0, *np.unique(group).tolist()})
    colours = ListedColormap([colour for _, _, colour in GROUPS])
    figure, axes = plt.subplots(figsize=(8.4, 4.6), layout="constrained")
    axes.pcolormesh(
        np.rad2deg(around), np.rad2deg(up), group.reshape(around.shape), cmap=colours, vmin=-0.5, vmax=len(GROUPS) - 0.5
    )
    axes.set_xticks([-180, -90, 0, 90, 180], ["back", "left", "front", "right", "back"])
    axes.set_yticks([-90, -45, 0, 45, 90], ["foot", "-45°", "0°", "45°", "head"])
    axes.set_xlabel("side that the needle comes from")
    axes.set_ylabel("angle from the axial plane")
    axes.legend(
        handles=[Patch(color=GROUPS[number][2], label=GROUPS[number][0]) for number in shown],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=2,
        frameon=False,
    )
    # The map makes the poles as wide as the middle.
    share = np.average(group == 0, weights=np.cos(up).ravel())
    axes.set_title(f"Ways to the tumour of the sample anatomy: {100 * share:.0f} % of all directions keep all limits")
    (FOLDER / "ways.png").write_bytes(png(figure))


if __name__ == "__main__":
    main()
