"""Meshes divided among ranks: what each has, what they find together, and what they leave in a run folder."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvista
from parallel.programs.zone_figures import figures

from ablationsim.case import Case
from ablationsim.errors import CheckpointError, OutputError
from ablationsim.mesh.io import read_mesh
from ablationsim.results import Result, run_folder
from ablationsim.results.frames import Frames

PROGRAMS = Path(__file__).parent / "programs"
SAMPLES = Path(__file__).parents[2] / "meshes"
MESHES = [SAMPLES / "cooltip_axisymmetric.msh", SAMPLES / "cooltip_3d.vtu"]


@pytest.mark.parametrize("mesh", MESHES, ids=["axisymmetric", "3d"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_ranks_have_all_of_a_mesh_between_them(n, mesh, mpirun, tmp_path):
    done = mpirun(n, PROGRAMS / "exchange.py", mesh, tmp_path / "parts")
    assert done.stdout.count("is content") == n


@pytest.mark.parametrize("path", MESHES, ids=["axisymmetric", "3d"])
def test_zones_do_not_depend_on_the_number_of_ranks(path, mpirun, tmp_path):
    found = []
    for n in (1, 2, 3):
        mpirun(n, PROGRAMS / "zone_figures.py", path, tmp_path / "figures.json")
        found.append(json.loads((tmp_path / "figures.json").read_text()))
    # Surfaces are the same to the last digit and in the same order; sums over elements come out to rounding.
    for others in found[1:]:
        for name, zone in found[0].items():
            assert others[name]["points"] == zone["points"]
            assert others[name]["facets"] == zone["facets"]
    alone = json.loads(json.dumps(figures(read_mesh(path))))
    assert {name: zone["pieces"] for name, zone in alone.items()}["pieces"] > 1
    assert [alone[name]["reaches_boundary"] for name in ("round", "cut")] == [False, True]
    for zones in found:
        for name, zone in alone.items():
            assert zones[name].keys() == zone.keys()
            assert zones[name]["facets"] == zone["facets"]
            np.testing.assert_allclose(zones[name]["points"], zone["points"], rtol=1e-12, atol=1e-15)
            for key in zone.keys() - {"points", "facets"}:
                value = zone[key]
                expected = pytest.approx(value, rel=1e-10, abs=1e-18) if isinstance(value, float) else value
                assert zones[name][key] == expected, (name, key)


@pytest.fixture(scope="module")
def solid_run(small_run, tmp_path_factory) -> Result:
    """A run folder with a mesh of tetrahedra, made up of the small run and of smooth fields."""
    mesh = read_mesh(MESHES[1])
    frames = Frames()
    for time in small_run.frames.times:
        frames.append(time, 310.0 + time * np.exp(-1e3 * (mesh.points**2).sum(axis=1)))
    level = 0.01 - np.linalg.norm(mesh.points - [0.0, 0.0, 0.01], axis=1)
    fields = {name: level + i for i, name in enumerate(("omega", "cem43", "max_temperature", "lost_water"))} | {
        "level": level
    }
    folder = tmp_path_factory.mktemp("solid") / "run"
    record = small_run.record | {"axisymmetric": False}
    result = replace(small_run, mesh=mesh, frames=frames, fields=fields, record=record, folder=folder)
    run_folder.begin(folder, result.case, mesh, record)
    run_folder.finish(folder, result)
    return result


def faces(nodes: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(sorted(facet)) for facet in nodes.tolist()}


def assert_same_result(one: Result, other: Result) -> None:
    """Two results with the same mesh and the same fields at every node."""
    np.testing.assert_array_equal(one.mesh.points, other.mesh.points)
    np.testing.assert_array_equal(one.mesh.cells, other.mesh.cells)
    assert one.mesh.axisymmetric == other.mesh.axisymmetric
    assert list(one.mesh.regions) == list(other.mesh.regions)
    for name, cells in one.mesh.regions.items():
        np.testing.assert_array_equal(cells, other.mesh.regions[name])
    assert list(one.mesh.facets) == list(other.mesh.facets)
    for name, nodes in one.mesh.facets.items():
        assert faces(nodes) == faces(other.mesh.facets[name])
        assert len(nodes) == len(other.mesh.facets[name])
    np.testing.assert_array_equal(one.frames.times, other.frames.times)
    for i in range(len(one.frames)):
        np.testing.assert_array_equal(one.frames.temperature(i), other.frames.temperature(i))
    assert one.fields.keys() == other.fields.keys()
    for name, values in one.fields.items():
        np.testing.assert_array_equal(values, other.fields[name], err_msg=name)
    assert one.document == other.document
    assert one.record == other.record
    np.testing.assert_array_equal(one.history.table, other.history.table)


def read_series(folder: Path, frame: int) -> pyvista.UnstructuredGrid:
    """A frame as ParaView reads it from the list of all."""
    reader = pyvista.get_reader(folder / "fields.pvd")
    reader.set_active_time_point(frame)
    return reader.read()[0]


@pytest.mark.parametrize("run", ["small_run", "solid_run"])
def test_a_distributed_run_is_read_back_whole(run, request, mpirun, tmp_path):
    whole = request.getfixturevalue(run)
    assert whole.folder is not None
    folder = tmp_path / "run"
    for n in (3, 2):
        mpirun(n, PROGRAMS / "pieces.py", whole.folder, folder)
        # What three ranks left is gone when two have run in the same folder.
        assert sorted(path.name for path in folder.glob("fields/part_*")) == [f"part_{i:04d}.npz" for i in range(n)]
        assert_same_result(Result.load(folder), Result.load(whole.folder))
        assert (folder / "zone.stl").read_bytes() == (whole.folder / "zone.stl").read_bytes()
        left = {path.name for path in folder.iterdir()} - {"checkpoint", "log.txt", "case.toml"}
        assert left == {path.name for path in whole.folder.iterdir()} - {
            "checkpoint",
            "log.txt",
            "case.toml",
            "fields.npz",
        }
        last = len(whole.frames) - 1
        mine, theirs = read_series(folder, last), read_series(whole.folder, last)
        assert mine.n_cells == theirs.n_cells == len(whole.mesh.cells)
        assert mine.array_names == theirs.array_names
        assert mine.volume + mine.area == pytest.approx(theirs.volume + theirs.area, rel=1e-9)
        # Nodes between two ranks are in the files of both.
        assert mine.n_points > theirs.n_points
        place = theirs.find_closest_point
        nodes = np.array([place(point) for point in mine.points])
        for name in theirs.array_names:
            np.testing.assert_array_equal(mine[name], theirs[name][nodes])
    (folder / "fields" / "part_0001.npz").write_bytes((folder / "fields" / "part_0000.npz").read_bytes())
    with pytest.raises(OutputError, match=r"are damaged \(its pieces do not have each"):
        Result.load(folder)
    (folder / "fields" / "part_0001.npz").unlink()
    with pytest.raises(OutputError, match=r"are damaged \(.*No such file.*part_0001"):
        Result.load(folder)
    # A run in one process over it leaves nothing of the pieces.
    run_folder.begin(folder, whole.case, whole.mesh, whole.record)
    run_folder.finish(folder, whole)
    assert not list(folder.glob("fields/part_*"))
    assert not list(folder.glob("fields/*.pvtu"))
    assert_same_result(Result.load(folder), Result.load(whole.folder))


def test_a_mesh_in_parts_gives_the_same_run(mpi_python, mpirun, small, tmp_path):
    plain, divided = tmp_path / "plain.toml", tmp_path / "divided.toml"
    plain.write_text(small)
    divided.write_text(small + '[domain]\nmesh = "parts"\n')
    command = [mpi_python, "-m", "ablationsim.cli", "mesh", plain, "--output", tmp_path / "parts", "--parts"]
    subprocess.run([*command, "3"], check=True)
    mpirun(1, PROGRAMS / "run_case.py", plain, tmp_path / "one")
    mpirun(2, PROGRAMS / "run_case.py", divided, tmp_path / "two")
    one, two = Result.load(tmp_path / "one"), Result.load(tmp_path / "two")
    np.testing.assert_array_equal(two.mesh.points, one.mesh.points)
    np.testing.assert_array_equal(two.mesh.cells, one.mesh.cells)
    np.testing.assert_allclose(two.fields["max_temperature"], one.fields["max_temperature"], rtol=1e-8)
    assert two.zone.volume_ml == pytest.approx(one.zone.volume_ml, rel=1e-8)
    assert (tmp_path / "one" / "mesh.vtu").exists()
    assert not (tmp_path / "two" / "mesh.vtu").exists()

    # A run that was interrupted goes on with the same parts, and with no others.
    (tmp_path / "two" / "zone.json").unlink()
    case = Case.load(divided)
    assert run_folder.resumable(tmp_path / "two", case, resume=True, overwrite=False)
    subprocess.run([*command, "2"], check=True)
    with pytest.raises(CheckpointError, match="was started with another mesh"):
        run_folder.resumable(tmp_path / "two", case, resume=True, overwrite=False)
