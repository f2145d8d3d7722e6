"""P1 elements: geometry, assembly, boundary integrals, probes."""

from __future__ import annotations

import numpy as np
import pytest
from skfem import Basis, BilinearForm, ElementTetP1, ElementTriP1, MeshTet, MeshTri
from skfem.helpers import dot, grad
from verification.cases_meshes import box, cylinder, half_disk, octant, spherical

from ablationsim.errors import GeometryError, MeshError
from ablationsim.fem.kernels import csr_product, element_look_up, index_array, joule_heat, look_up, shifted_jacobi_cg
from ablationsim.fem.probing import probe_matrix
from ablationsim.fem.space import P1Space
from ablationsim.mesh.mesh import Mesh

MESHES = {"axisymmetric": cylinder(6, 0.01, 0.02), "3-D": box(4, 0.01)}


@pytest.fixture(params=list(MESHES))
def space(request: pytest.FixtureRequest) -> P1Space:
    return P1Space(MESHES[request.param])


def test_volumes_are_those_of_the_body(space: P1Space) -> None:
    volume = np.pi * 0.01**2 * 0.02 if space.mesh.axisymmetric else 0.01**3
    assert space.volume.sum() == pytest.approx(volume, rel=1e-12)
    assert space.volume == pytest.approx(space.mesh.cell_volumes())
    assert space.lumped_mass.sum() == pytest.approx(volume, rel=1e-12)
    assert (space.lumped_mass > 0).all()
    assert space.averaging.sum(axis=1) == pytest.approx(1.0)


def test_element_mean_is_the_exact_mean_of_a_linear_function(space: P1Space) -> None:
    r_mean = space.element_mean(space.mesh.points[:, 0])
    corners = space.mesh.points[space.mesh.cells][:, :, 0]
    if space.mesh.axisymmetric:
        # The mean of r weighted with r over a triangle is the second moment over the first.
        second = (corners.sum(axis=1) ** 2 + (corners**2).sum(axis=1)) / 12.0
        assert r_mean == pytest.approx(second / corners.mean(axis=1))
    else:
        assert r_mean == pytest.approx(corners.mean(axis=1))


def test_scattered_matrix_is_the_assembled_one(space: P1Space) -> None:
    mesh = space.mesh
    coefficient = np.random.default_rng(0).uniform(0.1, 10.0, len(mesh.cells))
    kind, element = (MeshTri, ElementTriP1) if mesh.dimension == 2 else (MeshTet, ElementTetP1)
    points, cells = np.ascontiguousarray(mesh.points.T), np.ascontiguousarray(mesh.cells.T)
    basis = Basis(kind(points, cells, sort_t=False), element(), intorder=4)
    weight = 2.0 * np.pi * basis.global_coordinates()[0] if mesh.axisymmetric else 1.0

    def form(u, v, w):
        return dot(grad(u), grad(v)) * w.c

    assembled = BilinearForm(form).assemble(basis, c=coefficient[:, None] * weight * np.ones(basis.dx.shape))
    values = space.matrix.values(coefficient)
    scattered = space.matrix.as_csr(values)
    assert abs(scattered - assembled).max() < 1e-12 * abs(assembled).max()
    assert values[space.matrix.diagonal] == pytest.approx(assembled.diagonal())


def test_constant_has_no_gradient(space: P1Space) -> None:
    matrix = space.matrix.as_csr(space.matrix.values(np.ones(len(space.mesh.cells))))
    assert abs(matrix @ np.ones(space.n_nodes)).max() < 1e-12 * abs(matrix).max()
    assert abs(matrix - matrix.T).max() == 0.0


def test_linear_function_has_its_exact_energy(space: P1Space) -> None:
    z = space.mesh.points[:, -1]
    matrix = space.matrix.as_csr(space.matrix.values(np.full(len(space.mesh.cells), 3.0)))
    assert z @ matrix @ z == pytest.approx(3.0 * space.volume.sum())


def test_facet_load_sums_to_areas() -> None:
    mesh = MESHES["axisymmetric"]
    space = P1Space(mesh)
    for name, area in {"side": 2 * np.pi * 0.01 * 0.02, "top": np.pi * 0.01**2}.items():
        assert space.facet_load([name]).sum() == pytest.approx(area, rel=1e-12)
        assert space.facet_load([name]).sum() == pytest.approx(mesh.facet_areas(name).sum())
    total = 2 * np.pi * 0.01 * (0.02 + 0.01)
    assert space.facet_load(["side", "top", "bottom"]).sum() == pytest.approx(total, rel=1e-12)
    cube = P1Space(MESHES["3-D"])
    assert cube.facet_load(["outer"]).sum() == pytest.approx(6e-4, rel=1e-12)
    assert cube.facet_load(["top"]).sum() == pytest.approx(1e-4, rel=1e-12)


def test_facet_load_knows_the_outward_normal() -> None:
    # Divergence theorem: the flux of the position vector is three times the volume.
    for mesh in (cylinder(6, 0.01, 0.02), box(4, 0.01)):
        space = P1Space(mesh)
        flux = space.facet_load(["outer"], lambda w: (w.n * w.x).sum(axis=0)).sum()
        assert flux == pytest.approx(3.0 * space.volume.sum())


