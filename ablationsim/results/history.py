"""What is recorded at every time step."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.case import Case
from ablationsim.errors import OutputError

COLUMNS = (
    "time_s",
    "power_w",
    "voltage_v",
    "current_a",
    "impedance_ohm",
    "tip_temperature_c",
    "max_temperature_c",
    "zone_volume_ml",
    "energy_in_j",
    "energy_stored_j",
    "energy_lost_j",
)
"""Columns of every history; probes and, with several applicators, the readings of each follow."""

FLOWS = ("absorbed_w", "reflected_w", "radiated_w")
"""Columns that follow in the history of microwave antennas: what becomes of the power that arrives at their ports."""

READINGS = ("power_w", "voltage_v", "current_a", "impedance_ohm", "tip_temperature_c")
"""What the history of several applicators has of each, followed by its name: ``power_w_left``."""


def columns_of(case: Case) -> list[str]:
    """Columns of the history of a case."""
    flows = flow_columns(case)
    probes = [f"probe_{probe.name}_c" for probe in case.probes]
    names = [applicator.name for applicator in case.applicators]
    each = [f"{reading}_{name}" for name in names for reading in READINGS] if len(names) > 1 else []
    return [*COLUMNS, *flows, *probes, *each]


def flow_columns(case: Case) -> tuple[str, ...]:
    """Columns beside `COLUMNS` that a case has: of its modality, and what each vessel carries off."""
    modality = FLOWS if case.applicators[0].device.modality == "mwa" else ()
    return (*modality, *(f"vessel_{vessel.name}_w" for vessel in case.vessels))


class History:
    """Table that grows by a row a time step.

    Parameters
    ----------
    columns : sequence of str
        Names, each with its unit.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._rows: list[list[float]] = []

    def append(self, row: Sequence[float]) -> None:
        """Add the values of one time, in the order of the columns; NaN where a quantity is not defined."""
        self._rows.append([float(value) for value in row])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        return self.table[:, self.columns.index(column)]

    def last(self, column: str) -> float:
        """Newest value of a column."""
        return self._rows[-1][self.columns.index(column)]

    @property
    def table(self) -> NDArray[np.float64]:
        """All rows, shape ``(steps, columns)``."""
        return np.array(self._rows, dtype=np.float64).reshape(len(self._rows), len(self.columns))

    @classmethod
    def from_table(cls, columns: Sequence[str], table: NDArray[np.float64]) -> History:
        """History with the given rows."""
        history = cls(columns)
        history._rows = table.tolist()
        return history

    def to_dict(self) -> dict[str, NDArray[np.float64]]:
        """Each column by its name."""
        return {name: self[name] for name in self.columns}

    def to_csv(self) -> str:
        """The table as CSV text; a quantity that is not defined at a time leaves its cell empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([f"{value:.12g}" if math.isfinite(value) else "" for value in row] for row in self._rows)
        return text.getvalue()

    @classmethod
    def read(cls, path: Path) -> History:
        """Read a table that `to_csv` wrote.

        Raises
        ------
        OutputError
            If the file is missing or is no such table.
        """
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
            table = np.array([[float(cell) if cell else math.nan for cell in row] for row in rows[1:]])
            return cls.from_table(rows[0], table.reshape(len(rows) - 1, len(rows[0])))
        except (OSError, ValueError, IndexError, csv.Error) as error:
            raise OutputError(f"{path} is no history of a run: {error}. Run the case again.") from error
