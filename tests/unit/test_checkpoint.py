"""Checkpoints: from any number of ranks to any number, and what becomes of torn, damaged and foreign ones."""

import pickle
import random
import resource
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from ablationsim.errors import CheckpointError, OutputError
from ablationsim.mesh.distribution import WHOLE
from ablationsim.parallel import on_first
from ablationsim.parallel.agreement import on_every
from ablationsim.results.checkpoint import Checkpoints, clear, present
from ablationsim.results.checkpoint_files import write_piece

N = 500


class Team:
    """Communicator of ranks that are threads. A rank that waits in vain for the others fails."""

    def __init__(self, rank, size, shelf, barrier):
        self.rank, self.size, self._shelf, self._barrier = rank, size, shelf, barrier

    def gather(self, value):
        # Copies, as between processes.
        self._shelf[self.rank] = pickle.dumps(value)
        self._barrier.wait(20.0)
        found = [pickle.loads(given) for given in self._shelf]
        self._barrier.wait(20.0)
        return found

    def broadcast(self, value):
        return self.gather(value)[0]


@dataclass
class Portion:
    """What a rank has of a mesh of `total` nodes: its own nodes, then ghosts."""

    comm: Team
    nodes: np.ndarray
    own_nodes: int
    total: int

    def own(self, values):
        return values[: self.own_nodes]

    def node_numbers(self, n):
        assert n == len(self.nodes)
        return self.nodes

    def totals(self, n, m):
        return self.total, m


def team(size, work):
    """What ``work(comm)`` returns or raises on each of some ranks."""
    shelf, barrier = [b""] * size, threading.Barrier(size)

    def outcome(rank):
        try:
            return work(Team(rank, size, shelf, barrier))
        except Exception as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(outcome, range(size)))


def portion(comm, total=N):
    """Every rank's part in a mesh: nodes go to ranks by chance, and some of the others' are ghosts."""
    chance = np.random.default_rng(comm.size)
    owner = chance.integers(comm.size, size=total)
    ghosts = np.flatnonzero((owner != comm.rank) & (chance.random(total) < 0.2))
    own = np.flatnonzero(owner == comm.rank)
    return Portion(comm, np.concatenate([own, ghosts]), len(own), total)


def fields(nodes, time):
    """Nodal values of several kinds; those of ghosts are to be asked of their owners."""
    return {
        "temperature": 300.0 + nodes * 1e-3 + time,
        "frames": (np.arange(3)[:, None] * 1000 + nodes + time).astype(np.float32),
        "state": (nodes % 3).astype(np.int8),
    }


def save(comm, folder, *times, resume=False):
    share = portion(comm)
    checkpoints = Checkpoints(folder, share, len(share.nodes))
    if resume:
        checkpoints.load()
    for moment in times:
        nodal = fields(share.nodes, moment)
        for values in nodal.values():
            values[..., share.own_nodes :] = -7
        checkpoints.save({"time": moment}, nodal, {"history": np.full((2, 4), moment)})


def load(comm, folder):
    share = portion(comm)
    saved = Checkpoints(folder, share, len(share.nodes)).load()
    for name, values in fields(share.nodes, saved.meta["time"]).items():
        assert saved.nodal[name].dtype == values.dtype
        np.testing.assert_array_equal(saved.nodal[name], values)
    assert set(saved.arrays) == {"history"}
    np.testing.assert_array_equal(saved.arrays["history"], np.full((2, 4), saved.meta["time"]))
    return saved


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("written", "read"), [(1, 1), (1, 3), (3, 1), (2, 3), (4, 2), (3, 3)])
def test_any_number_of_ranks_reads_what_any_number_wrote(written, read, tmp_path):
    assert team(written, lambda comm: save(comm, tmp_path, 1.5)) == [None] * written
    found = team(read, lambda comm: load(comm, tmp_path))
    assert [saved.meta for saved in found] == [{"time": 1.5}] * read
    assert all(saved.passed_over == [] for saved in found)