def test_no_facets_no_load() -> None:
    mesh = MESHES["3-D"]
    empty = Mesh(mesh.points, mesh.cells, {}, {"none": np.zeros((0, 3), int)}, False)
    assert not P1Space(empty).facet_load(["none"]).any()


def test_facets_inside_the_mesh_are_refused() -> None:
    mesh = MESHES["3-D"]
    boundary = {tuple(sorted(f)) for f in mesh.boundary().tolist()}
    inside = next(c[:3] for c in mesh.cells.tolist() if tuple(sorted(c[:3])) not in boundary)
    wrong = Mesh(mesh.points, mesh.cells, {}, {"wall": np.array([inside])}, False)
    with pytest.raises(MeshError, match="not on its boundary"):
        P1Space(wrong).facet_load(["wall"])


@pytest.mark.parametrize(
    "mesh", [half_disk(np.linspace(0.0, 1.0, 9), 24, spherical), octant(np.linspace(0.1, 1.0, 8), 6, spherical)]
)
def test_probes_give_linear_functions_exactly(mesh: Mesh) -> None:
    slope = np.arange(1.0, mesh.dimension + 1.0)
    inside = 0.5 * (mesh.points[mesh.cells[::7]].mean(axis=1) + mesh.points[mesh.cells[::7, 0]])
    for points in (inside, mesh.points[::5]):
        assert probe_matrix(mesh, points, 0.0) @ (mesh.points @ slope) == pytest.approx(points @ slope, abs=1e-12)


def test_probe_outside_reads_the_nearest_node_within_reach() -> None:
    mesh = MESHES["axisymmetric"]
    beyond = np.array([[0.0105, 0.02]])
    corner = np.argmin(np.hypot(*(mesh.points - [0.01, 0.02]).T))
    assert probe_matrix(mesh, beyond, 1e-3) @ np.arange(len(mesh.points)) == pytest.approx([corner])
    with pytest.raises(GeometryError, match=r"0\.50 mm outside"):
        probe_matrix(mesh, beyond, 1e-4)


def test_look_up_is_linear_interpolation_and_extrapolates_the_end() -> None:
    table = np.array([0.0, 1.0, 4.0, 9.0])
    x = np.array([10.0, 11.0, 12.5, 16.0, 18.0])
    value, slope = np.empty(5), np.empty(5)
    look_up(x, 10.0, 2.0, table, value, slope)
    assert value == pytest.approx([0.0, 0.5, 1.75, 9.0, 14.0])
    assert slope == pytest.approx([0.5, 0.5, 1.5, 2.5, 2.5])


def test_element_look_up_holds_the_ends(space: P1Space) -> None:
    table = np.array([2.0, 4.0, 4.0])
    out = np.empty(len(space.mesh.cells))
    for x, expected in ((-5.0, 2.0), (0.5, 3.0), (7.0, 4.0)):
        nodal = np.full(space.n_nodes, x)
        factor = np.full(space.n_nodes, 0.5)
        element_look_up(nodal, 0.0, 1.0, table, factor, space.mesh.cells, space.averaging, out)
        assert out == pytest.approx(0.5 * expected)


def test_joule_heat_of_a_uniform_field(space: P1Space) -> None:
    potential = 100.0 * space.mesh.points[:, -1]
    heat = np.empty(space.n_nodes)
    sigma = np.full(len(space.mesh.cells), 0.2)
    whole, half = np.ones_like(sigma), np.full_like(sigma, 0.5)
    elements = (space.mesh.cells, space.element_stiffness, space.averaging)
    power = joule_heat(potential, potential, sigma, whole, *elements, heat)
    assert power == pytest.approx(0.2 * 100.0**2 * space.volume.sum())
    assert heat == pytest.approx(0.2 * 100.0**2 * space.lumped_mass)
    assert joule_heat(potential, potential, sigma, half, *elements, heat) == pytest.approx(power)
    assert heat.sum() == pytest.approx(0.5 * power)


def test_shifted_cg_solves_and_reports_failure(space: P1Space) -> None:
    matrix = space.matrix
    values = matrix.values(np.ones(len(space.mesh.cells)))
    dense = matrix.as_csr(values).toarray()
    shift = 1e3 * space.lumped_mass
    expected = np.random.default_rng(1).standard_normal(space.n_nodes)
    rhs = 2.0 * dense @ expected + shift * expected
    args = (matrix.indptr, matrix.indices, values, 2.0, shift, matrix.diagonal, rhs)
    x = np.zeros(space.n_nodes)
    assert shifted_jacobi_cg(*args, x, 1e-12, 1000) > 0
    assert x == pytest.approx(expected, abs=1e-9)
    assert shifted_jacobi_cg(*args, np.zeros(space.n_nodes), 1e-12, 2) == -1
    product = np.empty(space.n_nodes)
    csr_product(matrix.indptr, matrix.indices, values, expected, product)
    assert product == pytest.approx(dense @ expected)
    assert index_array([1, 2]).dtype == np.uint32
