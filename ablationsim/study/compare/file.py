"""The tables of a comparison file, one model each; tables of the same name as in a case file are that table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ablationsim.case.sections import Name, Section
from ablationsim.device.protocol import NotNegative, Positive
from ablationsim.units import Duration, FlowRate, Length, Power, Ratio

PASSED_ON = ("zone", "mesh", "time", "microwave")
"""Tables that every run has, written as in a case file."""


class AboutSection(Section):
    """``[comparison]``: what is compared, and in which frame it is shown first.

    Attributes
    ----------
    name : str or None
        Of the comparison; the name of the file when not given.
    title : str or None
        Heading of the report.
    times : tuple of float
        Durations of the power [s], for devices with `powers` and no times of their own.
    frame : {"contracted", "undeformed"}
        Frame of charts and console; the table and the report have both.
    short_axis : tuple of float
        Short axes the time to which is asked for [m].
    uncertainty : str or None
        Folder of an uncertainty study of the same devices, whose spreads the report shows; relative to the file.
    """

    name: Name | None = None
    title: str | None = None
    times: tuple[Annotated[Duration, Positive], ...] = ()
    frame: Literal["contracted", "undeformed"] = "contracted"
    short_axis: tuple[Annotated[Length, Positive], ...] = ()
    uncertainty: str | None = None


class ComparedDevice(Section):
    """``[[device]]``: a device and its settings.

    Attributes
    ----------
    profile : str
        Name of a shipped profile, or the path of a ``.toml`` file relative to the comparison file.
    name : str or None
        In tables and charts; the name of the profile when not given.
    powers, times : tuple of float
        Each with each [W, s]. They take the place of power and duration in the protocol, if that is one step.
    protocol : list of dict or None
        Steps as in a case file. Without it, constant power if there are `powers`, else that of the profile.
    """

    profile: str
    name: str | None = Field(default=None, min_length=1)
    powers: tuple[Annotated[Power, Positive], ...] = ()
    times: tuple[Annotated[Duration, Positive], ...] = ()
    protocol: list[dict[str, Any]] | None = Field(default=None, min_length=1)


class HeatSinkSection(Section):
    """``[heat_sink]``: the standard vessel, straight and parallel to the shaft, that every setting meets.

    What enters has the temperature of the tissue before heating, so that the vessel is a sink in every tissue and never
    a source. The default flow is that of a vessel of this kind and diameter.

    Attributes
    ----------
    kind : {"portal_vein", "hepatic_vein", "hepatic_artery"}
    diameter : float
        Of the lumen [m].
    distance : float
        Between the wall of the vessel and the axis of the shaft [m].
    flow : float or None
        [m3/s]
    resolution : float
        Size of the elements of these runs, which are in three dimensions, relative to the default.
    """

    kind: Literal["portal_vein", "hepatic_vein", "hepatic_artery"] = "portal_vein"
    diameter: Annotated[Length, Positive] = 5e-3
    distance: Annotated[Length, Positive] = 10e-3
    flow: Annotated[FlowRate, NotNegative] | None = None
    resolution: Annotated[Ratio, Positive] = 2.0


class CompareFile(Section):
    """A whole comparison file.

    Attributes
    ----------
    comparison : AboutSection
    device : tuple of ComparedDevice
    tissue : tuple of dict
        Each as the table of a case file.
    heat_sink : HeatSinkSection or None
    zone, mesh, time, microwave : dict
        As in a case file.
    """

    comparison: AboutSection = AboutSection()
    device: tuple[ComparedDevice, ...] = Field(min_length=1)
    tissue: tuple[dict[str, Any], ...] = Field(min_length=1)
    heat_sink: HeatSinkSection | None = None
    zone: dict[str, Any] = Field(default_factory=dict)
    mesh: dict[str, Any] = Field(default_factory=dict)
    time: dict[str, Any] = Field(default_factory=dict)
    microwave: dict[str, Any] = Field(default_factory=dict)
