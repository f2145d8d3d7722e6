"""Prediction of one measured setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ablationsim.case import Case, ZoneSection
from ablationsim.device import Device
from ablationsim.errors import AblationSimError, Interrupted, SolverError
from ablationsim.simulate import simulate
from ablationsim.study.measurements import Setting
from ablationsim.units import exact


@dataclass(frozen=True)
class Prediction:
    """Size of a predicted zone in one frame; all zero where there is no zone.

    Attributes
    ----------
    long_mm, short_mm : float
        Length along the shaft and diameter across it [mm].
    volume_ml : float
        [mL]
    sphericity : float
        Shorter over longer of the two.
    isoperimetric : float
        Sphericity from volume and surface, 1 for a sphere.
    beyond_tip_mm : float
        How far the zone reaches beyond the tip [mm].
    energy_kj : float
        From the generator [kJ].
    stop_s : float
        Time at which the generator stopped [s].
    """

    long_mm: float
    short_mm: float
    volume_ml: float
    sphericity: float
    isoperimetric: float = 0.0
    beyond_tip_mm: float = 0.0
    energy_kj: float = 0.0
    stop_s: float = 0.0

    @property
    def ratio(self) -> float:
        """Length along the shaft over diameter across it: above 1 prolate, below 1 oblate."""
        return self.long_mm / self.short_mm if self.short_mm > 0.0 else 0.0

    @property
    def aspect(self) -> float:
        """Diameter across the shaft over length along it: above 1 oblate, below 1 prolate."""
        return self.short_mm / self.long_mm if self.long_mm > 0.0 else 0.0

    @classmethod
    def of(cls, document: Mapping[str, Any], frame: str = "undeformed") -> Prediction:
        """From the content of zone.json.

        Parameters
        ----------
        document : mapping
        frame : {"contracted", "undeformed"}
        """
        zone = document["contracted"] if frame == "contracted" else document
        return cls(
            **_sizes(zone),
            energy_kj=1e-3 * document["energy_balance"]["in_j"],
            stop_s=document["power_off_s"],
        )

    @classmethod
    def inside(cls, zone: Mapping[str, Any]) -> Prediction:
        """From the metrics of a zone alone, such as that inside an isotherm."""
        return cls(**_sizes(zone))

    @classmethod
    def mean(cls, predictions: Sequence[Prediction]) -> Prediction:
        """Mean of each size over several settings."""
        return cls(
            **{
                field.name: sum(getattr(found, field.name) for found in predictions) / len(predictions)
                for field in fields(cls)
            }
        )

    def shrunk(self, strain: float) -> Prediction:
        """The sizes after a contraction by the same share in all directions."""
        length = 1.0 - strain
        return replace(
            self,
            long_mm=length * self.long_mm,
            short_mm=length * self.short_mm,
            beyond_tip_mm=length * self.beyond_tip_mm,
            volume_ml=length**3 * self.volume_ml,
        )


def _sizes(zone: Mapping[str, Any]) -> dict[str, float]:
    return {
        "long_mm": zone["axial_length_mm"] or 0.0,
        "short_mm": zone["transverse_diameter_mm"] or 0.0,
        "volume_ml": zone["volume_ml"] or 0.0,
        "sphericity": zone["sphericity_axes"] or 0.0,
        "isoperimetric": zone["sphericity_isoperimetric"] or 0.0,
        "beyond_tip_mm": zone["beyond_tip_mm"] or 0.0,
    }


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
    """Run a setting, and take the zone in the frame of its measurement.

    Raises
    ------
    SolverError
        If the run fails or cannot be set up; the message names the setting.
    Interrupted
        If the user stopped it.
    """
    try:
        document = simulate(case_of(task)).document
    except Interrupted:
        raise
    except AblationSimError as error:
        # An error crosses to another process by its message alone.
        raise SolverError(f"{task.setting.name} with {task.device.name}: {error}") from None
    return Prediction.of(document, task.setting.conditions.frame)


def case_of(task: Task) -> Case:
    """The case of a setting: its own, or constant power in a block of its tissue.

    A case of its own keeps its geometry, protocol and tissue; start temperature, edge and contraction are those of the
    setting's conditions (the last the default of a case where they say nothing), and the device is that of the task.

    Raises
    ------
    CaseError
        If device, tissue and setting do not fit each other.
    """
    device, setting, conditions = task.device, task.setting, task.setting.conditions
    if setting.case is not None:
        return _own_case(Case.load(setting.case), task)
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
    return _with_device(case, device)


def _own_case(case: Case, task: Task) -> Case:
    conditions = task.setting.conditions
    given = conditions.zone()
    # Through the model, so that what is no choice is refused as in a case file.
    wanted = ZoneSection.model_validate(given)
    zone = case.zone.model_copy(update={key: getattr(wanted, key) for key in (*given, "contraction")})
    tissue = case.tissue
    if conditions.start is not None:
        tissue = tissue.with_overrides({"initial_temperature": conditions.start})
    mesh = case.mesh.model_copy(update={"resolution": case.mesh.resolution * task.resolution})
    return _with_device(replace(case, zone=zone, tissue=tissue, mesh=mesh), task.device)


def _with_device(case: Case, device: Device) -> Case:
    placed = case.applicators[0]
    return replace(case, applicators=(replace(placed, device=device), *case.applicators[1:]))
