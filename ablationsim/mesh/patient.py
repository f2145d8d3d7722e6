"""The mesh of a case that is fitted to parts of a patient, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablationsim.anatomy import Anatomy, Distance
from ablationsim.case import Case
from ablationsim.case.vessels import TumourSection
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh.cache import cached, fingerprint, kept
from ablationsim.mesh.mesh import Floats, Mesh
from ablationsim.mesh.ordering import renumbered
from ablationsim.mesh.sizing import Sizing

OUTSIDE = "outside"
"""Region round the liver."""

LIVER_SURFACE = "liver_surface"
TUMOUR_SURFACE = "tumour_surface"

_LIBRARIES = ("numpy", "scipy", "numba")


@dataclass(frozen=True)
class Ball:
    """Signed distance to the surface of a ball, negative inside; in metres."""

    centre: tuple[float, float, float]
    radius: float

    def __call__(self, points: Floats) -> Floats:
        """Distance of points (p, 3)."""
        return np.asarray(np.linalg.norm(points - np.array(self.centre), axis=1) - self.radius)


def is_fitted(case: Case) -> bool:
    """Whether the mesh of a case follows the surface of the liver or of the tumour."""
    return "fitted" in (case.mesh.liver, case.mesh.tumour)


def patient_mesh(case: Case, geometry: Geometry) -> Mesh:
    """Mesh the tissue of a case so that its surfaces are facets: "liver_surface", "tumour_surface".

    What is outside the liver is the region "outside", or is left out where it is air; the inside of the tumour is the
    region "tumour", and all else "tissue". The mesh round the applicators is made first, in their own frame, and found
    again wherever they lie; only fitting it depends on their place in the patient.

    Raises
    ------
    GeometryError
        When the image of the patient cannot be used.
    MeshError
        When the mesh cannot be made, or not be fitted.
    """
    # Here and not above: it compiles, and most meshes are not fitted.
    from ablationsim.mesh.fitted import Surface, fitted_to, without

    surfaces: list[tuple[Surface, Distance | Ball]] = []
    if case.mesh.liver == "fitted":
        # The case was checked to have one.
        assert case.patient is not None
        liver = case.patient.anatomy().distance(whole_liver=True)
        surfaces.append((Surface(LIVER_SURFACE, liver, "tissue", OUTSIDE), liver))
    if case.mesh.tumour == "fitted":
        assert case.tumour is not None
        tumour = _distance_to(case, case.tumour)
        surfaces.append((Surface(TUMOUR_SURFACE, tumour, "tumour", "tissue"), tumour))
    in_air = case.patient is not None and case.patient.outside == "air"
    sizing = Sizing.default(geometry, case.mesh.resolution)

    def make() -> Mesh:
        frame = geometry.domain.frame
        mesh = cached(geometry.upright(), sizing)
        mesh = mesh if frame is None else replace(mesh, points=frame.to_world(mesh.points))
        for surface, _ in surfaces:
            mesh = fitted_to(mesh, surface)
            if surface.outside == OUTSIDE and in_air and OUTSIDE in mesh.regions:
                mesh = without(mesh, OUTSIDE)
        return renumbered(mesh)

    parts = [fingerprint(geometry, sizing, libraries=_LIBRARIES), in_air]
    parts += [_fingerprint(surface.name, level) for surface, level in surfaces]
    return kept(hashlib.sha256(json.dumps(parts).encode()).hexdigest(), make)


def _distance_to(case: Case, tumour: TumourSection) -> Distance | Ball:
    """Signed distance to the surface of the tumour."""
    if tumour.labels is None or tumour.label is None:
        assert tumour.centre is not None
        assert tumour.radius is not None
        return Ball(tumour.centre, tumour.radius)
    if case.patient is not None and case.patient.labels == tumour.labels and case.patient.tumour is not None:
        return case.patient.anatomy().distance(case.patient.tumour)
    return Anatomy.read(tumour.labels, {"tumour": tumour.label}).distance("tumour")


def _fingerprint(name: str, level: Distance | Ball) -> Sequence[object]:
    """All that a surface depends on."""
    if isinstance(level, Ball):
        return [name, level.centre, level.radius]
    content = hashlib.sha256(np.ascontiguousarray(level.body.distance).tobytes()).hexdigest()
    return [name, content, level.body.affine.tolist()]
