"""The axisymmetric full-wave solver alone: lines, cylinders and a dipole's field, for which exact solutions exist."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.constants import epsilon_0, speed_of_light
from scipy.special import jv, yv
from skfem import MeshTri
from verification.cases_meshes import Array, Convergence, Profile

from ablationsim import simulate
from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.fem.transverse_magnetic import TransverseMagneticSpace
from ablationsim.geometry.applicator import Applicator
from ablationsim.geometry.placement import Placement
from ablationsim.mesh.antenna import AntennaMesh, antenna_mesh
from ablationsim.physics.microwave import AntennaField, Microwave

Complex = NDArray[np.complex128]

FREQUENCY = 2.45e9
K0 = 2.0 * np.pi * FREQUENCY / speed_of_light


def complex_permittivity(permittivity: float, conductivity: float, frequency: float = FREQUENCY) -> complex:
    return permittivity - 1j * conductivity / (2.0 * np.pi * frequency * epsilon_0)


def _edges(mesh: MeshTri, axis: int, value: float) -> NDArray[np.int32]:
    """End nodes of the boundary edges on which one coordinate has a value."""
    facets = mesh.facets[:, mesh.boundary_facets()]
    return facets[:, np.all(np.abs(mesh.p[axis][facets] - value) < 1e-9, axis=0)].T.astype(np.int32)


# -- coaxial lines ---------------------------------------------------------------------------------------------------

INNER, OUTER = 0.135e-3, 0.470e-3  # m
LINE = 2.03
LENGTH = 30e-3  # m


def line(refinement: int = 1) -> Microwave:
    """Coaxial line with a port at its upper end; its lower half is filled with something else, and ends matched."""
    r, z = np.linspace(INNER, OUTER, 1 + 3 * refinement), np.linspace(0.0, LENGTH, 1 + 60 * refinement)
    mesh = MeshTri.init_tensor(r, z)
    lower = mesh.p[1][mesh.t].mean(axis=0) < 0.5 * LENGTH
    antenna = AntennaMesh(
        points=mesh.p.T.copy(),
        cells=mesh.t.T.astype(np.int32),
        material=np.where(lower, 0, 1).astype(np.int32),
        materials=("tissue", "line"),
        facets={"port": _edges(mesh, 1, LENGTH), "outer": _edges(mesh, 1, 0.0)},
        port_radii=(INNER, OUTER),
        port_height=LENGTH,
    )
    return Microwave(antenna, FREQUENCY, {"line": complex(LINE)})


def line_results(filling: complex, refinement: int = 1) -> dict[str, tuple[complex, complex]]:
    """Computed and exact reflection, absorbed and transmitted power of the line."""
    microwave = line(refinement)
    field = microwave.solve(np.full(len(microwave.centroids), filling))
    step = (np.sqrt(LINE) - np.sqrt(filling)) / (np.sqrt(LINE) + np.sqrt(filling))
    reflection = step * np.exp(-2j * K0 * np.sqrt(LINE) * 0.5 * LENGTH)
    entering = 1.0 - abs(reflection) ** 2
    decay = np.exp(2.0 * K0 * np.sqrt(filling).imag * 0.5 * LENGTH)
    return {
        "reflection": (field.reflection, complex(reflection)),
        "transmitted": (field.radiated, complex(entering * decay)),
        "absorbed": (field.absorbed_tissue, complex(entering * (1.0 - decay))),
        "closure": (field.closure, 0j),
    }


# -- concentric lossy cylinders --------------------------------------------------------------------------------------

CORE, BODY = 0.12, 0.25  # m
CORE_TISSUE, BODY_TISSUE = (89.0, 0.93), (40.0, 0.35)  # relative permittivity, S/m
LOW_FREQUENCY = 70e6


def cylinders(refinement: int = 1) -> Profile:
    """Magnitude of E_z in a lossy cylinder within another, under a uniform axial field of 1 V/m at the outside.

    Exact: ``E_z = A J0(k1 r)`` inside and ``B J0(k2 r) + C Y0(k2 r)`` outside, E_z and H_phi continuous.
    """
    core, body = (complex_permittivity(*tissue, LOW_FREQUENCY) for tissue in (CORE_TISSUE, BODY_TISSUE))
    k = 2.0 * np.pi * LOW_FREQUENCY / speed_of_light * np.sqrt(np.array([core, body]))
    n = 4 * refinement
    r = np.concatenate([np.linspace(0.0, CORE, 2 * n + 1), np.linspace(CORE, BODY, 2 * n + 1)[1:]])
    mesh = MeshTri.init_tensor(r, np.linspace(0.0, 0.03, 1 + refinement))
    inside = mesh.p[0][mesh.t].mean(axis=0) < CORE
    space = TransverseMagneticSpace(
        mesh.p.T.copy(), mesh.t.T.astype(np.int32), {"wall": _edges(mesh, 0, BODY)}, LOW_FREQUENCY
    )
    permittivity = np.where(inside, core, body)
    # (1 / eps) du/dr = j w eps0 r E_z; the load carries the weight 1/r.
    drive = np.full((len(space.facet_cells["wall"]), 1), 1j * space.omega * epsilon_0 * BODY)
    u = space.factorise(permittivity, {}).solve(space.facet_load("wall", drive))
    squares = space.gradient_square_at_points(u) * space.points[:, :, 0]  # |grad u|^2
    radius = space.points[:, :, 0].ravel()
    magnitude = np.abs(np.repeat(permittivity, space.points.shape[1]))
    e = np.sqrt(squares).ravel() / (space.omega * epsilon_0 * magnitude * radius)
    # Continuity at the core: E_z, and H_phi = -j k / (w mu0) E_z', that is k J1.
    system = np.array(
        [
            [jv(0, k[0] * CORE), -jv(0, k[1] * CORE), -yv(0, k[1] * CORE)],
            [k[0] * jv(1, k[0] * CORE), -k[1] * jv(1, k[1] * CORE), -k[1] * yv(1, k[1] * CORE)],
            [0.0, jv(0, k[1] * BODY), yv(0, k[1] * BODY)],
        ]
    )
    a, b, c = np.linalg.solve(system, np.array([0.0, 0.0, 1.0]))
    exact = np.where(radius < CORE, a * jv(0, k[0] * radius), b * jv(0, k[1] * radius) + c * yv(0, k[1] * radius))
    order = np.argsort(radius)
    return Profile("concentric cylinders, 70 MHz", 1e3 * radius[order], e[order], np.abs(exact)[order])


# -- a dipole's field ------------------------------------------------------------------------------------------------

TISSUE = complex_permittivity(43.03, 1.69)
DEPTH = 5e-3  # m: the dipole lies this far below the block
BLOCK = 20e-3  # m


def dipole(points: Array) -> tuple[Complex, Complex]:
    """``u`` and its gradient ``(..., 2)`` of an axial electric dipole below the origin in unbounded tissue."""
    k = K0 * np.sqrt(TISSUE)
    r, z = points[..., 0], points[..., 1] + DEPTH
    distance = np.hypot(r, z)
    wave = np.exp(-1j * k * distance)
    # u = r H_phi = r^2 g(R) with g = (j k / R^2 + 1 / R^3) exp(-j k R)
    g = (1j * k / distance**2 + 1.0 / distance**3) * wave
    slope = (k**2 / distance**2 - 3j * k / distance**3 - 3.0 / distance**4) * wave
    gradient = np.stack([2.0 * r * g + r**2 * slope * r / distance, r**2 * slope * z / distance], axis=-1)
    return r**2 * g, gradient


@cache
def dipole_in_space() -> Convergence:
    """Relative error of ``u`` in L2 in a block on the axis, driven by the exact field on its sides."""
    sizes, errors = [], []
    for n in (8, 16, 32):
        mesh = MeshTri.init_tensor(np.linspace(0.0, BLOCK, n + 1), np.linspace(0.0, BLOCK, n + 1))
        sides = {"side": (0, BLOCK, 0, 1.0), "top": (1, BLOCK, 1, 1.0), "bottom": (1, 0.0, 1, -1.0)}
        facets = {name: _edges(mesh, axis, value) for name, (axis, value, _, _) in sides.items()}
        space = TransverseMagneticSpace(mesh.p.T.copy(), mesh.t.T.astype(np.int32), facets, FREQUENCY)
        load = np.zeros(space.n_dofs, dtype=np.complex128)
        for name, (_, _, normal, sign) in sides.items():
            load += space.facet_load(name, sign * dipole(space.facet_points(name))[1][..., normal] / TISSUE)
        u = space.factorise(np.full(len(mesh.t.T), TISSUE), {}).solve(load)
        exact = dipole(space.points)[0]
        error = np.sum(space.weights * np.abs(space.values_at_points(u) - exact) ** 2)
        sizes.append(1e3 * BLOCK / n)
        errors.append(float(np.sqrt(error / np.sum(space.weights * np.abs(exact) ** 2))))
    return Convergence("dipole in tissue, u", sizes, errors)


# -- a slot antenna that others have computed ------------------------------------------------------------------------


VARIANTS: dict[str, dict[str, float]] = {
    "as published": {},
    "dielectric of the line 2.3 instead of 2.03": {"antenna.materials.line_dielectric.permittivity": 2.3},
    "tip of the catheter 0.2 instead of 0.5 mm long": {
        "applicator.tip_length": 0.2e-3,
        "antenna.dimensions.short_bottom": 0.2e-3,
        "antenna.dimensions.slot_bottom": 5.7e-3,
        "applicator.sections[2].length": 54.2e-3,
    },
    "catheter 2.03 instead of 2.6": {"antenna.materials.catheter.permittivity": 2.03},
    "slot 0.5 mm higher": {"antenna.dimensions.slot_bottom": 6.5e-3},
}
"""What the reflection of the slot antenna hangs on: changes of its profile (SI)."""


@cache
def slot_antenna(resolution: float = 1.0, variant: str = "as published") -> AntennaField:
    """The coaxial slot antenna of the COMSOL application in a cylinder of tissue, 30 mm wide and 80 mm high."""
    device = Device.load("mwa_slot_reference")
    if VARIANTS[variant]:
        device = device.with_values(VARIANTS[variant], status="assumed", note="what if")
    assert device.antenna is not None
    # The block ends 9.5 mm below the tip of the published antenna, whose slot is 15.5 mm above the block's bottom.
    bottom = -9.5e-3 if device.applicator.tip_length > 0.3e-3 else -9.8e-3
    permittivity = {"tissue": 43.03, **{name: m.permittivity for name, m in device.antenna.materials.items()}}
    mesh = antenna_mesh(
        Applicator.build(0, device.applicator, Placement.along()),
        device.antenna,
        FREQUENCY,
        radius=30e-3,
        bottom=bottom,
        top=bottom + 80e-3,
        permittivity=permittivity,
        resolution=resolution,
    )
    microwave = Microwave(mesh, FREQUENCY, {name: complex(value) for name, value in permittivity.items()})
    return microwave.solve(np.full(len(microwave.centroids), TISSUE))


# -- shapes that follow from the physics -----------------------------------------------------------------------------


@cache
def width_over_length(device: str, power: float, seconds: float, cooled: bool = True) -> float:
    """Diameter across the shaft over length along it, undeformed, on coarse elements.

    Without cooling, the walls of the same needle are adiabatic.
    """
    case = Case.from_dict(
        {
            "title": device,
            "device": {"profile": device},
            "protocol": [{"mode": "power", "power": f"{power:g} W", "duration": f"{seconds:g} s"}],
            "tissue": {"set": "liver_porcine_ex_vivo"},
            "mesh": {"resolution": 2.0},
            "time": {"tolerance": 2.0},
        }
    )
    if not cooled:
        part = case.applicators[0]
        sections = tuple(
            section.model_copy(update={"wall_coefficient": 0.0}) for section in part.device.applicator.sections
        )
        dry = part.device.model_copy(
            update={"applicator": part.device.applicator.model_copy(update={"sections": sections})}
        )
        case = replace(case, applicators=(replace(part, device=dry),))
    zone = simulate(case).document
    return float(zone["transverse_diameter_mm"] / zone["axial_length_mm"])