def test_ranks_without_nodes_of_their_own(tmp_path):
    def part(comm):
        nodes = np.arange(N) if comm.rank == 1 else np.arange(0)
        return Portion(comm, nodes, len(nodes), N)

    def write(comm):
        share = part(comm)
        Checkpoints(tmp_path, share, len(share.nodes)).save({}, fields(share.nodes, 0.0), {})

    def read(comm):
        share = part(comm)
        return Checkpoints(tmp_path, share, len(share.nodes)).load().nodal

    assert team(3, write) == [None] * 3
    for rank, nodal in enumerate(team(3, read)):
        assert nodal["frames"].shape == (3, N if rank == 1 else 0)
        np.testing.assert_array_equal(nodal["state"], fields(np.arange(N if rank == 1 else 0), 0.0)["state"])


def test_a_process_that_is_alone_has_one_piece(tmp_path):
    checkpoints = Checkpoints(tmp_path, WHOLE, N)
    checkpoints.save({"time": 2.0}, fields(np.arange(N), 2.0), {"solver": np.eye(2)})
    assert names(tmp_path) == ["000001.0000.ckpt", "000001.ckpt"]
    saved = Checkpoints(tmp_path, WHOLE, N).load()
    np.testing.assert_array_equal(saved.arrays["solver"], np.eye(2))
    np.testing.assert_array_equal(saved.nodal["temperature"], fields(np.arange(N), 2.0)["temperature"])


def test_two_are_kept_and_the_newest_is_read(tmp_path):
    team(2, lambda comm: save(comm, tmp_path, 1.0, 2.0, 3.0))
    assert names(tmp_path) == [f"00000{i}{part}.ckpt" for i in (2, 3) for part in (".0000", ".0001", "")]
    assert team(2, lambda comm: load(comm, tmp_path))[1].meta == {"time": 3.0}


def test_pieces_of_an_earlier_run_on_more_ranks_do_not_count(tmp_path):
    team(4, lambda comm: save(comm, tmp_path, 1.0))
    # Killed before its head was there.
    team(4, lambda comm: save(comm, tmp_path / "lost", 1.0, 2.0))
    for path in (tmp_path / "lost").glob("000002.*.ckpt"):
        path.rename(tmp_path / path.name)
    (tmp_path / "000002.0003.ckpt").rename(tmp_path / "000002.0003.ckpt.part")
    clear(tmp_path / "lost")
    (tmp_path / "lost").rmdir()
    assert [saved.meta["time"] for saved in team(2, lambda comm: load(comm, tmp_path))] == [1.0, 1.0]
    team(2, lambda comm: save(comm, tmp_path, 3.0, resume=True))
    team(2, lambda comm: save(comm, tmp_path, 4.0, resume=True))
    assert names(tmp_path) == [f"00000{i}{part}.ckpt" for i in (3, 4) for part in (".0000", ".0001", "")]
    assert team(3, lambda comm: load(comm, tmp_path))[2].meta == {"time": 4.0}


HEAD, PIECE = "000002.ckpt", "000002.0001.ckpt"
LINES = len(b"ablationsim checkpoint ")


def cut(at):
    return lambda path: path.write_bytes(path.read_bytes()[:at])


def flip(at):
    def harm(path):
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(bytes(content))

    return harm


def make_folder(path):
    path.unlink()
    path.mkdir()


