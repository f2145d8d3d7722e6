"""Which of thousands of needles a patient's anatomy allows, and what to say when it allows none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ablationsim.case import Case
from ablationsim.errors import GeometryError
from ablationsim.geometry.access import Measures, measure
from ablationsim.study.planning.poses import Pose

Bools = NDArray[np.bool_]


class Ways:
    """Asks the limits of a case about needles; everything is allowed where there is no patient.

    Parameters
    ----------
    case : Case
    placed : Pose, optional
        Needles that are in place: what is wrong with their ways already is not held against moving them.
    reach : float
        How far those may be moved [m].

    Attributes
    ----------
    asked : int
        Needles asked about so far.
    """

    def __init__(self, case: Case, placed: Pose | None = None, reach: float = np.inf) -> None:
        first = case.applicators[0]
        self._anatomy = None if case.patient is None else case.patient.anatomy()
        self._device, self._limits, self._roll = first.device, case.access, first.roll
        self._gap = first.device.applicator.diameter + case.access.needle
        self._placed, self._reach, self.asked = placed, reach, 0
        self._broken: set[str] = set()
        if placed is not None and self._anatomy is not None:
            found = self._measure([placed])
            assert found is not None
            self._broken = {key for key, values in found.violations.items() if values.any()}

    def allowed(self, poses: Sequence[Pose]) -> Bools:
        """Return which poses keep all limits, each with all its needles, shape (n,)."""
        apart = np.array([self._apart(pose) and self._within(pose) for pose in poses], dtype=bool)
        found = self._measure(poses)
        if found is None:
            return apart
        broken = np.zeros(len(found.depth), dtype=bool)
        for key, values in found.violations.items():
            if key not in self._broken:
                broken |= values
        owners = np.repeat(np.arange(len(poses)), [len(pose.tips) for pose in poses])
        return apart & (np.bincount(owners, broken, minlength=len(poses)) == 0)

    def refuse(self, poses: Sequence[Pose]) -> GeometryError:
        """The error that there is no way at all: which limit keeps how many from being one."""
        found = self._measure(poses)
        assert found is not None
        counts = sorted(((int(values.sum()), key) for key, values in found.violations.items()), reverse=True)
        killed = ", ".join(f"{_WORDS.get(key, f'clearance of {key}')}: {count}" for count, key in counts if count)
        return GeometryError(
            f"No needle can reach the tumour within the limits of [access]: {len(found.depth)} ways from all sides "
            f"were looked at. So many break each limit (a way can break several): {killed}. Ease the limit that breaks "
            "most if that can be answered for, take a shorter or thinner device, or check the labels of the image."
        )

    def _measure(self, poses: Sequence[Pose]) -> Measures | None:
        if self._anatomy is None or not poses:
            return None
        tips, axes = np.concatenate([pose.tips for pose in poses]), np.concatenate([pose.axes for pose in poses])
        self.asked += len(tips)
        return measure(self._anatomy, tips, axes, self._device, self._limits, self._roll)

    def _apart(self, pose: Pose) -> bool:
        if len(pose.tips) == 1 or self._placed is not None:
            return True
        offset = pose.tips[:, None] - pose.tips[None]
        across = offset - (offset @ pose.axis)[..., None] * pose.axis
        distance = np.linalg.norm(across, axis=2) + np.where(np.eye(len(pose.tips)), np.inf, 0.0)
        return bool(distance.min() >= self._gap)

    def _within(self, pose: Pose) -> bool:
        if self._placed is None:
            return True
        return bool((np.linalg.norm(pose.tips - self._placed.tips, axis=1) <= self._reach + 1e-9).all())


_WORDS = {
    "image": "leave the image inside the patient",
    "capsule": "heat outside the liver (access.capsule)",
    "capsule_angle": "enter the liver too flatly (access.capsule_angle)",
    "parenchyma": "too little liver before the tumour (access.parenchyma)",
    "depth": "too deep (access.depth)",
    "axial_angle": "too steep to the axial plane (access.axial_angle)",
}
