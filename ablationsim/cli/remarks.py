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


_PARTS = ("anatomy", "case", "vasculature", "vessels", "geometry", "mesh", "cli")
"""Packages that decide about what is said."""


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
        [cache.programs(["numpy", "scipy"], package / part) for part in _PARTS],
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
    from ablationsim.geometry.patient import patient_warnings

    geometry = Geometry.from_case(case)
    # Before the vessels, which take longest.
    about_patient = patient_warnings(case, geometry)
    built = built_vessels(case)
    warnings = [*about_patient, *vessel_warnings(geometry, [found.vessel for found in built])]
    remarks = [] if case.patient is None else list(case.patient.anatomy().notes)
    remarks += [f"Vessel '{found.vessel.name}': {note}" for found in built for note in found.notes]
    return remarks + [f"Warning: {text}" for text in warnings]
