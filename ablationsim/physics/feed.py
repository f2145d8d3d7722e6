"""From the setting of a microwave generator to the port of the antenna, and what is lost on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ablationsim.fem.kernels import Array
from ablationsim.fem.space import P1Space
from ablationsim.geometry.applicator import Applicator


@dataclass(frozen=True)
class Line:
    """Where a watt of the setting goes before the port [W].

    Attributes
    ----------
    cable : float
        Lost before the needle.
    shaft : float
        Lost in the line inside the needle.
    heated : float
        The part of it that heats the needle's wall inside the modelled tissue.
    arriving : float
        Arrives at the port.
    """

    cable: float
    shaft: float
    heated: float
    arriving: float


@dataclass(frozen=True)
class Feed:
    """Cable and line of an antenna. Heights are above its tip, in metres.

    Attributes
    ----------
    efficiency : float
        Share of the setting that arrives at the needle.
    attenuation : float
        Of the line in the needle [dB/m].
    port : float
        Height of the port.
    end : float
        Height at which the line enters the needle.
    surface : float
        Height at which the needle leaves the modelled tissue.
    heats : bool
        Whether the loss of the line inside the modelled tissue heats the needle's wall; else it is lost outside.
    """

    efficiency: float
    attenuation: float
    port: float
    end: float
    surface: float
    heats: bool

    def line(self, withdrawn: float) -> Line:
        """What becomes of one watt when the needle is withdrawn by a distance [m]."""
        arriving = self.efficiency * self._gain(self.end - self.port)
        submerged = min(max(self.surface - withdrawn, self.port), self.end)
        entering = self.efficiency * self._gain(self.end - submerged)
        return Line(
            cable=1.0 - self.efficiency,
            shaft=self.efficiency - arriving,
            heated=entering - arriving if self.heats else 0.0,
            arriving=arriving,
        )

    def _gain(self, length: float) -> float:
        return float(10.0 ** (-0.1 * self.attenuation * max(length, 0.0)))


def wall_load(space: P1Space, applicator: Applicator, low: float, high: float) -> Array:
    """Nodal shares ``(n,)`` of a heat that an applicator's wall gives off evenly between two heights [m].

    They add up to one, or are all zero where the mesh has no wall there.
    """
    names = [surface.name for surface in applicator.surfaces if surface.name in space.mesh.facets]
    if not names:
        return np.zeros(space.n_nodes)

    def between(w: Any) -> Array:
        z = heights(applicator, np.moveaxis(np.asarray(w.x), 0, -1))
        return ((z >= low) & (z <= high)).astype(np.float64)

    load = space.facet_load(names, between)
    total = space.distribution.comm.sum(float(load.sum()))
    return load / total if total > 0.0 else np.zeros(space.n_nodes)


def wall_top(space: P1Space, applicator: Applicator) -> float:
    """Height above its tip at which an applicator leaves the tissue of the mesh [m]."""
    names = [surface.name for surface in applicator.surfaces if surface.name in space.mesh.facets]
    nodes = [np.zeros(0, dtype=np.int32), *(space.mesh.facets[name].ravel() for name in names)]
    found = heights(applicator, space.mesh.points[np.concatenate(nodes)])
    top = space.distribution.comm.largest(float(found.max(initial=-np.inf)))
    return top if np.isfinite(top) else 0.0


def heights(applicator: Applicator, points: Array) -> Array:
    """Height of mesh points ``(..., d)`` above the tip of an applicator ``(...)`` [m]."""
    world = points if points.shape[-1] == 3 else np.insert(points, 1, 0.0, axis=-1)
    return np.asarray(applicator.to_device(world)[..., 2])
