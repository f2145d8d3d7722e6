"""Checkpoints: everything that a march needs to go on, written by any number of ranks and read by any number.

Checkpoint 17 of a run on two ranks is three files: a piece a rank, ``000017.0000.ckpt`` and ``000017.0001.ckpt``, with
the nodal values of the rank's own nodes and the numbers of those nodes in the whole mesh; and the head,
``000017.ckpt``, with the rest and the checksums of the pieces. The head is written last and makes the checkpoint count:
pieces without one, of a run that was killed, are never looked at. Only then is the last but one removed, so that two
are kept. Numbers are used once, so that no piece is taken for one of another checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import CheckpointError, OutputError
from ablationsim.mesh.distribution import Distribution
from ablationsim.parallel import on_first
from ablationsim.parallel.agreement import on_every
from ablationsim.results.checkpoint_files import (
    DAMAGED,
    Arrays,
    OtherFormat,
    digest,
    files,
    heads,
    next_head,
    piece_of,
    read_head,
    remove,
    write_head,
    write_piece,
)
from ablationsim.results.files import make_folder


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds, for one rank.

    Attributes
    ----------
    meta : dict
        Plain data.
    nodal : dict of str to array
        Values at the nodes of this rank, ghosts included, in the last axis.
    arrays : dict of str to array
        The same on all ranks.
    program : str
        Version of ablationsim that wrote it.
    passed_over : list of str
        About newer checkpoints that could not be used.
    """

    meta: dict[str, Any]
    nodal: dict[str, NDArray[Any]]
    arrays: dict[str, NDArray[Any]]
    program: str
    passed_over: list[str]


class Checkpoints:
    """The checkpoints of a run. All ranks call the methods, with the same ``meta`` and ``arrays``.

    Parameters
    ----------
    folder : Path
        Theirs alone; made if needed. All ranks have to see it.
    distribution : Distribution
        Which nodes this rank has.
    n : int
        How many those are.
    """

    def __init__(self, folder: Path, distribution: Distribution, n: int) -> None:
        self._folder, self._distribution, self._comm = folder, distribution, distribution.comm
        self._nodes = distribution.node_numbers(n)
        self._all_nodes = int(distribution.totals(n, 0)[0])
        self._sound: Path | None = None  # head of the newest that is known to be good

    def save(self, meta: Mapping[str, Any], nodal: Arrays, arrays: Arrays) -> None:
        """Write a checkpoint, and remove all but it and the one before.

        Raises
        ------
        OutputError
            On all ranks, if any cannot write; the checkpoints that were there stay as they were.
        """
        head = on_first(self._comm, self._begin)
        piece = piece_of(head, self._comm.rank)
        own = {"nodes": self._own(self._nodes), **{name: self._own(values) for name, values in nodal.items()}}
        try:
            checksums = self._comm.gather(on_every(self._comm, lambda: write_piece(piece, own)))
            about = {"meta": meta, "nodes": self._all_nodes, "pieces": checksums}
            on_first(self._comm, lambda: write_head(head, about, arrays))
        except OutputError:
            with suppress(OSError):
                piece.unlink(missing_ok=True)
            raise
        kept = {path.stem for path in (head, self._sound) if path is not None}
        on_first(self._comm, lambda: remove(self._folder, kept))
        self._sound = head

    def load(self) -> Saved:
        """Read the newest sound checkpoint; all ranks agree on which that is.

        Raises
        ------
        CheckpointError
            On all ranks, if there is none, none is sound, or it is of another mesh.
        """
        passed_over: list[str] = []
        for head in on_first(self._comm, lambda: heads(self._folder)):
            try:
                about, nodal, arrays = self._read(head)
            except OtherFormat as error:
                passed_over.append(f"the checkpoint {head} {error}")
            except DAMAGED as error:
                passed_over.append(f"the checkpoint {head} is damaged ({error})")
            else:
                self._sound = head
                return Saved(about["meta"], nodal, arrays, about["program"], passed_over)
        found = "; ".join(passed_over) if passed_over else f"{self._folder} holds no checkpoint"
        raise CheckpointError(
            f"The run cannot be resumed: {found}. Start it again without --resume and with --overwrite."
        )

    def _begin(self) -> Path:
        make_folder(self._folder)
        return next_head(self._folder)

    def _own(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the nodes that belong to this rank; nodes are in the last axis."""
        return np.moveaxis(self._distribution.own(np.moveaxis(values, -1, 0)), 0, -1)

    def _read(self, head: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Plain data, nodal values and arrays of a checkpoint; raises the same on all ranks."""
        about, arrays = on_first(self._comm, lambda: read_head(head))
        if about["nodes"] != self._all_nodes:
            raise CheckpointError(
                f"The run cannot be resumed: the mesh of the checkpoint {head} has {about['nodes']} nodes, but that of "
                f"the run has {self._all_nodes}. Start it again without --resume and with --overwrite."
            )
        on_every(self._comm, lambda: self._check(head, about["pieces"]))
        return about, on_every(self._comm, lambda: self._collect(head, len(about["pieces"]))), arrays

    def _check(self, head: Path, checksums: list[str]) -> None:
        """See that pieces are as they were written; ranks share the work."""
        for number in range(self._comm.rank, len(checksums), self._comm.size):
            piece = piece_of(head, number)
            if digest(piece) != checksums[number]:
                raise ValueError(f"the checksum of {piece.name} does not match")

    def _collect(self, head: Path, pieces: int) -> dict[str, NDArray[Any]]:
        """Values at the nodes of this rank, from one piece after the other."""
        nodal: dict[str, NDArray[Any]] = {}
        missing = np.ones(len(self._nodes), dtype=bool)
        for number in range(pieces):
            with np.load(piece_of(head, number), allow_pickle=False) as archive:
                nodes = archive["nodes"]
                place = np.searchsorted(nodes, self._nodes)
                here = place < len(nodes)
                here[here] = nodes[place[here]] == self._nodes[here]
                if not here.any() and nodal:
                    continue
                missing &= ~here
                for name in archive.files:
                    if name != "nodes":
                        values = archive[name]
                        if name not in nodal:
                            nodal[name] = np.empty((*values.shape[:-1], len(here)), values.dtype)
                        nodal[name][..., here] = values[..., place[here]]
        if missing.any():
            raise ValueError(f"{missing.sum()} nodes are in none of its pieces")
        return nodal


def present(folder: Path) -> bool:
    """Whether a checkpoint has been written into ``folder``, sound or not."""
    return bool(heads(folder))


def clear(folder: Path) -> None:
    """Remove the checkpoints in ``folder``, and what was left of them.

    Raises
    ------
    OSError
        If one cannot be removed.
    """
    for path in files(folder):
        path.unlink(missing_ok=True)
