"""Temperature fields at output times."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ablationsim.errors import OutputError
from ablationsim.results.files import write_whole

Floats = NDArray[np.float64]
ARCHIVE, FIELDS = "fields.npz", "fields"
"""File of a run folder with all fields, and folder with those of each rank and those for other programs."""


class Frames:
    """Nodal temperatures [K] at output times [s], in single precision."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._temperatures: list[NDArray[np.float32]] = []

    def append(self, time: float, temperature: Floats) -> None:
        """Add the field ``(n,)`` of a time; one at the same time as the last replaces it."""
        if self._times and time <= self._times[-1] + 1e-9:
            self._times.pop()
            self._temperatures.pop()
        self._times.append(float(time))
        self._temperatures.append(temperature.astype(np.float32))

    @property
    def times(self) -> Floats:
        """Output times ``(f,)`` [s]."""
        return np.array(self._times)

    def temperature(self, index: int) -> Floats:
        """Nodal temperature ``(n,)`` [K] of a frame."""
        return self._temperatures[index].astype(np.float64)

    def nearest(self, time: float) -> int:
        """Number of the frame nearest to a time [s]."""
        return int(np.argmin(np.abs(self.times - time)))

    def __len__(self) -> int:
        return len(self._times)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays for an archive."""
        return {"frame_times": self.times, "frame_temperatures": np.array(self._temperatures, dtype=np.float32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Frames:
        """Frames from the arrays that `to_arrays` gave."""
        frames = cls()
        for time, temperature in zip(arrays["frame_times"], arrays["frame_temperatures"], strict=True):
            frames.append(float(time), temperature)
        return frames


def write_archive(path: Path, frames: Frames, fields: Mapping[str, Floats]) -> None:
    """Write frames and final fields.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {**frames.to_arrays(), **fields}
    np.savez_compressed(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def read_frames(folder: Path) -> tuple[Frames, dict[str, Floats]]:
    """Frames and final fields of a finished run.

    Raises
    ------
    OutputError
        If the archive is missing or damaged.
    """
    try:
        with np.load(folder / ARCHIVE, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        frames = Frames.from_arrays(arrays)
    # What NumPy and its archive raise on damaged files.
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise OutputError(f"{folder / ARCHIVE} is damaged ({error}). Run the case again with --overwrite.") from error
    return frames, {name: values for name, values in arrays.items() if not name.startswith("frame_")}
