"""The field of a microwave antenna in tissue, by the axisymmetric full-wave equations.

The antenna is fed by one watt through a coaxial line, whose mode enters and leaves at a port; waves leave the tissue
through a boundary that absorbs to first order. Power is accounted for: what is absorbed in tissue and antenna, radiated
through the boundary and reflected into the line adds up to what came in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.constants import epsilon_0, mu_0, pi

from ablationsim.errors import DeviceError
from ablationsim.fem.transverse_magnetic import Complex, Floats, TransverseMagneticSpace
from ablationsim.mesh.antenna import AntennaMesh

TISSUE = 0
"""Number of the tissue among the materials of an antenna's mesh."""


@dataclass(frozen=True)
class AntennaField:
    """Where one watt goes that comes in at the port.

    Attributes
    ----------
    power : (t, q) array
        Absorbed at the points of the tissue's triangles [W]; its sum is `absorbed_tissue`.
    reflection : complex
        Reflection coefficient of the electric field at the port.
    absorbed_tissue, absorbed_antenna, radiated : float
        Power absorbed in tissue and in the antenna's dielectrics, and radiated beyond the modelled tissue [W].
    permittivity : (t,) complex array
        Relative permittivity of the tissue that the field was computed for.
    """

    power: Floats
    reflection: complex
    absorbed_tissue: float
    absorbed_antenna: float
    radiated: float
    permittivity: Complex

    @property
    def reflected(self) -> float:
        """Power reflected into the line [W]."""
        return abs(self.reflection) ** 2

    @property
    def s11_db(self) -> float:
        """Reflection in decibels."""
        return 20.0 * math.log10(max(abs(self.reflection), 1e-15))

    @property
    def closure(self) -> float:
        """Share of the incident power that the account misses."""
        return abs(1.0 - self.absorbed_tissue - self.absorbed_antenna - self.radiated - self.reflected)


class Microwave:
    """Full-wave solver for one antenna.

    Parameters
    ----------
    mesh : AntennaMesh
        Antenna and tissue in the device frame; its first material is the tissue.
    frequency : float
        [Hz]
    materials : mapping of str to complex
        Relative permittivity of every other material of the mesh, ``eps' - j sigma / (w eps0)``.

    Attributes
    ----------
    mesh : AntennaMesh
    centroids : (t, 2) array
        Centroids (r, z) of the tissue's triangles [m].
    points : (t, q, 2) array
        Points (r, z) of the tissue's triangles at which the absorbed power is given [m].

    Raises
    ------
    DeviceError
        If the line at the port is lossy: its mode would have no real impedance.
    """

    def __init__(self, mesh: AntennaMesh, frequency: float, materials: Mapping[str, complex]) -> None:
        self.mesh = mesh
        self.space = TransverseMagneticSpace(
            mesh.points, mesh.cells, {"port": mesh.facets["port"], "outer": mesh.facets["outer"]}, frequency
        )
        self._tissue: NDArray[np.intp] = np.flatnonzero(mesh.material == TISSUE)
        self._antenna: NDArray[np.intp] = np.flatnonzero(mesh.material != TISSUE)
        known = np.array([1.0, *(materials[name] for name in mesh.materials[1:])], dtype=np.complex128)
        self._permittivity = known[mesh.material]
        line = self._permittivity[self.space.facet_cells["port"]]
        if np.any(line.imag != 0.0):
            raise DeviceError(
                "the coaxial line at the antenna's port has a conductivity; its dielectric must be lossless there "
                "(state losses of the line as antenna.shaft_attenuation)"
            )
        self._line = line
        inner, outer = mesh.port_radii
        impedance = math.sqrt(mu_0 / (epsilon_0 * float(line.real.mean())))  # of the wave in the line's dielectric
        self._amplitude = math.sqrt(1.0 / (pi * impedance * math.log(outer / inner)))  # of u, for one watt
        self.centroids: Floats = mesh.points[mesh.cells[self._tissue]].mean(axis=1)
        self.points: Floats = self.space.points[self._tissue]

    def complex_permittivity(self, permittivity: Floats, conductivity: Floats) -> Complex:
        """Relative complex permittivity from its real part and the effective conductivity [S/m]."""
        return permittivity - 1j * conductivity / (self.space.omega * epsilon_0)

    def solve(self, permittivity: Complex) -> AntennaField:
        """Field of one watt at the port.

        Parameters
        ----------
        permittivity : (t,) complex array
            Relative permittivity of each of the tissue's triangles.

        Raises
        ------
        SolverError
            If the system cannot be solved.
        """
        space = self.space
        everywhere = self._permittivity.copy()
        everywhere[self._tissue] = permittivity
        matched = 1j * space.k0 / np.sqrt(self._line)
        system = space.factorise(everywhere, {"port": matched, "outer": space.absorbing("outer", everywhere)})
        u = system.solve(space.facet_load("port", 2.0 * self._amplitude * matched[:, None]))
        absorbed = space.absorbed(everywhere, space.gradient_square(u))
        # The magnetic field of the returning wave has the opposite sign of its electric field.
        reflection = 1.0 - space.mean_on("port", u) / self._amplitude
        density = (space.gradient_square_at_points(u) * space.weights)[self._tissue]
        return AntennaField(
            power=_shares(absorbed[self._tissue], density),
            reflection=reflection,
            absorbed_tissue=float(absorbed[self._tissue].sum()),
            absorbed_antenna=float(absorbed[self._antenna].sum()),
            radiated=space.radiated("outer", everywhere, u),
            permittivity=np.array(permittivity, dtype=np.complex128),
        )


def _shares(absorbed: Floats, density: Floats) -> Floats:
    """Power of each triangle on its points, in proportion to what they stand for."""
    total = density.sum(axis=1)
    even = total <= 0.0
    shares = np.where(even[:, None], 1.0 / density.shape[1], density / np.where(even, 1.0, total)[:, None])
    return absorbed[:, None] * shares
