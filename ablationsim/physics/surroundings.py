"""What lies round the liver of a patient: other tissue, nothing at all, or tissue that keeps the body's temperature.

The mesh need not know where the liver ends. Other tissue is mixed in at the nodes by volume. Where nothing is (air), or
where the temperature is known, elements that the surface of the liver crosses keep the liver's part alone, as they do
at the walls of vessels (`ablationsim.fem.tissue_share`): heat and current then do not pass the surface, or the surface
is held at the temperature of the body in Nitsche's way (`ablationsim.fem.wall`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ablationsim.fem.kernels import Array
from ablationsim.fem.location import Locator
from ablationsim.fem.space import P1Space
from ablationsim.fem.tissue_share import TissueShare
from ablationsim.fem.wall import WallPoints, exchange_matrix
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.patient import LIVER_SURFACE, OUTSIDE
from ablationsim.vessels.vessel import Wall

_HELD = 1e6
"""Coefficient of a surface that is held at a temperature: that of half a micrometre of tissue [W/m2/K]."""

_RENEWAL = 4e6
"""Exchange that holds what the mesh keeps of the tissue outside at its temperature, within a second [W/m3/K]."""


@dataclass(frozen=True)
class Beyond:
    """What is beyond the surface of the liver, where that is no tissue whose heating is computed.

    Attributes
    ----------
    distance : callable
        From points ``(p, 3)`` to the distance to the surface ``(p,)``, negative beyond it, positive in the liver [m].
    temperature : float or None
        At which it is held [K]; None where no heat passes the surface.
    electric_conductivity : float
        At which current goes on there; zero where none passes [S/m].
    """

    distance: Callable[[Array], Array]
    temperature: float | None = None
    electric_conductivity: float = 0.0


class HeldSurface:
    """The surface of the liver, held at a temperature, and all that is beyond it.

    Parameters
    ----------
    space : P1Space
        Of the tissue in the liver.
    wall : Wall
        The surface, with normals that point out of the liver; what closes it at the border of an image is left out.
    beyond : (n,) bool array
        Nodes that touch no tissue of the liver, which are held too.
    temperature, reference : float
        That of the surface, and the one that the heat equation is solved relative to [K].
    conductivity : float
        Thermal conductivity of the tissue at the surface [W/m/K].

    Attributes
    ----------
    matrix : sparse (n, n) array
        What it adds to the conduction matrix [W/K].
    source : (n,) array
        What it adds to the right-hand side, relative to the reference temperature [W].
    area : float
        Of the surface in the mesh [m2].
    """

    def __init__(
        self,
        space: P1Space,
        wall: Wall,
        beyond: NDArray[np.bool_],
        temperature: float,
        reference: float,
        conductivity: float,
    ) -> None:
        mesh = space.mesh
        if LIVER_SURFACE in mesh.facets:
            points = WallPoints.fitted(mesh, LIVER_SURFACE)
        else:
            # The tissue is inside the surface, not outside it as that of vessels.
            triangles = wall.points[wall.triangles[~wall.capped]][:, ::-1]
            points = WallPoints.embedded(space, Locator(mesh), triangles)
        coefficient = 1.0 / (1.0 / _HELD + points.depth / conductivity)
        mine = space.distribution.without_ghosts(np.ones(space.n_nodes))
        held = np.where(beyond, _RENEWAL * space.lumped_mass, 0.0)
        self.matrix = exchange_matrix(points, coefficient, conductivity) + sparse.diags_array(held)
        self._load = mine * (points.shape.T @ (coefficient * points.area))
        self._theta = temperature - reference
        self._comm = space.distribution.comm
        self._reference = reference
        self._total = self._comm.sum(float(self._load.sum())) * self._theta
        self.source: Array = (self._load + held) * self._theta
        self.area = self._comm.sum(float((points.area * (points.shape @ mine)).sum()))

    def power(self, temperature: Array) -> float:
        """Heat that passes the surface from the liver at a nodal temperature ``(n,)`` [K], in watts."""
        return self._comm.sum(float(np.dot(self._load, temperature - self._reference))) - self._total


@dataclass(frozen=True)
class Surroundings:
    """Properties of the tissue at the nodes relative to those of the liver, and the surface where it ends.

    Attributes
    ----------
    conductivity, capacity, electric : (n,) arrays
        Factors on thermal conductivity, heat capacity and electric conductivity.
    surface : HeldSurface or None
        The surface of the liver, where it is held at a temperature.
    within : (n,) array or None
        Share of each node's volume that is not beyond the surface: what an applicator's wall gives to the tissue or
        takes from it there is so much less. None where nothing is beyond.
    """

    conductivity: Array
    capacity: Array
    electric: Array
    surface: HeldSurface | None = None
    within: Array | None = None

    @classmethod
    def of_tissue(cls, liver: Array, conductivity: float, capacity: float, electric: float) -> Surroundings:
        """Other tissue round the liver.

        Parameters
        ----------
        liver : (n,) array
            Share of the liver at each node: see `liver_share`.
        conductivity, capacity, electric : float
            Of the other tissue relative to the liver.
        """
        other = 1.0 - liver
        # Most of what flows crosses the surface, so that one tissue comes after the other.
        in_series = [1.0 / (liver + other / ratio) for ratio in (conductivity, electric)]
        return cls(in_series[0], liver + other * capacity, in_series[1])

    @classmethod
    def none(cls, n: int, surface: HeldSurface | None = None, within: Array | None = None) -> Surroundings:
        """Liver at all `n` nodes, as far as there is tissue."""
        return cls(np.ones(n), np.ones(n), np.ones(n), surface, within)


def tissue_within(mesh: Mesh, distance: Callable[[Array], Array]) -> TissueShare:
    """The part of each element that is not beyond a surface.

    Parameters
    ----------
    mesh : Mesh
        Tetrahedra; of a mesh that is fitted to the surface, its region `OUTSIDE` is what is beyond.
    distance : callable
        Distance of points to the surface, negative beyond it [m].
    """
    if LIVER_SURFACE in mesh.facets:
        return TissueShare.of_region(mesh, beyond_fitted(mesh))
    return TissueShare.outside(mesh, [distance])


def beyond_fitted(mesh: Mesh) -> NDArray[np.int32]:
    """Numbers of the elements beyond the liver in a mesh that is fitted to it; none where they were left out."""
    return mesh.regions.get(OUTSIDE, np.zeros(0, dtype=np.int32))


def liver_share(mesh: Mesh, distance: Callable[[Array], Array]) -> Array:
    """Share of the liver in the volume that belongs to each node ``(n,)``.

    Parameters
    ----------
    mesh : Mesh
        Tetrahedra.
    distance : callable
        Distance of points ``(p, 3)`` to its surface, negative outside of it [m].
    """
    return nodal_share(mesh, tissue_within(mesh, distance).load)


def nodal_share(mesh: Mesh, load: Array) -> Array:
    """Share of something in the volume that belongs to each node ``(n,)``.

    Parameters
    ----------
    mesh : Mesh
        Tetrahedra.
    load : (m, 4) array
        Integral of each corner's shape function over it, relative to the element's volume.
    """
    volumes = mesh.cell_volumes()
    n, nodes = len(mesh.points), mesh.cells.ravel()
    own = np.bincount(nodes, (volumes[:, None] * load).ravel(), minlength=n)
    all_of_it = np.bincount(nodes, np.repeat(0.25 * volumes, 4), minlength=n)
    share = np.divide(own, all_of_it, out=np.zeros(n), where=all_of_it > 0.0)
    # What a ghost has here is only a part of its volume.
    return np.clip(mesh.distribution.update(share), 0.0, 1.0)
