"""Every measured quantity beside what is predicted for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ablationsim.study.measurements import Mean, Measured, Measurements, Setting
from ablationsim.study.prediction import Prediction
from ablationsim.study.validation.answers import Answer, Reading
from ablationsim.zone import UNIFORM

Frame = Literal["stated", "contracted", "undeformed", "uniform"]
"""In which tissue sizes are compared: as stated of the experiment, with the contraction of the case, without any, or
with `ablationsim.zone.UNIFORM` in all directions."""

UNITS: Mapping[str, str] = {
    "length": "mm",
    "diameter": "mm",
    "volume": "mL",
    "aspect": "",
    "sphericity": "",
    "isoperimetric": "",
    "beyond tip": "mm",
    "temperature": "°C",
    "time": "s",
    "stop": "s",
    "energy": "kJ",
    "dice": "",
    "mean surface distance": "mm",
    "hausdorff 95 %": "mm",
}
"""Every quantity that is compared, with its unit."""

SHAPES: Mapping[str, str] = {
    "dice": "dice",
    "mean surface distance": "mean_surface_distance_mm",
    "hausdorff 95 %": "hausdorff_95_mm",
}
"""Agreement with a measured zone in space, by the names in an answer; nothing is measured beside these."""

_KEYS: Mapping[str, str] = {
    "length": "long_mm",
    "diameter": "short_mm",
    "volume": "volume_ml",
    "aspect": "aspect",
    "sphericity": "sphericity",
    "isoperimetric": "isoperimetric",
    "beyond tip": "beyond_tip_mm",
    "stop": "stop_s",
    "energy": "energy_kj",
}
_ALWAYS = ("length", "diameter", "volume", "aspect", "sphericity", "isoperimetric")
_SHAPELESS = ("stop", "energy", "temperature", "time")
_EDGES = {"60": "edge_60", "50": "edge_50"}


@dataclass(frozen=True)
class Subject:
    """What a group of rows speaks of.

    Attributes
    ----------
    paper, device, title, modality : str
        Publication; profile, its title, and ``rfa`` or ``mwa``.
    fitted : bool
        Whether a number of the profile, or of the tissue set, is calibrated.
    perfused : bool
        Whether blood flows in the tissue.
    """

    paper: str
    device: str
    title: str
    modality: str
    fitted: bool
    perfused: bool


@dataclass(frozen=True)
class Row:
    """A quantity of a setting, predicted and, where it was, measured; in the units of `UNITS`.

    Attributes
    ----------
    subject : Subject
    setting : str
    quantity : str
        A key of `UNITS`. Length is along the shaft and diameter across it; aspect is diameter over length; sphericity
        the shorter over the longer of the two; isoperimetric that from volume and surface.
    place : str
        Of a temperature or a time the probe; of an agreement in space how the surfaces were laid over each other.
    measured, sd : float or None
    predicted : float or None
        In the frame that is stated of the experiment; None where the model does not get there.
    calibrated : bool
        Whether the measurement took part in a fit of the profile or of the tissue set.
    frame : str
        "contracted" or "undeformed"; empty where it does not matter.
    contracted, undeformed, uniform : float or None
        The prediction in each frame.
    edge_60, edge_50 : float or None
        The prediction in the stated frame with the isotherms of 60 and 50 °C for the edge.
    read, n : str
        How the number was read, and number of ablations.
    power, time : float
        [W, s]; NaN where the setting is a case that does not say.
    """

    subject: Subject
    setting: str
    quantity: str
    place: str
    measured: float | None
    sd: float | None
    predicted: float | None
    calibrated: bool
    frame: str
    contracted: float | None
    undeformed: float | None
    uniform: float | None
    edge_60: float | None = None
    edge_50: float | None = None
    read: str = ""
    n: str = ""
    power: float = math.nan
    time: float = math.nan

    @property
    def unit(self) -> str:
        """Empty for a ratio."""
        return UNITS[self.quantity]

    def within(self, frame: Frame) -> float | None:
        """The prediction in a frame."""
        return self.predicted if frame == "stated" or not self.frame else getattr(self, frame)

    def difference(self, frame: Frame = "stated") -> float | None:
        """Predicted minus measured; None where one of them is missing."""
        predicted = self.within(frame)
        return None if predicted is None or self.measured is None else predicted - self.measured


def rows(subject: Subject, data: Measurements, found: Mapping[int, Answer], default_read: str) -> list[Row]:
    """Every setting and mean of a device beside its prediction.

    Parameters
    ----------
    subject : Subject
    data : Measurements
    found : dict of int to Answer
        By the line of the setting; settings without one are left out, and means over them.
    default_read : str
        How numbers were read where a row does not say.
    """
    result: list[Row] = []
    for entry in data.entries:
        settings = [entry] if isinstance(entry, Setting) else [s for s in data.settings if s.group == entry.group]
        if any(setting.line not in found for setting in settings):
            continue
        answers = [found[setting.line] for setting in settings]
        own = list(_zone_rows(subject, entry, settings[0], answers, default_read))
        if isinstance(entry, Mean):
            # Another row with means of the same group has said the rest.
            said = {row.quantity for row in result if row.setting == entry.name}
            own = [row for row in own if row.measured is not None or row.quantity not in said]
        result += own
        if isinstance(entry, Setting):
            result += [_probe_row(subject, entry, reading, default_read) for reading in answers[0].readings]
            result += _shape_rows(subject, entry, answers[0].shape, default_read)
    return result


def _zone_rows(
    subject: Subject, entry: Setting | Mean, first: Setting, answers: Sequence[Answer], default_read: str
) -> Iterator[Row]:
    documents = [answer.document for answer in answers]
    undeformed = Prediction.mean([Prediction.of(document) for document in documents])
    contracted = Prediction.mean([Prediction.of(document, "contracted") for document in documents])
    frame = first.conditions.frame
    stated = contracted if frame == "contracted" else undeformed
    edges = {
        name: Prediction.mean([Prediction.inside(_isotherm(document, key, frame)) for document in documents])
        for key, name in _EDGES.items()
    }
    uniform = undeformed.shrunk(UNIFORM)
    measured = _measured(entry)
    setting = entry if isinstance(entry, Setting) else None
    for quantity, key in _KEYS.items():
        value = measured.get(quantity)
        if value is None and quantity not in _ALWAYS:
            continue
        shape = quantity not in _SHAPELESS
        yield Row(
            subject=subject,
            setting=entry.name,
            quantity=quantity,
            place="",
            measured=None if value is None else value.value,
            sd=None if value is None else value.sd,
            predicted=getattr(stated, key),
            calibrated=subject.fitted and entry.calibrated and value is not None and shape,
            frame=frame if shape else "",
            contracted=getattr(contracted, key),
            undeformed=getattr(undeformed, key),
            uniform=getattr(uniform, key),
            **{name: getattr(edge, key) if shape else None for name, edge in edges.items()},
            read=entry.read or default_read,
            n=entry.n,
            power=setting.power if setting else math.nan,
            time=setting.time if setting else math.nan,
        )


def _isotherm(document: Mapping[str, object], key: str, frame: str) -> Mapping[str, object]:
    zone = document["contracted"] if frame == "contracted" else document
    return zone["isotherms"][key]  # type: ignore[index]


def _measured(entry: Setting | Mean) -> dict[str, Measured]:
    """What was measured, by quantity; the aspect also from both axes."""
    found = {quantity: entry.measured[key] for quantity, key in _KEYS.items() if key in entry.measured}
    length, diameter = found.get("length"), found.get("diameter")
    if "aspect" not in found and length is not None and diameter is not None:
        aspect = diameter.value / length.value
        sd = None
        if length.sd is not None and diameter.sd is not None:
            # As if the two axes scattered independently, which overstates it where one follows the other.
            sd = aspect * math.hypot(length.sd / length.value, diameter.sd / diameter.value)
        found["aspect"] = Measured(aspect, sd)
    return found


def _probe_row(subject: Subject, setting: Setting, reading: Reading, default_read: str) -> Row:
    return Row(
        subject=subject,
        setting=setting.name,
        quantity=reading.quantity,
        place=reading.place,
        measured=reading.measured,
        sd=reading.sd,
        predicted=reading.predicted,
        calibrated=False,
        frame="",
        contracted=reading.predicted,
        undeformed=reading.predicted,
        uniform=reading.predicted,
        read=setting.read or default_read,
        n=setting.n,
        power=setting.power,
        time=setting.time,
    )


def _shape_rows(subject: Subject, setting: Setting, shape: Mapping[str, Any], default_read: str) -> list[Row]:
    return [
        Row(
            subject=subject,
            setting=setting.name,
            quantity=quantity,
            place=shape["alignment"],
            measured=None,
            sd=None,
            predicted=shape[key],
            calibrated=False,
            frame="",
            contracted=None,
            undeformed=None,
            uniform=None,
            read=setting.read or default_read,
            n=setting.n,
            power=setting.power,
            time=setting.time,
        )
        for quantity, key in SHAPES.items()
        if shape
    ]