HARMS = {
    "head empty": (HEAD, cut(0)),
    "head torn in its name": (HEAD, cut(5)),
    "head torn before its format": (HEAD, cut(LINES)),
    "head torn in its version": (HEAD, cut(LINES + 4)),
    "head torn in its checksum": (HEAD, cut(LINES + 60)),
    "head torn in its middle": (HEAD, cut(600)),
    "head torn at its end": (HEAD, cut(-1)),
    "head flipped in its name": (HEAD, flip(3)),
    "head flipped in its checksum": (HEAD, flip(LINES + 40)),
    "head flipped in its content": (HEAD, flip(-200)),
    "head longer": (HEAD, lambda path: path.write_bytes(path.read_bytes() + b"x")),
    "head of something else": (HEAD, lambda path: path.write_bytes(b"PK\x03\x04" + path.read_bytes())),
    "head a folder": (HEAD, make_folder),
    "piece missing": (PIECE, lambda path: path.unlink()),
    "piece empty": (PIECE, cut(0)),
    "piece torn in its middle": (PIECE, cut(3000)),
    "piece torn at its end": (PIECE, cut(-1)),
    "piece flipped": (PIECE, flip(2000)),
    "piece of an older one": (PIECE, lambda path: path.write_bytes((path.parent / "000001.0001.ckpt").read_bytes())),
    "piece of another rank": (PIECE, lambda path: path.write_bytes((path.parent / "000002.0000.ckpt").read_bytes())),
    "piece a folder": (PIECE, make_folder),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_newest_is_passed_over_by_all_ranks(harm, tmp_path):
    team(3, lambda comm: save(comm, tmp_path, 1.0, 2.0))
    name, do_harm = HARMS[harm]
    do_harm(tmp_path / name)
    found = team(2, lambda comm: load(comm, tmp_path))
    assert [saved.meta["time"] for saved in found] == [1.0, 1.0]
    for saved in found:
        (message,) = saved.passed_over
        assert message.startswith(f"the checkpoint {tmp_path / HEAD} is damaged (")


def test_the_sound_one_stays_when_a_damaged_one_was_passed_over(tmp_path):
    team(2, lambda comm: save(comm, tmp_path, 1.0, 2.0))
    flip(2000)(tmp_path / PIECE)
    team(2, lambda comm: save(comm, tmp_path, 3.0, resume=True))
    assert names(tmp_path) == [f"00000{i}{part}.ckpt" for i in (1, 3) for part in (".0000", ".0001", "")]


def test_two_damaged_ones_are_the_same_error_on_all_ranks_and_stay(tmp_path):
    team(2, lambda comm: save(comm, tmp_path, 1.0, 2.0))
    cut(2000)(tmp_path / PIECE)
    cut(-5)(tmp_path / "000001.ckpt")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    errors = team(3, lambda comm: load(comm, tmp_path))
    assert all(type(error) is CheckpointError for error in errors)
    assert len({str(error) for error in errors}) == 1
    assert "000002.ckpt is damaged (the checksum of 000002.0001.ckpt does not match); " in str(errors[0])
    assert "000001.ckpt is damaged (its checksum does not match). Start it again without --resume" in str(errors[0])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_format_is_refused_by_name(tmp_path):
    Checkpoints(tmp_path, WHOLE, N).save({"time": 1.0}, {}, {})
    path = tmp_path / "000001.ckpt"
    _, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(b"ablationsim checkpoint 4 of version 0.9.4\n" + rest)
    (tmp_path / "a.ckpt").write_bytes(b"ablationsim checkpoint 1\n" + rest)
    with pytest.raises(CheckpointError) as caught:
        Checkpoints(tmp_path, WHOLE, N).load()
    assert "000001.ckpt was written by version 0.9.4 of ablationsim in format 4; this version, " in str(caught.value)
    assert "a.ckpt was written by version 0.1.0 or older of ablationsim in format 1; " in str(caught.value)
    assert "reads format 3 alone" in str(caught.value)


def test_a_checkpoint_of_another_mesh_is_refused(tmp_path):
    Checkpoints(tmp_path, WHOLE, N).save({"time": 1.0}, fields(np.arange(N), 1.0), {})
    with pytest.raises(CheckpointError, match=r"000001\.ckpt has 500 nodes, but that of the run has 501"):
        Checkpoints(tmp_path, WHOLE, N + 1).load()


def test_no_checkpoint_is_an_error(tmp_path):
    assert not present(tmp_path)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        Checkpoints(tmp_path, WHOLE, N).load()


def test_clearing_takes_everything_of_checkpoints_and_nothing_else(tmp_path):
    team(2, lambda comm: save(comm, tmp_path, 1.0, 2.0))
    assert present(tmp_path)
    (tmp_path / "000003.0000.ckpt.part").write_bytes(b"x")
    (tmp_path / "note.txt").write_text("mine")
    clear(tmp_path)
    assert not present(tmp_path)
    assert names(tmp_path) == ["note.txt"]


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="pickle"):
        Checkpoints(tmp_path, WHOLE, N).save({}, {"x": np.array([object()] * N)}, {})


