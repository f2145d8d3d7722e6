"""The parts of the run folder: history, frames, whole files, and reading a result back."""

import json
import math
import shutil
import tomllib

import numpy as np
import pytest

import ablationsim
from ablationsim.errors import AblationSimError, GeometryError, OutputError
from ablationsim.results import Result, run_folder
from ablationsim.results.files import replacing, write_whole
from ablationsim.results.frames import Frames
from ablationsim.results.history import History


def test_a_history_survives_its_csv(tmp_path):
    history = History(["time_s", "impedance_ohm"])
    history.append([0.0, math.nan])
    history.append([1.0 / 3.0, 1e-12])
    (tmp_path / "history.csv").write_text(history.to_csv())
    assert history.to_csv().splitlines()[1] == "0,"
    again = History.read(tmp_path / "history.csv")
    assert again.columns == history.columns
    np.testing.assert_allclose(again.table, history.table, rtol=1e-11)
    assert again.last("time_s") == pytest.approx(1.0 / 3.0)


@pytest.mark.parametrize("text", ["", "time_s,power_w\n1\n", "time_s\nx\n", b"\x00\xff\xfe"])
def test_what_is_no_history_is_refused(text, tmp_path):
    path = tmp_path / "history.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(OutputError, match="no history"):
        History.read(path)


def test_a_frame_at_the_same_time_replaces_the_last():
    frames = Frames()
    for time, value in ((0.0, 300.0), (30.0, 310.0), (30.0, 320.0)):
        frames.append(time, np.full(4, value))
    assert frames.times.tolist() == [0.0, 30.0]
    assert frames.temperature(1)[0] == 320.0
    assert frames.nearest(14.0) == 0
    again = Frames.from_arrays(frames.to_arrays())
    assert again.times.tolist() == [0.0, 30.0]
    assert (again.temperature(1) == 320.0).all()


def test_a_file_is_whole_or_as_before(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "old")

    def run_out_of_space():
        with replacing(path) as beside:
            beside.write_text("ne")
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        run_out_of_space()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write_whole(path, "new")
    assert path.read_text() == "new"


def test_a_result_read_back_is_the_one_in_memory(small_run):
    again = Result.load(small_run.folder)
    assert again.case == small_run.case
    assert again.document == small_run.document
    assert again.zone == small_run.zone
    assert again.record == json.loads(json.dumps(small_run.record))
    assert again.events == small_run.events
    assert again.warnings == small_run.warnings
    assert again.history.columns == small_run.history.columns
    np.testing.assert_allclose(again.history.table, small_run.history.table, rtol=1e-11)
    np.testing.assert_array_equal(again.mesh.points, small_run.mesh.points)
    np.testing.assert_array_equal(again.mesh.cells, small_run.mesh.cells)
    for name, values in small_run.fields.items():
        np.testing.assert_array_equal(again.fields[name], values)
    point, t = [[0.005, 0.0, 0.01]], float(small_run.frames.times[-1])
    assert again.temperature(point, t) == small_run.temperature(point, t)


def test_the_interface_for_programs(small_run):
    assert small_run.zone.volume_ml == small_run.document["volume_ml"] > 0
    for time in small_run.frames.times:
        row = int(np.flatnonzero(small_run.history["time_s"] == time)[0])
        probe = small_run.history["probe_p5_c"][row]
        # Fields are kept in single precision.
        assert small_run.temperature([0.005, 0.0, 0.01], float(time))[0] == pytest.approx(probe, abs=1e-4)
    # Axial symmetry: only the distance from the shaft counts.
    a, b = small_run.temperature([[0.005, 0.0, 0.01], [0.003, -0.004, 0.01]], 3.3)
    assert a == pytest.approx(b, abs=1e-6)


@pytest.mark.parametrize(
    ("points", "t"),
    [([0.005, 0.0], 1.0), ([1.0, 0.0, 0.0], 1.0), ([0.005, 0, 0.01], -1.0), ([0.005, 0, 0.01], math.nan)],
)
def test_a_temperature_that_does_not_exist(points, t, small_run):
    with pytest.raises(GeometryError):
        small_run.temperature(points, t)


def test_nothing_of_numpy_leaks_into_the_zone(small_run):
    def plain(value):
        if isinstance(value, dict):
            return all(plain(part) for part in value.values())
        if isinstance(value, list):
            return all(plain(part) for part in value)
        return value is None or type(value) in (bool, int, float, str)

    assert plain(small_run.document)
    assert plain(small_run.zone.to_dict())
    assert plain({key: value for key, value in small_run.record.items() if key != "events"})


@pytest.mark.parametrize("name", ["zone.json", "resolved.json", "history.csv", "fields.npz", "mesh.vtu"])
@pytest.mark.parametrize("harm", ["missing", "torn", "junk", "other"])
def test_a_damaged_run_is_not_read(name, harm, small_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(small_run.folder, folder)
    content = (folder / name).read_bytes()
    match harm:
        case "missing":
            (folder / name).unlink()
        case "torn":
            (folder / name).write_bytes(content[: len(content) // 2])
        case "junk":
            (folder / name).write_bytes(bytes(range(256)))
        case "other":
            (folder / name).write_text({"zone.json": "[]", "resolved.json": '{"run": {}}'}.get(name, "{}"))
    with pytest.raises(OutputError, match=r"run|history"):
        Result.load(folder)


def test_a_newer_interface_is_not_taken_for_this_one(small_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(small_run.folder, folder)
    (folder / "zone.json").write_text(json.dumps({**small_run.document, "version": 99}))
    with pytest.raises(OutputError, match="99"):
        Result.load(folder)


def test_clearing_does_not_follow_links_out_of_the_folder(small_run, tmp_path):
    folder, outside = tmp_path / "run", tmp_path / "outside"
    shutil.copytree(small_run.folder, folder)
    outside.mkdir()
    (outside / "resolved.json").write_text('{"resolved_version": 1}')
    (folder / "refined").symlink_to(outside)
    with pytest.raises(AblationSimError):
        run_folder.begin(folder, small_run.case, small_run.mesh, {})
    assert (outside / "resolved.json").exists()


def test_without_a_folder_nothing_is_written(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = ablationsim.simulate(ablationsim.Case.from_dict(tomllib.loads(small)))
    assert result.folder is None
    assert list(tmp_path.iterdir()) == []
