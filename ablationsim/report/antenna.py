"""An antenna as a report shows it: its inside, and where it heats tissue that is not heated yet."""

from __future__ import annotations

import numpy as np

from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.device.antenna import METAL, MaterialSpec
from ablationsim.geometry.antenna import COINCIDENT, antenna_drawing
from ablationsim.geometry.applicator import Applicator
from ablationsim.mesh.antenna import AntennaMesh, antenna_mesh
from ablationsim.physics.antenna_field import Extent, complex_permittivity, power_depth, radiating_part
from ablationsim.physics.microwave import TISSUE, Microwave
from ablationsim.report.data import AntennaDrawing, Floats, Ints
from ablationsim.units import show


def drawing(case: Case, device: Device, applicator: Applicator) -> AntennaDrawing:
    """Draw an antenna of a case, and solve its field in an unbounded medium of the case's unheated tissue.

    Raises
    ------
    GeometryError, MeshError, DeviceError, TissueError
        When the antenna cannot be meshed or solved.
    """
    spec = device.antenna
    assert spec is not None
    parts = antenna_drawing(applicator, spec)
    painted = {part.material for part in parts}
    described = {name: _described(name, material) for name, material in spec.materials.items() if name in painted}
    # The sections of the shaft need not follow a dimension that was changed. The line itself goes up to the port.
    *_, port = spec.port_extent(applicator.radius, applicator.length)
    heights = np.concatenate([part.polygon[:, 1] for part in parts])
    edges = heights[heights < port - COINCIDENT]
    radiating = radiating_part(device)
    points, cells, density = _heating(case, device, applicator)
    return AntennaDrawing(
        title=device.title,
        parts=parts,
        materials={METAL: METAL} | described,
        radius=applicator.radius,
        radiating=radiating,
        inside=(min(radiating[0], *edges), max(radiating[1], *edges)),
        points=points,
        cells=cells,
        density=density,
    )


def _described(name: str, material: MaterialSpec) -> str:
    lossy = f", {show(material.conductivity, 'electric_conductivity', digits=3)}" if material.conductivity > 0.0 else ""
    return f"{name.replace('_', ' ')} (permittivity {material.permittivity:.4g}{lossy})"


def _heating(case: Case, device: Device, applicator: Applicator) -> tuple[Floats, Ints, Floats]:
    """Nodes and triangles of the tissue, and the absorbed power density at the nodes for one watt at the port."""
    spec, frequency = device.antenna, device.generator.frequency
    assert spec is not None
    law = case.tissue.dielectric_at(frequency, floors=case.microwave.floors)
    unheated = np.array(case.tissue.initial_temperature)
    permittivity = complex_permittivity(float(law.permittivity(unheated)), float(law.conductivity(unheated)), frequency)
    extent = Extent.round(device, power_depth(permittivity, frequency))
    *_, port = spec.port_extent(applicator.radius, applicator.length)
    mesh = antenna_mesh(
        applicator,
        spec,
        frequency,
        radius=extent.radius,
        bottom=extent.bottom,
        top=max(extent.top, port),
        permittivity={"tissue": permittivity.real},
    )
    materials = {
        name: complex_permittivity(material.permittivity, material.conductivity, frequency)
        for name, material in spec.materials.items()
    }
    solver = Microwave(mesh, frequency, materials)
    field = solver.solve(np.full(len(solver.centroids), permittivity))
    return _at_nodes(mesh, field.power.sum(axis=1))


def _at_nodes(mesh: AntennaMesh, power: Floats) -> tuple[Floats, Ints, Floats]:
    """Nodes and triangles of the tissue, and the density [W/m3] at each node: power of its triangles over volume."""
    nodes, numbers = np.unique(mesh.cells[mesh.material == TISSUE], return_inverse=True)
    points, cells = mesh.points[nodes], numbers.reshape(-1, 3).astype(np.int32)
    corners = points[cells]
    area = 0.5 * np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1]))
    volume = 2.0 * np.pi * corners[:, :, 0].mean(axis=1) * area
    total = [np.bincount(cells.ravel(), np.repeat(per_cell, 3), len(nodes)) for per_cell in (power, volume)]
    return points, cells, total[0] / total[1]
