"""Parts of a mesh: complete for their nodes, the same when put together again, and refused when damaged."""

import hashlib
import json
import sys
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import ablationsim
from ablationsim.case import Case
from ablationsim.errors import MeshError, OutputError
from ablationsim.geometry.geometry import Geometry
from ablationsim.mesh import parts as files
from ablationsim.mesh.generate import mesh_of
from ablationsim.mesh.io import read_mesh
from ablationsim.mesh.merging import merged
from ablationsim.mesh.mesh import Mesh
from ablationsim.mesh.partition import partition, split
from ablationsim.mesh.parts import INDEX, read_parts, write_parts
from ablationsim.parallel import ALONE
from ablationsim.results.run_folder import case_hash

SAMPLES = Path(__file__).parents[2] / "meshes"
NAMES = ["cooltip_axisymmetric.msh", "cooltip_3d.vtu"]


@cache
def sample(name: str) -> Mesh:
    """A sample mesh with a second region, facets between the two, and a set without facets."""
    mesh = read_mesh(SAMPLES / name)
    low = mesh.points[mesh.cells][..., -1].mean(axis=1) < 0.0
    corners = mesh.dimension + 1
    faces = np.concatenate([np.delete(mesh.cells, corner, axis=1) for corner in range(corners)])
    _, face = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True)
    side = np.tile(low, corners)
    both = np.isin(face, face[side]) & np.isin(face, face[~side]) & side
    regions = {"tissue": np.flatnonzero(~low), "lumen:v": np.flatnonzero(low)}
    return replace(mesh, regions=regions, facets={**mesh.facets, "vessel:v": faces[both], "none": faces[:0]})


def slices(mesh: Mesh, count: int) -> np.ndarray:
    """Parts across the mesh, of as many nodes."""
    order = np.argsort(mesh.points @ np.linspace(1.0, 2.0, mesh.dimension))
    owner = np.empty(len(order), dtype=np.int32)
    owner[order] = np.arange(len(order)) * count // len(order)
    return owner


def scattered(mesh: Mesh, count: int) -> np.ndarray:
    """Parts in which hardly a node has a neighbour of its own."""
    return np.random.default_rng(1).integers(0, count, len(mesh.points)).astype(np.int32)


DIVISIONS = [(slices, 1), (slices, 2), (slices, 4), (scattered, 3)]


def faces_of(cells: np.ndarray) -> set[tuple[int, ...]]:
    corners = range(cells.shape[1])
    return {tuple(sorted(np.delete(cell, corner))) for cell in cells.tolist() for corner in corners}


def assert_same(one: object, other: object) -> None:
    """Two parts or meshes with the same arrays."""
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, dict):
            assert list(a) == list(b)
            for name in a:
                np.testing.assert_array_equal(a[name], b[name], err_msg=f"{field.name} {name}")
        elif field.name != "distribution":
            np.testing.assert_array_equal(a, b, err_msg=field.name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("divide", "count"), DIVISIONS)
def test_a_part_is_complete_for_its_nodes(name, divide, count):
    mesh = sample(name)
    owner = divide(mesh, count)
    parts = [split(mesh, owner, number) for number in range(count)]
    own = np.concatenate([part.nodes[: part.own_nodes] for part in parts])
    assert np.array_equal(np.sort(own), np.arange(len(mesh.points)))
    counted = np.concatenate([part.cell_numbers[part.owns_cell] for part in parts])
    assert np.array_equal(np.sort(counted), np.arange(len(mesh.cells)))
    for number, part in enumerate(parts):
        nodes = part.nodes
        assert (np.diff(nodes[: part.own_nodes]) > 0).all()
        assert (np.diff(nodes[part.own_nodes :]) > 0).all()
        assert (np.diff(part.cell_numbers) > 0).all()
        assert (owner[nodes[: part.own_nodes]] == number).all()
        assert np.array_equal(owner[nodes[part.own_nodes :]], part.ghost_owner)
        assert np.array_equal(part.points, mesh.points[nodes])
        # Every element that touches one of its nodes, and no other.
        assert np.array_equal(part.cell_numbers, np.flatnonzero((owner[mesh.cells] == number).any(axis=1)))
        assert np.array_equal(nodes[part.cells], mesh.cells[part.cell_numbers])
        for region, cells in mesh.regions.items():
            assert set(part.cell_numbers[part.regions[region]]) == set(cells) & set(part.cell_numbers)
        here = faces_of(mesh.cells[part.cell_numbers])
        for facets, corners in mesh.facets.items():
            local = [i for i, facet in enumerate(corners.tolist()) if tuple(sorted(facet)) in here]
            assert part.facet_numbers[facets].tolist() == local
            assert np.array_equal(nodes[part.facets[facets]], corners[local])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("divide", [slices, scattered])
