"""How the shaft of an applicator guides tissue that moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ablationsim.geometry.applicator import Applicator
from ablationsim.mesh.mesh import Mesh

Floats = NDArray[np.float64]


def along_shaft(mesh: Mesh, applicators: Sequence[Applicator]) -> Floats:
    """Unit vector ``(n, d)`` along the shaft at each node on its wall, zero at all others.

    One shaft alone guides tissue. Several are pulled toward each other by what contracts between them, and tines are
    thin: these give way, and there is no vector at their walls.
    """
    directions = np.zeros_like(mesh.points)
    if len(applicators) == len(applicators[0].shafts) == 1:
        alone = applicators[0]
        for section in alone.sections:
            nodes = mesh.facets.get(section.surface.name, np.zeros(0, dtype=np.int32)).ravel()
            directions[nodes] = np.array([0.0, 1.0]) if mesh.axisymmetric else alone.axis
    return mesh.distribution.update(directions)