@pytest.mark.parametrize("file", ["000002.0001.ckpt", "000002.ckpt"])
def test_a_rank_whose_disk_is_full_ends_all_and_the_older_ones_stay(file, tmp_path):
    def part(comm):
        first = 200_000 if file == "000002.0001.ckpt" else 100
        nodes = np.arange(first, first + 100) if comm.rank == 0 else np.arange(first)
        return Portion(comm, nodes, len(nodes), first + 100)

    def write(comm, moment):
        share = part(comm)
        checkpoints = Checkpoints(tmp_path, share, len(share.nodes))
        large = 200_000 if file == "000002.ckpt" else 1
        checkpoints.save({"time": moment}, {"x": share.nodes + moment}, {"x": np.zeros(large)})

    assert team(2, lambda comm: write(comm, 1.0)) == [None, None]
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, unlimited[1]))
    try:
        errors = team(2, lambda comm: write(comm, 2.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert [type(error) for error in errors] == [OutputError, OutputError]
    assert str(errors[0]) == str(errors[1])
    assert f"{file} cannot be written: File too large" in str(errors[0])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_a_node_does_not_see(tmp_path):
    with pytest.raises(OutputError, match=r"000001\.0001\.ckpt cannot be written: No such .* that all of them share"):
        write_piece(tmp_path / "elsewhere" / "000001.0001.ckpt", {})


WRITER = """
import sys
from pathlib import Path
import numpy as np
from ablationsim.mesh.distribution import WHOLE
from ablationsim.results.checkpoint import Checkpoints, present
folder, n = Path(sys.argv[1]), 100_000
checkpoints = Checkpoints(folder, WHOLE, n)
i = checkpoints.load().meta["i"] if present(folder) else 0
while True:
    i += 1
    checkpoints.save({"i": i}, {"x": np.full((2, n), i)}, {"history": np.full(1000, i)})
    print(i, flush=True)
"""


def test_a_kill_at_any_moment_leaves_the_newest_checkpoint(tmp_path):
    chance, folder, said = random.Random(1), tmp_path / "checkpoint", tmp_path / "said"
    kills = kills_in_a_file = 0
    while kills < 6 or kills_in_a_file < 2:
        assert kills < 60
        with said.open("w") as out:
            process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=out)
        try:
            deadline = time.monotonic() + 60.0
            while len(said.read_text().split()) < 2:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.001)
            time.sleep(chance.uniform(0.0, 0.03))
        finally:
            process.kill()
            process.wait()
        kills += 1
        kills_in_a_file += any(name.endswith(".part") for name in names(folder))
        saved = Checkpoints(folder, WHOLE, 100_000).load()
        assert saved.passed_over == []
        written, found = int(said.read_text().split()[-1]), saved.meta["i"]
        assert found in (written, written + 1)
        assert (saved.nodal["x"] == found).all()
        assert (saved.arrays["history"] == found).all()


def test_what_fails_on_one_rank_is_raised_on_all():
    def failing(rank):
        def work(comm):
            return on_every(comm, lambda: 1 / (comm.rank - rank))

        return work

    assert [type(error) for error in team(3, failing(2))] == [ZeroDivisionError] * 3
    assert team(3, failing(5)) == [-1 / 5, -1 / 4, -1 / 3]
    assert [type(error) for error in team(2, lambda comm: on_first(comm, lambda: 1 / 0))] == [ZeroDivisionError] * 2
