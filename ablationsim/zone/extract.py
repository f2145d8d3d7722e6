"""The ablation zone {level > 0}: its volume and its surface, with sub-element accuracy.

The level is linear in every cell, and volume and surface are exact for that linear level. What is cut out of the mesh
(needles, tines) is not tissue: it does not count in the volume. The surface that `Surface.enclosing` returns spans
those cut-outs and so encloses them, as a hand that traces the zone on a slice would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import SolverError
from ablationsim.mesh.mesh import Mesh
from ablationsim.zone.cut import cut_cells
from ablationsim.zone.marching import Ints, contour

Floats = NDArray[np.float64]

NODE_SNAP = 1e-9
"""Levels this small, relative to the largest, count as zero when a surface is drawn."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface of a zone, oriented: normals point out of the zone.

    Attributes
    ----------
    points : (n, d) float64
        Coordinates in metres; (r, z) when axisymmetric.
    facets : (k, d) int
        Point numbers: triangles in space, segments of the half-plane when axisymmetric (zone to the left).
    axisymmetric : bool
        Whether the segments stand for their revolution about the z axis.
    """

    points: Floats
    facets: Ints
    axisymmetric: bool

    def volume(self) -> float:
        """Return the volume inside a closed surface, in m3 (divergence theorem, exact for flat facets)."""
        return float(self._facet_volumes().sum())

    def area(self) -> float:
        """Return the area, in m2: of the triangles, or of the cones that the segments sweep."""
        if not self.axisymmetric:
            return float(0.5 * np.linalg.norm(self._normals(), axis=1).sum())
        return float(np.sum(np.pi * self._segments()[0].sum(axis=1) * self.lengths()))

    def lengths(self) -> Floats:
        """Return the lengths of the segments of an axisymmetric surface, shape (k,), in m."""
        r, z = self._segments()
        return np.hypot(r[:, 1] - r[:, 0], z[:, 1] - z[:, 0])

    def enclosing(self) -> Surface:
        """Return the closed outside of the zone, with what it surrounds inside it.

        Openings, where the zone meets an applicator or the edge of the domain, are closed: by a flat disc to the axis
        when axisymmetric, by a fan about the centre of the rim in space. Surfaces of cavities (viable tissue all
        round a cooled shaft, for example) are left out.
        """
        closed = self._closed_to_axis() if self.axisymmetric else self._closed_by_fans()
        label = closed.pieces()
        volume = np.bincount(label, weights=closed._facet_volumes(), minlength=1)
        return Surface(closed.points, closed.facets[(volume > 0)[label]], self.axisymmetric)

    def pieces(self) -> Ints:
        """Return the number of the connected piece that each facet belongs to, shape (k,)."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        start = self.facets[:, :-1].ravel()
        end = self.facets[:, 1:].ravel()
        links = coo_array((np.ones(len(start)), (start, end)), shape=(len(self.points), len(self.points)))
        _, of_point = connected_components(links, directed=False)
        _, label = np.unique(of_point[self.facets[:, 0]], return_inverse=True)
        return label

    def revolve(self, sectors: int = 96) -> Surface:
        """Return an axisymmetric surface turned about the z axis, as triangles in space.

        Parameters
        ----------
        sectors : int
            Number of equal angles that make up the full turn.

        Returns
        -------
        Surface
            Closed when this surface is closed or ends on the axis; points on the axis occur once.
        """
        angle = 2 * np.pi * np.arange(sectors) / sectors
        r, z = self.points.T
        on_axis = r == 0
        size = np.where(on_axis, 1, sectors)
        first = np.cumsum(size) - size
        ring = np.repeat(np.arange(len(r)), size)
        turn = angle[np.arange(len(ring)) - first[ring]]
        points = np.column_stack([r[ring] * np.cos(turn), r[ring] * np.sin(turn), z[ring]])

        here = np.arange(sectors)
        ahead = (here + 1) % sectors

        def around(point: Ints, sector: Ints) -> Ints:
            return np.asarray(first[point][:, None] + np.where(on_axis[point][:, None], 0, sector[None, :]))

        start, end = self.facets.T
        a, b = around(start, here), around(start, ahead)
        c, d = around(end, here), around(end, ahead)
        triangles = np.concatenate([np.stack([a, b, c], axis=-1), np.stack([b, d, c], axis=-1)], axis=1).reshape(-1, 3)
        return Surface(points, _without_degenerate(triangles), axisymmetric=False)

    def _closed_to_axis(self) -> Surface:
        """Add the segments that join every loose end off the axis to the axis, at its own height."""
        arrivals = np.bincount(self.facets[:, 1], minlength=len(self.points))
        departures = np.bincount(self.facets[:, 0], minlength=len(self.points))
        off_axis = self.points[:, 0] > 0
        ends = np.flatnonzero((arrivals > departures) & off_axis)
        starts = np.flatnonzero((departures > arrivals) & off_axis)
        loose = np.concatenate([ends, starts])
        feet = np.column_stack([np.zeros(len(loose)), self.points[loose, 1]])
        foot = len(self.points) + np.arange(len(loose))
        caps = np.column_stack([loose, foot])
        caps[len(ends) :] = caps[len(ends) :, ::-1]
        return Surface(np.concatenate([self.points, feet]), np.concatenate([self.facets, caps]), True)

    def _closed_by_fans(self) -> Surface:
        """Close every rim by triangles from its edges to the mean of its points."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n = len(self.points)
        edges = np.concatenate([self.facets[:, [0, 1]], self.facets[:, [1, 2]], self.facets[:, [2, 0]]])
        # An edge that is run through more often one way than the other lies on a rim.
        way = np.where(edges[:, 0] < edges[:, 1], 1, -1)
        pairs, inverse = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True)
        excess = np.bincount(inverse.ravel(), weights=way, minlength=len(pairs)).astype(np.int64)
        pairs = np.where(excess[:, None] < 0, pairs[:, ::-1], pairs)
        rim_edges = np.repeat(pairs, np.abs(excess), axis=0)
        if not len(rim_edges):
            return self
        start, end = rim_edges.T
        links = coo_array((np.ones(len(start)), (start, end)), shape=(n, n))
        _, label = connected_components(links, directed=False)
        _, rim = np.unique(label[start], return_inverse=True)
        count = np.bincount(rim)
        centres = np.column_stack([np.bincount(rim, weights=self.points[start, k]) / count for k in range(3)])
        fans = np.column_stack([end, start, n + rim])
        return Surface(np.concatenate([self.points, centres]), np.concatenate([self.facets, fans]), False)

    def _segments(self) -> tuple[Floats, Floats]:
        ends = self.points[self.facets]
        return ends[:, :, 0], ends[:, :, 1]

    def _normals(self) -> Floats:
        a, b, c = (self.points[self.facets[:, k]] for k in range(3))
        return np.cross(b - a, c - a)

    def _facet_volumes(self) -> Floats:
        """Return what each facet adds to the enclosed volume."""
        if self.axisymmetric:
            r, z = self._segments()
            cones = (z[:, 1] - z[:, 0]) * (r[:, 0] ** 2 + r[:, 0] * r[:, 1] + r[:, 1] ** 2)
            return np.asarray(np.pi / 3 * cones)
        # Heights above a point nearby, as far-away origins cost digits.
        origin = self.points.mean(axis=0) if len(self.points) else np.zeros(3)
        heights = self.points[self.facets[:, 0]] - origin
        return np.asarray(np.sum(heights * self._normals(), axis=1) / 6)


def zone_volume(mesh: Mesh, level: Floats, cell_volumes: Floats | None = None) -> float:
    """Return the volume of the zone {level > 0} inside the mesh, in m3.

    Exact for the linear interpolant of the level, with the weight 2 pi r when the mesh is axisymmetric. The mesh holds
    tissue only, so this is the volume of coagulated tissue: the track of the needle is not in it. Every rank
    gets the volume in all of a distributed mesh.

    Parameters
    ----------
    mesh : Mesh
        Triangles or tetrahedra.
    level : (n,) float64
        Nodal values of the level.
    cell_volumes : (m,) float64, optional
        Volume of each cell in m3, for callers that ask again and again; taken from the mesh when not given.

    Raises
    ------
    SolverError
        When the level is not finite everywhere.
    """
    from ablationsim.fem.cutting import volume_above_zero

    level = _one_each(mesh, level)
    own = mesh.distribution.own_cells
    volume = np.nan  # of a level that is not finite, which all ranks learn of with the sum
    if np.isfinite(level).all():
        volumes = mesh.cell_volumes() if cell_volumes is None else cell_volumes
        volume = float(volume_above_zero(mesh.points, own(mesh.cells), level, own(volumes), mesh.axisymmetric))
    total = mesh.distribution.comm.sum(volume)
    if np.isnan(total):
        raise _broken_down(mesh, level)
    return total


def zone_surface(mesh: Mesh, level: Floats) -> Surface:
    """Return the surface {level = 0} of the zone inside the tissue.

    It is open where the zone meets an applicator or the edge of the domain; `Surface.enclosing` closes it. Every
    rank gets the surface in all of a distributed mesh.

    Parameters
    ----------
    mesh : Mesh
        Triangles or tetrahedra.
    level : (n,) float64
        Nodal values of the level.

    Returns
    -------
    Surface
        Triangles in the coordinates of the mesh; segments in (r, z) when the mesh is axisymmetric.

    Raises
    ------
    SolverError
        When the level is not finite everywhere.
    """
    level, comm = _one_each(mesh, level), mesh.distribution.comm
    largest = comm.largest(float(np.abs(level).max(initial=0.0)) if np.isfinite(level).all() else np.inf)
    if np.isinf(largest):
        raise _broken_down(mesh, level)
    # Zeros within rounding of a node are put on it: slivers would not survive a file of single precision.
    points, cells, level = cut_cells(mesh, np.where(np.abs(level) <= NODE_SNAP * largest, 0.0, level))
    zero = contour(cells, level)
    points = zero.interpolate(points)
    if mesh.axisymmetric:
        # Mesh generators leave nodes of the axis at radii of rounding size.
        height = comm.largest(float(mesh.points[:, 1].max())) - comm.smallest(float(mesh.points[:, 1].min()))
        points[points[:, 0] < 1e-9 * height, 0] = 0.0
    return Surface(points, zero.facets, mesh.axisymmetric)


def _one_each(mesh: Mesh, level: Floats) -> Floats:
    level = np.asarray(level, dtype=np.float64)
    if level.shape != (len(mesh.points),):
        raise SolverError(f"The zone needs one level for each of {len(mesh.points)} nodes, got shape {level.shape}.")
    return level


def _broken_down(mesh: Mesh, level: Floats) -> SolverError:
    """The error of a level that is not finite; called by all ranks."""
    distribution = mesh.distribution
    count = distribution.comm.sum(float(np.count_nonzero(~np.isfinite(distribution.own(level)))))
    total, _ = distribution.totals(len(level), len(mesh.cells))
    return SolverError(
        f"The level of the zone is not finite at {count:.0f} of {total} nodes; the temperature or damage field it "
        "comes from has broken down."
    )


def _without_degenerate(triangles: Ints) -> Ints:
    a, b, c = triangles.T
    return np.asarray(triangles[(a != b) & (b != c) & (c != a)])
