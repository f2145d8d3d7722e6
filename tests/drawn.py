"""A made-up run in a small anatomy, for tests of what is drawn of patients: a round zone about a round tumour."""

from pathlib import Path

import numpy as np
from anatomies import Small
from scipy.spatial import Delaunay

from ablationsim.mesh.mesh import Mesh
from ablationsim.report import ApplicatorDrawing, ReportData
from ablationsim.report.data import DrawnStructure, GreyImage, PatientDrawing
from ablationsim.zone import zone_surface
from ablationsim.zone.case_margins import CaseMargins
from ablationsim.zone.margin import margins
from ablationsim.zone.target import Target

SMALL = Small(spacing=(2.5, 2.0, 3.0), liver=(32.0, 26.0, 24.0))
ZONE = 15.0
"""Radius of the zone in mm."""
AXIS = np.array([0.6, 0.64, 0.48])
"""Of the needle, toward the handle."""


def block(centre: np.ndarray, half: float = 0.024, spacing: float = 0.003) -> Mesh:
    """A cube of tissue about a place, in metres."""
    x = np.arange(-half, half + spacing / 2, spacing)
    points = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1).reshape(-1, 3)
    points = points + np.random.default_rng(3).uniform(-0.05, 0.05, points.shape) * spacing
    cells = Delaunay(points).simplices
    corners = points[cells]
    sizes = np.linalg.det(corners[:, 1:] - corners[:, :1])
    cells[sizes < 0] = cells[sizes < 0][:, [1, 0, 2, 3]]
    return Mesh(centre + points, cells[np.abs(sizes) > 1e-3 * np.median(np.abs(sizes))], {}, {}, False)


def drawn(
    folder: Path, shift: tuple[float, float, float] = (0.0, 0.0, 0.0), image: GreyImage | None = None
) -> ReportData:
    """What a report shows of a run whose zone is a ball, `shift` mm beside the middle of the tumour."""
    anatomy = SMALL.read(folder)
    centre = 1e-3 * np.array(SMALL.tumour)
    mesh = block(centre)
    away = mesh.points - centre - 1e-3 * np.array(shift)
    level = 1e-3 * ZONE - np.linalg.norm(away, axis=1)
    zone = zone_surface(mesh, level).enclosing()
    target = Target.sphere(centre, 1e-3 * SMALL.radius)
    found = margins(zone, target)
    displacement = -0.1 * away * np.exp(-((np.linalg.norm(away, axis=1) / 0.02) ** 2))[:, None]
    structures = tuple(
        DrawnStructure(each.name, each.role, anatomy.distance(each.name).surface())
        for each in anatomy.structures
        if each.role != "liver"
    )
    liver = DrawnStructure("liver", "liver", anatomy.distance(whole_liver=True).surface())
    needle = ApplicatorDrawing(
        name="needle",
        tip=centre - 0.01 * AXIS,
        axis=AXIS,
        outline=np.array([[0.0, 0.0], [0.001, 0.002], [0.001, 0.15]]),
        heated=((0.0, 0.02),),
    )
    nothing = np.zeros(len(mesh.points))
    return ReportData(
        title="A made-up run",
        summary=[],
        device=[],
        zone={"contracted": {"strain": 0.1, "law": "history"}},
        history={},
        mesh=mesh,
        temperature_power_off=nothing,
        temperature_end=nothing,
        temperature_max=nothing,
        level=level,
        displacement=displacement,
        applicators=[needle],
        patient=PatientDrawing((liver, *structures), target.centre, image),
        margins=CaseMargins(found, found, zone, zone, patient=True, document={}),
    )
