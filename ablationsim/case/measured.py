"""``[measured]``: the table of a case file about an experiment to compare with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ablationsim.case.sections import Section
from ablationsim.device.protocol import NotNegative, Positive
from ablationsim.units import Duration, Length, Temperature, TemperatureDifference, Volume


class MeasuredLength(Section):
    """A measured length with its standard deviation [m]."""

    value: Annotated[Length, Positive]
    sd: Annotated[Length, NotNegative] | None = None


class MeasuredVolume(Section):
    """A measured volume with its standard deviation [m3]."""

    value: Annotated[Volume, Positive]
    sd: Annotated[Volume, NotNegative] | None = None


class TimeTo(Section):
    """Measured time until a probe reached a temperature [K, s]."""

    temperature: Temperature
    value: Annotated[Duration, Positive]
    sd: Annotated[Duration, NotNegative] | None = None


class MeasuredProbe(Section):
    """``[[measured.probe]]``: what was measured at a probe of the case.

    Attributes
    ----------
    name : str
        Name of a probe of the case.
    max_temperature, sd : float or None
        Highest temperature and its standard deviation [K].
    time_to : TimeTo or None
    """

    name: str
    max_temperature: Temperature | None = None
    sd: Annotated[TemperatureDifference, NotNegative] | None = None
    time_to: TimeTo | None = None


class MeasuredSection(Section):
    """``[measured]``: the experiment to compare with.

    Attributes
    ----------
    source : str
        Publication.
    frame : {"contracted", "undeformed"}
        Whether sizes were taken on the ablated, shrunken tissue.
    n : int or None
        Number of ablations.
    long_axis, short_axis, axial_length, transverse_diameter : MeasuredLength or None
    volume : MeasuredVolume or None
    probe : tuple of MeasuredProbe
    """

    source: str
    frame: Literal["contracted", "undeformed"] = "contracted"
    n: int | None = Field(default=None, ge=1)
    long_axis: MeasuredLength | None = None
    short_axis: MeasuredLength | None = None
    axial_length: MeasuredLength | None = None
    transverse_diameter: MeasuredLength | None = None
    volume: MeasuredVolume | None = None
    probe: tuple[MeasuredProbe, ...] = ()
