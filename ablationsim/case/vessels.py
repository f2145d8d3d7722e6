"""The tables of a case file about vessels and tumour."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, model_validator

from ablationsim.case.sections import Name, Point, Section
from ablationsim.device.protocol import NotNegative, Positive
from ablationsim.units import (
    FlowRate,
    Length,
    LengthUnit,
    PerfusionRate,
    Ratio,
    Speed,
    Temperature,
    ThermalConductivity,
    WallCoefficient,
)

SHAPES = ("points", "surface", "centreline", "labels", "facets")
"""Keys of a vessel that say where it is; exactly one is given."""


class VesselSection(Section):
    """``[[vessel]]``: a vessel tree or a tube, from two points, a file, a label image or the facets of the mesh.

    Attributes
    ----------
    name : str
        Unique in the case; names columns in the history.
    kind : {"portal_vein", "hepatic_vein", "hepatic_artery", "tube"}
        What flows which way, and how much where no flow is given.
    points : tuple of points or None
        Centreline of a tube, in the direction of its flow, world coordinates [m]; at least two.
    diameter : float or None
        Of the lumen [m]; with `points`.
    surface : str or None
        Triangulated surface (.stl, .ply, .vtp, .obj) or volume mesh (.msh, .vtu, .xdmf, .mesh) with the vessel in it.
    part : str or None
        Name or number of the region or facets of a volume mesh; name of the tree in a file with several centrelines.
    centreline : str or None
        Centrelines with radii (.vtp, .csv).
    labels : str or None
        Label image (.nii, .nii.gz, .nrrd, .mha).
    label : int or None
        Value of the vessel in the label image.
    facets : str or None
        Name of the facets of the case's own mesh (`domain.mesh`) that are the vessel's wall.
    unit : str or None
        Unit of the coordinates in a surface or centreline file; they carry none themselves.
    orientation : {"RAS", "LPS"} or None
        Axes of a surface or centreline file, when it belongs to a patient. World coordinates are RAS.
    inlet : tuple of float or None
        Point near the end of the tree that the blood comes from, or, for hepatic veins, leaves by [m]; the thickest
        end when not given.
    flow : float or None
        Through the trunk, or the tube [m3/s].
    speed : float or None
        Mean speed in the trunk, or the tube, instead of the flow [m/s].
    occluded : bool
        Whether the flow is stopped (Pringle manoeuvre, balloon).
    model : {"auto", "fixed", "transport"}
        Blood at the temperature of the inlet, or warming up along its way; "auto" decides by the diameter.
    temperature : float or None
        Of what enters [K]; that of the blood, or of the tissue at the start when water flows, if not given.
    fluid : {"blood", "water", "saline"} or None
        Blood when not given, and water in a tube.
    wall_thickness, wall_conductivity : float or None
        Of a tube's own wall [m, W/m/K]; it insulates from electric current.
    wall_coefficient : float or None
        Between wall and blood, instead of the one that follows from the flow [W/m2/K].
    """

    name: Name
    kind: Literal["portal_vein", "hepatic_vein", "hepatic_artery", "tube"]
    points: tuple[Point, ...] | None = Field(default=None, min_length=2)
    diameter: Annotated[Length, Positive] | None = None
    surface: str | None = None
    part: str | None = None
    centreline: str | None = None
    labels: str | None = None
    label: int | None = Field(default=None, ge=1)
    facets: str | None = None
    unit: LengthUnit | None = None
    orientation: Literal["RAS", "LPS"] | None = None
    inlet: Point | None = None
    flow: Annotated[FlowRate, NotNegative] | None = None
    speed: Annotated[Speed, NotNegative] | None = None
    occluded: StrictBool = False
    model: Literal["auto", "fixed", "transport"] = "auto"
    temperature: Temperature | None = None
    fluid: Literal["blood", "water", "saline"] | None = None
    wall_thickness: Annotated[Length, NotNegative] | None = None
    wall_conductivity: Annotated[ThermalConductivity, Positive] | None = None
    wall_coefficient: Annotated[WallCoefficient, Positive] | None = None

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        given = [key for key in SHAPES if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"give exactly one of {', '.join(SHAPES)}; found {found}")
        needed = {"points": ("diameter",), "surface": ("unit",), "centreline": ("unit",), "labels": ("label",)}
        for key in needed.get(given[0], ()):
            if getattr(self, key) is None:
                raise ValueError(f"{given[0]} needs {key}")
        if self.kind == "tube" and given[0] in ("points", "facets") and self.flow is None and self.speed is None:
            raise ValueError("a tube needs its flow or speed, such as flow = '10 mL/min'")
        if self.flow is not None and self.speed is not None:
            raise ValueError("flow and speed exclude each other")
        return self


class TumourSection(Section):
    """``[tumour]``: tissue with a perfusion of its own; a sphere, or a label of an image.

    Attributes
    ----------
    centre, radius : point and float, or None
        Of a sphere, world coordinates [m].
    labels, label : str and int, or None
        Label image and value.
    set : str or None
        Tissue set whose perfusion it has, such as "hcc" or "metastasis".
    perfusion : float or None
        Perfusion rate instead [1/s].
    perfusion_factor : float
        Multiplier of that perfusion, for example after chemoembolisation.
    """

    centre: Point | None = None
    radius: Annotated[Length, Positive] | None = None
    labels: str | None = None
    label: int | None = Field(default=None, ge=1)
    set: str | None = None
    perfusion: Annotated[PerfusionRate, NotNegative] | None = None
    perfusion_factor: Annotated[Ratio, NotNegative] = 1.0

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        sphere, image = (self.centre, self.radius), (self.labels, self.label)
        if (None in sphere) == (None in image) or any(x is not None for x in (image if None in image else sphere)):
            raise ValueError("give either centre and radius of a sphere, or labels and label of an image")
        if (self.set is None) == (self.perfusion is None):
            raise ValueError("give either the tissue set that it has the perfusion of, or its perfusion")
        return self
