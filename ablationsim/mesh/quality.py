"""How good a mesh is: shapes and sizes of its elements, volumes of its regions, areas of its named facets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from ablationsim.mesh.mesh import Floats, Mesh

SCHEMA = "ablationsim mesh quality"
VERSION = 1

#: Bounds of the classes of the histogram of edge lengths, each 2^(1/2) of the one before [m].
CLASSES = 1e-3 * 2.0 ** np.arange(-5.0, 5.5, 0.5)


@dataclass(frozen=True)
class Spread:
    """A number that every element has: the smallest of all, that which 5 % are below, the median and the largest."""

    least: float
    low: float
    median: float
    most: float

    @classmethod
    def of(cls, values: Floats) -> Spread:
        """The spread of values, at least one."""
        return cls(*(float(x) for x in np.percentile(values, [0, 5, 50, 100])))

    def document(self, factor: float = 1.0) -> dict[str, float]:
        """For JSON, times a factor."""
        values = (self.least, self.low, self.median, self.most)
        return dict(zip(("least", "percentile_5", "median", "most"), (factor * x for x in values), strict=True))


@dataclass(frozen=True)
class Volumes:
    """A part of a patient in the block: its volume in the mesh and in the image [m3]."""

    mesh: float
    voxels: float

    @property
    def difference(self) -> float:
        """Of the mesh from the voxels, relative to them; NaN when the image has none of it in the block."""
        return self.mesh / self.voxels - 1.0 if self.voxels else float("nan")


@dataclass(frozen=True, eq=False)
class MeshQuality:
    """Quality of a mesh.

    Attributes
    ----------
    nodes, elements : int
    radius_ratio : Spread
        Inscribed over circumscribed radius, times the dimension: 1 for a regular element, 0 for a flat one.
    scaled_jacobian : Spread
        Determinant of the edges at a corner, relative to that of a regular element with edges as long as these, the
        smallest of the corners (Knupp 2003): 1 for a regular element, 0 for a flat one, negative for one inside out.
    edges : (n,) float64
        Length of every edge, each once [m].
    regions : dict of float
        Volume of each region [m3]; of an axisymmetric mesh that of its revolution.
    facets : dict of float
        Area of each named set of facets [m2].
    worst : (d,) float64
        Centre of the element with the smallest radius ratio [m].
    parts : dict of Volumes
        Parts of the patient, by name; see `ablationsim.cli.meshing`.
    """

    nodes: int
    elements: int
    radius_ratio: Spread
    scaled_jacobian: Spread
    edges: Floats
    regions: Mapping[str, float]
    facets: Mapping[str, float]
    worst: Floats
    parts: Mapping[str, Volumes] = field(default_factory=dict)

    @classmethod
    def of(cls, mesh: Mesh, parts: Mapping[str, Volumes] | None = None) -> MeshQuality:
        """Measure a whole mesh.

        Parameters
        ----------
        mesh : Mesh
            With at least one element.
        parts : mapping of str to Volumes, optional
            What is known of the parts of a patient.
        """
        ratio, volumes = mesh.quality(), mesh.cell_volumes()
        return cls(
            nodes=len(mesh.points),
            elements=len(mesh.cells),
            radius_ratio=Spread.of(ratio),
            scaled_jacobian=Spread.of(scaled_jacobian(mesh)),
            edges=edge_lengths(mesh),
            regions={name: float(volumes[cells].sum()) for name, cells in mesh.regions.items()},
            facets={name: float(mesh.facet_areas(name).sum()) for name in mesh.facets},
            worst=mesh.points[mesh.cells[ratio.argmin()]].mean(axis=0),
            parts=dict(parts or {}),
        )

    def document(self) -> dict[str, Any]:
        """Everything for JSON, in mm, mm2 and mL."""
        count, bounds = np.histogram(self.edges, CLASSES)
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "nodes": self.nodes,
            "elements": self.elements,
            "radius_ratio": self.radius_ratio.document(),
            "scaled_jacobian": self.scaled_jacobian.document(),
            "worst_element_mm": [1e3 * float(x) for x in self.worst],
            "edge_length_mm": Spread.of(self.edges).document(1e3),
            "edge_length_histogram": {
                "bounds_mm": [round(1e3 * float(x), 6) for x in bounds],
                "edges": [int(n) for n in count],
                "shorter": int((self.edges < bounds[0]).sum()),
                "longer": int((self.edges > bounds[-1]).sum()),
            },
            "regions_ml": {name: 1e6 * volume for name, volume in self.regions.items()},
            "facets_mm2": {name: 1e6 * area for name, area in self.facets.items()},
            "parts": {
                name: {
                    "mesh_ml": 1e6 * part.mesh,
                    "voxels_ml": 1e6 * part.voxels,
                    "difference": part.difference if part.voxels else None,
                }
                for name, part in self.parts.items()
            },
        }


def scaled_jacobian(mesh: Mesh) -> Floats:
    """Return the scaled Jacobian of each cell, shape (m,): 1 when regular, 0 when flat."""
    corners = mesh.points[mesh.cells]
    determinant = np.linalg.det(corners[:, 1:] - corners[:, :1])
    count = corners.shape[1]
    longest = np.zeros(len(corners))
    for a in range(count):
        others = [b for b in range(count) if b != a]
        lengths = np.linalg.norm(corners[:, others] - corners[:, a : a + 1], axis=2)
        longest = np.maximum(longest, lengths.prod(axis=1))
    regular = 2.0 / np.sqrt(3.0) if count == 3 else np.sqrt(2.0)
    return np.asarray(regular * determinant / longest)


def edge_lengths(mesh: Mesh) -> Floats:
    """Return the length of each edge, each once [m]."""
    pairs = np.concatenate([mesh.cells[:, pair] for pair in combinations(range(mesh.cells.shape[1]), 2)])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    return np.asarray(np.linalg.norm(mesh.points[pairs[:, 1]] - mesh.points[pairs[:, 0]], axis=1))
