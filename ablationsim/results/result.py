"""`Result`: what a run predicts, in memory or read back from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ablationsim.case import Case
from ablationsim.errors import CaseError, GeometryError, MeshError, OutputError
from ablationsim.mesh.mesh import Mesh
from ablationsim.results import pieces
from ablationsim.results.frames import ARCHIVE, FIELDS, Frames, read_frames
from ablationsim.results.history import History, columns_of
from ablationsim.units import ZERO_CELSIUS
from ablationsim.zone import ZoneMetrics
from ablationsim.zone.document import SCHEMA, VERSION

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Result:
    """What a run predicts.

    Attributes
    ----------
    case : Case
        What was simulated.
    mesh : Mesh
        The tissue; the part of this rank after a distributed run, until the result is read back from its folder.
    history : History
        A row a time step; ``result.history["power_w"]`` is a column.
    frames : Frames
        Temperature fields at output times.
    fields : dict of str to (n,) array
        Nodal fields at the end: ``max_temperature`` [K], ``level`` (positive inside the zone), ``omega``, ``cem43``
        [min], ``lost_water``, the share of the water that has left as vapour; and with a contraction by history
        ``contraction`` [1], the strain that free tissue would have, and ``displacement`` ``(n, d)`` [m], where the
        tissue went.
    document : dict
        The content of ``zone.json``.
    record : dict
        How the run was made: versions, hashes, mesh and step counts, wall time, and what events and warnings give.
    folder : Path or None
        The run folder.
    """

    case: Case
    mesh: Mesh
    history: History
    frames: Frames
    fields: Mapping[str, Floats]
    document: dict[str, Any]
    record: dict[str, Any]
    folder: Path | None = None

    @property
    def events(self) -> list[tuple[float, str]]:
        """Time [s] and what the generators did."""
        return [(float(time), str(text)) for time, text in self.record["events"]]

    @property
    def warnings(self) -> list[str]:
        """What a reader of the numbers must know, and what went wrong on the way."""
        return [str(text) for text in self.record["warnings"]]

    @cached_property
    def zone(self) -> ZoneMetrics:
        """Size and shape of the ablation zone in undeformed coordinates, e.g. ``zone.volume_ml``."""
        return ZoneMetrics(**{key: self.document[key] for key in ZoneMetrics.__dataclass_fields__})

    def temperature(self, points: ArrayLike, t: float) -> Floats:
        """Temperature at points in the tissue; of a distributed result, all ranks have to ask for the same.

        Parameters
        ----------
        points : (p, 3) or (3,) array_like
            World coordinates of the case [m].
        t : float
            Time since the start [s]. Between two output times the temperature is interpolated linearly; a probe in the
            case records every time step instead.

        Returns
        -------
        (p,) array
            In degC.

        Raises
        ------
        GeometryError
            If a point lies outside the tissue or the time outside the run.
        """
        from ablationsim.fem.probing import Probes
        from ablationsim.problem import mesh_coordinates

        positions = np.atleast_2d(np.asarray(points, dtype=np.float64))
        if positions.ndim != 2 or positions.shape[1] != 3:
            raise GeometryError(f"points must have shape (p, 3) in metres, got {positions.shape}.")
        times = self.frames.times
        if not times[0] <= t <= times[-1] + 1e-9:
            raise GeometryError(f"t = {t:g} s is outside the run, which lasts from 0 to {times[-1]:g} s.")
        probes = Probes.at(self.mesh, mesh_coordinates(self.mesh, positions), reach=2e-3)
        after = min(max(int(np.searchsorted(times, t)), 1), len(times) - 1)
        share = (t - times[after - 1]) / (times[after] - times[after - 1])
        before, later = (probes(self.frames.temperature(i)) for i in (after - 1, after))
        return before + min(share, 1.0) * (later - before) - ZERO_CELSIUS

    @classmethod
    def load(cls, folder: str | Path) -> Result:
        """Read a finished run folder, whole also if the run was distributed.

        Raises
        ------
        OutputError
            If the folder is not that of a finished run.
        """
        from ablationsim.mesh.io import read_mesh

        folder = Path(folder)
        if not folder.is_dir():
            raise OutputError(f"{folder} is no run folder. Give the folder that 'ablationsim run' wrote.")
        if not (folder / "zone.json").exists():
            raise OutputError(
                f"{folder} holds no finished run (zone.json is missing). If the run was interrupted, finish it with "
                "'ablationsim run CASE --output FOLDER --resume'."
            )
        mesh = None
        if pieces.present(folder / FIELDS) and not (folder / ARCHIVE).exists():
            mesh, frames, fields = pieces.read_pieces(folder / FIELDS)
        else:
            frames, fields = read_frames(folder)
        history = History.read(folder / "history.csv")
        try:
            document = json.loads((folder / "zone.json").read_text(encoding="utf-8"))
            resolved = json.loads((folder / "resolved.json").read_text(encoding="utf-8"))
            if (document["schema"], document["version"]) != (SCHEMA, VERSION):
                raise ValueError(f"zone.json is of {document['schema']} {document['version']}, not {SCHEMA} {VERSION}")
            if mesh is None:
                mesh = read_mesh(folder / "mesh.vtu", axisymmetric=resolved["run"]["axisymmetric"])
            result = cls(Case.from_resolved(resolved), mesh, history, frames, fields, document, resolved["run"], folder)
            _check(result)
        except (CaseError, MeshError, OSError, ValueError, TypeError) as error:
            raise _damaged(folder, str(error)) from error
        except KeyError as error:
            raise _damaged(folder, f"{error} is missing in zone.json or resolved.json") from error
        return result


def _check(result: Result) -> None:
    """Raise KeyError or ValueError when the parts of a result that was read do not make a whole."""
    for name in ZoneMetrics.__dataclass_fields__:
        result.document[name]
    for name in ("events", "warnings", "nodes", "elements", "time_steps"):
        result.record[name]
    if list(result.history.columns) != columns_of(result.case):
        raise ValueError("history.csv has other columns than the case")
    if any(len(values) != len(result.mesh.points) for values in result.fields.values()):
        raise ValueError("its fields belong to another mesh")


def _damaged(folder: Path, what: str) -> OutputError:
    return OutputError(f"{folder} holds a damaged run: {what}. Run the case again with --overwrite.")
