"""Make the small sample meshes in this folder: ``python meshes/make_samples.py``.

They are coarse, meant for a first look and for trying ``[domain] mesh = ...`` in a case, not for results. They show the
17 G cooled electrode in a cylinder of tissue: with a 3 cm bare tip in the (r, z) half-plane, with a 2 cm one in space.
Coordinates are in metres.
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
#: Sample name: device, dimension, resolution, reach of the zone, radius and height of the cylinder [m].
SAMPLES = {
    "cooltip_axisymmetric.msh": ("rfa_cooltip_17g_3cm_like", "axisymmetric", 4.0, 0.02, 0.06, 0.12),
    "cooltip_3d.vtu": ("rfa_cooltip_17g_2cm_like", "3d", 4.0, 0.003, 0.02, 0.035),
}


def main() -> None:
    """Write every sample."""
    for name, (device, dimension, resolution, reach, radius, height) in SAMPLES.items():
        needle = Applicator.build(0, Device.load(device).applicator, Placement.along())
        domain = Domain.cylinder(conductor_centre([needle]), radius, height)
        mesh = generate(Geometry.build([needle], domain, dimension), resolution, reach)
        write_mesh(mesh, FOLDER / name)
        size = (FOLDER / name).stat().st_size / 1e3
        print(f"{name}: {len(mesh.points)} nodes, {len(mesh.cells)} cells, {size:.0f} kB")


if __name__ == "__main__":
    main()
