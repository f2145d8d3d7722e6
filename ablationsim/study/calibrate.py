"""Calibration: at most two numbers of a device profile, fitted to a few measured zones; the rest is predicted.

Only numbers with a range can be fitted, and they stay in it. What belongs to the experiment (start temperature, what
was taken for the edge) is part of the data set and is never fitted here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablationsim.device import Device
from ablationsim.errors import CaseError
from ablationsim.study.conditions import Conditions
from ablationsim.study.measurements import NEVER_FITTED, Mean, Measured, Measurements, Setting
from ablationsim.study.parameters import Change, Parameter, parameters, write_profile
from ablationsim.study.prediction import Prediction, Task, predict
from ablationsim.study.workers import Apply, workers
from ablationsim.units import ZERO_CELSIUS

LENGTH_SD = 2.0
"""Taken for the standard deviation of a length where none is known [mm]."""
VOLUME_SD = 0.15
"""Taken for the relative standard deviation of a volume: 2 mm in each axis of a zone of 40 mm."""
SPHERICITY_SD = 0.07
"""Taken for the standard deviation of a sphericity or an aspect: 2 mm in both axes of a zone of 40 mm."""

_STEP = 0.05  # of the range: differences well above the noise of one mesh against another
_TOLERANCE = 1e-2
_EVALUATIONS = 12

Told = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A measured quantity of a setting beside its prediction; lengths in mm, volumes in mL.

    Attributes
    ----------
    setting : str
    quantity : {"length", "diameter", "length / diameter", "volume", "sphericity"}
        Along the shaft, across it, their ratio, and shorter over longer of the two.
    measured, sd : float or None
        None where nothing was measured or no standard deviation is known.
    predicted : float
    calibrated : bool
        Whether the measurement took part in the fit.
    frame : {"contracted", "undeformed"}
    """

    setting: str
    quantity: str
    measured: float | None
    sd: float | None
    predicted: float
    calibrated: bool
    frame: str

    @property
    def difference(self) -> float | None:
        """Predicted minus measured."""
        return None if self.measured is None else self.predicted - self.measured


