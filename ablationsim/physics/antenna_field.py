"""From the profile of a microwave antenna to the solver of its field."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

import numpy as np
from scipy.constants import epsilon_0, speed_of_light

from ablationsim.device import Device
from ablationsim.device.antenna import AntennaSpec
from ablationsim.errors import DeviceError
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.domain import Domain
from ablationsim.geometry.placement import Placement
from ablationsim.mesh.antenna import antenna_mesh
from ablationsim.physics.microwave import AntennaField, Microwave
from ablationsim.tissue import Tissue

FIELD_REACH = 40e-3
FIELD_DEPTHS = 4.0
"""Tissue round the radiating part of an antenna in which its field is solved where the tissue is modelled in space: so
far [m], and so many times the depth in which a plane wave loses all but 1/e of its power (2 % are left then)."""


@dataclass(frozen=True)
class Extent:
    """Tissue in which an antenna's field is solved, in its device frame [m]."""

    radius: float
    bottom: float
    top: float

    @classmethod
    def round(cls, device: Device, depth: float) -> Extent:
        """Tissue round the radiating part of a device, where a plane wave has a power depth [m]."""
        reach = max(FIELD_REACH, FIELD_DEPTHS * depth)
        return cls(reach, -reach, radiating_part(device)[1] + reach)

    def within(self, domain: Domain, applicator: Applicator) -> Extent:
        """No more of it than the block of tissue can reach, as seen by an applicator in place."""
        signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        corners = applicator.to_device(domain.to_world(signs * domain.half))
        return Extent(
            min(self.radius, float(np.hypot(corners[:, 0], corners[:, 1]).max())),
            max(self.bottom, float(corners[:, 2].min())),
            min(self.top, float(corners[:, 2].max())),
        )

    @classmethod
    def of(cls, domain: Domain, applicator: Applicator) -> Extent:
        """The whole block, which is axisymmetric about the applicator."""
        ends = applicator.to_device(domain.to_world(np.outer([-1.0, 1.0], [0.0, 0.0, domain.half[2]])))[:, 2]
        return cls(float(domain.half[0]), float(ends.min()), float(ends.max()))


def radiating_part(device: Device) -> tuple[float, float]:
    """Lower and upper height of the radiating sections of a device above its tip [m]."""
    ends = np.cumsum([0.0, *(section.length for section in device.applicator.sections)])
    which = [i for i, section in enumerate(device.applicator.sections) if section.radiating]
    return float(ends[which[0]]), float(ends[which[-1] + 1])


def power_depth(permittivity: complex, frequency: float) -> float:
    """Depth in which a plane wave loses all but 1/e of its power [m]."""
    wave_number = 2.0 * math.pi * frequency / speed_of_light * cmath.sqrt(permittivity)
    return 0.5 / abs(wave_number.imag)


def antenna_solver(
    device: Device, applicator: Applicator, permittivity: float, extent: Extent, resolution: float = 1.0
) -> Microwave:
    """Mesh an antenna and set up its field solver.

    Parameters
    ----------
    device : Device
        A microwave applicator.
    applicator : Applicator
        Its outline.
    permittivity : float
        Relative permittivity of unheated tissue, which sets the size of the elements.
    extent : Extent
        Of the tissue; it is made to reach up to the antenna's port, where that lies higher.
    resolution : float
        Factor on the size of the elements.

    Raises
    ------
    GeometryError, MeshError, DeviceError
        If the antenna cannot be meshed or solved.
    """
    spec, frequency = _spec(device), device.generator.frequency
    *_, port = spec.port_extent(applicator.radius, applicator.length)
    mesh = antenna_mesh(
        applicator,
        spec,
        frequency,
        radius=extent.radius,
        bottom=extent.bottom,
        top=max(extent.top, port),
        permittivity={"tissue": permittivity},
        resolution=resolution,
    )
    materials = {
        name: complex_permittivity(material.permittivity, material.conductivity, frequency)
        for name, material in spec.materials.items()
    }
    return Microwave(mesh, frequency, materials)


def unheated_solution(device: Device, tissue: Tissue, floors: bool = True) -> tuple[Microwave, AntennaField]:
    """Solver and field of a device's antenna in an unbounded medium of unheated tissue.

    Raises
    ------
    TissueError
        If the tissue's dielectric law does not hold at the frequency of the device.
    GeometryError, MeshError, DeviceError
        As for `antenna_solver`.
    """
    frequency = device.generator.frequency
    law, temperature = tissue.dielectric_at(frequency, floors), np.array(tissue.initial_temperature)
    unheated = complex_permittivity(
        float(law.permittivity(temperature)), float(law.conductivity(temperature)), frequency
    )
    applicator = Applicator.build(0, device.applicator, Placement.along())
    extent = Extent.round(device, power_depth(unheated, frequency))
    solver = antenna_solver(device, applicator, unheated.real, extent)
    return solver, solver.solve(np.full(len(solver.centroids), unheated))


def unheated_field(device: Device, tissue: Tissue) -> AntennaField:
    """The field of `unheated_solution`."""
    return unheated_solution(device, tissue)[1]


def complex_permittivity(permittivity: float, conductivity: float, frequency: float) -> complex:
    """Relative complex permittivity from its real part and an effective conductivity [S/m]."""
    return complex(permittivity, -conductivity / (2.0 * math.pi * frequency * epsilon_0))


def _spec(device: Device) -> AntennaSpec:
    if device.antenna is None:
        raise DeviceError(f"{device.name} is no microwave antenna; its modality is {device.modality}")
    return device.antenna
