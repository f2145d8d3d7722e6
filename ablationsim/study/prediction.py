"""Prediction of one measured setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ablationsim.case import Case
from ablationsim.device import Device
from ablationsim.errors import AblationSimError, Interrupted, SolverError
from ablationsim.simulate import simulate
from ablationsim.study.measurements import Setting
from ablationsim.units import exact


@dataclass(frozen=True)
class Prediction:
    """Size of a predicted zone in the frame of the measurement; all zero where there is no zone.

    Attributes
    ----------
    long_mm, short_mm : float
        Length along the shaft and diameter across it [mm].
    volume_ml : float
        [mL]
    sphericity : float
        Shorter over longer of the two.
    """

    long_mm: float
    short_mm: float
    volume_ml: float
    sphericity: float

    @property
    def ratio(self) -> float:
        """Length along the shaft over diameter across it: above 1 prolate, below 1 oblate."""
        return self.long_mm / self.short_mm if self.short_mm > 0.0 else 0.0

    @classmethod
    def of(cls, zone: Mapping[str, float | None]) -> Prediction:
        """From a part of zone.json in one frame."""
        return cls(
            long_mm=zone["axial_length_mm"] or 0.0,
            short_mm=zone["transverse_diameter_mm"] or 0.0,
            volume_ml=zone["volume_ml"] or 0.0,
            sphericity=zone["sphericity_axes"] or 0.0,
        )

    @classmethod
    def mean(cls, predictions: Sequence[Prediction]) -> Prediction:
        """Mean of each size over several settings."""
        count = len(predictions)
        return cls(
            long_mm=sum(p.long_mm for p in predictions) / count,
            short_mm=sum(p.short_mm for p in predictions) / count,
            volume_ml=sum(p.volume_ml for p in predictions) / count,
            sphericity=sum(p.sphericity for p in predictions) / count,
        )


@dataclass(frozen=True)
class Task:
    """A setting to run with a device.

    Attributes
    ----------
    profile : str
        Name or path of the profile that the device comes from.
    device : Device
        The device, possibly with other values than its profile has.
    setting : Setting
    resolution : float
        Size of the elements relative to the default.
    """

    profile: str
    device: Device
    setting: Setting
    resolution: float


def predict(task: Task) -> Prediction:
    """Run a setting.

    Raises
    ------
    SolverError
        If the run fails or cannot be set up; the message names the setting.
    Interrupted
        If the user stopped it.
    """
    try:
        zone = simulate(case_of(task)).document
    except Interrupted:
        raise
    except AblationSimError as error:
        # An error crosses to another process by its message alone.
        raise SolverError(f"{task.setting.name} with {task.device.name}: {error}") from None
    return Prediction.of(zone["contracted"] if task.setting.conditions.frame == "contracted" else zone)


def case_of(task: Task) -> Case:
    """The case of a setting: constant power in a block of its tissue.

    Raises
    ------
    CaseError
        If device, tissue and setting do not fit each other.
    """
    device, setting, conditions = task.device, task.setting, task.setting.conditions
    case = Case.from_dict(
        {
            "title": f"{device.title}, {setting.name}",
            "device": {"profile": task.profile},
            "protocol": [
                {"mode": "power", "power": exact(setting.power, "power"), "duration": exact(setting.time, "duration")}
            ],
            "tissue": {"set": conditions.tissue, "temperature": exact(conditions.start_temperature, "temperature")},
            "zone": conditions.zone(),
            "mesh": {"resolution": task.resolution},
        },
    )
    placed = case.applicators[0]
    return replace(case, applicators=(replace(placed, device=device),))