def test_merging_parts_gives_what_fewer_ranks_would_get(name, divide):
    mesh = sample(name)
    owner = divide(mesh, 4)
    parts = [split(mesh, owner, number) for number in range(4)]
    halves = np.array([0, 0, 1, 1], dtype=np.int32)
    for number in range(2):
        assert_same(merged(parts[2 * number : 2 * number + 2], halves), split(mesh, halves[owner], number))
    everything = merged(parts, np.zeros(4, dtype=np.int32))
    assert_same(everything, split(mesh, np.zeros_like(owner), 0))
    assert_same(everything.mesh(ALONE), mesh)


def test_the_same_part_twice_is_no_mesh():
    mesh = sample(NAMES[0])
    part = split(mesh, slices(mesh, 2), 0)
    with pytest.raises(MeshError, match="belongs to two parts"):
        merged([part, part], np.zeros(2, dtype=np.int32))


def test_one_part_needs_no_metis_and_more_say_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    mesh = sample(NAMES[0])
    assert not partition(mesh, 1).any()
    with pytest.raises(MeshError, match=r"into 2 parts needs METIS, .* pip install 'ablationsim\[mpi\]'"):
        partition(mesh, 2)


def test_more_parts_than_nodes_are_refused():
    mesh = sample(NAMES[0])
    with pytest.raises(MeshError, match=r"cannot be divided into 100000 parts.*fewer ranks"):
        partition(mesh, 100_000)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A mesh on disk in four parts."""
    # METIS is not there where the distributed engine is not; how the nodes are divided makes no difference here.
    monkeypatch.setattr(files, "partition", slices)
    write_parts(sample(NAMES[1]), tmp_path / "parts", 4, "abc")
    return tmp_path / "parts"


def test_a_process_that_is_alone_reads_the_whole(folder):
    mesh = read_parts(folder, ALONE, ["outer", "A0:tip"])
    assert_same(mesh, sample(NAMES[1]))
    assert not mesh.distribution.parted
    index = json.loads((folder / INDEX).read_text())
    assert (index["version"], index["case_sha256"], len(index["parts_sha256"])) == (1, "abc", 4)


def test_parts_replace_older_ones_and_nothing_else(folder):
    write_parts(sample(NAMES[0]), folder, 2)
    assert sorted(path.name for path in folder.iterdir()) == [INDEX, "part_0000.npz", "part_0001.npz"]
    assert_same(read_parts(folder, ALONE), sample(NAMES[0]))
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"holds other things than parts of a mesh \(thesis\.tex\)"):
        write_parts(sample(NAMES[0]), folder, 2)
    assert_same(read_parts(folder, ALONE), sample(NAMES[0]))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_parts(sample(NAMES[0]), tmp_path / "file" / "parts", 1)


def test_a_name_that_the_mesh_lacks_is_said(folder):
    with pytest.raises(MeshError, match="no facets 'A0:tap'; did you mean 'A0:tip'"):
        read_parts(folder, ALONE, ["outer", "A0:tap"])


def test_no_folder_of_parts(tmp_path):
    with pytest.raises(MeshError, match="holds no mesh in parts"):
        read_parts(tmp_path, ALONE)


@pytest.mark.parametrize("harm", ["missing", "torn", "flipped", "of another mesh"])
def test_a_damaged_part_is_recognised(harm, folder):
    part = folder / "part_0002.npz"
    content = bytearray(part.read_bytes())
    match harm:
        case "missing":
            part.unlink()
        case "torn":
            part.write_bytes(content[:-100])
        case "flipped":
            content[len(content) // 2] ^= 1
            part.write_bytes(content)
        case _:
            part.write_bytes((folder / "part_0001.npz").read_bytes())
    with pytest.raises(MeshError, match=r"cannot be used\. part_0002\.npz is (missing|damaged).*Write the parts again"):
        read_parts(folder, ALONE)


def forge(folder: Path, number: int, **arrays: np.ndarray) -> None:
    """Replace arrays of a part, and its checksum."""
    path = folder / f"part_{number:04d}.npz"
    with np.load(path) as archive:
        content = {name: archive[name] for name in archive.files}
    np.savez(path, **{**content, **arrays})
    index = json.loads((folder / INDEX).read_text())
    index["parts_sha256"][number] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / INDEX).write_text(json.dumps(index))


def part_of(folder: Path, number: int) -> dict[str, np.ndarray]:
    with np.load(folder / f"part_{number:04d}.npz") as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize(
    "name",
    ["points", "nodes", "own_nodes", "ghost_owner", "cells", "cell_numbers", "owns_cell", "region_0", "facets_1"],
)
def test_arrays_that_make_no_part_are_refused(name, folder):
    values = part_of(folder, 1)[name]
    forge(folder, 1, **{name: np.asarray(values, dtype=np.complex128)})
    with pytest.raises(MeshError, match=f"part_0001.npz holds no part of a mesh .*{name} has type complex128"):
        read_parts(folder, ALONE)
    forge(folder, 1, **{name: values.astype(np.int64) + 10**6 if values.dtype.kind == "i" else values[:-1]})
    with pytest.raises(MeshError, match=r"part_0001\.npz holds no part of a mesh"):
        read_parts(folder, ALONE)


def test_objects_and_compressed_arrays_are_not_read(folder):
    content = part_of(folder, 0)
    forge(folder, 0, points=np.array([print], dtype=object))
    with pytest.raises(MeshError, match="Object arrays cannot be loaded"):
        read_parts(folder, ALONE)
    np.savez_compressed(folder / "part_0000.npz", **content)
    index = json.loads((folder / INDEX).read_text())
    index["parts_sha256"][0] = hashlib.sha256((folder / "part_0000.npz").read_bytes()).hexdigest()
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(MeshError, match="compressed"):
        read_parts(folder, ALONE)


@pytest.mark.parametrize(
    ("key", "value"),
    [("version", 2), ("format", "other"), ("nodes", -1), ("nodes", "7"), ("parts_sha256", []), ("facets", [1])],
)
def test_an_index_that_does_not_fit_is_refused(key, value, folder):
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps({**index, key: value}))
    with pytest.raises(MeshError, match=rf"index\.json is damaged or of another version of ablationsim \({key}"):
        read_parts(folder, ALONE)


def test_an_index_that_leaves_parts_out_is_noticed(folder):
    index = json.loads((folder / INDEX).read_text())
    index["parts_sha256"] = index["parts_sha256"][:3]
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(MeshError, match=r"has numbers outside 0 to 2|parts have \d+ of \d+ nodes"):
        read_parts(folder, ALONE)


def test_a_part_knows_what_belongs_to_whom():
    mesh = sample(NAMES[0])
    part = split(mesh, slices(mesh, 2), 1)
    assert (part.n_nodes, part.n_cells, part.axisymmetric) == (len(mesh.points), len(mesh.cells), True)
    assert list(part.facets) == list(mesh.facets)
    assert part.facets["none"].shape == (0, 2)


def test_the_command_writes_a_mesh_in_parts(quick_cli, small, tmp_path, monkeypatch):
    case = tmp_path / "case.toml"
    case.write_text(small)
    done = quick_cli("mesh", case, "--parts", 1, "--output", tmp_path / "parts")
    assert done.returncode == 0
    assert "elements in 1 part\n" in done.stdout
    assert "radius ratio" in done.stdout
    loaded = Case.load(case)
    assert_same(read_parts(tmp_path / "parts", ALONE, ["A0:tip"]), mesh_of(loaded, Geometry.from_case(loaded)))
    assert json.loads((tmp_path / "parts" / INDEX).read_text())["case_sha256"] == case_hash(loaded)
    monkeypatch.setitem(sys.modules, "pymetis", None)
    done = quick_cli("mesh", case, "--parts", 2, "--output", tmp_path / "parts")
    assert done.returncode == 1
    assert "needs METIS" in done.stderr


def test_a_run_in_one_process_takes_a_mesh_in_parts(small, small_run, tmp_path):
    write_parts(small_run.mesh, tmp_path / "parts", 1)
    case = tmp_path / "case.toml"
    case.write_text(small + '[domain]\nmesh = "parts"\n')
    assert ablationsim.simulate(Case.load(case)).zone == small_run.zone
