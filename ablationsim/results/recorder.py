"""Watches a march: history, frames, checkpoints, and the folder that they are kept in."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ablationsim.case import Case
from ablationsim.errors import CheckpointError, Interrupted
from ablationsim.march import March
from ablationsim.results import checkpoint
from ablationsim.results.files import write_whole
from ablationsim.results.frames import Frames
from ablationsim.results.history import COLUMNS, History
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
        Told about every step.
    """

    def __init__(self, case: Case, march: March, folder: Path | None, progress: Progress | None) -> None:
        self.case, self.march, self.folder, self.progress = case, march, folder, progress
        self.names = [applicator.name for applicator in case.applicators]
        several = [f"{what}_{name}" for name in self.names for what in _READINGS] if len(self.names) > 1 else []
        self.history = History([*COLUMNS, *(f"probe_{probe.name}_c" for probe in case.probes), *several])
        self.frames = Frames()
        self.stop_requested = False
        self._saved_at = 0.0
        if march.state.time == 0.0:
            self._record()

    def next_stop(self, time: float) -> float:
        """The next time after ``time`` at which a frame is due [s]."""
        return FRAME_INTERVAL * (math.floor(time / FRAME_INTERVAL + 1e-9) + 1)

    def observe(self, march: March) -> bool:
        """Record the state that an accepted step has reached.

        Raises
        ------
        Interrupted
            If a stop was requested; a checkpoint has been written before.
        """
        self._record()
        time = march.state.time
        if self.progress is not None:
            self.progress(time, self._describe())
        if self.stop_requested:
            where = "nothing was kept, because the run has no folder"
            if self.folder is not None:
                self.save()
                where = f"the state is kept in {self.folder}. Continue with 'ablationsim run CASE --resume'"
            raise Interrupted(f"The run was stopped at {time:.1f} s of simulated time; {where}.")
        if self.folder is not None and time - self._saved_at >= self.case.time.checkpoint_interval:
            self.save()
        return False

    def _record(self) -> None:
        march, state = self.march, self.march.state
        space, first = march.problem.bioheat.space, march.readings[0]
        self.history.append(
            [
                state.time,
                sum(reading.power for reading in march.readings),
                first.voltage,
                first.current,
                first.impedance,
                first.tip_temperature - ZERO_CELSIUS,
                float(np.max(state.temperature)) - ZERO_CELSIUS,
                1e6 * zone_volume(space.mesh, march.problem.damage.level(state.damage), space.volume),
                state.energy.generator,
                march.stored,
                state.energy.lost,
                *(march.problem.probes @ state.temperature - ZERO_CELSIUS),
                *(
                    value
                    for r in (march.readings if len(self.names) > 1 else [])
                    for value in (r.power, r.voltage, r.current, r.impedance, r.tip_temperature - ZERO_CELSIUS)
                ),
            ]
        )
        on_grid = abs(state.time / FRAME_INTERVAL - round(state.time / FRAME_INTERVAL)) * FRAME_INTERVAL < 1e-6
        if on_grid or state.time == march.power_off or march.finished:
            self.frames.append(state.time, state.temperature)

    def _describe(self) -> str:
        power, hottest, volume = (self.history.last(c) for c in ("power_w", "max_temperature_c", "zone_volume_ml"))
        return f"{power:5.0f} W, {hottest:5.0f} °C, zone {volume:5.1f} mL"

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint and the history so far.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        if self.folder is None:
            return
        state = self.march.state
        meta, arrays = self.march.snapshot()
        meta |= {"time_s": state.time, "columns": list(self.history.columns)}
        arrays |= {"history": self.history.table, **self.frames.to_arrays()}
        checkpoint.save(self.folder / "checkpoint", meta, arrays)
        write_whole(self.folder / "history.csv", self.history.to_csv())
        self._saved_at = state.time

    def restore(self) -> list[str]:
        """Continue from the newest sound checkpoint; returns warnings about damaged ones.

        Raises
        ------
        CheckpointError
            If there is none that fits.
        """
        assert self.folder is not None
        meta, arrays, warnings = checkpoint.load(self.folder / "checkpoint")
        try:
            if tuple(meta["columns"]) != self.history.columns:
                raise ValueError("its history has other columns")
            self.history = History.from_table(meta["columns"], arrays["history"])
            self.frames = Frames.from_arrays(arrays)
            self.march.restore(meta, arrays)
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"The checkpoint in {self.folder} does not belong to this case ({error}). Start again without --resume."
            ) from error
        self._saved_at = self.march.state.time
        return warnings


_READINGS = ("power_w", "voltage_v", "current_a", "impedance_ohm", "tip_temperature_c")
