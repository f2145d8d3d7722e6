"""What a submission means for the folder of a study: runs whose case did not change keep their number and folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablationsim.errors import OutputError
from ablationsim.study.sweep.manifest import MANIFEST, RUNS, Manifest, Run
from ablationsim.study.sweep.study import Study

_FOLDER = re.compile(r"(\d+)-([0-9a-f]+)")


@dataclass(frozen=True)
class Plan:
    """What submitting a study means for its folder.

    Attributes
    ----------
    manifest : Manifest
        To be written.
    added, dropped : int
        How many runs an earlier submission did not have, and how many it had that are no longer in the study.
    first : bool
        Whether there was no earlier one.
    """

    manifest: Manifest
    added: int
    dropped: int
    first: bool


def plan(study: Study, folder: Path) -> Plan:
    """List the runs of a study such that those whose case did not change keep number and folder.

    Raises
    ------
    OutputError
        If the folder holds something else than a study.
    """
    first = not (folder / MANIFEST).exists()
    numbers = dict(_folders(folder))
    if first and not numbers and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} holds other things than a study. Choose another folder with --output.")
    earlier: Sequence[Run] = () if first else Manifest.read(folder).runs
    numbers |= {run.case: run.number for run in earlier}
    manifest = Manifest.of(study, numbers)
    before, now = ({run.case for run in runs} for runs in (earlier, manifest.runs))
    return Plan(manifest, len(now - before), len(before - now), first)


def _folders(folder: Path) -> Iterator[tuple[str, int]]:
    """Cases that have a folder, also of runs that an earlier change of the study has dropped, and their numbers."""
    runs = folder / RUNS
    for path in runs.iterdir() if runs.is_dir() else ():
        if match := _FOLDER.fullmatch(path.name):
            yield match[2], int(match[1])