@dataclass(frozen=True)
class Calibration:
    """A calibrated device.

    Attributes
    ----------
    device : Device
        With the fitted values.
    changes : tuple of Change
        Fitted values with their origin.
    rows : tuple of Row
        Every measurement beside its prediction with the fitted values.
    rms : float
        Root mean square of the residuals that were fitted, in standard deviations.
    evaluations : int
        How often the calibrating settings were run.
    """

    device: Device
    changes: tuple[Change, ...]
    rows: tuple[Row, ...]
    rms: float
    evaluations: int

    def write(self, profile: Path, output: Path) -> None:
        """Write the profile with the fitted values.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        write_profile(profile, output, self.changes)


def calibrate(
    profile: str,
    data: Measurements,
    fit: Sequence[str],
    *,
    resolution: float = 1.5,
    jobs: int = 1,
    told: Told = lambda text: None,
) -> Calibration:
    """Fit numbers of a device to the calibrating measurements, and predict all.

    Least squares of (predicted - measured) / standard deviation with bounds; the same input gives the same values.

    Parameters
    ----------
    profile : str
        Name or path of the device profile.
    data : Measurements
    fit : sequence of str
        Places of one or two numbers in the profile, or the last part of a place.
    resolution : float
        Size of the elements relative to the default.
    jobs : int
        Runs at a time.
    told : callable
        Gets a line about each trial.

    Raises
    ------
    DeviceError
        If a number cannot be fitted.
    CaseError
        If the data calibrate fewer quantities than numbers are fitted.
    SolverError
        If a run fails.
    """
    device = Device.load(profile)
    varied = parameters(device, fit)
    with workers(jobs) as apply:
        trials = _Trials(profile, device, data, varied, resolution, apply, told)
        if trials.count < len(varied):
            raise CaseError(
                [
                    f"{len(varied)} numbers cannot be fitted to {trials.count} measured quantities; mark more rows "
                    "with use = calibrate, or fit fewer numbers"
                ],
                data.name,
            )
        values = trials.best()
        fitted = trials.device(values)
        predicted = trials.predictions(fitted, data.settings)
    residuals = _residuals(data.calibrating, data, predicted)
    rms = math.sqrt(float(np.mean(residuals**2)))
    return Calibration(
        device=fitted,
        changes=tuple(
            Change(parameter, value, "calibrated", _origin(parameter, value, varied, data, rms))
            for parameter, value in zip(varied, values, strict=True)
        ),
        rows=comparison(data, predicted),
        rms=rms,
        evaluations=trials.evaluations,
    )


class _Trials:
    """Runs the calibrating settings with trial values, and finds the best ones."""

    def __init__(
        self,
        profile: str,
        device: Device,
        data: Measurements,
        varied: Sequence[Parameter],
        resolution: float,
        apply: Apply,
        told: Told,
    ) -> None:
        self.profile, self.base, self.data, self.varied = profile, device, data, varied
        self.resolution, self.apply, self.told = resolution, apply, told
        groups = {entry.group for entry in data.calibrating if isinstance(entry, Mean)}
        self.needed = [setting for setting in data.settings if setting.calibrated or setting.group in groups]
        self.count = sum(key not in NEVER_FITTED for entry in data.calibrating for key in entry.measured)
        self.evaluations = 0

    def device(self, values: Sequence[float]) -> Device:
        """The device with other values (SI)."""
        return self.base.with_values(
            {parameter.place: value for parameter, value in zip(self.varied, values, strict=True)}
        )

    def predictions(self, device: Device, settings: Sequence[Setting]) -> dict[int, Prediction]:
        """Prediction of every setting, by its line."""
        tasks = [Task(self.profile, device, setting, self.resolution) for setting in settings]
        answers = self.apply(predict, tasks)
        return {setting.line: answer for setting, answer in zip(settings, answers, strict=True)}

    def best(self) -> list[float]:
        """The values (SI) of the least squares, as a profile writes them."""
        from scipy.optimize import least_squares

        # The unknowns run from 1 to 2 over the range: a relative step is then a share of the range.
        start = np.array([1.0 + min(max(parameter.share, 0.02), 0.98) for parameter in self.varied])
        found = least_squares(
            self._residuals,
            start,
            bounds=(1.0, 2.0),
            method="trf",
            diff_step=_STEP,
            xtol=_TOLERANCE,
            ftol=_TOLERANCE,
            gtol=None,
            max_nfev=_EVALUATIONS,
        )
        return [parameter.rounded(parameter.at(x - 1.0)) for parameter, x in zip(self.varied, found.x, strict=True)]

    def _residuals(self, unknowns: NDArray[np.float64]) -> NDArray[np.float64]:
        values = [parameter.at(x - 1.0) for parameter, x in zip(self.varied, unknowns, strict=True)]
        predicted = self.predictions(self.device(values), self.needed)
        residuals = _residuals(self.data.calibrating, self.data, predicted)
        self.evaluations += 1
        texts = ", ".join(f"{p.name} {p.text(value)}" for p, value in zip(self.varied, values, strict=True))
        rms = math.sqrt(float(np.mean(residuals**2)))
        self.told(f"trial {self.evaluations}: {texts}: residual {rms:.2f} standard deviations")
        return residuals


def _residuals(
    entries: Sequence[Setting | Mean], data: Measurements, predicted: dict[int, Prediction]
) -> NDArray[np.float64]:
    """(predicted - measured) / standard deviation of every measured quantity."""
    found = []
    for entry in entries:
        prediction = _prediction(entry, data, predicted)
        for quantity, measured in entry.measured.items():
            if quantity in NEVER_FITTED:
                continue
            found.append((getattr(prediction, quantity) - measured.value) / _sd(quantity, measured))
    return np.array(found)


def _sd(quantity: str, measured: Measured) -> float:
    if measured.sd is not None:
        return measured.sd
    match quantity:
        case "volume_ml":
            return VOLUME_SD * measured.value
        case "sphericity" | "isoperimetric" | "aspect":
            return SPHERICITY_SD
        case _:
            return LENGTH_SD


def _prediction(entry: Setting | Mean, data: Measurements, predicted: dict[int, Prediction]) -> Prediction:
    if isinstance(entry, Setting):
        return predicted[entry.line]
    return Prediction.mean([predicted[setting.line] for setting in data.settings if setting.group == entry.group])


def comparison(data: Measurements, predicted: dict[int, Prediction]) -> tuple[Row, ...]:
    """Every setting and mean beside its prediction; length, diameter and their ratio also where nothing was measured.

    Parameters
    ----------
    data : Measurements
    predicted : dict of int to Prediction
        By the line of the setting.
    """
    return tuple(row for entry in data.entries for row in _rows(entry, data, predicted))


def _rows(entry: Setting | Mean, data: Measurements, predicted: dict[int, Prediction]) -> Iterator[Row]:
    prediction, measured = _prediction(entry, data, predicted), entry.measured
    along, across = measured.get("long_mm"), measured.get("short_mm")
    ratio = None if along is None or across is None else Measured(along.value / across.value)
    for quantity, found, value, shown in (
        ("length", along, prediction.long_mm, True),
        ("diameter", across, prediction.short_mm, True),
        ("length / diameter", ratio, prediction.ratio, True),
        ("volume", measured.get("volume_ml"), prediction.volume_ml, "volume_ml" in measured),
        ("sphericity", measured.get("sphericity"), prediction.sphericity, "sphericity" in measured),
    ):
        if shown:
            yield Row(
                setting=entry.name,
                quantity=quantity,
                measured=None if found is None else found.value,
                sd=None if found is None else found.sd,
                predicted=value,
                calibrated=entry.calibrated and found is not None and found is not ratio,
                frame=_conditions(entry, data).frame,
            )


def _conditions(entry: Setting | Mean, data: Measurements) -> Conditions:
    """What is assumed of an entry; the settings of a group agree on it."""
    if isinstance(entry, Setting):
        return entry.conditions
    return next(setting.conditions for setting in data.settings if setting.group == entry.group)


def _origin(parameter: Parameter, value: float, varied: Sequence[Parameter], data: Measurements, rms: float) -> str:
    """What the profile says of a fitted value."""
    together = " and ".join(other.place for other in varied if other is not parameter)
    conditions = [_conditions(entry, data) for entry in data.calibrating]
    starts = sorted({c.start_temperature - ZERO_CELSIUS for c in conditions})
    start = " and ".join(f"{celsius:g} degC" for celsius in starts)
    edges = " and ".join(sorted({c.edge for c in conditions}))
    frames = " and ".join(sorted({c.frame for c in conditions}))
    names = "; ".join(entry.name for entry in data.calibrating)
    return (
        f"Fitted {f'together with {together} ' if together else ''}to {data.name}, {names}: root mean square residual "
        f"{rms:.2g} standard deviations; assumed start {start}, edge {edges}, frame {frames}"
        f"{'; at the limit of its range' if parameter.at_limit(value) else ''}"
    )
