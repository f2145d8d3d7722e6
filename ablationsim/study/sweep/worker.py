"""What a process does that was started for one run of a study: no error of it is lost."""

from __future__ import annotations

import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ablationsim.case import Case
from ablationsim.errors import AblationSimError, CheckpointError, Interrupted, OutputError, SolverError, Stopped
from ablationsim.parallel import ALONE, Communicator, on_first
from ablationsim.results import Result, run_folder
from ablationsim.results.files import write_whole
from ablationsim.simulate import simulate
from ablationsim.study.sweep.claim import Claim, ending
from ablationsim.study.sweep.manifest import RUNS, Manifest
from ablationsim.study.sweep.record import ENDED, Outcome, read_ended, read_running, text_of, this_job

TRACEBACK = "traceback.txt"
"""Where an error that nobody foresaw came from."""

_BULK = ("mesh.vtu", "fields.npz", "fields.pvd", "fields", "zone.stl", "checkpoint")
"""What a run that keeps its zone alone does without."""


def work(folder: Path, number: int, comm: Communicator = ALONE) -> str:
    """Run, or continue, one run of a study, and record how that ended in its folder.

    Parameters
    ----------
    folder : Path
        Of the study.
    number : int
        Of the run.
    comm : Communicator
        All of its ranks call this.

    Returns
    -------
    str
        What was done, for the log of a job.

    Raises
    ------
    AblationSimError
        What ended the run, after it was recorded.
    """
    manifest = Manifest.read(folder)
    run = manifest.run(number)
    place = folder / RUNS / run.name
    if on_first(comm, lambda: run_folder.finished(place)):
        return f"run {number} has been finished before"
    before = on_first(comm, lambda: read_ended(place))
    if before is not None and before.outcome == "failed" and before.job and before.job == this_job():
        # Slurm has started the job again for another run of it.
        raise SolverError(f"run {number} has failed before in this job: {before.message}")
    keeper = _Keeper(place, comm)
    if not on_first(comm, keeper.take):
        return f"run {number} is being run by another process"
    with keeper.recording():
        result = _simulated(manifest.case_of(run), place, comm, keeper)
        if manifest.keep == "zone":
            on_first(comm, lambda: _slim(place))
    return f"run {number} has finished: {result.document['volume_ml']:.2f} mL"


def _simulated(case: Case, place: Path, comm: Communicator, keeper: _Keeper) -> Result:
    keeper.end_s = case.end + case.zone.cooling
    try:
        return simulate(case, place, resume=True, progress=keeper.progress, comm=comm)
    except CheckpointError as error:
        # Nobody is there to be asked, and from the beginning the numbers are the same.
        if comm.rank == 0:
            print(f"{error} It begins again.", file=sys.stderr)
        return simulate(case, place, overwrite=True, progress=keeper.progress, comm=comm)


def _slim(place: Path) -> None:
    for name in _BULK:
        path = place / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@dataclass
class _Keeper:
    """Keeps the records of a run, of which the first rank has the claim."""

    place: Path
    comm: Communicator
    end_s: float = 0.0
    claim: Claim | None = None

    def take(self) -> bool:
        """Take the run, on the first rank; False if another process has it."""
        self.claim = Claim.take(self.place)
        return self.claim is not None

    def progress(self, time_s: float, state: str) -> None:
        """Note how far the simulation is."""
        if self.claim is not None:
            self.claim.progress(time_s, self.end_s)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record how what is done inside ends."""
        try:
            yield
        except Interrupted as error:
            self._end("interrupted", str(error), error.exit_code)
            raise
        except KeyboardInterrupt:
            stopped = Stopped(
                "The run was stopped outside of its time steps; it goes on from its last checkpoint, if any."
            )
            self._end("interrupted", str(stopped), stopped.exit_code)
            raise stopped from None
        except AblationSimError as error:
            self._end("failed", str(error), error.exit_code)
            raise
        except Exception as error:
            with suppress(OutputError):
                write_whole(self.place / TRACEBACK, traceback.format_exc())
            self._end("failed", f"{type(error).__name__}: {error} (not foreseen; see {TRACEBACK} in its folder)", 1)
            raise
        self._end("finished")

    def _end(self, outcome: Outcome, message: str = "", exit_code: int = 0) -> None:
        try:
            if self.claim is not None:
                self.claim.end(outcome, message, exit_code)
            elif outcome == "failed" and (running := read_running(self.place)) is not None:
                # The first rank may never come to say it when another one fails: whoever fails first leaves word.
                with suppress(OSError), (self.place / ENDED).open("x", encoding="utf-8") as file:
                    file.write(text_of(ending(running, outcome, message, exit_code)))
        except OutputError as error:
            print(f"ablationsim: {error}", file=sys.stderr)
