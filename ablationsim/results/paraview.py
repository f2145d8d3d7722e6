"""Temperature fields for ParaView: a .vtu file an output time, or one a rank, and the .pvd file that lists them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.mesh.mesh import Mesh
from ablationsim.parallel import on_first
from ablationsim.parallel.agreement import on_every
from ablationsim.results.export import in_space, write_fields, write_pieces, write_series
from ablationsim.results.frames import FIELDS
from ablationsim.results.result import Result
from ablationsim.units import ZERO_CELSIUS

PATTERNS = ("frame_*.vtu", "frame_*.pvtu")


def write_frames(folder: Path, result: Result) -> None:
    """Write the temperature at each output time, the last with the final damage; all ranks call this.

    Parameters
    ----------
    folder : Path
        Run folder for ``fields.pvd``; the folder for all else has to be in it.
    result : Result
        Of a run; every rank with its part.

    Raises
    ------
    OutputError
        On all ranks, if any cannot write.
    """
    distribution, count = result.mesh.distribution, len(result.frames)
    comm = distribution.comm
    mesh, nodes = _own_elements(result.mesh)
    ending = f"_{comm.rank:04d}.vtu" if distribution.parted else ".vtu"

    def write() -> None:
        for i in range(count if len(mesh.cells) else 0):
            shown = {name: values[nodes] for name, values in _shown(result, i).items()}
            write_fields(folder / FIELDS / f"frame_{i:04d}{ending}", mesh, shown)

    def list_all() -> None:
        for i in range(count if distribution.parted else 0):
            files = [f"frame_{i:04d}_{rank:04d}.vtu" for rank in writers]
            write_pieces(folder / FIELDS / f"frame_{i:04d}.pvtu", files, _shown(result, i))
        kind = "pvtu" if distribution.parted else "vtu"
        names = [f"{FIELDS}/frame_{i:04d}.{kind}" for i in range(count)]
        write_series(folder / "fields.pvd", list(zip(map(float, result.frames.times), names, strict=True)))

    on_every(comm, write)
    writers = [rank for rank, cells in enumerate(comm.gather(len(mesh.cells))) if cells]
    on_first(comm, list_all)


def _own_elements(mesh: Mesh) -> tuple[Mesh, NDArray[np.integer]]:
    """The elements that belong to this rank as a mesh of their own, and which nodes they have."""
    cells = mesh.distribution.own_cells(mesh.cells)
    nodes = np.unique(cells)
    return Mesh(mesh.points[nodes], np.searchsorted(nodes, cells).astype(np.int32), {}, {}, mesh.axisymmetric), nodes


def _shown(result: Result, frame: int) -> dict[str, NDArray[np.float64]]:
    """What is shown of a frame, with units as people read them."""
    temperature = {"temperature_c": result.frames.temperature(frame) - ZERO_CELSIUS}
    if frame < len(result.frames) - 1:
        return temperature
    shown = temperature | {
        "max_temperature_c": result.fields["max_temperature"] - ZERO_CELSIUS,
        "damage_level": result.fields["level"],
        "arrhenius_integral": result.fields["omega"],
        "cem43_min": result.fields["cem43"],
        "lost_water_percent": 100.0 * result.fields["lost_water"],
    }
    if "displacement" in result.fields:
        shown["contraction_percent"] = 100.0 * result.fields["contraction"]
        shown["displacement_mm"] = in_space(1e3 * result.fields["displacement"])
    return shown
