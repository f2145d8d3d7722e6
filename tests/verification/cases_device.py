"""A real electrode on generated meshes: axisymmetric against 3-D, and the size of the domain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ablationsim.case import Case
from ablationsim.geometry.geometry import Geometry
from ablationsim.march import March
from ablationsim.mesh.generate import generate
from ablationsim.physics.radiofrequency import RadiofrequencySource
from ablationsim.problem import assemble, controllers
from ablationsim.zone import measure, zone_volume


@dataclass(frozen=True)
class Run:
    """What one run of the electrode gave."""

    dimension: str
    resolution: float
    nodes: int
    first_impedance: float
    last_impedance: float
    volume_ml: float
    transverse_diameter_mm: float
    axial_length_mm: float
    energy_gap: float


def _case(dimension: str, resolution: float, radius: str, boundary: str) -> Case:
    return Case.from_dict(
        {
            "device": {"profile": "rfa_cooltip_17g_3cm_like"},
            "protocol": [{"mode": "power", "power": "40 W", "duration": "240 s"}],
            "tissue": {"set": "liver_porcine_ex_vivo"},
            "domain": {"radius": radius, "height": "100 mm", "dimension": dimension, "boundary": boundary},
            "zone": {"criterion": "arrhenius", "cooling": "0 s"},
            "mesh": {"resolution": resolution},
            "time": {"tolerance": 1.0},
        }
    )


@cache
def impedance(radius: str, boundary: str) -> float:
    """Impedance before heating [ohm], from the axis to a wall at the given radius."""
    case = _case("axisymmetric", 1.5, radius, boundary)
    geometry = Geometry.from_case(case)
    mesh = generate(geometry, 1.5)
    source = assemble(case, geometry, mesh).source
    assert isinstance(source, RadiofrequencySource)
    sigma, outer = np.full(len(mesh.cells), 0.2), np.full(len(source.electric.outer_nodes), 0.2)
    return 1.0 / float(source.electric.solve(sigma, outer).conductance[0, 0])


@cache
def cooled_electrode(dimension: str, resolution: float) -> Run:
    """Four minutes at 40 W with the 17 G electrode in porcine liver ex vivo, without cooling afterwards."""
    case = _case(dimension, resolution, "40 mm", "far_field")
    geometry = Geometry.from_case(case)
    mesh = generate(geometry, resolution)
    march = March(assemble(case, geometry, mesh), controllers(case), cooling=0.0)
    impedances = []

    def observe(march: March) -> bool:
        impedances.append(march.readings[0].impedance)
        return False

    march.run(observe, lambda t: np.inf)
    level = march.problem.damage.level(march.state.damage)
    applicator = geometry.applicators[0]
    size = measure(mesh, level, applicator.tip, applicator.axis)
    energy = march.state.energy
    return Run(
        dimension=dimension,
        resolution=resolution,
        nodes=len(mesh.points),
        first_impedance=impedances[0],
        last_impedance=impedances[-1],
        volume_ml=1e6 * zone_volume(mesh, level),
        transverse_diameter_mm=float(size.transverse_diameter_mm or 0.0),
        axial_length_mm=float(size.axial_length_mm or 0.0),
        energy_gap=abs(energy.generator - march.stored - energy.lost) / energy.generator,
    )
