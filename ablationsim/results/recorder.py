"""Watches a march: history, frames, checkpoints, and the folder that they are kept in.

On several ranks each has a recorder with the same history, and the temperatures of its own part of the mesh. Whatever
is asked of all ranks is asked by all of them in the same order; the first one writes, shows progress, has the clock.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import NoReturn

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import CheckpointError, Interrupted, Stopped
from ablationsim.march import March
from ablationsim.parallel import on_first
from ablationsim.physics.antennas import MicrowaveSource
from ablationsim.results.checkpoint import Checkpoints
from ablationsim.results.files import write_whole
from ablationsim.results.frames import Frames
from ablationsim.results.history import History, columns_of, flow_columns
from ablationsim.results.log import Log
from ablationsim.results.run_folder import case_hash
from ablationsim.units import ZERO_CELSIUS
from ablationsim.zone import zone_volume

FRAME_INTERVAL = 30.0
"""Time between temperature fields [s]; one more is kept at power-off and at the end."""

Progress = Callable[[float, str], None]
"""Called with the simulated time [s] and a line that describes the state."""


class Recorder:
    """Records a march as it goes.

    Parameters
    ----------
    case : Case
        What is simulated.
    march : March
        The march, which is followed from its present state.
    folder : Path or None
        Run folder for checkpoints and the history; None keeps everything in memory.
    progress : callable or None
        Told about every step, on the first rank.
    log : Log
        Told what the generators do, and about checkpoints.

    Attributes
    ----------
    stop_signal : int
        Number of a signal that asks for an end after the step under way; 0 without one. One rank's is enough.
    """

    def __init__(self, case: Case, march: March, folder: Path | None, progress: Progress | None, log: Log) -> None:
        self.case, self.march, self.folder, self.progress, self.log = case, march, folder, progress, log
        self.names = [applicator.name for applicator in case.applicators]
        self.history = History(columns_of(case))
        self.frames = Frames()
        self.stop_signal = 0
        mesh = march.problem.bioheat.space.mesh
        self._comm = mesh.distribution.comm
        self._checkpoints = (
            None if folder is None else Checkpoints(folder / "checkpoint", mesh.distribution, len(mesh.points))
        )
        self._hash = case_hash(case)
        self._saved_at = monotonic()
        self._logged_events = 0
        if march.state.time == 0.0:
            self._record()

    @property
    def events(self) -> list[tuple[float, str]]:
        """Time [s] and what the generators did so far, in the order of time; with the applicator if several."""
        found = [
            (time, f"{name}: {text}" if len(self.names) > 1 else text)
            for name, controller in zip(self.names, self.march.controllers, strict=True)
            for time, text in controller.events
        ]
        return sorted(found, key=lambda event: event[0])

    def next_stop(self, time: float) -> float:
        """The next time after ``time`` at which a frame is due [s]."""
        return FRAME_INTERVAL * (math.floor(time / FRAME_INTERVAL + 1e-9) + 1)

    def observe(self, march: March) -> bool:
        """Record the state that an accepted step has reached.

        Raises
        ------
        Interrupted
            If a signal asked any rank to stop; a checkpoint has been written before.
        """
        self._record()
        time = march.state.time
        if self.progress is not None and self._comm.rank == 0:
            self.progress(time, self._describe())
        for event_time, text in self.events[self._logged_events :]:
            self.log.write(f"t = {event_time:.3f} s: {text}")
        self._logged_events = len(self.events)
        # Ranks get signals at different moments, and only one clock counts.
        due = self._comm.rank == 0 and monotonic() - self._saved_at >= self.case.time.checkpoint_interval
        stop_signal, due = self._comm.largest(np.array([float(self.stop_signal), float(due)]))
        if stop_signal or due:
            self.save()
        if stop_signal:
            self._stop(signal.Signals(int(stop_signal)))
        return False

    def _stop(self, number: signal.Signals) -> NoReturn:
        kept = "Nothing is kept, because the run has no folder."
        if self.folder is not None:
            kept = f"Its state is kept in {self.folder}."
        kind = Interrupted if number == signal.SIGINT else Stopped
        raise kind(f"The run was stopped by {number.name} at {self.march.state.time:.1f} s of simulated time. {kept}")

    def _record(self) -> None:
        march, state = self.march, self.march.state
        on_grid = _same(state.time, FRAME_INTERVAL * round(state.time / FRAME_INTERVAL))
        if on_grid or march.finished or _same(state.time, march.power_off):
            self.frames.append(state.time, march.problem.shown(state.temperature))
        if len(self.history) and self.history.last("time_s") == state.time:
            # A generator changed its phase between two steps.
            return
        space, first = march.problem.bioheat.space, march.readings[0]
        self.history.append(
            [
                state.time,
                sum(reading.power for reading in march.readings),
                first.voltage,
                first.current,
                first.impedance,
                first.tip_temperature - ZERO_CELSIUS,
                self._comm.largest(float(np.max(state.temperature, initial=0.0))) - ZERO_CELSIUS,
                1e6 * zone_volume(space.mesh, march.problem.level(state.damage), space.whole_volume),
                state.energy.generator,
                march.stored,
                state.energy.lost,
                *(march.flows.get(column, 0.0) for column in flow_columns(self.case)),
                *(march.problem.probes(state.temperature) - ZERO_CELSIUS),
                *(
                    value
                    for r in (march.readings if len(self.names) > 1 else [])
                    for value in (r.power, r.voltage, r.current, r.impedance, r.tip_temperature - ZERO_CELSIUS)
                ),
            ]
        )

    def _describe(self) -> str:
        power, hottest, volume = (self.history.last(c) for c in ("power_w", "max_temperature_c", "zone_volume_ml"))
        source = self.march.problem.source
        fields = f", {source.solves} fields" if isinstance(source, MicrowaveSource) else ""
        return f"{power:5.0f} W, {hottest:5.0f} °C, zone {volume:5.1f} mL{fields}"

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint and the history so far.

        Raises
        ------
        OutputError
            On all ranks, if any of them cannot write.
        """
        if self.folder is None or self._checkpoints is None:
            return
        meta, nodal, arrays = self.march.snapshot()
        frames = self.frames.to_arrays()
        meta |= {"case_sha256": self._hash}
        nodal |= {"frame_temperatures": frames["frame_temperatures"]}
        arrays |= {"frame_times": frames["frame_times"], "history": self.history.table}
        self._checkpoints.save(meta, nodal, arrays)
        path = self.folder / "history.csv"
        on_first(self._comm, lambda: write_whole(path, self.history.to_csv()))
        self.log.write(f"t = {self.march.state.time:.3f} s: checkpoint")
        self._saved_at = monotonic()

    def restore(self) -> list[str]:
        """Continue from the newest sound checkpoint; returns warnings about what is odd with it.

        Raises
        ------
        CheckpointError
            If there is none that fits.
        """
        assert self._checkpoints is not None
        saved = self._checkpoints.load()
        try:
            if saved.meta["case_sha256"] != self._hash:
                raise ValueError("it was written for another one")
            self.history = History.from_table(self.history.columns, saved.arrays["history"])
            self.frames = Frames.from_arrays({**saved.nodal, **saved.arrays})
            self.march.restore(saved.meta, saved.nodal, saved.arrays)
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"The checkpoint in {self.folder} does not belong to this case ({error}). Start again without "
                "--resume and with --overwrite."
            ) from error
        self._saved_at = monotonic()
        self._logged_events = len(self.events)
        time = self.march.state.time
        self.log.write(f"resumed at t = {time:.3f} s")
        notes = [f"{found}; the run went on from the one before it, at {time:.1f} s" for found in saved.passed_over]
        if saved.program != version("ablationsim"):
            notes.append(
                f"version {saved.program} of ablationsim ran this case until {time:.1f} s, another one from there"
            )
        return notes


def _same(time: float, other: float | None) -> bool:
    return other is not None and abs(time - other) < 1e-6
