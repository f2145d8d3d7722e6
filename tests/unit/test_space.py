"""P1 elements: geometry, assembly, boundary integrals, probes."""

from __future__ import annotations

import numpy as np
import pytest
from skfem import Basis, BilinearForm, ElementTetP1, ElementTriP1, MeshTet, MeshTri
from skfem.helpers import dot, grad
from verification.cases_meshes import box, cylinder, half_disk, octant, spherical
from verification.matrices import stiffness

from ablationsim.errors import GeometryError, MeshError
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
    scattered = stiffness(space, coefficient)
    # Values off the diagonal are sums of at most eight single-precision numbers, themselves in single precision.
    assert abs(scattered - assembled).max() < 4.0 * np.finfo(np.float32).eps * abs(assembled).max()
    assert scattered.diagonal() == pytest.approx(assembled.diagonal(), rel=1e-6)


def test_constant_has_no_gradient(space: P1Space) -> None:
    matrix = stiffness(space, 1.0)
    assert abs(matrix @ np.ones(space.n_nodes)).max() < 1e-12 * abs(matrix).max()
    assert abs(matrix - matrix.T).max() == 0.0


def test_linear_function_has_its_exact_energy(space: P1Space) -> None:
    z = space.mesh.points[:, -1]
    matrix = stiffness(space, 3.0)
    assert z @ matrix @ z == pytest.approx(3.0 * space.volume.sum(), rel=1e-7)


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
