"""A plane through the first applicator's shaft: where it cuts the mesh, and the nodal fields on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.mesh.mesh import Mesh
from ablationsim.report.data import ApplicatorDrawing
from ablationsim.zone.marching import Contour, Ints, contour

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane with the tip of the first applicator at its origin, its shaft upward (`up`) and `right` across."""

    origin: Floats
    right: Floats
    up: Floats

    @property
    def normal(self) -> Floats:
        """Unit vector out of the plane, toward the reader."""
        return np.cross(self.right, self.up)

    def project(self, points: Floats) -> Floats:
        """Return the coordinates (right, up) of points in space, shape (n, 2), in mm."""
        return 1e3 * (np.asarray(points) - self.origin) @ np.column_stack([self.right, self.up])


@dataclass(frozen=True, eq=False)
class Section:
    """The mesh where a plane cuts it: triangles in mm, tip at the origin.

    Attributes
    ----------
    points : (n, 2) float64
        Coordinates across and along the shaft, in mm.
    triangles : (m, 3) int
        Point numbers.
    cut : Contour or None
        Where the points lie on the edges of the mesh; None when they are the nodes of the mesh.
    """

    points: Floats
    triangles: Ints
    cut: Contour | None

    def sample(self, nodal: Floats) -> Floats:
        """Return a nodal field at the points, by linear interpolation (exact for linear elements)."""
        return nodal if self.cut is None else self.cut.interpolate(nodal)

    def mirrored(self) -> Section:
        """Return the section on the other side of the shaft."""
        return Section(self.points * [-1, 1], self.triangles, self.cut)


def contracted(cut: Section, plane: Plane, strain: float, displacement: Floats | None = None) -> Section:
    """Return a section where its tissue went.

    Parameters
    ----------
    cut : Section
        From `section`.
    plane : Plane
        Of the section.
    strain : float
        Uniform strain about the tip; of no effect with a displacement.
    displacement : (n, d) float64, optional
        Of the nodes of the mesh, in metres; what leads out of the plane is not drawn.
    """
    if displacement is None:
        return Section(cut.points * (1 - strain), cut.triangles, cut.cut)
    way = 1e3 * cut.sample(displacement)
    in_plane = np.diag([1.0, np.sign(plane.up[2])]) if way.shape[1] == 2 else np.column_stack([plane.right, plane.up])
    return Section(cut.points + way @ in_plane, cut.triangles, cut.cut)


def plane_through(applicators: Sequence[ApplicatorDrawing], place: Floats | None = None) -> Plane:
    """Return a plane through the axis of the first applicator.

    It also goes through the tip of the second applicator, else a tine, else a needle of the cluster, if there is one,
    else through `place`, shape (3,) in metres, if that is given.
    """
    if not applicators:
        return Plane(np.zeros(3), np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    first = applicators[0]
    towards = [other.tip - first.tip for other in applicators[1:2]]
    towards += [tine[-1] - first.tip for tine in first.tines[:1]]
    towards += [first.shafts[0], *([] if place is None else [place - first.tip]), *np.eye(3)]
    for direction in towards:
        across = direction - (direction @ first.axis) * first.axis
        if np.linalg.norm(across) > 1e-3 * np.linalg.norm(direction):
            return Plane(first.tip, across / np.linalg.norm(across), first.axis)
    raise AssertionError("a shaft cannot be parallel to all three axes")


def section(mesh: Mesh, plane: Plane) -> Section:
    """Cut a mesh by a plane; the half-plane of an axisymmetric mesh is its own section."""
    if mesh.axisymmetric:
        upward = np.sign(plane.up[2])
        across, along = 1e3 * mesh.points[:, 0], 1e3 * upward * (mesh.points[:, 1] - plane.origin[2])
        return Section(np.column_stack([across, along]), mesh.cells, None)
    cut = contour(mesh.cells, (mesh.points - plane.origin) @ plane.normal)
    return Section(plane.project(cut.interpolate(mesh.points)), cut.facets, cut)
