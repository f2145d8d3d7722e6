"""Make the small sample meshes in this folder: ``python meshes/make_samples.py``.

They are coarse, meant for a first look and for trying ``[domain] mesh = ...`` in a case, not for results. Both show the 17 G cooled
electrode with a 3 cm bare tip, in a cylinder of tissue: once as the (r, z) half-plane, once in space. Coordinates are in metres.
"""

from __future__ import annotations

from pathlib import Path

from ablationsim.device.profile import Device
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.geometry import Geometry, conductor_centre
from ablationsim.geometry.placement import Placement
from ablationsim.mesh.generate import generate
from ablationsim.mesh.io import write_mesh

FOLDER = Path(__file__).parent
#: Sample name: dimension, resolution, reach of the zone, radius and height of the cylinder [m].
SAMPLES = {
    "cooltip_axisymmetric.msh": ("axisymmetric", 3.0, 0.02, 0.06, 0.12),
    "cooltip_3d.vtu": ("3d", 4.0, 0.01, 0.04, 0.08),
}


def main() -> None:
    """Write every sample."""
    needle = Applicator.build(0, Device.load("rfa_cooltip_17g_3cm_like").applicator, Placement.along())
    for name, (dimension, resolution, reach, radius, height) in SAMPLES.items():
        domain = Domain.cylinder(conductor_centre([needle]), radius, height)
        mesh = generate(Geometry.build([needle], domain, dimension), resolution, reach)
        write_mesh(mesh, FOLDER / name)
        print(
            f"{name}: {len(mesh.points)} nodes, {len(mesh.cells)} cells, {(FOLDER / name).stat().st_size / 1e3:.0f} kB"
        )


if __name__ == "__main__":
    main()
