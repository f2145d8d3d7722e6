"""An antenna as a report shows it: its inside, and where it heats tissue that is not heated yet."""

from __future__ import annotations

import numpy as np

from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.device.antenna import METAL, MaterialSpec
from ablationsim.geometry.antenna import COINCIDENT, antenna_drawing
from ablationsim.geometry.applicator import Applicator
from ablationsim.mesh.antenna import AntennaMesh
from ablationsim.physics.antenna_field import radiating_part, unheated_solution
from ablationsim.physics.microwave import TISSUE
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
    solver, field = unheated_solution(device, case.tissue, case.microwave.floors)
    points, cells, density = _at_nodes(solver.mesh, field.power.sum(axis=1))
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


def _at_nodes(mesh: AntennaMesh, power: Floats) -> tuple[Floats, Ints, Floats]:
    """Nodes and triangles of the tissue, and the density [W/m3] at each node: power of its triangles over volume."""
    nodes, numbers = np.unique(mesh.cells[mesh.material == TISSUE], return_inverse=True)
    points, cells = mesh.points[nodes], numbers.reshape(-1, 3).astype(np.int32)
    corners = points[cells]
    area = 0.5 * np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1]))
    volume = 2.0 * np.pi * corners[:, :, 0].mean(axis=1) * area
    total = [np.bincount(cells.ravel(), np.repeat(per_cell, 3), len(nodes)) for per_cell in (power, volume)]
    return points, cells, total[0] / total[1]
