"""What lies round the liver, against exact solutions: a ball in a mesh that does not know where the ball ends."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import pyvista
from scipy import sparse
from scipy.sparse.linalg import cg
from verification.cases_meshes import Array, box

from ablationsim.fem.space import P1Space
from ablationsim.fem.stiffness import as_csr
from ablationsim.mesh.mesh import Mesh
from ablationsim.physics.bioheat import Bioheat
from ablationsim.physics.electric import Electric
from ablationsim.physics.lumens import Lumens
from ablationsim.physics.radiofrequency import RadiofrequencySource
from ablationsim.physics.surroundings import Beyond, HeldSurface, Surroundings, liver_share
from ablationsim.tissue import Tissue
from ablationsim.vessels.vessel import Wall

SIZE, RADIUS = 50e-3, 18e-3
CENTRE = np.array([25.7e-3, 24.1e-3, 25.3e-3])  # on no plane of the mesh
BODY = 310.15
CONDUCTIVITY = 0.52
HEAT = 2e5  # W/m3
COUNTS = (8, 12, 18)


def depth(points: Array) -> Array:
    """Distance to the surface of the ball, positive in it."""
    return RADIUS - np.linalg.norm(points - CENTRE, axis=1)


@cache
def ball() -> Wall:
    surface = pyvista.Icosphere(radius=RADIUS, center=CENTRE, nsub=5)
    triangles = surface.regular_faces.astype(np.int64)
    # As much volume as the ball.
    points = CENTRE + (surface.points - CENTRE) * (4.0 / 3.0 * np.pi * RADIUS**3 / surface.volume) ** (1.0 / 3.0)
    return Wall(np.asarray(points, dtype=np.float64), triangles, np.zeros(len(triangles), dtype=bool))


@cache
def mesh(n: int) -> Mesh:
    return box(n, SIZE)


def tissue(perfusion: float = 0.0) -> Tissue:
    return Tissue.load("liver_constant_properties").with_overrides(
        {"perfusion": perfusion, "thermal_conductivity": CONDUCTIVITY}
    )


def steady(bioheat: Bioheat, heat: Array, fixed: Array | None = None) -> Array:
    """Steady temperature for nodal heat [W]; given values that are not NaN are kept."""
    start = np.full(bioheat.space.n_nodes, BODY)
    operator = bioheat.operator(start)
    matrix = as_csr(bioheat.space.scatter.pattern, operator.conduction) + sparse.diags_array(operator.perfusion)
    right = bioheat.flux(operator, start, heat)
    free = np.ones(len(start), dtype=bool) if fixed is None else np.isnan(fixed)
    known = np.zeros_like(start) if fixed is None else np.where(free, 0.0, np.nan_to_num(fixed) - BODY)
    right -= matrix @ known
    reduced = sparse.csr_array(matrix)[free][:, free]
    scale = sparse.diags_array(1.0 / reduced.diagonal())
    found, info = cg(reduced, right[free], rtol=1e-10, maxiter=5000, M=scale)
    assert info == 0
    known[free] = found
    return BODY + known


def error(space: P1Space, found: Array, exact: Array, where: Array) -> float:
    """Root mean square over the tissue at the marked nodes."""
    weight = space.lumped_mass * where
    return float(np.sqrt(np.sum(weight * (found - exact) ** 2) / weight.sum()))


def order(errors: list[float]) -> float:
    """Observed between the coarsest and the finest mesh."""
    return float(np.log(errors[0] / errors[-1]) / np.log(COUNTS[-1] / COUNTS[0]))


def test_ball_that_is_held_at_body_temperature() -> None:
    errors = []
    for n in COUNTS:
        lumens = Lumens(mesh(n), [], Beyond(depth, BODY))
        space = P1Space(mesh(n), lumens.tissue)
        # The heat equation is solved relative to another temperature than that of the body.
        held = HeldSurface(space, ball(), lumens.outside, BODY, 300.0, CONDUCTIVITY)
        bioheat = Bioheat(space, tissue(), [], 300.0, surroundings=Surroundings.none(space.n_nodes, held))
        heat = space.nodal_load(HEAT * space.volume)
        found = steady(bioheat, heat)
        r = np.linalg.norm(mesh(n).points - CENTRE, axis=1)
        errors.append(error(space, found, BODY + HEAT * (RADIUS**2 - r**2) / (6.0 * CONDUCTIVITY), r < RADIUS))
        assert held.power(found) == pytest.approx(heat.sum(), rel=2e-3)
        assert held.area == pytest.approx(4.0 * np.pi * RADIUS**2, rel=2e-3)
        # What is beyond keeps its temperature, but for what leaks to nodes whose elements the surface crosses.
        assert found[lumens.outside] == pytest.approx(BODY, abs=0.5)
    # The middle is 20.8 K warmer than the surface.
    assert errors[-1] < 0.2
    assert order(errors) > 1.7


def test_ball_in_air_loses_no_heat() -> None:
    errors = []
    rate = 0.02
    capacity = tissue().blood_density * tissue().blood_heat_capacity

    def exact(r: Array) -> Array:
        return 10.0 * np.cos(np.pi * r / RADIUS)

    def source(r: Array) -> Array:
        wave = np.pi / RADIUS
        bend = -(wave**2) * np.cos(wave * r) - 2.0 / r * wave * np.sin(wave * r)
        return 10.0 * (-CONDUCTIVITY * bend + rate * capacity * np.cos(wave * r))

    for n in COUNTS:
        lumens = Lumens(mesh(n), [], Beyond(depth))
        space = P1Space(mesh(n), lumens.tissue)
        bioheat = Bioheat(space, tissue(rate), [], BODY)
        r = np.linalg.norm(mesh(n).points - CENTRE, axis=1)
        found = steady(bioheat, space.lumped_mass * source(np.minimum(r, RADIUS)))
        errors.append(error(space, found, BODY + exact(r), r < RADIUS))
    assert errors[-1] < 0.25
    assert order(errors) > 1.5


def test_other_tissue_round_a_ball() -> None:
    errors = []
    other = 0.25
    for n in COUNTS:
        share = liver_share(mesh(n), depth)
        space = P1Space(mesh(n))
        # The shares together are the ball.
        assert space.lumped_mass @ share == pytest.approx(4.0 / 3.0 * np.pi * RADIUS**3, rel=0.3 / n)
        around = Surroundings.of_tissue(share, other / CONDUCTIVITY, 1.0, 1.0)
        bioheat = Bioheat(space, tissue(), [], BODY, surroundings=around)
        r = np.linalg.norm(mesh(n).points - CENTRE, axis=1)
        inside = HEAT * (RADIUS**2 - r**2) / (6.0 * CONDUCTIVITY) + HEAT * RADIUS**2 / (3.0 * other)
        exact = BODY + np.where(r < RADIUS, inside, HEAT * RADIUS**3 / (3.0 * other * np.maximum(r, 1e-9)))
        edge = np.zeros(len(r), dtype=bool)
        edge[mesh(n).facets["outer"]] = True
        found = steady(bioheat, HEAT * share * space.lumped_mass, np.where(edge, exact, np.nan))
        errors.append(error(space, found, exact, np.ones(len(r))))
    # The middle is 107 K warmer than far away. The jump of the conductivity is smeared over an element.
    assert errors[-1] < 0.6
    assert order(errors) > 1.0


def test_other_heat_capacity_and_perfusion_count_by_volume() -> None:
    share = liver_share(mesh(12), depth)
    space = P1Space(mesh(12))
    around = Surroundings.of_tissue(share, 1.0, 0.6, 1.0)
    bioheat = Bioheat(space, tissue(), [], BODY, perfusion=0.02 * share, surroundings=around)
    rise = bioheat.stored_energy(np.full(space.n_nodes, BODY + 1.0)) - bioheat.stored_energy(
        np.full(space.n_nodes, BODY)
    )
    ball_volume, whole = space.lumped_mass @ share, space.lumped_mass.sum()
    capacity = tissue().value("density") * tissue().value("heat_capacity")
    assert rise == pytest.approx(capacity * (ball_volume + 0.6 * (whole - ball_volume)), rel=1e-9)
    blood = tissue().blood_density * tissue().blood_heat_capacity
    warmer = np.full(space.n_nodes, BODY + 1.0)
    taken = bioheat.perfusion_power(bioheat.operator(warmer), warmer)
    assert taken == pytest.approx(0.02 * blood * ball_volume, rel=1e-9)


@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_current_beyond_the_ball(sigma: float) -> None:
    """Through tissue that is held at body temperature it passes as if there were no surface; through air not at all."""
    body = mesh(12)
    space = P1Space(body)

    def source(where: P1Space, lumens: Lumens | None) -> RadiofrequencySource:
        electric = Electric(where, [["bottom"], ["top"]], "insulated", CENTRE, 1e-10)
        ones = np.ones(where.n_nodes)
        tables = tissue().tables()
        if lumens is None:
            return RadiofrequencySource(where, tables, electric, [], ones)
        assert lumens.tissue.beyond is not None
        beyond = (lumens.tissue.beyond > 0.0).astype(np.float64)
        return RadiofrequencySource(where, tables, electric, [], ones, lumens.blood_conductivity, beyond)

    # A slab across the current, from the bottom on.
    def slab(points: Array) -> Array:
        return 0.61 * SIZE - points[:, 2]

    lumens = Lumens(body, [], Beyond(slab, BODY, sigma))
    warm = np.full(space.n_nodes, BODY)
    whole = source(space, None).field(0.0, warm)
    cut = source(P1Space(body, lumens.tissue), lumens).field(0.0, warm)
    tissue_sigma = tissue().value("electric_conductivity")
    assert whole.conductance[0, 0] == pytest.approx(tissue_sigma * SIZE, rel=1e-2)
    if sigma == 0.0:
        assert cut.conductance[0, 0] < 1e-2 * whole.conductance[0, 0]
        return
    assert tissue_sigma == sigma
    assert cut.conductance == pytest.approx(whole.conductance, rel=1e-3)
    # One volt between bottom and top: the heat is even, and that beyond the slab is not the tissue's.
    volts = np.array([0.0, 1.0])
    heat, total = cut.heat(volts).sum(), volts @ cut.conductance @ volts
    away = volts @ cut.beyond_conductance @ volts
    assert heat + away == pytest.approx(total, rel=1e-5)
    assert heat == pytest.approx(0.61 * total, rel=0.01)
