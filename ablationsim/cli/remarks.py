"""What `check` says of vessels, kept on disk: finding it takes longer than all else that `check` does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

import ablationsim
from ablationsim import cache
from ablationsim.case import Case
from ablationsim.cli.console import built_vessels

_WHOLE = (".nii", ".gz", ".nrrd", ".mha", ".stl", ".vtp", ".vtu", ".ply", ".obj", ".msh", ".csv", ".swc", ".vtk")
"""Endings of files that hold all there is in themselves; others may leave their numbers to a file beside them."""


def vessel_remarks(case: Case) -> list[str]:
    """What was mended in the vessels of a case, and where needles run through them.

    Raises
    ------
    AblationSimError
        If a vessel cannot be built, or a needle runs into a tube; that is found anew each time.
    """
    folder = cache.folder_of("remarks")
    if folder is None or any(Path(path).suffix.lower() not in _WHOLE for path in case.inputs):
        return _found(case)
    package = Path(ablationsim.__file__).parent
    key = [
        case.resolved(),
        [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in case.inputs],
        [cache.programs(["numpy", "scipy"], package / part) for part in ("vessels", "geometry", "mesh", "cli")],
    ]
    place = folder / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()}.npz"
    kept = cache.load(place)
    if kept is not None and "remarks" in kept:
        return [str(text) for text in kept["remarks"]]
    remarks = _found(case)
    cache.store(place, {"remarks": np.array(remarks, dtype=str)})
    return remarks


def _found(case: Case) -> list[str]:
    from ablationsim.geometry.crossings import vessel_warnings
    from ablationsim.geometry.geometry import Geometry

    built = built_vessels(case)
    warnings = vessel_warnings(Geometry.from_case(case), [found.vessel for found in built])
    remarks = [f"Vessel '{found.vessel.name}': {note}" for found in built for note in found.notes]
    return remarks + [f"Warning: {text}" for text in warnings]
